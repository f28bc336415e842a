"""The past on the page, in a real browser: over a running daemon, and over a copy of its journal."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Limits
from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import ROOT, Daemon, open_daemon
from tests.kit.domain import GATE, NODE, PICTURE, RUN, Story, settings
from tests.kit.http import request
from tests.kit.journals import write_journal
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until

pytestmark = pytest.mark.usefixtures("chromium_here")

CAMERAS = {"front": "test:320x180@15", "gate": {"ffmpeg": ["-i", "http://127.0.0.1:9/none"]}}
NOW = "document.querySelector('[data-part=past]').dataset.past === 'no'"


def state(camera: str) -> str:
    return f"document.querySelector('.tile[data-camera={camera}]')?.dataset.state"


def text_of(selector: str) -> str:
    return f"(document.querySelector({selector!r})?.innerText ?? '')"


async def wait_player(page: Page, name: str) -> None:
    await page.wait_for(f"document.querySelector('.tile[data-camera=front]')?.dataset.player === {name!r}", 30)


async def drag_to_the_beginning(page: Page) -> None:
    """With the mouse, from the slider's end to its left edge."""
    box = "document.querySelector('[data-part=past-slider]').getBoundingClientRect()"
    find = f"(box => [box.left, box.right, box.y + box.height / 2])({box})"
    left, right, y = await page.evaluate(find)
    mouse = {"y": y, "button": "left", "clickCount": 1}
    await page.command("Input.dispatchMouseEvent", {"type": "mousePressed", "x": right - 8, "buttons": 1, **mouse})
    for part in (0.7, 0.4, 0.1, 0.0):
        x = left + 2 + (right - left) * part
        await page.command("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "buttons": 1, **mouse})
    await page.command("Input.dispatchMouseEvent", {"type": "mouseReleased", "x": left + 2, "buttons": 0, **mouse})


def quiet(page: Page) -> bool:
    return [line for line in page.console if line.kind in ("error", "uncaught")] == []


async def test_the_page_goes_back_refuses_to_act_there_and_returns(tmp_path: Path) -> None:
    """The past opens no peer and plays no video; the key `n` returns to live video."""
    async with open_daemon(tmp_path, CAMERAS) as daemon, open_chromium() as browser:
        async with browser.open_page(daemon.url) as page:
            await wait_player(page, "live")
            await page.wait_for(f"{state('gate')} === 'waiting'")
            await drag_to_the_beginning(page)
            await page.wait_for(f"{text_of('[data-part=past-text]')}.startsWith('This is the past')")
            await page.wait_for("document.querySelectorAll('.tile').length === 0 || " + f"{state('front')} !== 'live'")
            await page.wait_for(f"{text_of('[data-part=rows]')}.includes('RunStarted')")
            assert not await page.evaluate(f"{text_of('[data-part=rows]')}.includes('CameraLive')")
            await page.wait_for(f"{text_of('[data-part=past-note]')}.startsWith('#1 ')")  # where the drag ended

            await walk_to(page, daemon, "CameraLive")
            await page.wait_for(f"{state('front')} === 'live'")
            assert await page.evaluate("location.hash.startsWith('#at=')")
            await page.evaluate("document.querySelector('.tile[data-camera=front] [data-part=play]').click()")
            await page.wait_for(f"{text_of('.tile[data-camera=front]')}.includes('it cannot be changed')")
            assert await page.evaluate("[...document.querySelectorAll('video')].every(video => !video.srcObject)")
            before = len((await daemon.get("/api/peers"))["peers"])

            await page.press("n")
            await page.wait_for(NOW)
            await wait_player(page, "live")
            await page.wait_for(f"{text_of('[data-part=rows]')}.includes('PeerConnected')")
            assert before <= 1
            assert await page.evaluate("location.hash") == ""
            assert quiet(page)


async def walk_to(page: Page, daemon: Daemon, kind: str) -> None:
    """Step forward with the key until the moment of the first such event is shown."""
    wanted = next(row.seq for row in daemon.journal() if row.type == kind)
    shown = "Number(document.querySelector('[data-part=past-note]').innerText.match(/^#(\\d+)/)[1])"
    while (at := await page.evaluate(shown)) < wanted:
        await page.press("]")
        await page.wait_for(f"{shown} > {at}")


FRONT = CameraId("front")
AGO_S = 3 * 3600


def write_cut_off_run(folder: Path) -> datetime:
    """A journal of a daemon that was cut off three hours ago, while both cameras were live; → when no daemon ran."""
    story = Story(now_ns=time.time_ns() - AGO_S * 10**9).given(c.StartRun(RUN, NODE, "0", 1))
    story.given(c.Configure("test", (settings(FRONT), settings(GATE)), Limits()))
    for camera in (FRONT, GATE):
        story.given(c.ConnectCamera(camera), c.ReportLive(camera, PICTURE))
    write_journal(folder / "journal", story.recorded)
    return datetime.fromtimestamp(time.time() - AGO_S / 2, UTC)


async def test_moment_without_a_daemon_shows_no_state_and_says_so(tmp_path: Path) -> None:
    """The bar, each tile and each view show it. The daemon was cut off while all was live; the stretch ends when the
    next start has closed everything that the run left open."""
    moment = write_cut_off_run(tmp_path).isoformat().replace("+00:00", "Z")
    nothing = "'No data for this time: the daemon was not running, or it ended abnormally.'"
    async with open_daemon(tmp_path, CAMERAS) as daemon, open_chromium(size=(1440, 900)) as browser:
        async with browser.open_page(f"{daemon.url}#viewers&at={moment}") as page:
            note = "document.querySelector('[data-part=past-note]')"
            await page.wait_for(f"{note}.innerText.startsWith('Nothing is known between ')", 30)
            assert await page.evaluate(f"[{note}.innerText.endsWith(': the daemon was cut off.'), {note}.lang]") == [
                True,
                "en",
            ]
            for camera in (FRONT, GATE):
                assert await page.evaluate(state(camera)) == "unknown"
                shown = await page.evaluate(text_of(f".tile[data-camera={camera}]"))
                assert "Nothing is known" in shown
                assert "live" not in shown
            parts = ("live-count", "viewer-count", "verdict-text", "viewer-total", "room-count")
            found = [await page.evaluate(text_of(f"[data-part={name}]")) for name in parts]
            assert found == ["–", "–", "unknown", "–", "–"]
            assert await page.evaluate("document.title") == "–/2 live · banken"
            for key, name in (
                ("v", None),
                ("v", "viewer-note"),
                ("p", "process-note"),
                ("d", "device-note"),
                ("o", "room-note"),
            ):
                await page.press(key)
                if name:
                    await page.wait_for(f"{text_of(f'[data-part={name}]')} === {nothing}")
            await page.click("[data-part=verdict]")
            assert nothing[1:-1] in await page.evaluate(text_of("#health"))
            await page.press("Escape")
            await page.press("]")
            await page.wait_for(
                f"{note}.innerText.endsWith(': the daemon had ended; what it left open is being closed.')"
            )
            assert await page.evaluate(state("front")) == "unknown"
            (cut,) = (await daemon.get("/api/events?type=RunAbandoned"))["events"]
            started = (await daemon.get("/api/events?type=RunStarted"))["events"][-1]
            for _ in range(started["seq"] - cut["seq"]):
                await page.press("]")
            await page.wait_for(f"{note}.innerText.startsWith('#{started['seq']} ')")
            await page.wait_for(f"{state('front')} === 'idle'")
            assert quiet(page)


async def test_three_quick_presses_are_three_steps(tmp_path: Path) -> None:
    """While the first moment is still being read."""
    async with open_daemon(tmp_path, CAMERAS) as daemon, open_chromium() as browser:
        await daemon.wait_camera("front", "live")
        async with browser.open_page(f"{daemon.url}#at=9") as page:
            note = text_of("[data-part=past-note]")
            await page.wait_for(f"{note}.startsWith('#9 ')")
            press = "document.querySelector('[data-part={}]').click()"
            for name, seq in (("past-back", 6), ("past-on", 9)):
                await page.evaluate(";".join([press.format(name)] * 3))
                await page.wait_for(f"{note}.startsWith('#{seq} ')")


async def test_link_opens_its_moment_and_keys_move_between_failures(tmp_path: Path) -> None:
    """`#at=` is the moment, `{` and `}` go to failures; at the end playback returns to now."""
    async with open_daemon(tmp_path, CAMERAS) as daemon, open_chromium() as browser:
        await wait_until(lambda: [r for r in daemon.journal() if r.type == "CameraWaiting"], 20)
        waiting = next(row.seq for row in daemon.journal() if row.type == "CameraWaiting")
        async with browser.open_page(f"{daemon.url}#at={waiting}") as page:
            await page.wait_for(f"{text_of('[data-part=past-note]')}.startsWith('#{waiting} ')")
            await page.wait_for(f"{state('gate')} === 'waiting'")
            await page.press("p")
            await page.wait_for(f"{text_of('#view-processes')}.includes('connection refused')")
            assert await page.evaluate("location.hash") == f"#processes&at={waiting}"
            await page.press("[")
            await page.wait_for(f"{text_of('[data-part=past-note]')}.startsWith('#{waiting - 1} ')")
            await page.press("}")
            await page.wait_for(f"{text_of('[data-part=past-note]')}.startsWith('#{waiting} ')")
            await page.press("{")
            await page.wait_for(f"{text_of('[data-part=past-note]')}.includes('no failure before')")
            await page.evaluate("document.querySelector('[data-part=past-slider]').focus()")
            await page.evaluate(
                "(s => { s.value = '1000'; s.dispatchEvent(new Event('change')) })"
                "(document.querySelector('[data-part=past-speed]'))"
            )
            await page.press(" ")
            await page.wait_for(NOW, 15)
            assert await page.evaluate("location.hash") == "#processes"
            assert quiet(page)


async def test_a_click_on_the_timeline_says_why_and_leads_there(tmp_path: Path) -> None:
    """The steps begin with the first cause; then keys, the table, both themes and three widths."""
    async with open_daemon(tmp_path, CAMERAS) as daemon, open_chromium() as browser:
        await wait_until(lambda: [r for r in daemon.journal() if r.type == "CameraWaiting"], 20)
        async with browser.open_page(f"{daemon.url}#timeline") as page:
            await page.wait_for(f"{text_of('[data-part=timeline-legend]')}.includes('waiting')")
            box = "document.querySelector('.timeline-canvas').getBoundingClientRect()"
            mouse: dict[str, Any] = {}
            with give_up_after(10):  # the lanes may still move under the mouse
                while not await page.evaluate(f"{text_of('[data-part=timeline-tip]')}.includes('gate: waiting')"):
                    x, y = await page.evaluate(f"(box => [box.right - 4, box.top + 24 + 26 + 14])({box})")
                    mouse = {"x": x, "y": y, "button": "left", "clickCount": 1}
                    await page.command("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
            for kind in ("mousePressed", "mouseReleased"):
                await page.command("Input.dispatchMouseEvent", {"type": kind, **mouse})
            await page.wait_for("document.querySelectorAll('[data-part=timeline-steps] li').length > 1")
            steps = await page.evaluate(text_of("[data-part=timeline-steps]"))
            assert [word in steps for word in ("first", "ConfigurationApplied", "gate")] == [True] * 3
            await page.click("[data-part=timeline-steps] .step-row")
            await page.wait_for("document.querySelector('.row.found') !== null")
            await page.click("[data-part=timeline-steps] .step-moment")
            await page.wait_for(f"{text_of('[data-part=past-note]')}.includes('started')")
            assert await page.evaluate("location.hash.startsWith('#timeline&at=')")
            await page.press("n")
            await page.wait_for(NOW)
            await page.evaluate("document.querySelector('.timeline-canvas').focus()")
            for key in ("ArrowDown", "ArrowDown", " ", "ArrowDown", ",", ".", "+", "-", "ArrowLeft", "Enter"):
                await page.press(key)
            assert await page.evaluate(f"{text_of('[data-part=timeline-status]')} !== ''")
            await page.evaluate("document.querySelector('[data-part=timeline-table]').open = true")
            await page.wait_for("document.querySelectorAll('[data-part=timeline-rows] tr').length > 2")
            for scheme in ("dark", "light"):
                await page.set_color_scheme(scheme)
                for width in (375, 1440, 2560):
                    await page.set_viewport(width, 900)
                    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert quiet(page)


@asynccontextmanager
async def open_replay(journal: Path, *more: str) -> AsyncIterator[tuple[subprocess.Popen[bytes], int]]:
    """`banken replay` in its own process, and its TCP port."""
    said = journal.parent / "said"
    with said.open("wb") as output:
        argv = [sys.executable, "-m", "supervisor", "replay", str(journal), "--listen", "127.0.0.1:0", *more]
        process = subprocess.Popen(argv, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)  # noqa: ASYNC220
    try:
        line = await wait_until(lambda: "http://" in said.read_text() and said.read_text(), 20, what="the ready line")
        yield process, int(str(line).rstrip().rstrip("/").rpartition(":")[2])
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        await trio.to_thread.run_sync(process.wait)


async def test_a_copied_journal_is_the_same_page_without_a_now(tmp_path: Path) -> None:
    """Also while the daemon writes on; SIGTERM ends it in good order. The page asks for no snapshot."""
    cameras = {**CAMERAS, "hall": {"source": "test:320x180@15", "mode": "on_demand"}}
    async with open_daemon(tmp_path, cameras) as daemon:
        await daemon.wait_camera("front", "live")
        copy = tmp_path / "copy" / "journal"
        shutil.copytree(tmp_path / "journal", copy)
        async with open_replay(tmp_path / "journal") as (process, port):
            assert (await request(port, "GET", "/api/state")).json["cameras"][0]["state"] == "live"
            process.send_signal(signal.SIGTERM)
            await wait_until(lambda: process.poll() is not None, 10)
            assert process.returncode == 0
    async with open_replay(copy) as (process, port), open_chromium() as browser:
        async with browser.open_page(f"http://127.0.0.1:{port}/") as page:
            await page.wait_for(f"{state('front')} === 'live'")
            await page.wait_for(f"{text_of('[data-part=link-text]')} === 'replay'")
            assert await page.evaluate("document.querySelector('[data-part=past-now]').hidden")
            await page.press("n")
            await page.press("[")
            await page.wait_for("location.hash.startsWith('#at=')")
            assert not await page.evaluate(NOW)
            refused = await request(port, "POST", "/whep/front", "v=0", {"Content-Type": "application/sdp"})
            assert (refused.status, refused.json["detail"]) == (
                409,
                "this is the past: it can be looked at, and not changed",
            )
            assert quiet(page)
        process.send_signal(signal.SIGINT)
        await wait_until(lambda: process.poll() is not None, 10)
        assert process.returncode == 0
