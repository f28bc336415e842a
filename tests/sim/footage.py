"""Footage for a simulation: drawn pictures with a clock, recorded into an archive on a real disk.

Pictures come every `EVERY_S`, so that a day is recorded within seconds. Cutter, writer and seals are those of the
daemon; the disk is not synced.
"""

import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import trio

from actors.media.bitstream import split_annexb
from actors.media.h264 import H264
from actors.media.media import CLOCK_RATE, AccessUnit
from actors.recorder.archive_writer import ArchiveWriter, SealedFile
from actors.recorder.cutter import Cutter, Fragment, NewFile
from actors.recorder.disk import Disk
from actors.recorder.recorder import STOPPED
from actors.recorder.reports import SETTLE_S, JournaledReports
from supervisor.base.shield import bounded_shield
from supervisor.config.config import ARCHIVE
from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, RecordingId
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.values import Reason, RecordMode
from supervisor.ports.decisions import newest_of

from .world import World

EVERY_S, KEY_EVERY_S = 5, 60
WIDTH, HEIGHT = 320, 180
SKY, INK, COAT = 0x50, 0xEB, 0x20
CLOCK = 12, 24, 3
"""Left and top of the time of day, and the size of its dots."""
GLYPHS = {
    "0": "0E11131519110E", "1": "040C040404040E", "2": "0E11010204081F", "3": "1F02040201110E", "4": "02060A121F0202",
    "5": "1F101E0101110E", "6": "0608101E11110E", "7": "1F010204080808", "8": "0E11110E11110E", "9": "0E11110F01020C",
    ":": "00040000040000", "-": "0000001F000000",
}  # fmt: skip
"""Seven rows of five dots each, as hexadecimal digits."""


def draw_text(picture: bytearray, text: str, left: int, top: int, scale: int) -> None:
    for number, letter in enumerate(text):
        for row, dots in enumerate(bytes.fromhex(GLYPHS.get(letter, "00000000000000"))):
            for column in range(5):
                if dots >> (4 - column) & 1:
                    at = left + (number * 6 + column) * scale
                    _fill(picture, at, top + row * scale, scale, scale, INK)


def draw_visitor(picture: bytearray) -> None:
    """A person with a hat and a parcel."""
    for left, top, width, height, shade in (
        (236, 66, 48, 6, COAT), (246, 52, 28, 14, COAT), (248, 72, 24, 24, 0xB4), (236, 96, 48, 60, COAT),
        (242, 156, 14, 24, COAT), (264, 156, 14, 24, COAT), (216, 112, 32, 26, 0xC8), (230, 112, 4, 26, 0x60),
    ):  # fmt: skip
        _fill(picture, left, top, width, height, shade)


def _fill(picture: bytearray, left: int, top: int, width: int, height: int, shade: int) -> None:
    for row in range(top, top + height):
        picture[row * WIDTH + left : row * WIDTH + left + width] = bytes([shade]) * width


