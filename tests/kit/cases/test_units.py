"""Packets become access units whatever way they were cut, and nothing that is missing goes unnoticed."""

import hashlib

import pytest

from .units import Unit, Units, digest

H264, H265 = 96, 98
SPS, SLICE, OTHER = b"\x67\x42\x00\x1e", b"\x65" + bytes(range(40)), b"\x41" + bytes(range(30))
VPS, SLICE265 = b"\x40\x01\x0c", b"\x26\x01" + bytes(range(40))


def received(*payloads: tuple[bytes, bool], number: int = H264, first: int = 65_535, stamp: int = 0) -> Units:
    """Return the access units of these payloads, each with its marker; the sequence numbers begin with `first`."""
    units = Units({H264: "h264", H265: "h265"})
    for index, (payload, marker) in enumerate(payloads):
        head = bytes([0x80, number | marker << 7]) + (first + index & 0xFFFF).to_bytes(2)
        units.add(head + stamp.to_bytes(4) + (7).to_bytes(4) + payload)
    return units


def aggregated(*nals: bytes) -> bytes:
    return b"".join(len(nal).to_bytes(2) + nal for nal in nals)


def test_digest_is_of_the_slices_with_their_lengths() -> None:
    """Parameter sets and their like are left out; an access unit without slices has a digest, too."""
    expected = hashlib.sha256(bytes([0, 0, 0, 41]) + SLICE + bytes([0, 0, 0, 31]) + OTHER).hexdigest()[:16]
    assert digest("h264", [SPS, SLICE, OTHER]) == expected
    assert digest("h265", [VPS, SLICE265]) == digest("h265", [SLICE265]) != digest("h265", [])


def test_h264_is_the_same_whole_aggregated_and_in_fragments() -> None:
    """RFC 6184, sections 5.6 to 5.8."""
    whole = received((SPS, False), (SLICE, True)).units
    one = received((b"\x78" + aggregated(SPS, SLICE), True)).units
    pieces = received((SPS, False), (b"\x7c\x85" + SLICE[1:20], False), (b"\x7c\x45" + SLICE[20:], True)).units
    assert whole == one == pieces == [Unit("h264", digest("h264", [SLICE]))]


def test_h265_is_the_same_whole_aggregated_and_in_fragments() -> None:
    """RFC 7798, sections 4.4.1 to 4.4.3."""
    whole = received((VPS, False), (SLICE265, True), number=H265).units
    one = received((b"\x60\x01" + aggregated(VPS, SLICE265), True), number=H265).units
    pieces = [(b"\x62\x01\x93" + SLICE265[2:20], False), (b"\x62\x01\x53" + SLICE265[20:], True)]
    assert whole == one == received(*pieces, number=H265).units == [Unit("h265", digest("h265", [SLICE265]))]


def test_another_time_stamp_ends_an_access_unit() -> None:
    """Also without a marker."""
    units = Units({H264: "h264"})
    for sequence, stamp in ((0, 1), (1, 1), (2, 2)):
        units.add(bytes([0x80, H264, 0, sequence]) + stamp.to_bytes(4) + bytes(4) + OTHER)
    assert units.units == [Unit("h264", digest("h264", [OTHER, OTHER]))]


def test_header_extension_and_padding_are_left_out() -> None:
    """RFC 3550, sections 5.1 and 5.3.1."""
    units = Units({H264: "h264"})
    head = bytes([0xB1, H264 | 0x80, 0, 1]) + bytes(8) + b"csrc" + b"\xbe\xde\0\x01" + b"ext0"
    units.add(head + OTHER + b"\0\0\x03")
    assert units.units == [Unit("h264", digest("h264", [OTHER]))]


@pytest.mark.parametrize(
    "payload",
    [b"\x78" + aggregated(SPS) + b"\0\x09a", b"\x7c\x05abc", b"\x7c\x85a", b"\x7e\0", b""],
    ids=["half an aggregate", "no first fragment", "no last fragment", "no such type", "empty"],
)
def test_payload_that_no_rfc_knows_is_a_fault(payload: bytes) -> None:
    """Packets from the daemon are judged, too."""
    units = received((payload, True))
    assert units.fault.startswith("packet ")
    assert not units.units


def test_missing_packet_is_a_fault_and_the_end() -> None:
    """It is not compared as if the camera had not sent it."""
    units = received((SLICE, True))
    for sequence in (1, 2):
        units.add(bytes([0x80, H264 | 0x80, 0, sequence]) + bytes(8) + OTHER)
    assert units.fault == "packet 1 to the viewer: sequence number 1 after 65535; play the case once more"
    assert len(units.units) == 1


def test_packets_of_other_payload_types_are_left_out() -> None:
    """Audio of the same bundle, for one."""
    assert received((b"\xff", True), number=0).units == []
