"""What a stretch of a journal adds up to, beside its events: configuration, health, last words of children, figures."""

from collections.abc import Iterable
from typing import Any

import attrs

from ..analysis.replay import Moment
from ..analysis.timeline import Timeline
from ..domain.describe import Severity, describe
from ..domain.events import CameraEvent, ChildEnded, Recorded
from ..domain.health import Health, PartHealth, Verdict, health
from ..domain.ids import CameraId
from ..domain.lifecycle import CameraPhase
from ..domain.state import State
from ..domain.values import plain

MAX_ROWS = 5000
"""Events that the report lists."""
MAX_NOTABLE = 300
"""Warnings and errors that the report lists."""
MAX_TAILS = 2000
"""Children whose last words are told."""
_MATTERS = (Severity.WARNING, Severity.ERROR)
_RUNS = ("RunStarted", "RunAbandoned", "RunStopping", "RunEnded")


@attrs.frozen
class Verdicts:
    """The health after one event."""

    seq: int
    wall_ns: int
    health: Health


@attrs.define
class Uptime:
    """How a camera fared, from `begin_ns` on."""

    camera: CameraId
    known_ns: int = 0
    live_ns: int = 0
    wanted_ns: int = 0
    """Time in which it was open, or should have been."""
    losses: int = 0
    longest_ns: int = 0
    """Longest time wanted and not live, at one go."""

    @property
    def availability(self) -> float | None:
        """Share of the wanted time in which it was live."""
        return self.live_ns / self.wanted_ns if self.wanted_ns else None


@attrs.define
class Facts:
    head: State
    begin: Verdicts
    worst: Verdicts
    end: Verdicts
    counts: dict[Severity, int]
    shown: list[Recorded]
    """The first of the events that concern the camera in question, or all."""
    shown_of: int
    notable: list[Recorded]
    """The first warnings, errors, and beginnings and ends of runs."""
    notable_of: int
    gravest: list[Recorded]
    """The first of each stream and type: errors, then warnings."""
    tails: list[Recorded]
    uptimes: list[Uptime]
    last: State


def gather(head: State, moments: Iterable[Moment], drawn: Timeline, camera: CameraId | None) -> Facts:
    """Look at each event after `head`, and at the state it led to. With `camera`, only at what concerns it."""
    return _Gathering(head, drawn, camera).run(moments)


def concerns(recorded: Recorded, camera: CameraId | None) -> bool:
    """Whether an event is of the camera in question, or of the whole."""
    return camera is None or getattr(recorded.event, "camera", camera) == camera


