"""The summary of a stretch of a journal, beside its events: configuration, health, last output of children, figures."""

from collections.abc import Iterable
from typing import Any

import attrs

from ...base.times import iso
from ...domain.core import Severity
from ...domain.describe import describe
from ...domain.events import ChildEnded, Recorded
from ...domain.health import Health, PartHealth, Verdict, health
from ...domain.ids import CameraId, patrol_alert
from ...domain.state import State
from ...domain.values import plain
from ..replay import ReplayedEvent, of_a_stop

MAX_ROWS = 5000
"""Events that the report lists."""
MAX_NOTABLE = 300
"""Warnings and errors that the report lists."""
MAX_TAILS = 2000
"""The number of children whose last output are kept."""
_MATTERS = (Severity.WARNING, Severity.ERROR)
_RUNS = ("RunStarted", "RunAbandoned", "RunStopping", "RunEnded")


@attrs.frozen
class Verdicts:
    """The health after one event."""

    seq: int
    wall_ns: int
    health: Health


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
    last: State


def gather(
    head: State, moments: Iterable[ReplayedEvent], since_ns: int, until_ns: int, camera: CameraId | None
) -> Facts:
    """Look at each event after `head`, and at the state it led to. With `camera`, only at what concerns it."""
    return _Gathering(head, since_ns, until_ns, camera).run(moments)


def concerns(recorded: Recorded, camera: CameraId | None) -> bool:
    """Whether an event is of the camera in question, or of the whole."""
    return camera is None or getattr(recorded.event, "camera", camera) == camera


class _Gathering:
    def __init__(self, head: State, since_ns: int, until_ns: int, camera: CameraId | None) -> None:
        self._camera, self._until_ns = camera, until_ns
        self._verdicts = begin = Verdicts(head.seq, since_ns, _focus(health(head, None), head, camera))
        counts = dict.fromkeys(Severity, 0)
        self._facts = Facts(head, begin, begin, begin, counts, [], 0, [], 0, [], [], head)
        self._seen: set[tuple[str, str]] = set()
        self._warnings: list[Recorded] = []

    def run(self, moments: Iterable[ReplayedEvent]) -> Facts:
        state = self._facts.head
        for each in moments:
            before, state, recorded = state, each.after, each.recorded
            if of_a_stop(each):
                continue
            self._judge(before, state, recorded)
            if concerns(recorded, self._camera):
                self._note(recorded)
        facts = self._facts
        facts.last = state
        facts.end = attrs.evolve(self._verdicts, seq=state.seq, wall_ns=self._until_ns)
        facts.gravest = [*facts.gravest, *self._warnings]
        return facts

    def _judge(self, before: State, state: State, recorded: Recorded) -> None:
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


def _badness(found: Health) -> tuple[int, int]:
    order = list(Verdict)
    return order.index(found.verdict), sum(part.verdict is not Verdict.OK for part in found.parts)


def _focus(found: Health, state: State, camera: CameraId | None) -> Health:
    """Without the journal, whose faults stand in no journal; and of one camera alone, if it is in question."""
    children = {child.child for child in state.children.values() if child.camera == camera}
    mine = {f"camera/{camera}", *(f"child/{child}" for child in children)}
    mine |= {f"alert/{alert}" for alert in state.alerts if alert.partition("/")[2] in {camera, *children}}
    parts = tuple(p for p in found.parts if p.part != "journal" and (camera is None or p.part in mine))
    if state.stopping:  # older versions raised it for a round that the stop itself cut short
        parts = tuple(part for part in parts if not part.part.startswith(f"alert/{patrol_alert('')}"))
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
        "cameras": [plain(camera.settings) for camera in state.in_order()],
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
        "time": iso(at.wall_ns),
        "verdict": at.health.verdict,
        "parts": list(map(part, at.health.parts)),
    }
