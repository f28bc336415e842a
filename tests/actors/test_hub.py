"""The hub: nobody waits for a viewer, every viewer starts at a key frame, and time goes on."""

import sys

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.bitstream import BitstreamError
from actors.h264 import PPS, SPS, nal_type
from actors.h265 import H265
from actors.hub import CATCH_UP, MAX_UNITS, MOST_CHANGES, MOST_OTHER_SETS, MOST_SETS, Hub, Subscription
from actors.media import CLOCK_RATE, AccessUnit
from supervisor.clock import TrioClock
from supervisor.domain.values import Picture
from tests.kit.media import FPS, access_units, without_sets

TICK = CLOCK_RATE // FPS


@attrs.define
class HandClock:
    """A clock that moves when it is told to."""

    now_ns: int = 1_000_000_000

    def wall_ns(self) -> int:
        return self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def hub(clock: HandClock) -> Hub:
    hub = Hub(clock)
    hub.begin()
    return hub


def play(hub: Hub, first: int, last: int, pts: int = 0) -> None:
    """Publish the pictures from `first` up to, but without, `last`."""
    for index in range(first, last):
        hub.publish(access_units()[index % 40], pts + index * TICK)


def take(place: Subscription, count: int) -> list[tuple[AccessUnit, int]]:
    """The next access units of a viewer, each with the time to show it."""
    taken = [place.take_nowait() for _ in range(count)]
    assert None not in taken
    return [each for each in taken if each is not None]


def viewer(hub: Hub) -> Subscription:
    place = hub.subscribe()
    place.begin()
    return place


def times(taken: list[tuple[AccessUnit, int]]) -> list[int]:
    return [pts for _, pts in taken]


def test_a_viewer_starts_at_the_newest_key_frame_with_its_parameter_sets(hub: Hub) -> None:
    play(hub, 0, 27)
    (first, _), *_ = take(viewer(hub), 7)
    assert first.key
    assert nal_type(first.units[0]) == SPS
    assert hub.picture == Picture("h264", 64, 64)


def test_what_is_no_nal_unit_is_no_picture(hub: Hub) -> None:
    hub.publish(access_units()[0], 0)
    end = hub.units.end
    hub.publish([], 3000)
    hub.publish([b""], 6000)
    hub.publish([b"", access_units()[1][0]], 9000)
    assert hub.units.end == end + 1
    hub.publish([b"\x02"], 12_000, H265)
    assert hub.units.end == end + 1


def test_the_cached_pictures_are_drawn_together(hub: Hub) -> None:
    """A new viewer catches up within 300 ms of picture time, in order, and then sees the stream's own times."""
    play(hub, 0, 18)
    place = viewer(hub)
    cached = times(take(place, 18))
    assert cached == sorted(set(cached))
    assert cached[-1] - cached[0] <= CATCH_UP
    play(hub, 18, 20)
    live = times(take(place, 2))
    assert [live[0] - cached[-1], live[1] - live[0]] == [TICK, TICK]


def test_who_begins_anew_sees_no_time_go_back(hub: Hub, clock: HandClock) -> None:
    """A viewer that has lost a key frame gets it again, with all that followed, before the next picture is due."""
    for index in range(30):
        clock.now_ns += 1_000_000_000 // FPS
        play(hub, index, index + 1)
    place = viewer(hub)
    seen = times(take(place, 10))
    place.begin()
    again = take(place, 10)
    assert again[0][0].key
    assert times(again)[0] > seen[-1]
    play(hub, 30, 31)
    (live,) = times(take(place, 1))
    assert times(again) == sorted(set(times(again)))
    assert (times(again)[-1] < live, live - seen[-1]) == (True, TICK)


def test_a_viewer_a_little_behind_misses_nothing(hub: Hub) -> None:
    """The end of the group before a key frame is still there for who has not quite read it."""
    play(hub, 0, 1)
    place = viewer(hub)
    play(hub, 1, 18)
    take(place, 18)
    play(hub, 18, 23)
    assert [unit.key for unit, _ in take(place, 5)] == [False, False, True, False, False]


