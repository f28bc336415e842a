"""One key frame → JPEG, through PyAV, in a worker thread, a few at a time."""

from fractions import Fraction
from functools import partial

import av
import av.error
import trio

from supervisor.threads import run_in_thread

from .hub import Still

DECODERS = 2
QUALITY = 4
"""MJPEG's quantizer scale, from 2 (best) to 31."""


class Undecodable(Exception):
    """A key frame that gives no picture."""


class JpegWorker:
    """Makes JPEGs beside the loop, `DECODERS` at a time. Made once."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(DECODERS)

    async def __call__(self, still: Still) -> bytes:
        """As `jpeg_of`. Cancellation: waits for the picture that is being made, a few hundredths of a second."""
        return await run_in_thread(partial(jpeg_of, still.codec.name, still.data), limiter=self._limiter)


def jpeg_of(codec: str, key_frame: bytes) -> bytes:
    """The picture of `key_frame` (Annex B, with its parameter sets). Blocking. Raises `Undecodable`.

    Takes 10 to 80 ms, by size.
    """
    return encode(decode(codec, key_frame))


def decode(codec: str, key_frame: bytes) -> av.VideoFrame:
    """As `jpeg_of`, but the picture itself."""
    decoder = av.CodecContext.create("hevc" if codec == "h265" else codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    try:
        frames = [*decoder.decode(av.Packet(key_frame)), *decoder.decode(None)]
    except av.error.FFmpegError as error:
        raise Undecodable(f"the key frame cannot be decoded: {error.strerror}") from None
    if not frames:
        raise Undecodable("the key frame gives no picture")
    return frames[0]


def encode(picture: av.VideoFrame, size: tuple[int, int] | None = None) -> bytes:
    """`picture` as JPEG, in its own size or in another. Blocking. Raises `Undecodable`."""
    width, height = size or (picture.width, picture.height)
    try:
        frame = picture.reformat(width=width, height=height, format="yuvj420p")
        encoder = av.CodecContext.create("mjpeg", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
        encoder.time_base = Fraction(1, 25)
        encoder.qmin = encoder.qmax = QUALITY
        frame.pts, frame.time_base = 0, encoder.time_base
        return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    except av.error.FFmpegError as error:
        raise Undecodable(f"no JPEG can be made of the picture: {error.strerror}") from None
