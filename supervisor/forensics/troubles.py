"""The troubles of a stretch of a journal: begin and end, first cause, consequences, and whether it is over.

Rules of this file:
- One pass over the events; what is kept are the troubles.
- `domain/availability.py` decides when a camera is away; this module finds the cause.
- One cause is one trouble: the cameras that a stuck process keeps closed, and those that are lost together.
- An orderly stop is not a trouble, and nothing is known of the time while no daemon ran.
- Beside the states that are given, it reads nothing.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import attrs
from msgspec.structs import replace

from ..domain import events as e
from ..domain.availability import Ledger
from ..domain.child import owner_of_child
from ..domain.describe import describe
from ..domain.ids import CameraId, ChildId, DeviceId, LeaseId, patrol_alert
from ..domain.lifecycle import LOST, CameraPhase, ChildPhase
from ..domain.state import ORPHAN, TRANSCODERS, Child, State
from ..domain.values import Mode, Reason
from ..ports.past import Finding
from .replay import ReplayedEvent, of_a_stop

TOGETHER_NS = 60 * 10**9
"""Cameras that are lost for one reason within this time of each other are lost together."""
PATIENCE_NS = 10 * 10**9
"""A viewer who waits this long for a picture has met a trouble."""
SLOW_NS = 60 * 10**9
"""The longest time to the first picture of a camera for which nobody waits."""
OURS = "banken"
"""The client of a suggestion's lease: nobody who watches."""
_OPENING = Reason("opening", "no picture had come yet")
_NUMBERS = re.compile(r"\S*\d\S*")


class Outage(Finding, frozen=True):
    """A camera that gave no picture when it should have, as the availability counts it."""

    camera: CameraId
    begin_ns: int
    end_ns: int | None
    """None where it was not over at the end of the stretch."""
    viewers: int
    """Those who had asked for it, or asked meanwhile."""
    refused: int
    """Requests for it that were refused."""
    missed: int
    """Visits of a patrol that brought no picture."""
    before: bool = False
    """Whether it had begun before the stretch, nobody knows when."""
    times: int = 1
    """How often it gave no picture in this time; in between it did, or nobody wanted it."""
    gone_ns: int = 0
    """How long it gave no picture, in all; without time in which no daemon ran."""
    stopped: bool = False
    """Whether it was not over when the daemon stopped, which is its end here."""
    losses: int = 0
    """How often it was lost, failed attempts included; also where no time counts, since nobody held a lease on it."""


class Stuck(Finding, frozen=True):
    """A process that SIGKILL did not end, or that nobody supervised."""

    camera: CameraId
    begin_ns: int
    end_ns: int | None
    stray: bool
    purpose: str = ""
    """As in `ChildStarting`; `stray` for an orphan."""

    @property
    def owner(self) -> str:
        """The camera, detector or daemon that it worked for, for people."""
        return owner_of_child(self.camera, self.purpose)


class Trouble(Finding, frozen=True):
    kind: Literal["stuck", "lost", "down", "fault", "other"]
    begin_ns: int
    end_ns: int | None
    """None where it was not over at the end of the stretch."""
    text: str
    """The cause, as the first event of it says; empty where no event says one."""
    cause: int | None
    """The number of that event, as far as it is in the journal."""
    outages: tuple[Outage, ...] = ()
    """Those with viewers first, then in the order of the configuration's file."""
    stuck: tuple[Stuck, ...] = ()
    device: DeviceId | None = None
    """The device whose connections they all held."""
    witness: int | None = None
    """The number of the event with which a viewer was turned away."""

    @property
    def viewers(self) -> int:
        return sum(outage.viewers for outage in self.outages)

    @property
    def gone_ns(self) -> int:
        """Of all cameras together; of the daemon, where it is the daemon that was away."""
        down_ns = (self.end_ns or self.begin_ns) - self.begin_ns if self.kind == "down" else 0
        return max(down_ns, sum(outage.gone_ns for outage in self.outages))


