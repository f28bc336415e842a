"""Repeated kills of a real daemon that records, over one journal and one archive, with a check of every file.

Rules of this file:
1. The moment of a kill is drawn from the seed and its number alone; a fault names both.
2. The loss of a kill is the time from the end of a camera's last whole fragment to the kill.
3. The files of one life are checked after the repair by the next one; the last one ends gracefully.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import attrs
import av
import trio

from actors.media.media import CLOCK_RATE
from actors.recorder.archive_writer import list_files

from .daemon import MANY_REQUESTS, launch_daemon, write_config
from .footage import audit, ended_ns, unplayable, walked
from .journals import read_all
from .kills import ENCODER
from .processes import wait_until

FPS = 10
OPEN_S = 1.0 + 1 / FPS
"""The longest time of a fragment that is not cut yet: it ends with the first access unit after a second."""
LIFE_S = (0.2, 5.0)
"""After the ready line; a camera is live about a second later."""
STEADY_S = 2.0
"""A camera that is recorded at least this long before the kill counts for the loss."""
PICTURE = ("-f", "lavfi", "-re", "-i", f"testsrc=size=64x64:rate={FPS}")


@attrs.frozen
class RecordingKill:
    """One kill: when it came, and what it cost."""

    number: int
    after_s: float
    """From the ready line."""
    losses_s: tuple[float, ...]
    """Of each camera that was recorded when it was killed."""
    files: int
    """Files in the archive."""


@attrs.frozen
class RecordingKills:
    kills: tuple[RecordingKill, ...]
    faults: tuple[str, ...]
    gaps: int
    """Gaps in the journals, each with its cause."""
    files: int


@attrs.define
class RecordingLane:
    """One journal and one archive, and the daemons that live and die over them."""

    folder: Path
    seed: int
    cameras: int
    kills: list[RecordingKill] = attrs.field(factory=list)
    faults: list[str] = attrs.field(factory=list)
    gaps: int = 0
    files: int = 0
    _decoded: set[str] = attrs.field(factory=set)

    @property
    def archive(self) -> Path:
        return self.folder / "recordings"

    async def run(self, numbers: Iterator[int], report: Callable[[RecordingKill], None]) -> None:
        self.folder.mkdir()
        source = {"ffmpeg": [*PICTURE, *ENCODER, "-g", str(2 * FPS)], "record": "always"}
        names = [f"camera-{number}" for number in range(self.cameras)]
        more = f"limits: {{{MANY_REQUESTS}}}\nrecord: {{path: {self.archive}, reserve: 64MiB}}"
        write_config(self.folder, dict.fromkeys(names, source), more)
        for number in numbers:
            kill = await self._kill(number)
            self.kills.append(kill)
            report(kill)
        await self._end()

    async def _kill(self, number: int) -> RecordingKill:
        random = Random(f"{self.seed}/{number}")
        async with launch_daemon(self.folder) as daemon:
            await daemon.wait_ready()
            before, began = self._growing(), time.monotonic()
            await trio.sleep(random.uniform(*LIFE_S))
            daemon.process.kill()
            dead_ns, after_s = time.time_ns(), time.monotonic() - began
            await wait_until(lambda: daemon.process.poll() is not None, 5, what="the end of the daemon")
            if "Traceback" in daemon.output:
                self.faults.append(f"kill {number}: it said: {daemon.output[-2000:]}")
        self._look_at_repaired(before)
        return RecordingKill(number, after_s, tuple(self._losses(dead_ns)), len([*list_files(self.archive)]))

    def _growing(self) -> list[str]:
        """The files that the life before has left without an end."""
        if not self.archive.exists():
            return []
        return [path for path in list_files(self.archive) if not walked(self.archive / path).is_sealed]

    def _losses(self, dead_ns: int) -> Iterator[float]:
        """For each camera that was recorded, the time from its last whole fragment to the kill."""
        newest = {path.partition("/")[0]: walked(self.archive / path) for path in list_files(self.archive)}
        for found in newest.values():
            if found.is_sealed or not found.fragments:
                continue
            first, last = found.fragments[0].place, found.fragments[-1].place
            if dead_ns - first.wall_ns > STEADY_S * 1e9:
                yield (dead_ns - ended_ns(last)) / 1e9

    def _look_at_repaired(self, growing: list[str]) -> None:
        """Decode what this life has repaired. One that was killed early has left it to the next."""
        for path in growing:
            if (self.archive / path).exists() and (found := walked(self.archive / path)).is_sealed:
                self._decode(path, found.duration)

    def _decode(self, path: str, duration: int) -> None:
        """Every frame is decoded, by libav."""
        if path in self._decoded:
            return
        self._decoded.add(path)
        try:
            with av.open(str(self.archive / path)) as container:
                frames = sum(1 for _ in container.decode(video=0))
        except av.FFmpegError as error:
            self.faults.append(f"{path} does not play: {error}")
            return
        if abs(frames - duration * FPS / CLOCK_RATE) > 2 + 0.1 * frames:
            self.faults.append(f"{path} has {frames} frames in {duration / CLOCK_RATE:.2f} s")

    async def _end(self) -> None:
        """Run one more life, after which everything is whole."""
        async with launch_daemon(self.folder) as daemon:
            await daemon.wait_ready()
            await trio.sleep(LIFE_S[1])
            code = await daemon.end()
        if code:
            self.faults.append(f"the graceful end has exit code {code}")
        rows = read_all(self.folder / "journal")
        for path in list_files(self.archive):
            self._decode(path, walked(self.archive / path).duration)
        self.files = len(self._decoded)
        self.gaps = sum(row.type == "RecordingInterrupted" for row in rows)
        found = [*unplayable(self.archive), *audit(rows, self.archive)]
        self.faults += [f"seed {self.seed}: {fault}" for fault in found]


async def run_recording_kills(
    folder: Path,
    kills: int,
    seed: int,
    cameras: int,
    lanes: int,
    report: Callable[[RecordingKill], None] = lambda kill: None,
) -> RecordingKills:
    """Kill that many times, in so many lanes at once, then end each gracefully."""
    numbers = iter(range(1, kills + 1))
    made = [RecordingLane(folder / f"lane-{index}", seed, cameras) for index in range(lanes)]
    async with trio.open_nursery() as nursery:
        for lane in made:
            nursery.start_soon(lane.run, numbers, report)
    return RecordingKills(
        tuple(sorted((kill for lane in made for kill in lane.kills), key=lambda kill: kill.number)),
        tuple(fault for lane in made for fault in lane.faults),
        sum(lane.gaps for lane in made),
        sum(lane.files for lane in made),
    )
