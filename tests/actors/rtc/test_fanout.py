"""The fan-out: every viewer gets what it can take, from a key frame on, and none is another's business."""

import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.hub import Hub
from actors.media import CLOCK_RATE, AccessUnit, AudioFormat, AudioFrame, VideoCodec
from actors.rtc import fanout
from actors.rtc.congestion import Congestion
from actors.rtc.fanout import CATCH_UP, LEAST_COST, SLICE_S, TICK_S, Fanout, Viewer
from actors.rtc.runs import Run
from actors.sound import OPUS
from supervisor.clock import TrioClock
from tests.kit.media import FPS, access_units
from tests.kit.processes import wait_until


@attrs.define(eq=False)
class Sink:
    """Plays a sender: writes down what it is given."""

    audio: bool = False
    takes_opus: bool = False
    codecs: tuple[str, ...] = ("h264",)
    fails: bool = False
    full: bool = False
    shape: tuple[int, int] = (12, 16)
    congestion: Congestion = attrs.field(factory=Congestion)
    restart: Callable[[], None] = lambda: None
    pictures: list[tuple[bool, int]] = attrs.field(factory=list)
    """Whether it is a key frame, and when to show it."""
    bursts: list[tuple[float, int]] = attrs.field(factory=list)
    stamps: list[int] = attrs.field(factory=list)
    """Of each burst, when to show it."""
    sounds: list[bytes] = attrs.field(factory=list)
    codecs_heard: set[str] = attrs.field(factory=set)
    reports: int = 0
    closed: bool = False

    def takes(self, codec: VideoCodec) -> bool:
        return codec.name in self.codecs

    def send(self, unit: AccessUnit, run: Run, pts: int) -> None:
        if self.fails:
            raise ZeroDivisionError("a bug")
        self.bursts.append((trio.current_time(), len(run.template)))
        self.stamps.append(pts)
        if run.packets[-1][2]:
            self.pictures.append((unit.key, pts))

    def send_sound(self, frame: AudioFrame) -> None:
        self.sounds.append(frame.data)
        self.codecs_heard.add(frame.format.codec)

    def send_report(self, pts: int, wall_ns: int) -> None:
        self.reports += 1

    def close(self) -> None:
        self.closed = True


