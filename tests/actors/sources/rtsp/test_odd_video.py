"""Payloads that the standards do not define, or forbid, and that cameras send all the same."""

from collections.abc import Iterable, Iterator

import attrs
import pytest

from actors.media.bitstream import MAX_ACCESS_UNIT
from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.media import SourceLoss, VideoCodec
from actors.media.oddities import Oddity
from actors.sources.rtsp.video import BEHAVED, MAX_AGGREGATED, Markers, VideoDepacketizer
from actors.sources.rtsp.video_h264 import H264Depacketizer
from actors.sources.rtsp.video_h265 import H265Depacketizer
from tests.kit.media import access_units, h265_units
from tests.kit.packets import fragments
from tests.kit.slices import PPS, h264_slice, h264_sps, h265_slice

CODE, LONG_CODE = b"\x00\x00\x01", b"\x00\x00\x00\x01"
SPS = h264_sps()
H265_SETS = tuple(unit for unit in h265_units(64, 64)[0] if H265.nal_type(unit) in H265.set_types)
KINDS = {H264: H264Depacketizer, H265: H265Depacketizer}
BOTH = pytest.mark.parametrize("codec", [H264, H265], ids=["h264", "h265"])

Packet = tuple[bytes, int, bool]
"""A payload, its time stamp, its marker."""


@attrs.define
class Camera:
    """A depacketizer, and its output."""

    codec: VideoCodec
    markers: Markers = Markers.UNKNOWN
    shown: list[tuple[tuple[bytes, ...], int]] = attrs.field(factory=list)
    told: list[tuple[bytes, ...]] = attrs.field(factory=list)
    loss: SourceLoss = attrs.field(factory=SourceLoss)
    spent: list[int] = attrs.field(factory=list)
    depacketizer: VideoDepacketizer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.depacketizer = KINDS[self.codec](
            lambda units, at: self.shown.append((tuple(units), at)),
            lambda units: self.told.append(tuple(units)),
            self.loss,
            self.spent.append,
            self.markers,
        )

    def send(self, *packets: Packet) -> "Camera":
        for payload, timestamp, marker in packets:
            self.depacketizer.take(b"head" + payload + b"tail", 4, 4 + len(payload), timestamp, marker)
        return self

    @property
    def pictures(self) -> list[tuple[bytes, ...]]:
        """The slices of each access unit."""
        kinds = self.depacketizer.pictures
        return [tuple(unit for unit in units if self.codec.nal_type(unit) in kinds) for units, _ in self.shown]

    @property
    def met(self) -> set[Oddity]:
        return set(self.loss.oddities)


def sets(codec: VideoCodec) -> tuple[bytes, ...]:
    return (SPS, PPS) if codec is H264 else H265_SETS


def slices(codec: VideoCodec, picture: int, count: int = 4, size: int = 300) -> tuple[bytes, ...]:
    """A picture of several slices; the first one of eight is a key frame."""
    key, body = picture % 8 == 0, bytes(0x10 + (picture + place) % 200 for place in range(size))
    if codec is H264:
        return tuple(h264_slice(picture % 16, 4 * at, key=key, order=picture % 16, body=body) for at in range(count))
    return tuple(h265_slice(at, first=at == 0, key=key, body=body) for at in range(count))


def aggregate(codec: VideoCodec, *units: bytes) -> bytes:
    return (b"\x78" if codec is H264 else b"\x60\x01") + b"".join(len(unit).to_bytes(2) + unit for unit in units)


def in_fragments(codec: VideoCodec, unit: bytes, size: int = 100) -> list[bytes]:
    return list(fragments(unit, size, codec))


def closing(codec: VideoCodec, timestamp: int) -> Packet:
    """The first packet of a picture after the last one."""
    return slices(codec, 9)[0], timestamp, False


# ── start codes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
@pytest.mark.parametrize("code", [CODE, LONG_CODE])
@pytest.mark.parametrize("tail", [b"", b"\x00", b"\x00\x00\x00", CODE, LONG_CODE])
def test_units_joined_by_start_codes_are_separated(codec: VideoCodec, code: bytes, tail: bytes) -> None:
    """In a single NAL unit, in fragments of every size, in an aggregated one; also with a start code in front."""
    units = (*sets(codec), *slices(codec, 0))
    for front in (b"", code):
        joined = front + code.join(units) + tail
        ways = [[joined], [aggregate(codec, joined)], *(in_fragments(codec, joined, size) for size in range(1, 60))]
        for way in ways:
            camera = Camera(codec, Markers.RIGHT)
            camera.send(*((payload, 1, payload is way[-1]) for payload in way))
            assert camera.shown == [(units, 1)]
            assert camera.met == {Oddity.START_CODES}


