"""Access units are packetized and restored; runs have the memory layout that the kernel needs."""

import random
import struct
from typing import Any

import pytest

from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.media import AccessUnit, VideoCodec
from actors.media.payload import MAX_PAYLOAD, packetize
from actors.webrtc import runs
from actors.webrtc.bursts import BURST, make_bursts
from actors.webrtc.runs import BEGIN_SEGMENTS, MARKER, MAX_SEGMENTS, Run, Runs
from tests.kit.media import access_units, h265_units


def unit_of(units: tuple[bytes, ...], codec: VideoCodec = H264) -> AccessUnit:
    return AccessUnit(codec, units, 0, True, sum(map(len, units)), 0)


def unpack(payloads: list[bytes], codec: VideoCodec) -> list[bytes]:
    """Return the NAL units that a receiver finds, by RFC 6184 and RFC 7798."""
    head, single, together, fragment = (1, 0x1F, 24, 28) if codec is H264 else (2, 0x3F, 48, 49)
    units: list[bytes] = []
    for payload in payloads:
        kind = codec.nal_type(payload)
        if kind == together:
            at = head
            while at < len(payload):
                (size,) = struct.unpack_from("!H", payload, at)
                units.append(payload[at + 2 : at + 2 + size])
                at += 2 + size
        elif kind == fragment:
            position = payload[head]
            if codec is H264:
                whole = bytes([payload[0] & 0xE0 | position & single])
            else:
                whole = bytes([payload[0] & 0x81 | (position & single) << 1, payload[1]])
            if position & 0x80:
                units.append(whole)
            units[-1] += payload[head + 1 :]
        else:
            units.append(payload)
    return units


@pytest.mark.parametrize("codec", [H264, H265], ids=lambda codec: codec.name)
def test_packetized_access_units_are_depacketized_unchanged(codec: VideoCodec) -> None:
    """500 random access units, with sizes around the limit of 1180 bytes."""
    rng = random.Random(1)
    heads = (b"\x65", b"\x41", b"\x67") if codec is H264 else (b"\x26\x01", b"\x02\x01", b"\x42\x01")
    for _ in range(500):
        units = tuple(rng.choice(heads) + rng.randbytes(rng.choice((1, 30, 900, 1179, 1181, 40_000))) for _ in range(4))
        payloads = list(packetize(codec, units))
        assert max(map(len, payloads)) <= MAX_PAYLOAD
        assert unpack(payloads, codec) == list(units)


@pytest.mark.parametrize(("units", "codec"), [(access_units()[0], H264), (h265_units(64, 64)[0], H265)])
def test_parameter_sets_travel_together(units: tuple[bytes, ...], codec: VideoCodec) -> None:
    """The first payload of a key frame is an aggregation packet: type 24 or 48."""
    payloads = list(packetize(codec, units))
    assert unpack(payloads, codec) == list(units)
    assert codec.nal_type(payloads[0]) in (24, 48)


def test_fragments_are_of_equal_size_so_that_one_call_sends_them() -> None:
    """UDP segmentation allows only the last datagram to be shorter."""
    payloads = list(packetize(H264, (b"\x65" + bytes(30_000),)))
    sizes = {len(payload) for payload in payloads[:-1]}
    assert len(sizes) == 1
    assert len(payloads[-1]) <= sizes.pop()


def test_delimiters_and_filler_stay_behind() -> None:
    """Unless the access unit has nothing else, since a marker is needed."""
    assert list(packetize(H264, (b"\x09\xf0", b"\x41abc", b"\x0c\xff"))) == [b"\x41abc"]
    assert list(packetize(H264, (b"\x09\xf0",))) == [b"\x09\xf0"]


def test_runs_hold_every_packet_with_room_for_header_and_tag() -> None:
    """Each run fits one call, with equal sizes, and only the last packet has the marker."""
    unit = unit_of((b"\x67sps", b"\x68pps", b"\x65" + bytes(60_000)))
    payloads, runs = list(packetize(H264, unit.units)), list(Runs(unit, 20, 16))
    found = []
    for run in runs:
        assert 1 <= len(run.packets) <= MAX_SEGMENTS
        assert len(run.template) < 0x10000
        sizes = [length + 16 for _, length, _ in run.packets]
        assert sizes[:-1] == sizes[:1] * (len(sizes) - 1)
        assert sizes[-1] <= sizes[0]
        if run.ancillary:
            assert struct.unpack("=H", run.ancillary[0][2]) == (sizes[0],)
        found += [run.payload(index) for index in range(len(run.packets))]
    assert found == payloads
    marks = [marker for run in runs for _, _, marker in run.packets]
    assert marks == [0] * (len(marks) - 1) + [MARKER]


def test_runs_are_made_one_by_one_as_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packetizing a unit of 8 MB at once would take 40 ms of the loop."""
    made: list[int] = []

    def make(**fields: Any) -> Run:
        made.append(len(fields["packets"]))
        return Run(**fields)

    monkeypatch.setattr(runs, "Run", make)
    found = runs.Runs(unit_of((b"\x65" + bytes(8_000_000),)), 20, 16)
    assert made == []
    assert found[0] is found[0]
    assert made == [BEGIN_SEGMENTS]
    next(make_bursts(found))
    assert sum(made) * MAX_PAYLOAD <= 2 * BURST
    assert sum(len(run.packets) for run in found) == sum(made) > 6000
