"""Access units from RTP packets: complete ones only."""

import pytest

from actors.media.bitstream import MAX_ACCESS_UNIT, MAX_UNITS
from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.media import SourceLoss
from actors.media.oddities import Oddity
from actors.sources.rtsp.video import MAX_AGGREGATED
from actors.sources.rtsp.video_h264 import H264Depacketizer
from actors.sources.rtsp.video_h265 import H265Depacketizer
from tests.kit.media import access_units, h265_units
from tests.kit.packets import fragments
from tests.kit.slices import h264_sps

SPS, PPS, IDR, SLICE = h264_sps(), b"\x68\xce\x3c\x80", b"\x65\x88key" * 400, b"\x41\x9aslice" * 300


class Reader:
    """A depacketizer, and its output."""

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
def test_fragments_are_assembled_into_access_units(size: int) -> None:
    """Real access units are restored for every size of the fragments."""
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
    """STAP-A of H.264 and the aggregation packet of H.265."""
    reader = Reader()
    body = b"".join(len(unit).to_bytes(2) + unit for unit in (SPS, PPS, IDR))
    reader.take(b"\x78" + body, 5, True)
    assert reader.shown == [([SPS, PPS, IDR], 5)]
    reader = Reader(H265Depacketizer)
    units = [*(unit for unit in h265_units(64, 64)[0] if 32 <= H265.nal_type(unit) <= 34), b"\x26\x01\x80key"]
    reader.take(b"\x60\x01" + b"".join(len(unit).to_bytes(2) + unit for unit in units), 5, True)
    assert reader.shown == [(units, 5)]


@pytest.mark.parametrize(
    ("kind", "head", "unit"),
    [(H264Depacketizer, b"\x78", b"\x41\x40"), (H265Depacketizer, b"\x60\x01", b"\x02\x01\x40")],
)
def test_units_of_one_packet_are_bounded_and_reported_as_work(
    kind: type[H264Depacketizer] | type[H265Depacketizer], head: bytes, unit: bytes
) -> None:
    """Otherwise 64 kB would be 21,000 units, and some milliseconds of the loop."""
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
    """The access unit is emitted at the first packet of the next one."""
    reader = Reader()
    reader.picture(SPS, PPS, IDR, timestamp=1, marker=False)
    assert reader.shown == []
    reader.picture(SLICE, timestamp=2, marker=False)
    assert reader.shown == [([SPS, PPS, IDR], 1)]


def test_a_marker_on_parameter_sets_ends_no_picture() -> None:
    """Some cameras mark SPS and PPS; they still belong to the key frame after them."""
    reader = Reader()
    for unit in (SPS, PPS):
        reader.take(unit, 1, marker=True)
    reader.picture(IDR, timestamp=1)
    assert reader.shown == [([SPS, PPS, IDR], 1)]


def test_parameter_sets_that_come_alone_are_reported() -> None:
    """They are reported as parameter sets and are not part of the next access unit."""
    reader = Reader()
    reader.picture(SPS, PPS, timestamp=1)
    reader.picture(SLICE, timestamp=2)
    assert reader.told == [[SPS, PPS]]
    assert reader.shown == [([SLICE], 2)]


def test_lost_packet_discards_its_access_unit_and_all_up_to_the_next_key_frame() -> None:
    """All access units up to the next key frame are discarded and counted."""
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
def test_gap_between_access_units_discards_the_first_unless_it_is_complete(marker: bool) -> None:
    """The second one begins behind the gap: a key frame is shown, since no slice of it is missing."""
    reader = Reader()
    reader.picture(SPS, PPS, IDR, timestamp=1, marker=marker)
    reader.depacketizer.gap()
    reader.picture(SPS, PPS, IDR, timestamp=2)
    reader.picture(IDR, timestamp=3)
    assert [at for _, at in reader.shown] == ([1, 2, 3] if marker else [2, 3])


