"""The availability of cameras: one calculation for `banken stats`, the report, the API and `/metrics`.

Rules of this file:
- Time counts while a daemon runs, until it is asked to stop. Time that nobody saw counts for nobody.
- Time between events of a run is the monotonic clock's: the wall clock may be set. Only the ends of a stretch, which
  are times of day, are measured by the wall clock.
- A camera that is always open, that somebody holds a lease on, or whose recording is requested, is judged by time: live
  of wanted. While it is private, nobody wants it.
- A visit of a patrol, and a snapshot, are over when the picture is there: they are judged by number, served of asked.
  A visit is served when its use ends with a picture, and missed when the end of its cycle names the camera.
- Every loss counts, whether the camera was live before or the attempt to open it failed.
- The share of an event follows from it and from the state before it: the parts of a stretch add up to the whole.
- An event costs the same, however many cameras there are, but for a gap and cycles that were skipped.
"""

from collections import Counter
from collections.abc import Collection, Iterator

from msgspec import Struct

from . import events as e
from .ids import CameraId, LeaseId
from .lifecycle import LOST, CameraPhase
from .privacy import PRIVACY
from .state import State
from .values import Mode, UseKind

CODES = 32
"""Codes of reasons that are counted by name; further ones are counted as `other`."""
GONE = 1000
"""Cameras that were removed and whose figures are kept; the oldest are forgotten."""
# Built once: a union costs a microsecond for each event.
_DEMAND = (e.LeaseEvent, e.PeerOpened, e.PeerClosed)
_OF_ONE = (e.CameraEvent, e.RecordingRequestEvent)
_LOST = (e.CameraWaiting, e.CameraFailed, e.CameraCrashed, e.CameraQuarantined)
_SHOWN = (CameraPhase.LIVE, CameraPhase.STALLED)


class CameraAvailability(Struct, frozen=True):
    camera: CameraId
    wanted_s: float
    """For how long a daemon ran and the camera was to be open: always, or while somebody held a lease on it."""
    live_s: float
    """How much of that it was live."""
    availability: float | None
    """Live of wanted, from 0 to 1; none if nobody wanted it."""
    cycles: int
    """Patrol cycles that asked for its picture, and got it or missed it."""
    cycles_served: int
    cycles_skipped: int
    """Cycles that were due and did not begin, because the one before took too long."""
    snapshots: int
    """Pictures for which it was to be opened."""
    snapshots_served: int
    losses: int
    """How often it was lost, failed attempts included."""
    failed_attempts: int
    """Losses of an attempt to open it, before a frame came."""
    queued: int
    """How often it had to wait for a connection of its device."""
    restarts: int
    """Attempts to open it again after it was lost; one that waits for a slot counts when the camera is queued."""
    restarts_per_hour: float | None
    """In the time in which a daemon ran; none if none did."""
    recoveries: int
    """Losses after which it was live again, without resting in between unless it is on patrol."""
    recover_mean_s: float | None
    recover_max_s: float | None
    away_max_s: float
    """The longest time without a frame while it was wanted, or in which every patrol cycle missed it; as one, where the
    one goes over into the other.
    """
    errors: dict[str, int]
    """Losses by the code of their reason; the most frequent first."""


class Availability(Struct, frozen=True):
    since_ns: int
    until_ns: int
    ran_s: float
    """For how long a daemon ran, and was not asked to stop."""
    cameras: tuple[CameraAvailability, ...]
    """In the order of the configuration's file; those that are gone by then follow, by name."""


