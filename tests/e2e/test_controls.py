"""The controls that no other test operates: each is pressed as a person presses it, and does what it says."""

from pathlib import Path

import pytest

from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import open_daemon

from .test_first_light import OWN
from .test_large import part, text_of, tile

pytestmark = pytest.mark.usefixtures("chromium_here")

CAMERAS = {"front": {"ffmpeg": OWN}, "gate": {"ffmpeg": ["-i", "http://127.0.0.1:9/none"]}}
PAST = "document.querySelector('[data-part=past]').dataset.past"
FOCUSED = "document.activeElement"


async def choose(page: Page, name: str, value: str) -> None:
    """As a person chooses from a list."""
    list_ = f"document.querySelector('{part(name)}')"
    await page.evaluate(f"{list_}.value = {value!r}; {list_}.dispatchEvent(new Event('change', {{bubbles: true}}))")


async def test_every_other_control_does_what_it_says(tmp_path: Path) -> None:
    """Header, past, drawer, timeline and journal, without an error in the console."""
    async with open_daemon(tmp_path, CAMERAS) as daemon, open_chromium(size=(1440, 900)) as browser:
        async with browser.open_page(daemon.url) as page:
            await page.wait_for("banken.players.get('front')?.state().name === 'live'", 30)
            await page.wait_for(f"{text_of(part('rows'))}.split('CameraWaiting').length > 2", 30)
            await use_the_head(page)
            await use_the_past(page)
            await use_the_drawer(page)
            await use_the_timeline(page)
            await use_the_journal(page)
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


async def use_the_head(page: Page) -> None:
    await page.evaluate(f"document.querySelector('{part('skip')}').focus()")
    await page.press("Enter")
    await page.wait_for(f"{FOCUSED}.id === 'cameras'")
    await page.click(part("verdict"))
    await page.wait_for("document.querySelector('#health').matches(':popover-open')")
    await page.press("Escape")
    await page.wait_for("!document.querySelector('#health').matches(':popover-open')")
    for name in ("help", "settings"):
        await page.click(part(name))
        await page.wait_for(f"document.querySelector('{part(f'{name}-dialog')}').open")
        await page.click(part({"help": "help-close", "settings": "settings-close"}[name]))
        await page.wait_for(f"!document.querySelector('{part(f'{name}-dialog')}').open")
    before = await page.evaluate("document.documentElement.dataset.theme ?? ''")
    await page.click(part("theme"))
    await page.wait_for(f"document.documentElement.dataset.theme !== {before!r}")


async def use_the_past(page: Page) -> None:
    """Failures and an event before, the next of both, played and paused, its reach and its speed, and back."""
    moment = "location.hash"
    for name in ("past-failure-back", "past-failure-back", "past-back", "past-on", "past-failure-on"):
        before = await page.evaluate(moment)
        await page.click(part(name))
        await page.wait_for(f"{PAST} === 'yes' && {moment} !== {before!r}")
    await choose(page, "past-speed", "0.1")
    await page.click(part("past-play"))
    await page.wait_for(f"document.querySelector('{part('past-play')}').ariaLabel === 'Pause'")
    await page.click(part("past-play"))
    await page.wait_for(f"document.querySelector('{part('past-play')}').ariaLabel === 'Play the past'")
    await choose(page, "past-span", "")
    await page.click(part("past-now"))
    await page.wait_for(f"{PAST} === 'no'")
    await page.wait_for("banken.players.get('front').state().name === 'live'", 30)


async def use_the_drawer(page: Page) -> None:
    for name in ("open-devices", "open-viewers", "open-detections", "open-timeline", "open-rooms", "open-processes"):
        await page.click(part(name))
        view = name.removeprefix("open-")
        await page.wait_for(f"!document.querySelector('#view-{view}').hidden && location.hash === '#{view}'")
    for name in ("by-camera", "by-purpose", "by-state", "by-pid", "by-parent", "by-age", "by-arguments"):
        sort = f"document.querySelector('{part(name)}').closest('th').ariaSort"
        before = await page.evaluate(sort)
        await page.click(part(name))
        await page.wait_for(f"{sort} !== {before!r}")
    await page.click("[data-part=process-rows] .words")
    await page.wait_for("document.querySelector('[data-part=process-rows] .words').ariaExpanded === 'true'")
    await page.click(part("open-viewers"))
    playing = "[...banken.players.values()].filter((player) => player.state().name === 'live').length"
    await page.wait_for(f"document.querySelectorAll('#view-viewers .kick').length === {playing}")
    await page.click("#view-viewers .kick")
    await page.click(part("kick-keep"))
    await page.wait_for("!document.querySelector('dialog[open]')")
    await page.click(part("drawer-close"))
    await page.wait_for("document.querySelectorAll('.view:not([hidden])').length === 0")


async def use_the_timeline(page: Page) -> None:
    """Nearer, further, all of it; as a table; and why something was so."""
    await page.press("t")
    await page.click(part("timeline-fold"))
    rows = f"{text_of(part('timeline-rows'))}"
    await page.wait_for(f"{rows}.includes('live')")
    picture = f"document.querySelector('{part('timeline-canvas')}').toDataURL()"
    for name in ("timeline-in", "timeline-out", "timeline-all"):
        before = await page.evaluate(picture)
        await page.click(part(name))
        await page.wait_for(f"{picture} !== {before!r}")
    await page.evaluate(f"document.querySelector('{part('timeline-canvas')}').focus()")
    await page.press(",")
    await page.press("Enter")
    await page.wait_for(f"!document.querySelector('{part('timeline-chain')}').hidden")
    await page.click(part("timeline-chain-close"))
    await page.wait_for(f"document.querySelector('{part('timeline-chain')}').hidden")
    await page.press("t")


async def use_the_journal(page: Page) -> None:
    """Held and followed; one camera alone and all again; a row unfolded, its cause, its correlation, its moment."""
    for pressed in ("false", "true"):
        await page.click(part("follow"))
        await page.wait_for(f"document.querySelector('{part('follow')}').ariaPressed === '{pressed}'")
    await page.click(tile("front", part("name")))
    await page.click(part("filter-chip"))
    await page.wait_for(f"document.querySelector('{part('filter-chip')}').hidden")
    row = ".row[data-followed]"
    started = "[...document.querySelectorAll('.row')].find((row) => row.innerText.includes('ChildStarted'))"
    await page.evaluate(f"{started}.dataset.followed = 1")
    await page.click(f"{row} {part('head')}")
    await page.click(f"{row} {part('cause')}")
    await page.wait_for("document.querySelector('.row.found') !== null")
    await page.click(f"{row} {part('correlation')}")
    await page.wait_for(f"document.querySelector('{part('filter')}').value !== ''")
    await page.click(f"{row} {part('moment')}")
    await page.wait_for(f"{PAST} === 'yes'")
