"""Sends video and audio from one hub to all its readers: packets are made once, and one task sends the live ones.

Rules of this file:
- The live task never waits for a reader. A reader whose connection is held up falls behind, alone, and continues at its
  position in the ring buffer from its own task. The hub's buffer is the only one; a reader has a position in it.
- A reader that is more than `MAX_BEHIND_S` behind continues at the newest key frame.
- A reader that has not taken a chunk after `STUCK_S` is ended.
- Access units are numbered in order, by the live task alone; the tasks of readers only use what it has numbered.
- A bug in the handling of one reader ends that reader, and one in the packetizing of an access unit those that were to
  get it.
"""

from collections.abc import Callable
from time import perf_counter
from typing import TypeVar
from weakref import WeakKeyDictionary

import attrs
import trio

from supervisor.base.clock import Clock
from supervisor.base.supervision import attempt
from supervisor.domain.values import Fault, Reason

from ..media.hub import Hub
from ..media.media import AccessUnit, AudioFormat, AudioFrame
from ..media.payload import PACKETIZED
from ..media.rendition import Rendition
from .description import AUDIO, PAYLOAD_TYPE, VIDEO, MediaTrack
from .packets import Chunk, Packets, RtpStream
from .reader import ReaderPhase, ReaderSignal, RtspReader
from .reports import ReportClock, sender_report

Result = TypeVar("Result")
SLICE_S = 0.003
MAX_BEHIND_S = 2.0
"""A reader that is further behind continues at a newer key frame, once there is one."""
STUCK_S = 10.0
PACE = (5_000_000, 8)
"""Bytes per second of large access units and cached ones, in datagrams: at least this, or this multiple of the rate."""
REPORT_EVERY_S = 5.0

LEFT = Reason("left", "the reader left", Fault.NONE)
STUCK = Reason("stuck", f"the reader took nothing for {STUCK_S:g} s", Fault.TEMPORARY)
CHANGED = Reason(
    "changed", "the camera sends another codec now; the reader has to ask for its description again", Fault.NONE
)


@attrs.frozen
class Start:
    """The first packets that a reader gets: sequence number and time stamp by track, as far as they are known."""

    sequences: dict[int, int]
    stamps: dict[int, int]


