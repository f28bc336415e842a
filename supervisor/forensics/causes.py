"""Why something is as it is: from an event back to the first that led to it, and on to all that it led to."""

from collections.abc import Iterator
from heapq import merge

import attrs
from msgspec.structs import replace

from ..domain.catalogue import CAMERA
from ..domain.events import Recorded
from ..domain.ids import CameraId, camera_stream, child_stream
from ..domain.lifecycle import CameraPhase
from ..domain.state import State
from ..journal.reader import Reader
from ..ports.past import Began, Holder, Step, Why
from ..ports.questions import Query
from .finding import camera_of, step_of
from .replay import event, state_at

LONGEST = 10_000
"""Steps of a chain that are followed."""
LOOKED_AT = 20_000
"""Events of a camera, and of a correlation, among which consequences are looked for."""
LOSSES = ("CameraWaiting", "CameraFailed", "CameraCrashed", "CameraQuarantined")
"""The types of event with which a camera fails."""
_WELL = ("CameraLive", "CameraAdded", "CameraChanged")
"""After these, the next failure is a first one."""
_SHOWN = (CameraPhase.LIVE, CameraPhase.STALLED)


def chain(reader: Reader, seq: int) -> list[Recorded]:
    """The causes of event `seq`, from the first of them down to the event itself; empty if there is no such event."""
    found: list[Recorded] = []
    wanted: int | None = seq
    while wanted is not None and len(found) < LONGEST:
        recorded = event(reader, wanted)
        if recorded is None:
            break
        found.append(recorded)
        wanted = recorded.cause if recorded.cause is not None and recorded.cause < recorded.seq else None
    return found[::-1]


def why(reader: Reader, seq: int) -> Why | None:
    """The chain of event `seq` in words; none if there is no such event."""
    found = chain(reader, seq)
    if not found:
        return None
    steps = tuple(step_of(each, before) for before, each in zip([None, *found], found, strict=False))
    cause = found[0].cause
    return Why(seq, steps, cut=cause if cause is not None and event(reader, cause) is None else None)


def consequences(reader: Reader, seq: int, limit: int) -> list[Recorded]:
    """Up to `limit` events that follow from event `seq`, directly or through others; in order, without itself.

    They are looked for where they can be: in its correlation, and among the events of its camera.
    """
    root = event(reader, seq)
    if root is None:
        return []
    tree, found = {seq}, list[Recorded]()
    for recorded in _candidates(reader, root):
        if recorded.cause in tree and recorded.seq not in tree:
            tree.add(recorded.seq)
            found.append(recorded)
            if len(found) == limit:
                break
    return found


def why_not_live(reader: Reader, camera: CameraId, at_seq: int) -> int | None:
    """The event that brought `camera` into the phase it had after event `at_seq`; none if it is not known."""
    known = state_at(reader, at_seq).cameras.get(camera)
    if known is None:
        return None
    stream = Query(before=at_seq + 1, stream=exactly(camera_stream(camera)), types=leading_to(known.phase))
    found = reader.page(stream, 1, newest=True)
    return found[0].seq if found else None


def why_camera(reader: Reader, camera: CameraId, at_seq: int) -> Why | None:
    """Why `camera` was in its phase after event `at_seq`, and who had the places if it waited for one."""
    seq = why_not_live(reader, camera, at_seq)
    found = why(reader, seq) if seq is not None else None
    if found is None:
        return None
    state = state_at(reader, at_seq)
    if state.cameras[camera].phase not in _SHOWN:
        found = replace(found, began=_began(reader, camera, found.seq))
    device = state.cameras[camera].settings.device
    if state.cameras[camera].phase is not CameraPhase.QUEUED or device is None:
        return found
    taken_by = tuple(
        Holder(slot.camera, slot.use, slot.since_ns, _keeper(reader, state, slot.camera))
        for slot in state.slots_of(device, held=True)
    )
    return replace(found, device=device, taken_by=taken_by)


def _began(reader: Reader, camera: CameraId, seq: int) -> Began | None:
    """The first failure of `camera` before event `seq`, with the state before it; None without a failure."""
    stream = exactly(camera_stream(camera))
    well = reader.page(Query(before=seq, stream=stream, types=_WELL), 1, newest=True)
    after = well[0].seq if well else 0
    failures = reader.page(Query(after=after, before=seq, stream=stream, types=LOSSES), 1)
    first = why(reader, failures[0].seq) if failures else None
    return Began(step_of(well[0]) if well else None, first.steps) if first else None


def _keeper(reader: Reader, state: State, camera: CameraId) -> Step | None:
    """The newest event of a child of `camera` that has not ended: why its place is not given back."""
    children = state.connections_of(camera)
    if not children:
        return None
    of_child = Query(before=state.seq + 1, stream=exactly(child_stream(children[-1].child)))
    found = reader.page(of_child, 1, newest=True)
    return step_of(found[0]) if found else None


def leading_to(phase: CameraPhase) -> tuple[str, ...]:
    """The types of event that bring a camera into `phase` from another one."""
    kinds = {kind.__name__ for before, ways in CAMERA.items() for kind, to in ways.items() if to is phase is not before}
    return tuple(sorted(kinds | ({"CameraAdded"} if phase is CameraPhase.IDLE else set())))


def exactly(text: str) -> str:
    """A glob that matches `text` and nothing else."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _candidates(reader: Reader, root: Recorded) -> Iterator[Recorded]:
    ways = [_rows(reader, Query(after=root.seq, correlation=root.correlation))]
    camera = camera_of(root)
    if camera is not None:
        ways.append(_rows(reader, Query(after=root.seq, camera=camera)))
    return merge(*ways, key=lambda recorded: recorded.seq)


def _rows(reader: Reader, query: Query) -> Iterator[Recorded]:
    looked_at = 0
    while looked_at < LOOKED_AT and (page := reader.page(query)):
        yield from page
        looked_at += len(page)
        query = attrs.evolve(query, after=page[-1].seq)
