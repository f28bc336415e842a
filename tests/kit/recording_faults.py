"""A real daemon that records while its archive's disk fails: what viewers get meanwhile, and what the journal tells.

Rules of this file:
- One daemon meets all faults, one after the other, and must recover completely from each.
- The disk fails by the seam of the archive, in the daemon's own thread; for an unmount, the folder is exchanged.
- A reader over RTSP counts by the times of its frames: one that is lost leaves a hole.
"""

import errno
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

import attrs
import av
import trio

from supervisor.domain import events as e

from .daemon import MANY_REQUESTS, Daemon, launch_daemon, write_config
from .footage import audit, unplayable
from .habits import Behaviour
from .http import request
from .journals import read_all
from .processes import wait_until
from .readers import free_port
from .senders import open_senders

FAULT_FILE, ABANDON, FILES = "ARCHIVE_FAULT", "ARCHIVE_ABANDON_S", "ARCHIVE_FILE_S"
"""In the environment of a daemon: the file that names the fault, the time until a call is abandoned, and of a file."""
FPS, KEY_EVERY = 25, 25
CAMERAS = ("front", "hall")
SYNC_S = 1.0
RESUMED_WITHIN_S, FAILED_WITHIN_S = 40.0, 90.0
LAG_EVERY_S, LAG_OVER_S = 1.0, 10.0


class ArchiveFault(StrEnum):
    NONE = "none"
    STALL = "stands still"
    IO_ERROR = "EIO"
    FULL = "ENOSPC"
    READ_ONLY = "EROFS"
    UNMOUNTED = "unmounted"


ERRORS = {
    ArchiveFault.IO_ERROR: errno.EIO, ArchiveFault.FULL: errno.ENOSPC, ArchiveFault.READ_ONLY: errno.EROFS
}  # fmt: skip


@attrs.frozen
class FaultSeen:
    """The effect of one fault. Gaps are those of each camera."""

    fault: ArchiveFault
    lasted_s: float
    frames: int
    """Frames that the viewers got."""
    missed: int
    """Frames that they did not get."""
    latest_s: float
    """The longest time between two frames of a viewer."""
    lag_ms: float
    """The largest p99 of the loop lag over ten seconds, as the daemon measures it."""
    gaps_s: tuple[float, ...]
    codes: tuple[str, ...]
    """The reason of each gap."""


@attrs.frozen
class FaultRun:
    seen: tuple[FaultSeen, ...]
    faults: tuple[str, ...]
    """The findings of the audit at the end."""


@attrs.define
class RtspViewer:
    """A viewer in a thread."""

    url: str
    arrivals: list[tuple[float, float]] = attrs.field(factory=list)
    """When each frame came, and its time stamp in seconds."""
    ends: bool = False

    def run(self) -> None:
        with av.open(self.url, options={"rtsp_transport": "tcp"}, timeout=20.0) as container:
            for packet in container.demux(container.streams.video[0]):
                if self.ends:
                    return
                if packet.pts is not None:
                    self.arrivals.append((time.monotonic(), float(packet.pts * packet.time_base)))

    def since(self, began: float) -> tuple[int, int, float]:
        """The frames since then, those that are missing between them, and the longest time between two."""
        found = [each for each in self.arrivals if each[0] >= began]
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(found)]
        missed = sum(max(0, round(step * FPS) - 1) for _, step in steps)
        return len(found), missed, max((between for between, _ in steps), default=0.0)


@contextmanager
def watching(urls: Sequence[str]) -> Iterator[list[RtspViewer]]:
    viewers = [RtspViewer(url) for url in urls]
    threads = [threading.Thread(target=viewer.run, daemon=True) for viewer in viewers]
    for thread in threads:
        thread.start()
    try:
        yield viewers
    finally:
        for viewer in viewers:
            viewer.ends = True
        for thread in threads:
            thread.join(10)


@asynccontextmanager
async def open_recording(
    folder: Path, abandon_s: float, file_s: float
) -> AsyncIterator[tuple[Daemon, list[RtspViewer]]]:
    """A daemon that records two cameras, each with a viewer."""
    port = free_port()
    behaviour = Behaviour(size=(320, 240), fps=FPS, key_every=KEY_EVERY)
    async with open_senders([behaviour] * len(CAMERAS)) as urls:
        cameras = {name: {"source": url, "record": "always"} for name, url in zip(CAMERAS, urls, strict=True)}
        record = f"record: {{path: {folder / 'recordings'}, sync: {SYNC_S:g}s, reserve: 64MiB}}"
        more = f'{record}\nrtsp: {{listen: "127.0.0.1:{port}"}}\nlimits: {{{MANY_REQUESTS}}}'
        write_config(folder, cameras, more)
        environment = {FAULT_FILE: str(folder / "fault"), ABANDON: str(abandon_s), FILES: str(file_s)}
        async with launch_daemon(folder, environment, "tests.kit.recording_faults") as daemon:
            await daemon.wait_ready()
            for name in CAMERAS:
                await daemon.wait_camera(name, "live")
            with watching([f"rtsp://127.0.0.1:{port}/{name}" for name in CAMERAS]) as viewers:
                what = "the first frames of the viewers, and recordings"
                await wait_until(lambda: all(len(viewer.arrivals) > FPS for viewer in viewers), 30, what=what)
                await wait_until(lambda: are_recorded(daemon), 30, what=what)
                yield daemon, viewers


