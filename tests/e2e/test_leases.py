"""The page's leases, as the daemon knows them; and the page after the daemon was replaced by another one."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.chromium import Browser, Page, open_chromium
from tests.kit.daemon import Daemon, launch_daemon, open_daemon

from .test_large import LIVE, hide, part, text_of, tile

pytestmark = pytest.mark.usefixtures("chromium_here")

TEST = "test:320x180@15"
MODALS = """fetch('/api/leases').then((answer) => answer.json()).then(({leases}) => leases
  .filter(({kind}) => kind === 'modal').map(({camera, peers}) => `${camera} ${peers.length}`).join())"""


@asynccontextmanager
async def page_over(folder: Path) -> AsyncIterator[tuple[Daemon, Browser, Page]]:
    async with open_daemon(folder, {"front": TEST, "yard": TEST}) as daemon, open_chromium(size=(1440, 900)) as browser:
        async with browser.open_page(daemon.url) as page:
            await page.wait_for("banken.players.get('front')?.state().name === 'live'", 30)
            yield daemon, browser, page
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


async def wait_modals(page: Page, expected: str) -> None:
    await page.wait_for(f"{MODALS}.then((found) => found === {expected!r})", 20)


async def test_large_view_has_a_listed_lease_that_ends_with_it(tmp_path: Path) -> None:
    """A lease is listed with its connection while it is held; the next camera gets another one; a hidden tab has
    none."""
    async with page_over(tmp_path) as (daemon, browser, page), browser.open_page(daemon.url) as other:
        await page.click(tile("front", ".picture"))
        await page.wait_for(LIVE, 20)
        await wait_modals(page, "front 1")
        await other.press("v")
        await other.wait_for(f"{text_of(part('viewer-rows'))}.includes('the large view')")
        await page.press("j")
        await wait_modals(page, "yard 1")
        await hide(page, True)
        await wait_modals(page, "")
        await hide(page, False)
        await wait_modals(page, "yard 1")
        await page.press("Escape")
        await wait_modals(page, "")


async def test_an_operator_ends_the_connection_of_a_large_view_and_it_says_so(tmp_path: Path) -> None:
    """The lease is gone, and the button to reconnect gets a new one."""
    async with page_over(tmp_path) as (daemon, browser, page), browser.open_page(daemon.url) as other:
        await page.click(tile("front", ".picture"))
        await page.wait_for(LIVE, 20)
        await other.press("v")
        rows = "[...document.querySelectorAll('[data-part=viewer-rows] tr')]"
        row = f"{rows}.find((tr) => tr.innerText.includes('the large view'))"
        await other.wait_for(f"{row} && ({row}.querySelector('.kick').id = 'kick')")
        await other.click("#kick")
        await other.click(part("kick-confirm"))
        await page.wait_for(f"{text_of('dialog.large .overlay')}.includes('An operator ended this lease')")
        await wait_modals(page, "")
        await page.click(part("large-reconnect"))
        await page.wait_for(LIVE, 20)


async def test_a_page_that_is_closed_leaves_neither_lease_nor_connection(tmp_path: Path) -> None:
    """The lease of the large view and all peers of its page end; the other page's two stay."""
    async with page_over(tmp_path) as (daemon, browser, page):
        async with browser.open_page(daemon.url) as leaving:
            await leaving.wait_for("banken.players.get('front')?.state().name === 'live'", 30)
            await leaving.click(tile("front", ".picture"))
            await leaving.wait_for(LIVE, 20)
            await wait_modals(page, "front 1")
        await wait_modals(page, "")
        left = "fetch('/api/peers').then((answer) => answer.json()).then(({peers}) => peers.length === 2)"
        await page.wait_for(left, 20)


async def test_after_a_restart_of_the_daemon_the_page_recovers_by_itself(tmp_path: Path) -> None:
    """Wall and large view play again, under leases of the new life; nothing was pressed."""
    async with page_over(tmp_path) as (daemon, _, page):
        await page.click(tile("front", ".picture"))
        await page.wait_for(LIVE, 20)
        before = await page.evaluate("banken.large().peer()")
        await daemon.end(signal.SIGKILL)
        await page.wait_for("document.documentElement.hasAttribute('data-stale')", 30)
        fix_the_port(tmp_path, daemon.port)
        async with launch_daemon(tmp_path) as again:
            await again.wait_ready()
            await page.wait_for(f"{LIVE} && banken.large().peer() !== {before!r}", 60)
            for camera in ("front", "yard"):
                await page.wait_for(f"banken.players.get({camera!r}).state().name === 'live'", 60)
            await wait_modals(page, "front 1")
            state: Any = await again.get("/api/peers")
            assert len(state["peers"]) == 3


def fix_the_port(folder: Path, port: int) -> None:
    path = folder / "banken.yaml"
    path.write_text(path.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
