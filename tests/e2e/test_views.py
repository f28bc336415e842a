"""The page's facts and actions beside the pictures, in a real browser over a real daemon."""

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.monitors import Reading
from tests.kit.cameras import open_camera
from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import Daemon, open_daemon, write_config
from tests.kit.http import request
from tests.kit.processes import wait_until
from tests.kit.site import open_site
from web.app import WebSettings

pytestmark = pytest.mark.usefixtures("chromium_here")

TEST = "test:320x180@15"
SIZES = (375, 1440, 2560)


@asynccontextmanager
async def page_over(folder: Path, cameras: dict[str, Any], more: str = "") -> AsyncIterator[tuple[Daemon, Page]]:
    async with open_daemon(folder, cameras, more) as daemon, open_chromium(size=(1440, 900)) as browser:
        async with browser.open_page(daemon.url) as page:
            await page.wait_for("document.querySelectorAll('.tile').length === " + str(len(cameras)))
            yield daemon, page
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


def tile(camera: str, part: str = "") -> str:
    return f".tile[data-camera={camera}] {part}".strip()


def text_of(selector: str) -> str:
    return f"(document.querySelector({selector!r})?.innerText ?? '')"


def types(daemon: Daemon) -> list[str]:
    return [row.type for row in daemon.journal()]


async def test_processes_and_devices_are_shown_and_nothing_is_out_of_reach(tmp_path: Path) -> None:
    """A device with one place and two cameras: who has it, who waits, which child runs, and why the last one ended."""
    async with open_camera() as camera:
        cameras = {
            "door": {"ffmpeg": ["-rtsp_transport", "tcp", "-i", camera.url, "-c", "copy"], "device": "hall"},
            "loft": {"source": camera.url, "device": "hall", "mode": "on_demand"},
        }
        async with page_over(tmp_path, cameras, "devices: {hall: {max_connections: 1}}") as (daemon, page):
            await page.wait_for(f"document.querySelector('{tile('door')}').dataset.player === 'live'", 30)
            await page.click(tile("loft", ".start"))
            await page.wait_for(f"{text_of(tile('loft'))}.includes('taken by door')")
            (child,) = daemon.children()

            await page.press("p")
            row = text_of("#view-processes tbody tr")
            shown = await page.wait_for(row)
            assert [word in shown for word in ("door", "source", "running", str(child.pid), str(daemon.pid))] == [
                True
            ] * 5
            assert await page.evaluate("location.hash") == "#processes"
            for column in ("camera", "pid", "age"):
                await page.click(f"[data-part=by-{column}]")
                sort = "document.querySelector('[data-part=by-%s]').closest('th').getAttribute('aria-sort')"
                assert await page.evaluate(sort % column) != "none"
            os.kill(child.pid, signal.SIGKILL)
            ended = await page.wait_for(text_of("[data-part=ended-rows] li"))
            assert [word in ended for word in ("door", str(child.pid), "SIGKILL")] == [True] * 3

            await page.press("d")
            await page.wait_for(f"{text_of('#view-devices')}.includes('1 configured')")
            await page.wait_for(f"{text_of('#view-devices')}.includes('waits (live)')")
            for scheme in ("dark", "light"):
                await page.set_color_scheme(scheme)
                for width in SIZES:
                    await page.set_viewport(width, 900)
                    for key in ("p", "d", "v"):
                        await page.press(key)
                        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
                        assert await page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
            await page.press("Escape")
            assert await page.evaluate("document.querySelectorAll('.view:not([hidden])').length") == 0


async def test_looking_at_a_camera_on_demand_does_not_open_it(tmp_path: Path) -> None:
    """Neither a load nor a reload: its last picture is shown with its age; play opens it."""
    cameras = {"attic": {"source": TEST, "mode": "on_demand"}, "yard": {"source": TEST, "mode": "patrol"}}
    async with page_over(tmp_path, cameras, "patrol: {every: 5s}") as (daemon, page):
        await page.wait_for(f"{text_of(tile('yard', '[data-part=overlay]'))}.includes('Picture of')")
        first = await page.evaluate(f"document.querySelector('{tile('yard', '.snapshot')}').src")
        await page.wait_for(f"![{first!r}, ''].includes(document.querySelector('{tile('yard', '.snapshot')}').src)", 15)
        await page.reload()
        await page.wait_for(f"{text_of(tile('attic'))}.includes('No picture yet')")
        await page.wait_for(f"{text_of(tile('yard', '[data-part=overlay]'))}.includes('Picture of')")
        rows = daemon.journal()
        assert not [r for r in rows if isinstance(r.event, e.PeerOpened)]
        assert not [r for r in rows if isinstance(r.event, e.CameraConnecting) and r.event.camera == "attic"]

        await page.click(tile("attic", ".start"))
        await page.wait_for(f"document.querySelector('{tile('attic')}').dataset.player === 'live'", 30)
        await page.click(tile("attic", "[data-part=play]"))
        await page.wait_for(f"{text_of(tile('attic', '[data-part=overlay]'))}.includes('Picture of')")
        await wait_until(lambda: "PeerClosed" in types(daemon), 10)


