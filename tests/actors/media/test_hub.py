"""The hub: it never waits for a viewer, every viewer starts at a key frame, and time never goes back."""

import sys

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.media.bitstream import BitstreamError
from actors.media.gop_buffer import MAX_UNITS
from actors.media.h264 import H264, PPS, SPS, nal_type
from actors.media.h265 import H265
from actors.media.hub import Hub
from actors.media.jpeg import JPEG
from actors.media.media import CLOCK_RATE, AccessUnit
from actors.media.mpeg4 import MPEG4, split_picture
from actors.media.oddities import Oddity
from actors.media.parameter_sets import MOST_CHANGES, MOST_OTHER_SETS, MOST_SETS
from actors.media.subscription import CATCH_UP, Subscription
from supervisor.base.clock import TrioClock
from supervisor.config.config import Timeouts
from supervisor.domain.values import Picture
from tests.kit.media import FPS, access_units, h265_units, jpegs, mpeg4_pictures, without_sets

TICK = CLOCK_RATE // FPS


@attrs.define
class HandClock:
    """A clock that the test sets."""

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
    """Publish the access units from `first` up to, but without, `last`."""
    for index in range(first, last):
        hub.publish(access_units()[index % 40], pts + index * TICK)


def test_reason_without_a_picture_names_rtp_of_version_0(hub: Hub) -> None:
    """Only when such packets came in this connection."""
    hub.loss.meet(Oddity.NO_VERSION)
    assert "version 0" in hub.missing
    hub.begin()
    assert "version 0" not in hub.missing


def test_reason_of_a_stall_names_the_limit_of_an_access_unit(hub: Hub) -> None:
    """Only when access units above it came in this connection."""
    assert hub.too_large == ""
    hub.loss.meet(Oddity.HUGE_PICTURE)
    assert hub.too_large == "; there were pictures above the limit of 8 MiB or 1024 NAL units"
    hub.begin()
    assert hub.too_large == ""


@pytest.mark.parametrize("kind", ["malformed", "skipped", "lost", "late"])
def test_packets_that_make_no_picture_are_named(hub: Hub, kind: str) -> None:
    """Those of an earlier connection do not count."""
    setattr(hub.loss, kind, 1)
    hub.begin()
    assert (hub.is_reached, hub.missing) == (False, "connected, but no picture came")
    setattr(hub.loss, kind, 2)
    assert (hub.is_reached, hub.missing) == (True, "packets come, but they make no picture")


def take(place: Subscription, count: int) -> list[tuple[AccessUnit, int]]:
    """Return the next access units of a viewer, each with its presentation time."""
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
    """Of 27 access units it gets the last 7; the first begins with an SPS."""
    play(hub, 0, 27)
    (first, _), *_ = take(viewer(hub), 7)
    assert first.key
    assert nal_type(first.units[0]) == SPS
    assert hub.picture == Picture("h264", 64, 64)


async def test_first_picture_is_expected_from_the_moment_that_the_camera_agrees(autojump_clock: MockClock) -> None:
    """While the source negotiates, no time passes; each new connection begins again."""
    hub = Hub(TrioClock())
    hub.begin()
    assert not await hub.wait_picture(5)
    assert trio.current_time() == pytest.approx(5)
    async with trio.open_nursery() as nursery:

        async def negotiate() -> None:
            hub.begin()
            hub.negotiate()
            await trio.sleep(60)
            hub.expect()

        nursery.start_soon(negotiate)
        await trio.testing.wait_all_tasks_blocked()
        assert not await hub.wait_picture(5)
        assert trio.current_time() == pytest.approx(70)
        nursery.start_soon(negotiate)
        await trio.testing.wait_all_tasks_blocked()
        hub.publish(access_units()[0], 0)
        assert await hub.wait_picture(5)


def test_transport_is_that_of_the_connection_in_which_the_camera_agreed_to_it(hub: Hub) -> None:
    """The next attempt has none, while the facts keep the last one until there is another."""
    hub.is_connected = True
    hub.set_transport("udp", "RTP over UDP")
    assert (hub.transport, hub.about().transport) == ("udp", "RTP over UDP")
    hub.negotiate()
    assert (hub.transport, hub.is_connected) == ("", False)
    hub.set_transport("tcp", "RTP over TCP")
    hub.begin()
    assert (hub.transport, hub.about().transport) == ("", "RTP over TCP")
    hub.facts.note(tls="TLSv1.3")
    assert hub.about().transport == ""


