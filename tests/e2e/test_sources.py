"""The other kinds of sources, for real: files of every sort, and an ffmpeg of one's own."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from actors.media.decoder.codec import decode
from tests.kit.daemon import open_daemon
from tests.kit.gst import Codec, open_rtsp_server
from tests.kit.http import request
from tests.kit.viewer import open_viewer


def write_video(path: Path, codec: str, options: dict[str, str]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(30):
            frame = av.VideoFrame(128, 96, "yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_audio(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame("s16", "mono", 800)
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


async def test_files_and_ffmpeg(tmp_path: Path) -> None:
    """Video that WebRTC carries is copied, other video is re-encoded, a file without video is an error; a file
    loops."""
    simple = write_video(tmp_path / "simple.mp4", "libx264", {"bf": "0"})
    b_frames = write_video(tmp_path / "b frames.mp4", "libx264", {"bf": "2", "b-adapt": "0"})
    old = write_video(tmp_path / "old.avi", "mpeg4", {})
    audio = write_audio(tmp_path / "audio.wav")
    text = tmp_path / "text.mp4"
    text.write_text("this is no video")
    cameras = {name: f"file://{str(path).replace(' ', '%20')}" for name, path in
               {"simple": simple, "b-frames": b_frames, "old": old, "audio": audio, "text": text}.items()}  # fmt: skip
    own = ("-re", "-f", "lavfi", "-i", "testsrc=size=128x96:rate=10", "-c:v", "libx264", "-tune", "zerolatency")
    async with open_daemon(tmp_path, {**cameras, "own": {"ffmpeg": own}}) as daemon:
        for name, code in (("audio", "no-video"), ("text", "bad-data")):
            assert (await daemon.wait_camera(name, "failed"))["reason"]["code"] == code
        for name in ("simple", "b-frames", "old", "own"):
            assert (await daemon.wait_camera(name, "live"))["width"] == 128
        arguments = {p["camera"]: " ".join(p["arguments"]) for p in (await daemon.get("/api/processes"))["processes"]}
        assert ["-c:v copy" in arguments[name] for name in ("simple", "b-frames", "old")] == [True, False, False]
        async with open_viewer() as viewer:
            await viewer.accept((await daemon.offer("simple", viewer.offer)).text)
            await viewer.wait_frames(45)


@pytest.mark.usefixtures("rtsp_server_here")
@pytest.mark.parametrize("codec", ["mjpeg", "mjpeg422", "mpeg4"])
async def test_camera_of_an_old_codec_is_live_and_has_snapshots(tmp_path: Path, codec: Codec) -> None:
    """MJPEG and MPEG-4 over RTSP. Viewers get transcoded video."""
    async with open_rtsp_server(codec=codec) as camera, open_daemon(tmp_path, {"front": camera.url}) as daemon:
        known = await daemon.wait_camera("front", "live")
        assert (known["codec"], known["width"], known["height"]) == (codec.removesuffix("422"), 640, 360)
        answer = await request(daemon.port, "GET", "/cameras/front/snapshot.jpg")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
        assert decode("mjpeg", answer.body).width == 640
        async with open_viewer() as viewer:
            await viewer.accept((await daemon.offer("front", viewer.offer)).text)
            await viewer.wait_frames(45)
