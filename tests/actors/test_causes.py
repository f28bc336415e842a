"""Causes: from every event they lead back to a person's action, or to a fault."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from actors.process.child import run_child
from actors.webrtc.deferred import Witness
from actors.webrtc.fanout import Joinable
from actors.webrtc.fanout_peer import FanoutPeer
from actors.webrtc.offer import SdpOffer
from actors.webrtc.sender import Sender
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import CameraId, ChildId, DeviceId, PeerId, RunId
from supervisor.domain.values import DeviceSettings, Fault, Limits, Mode, Patrol, Reason
from supervisor.ports.decisions import Origin
from supervisor.runtime.reconcile import wait_after_crash, wait_after_crash_of
from tests.kit.core import Core, configure, open_core
from tests.kit.domain import ASKED, GATE, NODE, RUN, YARD, child, peer, settings
from tests.kit.media import flv
from tests.kit.world import FakeProcess, Script, World, hangs, not_found, open_world, refused, streams
from tests.sim.viewers import OFFER

from .process.test_child import drain, explain, script, tools
from .process.test_sweep import FakeTable, make_sweep, stray

BOX = DeviceId("box")
ME = "192.0.2.9"


def newest(core: Core, kind: type[e.Event]) -> e.Recorded:
    return next(row for row in reversed(core.disk.rows) if isinstance(row.event, kind))


async def chain(core: Core, kind: type[e.Event], count: int = 0) -> list[str]:
    """Return the newest event of a kind and its causes back to the root; only the first `count` of them."""
    rows = await core.stored()
    row = newest(core, kind)
    told = [row.type]
    while row.cause is not None:
        row = rows[row.cause - 1]
        told.append(row.type)
    return told[:count] if count else told


def boxed(mode: Mode, *names: CameraId) -> dict[str, object]:
    cameras = [settings(name, device=BOX, mode=mode) for name in names]
    return {"cameras": cameras, "devices": [DeviceSettings(BOX, 1)]}


async def goes_quiet(process: FakeProcess) -> int:
    for chunk in flv(count=30):
        await process.output.send_all(chunk)
        await trio.sleep(0.1)
    await trio.sleep_forever()
    return 0


# ── the end of a connection ─────────────────────────────────────────────────────────────────────────────────────


async def test_departure_of_the_last_viewer_is_the_cause_of_closing(autojump_clock: MockClock) -> None:
    """The cause is not another viewer that came during the closing, nor an event of the camera while it lingered."""
    async with open_world({GATE: [streams]}, **boxed(Mode.ON_DEMAND, GATE)) as world:  # type: ignore[arg-type]
        await trio.sleep(0.1)
        await world.core.kernel.submit(peer("peer-1"))
        await world.until(lambda: world.camera() == "live")
        await world.core.kernel.submit(c.ReportPeerClosed(PeerId("peer-1"), ASKED))
        await trio.sleep(5)
        world.core.kernel.emit(c.ReportStall(GATE, 2.0))
        await world.until(lambda: world.camera() == "idle")
        told = await chain(world.core, e.CameraIdle)
        assert told == ["CameraIdle", "SlotFreed", "ChildEnded", "ChildStopping", "LeaseEnded", "PeerClosed"]
        assert newest(world.core, e.SlotFreed).event.reason.code == "unused"  # type: ignore[attr-defined]
        closed = newest(world.core, e.PeerClosed)
        assert newest(world.core, e.CameraIdle).correlation == closed.correlation


def change(world: World) -> None:
    world.core.kernel.emit(c.Configure("test", (settings(revision=1, device=BOX),), Limits()))


def remove(world: World) -> None:
    world.core.kernel.emit(c.Configure("test", (settings(YARD),), Limits()))


def stop(world: World) -> None:
    world.core.kernel.emit(c.StopRun(ASKED))


@pytest.mark.parametrize(
    ("script", "act", "cause", "code", "root"),
    [
        (goes_quiet, None, "CameraStalled", "stalled", "RunStarted"),
        (hangs, None, "CameraConnecting", "stalled", "RunStarted"),
        (streams, change, "CameraChanged", "settings-changed", "ConfigurationApplied"),
        (streams, remove, "CameraRemoved", "removed", "ConfigurationApplied"),
        (streams, stop, "RunStopping", "stopped", "RunStopping"),
    ],
)
async def test_a_child_is_ended_because_of_what_wanted_it(
    autojump_clock: MockClock, script: Script, act: Callable[[World], None] | None, cause: str, code: str, root: str
) -> None:
    """The ends of child and slot have the same reason, and lead to the same event."""
    async with open_world({GATE: [script, streams]}, cameras=[settings(device=BOX)]) as world:
        await trio.sleep(1.5)
        if act is not None:
            act(world)
        await world.until(lambda: world.processes[0].status is not None, within_s=60)
        await trio.sleep(0.01)
        told = await chain(world.core, e.SlotFreed)
        told = [kind for kind in told if kind != "CameraWaiting"]
        assert told[:4] == ["SlotFreed", "ChildEnded", "ChildStopping", cause]
        assert told[-1] in (root, "ConfigurationApplied")
        rows = await world.core.stored()
        ends = [row.event for row in rows if isinstance(row.event, e.ChildStopping | e.ChildEnded | e.SlotFreed)]
        assert {event.reason.code for event in ends} == {code}
        assert {event.reason.fault for event in ends} == {Fault.TEMPORARY if code == "stalled" else Fault.NONE}


async def test_slot_freed_after_a_crash_has_the_end_of_the_child_as_cause(autojump_clock: MockClock) -> None:
    """The slot is freed because the child ended, and the crash follows from that."""
    async with open_world({GATE: [streams]}, cameras=[settings(device=BOX)]) as world:

        def broken(*_: object) -> FakeProcess:
            raise ZeroDivisionError("a bug")

        world.opener = broken
        await trio.sleep(0.5)
        await world.core.stored()
        freed, crashed = newest(world.core, e.SlotFreed), newest(world.core, e.CameraCrashed)
        assert freed.event.reason.code == "crashed"  # type: ignore[attr-defined]
        assert (await chain(world.core, e.CameraCrashed, 3)) == ["CameraCrashed", "SlotFreed", "ChildEnded"]
        assert crashed.principal == "actor"


async def test_child_cancelled_before_its_start_has_the_cause_of_the_cancellation(autojump_clock: MockClock) -> None:
    """The reason and cause travel in the cancel scope."""
    async with open_core() as core:
        wanted = core.kernel.emit(c.RaiseAlert("test/why", "somebody wants it")).last
        with trio.CancelScope() as scope:
            scope.cancel(reason=core.kernel.because(ASKED, wanted))
            await run_child(script(""), drain, explain, tools(core))
        assert await chain(core, e.ChildEnded) == ["ChildEnded", "AlertRaised"]
        assert newest(core, e.ChildEnded).event.reason == ASKED  # type: ignore[attr-defined]


@pytest.mark.parametrize("act", [remove, stop])
async def test_a_viewer_whose_camera_ends_names_what_ended_it(
    autojump_clock: MockClock, act: Callable[[World], None]
) -> None:
    """`PeerClosed` follows from `CameraRemoved` or from `RunStopping`."""

    async def connect(offer: SdpOffer, fanout: Joinable, candidates: object, witness: Witness, **_: object) -> Reason:
        witness.answered("answer")
        witness.connected(FanoutPeer(Sender(offer), fanout.hub.subscribe()))
        await trio.sleep_forever()

    async with open_world({GATE: [streams]}) as world:
        world.connect = connect
        await trio.sleep(1)
        await world.core.kernel.submit(peer("peer-1"))
        await world.registry.open_peer(GATE, PeerId("peer-1"), world.registry.read_offer(OFFER))
        act(world)
        await trio.sleep(1)
        cause = "CameraRemoved" if act is remove else "RunStopping"
        assert (await chain(world.core, e.PeerClosed, 2)) == ["PeerClosed", cause]


async def test_peer_that_is_closed_follows_from_its_opening_and_then_from_the_request(
    autojump_clock: MockClock,
) -> None:
    """`PeerConnected` follows from `PeerOpened`, and `PeerClosed` from `PeerClosing`."""

    async def connect(offer: SdpOffer, fanout: Joinable, candidates: object, witness: Witness, **_: object) -> Reason:
        witness.answered("answer")
        witness.connected(FanoutPeer(Sender(offer), fanout.hub.subscribe()))
        await trio.sleep_forever()

    async with open_world({GATE: [streams]}) as world:
        world.connect = connect
        await trio.sleep(1)
        with world.core.kernel.following((await world.core.kernel.submit(peer("peer-1"))).last):
            await world.registry.open_peer(GATE, PeerId("peer-1"), world.registry.read_offer(OFFER))
        await world.core.kernel.submit(c.ClosePeer(PeerId("peer-1"), ASKED))
        await trio.sleep(1)
        assert (await chain(world.core, e.PeerConnected, 2)) == ["PeerConnected", "PeerOpened"]
        assert (await chain(world.core, e.PeerClosed)) == ["PeerClosed", "PeerClosing"]


async def test_peer_does_not_continue_the_cause_of_the_request_that_opened_it(autojump_clock: MockClock) -> None:
    """An event of the peer's actor that names no cause has none, although the request carries one."""

    async with open_world({GATE: [streams]}) as world:
        kernel = world.core.kernel

        async def connect(
            offer: SdpOffer, fanout: Joinable, candidates: object, witness: Witness, **_: object
        ) -> Reason:
            kernel.emit(c.RaiseAlert("test/peer", "from the peer's actor"))
            witness.answered("answer")
            await trio.sleep_forever()

        world.connect = connect
        await trio.sleep(1)
        opened = (await kernel.submit(peer("peer-1"))).last
        with kernel.following(opened):
            await world.registry.open_peer(GATE, PeerId("peer-1"), world.registry.read_offer(OFFER))
            kernel.emit(c.RaiseAlert("test/request", "from the request"))
        kernel.emit(c.RaiseAlert("test/after", "from the same task, after the block"))
        rows = [row for row in await world.core.stored() if isinstance(row.event, e.AlertRaised)]
        from_peer, from_request, afterwards = rows
        assert opened is not None
        assert (from_peer.cause, from_request.cause, afterwards.cause) == (None, opened.seq, None)
        assert from_request.correlation == opened.correlation


