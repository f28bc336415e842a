"""Opus in Ogg, regardless of how the bytes are split."""

import random

import pytest

from actors.media.bitstream import BitstreamError
from actors.media.ogg import MAX_PACKET, OggOpus

HEAD = b"OpusHead\x01\x02" + (120).to_bytes(2, "little") + bytes(7)
PACKET = b"\xfc" + bytes(40)
"""An Opus packet of 20 ms."""


def page(end: int, *packets: bytes, flags: int = 0, cut: bool = False) -> bytes:
    """Return a page of whole packets; with `cut` the last one continues on the next page."""
    laces = b""
    for index, packet in enumerate(packets):
        laces += b"\xff" * (len(packet) // 255)
        if not (cut and index == len(packets) - 1):
            laces += bytes([len(packet) % 255])
    head = b"OggS\0" + bytes([flags]) + end.to_bytes(8, "little", signed=True) + bytes(12) + bytes([len(laces)])
    return head + laces + b"".join(packets)


def begun(*pages: bytes) -> bytes:
    return b"".join((page(0, HEAD, flags=2), page(0, b"OpusTags" + bytes(300)), *pages))


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_packets_come_out_whole_and_timed(step: int) -> None:
    """The encoder's pre-skip precedes time 0; a gap in the input is a gap in the output."""
    stream = begun(page(960, PACKET), page(2880, PACKET, PACKET), page(48_000, PACKET))
    reader = OggOpus()
    out = [found for at in range(0, len(stream), step) for found in reader.feed(stream[at : at + step])]
    assert out == [(-120, PACKET), (840, PACKET), (1800, PACKET), (46_920, PACKET)]


def test_a_packet_over_two_pages() -> None:
    """A packet of 510 bytes comes out in one piece, and the next one is 960 samples later."""
    long = b"\xfc" + bytes(509)
    stream = begun(page(-1, long[:255], cut=True), page(960, long[255:], flags=1), page(1920, PACKET))
    assert list(OggOpus().feed(stream)) == [(-120, long), (840, PACKET)]


@pytest.mark.parametrize("stream", [b"<html>" + bytes(40), page(0, b"\x80theora" + bytes(40)), page(0, HEAD[:12])])
def test_stream_that_is_not_opus_is_an_error(stream: bytes) -> None:
    """HTML, another codec, and a header that is too short are errors."""
    with pytest.raises(BitstreamError):
        list(OggOpus().feed(stream))


def test_a_packet_without_an_end_is_not_gathered_for_ever() -> None:
    """Two full pages exceed 64 KiB: that is an error."""
    full = page(-1, bytes(255 * 255), flags=1, cut=True)
    with pytest.raises(BitstreamError, match=f"more than {MAX_PACKET}"):
        list(OggOpus().feed(begun(full, full)))


def test_damage_never_surprises() -> None:
    """The result does not depend on the split: packets, or the one error."""
    rng, stream = random.Random(4), begun(*(page(960 * n, PACKET) for n in range(1, 9)))
    for _ in range(3000):
        damaged = bytearray(stream)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        outcomes = []
        for step in (50, len(damaged)):
            reader = OggOpus()
            out: list[tuple[int, bytes]] = []
            try:
                for at in range(0, len(damaged), step):
                    out += reader.feed(damaged[at : at + step])
                outcomes.append((out, False))
            except BitstreamError:
                outcomes.append((out, True))
        assert outcomes[0][1] == outcomes[1][1]