@attrs.define
class _Open:
    """An outage, or a loss that may become one."""

    camera: CameraId
    begin_ns: int
    ran_ns: int
    """The running time of the daemon when it began."""
    seq: int | None = None
    reason: Reason = _OPENING
    is_lost: bool = False
    """Whether the reason is of a loss."""
    keepers: frozenset[ChildId] = frozenset()
    """The stuck processes that were in the way when that was known."""
    device: DeviceId | None = None
    """The device on which it waited for a connection."""
    end_ns: int | None = None
    gone_ns: int = 0
    viewers: set[LeaseId] = attrs.field(factory=set)
    refused: int = 0
    missed: int = 0
    losses: int = 0
    before: bool = False
    stopped: bool = False

    @property
    def outage(self) -> Outage:
        return Outage(
            self.camera, self.begin_ns, self.end_ns, len(self.viewers), self.refused, self.missed, self.before,
            gone_ns=self.gone_ns, stopped=self.stopped, losses=self.losses,
        )  # fmt: skip

    @property
    def is_ordinary(self) -> bool:
        """Whether it was opened or waited in the queue without a loss, and nobody waited for long."""
        long_ns = PATIENCE_NS if self.viewers else SLOW_NS
        return not (self.is_lost or self.missed) and self.gone_ns < long_ns


@attrs.define
class _Stuck:
    child: ChildId
    camera: CameraId
    device: DeviceId | None
    begin_ns: int
    seq: int | None
    text: str
    stray: bool
    purpose: str
    blocks: bool
    """Whether it may have a connection to its camera."""
    end_ns: int | None = None

    @property
    def place(self) -> str:
        return self.device or self.camera

    def causes(self, begun: _Open) -> bool:
        """Whether it was there when the outage began, or soon after that."""
        latest_ns = begun.begin_ns + TOGETHER_NS
        return self.begin_ns <= (latest_ns if begun.end_ns is None else min(latest_ns, begun.end_ns))