@BOTH
def test_start_code_in_front_of_each_unit_is_left_out(codec: VideoCodec) -> None:
    """Key frames and others; whether all units have one, or small ones only."""
    camera = Camera(codec)
    for picture in range(8):
        units = (*sets(codec), *slices(codec, picture, 1)) if picture == 0 else slices(codec, picture, 1)
        camera.send(*((LONG_CODE + unit, picture, unit is units[-1]) for unit in units))
    camera.send(closing(codec, 8))
    assert camera.pictures == [slices(codec, picture, 1) for picture in range(8)]


@BOTH
def test_slices_joined_by_start_codes_are_separated_after_the_first_key_frame(codec: VideoCodec) -> None:
    """All slices of a picture in one NAL unit: in key frames they are searched, from then on everywhere."""
    camera = Camera(codec)
    for picture in range(4):
        camera.send((LONG_CODE.join(slices(codec, picture)), picture, True))
    camera.send(closing(codec, 4))
    assert camera.pictures == [slices(codec, picture) for picture in range(4)]


@BOTH
def test_units_joined_by_start_codes_are_bounded(codec: VideoCodec) -> None:
    """Otherwise 64 kB would be 13,000 units. One more than the limit discards the access unit."""
    unit = slices(codec, 0, 1, 1)[0]
    for count, shown in ((MAX_AGGREGATED, 1), (MAX_AGGREGATED + 1, 0), (2000, 0)):
        camera = Camera(codec, Markers.RIGHT).send(
            (CODE.join((unit, *[slices(codec, 0, 2, 1)[1]] * (count - 1))), 1, True)
        )
        assert len(camera.shown) == shown
        assert sum(camera.spent) < MAX_AGGREGATED


@BOTH
def test_trailing_zeros_are_no_part_of_a_unit(codec: VideoCodec) -> None:
    """A NAL unit never ends with a zero byte (H.264 and H.265, section 7.4.1 and 7.4.2)."""
    camera = Camera(codec, Markers.RIGHT)
    for picture in (0, 1):
        camera.send((slices(codec, picture, 1)[0] + b"\x00\x00\x00", picture, True))
    assert camera.pictures == [slices(codec, picture, 1) for picture in (0, 1)]
    assert not camera.met


@BOTH
def test_end_of_a_sequence_is_no_oddity(codec: VideoCodec) -> None:
    """It is a NAL unit without a payload (H.264, 7.3.2.5 and 7.3.2.6; H.265, 7.3.2.6 and 7.3.2.7), and is left out."""
    camera = Camera(codec, Markers.RIGHT)
    endings = sorted(camera.depacketizer.endings)
    ends = [bytes((kind,)) if codec is H264 else bytes((kind << 1, 1)) for kind in endings]
    for picture in (0, 1):
        camera.send((slices(codec, picture, 1)[0], picture, False))
        camera.send((ends[0], picture, False), (aggregate(codec, *ends), picture, True))
    assert camera.pictures == [slices(codec, picture, 1) for picture in (0, 1)]
    assert (camera.loss.malformed, camera.met) == (0, set())


# ── markers and time stamps ─────────────────────────────────────────────────────────────────────────────────────────


def stream(
    codec: VideoCodec, marked: str, pictures: int = 12, count: int = 4, size: int = 100, tick: int = 3000
) -> Iterator[Packet]:
    """Pictures of `count` slices, with markers on: every `packet`, `slice`, `set`, the `last` packet, or `none`."""
    for picture in range(pictures):
        units = slices(codec, picture, count)
        for unit in (*(sets(codec) if picture % 8 == 0 else ()), *units):
            parts = in_fragments(codec, unit, size)
            for at, payload in enumerate(parts):
                ends, is_slice = at == len(parts) - 1, unit in units
                marks = {
                    "packet": True,
                    "slice": ends and is_slice,
                    "unit": ends,
                    "set": not is_slice or (ends and unit is units[-1]),
                    "last": ends and unit is units[-1],
                    "none": False,
                }
                yield payload, picture * tick, marks[marked]


