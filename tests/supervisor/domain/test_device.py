"""Places among a device's connections: never beyond the budget, given back by the last child, fair to who waits."""

import pytest

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.decisions.device import LEARNED_FOR_S
from supervisor.domain.errors import Refusal
from supervisor.domain.ids import CameraId, ChildId, DeviceId, PeerId, RunId, UseId
from supervisor.domain.state import SOUND
from supervisor.domain.values import DeviceSettings, Fault, Limits, Mode, Reason, UseKind
from tests.kit.domain import ASKED, GATE, NODE, PICTURE, RUN, YARD, Story, child, peer, settings

BOX = DeviceId("box")
ROOF = CameraId("roof")
FULL = Reason("full", "453 Not Enough Bandwidth", Fault.TEMPORARY)


def box(budget: int | None = 1, *cameras: CameraId, mode: Mode = Mode.ALWAYS) -> Story:
    """Cameras of one device that serves `budget` connections."""
    known = tuple(settings(name, device=BOX, mode=mode) for name in cameras or (GATE, YARD, ROOF))
    devices = (DeviceSettings(BOX, budget),) if budget else ()
    return Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", known, Limits(), devices))


def holders(story: Story) -> list[str]:
    return [slot.camera for slot in story.state.slots_of(BOX, held=True)]


def unkillable(name: str) -> tuple[c.Command, ...]:
    """A child that does not die of SIGKILL: its actor has ended without it."""
    child = ChildId(name)
    killed = c.ReportChildSignalled(child, "SIGKILL", ASKED)
    return c.ReportChildStarted(child, 1, 1), killed, c.ReportChildUnkillable(child)


def test_who_finds_no_place_waits_and_is_told_who_has_it() -> None:
    story = box()
    assert story.when(c.TakeSlot(GATE)) == (e.SlotTaken(GATE, BOX, "live"),)
    (queued,) = story.when(c.TakeSlot(YARD))
    assert isinstance(queued, e.CameraQueued)
    assert queued.reason.text == "waits for a connection to box, which serves 1; taken by gate (live)"
    assert story.state.cameras[YARD].phase.value == "queued"
    assert story.when(c.TakeSlot(YARD)) == ()
    assert holders(story) == [GATE]


def test_who_waits_is_told_how_things_are_now() -> None:
    story = box(2).given(c.TakeSlot(GATE), c.TakeSlot(YARD), c.TakeSlot(ROOF), c.FreeSlot(YARD, ASKED))
    cameras = tuple(settings(name, device=BOX) for name in (GATE, YARD, ROOF))
    story.given(c.Configure("test", cameras, Limits(), (DeviceSettings(BOX, 1),)))
    why = story.state.why(ROOF, story.now_ns)
    assert why is not None
    assert why.text == "waits for a connection to box, which serves 1; taken by gate (live)"


def test_a_place_is_not_free_while_a_child_lives() -> None:
    """Whoever gives it back early, a camera lost or an actor that ends: the device still has that connection."""
    story = box().given(c.TakeSlot(GATE), c.ConnectCamera(GATE), child(), *unkillable("child-1"))
    story.given(c.ReportLoss(GATE, FULL, 0.5))
    assert story.when(c.FreeSlot(GATE, ASKED)) == ()
    assert story.when(c.TakeSlot(YARD))[0].__class__ is e.CameraQueued
    ended = story.when(c.ReportChildEnded(ChildId("child-1"), 0, None, ASKED))
    assert [type(event) for event in ended] == [e.ChildEnded, e.SlotFreed]
    assert story.when(c.TakeSlot(YARD)) == (e.SlotTaken(YARD, BOX, "live"),)


def test_a_child_that_works_on_sound_keeps_no_place() -> None:
    """It has no connection: neither while it lives, nor when it is stuck, nor when it outlives the daemon."""
    story = box().given(c.TakeSlot(GATE), c.ConnectCamera(GATE), child("child-1", purpose=SOUND))
    story.given(*unkillable("child-1"), c.RestCamera(GATE, ASKED))
    assert story.when(c.FreeSlot(GATE, ASKED)) == (e.SlotFreed(GATE, BOX, ASKED),)
    story.given(c.FreeSlot(GATE, ASKED), c.TakeSlot(GATE))
    assert len(story.when(c.ReportChildEnded(ChildId("child-1"), 0, None, ASKED))) == 1
    story.given(c.StartRun(RunId("run-2"), NODE, "0", 2, alive=frozenset({ChildId("child-1")})))
    assert holders(story) == []


