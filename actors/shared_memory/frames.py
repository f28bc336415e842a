"""The ring of frames in the shared memory of a camera program, by its size. Pure.

The segment has a head, `SLOTS` slots, and nothing else. All numbers are little endian.

```
head   uint32 write_index      frames begun so far; frame n is in slot n % SLOTS
       uint32 frame_interval   ms between two frames; 0 stands for 30 frames a second
       sem_t                   32 bytes, in two of the layouts
slot   uint64 number           of the writer's own count
       timespec                CLOCK_MONOTONIC: two int64
       int32 camera, width, height, format
       uint64 size             bytes of data
       brightness              12 bytes, in the newest layout
       uint8 data[CAPACITY]    H.264 in Annex B, if the format says so
```

The writer adds 1 to `write_index` before it copies the frame. Therefore:
- Frame n is complete when the index is n + 2 or more, because one writer copies one frame after the other.
- Its slot is overwritten from the moment at which the index becomes n + `SLOTS` + 1.

Source: the headers of the programs that write it; the sizes were checked with a C compiler.
"""

import struct
from collections.abc import Callable

import attrs

SLOTS = 30
CAPACITY = 1920 * 1080 * 3 // 2
"""Bytes of data that a slot can hold."""
FORMATS = {0: "JPEG", 1: "NV12", 2: "RGB", 3: "H.264"}
H264 = 3
MARGIN = 2
"""Slots next to the one being written that are not read: processors may reorder the writer's stores."""
WRAP = 1 << 32
"""`write_index` counts modulo this."""
USUAL_INTERVAL_S = 1 / 30
INTERVALS_S = 0.01, 0.5
"""Shortest and longest interval that is believed: with a longer one, a quick writer could lap the reader unseen."""
HEAD = struct.Struct("<II")
SLOT = struct.Struct("<QqqiiiiQ")


@attrs.frozen
class Layout:
    """Offsets in bytes."""

    slots: int
    """Of the first slot."""
    data: int
    """Of the data in a slot."""
    stride: int
    """From one slot to the next."""

    @property
    def size(self) -> int:
        """Bytes of the whole segment."""
        return self.slots + SLOTS * self.stride

    def slot(self, frame: int) -> int:
        """The offset of the slot of a frame, by its index."""
        return self.slots + frame % SLOTS * self.stride


PLAIN = Layout(slots=8, data=48, stride=3_110_448)
SEMAPHORE = Layout(slots=40, data=48, stride=3_110_448)
BRIGHTNESS = Layout(slots=40, data=60, stride=3_110_464)
LAYOUTS = {layout.size: layout for layout in (PLAIN, SEMAPHORE, BRIGHTNESS)}


@attrs.frozen
class FrameHeader:
    """The header of one slot, as it stands there."""

    number: int
    time_ns: int
    """Nanoseconds of CLOCK_MONOTONIC; anything, from a writer that does not keep to it."""
    camera: int
    width: int
    height: int
    format: int
    size: int
    """Bytes of data; may be a lie."""

    @property
    def format_name(self) -> str:
        return FORMATS.get(self.format, f"format {self.format}")

    @property
    def is_possible(self) -> bool:
        """Whether a slot can hold its data."""
        return 0 < self.size <= CAPACITY


def read_head(data: bytes) -> tuple[int, float]:
    """Return `write_index`, and the seconds between two frames, within `INTERVALS_S`."""
    index, interval_ms = HEAD.unpack_from(data)
    interval_s = interval_ms / 1000 if interval_ms else USUAL_INTERVAL_S
    return index, min(INTERVALS_S[1], max(INTERVALS_S[0], interval_s))


def read_slot(data: bytes) -> FrameHeader:
    number, seconds, nanoseconds, camera, width, height, kind, size = SLOT.unpack_from(data)
    return FrameHeader(number, seconds * 1_000_000_000 + nanoseconds, camera, width, height, kind, size)


def ahead(index: int, frame: int) -> int:
    """How far `index` is ahead of `frame`, in frames; negative if it is behind. Both count modulo `WRAP`."""
    return (index - frame + WRAP // 2) % WRAP - WRAP // 2


def is_complete(index: int, frame: int) -> bool:
    """Whether a newer frame was begun, so that this one is complete."""
    return ahead(index, frame) >= 2


def is_intact(index: int, frame: int) -> bool:
    """Whether the slot of a frame has not been overwritten, and is not close to that."""
    return 0 < ahead(index, frame) <= SLOTS - MARGIN


def oldest_intact(index: int) -> int:
    """The oldest frame that is still intact; at the beginning of a ring, the first one."""
    return max(0, index - SLOTS + MARGIN)


def newest_key(index: int, is_key: Callable[[int], bool]) -> int:
    """The newest complete frame that `is_key` accepts; without one the newest frame, which may become one."""
    complete = range(index - 2, oldest_intact(index) - 1, -1)
    return next((frame for frame in complete if is_key(frame)), max(0, index - 1))
