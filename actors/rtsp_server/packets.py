"""The RTP packets of one camera, made once for all its readers. Pure.

Rules of this file:
- All readers of a camera get the same packets: the same SSRC, sequence numbers and time stamps. Each has its own RTP
  session, so this breaks no rule of RTP. One packet costs each further reader only a share of a system call.
- An access unit is made in chunks of some packets, because making a large one at once would stop the loop.
- A chunk holds its packets as interleaved frames. Other channels and datagrams are copies, made when they are needed.

Source: RFC 3550, section 5.1 (RTP); RFC 2326, section 10.12 (interleaved frames); Linux udp(7) for `UDP_SEGMENT`.
"""

import secrets
import socket
import struct
from collections.abc import Iterator

import attrs

from supervisor.base.supervision import CrashAgain

from ..media.media import CLOCK_RATE, AccessUnit
from ..media.payload import packetize

CHUNK = 48 * 1024
"""Bytes of a chunk: about 40 packets."""
MAX_SEGMENTS, MAX_RUN = 32, 60_000
"""Packets and bytes of one datagram run."""
UDP_SEGMENT = 103
FRAME = 4
"""Bytes before each interleaved packet: `$`, the channel, and the length."""
_DOLLAR = 0x24
_HEAD = struct.Struct(">BBHBBHII").pack
_MARKER = 0x80

Run = tuple[bytes, tuple[tuple[int, int, bytes], ...]]
"""Datagrams for one `sendmsg`, and its ancillary data."""


class Chunk:
    """Some packets of one stream."""

    __slots__ = ("_runs", "data", "octets", "starts")

    def __init__(self, data: bytes, starts: tuple[int, ...]) -> None:
        self.data, self.starts = data, starts
        """Interleaved frames on channel 0, and where each begins."""
        self.octets = len(data) - len(starts) * (FRAME + 12)
        """Bytes of payload, as sender reports count them."""
        self._runs: tuple[Run, ...] | None = None

    def on(self, channel: int) -> bytes:
        """Return the frames on another channel."""
        if channel == 0:
            return self.data
        data = bytearray(self.data)
        for start in self.starts:
            data[start + 1] = channel
        return bytes(data)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The packets as runs of datagrams of one size, of which the last may be shorter."""
        if self._runs is None:
            ends = (*self.starts[1:], len(self.data))
            packets = [self.data[start + FRAME : end] for start, end in zip(self.starts, ends, strict=True)]
            self._runs = tuple(map(_make_run, _group(packets)))
        return self._runs


def _group(packets: list[bytes]) -> Iterator[list[bytes]]:
    run: list[bytes] = []
    for packet in packets:
        first = len(run[0]) if run else 0
        full = len(run) == MAX_SEGMENTS or (len(run) + 1) * first > MAX_RUN
        if run and (full or len(run[-1]) != first or len(packet) > first):
            yield run
            run = []
        run.append(packet)
    yield run


def _make_run(packets: list[bytes]) -> Run:
    segment = struct.pack("=H", len(packets[0]))
    return b"".join(packets), ((socket.IPPROTO_UDP, UDP_SEGMENT, segment),) if len(packets) > 1 else ()


@attrs.define(eq=False)
class RtpStream:
    """The identity of one RTP stream, and its counters."""

    payload_type: int
    rate: int = CLOCK_RATE
    ssrc: int = attrs.field(factory=lambda: secrets.randbelow(0xFFFFFFFE) + 1)
    sequence: int = attrs.field(factory=lambda: secrets.randbelow(1 << 15))
    """The number of the next packet."""
    base: int = attrs.field(factory=lambda: secrets.randbelow(1 << 31))
    """Added to all time stamps (RFC 3550, section 5.1)."""
    packets: int = 0
    octets: int = 0

    def stamp(self, pts: int) -> int:
        """Return the RTP time stamp of `pts`, in 1/90000 s."""
        return ((pts * self.rate + CLOCK_RATE // 2) // CLOCK_RATE + self.base) & 0xFFFFFFFF

    def frame(self, payload: bytes, sequence: int, pts: int) -> Chunk:
        """Return a chunk of one packet, for a frame of audio, and count it."""
        self.packets += 1
        self.octets += len(payload)
        head = _HEAD(_DOLLAR, 0, 12 + len(payload), 0x80, self.payload_type, sequence, self.stamp(pts), self.ssrc)
        return Chunk(head + payload, (0,))


class Packets:
    """The packets of one access unit. They hold no reference to the unit, but to its bytes until all are made."""

    def __init__(self, unit: AccessUnit, stream: RtpStream) -> None:
        """Begins at the stream's next sequence number, and moves it on with each chunk that is made."""
        self.first = stream.sequence
        """The sequence number of its first packet."""
        self._chunks: list[Chunk] = []
        made = _make_chunks(packetize(unit.codec, unit.units), stream, stream.stamp(unit.pts))
        self._rest = CrashAgain(made)

    def chunk(self, number: int) -> Chunk | None:
        """Return a chunk, which is made if it is the next one; None behind the last. A bug is raised each time."""
        while len(self._chunks) <= number:
            chunk = next(self._rest, None)
            if chunk is None:
                return None
            self._chunks.append(chunk)
        return self._chunks[number]


def _make_chunks(payloads: Iterator[bytes], stream: RtpStream, stamp: int) -> Iterator[Chunk]:
    parts: list[bytes] = []
    starts: list[int] = []
    size, payload = 0, next(payloads)
    while True:
        following = next(payloads, None)
        kind = stream.payload_type | (_MARKER if following is None else 0)
        starts.append(size)
        parts += (_HEAD(_DOLLAR, 0, 12 + len(payload), 0x80, kind, stream.sequence, stamp, stream.ssrc), payload)
        size += FRAME + 12 + len(payload)
        stream.sequence = (stream.sequence + 1) & 0xFFFF
        stream.packets += 1
        stream.octets += len(payload)
        if following is None or size >= CHUNK:
            yield Chunk(b"".join(parts), tuple(starts))
            parts, starts, size = [], [], 0
        if following is None:
            return
        payload = following
