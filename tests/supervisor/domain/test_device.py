"""Places among a device's connections: never beyond the budget, given back by the last child, fair to who waits."""

import pytest

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.device import LEARNED_FOR_S
from supervisor.domain.errors import Refusal
from supervisor.domain.health import health
from supervisor.domain.ids import NO_CAMERA, CameraId, ChildId, DeviceId, PeerId, RunId, UseId
from supervisor.domain.state import AUDIO
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
    """A child that did not exit after SIGKILL: its actor has ended without it."""
    child = ChildId(name)
    killed = c.ReportChildSignalled(child, "SIGKILL", ASKED)
    return c.ReportChildStarted(child, 1, 1), killed, c.ReportChildUnkillable(child)


def test_health_names_the_program_that_cannot_be_killed() -> None:
    """A daemon is of no camera: the part says which program it is."""
    story = box().given(c.PrepareChild(ChildId("child"), NO_CAMERA, "daemon/switcher", ("run",)), *unkillable("child"))
    reasons = [part.reason for part in health(story.state, None).parts if part.part == "child/child"]
    assert reasons == ["pid 1 of daemon/switcher did not exit after SIGKILL"]


def test_camera_without_a_free_slot_is_queued_and_the_reason_names_the_holder() -> None:
    """On a device that serves 1, the second camera is queued, once, with a reason that names the first."""
    story = box()
    assert story.when(c.TakeSlot(GATE)) == (e.SlotTaken(GATE, BOX, "live"),)
    (queued,) = story.when(c.TakeSlot(YARD))
    assert isinstance(queued, e.CameraQueued)
    assert queued.reason.text == "waits for a connection to box, which serves 1; taken by gate (live)"
    assert story.state.cameras[YARD].phase.value == "queued"
    assert story.when(c.TakeSlot(YARD)) == ()
    assert holders(story) == [GATE]


def test_reason_of_a_queued_camera_is_made_from_the_present_state() -> None:
    """The reason is made from the present state: after a reload the device serves 1, not 2."""
    story = box(2).given(c.TakeSlot(GATE), c.TakeSlot(YARD), c.TakeSlot(ROOF), c.FreeSlot(YARD, ASKED))
    cameras = tuple(settings(name, device=BOX) for name in (GATE, YARD, ROOF))
    story.given(c.Configure("test", cameras, Limits(), (DeviceSettings(BOX, 1),)))
    why = story.state.why(ROOF, story.now_ns)
    assert why is not None
    assert why.text == "waits for a connection to box, which serves 1; taken by gate (live)"


def test_slot_is_not_free_while_its_child_lives() -> None:
    """Not even when the camera is lost or its actor ends: the device still has that connection."""
    story = box().given(c.TakeSlot(GATE), c.ConnectCamera(GATE), child(), *unkillable("child-1"))
    story.given(c.ReportLoss(GATE, FULL, 0.5))
    assert story.when(c.FreeSlot(GATE, ASKED)) == ()
    assert story.when(c.TakeSlot(YARD))[0].__class__ is e.CameraQueued
    ended = story.when(c.ReportChildEnded(ChildId("child-1"), 0, None, ASKED))
    assert [type(event) for event in ended] == [e.ChildEnded, e.SlotFreed]
    assert story.when(c.TakeSlot(YARD)) == (e.SlotTaken(YARD, BOX, "live"),)


def test_child_for_audio_holds_no_slot() -> None:
    """It has no connection: neither while it lives, nor when it is stuck, nor when it outlives the daemon."""
    story = box().given(c.TakeSlot(GATE), c.ConnectCamera(GATE), child("child-1", purpose=AUDIO))
    story.given(*unkillable("child-1"), c.RestCamera(GATE, ASKED))
    assert story.when(c.FreeSlot(GATE, ASKED)) == (e.SlotFreed(GATE, BOX, ASKED),)
    story.given(c.FreeSlot(GATE, ASKED), c.TakeSlot(GATE))
    assert len(story.when(c.ReportChildEnded(ChildId("child-1"), 0, None, ASKED))) == 1
    story.given(c.StartRun(RunId("run-2"), NODE, "0", 2, alive=frozenset({ChildId("child-1")})))
    assert holders(story) == []


def test_removed_camera_keeps_its_slot_until_its_child_is_gone() -> None:
    """A child that ignores SIGKILL still has its connection, so its slot is not given to others."""
    story = box().given(c.TakeSlot(GATE), c.ConnectCamera(GATE), child(), *unkillable("child-1"))
    others = tuple(settings(name, device=BOX) for name in (YARD, ROOF))
    story.given(c.Configure("test", others, Limits(), (DeviceSettings(BOX, 1),)))
    assert holders(story) == [GATE]
    story.given(c.ReportChildEnded(ChildId("child-1"), 0, None, ASKED))
    assert holders(story) == []