@pytest.mark.parametrize("reset", ["begin", "negotiate"])
def test_connection_is_awaited_in_each_attempt(hub: Hub, reset: str) -> None:
    """One of before does not count."""
    hub.is_connected = True
    getattr(hub, reset)()
    assert not hub.is_connected


def test_empty_or_too_short_nal_unit_is_skipped(hub: Hub) -> None:
    """Empty units are skipped, and so is a unit of H.265 that is shorter than its header."""
    hub.publish(access_units()[0], 0)
    end = hub.units.end
    hub.publish([], 3000)
    hub.publish([b""], 6000)
    hub.publish([b"", access_units()[1][0]], 9000)
    assert hub.units.end == end + 1
    hub.publish([b"\x02"], 12_000, H265)
    assert hub.units.end == end + 1


def test_the_cached_pictures_are_drawn_together(hub: Hub) -> None:
    """A new viewer catches up within 300 ms of media time, in order, and then gets the stream's own times."""
    play(hub, 0, 18)
    place = viewer(hub)
    cached = times(take(place, 18))
    assert cached == sorted(set(cached))
    assert cached[-1] - cached[0] <= CATCH_UP
    play(hub, 18, 20)
    live = times(take(place, 2))
    assert [live[0] - cached[-1], live[1] - live[0]] == [TICK, TICK]


def test_viewer_that_restarts_at_a_key_frame_sees_no_time_go_back(hub: Hub, clock: HandClock) -> None:
    """A viewer that has lost a key frame gets it again, with all that followed, before the next access unit is due."""
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
    """The end of the GOP before a key frame is still available to a viewer that is slightly behind."""
    play(hub, 0, 1)
    place = viewer(hub)
    play(hub, 1, 18)
    take(place, 18)
    play(hub, 18, 23)
    assert [unit.key for unit, _ in take(place, 5)] == [False, False, True, False, False]


def test_subscription_behind_the_ring_buffer_continues_at_a_key_frame(hub: Hub) -> None:
    """A subscription 70 access units behind continues with a key frame."""
    play(hub, 0, 1)
    place = viewer(hub)
    take(place, 1)
    play(hub, 1, 70)
    (unit, _), *_ = take(place, 10)
    assert unit.key


def test_the_source_may_die_and_return(hub: Hub, clock: HandClock) -> None:
    """The same subscription continues, with times that advanced meanwhile; it resumes at a key frame."""
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


def test_statistics_count_deviations_by_their_names(hub: Hub) -> None:
    """Those of the metrics: the names of the table, and none that never occurred."""
    assert hub.statistics().oddities == {}
    hub.loss.meet(Oddity.CSEQ)
    hub.loss.meet(Oddity.CSEQ)
    assert hub.statistics().oddities == {"cseq": 2}


def test_access_unit_has_its_times_and_its_connection(hub: Hub, clock: HandClock) -> None:
    """Presentation and decode time keep their distance; arrival is by the monotonic clock."""
    place = hub.subscribe()
    hub.publish(access_units()[0], 6000, dts=0)
    clock.now_ns += 40_000_000
    hub.publish(access_units()[1], 12_000, dts=3000)
    hub.begin()
    hub.publish(access_units()[0], 500)
    units = [unit for unit, _ in take(place, 3)]
    assert [unit.pts - unit.dts for unit in units] == [6000, 9000, 0]
    assert units[1].dts - units[0].dts == 3000
    assert [unit.arrived_ns - units[0].arrived_ns for unit in units] == [0, 40_000_000, 40_000_000]
    assert [unit.connection for unit in units] == [1, 1, 2]


def test_b_frames_become_part_of_the_picture_until_the_connection_ends(hub: Hub) -> None:
    """The hub says so with the access unit that makes it certain, and not of the next connection."""
    for index, pts in enumerate((0, 9000, 3000, 6000, 18_000, 12_000)):
        hub.publish(access_units()[index], pts)
        assert hub.picture == Picture("h264", 64, 64)
    for index, pts in enumerate((15_000, 27_000, 21_000)):
        hub.publish(access_units()[6 + index], pts)
    assert (hub.has_b_frames, hub.picture) == (True, Picture("h264", 64, 64, b_frames=True))
    hub.begin()
    play(hub, 0, 20)
    assert (hub.has_b_frames, hub.picture) == (False, Picture("h264", 64, 64))


