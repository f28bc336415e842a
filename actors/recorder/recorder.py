"""The actor that records one camera: reads its hub, cuts fragments, and gives them to the archive.

Rules of this file:
- It is a reader of the hub like any other: the source never waits for it. It wakes once a fragment: to wake for each
  access unit would cost more than all the rest.
- A recording is a stretch of one connection without a gap. Each gap is reported when it begins, with the event that
  made it.
- It begins with a key frame, also after a gap.
"""

import logging
from collections.abc import Iterable

import attrs
import trio

from actors.media.gop_buffer import MAX_UNITS
from actors.media.hub import Hub
from actors.media.media import AccessUnit
from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId, RecordingId
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.values import Fault, Reason, RecordMode
from supervisor.ports.decisions import Decider, newest_of

from .archive import Archive
from .buffer import Item, RecordingEnd
from .cutter import Cutter, Fragment, NewFile
from .initialization import ENTRIES
from .reports import JournaledReports
from .wall_clock import WallClock

SILENCE_S = 1.5
"""How often a camera is looked at while no batch is due: is it still live, and recorded? Batches come each second."""
AT_ONCE = 64
"""Access units that are taken without a checkpoint: after a start, a long GOP may be cached."""
OFF = Reason("off", "record: off", Fault.NONE)
STOPPED = Reason("stopped", "banken stops, or the camera was removed", Fault.NONE)
SLOW = Reason("disk-slow", "the disk does not keep up")
BEHIND = Reason("behind", "the recorder fell behind")
CODEC = Reason("codec", "the camera has changed to a codec that is not recorded")
CLOCK = Reason("clock", "the system's clock was set", Fault.NONE)
ARCHIVE = "recordings"
"""The name of the archive."""
logger = logging.getLogger("banken")


@attrs.define
class OpenRecording:
    """A recording that has begun."""

    recording: RecordingId
    connection: int
    cutter: Cutter
    clock: WallClock
    is_reported: bool = False
    """Whether the archive has taken its first fragment, and the journal knows it."""


