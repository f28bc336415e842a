"""Packets are split as they stand, and go on counting where pictures are sent again."""

from .packets import frames, renumber, steps


def rtp(sequence: int, stamp: int, channel: int = 0) -> bytes:
    packet = b"\x80\x60" + sequence.to_bytes(2) + stamp.to_bytes(4) + b"ssrcpayload"
    return b"$" + bytes([channel]) + len(packet).to_bytes(2) + packet


def test_interleaved_packets_are_split_and_incomplete_ones_skipped() -> None:
    """The channel and the bytes of each."""
    assert frames(b"$\0\0\x02ab$\x01\0\x01c") == [(0, b"ab"), (1, b"c")]
    assert frames(b"$\0\0\x02a") is None
    assert frames(b"#\0\0\x01a") is None
    assert frames(b"") == []


def test_pictures_that_are_sent_again_follow_those_before() -> None:
    """By sequence number and time stamp, over the end of both; RTCP stays as it is."""
    rtcp = b"$\x01\0\x02ab"
    pictures = [rtp(65_534, 2**32 - 4500) + rtp(65_535, 2**32 - 4500), rtcp + rtp(0, 0)]
    by = steps([rtp(65_533, 0), *pictures[:1], rtp(65_535, 4500)], 0.05)
    assert by == {0: (3, 9000)}
    assert renumber(pictures[0], 1, by) == rtp(1, 4500) + rtp(2, 4500)
    assert renumber(pictures[1], 2, by) == rtcp + rtp(6, 18_000)
    assert renumber(pictures[1], 0, by) == pictures[1]
