"""The packets that a case's camera sends, as they stand and once more. Pure.

Source: RFC 2326, section 10.12 (interleaved); RFC 3550, section 5.1.
"""

from collections.abc import Mapping, Sequence

CLOCK_RATE = 90_000


def frames(data: bytes) -> list[tuple[int, bytes]] | None:
    """The channel and the bytes of each interleaved packet; none where they are not whole."""
    found: list[tuple[int, bytes]] = []
    while data:
        end = 4 + int.from_bytes(data[2:4])
        if data[:1] != b"$" or len(data) < max(4, end):
            return None
        found.append((data[1], data[4:end]))
        data = data[end:]
    return found


def steps(pictures: Sequence[bytes], pace_s: float) -> dict[int, tuple[int, int]]:
    """For each channel of RTP, which is even: what all pictures add to the sequence number and to the time stamp."""
    ends: dict[int, tuple[tuple[int, int], tuple[int, int]]] = {}
    for picture in pictures:
        for channel, packet in frames(picture) or ():
            if channel % 2 == 0:
                now = int.from_bytes(packet[2:4]), int.from_bytes(packet[4:8])
                ends[channel] = ends.get(channel, (now, now))[0], now
    pause = round(pace_s * CLOCK_RATE)
    return {channel: (last[0] - first[0] + 1, last[1] - first[1] + pause) for channel, (first, last) in ends.items()}


def renumber(picture: bytes, times: int, by: Mapping[int, tuple[int, int]]) -> bytes:
    """Return the packets for the given repetition of the video, with increased numbers.

    Repeated numbers would look like duplicated packets.
    """
    written = bytearray()
    for channel, packet in frames(picture) or ():
        if channel in by:
            sequence, stamp = by[channel]
            sequence = int.from_bytes(packet[2:4]) + times * sequence & 0xFFFF
            stamp = int.from_bytes(packet[4:8]) + times * stamp & 0xFFFFFFFF
            packet = packet[:2] + sequence.to_bytes(2) + stamp.to_bytes(4) + packet[8:]
        written += b"$" + bytes([channel]) + len(packet).to_bytes(2) + packet
    return bytes(written)
