"""The benchmarks' stream: what it is cut into can be put together again, and says when it was sent."""

import pytest

from actors.bench.stream import (
    FPS,
    KEY_EVERY,
    PAYLOAD,
    SECONDS,
    Picture,
    packets,
    read_pictures,
    sample_file,
    stamp,
    stamped_at,
)

SENT_NS = 1_800_000_000_123_456_789


@pytest.fixture(scope="module")
def pictures() -> tuple[Picture, ...]:
    return read_pictures(sample_file())


def joined(payloads: list[bytes]) -> list[bytes]:
    """The NAL units of these payloads (RFC 6184, sections 5.6 and 5.8)."""
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
    assert len(pictures) == SECONDS * FPS
    assert [index for index, picture in enumerate(pictures) if picture.key] == list(range(0, SECONDS * FPS, KEY_EVERY))
    assert sum(len(payload) for picture in pictures for payload in picture.payloads) * 8 / SECONDS == pytest.approx(
        2_500_000, rel=0.1
    )


def test_packets_carry_the_picture_and_the_moment_it_was_sent(pictures: tuple[Picture, ...]) -> None:
    for index in (0, 1, len(pictures)):
        batch, units = packets(pictures, index, 65_535, 7, SENT_NS), list(pictures[index % len(pictures)].units)
        units.insert(len(units) - 1, stamp(SENT_NS))
        assert joined([packet[12:] for packet in batch]) == units, "before the only slice"
        assert [stamped_at(packet) for packet in batch if stamped_at(packet)] == [SENT_NS]
        assert all(len(packet) <= 12 + PAYLOAD for packet in batch)
        assert [packet[1] >> 7 for packet in batch] == [0] * (len(batch) - 1) + [1]
        assert int.from_bytes(batch[1][2:4]) == 0, "sequence numbers begin anew after 65535"