def test_who_has_missed_what_is_no_longer_kept_goes_on_at_a_key_frame(hub: Hub) -> None:
    play(hub, 0, 1)
    place = viewer(hub)
    take(place, 1)
    play(hub, 1, 70)
    (unit, _), *_ = take(place, 10)
    assert unit.key


def test_the_source_may_die_and_return(hub: Hub, clock: HandClock) -> None:
    """The same subscription goes on, with times that went on meanwhile; nothing comes before a key frame."""
    play(hub, 0, 5)
    place = viewer(hub)
    before = times(take(place, 5))[-1]
    clock.now_ns += 20_000_000_000
    hub.begin()
    hub.publish(access_units()[7], 123_456)
    play(hub, 20, 23, pts=9_000_000)
    after = take(place, 3)
    assert [unit.key for unit, _ in after] == [True, False, False]
    assert abs((after[0][1] - before) - 20 * CLOCK_RATE) < CLOCK_RATE


@pytest.mark.parametrize("leap", [-3_000_000, 50_000_000], ids=["back", "far ahead"])
def test_leaps_of_the_sources_time_are_no_leaps_of_ours(hub: Hub, leap: int) -> None:
    place = hub.subscribe()
    play(hub, 0, 10)
    play(hub, 10, 20, pts=leap)
    seen = times(take(place, 20))
    assert seen == sorted(set(seen))
    assert seen[-1] - seen[0] < 10 * CLOCK_RATE


def test_key_frames_without_parameter_sets_get_the_remembered_ones(hub: Hub) -> None:
    play(hub, 0, 20)
    hub.publish(without_sets(access_units()[20]), 20 * TICK)
    ((unit, _),) = take(viewer(hub), 1)
    kinds = [nal_type(nal) for nal in unit.units]
    assert kinds[0] == SPS
    assert kinds.count(SPS) == 1


def test_what_cannot_be_shown_is_not_kept(hub: Hub) -> None:
    """Before the first key frame, or without parameter sets, there is nothing for a viewer."""
    hub.publish(access_units()[3], 0)
    hub.publish(without_sets(access_units()[0]), TICK)
    assert hub.picture is None
    assert hub.newest_key() is None
    assert viewer(hub).take_nowait() is None


def sets_of(kind: int, count: int) -> list[bytes]:
    """So many different parameter sets of one type, each with the size of the first picture."""
    unit = next(unit for unit in access_units()[0] if nal_type(unit) == kind)
    return [unit + bytes([1, number]) for number in range(count)]


@pytest.mark.parametrize(("kind", "most"), [(SPS, MOST_SETS), (PPS, MOST_OTHER_SETS)], ids=["sps", "pps"])
def test_too_many_parameter_sets_in_one_access_unit_are_refused(hub: Hub, kind: int, most: int) -> None:
    """Different ones count; the same one may come again with each slice."""
    hub.publish([*sets_of(kind, most) * 9, *access_units()[0]][: 9 * most], 0)
    with pytest.raises(BitstreamError, match=f"more than {most} different"):
        hub.publish([*sets_of(kind, most + 1), *access_units()[0]], TICK)
    with pytest.raises(BitstreamError, match=f"more than {most} different"):
        hub.set_parameter_sets(sets_of(kind, most + 1))


def test_parameter_sets_that_change_all_the_time_are_refused(hub: Hub, clock: HandClock) -> None:
    """So many a second are read, and more a second later."""
    for number, sps in enumerate(sets_of(SPS, 100)):
        clock.now_ns += 1_000_000_000 // MOST_CHANGES
        hub.publish([sps, *without_sets(access_units()[0])], number * TICK)
    clock.now_ns += 2_000_000_000
    *few, last = sets_of(SPS, MOST_CHANGES + 1)
    for sps in few:
        hub.set_parameter_sets([sps])
    with pytest.raises(BitstreamError, match="in a second"):
        hub.set_parameter_sets([last])