class _Tally:
    """Of one camera. Times are nanoseconds of `Ledger.ran_ns`."""

    def __init__(self) -> None:
        self.wanted = self.live = self.patrolled = False
        self.turned_ns = self.wanted_ns = self.live_ns = 0
        self.cycles = self.cycles_served = self.cycles_skipped = self.snapshots = self.snapshots_served = 0
        self.failed_attempts = self.queued = self.restarts = 0
        self.lost_ns: int | None = None
        self.is_missed = False
        """Whether it is on patrol, and was missed or came without a picture, and has had none since."""
        self.away_ns: int | None = None
        """Since when it is wanted and not live, or missed."""
        self.away_max_ns = 0
        self.recoveries = self.recovered_ns = self.recover_max_ns = 0
        self.errors: Counter[str] = Counter()

    def turn(self, now_ns: int, *, wanted: bool, live: bool, patrolled: bool) -> None:
        self.wanted_ns, self.live_ns = self._times(now_ns)
        if patrolled is not self.patrolled:
            self.is_missed = patrolled and self.away_ns is not None
        self.turned_ns, self.wanted, self.live, self.patrolled = now_ns, wanted, live, patrolled
        self._weigh(now_ns)

    @property
    def is_dark(self) -> bool:
        return self.wanted and not self.live

    def _weigh(self, now_ns: int) -> None:
        if self.is_missed or (self.wanted and not self.live):
            if self.away_ns is None:
                self.away_ns = now_ns
        elif self.away_ns is not None:
            self.away_max_ns, self.away_ns = max(self.away_max_ns, now_ns - self.away_ns), None

    def _times(self, now_ns: int) -> tuple[int, int]:
        passed = now_ns - self.turned_ns if self.wanted else 0
        return self.wanted_ns + passed, self.live_ns + (passed if self.live else 0)

    def lose(self, now_ns: int, code: str, shown: bool) -> None:
        self.errors[code if code in self.errors or len(self.errors) < CODES else "other"] += 1
        self.failed_attempts += not shown
        self.lost_ns = now_ns if self.lost_ns is None else self.lost_ns

    def recover(self, now_ns: int) -> None:
        self.is_missed = False
        if self.lost_ns is not None:
            took_ns, self.lost_ns = now_ns - self.lost_ns, None
            self.recoveries += 1
            self.recovered_ns += took_ns
            self.recover_max_ns = max(self.recover_max_ns, took_ns)

    def visit(self, now_ns: int, served: bool) -> None:
        self.cycles += 1
        self.cycles_served += served
        self.is_missed = self.patrolled and not served
        self._weigh(now_ns)

    def result(self, camera: CameraId, now_ns: int) -> CameraAvailability:
        wanted_ns, live_ns = self._times(max(now_ns, self.turned_ns))
        open_ns = 0 if self.away_ns is None else now_ns - self.away_ns
        return CameraAvailability(
            camera=camera,
            wanted_s=wanted_ns / 1e9,
            live_s=live_ns / 1e9,
            availability=live_ns / wanted_ns if wanted_ns else None,
            cycles=self.cycles,
            cycles_served=self.cycles_served,
            cycles_skipped=self.cycles_skipped,
            snapshots=self.snapshots,
            snapshots_served=self.snapshots_served,
            losses=self.errors.total(),
            failed_attempts=self.failed_attempts,
            queued=self.queued,
            restarts=self.restarts,
            restarts_per_hour=self.restarts / now_ns * 3600e9 if now_ns else None,
            recoveries=self.recoveries,
            recover_mean_s=self.recovered_ns / self.recoveries / 1e9 if self.recoveries else None,
            recover_max_s=self.recover_max_ns / 1e9 if self.recoveries else None,
            away_max_s=max(self.away_max_ns, open_ns) / 1e9,
            errors=dict(self.errors.most_common()),
        )


class _Demand:
    """On which cameras there are leases: those of `State.lease_counts`, kept with the events."""

    def __init__(self, state: State) -> None:
        self._shown: dict[LeaseId, Counter[CameraId]] = {}
        """How many peers of each lease show each camera."""
        for peer in state.peers.values():
            self._shown.setdefault(peer.lease, Counter())[peer.camera] += 1
        self.held = state.lease_counts()

    def turn(self, before: State, event: e.LeaseEvent | e.PeerOpened | e.PeerClosed, after: State) -> set[CameraId]:
        """Take in an event; returns the cameras of which it may have changed something."""
        lease = before.peers[event.peer].lease if isinstance(event, e.PeerClosed) else event.lease
        old = self._cameras(lease, before)
        if isinstance(event, e.PeerOpened):
            self._shown.setdefault(lease, Counter())[event.camera] += 1
        elif isinstance(event, e.PeerClosed):
            shown = self._shown[lease]
            shown[event.camera] -= 1
            if not shown[event.camera]:
                del shown[event.camera]
            if not shown:
                del self._shown[lease]
        new = self._cameras(lease, after)
        self.held.subtract(old)
        self.held.update(new)
        for camera in old:
            if not self.held[camera]:
                del self.held[camera]
        return old | new

    def _cameras(self, lease: LeaseId, state: State) -> set[CameraId]:
        known = state.leases.get(lease)
        if lease and known is None:
            return set()
        return set(self._shown.get(lease, ())) or ({known.camera} if known is not None else set())