def test_a_removed_camera_keeps_its_place_until_its_child_is_gone() -> None:
    story = box().given(c.TakeSlot(GATE), c.ConnectCamera(GATE), child(), *unkillable("child-1"))
    others = tuple(settings(name, device=BOX) for name in (YARD, ROOF))
    story.given(c.Configure("test", others, Limits(), (DeviceSettings(BOX, 1),)))
    assert holders(story) == [GATE]
    story.given(c.ReportChildEnded(ChildId("child-1"), 0, None, ASKED))
    assert holders(story) == []


def test_the_place_stays_taken_while_its_camera_goes_on_with_it() -> None:
    """A child that ends while its camera connects is replaced under the same place."""
    story = box().given(c.TakeSlot(GATE), c.ConnectCamera(GATE), child())
    assert len(story.when(c.ReportChildEnded(ChildId("child-1"), 0, None, ASKED))) == 1
    assert holders(story) == [GATE]


def test_a_child_that_is_looked_after_leaves_the_place_to_its_actor() -> None:
    """There may be more to put away of the connection than the process: a stream in another server."""
    story = box().given(c.TakeSlot(GATE), c.ConnectCamera(GATE), child(), c.RestCamera(GATE, ASKED))
    story.given(c.ReportChildEnded(ChildId("child-1"), 0, None, ASKED))
    assert holders(story) == [GATE]
    assert story.when(c.FreeSlot(GATE, ASKED)) == (e.SlotFreed(GATE, BOX, ASKED),)


def test_nobody_connects_without_a_place() -> None:
    """However it came to lose it: the sweep has ended what held it, or the camera has another device now."""
    story = box()
    assert story.refuses(c.ConnectCamera(GATE)).refusal is Refusal.CONFLICT
    story.given(c.TakeSlot(GATE))
    moved = settings(GATE, device=DeviceId("other"))
    story.given(c.Configure("test", (moved,), Limits()))
    assert story.refuses(c.ConnectCamera(GATE)).refusal is Refusal.CONFLICT
    assert "still has its place at box" in story.refuses(c.TakeSlot(GATE)).reason


def test_a_turn_is_by_what_a_camera_is_wanted_for_now() -> None:
    """Two who wait, of whom one has lost the viewer who made it important: they agree on whose turn it is."""
    story = box(1, GATE, YARD, ROOF, mode=Mode.ON_DEMAND).given(c.TakeSlot(GATE))
    story.given(peer("peer-1", YARD), c.BeginUse(UseId("use-1"), YARD, UseKind.SNAPSHOT, "192.0.2.9"), c.TakeSlot(YARD))
    story.after(1).given(peer("peer-2", ROOF), c.TakeSlot(ROOF), c.ReportPeerClosed(PeerId("peer-1"), ASKED))
    story.given(c.FreeSlot(GATE, ASKED))
    assert story.when(c.TakeSlot(YARD)) == ()
    assert story.when(c.TakeSlot(ROOF)) == (e.SlotTaken(ROOF, BOX, "live"),)


def test_a_stray_takes_a_place_and_no_ghost_of_its_camera_stays_in_the_queue() -> None:
    story = box(1, GATE, YARD, mode=Mode.ON_DEMAND)
    found = story.when(c.ReportChildFound(ChildId("stray-1"), GATE, 1, 1, ()))
    assert [type(event) for event in found] == [e.ChildFound, e.SlotTaken]
    assert isinstance(story.when(c.TakeSlot(YARD))[0], e.CameraQueued)
    story.given(c.FreeSlot(YARD, ASKED))
    assert story.state.slots_of(BOX, held=False) == []
    story.given(c.ReportChildEnded(ChildId("stray-1"), None, None, ASKED))
    assert holders(story) == []


