"""A key frame decoded, as JPEG or as a few grey pixels, through PyAV. Runs in the child only.

Rules of this file:
- More pixels than `MOST_PIXELS` are refused by libavcodec itself, by the size that is coded, before it takes memory for
  them; the daemon has refused what its parameter sets promise before that.
- One thread: the share of a core that motion takes is counted, and a limit on processes does not matter.
"""

from fractions import Fraction

import av
import av.error
from av.video.reformatter import Interpolation

from actors.decoder.wire import GREY, MOST_ANSWER, SIZE, Looked

MOST_PIXELS = 4096 * 4096
QUALITIES = (4, 12, 31)
"""MJPEG's quantizer scale, from 2 (best) to 31: the next is for a picture whose JPEG has more than `MOST_ANSWER`."""
DIFFERENT = 24
"""Of 255: less is noise of the sensor, or a cloud."""
_NAMES = {"h264": "h264", "h265": "hevc"}
_CHEAP = {"skip_loop_filter": "all", "flags2": "+fast"}
"""For a look: without the deblocking filter a picture takes a third less time, and 64 x 36 pixels do not show it."""


class Undecodable(Exception):
    """A key frame that gives no picture."""


def decode(codec: str, key_frame: bytes, options: dict[str, str] = {}) -> av.VideoFrame:  # noqa: B006 - read only
    """The picture of `key_frame` (Annex B, with its parameter sets). Raises `Undecodable`."""
    decoder = av.CodecContext.create(_NAMES[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    decoder.options = {**options, "max_pixels": str(MOST_PIXELS)}
    try:
        frames = [*decoder.decode(av.Packet(key_frame)), *decoder.decode(None)]
    except (av.error.FFmpegError, MemoryError) as error:
        raise Undecodable(f"the key frame cannot be decoded: {_why(error)}") from None
    if not frames:
        raise Undecodable("the key frame gives no picture")
    return frames[0]


def encode(picture: av.VideoFrame, width: int = 0, height: int = 0) -> bytes:
    """`picture` as JPEG of `MOST_ANSWER` bytes at most, in its own size or in another. Raises `Undecodable`."""
    jpeg = b""
    try:
        size = (width or picture.width, height or picture.height)
        frame = picture.reformat(*size, format="yuvj420p", threads=1)
        for quality in QUALITIES:
            jpeg = _encode(frame, quality)
            if len(jpeg) <= MOST_ANSWER:
                return jpeg
    except (av.error.FFmpegError, MemoryError) as error:
        raise Undecodable(f"no JPEG can be made of the picture: {_why(error)}") from None
    raise Undecodable(f"its JPEG has {len(jpeg) / 1e6:.1f} MB; up to {MOST_ANSWER / 1e6:.1f} MB are handed on")


def _encode(frame: av.VideoFrame, quality: int) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.qmin = encoder.qmax = quality
    encoder.thread_count = 1
    frame.pts, frame.time_base = 0, encoder.time_base
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def look(codec: str, key_frame: bytes, before: bytes) -> tuple[Looked, av.VideoFrame]:
    """The difference from `before`, and the picture. Raises `Undecodable`."""
    picture = decode(codec, key_frame, _CHEAP)
    try:
        small = picture.reformat(*SIZE, format="gray", interpolation=Interpolation.AREA, threads=1)
    except (av.error.FFmpegError, MemoryError) as error:
        raise Undecodable(f"the picture cannot be made small: {_why(error)}") from None
    plane = small.planes[0]
    rows, step = bytes(plane), plane.line_size
    grey = b"".join(rows[y * step : y * step + SIZE[0]] for y in range(SIZE[1]))
    return Looked(*changed(before or grey, grey), grey), picture


def changed(before: bytes, after: bytes) -> tuple[float, tuple[float, float, float, float]]:
    """Which share of the pixels is different, and the box around them, as shares of the picture."""
    width, height = SIZE
    pairs = enumerate(zip(before, after, strict=True))
    moved = [at for at, (one, two) in pairs if not -DIFFERENT < one - two < DIFFERENT]
    if not moved:
        return 0.0, (0.0, 0.0, 0.0, 0.0)
    columns, lines = [at % width for at in moved], [at // width for at in moved]
    left, top = min(columns), min(lines)
    box = (left / width, top / height, (max(columns) + 1 - left) / width, (max(lines) + 1 - top) / height)
    return len(moved) / GREY, box


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or "the decoder's memory is used up")[:200]
