"""`shm:/NAME`: H.264 that another program on this machine writes into a ring in POSIX shared memory.

Rules of this file:
- The ring is polled at half the interval between its frames, also where it has a semaphore. A post of a semaphore
  belongs to the one reader that waits for it, and that reader is another program.
- The newest frame may still be written. It is taken when a newer one has begun, or after `SETTLE_S` without one if two
  copies of it are equal.
- After a frame that was missed, damaged or refused, nothing is published until the next key frame.
- A writer that died leaves its last frames behind. So nothing is published before the ring has moved.
"""

import re
from collections import deque
from itertools import islice

import attrs
import trio
from msgspec.structs import replace

from supervisor.config.config import Source, Timeouts
from supervisor.domain.ids import CameraId
from supervisor.domain.restart import NO_SHARED_MEMORY
from supervisor.domain.values import Fault, Reason

from ..cpu_share import CpuShare
from ..media.bitstream import MAX_SEARCHED, MAX_UNITS, BitstreamError, strip_zeros
from ..media.h264 import IDR, SPS, nal_type
from ..media.hub import Hub
from ..media.media import AUDIO_OFF, CLOCK_RATE
from ..media.oddities import Oddity
from ..shared_memory import frames
from ..shared_memory.frames import LAYOUTS, FrameHeader
from ..shared_memory.ring import Frame, Missed, Ring
from ..shared_memory.segment import SegmentError, SharedSegment, check_name
from ..tools import Tools

SETTLE_S = 0.1
"""The newest frame is complete after this time: a writer copies it in 1 to 3 ms."""
CHECK_S = 0.5
"""Time between two looks at the segment's name."""
MOST_TURNS, TURNS_S = 5, 10.0
"""So many jumps back within this time are two writers. A single one is a writer that began again, or another camera
that has taken over."""
LARGEST_GAP = 1000
"""Frames. A count that jumps further, of the ring or of the writer, has begun at another number; nothing was lost."""
_CODE = re.compile(rb"\x00\x00\x01")


def check(source: Source) -> str | None:
    problem = check_name(name_of(source))
    return None if problem is None else f"the name behind shm: {problem}"


def name_of(source: Source) -> str:
    """The name of the segment, as in `shm_open`."""
    return source.address.partition(":")[2]


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools) -> Reason:
    """Publish what a program writes into shared memory, until the segment is gone or unusable; return why.

    Cancellation: at any time. Cleanup: the segment is closed.
    """
    if not source.audio:
        hub.set_audio(None, AUDIO_OFF)
    try:
        with SharedSegment(name_of(source)) as segment:
            layout = LAYOUTS.get(segment.size)
            if layout is None:
                return segment.unknown_size(LAYOUTS)
            return await ShmReader(segment, Ring(segment, layout), hub).run(source.timeouts)
    except SegmentError as error:
        await trio.lowlevel.checkpoint()
        return _with_provider(error.reason, source, tools)


def _with_provider(reason: Reason, source: Source, tools: Tools) -> Reason:
    """The reason for missing shared memory, with the daemon that provides it."""
    provider = next((each.name for each in tools.sources.daemons().values() if each.provides == name_of(source)), "")
    if reason.code != NO_SHARED_MEMORY or not provider:
        return reason
    return replace(reason, text=f"{reason.text}; the daemon {provider} provides it")


@attrs.frozen(eq=False)
class _Newest:
    """A copy of the newest frame that waits for its confirmation."""

    frame: int
    copy: Frame
    since: float