def test_who_has_a_child_and_no_place_can_leave_the_queue() -> None:
    story = box(1).given(c.TakeSlot(YARD), child(), c.TakeSlot(GATE))
    assert [slot.camera for slot in story.state.slots_of(BOX, held=False)] == [GATE]
    story.given(c.FreeSlot(GATE, ASKED))
    assert story.state.slots_of(BOX, held=False) == []


def test_turns_are_by_time() -> None:
    story = box().given(c.TakeSlot(GATE)).after(1).given(c.TakeSlot(YARD)).after(1).given(c.TakeSlot(ROOF))
    story.given(c.FreeSlot(GATE, ASKED))
    assert story.when(c.TakeSlot(ROOF)) == ()
    assert story.when(c.TakeSlot(YARD)) == (e.SlotTaken(YARD, BOX, "live"),)


def test_who_is_asked_for_goes_before_who_is_only_visited() -> None:
    story = box(1, GATE, YARD, ROOF, mode=Mode.ON_DEMAND).given(c.TakeSlot(GATE))
    story.given(c.BeginUse(UseId("use-1"), YARD, UseKind.PATROL, "patrol"), c.TakeSlot(YARD)).after(1)
    story.given(c.BeginUse(UseId("use-2"), ROOF, UseKind.SNAPSHOT, "192.0.2.9"), c.TakeSlot(ROOF))
    story.given(c.FreeSlot(GATE, ASKED))
    assert story.when(c.TakeSlot(YARD)) == ()
    assert story.when(c.TakeSlot(ROOF)) == (e.SlotTaken(ROOF, BOX, "snapshot"),)


def test_who_leaves_the_queue_is_not_waited_for() -> None:
    story = box().given(c.TakeSlot(GATE), c.TakeSlot(YARD)).after(1).given(c.TakeSlot(ROOF), c.FreeSlot(YARD, ASKED))
    story.given(c.FreeSlot(GATE, ASKED))
    assert story.when(c.TakeSlot(ROOF)) == (e.SlotTaken(ROOF, BOX, "live"),)


def test_without_a_budget_everybody_connects_and_a_refusal_teaches_one() -> None:
    """The device says that a third connection is one too many: for a while we ask for two at most."""
    story = box(None)
    for name in (GATE, YARD, ROOF):
        story.given(c.TakeSlot(name), c.ConnectCamera(name))
    assert holders(story) == [GATE, ROOF, YARD]
    learned, waiting = story.when(c.ReportLoss(ROOF, FULL, 0.5))
    assert learned == e.DeviceFull(BOX, ROOF, connections=2, for_s=LEARNED_FOR_S)
    assert isinstance(waiting, e.CameraWaiting)
    story.given(c.FreeSlot(ROOF, FULL))
    assert isinstance(story.when(c.TakeSlot(ROOF))[0], e.CameraQueued)
    assert story.after(LEARNED_FOR_S).when(c.TakeSlot(ROOF)) == (e.SlotTaken(ROOF, BOX, "live"),)


def test_a_refusal_of_the_only_connection_teaches_nothing() -> None:
    """Somebody else's application has the places; that is no reason to ask for none."""
    story = box(None).given(c.TakeSlot(GATE), c.ConnectCamera(GATE))
    assert [type(event) for event in story.when(c.ReportLoss(GATE, FULL, 0.5))] == [e.CameraWaiting]


@pytest.mark.parametrize("alive", [frozenset(), frozenset({ChildId("child-1")})], ids=["all died", "one lives on"])
def test_a_new_run_frees_what_no_living_process_holds(alive: frozenset[ChildId]) -> None:
    story = box().given(c.TakeSlot(GATE), c.ConnectCamera(GATE), child(), c.TakeSlot(YARD))
    story.given(c.StartRun(RunId("run-2"), NODE, "0", 1, alive))
    assert holders(story) == ([GATE] if alive else [])
    assert set(story.state.children) == alive
    assert story.state.slots_of(BOX, held=False) == []


def test_a_camera_without_a_device_needs_no_place() -> None:
    story = Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", (settings(),), Limits()))
    assert story.when(c.TakeSlot(GATE)) == ()
    assert story.given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE)).state.cameras[GATE].phase.value == "live"
