"""The archive of a daemon, and the recorder of each camera. Imported with the first camera that is recorded."""

from collections.abc import Mapping
from functools import partial

import trio

from actors.media.hub import Hub
from actors.tools import Recordings, Tools
from supervisor.base.supervision import run_supervised
from supervisor.config.config import RecordSettings
from supervisor.domain.ids import CameraId
from supervisor.ports.statistics import ArchiveStatistics

from .archive import Archive
from .archive_writer import ArchiveWriter
from .recorder import ARCHIVE, Recorder
from .reports import JournaledReports
from .retention import Keep


class RecorderCrew:
    """Made once by the registry."""

    def __init__(self, settings: Recordings, tools: Tools) -> None:
        kernel = tools.kernel
        writer = ArchiveWriter(settings.folder, kernel.node, kernel.new_id, reserve=settings.reserve)
        self._tools, self._reports = tools, JournaledReports(ARCHIVE, kernel)
        keep = Keep(settings.keep_s, settings.keep_s)
        self.archive = Archive(
            settings.folder, writer, self._reports, settings.sync_s, keep, settings.max_bytes, kernel.clock.wall_ns
        )

    async def run(self) -> None:
        """Write recordings, until it is cancelled.

        Cancellation: at any time. Cleanup: all files are sealed, and the journal has their digests.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._reports.run)
            wait = partial(self._tools.wait_after_crash, f"archive {ARCHIVE}")
            await run_supervised(f"archive {ARCHIVE}", self.archive.run, wait)

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
