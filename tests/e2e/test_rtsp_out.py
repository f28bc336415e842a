"""Programs that people use read cameras from banken by RTSP."""

import json
from pathlib import Path

import pytest
import trio

from supervisor.domain import events as e
from supervisor.domain.values import PeerProtocol
from tests.kit.chromium import open_chromium
from tests.kit.gst import open_rtsp_server
from tests.kit.http import request
from tests.kit.patience import PATIENCE
from tests.kit.processes import wait_until
from tests.kit.readers import FPS, PROGRAMS, Read, missing, open_readable, run_readers

FRAMES = 40
SECONDS = 8.0
LEAST = 0.7
"""Of the frames of the camera: a recorder begins and ends at a key frame."""
WITHIN_S = 60.0
PATTERN = "test:320x180@15"
DECODED = "window.banken.players.get('gate')?.statistics().framesDecoded ?? 0"


async def ffmpeg(*arguments: str) -> str:
    """Run ffmpeg to its end, and return what it says. Raises `CalledProcessError`."""
    with trio.fail_after(WITHIN_S * PATIENCE):
        done = await trio.run_process(
            ["ffmpeg", "-hide_banner", "-nostdin", *arguments], capture_stdout=True, capture_stderr=True
        )
    return done.stdout.decode() + done.stderr.decode()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_ffmpeg_decodes_every_frame_of_an_on_demand_camera(tmp_path: Path, transport: str) -> None:
    """From a camera at rest: it is opened for the reader, and its lease ends with it."""
    async with open_readable(tmp_path, {"gate": {"source": PATTERN, "mode": "on_demand"}}) as (daemon, url):
        reading = (
            "-rtsp_transport",
            transport,
            "-xerror",
            "-i",
            f"{url}gate",
            "-frames:v",
            str(FRAMES),
            "-f",
            "null",
            "-",
        )
        told = await ffmpeg("-v", "warning", *reading)
        assert "error" not in told.lower(), told
        await wait_until(
            lambda: any(isinstance(row.event, e.PeerClosed) for row in daemon.journal()),
            WITHIN_S,
            what="the end of the peer",
        )
        events = [row.event for row in daemon.journal()]
    opened = next(event for event in events if isinstance(event, e.PeerOpened))
    closed = next(event for event in events if isinstance(event, e.PeerClosed))
    assert opened.protocol is PeerProtocol.RTSP and opened.client == "127.0.0.1"
    assert closed.reason.code == "left"
    assert [type(event).__name__ for event in events].count("LeaseEnded") == 1


async def test_reader_whose_lease_is_revoked_is_closed_at_once(tmp_path: Path) -> None:
    """It is in the list of peers as a reader; the journal has the reason."""
    async with open_readable(tmp_path, {"gate": PATTERN}) as (daemon, url):
        await daemon.wait_camera("gate", "live")
        process = await trio.lowlevel.open_process(
            ["ffmpeg", "-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i", f"{url}gate", "-f", "null", "-"]
        )
        try:
            peer = None
            with trio.fail_after(WITHIN_S * PATIENCE):
                while not peer or peer["state"] != "connected":
                    await trio.sleep(0.05)
                    peer = next(iter((await daemon.get("/api/peers"))["peers"]), None)
                assert peer["protocol"] == "rtsp"
                answer = await request(daemon.port, "DELETE", f"/api/leases/{peer['lease']}")
                assert answer.status == 204
                await process.wait()
        finally:
            process.kill()
            await process.wait()
        metrics = (await request(daemon.port, "GET", "/metrics")).body.decode()
        events = [row.event for row in daemon.journal()]
    assert "banken_rtsp_readers 0" in metrics
    assert next(event for event in events if isinstance(event, e.PeerClosed)).reason.code == "kicked"


async def test_unknown_camera_and_camera_without_a_picture_have_an_answer(tmp_path: Path) -> None:
    """404 and 503, each with its reason in words."""
    async with open_readable(tmp_path, {"gate": "rtsp://127.0.0.1:1/main"}) as (_, url):
        port = int(url.split(":")[2].rstrip("/"))
        for name, status, words in (
            ("nope", "404", "there is no camera 'nope'"),
            ("gate", "503", "has sent no picture"),
        ):
            with trio.fail_after(WITHIN_S * PATIENCE):
                stream = await trio.open_tcp_stream("127.0.0.1", port)
                await stream.send_all(f"DESCRIBE {url}{name} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
                said = b""
                while words.encode() not in said:
                    data = await stream.receive_some()
                    assert data, said
                    said += data
                assert said.startswith(f"RTSP/1.0 {status} ".encode()), json.dumps(said.decode())
                await stream.aclose()


@pytest.mark.slow
@pytest.mark.usefixtures("rtsp_server_here")
async def test_programs_read_a_camera_that_sees_one_connection(tmp_path: Path) -> None:
    """All programs of `ops/readers.py` that are here decode the same on-demand camera at once."""
    programs = [name for name in PROGRAMS if name not in missing(list(PROGRAMS))]
    outcome = await run_readers(tmp_path, SECONDS, programs)
    assert {read.name: read.problem for read in outcome.reads if read.problem} == {}
    assert {read.name for read in outcome.reads if read.rate < LEAST * FPS} == set()
    assert (outcome.connections, outcome.plays) == (1, 1)


@pytest.mark.slow
@pytest.mark.usefixtures("rtsp_server_here")
async def test_camera_of_jpegs_is_read_as_transcoded_h264(tmp_path: Path) -> None:
    """RTSP carries H.264 and H.265 to readers; the transcoder runs while there is one."""
    async with open_rtsp_server(size=(320, 180), fps=FPS, codec="mjpeg") as camera:
        async with open_readable(tmp_path, {"gate": camera.url}) as (daemon, url):
            await daemon.wait_camera("gate", "live")
            reading = ("-rtsp_transport", "tcp", "-i", f"{url}gate", "-frames:v", str(FRAMES), "-f", "null", "-")
            assert "Video: h264" in await ffmpeg(*reading)
            await wait_until(lambda: daemon.children() == [], WITHIN_S, what="the end of the transcoder")


@pytest.mark.slow
@pytest.mark.usefixtures("rtsp_server_here", "chromium_here")
async def test_recorder_and_browser_watch_a_camera_of_two_connections_at_once(tmp_path: Path) -> None:
    """mediamtx, if it is here, and ffmpeg record while a page plays; the camera sees one connection."""
    recorders = ["ffmpeg-copy", *(name for name in ("mediamtx",) if not missing([name]))]
    reads: list[Read] = []

    async def record(name: str, url: str) -> None:
        home = tmp_path / name
        home.mkdir()
        reads.append(await PROGRAMS[name](home, url, SECONDS))

    async with open_rtsp_server(size=(320, 180), fps=FPS) as camera, open_chromium() as browser:
        gate = {"source": camera.url, "device": "box"}
        async with open_readable(tmp_path, {"gate": gate}, "devices: {box: {max_connections: 2}}") as (daemon, url):
            async with browser.open_page(daemon.url) as page, trio.open_nursery() as nursery:
                for name in recorders:
                    nursery.start_soon(record, name, f"{url}gate")
                await page.wait_for(f"({DECODED}) >= {FRAMES}", WITHIN_S)
                peers = (await daemon.get("/api/peers"))["peers"]
                assert {peer["protocol"] for peer in peers} == {"rtsp", "webrtc"}
        assert camera.max_clients == 1
    assert {read.name: read.problem for read in reads if read.problem} == {}
    assert {read.name for read in reads if read.rate < LEAST * FPS} == set()
