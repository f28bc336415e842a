"""H.265 and audio from a real ffmpeg through a real daemon, to viewers that do not support every codec."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from supervisor.domain import events as e
from tests.actors.sources.test_file import BUNDLED, write_clip
from tests.e2e.test_audio import OWN, transcoders
from tests.e2e.test_sources import write_video
from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import Daemon, launch_daemon, write_config
from tests.kit.processes import wait_until
from tests.kit.viewer import open_viewer


@asynccontextmanager
async def newest_ffmpeg(folder: Path, cameras: dict[str, Any]) -> AsyncIterator[Daemon]:
    """A daemon that has banken's own ffmpeg on its PATH: Debian's puts no H.265 into FLV."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "ffmpeg").symlink_to(BUNDLED)
    write_config(folder, cameras)
    async with launch_daemon(folder, {"PATH": f"{programs}:{os.environ['PATH']}"}) as daemon:
        await daemon.wait_ready()
        yield daemon


async def test_browser_without_h265_gets_the_substream_or_an_error(tmp_path: Path) -> None:
    """This also holds for a camera that rests and never sent anything: the codec is reported with its first picture."""
    main = f"file://{write_clip(tmp_path / 'main.mkv', 'libx265')}"
    sub = f"file://{write_video(tmp_path / 'sub.mp4', 'libx264', {'bf': '0'})}"
    cameras = {
        "main": {"source": main, "substream": "sub"},
        "sub": {"source": sub, "mode": "on_demand"},
        "lone": {"source": main, "mode": "on_demand", "transcode": "never"},
    }
    async with newest_ffmpeg(tmp_path, cameras) as daemon:
        assert (await daemon.wait_camera("main", "live"))["codec"] == "h265"
        async with open_viewer() as viewer:
            answer = await daemon.offer("main", viewer.offer)
            assert answer.headers["Content-Location"] == "sub"
            await viewer.accept(answer.text)
            await viewer.wait_frames(5)
            assert viewer.sizes == {(128, 96)}

        async with open_viewer() as viewer:
            await viewer.accept((await daemon.offer("lone", viewer.offer)).text)

            def closed() -> list[str]:
                return [row.event.reason.code for row in daemon.journal()
                        if isinstance(row.event, e.PeerClosed) and row.event.camera == "lone"]  # fmt: skip

            await wait_until(closed, 20, what="the end of the viewer")
            assert closed() == ["unsupported-codec"]
            refused = await daemon.offer("lone", viewer.offer)
        assert (refused.status, refused.json["codec"]) == (406, "h265")


LOUD = """(() => {
  const stream = document.querySelector(".tile[data-camera=hall] video").srcObject;
  if (!stream?.getAudioTracks().length) return false;
  const context = (window.listening ??= new AudioContext());
  const analyser = (stream.analyser ??= context.createAnalyser());
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(2048);
  analyser.getFloatTimeDomainData(samples);
  return Math.max(...samples) > 0.01;
})()"""
"""Whether what the browser plays of the hall is loud."""


def player(camera: str) -> str:
    return f"document.querySelector('.tile[data-camera={camera}]')"


async def press_on(page: Page, camera: str, key: str) -> None:
    await page.evaluate(f"{player(camera)}.focus()")
    await page.press(key)


@pytest.mark.usefixtures("chromium_here")
async def test_the_page_is_heard_when_asked_to_and_says_what_it_cannot_show(tmp_path: Path) -> None:
    """Audio is off until `m`, and then on for one camera; a camera without audio says so; H.265 is shown where
    possible."""
    main = f"file://{write_clip(tmp_path / 'main.mkv', 'libx265')}"
    cameras = {
        "hall": {"ffmpeg": OWN},
        "lone": {"source": main, "mode": "on_demand", "transcode": "never"},
        "main": {"source": main, "substream": "hall"},
        "odd": {"ffmpeg": (*OWN[:-1], "libmp3lame")},
    }
    async with newest_ffmpeg(tmp_path, cameras) as daemon, open_chromium(size=(1440, 900)) as browser:
        for name in ("hall", "main", "odd"):
            await daemon.wait_camera(name, "live")
        async with browser.open_page(daemon.url) as page:
            await page.wait_for(f"{player('hall')}?.dataset.player === 'live'", 30)
            assert await page.evaluate(f"{player('hall')}.querySelector('video').muted")
            await page.wait_for(f"{player('odd')}.dataset.player === 'live'", 30)
            assert transcoders(daemon) == []

            await press_on(page, "hall", "m")
            await page.wait_for(LOUD, 30)
            assert not await page.evaluate(f"{player('hall')}.querySelector('video').muted")

            await press_on(page, "odd", "m")
            await page.wait_for(f"{player('odd')}.innerText.includes('No audio: the audio is MP3')", 20)

            await press_on(page, "lone", " ")
            await page.wait_for(f"{player('lone')}.innerText.includes('does not play H.265')", 8)
            await page.wait_for(f"{player('lone')}.querySelector('.stills').naturalWidth > 0", 30)
            await page.wait_for(f"{player('main')}.dataset.player === 'live'", 30)
            assert "by hall" in await page.evaluate(f"{player('main')}.innerText")

            await press_on(page, "hall", "m")
            await wait_until(lambda: not transcoders(daemon), 30, what="the end of the transcoder")
