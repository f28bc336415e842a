"""`file:`: a video file, looped in real time by an ffmpeg child, with its audio.

H.264 and H.265 without B-frames pass unchanged. All other video is re-encoded: files often hold B-frames, which are
transmitted in another order than displayed, and WebRTC cannot signal that. Audio passes if FLV can carry it.
"""

import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import trio

from supervisor.config.config import Source
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Fault, Reason

from ..media.decoder.wire import MAY_PASS
from ..media.ffmpeg import run_ffmpeg
from ..media.hub import Hub
from ..process.child import ChildExit, ChildSpec, run_child
from ..tools import Tools

INSPECTOR = (sys.executable, "-I", str(Path(__file__).parents[1] / "media" / "decoder" / "inspector.py"))
INSPECTION_S = 10.0
"""Time limit of the inspection: the disk may be asleep, or not answer."""
MAX_OUTPUT = 4096
REENCODE = ("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "60")
REENCODE_AUDIO = ("-c:a", "aac", "-ac", "2")
_AS_IT_IS = ("-c:v", "copy"), ("-c:a", "copy")
_NEW_TO_FLV = ("unsupported-codec", "unsupported-sound")
"""How an ffmpeg ends that is too old to mux H.265 (before 6.1) or Opus (before 7.1) into FLV."""


def check(source: Source) -> str | None:
    try:
        path = path_of(source)
        if urlsplit(source.address).netloc:
            return f"{source.address!r} names a host; it should look like file:///srv/clip.mp4, with three slashes"
        return None if path.is_file() else f"there is no file {str(path)!r}"
    except (ValueError, OSError) as error:
        return f"{source.address[:100]!r} cannot be used: {error}; it should look like file:///srv/clip.mp4"


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools) -> Reason:
    """Inspect the file in a separate child process, then continue as `run_ffmpeg`.

    Cancellation: ends the child process that runs. Cleanup: that of `run_child` and `run_ffmpeg`.
    """
    path, found = path_of(source), Inspection(source.summary().url)
    spec = ChildSpec(camera, "inspector", (*INSPECTOR, str(path)), source.secrets, env=source.env)
    ended = await run_child(spec, found.consume, found.explain, tools)
    if found.passes is None:
        return ended
    ended = await run_ffmpeg(camera, source, _arguments(path, *found.passes), hub, tools)
    if ended.code in _NEW_TO_FLV and any(found.passes):
        ended = await run_ffmpeg(camera, source, _arguments(path, False, False), hub, tools)
    return ended


class Inspection:
    """The answer of a child process that has read a file (`media/decoder/inspector.py`)."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._said = b""
        self.passes: tuple[bool, bool] | None = None
        """Whether its video and its audio pass without re-encoding; None when the file cannot be shown at all."""

    async def consume(self, stream: trio.abc.ReceiveStream) -> Reason | None:
        with trio.move_on_after(INSPECTION_S):
            while chunk := await stream.receive_some(MAX_OUTPUT):
                self._said += chunk
                if len(self._said) >= MAX_OUTPUT:
                    return Reason("bad-data", f"the inspection of {self._shown} wrote too much output", Fault.FATAL)
            return None
        return Reason("timeout", f"{self._shown} could not be inspected within {INSPECTION_S:g} s")

    def explain(self, ending: ChildExit) -> Reason:
        last = ending.stderr_tail[-1] if ending.stderr_tail else f"exit status {ending.status}"
        if ending.status != 0:
            passing = ending.signal is not None or ending.status == MAY_PASS
            fault = Fault.TEMPORARY if passing else Fault.FATAL
            return Reason("bad-data", f"{self._shown} cannot be read as video: {last}", fault)
        try:
            video, b_frames, sound, rate, channels = self._said.decode().split()
            if video == "-":
                return Reason("no-video", f"{self._shown} has no video", Fault.FATAL)
            plain = video in ("h264", "hevc") and not int(b_frames)
            self.passes = plain, sound != "-" and passes(sound, int(rate), int(channels))
        except ValueError:
            return Reason("bad-data", f"{self._shown} could not be inspected: the answer is malformed", Fault.FATAL)
        return Reason("inspected", "the file was inspected", Fault.NONE)


def _arguments(path: Path, video_passes: bool, audio_passes: bool) -> tuple[str, ...]:
    video, sound = _AS_IT_IS
    coding = (*(video if video_passes else REENCODE), *(sound if audio_passes else REENCODE_AUDIO))
    read = ("-nostdin", "-re", "-stream_loop", "-1", "-i", str(path))
    return (*read, "-map", "0:v:0", "-map", "0:a:0?", *coding)


def path_of(source: Source) -> Path:
    return Path(unquote(urlsplit(source.address).path))


def passes(sound: str, rate: int, channels: int) -> bool:
    """Whether browsers can play this audio unchanged, or through the transcoder. `rate` is in Hz."""
    if sound in ("pcm_alaw", "pcm_mulaw"):
        return (rate, channels) == (8000, 1)
    return sound in ("aac", "opus", "libopus")
