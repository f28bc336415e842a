"""RTP packets for readers: the same access unit as frames on any channel and as datagrams."""

import pytest

from actors.media.h264 import H264
from actors.media.media import AccessUnit
from actors.rtsp_server.packets import CHUNK, Chunk, Packets, RtpStream


def unit(size: int) -> AccessUnit:
    nals = (b"\x67abc", b"\x68d", b"\x65" + bytes(range(256)) * (size // 256) + bytes(size % 256))
    return AccessUnit(H264, nals, 9000, True, sum(map(len, nals)), 9000)


def split(frames: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(frames):
        assert frames[at] == 0x24
        end = at + 4 + int.from_bytes(frames[at + 2 : at + 4])
        found.append((frames[at + 1], frames[at + 4 : end]))
        at = end
    assert at == len(frames)
    return found


@pytest.mark.parametrize("size", [10, 1180, 5000, 60_000, 400_000])
def test_access_unit_is_the_same_in_frames_and_in_datagrams(size: int) -> None:
    """Sequence numbers without a gap, one time stamp, the marker on the last packet only; chunks are bounded."""
    stream = RtpStream(96)
    first = stream.sequence
    packets = Packets(unit(size), stream)
    chunks: list[Chunk] = []
    while (chunk := packets.chunk(len(chunks))) is not None:
        chunks.append(chunk)
    framed = [packet for each in chunks for _, packet in split(each.data)]
    sent = []
    for each in chunks:
        for data, ancillary in each.runs:
            segment = int.from_bytes(ancillary[0][2], "little") if ancillary else len(data)
            sent += [data[at : at + segment] for at in range(0, len(data), segment)]
    assert sent == framed
    assert [int.from_bytes(packet[2:4]) for packet in framed] == [(first + n) & 0xFFFF for n in range(len(framed))]
    assert {int.from_bytes(packet[4:8]) for packet in framed} == {stream.stamp(9000)}
    assert [packet[1] & 0x80 for packet in framed] == [0] * (len(framed) - 1) + [0x80]
    assert max(len(each.data) for each in chunks) <= CHUNK + 1200
    assert (stream.packets, packets.first) == (len(framed), first)
    assert {channel for channel, _ in split(chunks[0].on(8))} == {8}
    assert [packet for _, packet in split(chunks[0].on(8))] == [packet for _, packet in split(chunks[0].data)]