class Readers:
    """All readers of one camera. A task has to `run` it."""

    def __init__(
        self, hub: Hub, clock: Clock, rendition: "Readers | None" = None, made: Rendition | None = None
    ) -> None:
        """`rendition`: the readers of the camera's transcoded video. `made`: that video, if `hub` is its hub."""
        self.hub, self._clock = hub, clock
        self.rendition, self.made = rendition, made
        self._readers: dict[RtspReader, None] = {}
        self._packets: WeakKeyDictionary[AccessUnit, Packets] = WeakKeyDictionary()
        """The packets of a unit live as long as the unit."""
        self._video, self._audio = RtpStream(PAYLOAD_TYPE), RtpStream(0)
        self._audio_format: AudioFormat | None = None
        """That of the newest description."""
        self._at = 0
        """Position of the access unit that the live task sends next, or is sending."""
        self._busy = False
        """It is sending that one."""
        self._audio_at = 0
        self._made: tuple[AudioFrame, Chunk] | None = None
        """The newest packet of audio."""
        self._times = ReportClock()
        self._joined, self._advanced = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()
        self._slice = perf_counter()

    def add(self, reader: RtspReader) -> Start:
        """Add a reader. It starts at the cached key frame, or at the next one."""
        if not self._readers and not self._busy:
            self._begin_numbering()
        if reader.audio is not None:
            track = reader.tracks[AUDIO]
            self._audio_format, self._audio.rate = reader.audio, track.rate
            self._audio.payload_type = track.payload_type
        self._readers[reader] = None
        self._begin(reader)
        self._joined.unpark_all()
        self.hub.units.wake()
        return self._start_of(reader)

    def _begin_numbering(self) -> None:
        """Begin at the cached key frame, or at the next access unit."""
        ring, newest = self.hub.units, self.hub.newest_key()
        self._at = ring.end if newest is None else newest
        self._audio_at = self.hub.audio_frames.end
        self._packets.clear()
        for unit in ring.read_nowait(self._at, ring.end - self._at):
            self._times.see(unit)

    def remove(self, reader: RtspReader) -> None:
        self._readers.pop(reader, None)
        reader.take(ReaderSignal.END)

    async def run(self) -> None:
        """Send to all readers until cancelled.

        Cancellation: at any time. Cleanup: nothing is held.
        """
        self._busy = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_video)
            nursery.start_soon(self._send_audio)
            nursery.start_soon(self._report)

    def report_now(self, reader: RtspReader) -> None:
        """Send a sender report of each track, if anything is known about its time."""
        pts = self._times.pts_at(self._clock.mono_ns())
        if pts is None or reader.wire.is_held_up or reader.phase is ReaderPhase.ENDED:
            return
        for track, stream in ((VIDEO, self._video), (AUDIO, self._audio)):
            if track in reader.tracks and not reader.wire.is_held_up:
                reader.outlet.report(track, sender_report(stream, pts, self._clock.wall_ns()))

    # ── live ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _send_video(self) -> None:
        ring = self.hub.units
        while True:
            while not self._readers:
                await self._joined.park()
            await ring.wait_beyond(self._at)
            self._at = max(self._at, ring.start)
            if self._at < ring.end and self._readers:
                (unit,) = ring.read_nowait(self._at, 1)
                await self._send_unit(unit)
                await self._breathe()
            self._advanced.unpark_all()

    async def _send_unit(self, unit: AccessUnit) -> None:
        if unit.codec not in PACKETIZED:  # only a camera that has changed sends this to readers
            for reader in list(self._readers):
                reader.end(CHANGED)
            self._at += 1
            return
        self._busy = True
        self._times.see(unit)
        packets = self._packets[unit] = Packets(unit, self._video)
        is_large = attempt(packets.chunk, 1)[0] is not None
        ready = [each for each in list(self._readers) if _guarded(each, self._wants, each, unit, is_large)]
        number, (chunk, crash) = 0, attempt(packets.chunk, 0)
        while chunk is not None:
            for reader in ready:
                if reader.chunk == number and reader.is_live:
                    reader.chunk += 1
                    _guarded(reader, reader.send, VIDEO, chunk)
                await self._breathe()
            number += 1
            chunk, crash = attempt(packets.chunk, number)
            await self._breathe()
        for reader in ready:
            if crash is not None and reader.phase is not ReaderPhase.ENDED:
                reader.crash(crash)
            elif reader.chunk == number and reader.at == self._at:
                reader.at, reader.chunk = self._at + 1, 0
        self._at += 1
        self._busy = False

    def _wants(self, reader: RtspReader, unit: AccessUnit, is_large: bool) -> bool:
        """Return whether the live task has to send the unit to this reader."""
        if reader.phase is ReaderPhase.WAITING and unit.key:
            reader.at, reader.chunk, reader.audio_at = self._at, 0, self._audio_at
            reader.take(ReaderSignal.HELD_UP if reader.wire.is_held_up else ReaderSignal.KEY_FRAME)
        if reader.phase is ReaderPhase.WAITING:
            reader.skipped += 1
            self.hub.skipped += 1
        if not reader.is_live:
            return False
        if reader.wire.is_gone:
            reader.end(LEFT)
        elif unit.codec is not reader.codec:
            reader.end(CHANGED)
        elif reader.at != self._at:  # its source was at rest in between
            self._begin(reader)
        elif is_large and reader.outlet.is_paced:
            reader.take(ReaderSignal.HELD_UP)
        return reader.phase is ReaderPhase.LIVE

    async def _send_audio(self) -> None:
        ring = self.hub.audio_frames
        while True:
            while not any(reader.audio is not None for reader in self._readers):
                self._audio_at = ring.end
                await self._joined.park()
            await ring.wait_beyond(self._audio_at)
            self._audio_at = max(self._audio_at, ring.start)
            for frame in ring.read_nowait(self._audio_at, 1):
                for reader in list(self._readers):
                    if reader.audio is not None and reader.audio_at == self._audio_at and reader.is_live:
                        _guarded(reader, self._send_frame, reader, frame)
                    elif reader.phase is ReaderPhase.LIVE:
                        reader.audio_at = self._audio_at + 1
                self._audio_at += 1
                self._advanced.unpark_all()
            await self._breathe()

    def _send_frame(self, reader: RtspReader, frame: AudioFrame) -> None:
        """Send the frame at the reader's position. One that fits into no packet is left out.

        A frame of another format than announced ends the reader.
        """
        if frame.format != reader.audio or frame.format != self._audio_format:
            reader.end(CHANGED)
            return
        sequence = (self._audio.base + reader.audio_at) & 0xFFFF
        reader.audio_at += 1
        if len(frame.data) > reader.tracks[AUDIO].most:
            reader.skipped += 1
        else:
            reader.send(AUDIO, self._frame(reader.tracks[AUDIO], frame, sequence))

    def _frame(self, track: MediaTrack, frame: AudioFrame, sequence: int) -> Chunk:
        """Return the packet of a frame, which is made once for all live readers."""
        made = self._made
        if made is None or made[0] is not frame:
            chunk = self._audio.frame(track.wrap(frame.data), sequence, frame.pts)
            made = self._made = frame, chunk
        return made[1]

    # ── behind ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def serve(self, reader: RtspReader) -> Reason:
        """Send to a reader whenever it is behind, until it ends. Returns why it has ended. Raises what ended it.

        Cancellation: at any time. Cleanup: nothing is held.
        """
        while reader.phase is not ReaderPhase.ENDED:
            if reader.wire.is_gone:
                reader.end(LEFT)
            elif reader.wire.is_held_up:
                with trio.move_on_after(STUCK_S) as wait:
                    await reader.wire.flush()
                if wait.cancelled_caught:
                    reader.end(STUCK)
            elif reader.phase is ReaderPhase.BEHIND:
                pause_s = self._bring_up(reader)
                if pause_s is None:
                    await self._advanced.park()
                else:
                    await trio.sleep(pause_s)
            else:
                await reader.wait_work()
        if reader.crashed is not None:
            raise reader.crashed
        assert reader.reason is not None
        return reader.reason

    def _bring_up(self, reader: RtspReader) -> float | None:
        """Send a reader its next packets. Returns the seconds to pause; None if it has to wait for the live task."""
        ring = self.hub.units
        if reader.at < ring.start or self._is_far_behind(reader):
            self._begin(reader)
            return 0.0
        frame = self._next_frame(reader)
        if reader.at < self._at:
            (unit,) = ring.read_nowait(reader.at, 1)
            if unit.codec is not reader.codec:
                reader.end(CHANGED)
            elif frame is not None and reader.chunk == 0 and frame.pts <= unit.pts:
                self._send_frame(reader, frame)
            else:
                return self._send_cached(reader, unit)
        elif self._busy or reader.at > self._at:
            return None
        elif frame is not None:
            self._send_frame(reader, frame)
        else:
            reader.audio_at = self._audio_at
            reader.take(ReaderSignal.CAUGHT_UP)
        return 0.0

    def _send_cached(self, reader: RtspReader, unit: AccessUnit) -> float:
        packets = self._packets.get(unit)
        chunk = None if packets is None else packets.chunk(reader.chunk)
        if chunk is None:
            reader.at, reader.chunk = reader.at + 1, 0
            return 0.0
        reader.chunk += 1
        reader.send(VIDEO, chunk)
        least, times = PACE
        rate = max(least, times * self.hub.statistics().bitrate / 8) if reader.outlet.is_paced else 0
        return len(chunk.data) / rate if rate else 0.0

    def _next_frame(self, reader: RtspReader) -> AudioFrame | None:
        """Return the reader's next frame of audio, if the live task has passed it."""
        if reader.audio is None:
            return None
        reader.audio_at = max(reader.audio_at, self.hub.audio_frames.start)
        if reader.audio_at >= self._audio_at:
            return None
        return self.hub.audio_frames.read_nowait(reader.audio_at, 1)[0]

    def _is_far_behind(self, reader: RtspReader) -> bool:
        newest = self.hub.newest_key()
        if newest is None or newest <= reader.at:
            return False
        (unit,) = self.hub.units.read_nowait(reader.at, 1)
        return self._clock.mono_ns() - unit.arrived_ns > MAX_BEHIND_S * 1e9

    def _begin(self, reader: RtspReader) -> None:
        """Continue at the newest cached key frame, or wait for the next one."""
        newest = self.hub.newest_key()
        if newest is None:
            reader.take(ReaderSignal.NOT_CACHED)
            return
        if reader.phase is not ReaderPhase.WAITING:
            reader.skipped += max(0, newest - reader.at)
            self.hub.skipped += max(0, newest - reader.at)
        reader.at, reader.chunk = newest, 0
        (unit,) = self.hub.units.read_nowait(newest, 1)
        reader.audio_at = self._first_frame(unit.pts)
        reader.take(ReaderSignal.CACHED)

    def _first_frame(self, pts: int) -> int:
        """Return the position of the first cached frame of audio from the time `pts` on."""
        ring = self.hub.audio_frames
        frames = ring.read_nowait(ring.start, ring.end - ring.start)
        return ring.start + next((index for index, frame in enumerate(frames) if frame.pts >= pts), len(frames))

    # ── all ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _start_of(self, reader: RtspReader) -> Start:
        """Return the first packets of a reader that was just added."""
        start = Start({}, {})
        if reader.phase is not ReaderPhase.BEHIND:
            return start
        (unit,) = self.hub.units.read_nowait(reader.at, 1)
        made = self._packets.get(unit)
        if made is not None or reader.at == self._at:
            start.sequences[VIDEO] = self._video.sequence if made is None else made.first
            start.stamps[VIDEO] = self._video.stamp(unit.pts)
        if reader.audio is not None:
            start.sequences[AUDIO] = (self._audio.base + reader.audio_at) & 0xFFFF
            frames = self.hub.audio_frames.read_nowait(reader.audio_at, 1)
            if frames:
                start.stamps[AUDIO] = self._audio.stamp(frames[0].pts)
        return start

    async def _report(self) -> None:
        while True:
            while not self._readers:
                await self._joined.park()
            for reader in list(self._readers):
                _guarded(reader, self.report_now, reader)
                await self._breathe()
            await trio.sleep(REPORT_EVERY_S)

    async def _breathe(self) -> None:
        if perf_counter() - self._slice > SLICE_S:
            await trio.lowlevel.checkpoint()
            self._slice = perf_counter()


def _guarded(reader: RtspReader, act: Callable[..., Result], *args: object) -> Result | None:
    """Call `act` for one reader. A bug in it ends only that reader."""
    result, crash = attempt(act, *args)
    if crash is not None:
        reader.crash(crash)
    return result
