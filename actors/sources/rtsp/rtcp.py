"""RTCP: what the camera says of its clock, and what it is told of our reception. Pure.

Source: RFC 3550, sections 6.4.1 (sender report), 6.4.2 (receiver report) and 6.5 (SDES).
"""

import struct
from collections.abc import Iterator

import attrs

SR, RR, SDES = 200, 201, 202
MAX_PACKETS = 64
"""In one compound packet."""


@attrs.frozen
class SenderReport:
    """At `ntp` (seconds since 1900, any clock, the same for all tracks) the RTP clock stood at `rtp`."""

    ssrc: int
    ntp: float
    rtp: int
    middle: int
    """The middle 32 bits of the NTP time, to be repeated to the sender."""


@attrs.frozen
class ReceiverReport:
    """What a receiver reports of one source (RFC 3550, section 6.4.1)."""

    fraction_lost: int
    """Of 256, since the report before."""
    lost: int
    highest: int
    """Extended sequence number."""
    jitter: int
    middle: int
    """Of the last sender report; 0 if there was none."""
    delay: int
    """Since then, in 1/65536 s."""


def parse(data: bytes) -> Iterator[SenderReport]:
    """The sender reports of a compound packet. What is damaged is left out; a goodbye says nothing that a stall does
    not, and a sender that comes back under another SSRC says it as well."""
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
    """A receiver report with the name that RFC 3550 demands beside it; empty if nothing has come yet."""
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
