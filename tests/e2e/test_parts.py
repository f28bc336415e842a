"""The page of a daemon with parts that are off: it shows, offers, loads and asks nothing of them."""

from pathlib import Path

import pytest

from tests.kit.chromium import open_chromium
from tests.kit.daemon import open_daemon

pytestmark = pytest.mark.usefixtures("chromium_here")

CAMERAS = {"front": {"source": "test:320x180@15"}}
OPENERS = "[...document.querySelectorAll('.opener')].map(({dataset}) => dataset.part.slice(5)).join()"
LISTED = "[...document.querySelectorAll('[data-part=help-list] dd')].map((node) => node.innerText)"
LOADED = "performance.getEntriesByType('resource').map(({name}) => new URL(name).pathname)"
VIEWS = "processes,devices,viewers,detections,timeline,recordings,audit,rooms"


@pytest.mark.parametrize(
    ("off", "views", "kept"),
    [
        ("", VIEWS, ("rooms", "detections")),
        ("rooms", VIEWS.replace(",rooms", ""), ("detections",)),
        ("detections", VIEWS.replace("detections,", ""), ("rooms",)),
        ("rooms, detections", VIEWS.replace("detections,", "").replace(",rooms", ""), ()),
    ],
)
async def test_page_shows_and_asks_nothing_of_a_part_that_is_off(
    tmp_path: Path, off: str, views: str, kept: tuple[str, ...]
) -> None:
    """No button, key, line of the help, setting, script or request, also in the large view. The rest works."""
    more = f"parts: {{{', '.join(f'{name}: off' for name in off.split(', '))}}}" if off else ""
    async with open_daemon(tmp_path, CAMERAS, more) as daemon, open_chromium() as browser:
        async with browser.open_page(daemon.url + "#rooms") as page:
            await page.wait_for("banken.players.get('front')?.state().name === 'live'", 30)
            assert await page.evaluate(OPENERS) == views
            for name, key in (("rooms", "o"), ("detections", "x")):
                await page.press("v")
                await page.wait_for("document.querySelector('#view-viewers').checkVisibility()")
                await page.press(key)
                shown = f"Boolean(document.querySelector('#view-{name}')?.checkVisibility())"
                assert await page.evaluate(shown) == (name in kept)
                if name in kept:
                    await page.press(key)
                else:
                    await page.press("v")
            assert [name for name in ("rooms", "detections") if name in await page.evaluate(LISTED)] == sorted(
                kept, reverse=True
            )
            await page.press(",")
            option = "document.querySelector('[data-part=suggest-hidden]').checkVisibility()"
            assert await page.evaluate(option) == ("detections" in kept)
            await page.press("Escape")
            await page.wait_for("!document.querySelector('dialog[open]')")
            await page.click(".tile .picture")
            await page.wait_for("document.querySelectorAll('[data-part=large-history] li').length > 0")
            for name in ("rooms", "detections"):
                paths = [path for path in await page.evaluate(LOADED) if f"/{name}" in path]
                assert bool(paths) == (name in kept), paths
            assert [failure for failure in page.failures if not failure.canceled] == []
            assert [str(line) for line in page.console if line.kind in ("error", "uncaught", "browser")] == []
