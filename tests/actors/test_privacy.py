"""Private cameras in virtual time: the source is closed at once, nothing of it is served, and nothing opens it."""

from collections.abc import AsyncGenerator

import pytest
import trio
from trio.testing import MockClock

from actors.media.hub import Still
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, PeerId
from supervisor.domain.values import Limits, Mode
from supervisor.ports.viewing import Jpeg
from tests.kit.decoding import FakeDecoder
from tests.kit.domain import ASKED, GATE, YARD, peer, settings
from tests.kit.world import Script, World, hangs, not_found, open_world, refused, streams

ME = "192.0.2.9"
ON, OFF = c.SetPrivacy(GATE, True, ME), c.SetPrivacy(GATE, False, ME)
AT_ONCE_S = 1.0


async def test_source_of_a_private_camera_is_closed_at_once_and_opened_again_after_it(
    autojump_clock: MockClock,
) -> None:
    """Its child is reaped within a second, and the rest follows from `PrivacyBegan`; then it is live again."""
    async with open_world({GATE: [streams], YARD: [streams]}) as world:
        await world.until(lambda: world.camera() == "live" == world.camera(YARD))
        began = (await world.core.kernel.submit(ON)).last
        with trio.fail_after(AT_ONCE_S):
            await world.until(lambda: world.camera() == "idle" and not world.alive(GATE))
        rows = await world.core.stored()
        (cause,) = (row for row in rows if isinstance(row.event, e.CameraIdle) and row.event.reason.code == "privacy")
        while cause.cause is not None:
            cause = rows[cause.cause - 1]
        assert cause == began
        await trio.sleep(3600)
        assert (world.camera(), world.camera(YARD), len(world.starts)) == ("idle", "live", 2)
        ended = (await world.core.kernel.submit(OFF)).last
        await world.until(lambda: world.camera() == "live")
        connecting = [row for row in await world.core.stored() if isinstance(row.event, e.CameraConnecting)][-1]
        assert ended is not None
        assert connecting.cause == ended.seq


@pytest.mark.parametrize("script", [refused, not_found, hangs], ids=["waiting", "failed", "connecting"])
async def test_camera_that_is_not_live_rests_while_it_is_private(script: Script, autojump_clock: MockClock) -> None:
    """No backoff, no probe and no attempt goes on."""
    async with open_world({GATE: [script]}) as world:
        await trio.sleep(3)
        assert world.camera() != "idle"
        await world.core.kernel.submit(ON)
        with trio.fail_after(AT_ONCE_S):
            await world.until(lambda: world.camera() == "idle" and not world.alive(GATE))
        starts = len(world.starts)
        await trio.sleep(3600)
        assert (len(world.starts), world.camera()) == (starts, "idle")


async def test_quarantined_camera_rests_while_it_is_private(autojump_clock: MockClock) -> None:
    """A retry was asked for before; it does not open the camera."""
    async with open_world({GATE: [not_found]}) as world:
        await world.until(lambda: world.camera() == "failed")
        await trio.sleep(2)
        await world.core.kernel.submit(c.RetryCamera(GATE, ME))
        await world.core.kernel.submit(ON)
        starts = len(world.starts)
        await trio.sleep(60)
        assert (world.camera(), len(world.starts)) == ("idle", starts)


async def test_camera_that_lingers_is_closed_at_once(autojump_clock: MockClock) -> None:
    """The 10 s after the last viewer are cut short."""
    async with open_world({GATE: [streams]}, cameras=[settings(mode=Mode.ON_DEMAND)]) as world:
        await trio.sleep(0.1)
        await world.core.kernel.submit(peer("peer-1"))
        await world.until(lambda: world.camera() == "live")
        await world.core.kernel.submit(c.ReportPeerClosed(PeerId("peer-1"), ASKED))
        await trio.sleep(2)
        assert world.camera() == "live"
        await world.core.kernel.submit(ON)
        with trio.fail_after(AT_ONCE_S):
            await world.until(lambda: world.camera() == "idle" and not world.alive(GATE))


async def refusal_of(world: World, max_age_s: float | None, *, open_it: bool) -> Refusal:
    with pytest.raises(Rejected) as refused:
        await world.registry.take_picture(GATE, ME, max_age_s, open_it=open_it)
    return refused.value.refusal


