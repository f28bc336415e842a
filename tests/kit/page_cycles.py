"""One page that opens and closes the large view, and is suggested one camera after the other, again and again; the page
and the daemon counted before and after.

Rules of this file:
1. The counts are taken when the view is closed, the suggestion is dismissed, and only the wall is watched.
2. The warm-up runs the same cycles.
3. For each count the minimum of several readings is used, after a garbage collection of the browser.
4. The rows of the journal are not counted: their ring fills while this goes on. `test_kiosk.py` counts them.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import attrs
import trio

from .chromium import Page, open_chromium
from .daemon import Daemon, open_daemon
from .http import request
from .patience import give_up_after
from .processes import descriptors

CAMERAS = ("front", "yard")
TOKEN = "detector-in-a-test"
WITHIN_S = 20.0
COUNTED = 5
CONNECTIONS = """(() => {
  const open = new Set(), Stock = RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Stock {
    constructor(...given) { super(...given); open.add(this); }
    close() { super.close(); open.delete(this); }
  };
  globalThis.openConnections = () => open.size;
})()"""
ROWS = """(() => {
  const below = (root) => {
    const walker = document.createTreeWalker(root);
    let count = 0;
    while (walker.nextNode()) count += 1;
    return count;
  };
  const rows = document.querySelector("[data-part=rows]");
  // Each mark shows its symbol in a tree of its own, which no walker sees: a root, and a copy of the symbol.
  const symbols = [...rows.querySelectorAll("use")].map((use) => document.querySelector(use.getAttribute("href")));
  const marks = symbols.map((symbol) => 2 + below(symbol));
  return marks.reduce((sum, each) => sum + each, below(rows));
})()"""
LARGE = "banken.large()?.state().name === 'live' && banken.large().statistics().firstFrameMs"


@attrs.frozen
class PageCount:
    heap_mb: float
    nodes: int
    """Without the journal's rows."""
    connections: int
    descriptors: int
    """Of the daemon."""


@attrs.frozen
class PageCycled:
    """`opened_ms`: from the click to the first picture; `suggested_ms`: from the detection to the first picture."""

    before: PageCount
    after_large: PageCount
    after_suggest: PageCount
    opened_ms: tuple[int, ...]
    suggested_ms: tuple[int, ...]


async def run_page_cycles(folder: Path, warm_up: int, cycles: int, report: Callable[[str, int], None]) -> PageCycled:
    """Tell after every cycle."""
    most = warm_up + cycles
    # Each label is more important than the one before, so each detection replaces the suggestion before it.
    labels = ", ".join(f"l{number}" for number in reversed(range(most)))
    policy = f"detections: {{token: {TOKEN}, labels: [{labels}], score: 0.1, quiet: 0s, shown: 600s, at_once: 1}}"
    cameras = dict.fromkeys(CAMERAS, "test:320x180@15")
    async with (
        open_daemon(folder, cameras, policy) as daemon,
        open_chromium() as browser,
        browser.open_page("about:blank") as page,
    ):
        await page.command("Performance.enable")
        await page.command("Page.addScriptToEvaluateOnNewDocument", {"source": CONNECTIONS})
        await page.goto(daemon.url)
        for camera in CAMERAS:
            await page.wait_for(f"banken?.players.get({camera!r})?.state().name === 'live'", WITHIN_S)

        async def repeat(name: str, numbers: range, cycle: Callable[[Page, Daemon, int], Awaitable[int]]) -> list[int]:
            took = []
            for number in numbers:
                took.append(await cycle(page, daemon, number))
                report(name, number)
            return took

        await repeat("warm-up", range(warm_up), _open_and_close)
        await repeat("warm-up", range(warm_up), _suggest)
        await _put_away(page)
        before = await _settled(page, daemon)
        opened = await repeat("large", range(cycles), _open_and_close)
        after_large = await _settled(page, daemon)
        suggested = await repeat("suggest", range(warm_up, most), _suggest)
        await _put_away(page)
        return PageCycled(before, after_large, await _settled(page, daemon), tuple(opened), tuple(suggested))


async def _open_and_close(page: Page, daemon: Daemon, number: int) -> int:
    camera = CAMERAS[number % len(CAMERAS)]
    await page.evaluate(f"document.querySelector('.grid .tile[data-camera={camera}] .picture').click()")
    took = await page.wait_for(LARGE, WITHIN_S)
    await page.evaluate("document.querySelector('[data-part=large-close]').click()")
    await _wait_only_the_wall(daemon, len(CAMERAS))
    return int(took)


async def _suggest(page: Page, daemon: Daemon, number: int) -> int:
    camera, label = CAMERAS[number % len(CAMERAS)], f"l{number}"
    seen = {"camera": camera, "time": datetime.now(UTC).isoformat(), "label": label, "score": 0.9}
    began = trio.current_time()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    answer = await request(daemon.port, "POST", "/api/detections", json.dumps(seen), headers)
    assert answer.json["suggested"], answer.text
    shown = f"document.querySelector('[data-part=suggest-what]').innerText.startsWith('{label} ')"
    await page.wait_for(f"{shown} && banken.suggest()?.statistics().firstFrameMs", WITHIN_S)
    took = trio.current_time() - began
    await _wait_only_the_wall(daemon, len(CAMERAS) + 1)
    return round(took * 1000)


async def _put_away(page: Page) -> None:
    await page.evaluate("document.querySelector('[data-part=suggest-away]').click()")


async def _wait_only_the_wall(daemon: Daemon, peers: int) -> None:
    with give_up_after(WITHIN_S):
        while True:
            if len((await daemon.get("/api/peers"))["peers"]) == peers:
                return
            await trio.sleep(0.01)


async def _settled(page: Page, daemon: Daemon) -> PageCount:
    await _wait_only_the_wall(daemon, len(CAMERAS))
    counts = []
    for _ in range(COUNTED):
        await page.command("HeapProfiler.collectGarbage")
        metrics = {each["name"]: each["value"] for each in (await page.command("Performance.getMetrics"))["metrics"]}
        nodes = int(metrics["Nodes"]) - int(await page.evaluate(ROWS))
        connections = int(await page.evaluate("openConnections()"))
        counts.append(PageCount(metrics["JSHeapUsedSize"] / 1e6, nodes, connections, len(descriptors(daemon.pid))))
        # Resources that were just closed are released between the frames.
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestIdleCallback(done)))")
    return PageCount(*(min(values) for values in zip(*(attrs.astuple(each) for each in counts), strict=True)))
