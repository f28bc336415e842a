"""A target for the payloads of video: short streams of fragments, aggregates and single NAL units in any order."""

import random
from functools import cache

from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.media import SourceLoss, VideoCodec
from actors.sources.rtsp.video import Markers
from actors.sources.rtsp.video_h264 import H264Depacketizer
from actors.sources.rtsp.video_h265 import H265Depacketizer

from ..media import h265_units
from ..packets import fragments
from ..slices import PPS, h264_slice, h264_sps, h265_slice
from .judge import Wrong

MARKER, SAME_TIME, GAP, RESTART, FLUSH = 1, 2, 4, 8, 16
"""Bits in the first byte of an item; its second byte is the length of its payload."""


@cache
def _pool() -> tuple[bytes, ...]:
    """Payloads of both codecs, at most 255 bytes long."""
    made: list[bytes] = []
    codes = (b"\0\0\1", b"\0\0\0\1")
    for codec in (H264, H265):
        if codec is H264:
            units = [h264_sps(), h264_sps(fields=True), PPS, b"\x09\xf0", b"\x06\x05\x01\x07\x80"]
            units += [h264_slice(n, 4 * at, key=n == 0, order=n) for n in range(3) for at in (0, 1)]
            units += [h264_slice(n, field=f, order=2 * n + f, fields=True) for n in range(2) for f in (0, 1)]
            aggregate = b"\x78"
        else:
            units = [*h265_units(64, 64)[0][:3], b"\x46\x01\x50", b"\x4e\x01\x05\x01\x07\x80"]
            units += [h265_slice(n, first=at == 0, key=n == 0) for n in range(3) for at in (0, 1)]
            aggregate = b"\x60\x01"
        made += units
        made += [part for unit in units for part in fragments(unit, 15, codec)]
        made += [code + unit for unit in units[:6] for code in codes]
        made += [code.join(units[2:6]) for code in codes]
        made.append(aggregate + b"".join(len(unit).to_bytes(2) + unit for unit in units[2:6]) + bytes(5))
        made += [bytes((first,)) + b"\1\x80abc" for first in range(0, 256, 9)]
    return tuple(each[:255] for each in made)


def make_payloads(rng: random.Random) -> bytes:
    """3 to 16 payloads with their markers and times; one in three is damaged."""
    pool, items = _pool(), bytearray()
    usual = rng.choice((0, MARKER, SAME_TIME, MARKER | SAME_TIME))
    at = rng.randrange(len(pool))
    for _ in range(rng.randint(3, 16)):
        at = at + 1 if rng.random() < 0.7 else rng.randrange(len(pool))
        payload = bytearray(pool[at % len(pool)])
        if rng.random() < 0.3:
            payload[rng.randrange(len(payload))] ^= 1 << rng.randrange(8)
            del payload[rng.randint(1, 255) :]
        control = usual if rng.random() < 0.8 else rng.randrange(32)
        items += bytes((control, len(payload))) + payload
    return bytes(items)


def take_payloads(data: bytes) -> None:
    """Both codecs, with markers that are trusted and that are not. No unit that is published is unknown or empty."""
    for kind in (H264Depacketizer, H265Depacketizer):
        for markers in (Markers.UNKNOWN, Markers.RIGHT):
            _play(kind, markers, data)


def _play(kind: type[H264Depacketizer] | type[H265Depacketizer], markers: Markers, data: bytes) -> None:
    published: list[bytes] = []

    def publish(units: list[bytes], timestamp: int) -> None:
        if not any(_is_slice(kind.codec, unit) for unit in units):
            raise Wrong("an access unit without a slice")
        published.extend(units)

    reader = kind(publish, published.extend, SourceLoss(), lambda _: None, markers)
    at, time = 0, 0
    while at + 2 < len(data):
        control, size = data[at], data[at + 1]
        time += not control & SAME_TIME
        if control & GAP and control & RESTART:
            reader.gap()
        elif control & RESTART and control & FLUSH:
            reader.restart()
        if size:
            reader.take(data, at + 2, min(at + 2 + size, len(data)), time, bool(control & MARKER))
        if control & FLUSH:
            reader.flush()
        at += 2 + size
    reader.gap()
    if any(len(unit) <= kind.codec.header or kind.codec.nal_type(unit) not in kind.known for unit in published):
        raise Wrong("an unknown or empty NAL unit")
    if sum(map(len, published)) > len(data) + len(published) * kind.codec.header:
        raise Wrong("more than came")


def _is_slice(codec: VideoCodec, unit: bytes) -> bool:
    return codec.nal_type(unit) in (range(1, 6) if codec is H264 else range(32))
