"""A real RTSP camera, live in a real browser, through everything that may happen to either.

The bounds here are generous: they tell broken from whole. How quick it is, `ops/bench/first_light` measures.
"""

import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from supervisor.domain import events as e
from supervisor.domain.evolve import fold
from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.gst import open_rtsp_server
from tests.kit.processes import descendants, wait_until
from tests.kit.viewer import open_viewer

pytestmark = [pytest.mark.usefixtures("rtsp_server_here", "chromium_here")]

OWN = (
    "-re",
    "-f",
    "lavfi",
    "-i",
    "testsrc=size=320x180:rate=15",
    "-c:v",
    "libx264",
    "-tune",
    "zerolatency",
    "-g",
    "15",
)


async def wait_frames(page: Page, more: int, within: float = 30, camera: str = "front") -> None:
    """Wait until the browser has decoded `more` further pictures of a camera."""
    frames = f"window.banken?.players.get({camera!r})?.statistics().framesDecoded ?? 0"
    seen = await page.evaluate(frames)
    await page.wait_for(f"({frames}) >= {seen + more}", within)


async def peers(daemon: Daemon) -> list[str]:
    return [peer["id"] for peer in (await daemon.get("/api/peers"))["peers"]]


async def wait_no_peers(daemon: Daemon, within: float = 30) -> None:
    rows = daemon.journal
    await wait_until(lambda: not fold(rows()).peers, within, what="the end of all peers")


async def test_cameras_live_in_a_browser_through_kills_and_outages(tmp_path: Path) -> None:
    """Frames are decoded; a child is killed, an RTSP server is away for 20 s: the same peers see both resume."""
    async with (
        open_rtsp_server(password="s3cr3t!") as camera,
        open_daemon(tmp_path, {"front": camera.url_with("s3cr3t!"), "yard": {"ffmpeg": OWN}}) as daemon,
        open_chromium() as browser,
        browser.open_page(daemon.url) as page,
    ):
        await wait_frames(page, 30)
        await wait_frames(page, 15, camera="yard")
        before = await peers(daemon)
        assert len(before) == 2

        (child,) = daemon.children()
        os.kill(child.pid, signal.SIGKILL)
        await wait_until(lambda: [c.pid for c in daemon.children()] not in ([], [child.pid]), 15)
        await wait_frames(page, 15, camera="yard")
        assert await peers(daemon) == before

        await camera.stop()
        await page.wait_for("document.querySelector('.tile[data-camera=front]').innerText.includes('refused')", 30)
        await trio.sleep(20)
        await camera.start()
        await wait_frames(page, 30)
        assert await peers(daemon) == before
        assert page.failures == [] or all("whep" not in failure.url for failure in page.failures)

        rows = daemon.journal()
        ended = [r.event for r in rows if isinstance(r.event, e.ChildEnded)]
        assert ended[0].signal == "SIGKILL"
        assert any(r.event.reason.code == "unreachable" for r in rows if isinstance(r.event, e.CameraWaiting))
        assert fold(rows).peers.keys() == set(before)
        visible = f"{rows} {daemon.output} {descendants(daemon.pid)} {await daemon.get('/api/processes')}"
        assert "s3cr3t!" not in visible
        assert await daemon.end() == 0
    assert daemon.journal()[-1].type == "RunEnded"


async def test_the_pages_parts_can_all_be_used(tmp_path: Path) -> None:
    """Every button and every key, in both themes and at three sizes, without an error in the console."""
    async with (
        open_daemon(tmp_path, {"front": "test:320x180@15", "yard": "test:320x180@15"}) as daemon,
        open_chromium() as browser,
        browser.open_page(daemon.url) as page,
    ):
        await wait_frames(page, 10)
        live = "[...document.querySelectorAll('[data-player]')].filter(t => t.dataset.player === 'live').length"
        await page.wait_for(f"{live} === 2")
        for index in range(await page.evaluate("document.querySelectorAll('button').length")):
            await page.evaluate(f"document.querySelectorAll('button')[{index}]?.click()")
            await page.press("Escape")
        private = "document.querySelectorAll('.tile [data-part=hide][aria-pressed=true]')"
        await page.wait_for(f"{private}.length === 2")  # the buttons of privacy are among them
        await page.evaluate(f"{private}.forEach(button => button.click())")
        await page.wait_for(f"{private}.length === 0")
        for key in (
            "j",
            "k",
            "Enter",
            "Escape",
            " ",
            " ",
            "t",
            "t",
            "p",
            "p",
            "e",
            "/",
            "Escape",
            "l",
            "l",
            "?",
            "Escape",
        ):
            await page.press(key)
        await page.evaluate(
            "document.querySelectorAll('.tile [data-part=play][aria-label^=Play]').forEach(b => b.click())"
        )
        await page.wait_for(f"{live} === 2")
        await page.reload()
        await page.wait_for(f"{live} === 2")
        await page.wait_for("document.body.innerText.includes('CameraLive')")
        for scheme in ("dark", "light"):
            await page.set_color_scheme(scheme)
            for width in (375, 1440, 2560):
                await page.set_viewport(width, 900)
                assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert [line for line in page.console if line.kind in ("error", "exception")] == []


