"""Players that know HLS, and not WebRTC, watch a camera of a running daemon."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from supervisor.domain import events as e
from tests.kit.chromium import open_chromium
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.hls import play_by_gstreamer, play_by_hls_js
from tests.kit.http import request
from tests.kit.processes import wait_until
from tests.kit.readers import decode

PATTERN = "test:320x180@15"
SECONDS = 6.0
WITHIN_S = 60.0
PART_S = 8.0
"""Seconds of each part of the recording."""
IDLE_S = 40.0
"""More than the time after which a player that asks no more has left."""


async def recorded(daemon: Daemon, kind: str, seconds: float) -> None:
    """Return when a recording has lasted so long since it began or went on."""

    def since_ns() -> int:
        return max((row.wall_ns for row in daemon.journal() if type(row.event).__name__ == kind), default=2**62)

    await wait_until(lambda: time.time_ns() - since_ns() > seconds * 1e9, WITHIN_S, what=kind)


async def test_ffmpeg_plays_what_a_camera_sends_now(tmp_path: Path) -> None:
    """A camera at rest is opened for it. The lease of the player ends after its last request, and has its bytes."""
    async with open_daemon(tmp_path, {"gate": {"source": PATTERN, "mode": "on_demand"}}) as daemon:
        read = await decode("ffmpeg", f"{daemon.url}hls/gate/live.m3u8", SECONDS)
        assert not read.problem
        assert read.frames >= SECONDS * 15 * 0.8
        ended = [e.LeaseEnded]
        await wait_until(
            lambda: any(type(row.event) in ended for row in daemon.journal()), IDLE_S, what="the end of the lease"
        )
        (lease,) = [row.event for row in daemon.journal() if isinstance(row.event, e.LeaseEnded)]
        assert (lease.reason.code, (lease.bytes or 0) > 10_000) == ("gone", True)


@pytest.mark.usefixtures("chromium_here")
async def test_hls_js_plays_with_low_latency(tmp_path: Path) -> None:
    """Without an error, and less behind the camera than without parts, where it is three segments."""
    async with open_daemon(tmp_path, {"gate": PATTERN}) as daemon, open_chromium() as browser:
        await daemon.wait_camera("gate", "live")
        async with browser.open_page(daemon.url) as page:
            played = await play_by_hls_js(page, "/hls/gate/live.m3u8", SECONDS * 2)
    assert played["problems"] == []
    assert played["frames"] > SECONDS * 15
    assert 0 < played["latency"] < 6.0


@pytest.mark.usefixtures("rtsp_server_here")
async def test_gstreamer_plays_what_a_camera_sends_now(tmp_path: Path) -> None:
    """It knows nothing of parts, and plays whole segments."""
    async with open_daemon(tmp_path, {"gate": PATTERN}) as daemon:
        await daemon.wait_camera("gate", "live")
        played = await play_by_gstreamer(f"{daemon.url}hls/gate/live.m3u8", SECONDS * 2)
    assert played["problem"] == ""
    assert played["units"] > SECONDS * 15


@pytest.mark.usefixtures("chromium_here", "rtsp_server_here")
async def test_recorded_video_plays_over_a_gap(tmp_path: Path) -> None:
    """A camera is recorded, restarted and recorded again: ffmpeg, hls.js and GStreamer play both parts, to the end."""
    async with open_daemon(tmp_path, {"gate": {"source": PATTERN, "record": "always"}}) as daemon:
        begin_ns = time.time_ns()
        await recorded(daemon, "RecordingStarted", PART_S)
        (child,) = (await daemon.get("/api/processes"))["processes"]
        os.kill(child["pid"], signal.SIGKILL)
        await recorded(daemon, "RecordingResumed", PART_S)
        path = f"hls/gate/vod.m3u8?from={begin_ns}&to={time.time_ns()}"
        text = (await request(daemon.port, "GET", f"/{path}")).body.decode()
        assert text.count("#EXT-X-DISCONTINUITY\n") == 1
        stated_s = sum(float(found) for found in re.findall(r"#EXTINF:([\d.]+),", text))
        assert stated_s >= 2 * PART_S - 4
        frames = stated_s * 15 - 2
        assert (await decode("ffmpeg", f"{daemon.url}{path}", 120)).frames >= frames
        assert (await play_by_gstreamer(f"{daemon.url}{path}", 60))["units"] >= frames
        async with open_chromium() as browser, browser.open_page(daemon.url) as page:
            played = await play_by_hls_js(page, f"/{path}", stated_s + 20)
    assert (played["problems"], played["ended"]) == ([], True)
    assert played["frames"] >= frames * 0.9
