"""RTCP reports, parsed and built."""

import struct

from actors.sources.rtsp import rtcp
from actors.sources.rtsp.rtcp import ReceiverReport, SenderReport

SENDER = struct.pack(">BBHIIIIII", 0x80, 200, 6, 7, 1000, 1 << 31, 90_000, 5, 6)
NAME = bytes.fromhex("81ca0003 00000007 0100 0000")


def test_a_sender_report_gives_both_clocks() -> None:
    """The NTP time in seconds and the RTP time stamp of the same instant; the SDES is skipped."""
    assert list(rtcp.parse(SENDER + NAME)) == [SenderReport(7, 1000.5, 90_000, 1000 << 16 | 0x8000)]


def test_damaged_rtcp_is_skipped() -> None:
    """A report cut at any byte, noise, and more packets than the limit of 64."""
    for at in range(len(SENDER)):
        assert list(rtcp.parse(SENDER[:at])) == []
    assert list(rtcp.parse(b"\xff" * 2000)) == []
    assert len(list(rtcp.parse(SENDER * 1000))) == rtcp.MAX_PACKETS


def test_a_receiver_report_is_as_the_standard_has_it() -> None:
    """The report has the layout of RFC 3550, sections 6.4.2 and 6.5."""
    built = rtcp.build(1, 2, ReceiverReport(25, -1, 0x1_0005, 77, 88, 99))
    assert struct.unpack(">BBHIIIIIII", built[:32]) == (0x81, 201, 7, 1, 2, 25 << 24 | 0xFFFFFF, 0x1_0005, 77, 88, 99)
    assert built[32:36] == bytes([0x81, 202, 0, 4])
    assert built[36:] == b"\x00\x00\x00\x01\x01\x06banken\x00\x00\x00\x00"
    assert len(rtcp.build(1, 2, None)) == 8 + 20
