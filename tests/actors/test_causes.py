"""Why something happened: from every event the causes lead back to what somebody did, or to the fault."""

import pytest
import trio
from trio.testing import MockClock

from actors.child import run_child
from actors.rtc.fanout import Viewer
from actors.rtc.sender import Sender
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import CameraId, ChildId, DeviceId, PeerId, RunId, camera_stream
from supervisor.domain.values import DeviceSettings, Fault, Limits, Mode, Patrol, Reason
from supervisor.kernel import Origin
from supervisor.reconcile import wait_after_crash, wait_after_crash_of
from tests.kit.core import Core, open_core
from tests.kit.domain import ASKED, GATE, NODE, RUN, YARD, child, peer, settings
from tests.kit.media import flv
from tests.kit.world import FakeProcess, Script, World, hangs, not_found, open_world, refused, streams
from tests.sim.viewers import OFFER

from .test_child import drain, explain, script, tools
from .test_sweep import FakeTable, make_sweep, stray

BOX = DeviceId("box")
ME = "192.0.2.9"


def newest(core: Core, kind: type[e.Event]) -> e.Recorded:
    return next(row for row in reversed(core.disk.rows) if isinstance(row.event, kind))


async def chain(core: Core, kind: type[e.Event], count: int = 0) -> list[str]:
    """The newest event of a kind and, back to the root, what it follows from; the first `count` of them."""
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


# ── the end of what a camera runs ───────────────────────────────────────────────────────────────────────────────


async def test_a_camera_is_let_go_because_its_viewer_left(autojump_clock: MockClock) -> None:
    """And not because of another one who came while it was closing, or of what it said while it lingered."""
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
    autojump_clock: MockClock, script: Script, act, cause: str, code: str, root: str
) -> None:  # type: ignore[no-untyped-def]
    """The child's end and the place's say the same reason, and lead to the same event."""
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


async def test_a_place_given_back_after_a_crash_says_so(autojump_clock: MockClock) -> None:
    async with open_world({GATE: [streams]}, cameras=[settings(device=BOX)]) as world:

        def broken(*_: object) -> FakeProcess:
            raise ZeroDivisionError("a bug")

        object.__setattr__(world.registry._tools, "open_process", broken)
        await trio.sleep(0.5)
        await world.core.stored()
        freed, crashed = newest(world.core, e.SlotFreed), newest(world.core, e.CameraCrashed)
        assert freed.event.reason.code == "crashed"  # type: ignore[attr-defined]
        assert (await chain(world.core, e.CameraCrashed, 3)) == ["CameraCrashed", "SlotFreed", "ChildEnded"]
        assert crashed.principal == "actor"


async def test_a_child_cancelled_before_its_start_names_who_wanted_that(autojump_clock: MockClock) -> None:
    async with open_core() as core:
        wanted = core.kernel.emit(c.RaiseAlert("test/why", "somebody wants it")).last
        with trio.CancelScope() as scope:
            scope.cancel(reason=core.kernel.because(ASKED, wanted))
            await run_child(script(""), drain, explain, tools(core), core.disk.rows[-1])
        assert await chain(core, e.ChildEnded) == ["ChildEnded", "AlertRaised"]
        assert newest(core, e.ChildEnded).event.reason == ASKED  # type: ignore[attr-defined]


@pytest.mark.parametrize("act", [remove, stop])
async def test_a_viewer_whose_camera_ends_names_what_ended_it(autojump_clock: MockClock, act) -> None:  # type: ignore[no-untyped-def]
    async def connect(offer, fanout, candidates, witness, **_):  # type: ignore[no-untyped-def]
        witness.answered("answer")
        witness.connected(Viewer(Sender(offer), fanout.hub.subscribe()))
        await trio.sleep_forever()

    async with open_world({GATE: [streams]}) as world:
        object.__setattr__(world.registry._tools, "connect", connect)
        await trio.sleep(1)
        await world.core.kernel.submit(peer("peer-1"))
        await world.registry.open_peer(GATE, PeerId("peer-1"), world.registry.read_offer(OFFER))
        act(world)
        await trio.sleep(1)
        cause = "CameraRemoved" if act is remove else "RunStopping"
        assert (await chain(world.core, e.PeerClosed, 2)) == ["PeerClosed", cause]


# ── what a camera is opened because of ──────────────────────────────────────────────────────────────────────────


async def test_whoever_waited_for_a_place_has_it_because_another_gave_it_back(autojump_clock: MockClock) -> None:
    """And it is still his request that goes on."""
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
    """Whoever comes or goes meanwhile, and whatever is read anew, has nothing to do with it."""
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


async def test_a_viewer_who_leaves_opens_no_camera(autojump_clock: MockClock) -> None:
    async with open_world({GATE: [streams]}, cameras=[settings(mode=Mode.ON_DEMAND)]) as world:
        await trio.sleep(0.1)
        kernel = world.core.kernel
        kernel.emit(peer("peer-1"))
        kernel.emit(peer("peer-2"))
        kernel.emit(c.ReportPeerClosed(PeerId("peer-1"), ASKED))
        await world.until(lambda: world.camera() == "live")
        assert (await chain(world.core, e.CameraConnecting)) == ["CameraConnecting", "PeerOpened", "LeaseGranted"]


