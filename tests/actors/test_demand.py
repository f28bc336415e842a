"""On-demand cameras: viewers, snapshots, patrols; their shared resources and their cleanup."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from actors.webrtc.deferred import Witness
from actors.webrtc.fanout import Joinable
from actors.webrtc.fanout_peer import FanoutPeer
from actors.webrtc.offer import SdpOffer
from actors.webrtc.sender import Sender
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import CameraId, DeviceId, LeaseId, PeerId
from supervisor.domain.values import CameraSettings, DeviceSettings, Limits, Mode, Patrol, Reason
from supervisor.ports.decisions import ACTOR
from supervisor.services.leases import SWEEP_S, Leases
from tests.kit.domain import ASKED, GATE, YARD, lease, peer, settings
from tests.kit.media import flv
from tests.kit.patience import give_up_after
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
    """It closes 10 s after the last peer, as `unused`, after one connection."""
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
    """Even if its connection seems alive: without renewal of the lease, its peers end with it."""

    async def connect(offer: SdpOffer, fanout: Joinable, candidates: object, witness: Witness, **_: object) -> Reason:
        witness.answered("answer")
        witness.connected(FanoutPeer(Sender(offer), fanout.hub.subscribe()))
        await trio.sleep_forever()

    async with on_demand(streams) as world:
        world.connect = connect
        kernel, keeper = world.core.kernel, Leases(world.core.kernel)
        world.core.nursery.start_soon(keeper.run)
        keeper.grant(lease(ttl_s=30))
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
    """The lease ends at once, and no other event happens that could end the peer."""

    async def connect(offer: SdpOffer, fanout: Joinable, candidates: object, witness: Witness, **_: object) -> Reason:
        witness.answered("answer")
        await trio.sleep_forever()

    async with on_demand(streams) as world:
        world.connect = connect
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


async def test_viewer_that_returns_while_the_camera_lingers_uses_the_same_connection(autojump_clock: MockClock) -> None:
    """Three viewers with pauses of 5 s share one connection."""
    async with on_demand(streams) as world:
        for name in ("peer-1", "peer-2", "peer-3"):
            await world.core.kernel.submit(peer(name))
            await trio.sleep(5)
            await world.core.kernel.submit(c.ReportPeerClosed(PeerId(name), ASKED))
            await trio.sleep(5)
        assert len(world.starts) == 1


async def test_repeated_requests_do_not_shorten_the_backoff_of_a_failed_camera(autojump_clock: MockClock) -> None:
    """A hundred callers in ten minutes cause connection attempts no more often than the backoff allows."""
    async with on_demand(refused) as world:
        for _ in range(100):
            with pytest.raises(Rejected, match="connection refused"):
                await world.registry.take_picture(GATE, ME, None)
            await trio.sleep(6)
        assert len(world.starts) < 20
        assert not world.core.kernel.state.uses


async def test_abandoned_requests_for_pictures_delay_no_other_camera(autojump_clock: MockClock) -> None:
    """165 requests for snapshots of resting cameras are cancelled after 30 ms; then a camera is lost and comes back."""
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


async def test_snapshot_opens_an_idle_camera_and_closes_it_again(autojump_clock: MockClock) -> None:
    """A recent snapshot is used again; one that is too old for the caller needs a second connection."""
    async with on_demand(streams) as world:
        jpeg = await world.registry.take_picture(GATE, ME, None)
        assert (jpeg.data[:4], jpeg.age_s < 1) == (b"JPEG", True)
        await trio.sleep(0.5)
        assert (world.camera(), len(world.starts)) == ("idle", 1)
        again = await world.registry.take_picture(GATE, ME, None)
        assert (again.taken_ns, len(world.starts)) == (jpeg.taken_ns, 1)
        newer = await world.registry.take_picture(GATE, ME, 0.1)
        assert (newer.taken_ns > jpeg.taken_ns, len(world.starts)) == (True, 2)


async def test_cached_snapshot_opens_no_camera(autojump_clock: MockClock) -> None:
    """Without a snapshot it is 404; one that is too old is refused with its limit."""
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
    """Fifty callers at the same time."""
    async with on_demand(streams) as world:
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(world.registry.take_picture, GATE, f"192.0.2.{number}", None)
        assert (len(world.starts), world.decoder.made) == (1, 1)


async def test_cancelled_snapshot_request_leaves_nothing(autojump_clock: MockClock) -> None:
    """After a cancellation while the camera hangs, nothing of the request is left, and the camera closes."""
    async with on_demand(hangs) as world:
        with trio.move_on_after(3):
            await world.registry.take_picture(GATE, ME, None)
        await trio.sleep(3)
        assert (world.camera(), world.alive(GATE), len(world.core.kernel.state.uses)) == ("idle", [], 0)


async def test_snapshot_request_waits_at_most_its_time_limit(autojump_clock: MockClock) -> None:
    """The error for a slot that does not become free names its holder."""
    cameras = [settings(GATE, device=BOX), settings(YARD, device=BOX, mode=Mode.ON_DEMAND)]
    scripts = {GATE: [streams], YARD: [streams]}
    async with open_world(scripts, cameras=cameras, devices=[DeviceSettings(BOX, 1)]) as world:
        await world.until(lambda: world.camera(GATE) == "live")
        began = trio.current_time()
        with pytest.raises(Rejected, match=r"no picture within 15 s: .* taken by gate \(live\)"):
            await world.registry.take_picture(YARD, ME, None)
        assert trio.current_time() - began == pytest.approx(15)
        await trio.sleep(0.1)
        assert not world.core.kernel.state.slots_of(BOX, held=False)


async def test_snapshot_of_a_live_camera_needs_no_use(autojump_clock: MockClock) -> None:
    """The journal has no `UseBegan`."""
    async with open_world({GATE: [streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        await world.registry.take_picture(GATE, ME, None)
        assert "UseBegan" not in world.core.types()


async def test_mjpeg_stream_counts_as_a_viewer_and_ends_with_its_caller(autojump_clock: MockClock) -> None:
    """The MJPEG stream holds a lease, and the camera is idle 12 s after it is closed."""
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
    """A snapshot 5 s after the last peer changes nothing about the 10 s."""
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
    """The text names the group and the camera; the next snapshot clears it."""
    async with open_world({GATE: [refused, streams]}, cameras=patrolled(GATE)) as world:
        await trio.sleep(30)
        assert world.core.kernel.state.alerts["patrol/east"].text == "the patrol of east gets no snapshot of gate"
        await trio.sleep(120)
        assert not world.core.kernel.state.alerts


async def test_camera_does_not_linger_in_a_slot_that_another_waits_for(autojump_clock: MockClock) -> None:
    """On a device with one slot, the other camera's snapshot takes less than 2 s."""
    cameras = [settings(name, device=BOX, mode=Mode.ON_DEMAND) for name in (GATE, YARD)]
    scripts = {GATE: [streams], YARD: [streams]}
    async with open_world(scripts, cameras=cameras, devices=[DeviceSettings(BOX, 1)]) as world:
        await world.core.kernel.submit(peer("peer-1", GATE))
        await world.until(lambda: world.camera(GATE) == "live")
        await world.core.kernel.submit(c.ReportPeerClosed(PeerId("peer-1"), ASKED))
        await trio.sleep(5)
        began = trio.current_time()
        await world.registry.take_picture(YARD, ME, None)
        assert trio.current_time() - began < 2


