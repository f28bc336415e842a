"""`file:`: a video file, looped in real time by an ffmpeg child, with its sound.

H.264 and H.265 without B-frames pass as they are. Anything else is re-encoded: files often hold B-frames, whose order
of transmission is not the order of display, and WebRTC has no way to say so. Sound passes if FLV carries it.
"""

import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import trio

from supervisor.config import Source
from supervisor.domain.events import ChildEnded, Recorded
from supervisor.domain.ids import CameraId, camera_stream
from supervisor.domain.values import Fault, Reason

from ..child import ChildSpec, Ending, run_child
from ..decoder.wire import MAY_PASS
from ..ffmpeg import run_ffmpeg
from ..hub import Hub
from ..tools import Tools

PROBE = (sys.executable, "-I", str(Path(__file__).parents[1] / "decoder" / "probe.py"))
PROBE_S = 10.0
"""For a file on a disk that may be asleep, or not answer."""
MOST_SAID = 4096
REENCODE = ("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "60")
REENCODE_SOUND = ("-c:a", "aac", "-ac", "2")
_AS_IT_IS = ("-c:v", "copy"), ("-c:a", "copy")
_NEW_TO_FLV = ("unsupported-codec", "unsupported-sound")
"""How an ffmpeg ends that is too old (before 6.1, 7.1) to put H.265, or Opus, into FLV."""


def check(source: Source) -> str | None:
    try:
        path = path_of(source)
        if urlsplit(source.address).netloc:
            return f"{source.address!r} names a host; it should look like file:///srv/clip.mp4, with three slashes"
        return None if path.is_file() else f"there is no file {str(path)!r}"
    except (ValueError, OSError) as error:
        return f"{source.address[:100]!r} cannot be used: {error}; it should look like file:///srv/clip.mp4"


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools, after: Recorded) -> Reason:
    """As `run_ffmpeg`; before it, a child of its own looks into the file. Cancellation and cleanup: those of both."""
    path, probe = path_of(source), Probe(source.summary().url)
    spec = ChildSpec(camera, "probe", (*PROBE, str(path)), source.secrets, env=source.env)
    ended = await run_child(spec, probe.consume, probe.explain, tools, after)
    if probe.passes is None:
        return ended
    said = tools.kernel.latest(camera_stream(camera), of=ChildEnded) or after
    ended = await run_ffmpeg(camera, source, _arguments(path, *probe.passes), hub, tools, said)
    if ended.code in _NEW_TO_FLV and any(probe.passes):
        said = tools.kernel.latest(camera_stream(camera), of=ChildEnded) or after
        ended = await run_ffmpeg(camera, source, _arguments(path, False, False), hub, tools, said)
    return ended


class Probe:
    """The answer of a child that has read a file (`decoder/probe.py`)."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._said = b""
        self.passes: tuple[bool, bool] | None = None
        """Whether its video, and its sound, need no re-encoding; none when it cannot be shown at all."""

    async def consume(self, stream: trio.abc.ReceiveStream) -> Reason | None:
        with trio.move_on_after(PROBE_S):
            while chunk := await stream.receive_some(MOST_SAID):
                self._said += chunk
                if len(self._said) >= MOST_SAID:
                    return Reason("bad-data", f"what looked into {self._shown} said too much", Fault.FATAL)
            return None
        return Reason("timeout", f"{self._shown} could not be looked into within {PROBE_S:g} s")

    def explain(self, ending: Ending) -> Reason:
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
            return Reason("bad-data", f"{self._shown} could not be looked into: the answer is malformed", Fault.FATAL)
        return Reason("probed", "it was looked into", Fault.NONE)


def _arguments(path: Path, video_passes: bool, sound_passes: bool) -> tuple[str, ...]:
    video, sound = _AS_IT_IS
    coding = (*(video if video_passes else REENCODE), *(sound if sound_passes else REENCODE_SOUND))
    read = ("-nostdin", "-re", "-stream_loop", "-1", "-i", str(path))
    return (*read, "-map", "0:v:0", "-map", "0:a:0?", *coding)


def path_of(source: Source) -> Path:
    return Path(unquote(urlsplit(source.address).path))


def passes(sound: str, rate: int, channels: int) -> bool:
    """Whether viewers can be given this sound as it is, or by way of the transcoder."""
    if sound in ("pcm_alaw", "pcm_mulaw"):
        return (rate, channels) == (8000, 1)
    return sound in ("aac", "opus", "libopus")
