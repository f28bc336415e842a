"""An operator at the page: a failed camera is tried now; a refused configuration is seen until it is cured."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from supervisor.domain.restart import RETRY_AFTER_S
from tests.kit.cameras import ScriptedCamera, open_camera
from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.habits import HEALTHY, Behaviour
from tests.kit.processes import wait_until

pytestmark = pytest.mark.usefixtures("chromium_here")

MISSING = Behaviour(refuses={"DESCRIBE": "404 Not Found"})
LOCKED = Behaviour(refuses={"DESCRIBE": "401 Unauthorized"})
STRIP = "document.querySelector('[data-part=alerts]')"
DIALOG = "document.querySelector('[data-part=retry-dialog]')"
AGAIN_S = 3.0
"""From the key to the picture of the camera; its own next attempt comes after 10 s, or 5 min."""


@asynccontextmanager
async def page_over(folder: Path, behaviour: Behaviour) -> AsyncIterator[tuple[ScriptedCamera, Daemon, Page]]:
    """A page with the one camera `gate`, which has failed, and may be tried."""
    async with open_camera(behaviour) as camera:
        url = camera.url.replace("rtsp://", "rtsp://viewer:geheim@")
        async with open_daemon(folder, {"gate": url}) as daemon, open_chromium(size=(1440, 900)) as browser:
            async with browser.open_page(daemon.url) as page:
                await daemon.wait_camera("gate", "failed")
                await page.wait_for(state_is("failed"))
                await page.wait_for(f"Date.now() - Date.parse({since()}) > {RETRY_AFTER_S * 1000}")
                yield camera, daemon, page


def state_is(state: str) -> str:
    return f"document.querySelector('.grid .tile').dataset.state === {state!r}"


def since() -> str:
    return "document.querySelector('.grid .tile [data-part=since]').getAttribute('datetime')"


def text_of(selector: str) -> str:
    return f"(document.querySelector({selector!r})?.innerText ?? '')"


async def test_failed_camera_is_tried_by_key_on_the_wall_and_is_live(tmp_path: Path) -> None:
    """The journal says which client asked; on the live camera the button is gone."""
    async with page_over(tmp_path, MISSING) as (camera, daemon, page):
        assert not await page.evaluate("document.querySelector('.grid .tile [data-part=retry]').hidden")
        camera.behaviour = HEALTHY
        await page.press("j")
        await page.press("r")
        await page.wait_for(state_is("live"), AGAIN_S)
        assert await page.evaluate("document.querySelector('.grid .tile [data-part=retry]').hidden")
        asked = [row.principal for row in daemon.journal() if row.type == "CameraRetried"]
        assert asked == ["client:127.0.0.1"]


async def test_large_view_tries_a_failed_camera_and_reconnects_a_live_one(tmp_path: Path) -> None:
    """One button with the word for what it does; its key does the same."""
    async with page_over(tmp_path, MISSING) as (camera, daemon, page):
        await page.press("Enter")
        await page.wait_for(f"{text_of('[data-part=large-reconnect]')}.trim() === 'Try now'")
        camera.behaviour = HEALTHY
        await page.click("[data-part=large-reconnect]")
        await page.wait_for(state_is("live"), AGAIN_S)
        await page.wait_for(f"{text_of('[data-part=large-reconnect]')}.trim() === 'Reconnect'")
        await page.wait_for("banken.large().state().name === 'live'", 20)
        peer = await page.evaluate("banken.large().peer()")
        await page.press("r")
        await page.wait_for(f"banken.large().state().name === 'live' && banken.large().peer() !== {peer!r}", 20)
        assert [row.type for row in daemon.journal()].count("CameraRetried") == 1


async def test_page_asks_before_it_tries_a_refused_password(tmp_path: Path) -> None:
    """Waiting sends nothing to the camera, *Try it* does; no key acts on what is behind the question."""
    async with page_over(tmp_path, LOCKED) as (camera, _, page):
        tried = camera.refusals["401 Unauthorized"]
        await page.click(".grid .tile [data-part=retry]")
        await page.wait_for(f"{DIALOG}.open && {text_of('[data-part=retry-text]')}.includes('lock an account')")
        await page.press("t")
        await page.click("[data-part=retry-wait]")
        await page.wait_for(f"!{DIALOG}.open")
        assert camera.refusals["401 Unauthorized"] == tried
        assert await page.evaluate("document.getElementById('view-timeline').hidden")
        camera.behaviour = HEALTHY
        await page.click(".grid .tile [data-part=retry]")
        await page.wait_for(f"{DIALOG}.open")
        await page.click("[data-part=retry-confirm]")
        await page.wait_for(state_is("live"), AGAIN_S)


async def test_refused_reload_is_a_strip_in_both_languages_until_it_is_cured(tmp_path: Path) -> None:
    """Nothing on the page puts it away; a page that is loaded meanwhile shows it, too."""
    async with page_over(tmp_path, MISSING) as (_, daemon, page):
        path = tmp_path / "banken.yaml"
        good = path.read_text()
        path.write_text(good.replace("cameras:", "camera:"))
        daemon.process.send_signal(signal.SIGHUP)
        await page.wait_for(f"!{STRIP}.hidden && {text_of('[data-part=alerts]')}.includes('cannot be used')")
        shown = await page.evaluate(text_of("[data-part=alerts]"))
        assert "banken.yaml:5: unknown key 'camera'" in shown
        assert await page.evaluate(f"{STRIP}.querySelectorAll('button').length") == 0
        assert await page.evaluate("document.querySelector('[data-part=verdict]').dataset.verdict") == "degraded"
        await page.evaluate("localStorage.setItem('banken.language', 'ja')")
        await page.reload()
        await page.wait_for(f"!{STRIP}.hidden && {text_of('[data-part=alerts]')}.includes('再読み込み')")
        assert "unknown key 'camera'" in await page.evaluate(text_of("[data-part=alerts]"))
        path.write_text(good)
        daemon.process.send_signal(signal.SIGHUP)
        await page.wait_for(f"{STRIP}.hidden")
        await wait_until(lambda: daemon.journal()[-1].type != "ConfigurationRefused", 5)