@pytest.mark.parametrize(
    ("units", "shown"),
    [((SPS, PPS, IDR), True), ((PPS, IDR), True), ((IDR,), True), ((b"\x09\xf0", IDR), True), ((SLICE,), False),
     ((b"\x06\x05\x01a\x80", IDR), False), ((bytes([IDR[0], IDR[1] & 0x7F]) + IDR[2:],), False)],
)  # fmt: skip
def test_key_frame_behind_a_gap_is_shown_if_no_slice_of_it_is_missing(units: tuple[bytes, ...], shown: bool) -> None:
    """It begins with a delimiter, with parameter sets or with its first slice. Other pictures wait for a key frame."""
    reader = Reader()
    reader.picture(SPS, PPS, IDR, timestamp=1)
    reader.depacketizer.gap()
    reader.picture(*units, timestamp=2)
    reader.picture(SLICE, timestamp=3)
    assert [at for _, at in reader.shown] == ([1, 2, 3] if shown else [1])


def test_fragments_that_all_say_that_they_are_the_last_one_are_joined() -> None:
    """Whether the marker ends the picture or the next one begins; the first fragment costs nothing, either."""
    for marker in (True, False):
        reader = Reader()
        for timestamp, unit in ((1, IDR), (2, SLICE), (3, SLICE)):
            parts = [part[:1] + bytes([part[1] | 0x40]) + part[2:] for part in fragments(unit, 500, H264)]
            for part in (*((SPS, PPS) if unit is IDR else ()), *parts):
                reader.take(part, timestamp, marker=marker and part is parts[-1])
        reader.picture(IDR, timestamp=4)
        assert [units[-1] for units, _ in reader.shown][:3] == [IDR, SLICE, SLICE]
        assert reader.loss.oddities == {Oddity.ODD_FRAGMENTS: 1}


def test_rest_of_an_aggregate_that_cannot_be_read_costs_nothing() -> None:
    """A cut message, or padding that is not zero."""
    for behind in (b"\xff", b"\xff\xff\xff", b"\0\x20\x06\x05"):
        reader = Reader()
        sets = b"".join(len(unit).to_bytes(2) + unit for unit in (SPS, PPS))
        reader.picture(b"\x78" + sets + behind, IDR, timestamp=1)
        assert len(reader.shown) == 1
        assert reader.loss.oddities == {Oddity.PADDED_AGGREGATES: 1}


@pytest.mark.parametrize("payload", [b"\x78\x00\x09short", b"\x78\x00\x02\x41\x9a\0\5\x41\x9a", b"\x78\x01"])
def test_cut_aggregated_unit_discards_its_access_unit(payload: bytes) -> None:
    """The access unit is skipped and counted; the ones before and after are complete."""
    reader = Reader()
    reader.picture(SPS, PPS, IDR, timestamp=1)
    reader.take(payload, 2)
    reader.picture(SLICE, timestamp=2)
    reader.picture(IDR, timestamp=3)
    assert [at for _, at in reader.shown] == [1, 3]
    assert (reader.loss.malformed, reader.loss.skipped) == (1, 1)


def held(reader: Reader) -> int:
    return sum(map(len, (*reader.depacketizer._fragments, *reader.depacketizer._units)))


def test_a_picture_without_an_end_is_bounded() -> None:
    """An access unit without an end is bounded: in one unit, in many, and in many tiny ones."""
    endless: dict[str, list[bytes]] = {
        "one unit": [b"\x7c\x85" + bytes(60_000), *[b"\x7c\x05" + bytes(60_000)] * 200],
        "crumbs": [b"\x7c\x85x", *[b"\x7c\x05x"] * 200_000],
        "units": [b"\x41x"] * 5000,
        "aggregated units": [b"\x78" + b"\x00\x02\x41\x40" * 100] * 300,
        "aggregated units of one packet": [b"\x78" + b"\x00\x02\x41\x40" * 16_000] * 3,
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
