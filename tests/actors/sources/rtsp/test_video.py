"""Pictures out of packets: whole ones, or none."""

import pytest

from actors.bitstream import MAX_UNITS
from actors.h264 import H264
from actors.h265 import H265
from actors.media import SourceLoss
from actors.sources.rtsp.video import MAX_ACCESS_UNIT, MAX_AGGREGATED, H264Depacketizer, H265Depacketizer
from tests.kit.media import access_units, h265_units
from tests.kit.packets import fragments

SPS, PPS, IDR, SLICE = b"\x67sps", b"\x68pps", b"\x65key" * 400, b"\x41slice" * 300


class Reader:
    """A depacketizer, and what came out of it."""

    def __init__(self, kind: type[H264Depacketizer] | type[H265Depacketizer] = H264Depacketizer) -> None:
        self.shown: list[tuple[list[bytes], int]] = []
        self.told: list[list[bytes]] = []
        self.loss = SourceLoss()
        self.depacketizer = kind(
            lambda units, at: self.shown.append((units, at)), self.told.append, self.loss, lambda _: None
        )

    def take(self, payload: bytes, timestamp: int = 0, marker: bool = False) -> None:
        self.depacketizer.take(b"head" + payload + b"tail", 4, 4 + len(payload), timestamp, marker)

    def picture(self, *units: bytes, timestamp: int = 0, marker: bool = True, size: int = 500) -> None:
        payloads = [payload for unit in units for payload in fragments(unit, size, self.depacketizer.codec)]
        for index, payload in enumerate(payloads):
            self.take(payload, timestamp, marker and index == len(payloads) - 1)


@pytest.mark.parametrize("size", [3, 100, 100_000])
def test_what_was_taken_apart_is_put_together(size: int) -> None:
    """Real pictures, whatever the size of the pieces."""
    for kind, codec, pictures in (
        (H264Depacketizer, H264, access_units(count=3)),
        (H265Depacketizer, H265, h265_units(64, 64)),
    ):
        reader = Reader(kind)
        for index, units in enumerate(pictures):
            reader.picture(*units, timestamp=index, size=size)
        assert [units for units, _ in reader.shown] == [list(units) for units in pictures], codec.name
        assert reader.loss == SourceLoss()


def test_aggregated_units_are_taken_apart() -> None:
    reader = Reader()
    body = b"".join(len(unit).to_bytes(2) + unit for unit in (SPS, PPS, IDR))
    reader.take(b"\x78" + body, 5, True)
    assert reader.shown == [([SPS, PPS, IDR], 5)]
    reader = Reader(H265Depacketizer)
    units = [b"\x40\x01vps", b"\x42\x01sps", b"\x26\x01key"]
    reader.take(b"\x60\x01" + b"".join(len(unit).to_bytes(2) + unit for unit in units), 5, True)
    assert reader.shown == [(units, 5)]


@pytest.mark.parametrize(
    ("kind", "head", "unit"), [(H264Depacketizer, b"\x78", b"\x41"), (H265Depacketizer, b"\x60\x01", b"\x02\x01")]
)
def test_units_of_one_packet_are_bounded_and_reported_as_work(
    kind: type[H264Depacketizer] | type[H265Depacketizer], head: bytes, unit: bytes
) -> None:
    """Else 64 kB would be 21,000 units, and some milliseconds of the loop."""
    for count, shown in ((1, True), (MAX_AGGREGATED, True), (MAX_AGGREGATED + 1, False), (20_000, False)):
        spent: list[int] = []
        pictures: list[list[bytes]] = []
        loss = SourceLoss()
        depacketizer = kind(lambda units, _: pictures.append(units), lambda _: None, loss, spent.append)  # noqa: B023
        payload = head + (len(unit).to_bytes(2) + unit) * count
        depacketizer.take(payload, 0, len(payload), 1, True)
        assert [len(units) for units in pictures] == ([count] if shown else [])
        assert loss.malformed == (not shown)
        assert sum(spent) == min(count - 1, MAX_AGGREGATED)


def test_without_markers_a_new_time_stamp_ends_the_picture() -> None:
    reader = Reader()
    reader.picture(SPS, PPS, IDR, timestamp=1, marker=False)
    assert reader.shown == []
    reader.picture(SLICE, timestamp=2, marker=False)
    assert reader.shown == [([SPS, PPS, IDR], 1)]


