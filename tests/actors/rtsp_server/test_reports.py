"""Sender reports name the right instant, whatever the path of the camera delays."""

import struct

import pytest

from actors.media.h264 import H264
from actors.media.media import AccessUnit
from actors.rtsp_server.packets import RtpStream
from actors.rtsp_server.reports import ReportClock, read_report, sender_report


def arrived(dts_ms: int, at_ms: int, connection: int = 1) -> AccessUnit:
    return AccessUnit(H264, (b"\x65",), dts_ms * 90, True, 1, dts_ms * 90, at_ms * 1_000_000, connection)


def test_jitter_of_the_camera_does_not_move_the_instant() -> None:
    """Of access units that were delayed by 0 to 200 ms, the least delayed one counts, for two windows."""
    clock = ReportClock()
    assert clock.pts_at(0) is None
    for index in range(100):
        clock.see(arrived(40 * index, 5000 + 40 * index + (index * 37 % 200)))
    pts = clock.pts_at(10_000 * 1_000_000)
    assert pts is not None
    assert pts / 90 == pytest.approx(5000, abs=1)


def test_drift_of_the_camera_is_followed() -> None:
    """A camera clock that is 0.1 % slow: after 60 s the error is that of at most two windows."""
    clock = ReportClock()
    for index in range(1500):
        clock.see(arrived(40 * index, round(40 * index * 1.001)))
    pts = clock.pts_at(round(1500 * 40 * 1.001) * 1_000_000)
    assert pts is not None
    assert 0 <= pts / 90 - 60_000 <= 21


def test_new_connection_begins_with_its_own_delay() -> None:
    """The time stamps of another connection have another relation to the arrival."""
    clock = ReportClock()
    clock.see(arrived(1000, 1000))
    clock.see(arrived(2000, 2500, connection=2))
    pts = clock.pts_at(2500 * 1_000_000)
    assert pts is not None
    assert pts / 90 == pytest.approx(2000, abs=1)


def test_sender_report_has_ntp_time_and_time_stamp() -> None:
    """RFC 3550, section 6.4.1; an SDES packet with the CNAME follows, on a word boundary."""
    stream = RtpStream(96, base=1000, ssrc=7)
    packet = sender_report(stream, 90_000, 1_700_000_000_500_000_000)
    version, kind, words, ssrc, seconds, fraction, stamp = struct.unpack(">BBHIIII", packet[:20])
    assert (version, kind, words, ssrc) == (0x80, 200, 6, 7)
    assert (seconds - 2_208_988_800, fraction, stamp) == (1_700_000_000, 1 << 31, 91_000)
    assert packet[28:30] == b"\x81\xca"
    assert len(packet) == 28 + 4 + 4 * int.from_bytes(packet[30:32])
    assert b"\x01\x06banken\x00" in packet


@pytest.mark.parametrize(
    ("data", "loss"),
    [
        (struct.pack(">BBHIIIIIII", 0x81, 201, 7, 1, 2, 64 << 24, 0, 0, 0, 0), 0.25),
        (struct.pack(">BBHI", 0x80, 201, 1, 1), None),
    ],
)
def test_receiver_report_is_read(data: bytes, loss: float | None) -> None:
    """With the share of lost packets, if it has a block."""
    heard = read_report(data)
    assert heard is not None
    assert heard.loss == loss


@pytest.mark.parametrize(
    "data", [b"", b"\x81\xc9", bytes(8), struct.pack(">BBHI", 0x80, 201, 400, 1), b"\x80\xc9" * 2000]
)
def test_other_bytes_are_no_report(data: bytes) -> None:
    """They are no sign of life."""
    assert read_report(data) is None