class Ledger:
    """Folds events one by one, from a state on. It grows with the cameras, the leases and the peers that there are.

    `since_ns`: when the stretch begins; without it, with its first event.
    """

    def __init__(self, state: State, since_ns: int | None = None) -> None:
        self.since_ns, self.seen_ns = since_ns, since_ns
        """`seen_ns`: the wall time of the last event."""
        self._seen_mono_ns: int | None = None
        self.ran_ns = 0
        self._tallies: dict[CameraId, _Tally] = {}
        self._gone: dict[CameraId, None] = {}
        self.turned: set[CameraId] = set()
        """The cameras whose figures the last event may have turned from one kind of time to another."""
        self._demand, self._is_running = _Demand(state), _is_running(state)
        self.state = state
        """After the last event."""
        self._look_at_all(state)

    def see(self, before: State, recorded: e.Recorded, after: State, jumped: bool = False) -> None:
        """An event and what it changed; `jumped`: events before it are not known."""
        self.turned.clear()
        event, now_ns = recorded.event, recorded.wall_ns
        ran = self._is_running and before.run == recorded.run and not jumped
        if self.since_ns is None or self.seen_ns is None:
            self.since_ns = now_ns
        elif ran:
            self.ran_ns += self._passed_ns(now_ns, recorded.mono_ns)
        self.seen_ns, self._seen_mono_ns = now_ns, recorded.mono_ns
        self._is_running, self.state = _is_running(after), after
        if isinstance(event, e.CameraEvent) and event.camera in before.cameras:
            self._count(before.cameras[event.camera].phase, event, before)
        elif isinstance(event, e.UseEnded) and event.use in before.uses:
            self._count_use(event, before, ran)
        elif isinstance(event, e.PatrolEnded) and ran:
            self._count_cycle(event)
        if jumped:
            self._demand = _Demand(after)
            self._look_at_all(after)
        elif isinstance(event, _DEMAND):
            for camera in self._demand.turn(before, event, after):
                self._turn(camera, after)
        elif isinstance(event, _OF_ONE):
            self._turn(event.camera, after)
        elif isinstance(event, e.PrivacyEvent):
            for camera in before.private_cameras().keys() | after.private_cameras().keys():
                self._turn(camera, after)

    @property
    def is_running(self) -> bool:
        """Whether time counts from the last event on."""
        return self._is_running

    def is_away(self, camera: CameraId) -> bool:
        """Whether the time that passes counts as away."""
        tally = self._tallies.get(camera)
        return tally is not None and tally.away_ns is not None

    def is_missed(self, camera: CameraId) -> bool:
        """Whether it counts so for the patrol alone."""
        tally = self._tallies.get(camera)
        return tally is not None and tally.is_missed and not tally.is_dark

    def found(
        self, until_ns: int | None = None, cameras: Collection[CameraId] | None = None, mono_ns: int | None = None
    ) -> Availability:
        """The sum at `until_ns`, or at the last event; of these cameras, or of all.

        `mono_ns`: the same instant by the monotonic clock of the run, where it is known.
        """
        seen_ns = self.seen_ns or 0
        until_ns = max(seen_ns, until_ns or 0)
        since_ns = seen_ns if self.since_ns is None else self.since_ns
        ran_s = self.ran_until(until_ns, mono_ns) / 1e9
        return Availability(since_ns, until_ns, ran_s, tuple(self.each(until_ns, cameras, mono_ns)))

    def each(
        self, until_ns: int, cameras: Collection[CameraId] | None = None, mono_ns: int | None = None
    ) -> Iterator[CameraAvailability]:
        """As `found` has them; each is made when it is taken, in up to 10 µs, also after later events."""
        now_ns, places = self.ran_until(until_ns, mono_ns), self.state.places()
        names = self._tallies if cameras is None else self._tallies.keys() & set(cameras)
        for name in sorted(names, key=lambda name: (places.get(name, len(places)), name)):
            if name in self._tallies:
                yield self._tallies[name].result(name, now_ns)

    def ran_until(self, until_ns: int, mono_ns: int | None = None) -> int:
        """For how many nanoseconds a daemon has run at `until_ns`, if nothing happens until then."""
        return self.ran_ns + (self._passed_ns(until_ns, mono_ns) if self._is_running else 0)

    def _passed_ns(self, wall_ns: int, mono_ns: int | None) -> int:
        """Since the last event, which is of the same run, or since the stretch began."""
        if mono_ns is None or self._seen_mono_ns is None:
            return max(0, wall_ns - (self.seen_ns or 0))
        return max(0, mono_ns - self._seen_mono_ns)

    def _count(self, phase: CameraPhase, event: e.CameraEvent, before: State) -> None:
        tally = self._tally(event.camera)
        if isinstance(event, _LOST):
            tally.lose(self.ran_ns, event.reason.code, phase in _SHOWN)
        elif isinstance(event, e.CameraConnecting):
            tally.restarts += phase is not CameraPhase.QUEUED and (event.attempt > 1 or phase in LOST)
        elif isinstance(event, e.CameraLive):
            tally.recover(self.ran_ns)
        elif isinstance(event, e.CameraQueued):
            tally.queued += phase is not CameraPhase.QUEUED
            # Counted here and not when it connects: by then, the state does not show that it was lost.
            tally.restarts += phase in LOST or (phase is CameraPhase.IDLE and before.cameras[event.camera].attempts > 0)
        elif isinstance(event, e.CameraRemoved) or (
            isinstance(event, e.CameraIdle) and before.cameras[event.camera].settings.mode is not Mode.PATROL
        ):
            tally.lost_ns = None

    def _count_use(self, event: e.UseEnded, before: State, ran: bool) -> None:
        """A use that ends with the daemon, or because the camera is private, is not held against the camera."""
        served, kind = event.reason.code == "done", before.uses[event.use].kind
        ran = ran and event.reason.code != PRIVACY
        if kind is UseKind.PATROL and served:
            self._visit(event.camera, served=True)
        elif kind is UseKind.SNAPSHOT and (served or ran):
            tally = self._tally(event.camera)
            tally.snapshots += 1
            tally.snapshots_served += served

    def _count_cycle(self, event: e.PatrolEnded) -> None:
        """The event names those that it missed, whatever became of them since; the others have been counted."""
        for name in event.missed:
            self._visit(name, served=False)
        if event.skipped:
            for name, known in self.state.cameras.items():
                if known.settings.mode is Mode.PATROL and known.settings.group == event.group:
                    self._tally(name).cycles_skipped += event.skipped

    def _visit(self, camera: CameraId, *, served: bool) -> None:
        self._tally(camera).visit(self.ran_ns, served)
        self.turned.add(camera)

    def _look_at_all(self, state: State) -> None:
        for name in (*state.cameras, *self._tallies):
            self._turn(name, state)

    def _tally(self, camera: CameraId) -> _Tally:
        tally = self._tallies.get(camera)
        if tally is None:
            tally = self._tallies[camera] = _Tally()
            if camera not in self.state.cameras:
                self._outlive(camera)
        return tally

    def _outlive(self, camera: CameraId) -> None:
        """It is not configured, and has figures."""
        self._gone.setdefault(camera)
        if len(self._gone) > GONE:
            oldest = next(iter(self._gone))
            del self._gone[oldest], self._tallies[oldest]

    def _turn(self, camera: CameraId, state: State) -> None:
        self.turned.add(camera)
        known = state.cameras.get(camera)
        if known is not None:
            mode, private = known.settings.mode, state.private(camera) is not None
            is_open = known.settings.is_always_open or camera in state.recording_requests
            self._tally(camera).turn(
                self.ran_ns,
                wanted=(is_open or camera in self._demand.held) and not private,
                live=known.phase is CameraPhase.LIVE,
                patrolled=mode is Mode.PATROL and not private,
            )
            self._gone.pop(camera, None)
        elif camera in self._tallies:
            self._tally(camera).turn(self.ran_ns, wanted=False, live=False, patrolled=False)
            self._outlive(camera)


def _is_running(state: State) -> bool:
    return state.run is not None and not state.stopping
