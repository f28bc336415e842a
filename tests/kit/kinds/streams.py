"""Eight small pictures in two groups, in H.264 and H.265: what every camera of this folder sends.

The pictures are encoded here, once for each form, from a moving test pattern.
"""

import base64
from fractions import Fraction
from functools import cache

import av
import av.filter

from actors.media.bitstream import split_annexb
from actors.media.h264 import H264
from actors.media.h265 import H265

from ..cases.units import digest

COUNT, GROUP = 8, 4
"""Pictures, and pictures of one group."""
WIDTH, HEIGHT, FPS = 128, 96, 20
TICKS = 90_000 // FPS
CODECS = {"h264": H264, "h265": H265}

Units = tuple[bytes, ...]
"""The NAL units of one picture, in decoding order; parameter sets in front of each key frame."""


@cache
def encode(codec: str, *, slices: int = 1, b_frames: int = 0, interlaced: bool = False) -> tuple[Units, ...]:
    """Return the pictures in decoding order."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add("testsrc2", f"size={WIDTH}x{HEIGHT}:rate={FPS}"),
        graph.add("format", "pix_fmts=yuv420p"),
        graph.add("buffersink"),
    ).configure()
    encoder = av.CodecContext.create({"h264": "libx264", "h265": "libx265"}[codec], "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(FPS), Fraction(1, FPS)
    encoder.thread_count = 1
    encoder.options = _options(codec, slices, b_frames, interlaced)
    packets = []
    for _ in range(COUNT):
        frame = graph.pull()
        assert isinstance(frame, av.VideoFrame)
        frame.pict_type = av.video.frame.PictureType.NONE
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return tuple(_without_messages(codec, tuple(split_annexb(bytes(packet)))) for packet in packets)


def _options(codec: str, slices: int, b_frames: int, interlaced: bool) -> dict[str, str]:
    common: dict[str, object] = {
        "keyint": GROUP,
        "min-keyint": GROUP,
        "scenecut": 0,
        "bframes": b_frames,
        "b-adapt": 0,
        "slices": slices,
    }
    if codec == "h264":
        found = common | {
            "repeat-headers": 1,
            "aud": 0,
            "threads": 1,
            "sliced-threads": 0,
            "interlaced": int(interlaced),
        }
        return {"preset": "ultrafast", "x264-params": ":".join(f"{name}={value}" for name, value in found.items())}
    found = common | {"repeat-headers": 1, "log-level": "none", "open-gop": 0, "ctu": 16, "wpp": 1, "frame-threads": 1}
    return {"preset": "ultrafast", "x265-params": ":".join(f"{name}={value}" for name, value in found.items())}


def _without_messages(codec: str, units: Units) -> Units:
    """Leave out what the encoder says of itself."""
    said = {"h264": (6,), "h265": (39, 40)}[codec]
    return tuple(unit for unit in units if kind_of(codec, unit) not in said)


def kind_of(codec: str, unit: bytes) -> int:
    return CODECS[codec].nal_type(unit)


def is_set(codec: str, unit: bytes) -> bool:
    return kind_of(codec, unit) in CODECS[codec].set_types


def sets_of(codec: str, pictures: tuple[Units, ...] | None = None) -> Units:
    """Return the parameter sets of the first key frame."""
    return tuple(unit for unit in (pictures or encode(codec))[0] if is_set(codec, unit))


def without_sets(codec: str, units: Units) -> Units:
    return tuple(unit for unit in units if not is_set(codec, unit))


def digests(codec: str, pictures: tuple[Units, ...]) -> tuple[str, ...]:
    return tuple(digest(codec, units) for units in pictures)


def fmtp(codec: str, pictures: tuple[Units, ...] | None = None) -> str:
    """Return the parameters with which a description announces the stream."""
    texts = [base64.b64encode(unit).decode() for unit in sets_of(codec, pictures)]
    if codec == "h264":
        return f"packetization-mode=1;sprop-parameter-sets={','.join(texts)}"
    return ";".join(f"sprop-{name}={text}" for name, text in zip(("vps", "sps", "pps"), texts, strict=True))