@BOTH
@pytest.mark.parametrize("marked", ["packet", "slice", "unit", "set", "last", "none"])
@pytest.mark.parametrize("size", [100, 10_000])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_pictures_are_whole_wherever_the_marker_is(codec: VideoCodec, marked: str, size: int, count: int) -> None:
    """From the first one on, and in order."""
    camera = Camera(codec).send(*stream(codec, marked, count=count, size=size), closing(codec, 12 * 3000))
    assert camera.pictures == [slices(codec, picture, count) for picture in range(12)]
    assert [at for _, at in camera.shown] == [picture * 3000 for picture in range(12)]
    assert (Oddity.EARLY_MARKER in camera.met) == (marked in ("packet", "slice", "unit") and count > 1)


@BOTH
@pytest.mark.parametrize("marked", ["packet", "slice", "unit", "last", "none"])
def test_pictures_are_separated_although_the_time_stamp_never_changes(codec: VideoCodec, marked: str) -> None:
    """By the header of the slice that begins each."""
    camera = Camera(codec).send(*stream(codec, marked, tick=0), closing(codec, 0))
    assert camera.pictures == [slices(codec, picture) for picture in range(12)]


@BOTH
@pytest.mark.parametrize("marked", ["packet", "slice", "last", "none"])
def test_time_stamp_that_changes_within_a_picture_does_not_split_it(codec: VideoCodec, marked: str) -> None:
    """Between two fragments, and between two slices. The first one counts."""
    packets = [(payload, at, marker) for at, (payload, _, marker) in enumerate(stream(codec, marked))]
    camera = Camera(codec).send(*packets, closing(codec, len(packets)))
    assert camera.pictures == [slices(codec, picture) for picture in range(12)]
    assert Oddity.MOVING_TIMESTAMP in camera.met


@BOTH
def test_only_the_first_picture_waits_for_the_next_packet(codec: VideoCodec) -> None:
    """One slice each, as most cameras send: all later ones are published at the marker."""
    camera = Camera(codec)
    for picture in range(6):
        camera.send((slices(codec, picture, 1)[0], picture, True))
        assert len(camera.shown) == (picture + 1 if picture else 0)


@BOTH
def test_picture_whose_earlier_slices_have_no_marker_does_not_wait(codec: VideoCodec) -> None:
    """The marker on the last slice of the first picture is right."""
    camera = Camera(codec).send(*stream(codec, "last", pictures=1))
    assert camera.pictures == [slices(codec, 0)]


@BOTH
def test_first_picture_is_published_when_nothing_follows(codec: VideoCodec) -> None:
    """`flush` says so; from then on the marker counts. It does nothing when nothing waits."""
    camera = Camera(codec)
    camera.depacketizer.flush()
    camera.send((slices(codec, 0, 1)[0], 0, True))
    assert camera.depacketizer.is_held
    camera.depacketizer.flush()
    camera.depacketizer.flush()
    assert not camera.depacketizer.is_held
    assert len(camera.shown) == 1
    camera.send((slices(codec, 1, 1)[0], 1, True))
    assert len(camera.shown) == 2


@BOTH
def test_picture_is_not_published_while_a_fragment_is_missing(codec: VideoCodec) -> None:
    """With a marker on each packet, `flush` does nothing between two fragments."""
    camera = Camera(codec)
    for payload, timestamp, marker in stream(codec, "packet", pictures=1, count=1):
        assert not camera.depacketizer.is_held
        camera.depacketizer.flush()
        camera.send((payload, timestamp, marker))
    camera.depacketizer.flush()
    assert camera.pictures == [slices(codec, 0, 1)]


@BOTH
def test_camera_that_begins_to_set_the_marker_early_is_noticed(codec: VideoCodec) -> None:
    """The picture that shows it is split; all later ones are whole."""
    camera = Camera(codec, Markers.RIGHT).send(*stream(codec, "slice"), closing(codec, 12 * 3000))
    assert camera.pictures[-11:] == [slices(codec, picture) for picture in range(1, 12)]
    assert camera.loss.oddities[Oddity.EARLY_MARKER] > 1


@BOTH
def test_camera_that_sets_the_marker_correctly_again_is_trusted_again(codec: VideoCodec) -> None:
    """After `BEHAVED` pictures in a row, none waits for the next packet."""
    camera = Camera(codec).send(*stream(codec, "slice", pictures=2))
    for picture in range(2, BEHAVED + 4):
        units = slices(codec, picture)
        camera.send(*((unit, picture * 3000, unit is units[-1]) for unit in units))
        assert len(camera.shown) == (picture if picture < BEHAVED + 2 else picture + 1)