async def test_causes_of_opening_and_closing_lead_to_the_client(autojump_clock: MockClock) -> None:
    """All three events share a correlation, and the principal is the client's address."""
    async with on_demand(streams) as world:
        await world.registry.take_picture(GATE, ME, None)
        await world.until(lambda: world.camera() == "idle")
        rows = {recorded.type: recorded for recorded in await world.core.stored()}
        assert rows["CameraConnecting"].cause == rows["UseBegan"].seq
        assert rows["CameraIdle"].correlation == rows["CameraConnecting"].correlation == rows["UseBegan"].correlation
        assert rows["CameraConnecting"].principal == f"client:{ME}"


async def test_a_camera_that_crashed_is_opened_again_when_it_is_wanted(autojump_clock: MockClock) -> None:
    """After repeated crashes and a quarantine, the camera is opened again without a change of its settings."""
    async with on_demand(streams) as world:
        stock = world.open_process

        def broken(*_: object) -> FakeProcess:
            raise ZeroDivisionError("a bug")

        world.opener = broken
        for _ in range(8):
            with pytest.raises(Rejected):
                await world.registry.take_picture(GATE, ME, 0.0)
            await trio.sleep(2)
        world.opener = stock
        await trio.sleep(400)
        assert world.camera() == "idle"
        assert (await world.registry.take_picture(GATE, ME, None)).data.startswith(b"JPEG")


async def test_mjpeg_stream_begins_with_a_new_snapshot(autojump_clock: MockClock) -> None:
    """An old snapshot is not sent to a new client, and a camera that fails returns an error status."""
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