class Troubles:
    """Give it the state at the begin, then `see` each moment, then `found` says what there was.

    With `camera`, of that one alone, and of the whole.
    """

    def __init__(self, head: State, since_ns: int, camera: CameraId | None = None) -> None:
        self._camera = camera
        self._ledger = Ledger(head, since_ns)
        self._lost: list[_Open] = []
        self._open: dict[CameraId, _Open] = {}
        """Those that are away."""
        self._loose: dict[CameraId, _Open] = {}
        """Those that were lost, or wait, and of which nobody counts the time."""
        self._stuck: dict[ChildId, _Stuck] = {}
        self._alive: dict[ChildId, _Stuck] = {}
        self._others: list[Trouble] = []
        self._alerts: dict[str, int] = {}
        self._patrols: set[int] = set()
        """The places of alerts that the missed cameras explain."""
        self._last_ns = since_ns
        for child in head.children.values():
            if child.phase is ChildPhase.UNKILLABLE or child.purpose == ORPHAN:
                self._keep(head, child, child.since_ns, None)
        for name, known in head.cameras.items():
            if known.reason is not None and (known.phase in (*LOST, CameraPhase.QUEUED) or known.failures):
                device = known.settings.device if known.phase is CameraPhase.QUEUED else None
                self._loose[name] = begun = _Open(name, since_ns, 0, before=True)
                self._explain(begun, head, known.reason, None, device)
        if self._ledger.is_running:
            self._turn(head.cameras, head, since_ns, None)
        for alert, raised in head.alerts.items():
            self._raise(alert, raised.since_ns, raised.text, None, head)

    def see(self, moment: ReplayedEvent) -> None:
        before, recorded, after = moment.before, moment.recorded, moment.after
        wall_ns, ran = recorded.wall_ns, self._ledger.is_running
        self._ledger.see(before, recorded, after, moment.jumped)
        if ran and before.run != recorded.run:
            self._pause(self._last_ns)
            ran = False
        if not self._ledger.is_running:
            self._pause(wall_ns)
        else:
            self._turn(self._ledger.turned if ran else after.cameras, after, wall_ns, recorded.seq)
        see = None if of_a_stop(moment) else _SEEN.get(type(recorded.event))
        if see is not None:
            see(self, recorded.event, recorded, before, after)
        self._last_ns = wall_ns

    def found(self, until_ns: int, goes_on: bool = True) -> list[Trouble]:
        """The worst first: those that people met, then faults of banken, then those that took most time.

        `goes_on`: whether the daemon of the last event runs until `until_ns`, as far as it ran then.
        """
        if not goes_on:
            self._pause(self._last_ns)
        ran_ns = self._ledger.ran_until(until_ns)
        still = [attrs.evolve(begun, gone_ns=ran_ns - begun.ran_ns) for begun in self._open.values()]
        mine = (b for b in (*self._lost, *still, *self._loose.values()) if self._camera in (None, b.camera))
        lost = sorted((b for b in mine if b.gone_ns or b.losses or b.missed), key=lambda b: b.begin_ns)
        groups = self._groups()
        left = self._share_out(lost, groups)
        stuck = (group.trouble() for group in groups)
        troubles = [*(t for t in stuck if t.outages or self._camera is None), *_lost_troubles(left)]
        explained = self._patrols if any(outage.missed for t in troubles for outage in t.outages) else ()
        troubles += (t for place, t in enumerate(self._others) if place not in explained)
        return sorted(
            self._in_order(troubles),
            key=lambda t: (not t.viewers, t.kind != "fault", t.kind == "other", -t.gone_ns, t.begin_ns),
        )

    def _in_order(self, troubles: Iterable[Trouble]) -> Iterator[Trouble]:
        """The same, each with its outages in their order."""
        places = self._ledger.state.places()

        def rank(outage: Outage) -> tuple[int, int, str]:
            return -outage.viewers, places.get(outage.camera, len(places)), outage.camera

        for trouble in troubles:
            yield replace(trouble, outages=tuple(sorted(trouble.outages, key=rank)))

    # ── outages ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self, cameras: Iterable[CameraId], state: State, wall_ns: int, seq: int | None) -> None:
        """Begin and end outages of these cameras as the sum has it."""
        for camera in cameras:
            away = self._ledger.is_away(camera)
            if away and camera not in self._open:
                begun = self._loose.pop(camera, None)
                if begun is None:
                    begun, known = _Open(camera, wall_ns, 0, seq, before=seq is None), state.cameras.get(camera)
                    if known is not None and known.reason is not None and known.phase in LOST:
                        self._explain(begun, state, known.reason, seq)
                begun.begin_ns, begun.end_ns, begun.ran_ns = wall_ns, None, self._ledger.ran_ns
                begun.viewers |= self._watching(camera, state)
                self._open[camera] = begun
            elif not away and camera in self._open:
                self._end(camera, wall_ns)

    def _end(self, camera: CameraId, wall_ns: int, *, stopped: bool = False) -> None:
        begun = self._open.pop(camera)
        begun.end_ns, begun.gone_ns, begun.stopped = wall_ns, self._ledger.ran_ns - begun.ran_ns, stopped
        self._lost.append(begun)

    def _pause(self, wall_ns: int) -> None:
        """Nobody knows how it went on."""
        for camera in list(self._open):
            self._end(camera, wall_ns, stopped=True)

    def _forget(self, camera: CameraId) -> None:
        """A loss that made no outage is over."""
        begun = self._loose.pop(camera, None)
        if begun is not None:
            self._lost.append(begun)

    def _watching(self, camera: CameraId, state: State) -> set[LeaseId]:
        """Those who are without its picture now."""
        if self._ledger.is_missed(camera):
            return set()
        return {name for name, lease in state.leases.items() if lease.camera == camera and lease.client != OURS}

    def _explain(
        self,
        begun: _Open,
        state: State,
        reason: Reason,
        seq: int | None,
        device: DeviceId | None = None,
        lost: bool = True,
    ) -> None:
        there = {begun.camera} if device is None else {slot.camera for slot in state.slots_of(device, held=True)}
        keepers = (stuck.child for stuck in self._alive.values() if stuck.camera in there and stuck.blocks)
        begun.reason, begun.seq, begun.device = reason, seq, device
        begun.keepers, begun.is_lost = frozenset(keepers), lost and device is None

    # ── what is seen ────────────────────────────────────────────────────────────────────────────────────────────

    def _reason(self, event: Any, at: e.Recorded, before: State, after: State) -> None:
        """The first loss explains an outage; until it comes, the first stall or wait for a connection."""
        camera, lost = event.camera, not isinstance(event, e.CameraQueued | e.CameraStalled)
        begun = self._open.get(camera) or self._loose.get(camera)
        if begun is None:
            begun = self._loose[camera] = _Open(camera, at.wall_ns, self._ledger.ran_ns)
        if begun.reason is _OPENING or (lost and not begun.is_lost and not begun.keepers):
            self._explain(begun, after, event.reason, at.seq, getattr(event, "device", None), lost)
        begun.losses += lost
        begun.viewers |= self._watching(camera, after)
        if camera in self._loose:
            begun.end_ns = at.wall_ns

    def _live(self, event: e.CameraEvent, at: e.Recorded, before: State, after: State) -> None:
        self._forget(event.camera)

    def _rest(self, event: e.CameraIdle, at: e.Recorded, before: State, after: State) -> None:
        """A patrol comes again."""
        if before.cameras[event.camera].settings.mode is not Mode.PATROL:
            self._forget(event.camera)

    def _grant(self, event: e.LeaseGranted, at: e.Recorded, before: State, after: State) -> None:
        if event.camera in self._open and event.client != OURS and not self._ledger.is_missed(event.camera):
            self._open[event.camera].viewers.add(event.lease)

    def _refuse(self, event: e.LeaseRefused, at: e.Recorded, before: State, after: State) -> None:
        if event.camera in self._open:
            self._open[event.camera].refused += 1

    def _patrol(self, event: e.PatrolEnded, at: e.Recorded, before: State, after: State) -> None:
        """A camera that left the patrol in the middle of the cycle may be missed, and not away."""
        for camera in event.missed:
            begun = self._open.get(camera) or self._loose.get(camera)
            if begun is None:
                begun = _Open(camera, at.wall_ns, self._ledger.ran_ns, at.seq, end_ns=at.wall_ns)
                self._lost.append(begun)
            begun.missed += 1

    def _child(self, event: e.ChildEvent, at: e.Recorded, before: State, after: State) -> None:
        child = after.children.get(event.child)
        if child is not None:
            self._keep(after, child, at.wall_ns, at)

    def _keep(self, state: State, child: Child, begin_ns: int, at: e.Recorded | None) -> None:
        camera = state.cameras.get(child.camera)
        text = (
            describe(at.event)[1]
            if at
            else f"child {child.child} of {owner_of_child(child.camera, child.purpose)} was {child.phase.value}"
        )
        stray, seq = child.purpose == ORPHAN, at.seq if at else None
        device = camera.settings.device if camera else None
        self._alive[child.child] = self._stuck[child.child] = _Stuck(
            child.child,
            child.camera,
            device,
            begin_ns,
            seq,
            text,
            stray,
            child.purpose,
            child.purpose not in TRANSCODERS,
        )

    def _child_end(self, event: e.ChildEvent, at: e.Recorded, before: State, after: State) -> None:
        stuck = self._alive.pop(event.child, None)
        if stuck is not None:
            stuck.end_ns = at.wall_ns

    def _cut_off(self, event: e.RunAbandoned, at: e.Recorded, before: State, after: State) -> None:
        text = "the daemon was cut off: a crash, a kill or a power cut"
        self._others.append(Trouble("down", self._last_ns, at.wall_ns, text, at.seq))

    def _alert(self, event: e.AlertRaised, at: e.Recorded, before: State, after: State) -> None:
        self._raise(event.alert, at.wall_ns, event.text, at.seq, after)

    def _raise(self, alert: str, begin_ns: int, text: str, seq: int | None, state: State) -> None:
        is_of_patrol, owner = alert.startswith(patrol_alert("")), alert.partition("/")[2]
        if self._camera is not None:
            child, mine = state.children.get(ChildId(owner)), state.cameras.get(self._camera)
            camera = child.camera if child is not None else CameraId(owner)
            if is_of_patrol and (mine is None or (mine.settings.mode, mine.settings.group) != (Mode.PATROL, owner)):
                return
            if not is_of_patrol and camera != self._camera and camera in state.cameras:
                return
        self._alerts[alert] = len(self._others)
        if is_of_patrol:
            self._patrols.add(len(self._others))
        self._others.append(Trouble("other", begin_ns, None, text, seq))

    def _alert_end(self, event: e.AlertCleared, at: e.Recorded, before: State, after: State) -> None:
        place = self._alerts.pop(event.alert, None)
        if place is not None:
            raised = self._others[place]
            self._others[place] = Trouble("other", raised.begin_ns, at.wall_ns, raised.text, raised.cause)

    def _fault(self, event: e.Event, at: e.Recorded, before: State, after: State) -> None:
        self._others.append(Trouble("fault", at.wall_ns, at.wall_ns, describe(event)[1], at.seq))

    # ── what belongs together ───────────────────────────────────────────────────────────────────────────────────

    def _groups(self) -> list["_Group"]:
        """The stuck processes of one device, or of one camera without, at overlapping times."""
        groups: list[_Group] = []
        for stuck in sorted(self._stuck.values(), key=lambda stuck: (stuck.place, stuck.begin_ns)):
            if not (groups and groups[-1].takes(stuck)):
                groups.append(_Group())
            groups[-1].add(stuck)
        return groups

    def _share_out(self, lost: Iterable[_Open], groups: Iterable["_Group"]) -> list[_Open]:
        """Give each group the outages that it caused; the others are returned. `lost` is in order of its begins."""
        of_child = {stuck.child: group for group in groups for stuck in group.stuck}
        of_camera: dict[CameraId, list[_Stuck]] = {}
        for stuck in sorted(self._stuck.values(), key=lambda stuck: -stuck.begin_ns):
            if stuck.blocks:
                of_camera.setdefault(stuck.camera, []).append(stuck)
        left: list[_Open] = []
        for begun in lost:
            own = of_camera.get(begun.camera, [])
            while own and own[-1].end_ns is not None and own[-1].end_ns < begun.begin_ns:
                own.pop()
            cause = own[-1].child if own and begun.device is None and own[-1].causes(begun) else None
            cause = cause or min(begun.keepers, default=None)
            (left if cause is None else of_child[cause].outages).append(begun)
        return left


