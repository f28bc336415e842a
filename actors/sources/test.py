"""`test:WIDTHxHEIGHT@FPS`: a moving picture with a running clock, drawn and encoded here through PyAV.

Each picture is made in a thread, one at a time for each camera, and awaited: none is left behind by a cancellation.
"""

import re
import zlib
from fractions import Fraction
from functools import partial

import av
import av.filter
import trio

from supervisor.config import Source
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Reason
from supervisor.threads import run_in_thread

from ..bitstream import split_annexb
from ..hub import Hub
from ..media import CLOCK_RATE
from ..tools import Tools

KEY_EVERY_S = 2
_SPEC = re.compile(r"test:(?:(?P<width>\d{2,4})x(?P<height>\d{2,4}))?(?:@(?P<fps>\d{1,2}))?")


def parse(address: str) -> tuple[int, int, int] | None:
    """Width, height and pictures a second of a test source; none for what is not one."""
    match = _SPEC.fullmatch(address)
    if match is None:
        return None
    width, height, fps = int(match["width"] or 1280), int(match["height"] or 720), int(match["fps"] or 30)
    usable = 64 <= width <= 3840 and 64 <= height <= 2160 and width % 2 == height % 2 == 0 and 1 <= fps <= 60
    return (width, height, fps) if usable else None


def check(source: Source) -> str | None:
    if parse(source.address) is None:
        return (
            f"{source.address!r} is no test picture; it should look like test:1280x720@30, "
            "with even sides from 64 to 3840x2160 and 1 to 60 pictures a second"
        )
    return None


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools, after: Recorded) -> Reason:
    """Runs until it is cancelled."""
    spec = parse(source.address)
    assert spec is not None, "checked when the configuration was read"
    width, height, fps = spec
    limiter = trio.CapacityLimiter(1)
    make = partial(TestCard, width, height, fps, zlib.crc32(camera.encode()) % 360)
    card = await run_in_thread(make, limiter=limiter)
    began = trio.current_time()
    index = 0
    while True:
        data = await run_in_thread(card.next, limiter=limiter)
        hub.publish(split_annexb(data), index * CLOCK_RATE // fps)
        # Late is late: pictures that should have been made by now are left out, never hurried.
        index = max(index + 1, int((trio.current_time() - began) * fps))
        await trio.sleep_until(began + index / fps)


class TestCard:
    """Draws and encodes one picture after the other. Blocking; used from one thread at a time."""

    __test__ = False  # not a test case, whatever its name makes pytest think

    def __init__(self, width: int, height: int, fps: int, hue: int) -> None:
        graph = av.filter.Graph()
        graph.link_nodes(
            graph.add("testsrc2", f"size={width}x{height}:rate={fps}"),
            graph.add("hue", f"h={hue}:s=0.6"),
            graph.add("format", "pix_fmts=yuv420p"),
            graph.add("buffersink"),
        ).configure()
        self._graph = graph
        encoder = av.CodecContext.create("libx264", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.framerate, encoder.time_base = Fraction(fps), Fraction(1, fps)
        encoder.gop_size = KEY_EVERY_S * fps
        encoder.thread_count = 1
        encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "crf": "26"}
        self._encoder = encoder

    def next(self) -> bytes:
        """The next picture as an Annex B access unit, parameter sets in front of every key frame."""
        frame = self._graph.pull()
        assert isinstance(frame, av.VideoFrame)
        frame.pict_type = av.video.frame.PictureType.NONE
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))
