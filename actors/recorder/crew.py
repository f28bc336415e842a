"""The archive of a daemon, and the recorder of each camera. Imported with the first camera that is recorded."""

from collections.abc import Mapping, Sequence
from functools import partial

import apsw
import trio

from actors.media.hub import Hub
from actors.tools import Recordings, Tools
from supervisor.base.supervision import run_supervised
from supervisor.base.threads import run_in_thread
from supervisor.config.config import RecordSettings
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId
from supervisor.ports.archives import ArchiveRoom, CameraTime
from supervisor.ports.statistics import ArchiveStatistics

from .archive import Archive
from .archive_writer import ArchiveWriter
from .recorder import ARCHIVE, Recorder
from .reports import JournaledReports
from .retainer import Retainer, measure
from .retention import Keep, Pinned, RetentionRules

PATIENCE_S = 5.0
"""The longest wait for the index of an archive."""


class RecorderCrew:
    """Made once by the registry."""

    def __init__(self, settings: Recordings, tools: Tools) -> None:
        kernel = tools.kernel
        writer = ArchiveWriter(settings.folder, kernel.node, kernel.new_id, reserve=settings.reserve)
        self._settings, self._tools, self._reports = settings, tools, JournaledReports(ARCHIVE, kernel)
        self._measuring = trio.CapacityLimiter(2)
        clock = kernel.clock
        self.retainer = Retainer(ARCHIVE, settings.folder, self._rules, self._pins, clock.wall_ns, clock.mono_ns)
        self.archive = Archive(settings.folder, writer, self._reports, settings.sync_s, self.retainer)

    def _rules(self) -> RetentionRules:
        """Those of cameras that were removed are the common ones."""
        common, keep_of, max_of = self._settings, dict[str, Keep](), dict[str, int]()
        for camera in self._tools.kernel.state.cameras:
            source = self._tools.sources.find(camera)
            if source is None:
                continue
            own = source.recording
            keep_of[camera] = Keep(own.keep_s, own.events_keep_s)
            if own.max_bytes is not None:
                max_of[camera] = own.max_bytes
        keep = Keep(common.keep_s, max(common.keep_s, common.events_keep_s))
        return RetentionRules(keep, common.max_bytes, keep_of, max_of)

    def _pins(self) -> list[Pinned]:
        pins = self._tools.kernel.state.pins.values()
        return [Pinned(camera, pin.from_ns, pin.to_ns) for pin in pins for camera in pin.cameras]

    async def run(self) -> None:
        """Write recordings, until it is cancelled.

        Cancellation: at any time. Cleanup: all files are sealed, and the journal has their digests.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._reports.run)
            wait = partial(self._tools.wait_after_crash, f"archive {ARCHIVE}")
            await run_supervised(f"archive {ARCHIVE}", self.archive.run, wait)

    def rooms(self) -> Sequence[ArchiveRoom]:
        room = self.retainer.room
        return () if room is None else (room,)

    async def footage_bytes(
        self, stretches: Sequence[CameraTime], of_all: tuple[int, int] | None
    ) -> Mapping[str, Mapping[CameraId, int]]:
        """As `ArchivesPort`."""
        work = partial(measure, self._settings.folder, self.retainer, stretches, of_all)
        try:
            with trio.fail_after(PATIENCE_S):
                return {ARCHIVE: await run_in_thread(work, limiter=self._measuring, abandon="a disk may not answer")}
        except (trio.TooSlowError, OSError, apsw.Error) as error:
            why = str(error) or "the disk does not answer"
            raise Rejected(Refusal.UNAVAILABLE, f"archive {ARCHIVE} cannot be read: {why}", 5.0) from None

    def statistics(self) -> Mapping[str, ArchiveStatistics]:
        """By the name of the archive."""
        return {ARCHIVE: self.archive.statistics()}

    async def record(self, camera: CameraId, hub: Hub) -> None:
        """Record a camera while its settings want it, until it is cancelled.

        Cancellation: at any time. Cleanup: that of `Recorder.run`.
        """
        sources = self._tools.sources

        def settings() -> RecordSettings:
            source = sources.find(camera)
            return RecordSettings() if source is None else source.recording

        await Recorder(camera, hub, self.archive, self._reports, self._tools.kernel, settings).run()
