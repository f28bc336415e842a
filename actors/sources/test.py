"""`test:WIDTHxHEIGHT@FPS`: a moving test pattern with a running clock, drawn and encoded by an ffmpeg child."""

import re
import zlib

from supervisor.config.config import Source
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Reason

from ..media.ffmpeg import run_ffmpeg
from ..media.hub import Hub
from ..tools import Tools

KEY_EVERY_S = 2
_SPEC = re.compile(r"test:(?:(?P<width>\d{2,4})x(?P<height>\d{2,4}))?(?:@(?P<fps>\d{1,2}))?")
_CODING = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline", "-crf", "26")
_ONE_THREAD = ("-threads", "1", "-filter_threads", "1")


def parse(address: str) -> tuple[int, int, int] | None:
    """Return width, height and frames per second of a test source; None for another or an unusable address."""
    match = _SPEC.fullmatch(address)
    if match is None:
        return None
    width, height, fps = int(match["width"] or 1280), int(match["height"] or 720), int(match["fps"] or 30)
    usable = 64 <= width <= 3840 and 64 <= height <= 2160 and width % 2 == height % 2 == 0 and 1 <= fps <= 60
    return (width, height, fps) if usable else None


def check(source: Source) -> str | None:
    if parse(source.address) is None:
        return (
            f"{source.address!r} is not a test pattern; it should look like test:1280x720@30, "
            "with even sides from 64 to 3840x2160 and 1 to 60 pictures a second"
        )
    return None


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools) -> Reason:
    """Run as `run_ffmpeg`. Each camera has its own hue, so that several can be distinguished.

    Cancellation and cleanup: those of `run_ffmpeg`.
    """
    spec = parse(source.address)
    assert spec is not None, "checked when the configuration was read"
    return await run_ffmpeg(camera, source, arguments(*spec, hue=zlib.crc32(camera.encode()) % 360), hub, tools)


def arguments(width: int, height: int, fps: int, hue: int) -> tuple[str, ...]:
    """Return the input and coding for ffmpeg: real time, a key frame every `KEY_EVERY_S`, no audio."""
    picture = f"testsrc2=size={width}x{height}:rate={fps},hue=h={hue}:s=0.6,format=yuv420p"
    read = ("-nostdin", "-re", "-f", "lavfi", *_ONE_THREAD, "-i", picture)
    return (*read, *_CODING, *_ONE_THREAD[:2], "-g", str(KEY_EVERY_S * fps), "-an")
