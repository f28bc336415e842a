"""The packets of one access unit in their memory layout, so that each viewer needs one copy and one system call. Pure.

Rules of this file:
- A run fits into one `sendmsg` with segmentation offload: packets of equal sizes, only the last may be shorter.
- The template of a run contains all bytes that are the same for all viewers, and room for those that differ: sequence
  number, time stamp, SSRC, and authentication tag.

Source: RFC 3550 (RTP), RFC 3711 (SRTP), Linux udp(7) for `UDP_SEGMENT`.
"""

import socket
import struct
from collections.abc import Iterator
from typing import Any

import attrs

from supervisor.base.supervision import CrashAgain

from ..media.media import AccessUnit, VideoCodec
from ..media.payload import MAX_PAYLOAD, packetize
from .library_internals import locate

RTP_HEADER = 12
MAX_SEGMENTS = 32
"""Packets of one run, and so of one burst: half of the kernel's limit."""
BEGIN_SEGMENTS = 8
"""Packets of the first runs of a large unit: its first slice leaves before the rest is protected."""
UDP_SEGMENT = 103
MARKER = 1 << 23
"""The marker bit in an RTP packet's first 32 bits."""


@attrs.frozen(eq=False)
class Run:
    template: bytes
    packets: tuple[tuple[int, int, int], ...]
    """For each packet: offset, length before protection, and `MARKER` for the last one of the unit."""
    header: int
    """Bytes in front of each payload."""
    ancillary: tuple[tuple[int, int, bytes], ...]
    """For `sendmsg`: the segment size for the kernel; empty for a single packet."""
    octets: int
    """Bytes of payload, as sender reports count them."""
    places: tuple[Any, ...]
    lengths: bytes
    """For protection: pointers to its packets in the buffer, and their lengths as C `int`s."""

    @property
    def starts(self) -> list[int]:
        return [offset for offset, _, _ in self.packets]

    def payload(self, index: int) -> bytes:
        offset, length, _ = self.packets[index]
        return self.template[offset + self.header : offset + length]


class Runs:
    """The runs of one access unit, with `header` bytes before and `tag` bytes of protection behind each payload.

    Each run is made on first use, because making all runs of a large unit at once would block the loop. The runs hold
    no reference to the access unit, but to its bytes until the last run is made.
    """

    def __init__(self, unit: AccessUnit, header: int, tag: int) -> None:
        self._made: list[Run] = []
        self._rest = CrashAgain(_make_runs(unit.codec, unit.units, unit.size, header, tag))

    def __getitem__(self, number: int) -> Run:
        """Return a run. Raises `IndexError` behind the last one."""
        self._make(number)
        return self._made[number]

    def __iter__(self) -> Iterator[Run]:
        number = 0
        while self._make(number):
            yield self._made[number]
            number += 1

    def _make(self, number: int) -> bool:
        """Make runs up to `number`. Returns whether that one exists. A bug is raised each time."""
        while len(self._made) <= number:
            run = next(self._rest, None)
            if run is None:
                return False
            self._made.append(run)
        return True


def _make_runs(codec: VideoCodec, units: tuple[bytes, ...], size: int, header: int, tag: int) -> Iterator[Run]:
    payloads, sent = packetize(codec, units), 0
    begin = BEGIN_SEGMENTS if size > MAX_SEGMENTS * MAX_PAYLOAD else MAX_SEGMENTS
    run = [next(payloads)]
    for payload in payloads:
        most = MAX_SEGMENTS if sent >= BEGIN_SEGMENTS else begin
        if len(run) == most or len(run[-1]) != len(run[0]) or len(payload) > len(run[0]):
            yield _make_run(run, header, tag, last=False)
            sent += len(run)
            run = []
        run.append(payload)
    yield _make_run(run, header, tag, last=True)


def _make_run(payloads: list[bytes], header: int, tag: int, *, last: bool) -> Run:
    before, behind, at, packets = bytes(header), bytes(tag), 0, []
    for index, payload in enumerate(payloads):
        marker = MARKER if last and index == len(payloads) - 1 else 0
        packets.append((at, header + len(payload), marker))
        at += header + len(payload) + tag
    segment = struct.pack("=H", header + len(payloads[0]) + tag)
    return Run(
        template=b"".join(before + payload + behind for payload in payloads),
        packets=tuple(packets),
        header=header,
        ancillary=((socket.IPPROTO_UDP, UDP_SEGMENT, segment),) if len(payloads) > 1 else (),
        octets=sum(map(len, payloads)),
        places=locate(start for start, _, _ in packets),
        lengths=struct.pack(f"={len(packets)}i", *(length for _, length, _ in packets)),
    )
