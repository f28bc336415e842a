"""The actor that records one camera: reads its hub, cuts fragments, and gives them to the archive.

Rules of this file:
- It is a reader of the hub like any other: the source never waits for it. It wakes once a fragment: to wake for each
  access unit would cost more than all the rest.
- A recording is a stretch of one connection without a gap. Each gap is reported when it begins, with the event that
  made it.
- It begins with a key frame, also after a gap. No access unit is recorded twice.
- With `record: events`, access units wait in the pre-roll until a detection comes. The recording ends at the first key
  frame after its time, so that the pre-roll of the next detection begins there.
"""

import logging
from collections.abc import Callable, Iterable
from itertools import takewhile

import attrs
import trio

from actors.media.gop_buffer import MAX_UNITS
from actors.media.hub import Hub
from actors.media.media import AccessUnit
from supervisor.config.config import RecordSettings
from supervisor.domain import commands as c
from supervisor.domain.detection import STALE_S
from supervisor.domain.events import DetectionMade, Recorded
from supervisor.domain.ids import CameraId, RecordingId
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.recording_request import REQUESTABLE, wanted_recording
from supervisor.domain.values import Fault, Reason, RecordMode
from supervisor.ports.decisions import Decider, newest_of

from .archive import Archive
from .buffer import Item, RecordingEnd
from .cutter import Cutter, Fragment, NewFile
from .initialization import ENTRIES
from .pre_roll import Held, PreRoll
from .recorded_audio import LATE_S, RecordedAudio
from .reports import JournaledReports
from .wall_clock import WallClock

