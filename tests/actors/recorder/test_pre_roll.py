"""The pre-roll: whole GOPs from before a detection, bounded in time and in bytes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.media.h264 import H264
from actors.media.media import CLOCK_RATE, AccessUnit, AudioFormat, AudioFrame
from actors.recorder.pre_roll import Held, PreRoll

STEP = CLOCK_RATE // 10


def held(number: int, *, key: bool, size: int = 100, connection: int = 1, audio: int = 0) -> Held:
    """An access unit, a tenth of a second after the one before."""
    frames = [AudioFrame(AudioFormat("opus", 48000, 2), bytes(audio), number * STEP)] if audio else []
    unit = AccessUnit(H264, (bytes(size),), number * STEP, key, size, number * STEP, 0, connection)
    return Held(unit, number, frames)


def taken(pre_roll: PreRoll) -> list[int]:
    return [each.wall_ns for each in pre_roll.take()]


def test_it_begins_with_the_last_key_frame_that_is_early_enough() -> None:
    """So it covers the wished time, and at most one GOP more."""
    pre_roll = PreRoll()
    for number in range(78):
        pre_roll.add(held(number, key=number % 20 == 0), 3.0)
    assert taken(pre_roll) == [*range(40, 78)]
    assert (taken(pre_roll), pre_roll.weight) == ([], 0)


def test_it_begins_with_a_key_frame_of_one_connection() -> None:
    """Access units before the first key frame are left out, and those of an earlier connection."""
    pre_roll = PreRoll()
    for number, connection in ((0, 1), (1, 1), (2, 2), (3, 2), (4, 2)):
        pre_roll.add(held(number, key=number in (1, 3), connection=connection), 5.0)
    assert taken(pre_roll) == [3, 4]


@pytest.mark.parametrize(("size", "audio"), [(1024 * 1024, 0), (1, 1024 * 1024)])
def test_it_is_bounded_in_bytes(size: int, audio: int) -> None:
    """The oldest GOP goes; a GOP that is too large goes as well. Audio counts."""
    pre_roll = PreRoll()
    for number in range(5):
        pre_roll.add(held(number, key=number % 2 == 0, size=size, audio=audio), 30.0)
    assert taken(pre_roll) == [2, 3, 4]
    for number in range(5, 11):
        pre_roll.add(held(number, key=number == 5, size=size, audio=audio), 30.0)
    assert taken(pre_roll) == []


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2 * 1024 * 1024)), max_size=60), st.floats(0, 5))
def test_it_always_has_whole_gops_within_its_bounds(units: list[tuple[bool, int]], before_s: float) -> None:
    """For any stream: consecutive access units that begin with a key frame, of at most 4 MiB."""
    pre_roll = PreRoll()
    for number, (key, size) in enumerate(units):
        pre_roll.add(held(number, key=key, size=size), before_s)
        assert pre_roll.weight <= 4 * 1024 * 1024
    found = taken(pre_roll)
    assert all(second == first + 1 for first, second in pairwise(found))
    assert not found or (units[found[0]][0] and found[-1] == len(units) - 1)