async def test_a_vanished_browser_leaves_no_peer(tmp_path: Path) -> None:
    """Killed, it says nothing; its peers are ended for silence, with that reason, after the configured time."""
    limits = "limits: {disconnected_after: 15s}"
    async with open_daemon(tmp_path, {"front": "test:320x180@15"}, limits) as daemon:
        async with open_chromium(own=True) as browser, browser.open_page(daemon.url) as page:
            await wait_frames(page, 10)
            await browser.kill()
        await wait_no_peers(daemon)
        closed = [r.event for r in daemon.journal() if isinstance(r.event, e.PeerClosed)]
        assert closed[-1].reason.code == "lost"


async def test_a_page_that_slept_until_it_was_given_up_is_live_again_by_itself(tmp_path: Path) -> None:
    """As on a phone: the whole browser stands still for longer than is waited for it, and goes on."""
    limits = "limits: {disconnected_after: 15s, peers: 1}"
    cameras = {"front": "test:320x180@15"}
    async with open_daemon(tmp_path, cameras, limits) as daemon, open_chromium(own=True) as browser:
        async with browser.open_page(daemon.url) as page:
            await wait_frames(page, 10)
            (before,) = await peers(daemon)
            with browser.asleep():
                await wait_no_peers(daemon)
            await page.wait_for(f"banken.players.get('front').peer() !== {before!r}", 60)
            await wait_frames(page, 10, within=60)
            assert len(await peers(daemon)) == 1
        closed = [r.event for r in daemon.journal() if isinstance(r.event, e.PeerClosed) and r.event.peer == before]
        assert [event.reason.code for event in closed] == ["lost"]


async def test_leaving_the_page_ends_its_peers_at_once(tmp_path: Path) -> None:
    """The reason is `left`, not a timeout of consent."""
    async with open_daemon(tmp_path, {"front": "test:320x180@15"}) as daemon, open_chromium() as browser:
        async with browser.open_page(daemon.url) as page:
            await wait_frames(page, 10)
        await wait_no_peers(daemon)
        closed = [r.event for r in daemon.journal() if isinstance(r.event, e.PeerClosed)]
        assert closed[-1].reason.code == "left"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_the_end_of_the_daemon_is_the_end_of_everything(tmp_path: Path, how: signal.Signals) -> None:
    """Four cameras and eight viewers: asked, it ends in good order with 0; killed, no child outlives it."""
    async with AsyncExitStack() as servers:  # one for each camera: GStreamer's may crash when four connect at once
        names, sources = [f"cam-{number}" for number in range(4)], {}
        for name in names:
            camera = await servers.enter_async_context(open_rtsp_server(size=(320, 180), fps=15))
            sources[name] = {"ffmpeg": ("-rtsp_transport", "tcp", "-i", camera.url, "-c", "copy")}
        async with open_daemon(tmp_path, sources) as daemon, trio.open_nursery() as nursery:
            for name in names:
                await daemon.wait_camera(name, "live")
            watching = [trio.Event() for _ in range(8)]

            async def watch(name: str, seen: trio.Event) -> None:
                async with open_viewer() as viewer:
                    await viewer.accept((await daemon.offer(name, viewer.offer)).text)
                    await viewer.wait_frames(1)
                    seen.set()
                    await trio.sleep_forever()

            for number, seen in enumerate(watching):
                nursery.start_soon(watch, names[number % 4], seen)
            for seen in watching:
                await seen.wait()
            children = daemon.children()
            assert len(children) == 4
            code = await daemon.end(how)
            nursery.cancel_scope.cancel()
        alive = {child.pid for child in children}
        await wait_until(lambda: not [p for p in alive if _is_alive(p)], 2, what="the end of the children")
    rows = daemon.journal()
    if how is signal.SIGKILL:
        assert code == -signal.SIGKILL
        async with open_daemon(tmp_path, {}) as again:
            left = [r.type for r in again.journal()[len(rows) :]]
            assert left.count("RunAbandoned") == 1
            assert left.count("ChildAbandoned") == 4
            assert left.count("PeerClosed") == 8
    else:
        assert code == 0
        state = fold(rows)
        assert (len(state.children), len(state.peers), rows[-1].type) == (0, 0, "RunEnded")


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
