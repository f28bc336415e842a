"""Audio and codecs, from a real ffmpeg through a real daemon to a real viewer."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from supervisor.domain import events as e
from tests.actors.sources.test_file import write_clip
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.gst import Audio, open_rtsp_server
from tests.kit.media import pitch
from tests.kit.processes import wait_until
from tests.kit.viewer import Viewer, open_viewer

TONE = ("-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100")
OWN = (*TONE, "-re", "-f", "lavfi", "-i", "testsrc=size=128x96:rate=10", "-c:v", "libx264", "-tune", "zerolatency",
       "-g", "10", "-c:a", "aac")  # fmt: skip


def transcoders(daemon: Daemon) -> list[int]:
    return [child.pid for child in daemon.children() if "libopus" in child.cmdline]


@asynccontextmanager
async def watch(daemon: Daemon, camera: str, *, sound: bool = False) -> AsyncIterator[Viewer]:
    async with open_viewer(sound=sound) as viewer:
        await viewer.accept((await daemon.offer(camera, viewer.offer)).text)
        yield viewer


async def hear(viewer: Viewer, hertz: float) -> None:
    """Wait for two seconds of a tone that is this one, behind its onset."""
    viewer.heard.clear()
    await wait_until(lambda: len(viewer.heard) == 100, 20, what="sound")
    assert pitch(list(viewer.heard)[20:]) == pytest.approx(hertz, rel=0.02)


async def test_aac_is_played_as_opus_by_all_listeners(tmp_path: Path) -> None:
    """One child for all who listen; killed, it is replaced, the picture goes on; after the last it is gone."""
    async with open_daemon(tmp_path, {"hall": {"ffmpeg": OWN}}) as daemon:
        camera = await daemon.wait_camera("hall", "live")
        assert (camera["audio"], camera["mute"]) == ("aac", "")
        async with watch(daemon, "hall") as looks:
            await looks.wait_frames(5)
            assert transcoders(daemon) == []
            async with watch(daemon, "hall", sound=True) as one, watch(daemon, "hall", sound=True) as two:
                await hear(one, 440)
                await hear(two, 440)
                (child,) = transcoders(daemon)
                os.kill(child, signal.SIGKILL)
                await looks.wait_frames(10)
                await wait_until(lambda: transcoders(daemon) not in ([], [child]), 20, what="another child")
                await hear(one, 440)
            await wait_until(lambda: not transcoders(daemon), 30, what="the end of the transcoder")
            await looks.wait_frames(5)
        assert await daemon.end() == 0
    raised = [row.event.alert for row in daemon.journal() if isinstance(row.event, e.AlertRaised)]
    assert raised.count("sound/hall") == 1


async def test_audio_that_is_off_is_neither_sent_nor_transcoded(tmp_path: Path) -> None:
    """The answer rejects the audio section, no child transcodes, and the reason names the configuration."""
    async with open_daemon(tmp_path, {"hall": {"ffmpeg": OWN, "audio": "off"}}) as daemon:
        camera = await daemon.wait_camera("hall", "live")
        assert (camera["audio"], camera["mute"]) == ("", "its audio is off in the configuration")
        async with open_viewer(sound=True) as viewer:
            answer = await daemon.offer("hall", viewer.offer)
            assert "m=audio" in viewer.offer
            assert "m=audio 0" in answer.text
            await viewer.accept(answer.text)
            await viewer.wait_frames(15)
            assert (transcoders(daemon), len(viewer.heard)) == ([], 0)


async def test_camera_without_usable_audio_shows_video_and_the_reason(tmp_path: Path) -> None:
    """Without any audio, and with a codec that is not supported."""
    silent = write_clip(tmp_path / "silent.mp4")
    odd = {"ffmpeg": (*OWN[:-1], "libmp3lame")}
    async with open_daemon(tmp_path, {"silent": f"file://{silent}", "odd": odd}) as daemon:
        for name in ("silent", "odd"):
            await daemon.wait_camera(name, "live")
            async with watch(daemon, name, sound=True) as viewer:
                await viewer.wait_frames(5)
                assert not viewer.heard
        assert (await daemon.camera("silent"))["mute"] == ""
        assert "MP3" in (await daemon.camera("odd"))["mute"]


CODECS: dict[Audio, str] = {"l16": "l16", "l24": "l24", "mp2": "mpa", "mp3": "mpa", "latm": "aac",
                           "speex": "speex", "gsm": "gsm", "amr": "amr"}  # fmt: skip
"""Audio of the RTSP server, and the codec that the API names."""


async def test_audio_of_rtsp_cameras_is_heard_in_every_codec(tmp_path: Path) -> None:
    """The tone of a real RTSP server reaches a viewer with its pitch, whatever codec carries it."""
    async with AsyncExitStack() as stack:
        cameras: dict[str, object] = {}
        for audio in CODECS:
            server = await stack.enter_async_context(open_rtsp_server(size=(128, 96), fps=10, audio=audio))
            cameras[audio] = {"source": server.url, "mode": "on_demand"}
        async with open_daemon(tmp_path, cameras) as daemon:
            for audio, codec in CODECS.items():
                async with watch(daemon, audio, sound=True) as viewer:
                    await viewer.wait_frames(2)
                    await hear(viewer, 440)
                    assert (await daemon.camera(audio))["audio"] == codec