class _Gathering:
    def __init__(self, head: State, drawn: Timeline, camera: CameraId | None) -> None:
        self._camera, self._since_ns, self._until_ns, self._gaps = camera, drawn.since_ns, drawn.until_ns, drawn.gaps
        self._verdicts = begin = Verdicts(head.seq, drawn.since_ns, _focus(health(head, None), head, camera))
        counts = dict.fromkeys(Severity, 0)
        self._facts = Facts(head, begin, begin, begin, counts, [], 0, [], 0, [], [], [], head)
        self._uptimes: dict[CameraId, Uptime] = {}
        self._dark: dict[CameraId, int] = {}
        self._seen: set[tuple[str, str]] = set()
        self._warnings: list[Recorded] = []

    def run(self, moments: Iterable[Moment]) -> Facts:
        state, now_ns = self._facts.head, self._since_ns
        for _, recorded, after, _ in moments:
            then_ns = min(max(now_ns, recorded.wall_ns), self._until_ns)
            self._pass(state, now_ns, then_ns)
            before, state, now_ns = state, after, then_ns
            self._judge(before, state, recorded)
            if concerns(recorded, self._camera):
                self._note(recorded)
        self._pass(state, now_ns, self._until_ns)
        facts = self._facts
        facts.last = state
        facts.end = attrs.evolve(self._verdicts, seq=state.seq, wall_ns=self._until_ns)
        facts.gravest = [*facts.gravest, *self._warnings]
        facts.uptimes = sorted(self._uptimes.values(), key=lambda known: known.camera)
        return facts

    def _pass(self, state: State, now_ns: int, then_ns: int) -> None:
        """Time goes by in this state. While nothing runs, or nobody knows, nothing is wanted."""
        if then_ns <= now_ns:
            return
        if any(gap.begin_ns <= now_ns and then_ns <= gap.end_ns for gap in self._gaps):
            self._dark.clear()
            return
        wanted = state.uses_of_cameras() if state.run else {}
        for name, camera in state.cameras.items():
            if self._camera not in (None, name):
                continue
            known = self._uptimes.setdefault(name, Uptime(name))
            known.known_ns += then_ns - now_ns
            live = camera.phase is CameraPhase.LIVE and state.run is not None
            if live or name in wanted:
                known.wanted_ns += then_ns - now_ns
            if live:
                known.live_ns += then_ns - now_ns
            if live or name not in wanted:
                self._dark.pop(name, None)
            else:
                begin_ns = self._dark.setdefault(name, now_ns)
                known.longest_ns = max(known.longest_ns, then_ns - begin_ns)

    def _judge(self, before: State, state: State, recorded: Recorded) -> None:
        if isinstance(recorded.event, CameraEvent):
            was, now = before.cameras.get(recorded.event.camera), state.cameras.get(recorded.event.camera)
            if (
                was
                and now
                and was.phase in _SHOWN
                and now.phase in _LOST
                and self._camera in (None, now.settings.camera)
            ):
                self._uptimes.setdefault(now.settings.camera, Uptime(now.settings.camera)).losses += 1
        if before.cameras is state.cameras and before.children is state.children and before.alerts is state.alerts:
            return
        found = _focus(health(state, None), state, self._camera)
        self._verdicts = Verdicts(state.seq, recorded.wall_ns, found)
        if _badness(found) > _badness(self._facts.worst.health):
            self._facts.worst = self._verdicts

    def _note(self, recorded: Recorded) -> None:
        facts = self._facts
        severity = describe(recorded.event)[0]
        facts.counts[severity] += 1
        facts.shown_of += 1
        if len(facts.shown) < MAX_ROWS:
            facts.shown.append(recorded)
        if severity in _MATTERS or recorded.type in _RUNS:
            facts.notable_of += 1
            if len(facts.notable) < MAX_NOTABLE:
                facts.notable.append(recorded)
        kind = (recorded.stream, recorded.type)
        if severity in _MATTERS and kind not in self._seen:
            self._seen.add(kind)
            (facts.gravest if severity is Severity.ERROR else self._warnings).append(recorded)
        if isinstance(recorded.event, ChildEnded) and len(facts.tails) < MAX_TAILS:
            facts.tails.append(recorded)


_SHOWN = (CameraPhase.LIVE, CameraPhase.STALLED)
_LOST = (CameraPhase.WAITING, CameraPhase.FAILED, CameraPhase.QUARANTINED)


def _badness(found: Health) -> tuple[int, int]:
    order = list(Verdict)
    return order.index(found.verdict), sum(part.verdict is not Verdict.OK for part in found.parts)


def _focus(found: Health, state: State, camera: CameraId | None) -> Health:
    """Without the journal, whose faults stand in no journal; and of one camera alone, if it is in question."""
    children = {child.child for child in state.children.values() if child.camera == camera}
    mine = {f"camera/{camera}", *(f"child/{child}" for child in children)}
    mine |= {f"alert/{alert}" for alert in state.alerts if alert.partition("/")[2] in {camera, *children}}
    parts = tuple(p for p in found.parts if p.part != "journal" and (camera is None or p.part in mine))
    return Health(max((part.verdict for part in parts), key=list(Verdict).index, default=Verdict.OK), parts)


def configuration(facts: Facts) -> Any:
    """The configuration before the first event and after the last one, as the journal remembers it: without secrets."""
    return {"begin": _configuration(facts.head), "end": _configuration(facts.last)}


def _configuration(state: State) -> Any:
    return {
        "origin": state.origin,
        "limits": plain(state.limits),
        "patrol": plain(state.patrol),
        "devices": [plain(device) for _, device in sorted(state.devices.items())],
        "cameras": [plain(camera.settings) for _, camera in sorted(state.cameras.items())],
    }


def verdicts(facts: Facts) -> Any:
    """Health at the begin, at the worst moment and at the end."""
    return {name: _verdicts(getattr(facts, name)) for name in ("begin", "worst", "end")}


def _verdicts(at: Verdicts) -> Any:
    def part(known: PartHealth) -> Any:
        return {"part": known.part, "verdict": known.verdict, "reason": known.reason}

    return {
        "seq": at.seq,
        "wall_ns": at.wall_ns,
        "verdict": at.health.verdict,
        "parts": list(map(part, at.health.parts)),
    }
