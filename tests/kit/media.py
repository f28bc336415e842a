"""Small real H.264, and the containers it comes in."""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache

import av

from actors.bitstream import split_annexb
from actors.h264 import IDR, PPS, SPS, nal_type
from actors.hub import Hub, Subscription
from actors.media import AccessUnit
from actors.sources.test import TestCard

FPS = 10


@cache
def access_units(width: int = 64, height: int = 64, count: int = 41, fps: int = FPS) -> tuple[tuple[bytes, ...], ...]:
    """The NAL units of `count` pictures: a key frame, with its parameter sets, every two seconds."""
    card = TestCard(width, height, fps, 0)
    return tuple(tuple(split_annexb(card.next())) for _ in range(count))


def without_sets(units: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(unit for unit in units if nal_type(unit) not in (SPS, PPS))


def flv(width: int = 64, height: int = 64, count: int = 41) -> Iterator[bytes]:
    """An FLV stream as ffmpeg writes it: header, decoder configuration, then one tag for each picture."""
    pictures = access_units(width, height, count)
    sps = next(unit for unit in pictures[0] if nal_type(unit) == SPS)
    pps = next(unit for unit in pictures[0] if nal_type(unit) == PPS)
    yield b"FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"
    record = b"\x01" + sps[1:4] + b"\xff\xe1" + len(sps).to_bytes(2) + sps + b"\x01" + len(pps).to_bytes(2) + pps
    yield video_tag(0, b"\x17\x00\x00\x00\x00" + record)
    for index, units in enumerate(pictures):
        sample = b"".join(len(unit).to_bytes(4) + unit for unit in without_sets(units))
        key = any(nal_type(unit) == IDR for unit in units)
        yield video_tag(index * 1000 // FPS, (b"\x17" if key else b"\x27") + b"\x01\x00\x00\x00" + sample)


def video_tag(time_ms: int, body: bytes) -> bytes:
    head = b"\x09" + len(body).to_bytes(3) + (time_ms & 0xFFFFFF).to_bytes(3) + bytes([time_ms >> 24]) + b"\x00\x00\x00"
    return head + body + (11 + len(body)).to_bytes(4)


async def follow(hub: Hub, place: Subscription) -> tuple[AccessUnit, int]:
    """Wait for the next access unit of a viewer; it comes with the time to show it."""
    while (following := place.take_nowait()) is None:
        await hub.units.wait_beyond(place.at)
    return following


@cache
def h265_units(width: int, height: int, count: int = 3) -> tuple[tuple[bytes, ...], ...]:
    """The NAL units of `count` pictures of H.265, the first a key frame with its parameter sets."""
    encoder = av.CodecContext.create("libx265", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(FPS), Fraction(1, FPS)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=none:pools=1"}
    packets = []
    for index in range(count):
        frame = av.VideoFrame(width, height, "yuv420p")
        frame.pts = index
        for plane in frame.planes:  # else it shows what was in memory, and is another picture each time
            plane.update(bytes([40 * (index + 1)]) * plane.buffer_size)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return tuple(tuple(split_annexb(bytes(packet))) for packet in packets)
