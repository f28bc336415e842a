"""The archives of a daemon, and the recorder of each camera. Imported with the first camera that is recorded."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import apsw
import trio

from actors.media.hub import Hub
from actors.tools import Tools
from supervisor.base.supervision import run_supervised
from supervisor.base.threads import run_in_thread
from supervisor.config.config import ArchiveSettings, RecordSettings
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId
from supervisor.ports.archives import ArchiveRoom, CameraTime
from supervisor.ports.statistics import ArchiveStatistics

from .archive import Archive
from .archive_writer import ArchiveWriter
from .recorder import Recorder
from .reports import JournaledReports
from .retainer import Retainer, measure
from .retention import Keep, Pinned, RetentionRules

PATIENCE_S = 5.0
"""The longest wait for the index of an archive."""


class KeptArchive:
    """An archive with its reports. Made once."""

    def __init__(self, name: str, settings: ArchiveSettings, tools: Tools) -> None:
        kernel = tools.kernel
        self.name, self.folder, self._settings, self._tools = name, settings.path, settings, tools
        self.reports = JournaledReports(name, kernel)
        writer = ArchiveWriter(settings.path, kernel.node, kernel.new_id, reserve=settings.reserve)
        clock = kernel.clock
        self.retainer = Retainer(name, settings.path, self._rules, self._pins, clock.wall_ns, clock.mono_ns)
        self.archive = Archive(settings.path, writer, self.reports, settings.sync_s, self.retainer)

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
        name = f"archive {self.name}"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.reports.run)
            await run_supervised(name, self.archive.run, partial(self._tools.wait_after_crash, name))


class RecorderCrew:
    """Made once by the registry."""

    def __init__(self, archives: Mapping[str, ArchiveSettings], tools: Tools) -> None:
        self._tools = tools
        self._archives = {name: KeptArchive(name, settings, tools) for name, settings in archives.items()}
        self._wanted: dict[str, None] = {}
        """The archives that run, or will when `run` does."""
        self._nursery: trio.Nursery | None = None
        self._looking, self._measuring = trio.CapacityLimiter(len(archives)), trio.CapacityLimiter(2)

    async def run(self) -> None:
        """Run the archives that cameras are recorded into, and those that exist, until it is cancelled.

        Cancellation: at any time. Cleanup: that of `KeptArchive.run`.
        """
        try:
            async with trio.open_nursery() as self._nursery:
                for name in self._wanted:
                    self._nursery.start_soon(self._archives[name].run, name=f"archive/{name}")
                for name, kept in self._archives.items():
                    self._nursery.start_soon(self._start_existing, name, kept.folder)
                await trio.sleep_forever()
        finally:
            self._nursery = None

    async def _start_existing(self, name: str, folder: Path) -> None:
        """Old recordings expire also if no camera is recorded there any more."""
        if await run_in_thread(folder.exists, limiter=self._looking, abandon="a disk may not answer"):
            self._start(name)

    def _start(self, name: str) -> None:
        if name in self._wanted:
            return
        self._wanted[name] = None
        if self._nursery is not None:
            self._nursery.start_soon(self._archives[name].run, name=f"archive/{name}")

    def rooms(self) -> Sequence[ArchiveRoom]:
        rooms = (self._archives[name].retainer.room for name in self._wanted)
        return [room for room in rooms if room is not None]

    async def footage_bytes(
        self, stretches: Sequence[CameraTime], of_all: tuple[int, int] | None
    ) -> Mapping[str, Mapping[CameraId, int]]:
        """As `ArchivesPort`."""
        return {name: await self._bytes(kept, stretches, of_all) for name, kept in self._archives.items()}

    async def _bytes(
        self, kept: KeptArchive, stretches: Sequence[CameraTime], of_all: tuple[int, int] | None
    ) -> Mapping[CameraId, int]:
        work = partial(measure, kept.folder, kept.retainer, stretches, of_all)
        try:
            with trio.fail_after(PATIENCE_S):
                return await run_in_thread(work, limiter=self._measuring, abandon="a disk may not answer")
        except (trio.TooSlowError, OSError, apsw.Error) as error:
            why = str(error) or "the disk does not answer"
            raise Rejected(Refusal.UNAVAILABLE, f"archive {kept.name} cannot be read: {why}", 5.0) from None

    def statistics(self) -> Mapping[str, ArchiveStatistics]:
        """By the name of the archive; of those that run."""
        return {name: kept.archive.statistics() for name, kept in self._archives.items() if name in self._wanted}

    async def record(self, camera: CameraId, hub: Hub) -> None:
        """Record a camera while its settings want it, until it is cancelled.

        Cancellation: at any time. Cleanup: that of `Recorder.run`.
        """
        sources = self._tools.sources

        def settings() -> RecordSettings:
            source = sources.find(camera)
            return RecordSettings() if source is None else source.recording

        while not hub.is_closed:
            kept = self._kept(settings().archive)
            self._start(kept.name)
            is_here = partial(self._is_kept_in, kept, settings)
            await Recorder(camera, hub, kept.archive, kept.reports, self._tools.kernel, settings, is_here).run()

    def _is_kept_in(self, kept: KeptArchive, settings: Callable[[], RecordSettings]) -> bool:
        return self._kept(settings().archive) is kept

    def _kept(self, name: str) -> KeptArchive:
        """An archive; the first one instead of one that a later configuration has added: a start makes it."""
        return self._archives.get(name) or next(iter(self._archives.values()))
