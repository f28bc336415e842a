"""The life cycle of a camera in virtual time: real actors, kernel and reconciler in a scripted world."""

import signal
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.media.hub import Hub
from actors.media.oddities import Oddity
from actors.sources import KINDS, Kind
from actors.tools import Tools
from supervisor.config.config import Source, Timeouts
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.health import health
from supervisor.domain.ids import CameraId, LeaseId
from supervisor.domain.values import Limits, Mode, Reason, Transcode
from supervisor.ports.decisions import Origin
from tests.kit.domain import ASKED, GATE, TEMPORARY, YARD, lease, settings
from tests.kit.media import access_units, flv, follow
from tests.kit.packets import framed, packets
from tests.kit.rtp import Codec, describe
from tests.kit.world import (
    FakeProcess,
    Script,
    World,
    address_of,
    hangs,
    not_found,
    open_world,
    refused,
    streams,
    streams_for,
)


async def test_a_camera_comes_to_life_and_its_causes_lead_back(autojump_clock: MockClock) -> None:
    """From the configuration to the first access unit, every event names the one before as its cause."""
    async with open_world({GATE: [streams]}) as world:
        await trio.sleep(2)
        assert world.camera() == "live"
        rows = {recorded.type: recorded for recorded in await world.core.stored()}
        chain = ["CameraLive"]
        while (cause := rows[chain[-1]].cause) is not None:
            chain.append(next(name for name, recorded in rows.items() if recorded.seq == cause))
    assert chain == ["CameraLive", "ChildStarted", "ChildStarting", "CameraConnecting", "CameraAdded",
                     "ConfigurationApplied"]  # fmt: skip


async def streams_b_frames(process: FakeProcess) -> int:
    for chunk in flv(b_frames=True):
        await process.output.send_all(chunk)
        await trio.sleep(0.1)
    return 0


async def test_camera_that_sends_b_frames_is_named_until_its_connection_ends(autojump_clock: MockClock) -> None:
    """With `transcode: never`, browsers present them in the wrong order. Another camera has no such alert."""
    never = [settings(transcode=Transcode.NEVER)]
    async with open_world({GATE: [streams_b_frames, hangs], YARD: [streams]}, cameras=never) as world:
        await world.until(lambda: "b-frames/gate" in world.core.kernel.state.alerts)
        assert world.camera(GATE) == "live"
        await world.until(lambda: "b-frames/gate" not in world.core.kernel.state.alerts)
        rows = await world.core.stored()
        raised, cleared = (row for row in rows if isinstance(row.event, e.AlertRaised | e.AlertCleared))
        assert rows[(raised.cause or 0) - 1].type == "CameraLive"
        assert rows[(cleared.cause or 0) - 1].type == "ChildEnded"


async def test_b_frames_that_are_transcoded_are_no_alert(autojump_clock: MockClock) -> None:
    """The state names them all the same."""
    async with open_world({GATE: [streams_b_frames, hangs]}) as world:
        await world.until(lambda: world.camera() == "live")

        def has_b_frames() -> bool:
            picture = world.core.kernel.state.cameras[GATE].picture
            return picture is not None and picture.b_frames

        await world.until(has_b_frames)
        await world.until(lambda: world.camera() != "live")
        assert not [row for row in await world.core.stored() if isinstance(row.event, e.AlertRaised)]


