"""The four programs of a site's launcher, of which each is killed in turn: camera program, detector, page and daemon.

The first two are stand-ins that write shared memory as in C, and that banken runs as `daemons`. The page is a real
browser, or without one a client that fetches snapshots.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from supervisor.domain import events as e

from .chromium import chromium_missing_reason, open_chromium
from .daemon import ROOT, Daemon, launch_daemon, write_config
from .http import request
from .processes import ProcessInfo, all_processes, descriptors, wait_until
from .shared_memory import SEMAPHORE, SHM

MARK = f"launcher-{os.getpid()}"
STREAM, DETECTIONS = f"/banken-{MARK}-stream", f"/banken-{MARK}-detections"
WITHIN_S = 90.0
"""A limit that ends a hang; recovery takes a few seconds."""
Say = Callable[[str], None]


def programs(name: str) -> list[ProcessInfo]:
    """The running processes with `name` among their arguments: guardians, and the programs below them."""
    return [process for process in all_processes() if name in process.cmdline and not process.zombie]


def segments() -> list[str]:
    return [path.name for path in SHM.iterdir() if MARK in path.name]


@attrs.define
class Site:
    """The running site."""

    folder: Path
    say: Say
    figures: dict[str, float] = attrs.field(factory=dict)
    """Seconds until each program has recovered."""

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Daemon]:
        async with launch_daemon(self.folder, {"PYTHONPATH": str(ROOT)}) as daemon:
            await daemon.wait_ready()
            await daemon.wait_camera("cat", "live")
            yield daemon

    def configure(self, python: str) -> None:
        """Write the configuration: two daemons, one camera and one detector on their shared memory."""
        env = f"env: {{PYTHONPATH: {ROOT}}}"
        switcher = f"[{python}, -m, tests.kit.switcher, {STREAM}, '{SEMAPHORE}']"
        detector = f"[{python}, -m, tests.kit.shared_detections, {DETECTIONS}, '584']"
        more = (
            f"daemons:\n  switcher: {{command: {switcher}, provides: {STREAM}, {env}}}\n"
            f"  detector: {{command: {detector}, provides: {DETECTIONS}, {env}}}\n"
            f"detectors: {{yolo: {{shm: {DETECTIONS}, cameras: [cat]}}}}"
        )
        write_config(self.folder, {"cat": f"shm:{STREAM}"}, more)

    async def kill(self, daemon: Daemon, name: str, segment: str) -> None:
        """Kill one program of `daemons`, and wait until what it does is there again."""
        before = programs(segment)
        began = trio.current_time()
        os.kill(max(before, key=lambda each: each.started).pid, signal.SIGKILL)
        gone = {each.pid for each in before}

        async def recovered() -> None:
            await wait_until(lambda: programs(segment) and not gone & {p.pid for p in programs(segment)}, WITHIN_S)
            if name == "switcher":
                await daemon.wait_camera("cat", "live", WITHIN_S)
            await wait_detection(daemon)

        await recovered()
        self.figures[name] = trio.current_time() - began
        self.say(f"{name}: killed, and back after {self.figures[name]:.1f} s")


async def wait_detection(daemon: Daemon) -> None:
    """Wait for a detection after now."""
    seen = len(detections(daemon))
    await wait_until(lambda: len(detections(daemon)) > seen, WITHIN_S, what="a detection")


def detections(daemon: Daemon) -> list[Any]:
    return [row for row in daemon.journal() if isinstance(row.event, e.DetectionMade)]


async def watch(daemon: Daemon, say: Say) -> None:
    """Open the page twice; the first one is killed while it plays."""
    if chromium_missing_reason() is not None:
        for _ in range(2):
            answer = await request(daemon.port, "GET", "/api/cameras/cat/snapshot.jpg")
            assert answer.status == 200, answer
        say("page: no browser here; a client has fetched snapshots")
        return
    frames = "window.banken?.players.get('cat')?.statistics().framesDecoded ?? 0"
    async with open_chromium() as browser, browser.open_page(daemon.url) as page:
        await page.wait_for(f"({frames}) >= 15", WITHIN_S)
        await browser.kill()
    began = trio.current_time()
    async with open_chromium() as browser, browser.open_page(daemon.url) as page:
        await page.wait_for(f"({frames}) >= 15", WITHIN_S)
        say(f"page: killed, and another one plays after {trio.current_time() - began:.1f} s")


async def run_site(folder: Path, python: str, say: Say, *, page: bool = True) -> dict[str, float]:
    """Run the site, kill each program in turn, and end it. Returns the seconds until each has recovered.

    Raises AssertionError if anything is left: a process, a segment, a descriptor.
    """
    before, site = set(descriptors(os.getpid())), Site(folder, say)
    site.configure(python)
    async with site.daemon() as daemon:
        await wait_detection(daemon)
        say("all programs run")
        await site.kill(daemon, "switcher", STREAM)
        await site.kill(daemon, "detector", DETECTIONS)
        if page:
            await watch(daemon, say)
        began = trio.current_time()
        await daemon.end(signal.SIGKILL)
        await wait_until(lambda: not programs(STREAM) and not programs(DETECTIONS), WITHIN_S, what="the guardians' end")
    async with site.daemon() as daemon:
        await wait_detection(daemon)
        site.figures["daemon"] = trio.current_time() - began
        say(f"daemon: killed, and back after {site.figures['daemon']:.1f} s")
        assert await daemon.end() == 0
    left = [process.cmdline for process in all_processes() if any(MARK in part for part in process.cmdline)]
    assert left == [], left
    assert segments() == []
    assert set(descriptors(os.getpid())) == before
    say("nothing is left")
    return site.figures
