"""RTCP: parse the camera's sender reports, and build our receiver reports. Pure.

Source: RFC 3550, sections 6.4.1 (sender report), 6.4.2 (receiver report) and 6.5 (SDES); RFC 5761, section 4.
"""

import struct
from collections.abc import Iterator

import attrs

SR, RR, SDES = 200, 201, 202
TYPES = range(192, 224)
"""Packet types of RTCP; RTP has other values there (RFC 5761, section 4)."""
MAX_PACKETS = 64
"""Limit of packets in one compound packet."""


@attrs.frozen
class SenderReport:
    """At `ntp` (seconds since 1900, any clock, the same for all tracks) the RTP clock was at `rtp`."""

    ssrc: int
    ntp: float
    rtp: int
    middle: int
    """The middle 32 bits of the NTP time, to be echoed to the sender."""


@attrs.frozen
class ReceiverReport:
    """The report block of one source (RFC 3550, section 6.4.1)."""

    fraction_lost: int
    """The lost fraction since the last report, in 1/256."""
    lost: int
    highest: int
    """The extended highest sequence number."""
    jitter: int
    middle: int
    """The middle NTP bits of the last sender report; 0 without one."""
    delay: int
    """The time since that report, in 1/65536 s."""


def is_media(data: bytes, start: int, stop: int) -> bool:
    """Whether a packet where RTCP is expected is RTP: by its version, and a type that RTCP does not have."""
    return stop - start >= 12 and data[start] >> 6 == 2 and data[start + 1] not in TYPES


def parse(data: bytes) -> Iterator[SenderReport]:
    """Yield the sender reports of a compound packet. Damaged packets are skipped.

    BYE is ignored: a sender that leaves stalls, and one that returns under another SSRC is recognised by it.
    """
    at = 0
    for _ in range(MAX_PACKETS):
        if at + 8 > len(data) or data[at] >> 6 != 2:
            return
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4])
        if end > len(data):
            return
        if data[at + 1] == SR and end - at >= 28:
            ssrc, seconds, fraction, rtp = struct.unpack_from(">IIII", data, at + 4)
            middle = (seconds & 0xFFFF) << 16 | fraction >> 16
            yield SenderReport(ssrc, seconds + fraction / 2**32, rtp, middle)
        at = end


def build(ours: int, theirs: int, report: ReceiverReport | None) -> bytes:
    """Build a receiver report with the CNAME that RFC 3550 demands; without `report` it has no report block."""
    head = struct.pack(">BBHI", 0x81 if report else 0x80, RR, 7 if report else 1, ours)
    block = b""
    if report is not None:
        lost = max(-0x800000, min(0x7FFFFF, report.lost)) & 0xFFFFFF
        block = struct.pack(
            ">IIIIII", theirs, report.fraction_lost << 24 | lost, report.highest & 0xFFFFFFFF,
            report.jitter & 0xFFFFFFFF, report.middle, report.delay & 0xFFFFFFFF,
        )  # fmt: skip
    name = b"\x01\x06banken\x00\x00"  # CNAME, its end, and zeros up to the next word
    return head + block + struct.pack(">BBHI", 0x81, SDES, 1 + (len(name) + 3) // 4, ours) + name.ljust(12, b"\x00")