class Painter:
    """Draws and encodes pictures of 320x180 with the date and the time of day."""

    def __init__(self, visits: Sequence[tuple[float, float]]) -> None:
        """`visits`: when somebody stands there, in seconds since midnight."""
        encoder = av.CodecContext.create("libx264", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        encoder.framerate, encoder.time_base = Fraction(1, EVERY_S), Fraction(EVERY_S)
        encoder.gop_size, encoder.thread_count = 1000, 1
        encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "crf": "28"}
        self._encoder, self._visits = encoder, visits
        self._empty = bytearray([SKY]) * (WIDTH * HEIGHT)
        _fill(self._empty, 0, 160, WIDTH, 20, 0x70)
        _fill(self._empty, 40, 50, 70, 110, 0x90)
        _fill(self._empty, 98, 104, 6, 6, INK)

    def next(self, wall_ns: int, *, key: bool) -> tuple[bytes, ...]:
        """The NAL units of the next picture."""
        now, picture = time.gmtime(wall_ns // 10**9), bytearray(self._empty)
        now_s = now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec
        if any(begin <= now_s < end for begin, end in self._visits):
            draw_visitor(picture)
        draw_text(picture, time.strftime("%Y-%m-%d", now), 12, 6, 2)
        draw_text(picture, time.strftime("%H:%M:%S", now), *CLOCK)
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        grey = bytes([0x80]) * (WIDTH * HEIGHT // 4)
        for plane, data in zip(frame.planes, (bytes(picture), grey, grey), strict=True):
            width = plane.width
            rows = (data[at : at + width].ljust(plane.line_size, b"\0") for at in range(0, len(data), width))
            plane.update(b"".join(rows).ljust(plane.buffer_size, b"\0"))
        frame.pict_type = av.video.frame.PictureType.I if key else av.video.frame.PictureType.NONE
        frame.pts = wall_ns // 10**9 // EVERY_S
        return tuple(split_annexb(b"".join(bytes(packet) for packet in self._encoder.encode(frame))))


class QuickDisk(Disk):
    """Syncs nothing: a simulation ends before a power failure."""

    def sync(self, descriptor: int, *, done: int) -> None:
        pass

    def sync_folder(self, path: str, folder: int) -> None:
        pass


class Film:
    """Records a camera of a simulated world while it is live."""

    def __init__(self, world: World, camera: CameraId, folder: Path, painter: Painter, midnight_ns: int) -> None:
        """`midnight_ns`: the time at which the simulation begins, in ns since 1970."""
        self._kernel, self._camera, self._painter, self._begin_ns = world.core.kernel, camera, painter, midnight_ns
        self._writer = ArchiveWriter(folder, self._kernel.node, lambda: "f" * 16, QuickDisk())
        self._writer.open()
        self._reports = JournaledReports(ARCHIVE, self._kernel)
        self._chance = world.chance.stream("recordings")
        self._last_ns = 0

    async def run(self) -> None:
        """Cancellation: at any time. Cleanup: the files are sealed, and the journal has their digests."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._reports.run)
                while True:
                    await self._record()
        finally:
            with bounded_shield(SETTLE_S):
                await self._reports.settle()
            self._kernel.emit(c.StopRecording(self._camera, STOPPED), after=newest_of(self._kernel, self._camera))
            self._writer.close()

    async def _record(self) -> None:
        """One stretch without a gap."""
        while not self._is_live:
            await self._kernel.wait_change(self._kernel.state.seq)
        recording, number = RecordingId(f"{self._chance.getrandbits(64):016x}"), 0
        cutter = Cutter(self._camera, recording)
        try:
            while True:
                await trio.sleep_until((trio.current_time() // EVERY_S + 1) * EVERY_S)
                if not self._is_live:
                    break
                at_s = round(trio.current_time())
                wall_ns, key = self._begin_ns + at_s * 10**9, number == 0 or at_s % KEY_EVERY_S == 0
                nals = self._painter.next(wall_ns, key=key)
                ticks = number * EVERY_S * CLOCK_RATE
                unit = AccessUnit(H264, nals, ticks, key, sum(map(len, nals)), ticks)
                self._write(recording, cutter.take(unit, wall_ns))
                if number == 1:
                    self._tell(
                        c.BeginRecording(
                            self._camera, recording, RecordMode.ALWAYS, wall_ns - EVERY_S * 10**9, self._last_ns
                        )
                    )
                number += 1
        finally:
            self._write(recording, cutter.end())
            self._report(self._writer.seal(self._camera))
        reason = self._kernel.state.cameras[self._camera].reason
        assert reason is not None
        self._tell(c.InterruptRecording(self._camera, Reason("camera-lost", reason.text), self._last_ns))

    def _write(self, recording: RecordingId, steps: Iterable[NewFile | Fragment]) -> None:
        for step in steps:
            if isinstance(step, NewFile):
                self._report(self._writer.begin(self._camera, recording, step))
            else:
                self._writer.append(self._camera, step)
                self._last_ns = step.ended_ns

    def _report(self, file: SealedFile | None) -> None:
        if file is not None:
            self._reports.sealed(file)

    def _tell(self, command: c.Command) -> None:
        self._kernel.emit(command, after=newest_of(self._kernel, self._camera))

    @property
    def _is_live(self) -> bool:
        known = self._kernel.state.cameras.get(self._camera)
        return known is not None and known.phase is CameraPhase.LIVE
