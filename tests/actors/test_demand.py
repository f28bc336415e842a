"""Cameras that are open only while somebody wants them: viewers, pictures, patrols; and what they share and leave."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from actors.rtc.fanout import Viewer
from actors.rtc.sender import Sender
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import CameraId, DeviceId, LeaseId, PeerId
from supervisor.domain.values import CameraSettings, DeviceSettings, Limits, Mode, Patrol
from supervisor.kernel import ACTOR
from supervisor.leases import SWEEP_S, Leases
from tests.kit.domain import ASKED, GATE, YARD, lease, peer, settings
from tests.kit.media import flv
from tests.kit.world import FakeProcess, Script, World, hangs, open_world, refused, streams, streams_for
from tests.sim.viewers import OFFER

BOX = DeviceId("box")
ME = "192.0.2.9"


@asynccontextmanager
async def on_demand(*script: Script, mode: Mode = Mode.ON_DEMAND, patrol: Patrol | None = None) -> AsyncIterator[World]:
    async with open_world({GATE: list(script)}, cameras=[settings(mode=mode)], patrol=patrol) as world:
        await trio.sleep(0.1)
        yield world


async def test_a_camera_on_demand_opens_with_its_first_viewer_and_lingers_after_the_last(
    autojump_clock: MockClock,
) -> None:
    async with on_demand(streams) as world:
        await trio.sleep(60)
        assert (world.starts, world.camera()) == ([], "idle")
        kernel = world.core.kernel
        await kernel.submit(peer("peer-1"))
        await world.until(lambda: world.camera() == "live")
        await kernel.submit(peer("peer-2"))
        await kernel.submit(c.ReportPeerClosed(PeerId("peer-1"), ASKED))
        await trio.sleep(30)
        assert world.camera() == "live"
        await kernel.submit(c.ReportPeerClosed(PeerId("peer-2"), ASKED))
        await trio.sleep(9)
        assert world.camera() == "live"
        await trio.sleep(2)
        assert (world.camera(), len(world.starts), world.alive(GATE)) == ("idle", 1, [])
        reason = kernel.state.cameras[GATE].reason
        assert reason is not None
        assert reason.code == "unused"


async def test_a_page_that_vanishes_leaves_neither_a_lease_nor_a_viewer_nor_an_open_camera(
    autojump_clock: MockClock,
) -> None:
    """Its connection may even seem to live: whoever does not renew the lease has its viewers ended with it."""

    async def connect(offer, fanout, candidates, witness, **_):  # type: ignore[no-untyped-def]
        witness.answered("answer")
        witness.connected(Viewer(Sender(offer), fanout.hub.subscribe()))
        await trio.sleep_forever()

    async with on_demand(streams) as world:
        object.__setattr__(world.registry._tools, "connect", connect)
        kernel, keeper = world.core.kernel, Leases(world.core.kernel)
        world.core.nursery.start_soon(keeper.run)
        keeper.lend(lease(ttl_s=30))
        kernel.emit(replace(peer("peer-1"), lease=LeaseId("lease-1"), holder="mine"))
        await world.registry.open_peer(GATE, PeerId("peer-1"), world.registry.read_offer(OFFER))
        for _ in range(30):
            keeper.renew(LeaseId("lease-1"), "mine", 0.0, ACTOR)
            await trio.sleep(10)
        assert (world.camera(), len(kernel.state.peers)) == ("live", 1)
        await world.until(lambda: not kernel.state.peers)
        vanished_s = trio.current_time() - 300.1
        assert not kernel.state.leases
        assert vanished_s <= 30 + SWEEP_S
        await trio.sleep(kernel.state.limits.linger_s + 2)
        assert (world.camera(), world.alive(GATE)) == ("idle", [])


async def test_a_viewer_whose_lease_ends_before_its_actor_begins_is_ended_all_the_same(
    autojump_clock: MockClock,
) -> None:
    """Somebody closes the large view at once, and nothing else happens that could remind anybody."""

    async def connect(offer, fanout, candidates, witness, **_):  # type: ignore[no-untyped-def]
        witness.answered("answer")
        await trio.sleep_forever()

    async with on_demand(streams) as world:
        object.__setattr__(world.registry._tools, "connect", connect)
        kernel = world.core.kernel
        kernel.emit(lease())
        await world.until(lambda: world.camera() == "live")
        kernel.emit(replace(peer("peer-1"), lease=LeaseId("lease-1"), holder="mine"))
        kernel.emit(c.EndLease(LeaseId("lease-1"), ASKED))
        await trio.sleep(1)
        with suppress(Rejected):
            await world.registry.open_peer(GATE, PeerId("peer-1"), world.registry.read_offer(OFFER))
        await trio.sleep(0.1)
        assert not kernel.state.peers


async def test_a_viewer_who_comes_back_while_it_lingers_finds_it_open(autojump_clock: MockClock) -> None:
    async with on_demand(streams) as world:
        for name in ("peer-1", "peer-2", "peer-3"):
            await world.core.kernel.submit(peer(name))
            await trio.sleep(5)
            await world.core.kernel.submit(c.ReportPeerClosed(PeerId(name), ASKED))
            await trio.sleep(5)
        assert len(world.starts) == 1


async def test_nobody_who_comes_and_goes_can_hurry_a_camera_that_fails(autojump_clock: MockClock) -> None:
    """A hundred callers in ten minutes, each served by a connection attempt at most as often as backoff allows."""
    async with on_demand(refused) as world:
        for _ in range(100):
            with pytest.raises(Rejected, match="connection refused"):
                await world.registry.take_picture(GATE, ME, None)
            await trio.sleep(6)
        assert len(world.starts) < 20
        assert not world.core.kernel.state.uses


async def test_abandoned_requests_for_pictures_delay_no_other_camera(autojump_clock: MockClock) -> None:
    """165 requests for pictures of resting cameras, each given up after 30 ms; then a camera is lost and comes back."""
    cameras = [settings(GATE), settings(YARD, mode=Mode.ON_DEMAND)]
    async with open_world({GATE: [streams_for(10, refused), streams], YARD: [hangs]}, cameras=cameras) as world:
        await world.until(lambda: world.camera() == "live")
        clients = (f"192.0.2.{number}" for number in count(10))
        while world.camera() == "live":
            with trio.move_on_after(0.03):
                await world.registry.take_picture(YARD, next(clients), None)
        lost = trio.current_time()
        await world.until(lambda: world.camera() == "live")
        assert trio.current_time() - lost < 1.5
        assert world.registry.starts_waiting() == (0, 0.0)


async def test_a_picture_opens_a_camera_that_rests_and_closes_it_again(autojump_clock: MockClock) -> None:
    async with on_demand(streams) as world:
        jpeg = await world.registry.take_picture(GATE, ME, None)
        assert (jpeg.data[:4], jpeg.age_s < 1) == (b"JPEG", True)
        await trio.sleep(0.5)
        assert (world.camera(), len(world.starts)) == ("idle", 1)
        again = await world.registry.take_picture(GATE, ME, None)
        assert (again.taken_ns, len(world.starts)) == (jpeg.taken_ns, 1)
        newer = await world.registry.take_picture(GATE, ME, 0.1)
        assert (newer.taken_ns > jpeg.taken_ns, len(world.starts)) == (True, 2)


async def test_the_picture_that_there_is_opens_nothing_and_asks_nobody(autojump_clock: MockClock) -> None:
    async with on_demand(streams) as world:
        with pytest.raises(Rejected, match="no picture of gate yet") as none:
            await world.registry.take_picture(GATE, ME, None, open_it=False)
        assert (none.value.status, world.starts, "UseBegan" in world.core.types()) == (404, [], False)
        jpeg = await world.registry.take_picture(GATE, ME, None)
        await trio.sleep(100)
        old = await world.registry.take_picture(GATE, ME, 200, open_it=False)
        assert (old.taken_ns, old.age_s > 99) == (jpeg.taken_ns, True)
        with pytest.raises(Rejected, match="of the last 50 s"):
            await world.registry.take_picture(GATE, ME, 50, open_it=False)
        assert len(world.starts) == 1


async def test_many_callers_share_one_connection_and_one_decoding(autojump_clock: MockClock) -> None:
    async with on_demand(streams) as world:
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(world.registry.take_picture, GATE, f"192.0.2.{number}", None)
        assert (len(world.starts), world.decoder.made) == (1, 1)


async def test_a_caller_who_leaves_takes_his_wish_with_him(autojump_clock: MockClock) -> None:
    """Cancelled while the camera hangs: nothing of the request is left, and the camera closes."""
    async with on_demand(hangs) as world:
        with trio.move_on_after(3):
            await world.registry.take_picture(GATE, ME, None)
        await trio.sleep(3)
        assert (world.camera(), world.alive(GATE), len(world.core.kernel.state.uses)) == ("idle", [], 0)


async def test_nobody_waits_longer_than_his_patience(autojump_clock: MockClock) -> None:
    """Whoever waits for a place that does not come free is told who has it."""
    cameras = [settings(GATE, device=BOX), settings(YARD, device=BOX, mode=Mode.ON_DEMAND)]
    scripts: dict[CameraId, list[Script]] = {GATE: [streams], YARD: [streams]}
    async with open_world(scripts, cameras=cameras, devices=[DeviceSettings(BOX, 1)]) as world:
        await world.until(lambda: world.camera(GATE) == "live")
        began = trio.current_time()
        with pytest.raises(Rejected, match=r"no picture within 15 s: .* taken by gate \(live\)"):
            await world.registry.take_picture(YARD, ME, None)
        assert trio.current_time() - began == pytest.approx(15)
        await trio.sleep(0.1)
        assert not world.core.kernel.state.slots_of(BOX, held=False)


async def test_a_live_camera_gives_its_picture_without_being_asked_for_one(autojump_clock: MockClock) -> None:
    async with open_world({GATE: [streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        await world.registry.take_picture(GATE, ME, None)
        assert "UseBegan" not in world.core.types()


async def test_a_row_of_pictures_counts_as_a_viewer_and_ends_with_its_caller(autojump_clock: MockClock) -> None:
    async with on_demand(streams) as world:
        row = world.registry.watch_pictures(GATE, ME)
        numbers = [(await anext(row)).taken_ns for _ in range(5)]
        assert numbers == sorted(set(numbers))
        (lease,) = world.core.kernel.state.leases.values()
        assert (lease.kind, lease.client, lease.is_held) == ("viewer", ME, True)
        await row.aclose()
        assert not world.core.kernel.state.leases
        await trio.sleep(12)
        assert world.camera() == "idle"


async def test_a_photograph_does_not_end_the_time_that_a_viewer_has_left(autojump_clock: MockClock) -> None:
    async with on_demand(streams) as world:
        await world.core.kernel.submit(peer("peer-1"))
        await world.until(lambda: world.camera() == "live")
        await world.core.kernel.submit(c.ReportPeerClosed(PeerId("peer-1"), ASKED))
        closed = trio.current_time()
        await trio.sleep(5)
        await world.registry.take_picture(GATE, ME, 0.0)
        await trio.sleep_until(closed + 9)
        assert world.camera() == "live"
        await trio.sleep_until(closed + 11)
        assert world.camera() == "idle"


async def test_a_patrol_that_gets_no_picture_is_an_alert_until_it_does(autojump_clock: MockClock) -> None:
    async with open_world({GATE: [refused, streams]}, cameras=patrolled(GATE)) as world:
        await trio.sleep(30)
        assert world.core.kernel.state.alerts["patrol/east"].text == "the patrol of east gets no picture of gate"
        await trio.sleep(120)
        assert not world.core.kernel.state.alerts


async def test_nobody_lingers_in_a_place_that_another_waits_for(autojump_clock: MockClock) -> None:
    cameras = [settings(name, device=BOX, mode=Mode.ON_DEMAND) for name in (GATE, YARD)]
    scripts: dict[CameraId, list[Script]] = {GATE: [streams], YARD: [streams]}
    async with open_world(scripts, cameras=cameras, devices=[DeviceSettings(BOX, 1)]) as world:
        await world.core.kernel.submit(peer("peer-1", GATE))
        await world.until(lambda: world.camera(GATE) == "live")
        await world.core.kernel.submit(c.ReportPeerClosed(PeerId("peer-1"), ASKED))
        await trio.sleep(5)
        began = trio.current_time()
        await world.registry.take_picture(YARD, ME, None)
        assert trio.current_time() - began < 2


async def test_why_a_camera_opened_and_closed_leads_to_who_wanted_it(autojump_clock: MockClock) -> None:
    async with on_demand(streams) as world:
        await world.registry.take_picture(GATE, ME, None)
        await world.until(lambda: world.camera() == "idle")
        rows = {recorded.type: recorded for recorded in await world.core.stored()}
        assert rows["CameraConnecting"].cause == rows["UseBegan"].seq
        assert rows["CameraIdle"].correlation == rows["CameraConnecting"].correlation == rows["UseBegan"].correlation
        assert rows["CameraConnecting"].principal == f"client:{ME}"


async def test_a_camera_that_crashed_is_opened_again_when_it_is_wanted(autojump_clock: MockClock) -> None:
    """Crashes in a row, quarantine included, are waited out; nobody has to change its settings for it to come back."""
    async with on_demand(streams) as world:
        stock = world.open_process

        def broken(*_: object) -> FakeProcess:
            raise ZeroDivisionError("a bug")

        object.__setattr__(world.registry._tools, "open_process", broken)
        for _ in range(8):
            with pytest.raises(Rejected):
                await world.registry.take_picture(GATE, ME, 0.0)
            await trio.sleep(2)
        object.__setattr__(world.registry._tools, "open_process", stock)
        await trio.sleep(400)
        assert world.camera() == "idle"
        assert (await world.registry.take_picture(GATE, ME, None)).data.startswith(b"JPEG")


async def test_a_row_of_pictures_begins_with_one_of_now(autojump_clock: MockClock) -> None:
    """The picture of this morning is not shown to whoever comes now, and a camera that fails says so with a status."""
    async with on_demand(streams, refused) as world:
        old = await world.registry.take_picture(GATE, ME, None)
        await trio.sleep(3600)
        world.scripts[GATE] = [streams]
        row = world.registry.watch_pictures(GATE, ME)
        assert (await anext(row)).taken_ns > old.taken_ns + 3600 * 10**9
        await row.aclose()
        await trio.sleep(60)
        world.scripts[GATE] = [refused]
        with pytest.raises(Rejected, match="connection refused"):
            await anext(world.registry.watch_pictures(GATE, ME))
        assert not world.core.kernel.state.uses


async def test_a_row_of_pictures_ends_with_its_camera(autojump_clock: MockClock) -> None:
    async with open_world({GATE: [streams], YARD: [streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        row = world.registry.watch_pictures(GATE, ME)
        await anext(row)
        await world.core.kernel.submit(c.Configure("test", (settings(YARD),), Limits()))
        with trio.fail_after(60):
            async for _ in row:
                pass
        assert not world.core.kernel.state.uses


def patrolled(*names: CameraId, device: str | None = None) -> list[CameraSettings]:
    return [settings(name, mode=Mode.PATROL, group="east", device=device) for name in names]


async def test_a_patrol_opens_takes_closes_and_leaves_nothing(autojump_clock: MockClock) -> None:
    """One after the other, each once a round, and nothing is open between the rounds."""
    names = [CameraId(f"cam-{number}") for number in range(5)]
    async with open_world({name: [streams] for name in names}, cameras=patrolled(*names)) as world:
        await trio.sleep(30)
        assert [len(world.starts), [world.camera(name) for name in names]] == [5, ["idle"] * 5]
        await trio.sleep(60 * 9)
        assert len(world.starts) == 50
        assert all(process.status is not None for process in world.processes)
        rounds = [r.event for r in await world.core.stored() if isinstance(r.event, e.PatrolEnded)]
        assert [(r.pictures, r.missed, r.skipped) for r in rounds] == [(5, (), 0)] * 10


async def test_a_late_round_skips_and_never_overlaps(autojump_clock: MockClock) -> None:
    """Two cameras that hang for longer than a round: rounds are left out, and no camera is ever opened twice."""
    async with open_world(
        {GATE: [hangs], YARD: [hangs]}, cameras=patrolled(GATE, YARD), patrol=Patrol(every_s=10, patience_s=12)
    ) as world:
        await trio.sleep(300)
        rounds = [r.event for r in await world.core.stored() if isinstance(r.event, e.PatrolEnded)]
        assert all(r.skipped >= 1 and set(r.missed) == {GATE, YARD} for r in rounds)
        assert sum(1 + r.skipped for r in rounds) == pytest.approx(30, abs=4)


async def test_a_patrolled_camera_that_is_watched_is_not_opened_a_second_time(autojump_clock: MockClock) -> None:
    async with open_world({GATE: [streams]}, cameras=patrolled(GATE)) as world:
        await world.core.kernel.submit(peer("peer-1"))
        await trio.sleep(300)
        assert (len(world.starts), world.camera()) == (1, "live")
        rounds = [r.event for r in await world.core.stored() if isinstance(r.event, e.PatrolEnded)]
        assert {r.pictures for r in rounds} == {1}


async def test_cameras_of_one_device_share_its_connections(autojump_clock: MockClock) -> None:
    """Two places, three cameras: the third waits, says for whom, and is live when one leaves."""
    names = [GATE, YARD, CameraId("roof")]
    cameras = [settings(name, device=BOX, mode=Mode.ON_DEMAND) for name in names]
    scripts: dict[CameraId, list[Script]] = {name: [streams] for name in names}
    async with open_world(scripts, cameras=cameras, devices=[DeviceSettings(BOX, 2)]) as world:
        kernel = world.core.kernel
        for name in names:
            await kernel.submit(peer(f"peer-{name}", name))
        await trio.sleep(10)
        assert sorted(world.camera(name) for name in names) == ["live", "live", "queued"]
        waiting = next(name for name in names if world.camera(name) == "queued")
        leaving = next(name for name in names if world.camera(name) == "live")
        assert leaving in str(kernel.state.cameras[waiting].reason)
        await kernel.submit(c.ReportPeerClosed(PeerId(f"peer-{leaving}"), ASKED))
        await trio.sleep(20)
        assert (world.camera(waiting), world.camera(leaving)) == ("live", "idle")


async def test_an_unkillable_child_holds_its_devices_place(autojump_clock: MockClock) -> None:
    async def deaf(process: FakeProcess) -> int:
        process.ignores = {signal.SIGTERM, signal.SIGKILL}
        await streams_for(10, partial(stay, seconds=300))(process)
        return 0

    async def stay(process: FakeProcess, seconds: float) -> int:
        await trio.sleep(seconds)
        return 0

    cameras = [settings(name, device=BOX, mode=Mode.ON_DEMAND) for name in (GATE, YARD)]
    scripts: dict[CameraId, list[Script]] = {GATE: [deaf], YARD: [streams]}
    async with open_world(scripts, cameras=cameras, devices=[DeviceSettings(BOX, 1)]) as world:
        await world.core.kernel.submit(peer("peer-1", GATE))
        await trio.sleep(1)
        await world.core.kernel.submit(peer("peer-2", YARD))
        await trio.sleep(60)
        assert (world.camera(YARD), len(world.starts)) == ("queued", 1)
        assert "taken by gate" in str(world.core.kernel.state.cameras[YARD].reason)
        await trio.sleep(300)
        assert world.processes[0].status is not None
        await world.until(lambda: len(world.starts) > 1)


async def test_silence_is_shown_before_it_ends_the_connection(autojump_clock: MockClock) -> None:
    """After 2 s without a picture the camera is stalled; with the next picture it is live again, on the same child."""

    async def pauses(process: FakeProcess) -> int:
        for index, chunk in enumerate(flv(count=200)):
            await process.output.send_all(chunk)
            await trio.sleep(4 if index == 50 else 0.1)
        return 0

    async with open_world({GATE: [pauses]}) as world:
        await trio.sleep(7.5)
        assert world.camera() == "stalled"
        await trio.sleep(3)
        assert (world.camera(), len(world.processes)) == ("live", 1)
        assert world.core.types("camera/").count("CameraStalled") == 1


async def test_stream_of_pictures_ends_with_its_lease(autojump_clock: MockClock) -> None:
    """An operator who ends the lease of a stream of pictures ends the stream, whether its camera sends or hangs."""
    for script in (streams, streams_for(1.0, hangs)):
        async with on_demand(script) as world:
            row = world.registry.watch_pictures(GATE, ME)
            await anext(row)
            (lease,) = world.core.kernel.state.leases
            world.core.kernel.emit(c.EndLease(lease, ASKED))
            with trio.fail_after(3):
                assert [jpeg async for jpeg in row] == []
            assert not world.core.kernel.state.leases