async def test_a_picture_that_a_lost_camera_did_not_give_names_the_loss(autojump_clock: MockClock) -> None:
    for mood, cause in ((refused, "CameraWaiting"), (not_found, "CameraFailed")):
        async with open_world({GATE: [mood]}, **boxed(Mode.ON_DEMAND, GATE)) as world:  # type: ignore[arg-type]
            await trio.sleep(0.1)
            with pytest.raises(Rejected):
                await world.registry.take_picture(GATE, ME, None)
            assert (await chain(world.core, e.UseEnded, 2)) == ["UseEnded", cause]


async def test_a_row_of_pictures_that_ends_with_its_camera_names_what_ended_that(autojump_clock: MockClock) -> None:
    async with open_world({GATE: [streams]}) as world:
        await world.until(lambda: world.camera() == "live")
        row = world.registry.watch_pictures(GATE, ME)
        await anext(row)
        remove(world)
        async for _ in row:
            pass
        assert (await chain(world.core, e.LeaseEnded, 2)) == ["LeaseEnded", "ConfigurationApplied"]


# ── several events of one decision ──────────────────────────────────────────────────────────────────────────────


async def test_what_one_decision_says_follows_from_the_first_it_says(autojump_clock: MockClock) -> None:
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
async def test_what_an_earlier_run_left_is_closed_because_of_its_end_or_of_the_new_one(
    autojump_clock: MockClock, graceful: bool
) -> None:
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


async def test_what_ends_follows_from_who_wanted_that_and_then_from_itself(autojump_clock: MockClock) -> None:
    """Not from what was said before the end began, though that be newer than the wish."""
    async with open_core() as core:
        kernel, stream = core.kernel, camera_stream(GATE)
        wished = kernel.emit(c.RaiseAlert("test/why", "somebody wants it")).last
        connecting = kernel.emit(c.ConnectCamera(GATE)).last
        because = kernel.because(ASKED, wished)
        assert kernel.latest(stream) == connecting
        assert kernel.latest(stream, because=because) == wished
        idle = kernel.emit(c.RestCamera(GATE, ASKED)).last
        assert kernel.latest(stream, because=because) == idle


async def test_a_gap_in_the_journal_is_no_cause(autojump_clock: MockClock) -> None:
    async with open_core() as core:
        before = core.kernel.latest("system")
        core.kernel.emit(c.ReportGap(1, 2))
        assert core.kernel.latest("system") == before is not None


# ── alerts, patrols, crashes, strays ────────────────────────────────────────────────────────────────────────────


async def test_a_patrols_words_follow_from_its_round(autojump_clock: MockClock) -> None:
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
    cameras = [settings(mode=Mode.PATROL, group="east")]
    patrol = Patrol(every_s=60, patience_s=5)
    async with open_world({GATE: [not_found]}, cameras=cameras, patrol=patrol) as world:
        await world.until(lambda: "patrol/east" in world.core.kernel.state.alerts)
        moved = (settings(mode=Mode.PATROL, group="west"),)
        world.core.kernel.emit(c.Configure("test", moved, Limits(), patrol=patrol))
        await trio.sleep(1)
        assert "patrol/east" not in world.core.kernel.state.alerts
        assert (await chain(world.core, e.AlertCleared, 2)) == ["AlertCleared", "ConfigurationApplied"]


async def test_a_crash_of_something_that_is_no_camera_is_taken_back_as_what_it_was(autojump_clock: MockClock) -> None:
    async with open_core() as core:
        await wait_after_crash_of(core.kernel, "sweep", "a bug")
        assert await chain(core, e.AlertCleared) == ["AlertCleared", "AlertRaised"]
        assert newest(core, e.AlertRaised).principal == "actor"


async def test_a_camera_that_crashes_before_it_said_anything_follows_from_the_run(autojump_clock: MockClock) -> None:
    async with open_core() as core:
        core.kernel._latest.pop(camera_stream(GATE))
        await wait_after_crash(core.kernel, GATE, lambda: 0.0, "a bug")
        assert (await chain(core, e.CameraCrashed, 2)) == ["CameraCrashed", "ConfigurationApplied"]


async def test_the_sweeps_alerts_follow_from_the_camera(autojump_clock: MockClock) -> None:
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
    async with open_core() as core:
        core.kernel.emit(child("child-9"))
        sweep = make_sweep(core, FakeTable([stray(RUN)]))
        core.kernel.run = RunId("run-2")
        core.kernel._latest.clear()
        core.kernel.emit(c.StartRun(core.kernel.run, NODE, "0", 1, await sweep.find_survivors()))
        await sweep.sweep()
        told = await chain(core, e.ChildEnded)
        assert told == ["ChildEnded", "ChildStopping", "ChildStarted", "RunStarted", "RunAbandoned"]
        assert newest(core, e.ChildStarted).principal == "actor"


async def test_what_ran_away_from_a_child_is_another_life(autojump_clock: MockClock) -> None:
    """With an id of its own, by which it is known until it has gone, in this run and in the next."""
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