# ── causes of a connection ──────────────────────────────────────────────────────────────────────────────────────


async def test_freed_slot_is_the_cause_of_the_next_connection(autojump_clock: MockClock) -> None:
    """The request that waited stays the origin."""
    async with open_world({GATE: [streams], YARD: [streams]}, **boxed(Mode.ON_DEMAND, GATE, YARD)) as world:  # type: ignore[arg-type]
        kernel = world.core.kernel
        kernel.emit(peer("peer-1", GATE))
        await world.until(lambda: world.camera(GATE) == "live")
        mine = kernel.emit(peer("peer-2", YARD), origin=Origin(f"client:{ME}", "my request")).last
        await trio.sleep(2)
        assert world.camera(YARD) == "queued"
        kernel.emit(c.ReportPeerClosed(PeerId("peer-1"), ASKED))
        await world.until(lambda: world.camera(YARD) == "live")
        rows = await world.core.stored()
        taken = newest(world.core, e.SlotTaken)
        assert taken.cause is not None
        freed = rows[taken.cause - 1]
        assert isinstance(freed.event, e.SlotFreed)
        assert freed.event.camera == GATE
        queued = newest(world.core, e.CameraQueued)
        assert mine is not None
        assert queued.cause == mine.seq
        assert {row.correlation for row in (queued, taken, newest(world.core, e.CameraConnecting))} == {"my request"}
        assert taken.principal == f"client:{ME}"