def are_recorded(daemon: Daemon, after: int = 0) -> bool:
    """Whether each camera is recorded, since an event after this one."""
    newest = dict[str, e.Event]()
    for row in daemon.journal():
        if isinstance(row.event, e.RecordingStarted | e.RecordingInterrupted | e.RecordingResumed):
            if row.seq > after:
                newest[row.event.camera] = row.event
    return len(newest) == len(CAMERAS) and not any(isinstance(each, e.RecordingInterrupted) for each in newest.values())


def has_failed(daemon: Daemon, after: int) -> bool:
    """Whether the archive has reported a fault since an event."""
    return any(isinstance(row.event, e.ArchiveFailed) and row.seq > after for row in daemon.journal())


@contextmanager
def fault_of(folder: Path, fault: ArchiveFault) -> Iterator[None]:
    """Apply a fault for the length of the block."""
    file, archive, away = folder / "fault", folder / "recordings", folder / "away"
    if fault is ArchiveFault.UNMOUNTED:
        archive.rename(away)
        archive.mkdir()
    else:
        (folder / "fault.new").write_text(fault)
        (folder / "fault.new").rename(file)
    try:
        yield
    finally:
        if fault is ArchiveFault.UNMOUNTED:
            assert not [*archive.rglob("*.mp4")], "a recording is below the mount point"
            shutil.rmtree(archive)
            away.rename(archive)
        else:
            file.unlink()


async def loop_lag_ms(daemon: Daemon) -> float:
    text = (await request(daemon.port, "GET", "/metrics")).text
    line = next(line for line in text.splitlines() if line.startswith('banken_loop_lag_seconds{quantile="0.99"}'))
    return float(line.split()[-1]) * 1000


async def meet(daemon: Daemon, viewers: Sequence[RtspViewer], fault: ArchiveFault, seconds: float) -> FaultSeen:
    """Apply a fault, wait until everything is recorded again, and return what was seen meanwhile."""
    after, began, lags = daemon.journal()[-1].seq, time.monotonic(), list[float]()

    async def rest(lasts_s: float) -> None:
        until = trio.current_time() + lasts_s
        while (left := until - trio.current_time()) > 0:
            await trio.sleep(min(left, LAG_EVERY_S))
            lags.append(await loop_lag_ms(daemon))

    if fault is ArchiveFault.NONE:
        await rest(seconds)
    else:
        with fault_of(daemon.folder, fault):
            if fault is ArchiveFault.UNMOUNTED:  # open files are written until the next one begins
                await wait_until(lambda: has_failed(daemon, after), FAILED_WITHIN_S, what="a fault of the archive")
            await rest(seconds)
        await wait_until(lambda: are_recorded(daemon, after), RESUMED_WITHIN_S, what="recordings after the fault")
        await rest(2)
    found = [viewer.since(began) for viewer in viewers]
    rows = [row.event for row in daemon.journal() if row.seq > after]
    return FaultSeen(
        fault,
        seconds,
        sum(frames for frames, _, _ in found),
        sum(missed for _, missed, _ in found),
        max(latest for _, _, latest in found),
        max(lags),
        tuple(event.gap_s for event in rows if isinstance(event, e.RecordingResumed)),
        tuple(event.reason.code for event in rows if isinstance(event, e.RecordingInterrupted)),
    )


async def run_recording_faults(
    folder: Path,
    stall_s: float,
    fault_s: float,
    abandon_s: float,
    file_s: float,
    report: Callable[[FaultSeen], None] = lambda seen: None,
) -> FaultRun:
    """A phase without a fault, then each fault; at the end, all files are compared with the journal."""
    seen = list[FaultSeen]()
    async with open_recording(folder, abandon_s, file_s) as (daemon, viewers):
        await trio.sleep(LAG_OVER_S)  # the lag of the start has passed
        for fault in ArchiveFault:
            lasts_s = stall_s if fault is ArchiveFault.STALL else fault_s
            seen.append(await meet(daemon, viewers, fault, lasts_s))
            report(seen[-1])
        code = await daemon.end()
    rows, archive = read_all(folder / "journal"), folder / "recordings"
    faults = [f"the exit code is {code}"] if code else []
    repaired = [text for text in unplayable(archive) if "it is not sealed" not in text]  # those of a call that hung
    return FaultRun(tuple(seen), (*faults, *audit(rows, archive, hung=True), *repaired))


def main() -> None:
    """The daemon, whose archive asks the file for each call."""
    from actors.recorder import archive, cutter, disk
    from supervisor.__main__ import main as run

    file = Path(os.environ[FAULT_FILE])

    def ask() -> None:
        while (fault := fault_in(file)) is ArchiveFault.STALL:
            threading.Event().wait(0.02)
        if fault in ERRORS:
            raise OSError(ERRORS[fault], os.strerror(ERRORS[fault]))

    def failing(call: Callable[..., object]) -> Callable[..., object]:
        def asks(*arguments: object, **more: object) -> object:
            ask()
            return call(*arguments, **more)

        return asks

    for name in ("create", "write", "sync", "sync_folder", "truncate", "open_again", "remove"):
        setattr(disk.Disk, name, failing(getattr(disk.Disk, name)))
    archive.ABANDON_S = float(os.environ[ABANDON])
    defaults, file_s = cutter.Cutter.__init__.__defaults__ or (), float(os.environ[FILES])
    cutter.Cutter.__init__.__defaults__ = tuple(file_s if value == cutter.FILE_S else value for value in defaults)
    run()


def fault_in(file: Path) -> ArchiveFault:
    try:
        return ArchiveFault(file.read_text())
    except FileNotFoundError:
        return ArchiveFault.NONE


if __name__ == "__main__":
    main()
