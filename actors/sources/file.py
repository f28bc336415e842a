"""`file:`: a video file, looped in real time by an ffmpeg child, with its sound.

H.264 and H.265 without B-frames pass as they are. Anything else is re-encoded: files often hold B-frames, whose order
of transmission is not the order of display, and WebRTC has no way to say so. Sound passes if FLV carries it.
"""

from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import av
import av.error
import trio

from supervisor.config import Source
from supervisor.domain.events import ChildEnded, Recorded
from supervisor.domain.ids import CameraId, camera_stream
from supervisor.domain.values import Fault, Reason
from supervisor.threads import run_in_thread

from ..ffmpeg import run_ffmpeg
from ..hub import Hub
from ..process import fault_of
from ..tools import Tools

PROBES = 2
"""Files looked into at the same time."""
REENCODE = ("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "60")
REENCODE_SOUND = ("-c:a", "aac", "-ac", "2")
_AS_IT_IS = ("-c:v", "copy"), ("-c:a", "copy")
_NEW_TO_FLV = ("unsupported-codec", "unsupported-sound")
"""How an ffmpeg ends that is too old (before 6.1, 7.1) to put H.265, or Opus, into FLV."""

_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("probes of files")


def check(source: Source) -> str | None:
    try:
        path = path_of(source)
        if urlsplit(source.address).netloc:
            return f"{source.address!r} names a host; it should look like file:///srv/clip.mp4, with three slashes"
        return None if path.is_file() else f"there is no file {str(path)!r}"
    except (ValueError, OSError) as error:
        return f"{source.address[:100]!r} cannot be used: {error}; it should look like file:///srv/clip.mp4"


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools, after: Recorded) -> Reason:
    path, shown = path_of(source), source.summary().url
    try:
        passes = await run_in_thread(partial(passes_as_it_is, path), limiter=_probe_limiter())
    except (av.error.FFmpegError, OSError) as error:
        return Reason("bad-data", f"{shown} cannot be read as video: {error.strerror or error}", fault_of(error))
    if passes is None:
        return Reason("no-video", f"{shown} has no video", Fault.FATAL)
    ended = await run_ffmpeg(camera, source, _arguments(path, *passes), hub, tools, after)
    if ended.code in _NEW_TO_FLV and any(passes):
        said = tools.kernel.latest(camera_stream(camera), of=ChildEnded) or after
        ended = await run_ffmpeg(camera, source, _arguments(path, False, False), hub, tools, said)
    return ended


def _arguments(path: Path, video_passes: bool, sound_passes: bool) -> tuple[str, ...]:
    video, sound = _AS_IT_IS
    coding = (*(video if video_passes else REENCODE), *(sound if sound_passes else REENCODE_SOUND))
    read = ("-nostdin", "-re", "-stream_loop", "-1", "-i", str(path))
    return (*read, "-map", "0:v:0", "-map", "0:a:0?", *coding)


def path_of(source: Source) -> Path:
    return Path(unquote(urlsplit(source.address).path))


def passes_as_it_is(path: Path) -> tuple[bool, bool] | None:
    """Whether a file's video, and its sound, need no re-encoding; none when it has no video.

    Blocking. Raises `FFmpegError`.
    """
    with av.open(str(path)) as container:
        if not container.streams.video:
            return None
        video = container.streams.video[0].codec_context
        sound = container.streams.audio[0].codec_context if container.streams.audio else None
        return video.name in ("h264", "hevc") and not video.has_b_frames, sound is not None and _passes(sound)


def _passes(sound: av.AudioCodecContext) -> bool:
    if sound.name in ("pcm_alaw", "pcm_mulaw"):
        return sound.sample_rate == 8000 and sound.layout.nb_channels == 1
    return sound.name in ("aac", "opus", "libopus")


def _probe_limiter() -> trio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(PROBES)
        _limiter.set(limiter)
        return limiter
