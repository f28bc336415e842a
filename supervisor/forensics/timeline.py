"""The timeline: phases of cameras, children and viewers side by side, notable events, and times without a daemon.

One pass over the events; what is kept in memory are the spans and the marks.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any, Literal

from ..domain import events as e
from ..domain.catalogue import CAMERA, CHILD, EVENTS, PEER
from ..domain.describe import describe
from ..domain.ids import CameraId, camera_stream, child_stream, peer_stream
from ..domain.state import State
from ..domain.words import seconds
from ..journal.reader import Reader
from ..ports.past import Kind, Lane, Mark, Span, Timeline, UnknownStretch
from ..ports.questions import NEVER, Query
from .causes import exactly
from .chart import gravity
from .replay import ReplayedEvent, event, first_and_last, of_a_stop, replay, state_at

TROUBLE = ("silent", "unkillable")
"""States of children and viewers that the lane of their camera shows."""


_KINDS: tuple[tuple[Kind, str, Callable[[Any], str], Mapping[Any, Mapping[type[e.Event], Any]]], ...] = (
    ("camera", "cameras", camera_stream, CAMERA),
    ("child", "children", child_stream, CHILD),
    ("peer", "peers", peer_stream, PEER),
)


def timeline(
    reader: Reader, since_ns: int, until_ns: int, cameras: Collection[CameraId] | None = None,
    events: tuple[int, int] | None = None,
) -> Timeline:  # fmt: skip
    """The lives between two times; of these cameras, or of all of them. Raises `JournalError`.

    `events` are the first and the last one, where they are known already: a clock that was set back hides them.
    """
    first, last = events or first_and_last(reader, since_ns, until_ns)
    return _Drawing(reader, since_ns, until_ns, cameras).run(first, last)


def worst(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Of spans in states of `TROUBLE` that may lie above each other: side by side, at each instant the gravest."""
    to_come = sorted(spans, key=lambda span: span.begin_ns, reverse=True)
    edges = sorted({edge for span in to_come for edge in (span.begin_ns, span.end_ns)})
    open_now: list[tuple[int, int, int, Span]] = []
    found: list[Span] = []
    for number, (begin_ns, end_ns) in enumerate(pairwise(edges)):
        while to_come and to_come[-1].begin_ns <= begin_ns:
            span = to_come.pop()
            heappush(open_now, (-gravity(span.state), number, len(to_come), span))
        while open_now and open_now[0][-1].end_ns <= begin_ns:
            heappop(open_now)
        if not open_now:
            continue
        span = open_now[0][-1]
        if found and (found[-1].seq, found[-1].end_ns) == (span.seq, begin_ns):
            begin_ns = found.pop().begin_ns
        found.append(Span(span.state, begin_ns, end_ns, span.seq, span.text))
    return tuple(found)