def test_a_marker_on_parameter_sets_ends_no_picture() -> None:
    reader = Reader()
    for unit in (SPS, PPS):
        reader.take(unit, 1, marker=True)
    reader.picture(IDR, timestamp=1)
    assert reader.shown == [([SPS, PPS, IDR], 1)]


def test_parameter_sets_that_come_alone_are_told() -> None:
    reader = Reader()
    reader.picture(SPS, PPS, timestamp=1)
    reader.picture(SLICE, timestamp=2)
    assert reader.told == [[SPS, PPS]]
    assert reader.shown == [([SLICE], 2)]


def test_a_picture_that_misses_a_packet_is_not_shown_nor_what_depends_on_it() -> None:
    """Up to the next key frame, and each of them is counted."""
    reader = Reader()
    reader.picture(SPS, PPS, IDR, timestamp=1)
    first, *_, last = fragments(SLICE, 500, H264)
    reader.take(first, 2)
    reader.depacketizer.gap()
    reader.take(last, 2, marker=True)
    reader.picture(SLICE, timestamp=3)
    reader.picture(IDR, timestamp=4)
    reader.picture(SLICE, timestamp=5)
    assert [at for _, at in reader.shown] == [1, 4, 5]
    assert reader.loss.skipped == 2


@pytest.mark.parametrize("marker", [True, False])
def test_who_lost_its_end_and_who_lost_its_beginning_cannot_be_told(marker: bool) -> None:
    """With a gap between two pictures neither is shown, unless the first was known to be whole."""
    reader = Reader()
    reader.picture(SPS, PPS, IDR, timestamp=1, marker=marker)
    reader.depacketizer.gap()
    reader.picture(SPS, PPS, IDR, timestamp=2)
    reader.picture(IDR, timestamp=3)
    assert [at for _, at in reader.shown] == ([1, 3] if marker else [3])


@pytest.mark.parametrize(
    "payload",
    [b"\x7c", b"\x7c\x05rest of what never began", b"\x78\x00\x09short", b"\x78\x00", b"\x78\x00\x00", b"\x7f??",
     b"\x60"],
)  # fmt: skip
def test_a_payload_that_nobody_knows_breaks_its_picture(payload: bytes) -> None:
    reader = Reader()
    reader.picture(SPS, PPS, IDR, timestamp=1)
    reader.take(payload, 2)
    reader.picture(SLICE, timestamp=2)
    reader.picture(IDR, timestamp=3)
    assert [at for _, at in reader.shown] == [1, 3]
    assert (reader.loss.malformed, reader.loss.skipped) == (1, 1)


@pytest.mark.parametrize("payload", [b"\x62\x01", b"\x62\x01\x13", b"\x64\x01x", b"\x02", b"\x60\x01\x00\x01x"])
def test_a_payload_of_h265_that_nobody_knows_breaks_its_picture(payload: bytes) -> None:
    reader = Reader(H265Depacketizer)
    reader.take(payload, 2, marker=True)
    assert (reader.shown, reader.loss.malformed) == ([], 1)


def held(reader: Reader) -> int:
    return sum(map(len, (*reader.depacketizer._fragments, *reader.depacketizer._units)))


def test_a_picture_without_an_end_is_bounded() -> None:
    """However it never ends: in one unit, in many, in many of nearly nothing."""
    endless: dict[str, list[bytes]] = {
        "one unit": [b"\x7c\x85" + bytes(60_000), *[b"\x7c\x05" + bytes(60_000)] * 200],
        "crumbs": [b"\x7c\x85x", *[b"\x7c\x05x"] * 200_000],
        "units": [b"\x41x"] * 5000,
        "aggregated units": [b"\x78" + b"\x00\x01\x41" * 100] * 300,
        "aggregated units of one packet": [b"\x78" + b"\x00\x01\x41" * 20_000] * 3,
    }
    for name, payloads in endless.items():
        reader = Reader()
        most = count = 0
        for payload in payloads:
            reader.take(payload, 1)
            most = max(most, held(reader) if len(payloads) < 1000 else 0)
            count = max(count, len(reader.depacketizer._fragments) + len(reader.depacketizer._units))
        reader.take(b"\x41x", 1, marker=True)
        assert most <= MAX_ACCESS_UNIT, name
        assert count <= max(MAX_UNITS + 2, MAX_ACCESS_UNIT // 64), name
        assert (reader.shown, reader.loss.skipped) == ([], 1), name
        reader.picture(IDR, timestamp=2)
        assert len(reader.shown) == 1, name