async def test_a_new_size_is_a_new_picture(hub: Hub) -> None:
    play(hub, 0, 3)
    hub.publish(access_units(96, 64)[0], 3 * TICK)
    assert hub.picture == Picture("h264", 96, 64)


async def test_a_stream_that_never_sends_another_key_frame_stays_bounded(hub: Hub) -> None:
    play(hub, 0, 1)
    for index in range(1, 2 * MAX_UNITS):
        hub.publish(access_units()[1], index * TICK)
    assert hub.newest_key() is None
    assert hub.units.end - hub.units.start < MAX_UNITS


async def test_the_bytes_that_are_kept_are_bounded_too(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.hub.MAX_BYTES", 20_000)
    play(hub, 0, 1)
    for index in range(1, 200):
        hub.publish([b"\x41" + bytes(999)], index * TICK)
    kept = hub.units.read_nowait(hub.units.start, MAX_UNITS)
    assert 10_000 < sum(unit.size for unit in kept) <= 20_000
    assert hub.statistics().cut_groups == 1


async def test_a_group_of_more_than_half_a_minute_is_cut_and_counted(hub: Hub) -> None:
    """Once for each, however long it grows; the next key frame is one to begin with again."""
    play(hub, 0, 1)
    for second in range(1, 31):
        hub.publish(access_units()[1], second * CLOCK_RATE)
    assert (hub.newest_key(), hub.cut_groups) == (0, 0)
    for second in range(31, 100):
        hub.publish(access_units()[1], second * CLOCK_RATE)
    assert (hub.newest_key(), hub.statistics().cut_groups) == (None, 1)
    assert hub.units.end - hub.units.start == 31
    hub.publish(access_units()[0], 100 * CLOCK_RATE)
    assert hub.newest_key() == hub.units.end - 1


async def test_rates_are_of_the_last_two_seconds(hub: Hub, clock: HandClock) -> None:
    for index in range(40):
        clock.now_ns += 100_000_000
        play(hub, index, index + 1)
    assert hub.statistics().fps == pytest.approx(10, rel=0.1)
    clock.now_ns += 5_000_000_000
    statistics = hub.statistics()
    assert (statistics.fps, statistics.bitrate, statistics.last_frame_age_s) == (0.0, 0, 5.0)


async def test_silence_is_noticed(autojump_clock: MockClock) -> None:
    hub = Hub(TrioClock())
    hub.begin()
    play(hub, 0, 1)
    began = trio.current_time()
    assert await hub.wait_silence(6.0, 6.0) == 6.0
    assert trio.current_time() - began == pytest.approx(6.0)


async def test_a_gap_that_shrinks_does_not_make_a_wait_negative(autojump_clock: MockClock) -> None:
    """A camera of rare pictures sends a burst, and then falls silent."""
    hub = Hub(TrioClock())
    hub.begin()
    for index in range(30):
        play(hub, index, index + 1)
        await trio.sleep(2 if index < 20 else 0.01)
    await trio.sleep(4)
    assert await hub.wait_silence(2.0, 5.0) is not None


def test_memory_of_many_short_nal_units_is_bounded(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two bytes takes an object: as many bytes are counted as Python takes for it, and more."""
    monkeypatch.setattr("actors.hub.MAX_BYTES", 1_000_000)
    play(hub, 0, 1)
    for number in range(1, 100):
        hub.publish([bytes([0x41, index & 0xFF]) for index in range(1000)], number * TICK)
        kept = hub.units.read_nowait(hub.units.start, hub.units.end - hub.units.start)
        assert sum(sys.getsizeof(nal) + 8 for unit in kept for nal in unit.units) < 1_000_000
    assert len(kept) > 10