@attrs.define
class _Group:
    """Stuck processes that make one trouble, with the outages that they caused."""

    stuck: list[_Stuck] = attrs.field(factory=list)
    outages: list[_Open] = attrs.field(factory=list)

    reach_ns: int | None = 0
    """When the last of them ended."""

    def takes(self, stuck: _Stuck) -> bool:
        return self.stuck[0].place == stuck.place and (self.reach_ns is None or stuck.begin_ns <= self.reach_ns)

    def add(self, stuck: _Stuck) -> None:
        self.reach_ns = _last((self.reach_ns, stuck.end_ns))
        self.stuck.append(stuck)

    def trouble(self) -> Trouble:
        """It is over when the cameras are back, also while a process is still there."""
        first, outages = self.stuck[0], _joined(self.outages)
        queued = sorted((begun for begun in self.outages if begun.device is not None), key=lambda b: not b.viewers)
        return Trouble(
            "stuck", first.begin_ns, _last(outage.end_ns for outage in outages) if outages else self.reach_ns,
            first.text, first.seq, outages,
            tuple(Stuck(each.camera, each.begin_ns, each.end_ns, each.stray, each.purpose) for each in self.stuck),
            queued[0].device if queued else None, queued[0].seq if queued else None,
        )  # fmt: skip


def _lost_troubles(lost: Iterable[_Open]) -> Iterable[Trouble]:
    """Of the others, in order: those that began near each other for one reason are one trouble."""
    groups: list[list[_Open]] = []
    newest: dict[tuple[str, str | None], list[_Open]] = {}
    chains: dict[tuple[CameraId, str, str | None], tuple[int, list[_Open]]] = {}
    for begun in lost:
        if begun.is_ordinary:
            continue
        words = _NUMBERS.sub("", begun.reason.text) if begun.device is None else None
        alike = (begun.reason.code, begun.device or words)
        own = (begun.camera, *alike)
        end_ns, group = chains.get(own, (0, None))
        if group is None or begun.begin_ns - end_ns > TOGETHER_NS:
            group = newest.get(alike)
            if group is None or begun.begin_ns - group[0].begin_ns > TOGETHER_NS:
                group = newest[alike] = []
                groups.append(group)
        group.append(begun)
        chains[own] = (begun.begin_ns if begun.end_ns is None else begun.end_ns, group)
    for group in groups:
        outages = _joined(group)
        first = group[0]
        text = first.reason.text if first.device is None else f"{first.camera} {first.reason.text}"
        text = "" if first.reason is _OPENING else text
        yield Trouble(
            "lost", first.begin_ns, _last(outage.end_ns for outage in outages), text, first.seq, outages,
            device=first.device, witness=next((begun.seq for begun in group if begun.viewers), None),
        )  # fmt: skip


