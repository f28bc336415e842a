"""Hand-written stories of real incidents, which must not happen again."""

import random
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.health import Verdict
from supervisor.domain.ids import SYSTEM, CameraId, DeviceId
from supervisor.domain.values import Mode, Patrol
from supervisor.journal.writer import PENDING
from supervisor.ports.decisions import Origin
from tests.kit.domain import GATE, YARD, settings

from .callers import run_caller
from .cameras import FOR_EVER, Camera, Device, Mood, hangs, refuses, works
from .chance import Chance, run_seeded
from .children import IGNORES_TERM, POLITE, Manners
from .viewers import OFFER, refusals
from .world import open_world

HOUR = 3600.0


def camera(
    chance: Chance,
    name: str,
    *life: tuple[float, Mood],
    device: Device | None = None,
    mode: Mode = Mode.ALWAYS,
    manners: Manners = POLITE,
) -> Camera:
    known = settings(CameraId(name), device=device.name if device else None, mode=mode, group="round")

    def always(chance: random.Random) -> Manners:
        return manners

    return Camera(known, life, chance.stream(name), device, always)


def test_the_incident() -> None:
    """A hanging camera, an ffmpeg that ignores SIGTERM, clients that give up, and a patrol cycle every minute: the
    number of processes stays within its limit for six hours. After the repair the next snapshot arrives."""
    run_seeded(1, the_incident)


async def the_incident(chance: Chance) -> None:
    box = Device(DeviceId("box"), capacity=2, budget=2)
    sick = camera(
        chance, "gate", (6 * HOUR, hangs), (FOR_EVER, works), device=box, mode=Mode.PATROL, manners=IGNORES_TERM
    )
    healthy = [camera(chance, f"camera-{number}", (FOR_EVER, works), mode=Mode.PATROL) for number in range(5)]
    async with open_world(chance, [sick, *healthy], patrol=Patrol(every_s=60)) as world:
        async with trio.open_nursery() as callers:
            for number in range(4):
                call = partial(
                    run_caller, f"192.0.2.{number}", [GATE], world.gateway, chance.stream(f"caller/{number}")
                )
                callers.start_soon(call)
            await trio.sleep(6 * HOUR)
            assert set(world.most.values()) == {1}
            assert sum(child.status is None for child in world.children) <= 2
            callers.cancel_scope.cancel()
        await world.until(lambda: not world.state.slots and world.phase(GATE) == "idle", within_s=60)
        assert await retried_picture(world.gateway.take_picture) < 120
        told = [row.event for row in world.rows()]
        killed = {event.child for event in told if isinstance(event, e.ChildStopping) and event.signal == "SIGKILL"}
        ended = {event.child for event in told if isinstance(event, e.ChildEnded) and event.camera == GATE}
        assert len(killed) > 10
        assert killed <= ended
        rounds = [event for event in told if isinstance(event, e.PatrolEnded)]
        assert all(set(patrolled.missed) <= {GATE} for patrolled in rounds[:-3])
        assert sum(1 + patrolled.skipped for patrolled in rounds) == pytest.approx(6 * 60, abs=5)


async def retried_picture(take_picture: Callable[[CameraId, str, float | None], Awaitable[object]]) -> float:
    """Return the seconds until a client that asks repeatedly gets a snapshot of the camera."""
    began = trio.current_time()
    while trio.current_time() - began < 600:
        async with refusals():
            await take_picture(GATE, "192.0.2.9", 0.0)
            break
        await trio.sleep(5)
    return trio.current_time() - began


@pytest.mark.parametrize("seed", [1, 2])
def test_twenty_cameras_come_back_after_ten_minutes(seed: int) -> None:
    """After a power cut at most four cameras are retried per second, and each is live within a minute of its return."""
    run_seeded(seed, the_power_cut)


async def the_power_cut(chance: Chance) -> None:
    draw = chance.stream("return")
    returns = {f"camera-{number:02}": 600 + draw.uniform(0, 30) for number in range(20)}
    cameras = [camera(chance, name, (at_s, refuses), (FOR_EVER, works)) for name, at_s in returns.items()]
    async with open_world(chance, cameras) as world:
        await trio.sleep(700)
        told = world.rows()
        live = {row.event.camera: row.mono_ns / 1e9 for row in told if isinstance(row.event, e.CameraLive)}
        late = {name: live[CameraId(name)] - at_s for name, at_s in returns.items() if live[CameraId(name)] - at_s > 60}
        assert late == {}
        tries = [row for row in told if isinstance(row.event, e.CameraConnecting) and row.event.attempt > 1]
        starts = [row.mono_ns / 1e9 for row in tries]
        assert all(later - earlier > 0.999 for earlier, later in zip(starts, starts[4:], strict=False))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_full_disk_stops_no_picture(seed: int) -> None:
    """For ten minutes nothing can be stored: video continues, health is critical, requests that need an acknowledgement
    are refused; and afterwards no event is missing."""
    run_seeded(seed, the_full_disk)


async def the_full_disk(chance: Chance) -> None:
    cameras = [camera(chance, name, (FOR_EVER, works)) for name in (GATE, YARD)]
    async with open_world(chance, cameras) as world:
        await trio.sleep(60)
        before = {name: seen.frames for name, seen in world.registry.statistics().items()}
        world.core.disk.broken = True
        decided = world.state.seq
        for _ in range(60):
            alert = c.RaiseAlert(f"test/{world.state.seq}", "something to store")
            world.core.kernel.emit(alert, after=world.core.kernel.latest(SYSTEM))
            await trio.sleep(10)
            ages = [seen.last_frame_age_s for seen in world.registry.statistics().values()]
            assert all(age is not None and age < 2 for age in ages)
            assert world.health().verdict is Verdict.CRITICAL
            with pytest.raises(Rejected, match="cannot write"):
                await world.gateway.negotiate(GATE, OFFER, "192.0.2.9")
            with pytest.raises(Rejected, match="cannot write"):
                await world.gateway.submit(world.configured, Origin("client:192.0.2.9"))
        assert len(world.core.disk.rows) == decided
        assert world.state.seq < decided + PENDING
        world.core.disk.broken = False
        await world.until(lambda: world.core.journal.committed == world.state.seq, within_s=5)
        assert world.health().verdict is not Verdict.CRITICAL
        after = {name: seen.frames for name, seen in world.registry.statistics().items()}
        assert all(after[name] - before[name] > 300 for name in before)
        assert [row.seq for row in world.core.disk.rows] == list(range(1, world.state.seq + 1))
        assert not any(isinstance(row.event, e.CameraWaiting | e.CameraStalled) for row in world.core.disk.rows)
