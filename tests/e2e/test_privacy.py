"""Attacks on privacy: a real RTSP camera, real viewers of every kind, a kill and a reload; no frame leaves."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from actors.media.ffmpeg import find_ffmpeg
from supervisor.domain import events as e
from tests.conftest import require
from tests.kit import axe
from tests.kit.daemon import Daemon, launch_daemon, open_daemon
from tests.kit.gst import open_rtsp_server
from tests.kit.http import Answer, request
from tests.kit.patience import PATIENCE
from tests.kit.processes import wait_until
from tests.kit.readers import open_readable
from tests.kit.viewer import open_viewer

from .test_access import open_page_of

AT_ONCE_NS = int(1e9 * PATIENCE)
WITHIN_S = 20.0
PATTERN = "test:320x180@15"
JSON = {"Content-Type": "application/json"}


@attrs.define
class Received:
    """The bytes of one viewer, and when the last of them came, by the clock of the journal."""

    count: int = 0
    last_ns: int = 0
    has_ended: bool = False

    async def read(self, receive: Callable[[], Any]) -> None:
        """Read to the end of a stream."""
        while data := await receive():
            self.count, self.last_ns = self.count + len(data), time.time_ns()
        self.has_ended = True


async def switch(daemon: Daemon, on: bool, camera: str = "gate") -> Answer:
    return await request(daemon.port, "PUT", f"/api/cameras/{camera}/privacy", json.dumps({"on": on}), JSON)


def newest(daemon: Daemon, kind: type[e.Event]) -> Any:
    """The newest row of the journal with such an event, if there is one."""
    return next((row for row in reversed(daemon.journal()) if isinstance(row.event, kind)), None)


@asynccontextmanager
async def open_mjpeg(port: int, received: Received) -> AsyncIterator[None]:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream, trio.open_nursery() as nursery:
        await stream.send_all(
            b"GET /cameras/gate/stream.mjpeg HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )
        nursery.start_soon(received.read, stream.receive_some)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_player(url: str, received: Received) -> AsyncIterator[None]:
    """A player that reads by RTSP and passes on what it gets at once."""
    arguments = ["-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i", url, "-c", "copy", "-flush_packets", "1"]
    command = [find_ffmpeg(), *arguments, "-f", "h264", "pipe:1"]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(received.read, process.stdout.receive_some)
            yield
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        await process.wait()


async def test_no_frame_of_a_private_time_reaches_any_viewer(tmp_path: Path) -> None:
    """WebRTC, MJPEG, RTSP and snapshots end within a second. A kill and a reload open nothing; the end does."""
    mjpeg, player = Received(), Received()
    async with open_rtsp_server() as camera, open_viewer() as viewer:
        cameras = {"gate": camera.url, "other": PATTERN}
        async with open_readable(tmp_path, cameras) as (daemon, url):
            await daemon.wait_camera("gate", "live")
            await viewer.accept((await daemon.offer("gate", viewer.offer)).body.decode())
            async with (
                open_mjpeg(daemon.port, mjpeg),
                open_player(f"{url}gate", player),
                trio.open_nursery() as nursery,
            ):
                await viewer.wait_frames(30)
                await wait_until(lambda: mjpeg.count and player.count, WITHIN_S, what="pictures of all viewers")
                switched = trio.Event()
                served: list[tuple[bool, int]] = []

                async def ask_for_snapshots() -> None:
                    while not served or served[-1][1] == 200:
                        was_switched = switched.is_set()
                        answer = await request(daemon.port, "GET", "/cameras/gate/snapshot.jpg?max_age=0")
                        served.append((was_switched, answer.status))

                nursery.start_soon(ask_for_snapshots)
                assert (await switch(daemon, on=True)).status == 200
                switched.set()
                await wait_until(lambda: mjpeg.has_ended and player.has_ended, WITHIN_S, what="the end of all viewers")
                await daemon.wait_camera("gate", "idle")
                await wait_until(lambda: not (served and served[-1][1] == 200), WITHIN_S, what="a refused snapshot")
            began = newest(daemon, e.PrivacyBegan)
            rest = newest(daemon, e.CameraIdle)
            frames = viewer.frames
            for name, last_ns in (("mjpeg", mjpeg.last_ns), ("rtsp", player.last_ns), ("webrtc", viewer.last_ns)):
                assert last_ns - began.wall_ns < AT_ONCE_NS, name
            assert (rest.event.reason.code, rest.wall_ns - began.wall_ns < AT_ONCE_NS) == ("privacy", True)
            assert [status for was_switched, status in served if was_switched and status == 200] == []
            ended = {event.event.reason.code for event in daemon.journal() if isinstance(event.event, e.LeaseEnded)}
            assert ended == {"privacy"}
            assert (await daemon.offer("gate", viewer.offer)).status == 409
            await daemon.wait_camera("other", "live")
            await daemon.end(signal.SIGKILL)
        async with launch_daemon(tmp_path) as daemon:
            await daemon.wait_ready()
            await daemon.wait_camera("other", "live")
            settings = tmp_path / "banken.yaml"
            text = settings.read_text()
            for changed in ("\n".join(line for line in text.splitlines() if "gate" not in line), text):
                settings.write_text(changed)
                assert (await request(daemon.port, "POST", "/api/config/reload")).status == 200
            await daemon.wait_camera("other", "live")
            snapshot = await request(daemon.port, "GET", "/cameras/gate/snapshot.jpg?cached")
            assert (snapshot.status, (await daemon.camera("gate"))["state"]) == (409, "idle")
            opened = [
                row.seq
                for row in daemon.journal()
                if isinstance(row.event, e.CameraConnecting) and row.event.camera == "gate"
            ]
            assert max(opened) < began.seq
            assert viewer.frames == frames
            assert (await switch(daemon, on=False)).status == 200
            await daemon.wait_camera("gate", "live")


async def test_viewer_of_a_substream_gets_no_frame_of_the_private_time(tmp_path: Path) -> None:
    """It shows the same scene. The substream alone cannot be switched on."""
    cameras = {"gate": {"source": PATTERN, "substream": "gate-sub"}, "gate-sub": "test:160x90@15"}
    async with open_readable(tmp_path, cameras) as (daemon, _), open_viewer() as viewer:
        await daemon.wait_camera("gate-sub", "live")
        await viewer.accept((await daemon.offer("gate-sub", viewer.offer)).body.decode())
        await viewer.wait_frames(15)
        assert (await switch(daemon, on=True)).status == 200
        await daemon.wait_camera("gate-sub", "idle")
        await wait_until(lambda: viewer.pc.connectionState == "closed", WITHIN_S, what="the end of the viewer")
        assert viewer.last_ns - newest(daemon, e.PrivacyBegan).wall_ns < AT_ONCE_NS
        assert (await switch(daemon, on=False, camera="gate-sub")).status == 409
        assert (await daemon.camera("gate-sub"))["privacy"]["camera"] == "gate"


@pytest.mark.usefixtures("rtsp_server_here")
@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_reader_and_its_transcoder_end_with_the_begin_of_privacy(transport: str, tmp_path: Path) -> None:
    """Within a second, and with the reason; the next reader is refused."""
    reading = (find_ffmpeg(), "-nostdin", "-v", "error", "-timeout", "3000000", "-rtsp_transport", transport)
    async with open_rtsp_server(size=(320, 180), fps=15, codec="mjpeg") as camera:
        async with open_readable(tmp_path, {"gate": camera.url}) as (daemon, url):
            await daemon.wait_camera("gate", "live")
            command = [*reading, "-i", f"{url}gate", "-f", "null", "-"]
            process = await trio.lowlevel.open_process(command, stderr=subprocess.DEVNULL)
            try:
                await wait_until(lambda: newest(daemon, e.PeerConnected) is not None, WITHIN_S, what="the reader")
                assert newest(daemon, e.ChildStarted) is not None
                assert (await switch(daemon, True)).status < 300
                await wait_until(
                    lambda: bool(newest(daemon, e.PeerClosed) and newest(daemon, e.ChildEnded)), WITHIN_S, what="ends"
                )
                assert daemon.children() == []
                with trio.fail_after(WITHIN_S * PATIENCE):
                    await process.wait()
            finally:
                process.kill()
                await process.wait()
            began, closed = newest(daemon, e.PrivacyBegan), newest(daemon, e.PeerClosed)
            ended = newest(daemon, e.ChildEnded)
            assert closed.event.reason.code == "privacy"
            assert max(closed.wall_ns, ended.wall_ns) - began.wall_ns < AT_ONCE_NS
            done = await trio.run_process(command, capture_stderr=True, check=False)
            assert done.returncode != 0


async def test_probe_of_a_private_camera_is_refused(tmp_path: Path) -> None:
    """With exit 1 and the way to end it; another camera is probed, and this one again after its privacy."""
    probing = (sys.executable, "-m", "supervisor", "probe", "--config", str(tmp_path / "banken.yaml"))
    async with open_daemon(tmp_path, {"gate": PATTERN, "yard": PATTERN}) as daemon:
        assert (await switch(daemon, True)).status < 300
        for camera, on, code in (("gate", True, 1), ("yard", True, 0), ("gate", False, 0)):
            assert on or (await switch(daemon, False)).status < 300
            with trio.fail_after(WITHIN_S * PATIENCE):
                done = await trio.run_process([*probing, camera], capture_stdout=True, capture_stderr=True, check=False)
            assert (done.returncode, b"is private, and is not opened" in done.stderr) == (code, code == 1), done.stderr


async def test_schedule_switches_a_camera_at_a_start_and_at_a_reload(tmp_path: Path) -> None:
    """Before its source is opened."""
    private = {"source": PATTERN, "privacy": ["00:00-24:00"]}
    async with open_readable(tmp_path, {"gate": private, "other": PATTERN}) as (daemon, _):
        await daemon.wait_camera("other", "live")
        camera = await daemon.camera("gate")
        assert (camera["state"], camera["privacy"]["reason"]["text"]) == ("idle", "switched off by its schedule")
        settings = tmp_path / "banken.yaml"
        text = settings.read_text()
        settings.write_text(text.replace(json.dumps(private), json.dumps(PATTERN)).replace(
            f"other: {json.dumps(PATTERN)}", f"other: {json.dumps(private)}"
        ))  # fmt: skip
        assert (await request(daemon.port, "POST", "/api/config/reload")).status == 200
        await daemon.wait_camera("gate", "live")
        await daemon.wait_camera("other", "idle")
        events = [row.event for row in daemon.journal() if isinstance(row.event, e.CameraConnecting | e.PrivacyEvent)]
    assert [(type(event).__name__, event.camera) for event in events if event.camera == "gate"] == [
        ("PrivacyBegan", "gate"), ("PrivacyEnded", "gate"), ("CameraConnecting", "gate"),
    ]  # fmt: skip


WORDS = {"en": ("Private", "Show front again"), "ja": ("プライバシー保護中", "front を再び公開する")}
HIDE, TITLE = "[data-camera=front] [data-part=hide]", "[data-camera=front] [data-part=overlay-title]"
PLAYS = "banken.players.get('front')?.state().name === 'live'"


@pytest.mark.usefixtures("chromium_here")
@pytest.mark.parametrize("language", WORDS)
async def test_button_of_the_tile_switches_the_camera_by_mouse_and_by_keyboard(language: str, tmp_path: Path) -> None:
    """The tile then has words instead of a picture, which axe-core accepts in both themes; then it plays again."""
    require(axe.missing_reason())
    title, label = WORDS[language]
    async with open_daemon(tmp_path, {"front": PATTERN}) as daemon, open_page_of(daemon, language) as page:
        await page.wait_for(PLAYS, 30)
        await page.click(HIDE)
        await page.wait_for(f"document.querySelector('{TITLE}').textContent === {title!r}", 20)
        shown = await page.evaluate(f"document.querySelector('{HIDE}').getAttribute('aria-label')")
        pictured = await page.evaluate("document.querySelector('[data-camera=front]').dataset.picture")
        assert (shown, pictured) == (label, "no")
        await axe.load_axe(page)
        for theme in ("dark", "light"):
            await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            assert await axe.findings(page) == [], theme
        await page.press("Enter")
        await page.wait_for(PLAYS, 30)