@pytest.mark.parametrize("device", [None, BOX])
async def test_an_attempt_after_a_wait_follows_from_that_wait(
    autojump_clock: MockClock, device: DeviceId | None
) -> None:
    """Viewers that come or go meanwhile, and reloads, are not causes."""
    async with open_world({GATE: [not_found]}, cameras=[settings(device=device)]) as world:
        await trio.sleep(1)
        assert world.camera() == "failed"
        world.core.kernel.emit(c.Configure("again", (settings(device=device),), Limits()))
        await trio.sleep(12)
        assert len(world.starts) == 2
        expected = ["CameraConnecting", "SlotTaken", "SlotFreed"] if device else ["CameraConnecting"]
        told = await chain(world.core, e.CameraFailed)
        connecting = told.index("CameraConnecting")
        assert told[connecting : connecting + len(expected) + 1] == [*expected, "CameraFailed"]


async def test_viewer_that_has_left_is_not_the_cause_of_a_connection(autojump_clock: MockClock) -> None:
    """Of two peers, the one that still holds its lease is the cause of the connection."""
    async with open_world({GATE: [streams]}, cameras=[settings(mode=Mode.ON_DEMAND)]) as world:
        await trio.sleep(0.1)
        kernel = world.core.kernel
        kernel.emit(peer("peer-1"))
        kernel.emit(peer("peer-2"))
        kernel.emit(c.ReportPeerClosed(PeerId("peer-1"), ASKED))
        await world.until(lambda: world.camera() == "live")
        assert (await chain(world.core, e.CameraConnecting)) == ["CameraConnecting", "PeerOpened", "LeaseGranted"]