async def test_oddities_of_a_camera_are_reported_while_it_is_live_and_at_its_end(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for each kind, although there are two connections; also of a connection without a picture."""

    async def run(name: CameraId, source: Source, hub: Hub, tools: Tools) -> Reason:
        hub.loss.meet(Oddity.CSEQ)
        if name == YARD:
            await trio.sleep(1)
            return TEMPORARY
        for number, units in enumerate(access_units(count=40)):
            hub.publish(units, number * 9000)
            await trio.sleep(0.1)
            if number == 20:
                hub.loss.meet(Oddity.NO_RANGE)
        return TEMPORARY

    monkeypatch.setitem(KINDS, "ffmpeg", Kind(KINDS["ffmpeg"].check, run))
    async with open_world({GATE: [streams], YARD: [streams]}) as world:
        await trio.sleep(30)
        rows = await world.core.stored()
        met = [(row.event.camera, row.event.oddity, row) for row in rows if isinstance(row.event, e.OddityMet)]
        assert sorted(each[:2] for each in met) == [(GATE, "cseq"), (GATE, "no-range"), (YARD, "cseq")]
        causes = {each[:2]: rows[(each[2].cause or 0) - 1].type for each in met}
        assert causes == {
            (GATE, "cseq"): "CameraLive", (GATE, "no-range"): "CameraLive", (YARD, "cseq"): "CameraConnecting",
        }  # fmt: skip
        assert len([row for row in rows if row.type == "CameraLive"]) > 1
        about = world.registry.about(GATE)
        assert about is not None
        assert {each.code for each in about.oddities} == {"cseq", "no-range"}


async def test_a_lost_camera_is_tried_with_growing_waits_and_never_twice_at_once(autojump_clock: MockClock) -> None:
    """The waits double from 1 s to 60 s; the camera shows `unreachable` meanwhile."""
    async with open_world({GATE: [refused]}) as world:
        await trio.sleep(600)
        gaps = [later - earlier for earlier, later in zip(world.starts, world.starts[1:], strict=False)]
        assert [round(gap) for gap in gaps[:8]] == [1, 2, 4, 8, 16, 32, 60, 60]
        assert world.camera() == "waiting"
        reason = world.core.kernel.state.cameras[GATE].reason
        assert reason is not None
        assert reason.code == "unreachable"


async def test_a_host_that_answers_again_is_tried_at_once(autojump_clock: MockClock) -> None:
    """The camera is back within seconds of the host's return although its backoff is a minute."""
    async with open_world({GATE: [refused] * 8 + [streams]}) as world:
        await world.until(lambda: len(world.starts) == 8 and world.camera() == "waiting")
        world.answers = True
        began = trio.current_time()
        await world.until(lambda: world.camera() == "live")
        assert trio.current_time() - began < 4


async def test_permanent_fault_is_probed_after_10_s_and_then_twice_as_late(autojump_clock: MockClock) -> None:
    """A missing stream causes six attempts in ten minutes, and none of them is a TCP probe."""
    async with open_world({GATE: [not_found]}) as world:
        await trio.sleep(599)
        gaps = [later - earlier for earlier, later in zip(world.starts, world.starts[1:], strict=False)]
        assert ([round(gap) for gap in gaps], world.probes, world.camera()) == ([10, 20, 40, 80, 160], 0, "failed")


async def test_camera_that_says_404_after_it_was_live_is_back_within_seconds(autojump_clock: MockClock) -> None:
    """A relay whose publisher restarts answers 404 three times; the camera is then live again."""
    async with open_world({GATE: [streams_for(30, refused), *[not_found] * 3, streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        await world.until(lambda: world.camera() != "live")
        lost = trio.current_time()
        await world.until(lambda: world.camera() == "live")
        assert trio.current_time() - lost < 10
        assert "CameraFailed" not in world.core.types()


@pytest.mark.parametrize(
    ("script", "after_s"), [(hangs, 15.0), (streams_for(30, hangs), 30 + 6.0)], ids=["at first", "later"]
)
async def test_a_stalled_source_is_ended_and_replaced(
    autojump_clock: MockClock, script: Script, after_s: float
) -> None:
    """Without a key frame for 15 s at first, or an access unit for 6 s later, the child gets SIGTERM."""
    async with open_world({GATE: [script, streams]}) as world:
        await trio.sleep(after_s - 0.5)
        assert world.processes[0].signals == []
        await trio.sleep(3)
        assert [s.name for s in world.processes[0].signals] == ["SIGTERM"]
        assert (len(world.processes), world.camera()) == (2, "live")
        ended = next(r.event for r in await world.core.stored() if isinstance(r.event, e.ChildEnded))
        waiting = next(r.event for r in world.core.disk.rows if isinstance(r.event, e.CameraWaiting))
        assert ended.reason.text == waiting.reason.text
        assert waiting.reason.code == "stalled"


def patient(camera: CameraId, **seconds: float) -> Source:
    """A camera whose `timeouts: stall` is configured."""
    return Source("ffmpeg", address_of(camera), ("-i", address_of(camera)), timeouts=Timeouts(**seconds))


@pytest.mark.parametrize("first_picture_s", [5.0, 120.0])
@pytest.mark.parametrize("stall_s", [5.0, 120.0])
async def test_camera_has_its_own_patience(first_picture_s: float, stall_s: float, autojump_clock: MockClock) -> None:
    """Its first connection never brings a picture, the second one stops after 30 s. Each reason names its setting."""
    async with open_world({GATE: [hangs, streams_for(30, hangs), streams]}) as world:
        world.vault.take({GATE: patient(GATE, first_picture_s=first_picture_s, stall_s=stall_s)})
        await world.until(lambda: len(world.processes) == 3)
        rows = [row for row in await world.core.stored() if isinstance(row.event, e.CameraConnecting | e.CameraWaiting)]
        events = [row.event for row in rows]
        reasons = [event.reason for event in events if isinstance(event, e.CameraWaiting)]
        assert [(reason.code, reason.text.partition("picture came ")[2]) for reason in reasons] == [
            ("stalled", f"within {first_picture_s:g} s; timeouts: first_picture"),
            ("stalled", f"for {stall_s:g} s; timeouts: stall"),
        ]
        took_s = [(rows[at + 1].wall_ns - rows[at].wall_ns) / 1e9 for at in (0, 2)]
        assert took_s == pytest.approx([first_picture_s, 30 + stall_s], abs=0.5)
        assert "OddityMet" not in world.core.types(), "a configured patience has nothing to do with its pictures"


async def every(seconds: float, process: FakeProcess) -> None:
    """Send one picture in each interval, for ever: all of them key frames."""
    pictures = list(flv())
    for chunk in pictures[:2]:
        await process.output.send_all(chunk)
    for chunk in cycle(pictures[2:]):
        await process.output.send_all(chunk)
        await trio.sleep(seconds)


@pytest.mark.parametrize("seconds", [2.5, 4.0, 12.0])
async def test_camera_with_rare_pictures_stays_live(seconds: float, autojump_clock: MockClock) -> None:
    """It is never connected again, and shown as stalled at most until its interval is known; that is journaled."""

    async def script(process: FakeProcess) -> int:
        await every(seconds, process)
        return 0

    async with open_world({GATE: [script]}) as world:
        await trio.sleep(300)
        events = [row.event for row in await world.core.stored()]
        assert len(world.processes) == 1
        assert sum(isinstance(event, e.CameraStalled) for event in events) == (seconds > 5)
        assert [event.oddity for event in events if isinstance(event, e.OddityMet)] == ["slow-pictures"]


@pytest.mark.parametrize("seconds", [4.0, 4.0123])
async def test_camera_with_rare_pictures_that_dies_is_connected_again(
    seconds: float, autojump_clock: MockClock
) -> None:
    """After three of its intervals; the reason names that time to a tenth of a second."""

    async def script(process: FakeProcess) -> int:
        with trio.move_on_after(41):
            await every(seconds, process)
        return await hangs(process)

    async with open_world({GATE: [script, streams]}) as world:
        await world.until(lambda: len(world.processes) == 2)
        assert trio.current_time() == pytest.approx(40 + 12, abs=2)
        waiting = next(r.event for r in await world.core.stored() if isinstance(r.event, e.CameraWaiting))
        assert waiting.reason.text == "no picture came for 12 s; timeouts: stall"


async def test_reloaded_patience_holds_for_the_next_connection(autojump_clock: MockClock) -> None:
    """The live connection goes on, and keeps the limits that it began with."""
    async with open_world({GATE: [streams_for(30, hangs), hangs, streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        before = world.vault.settings_of({GATE: world.vault[GATE]})
        changed = {GATE: attrs.evolve(world.vault[GATE], timeouts=Timeouts(first_picture_s=60.0, stall_s=100.0))}
        after = world.vault.take(changed)
        await world.core.kernel.submit(c.Configure("test", (settings(),), Limits()))
        assert (before, world.camera(), len(world.processes)) == (after, "live", 1)
        await world.until(lambda: len(world.processes) == 2)
        assert trio.current_time() == pytest.approx(36, abs=2)
        await world.until(lambda: len(world.processes) == 3)
        assert trio.current_time() == pytest.approx(96, abs=4)


class SlowCamera:
    """An RTSP camera: each answer takes `round_trip_s`, and the first key frame comes `gop_s` after PLAY."""

    def __init__(self, nursery: trio.Nursery, round_trip_s: float, gop_s: float, order: Sequence[int] = (0,)) -> None:
        """`order`: the order in which access units are presented, again and again."""
        self._nursery, self._round_trip_s, self._gop_s, self._order = nursery, round_trip_s, gop_s, order

    async def open_tcp(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.sleep(self._round_trip_s)
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self._serve, theirs)
        return ours

    async def _serve(self, stream: trio.abc.Stream) -> None:
        async with trio.open_nursery() as nursery:
            async for request in stream:
                text = bytes(request)
                while text.startswith(b"$"):  # receiver reports
                    text = text[4 + int.from_bytes(text[2:4]) :]
                method, _, rest = text.decode("latin-1").partition(" ")  # reports may follow
                if not method:
                    continue
                number = rest.partition("CSeq: ")[2].split("\r\n")[0]
                head = [f"RTSP/1.0 200 OK\r\nCSeq: {number}", "Session: 5;timeout=60"]
                body = describe(Codec.H264, 64, 64, 10) if method == "DESCRIBE" else ""
                if method == "DESCRIBE" and "Authorization" not in rest:
                    head[0], body = head[0].replace("200 OK", "401 Unauthorized"), ""
                    head.append('WWW-Authenticate: Digest realm="camera", nonce="1"')
                await trio.sleep(self._round_trip_s)
                answer = "\r\n".join((*head, f"Content-Length: {len(body)}", "", body))
                try:
                    await stream.send_all(answer.encode())
                except trio.BrokenResourceError:  # the other side did not wait
                    return
                if method == "PLAY":
                    nursery.start_soon(self._play, stream)
            nursery.cancel_scope.cancel()

    async def _play(self, stream: trio.abc.Stream) -> None:
        """Ten pictures a second; those of the first `gop_s` seconds depend on a key frame that nobody saw."""
        units, late = access_units(), int(self._gop_s * 10)
        pictures = [units[1 + index % 19] for index in range(late)] + [units[index % 40] for index in range(1000)]
        for data in packets(pictures, step=9000):
            number, size = int.from_bytes(data[4:8]) // 9000, len(self._order)
            shown = number - number % size + self._order[number % size]
            await stream.send_all(framed(data[:4] + (shown * 9000).to_bytes(4) + data[8:]))
            if data[1] & 0x80:
                await trio.sleep(0.1)


async def test_b_frames_of_an_rtsp_camera_are_reported_at_once(autojump_clock: MockClock) -> None:
    """Its time stamps are presentation times. The journal, health and the state say it, and what helps."""
    async with trio.open_nursery() as nursery:
        camera = SlowCamera(nursery, 0.01, 0, order=(0, 3, 1, 2))
        never = [settings(transcode=Transcode.NEVER)]
        async with open_world({GATE: [hangs]}, cameras=never, open_tcp=camera.open_tcp) as world:
            world.vault.take({GATE: Source("rtsp", "rtsp://u:p@192.0.2.1/main")})
            await world.until(lambda: world.camera() == "live")
            await world.until(lambda: "b-frames/gate" in world.core.kernel.state.alerts, within_s=4)
            state = world.core.kernel.state
            picture = state.cameras[GATE].picture
            assert picture is not None
            assert picture.b_frames
            part = next(part for part in health(state, None).parts if part.part == "alert/b-frames/gate")
            assert part.reason.startswith("gate sends B-frames, which browsers show jerkily: turn them off")
            events = [row.event for row in await world.core.stored() if isinstance(row.event, e.CameraLive)]
            assert [event.sentence() for event in events] == [
                "gate is live: H.264 64x64 over tcp", "gate is live: H.264 64x64 over tcp, with B-frames",
            ]  # fmt: skip
        nursery.cancel_scope.cancel()


async def slow_world(
    round_trip_s: float, gop_s: float, timeouts: Timeouts, until: Callable[[World], bool]
) -> tuple[str, float]:
    """The reason of the camera's last loss, or its state, and the time when that is known."""
    async with trio.open_nursery() as nursery:
        camera = SlowCamera(nursery, round_trip_s, gop_s)
        async with open_world({GATE: [hangs]}, open_tcp=camera.open_tcp) as world:
            world.vault.take({GATE: Source("rtsp", "rtsp://u:p@192.0.2.1/main", ("p",), timeouts=timeouts)})
            await world.until(lambda: until(world))
            found = world.core.kernel.state.cameras[GATE]
            text = found.reason.text if found.reason else found.phase.value
            took_s = trio.current_time()
        nursery.cancel_scope.cancel()
    return text, took_s


def is_decided(world: World) -> bool:
    return world.camera() in ("live", "waiting", "failed")


async def test_camera_with_long_round_trips_and_rare_key_frames_goes_live(autojump_clock: MockClock) -> None:
    """Connecting and each of its six answers take 2.3 s, and its first key frame comes 10 s later: 26 s in all."""
    text, took_s = await slow_world(2.3, 10, Timeouts(), is_decided)
    assert (text, round(took_s)) == ("live", 24)


@pytest.mark.parametrize(
    ("first_picture_s", "text"),
    [(20.0, "no key frame was among what came within 20 s; timeouts: first_picture"), (60.0, "live")],
)
async def test_first_picture_is_waited_for_as_long_as_configured(
    first_picture_s: float, text: str, autojump_clock: MockClock
) -> None:
    """The key frames come every 40 s. The time does not begin before the camera has agreed to play."""
    found, took_s = await slow_world(2.3, 40, Timeouts(first_picture_s=first_picture_s), is_decided)
    assert found == text
    assert took_s == pytest.approx(13.8 + min(first_picture_s, 40), abs=3)


@pytest.mark.parametrize(("answer_s", "text"), [(10.0, "timeouts: answer"), (15.0, "live")])
async def test_answers_are_waited_for_as_long_as_configured(
    answer_s: float, text: str, autojump_clock: MockClock
) -> None:
    """Each one takes 12 s, so that the conversation takes longer than a first picture may take."""
    timeouts = Timeouts(connect_s=15.0, answer_s=answer_s)
    assert (await slow_world(12, 1, timeouts, is_decided))[0].endswith(text)


async def test_silence_over_udp_has_a_reason_that_names_the_setting(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The camera has accepted UDP, and no picture comes: its datagrams may be blocked."""

    async def accepts_udp(_camera: CameraId, _source: Source, hub: Hub, _tools: Tools) -> Reason:
        hub.transport = "udp"
        await trio.sleep_forever()
        raise AssertionError

    for kind, known in KINDS.items():
        monkeypatch.setitem(KINDS, kind, Kind(known.check, accepts_udp, forks=False))
    async with open_world({GATE: [hangs]}) as world:
        await world.until(lambda: world.camera() == "waiting")
        reason = world.core.kernel.state.cameras[GATE].reason
    assert reason is not None
    assert "no picture came within 15 s" in reason.text
    assert "allow UDP from the camera in the firewall, or try `transport: tcp`" in reason.text


async def test_unkillable_child_keeps_its_slot_until_it_exits(autojump_clock: MockClock) -> None:
    """A stalled child that ignores SIGKILL is reported as unkillable; the camera waits, and starts no second one."""

    async def deaf(process: FakeProcess) -> int:
        process.ignores = {signal.SIGTERM, signal.SIGKILL}
        await trio.sleep(120)
        return 0

    async with open_world({GATE: [deaf, streams]}) as world:
        await trio.sleep(60)
        (child,) = world.core.kernel.state.children.values()
        assert (child.phase.value, len(world.processes)) == ("unkillable", 1)
        await trio.sleep(130)
        assert (world.camera(), len(world.processes), world.processes[0].closed) == ("live", 2, True)


async def test_another_size_is_reported_while_the_camera_is_live(autojump_clock: MockClock) -> None:
    """From 64 × 64 to 96 × 64 in one child process: there is a second `CameraLive`."""

    async def grows(process: FakeProcess) -> int:
        for chunk in [*flv(64, 64), *list(flv(96, 64))[1:]]:
            await process.output.send_all(chunk)
            await trio.sleep(0.1)
        await trio.sleep_forever()
        return 0

    async with open_world({GATE: [grows]}) as world:
        await world.until(lambda: (p := world.core.kernel.state.cameras[GATE].picture) is not None and p.width == 96)
        await world.core.stored()
        assert world.core.types("camera/").count("CameraLive") == 2


async def test_fault_of_one_camera_does_not_affect_another(autojump_clock: MockClock) -> None:
    """While one camera is refused, hangs and comes back, the other delivers every access unit."""
    async with open_world({GATE: [refused, hangs, not_found], YARD: [streams]}) as world:
        await trio.sleep(300)
        yard = world.registry.statistics()[YARD]
        assert yard.frames == pytest.approx(3000, abs=20)
        assert len([p for p in world.processes if address_of(YARD) in p.arguments]) == 1


@pytest.mark.slow
async def test_herd_after_failures_starts_no_faster_than_4_a_second(autojump_clock: MockClock) -> None:
    """After a power cut of twenty cameras, the first attempts take a second; the others start at four a second."""
    names = [CameraId(f"camera-{number}") for number in range(20)]
    async with open_world({name: [refused, streams] for name in names}) as world:
        await trio.sleep(60)
        assert all(world.camera(name) == "live" for name in names)
        first, again = sorted(world.starts)[:20], sorted(world.starts)[20:]
        assert first[-1] - first[0] < 1
        assert all(later - earlier >= 0.999 for earlier, later in zip(again, again[4:], strict=False))


async def test_new_settings_replace_the_source_and_keep_the_hub(autojump_clock: MockClock) -> None:
    """The viewers' subscription continues over the change, at a key frame of the new connection."""
    async with open_world({GATE: [streams]}) as world:
        await trio.sleep(2)
        hub = world.registry._cameras[GATE].hub
        place = hub.subscribe()
        place.begin()
        await follow(hub, place)
        await world.core.kernel.submit(c.Configure("test", (settings(revision=1),), Limits()))
        await trio.sleep(2)
        assert [len(world.processes), world.camera()] == [2, "live"]
        assert world.processes[0].status == -15
        keys = [(await follow(hub, place))[0].key for _ in range(30)]
        assert True in keys
        assert "CameraIdle" in world.core.types("camera/")


async def test_use_after_new_settings_of_an_unused_camera_is_the_cause_of_its_connection(
    autojump_clock: MockClock,
) -> None:
    """The settings change while the camera lingers: it rests, and only the next lease opens it."""
    on_demand = settings(GATE, mode=Mode.ON_DEMAND)
    async with open_world({GATE: [streams]}, cameras=[on_demand]) as world:
        kernel = world.core.kernel
        await kernel.submit(lease())
        await world.until(lambda: world.camera() == "live")
        await kernel.submit(c.EndLease(LeaseId("lease-1"), ASKED))
        await trio.sleep(2)
        await kernel.submit(c.Configure("test", (settings(revision=1, mode=Mode.ON_DEMAND),), Limits()))
        await world.until(lambda: world.camera() == "idle", 5)
        await trio.sleep(60)
        granted = await kernel.submit(lease("lease-2"))
        await world.until(lambda: world.camera() == "live")
        rows = await world.core.stored()
        opened = [row for row in rows if isinstance(row.event, e.CameraConnecting)]
        assert len(opened) == 2
        assert granted.last is not None
        assert opened[1].cause == granted.last.seq


async def test_a_removed_camera_is_gone_with_everything_it_had(autojump_clock: MockClock) -> None:
    """Its child ends within a second and the other camera's child stays; added again, it is live."""
    async with open_world({GATE: [streams], YARD: [streams]}) as world:
        await trio.sleep(2)
        await world.core.kernel.submit(c.Configure("test", (settings(YARD),), Limits()))
        await trio.sleep(1)
        assert set(world.registry.statistics()) == {YARD}
        assert [len(world.alive(GATE)), len(world.alive(YARD))] == [0, 1]
        await world.core.kernel.submit(c.Configure("test", (settings(GATE), settings(YARD)), Limits()))
        await trio.sleep(2)
        assert (world.camera(GATE), len(world.alive(YARD))) == ("live", 1)


async def test_a_crashing_source_is_quarantined_and_its_neighbour_never_notices(autojump_clock: MockClock) -> None:
    """An actor with a bug is restarted five times, then quarantined for five minutes, and each crash is journaled."""

    async def bug(process: object) -> int:
        raise AssertionError("the script never runs")

    async with open_world({GATE: [bug], YARD: [streams]}) as world:
        stock = world.open_process

        def broken(
            arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes | None, guarded: bool
        ) -> FakeProcess:
            if address_of(GATE) in arguments:
                raise ZeroDivisionError("a bug")
            return stock(arguments, environment, stdin, guarded)

        world.opener = broken
        await trio.sleep(100)
        crashed = [r for r in await world.core.stored() if isinstance(r.event, e.CameraCrashed)]
        assert len(crashed) == 5
        assert world.camera(GATE) == "quarantined"
        assert world.camera(YARD) == "live"


async def test_stopping_ends_everything_and_says_so(autojump_clock: MockClock) -> None:
    """One live camera and one that waits: after a second both are idle, without children or actors."""
    async with open_world({GATE: [streams], YARD: [refused]}) as world:
        await trio.sleep(5)
        await world.core.kernel.submit(c.StopRun(ASKED))
        await trio.sleep(1)
        assert not world.core.kernel.state.children
        assert world.registry.statistics() == {}
        assert {world.camera(GATE), world.camera(YARD)} == {"idle"}


async def test_retry_of_a_failed_camera_is_tried_at_once_and_lives(autojump_clock: MockClock) -> None:
    """The attempt starts at once, ten minutes into the backoff, and its cause is the request."""
    async with open_world({GATE: [not_found] * 5 + [streams]}) as world:
        await world.until(lambda: len(world.starts) == 5 and world.camera() == "failed")
        await trio.sleep(20)
        asked = await world.core.kernel.submit(c.RetryCamera(GATE, "192.0.2.9"), origin=Origin("client:192.0.2.9"))
        began = trio.current_time()
        await world.until(lambda: world.camera() == "live")
        assert trio.current_time() - began < 1
        assert asked.last is not None
        connecting = [r for r in await world.core.stored() if isinstance(r.event, e.CameraConnecting)][-1]
        assert (connecting.cause, connecting.principal) == (asked.last.seq, "client:192.0.2.9")


async def test_retry_that_fails_is_followed_by_a_wait(autojump_clock: MockClock) -> None:
    """One request causes one attempt."""
    async with open_world({GATE: [not_found]}) as world:
        await world.until(lambda: world.camera() == "failed")
        await trio.sleep(2)
        await world.core.kernel.submit(c.RetryCamera(GATE, "192.0.2.9"))
        await trio.sleep(15)
        assert len(world.starts) == 2
        assert world.camera() == "failed"


async def test_retry_of_an_unused_camera_is_one_attempt(autojump_clock: MockClock) -> None:
    """An unused on-demand camera that failed is opened on request, lingers as after a viewer, and rests."""
    on_demand = settings(GATE, mode=Mode.ON_DEMAND)
    async with open_world({GATE: [not_found, streams]}, cameras=[on_demand]) as world:
        kernel = world.core.kernel
        await kernel.submit(lease())
        await world.until(lambda: world.camera() == "failed")
        await kernel.submit(c.EndLease(LeaseId("lease-1"), ASKED))
        await trio.sleep(2)
        asked = await kernel.submit(c.RetryCamera(GATE, "192.0.2.9"))
        await world.until(lambda: world.camera() == "live", 2)
        await trio.sleep(kernel.state.limits.linger_s - 2)
        assert world.camera() == "live"
        await world.until(lambda: world.camera() == "idle", 5)
        assert asked.last is not None
        rested = [r for r in await world.core.stored() if isinstance(r.event, e.ChildStopping)][-1]
        assert rested.cause == asked.last.seq


@pytest.mark.slow
async def test_retry_passes_the_herd_at_the_start_gate_and_delays_no_other(autojump_clock: MockClock) -> None:
    """Forty cameras wait at the start gate, four a second; a requested camera passes them without their tokens."""
    herd = [CameraId(f"camera-{number}") for number in range(40)]
    async with open_world({GATE: [not_found, streams]} | {name: [refused, streams] for name in herd}) as world:
        await world.until(lambda: world.camera() == "failed" and world.registry.starts_waiting()[0] > 20)
        await trio.sleep(1)
        waiting = world.registry.starts_waiting()[0]
        assert waiting > 10
        await world.core.kernel.submit(c.RetryCamera(GATE, "192.0.2.9"))
        began = trio.current_time()
        await world.until(lambda: world.camera() == "live")
        assert trio.current_time() - began < 0.5
        await trio.sleep((waiting + 4) / 4)
        assert all(world.camera(name) == "live" for name in herd)


async def test_retry_of_a_camera_at_the_start_gate_starts_it_at_once(autojump_clock: MockClock) -> None:
    """The backoff is over, and others are ahead at the gate; the camera starts at once, caused by the request."""
    herd = [CameraId(f"camera-{number}") for number in range(40)]
    async with open_world({name: [refused, streams] for name in herd}) as world:
        await world.until(lambda: len(world.starts) > 40)
        await trio.sleep(1)
        kernel, waiting = world.core.kernel, world.registry.starts_waiting()[0]
        due = {
            camera.retry_at_ns: name
            for name, camera in kernel.state.cameras.items()
            if camera.retry_at_ns is not None and camera.retry_at_ns < kernel.clock.wall_ns() - 1e9
        }
        assert (waiting > 10, len(due) > 10) == (True, True)
        last = due[max(due)]
        asked = await kernel.submit(c.RetryCamera(last, "192.0.2.9"), origin=Origin("client:192.0.2.9"))
        began = trio.current_time()
        await world.until(lambda: world.camera(last) == "live")
        assert trio.current_time() - began < 0.5
        assert asked.last is not None
        rows = reversed(await world.core.stored())
        connecting = next(row for row in rows if isinstance(row.event, e.CameraConnecting) and row.event.camera == last)
        assert (connecting.cause, connecting.principal) == (asked.last.seq, "client:192.0.2.9")
        await trio.sleep((waiting + 4) / 4)
        assert all(world.camera(name) == "live" for name in herd)


async def test_retry_ends_a_quarantine(autojump_clock: MockClock) -> None:
    """A quarantine of five minutes after the sixth crash ends early on request."""
    async with open_world({GATE: [streams]}) as world:
        stock = world.open_process

        def broken(*_: object) -> FakeProcess:
            raise ZeroDivisionError("a bug")

        world.opener = broken
        await world.until(lambda: world.camera() == "quarantined")
        world.opener = stock
        await trio.sleep(2)
        assert world.camera() == "quarantined"
        await world.core.kernel.submit(c.RetryCamera(GATE, "192.0.2.9"))
        await world.until(lambda: world.camera() == "live", 2)
