"""A target for the payloads of JPEG and MPEG-4 part 2: short streams of fragments, damaged and in any order."""

import random
from functools import cache

from actors.media.bitstream import BitstreamError
from actors.media.jpeg import picture_size
from actors.media.media import SourceLoss
from actors.media.mpeg4 import split_picture
from actors.sources.rtsp.jpeg_header import SCAN_END
from actors.sources.rtsp.reasons import Ended
from actors.sources.rtsp.video_jpeg import JpegDepacketizer
from actors.sources.rtsp.video_mpeg4 import Mpeg4Depacketizer

from ..media import jpegs, mpeg4_pictures
from ..pictures import extension_of, jpeg_payloads, pieces
from .judge import Wrong

MARKER, SAME_TIME, GAP, RESTART, EXTENSION = 1, 2, 4, 8, 16
"""Bits in the first byte of an item; the next two are the length of its payload."""
_HEADER = 5000
"""More bytes than the header of a JPEG has, also with those of an extension."""


@cache
def _pool() -> tuple[bytes, ...]:
    """Payloads of both codecs, and header extensions."""
    made: list[bytes] = []
    for jpeg in jpegs(64, 48, 2, busy=True):
        for quality in (1, 99, 128, 255):
            made += jpeg_payloads(jpeg, quality=quality)
            made += jpeg_payloads(jpeg, quality=quality, tables=b"", size=(0, 0), kind=1)
        made += jpeg_payloads(jpeg, tables=bytes(range(256)), precision=3)
        made.append(extension_of(jpeg))
    for picture in mpeg4_pictures(64, 48, 4, 2, busy=True):
        made += [*split_picture(picture), *pieces(picture), b"\0\0\1\xb3\0\x10\7"]
    return tuple(made)


def make_pictures(rng: random.Random) -> bytes:
    """3 to 16 payloads with their markers and times; one in three is damaged."""
    pool, items = _pool(), bytearray()
    usual = rng.choice((0, MARKER, SAME_TIME, MARKER | SAME_TIME, EXTENSION))
    at = rng.randrange(len(pool))
    for _ in range(rng.randint(3, 16)):
        at = at + 1 if rng.random() < 0.7 else rng.randrange(len(pool))
        payload = bytearray(pool[at % len(pool)])
        if rng.random() < 0.3:
            payload[rng.randrange(min(len(payload), rng.choice((16, 512))))] ^= 1 << rng.randrange(8)
            del payload[rng.randint(1, 512) :]
        control = usual if rng.random() < 0.8 else rng.randrange(32)
        items += bytes((control,)) + len(payload).to_bytes(2) + payload
    return bytes(items)


def take_pictures(data: bytes) -> None:
    """Both codecs. Each JPEG that is published is whole, and neither is longer than what came."""
    for size in ((0, 0), (64, 48)):
        _take_jpeg(size, data)
    units: list[bytes] = []
    _play(Mpeg4Depacketizer(lambda found, _: units.extend(found), units.extend, SourceLoss(), _spend), data)
    if not all(units) or sum(map(len, units)) > len(data):
        raise Wrong("empty units, or more than came")


def _take_jpeg(size: tuple[int, int], data: bytes) -> None:
    whole: list[bytes] = []
    jpeg = JpegDepacketizer(lambda units, _: whole.extend(units), _refuse, SourceLoss(), _spend, size)
    count = _play(jpeg, data)
    for picture in whole:
        _check(picture)
    if sum(map(len, whole)) > len(data) + count * _HEADER:
        raise Wrong("more than came")


def _check(picture: bytes) -> None:
    try:
        picture_size(picture)
    except BitstreamError as error:
        raise Wrong(f"a JPEG that the hub refuses: {error}") from error
    if not picture.endswith(SCAN_END):
        raise Wrong("a JPEG without an end")


def _refuse(_units: list[bytes]) -> None:
    raise Wrong("JPEG has no parameter sets")


def _spend(_work: int) -> None:
    """Nobody counts it here."""


def _play(reader: JpegDepacketizer | Mpeg4Depacketizer, data: bytes) -> int:
    """Return the number of payloads. A reason that ends the stream is an end as well."""
    at = time = count = 0
    while at + 3 < len(data):
        control, size = data[at], int.from_bytes(data[at + 1 : at + 3])
        at, end = at + 3, min(at + 3 + size, len(data))
        time += not control & SAME_TIME
        count += 1
        if control & GAP and control & RESTART:
            reader.gap()
        elif control & RESTART:
            reader.restart()
        try:
            if control & EXTENSION:
                reader.extend(data[at:end])
            elif end > at:
                reader.take(data, at, end, time, bool(control & MARKER))
        except Ended:
            break
        at = end
    reader.gap()
    return count
