"""The audio of an RTSP camera with G.711, in the recordings of a real daemon."""

from contextlib import AsyncExitStack
from pathlib import Path

import av
import pytest

from actors.media.media import CLOCK_RATE
from actors.recorder.archive_writer import list_files
from tests.actors.recorder.test_archive_writer import walked
from tests.kit.daemon import open_daemon
from tests.kit.gst import open_rtsp_server
from tests.kit.processes import wait_until

from .test_audio import transcoders

pytestmark = pytest.mark.usefixtures("rtsp_server_here")

SECONDS = 6
RECORD = {"mode": "always", "audio": True}


def seconds(folder: Path, camera: str) -> float:
    """The recorded time of a camera."""
    paths = list_files(folder) if folder.exists() else ()
    return sum(walked(folder / path).duration for path in paths if path.startswith(camera)) / CLOCK_RATE


async def test_g711_is_recorded_where_that_is_wished(tmp_path: Path) -> None:
    """One camera's audio is transcoded, by one child. Without the wish, or without audio, there is video alone."""
    folder = tmp_path / "recordings"
    settings: dict[str, dict[str, object]] = {
        "heard": {"record": RECORD},
        "plain": {"record": "always"},
        "muted": {"record": RECORD, "audio": False},
    }
    async with AsyncExitStack() as stack:
        cameras = dict[str, dict[str, object]]()
        for name, each in settings.items():
            camera = await stack.enter_async_context(open_rtsp_server(size=(320, 180), fps=15, audio="pcmu"))
            cameras[name] = {"source": camera.url, **each}
        async with open_daemon(tmp_path, cameras, "record: {reserve: 64MiB}") as daemon:
            await wait_until(lambda: transcoders(daemon), 60, what="the transcoder")
            until = seconds(folder, "heard") + SECONDS
            await wait_until(lambda: all(seconds(folder, name) >= until for name in cameras), 60, what="recordings")
            assert len(transcoders(daemon)) == 1
            assert await daemon.end() == 0
    for path in list_files(folder):
        with av.open(str(folder / path)) as container:
            kinds = [stream.codec_context.name for stream in container.streams]
            assert kinds == (["h264", "opus"] if path.startswith("heard") else ["h264"])
            heard = sum(frame.samples for frame in container.decode(audio=0)) if "opus" in kinds else None
        assert heard is None or heard / 48_000 > 1
