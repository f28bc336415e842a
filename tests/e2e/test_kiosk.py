"""Three days of a page that nobody closes, in a minute: its clock and its server are made of nothing (`kiosk.js`)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import open_daemon

pytestmark = pytest.mark.usefixtures("chromium_here")

KIOSK = Path(__file__).parents[1] / "kit" / "kiosk.js"
HOURS = 72
ROWS = "[...document.querySelectorAll('[data-part=rows] > li')]"
FULL = 500
"""Rows of the page's journal."""
ROWS_A_HOUR = 240
HEAP_MB = 1.0


async def heap_mb(page: Page) -> float:
    await page.command("HeapProfiler.collectGarbage")
    metrics = (await page.command("Performance.getMetrics"))["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "JSHeapUsedSize")) / 1e6


@asynccontextmanager
async def open_kiosk(folder: Path) -> AsyncIterator[Page]:
    async with open_daemon(folder, {}) as daemon, open_chromium(size=(1440, 900)) as browser:
        async with browser.open_page("about:blank") as page:
            await page.command("Page.addScriptToEvaluateOnNewDocument", {"source": KIOSK.read_text()})
            await page.command("Performance.enable")
            await page.goto(daemon.url)
            yield page
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


async def test_three_days_leave_the_page_as_it_was(tmp_path: Path) -> None:
    """Lines break, the server is replaced, suggestions come and go, somebody looks at a camera and forgets it:
    timers, elements, connections and leases are after every hour what they were after the third, the ring is full.
    """
    async with open_kiosk(tmp_path) as page:
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


async def test_the_journal_is_cut_at_500_rows_which_are_used_again(tmp_path: Path) -> None:
    """Later rows reuse the same elements, the newest on top."""
    newest = f"Number({ROWS}[0].dataset.seq)"
    async with open_kiosk(tmp_path) as page:
        await page.evaluate("kiosk.pass(10_800_000)", within=120)
        assert await page.evaluate(f"{ROWS}.length") == FULL < 3 * ROWS_A_HOUR
        before = await page.evaluate(newest)
        await page.evaluate(f"{ROWS}.forEach((row) => (row.known = true))")
        await page.evaluate("kiosk.pass(3_600_000)", within=60)
        assert await page.evaluate(newest) == before + ROWS_A_HOUR
        assert await page.evaluate(f"{ROWS}.filter((row) => row.known).length") == FULL


async def test_idle_page_continues_with_suggestions_and_a_left_page_stops(
    tmp_path: Path,
) -> None:
    """The large view ends after five minutes, the suggestion of the tenth is played. Left while all of it plays, the
    page has no timer, connection, socket or lease any more, and asks for nothing; come back to, it plays again.
    """
    async with open_kiosk(tmp_path) as page:
        await page.evaluate("kiosk.pass(60_000)", within=60)
        await open_large(page)
        await page.evaluate("kiosk.pass(280_000)", within=60)
        assert (await counts(page))["leases"] == 0
        await page.evaluate("kiosk.pass(215_000)", within=60)
        assert await page.evaluate("banken.suggest().state().name") == "live"
        assert (await counts(page))["connections"] == 3

        await page.evaluate("document.querySelector('[data-part=large-close]').click(); kiosk.pass(1000)")
        await page.evaluate("document.querySelector('[data-part=open-processes]').click(); kiosk.pass(1000)")
        await open_large(page, after_ms=3000)
        busy = await counts(page)
        assert (busy["connections"], busy["leases"], busy["sockets"]) == (4, 1, 1)
        assert busy["timers"] > 0
        await page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true})); kiosk.pass(1000)")
        left = await counts(page)
        nothing = ("timers", "connections", "peers", "leases", "sockets")
        assert {name: left[name] for name in nothing} == dict.fromkeys(nothing, 0)
        asked = await page.evaluate("kiosk.server.asked")
        await page.evaluate("kiosk.pass(3_600_000)", within=60)
        assert (await page.evaluate("kiosk.server.asked"), (await counts(page))["timers"]) == (asked, 0)

        await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true})); kiosk.pass(5000)")
        assert await page.evaluate("banken.players.get('front').state().name") == "live"


async def counts(page: Page) -> dict[str, Any]:
    return dict(await page.evaluate("kiosk.counts()"))


async def open_large(page: Page, after_ms: int = 60_000) -> None:
    """A camera is opened large; so much later it is played, under its lease."""
    await page.evaluate("document.querySelector('.grid .tile[data-camera=yard] .picture').click()")
    await page.evaluate(f"kiosk.pass({after_ms})", within=60)
    assert (await counts(page))["leases"] == 1


async def look_and_forget(page: Page) -> None:
    """A camera is opened large; after five minutes without a touch its lease and its connection are given back."""
    await open_large(page)
    assert (await counts(page))["connections"] == 3
    await page.evaluate("kiosk.pass(300_000)", within=60)
    left = await counts(page)
    assert (left["leases"], left["connections"]) == (0, 2)
    assert await page.evaluate("document.querySelector('dialog.large').innerText.includes('No input on this page')")
    await page.evaluate("document.querySelector('[data-part=large-close]').click(); kiosk.pass(3_340_000)", within=120)