def test_pictures_of_one_slice_say_nothing_about_the_marker_of_others() -> None:
    """Key frames of four slices, each with its marker, and between them pictures of one."""
    camera = Camera(H264)
    expected = []
    for picture in range(10 * BEHAVED):
        units = slices(H264, picture, 4 if picture % 8 == 0 else 1)
        camera.send(*((unit, picture * 3000, True) for unit in units))
        expected.append(units)
    assert camera.pictures == expected[:-1]


@BOTH
def test_lost_packet_behind_an_early_marker_discards_the_picture(codec: VideoCodec) -> None:
    """The missing packet may be one of its slices. The next key frame goes on."""
    camera = Camera(codec).send(*stream(codec, "slice", pictures=3))
    camera.depacketizer.gap()
    camera.send(*((unit, 90_000, True) for unit in slices(codec, 3)))
    camera.send(*((unit, 93_000, True) for unit in slices(codec, 8)), closing(codec, 96_000))
    assert camera.pictures == [slices(codec, 0), slices(codec, 1), slices(codec, 8)]
    assert camera.loss.skipped == 2


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("markers", list(Markers))
def test_two_fields_of_one_time_stamp_are_one_access_unit(marked: bool, markers: Markers) -> None:
    """Also when both begin at the first macroblock, and both have the marker, which is then early."""
    camera, sps = Camera(H264, markers), h264_sps(fields=True)
    expected = []
    for frame in range(6):
        key = frame == 0
        pair = [
            h264_slice(frame, key=key and field == 0, order=2 * frame + field, field=field, fields=True)
            for field in (0, 1)
        ]
        camera.send((sps, frame, False), (PPS, frame, False))
        camera.send(*((unit, frame, marked or unit is pair[1]) for unit in pair))
        expected.append(tuple(pair))
    camera.send((h264_slice(9, fields=True, order=15), 9, False))
    split = marked and markers is Markers.RIGHT
    assert camera.pictures == ([(unit,) for pair in expected for unit in pair] if split else expected)


def test_fields_of_two_frames_with_one_time_stamp_are_two_access_units() -> None:
    """Two fields make a frame; the third one begins another, although its number is the same."""
    camera = Camera(H264).send((h264_sps(fields=True), 1, False), (PPS, 1, False))
    fields = [
        h264_slice(1, key=at == 0, order=at, field=at % 2, fields=True, reference=at < 2) if at != 1 else
        h264_slice(1, order=1, field=1, fields=True)
        for at in range(4)
    ]  # fmt: skip
    camera.send(*((unit, 1, False) for unit in fields), (h264_slice(2, fields=True), 2, False))
    assert camera.pictures == [tuple(fields[:2]), tuple(fields[2:])]


@pytest.mark.parametrize("order", [0, 1, 2])
def test_pictures_without_marker_and_with_one_time_stamp_are_separated_by_their_numbers(order: int) -> None:
    """For each type of the picture order count."""
    camera = Camera(H264).send((h264_sps(order=order), 1, False), (PPS, 1, False))
    pictures = [h264_slice(number, key=number == 0) for number in range(4)]
    camera.send(*((unit, 1, False) for unit in pictures), (h264_slice(9), 2, False))
    assert camera.pictures == [(unit,) for unit in pictures]


@pytest.mark.parametrize("marked", [True, False])
def test_slices_out_of_order_and_redundant_ones_stay_in_their_picture(marked: bool) -> None:
    """Arbitrary slice order, and a second slice at the first macroblock with the same header."""
    camera = Camera(H264)
    expected = []
    for picture in range(6):
        units = [h264_slice(picture, at, key=picture == 0, order=picture) for at in (4, 0, 12, 0, 8)]
        camera.send((SPS, picture, False), (PPS, picture, False))
        camera.send(*((unit, picture, marked or at == 4) for at, unit in enumerate(units)))
        expected.append(tuple(units))
    camera.send((SPS, 6, False))
    assert camera.pictures == expected