def test_viewer_gets_b_frames_at_their_presentation_times(hub: Hub) -> None:
    """Cached ones are presented in the order in which they are decoded, and live ones as the camera says."""
    for index, pts in enumerate((0, 9000, 3000, 6000)):
        hub.publish(access_units()[index], pts)
    place = viewer(hub)
    cached = times(take(place, 4))
    assert cached == sorted(set(cached))
    for index, pts in enumerate((18000, 12000, 15000)):
        hub.publish(access_units()[4 + index], pts)
    live = times(take(place, 3))
    assert [pts - live[0] for pts in live] == [0, -6000, -3000]
    assert min(live) > max(cached)


@pytest.mark.parametrize("leap", [-3_000_000, 50_000_000], ids=["back", "far ahead"])
def test_leaps_of_the_sources_time_are_not_passed_on(hub: Hub, leap: int) -> None:
    """After a leap back or far ahead the times still increase, by less than 10 s in total."""
    place = hub.subscribe()
    play(hub, 0, 10)
    play(hub, 10, 20, pts=leap)
    seen = times(take(place, 20))
    assert seen == sorted(set(seen))
    assert seen[-1] - seen[0] < 10 * CLOCK_RATE


def test_key_frames_without_parameter_sets_get_the_remembered_ones(hub: Hub) -> None:
    """The SPS comes first, and only once."""
    play(hub, 0, 20)
    hub.publish(without_sets(access_units()[20]), 20 * TICK)
    ((unit, _),) = take(viewer(hub), 1)
    kinds = [nal_type(nal) for nal in unit.units]
    assert kinds[0] == SPS
    assert kinds.count(SPS) == 1


def test_access_units_before_the_first_key_frame_are_not_kept(hub: Hub) -> None:
    """Before the first key frame, or without parameter sets, there is nothing for a viewer."""
    hub.publish(access_units()[3], 0)
    hub.publish(without_sets(access_units()[0]), TICK)
    assert hub.picture is None
    assert hub.newest_key() is None
    assert viewer(hub).take_nowait() is None


def sets_of(kind: int, count: int) -> list[bytes]:
    """Return `count` different parameter sets of one type, each with the size of the first frame."""
    unit = next(unit for unit in access_units()[0] if nal_type(unit) == kind)
    return [unit + bytes([1, number]) for number in range(count)]


@pytest.mark.parametrize(("kind", "most"), [(SPS, MOST_SETS), (PPS, MOST_OTHER_SETS)], ids=["sps", "pps"])
def test_too_many_parameter_sets_in_one_access_unit_are_refused(hub: Hub, kind: int, most: int) -> None:
    """Different ones count; the same one may be repeated with each slice."""
    hub.publish([*sets_of(kind, most) * 9, *access_units()[0]][: 9 * most], 0)
    with pytest.raises(BitstreamError, match=f"more than {most} different"):
        hub.publish([*sets_of(kind, most + 1), *access_units()[0]], TICK)
    with pytest.raises(BitstreamError, match=f"more than {most} different"):
        hub.set_parameter_sets(sets_of(kind, most + 1))


def test_parameter_sets_that_change_all_the_time_are_refused(hub: Hub, clock: HandClock) -> None:
    """A limited number per second is parsed, and more a second later."""
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
    """The size comes from the new SPS, while the source stays connected."""
    play(hub, 0, 3)
    hub.publish(access_units(96, 64)[0], 3 * TICK)
    assert hub.picture == Picture("h264", 96, 64)


async def test_a_stream_that_never_sends_another_key_frame_stays_bounded(hub: Hub) -> None:
    """After twice the limit of access units there is no start for a viewer, and fewer are kept."""
    play(hub, 0, 1)
    for index in range(1, 2 * MAX_UNITS):
        hub.publish(access_units()[1], index * TICK)
    assert hub.newest_key() is None
    assert hub.units.end - hub.units.start < MAX_UNITS


