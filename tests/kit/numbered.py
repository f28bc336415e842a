"""A video in which each frame shows its number in machine-readable form, to measure the age of a displayed frame.

The number is drawn in the upper left corner as a row of cells, the lowest bit first, white for one.
"""

from fractions import Fraction
from pathlib import Path

import av
import av.filter

BITS, CELL = 10, 40
FPS, KEY_EVERY_S = 30, 2
SECONDS = 30
"""Until the numbers come again, when the video is looped."""


def write_numbered(path: Path, *, bit_rate: int = 2_500_000, size: tuple[int, int] = (1280, 720)) -> Path:
    """Write it as H.264 that WebRTC can carry as it is: 30 pictures a second, a key frame every 2 s.

    Grain makes it as heavy as was said; a second may be half as heavy again, no more (VBV).
    """
    assert SECONDS * FPS <= 1 << BITS
    graph = _draw(size)
    kbit = bit_rate // 1000
    rate = f"bitrate={kbit}:vbv-maxrate={kbit}:vbv-bufsize={kbit // 2}"
    options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "x264-params": f"keyint={KEY_EVERY_S * FPS}:min-keyint={KEY_EVERY_S * FPS}:scenecut=0:{rate}",
    }
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(SECONDS * FPS):
            frame = graph.pull()
            assert isinstance(frame, av.VideoFrame)
            frame.pict_type, frame.time_base = av.video.frame.PictureType.NONE, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _draw(size: tuple[int, int]) -> av.filter.Graph:
    graph = av.filter.Graph()
    cells = f"y=0:h={CELL}:t=fill"
    graph.link_nodes(
        graph.add("testsrc2", f"size={size[0]}x{size[1]}:rate={FPS}"),
        graph.add("noise", "alls=12:allf=t"),
        graph.add("drawbox", f"x=0:w={CELL * BITS}:color=black:{cells}"),
        *(
            graph.add("drawbox", f"x={bit * CELL}:w={CELL}:color=white:{cells}:enable='mod(floor(n/{1 << bit}),2)'")
            for bit in range(BITS)
        ),
        graph.add("format", "pix_fmts=yuv420p"),
        graph.add("buffersink"),
    ).configure()
    return graph