def test_slot_stays_taken_while_its_camera_replaces_the_child() -> None:
    """A child that ends while its camera connects is replaced under the same place."""
    story = box().given(c.TakeSlot(GATE), c.ConnectCamera(GATE), child())
    assert len(story.when(c.ReportChildEnded(ChildId("child-1"), 0, None, ASKED))) == 1
    assert holders(story) == [GATE]


def test_end_of_a_child_with_an_actor_does_not_free_the_slot() -> None:
    """There may be more to put away of the connection than the process: a stream in another server."""
    story = box().given(c.TakeSlot(GATE), c.ConnectCamera(GATE), child(), c.RestCamera(GATE, ASKED))
    story.given(c.ReportChildEnded(ChildId("child-1"), 0, None, ASKED))
    assert holders(story) == [GATE]
    assert story.when(c.FreeSlot(GATE, ASKED)) == (e.SlotFreed(GATE, BOX, ASKED),)


def test_camera_without_a_slot_does_not_connect() -> None:
    """However it came to lose it: the sweep has ended what held it, or the camera has another device now."""
    story = box()
    assert story.refuses(c.ConnectCamera(GATE)).refusal is Refusal.CONFLICT
    story.given(c.TakeSlot(GATE))
    moved = settings(GATE, device=DeviceId("other"))
    story.given(c.Configure("test", (moved,), Limits()))
    assert story.refuses(c.ConnectCamera(GATE)).refusal is Refusal.CONFLICT
    assert "still has its connection slot on box" in story.refuses(c.TakeSlot(GATE)).reason


def test_order_of_the_queue_follows_the_present_need_of_each_camera() -> None:
    """Two who wait, of whom one has lost the viewer who made it important: they agree on whose turn it is."""
    story = box(1, GATE, YARD, ROOF, mode=Mode.ON_DEMAND).given(c.TakeSlot(GATE))
    story.given(peer("peer-1", YARD), c.BeginUse(UseId("use-1"), YARD, UseKind.SNAPSHOT, "192.0.2.9"), c.TakeSlot(YARD))
    story.after(1).given(peer("peer-2", ROOF), c.TakeSlot(ROOF), c.ReportPeerClosed(PeerId("peer-1"), ASKED))
    story.given(c.FreeSlot(GATE, ASKED))
    assert story.when(c.TakeSlot(YARD)) == ()
    assert story.when(c.TakeSlot(ROOF)) == (e.SlotTaken(ROOF, BOX, "live"),)


def test_orphan_of_an_earlier_run_holds_a_slot_until_it_has_ended() -> None:
    """A process of an earlier run holds the slot of its camera until it has ended."""
    story = box(1, GATE, YARD, mode=Mode.ON_DEMAND)
    found = story.when(c.ReportChildFound(ChildId("stray-1"), GATE, 1, 1, ()))
    assert [type(event) for event in found] == [e.ChildFound, e.SlotTaken]
    assert isinstance(story.when(c.TakeSlot(YARD))[0], e.CameraQueued)
    story.given(c.FreeSlot(YARD, ASKED))
    assert story.state.slots_of(BOX, held=False) == []
    story.given(c.ReportChildEnded(ChildId("stray-1"), None, None, ASKED))
    assert holders(story) == []


def test_queued_camera_with_an_old_child_can_leave_the_queue() -> None:
    """A camera that is queued while its old child lives is removed from the queue by `FreeSlot`."""
    story = box(1).given(c.TakeSlot(YARD), child(), c.TakeSlot(GATE))
    assert [slot.camera for slot in story.state.slots_of(BOX, held=False)] == [GATE]
    story.given(c.FreeSlot(GATE, ASKED))
    assert story.state.slots_of(BOX, held=False) == []


def test_free_slot_goes_to_the_camera_that_waited_longest() -> None:
    """The camera that has waited longest gets the free slot, whichever asks first."""
    story = box().given(c.TakeSlot(GATE)).after(1).given(c.TakeSlot(YARD)).after(1).given(c.TakeSlot(ROOF))
    story.given(c.FreeSlot(GATE, ASKED))
    assert story.when(c.TakeSlot(ROOF)) == ()
    assert story.when(c.TakeSlot(YARD)) == (e.SlotTaken(YARD, BOX, "live"),)