async def test_the_bytes_that_are_kept_are_bounded_too(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GOP larger than the limit is truncated: at least half of the limit is kept, and it is counted."""
    monkeypatch.setattr("actors.media.gop_buffer.MAX_BYTES", 20_000)
    play(hub, 0, 1)
    for index in range(1, 200):
        hub.publish([b"\x41" + bytes(999)], index * TICK)
    kept = hub.units.read_nowait(hub.units.start, MAX_UNITS)
    assert 10_000 < sum(unit.size for unit in kept) <= 20_000
    assert hub.statistics().truncated_gops == 1


async def test_a_group_of_more_than_half_a_minute_is_cut_and_counted(hub: Hub) -> None:
    """Each is counted once, however long it grows; the stream resumes at the next key frame."""
    play(hub, 0, 1)
    for second in range(1, 31):
        hub.publish(access_units()[1], second * CLOCK_RATE)
    assert (hub.newest_key(), hub.statistics().truncated_gops) == (0, 0)
    for second in range(31, 100):
        hub.publish(access_units()[1], second * CLOCK_RATE)
    assert (hub.newest_key(), hub.statistics().truncated_gops) == (None, 1)
    assert hub.units.end - hub.units.start == 31
    hub.publish(access_units()[0], 100 * CLOCK_RATE)
    assert hub.newest_key() == hub.units.end - 1


async def test_rates_are_of_the_last_two_seconds(hub: Hub, clock: HandClock) -> None:
    """Ten access units a second give 10; after 5 s of silence both rates are 0."""
    for index in range(40):
        clock.now_ns += 100_000_000
        play(hub, index, index + 1)
    assert hub.statistics().fps == pytest.approx(10, rel=0.1)
    clock.now_ns += 5_000_000_000
    statistics = hub.statistics()
    assert (statistics.fps, statistics.bitrate, statistics.last_frame_age_s) == (0.0, 0, 5.0)


@pytest.mark.parametrize("fps", [4, 30, 100])
def test_frame_rate_counts_the_gaps(fps: int, hub: Hub, clock: HandClock) -> None:
    """N access units have N - 1 gaps: 30 a second are 30.0, at any moment between two of them."""
    for index in range(3 * fps):
        clock.now_ns += 1_000_000_000 // fps
        play(hub, index, index + 1)
    for _ in range(3):
        statistics = hub.statistics()
        assert statistics.fps == pytest.approx(fps, abs=0.051)
        clock.now_ns += 300_000_000 // fps


def test_frame_rate_falls_when_nothing_comes(hub: Hub, clock: HandClock) -> None:
    """At 10 a second, half a second of silence already shows; so do rates of the bits."""
    for index in range(40):
        clock.now_ns += 100_000_000
        play(hub, index, index + 1)
    before = hub.statistics()
    clock.now_ns += 500_000_000
    after = hub.statistics()
    assert after.fps < 9.0
    assert after.bitrate < before.bitrate


SLOW = Timeouts()


async def arrive(hub: Hub, *gaps_s: float) -> None:
    """Publish one access unit now, and one after each gap."""
    for index, gap_s in enumerate((0.0, *gaps_s)):
        await trio.sleep(gap_s)
        play(hub, index % 40, index % 40 + 1)


@pytest.mark.parametrize(
    ("gaps_s", "limit_s"),
    [
        ((), 15.0),
        ((0.04,), 6.0),
        ((0.07,) * 40, 6.0),
        ((0.04, 4.0, 0.04, 5.0, 0.04), 6.0),
        ((4.0,), 12.0),
        ((4.0,) * 10, 12.0),
        ((12.0,) * 3, 15.0),
        ((*(0.04,) * 30, 4.0, 4.0, 4.0), 12.0),
        ((*(4.0,) * 30, 0.04, 0.04, 0.04), 6.0),
    ],
    ids=["one", "two", "14 fps", "with pauses", "4 s, once", "4 s", "12 s", "slower", "faster"],
)
async def test_patience_has_three_usual_gaps(
    gaps_s: tuple[float, ...], limit_s: float, autojump_clock: MockClock
) -> None:
    """Between 6 s and 15 s by default. A usual frame rate, and single pauses, leave it at 6 s."""
    hub = Hub(TrioClock())
    hub.begin()
    await arrive(hub, *gaps_s)
    assert hub.patience_s(SLOW) == pytest.approx(limit_s)
    assert not hub.loss.oddities, "the camera's actor decides what it is"


async def test_configured_patience_does_not_adapt(autojump_clock: MockClock) -> None:
    """An explicit `timeouts: stall` wins; an explicit `first_picture` is the upper limit."""
    hub = Hub(TrioClock())
    hub.begin()
    await arrive(hub, 12.0, 12.0)
    assert hub.patience_s(attrs.evolve(SLOW, stall_s=7.0)) == 7.0
    assert hub.patience_s(attrs.evolve(SLOW, first_picture_s=60.0)) == pytest.approx(36.0)
    assert hub.patience_s(attrs.evolve(SLOW, first_picture_s=5.0)) == 6.0


async def test_next_connection_expects_the_same_gap(autojump_clock: MockClock) -> None:
    """One that ended before its second access unit has shown none: then nothing is expected."""
    hub = Hub(TrioClock())
    hub.begin()
    await arrive(hub, 0.1, 0.1)
    hub.begin()
    await arrive(hub)
    assert hub.patience_s(SLOW) == 6.0
    hub.begin()
    await arrive(hub)
    assert hub.patience_s(SLOW) == 15.0


async def test_silence_is_noticed(autojump_clock: MockClock) -> None:
    """The wait returns after exactly 6 s without an access unit."""
    hub = Hub(TrioClock())
    hub.begin()
    play(hub, 0, 1)
    began = trio.current_time()
    assert await hub.wait_silence(6.0, 6.0) == 6.0
    assert trio.current_time() - began == pytest.approx(6.0)


@attrs.frozen
class ImpatientClock(TrioClock):
    """Ends a test in which the time is asked for without end."""

    answers: list[int] = attrs.field(factory=list)

    def mono_ns(self) -> int:
        self.answers.append(super().mono_ns())
        assert len(set(self.answers[-100:])) > 1 or len(self.answers) < 100, "it is asked again at the same time"
        return self.answers[-1]


@pytest.mark.parametrize("gap_s", [0.7, 1.1, 1.3])
async def test_wait_for_silence_ends_whatever_the_clock_rounds(gap_s: float, autojump_clock: MockClock) -> None:
    """Three gaps are a little more than whole nanoseconds: a remainder that no clock shows is not waited for."""
    hub = Hub(ImpatientClock())
    hub.begin()
    await trio.sleep(3000)
    for index in range(30):
        await trio.sleep(gap_s)
        play(hub, index, index + 1)
    assert await hub.wait_silence(2.0, 5.0) == pytest.approx(3 * gap_s)


async def test_a_gap_that_shrinks_does_not_make_a_wait_negative(autojump_clock: MockClock) -> None:
    """A camera with rare access units sends a burst, and then falls silent."""
    hub = Hub(TrioClock())
    hub.begin()
    for index in range(30):
        play(hub, index, index + 1)
        await trio.sleep(2 if index < 20 else 0.01)
    await trio.sleep(4)
    assert await hub.wait_silence(2.0, 5.0) is not None


def test_memory_of_many_short_nal_units_is_bounded(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit of two bytes takes a whole object: the charge is at least the memory that Python uses for it."""
    monkeypatch.setattr("actors.media.gop_buffer.MAX_BYTES", 1_000_000)
    play(hub, 0, 1)
    kept: list[AccessUnit] = []
    for number in range(1, 100):
        hub.publish([bytes([0x41, index & 0xFF]) for index in range(1000)], number * TICK)
        kept = hub.units.read_nowait(hub.units.start, hub.units.end - hub.units.start)
        assert sum(sys.getsizeof(nal) + 8 for unit in kept for nal in unit.units) < 1_000_000
    assert len(kept) > 10


def test_each_jpeg_is_a_key_frame_and_its_own_snapshot(hub: Hub) -> None:
    """The hub reports its size, also when the camera changes it in mid-stream."""
    small, large = jpegs(count=2), jpegs(640, 360, 1)
    for index, jpeg in enumerate((*small, *large)):
        hub.publish([jpeg], index * TICK, JPEG)
        assert hub.still is not None
        assert (hub.still.data, hub.keys) == (jpeg, index + 1)
    assert hub.picture == Picture("mjpeg", 640, 360)
    assert [unit.key for unit in hub.units.read_nowait(hub.units.start, 9)] == [True, True, True]


def test_jpegs_of_changing_size_are_refused_above_a_limit(hub: Hub) -> None:
    """Each change of the size is journaled, and makes a transcoder start again."""
    (small,), (large,) = jpegs(count=1), jpegs(640, 360, 1)
    for index in range(MOST_CHANGES + 1):
        hub.publish([(small, large)[index % 2]], index * TICK, JPEG)
    with pytest.raises(BitstreamError, match="sizes in a second"):
        hub.publish([(small, large)[(MOST_CHANGES + 1) % 2]], (MOST_CHANGES + 1) * TICK, JPEG)


def test_camera_that_changes_from_h264_to_jpeg_is_reported(hub: Hub) -> None:
    """Also in the same size."""
    play(hub, 0, 1)
    assert hub.picture == Picture("h264", 64, 64)
    hub.publish([jpegs()[0]], TICK, JPEG)
    assert hub.picture == Picture("mjpeg", 64, 64)
    play(hub, 40, 41)
    assert hub.picture == Picture("h264", 64, 64)


def test_change_of_the_codec_begins_with_a_key_frame_and_its_parameter_sets(hub: Hub) -> None:
    """An FLV may change it in mid-stream. Until then nothing can be decoded, and a late viewer sees the old codec."""
    play(hub, 0, 3)
    key, second, third = h265_units(64, 64)
    hub.set_parameter_sets(key, H265)
    hub.publish(second, 3 * TICK, H265)
    assert [unit.codec for unit, _ in take(viewer(hub), 3)] == [H264] * 3
    assert hub.units.end == 3
    for index, units in enumerate((key, third)):
        hub.publish(units, (4 + index) * TICK, H265)
    assert [(unit.codec, unit.key) for unit, _ in take(viewer(hub), 2)] == [(H265, True), (H265, False)]
    hub.publish(without_sets(access_units()[0]), 6 * TICK)
    play(hub, 7, 8)
    assert hub.units.end == 5
    play(hub, 20, 22)
    assert [(unit.codec, unit.key) for unit, _ in take(viewer(hub), 2)] == [(H264, True), (H264, False)]


def test_b_frames_of_one_codec_are_not_those_of_the_next(hub: Hub) -> None:
    """A camera that changes to video without them is not transcoded for their sake."""
    for index in range(20):
        shown = (0, 3, 1, 2)[index % 4] + index // 4 * 4
        hub.publish(access_units()[index], shown * TICK, dts=index * TICK)
    assert hub.has_b_frames
    hub.publish(h265_units(64, 64)[0], 20 * TICK, H265)
    assert hub.picture == Picture("h265", 64, 64)
    assert not hub.has_b_frames


def test_bytes_that_are_no_jpeg_are_refused(hub: Hub) -> None:
    """The source reports the error, as for impossible parameter sets."""
    with pytest.raises(BitstreamError):
        hub.publish([b"no picture"], 0, JPEG)
    assert hub.still is None


def test_key_frame_of_mpeg4_gets_its_configuration(hub: Hub) -> None:
    """The configuration may come only once, before the first picture."""
    first, *others = mpeg4_pictures(count=3)
    configuration, picture = split_picture(first)
    hub.publish(split_picture(others[0]), 0, MPEG4)
    hub.set_parameter_sets([configuration], MPEG4)
    for index, units in enumerate([[picture], *map(split_picture, others)]):
        hub.publish(units, index * TICK, MPEG4)
    held = hub.units.read_nowait(hub.units.start, 9)
    assert [unit.data for unit in held] == [first, *others]
    assert [unit.key for unit in held] == [True, False, False]
    assert hub.picture == Picture("mpeg4", 64, 64)


async def test_hub_that_was_shut_discards_what_comes_until_the_next_connection() -> None:
    """A source that is closing may publish while it says goodbye; the picture of before is gone, too."""
    hub = Hub(TrioClock())
    units = list(access_units(count=20))
    hub.begin()
    for number, unit in enumerate(units[:10]):
        hub.publish(unit, number * 9000)
    assert hub.still is not None
    hub.shut()
    for number, unit in enumerate(units[10:]):
        hub.publish(unit, (10 + number) * 9000)
    assert [hub.still, hub.newest_key(), hub.units.end - hub.units.start] == [None, None, 0]
    hub.begin()
    hub.publish(units[0], 0)
    assert (hub.still is not None, hub.units.end - hub.units.start) == (True, 1)
