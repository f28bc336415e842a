"""The detections that a program writes to shared memory: the layout, and a reader that follows it.

```
0     uint64 frame_number      of the frame that was looked at
8     timespec                 CLOCK_MONOTONIC: two int64
24    int32 num_detections
28    10 × 52 bytes            char class_name[32], float confidence, int32 x, y, w, h in pixels
548   uint32 version           1 more with each update
552   sem_t                    32 bytes, in the newer layout
```

Rules of this file:
- The writer may be in the middle of an update. Two copies with the same version and the same content are whole.
- A class name, a score or a box that makes no sense drops that detection, and is counted; nothing of it is passed on.
"""

import math
import struct
from collections.abc import AsyncGenerator

import attrs
import trio

from .segment import SegmentError, SharedSegment

SIZES = 552, 584
"""Without and with a semaphore."""
MOST = 10
"""Detections of one frame."""
POLL_S = 0.05
SETTLE_S = 0.002
"""Time between the two copies: the writer copies 552 bytes in less than a microsecond, unless it is interrupted."""
TRIES = 5
CHECK_S = 0.5
_HEAD = struct.Struct("<Qqqi")
_DETECTION = struct.Struct("<32sfiiii")
_VERSION = struct.Struct("<I")
_VERSION_AT = 548
_SIZE = 552
_MAX_PIXELS = 1 << 15


@attrs.frozen
class SharedDetection:
    """One detection. `box` is x, y, width and height in pixels of the frame that was looked at."""

    label: str
    score: float
    box: tuple[int, int, int, int]


@attrs.frozen
class SharedDetections:
    """The content of one update."""

    frame: int
    """The writer's number of the frame."""
    time_ns: int
    """Nanoseconds of CLOCK_MONOTONIC; anything, from a writer that does not keep to it."""
    version: int
    detections: tuple[SharedDetection, ...]
    dropped: int
    """Detections that made no sense, and those above `MOST`."""


def read_version(data: bytes) -> int:
    version: int = _VERSION.unpack_from(data, _VERSION_AT)[0]
    return version


def parse_detections(data: bytes) -> SharedDetections:
    """Read the first 552 bytes of a segment. Pure."""
    frame, seconds, nanoseconds, count = _HEAD.unpack_from(data)
    rows = range(min(max(count, 0), MOST))
    read = [_detection(data, _HEAD.size + row * _DETECTION.size) for row in rows]
    found = tuple(each for each in read if each is not None)
    dropped = max(count, 0) - len(found) if count <= 1000 else 1
    return SharedDetections(frame, seconds * 1_000_000_000 + nanoseconds, read_version(data), found, dropped)


def _detection(data: bytes, at: int) -> SharedDetection | None:
    name, score, x, y, width, height = _DETECTION.unpack_from(data, at)
    label = name.split(b"\0", 1)[0].decode("utf-8", "replace")
    is_score = math.isfinite(score) and 0 <= score <= 1
    is_box = all(-_MAX_PIXELS <= side <= _MAX_PIXELS for side in (x, y)) and 0 < width <= _MAX_PIXELS
    if not (label and label.isprintable() and is_score and is_box and 0 < height <= _MAX_PIXELS):
        return None
    return SharedDetection(label, round(score, 6), (x, y, width, height))


async def read_detections(name: str) -> AsyncGenerator[SharedDetections, None]:
    """Yield each update of the segment `name`, from the first one after the call; it misses updates, never their order.

    Raises `SegmentError` with the reason: there is no such segment, its size is unknown, or it was removed, replaced or
    truncated. The caller then waits as for any connection; `segment.is_there` tells when there is one again.

    Cancellation: at any time. Cleanup: the segment is closed when the iterator is.
    """
    with SharedSegment(name) as segment:
        if segment.size not in SIZES:
            raise SegmentError(segment.unknown_size(SIZES))
        checked, last = trio.current_time(), read_version(segment.read(0, _SIZE))
        while True:
            now = trio.current_time()
            if now - checked >= CHECK_S:
                checked = now
                segment.check()
            if read_version(segment.read(0, _SIZE)) != last:
                whole = await _read_whole(segment)
                if whole is not None and (version := read_version(whole)) != last:
                    last = version
                    yield parse_detections(whole)
            await trio.sleep(POLL_S)


async def _read_whole(segment: SharedSegment) -> bytes | None:
    """Return a copy that two reads agree on; None if the writer does not pause for that."""
    before = segment.read(0, _SIZE)
    for _ in range(TRIES):
        await trio.sleep(SETTLE_S)
        after = segment.read(0, _SIZE)
        if after == before:
            return after
        before = after
    return None
