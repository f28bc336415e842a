"""One page that repeatedly opens a live view, waits for a frame and closes the view, with counts of the daemon between.

Rules of this file:
1. The count is taken when the view is closed, its peer is gone and the related requests are finished.
2. The warm-up runs the same cycles: imports, caches and thread pools fill in it.
3. For memory the minimum of several counts is used, which excludes momentary peaks.
"""

import re
from collections.abc import Callable
from pathlib import Path

import attrs
import trio

from .chromium import Page, open_chromium
from .daemon import Daemon, open_daemon
from .http import request
from .patience import PATIENCE, give_up_after
from .processes import wait_until
from .slopes import IDLE, Sample
from .soak import take_sample

CAMERA, PICTURE = "front", "test:320x180@15"
PLAYER = f"window.banken?.players.get('{CAMERA}')"
TOGGLE = "document.querySelector('.tile [data-part=play]').click()"
WITHIN_S = 20.0
"""Timeout in seconds for a first frame, or for the end of a peer."""
SETTLE_S = 20.0
"""Idle threads end within this time in seconds: trio keeps each for 10 s."""
COUNTED = 5
"""Counts from which the least memory is taken."""


@attrs.frozen
class Count:
    sample: Sample
    tasks: int
    """Of trio's loop."""


@attrs.frozen
class Cycled:
    """The daemon before, during and after; `took_ms` are the first pictures after the click."""

    before: Count
    after: Count
    on_the_way: tuple[Count, ...]
    took_ms: tuple[int, ...]
    seconds: float


async def run_cycles(folder: Path, warm_up: int, cycles: int, report: Callable[[int, Count], None]) -> Cycled:
    """Tell the count after every cycle."""
    async with (
        open_daemon(folder, {CAMERA: PICTURE}) as daemon,
        open_chromium() as browser,
        browser.open_page(daemon.url) as page,
    ):
        await page.wait_for(f"{PLAYER}?.statistics().framesDecoded > 0", WITHIN_S)
        await page.evaluate(TOGGLE)
        for _ in range(warm_up):
            await _cycle(page, daemon)
        before = await _settled(daemon, None)
        counts, took, began = [], [], trio.current_time()
        for number in range(1, cycles + 1):
            took.append(await _cycle(page, daemon))
            counts.append(await count(daemon))
            report(number, counts[-1])
        seconds = trio.current_time() - began
        return Cycled(before, await _settled(daemon, before), tuple(counts), tuple(took), seconds)


async def _cycle(page: Page, daemon: Daemon) -> int:
    """Open, see, close; milliseconds from the click to the first presented picture."""
    await page.evaluate(TOGGLE)
    took = await page.wait_for(f"{PLAYER}.state().name === 'live' && {PLAYER}.statistics().firstFrameMs", WITHIN_S)
    await page.evaluate(TOGGLE)
    with give_up_after(WITHIN_S):
        while True:
            if not (await daemon.get("/api/peers"))["peers"]:
                return int(took)
            await trio.sleep(0.01)


async def _settled(daemon: Daemon, before: Count | None) -> Count:
    """The count with the least memory of a few; with `before`, once threads that idle have gone, if they go."""
    threads = await _idle_threads(daemon, before)
    least = min([await count(daemon) for _ in range(COUNTED)], key=lambda each: each.sample.pss_mb)
    return attrs.evolve(least, sample=attrs.evolve(least.sample, threads=threads))


async def _idle_threads(daemon: Daemon, before: Count | None) -> int:
    """The fewest threads seen while nothing is asked of the daemon: every request may use one, or need one more."""
    fewest = (await _sample(daemon)).threads
    with trio.move_on_after(SETTLE_S * PATIENCE):
        while before is not None and fewest > before.sample.threads + IDLE["threads"]:
            await trio.sleep(0.1)
            fewest = min(fewest, (await _sample(daemon)).threads)
    return fewest


async def _sample(daemon: Daemon) -> Sample:
    return await wait_until(lambda: take_sample(daemon.pid, trio.current_time(), True, 0))


async def count(daemon: Daemon) -> Count:
    """Return the counts from `/proc`, and the daemon's own task count, always including the current request."""
    text = (await request(daemon.port, "GET", "/metrics")).text
    found = re.search(r"^banken_tasks (\S+)$", text, re.MULTILINE)
    assert found is not None
    return Count(await _sample(daemon), int(float(found[1])))
