"""The benchmarks' stream: its packets can be reassembled, and carry the time at which they were sent."""

import pytest

from ops.bench.lib.stream import (
    FPS,
    KEY_EVERY,
    PAYLOAD,
    SECONDS,
    Picture,
    packets,
    read_pictures,
    sample_file,
    stamped,
    stamped_at,
)

SENT_NS = 1_800_000_000_123_456_789


@pytest.fixture(scope="module")
def pictures() -> tuple[Picture, ...]:
    return read_pictures(sample_file())


def joined(payloads: list[bytes]) -> list[bytes]:
    """Return the NAL units of these payloads (RFC 6184, sections 5.6 and 5.8)."""
    units: list[bytes] = []
    for payload in payloads:
        if payload[0] & 0x1F != 28:
            units.append(payload)
        elif payload[1] & 0x80:
            units.append(bytes([payload[0] & 0xE0 | payload[1] & 0x1F]) + payload[2:])
        else:
            units[-1] += payload[2:]
    return units


def test_the_file_is_what_is_announced(pictures: tuple[Picture, ...]) -> None:
    """Its length, its key frames and its bit rate are those of the description."""
    assert len(pictures) == SECONDS * FPS
    assert [index for index, picture in enumerate(pictures) if picture.key] == list(range(0, SECONDS * FPS, KEY_EVERY))
    assert sum(len(payload) for picture in pictures for payload in picture.payloads) * 8 / SECONDS == pytest.approx(
        2_500_000, rel=0.1
    )


def test_packets_carry_the_picture_and_the_moment_it_was_sent(pictures: tuple[Picture, ...]) -> None:
    """Only the first packet with a slice has the time; everything else is as without stamps."""
    for index in (0, 1, len(pictures)):
        picture = pictures[index % len(pictures)]
        plain, batch = packets(pictures, index, 65_535, 7, None), packets(pictures, index, 65_535, 7, SENT_NS)
        assert joined([packet[12:] for packet in plain]) == list(picture.units)
        assert [stamped_at(packet) for packet in plain if stamped_at(packet)] == []
        assert [n for n, packet in enumerate(batch) if stamped_at(packet) == SENT_NS] == [picture.leading]
        assert [len(packet) for packet in batch] == [len(packet) for packet in plain], "a stamp adds no packet"
        assert batch[picture.leading][12:] == stamped(picture.payloads[picture.leading], SENT_NS)
        assert all(len(packet) <= 12 + PAYLOAD for packet in batch)
        assert [packet[1] >> 7 for packet in batch] == [0] * (len(batch) - 1) + [1]
        assert int.from_bytes(batch[1][2:4]) == 0, "sequence numbers begin anew after 65535"
