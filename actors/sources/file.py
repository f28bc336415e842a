"""`file:`: a video file, looped in real time by an ffmpeg child.

H.264 without B-frames passes as it is. Anything else is re-encoded: files often hold B-frames, whose order of
transmission is not the order of display, and WebRTC has no way to say so.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import av
import av.error
import trio

from supervisor.config import Source
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Fault, Reason

from ..ffmpeg import run_ffmpeg
from ..hub import Hub
from ..process import fault_of
from ..tools import Tools

PROBES = 2
"""Files looked into at the same time."""
REENCODE = ("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "60")

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
        passes = await trio.to_thread.run_sync(passes_as_it_is, path, limiter=_probe_limiter())
    except (av.error.FFmpegError, OSError) as error:
        return Reason("bad-data", f"{shown} cannot be read as video: {error.strerror or error}", fault_of(error))
    if passes is None:
        return Reason("no-video", f"{shown} has no video", Fault.FATAL)
    coding = ("-c", "copy") if passes else REENCODE
    arguments = ("-nostdin", "-re", "-stream_loop", "-1", "-i", str(path), "-map", "0:v:0", *coding)
    return await run_ffmpeg(camera, source, arguments, hub, tools, after)


def path_of(source: Source) -> Path:
    return Path(unquote(urlsplit(source.address).path))


def passes_as_it_is(path: Path) -> bool | None:
    """Whether a file's video needs no re-encoding; none when it has no video. Blocking. Raises `FFmpegError`."""
    with av.open(str(path)) as container:
        if not container.streams.video:
            return None
        codec = container.streams.video[0].codec_context
        return codec.name == "h264" and not codec.has_b_frames


def _probe_limiter() -> trio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(PROBES)
        _limiter.set(limiter)
        return limiter