async def test_a_picture_that_a_lost_camera_did_not_give_names_the_loss(autojump_clock: MockClock) -> None:
    """The use ends because of `CameraWaiting` or `CameraFailed`."""
    for mood, cause in ((refused, "CameraWaiting"), (not_found, "CameraFailed")):
        async with open_world({GATE: [mood]}, **boxed(Mode.ON_DEMAND, GATE)) as world:  # type: ignore[arg-type]
            await trio.sleep(0.1)
            with pytest.raises(Rejected):
                await world.registry.take_picture(GATE, ME, None)
            assert (await chain(world.core, e.UseEnded, 2)) == ["UseEnded", cause]


@pytest.mark.parametrize(("act", "cause"), [(remove, "ConfigurationApplied"), (stop, "RunStopping")])
async def test_mjpeg_stream_that_ends_with_its_camera_has_the_same_cause(
    autojump_clock: MockClock, act: Callable[[World], None], cause: str
) -> None:
    """The lease of the MJPEG stream ends because of the new configuration, or of the stop."""
    async with open_world({GATE: [streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        row = world.registry.watch_pictures(GATE, ME)
        await anext(row)
        act(world)
        async for _ in row:
            pass
        assert (await chain(world.core, e.LeaseEnded, 2)) == ["LeaseEnded", cause]


# ── several events of one decision ──────────────────────────────────────────────────────────────────────────────


async def test_events_of_one_decision_follow_from_the_first_of_them(autojump_clock: MockClock) -> None:
    """Only the first event of a decision has the cause from outside."""
    configured = c.Configure("test", (settings(GATE, device=BOX), settings(YARD, device=BOX)), Limits())
    async with open_core(configuration=configured) as core:
        kernel = core.kernel
        for name in (GATE, YARD):
            kernel.emit(c.TakeSlot(name))
        kernel.emit(c.ConnectCamera(GATE))
        connecting = kernel.emit(c.ConnectCamera(YARD)).last
        full, waiting = kernel.emit(c.ReportLoss(YARD, Reason("full", "453"), 0.5), after=connecting).events
        assert connecting is not None
        assert (full.type, full.cause, waiting.type, waiting.cause) == (
            *("DeviceFull", connecting.seq), *("CameraWaiting", full.seq),
        )  # fmt: skip
        kernel.emit(c.FreeSlot(YARD, ASKED))
        found, taken = kernel.emit(c.ReportChildFound(ChildId("stray-1"), YARD, 1, 1, ())).events
        ended, freed = kernel.emit(c.ReportChildEnded(ChildId("stray-1"), None, None, ASKED), after=found).events
        assert [row.type for row in (taken, ended, freed)] == ["SlotTaken", "ChildEnded", "SlotFreed"]
        assert (taken.cause, ended.cause, freed.cause) == (found.seq, found.seq, ended.seq)


@pytest.mark.parametrize("graceful", [False, True])
async def test_leftovers_of_an_earlier_run_are_closed_with_its_end_or_the_new_start_as_cause(
    autojump_clock: MockClock, graceful: bool
) -> None:
    """After a crash the cause is `RunAbandoned`, after a graceful end `RunStarted`."""
    async with open_core() as core:
        kernel = core.kernel
        kernel.emit(child("child-1"))
        kernel.emit(c.RaiseAlert("test/why", "stands"))
        if graceful:
            kernel.emit(c.StopRun(ASKED))
            kernel.emit(c.EndRun())
        first, *others = kernel.emit(c.StartRun(RunId("run-2"), NODE, "0", 1)).events
        assert (first.type, first.cause) == ("RunStarted" if graceful else "RunAbandoned", None)
        assert {row.cause for row in others} == {first.seq}
        reasons = [row.event.reason for row in (first, *others) if hasattr(row.event, "reason")]
        assert {(reason.code, reason.fault) for reason in reasons} == {("abandoned", Fault.NONE)}


async def test_end_follows_from_its_request_and_then_from_its_own_events(autojump_clock: MockClock) -> None:
    """The cause is not an event before the end began, even if it is newer than the request."""
    async with open_core() as core:
        kernel = core.kernel
        wished = kernel.emit(c.RaiseAlert("test/why", "somebody wants it")).last
        connecting = kernel.emit(c.ConnectCamera(GATE)).last
        because = kernel.because(ASKED, wished)
        assert because.after(connecting) == wished
        idle = kernel.emit(c.RestCamera(GATE, ASKED)).last
        assert because.after(idle) == idle
        assert kernel.because(ASKED, None).after(connecting) == connecting


async def test_a_gap_in_the_journal_is_no_cause(autojump_clock: MockClock) -> None:
    """`latest` of the system is unchanged by it."""
    async with open_core() as core:
        before = core.kernel.latest("system")
        core.kernel.emit(c.ReportGap(1, 2))
        assert core.kernel.latest("system") == before is not None


# ── alerts, patrols, crashes, orphans ───────────────────────────────────────────────────────────────────────────


async def test_a_patrols_words_follow_from_its_round(autojump_clock: MockClock) -> None:
    """The alert and its end follow from `PatrolEnded`; uses are by `patrol`, the rest by `actor`."""
    cameras = [settings(mode=Mode.PATROL, group="east")]
    script = [not_found, not_found, streams]
    async with open_world({GATE: list(script)}, cameras=cameras, patrol=Patrol(every_s=400, patience_s=5)) as world:
        await world.until(lambda: "patrol/east" in world.core.kernel.state.alerts)
        assert await chain(world.core, e.AlertRaised) == ["AlertRaised", "PatrolEnded"]
        assert newest(world.core, e.UseBegan).principal == "patrol"
        assert {newest(world.core, kind).principal for kind in (e.PatrolEnded, e.AlertRaised)} == {"actor"}
        await world.until(lambda: "patrol/east" not in world.core.kernel.state.alerts)
        assert await chain(world.core, e.AlertCleared) == ["AlertCleared", "PatrolEnded"]


async def test_the_alert_of_a_group_goes_with_the_group(autojump_clock: MockClock) -> None:
    """Its only camera moves to another group: the configuration is the cause."""
    cameras = [settings(mode=Mode.PATROL, group="east")]
    patrol = Patrol(every_s=60, patience_s=5)
    async with open_world({GATE: [not_found]}, cameras=cameras, patrol=patrol) as world:
        await world.until(lambda: "patrol/east" in world.core.kernel.state.alerts)
        moved = (settings(mode=Mode.PATROL, group="west"),)
        world.core.kernel.emit(c.Configure("test", moved, Limits(), patrol=patrol))
        await trio.sleep(1)
        assert "patrol/east" not in world.core.kernel.state.alerts
        assert (await chain(world.core, e.AlertCleared, 2)) == ["AlertCleared", "ConfigurationApplied"]


async def test_crash_of_a_service_is_cleared_with_its_alert_as_cause(autojump_clock: MockClock) -> None:
    """The alert about the crash is the cause by which it is cleared."""
    async with open_core() as core:
        await wait_after_crash_of(core.kernel, "sweep", "a bug")
        assert await chain(core, e.AlertCleared) == ["AlertCleared", "AlertRaised"]
        assert newest(core, e.AlertRaised).principal == "actor"


async def test_crash_of_a_camera_without_events_follows_from_the_configuration(autojump_clock: MockClock) -> None:
    """Without an event in its stream, the cause is `ConfigurationApplied`."""
    async with open_core() as before:
        core = before.restarted(RunId("run-2"))
        core.kernel.emit(c.StartRun(core.kernel.run, NODE, "0", 1))
        core.kernel.emit(configure())
        await wait_after_crash(core.kernel, lambda: 0.0, GATE, "a bug")
        assert (await chain(core, e.CameraCrashed, 2)) == ["CameraCrashed", "ConfigurationApplied"]


async def test_the_sweeps_alerts_follow_from_the_camera(autojump_clock: MockClock) -> None:
    """From the child's events, or from the configuration if there is no such camera."""
    async with open_core(GATE, YARD) as core:
        core.kernel.emit(child("child-1", YARD))
        core.kernel.emit(c.RaiseAlert("go2rtc/roof", "may still hold a stream"))
        sweep = make_sweep(core, FakeTable([]))
        sweep._raise_alerts()
        assert (await chain(core, e.AlertRaised)) == ["AlertRaised", "ChildStarting"]
        assert newest(core, e.AlertRaised).principal == "actor"
        assert (await chain(core, e.AlertCleared, 2)) == ["AlertCleared", "ConfigurationApplied"]
        core.kernel.emit(c.ReportChildEnded(ChildId("child-1"), 0, None, ASKED))
        sweep._raise_alerts()
        assert (await chain(core, e.AlertCleared)) == ["AlertCleared", "ChildEnded"]


async def test_the_end_of_a_survivor_follows_from_the_run_that_found_it(autojump_clock: MockClock) -> None:
    """The chain leads over `RunStarted` to `RunAbandoned`, without older events in memory."""
    async with open_core() as before:
        before.kernel.emit(child("child-9"))
        core = before.restarted(RunId("run-2"))
        sweep = make_sweep(core, FakeTable([stray(RUN)]))
        core.kernel.emit(c.StartRun(core.kernel.run, NODE, "0", 1, await sweep.find_survivors()))
        await sweep.sweep()
        told = await chain(core, e.ChildEnded)
        assert told == ["ChildEnded", "ChildStopping", "ChildStarted", "RunStarted", "RunAbandoned"]
        assert newest(core, e.ChildStarted).principal == "actor"


async def test_orphaned_descendant_has_a_separate_stream(autojump_clock: MockClock) -> None:
    """It has a separate id until it is gone, in this run and in the next."""
    async with open_core() as core:
        core.kernel.emit(child("child-9"))
        core.kernel.emit(c.ReportChildEnded(ChildId("child-9"), 0, None, ASKED))
        table = FakeTable([stray(RUN)], deaf=True)
        sweep = make_sweep(core, table)
        await sweep.sweep()
        await sweep.sweep()
        (known,) = core.kernel.state.children.values()
        assert (known.child != "child-9", known.mark, known.phase.value) == (True, "child-9", "unkillable")
        assert await make_sweep(core, table).find_survivors() == {known.child}
        table.processes.clear()
        await sweep.sweep()
        assert not core.kernel.state.children
        rows = [row for row in await core.stored() if row.stream.startswith("child/")]
        assert [row.type for row in rows].count("ChildFound") == 1
        places = [(row.stream, row.stream_version) for row in rows]
        assert len(places) == len(set(places))