class ShmReader:
    """Follows one ring."""

    def __init__(self, segment: SharedSegment, ring: Ring, hub: Hub) -> None:
        self._segment, self._ring, self._hub = segment, ring, hub
        self._at = 0
        """The index of the next frame."""
        self._number: int | None = None
        """The writer's number of the last frame, if none was missed since."""
        self._needs_key = True
        self._newest: _Newest | None = None
        self._turns: deque[float] = deque(maxlen=MOST_TURNS)
        """When the ring or the writer's numbers went back."""
        self._checked = trio.current_time()

    async def run(self, limits: Timeouts) -> Reason:
        """Follow the ring. Returns why it cannot be followed any more. Raises `SegmentError`.

        Cancellation: at any time. Cleanup: holds nothing.
        """
        self._hub.negotiate()
        self._hub.is_connected = True
        self._hub.set_transport("", "shared memory")
        if not await self._wait_writer(limits.first_picture_s):
            empty = "" if self._ring.head()[0] else ", which is empty,"
            text = f"nothing was written to shared memory {self._segment.name}{empty}"
            return Reason("no-writer", f"{text} within {limits.named('first_picture')}")
        self._hub.expect()
        index, _ = self._ring.head()
        self._at = frames.newest_key(index, self._is_key)
        share = CpuShare(trio.current_time())
        while True:
            self._check()
            share.begin()
            index, interval_s = self._ring.head()
            ended = await self._advance(index)
            if ended is not None:
                return ended
            wait_s = share.pause(trio.current_time())
            if frames.ahead(self._ring.head()[0], self._at) < 2:
                wait_s = max(wait_s, min(interval_s / 2, SETTLE_S))
            await trio.sleep(wait_s)

    async def _wait_writer(self, within_s: float) -> bool:
        """Wait until the ring moves. Returns whether it has."""
        first, interval_s = self._ring.head()
        with trio.move_on_after(within_s):
            while self._ring.head()[0] == first:
                self._check()
                await trio.sleep(interval_s / 2)
            return True
        return False

    def _check(self) -> None:
        now = trio.current_time()
        if now - self._checked >= CHECK_S:
            self._checked = now
            self._segment.check()

    async def _advance(self, index: int) -> Reason | None:
        """Take the next frame if it may be taken at this index. Returns the reason if the ring cannot be followed."""
        lead = frames.ahead(index, self._at)
        if lead < 0:
            self._jump(index)
            return self._turn_back()
        if lead > frames.SLOTS - frames.MARGIN:
            before = self._at
            self._jump(index)
            gap = frames.ahead(self._at, before)
            self._hub.loss.lost += gap if gap <= LARGEST_GAP else 0
        elif lead >= 2:
            taken = await self._ring.take(self._at)
            if taken is not Missed.OVERWRITTEN:
                return await self._use(taken)
        elif lead == 1:
            confirmed = await self._confirm()
            if confirmed is not None:
                return await self._use(confirmed)
        return None

    def _jump(self, index: int) -> None:
        """Continue at the newest key frame."""
        self._at = frames.newest_key(index, self._is_key)
        self._needs_key, self._number, self._newest = True, None, None

    async def _confirm(self) -> Frame | Missed | None:
        """Copy the newest frame. Returns it when it has not changed for `SETTLE_S`."""
        before, now = self._newest, trio.current_time()
        if before is not None and before.frame == self._at and now - before.since < SETTLE_S:
            return None
        taken = await self._ring.take(self._at)
        if isinstance(taken, Missed) or (self._number is not None and taken.header.number <= self._number):
            return None  # the slot still has an older frame, or a part of the new one
        if before is not None and before.frame == self._at and before.copy.header == taken.header:
            if before.copy.data == taken.data:
                return taken
        self._newest = _Newest(self._at, taken, now)
        return None

    async def _use(self, taken: Frame | Missed) -> Reason | None:
        """Publish the frame at the current position, or count it as unusable, and go to the next one."""
        number, self._at = self._at, (self._at + 1) % frames.WRAP
        if taken is Missed.OTHER_FORMAT:
            return self._refusal(self._ring.header(number))
        if isinstance(taken, Missed):
            self._discard()
            return None
        turned = self._count(taken.header)
        units = await _split(taken.data)
        key = any(nal_type(unit) == IDR for unit in units)
        if not units:
            self._discard()
        elif self._needs_key and not key:
            self._hub.loss.skipped += 1
        else:
            try:
                self._hub.publish(units, round(taken.header.time_ns * CLOCK_RATE / 1_000_000_000))
                self._needs_key = False
            except BitstreamError:
                self._hub.loss.meet(Oddity.BAD_PARAMETER_SETS)
                self._discard()
        return turned

    def _discard(self) -> None:
        self._hub.loss.malformed += 1
        self._needs_key = True

    def _count(self, header: FrameHeader) -> Reason | None:
        """Count the frames that the writer has numbered and not written."""
        before, self._number = self._number, header.number
        gap = 0 if before is None else header.number - before - 1
        if 0 < gap <= LARGEST_GAP:
            self._hub.loss.lost += gap
        elif gap < 0:
            self._needs_key = True
            return self._turn_back()
        return None

    def _turn_back(self) -> Reason | None:
        """Note that the ring or its numbers went back. Returns a reason if they do so all the time."""
        now = trio.current_time()
        self._turns.append(now)
        if len(self._turns) < MOST_TURNS or now - self._turns[0] > TURNS_S:
            return None
        name = self._segment.name
        return Reason("two-writers", f"two programs write to shared memory {name}: its frames jump back and forth")

    def _refusal(self, other: FrameHeader) -> Reason | None:
        """Return why a ring without any H.264 is refused; None if it has some, and this frame is left out."""
        if any(header.format == frames.H264 and header.size for header in self._ring.headers()):
            return None
        what = f"shared memory {self._segment.name} holds {other.format_name}"
        return Reason("unsupported-codec", f"{what}; only H.264 can be passed on", Fault.FATAL)

    def _is_key(self, frame: int) -> bool:
        """Whether a frame begins like a key frame. It may be overwritten meanwhile, so nothing depends on it."""
        data = self._ring.beginning(frame)
        return any(data[code.end()] & 0x1F in (IDR, SPS) for code in _CODE.finditer(data, 0, len(data) - 1))


async def _split(data: bytearray) -> list[bytes]:
    """Return the NAL units of an access unit in Annex B; none if it is not one, or has too many.

    At most `MAX_SEARCHED` bytes are searched between two checkpoints, and large data is cut after a further one.
    """
    codes: list[tuple[int, int]] = []
    for begin in range(0, len(data), MAX_SEARCHED):
        if begin:
            await trio.lowlevel.checkpoint()
        found = _CODE.finditer(data, begin, min(len(data), begin + MAX_SEARCHED + 2))
        codes += (code.span() for code in islice(found, MAX_UNITS + 1 - len(codes)))
    if len(data) > MAX_SEARCHED:
        await trio.lowlevel.checkpoint()
    if not codes or len(codes) > MAX_UNITS or any(data[: codes[0][0]]):
        return []
    ends = [*(begin for begin, _ in codes[1:]), len(data)]
    view = memoryview(data)
    units = (strip_zeros(bytes(view[begin:end])) for (_, begin), end in zip(codes, ends, strict=True))
    return [unit for unit in units if unit]
