"""Three days of a page that nobody closes, in a minute: its clock and its server are made of nothing (`kiosk.js`)."""

from pathlib import Path

import pytest

from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import open_daemon

pytestmark = pytest.mark.usefixtures("chromium_here")

KIOSK = Path(__file__).parents[1] / "kit" / "kiosk.js"
HOURS = 72
FULL = 500
"""Rows of the page's journal."""
ROWS_A_HOUR = 240
HEAP_MB = 1.0


async def heap_mb(page: Page) -> float:
    await page.command("HeapProfiler.collectGarbage")
    metrics = (await page.command("Performance.getMetrics"))["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "JSHeapUsedSize")) / 1e6


async def test_three_days_leave_the_page_as_it_was(tmp_path: Path) -> None:
    """Lines break, the server is replaced, suggestions come and go, somebody looks at a camera and forgets it:
    timers, elements, connections and leases are after every hour what they were after the third, the ring is full.
    """
    async with open_daemon(tmp_path, {}) as daemon, open_chromium(size=(1440, 900)) as browser:
        async with browser.open_page("about:blank") as page:
            await page.command("Page.addScriptToEvaluateOnNewDocument", {"source": KIOSK.read_text()})
            await page.command("Performance.enable")
            await page.goto(daemon.url)
            seen, heaps = [], []
            for hour in range(1, HOURS + 1):
                await page.evaluate("kiosk.pass(3_500_000)", within=120)
                if hour % 8 == 0:
                    await look_and_forget(page)
                else:
                    await page.evaluate("kiosk.pass(100_000)", within=120)
                seen.append(await page.evaluate("kiosk.counts()"))
                if hour in (3, HOURS):
                    heaps.append(await heap_mb(page))
            assert await page.evaluate("kiosk.hour()") >= HOURS
            settled = seen[2]
            assert (settled["connections"], settled["sockets"], settled["leases"]) == (2, 1, 0)
            assert [counts for counts in seen[2:] if counts != settled] == []
            assert settled["rows"] == FULL < 3 * ROWS_A_HOUR
            assert heaps[1] - heaps[0] < HEAP_MB, heaps
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


async def look_and_forget(page: Page) -> None:
    """A camera is opened large; after five minutes without a touch its lease and its connection are given back."""
    await page.evaluate("document.querySelector('.grid .tile[data-camera=yard] .picture').click()")
    await page.evaluate("kiosk.pass(60_000)", within=60)
    held = await page.evaluate("kiosk.counts()")
    assert (held["leases"], held["connections"]) == (1, 3)
    await page.evaluate("kiosk.pass(300_000)", within=60)
    left = await page.evaluate("kiosk.counts()")
    assert (left["leases"], left["connections"]) == (0, 2)
    assert await page.evaluate("document.querySelector('dialog.large').innerText.includes('Nobody touched this page')")
    await page.evaluate("document.querySelector('[data-part=large-close]').click(); kiosk.pass(3_340_000)", within=120)