async def test_mjpeg_stream_ends_with_its_camera(autojump_clock: MockClock) -> None:
    """The stream ends when the camera is removed, and leaves no use."""
    async with open_world({GATE: [streams], YARD: [streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        row = world.registry.watch_pictures(GATE, ME)
        await anext(row)
        await world.core.kernel.submit(c.Configure("test", (settings(YARD),), Limits()))
        with give_up_after(60):
            async for _ in row:
                pass
        assert not world.core.kernel.state.uses


def patrolled(*names: CameraId, device: str | None = None) -> list[CameraSettings]:
    return [settings(name, mode=Mode.PATROL, group="east", device=device) for name in names]


async def test_a_patrol_opens_takes_closes_and_leaves_nothing(autojump_clock: MockClock) -> None:
    """Each camera is visited once per patrol cycle, one after the other, and none is open between the cycles."""
    names = [CameraId(f"cam-{number}") for number in range(5)]
    async with open_world({name: [streams] for name in names}, cameras=patrolled(*names)) as world:
        await trio.sleep(30)
        assert [len(world.starts), [world.camera(name) for name in names]] == [5, ["idle"] * 5]
        await trio.sleep(60 * 9)
        assert len(world.starts) == 50
        assert all(process.status is not None for process in world.processes)
        rounds = [r.event for r in await world.core.stored() if isinstance(r.event, e.PatrolEnded)]
        assert [(r.snapshots, r.missed, r.skipped) for r in rounds] == [(5, (), 0)] * 10


async def test_patrol_visits_its_cameras_in_the_order_of_the_configuration(autojump_clock: MockClock) -> None:
    """The order holds in each cycle."""
    names = [YARD, CameraId("cam-2"), CameraId("cam-10")]
    async with open_world({name: [streams] for name in names}, cameras=patrolled(*names)) as world:
        await trio.sleep(90)
        visits = [r.event.camera for r in await world.core.stored() if isinstance(r.event, e.UseBegan)]
        assert visits == [*names, *names]


async def test_camera_that_leaves_its_group_before_its_visit_is_not_visited(autojump_clock: MockClock) -> None:
    """The cycle reports neither its snapshot nor a miss: each snapshot that it reports is of one visit."""
    async with open_world({GATE: [hangs], YARD: [streams]}, cameras=patrolled(GATE, YARD)) as world:
        await world.until(lambda: bool(world.core.kernel.state.uses))
        await world.core.kernel.submit(c.Configure("test", (*patrolled(GATE), settings(YARD)), Limits()))
        await trio.sleep(30)
        rows = [r.event for r in await world.core.stored()]
        assert [(r.snapshots, r.missed) for r in rows if isinstance(r, e.PatrolEnded)] == [(0, (GATE,))]
        assert {r.camera for r in rows if isinstance(r, e.UseBegan)} == {GATE}


async def test_a_late_round_skips_and_never_overlaps(autojump_clock: MockClock) -> None:
    """With two cameras that hang for longer than a cycle, cycles are skipped, and no camera is opened twice."""
    async with open_world(
        {GATE: [hangs], YARD: [hangs]}, cameras=patrolled(GATE, YARD), patrol=Patrol(every_s=10, patience_s=12)
    ) as world:
        await trio.sleep(300)
        rounds = [r.event for r in await world.core.stored() if isinstance(r.event, e.PatrolEnded)]
        assert all(r.skipped >= 1 and set(r.missed) == {GATE, YARD} for r in rounds)
        assert sum(1 + r.skipped for r in rounds) == pytest.approx(30, abs=4)


async def test_a_patrolled_camera_that_is_watched_is_not_opened_a_second_time(autojump_clock: MockClock) -> None:
    """Each patrol cycle takes its snapshot from the viewer's connection."""
    async with open_world({GATE: [streams]}, cameras=patrolled(GATE)) as world:
        await world.core.kernel.submit(peer("peer-1"))
        await trio.sleep(300)
        assert (len(world.starts), world.camera()) == (1, "live")
        rounds = [r.event for r in await world.core.stored() if isinstance(r.event, e.PatrolEnded)]
        assert {r.snapshots for r in rounds} == {1}


async def test_cameras_of_one_device_share_its_connections(autojump_clock: MockClock) -> None:
    """With two slots and three cameras, the third waits, names the holders, and is live when one leaves."""
    names = [GATE, YARD, CameraId("roof")]
    cameras = [settings(name, device=BOX, mode=Mode.ON_DEMAND) for name in names]
    scripts = {name: [streams] for name in names}
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


async def test_unkillable_child_holds_the_slot_of_its_device(autojump_clock: MockClock) -> None:
    """The device still serves the old connection; the second camera opens once the child has ended."""

    async def deaf(process: FakeProcess) -> int:
        process.ignores = {signal.SIGTERM, signal.SIGKILL}
        await streams_for(10, partial(stay, seconds=300))(process)
        return 0

    async def stay(process: FakeProcess, seconds: float) -> int:
        await trio.sleep(seconds)
        return 0

    cameras = [settings(name, device=BOX, mode=Mode.ON_DEMAND) for name in (GATE, YARD)]
    scripts = {GATE: [deaf], YARD: [streams]}
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
    """After 2 s without an access unit the camera is stalled; with the next one it is live again, on the same child."""

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
    """When an operator ends the lease of an MJPEG stream, the stream ends, whether its camera sends or hangs."""
    for script in (streams, streams_for(1.0, hangs)):
        async with on_demand(script) as world:
            row = world.registry.watch_pictures(GATE, ME)
            await anext(row)
            (lease,) = world.core.kernel.state.leases
            world.core.kernel.emit(c.EndLease(lease, ASKED))
            with give_up_after(3):
                assert [jpeg async for jpeg in row] == []
            assert not world.core.kernel.state.leases
