"""The real daemon under normal load for minutes or days, observed from outside.

Load comes in waves: viewers join and leave and child processes are killed; then all viewers leave, every camera is
live, and the count is exact.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import attrs
import trio

from .daemon import MANY_REQUESTS, Daemon, open_daemon
from .http import request
from .kills import ENCODER, PICTURE
from .processes import descendants, descriptors, thread_names, wait_until
from .slopes import Sample
from .viewer import open_viewer

WAVE_S = 7.0
"""Of viewers and kills; then they have until the next to leave."""
SETTLE_S = 8.0
"""For a killed child to be replaced and the last viewer to be forgotten."""
EVERY_S = 66.0
"""Each camera's child is killed so often. Not every minute: a camera that was healthy for 60 s is back within 1 s,
one that was not waits longer each time."""
SAMPLE_S = 3.0
LOOK_S = 0.25
"""How often a quiet moment is looked for."""
STOP_S = 6.0
"""Kept of the time for the graceful end."""
LIMITS = f"limits: {{peers: 256, peers_per_client: 256, {MANY_REQUESTS}}}"


@attrs.frozen
class Soaked:
    samples: tuple[Sample, ...]
    seconds: float
    kills: int
    viewers: int
    """That have seen a picture."""
    code: int
    """Exit code of the graceful end."""


async def run_soak(
    folder: Path, minutes: float, cameras: int, viewers: int, seed: int, report: Callable[[Sample], None]
) -> Soaked:
    """Soak for the given time, from the start of the daemon to its end, and report every sample."""
    began = trio.current_time()
    names = [f"cam-{number}" for number in range(cameras)]
    sources = {name: {"ffmpeg": [*PICTURE, *ENCODER]} for name in names}
    async with open_daemon(folder, sources, LIMITS) as daemon:
        soak = _Soak(daemon, names, viewers, Random(seed), began, report)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(soak.run_samples)
            with trio.move_on_at(began + minutes * 60 - STOP_S):
                await soak.run_waves()
            nursery.cancel_scope.cancel()
        code = await daemon.end()
        await trio.sleep_until(began + minutes * 60)
    return Soaked(tuple(soak.samples), minutes * 60, soak.kills, soak.watched, code)


@attrs.define
class _Soak:
    daemon: Daemon
    names: list[str]
    viewers: int
    random: Random
    began: float
    report: Callable[[Sample], None]
    samples: list[Sample] = attrs.field(factory=list)
    kills: int = 0
    watched: int = 0
    present: int = 0

    async def run_waves(self) -> None:
        await self._settle()
        while True:
            async with trio.open_nursery() as nursery:
                end = trio.current_time() + WAVE_S
                for _ in range(self.viewers):
                    nursery.start_soon(self._come_and_go, end)
                nursery.start_soon(self._kill_children, end)
            await self._settle()

    async def run_samples(self) -> None:
        while True:
            self._sample(quiet=False)
            await trio.sleep(SAMPLE_S)

    async def _kill_children(self, end: float) -> None:
        """As many as are due by then, one camera after the other."""
        while (at := self.began + (self.kills + 1) * EVERY_S / len(self.names)) < end:
            await trio.sleep_until(at)
            name = self.names[self.kills % len(self.names)]
            self.kills += 1
            for process in (await self.daemon.get("/api/processes"))["processes"]:
                if process["camera"] == name and process["pid"] is not None:
                    with suppress(ProcessLookupError):
                        os.kill(process["pid"], signal.SIGKILL)

    async def _come_and_go(self, end: float) -> None:
        """One viewer after the other: it waits, comes, sees, stays a while, and leaves, with a word or without."""
        while True:
            await trio.sleep(self.random.uniform(0, 3))
            if trio.current_time() > end - 2:
                return
            async with open_viewer() as viewer, self._count():
                answer = await self.daemon.offer(self.random.choice(self.names), viewer.offer)
                if answer.status != 201:
                    continue
                await viewer.accept(answer.text)
                with trio.move_on_at(end):
                    await wait_until(lambda viewer=viewer: viewer.frames > 0, WAVE_S)  # type: ignore[misc]
                    self.watched += 1
                    await trio.sleep(self.random.uniform(0, 2))
                if self.random.random() < 0.5:
                    await request(self.daemon.port, "DELETE", answer.location)

    @asynccontextmanager
    async def _count(self) -> AsyncIterator[None]:
        self.present += 1
        try:
            yield
        finally:
            self.present -= 1

    async def _settle(self) -> None:
        """Wait for a quiet moment and count; without one in time go on."""
        with trio.move_on_after(SETTLE_S):
            while True:
                await trio.sleep(LOOK_S)
                found = (await self.daemon.get("/api/cameras"))["cameras"]
                live = sum(camera["state"] == "live" for camera in found)
                peers = len((await self.daemon.get("/api/peers"))["peers"])
                if live == len(self.names) and peers == 0:
                    await trio.sleep(LOOK_S)  # the requests that asked are closed by now
                    self._sample(quiet=True)
                    return

    def _sample(self, *, quiet: bool) -> None:
        sample = take_sample(self.daemon.pid, trio.current_time() - self.began, quiet, self.present)
        self.samples.append(sample)
        self.report(sample)


def take_sample(pid: int, at_s: float, quiet: bool, viewers: int) -> Sample:
    memory = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    size = {line.split()[0]: int(line.split()[1]) / 1024 for line in memory if line.startswith(("Rss:", "Pss:"))}
    return Sample(
        at_s=round(at_s, 1),
        quiet=quiet,
        viewers=viewers,
        descriptors=len(descriptors(pid)),
        processes=1 + len(descendants(pid)),
        threads=len(thread_names(pid)),
        rss_mb=round(size["Rss:"], 2),
        pss_mb=round(size["Pss:"], 2),
    )
