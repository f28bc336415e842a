"""Copies frames out of a ring of frames while its writer goes on, and tells whether a copy is whole.

Rules of this file:
- A copy counts only if the ring's index and the slot's header, read again after it, show that nobody wrote there.
- At most `PIECE` bytes are copied between two checkpoints of trio, and never more than a slot can hold.
"""

from collections.abc import Iterator
from enum import Enum

import attrs
import trio

from . import frames
from .frames import CAPACITY, SLOTS, FrameHeader, Layout
from .segment import PIECE, SharedSegment

BEGINNING = 256
"""Bytes that show whether a frame is a key frame: an access unit delimiter and SEI may come before its SPS."""


class Missed(Enum):
    """Why a frame cannot be had."""

    OVERWRITTEN = "its slot was overwritten, or is about to be"
    CHANGED = "its slot was written out of turn"
    IMPOSSIBLE = "a slot cannot hold its size"
    OTHER_FORMAT = "it is not H.264"


@attrs.frozen(eq=False)
class Frame:
    """A whole copy of one frame."""

    header: FrameHeader
    data: bytearray


class Ring:
    """A ring of frames in an open segment. All its reads raise `SegmentError`."""

    def __init__(self, segment: SharedSegment, layout: Layout) -> None:
        self._segment, self._layout = segment, layout

    def head(self) -> tuple[int, float]:
        """Return the ring's index, and the seconds between two frames."""
        return frames.read_head(self._segment.read(0, frames.HEAD.size))

    def header(self, frame: int) -> FrameHeader:
        return frames.read_slot(self._segment.read(self._layout.slot(frame), frames.SLOT.size))

    def headers(self) -> Iterator[FrameHeader]:
        """The headers of all slots, as they stand there; those of slots that were never written are zeros."""
        return map(self.header, range(SLOTS))

    def beginning(self, frame: int) -> bytes:
        """The first bytes of a frame of H.264; none of another one."""
        header = self.header(frame)
        size = min(header.size, BEGINNING) if header.format == frames.H264 and header.is_possible else 0
        return self._segment.read(self._layout.slot(frame) + self._layout.data, size)

    async def take(self, frame: int) -> Frame | Missed:
        """Copy a frame. The caller has seen by the index that its writer has finished it.

        Cancellation: at any time. Cleanup: holds nothing.
        """
        header = self.header(frame)
        if header.format == frames.H264 and header.is_possible:
            data = await self._copy(frame, header.size)
        else:
            data = bytearray()
            await trio.lowlevel.checkpoint()
        again, (index, _) = self.header(frame), self.head()
        if not frames.is_intact(index, frame):
            return Missed.OVERWRITTEN
        if again != header:
            return Missed.CHANGED
        if header.format != frames.H264:
            return Missed.OTHER_FORMAT
        return Frame(header, data) if header.is_possible else Missed.IMPOSSIBLE

    async def _copy(self, frame: int, size: int) -> bytearray:
        assert size <= CAPACITY
        data, at = bytearray(size), self._layout.slot(frame) + self._layout.data
        view = memoryview(data)
        for begin in range(0, size, PIECE):
            self._segment.read_into(view[begin : begin + PIECE], at + begin)
            await trio.lowlevel.checkpoint()
        return data