@attrs.frozen
class House:
    hub: Hub
    fanout: Fanout

    def add(self, sink: Sink) -> Viewer:
        return self.fanout.add(sink)  # type: ignore[arg-type]

    async def play(self, first: int, last: int) -> None:
        """Publish the pictures from `first` up to, but without, `last`, at their pace."""
        for index in range(first, last):
            self.hub.publish(access_units()[index % 40], index * CLOCK_RATE // FPS)
            await trio.sleep(1 / FPS)


@asynccontextmanager
async def open_house() -> AsyncIterator[House]:
    hub = Hub(TrioClock())
    hub.begin()
    async with trio.open_nursery() as nursery:
        fanout = Fanout(hub, TrioClock())
        nursery.start_soon(fanout.run)
        yield House(hub, fanout)
        nursery.cancel_scope.cancel()


async def test_a_new_viewer_gets_what_is_cached_and_then_what_comes(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        await house.play(0, 27)
        sink = Sink()
        viewer = house.add(sink)
        await trio.sleep(0.05)
        assert [key for key, _ in sink.pictures] == [True] + [False] * 6
        await house.play(27, 30)
        times = [pts for _, pts in sink.pictures]
        assert (len(times), times) == (10, sorted(set(times)))
        assert viewer.live
        assert viewer.skipped == 0


async def test_a_viewer_before_the_first_key_frame_waits_for_it(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        sink = Sink()
        house.add(sink)
        await house.play(15, 22)
        assert [key for key, _ in sink.pictures] == [True, False]


async def test_who_asks_for_a_key_frame_gets_the_cached_one_and_all_since(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        sink, other = Sink(), Sink()
        house.add(sink)
        house.add(other)
        await house.play(0, 5)
        sink.restart()
        await house.play(5, 7)
        assert [key for key, _ in sink.pictures] == [True, *[False] * 4, True, *[False] * 6]
        times = [pts for _, pts in sink.pictures]
        assert times == sorted(set(times))
        assert len(other.pictures) == 7


async def test_a_full_socket_means_the_next_key_frame_for_this_viewer_alone(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        sink, other = Sink(), Sink()
        viewer = house.add(sink)
        house.add(other)
        await house.play(0, 5)
        sink.full = True
        await house.play(5, 22)
        assert [key for key, _ in sink.pictures] == [True, *[False] * 4, True, False]
        assert (viewer.skipped, house.hub.skipped) == (15, 15)
        assert len(other.pictures) == 22


async def test_a_narrow_path_gets_key_frames_only(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        sink = Sink()
        house.add(sink)
        await house.play(0, 3)
        for second in range(4):
            sink.congestion.report(0.5, trio.current_time() + second)
        assert sink.congestion.thin
        await house.play(3, 45)
        assert [key for key, _ in sink.pictures[3:]] == [True, True]


async def test_a_large_picture_leaves_in_more_than_one_burst(autojump_clock: MockClock) -> None:
    """And the last of it not later than half the time to the next picture."""
    async with open_house() as house:
        sink = Sink()
        house.add(sink)
        await house.play(0, 10)
        sink.bursts.clear()
        began = trio.current_time()
        house.hub.publish([*access_units()[0][:2], b"\x65" + bytes(300_000)], 10 * CLOCK_RATE // FPS)
        await trio.sleep(1 / FPS)
        moments = [at for at, _ in sink.bursts]
        assert max(size for _, size in sink.bursts) <= 40_000
        assert len(set(moments)) > 5
        assert 0 < moments[-1] - began <= 0.5 / FPS


async def test_key_frame_leaves_at_once_and_its_last_packet_within_4_ms(autojump_clock: MockClock) -> None:
    """Parameter sets do not delay the first slice: bursts are paced by their bytes. As 720p at 2.5 Mbit/s has it."""
    async with open_house() as house:
        sink = Sink()
        house.add(sink)
        await house.play(0, 10)
        sink.bursts.clear()
        began = trio.current_time()
        house.hub.publish([*access_units()[0][:2], b"\x65" + bytes(60_000)], 10 * CLOCK_RATE // FPS)
        await trio.sleep(1 / FPS)
        (sets, at_sets), (first, at_first), *_, (_, at_last) = [(size, at - began) for at, size in sink.bursts]
        assert sets < 100 < first < 12_000, "and the first slice waits for no more than its own beginning"
        assert (at_sets, at_first) == (0, 0)
        assert 0 < at_last <= 0.004


async def test_many_short_slices_leave_together(autojump_clock: MockClock) -> None:
    """Each slice is a run of its own, as its last packet is shorter; together they are one burst."""
    async with open_house() as house:
        sink = Sink()
        house.add(sink)
        await house.play(0, 10)
        sink.bursts.clear()
        house.hub.publish(
            [*access_units()[0][:2], *[b"\x65" + bytes(2000 + 300 * n) for n in range(8)]], 10 * CLOCK_RATE // FPS
        )
        await trio.sleep(1 / FPS)
        assert len(sink.bursts) >= 8
        assert len({at for at, _ in sink.bursts}) == 1


async def test_who_starts_anew_during_a_picture_gets_no_more_of_it(autojump_clock: MockClock) -> None:
    """A large picture leaves in bursts: the viewer has got the newest one again before the rest of it is due."""
    async with open_house() as house:
        sink = Sink()
        house.add(sink)
        for index in range(20):
            house.hub.publish([*access_units()[0][:2], b"\x65" + bytes(150_000)], index * CLOCK_RATE // 5)
            await trio.sleep(0.004)
            if index == 19:
                sink.restart()
            await trio.sleep(0.196)
        assert len(sink.pictures) > 15
        assert sink.stamps == sorted(sink.stamps), "nothing of the old one comes after the new one"


async def test_a_socket_that_is_full_while_catching_up_means_the_next_key_frame(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        await house.play(0, 5)
        sink = Sink(full=True)
        viewer = house.add(sink)
        await house.play(5, 22)
        assert [key for key, _ in sink.pictures][-2:] == [True, False]
        assert len(sink.pictures) < 5
        assert viewer.live


async def test_a_picture_is_let_go_of_with_all_that_was_made_of_it(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        sink = Sink()
        viewer = house.add(sink)
        await house.play(0, 3)
        (first,) = map(weakref.ref, house.hub.units.read_nowait(house.hub.units.start, 1))
        assert first() is not None
        await house.play(3, 50)
        house.fanout.remove(viewer)
        assert first() is None
        assert sink.closed


@pytest.mark.parametrize("live", [True, False], ids=["live", "behind"])
async def test_a_bug_that_one_viewer_meets_is_its_own(autojump_clock: MockClock, live: bool) -> None:
    async with open_house() as house:
        bad, good = Sink(fails=not live), Sink()
        viewer = house.add(bad)
        house.add(good)
        await house.play(0, 3)
        bad.fails = True
        await house.play(3, 5)
        with pytest.raises(ZeroDivisionError):
            await viewer.wait_end()
        assert (len(bad.pictures), len(good.pictures)) == (3 if live else 0, 5)
        house.fanout.remove(viewer)


async def test_a_viewer_of_another_codec_is_told(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        viewer = house.add(Sink(codecs=("h265",)))
        await house.play(0, 2)
        reason = await viewer.wait_end()
        assert (reason.code, "H.264" in reason.text) == ("unsupported-codec", True)


async def test_sound_reaches_those_who_listen(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        listens, looks = Sink(audio=True), Sink()
        house.add(listens)
        house.add(looks)
        house.hub.set_audio(AudioFormat("pcma", 8000, 1))
        await house.play(0, 2)
        house.hub.publish_audio(b"one", CLOCK_RATE // FPS)
        house.hub.publish_audio(b"two", CLOCK_RATE // FPS + 1800)
        await trio.sleep(0.01)
        assert (listens.sounds, looks.sounds) == ([b"one", b"two"], [])
        assert listens.reports > 0


async def test_what_is_made_of_aac_reaches_those_who_take_it(autojump_clock: MockClock) -> None:
    """They count as listeners for as long as they are there, however they came and went; who only looks does not."""
    async with open_house() as house:
        listens, looks = Sink(audio=True, takes_opus=True), Sink()
        viewers = [house.add(listens), house.add(looks)]
        assert house.hub.listeners.count == 1
        await house.play(0, 2)
        for index in range(300):
            house.hub.opus.append(AudioFrame(OPUS, b"%d" % index, index * 1800))
            if index % 100 == 0:
                await trio.sleep(0.01)
        await trio.sleep(0.01)
        assert (len(listens.sounds), looks.sounds) == (300, [])
        for viewer in viewers:
            house.fanout.remove(viewer)
        assert house.hub.listeners.count == 0


async def test_who_has_left_is_sent_nothing(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        sink = Sink()
        viewer = house.add(sink)
        await house.play(0, 2)
        house.fanout.remove(viewer)
        await house.play(2, 5)
        assert len(sink.pictures) == 2


async def test_small_pictures_that_wait_leave_others_their_turn(autojump_clock: MockClock) -> None:
    """A viewer that is behind is sent a packet of 29 bytes as if it were a full one: it costs a call of the kernel."""
    async with open_house() as house:
        house.hub.publish(access_units()[0], 0)
        for index in range(1, 2000):
            house.hub.publish([b"\x41" + bytes(20)], index * 90)
        sink = Sink()
        house.add(sink)
        await trio.sleep(5)
        assert len(sink.pictures) == 2000
        ticks = Counter(at for at, _ in sink.bursts)
        assert max(ticks.values()) <= CATCH_UP[0] * TICK_S / LEAST_COST + 1


async def test_small_pictures_that_come_at_once_leave_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait: the loop goes round between them. Each look at the clock takes a millisecond here."""
    looks = count()
    monkeypatch.setattr(fanout, "perf_counter", lambda: next(looks) / 1000)
    async with open_house() as house:
        house.hub.publish(access_units()[0], 0)
        sink = Sink()
        viewer = house.add(sink)
        await wait_until(lambda: viewer.live, 5)
        before, rounds = len(sink.pictures), 0
        for index in range(1, 200):
            house.hub.publish([b"\x41" + bytes(20)], index * 90)
        while len(sink.pictures) < before + 199:
            await trio.lowlevel.checkpoint()
            rounds += 1
        assert rounds >= 199 * 2 / (1000 * SLICE_S) / 2
