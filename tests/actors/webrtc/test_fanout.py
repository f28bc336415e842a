"""The fan-out: every peer gets what its path can carry, from a key frame on, and affects no other."""

import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.media.audio import OPUS
from actors.media.bitstream import split_annexb
from actors.media.h265 import H265
from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE, AccessUnit, AudioFormat, AudioFrame, VideoCodec
from actors.media.mpeg4 import MPEG4, split_picture
from actors.webrtc import fanout, runs
from actors.webrtc.congestion import Congestion
from actors.webrtc.fanout import CATCH_UP, LEAST_COST, SLICE_S, TICK_S, Fanout
from actors.webrtc.fanout_peer import FanoutPeer, Phase, Signal
from actors.webrtc.runs import Run
from supervisor.base.clock import TrioClock
from tests.kit.media import FPS, access_units, coded, h265_units, make_broken_packetizer
from tests.kit.processes import wait_until


@attrs.define(eq=False)
class Sink:
    """Fakes a sender: records its input."""

    audio: bool = False
    takes_opus: bool = False
    codecs: tuple[str, ...] = ("h264",)
    fails: bool = False
    full: bool = False
    shape: tuple[int, int] = (12, 16)
    congestion: Congestion = attrs.field(factory=Congestion)
    restart: Callable[[], None] = lambda: None
    pictures: list[tuple[bool, int]] = attrs.field(factory=list)
    """Whether it is a key frame, and its presentation time."""
    bursts: list[tuple[float, int]] = attrs.field(factory=list)
    stamps: list[int] = attrs.field(factory=list)
    """The presentation time of each burst."""
    audio_frames: list[bytes] = attrs.field(factory=list)
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

    def send_audio(self, frame: AudioFrame) -> None:
        self.audio_frames.append(frame.data)
        self.codecs_heard.add(frame.format.codec)

    def send_report(self, pts: int, wall_ns: int) -> None:
        self.reports += 1

    def statistics(self, skipped: int) -> None:
        """It measures nothing."""

    def close(self) -> None:
        self.closed = True