@pytest.mark.parametrize("mode", [Mode.ALWAYS, Mode.ON_DEMAND])
async def test_nothing_that_was_received_before_is_served(mode: Mode, autojump_clock: MockClock) -> None:
    """Neither the last snapshot nor the cached GOP, during the time or after it."""
    async with open_world({GATE: [streams]}, cameras=[settings(mode=mode)]) as world:
        await trio.sleep(0.1)
        await world.registry.take_picture(GATE, ME, None)
        hub = world.registry._cameras[GATE].hub
        assert hub.still is not None
        await world.core.kernel.submit(ON)
        assert await refusal_of(world, None, open_it=True) is Refusal.PRIVATE
        assert await refusal_of(world, None, open_it=False) is Refusal.PRIVATE
        await world.until(lambda: world.camera() == "idle")
        assert [hub.still, hub.newest_key(), hub.units.start == hub.units.end] == [None, None, True]
        assert world.registry._cameras[GATE].decoded is None
        world.scripts[GATE] = [hangs]
        await world.core.kernel.submit(OFF)
        await trio.sleep(1)
        assert await refusal_of(world, None, open_it=False) is Refusal.UNKNOWN


@pytest.mark.parametrize("mode", [Mode.ALWAYS, Mode.ON_DEMAND])
async def test_snapshot_that_waits_for_a_picture_is_refused_at_once(mode: Mode, autojump_clock: MockClock) -> None:
    """It does not wait for its 15 s, and leaves no use."""
    async with open_world({GATE: [hangs]}, cameras=[settings(mode=mode)]) as world:
        refusals: list[Refusal] = []

        async def ask() -> None:
            refusals.append(await refusal_of(world, 0.0, open_it=True))

        await trio.sleep(0.1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(3)
            await world.core.kernel.submit(ON)
            with trio.fail_after(AT_ONCE_S):
                await world.until(lambda: bool(refusals))
        assert refusals == [Refusal.PRIVATE]
        assert not world.core.kernel.state.uses


async def test_snapshot_that_is_being_decoded_is_not_served(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key frame is of before; it is refused when the decoder is done."""
    async with open_world({GATE: [streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        decode, go_on = world.decoder.jpeg, trio.Event()

        async def slow(decoder: FakeDecoder, camera: CameraId, still: Still) -> bytes:
            await go_on.wait()
            return await decode(camera, still)

        monkeypatch.setattr(type(world.decoder), "jpeg", slow)
        refusals: list[Refusal] = []

        async def ask() -> None:
            refusals.append(await refusal_of(world, None, open_it=True))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(1)
            await world.core.kernel.submit(ON)
            go_on.set()
        assert refusals == [Refusal.PRIVATE]


async def test_mjpeg_stream_ends_and_no_picture_follows(autojump_clock: MockClock) -> None:
    """Within a second, without another picture; a new one is refused."""
    async with open_world({GATE: [streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        row = world.registry.watch_pictures(GATE, ME)
        await anext(row)
        await world.core.kernel.submit(ON)
        with trio.fail_after(2 * AT_ONCE_S):
            assert [jpeg async for jpeg in row] == []
        with pytest.raises(Rejected) as refused:
            await _first(world.registry.watch_pictures(GATE, ME))
        assert refused.value.refusal is Refusal.PRIVATE


async def _first(row: AsyncGenerator[Jpeg, None]) -> Jpeg:
    return await anext(row)


async def test_patrol_skips_a_private_camera_and_misses_nothing(autojump_clock: MockClock) -> None:
    """Also the visit that it interrupts is no miss, and no alert is raised."""
    cameras = [settings(name, mode=Mode.PATROL, group="east") for name in (GATE, YARD)]
    async with open_world({GATE: [hangs], YARD: [streams]}, cameras=cameras) as world:
        await world.until(lambda: bool(world.core.kernel.state.uses))
        await world.core.kernel.submit(ON)
        await trio.sleep(150)
        rows = [row.event for row in await world.core.stored()]
        assert [(row.snapshots, row.missed) for row in rows if isinstance(row, e.PatrolEnded)] == [(1, ())] * 3
        assert [row.camera for row in rows if isinstance(row, e.UseBegan)] == [GATE, YARD, YARD, YARD]
        assert not [row for row in rows if isinstance(row, e.AlertRaised)]


async def test_camera_that_is_removed_and_added_while_it_is_private_is_not_opened(autojump_clock: MockClock) -> None:
    """It has a new actor and a new hub."""
    async with open_world({GATE: [streams], YARD: [streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        await world.core.kernel.submit(ON)
        await world.core.kernel.submit(c.Configure("test", (settings(YARD),), Limits()))
        await trio.sleep(5)
        await world.core.kernel.submit(c.Configure("test", (settings(GATE), settings(YARD)), Limits()))
        await trio.sleep(60)
        assert (world.camera(), world.camera(YARD), len(world.starts)) == ("idle", "live", 2)
        await world.core.kernel.submit(OFF)
        await world.until(lambda: world.camera() == "live")