SILENCE_S = 1.5
"""How often a camera is looked at while no batch is due: is it still live, and recorded? Batches come each second."""
AT_ONCE = 64
"""Access units that are taken without a checkpoint: after a start, a long GOP may be cached."""
UNREQUESTED = Reason("unrequested", "its request has ended", Fault.NONE)
QUIET = Reason("quiet", "nothing more was detected", Fault.NONE)
STOPPED = Reason("stopped", "banken stops, or the camera was removed", Fault.NONE)
MOVED = Reason("moved", "it is recorded into another archive", Fault.NONE)
SLOW = Reason("disk-slow", "the disk does not keep up")
BEHIND = Reason("behind", "the recorder fell behind")
CODEC = Reason("codec", "the camera has changed to a codec that is not recorded")
CLOCK = Reason("clock", "the system's clock was set", Fault.NONE)
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
        self,
        camera: CameraId,
        hub: Hub,
        archive: Archive,
        reports: JournaledReports,
        kernel: Decider,
        settings: Callable[[], RecordSettings] = RecordSettings,
        is_here: Callable[[], bool] = lambda: True,
    ) -> None:
        """`reports`: those of `archive`. `settings`: those of the camera; `is_here`: if they name `archive`."""
        self._is_here = is_here
        self._camera, self._hub, self._archive, self._reports, self._kernel = camera, hub, archive, reports, kernel
        self._settings = settings
        self._stretch: OpenRecording | None = None
        self._pre_roll = PreRoll()
        self._audio = RecordedAudio(hub, lambda: settings().audio)
        self._last = (0, 0)
        """Connection and decode time of the last access unit that was recorded."""
        self._wish: RecordMode | None = None
        """Why the camera is recorded now; None if it is not."""
        self._looked = kernel.state.seq
        """Number of the last event when detections were looked for."""
        self._first: Recorded | None = None
        """The detection with which the time of detections began; None outside of it."""
        self._detected: Recorded | None = None
        """The newest detection that counts."""
        self._until_ns = 0
        """When the time of detections ends, on the monotonic clock."""
        self._is_eventful = False
        """Whether that time has not ended, or no key frame has come since."""
        self._cause: Recorded | None = None
        """The detection that a recording begins for."""

    async def run(self) -> None:
        """Record while the settings, a person or a detection want it, until it is cancelled.

        Returns when the camera is removed, or should be recorded into another archive.
        Cancellation: at any time. Cleanup: the last fragment is given to the archive, which seals the file.
        """
        if self._is_recorded and self._wished() is None:
            self._report_stop(None)  # an earlier run left it open
        try:
            while not self._hub.is_closed and self._is_here():
                if self._is_followed:
                    await self._follow()
                    continue
                self._pre_roll.clear()
                self._stop()
                await self._kernel.wait_change(self._kernel.state.seq)
                self._looked = self._kernel.state.seq
        finally:
            self._end()
            if self._is_recorded:
                reason = STOPPED if self._is_here() else MOVED
                self._kernel.emit(c.StopRecording(self._camera, reason), after=self._newest())

    @property
    def _is_recorded(self) -> bool:
        return self._camera in self._kernel.state.recordings

    @property
    def _mode(self) -> RecordMode:
        known = self._kernel.state.cameras.get(self._camera)
        return RecordMode.OFF if known is None else known.settings.record

    @property
    def _is_followed(self) -> bool:
        """Whether access units are read: they are recorded, or held for a detection."""
        is_wanted = self._mode is RecordMode.EVENTS or wanted_recording(self._kernel.state, self._camera) is not None
        return is_wanted and self._is_here()

    def _wished(self) -> RecordMode | None:
        """Why the camera should be recorded now; None if it should not be."""
        wanted = wanted_recording(self._kernel.state, self._camera)
        return RecordMode.EVENTS if wanted is None and self._is_eventful and self._mode is RecordMode.EVENTS else wanted

    async def _follow(self) -> None:
        """Read access units in batches, from the newest cached key frame on.

        Returns when they are not wanted any more, and when they should be read from that key frame again.
        """
        lost = 0
        with self._hub.read_batches() as batches, self._audio.open():
            while not self._hub.is_closed:
                self._audio.listen(records=self._stretch is not None)
                try:
                    with trio.move_on_after(SILENCE_S):
                        await batches.wait()
                    if self._waits_for_audio(batches.newest):
                        await trio.sleep(LATE_S)
                except trio.Cancelled:
                    self._take_all(batches.take_nowait(MAX_UNITS))
                    raise
                if batches.lost > lost:
                    lost = batches.lost
                    self._pre_roll.clear()
                    self._interrupt(BEHIND)
                is_due, units = batches.is_due, batches.take_nowait(AT_ONCE)
                self._detect()
                if self._wish is not None and self._wished() is None:
                    rest = list(takewhile(lambda unit: not unit.key, units))
                    self._take_all(rest)
                    self._stop()
                    units = units[len(rest) :]
                elif self._wish is None and self._first is not None:
                    before = [unit for unit in units if unit.arrived_ns <= self._first.mono_ns]
                    self._take_all(before)
                    units = units[len(before) :]
                if not self._is_followed or await self._begins_again():
                    return
                self._take_all(units)
                if not is_due:
                    self._look()

    def _detect(self) -> None:
        """Look at the detections since the last look."""
        settings = self._settings()
        for made in self._kernel.detections(self._camera, self._looked):
            self._looked, event = made.seq, made.event
            assert isinstance(event, DetectionMade)
            if settings.labels and event.label not in settings.labels:
                continue
            before_ns, after_ns = int(settings.before_s * 1e9), int(settings.after_s * 1e9)
            self._archive.mark_nowait(self._camera, event.at_ns - before_ns, event.at_ns + after_ns)
            if made.wall_ns - event.at_ns <= STALE_S * 1e9:
                self._first = self._first or made
                self._detected, self._until_ns, self._is_eventful = made, made.mono_ns + after_ns, True

    async def _begins_again(self) -> bool:
        """Begin a recording if one is wished. Returns whether it begins at the newest cached key frame."""
        before, self._wish = self._wish, self._wished()
        if self._wish is None or before is not None:
            return False
        self._cause = self._first if self._wish is RecordMode.EVENTS else None
        held = self._pre_roll.take()
        for number, each in enumerate(held, 1):
            self._take(each)
            if number % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        return not held

    def _stop(self) -> None:
        """End the recording that was wished, if one was."""
        self._end()
        before, self._wish = self._wish, None
        if before is not None:
            self._report_stop(before)

    def _report_stop(self, before: RecordMode | None) -> None:
        """Report that nothing is recorded any more. `before`: why it was."""
        reason, cause = Reason("off", f"record: {self._mode.value}", Fault.NONE), self._newest()
        if before is RecordMode.DEMAND and self._mode in REQUESTABLE:
            reason = UNREQUESTED
        elif self._mode is RecordMode.EVENTS:
            reason, cause = QUIET, self._detected
        self._kernel.emit(c.StopRecording(self._camera, reason), after=cause)

    def _look(self) -> None:
        """Begin a gap if the camera is not live any more. Nothing of a private camera stays in memory."""
        known = self._kernel.state.cameras.get(self._camera)
        if self._kernel.state.private(self._camera) is not None:
            self._pre_roll.clear()
        self._lapse(self._kernel.clock.mono_ns())
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
        clock, audio = self._kernel.clock, self._audio.take()
        ahead_ns = clock.wall_ns() - clock.mono_ns()
        for unit in units:
            if unit.key:
                self._lapse(unit.arrived_ns)
            held, audio = Held(unit, unit.arrived_ns + ahead_ns, audio), ()
            if self._wish is not None:
                self._take(held)
            else:
                self._pre_roll.add(held, self._settings().before_s)

    def _lapse(self, now_ns: int) -> None:
        """End the time of detections if it is over."""
        if self._is_eventful and now_ns >= self._until_ns:
            self._is_eventful, self._first = False, None
            if self._wished() is None:
                self._stop()

    def _take(self, held: Held) -> None:
        stretch, unit, wall_ns = self._stretch, held.unit, held.wall_ns
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
            if (unit.connection, unit.dts) <= self._last:
                return
            stretch = self._stretch = self._begin(unit, wall_ns)
        for frame in held.audio:
            stretch.cutter.hear(frame)
        self._last = unit.connection, unit.dts
        self._offer(stretch, stretch.cutter.take(unit, stretch.clock.advance(unit.dts, wall_ns), self._audio.format))

    def _waits_for_audio(self, newest: AccessUnit | None) -> bool:
        """Whether a file ends before this access unit, and its last audio is still in the transcoder."""
        if self._stretch is None or newest is None or not self._audio.is_transcoded:
            return False
        return self._stretch.cutter.ends_file(newest)

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
                mode = self._wish or self._mode
                command = c.BeginRecording(self._camera, stretch.recording, mode, step.wall_ns, last_ns)
                self._kernel.emit(command, after=self._cause or self._newest())
                self._cause = None
        return None

    # ── ends ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _interrupt(self, reason: Reason, *, ends: bool = True) -> None:
        """Begin a gap. With `ends`, the rest of the stretch is recorded."""
        if ends:
            self._end()
        else:
            self._stretch = None
            self._archive.offer_nowait(Item(self._camera, "", RecordingEnd()))
        cause = self._newest() if ends else self._reports.trouble
        if reason is SLOW:  # no fault has been reported: an earlier one is not its cause
            cause = newest_of(self._kernel, self._camera)
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