class _Drawing:
    """The drawing so far: closed spans by lane, and the open one of each lane."""

    def __init__(
        self, reader: Reader, since_ns: int, until_ns: int, cameras: Collection[CameraId] | None = None
    ) -> None:
        self._reader = reader
        self._since_ns, self._until_ns = since_ns, until_ns
        self._cameras = None if cameras is None else frozenset(cameras)
        self._spans: dict[tuple[Kind, str, CameraId], list[Span]] = {}
        self._open: dict[tuple[Kind, str], tuple[CameraId, Span]] = {}
        self._marks: list[Mark] = []
        self._gaps: list[UnknownStretch] = []

    def run(self, first: int, last: int) -> Timeline:
        state = state_at(self._reader, first - 1)
        self._enter(state, first)
        previous = event(self._reader, first - 1) if first > 1 else None
        for moment in replay(self._reader, first, last) if last >= first else ():
            recorded, now_ns = moment.recorded, moment.recorded.wall_ns
            if recorded.run != (state.run if previous is None else previous.run):
                self._down(previous.wall_ns if previous else self._since_ns, now_ns, previous)
                self._all(moment.before, recorded)
            if isinstance(recorded.event, e.EventsLost):
                self._gap("lost", previous.wall_ns if previous else now_ns, now_ns, describe(recorded.event)[1])
            if moment.jumped:
                self._all(moment.after, recorded)
            else:
                self._one(moment)
            self._mark(moment)
            previous, state = recorded, moment.after
        self._leave(state, previous, last)
        below: dict[CameraId, list[Span]] = {}
        for (kind, _, camera), spans in self._spans.items():
            if kind != "camera":
                below.setdefault(camera, []).extend(span for span in spans if span.state in TROUBLE)
        lanes = [
            Lane(kind, name, camera, tuple(spans), worst(below.get(camera, ())) if kind == "camera" else ())
            for (kind, name, camera), spans in self._spans.items()
            if spans
        ]
        order = [kind for kind, *_ in _KINDS]
        places = state.places()

        def rank(lane: Lane) -> tuple[int, int, str, int, str]:
            place = places.get(lane.camera, len(places))
            return order.index(lane.kind), place, lane.camera, lane.spans[0].begin_ns, lane.name

        lanes.sort(key=rank)
        return Timeline(self._since_ns, self._until_ns, tuple(lanes), tuple(self._marks), tuple(self._gaps))

    def _enter(self, state: State, first: int) -> None:
        """Open what goes on at the left edge, with the event that began it."""
        oldest = self._reader.page(limit=1)
        for kind, field, stream, table in _KINDS:
            for name, known in getattr(state, field).items():
                camera = name if kind == "camera" else known.camera
                if not self._wanted(camera):
                    continue
                seq, text = None, f"{known.phase.value} since before the journal begins"
                if oldest and known.since_ns >= oldest[0].wall_ns:
                    entering = tuple(
                        {t.__name__ for ways in table.values() for t, to in ways.items() if to is known.phase}
                    )
                    query = Query(before=first, stream=exactly(stream(name)), types=(*entering, *_BORN))
                    found = [r for r in self._reader.page(query, 20, newest=True) if r.wall_ns == known.since_ns]
                    if found:
                        seq, text = found[-1].seq, describe(found[-1].event)[1]
                self._begin(kind, name, camera, Span(known.phase.value, self._since_ns, 0, seq, text))

    def _leave(self, state: State, previous: e.Recorded | None, last: int) -> None:
        """Close what is open at the right edge, or where the last daemon ended before it."""
        following = self._reader.page(Query(after=last, before=NEVER), 1)
        other_run = bool(following) and previous is not None and following[0].run != previous.run
        if previous is not None and (state.run is None or other_run):
            self._down(previous.wall_ns, self._until_ns, previous)
        for key in list(self._open):
            self._end(key, self._until_ns)

    def _wanted(self, camera: CameraId) -> bool:
        return self._cameras is None or camera in self._cameras

    def _down(self, begin_ns: int, end_ns: int, previous: e.Recorded | None) -> None:
        """Between two runs nobody knows anything: what was open ends with the run before."""
        for key in list(self._open):
            self._end(key, begin_ns)
        how = "the daemon was cut off" if previous and not isinstance(previous.event, e.RunEnded) else "no daemon ran"
        if previous is not None:
            self._gap("down", begin_ns, end_ns, f"{how}: {seconds((end_ns - begin_ns) / 1e9)}")

    def _gap(self, kind: Literal["lost", "down"], begin_ns: int, end_ns: int, text: str) -> None:
        begin_ns = max(begin_ns, self._since_ns)
        if end_ns > begin_ns:
            self._gaps.append(UnknownStretch(kind, begin_ns, min(end_ns, self._until_ns), text))

    def _all(self, state: State, at: e.Recorded) -> None:
        """Make what is open what the state says: where more may have changed than one event says."""
        for kind, field, _, _ in _KINDS:
            known = getattr(state, field)
            for key in [key for key in self._open if key[0] == kind and key[1] not in known]:
                self._end(key, at.wall_ns)
            for name in known:
                self._turn(kind, name, None, known[name], at)

    def _one(self, moment: ReplayedEvent) -> None:
        """Add the changes of an event, which names each thing that it touches."""
        for kind, field, _, _ in _KINDS:
            before, after = getattr(moment.before, field), getattr(moment.after, field)
            if before is not after:
                name = getattr(moment.recorded.event, kind)
                self._turn(kind, name, before.get(name), after.get(name), moment.recorded)

    def _turn(self, kind: Kind, name: str, before: Any, after: Any, at: e.Recorded) -> None:
        key = (kind, name)
        if after is None:
            self._end(key, at.wall_ns)
            return
        camera = CameraId(name) if kind == "camera" else after.camera
        opened = self._open.get(key)
        if self._wanted(camera) and (opened is None or opened[1].state != after.phase.value):
            self._end(key, at.wall_ns)
            span = Span(after.phase.value, max(at.wall_ns, self._since_ns), 0, at.seq, describe(at.event)[1])
            self._begin(kind, name, camera, span)

    def _begin(self, kind: Kind, name: str, camera: CameraId, span: Span) -> None:
        self._spans.setdefault((kind, name, camera), [])
        self._open[kind, name] = (camera, span)

    def _end(self, key: tuple[Kind, str], end_ns: int) -> None:
        opened = self._open.pop(key, None)
        if opened is not None and end_ns > opened[1].begin_ns:
            camera, span = opened
            closed = Span(span.state, span.begin_ns, min(end_ns, self._until_ns), span.seq, span.text)
            self._spans[*key, camera].append(closed)

    def _mark(self, moment: ReplayedEvent) -> None:
        recorded = moment.recorded
        kind = recorded.event.timeline_mark()
        if not kind or of_a_stop(moment):
            return
        camera = getattr(recorded.event, "camera", None)
        if isinstance(recorded.event, e.AlertRaised):
            named = CameraId(recorded.event.alert.partition("/")[2])
            camera = named if named in moment.after.cameras else None
        if camera is None or self._wanted(camera):
            severity, text = describe(recorded.event)
            self._marks.append(Mark(recorded.seq, recorded.wall_ns, camera, kind, severity, text))


_BORN = tuple(kind.__name__ for kind in EVENTS if kind.begins is not None)
"""The events that create an entity, and so are in no table of its life cycle."""