async def test_after_a_change_of_settings_nothing_on_the_page_is_stale(tmp_path: Path) -> None:
    """The picture and all facts about it are the new source's, on the wall and in the large view; a removed camera is
    gone."""
    wall, large = ".grid .tile[data-camera=front]", "dialog.large .tile"

    def shows(root: str, size: str) -> str:
        seen = f"((video) => `${{video.videoWidth}}×${{video.videoHeight}}`)(document.querySelector('{root} video'))"
        state = f"document.querySelector('{root}').dataset.player === 'live'"
        told = f"{text_of(f'{root} [data-part=resolution]')} === {size!r}"
        clear = f"document.querySelector('{root} [data-part=overlay]').hidden"
        return f"{seen} === {size!r} && {state} && {told} && {clear}"

    async with page_over(tmp_path, {"front": TEST, "yard": TEST}) as (daemon, page):
        await page.wait_for(shows(wall, "320×180"), 30)
        await page.click(f"{wall} .picture")
        await page.wait_for(shows(large, "320×180"), 30)
        configure(daemon, {"front": "test:640x360@15", "yard": TEST})
        for root in (wall, large):
            await page.wait_for(shows(root, "640×360"), 30)
        await page.press("j")
        await page.wait_for(f"document.querySelector('{large}').dataset.camera === 'yard'")
        configure(daemon, {"front": "test:640x360@15", "hall": TEST})
        await page.wait_for("!document.querySelector('dialog[open]')", 20)
        shown = "[...document.querySelectorAll('.tile')].map((tile) => tile.dataset.camera).join()"
        await page.wait_for(
            f"{shown} === 'front,hall' && [...banken.players.keys()].sort().join() === 'front,hall'", 20
        )
        await page.wait_for(shows(wall, "640×360"), 30)


def configure(daemon: Daemon, cameras: dict[str, Any]) -> None:
    write_config(daemon.folder, cameras)
    daemon.process.send_signal(signal.SIGHUP)


async def test_an_operator_ends_a_connection_and_its_page_says_so_and_stays_away(tmp_path: Path) -> None:
    """Neither time nor a reload reconnects it, but the play button does."""
    async with page_over(tmp_path, {"front": TEST}) as (daemon, page):
        state = f"document.querySelector('{tile('front')}').dataset.player"
        await page.wait_for(f"{state} === 'live'", 30)
        await page.press("v")
        assert "this page" in await page.wait_for(text_of("#view-viewers tbody tr"))
        await page.click("#view-viewers .kick")
        await page.press("Escape")
        assert len((await daemon.get("/api/peers"))["peers"]) == 1, "changing one's mind ends nothing"
        await page.click("#view-viewers .kick")
        await page.click("[data-part=kick-confirm]")
        await page.wait_for(f"{text_of(tile('front'))}.includes('An operator ended this lease')")
        await wait_until(lambda: "PeerClosed" in types(daemon), 10)
        await page.reload()
        await page.wait_for(f"{text_of(tile('front'))}.includes('Paused')")
        with trio.move_on_after(3):
            await page.wait_for(f"['connecting', 'live'].includes({state})", 10)
            raise AssertionError("it came back by itself")
        assert types(daemon).count("PeerOpened") == 1
        await page.click(tile("front", "[data-part=play]"))
        await page.wait_for(f"{state} === 'live'", 30)


async def test_page_warns_of_a_public_address(tmp_path: Path) -> None:
    """The warning stays visible in every view and after a reload, at all widths; on loopback there is no warning."""
    for exposed in ("0.0.0.0:8620", ""):
        async with open_site(settings=WebSettings(exposed=exposed)) as site, open_chromium() as browser:
            async with browser.open_page(site.url) as page:
                await page.wait_for("document.querySelector('.link').dataset.link === 'live'")
                for width in SIZES:
                    await page.set_viewport(width, 800)
                    for view in ("", "#viewers", "#timeline"):
                        await page.evaluate(f"location.hash = '{view}'")
                        seen = "document.querySelector('.exposed').checkVisibility()"
                        await page.wait_for(f"{seen} === {'true' if exposed else 'false'}")
                        assert exposed in await page.evaluate(text_of(".exposed"))
                    if exposed:
                        mark, text = (
                            "document.querySelector('.exposed .icon')",
                            "document.querySelector('.exposed span')",
                        )
                        beside = f"{mark}.getBoundingClientRect().bottom > {text}.getBoundingClientRect().top"
                        assert await page.evaluate(beside)
                    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                await page.reload()
                if exposed:
                    await page.wait_for(f"{text_of('.exposed')}.includes('{exposed}')")


