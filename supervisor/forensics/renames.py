"""A camera that got another name: for the configuration one camera went and another came, and both have one source."""

from collections.abc import Callable

from ..domain.events import CameraAdded, CameraChanged, CameraRemoved, Recorded
from ..domain.ids import CameraId, camera_stream
from ..journal.reader import Reader
from ..ports.past import Finding
from ..ports.questions import NEVER, Query
from .causes import exactly

MOST = 10_000
"""Events before and after it that are looked at, and no more: without an index a search of all takes seconds."""


class Renamed(Finding, frozen=True):
    """The newest event that a camera came or went by."""

    seq: int
    wall_ns: int
    removed: bool
    """Whether it went; else it came."""
    other: CameraId | None
    """The camera with the same source that came, or went, in the same step."""


def renamed(reader: Reader, camera: CameraId, before: int = NEVER) -> Renamed | None:
    """How `camera` last came or went before event `before`; none where the journal does not have it.

    Raises `JournalError`.
    """
    found = _newest(reader, camera, before, "CameraAdded", "CameraRemoved")
    if found is None:
        return None
    removed, source = isinstance(found.event, CameraRemoved), _source(reader, camera, found.seq + 1)
    step = Query(
        after=found.seq - MOST, before=found.seq + MOST, types=("CameraAdded", "CameraRemoved"),
        since_ns=found.wall_ns, until_ns=found.wall_ns,
    )  # fmt: skip
    others = (
        each.event.camera
        for each in (reader.page(step, 2 * MOST) if source is not None else ())
        if isinstance(each.event, CameraAdded if removed else CameraRemoved)
        and each.event.camera != camera
        and _source_then(reader, each) == source
    )
    return Renamed(found.seq, found.wall_ns, removed, next(others, None))


def note(reader: Reader, camera: CameraId, shown: Callable[[int], str]) -> str:
    """The same in words; empty where there is nothing to say. `shown` writes a time. Raises `JournalError`."""
    found = renamed(reader, camera)
    if found is None:
        return ""
    then = f"at {shown(found.wall_ns)} (#{found.seq})"
    if found.removed:
        other = f"; {found.other}, which was added then, has its source" if found.other else ""
        return f"{camera} was removed from the configuration {then}{other}"
    return f"{camera} was added {then} with the source of {found.other}, which was removed then" if found.other else ""


def _source_then(reader: Reader, moved: Recorded) -> tuple[str, str] | None:
    """Of the camera that came or went with this event."""
    if isinstance(moved.event, CameraAdded):
        return moved.event.settings.source.kind, moved.event.settings.source.url
    assert isinstance(moved.event, CameraRemoved)
    return _source(reader, moved.event.camera, moved.seq)


def _newest(reader: Reader, camera: CameraId, before: int, *types: str) -> Recorded | None:
    stream = exactly(camera_stream(camera))
    found = reader.page(Query(before=before, stream=stream, types=types), 1, newest=True)
    return found[0] if found else None


def _source(reader: Reader, camera: CameraId, before: int) -> tuple[str, str] | None:
    """Kind and address of its source; its revision grows with a password."""
    found = _newest(reader, camera, before, "CameraAdded", "CameraChanged")
    if found is None or not isinstance(found.event, CameraAdded | CameraChanged):
        return None
    source = found.event.settings.source
    return source.kind, source.url
