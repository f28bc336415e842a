"""A camera's life in virtual time: real actors, kernel and reconciling over a world that follows a script."""

import signal

import pytest
import trio
from trio.testing import MockClock

from actors.camera import FIRST_KEY_S, STALL_S
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Limits
from tests.kit.domain import ASKED, GATE, YARD, settings
from tests.kit.media import flv, follow
from tests.kit.world import FakeProcess, address_of, hangs, not_found, open_world, refused, streams, streams_for


async def test_a_camera_comes_to_life_and_its_causes_lead_back(autojump_clock: MockClock) -> None:
    """From the configuration to the first picture every event names the one before."""
    async with open_world({GATE: [streams]}) as world:
        await trio.sleep(2)
        assert world.camera() == "live"
        rows = {recorded.type: recorded for recorded in await world.core.stored()}
        chain = ["CameraLive"]
        while (cause := rows[chain[-1]].cause) is not None:
            chain.append(next(name for name, recorded in rows.items() if recorded.seq == cause))
    assert chain == ["CameraLive", "ChildStarted", "ChildStarting", "CameraConnecting", "CameraAdded",
                     "ConfigurationApplied"]  # fmt: skip


async def test_a_lost_camera_is_tried_with_growing_waits_and_never_twice_at_once(autojump_clock: MockClock) -> None:
    async with open_world({GATE: [refused]}) as world:
        await trio.sleep(600)
        gaps = [later - earlier for earlier, later in zip(world.starts, world.starts[1:], strict=False)]
        assert [round(gap) for gap in gaps[:8]] == [1, 2, 4, 8, 16, 32, 60, 60]
        assert world.camera() == "waiting"
        reason = world.core.kernel.state.cameras[GATE].reason
        assert reason is not None
        assert reason.code == "unreachable"


async def test_a_host_that_answers_again_is_tried_at_once(autojump_clock: MockClock) -> None:
    """Deep in its backoff, the camera is back within seconds of the host's return, not within a minute."""
    async with open_world({GATE: [refused] * 8 + [streams]}) as world:
        await world.until(lambda: len(world.starts) == 8 and world.camera() == "waiting")
        world.answers = True
        began = trio.current_time()
        await world.until(lambda: world.camera() == "live")
        assert trio.current_time() - began < 4


async def test_what_will_not_pass_is_probed_after_10_s_then_doubled(autojump_clock: MockClock) -> None:
    """A missing stream is no reason for a storm: six attempts in ten minutes, and none of them a TCP probe."""
    async with open_world({GATE: [not_found]}) as world:
        await trio.sleep(599)
        gaps = [later - earlier for earlier, later in zip(world.starts, world.starts[1:], strict=False)]
        assert ([round(gap) for gap in gaps], world.knocks, world.camera()) == ([10, 20, 40, 80, 160], 0, "failed")


async def test_camera_that_says_404_after_it_was_live_is_back_within_seconds(autojump_clock: MockClock) -> None:
    """A relay whose publisher restarts: three times not found, and then the picture again."""
    async with open_world({GATE: [streams_for(30, refused), *[not_found] * 3, streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        await world.until(lambda: world.camera() != "live")
        lost = trio.current_time()
        await world.until(lambda: world.camera() == "live")
        assert trio.current_time() - lost < 10
        assert "CameraFailed" not in world.core.types()


@pytest.mark.parametrize(
    ("script", "after_s"), [(hangs, FIRST_KEY_S), (streams_for(30, hangs), 30 + STALL_S)], ids=["at first", "later"]
)
async def test_a_stalled_source_is_ended_and_replaced(autojump_clock: MockClock, script, after_s: float) -> None:  # type: ignore[no-untyped-def]
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


async def test_a_child_that_does_not_die_keeps_its_place_until_it_does(autojump_clock: MockClock) -> None:
    """Stalled and deaf to SIGKILL: it is called unkillable, no second one is started, and the camera waits for it."""

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


async def test_one_cameras_fault_is_no_other_cameras_business(autojump_clock: MockClock) -> None:
    """While one is refused, hangs and comes back, the other sends every picture."""
    async with open_world({GATE: [refused, hangs, not_found], YARD: [streams]}) as world:
        await trio.sleep(300)
        yard = world.registry.statistics()[YARD]
        assert yard.frames == pytest.approx(3000, abs=20)
        assert len([p for p in world.processes if address_of(YARD) in p.arguments]) == 1


async def test_herd_after_failures_starts_no_faster_than_4_a_second(autojump_clock: MockClock) -> None:
    """Twenty cameras after a power cut: the first attempts are over in a second, the others come four a second."""
    names = [CameraId(f"camera-{number}") for number in range(20)]
    async with open_world({name: [refused, streams] for name in names}) as world:
        await trio.sleep(60)
        assert all(world.camera(name) == "live" for name in names)
        first, again = sorted(world.starts)[:20], sorted(world.starts)[20:]
        assert first[-1] - first[0] < 1
        assert all(later - earlier >= 0.999 for earlier, later in zip(again, again[4:], strict=False))


async def test_new_settings_replace_the_source_and_keep_the_hub(autojump_clock: MockClock) -> None:
    """The viewers' subscription goes on over the change, at a key frame of the new connection."""
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


async def test_a_removed_camera_is_gone_with_everything_it_had(autojump_clock: MockClock) -> None:
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
    """A bug in one camera's actor: restarted five times, then left alone for five minutes, and journaled each time."""

    async def bug(process: object) -> int:
        raise AssertionError("the script never runs")

    async with open_world({GATE: [bug], YARD: [streams]}) as world:
        stock = world.open_process

        def broken(arguments, environment, stdin, guarded):  # type: ignore[no-untyped-def]
            if address_of(GATE) in arguments:
                raise ZeroDivisionError("a bug")
            return stock(arguments, environment, stdin, guarded)

        object.__setattr__(world.registry._tools, "open_process", broken)
        await trio.sleep(100)
        crashed = [r for r in await world.core.stored() if isinstance(r.event, e.CameraCrashed)]
        assert len(crashed) == 5
        assert world.camera(GATE) == "quarantined"
        assert world.camera(YARD) == "live"


async def test_stopping_ends_everything_and_says_so(autojump_clock: MockClock) -> None:
    async with open_world({GATE: [streams], YARD: [refused]}) as world:
        await trio.sleep(5)
        await world.core.kernel.submit(c.StopRun(ASKED))
        await trio.sleep(1)
        assert not world.core.kernel.state.children
        assert world.registry.statistics() == {}
        assert {world.camera(GATE), world.camera(YARD)} == {"idle"}