@BOTH
@pytest.mark.parametrize("marked", [True, False])
def test_delimiters_and_messages_between_slices_do_not_split_a_picture(codec: VideoCodec, marked: bool) -> None:
    """Access unit delimiters and SEI, in front of the picture, between its slices and behind them."""
    between = (
        (b"\x09\xf0", b"\x06\x05\x01\x07\x80") if codec is H264 else (b"\x46\x01\x50", b"\x4e\x01\x05\x01\x07\x80")
    )
    camera = Camera(codec)
    for picture in range(6):
        units = [unit for each in slices(codec, picture) for unit in (*between, each)]
        camera.send(*((unit, picture, marked or unit is units[-1]) for unit in units))
    camera.send(closing(codec, 6))
    assert camera.pictures == [slices(codec, picture) for picture in range(6)]


@BOTH
@pytest.mark.parametrize("markers", [Markers.UNKNOWN, Markers.RIGHT])
def test_markers_on_sets_and_messages_in_front_of_a_picture_end_nothing(codec: VideoCodec, markers: Markers) -> None:
    """Parameter sets and SEI, each with the marker and the time stamp of the picture, or another one."""
    message = b"\x06\xe5\x01\xa7\x80" if codec is H264 else b"\x4e\x01\xe5\x01\xa7\x80"
    for moved in (0, 1):
        camera = Camera(codec, markers)
        for picture in range(3):
            at = 10 * picture
            camera.send(*((unit, at, True) for unit in (*sets(codec), message)))
            camera.send((slices(codec, picture, 1)[0], at + moved, True))
        camera.send(closing(codec, 30))
        assert camera.pictures == [slices(codec, picture, 1) for picture in range(3)]
        assert camera.told == ([(*sets(codec), message)] * 3 if moved else [])
        assert not camera.met


def test_parameter_sets_with_the_time_stamp_of_the_picture_before_go_to_the_next_one() -> None:
    """Some cameras stamp them so at the end of a GOP."""
    camera = Camera(H264, Markers.EARLY)
    first, second = slices(H264, 8), slices(H264, 0)
    camera.send(*((unit, 1, True) for unit in first), (SPS, 1, False), (PPS, 1, False))
    camera.send(*((unit, 2, True) for unit in second), closing(H264, 3))
    assert [units for units, _ in camera.shown] == [first, (SPS, PPS, *second)]


# ── units and fragments ─────────────────────────────────────────────────────────────────────────────────────────────