def _last(ends: Iterable[int | None]) -> int | None:
    """None where one of them is not over."""
    known = list(ends)
    return None if None in known else max(end for end in known if end is not None)


def _joined(lost: Sequence[_Open]) -> tuple[Outage, ...]:
    """One for each camera."""
    outages: dict[CameraId, Outage] = {}
    for begun in lost:
        outages[begun.camera] = _added(outages.get(begun.camera), begun.outage)
    return tuple(outages.values())


def _added(one: Outage | None, later: Outage) -> Outage:
    """Both as one, with the widest of their times."""
    if one is None:
        return later
    return Outage(
        one.camera, one.begin_ns, _last((one.end_ns, later.end_ns)), one.viewers + later.viewers,
        one.refused + later.refused, one.missed + later.missed, one.before, one.times + later.times,
        one.gone_ns + later.gone_ns, later.stopped, one.losses + later.losses,
    )  # fmt: skip


_SEEN: dict[type[e.Event], Callable[[Troubles, Any, e.Recorded, State, State], None]] = {
    e.CameraWaiting: Troubles._reason,
    e.CameraFailed: Troubles._reason,
    e.CameraCrashed: Troubles._reason,
    e.CameraQuarantined: Troubles._reason,
    e.CameraStalled: Troubles._reason,
    e.CameraQueued: Troubles._reason,
    e.CameraLive: Troubles._live,
    e.CameraRemoved: Troubles._live,
    e.CameraIdle: Troubles._rest,
    e.LeaseGranted: Troubles._grant,
    e.LeaseRefused: Troubles._refuse,
    e.PatrolEnded: Troubles._patrol,
    e.ChildUnkillable: Troubles._child,
    e.ChildFound: Troubles._child,
    e.ChildEnded: Troubles._child_end,
    e.ChildAbandoned: Troubles._child_end,
    e.RunAbandoned: Troubles._cut_off,
    e.AlertRaised: Troubles._alert,
    e.AlertCleared: Troubles._alert_end,
    e.EventsLost: Troubles._fault,
    e.ChainBegan: Troubles._fault,
    e.JournalFileSetAside: Troubles._fault,
    e.JournalFailed: Troubles._fault,
}
