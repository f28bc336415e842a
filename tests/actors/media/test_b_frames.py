"""B-frames are recognized by their order, and a clock that is corrected is not."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache

import av
import pytest

from actors.media.b_frames import CLOSE, CLOSE_IF_CODED, MOST_READ, SURE, BFrames
from actors.media.bitstream import split_annexb
from actors.media.clock_map import ClockMap
from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.media import AccessUnit, VideoCodec

TICK = 3000
P, B, B_WITH_REFERENCES = b"\x41\x98" + bytes(8), b"\x01\xa8" + bytes(8), b"\x41\xa8" + bytes(8)
"""Slices of H.264: ue 0 for their first macroblock, then ue 5 or ue 1."""
UNREFERENCED = b"\x01\x98" + bytes(8)
"""A P slice to which no other one refers."""


@cache
def encoded(name: str, b_frames: int, count: int = 60) -> tuple[tuple[int, tuple[bytes, ...]], ...]:
    """Access units of a moving picture in the order of decoding, each with its presentation time in frames."""
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 64, 64, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(30), Fraction(1, 30)
    encoder.gop_size, encoder.max_b_frames, encoder.thread_count = 30, b_frames, 1
    encoder.options = {"x265-params": f"log-level=none:bframes={b_frames}:pools=1"} if name == "libx265" else {}
    made: list[tuple[int, tuple[bytes, ...]]] = []
    for index in range(count + 1):
        frame = None
        if index < count:
            frame = av.VideoFrame(64, 64, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes((at * 7 + index * 3) % 256 for at in range(plane.buffer_size)))
            frame.pts, frame.time_base = index, Fraction(1, 30)
        for packet in encoder.encode(frame):
            assert packet.pts is not None
            made.append((packet.pts, tuple(split_annexb(bytes(packet)))))
    return tuple(made)


def units_of(
    times: Iterable[int], slices: Sequence[bytes] = (P,), codec: VideoCodec = H264, clock: ClockMap | None = None
) -> Iterator[AccessUnit]:
    """Access units with these time stamps of RTP, on the clock of a hub. `slices` are those of all."""
    if clock is None:
        clock = ClockMap()
        clock.begin()
    for pts in times:
        shown, decoded = clock.map(pts, None, 0)
        yield AccessUnit(codec, tuple(slices), shown, False, 10, decoded)


def found_after(units: Iterable[AccessUnit], seen: BFrames | None = None) -> int | None:
    """The number of access units after which B-frames are certain; None if they are not."""
    seen = seen or BFrames()
    return next((number for number, unit in enumerate(units, 1) if seen.see(unit)), None)


def stepping_back(every: int, count: int) -> list[int]:
    """Time stamps of a camera whose clock is corrected by two frames after `every` access units."""
    times = list[int]()
    for index in range(count):
        times.append((index - 2 * (index // every)) * TICK - index // every)
    return times


@pytest.mark.parametrize("b_frames", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("name", "codec", "stamps"),
    [("libx264", H264, "presentation"), ("libx264", H264, "decoding"), ("libx265", H265, "presentation")],
)
def test_b_frames_of_real_encoders_are_recognized_within_a_gop(
    name: str, codec: VideoCodec, stamps: str, b_frames: int
) -> None:
    """RTP names presentation times alone; some cameras send decode times. Without B-frames there is no such report."""
    clock, seen = ClockMap(), BFrames()
    clock.begin()
    found = None
    for number, (pts, units) in enumerate(encoded(name, b_frames), 1):
        (unit,) = units_of([(pts if stamps == "presentation" else number) * TICK], units, codec, clock)
        if seen.see(unit):
            found = number
    assert (found is not None) == (b_frames > 0)
    assert found is None or found < 30


@pytest.mark.parametrize("slices", [(P,), (B_WITH_REFERENCES,)], ids=["P", "B"])
def test_steps_that_are_close_together_are_b_frames(slices: tuple[bytes, ...]) -> None:
    """The third one is certain, whatever the slices say; a connection after it begins again."""
    times = [index * TICK for index in (0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11)]
    seen = BFrames()
    assert found_after(units_of(times, slices), seen) == 9
    assert seen.found
    seen.begin()
    assert not seen.found
    assert found_after(units_of(range(0, 90_000, TICK), slices), seen) is None


@pytest.mark.parametrize("codec", [H264, H265])
@pytest.mark.parametrize("every", [CLOSE // 2, 15, 30, 300])
def test_clock_that_is_corrected_is_no_b_frame(every: int, codec: VideoCodec) -> None:
    """Also with every GOP: its slices are P slices, or those of H.265, which prove nothing."""
    assert found_after(units_of(stepping_back(every, 20 * every), (P,), codec)) is None


def test_clock_that_jumps_back_once_is_no_b_frame() -> None:
    """By half a second, by more than a second, and by an hour; in P slices and in B slices of H.265."""
    for back in (15, 40, 3600 * 30):
        times = [index * TICK for index in (*range(100), *range(100 - back, 200 - back))]
        assert found_after(units_of(times, (P,))) is None
        assert found_after(units_of(times, (B_WITH_REFERENCES,), H265)) is None


def test_b_slices_of_h264_are_b_frames_also_if_the_time_stamps_grow() -> None:
    """Browsers reorder them all the same. P slices without a reference are not, and few of them are read."""
    assert found_after(units_of(range(0, 90_000, TICK), (B,))) == SURE
    clock, seen = ClockMap(), BFrames()
    clock.begin()
    times = iter(range(0, 10**9, TICK))
    for _ in range(MOST_READ):
        assert not seen.see(*units_of([next(times)], (UNREFERENCED,), clock=clock))
    for _ in range(2 * SURE):
        assert not seen.see(*units_of([next(times)], (B,), clock=clock))
    seen.begin()
    assert [seen.see(*units_of([next(times)], (B,), clock=clock)) for _ in range(SURE)] == [False, False, True]


@pytest.mark.parametrize(("kind", "number"), [(0, None), (1, None), (6, SURE), (7, SURE), (8, SURE), (9, SURE)])
def test_leading_pictures_of_h265_are_b_frames_also_if_the_time_stamps_grow(kind: int, number: int | None) -> None:
    """RADL and RASL precede their key frame in the order of presentation. Other pictures prove nothing."""
    unit = bytes([kind << 1, 1]) + bytes(8)
    assert found_after(units_of(range(0, 90_000, TICK), (unit,), H265)) == number
    assert found_after(units_of(range(0, 90_000, TICK), (unit,), H264)) is None


def test_rare_steps_in_b_slices_of_h264_are_b_frames() -> None:
    """One B-frame in 100 access units is enough, and one in 200 is not."""
    for every, number in ((100, 2 * 100 + 101), (CLOSE_IF_CODED // (SURE - 1) + 1, None)):
        assert found_after(units_of(stepping_back(every, 10 * every), (B_WITH_REFERENCES,))) == number


@pytest.mark.parametrize("unit", [b"\x01", b"\x01\x00\x00\x00\x00\x00\x00", b"\x01" + b"\x00\x00\x03" * 9, b"\x06\xff"])
def test_slice_that_cannot_be_read_is_no_b_slice(unit: bytes) -> None:
    """Its header ends early, or has an endless code; an access unit may have no slice at all."""
    assert found_after(units_of(stepping_back(100, 1000), (unit,))) is None