UNKNOWN: dict[VideoCodec, Iterable[bytes]] = {
    H264: (*(bytes((kind,)) + b"\x80abc" for kind in (0, 25, 26, 27, 29, 30, 31)), b"\x00", b"\x41", b"\x65", b"\x7c",
           b"\x78", b"\x78\x00\x00", aggregate(H264, b"\x1e\x80abc"), aggregate(H264, b"\x41"),
           b"\x1e" + LONG_CODE + b"\x1f\x80", CODE, LONG_CODE, b"\x7c\xde\x80abc"),
    H265: (*(bytes((kind << 1, 1)) + b"\x80abc" for kind in (10, 22, 31, 41, 47, 50, 63)), b"\x02", b"\x02\x01",
           b"\x26\x01", b"\x62", b"\x62\x01", b"\x60\x01", b"\x60\x01\x00\x00", b"\x60", aggregate(H265, b"\x02"),
           aggregate(H265, b"\x66\x01\x80abc"), CODE, LONG_CODE, b"\x62\x01\xf2\x80abc"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("codec", "payload"),
    [(codec, payload) for codec, payloads in UNKNOWN.items() for payload in payloads],
    ids=lambda value: value.hex() if isinstance(value, bytes) else value.name,
)
def test_unknown_and_empty_units_cost_themselves_only(codec: VideoCodec, payload: bytes) -> None:
    """In front of a picture, between its slices and behind it; with its time stamp, and with others."""
    for moved in (0, 1):
        for place in range(6):
            camera = Camera(codec)
            for picture in range(4):
                at = picture * 10
                packets = [(unit, at, unit == slices(codec, picture)[-1]) for unit in slices(codec, picture)]
                packets = [(unit, at, False) for unit in sets(codec)] * (picture == 0) + packets
                packets.insert(place, (payload, at + moved, False))
                camera.send(*packets)
            camera.send(closing(codec, 40))
            assert camera.pictures == [slices(codec, picture) for picture in range(4)]
            assert camera.loss.malformed >= 4 or camera.met == {Oddity.START_CODES}
            assert camera.met <= {Oddity.START_CODES, Oddity.UNKNOWN_UNITS, Oddity.ODD_FRAGMENTS}


@BOTH
@pytest.mark.parametrize("bits", [0x00, 0x40])
def test_fragments_without_a_beginning_cost_themselves_only(codec: VideoCodec, bits: int) -> None:
    """With and without content, the end marked or not."""
    for content in (b"", b"abc"):
        stray = (b"\x7c" if codec is H264 else b"\x62\x01") + bytes((bits | 1,)) + content
        camera = Camera(codec)
        for picture in range(4):
            camera.send((stray, picture, False), *((unit, picture, False) for unit in slices(codec, picture)))
        camera.send(closing(codec, 4))
        assert camera.pictures == [slices(codec, picture) for picture in range(4)]
        assert camera.met == {Oddity.ODD_FRAGMENTS}


@BOTH
def test_empty_fragments_are_harmless(codec: VideoCodec) -> None:
    """The first one, one in the middle, and the last one that has only the end."""
    unit = slices(codec, 0, 1)[0]
    first, *rest = in_fragments(codec, unit)
    head = 2 if codec is H264 else 3
    kind = first[head - 1] & 0x3F
    start, middle, end = (first[: head - 1] + bytes((bits | kind,)) for bits in (0x80, 0, 0x40))
    rest[-1] = rest[-1][: head - 1] + bytes((kind,)) + rest[-1][head:]
    moved = first[: head - 1] + bytes((kind,)) + first[head:]
    camera = Camera(codec, Markers.RIGHT).send(
        (start, 1, False), (moved, 1, False), (middle, 1, False), *((each, 1, False) for each in rest), (end, 1, True)
    )
    assert camera.pictures == [(unit,)]
    assert camera.met == {Oddity.ODD_FRAGMENTS}


@BOTH
def test_unit_in_one_fragment_and_types_that_change_are_accepted(codec: VideoCodec) -> None:
    """First and last bit in one fragment; another type in the later fragments, and the reserved bit of H.264."""
    whole = slices(codec, 0, 1, 20)[0]
    head = 1 if codec is H264 else 2
    indicator = bytes((whole[0] & 0xE0 | 28,)) if codec is H264 else bytes((whole[0] & 0x81 | 98, whole[1]))
    both = indicator + bytes((0xC0 | codec.nal_type(whole),)) + whole[head:]
    camera = Camera(codec, Markers.RIGHT).send((both, 1, True))
    parts = in_fragments(codec, slices(codec, 1, 1)[0])
    parts[1:] = [part[:head] + bytes((part[head] & 0xC0 | 0x27,)) + part[head + 1 :] for part in parts[1:]]
    camera.send(*((part, 2, part is parts[-1]) for part in parts))
    assert camera.pictures == [(whole,), slices(codec, 1, 1)]
    assert not camera.met


@BOTH
def test_unit_cut_by_the_next_time_stamp_discards_its_picture(codec: VideoCodec) -> None:
    """Without a marker and without its last fragment it is incomplete."""
    camera = Camera(codec, Markers.RIGHT).send(
        *((part, 1, False) for part in in_fragments(codec, slices(codec, 0, 1)[0])[:-1])
    )
    camera.send((slices(codec, 1, 1)[0], 2, True), (slices(codec, 8, 1)[0], 3, True))
    assert camera.pictures == [slices(codec, 8, 1)]
    assert (camera.loss.malformed, camera.loss.skipped) == (1, 2)


@BOTH
def test_cut_message_without_a_picture_costs_itself_only(codec: VideoCodec) -> None:
    """A fragmented SEI without its end, and then a picture with another time stamp."""
    message = (b"\x06" if codec is H264 else b"\x4e\x01") + bytes(range(5, 255))
    camera = Camera(codec, Markers.RIGHT).send((in_fragments(codec, message)[0], 1, False))
    camera.send((slices(codec, 1, 1)[0], 2, True))
    assert camera.pictures[-1] == slices(codec, 1, 1)
    assert (camera.met, camera.loss.skipped) == ({Oddity.ODD_FRAGMENTS}, 0)


@BOTH
def test_camera_that_marks_no_last_fragment_is_understood(codec: VideoCodec) -> None:
    """Its marker ends the unit: at the first picture after the next packet, then at once."""
    head = 1 if codec is H264 else 2
    camera = Camera(codec)
    for picture in range(4):
        for unit in slices(codec, picture, 2):
            parts = in_fragments(codec, unit)
            parts[-1] = parts[-1][:head] + bytes((parts[-1][head] & 0xBF,)) + parts[-1][head + 1 :]
            last = unit == slices(codec, picture, 2)[1]
            camera.send(*((part, picture, last and part is parts[-1]) for part in parts))
        assert len(camera.shown) == (0 if picture == 0 else picture + 1)
    assert camera.pictures == [slices(codec, picture, 2) for picture in range(4)]


@BOTH
@pytest.mark.parametrize("padding", [b"\x00", b"\x00\x00", bytes(17)])
def test_padding_behind_aggregated_units_is_left_out(codec: VideoCodec, padding: bytes) -> None:
    """Zeros to the end of the packet are no NAL units."""
    units = (*sets(codec), *slices(codec, 0, 2))
    camera = Camera(codec, Markers.RIGHT).send((aggregate(codec, *units) + padding, 1, True))
    assert camera.shown == [(units, 1)]
    assert camera.met == {Oddity.PADDED_AGGREGATES}
    assert camera.loss.malformed == 0


@BOTH
def test_empty_unit_between_aggregated_ones_costs_itself_only(codec: VideoCodec) -> None:
    """The ones around it are read."""
    first, second = slices(codec, 0, 2)
    camera = Camera(codec, Markers.RIGHT).send((aggregate(codec, first, b"", second), 1, True))
    assert camera.shown == [((first, second), 1)]
    assert camera.met == {Oddity.UNKNOWN_UNITS}


# ── parameter sets and limits ───────────────────────────────────────────────────────────────────────────────────────


def corrupt(codec: VideoCodec) -> list[bytes]:
    """Sets that are cut short, or of an impossible size."""
    sps = next(unit for unit in sets(codec) if codec.nal_type(unit) == codec.sps_type)
    cut = [unit[:size] for unit in sets(codec) for size in (len(unit) - 1, len(unit) // 2, 3)]
    return [*cut, sps[: codec.header + 1], sps[:4] + b"\x01" * 20]


@BOTH
def test_corrupt_parameter_set_is_dropped_and_the_last_good_one_is_kept(codec: VideoCodec) -> None:
    """A key frame is shown with the last good ones; another picture, which may need the new ones, is not."""
    for unit in corrupt(codec):
        camera = Camera(codec, Markers.RIGHT)
        camera.depacketizer.learn(sets(codec))
        for picture, units in ((0, sets(codec)), (1, (unit,)), (2, ()), (8, (*sets(codec)[:-1], unit)), (9, ())):
            camera.send(*((each, picture, False) for each in units), (slices(codec, picture, 1)[0], picture, True))
        assert camera.pictures == [slices(codec, picture, 1) for picture in (0, 8, 9)], unit.hex()
        assert camera.shown[1][0] == slices(codec, 8, 1)
        assert (camera.loss.oddities[Oddity.BAD_PARAMETER_SETS], camera.loss.skipped) == (2, 2)


@BOTH
def test_corrupt_parameter_set_that_comes_alone_is_not_reported(codec: VideoCodec) -> None:
    """Good ones that come alone are."""
    camera = Camera(codec)
    camera.depacketizer.learn(sets(codec))
    for unit in corrupt(codec):
        camera.send((unit, 1, False), (slices(codec, 0, 1)[0], 2, False), (slices(codec, 1, 1)[0], 3, False))
    camera.send(*((unit, 4, False) for unit in sets(codec)), (slices(codec, 0, 1)[0], 5, False))
    assert camera.told == [sets(codec)]


def test_real_parameter_sets_are_good() -> None:
    """Those of two encoders."""
    for codec, units in ((H264, access_units(count=1)[0]), (H265, h265_units(64, 64)[0])):
        for unit in units:
            if codec.nal_type(unit) in codec.set_types:
                codec.check_set(unit)


@BOTH
def test_picture_above_the_limit_is_counted_once(codec: VideoCodec) -> None:
    """However many packets it has."""
    camera = Camera(codec, Markers.RIGHT)
    parts = in_fragments(codec, slices(codec, 0, 1, MAX_ACCESS_UNIT + 1000)[0], 60_000)
    camera.send(*((part, 1, part is parts[-1]) for part in parts), (slices(codec, 8, 1)[0], 2, True))
    assert camera.loss.oddities == {Oddity.HUGE_PICTURE: 1}
    assert camera.pictures == [slices(codec, 8, 1)]
