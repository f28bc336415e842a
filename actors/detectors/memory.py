"""A detector that writes its detections to shared memory: it finds its own pictures, and banken only reads.

Rules of this file:
- At most `fps` updates a second with detections are reported. Others are skipped, and the newest comes next.
- A missing segment is waited for, and opened as soon as it exists. After `SHARED_MEMORY_S` an alert says so.
- The image of a detection is the newest key frame of its camera, if that is fresh.
- Boxes are in pixels of the camera's picture. One that reaches beyond it is cut; one outside of it is left out.
"""

from contextlib import aclosing

import trio

from supervisor.base.times import iso
from supervisor.domain import commands as c
from supervisor.domain.restart import SHARED_MEMORY_S
from supervisor.domain.values import Reason

from ..shared_memory.detections import SharedDetection, SharedDetections, read_detections
from ..shared_memory.segment import SegmentError, identity, is_there
from .lines import FIELD, MOST_LABEL, Seen
from .work import Work

LOOK_EVERY_S = 0.25
"""Time between two looks for missing shared memory."""
OLDEST_S = 10.0
"""The time of an update that is older, or in the future, is not believed: the update has just come."""


async def run(work: Work) -> Reason:
    """Report the detections of one segment, until it is gone. Returns why.

    Cancellation: at any time. Cleanup: the segment is closed.
    """
    name = work.detector.address
    await _wait_segment(name, work)
    try:
        async with aclosing(read_detections(name)) as updates:
            due = trio.current_time()
            async for update in updates:
                work.is_well()
                work.tally.drop(FIELD, update.dropped)
                if update.detections and trio.current_time() >= due:
                    due = trio.current_time() + 1 / work.detector.fps
                    await _report(update, work)
    except SegmentError as error:
        return error.reason
    raise AssertionError("a segment is followed until it is gone")


async def _wait_segment(name: str, work: Work) -> None:
    kernel, since = work.tools.kernel, trio.current_time()
    while not is_there(name):
        if trio.current_time() - since >= SHARED_MEMORY_S:
            what = "does not exist" if identity(name) is None else "has no size yet"
            text = f"the detector {work.detector.name} waits for shared memory {name}, which {what}"
            kernel.emit(c.RaiseAlert(f"detector/{work.detector.name}", text))
        await trio.sleep(LOOK_EVERY_S)


async def _report(update: SharedDetections, work: Work) -> None:
    """Report the best detection of each label."""
    clock, (camera,) = work.tools.kernel.clock, work.detector.cameras
    age_ns = clock.mono_ns() - update.time_ns
    at_ns = clock.wall_ns() - (age_ns if 0 <= age_ns <= OLDEST_S * 1e9 else 0)
    known = work.tools.kernel.state.cameras.get(camera)
    size = (known.picture.width, known.picture.height) if known is not None and known.picture is not None else (0, 0)
    best: dict[str, SharedDetection] = {}
    for each in update.detections:
        if each.label not in best or each.score > best[each.label].score:
            best[each.label] = each
    for each in best.values():
        seen = Seen(camera, iso(at_ns), at_ns, each.label[:MOST_LABEL], each.score, box_of(each.box, *size))
        await work.report(seen, work.pictures.newest(camera))


def box_of(box: tuple[int, int, int, int], width: int, height: int) -> tuple[float, ...]:
    """Return a box in pixels as shares of a picture; empty if it is outside of it, or the size is unknown."""
    left, top = max(0, box[0]), max(0, box[1])
    right, bottom = min(width, box[0] + box[2]), min(height, box[1] + box[3])
    if left >= right or top >= bottom:
        return ()
    return tuple(
        round(share, 4) for share in (left / width, top / height, (right - left) / width, (bottom - top) / height)
    )