@attrs.frozen
class Rig:
    hub: Hub
    fanout: Fanout

    def add(self, sink: Sink) -> FanoutPeer:
        return self.fanout.add(sink)  # type: ignore[arg-type]

    async def play(self, first: int, last: int) -> None:
        """Publish the access units from `first` up to, but without, `last`, at their pace."""
        for index in range(first, last):
            self.hub.publish(access_units()[index % 40], index * CLOCK_RATE // FPS)
            await trio.sleep(1 / FPS)

    async def play_gop(self, count: int, each: Callable[[], None] = lambda: None, *, key: bool = True) -> None:
        """Publish `count` access units at their pace, the first one a key frame if `key`; calls `each` before each."""
        for index in range(count):
            each()
            units = access_units()[0 if key and index == 0 else 1 + index % 19]
            self.hub.publish(units, round(trio.current_time() * CLOCK_RATE))
            await trio.sleep(1 / FPS)


@asynccontextmanager
async def open_rig() -> AsyncIterator[Rig]:
    hub = Hub(TrioClock())
    hub.begin()
    async with trio.open_nursery() as nursery:
        fanout = Fanout(hub, TrioClock())
        nursery.start_soon(fanout.run)
        yield Rig(hub, fanout)
        nursery.cancel_scope.cancel()


async def test_a_new_viewer_gets_what_is_cached_and_then_what_comes(autojump_clock: MockClock) -> None:
    """Seven cached access units from the key frame on, then three live ones, each once."""
    async with open_rig() as rig:
        await rig.play(0, 27)
        sink = Sink()
        viewer = rig.add(sink)
        await trio.sleep(0.05)
        assert [key for key, _ in sink.pictures] == [True] + [False] * 6
        await rig.play(27, 30)
        times = [pts for _, pts in sink.pictures]
        assert (len(times), times) == (10, sorted(set(times)))
        assert viewer.phase is Phase.LIVE
        assert viewer.skipped == 0


async def test_latency_of_one_access_unit_a_second_is_measured(autojump_clock: MockClock) -> None:
    """From its arrival to its first burst, however many viewers there are."""
    async with open_rig() as rig:
        for _ in range(3):
            rig.add(Sink())
        await rig.play(0, 3 * FPS)
        found = rig.hub.statistics().latency
    assert found is not None
    assert found.count == 3
    assert found.max_s == 0, "here nothing takes time"


async def test_latency_has_the_time_in_which_the_loop_was_late(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock goes on between the arrival and the first burst, and stands while the others are served."""
    async with open_rig() as rig:
        real, sinks = Sink.send, [Sink(), Sink()]

        def send(self: Sink, unit: AccessUnit, run: Run, pts: int) -> None:
            real(self, unit, run, pts)
            autojump_clock.jump(0.004 if self is sinks[0] else 1)

        monkeypatch.setattr(Sink, "send", send)
        for sink in sinks:
            rig.add(sink)
        await wait_all_tasks_blocked()
        rig.hub.publish(access_units()[1], 0)
        rig.hub.publish(access_units()[0], 0)
        await wait_all_tasks_blocked()
        found = rig.hub.statistics().latency
    assert found is not None
    assert 0.004 <= found.max_s < 1


async def test_live_peer_gets_b_frames_at_their_presentation_times(autojump_clock: MockClock) -> None:
    """RTP time stamps are presentation times (RFC 6184, section 5.1)."""
    async with open_rig() as rig:
        sink = Sink()
        rig.add(sink)
        await wait_all_tasks_blocked()
        for index, pts in enumerate((0, 9000, 3000, 6000)):
            rig.hub.publish(access_units()[index], pts)
            await trio.sleep(1 / FPS)
        assert [pts - sink.pictures[0][1] for _, pts in sink.pictures] == [0, 9000, 3000, 6000]


async def test_a_viewer_before_the_first_key_frame_waits_for_it(autojump_clock: MockClock) -> None:
    """Five access units without a key frame are not sent."""
    async with open_rig() as rig:
        sink = Sink()
        rig.add(sink)
        await rig.play(15, 22)
        assert [key for key, _ in sink.pictures] == [True, False]


async def test_request_for_a_key_frame_is_answered_by_the_one_that_is_due(autojump_clock: MockClock) -> None:
    """No request causes anything to be sent twice: on a congested path that would make things worse."""
    async with open_rig() as rig:
        sink, other = Sink(), Sink()
        rig.add(sink)
        rig.add(other)
        await rig.play(0, 21)
        for index in range(21, 45):
            sink.restart()
            await rig.play(index, index + 1)
        assert sink.pictures == other.pictures
        assert len(sink.pictures) == 45


async def test_cached_key_frame_answers_once_where_none_is_due(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With GOPs of many seconds, a viewer that lost an access unit would wait as long."""
    monkeypatch.setattr(fanout, "KEY_DUE_S", 0.1)
    async with open_rig() as rig:
        sink = Sink()
        rig.add(sink)
        await rig.play(0, 25)
        for index in range(25, 30):
            sink.restart()
            await rig.play(index, index + 1)
        assert len(sink.pictures) == 30 + 5
        await rig.play(30, 39)
        sink.restart()
        await rig.play(39, 45)
        assert len(sink.pictures) == 45 + 5
        times = [pts for _, pts in sink.pictures]
        assert times == sorted(set(times))


async def test_viewer_that_lost_a_key_frame_of_a_long_gop_is_live_again_at_once(autojump_clock: MockClock) -> None:
    """The next key frame comes in 10 s; a frozen frame for that long is not acceptable."""
    async with open_rig() as rig:
        sink = Sink()
        rig.add(sink)
        await rig.play_gop(10 * FPS)
        await rig.play_gop(3)
        assert 9 < rig.hub.key_due_s() < 10
        sink.pictures.clear()
        sink.restart()
        await trio.sleep(0.02)
        assert [key for key, _ in sink.pictures] == [True, False, False], "the newest key frame and all since"
        await rig.play_gop(4)
        assert [key for key, _ in sink.pictures[3:]] == [True, False, False, False]


async def test_burst_of_requests_gets_one_answer_a_gop(autojump_clock: MockClock) -> None:
    """A viewer that requests with each frame gets each cached GOP once more and never again, however long it is."""
    async with open_rig() as rig:
        sink, other = Sink(), Sink()
        rig.add(sink)
        rig.add(other)
        await wait_all_tasks_blocked()
        for _ in range(3):
            await rig.play_gop(10 * FPS, sink.restart)
        assert [key for key, _ in other.pictures].count(True) == 3
        assert [key for key, _ in sink.pictures].count(True) == 2 * 3
        assert len(sink.pictures) <= 2 * len(other.pictures)
        times = [pts for _, pts in sink.pictures]
        assert times == sorted(set(times))


async def test_request_after_the_answer_waits_for_the_next_key_frame(autojump_clock: MockClock) -> None:
    """A later loss in the same GOP does not repeat that GOP, even if the next key frame is late."""
    async with open_rig() as rig:
        sink = Sink()
        rig.add(sink)
        await rig.play_gop(4 * FPS)
        await rig.play_gop(FPS)
        sink.restart()
        await rig.play_gop(2 * FPS, key=False)
        sent = len(sink.pictures)
        sink.restart()
        await rig.play_gop(4 * FPS, key=False)
        assert len(sink.pictures) == sent + 4 * FPS
        await rig.play_gop(1)
        assert sink.pictures[-1][0]


async def test_answer_of_a_long_gop_is_paced(autojump_clock: MockClock) -> None:
    """2 MB are cached: they are sent at the catch-up pace, not at once."""
    async with open_rig() as rig:
        sink = Sink()
        rig.add(sink)
        for gop in range(2):
            for index in range(100 if gop == 0 else 50):
                data = [*access_units()[0][:2], b"\x65" + bytes(40_000)] if index == 0 else [b"\x41" + bytes(40_000)]
                rig.hub.publish(data, (100 * gop + index) * CLOCK_RATE // FPS)
                await trio.sleep(1 / FPS)
        sink.bursts.clear()
        began = trio.current_time()
        sink.restart()
        await trio.sleep(0.6)
        assert sum(size for _, size in sink.bursts) > 2_000_000
        for until_s in (0.05, 0.1, 0.2, 0.3):
            sent = sum(size for at, size in sink.bursts if at - began <= until_s)
            assert sent <= 5_000_000 * (until_s + TICK_S) + 50_000


async def test_cached_key_frame_answers_in_the_end_where_the_one_that_is_due_does_not_come(
    autojump_clock: MockClock,
) -> None:
    """Some viewers request only once, and cameras change their key frame interval."""
    async with open_rig() as rig:
        sink = Sink()
        rig.add(sink)
        await rig.play(0, 39)
        sink.restart()
        for _ in range(3):  # the GOP has no end
            await rig.play(25, 39)
        keys = [key for key, _ in sink.pictures]
        assert keys.count(True) == 3, "two of the camera's, and the newest of them again"
        assert len(keys) > 39 + 3 * 14


async def test_request_for_a_key_frame_during_the_cached_gop_gives_no_other(autojump_clock: MockClock) -> None:
    """The viewer is behind, and is being sent the cached GOP."""
    async with open_rig() as rig:
        await rig.play(0, 15)
        sink = Sink()
        viewer = rig.add(sink)
        assert viewer.phase is Phase.CATCHING_UP
        sink.restart()
        await trio.sleep(0.2)
        assert [key for key, _ in sink.pictures] == [True, *[False] * 14]


async def test_request_for_the_only_key_frame_sends_it_with_all_since(autojump_clock: MockClock) -> None:
    """The time of the next key frame is unknown."""
    async with open_rig() as rig:
        sink, other = Sink(), Sink()
        rig.add(sink)
        rig.add(other)
        await rig.play(0, 5)
        sink.restart()
        await rig.play(5, 7)
        assert [key for key, _ in sink.pictures] == [True, *[False] * 4, True, *[False] * 6]
        times = [pts for _, pts in sink.pictures]
        assert times == sorted(set(times))
        assert len(other.pictures) == 7


async def test_a_full_socket_means_the_next_key_frame_for_this_viewer_alone(autojump_clock: MockClock) -> None:
    """It skips 15 access units, which are counted; the other peer gets all 22."""
    async with open_rig() as rig:
        sink, other = Sink(), Sink()
        viewer = rig.add(sink)
        rig.add(other)
        await rig.play(0, 5)
        sink.full = True
        await rig.play(5, 22)
        assert [key for key, _ in sink.pictures] == [True, *[False] * 4, True, False]
        assert (viewer.skipped, rig.hub.skipped) == (15, 15)
        assert len(other.pictures) == 22


async def test_a_narrow_path_gets_key_frames_only(autojump_clock: MockClock) -> None:
    """A key frame that this peer requests is the cached one, without what follows it."""
    async with open_rig() as rig:
        sink = Sink()
        rig.add(sink)
        await rig.play(0, 3)
        for second in range(4):
            sink.congestion.report(0.5, trio.current_time() + second)
        assert sink.congestion.narrow
        await rig.play(3, 45)
        assert [key for key, _ in sink.pictures[3:]] == [True, True]
        sink.restart()
        await rig.play(45, 50)
        assert [key for key, _ in sink.pictures[5:]] == [True], "the cached one, alone"


async def test_a_large_picture_leaves_in_more_than_one_burst(autojump_clock: MockClock) -> None:
    """The last burst leaves no later than half the time to the next access unit."""
    async with open_rig() as rig:
        sink = Sink()
        rig.add(sink)
        await rig.play(0, 10)
        sink.bursts.clear()
        began = trio.current_time()
        rig.hub.publish([*access_units()[0][:2], b"\x65" + bytes(300_000)], 10 * CLOCK_RATE // FPS)
        await trio.sleep(1 / FPS)
        moments = [at for at, _ in sink.bursts]
        assert max(size for _, size in sink.bursts) <= 40_000
        assert len(set(moments)) > 5
        assert 0 < moments[-1] - began <= 0.5 / FPS


async def test_key_frame_leaves_at_once_and_its_last_packet_within_4_ms(autojump_clock: MockClock) -> None:
    """Parameter sets do not delay the first slice: bursts are paced by bytes, here as 720p at 2.5 Mbit/s."""
    async with open_rig() as rig:
        sink = Sink()
        rig.add(sink)
        await rig.play(0, 10)
        sink.bursts.clear()
        began = trio.current_time()
        rig.hub.publish([*access_units()[0][:2], b"\x65" + bytes(60_000)], 10 * CLOCK_RATE // FPS)
        await trio.sleep(1 / FPS)
        (sets, at_sets), (first, at_first), *_, (_, at_last) = [(size, at - began) for at, size in sink.bursts]
        assert sets < 100 < first < 12_000, "and the first slice waits for no more than its own beginning"
        assert (at_sets, at_first) == (0, 0)
        assert 0 < at_last <= 0.004


async def test_many_short_slices_leave_together(autojump_clock: MockClock) -> None:
    """Each slice is a separate run, as its last packet is shorter; together they are one burst."""
    async with open_rig() as rig:
        sink = Sink()
        rig.add(sink)
        await rig.play(0, 10)
        sink.bursts.clear()
        rig.hub.publish(
            [*access_units()[0][:2], *[b"\x65" + bytes(2000 + 300 * n) for n in range(8)]], 10 * CLOCK_RATE // FPS
        )
        await trio.sleep(1 / FPS)
        assert len(sink.bursts) >= 8
        assert len({at for at, _ in sink.bursts}) == 1


async def test_peer_that_restarts_during_an_access_unit_gets_no_more_of_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large access unit leaves in bursts. Here it has caught up with the cached one before the last of them."""
    monkeypatch.setattr(fanout, "KEY_DUE_S", 0.0)
    async with open_rig() as rig:
        sink = Sink()
        rig.add(sink)
        await wait_all_tasks_blocked()
        for index in range(40):
            rig.hub.publish([*access_units()[0][:2], b"\x65" + bytes(150_000)], index * CLOCK_RATE // 15)
            await trio.sleep(0.001)
            if index == 39:
                sink.restart()
            await trio.sleep(1 / 15)
        assert len(sink.pictures) == 40, "the cached one instead of the rest of the last one"
        assert sink.stamps == sorted(sink.stamps), "nothing of the old one comes after the new one"


async def test_a_socket_that_is_full_while_catching_up_means_the_next_key_frame(autojump_clock: MockClock) -> None:
    """The peer is live from there on, after fewer than five access units."""
    async with open_rig() as rig:
        await rig.play(0, 5)
        sink = Sink(full=True)
        viewer = rig.add(sink)
        await rig.play(5, 22)
        assert [key for key, _ in sink.pictures][-2:] == [True, False]
        assert len(sink.pictures) < 5
        assert viewer.phase is Phase.LIVE


async def test_access_unit_that_left_the_buffer_is_freed(autojump_clock: MockClock) -> None:
    """Neither hub nor fan-out refers to an access unit that left the buffer; the sink is closed."""
    async with open_rig() as rig:
        sink = Sink()
        viewer = rig.add(sink)
        await rig.play(0, 3)
        (first,) = map(weakref.ref, rig.hub.units.read_nowait(rig.hub.units.start, 1))
        assert first() is not None
        await rig.play(3, 50)
        rig.fanout.remove(viewer)
        assert first() is None
        assert sink.closed


@pytest.mark.parametrize("live", [True, False], ids=["live", "behind"])
async def test_a_bug_that_one_viewer_meets_is_its_own(autojump_clock: MockClock, live: bool) -> None:
    """The exception reaches this peer's `wait_end`, live or behind, and the other gets all five."""
    async with open_rig() as rig:
        bad, good = Sink(fails=not live), Sink()
        viewer = rig.add(bad)
        rig.add(good)
        await rig.play(0, 3)
        bad.fails = True
        await rig.play(3, 5)
        with pytest.raises(ZeroDivisionError):
            await viewer.wait_end()
        assert (len(bad.pictures), len(good.pictures)) == (3 if live else 0, 5)
        rig.fanout.remove(viewer)


async def test_bug_in_the_look_at_one_peer_ends_that_one(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether an access unit is to be sent to a peer is asked for each of them, in its own guard."""
    async with open_rig() as rig:
        sinks = [Sink(), Sink()]
        viewers = [rig.add(sink) for sink in sinks]
        await rig.play(0, 3)
        take, asked = FanoutPeer.take, list[FanoutPeer]()

        def broken(peer: FanoutPeer, signal: Signal) -> Phase:
            if peer is viewers[0] and not asked:
                asked.append(peer)
                raise ZeroDivisionError
            return take(peer, signal)

        monkeypatch.setattr(FanoutPeer, "take", broken)
        await rig.play(3, 6)
        with pytest.raises(ZeroDivisionError):
            await viewers[0].wait_end()
        assert [len(sink.pictures) for sink in sinks] == [3, 6]


@pytest.mark.parametrize("made", [0, 100], ids=["at once", "after a burst"])
async def test_bug_of_the_packetizer_ends_the_peers_that_were_to_get_its_packets(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, made: int
) -> None:
    """The exception reaches their `wait_end`. The fan-out goes on, and serves a peer that comes later."""
    async with open_rig() as rig:
        viewers = [rig.add(Sink()), rig.add(Sink(shape=(16, 16)))]
        await rig.play(0, 3)
        with monkeypatch.context() as patched:
            patched.setattr(runs, "packetize", make_broken_packetizer(made))
            rig.hub.publish((*access_units()[3], b"\x06" + bytes(200_000)), 3 * CLOCK_RATE // FPS)
            await trio.sleep(1)
        for viewer in viewers:
            with pytest.raises(ZeroDivisionError):
                await viewer.wait_end()
            rig.fanout.remove(viewer)
        await rig.play(20, 21)
        later = Sink()
        rig.add(later)
        await rig.play(21, 24)
        assert len(later.pictures) == 4


async def test_peer_without_the_codec_of_the_camera_ends_as_unsupported(autojump_clock: MockClock) -> None:
    """A peer that offers only H.265 ends as `unsupported-codec`, and the text names H.264."""
    async with open_rig() as rig:
        viewer = rig.add(Sink(codecs=("h265",)))
        await rig.play(0, 2)
        reason = await viewer.wait_end()
        assert (reason.code, "H.264" in reason.text) == ("unsupported-codec", True)


async def test_change_of_the_codec_in_mid_stream_reaches_peers_with_its_key_frame(autojump_clock: MockClock) -> None:
    """A peer that takes both goes on there; one that does not ends as unsupported, and does not crash."""
    async with open_rig() as rig:
        both, other = Sink(codecs=("h264", "h265")), Sink()
        viewers = [rig.add(both), rig.add(other)]
        await rig.play(0, 3)
        key, second, third = h265_units(64, 64)
        rig.hub.set_parameter_sets(key, H265)
        for index, units in enumerate((second, third, key, second)):
            rig.hub.publish(units, (3 + index) * CLOCK_RATE // FPS, H265)
            await trio.sleep(1 / FPS)
        assert (await viewers[1].wait_end()).code == "unsupported-codec"
        assert [key for key, _ in both.pictures] == [True, False, False, True, False]
        assert len(other.pictures) == 3
        assert not viewers[0].has_ended


@pytest.mark.parametrize("live", [True, False], ids=["live", "behind"])
@pytest.mark.parametrize("codec", [MPEG4, H265], ids=["mpeg4", "h265"])
async def test_peer_that_is_spared_gets_nothing_of_a_codec_that_it_does_not_take(
    autojump_clock: MockClock, codec: VideoCodec, live: bool
) -> None:
    """It is not moved before more access units arrive. It continues at a key frame that it takes, others meanwhile."""
    async with open_rig() as rig:
        rig.fanout.spares = lambda sender: codec.name not in sender.codecs
        spared, other = Sink(), Sink(codecs=("h264", "h265"))
        viewers = [rig.add(spared)] if live else []
        await rig.play(0, 3 if live else 0)
        before = len(spared.pictures)
        if codec is H265:
            viewers.append(rig.add(other))
        encoder, split = ("mpeg4", split_picture) if codec is MPEG4 else ("libx265", split_annexb)
        for pts, _, data in coded(encoder, 128, 96, 3, FPS):
            rig.hub.publish(list(split(data)), (3 + pts) * CLOCK_RATE // FPS, codec)
        if not live:
            viewers.append(rig.add(spared))
        await trio.sleep(0.5)
        assert len(spared.pictures) == before
        assert [viewer.has_ended for viewer in viewers] == [False] * len(viewers)
        await rig.play(20, 23)
        assert [key for key, _ in spared.pictures[before:]] == [True, False, False]
        assert not other.pictures or [key for key, _ in other.pictures[-3:]] == [True, False, False]


async def test_audio_is_sent_to_peers_that_accepted_it(autojump_clock: MockClock) -> None:
    """A peer without audio gets none; the one with audio also gets reports."""
    async with open_rig() as rig:
        listens, looks = Sink(audio=True), Sink()
        rig.add(listens)
        rig.add(looks)
        rig.hub.set_audio(AudioFormat("pcma", 8000, 1))
        await rig.play(0, 2)
        rig.hub.publish_audio(b"one", CLOCK_RATE // FPS)
        rig.hub.publish_audio(b"two", CLOCK_RATE // FPS + 1800)
        await trio.sleep(0.01)
        assert (listens.audio_frames, looks.audio_frames) == ([b"one", b"two"], [])
        assert listens.reports > 0


async def test_opus_made_of_aac_is_sent_while_peers_accept_it(autojump_clock: MockClock) -> None:
    """Peers count as listeners while they exist, in any order of joining and leaving; peers without audio do not."""
    async with open_rig() as rig:
        listens, looks = Sink(audio=True, takes_opus=True), Sink()
        viewers = [rig.add(listens), rig.add(looks)]
        assert rig.hub.listeners.count == 1
        await rig.play(0, 2)
        for index in range(300):
            rig.hub.opus.append(AudioFrame(OPUS, b"%d" % index, index * 1800))
            if index % 100 == 0:
                await trio.sleep(0.01)
        await trio.sleep(0.01)
        assert (len(listens.audio_frames), looks.audio_frames) == (300, [])
        for viewer in viewers:
            rig.fanout.remove(viewer)
        assert rig.hub.listeners.count == 0


async def test_removed_peer_is_sent_nothing(autojump_clock: MockClock) -> None:
    """The access units after `remove` do not reach its sink."""
    async with open_rig() as rig:
        sink = Sink()
        viewer = rig.add(sink)
        await rig.play(0, 2)
        rig.fanout.remove(viewer)
        await rig.play(2, 5)
        assert len(sink.pictures) == 2


async def test_small_pictures_that_wait_leave_others_their_turn(autojump_clock: MockClock) -> None:
    """For a viewer that is behind, a packet of 29 bytes counts as a full one: it costs a system call."""
    async with open_rig() as rig:
        rig.hub.publish(access_units()[0], 0)
        for index in range(1, 2000):
            rig.hub.publish([b"\x41" + bytes(20)], index * 90)
        sink = Sink()
        rig.add(sink)
        await trio.sleep(5)
        assert len(sink.pictures) == 2000
        ticks = Counter(at for at, _ in sink.bursts)
        assert max(ticks.values()) <= CATCH_UP[0] * TICK_S / LEAST_COST + 1


async def test_small_pictures_that_come_at_once_leave_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop runs between them, however many wait. Each reading of the clock takes a millisecond here."""
    looks = count()
    monkeypatch.setattr(fanout, "perf_counter", lambda: next(looks) / 1000)
    async with open_rig() as rig:
        rig.hub.publish(access_units()[0], 0)
        sink = Sink()
        viewer = rig.add(sink)
        await wait_until(lambda: viewer.phase is Phase.LIVE, 5)
        before, rounds = len(sink.pictures), 0
        for index in range(1, 200):
            rig.hub.publish([b"\x41" + bytes(20)], index * 90)
        while len(sink.pictures) < before + 199:
            await trio.lowlevel.checkpoint()
            rounds += 1
        assert rounds >= 199 * 2 / (1000 * SLICE_S) / 2