def test_snapshot_request_comes_before_a_patrol_visit_in_the_queue() -> None:
    """A snapshot comes before a patrol visit that has waited longer."""
    story = box(1, GATE, YARD, ROOF, mode=Mode.ON_DEMAND).given(c.TakeSlot(GATE))
    story.given(c.BeginUse(UseId("use-1"), YARD, UseKind.PATROL, "patrol"), c.TakeSlot(YARD)).after(1)
    story.given(c.BeginUse(UseId("use-2"), ROOF, UseKind.SNAPSHOT, "192.0.2.9"), c.TakeSlot(ROOF))
    story.given(c.FreeSlot(GATE, ASKED))
    assert story.when(c.TakeSlot(YARD)) == ()
    assert story.when(c.TakeSlot(ROOF)) == (e.SlotTaken(ROOF, BOX, "snapshot"),)


def test_slot_goes_to_the_next_camera_when_one_leaves_the_queue() -> None:
    """The free slot goes to the next in the queue at once."""
    story = box().given(c.TakeSlot(GATE), c.TakeSlot(YARD)).after(1).given(c.TakeSlot(ROOF), c.FreeSlot(YARD, ASKED))
    story.given(c.FreeSlot(GATE, ASKED))
    assert story.when(c.TakeSlot(ROOF)) == (e.SlotTaken(ROOF, BOX, "live"),)


def test_device_without_a_limit_gets_one_from_a_refusal() -> None:
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


def test_reasons_of_a_full_device_name_its_connections_and_the_next_attempt() -> None:
    """The loss names the holders; the queued camera has the limit, its end, and the holders."""
    story = box(None).given(*(command(name) for name in (GATE, ROOF) for command in (c.TakeSlot, c.ConnectCamera)))
    _, waiting = story.when(c.ReportLoss(ROOF, FULL, 0.5))
    assert isinstance(waiting, e.CameraWaiting)
    assert waiting.reason.text == "453 Not Enough Bandwidth; of box, banken has those of gate (live)"
    story.given(c.ReportLoss(ROOF, FULL, 0.5))
    learned_ns = story.now_ns
    (queued,) = story.given(c.FreeSlot(ROOF, FULL)).when(c.TakeSlot(ROOF))
    assert isinstance(queued, e.CameraQueued)
    assert queued.reason.text == (
        "waits for a connection to box, which serves 1, as it refused more; taken by gate (live); "
        "next attempt when one of them ends, or when this limit expires"
    )
    state = story.given(c.TakeSlot(ROOF)).state
    assert state.next_attempt_ns(ROOF, story.now_ns) == learned_ns + LEARNED_FOR_S * 10**9
    assert state.next_attempt_ns(GATE, story.now_ns) is None
    alone = box(None).given(c.TakeSlot(GATE), c.ConnectCamera(GATE))
    (waiting,) = alone.when(c.ReportLoss(GATE, FULL, 0.5))
    assert isinstance(waiting, e.CameraWaiting)
    assert waiting.reason.text.endswith("of box, banken has no other one, so an app or a recorder may")


def test_configured_limit_that_is_lower_has_no_end() -> None:
    """The refusal has taught 2, the configuration says 1: the queued camera names no next attempt."""
    story = box(None).given(
        *(command(name) for name in (GATE, YARD, ROOF) for command in (c.TakeSlot, c.ConnectCamera))
    )
    story.given(c.ReportLoss(ROOF, FULL, 0.5), c.FreeSlot(ROOF, FULL))
    cameras = tuple(settings(name, device=BOX) for name in (GATE, YARD, ROOF))
    story.given(c.Configure("test", cameras, Limits(), (DeviceSettings(BOX, 1),)), c.TakeSlot(ROOF))
    assert story.state.next_attempt_ns(ROOF, story.now_ns) is None


def test_a_refusal_of_the_only_connection_teaches_nothing() -> None:
    """Somebody else's application has the places; that is no reason to ask for none."""
    story = box(None).given(c.TakeSlot(GATE), c.ConnectCamera(GATE))
    assert [type(event) for event in story.when(c.ReportLoss(GATE, FULL, 0.5))] == [e.CameraWaiting]


@pytest.mark.parametrize("alive", [frozenset(), frozenset({ChildId("child-1")})], ids=["all died", "one lives on"])
def test_a_new_run_frees_what_no_living_process_holds(alive: frozenset[ChildId]) -> None:
    """A slot outlives the run only with its child process; the queue is empty."""
    story = box().given(c.TakeSlot(GATE), c.ConnectCamera(GATE), child(), c.TakeSlot(YARD))
    story.given(c.StartRun(RunId("run-2"), NODE, "0", 1, alive))
    assert holders(story) == ([GATE] if alive else [])
    assert set(story.state.children) == alive
    assert story.state.slots_of(BOX, held=False) == []


def test_camera_without_a_device_needs_no_slot() -> None:
    """`TakeSlot` decides nothing, and the camera becomes live."""
    story = Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", (settings(),), Limits()))
    assert story.when(c.TakeSlot(GATE)) == ()
    assert story.given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE)).state.cameras[GATE].phase.value == "live"
