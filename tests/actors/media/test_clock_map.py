"""The clock of a hub: decode times grow, presentation times keep their order, and no time occurs twice."""

import pytest

from actors.media.clock_map import JUMP, MAX_REORDER, ClockMap
from actors.media.media import CLOCK_RATE


def begun() -> ClockMap:
    clock = ClockMap()
    clock.begin()
    return clock


def mapped(clock: ClockMap, *times: int, now_ns: int = 0) -> tuple[list[int], list[int]]:
    """Return the presentation and decode times of a source that names presentation times only, from the first one."""
    pairs = [clock.map(pts, None, now_ns) for pts in times]
    return [pts - pairs[0][0] for pts, _ in pairs], [dts - pairs[0][1] for _, dts in pairs]


def test_presentation_times_of_b_frames_are_kept() -> None:
    """Decode times grow meanwhile."""
    assert mapped(begun(), 0, 9000, 3000, 6000, 18000, 12000) == (
        [0, 9000, 3000, 6000, 18000, 12000], [0, 9000, 9001, 9002, 18000, 18001],
    )  # fmt: skip


def test_decode_times_of_the_source_are_kept() -> None:
    """Both times have the same offset."""
    clock = begun()
    named = [(6000, 0), (15000, 3000), (9000, 6000), (12000, 9000)]
    pairs = [clock.map(pts, dts, 0) for pts, dts in named]
    first = pairs[0][1]
    assert [(pts - first, dts - first) for pts, dts in pairs] == named


@pytest.mark.parametrize("back", [0, MAX_REORDER + 1], ids=["twice", "far back"])
def test_presentation_time_that_occurs_twice_or_goes_far_back_is_the_next_free_one(back: int) -> None:
    """Packets with one RTP time stamp would become one access unit."""
    pts, dts = mapped(begun(), 0, 200_000, 200_000 - back, 200_000)
    assert pts == [0, 200_000, 200_001, 200_002]
    assert dts == sorted(set(dts))


def test_times_continue_after_a_leap_and_in_the_next_connection() -> None:
    """Neither clock goes back for the life of a hub; the connections are numbered."""
    clock = begun()
    seen = [clock.map(pts, None, 0) for pts in (0, 3000, 3000 + JUMP, 6000 + JUMP, 0)]
    clock.begin()
    seen += [clock.map(pts, None, 0) for pts in (77, 3077)]
    assert seen == sorted(set(seen))
    assert seen[-1][0] - seen[0][0] < CLOCK_RATE
    assert clock.connection == 2
