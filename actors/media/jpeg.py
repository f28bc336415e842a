"""Reads from a JPEG only its size. Pure; nothing is decoded.

The hub carries a JPEG as an access unit of one unit: the whole picture, from its first marker (SOI) to its last (EOI).
Each one is a key frame, and there are no parameter sets. Only the transcoder, snapshots and motion read it.

Source: ITU-T T.81, annex B.
"""

from .bitstream import BitstreamError, possible
from .media import VideoCodec

BEGIN = b"\xff\xd8\xff"
MOST_STEPS = 256
"""Segments and fill bytes in front of the size. Cameras have about ten."""
PICTURE = 0
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header (SOF)."""
_SCAN = 0xDA


def picture_size(jpeg: bytes) -> tuple[int, int]:
    """Return width and height in pixels. Raises `BitstreamError` for bytes that are no JPEG, or have no size."""
    if not jpeg.startswith(BEGIN):
        raise BitstreamError("not a JPEG")
    at = 2
    for _ in range(MOST_STEPS):
        head = jpeg[at : at + 9]
        if head[:2] == b"\xff\xff":  # a fill byte
            at += 1
            continue
        if len(head) < 4 or head[0] != 0xFF or head[1] == _SCAN:
            break
        if head[1] in _SIZES:
            if len(head) < 9:
                break
            return possible(int.from_bytes(head[7:9]), int.from_bytes(head[5:7]))
        at += 2 + max(2, int.from_bytes(head[2:4]))
    raise BitstreamError("a JPEG without a size")


def _kind(_unit: bytes) -> int:
    return PICTURE


def _no_set(_unit: bytes) -> None:
    """There are no parameter sets to check."""


JPEG = VideoCodec(
    "mjpeg", len(BEGIN), _kind, frozenset({PICTURE}), (), PICTURE, picture_size, picture_size, _no_set, b""
)