async def test_operator_ends_an_exclusive_lease_on_the_page(tmp_path: Path) -> None:
    """A lease without a connection has its button, too, in both themes; another client may then have the camera."""
    body = json.dumps({"kind": "modal", "camera": "front", "exclusive": True})
    async with page_over(tmp_path, {"front": TEST}) as (daemon, page):
        kind = {"Content-Type": "application/json"}
        for theme in ("light", "dark"):
            assert (await request(daemon.port, "POST", "/api/leases", body, kind)).status == 201
            assert (await request(daemon.port, "POST", "/api/leases", body, kind)).status == 409
            await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            await page.evaluate("location.hash = '#viewers'")
            rows = "[...document.querySelectorAll('#view-viewers tbody tr')]"
            row = f"{rows}.find((tr) => tr.innerText.includes('the large view'))"
            await page.wait_for(f"{row} && ({row}.querySelector('.kick').id = 'kick')")
            await page.click("#kick")
            await page.click("[data-part=kick-confirm]")
            await page.wait_for(f"!{row}")
        ended = [row for row in daemon.journal() if row.type == "LeaseEnded"]
        assert [row.event.reason.code for row in ended] == ["kicked", "kicked"]  # type: ignore[attr-defined]
        assert {row.principal for row in ended} == {"client:127.0.0.1"}


async def test_a_picture_is_saved_under_the_name_of_its_camera(tmp_path: Path) -> None:
    """By the tile's button and by its key; of a camera at rest, too."""
    saved = tmp_path / "saved"
    saved.mkdir()
    async with page_over(tmp_path, {"attic": {"source": TEST, "mode": "on_demand"}}) as (_, page):
        await page.command("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(saved)})
        await page.click(tile("attic", "[data-part=take]"))
        await wait_until(lambda: [*saved.glob("attic-*Z.jpg")], 20, what="the picture")
        assert next(saved.glob("*.jpg")).read_bytes()[:2] == b"\xff\xd8"
        next(saved.glob("*.jpg")).unlink()
        await page.press("s")
        await wait_until(lambda: [*saved.glob("attic-*Z.jpg")], 20, what="the second picture")


async def test_without_webrtc_the_page_shows_snapshots_until_it_is_left(tmp_path: Path) -> None:
    """Snapshots hold one lease, which pause and leaving the page release."""
    async with page_over(tmp_path, {"front": TEST}) as (daemon, page):
        await page.command("Page.addScriptToEvaluateOnNewDocument", {"source": "delete window.RTCPeerConnection"})

        async def wait_viewers(count: int) -> None:
            def leases() -> int:
                return types(daemon).count("LeaseGranted") - types(daemon).count("LeaseEnded")

            await wait_until(lambda: leases() == count, 15, what=f"{count} viewers")

        await page.reload()
        await page.wait_for(f"document.querySelector('{tile('front', '.stills')}').naturalWidth === 320", 20)
        await page.wait_for(f"{text_of(tile('front'))}.includes('Snapshots only')")
        await wait_viewers(1)
        await page.press("v")
        await page.wait_for(f"{text_of('#view-viewers tbody')}.includes('snapshots')")
        await page.click(tile("front", "[data-part=play]"))
        await wait_viewers(0)
        await page.click(tile("front", "[data-part=play]"))
        await wait_viewers(1)
        await page.goto("about:blank")
        await wait_viewers(0)


async def test_alert_of_a_monitor_is_on_the_page_until_it_is_cleared() -> None:
    """The alert across the page, the newest reading in the list of health, and the verdict over all."""
    async with open_site() as site, open_chromium(size=(1440, 900)) as browser:
        site.readings["memory"] = Reading(0.5, "half of it is in use")
        async with browser.open_page(f"http://127.0.0.1:{site.port}/") as page:
            verdict = "document.querySelector('[data-part=verdict]').dataset.verdict"
            await page.wait_for(f"{verdict} === 'ok'")
            assert await page.evaluate("document.querySelector('[data-part=alerts]').hidden")
            site.core.kernel.emit(c.RaiseAlert("memory-critical", "91 % of it is in use"))
            site.readings["memory"] = Reading(0.93, "93 % of it is in use")
            await page.wait_for(f"{text_of('[data-part=alerts]')}.includes('91 % of it is in use')")
            await page.wait_for(f"{verdict} === 'critical'")
            await page.click("[data-part=verdict]")
            await page.wait_for(f"{text_of('[data-part=health-parts]')}.includes('93 % of it is in use')")
            assert "monitor/memory" in await page.evaluate(text_of("[data-part=health-parts]"))
            site.core.kernel.emit(c.ClearAlert("memory-critical"))
            site.readings["memory"] = Reading(0.5, "half of it is in use")
            await page.wait_for("document.querySelector('[data-part=alerts]').hidden")
            await page.wait_for(f"{verdict} === 'ok'")