class Recorder:
    """Made once for each run of a camera."""

    def __init__(
        self, camera: CameraId, hub: Hub, archive: Archive, reports: JournaledReports, kernel: Decider
    ) -> None:
        """`reports`: those of `archive`."""
        self._camera, self._hub, self._archive, self._reports, self._kernel = camera, hub, archive, reports, kernel
        self._stretch: OpenRecording | None = None
        self._heard_at = 0

    async def run(self) -> None:
        """Record while the settings of the camera want it, until it is cancelled.

        Cancellation: at any time. Cleanup: the last fragment is given to the archive, which seals the file.
        """
        try:
            while not self._hub.is_closed:
                await self._wait_wanted()
                await self._record()
                self._end()
                self._kernel.emit(c.StopRecording(self._camera, OFF), after=self._newest())
        finally:
            self._end()
            if self._is_recorded:
                self._kernel.emit(c.StopRecording(self._camera, STOPPED), after=self._newest())

    @property
    def _is_recorded(self) -> bool:
        return self._camera in self._kernel.state.recordings

    @property
    def _is_wanted(self) -> bool:
        known = self._kernel.state.cameras.get(self._camera)
        return known is not None and known.settings.record is RecordMode.ALWAYS

    async def _wait_wanted(self) -> None:
        while not self._is_wanted:
            await self._kernel.wait_change(self._kernel.state.seq)

    async def _record(self) -> None:
        """Take access units in batches, until the settings change."""
        self._heard_at, lost = self._hub.audio_frames.end, 0
        with self._hub.read_batches() as batches:
            while self._is_wanted:
                try:
                    with trio.move_on_after(SILENCE_S):
                        await batches.wait()
                except trio.Cancelled:
                    self._take_all(batches.take_nowait(MAX_UNITS))
                    raise
                if batches.lost > lost:
                    lost = batches.lost
                    self._interrupt(BEHIND)
                is_due = batches.is_due
                self._take_all(batches.take_nowait(AT_ONCE))
                if not is_due:
                    self._look()

    def _look(self) -> None:
        """Begin a gap if the camera is not live any more."""
        known = self._kernel.state.cameras.get(self._camera)
        if self._stretch is None or known is None or known.phase is CameraPhase.LIVE:
            return
        private = self._kernel.state.private(self._camera)
        if private is not None:
            self._interrupt(private.reason)
        else:
            text = known.reason.text if known.reason is not None else "the camera is not live"
            self._interrupt(Reason("camera-lost", text))

    # ── one access unit ─────────────────────────────────────────────────────────────────────────────────────────

    def _take_all(self, units: Iterable[AccessUnit]) -> None:
        for unit in units:
            self._take(unit)

    def _take(self, unit: AccessUnit) -> None:
        stretch, wall_ns = self._stretch, self._wall_ns(unit)
        if stretch is not None and stretch.connection != unit.connection:
            self._interrupt(Reason("camera-lost", "the camera was connected again"))
            stretch = None
        if stretch is not None and stretch.clock.leaps(unit.dts, wall_ns):
            self._interrupt(CLOCK)
            stretch = None
        if stretch is not None and unit.codec.name not in ENTRIES:
            self._interrupt(CODEC)
            stretch = None
        if stretch is None:
            if not unit.key or self._archive.fault or unit.codec.name not in ENTRIES:
                return
            stretch = self._stretch = self._begin(unit, wall_ns)
        for frame in self._hub.audio_frames.read_nowait(*self._audio()):
            stretch.cutter.hear(frame)
        self._offer(stretch, stretch.cutter.take(unit, stretch.clock.advance(unit.dts, wall_ns), self._hub.audio))

    def _audio(self) -> tuple[int, int]:
        """The position of the audio that was not read yet, and its number of frames."""
        frames = self._hub.audio_frames
        begin = max(self._heard_at, frames.start)
        self._heard_at = frames.end
        return begin, frames.end - begin

    def _begin(self, unit: AccessUnit, wall_ns: int) -> OpenRecording:
        recording = RecordingId(self._kernel.new_id())
        return OpenRecording(recording, unit.connection, Cutter(self._camera, recording), WallClock(unit.dts, wall_ns))

    def _offer(self, stretch: OpenRecording, steps: Iterable[NewFile | Fragment]) -> None:
        for step in steps:
            last_ns = self._archive.last_ns(self._camera)
            if not self._archive.offer_nowait(Item(self._camera, stretch.recording, step)):
                return self._interrupt(self._why_refused(), ends=False)
            if not stretch.is_reported and isinstance(step, Fragment):
                stretch.is_reported = True
                mode = RecordMode.ALWAYS
                command = c.BeginRecording(self._camera, stretch.recording, mode, step.wall_ns, last_ns)
                self._kernel.emit(command, after=self._newest())
        return None

    def _wall_ns(self, unit: AccessUnit) -> int:
        """The system's time when an access unit arrived."""
        clock = self._kernel.clock
        return clock.wall_ns() - (clock.mono_ns() - unit.arrived_ns)

    # ── ends ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _interrupt(self, reason: Reason, *, ends: bool = True) -> None:
        """Begin a gap. With `ends`, the rest of the stretch is recorded."""
        if ends:
            self._end()
        else:
            self._stretch = None
            self._archive.offer_nowait(Item(self._camera, "", RecordingEnd()))
        cause = self._newest() if ends else self._reports.trouble
        last_ns = self._archive.last_ns(self._camera)
        self._kernel.emit(c.InterruptRecording(self._camera, reason, last_ns), after=cause)

    def _end(self) -> None:
        stretch, self._stretch = self._stretch, None
        if stretch is not None:
            self._offer(stretch, stretch.cutter.end())
            self._archive.offer_nowait(Item(self._camera, stretch.recording, RecordingEnd()))

    def _why_refused(self) -> Reason:
        if self._archive.fault or not self._archive.has_begun(self._camera):
            return self._reports.reason or SLOW
        return SLOW

    def _newest(self) -> Recorded | None:
        """The newest event of the camera or of the archive: the cause of what the recorder reports."""
        found = (newest_of(self._kernel, self._camera), self._reports.trouble)
        return max((each for each in found if each is not None), key=lambda each: each.seq, default=None)
