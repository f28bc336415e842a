"""Decodes a key frame to JPEG or to a few grey pixels, with PyAV. Runs in the child only.

Rules of this file:
- libavcodec refuses more than `MOST_PIXELS` coded pixels before it allocates memory for them. The daemon has already
  refused parameter sets that declare more.
- One thread: motion's share of a core is measured, and the limit on processes does not matter.
"""

from fractions import Fraction

import av
import av.error
from av.video.reformatter import Interpolation

from actors.media.decoder.wire import GREY_BYTES, MOST_ANSWER, SIZE, Looked

MOST_PIXELS = 4096 * 4096
QUALITIES = (4, 12, 31)
"""MJPEG's quantizer scale, from 2 (best) to 31. The next value follows a JPEG of more than `MOST_ANSWER` bytes."""
DIFFERENT = 24
"""Of 255. A smaller difference is noise of the sensor, or a cloud."""
_NAMES = {"h264": "h264", "h265": "hevc", "mjpeg": "mjpeg", "mpeg4": "mpeg4"}
_CHEAP = {"skip_loop_filter": "all", "flags2": "+fast"}
"""For a look: without the deblocking filter, decoding takes a third less time; 64 x 36 pixels do not show it."""


class DecodeError(Exception):
    """A key frame that cannot be decoded."""


def decode(codec: str, key_frame: bytes, options: dict[str, str] = {}) -> av.VideoFrame:  # noqa: B006 - read only
    """Return the frame of `key_frame` (as in `DecoderRequest`). Raises `DecodeError`."""
    decoder = av.CodecContext.create(_NAMES[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    decoder.options = {**options, "max_pixels": str(MOST_PIXELS)}
    try:
        frames = [*decoder.decode(av.Packet(key_frame)), *decoder.decode(None)]
    except (av.error.FFmpegError, MemoryError) as error:
        raise DecodeError(f"the key frame cannot be decoded: {_why(error)}") from None
    if not frames:
        raise DecodeError("the key frame gives no picture")
    return frames[0]


def encode(picture: av.VideoFrame, width: int = 0, height: int = 0) -> bytes:
    """Return `picture` as JPEG of at most `MOST_ANSWER` bytes, in its own size or in another. Raises `DecodeError`."""
    jpeg = b""
    try:
        size = (width or picture.width, height or picture.height)
        frame = picture.reformat(*size, format="yuvj420p", threads=1)
        for quality in QUALITIES:
            jpeg = _encode(frame, quality)
            if len(jpeg) <= MOST_ANSWER:
                return jpeg
    except (av.error.FFmpegError, MemoryError) as error:
        raise DecodeError(f"no JPEG can be made of the picture: {_why(error)}") from None
    raise DecodeError(f"its JPEG has {len(jpeg) / 1e6:.1f} MB; up to {MOST_ANSWER / 1e6:.1f} MB are passed on")


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
    """Return the difference from `before`, and the frame. Raises `DecodeError`."""
    picture = decode(codec, key_frame, _CHEAP)
    try:
        small = picture.reformat(*SIZE, format="gray", interpolation=Interpolation.AREA, threads=1)
    except (av.error.FFmpegError, MemoryError) as error:
        raise DecodeError(f"the picture cannot be made small: {_why(error)}") from None
    plane = small.planes[0]
    rows, step = bytes(plane), plane.line_size
    grey = b"".join(rows[y * step : y * step + SIZE[0]] for y in range(SIZE[1]))
    return Looked(*changed(before or grey, grey), grey), picture


def changed(before: bytes, after: bytes) -> tuple[float, tuple[float, float, float, float]]:
    """Return the share of different pixels, and the box around them as shares of the frame."""
    width, height = SIZE
    pairs = enumerate(zip(before, after, strict=True))
    moved = [at for at, (one, two) in pairs if not -DIFFERENT < one - two < DIFFERENT]
    if not moved:
        return 0.0, (0.0, 0.0, 0.0, 0.0)
    columns, lines = [at % width for at in moved], [at // width for at in moved]
    left, top = min(columns), min(lines)
    box = (left / width, top / height, (max(columns) + 1 - left) / width, (max(lines) + 1 - top) / height)
    return len(moved) / GREY_BYTES, box


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or "the decoder's memory is used up")[:200]
