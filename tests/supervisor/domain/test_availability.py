"""How well cameras did: time for those that are open, numbers for visits, and every loss."""

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.availability import CODES, GONE, Availability, CameraAvailability, Ledger
from supervisor.domain.ids import CameraId, DeviceId, LeaseId, RunId, UseId
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.state import State
from supervisor.domain.values import DeviceSettings, Fault, Limits, Mode, Reason, RecordMode, UseKind
from tests.kit.availability import uncounted_visits, unequal_parts
from tests.kit.domain import (
    ASKED,
    GATE,
    NODE,
    PICTURE,
    RUN,
    SECOND,
    TEMPORARY,
    YARD,
    Story,
    lease,
    live,
    peer,
    running,
    settings,
)
from tests.kit.journals import lively, states

DONE, GONE_AWAY = Reason("done", "done with it", Fault.NONE), Reason("gone", "whoever asked has left", Fault.NONE)


def ledger_of(rows: Sequence[e.Recorded]) -> Ledger:
    """A ledger that has seen `rows` from the first event of a journal on."""
    ledger = Ledger(State())
    known = states(rows)
    for before, row, after in zip(known, rows, known[1:], strict=False):
        ledger.see(before, row, after)
    return ledger


def added(story: Story) -> Availability:
    return ledger_of(story.recorded).found(story.now_ns)


def of(story: Story, camera: CameraId = GATE) -> CameraAvailability:
    return next(one for one in added(story).cameras if one.camera == camera)


def begun(mode: Mode, *more: CameraId, device: str | None = None) -> Story:
    cameras = tuple(settings(name, mode=mode, device=device) for name in (GATE, *more))
    boxes = (DeviceSettings(DeviceId(device), 1),) if device else ()
    return Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", cameras, Limits(), boxes))


def visit(story: Story, *, served: bool, kind: UseKind = UseKind.PATROL, reason: Reason = GONE_AWAY) -> Story:
    """The camera is opened for a moment, and gives its picture or is refused."""
    use = UseId(f"use-{len(story.recorded)}")
    story.given(c.BeginUse(use, GATE, kind, "patrol"), c.ConnectCamera(GATE)).after(1)
    story.given(c.ReportLive(GATE, PICTURE) if served else c.ReportLoss(GATE, TEMPORARY, 0.1))
    return story.given(c.EndUse(use, DONE if served else reason), c.RestCamera(GATE, ASKED))


def cycle(story: Story, *, served: bool, visited: bool = True, skipped: int = 0) -> Story:
    if visited:
        visit(story, served=served)
    missed = () if served else (GATE,)
    return story.given(c.ReportPatrol("others", int(served), missed, 1.0, skipped)).after(59)


def test_patrol_is_judged_by_its_cycles_and_not_by_time() -> None:
    """A camera that gave its picture in 18 of 18 cycles was wanted for no time, and is not 0 % live."""
    story = begun(Mode.PATROL)
    for _ in range(18):
        cycle(story, served=True)
    found = of(story)
    assert (found.cycles, found.cycles_served, found.cycles_skipped) == (18, 18, 0)
    assert (found.availability, found.wanted_s, found.losses, found.away_max_s) == (None, 0, 0, 0)


def test_patrol_camera_that_is_refused_for_hours_has_a_loss_for_each_attempt() -> None:
    """Its losses, the longest time without a cycle that was served, and how soon it was back."""
    story = cycle(begun(Mode.PATROL), served=True)
    for _ in range(120):
        cycle(story, served=False)
    cycle(story, served=True)
    found = of(story)
    assert (found.cycles, found.cycles_served) == (122, 2)
    assert (found.losses, found.failed_attempts, found.errors) == (120, 120, {"unreachable": 120})
    assert (found.restarts, found.recoveries, found.away_max_s, found.recover_max_s) == (120, 1, 7200, 7200)


def test_cycle_that_finds_the_camera_waiting_is_asked_and_not_served() -> None:
    """A camera that waits for its next attempt is not visited; the cycle misses it, and not one that came meanwhile."""
    story = cycle(begun(Mode.PATROL, YARD), served=False, visited=False, skipped=2)
    assert (of(story).cycles, of(story).cycles_served, of(story).cycles_skipped) == (1, 0, 2)
    assert of(story, YARD).cycles == 0


def test_cycle_of_a_camera_that_came_in_the_middle_of_it_is_not_counted() -> None:
    """The report of a cycle counts those that gave a picture; which they are is known from their visits."""
    story = visit(begun(Mode.PATROL, YARD), served=True)
    story.given(c.ReportPatrol("others", 1, (), 1.0, 0))
    assert (of(story).cycles_served, of(story, YARD).cycles) == (1, 0)


def configured(*cameras: tuple[CameraId, Mode]) -> c.Configure:
    return c.Configure("test", tuple(settings(name, mode=mode) for name, mode in cameras), Limits())


def test_camera_that_leaves_its_group_after_its_picture_was_served_by_that_cycle_alone() -> None:
    """It changes its mode, or is removed, before the cycle ends; a cycle hours later, without it, adds nothing."""
    for others in ((), ((GATE, Mode.ALWAYS),)):
        story = visit(begun(Mode.PATROL, YARD), served=True).given(configured((YARD, Mode.PATROL), *others)).after(1)
        story.given(c.ReportPatrol("others", 1, (YARD,), 3.0, 0)).after(9000)
        story.given(configured((YARD, Mode.PATROL), (GATE, Mode.PATROL))).after(1)
        story.given(c.ReportPatrol("others", 0, (YARD,), 3.0, 0)).after(1)
        assert (of(story).cycles, of(story).cycles_served, of(story, YARD).cycles) == (1, 1, 2)
        whole = states(story.recorded)
        assert uncounted_visits(story.recorded, whole) is None
        assert unequal_parts(story.recorded, whole, range(1, len(story.recorded))) is None


def test_camera_that_leaves_the_patrol_in_the_middle_of_its_visit_keeps_the_picture() -> None:
    """The visit ends after the change of its mode, or after its removal."""
    for others in ((), ((GATE, Mode.ALWAYS),)):
        story = begun(Mode.PATROL, YARD).given(c.BeginUse(UseId("use"), GATE, UseKind.PATROL, "patrol"))
        story.given(configured((YARD, Mode.PATROL), *others)).after(1).given(c.EndUse(UseId("use"), DONE))
        assert (of(story).cycles, of(story).cycles_served) == (1, 1)


def test_camera_that_is_removed_in_the_middle_of_a_visit_keeps_the_miss_and_the_snapshot() -> None:
    """Its figures are those of the whole also where the stretch begins behind its removal."""
    story = begun(Mode.PATROL, YARD).given(c.BeginUse(UseId("snap"), GATE, UseKind.SNAPSHOT, "192.0.2.1"))
    story.given(configured((YARD, Mode.PATROL))).after(1).given(c.EndUse(UseId("snap"), GONE_AWAY))
    story.given(c.ReportPatrol("others", 0, (GATE,), 3.0, 0)).after(1)
    assert (of(story).cycles, of(story).cycles_served, of(story).snapshots, of(story).away_max_s) == (1, 0, 1, 0)
    assert unequal_parts(story.recorded, states(story.recorded), range(1, len(story.recorded))) is None


def test_parts_of_a_stretch_add_up_to_the_whole_wherever_it_is_split() -> None:
    """Time wanted and live, cycles, snapshots, losses and restarts; also where the camera's actor crashes."""
    crashed = live().given(c.ReportCrash(GATE, "boom", 0.5)).after(9).given(c.ConnectCamera(GATE)).recorded
    patrolled = cycle(visit(cycle(begun(Mode.PATROL), served=False), served=True), served=True).recorded
    story = begun(Mode.ALWAYS, YARD, device="box").given(c.TakeSlot(GATE), c.ConnectCamera(GATE)).after(1)
    story.given(c.ReportLive(GATE, PICTURE), c.ReportCrash(GATE, "boom", 0.5), c.FreeSlot(GATE, ASKED)).after(1)
    story.given(c.TakeSlot(YARD), c.TakeSlot(GATE)).after(1).given(c.FreeSlot(YARD, ASKED), c.TakeSlot(GATE))
    queued = story.given(c.ConnectCamera(GATE)).recorded
    assert (of(story).restarts, of(story).queued) == (1, 1)
    for rows in (lively(), crashed, patrolled, queued):
        assert unequal_parts(rows, states(rows), range(1, len(rows))) is None


def test_darkness_is_one_across_changes_of_mode_and_while_the_camera_is_queued() -> None:
    """Missed by a patrol, then always wanted, then missed by a patrol again: until the next picture."""
    story = cycle(begun(Mode.PATROL), served=False).given(configured((GATE, Mode.ALWAYS))).after(300)
    story.given(c.ConnectCamera(GATE), c.ReportLoss(GATE, TEMPORARY, 0.1)).after(40)
    story.given(configured((GATE, Mode.PATROL)), c.RestCamera(GATE, ASKED)).after(500)
    cycle(story, served=False)
    visit(story, served=True).after(1000)
    assert of(story).away_max_s == 59 + 300 + 40 + 500 + 60 + 1
    story = begun(Mode.ON_DEMAND, YARD, device="box").given(lease("other", YARD), c.TakeSlot(YARD)).after(10)
    story.given(lease(), c.TakeSlot(GATE)).after(20).given(c.FreeSlot(YARD, ASKED), c.TakeSlot(GATE))
    story.given(c.ConnectCamera(GATE)).after(5).given(c.ReportLoss(GATE, TEMPORARY, 0.1)).after(3)
    story.given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE)).after(100)
    assert of(story).away_max_s == 20 + 5 + 3


def test_outage_of_a_patrolled_camera_ends_with_its_picture() -> None:
    """The first missed cycle begins it; not the end of the next cycle ends it, which the other cameras delay."""
    story = visit(cycle(begun(Mode.PATROL), served=False), served=True).after(200)
    story.given(c.ReportPatrol("others", 1, (), 201.0, 0)).after(7)
    assert of(story).away_max_s == 60
    story = cycle(begun(Mode.PATROL), served=False).given(lease(), c.ConnectCamera(GATE)).after(5)
    story.given(c.ReportLive(GATE, PICTURE)).after(100)
    assert of(story).away_max_s == 64, "somebody else's frame ends it, too"


def test_cycle_that_a_stop_ends_is_not_held_against_the_camera() -> None:
    """Neither is a snapshot that the stop ends, and no time passes while the daemon stops."""
    story = begun(Mode.PATROL).given(c.BeginUse(UseId("use"), GATE, UseKind.SNAPSHOT, "192.0.2.1"))
    ran_s = added(story.after(10)).ran_s
    story.given(c.StopRun(ASKED)).after(3).given(c.EndUse(UseId("use"), GONE_AWAY))
    cycle(story, served=False, visited=False)
    assert (of(story).cycles, of(story).snapshots) == (0, 0)
    assert added(story).ran_s == ran_s == 10


def test_snapshots_are_counted_by_whether_there_was_a_picture() -> None:
    """Three snapshots, two with a picture, count neither as patrol cycles nor as time wanted."""
    story = begun(Mode.ON_DEMAND)
    for served in (True, False, True):
        visit(story, served=served, kind=UseKind.SNAPSHOT).after(100)
    found = of(story)
    assert (found.snapshots, found.snapshots_served, found.cycles, found.wanted_s) == (3, 2, 0, 0)


def test_camera_on_demand_is_judged_over_the_time_of_its_leases() -> None:
    """Also where the only viewer waits in vain for a connection of the device."""
    story = begun(Mode.ON_DEMAND, YARD, device="box").after(1000).given(lease()).given(c.TakeSlot(GATE))
    story.given(c.ConnectCamera(GATE)).after(5).given(c.ReportLive(GATE, PICTURE)).after(15)
    story.given(lease("other", YARD), c.TakeSlot(YARD)).after(20).given(c.EndLease(LeaseId("lease-1"), ASKED)).after(
        100
    )
    gate, yard = of(story), of(story, YARD)
    assert (gate.wanted_s, gate.live_s, gate.availability, gate.away_max_s) == (40, 35, 35 / 40, 5)
    assert (yard.wanted_s, yard.live_s, yard.queued, yard.losses, yard.away_max_s) == (120, 0, 1, 0, 120)


def test_camera_whose_recording_is_requested_is_judged_over_that_time() -> None:
    """It is open for it, as for a viewer."""
    camera = replace(settings(GATE, mode=Mode.ON_DEMAND), record=RecordMode.DEMAND)
    story = Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", (camera,), Limits())).after(100)
    story.given(c.RequestRecording(GATE, None, "kim"), c.ConnectCamera(GATE)).after(5)
    story.given(c.ReportLive(GATE, PICTURE)).after(15).given(c.WithdrawRecording(GATE, "kim")).after(50)
    assert (of(story).wanted_s, of(story).live_s) == (20, 15)


def test_losses_of_a_live_camera_and_failed_attempts_both_count() -> None:
    """Three losses, of which two are failed attempts, are one recovery of 30 s, and 70 s of 100 s live."""
    story = live().after(50)
    for _ in range(3):
        story.given(c.ReportLoss(GATE, TEMPORARY, 0.1)).after(10).given(c.ConnectCamera(GATE))
    story.given(c.ReportLive(GATE, PICTURE)).after(20)
    found = of(story)
    assert (found.losses, found.failed_attempts, found.restarts, found.recoveries) == (3, 2, 3, 1)
    assert (found.recover_mean_s, found.away_max_s, found.availability) == (30, 30, 70 / 100)


def test_time_between_runs_and_in_a_gap_is_not_counted() -> None:
    """After 10 s of running and 1000 s without a daemon, 10 s count; time over which events are missing counts 0."""
    rows = live().after(10).given(c.RaiseAlert("a/b", "x")).recorded
    again = Story(state=states(rows)[-1], now_ns=rows[-1].wall_ns + 1000 * SECOND)
    again.given(c.StartRun(RunId("run-2"), NODE, "0", 2))
    rows += [replace(row, run=RunId("run-2")) for row in again.recorded]
    assert ledger_of(rows).ran_ns == 10 * SECOND
    ledger, known = Ledger(State()), states(rows)
    for number, row in enumerate(rows):
        ledger.see(known[number], row, known[number + 1], jumped=row.type == "AlertRaised")
    assert ledger.ran_ns == 0


def stepped(story: Story, after: str, seconds: float) -> list[e.Recorded]:
    """The rows of a story in which the wall clock is set once: behind the first event of type `after`."""
    step = next(number for number, row in enumerate(story.recorded) if row.type == after)
    return [
        replace(row, wall_ns=row.wall_ns + int(seconds * SECOND) * (number > step))
        for number, row in enumerate(story.recorded)
    ]


def test_clock_that_is_set_changes_no_time() -> None:
    """Neither back nor forward, as on a machine that learns the date a minute after it has started."""
    story = live().after(100).given(c.RaiseAlert("a/b", "x")).after(10).given(c.ReportLoss(GATE, TEMPORARY, 0.1))
    for seconds in (-3600, 365 * 86400):
        (found,) = ledger_of(stepped(story, "AlertRaised", seconds)).found().cameras
        assert (found.wanted_s, found.live_s, found.losses) == (110, 110, 1)


def test_clock_that_is_set_after_the_last_event_lets_no_counter_fall() -> None:
    """The figures at an instant follow the monotonic clock of the run, whatever the time of day is then."""
    story = live().after(100).given(c.RaiseAlert("a/b", "x"))
    ledger, now_ns = ledger_of(story.recorded), story.now_ns
    for seconds in (-3600, 0, 365 * 86400):
        found = ledger.found(now_ns + seconds * SECOND, mono_ns=now_ns + 50 * SECOND)
        assert (found.ran_s, found.cameras[0].wanted_s, found.cameras[0].live_s) == (150, 150, 150)


def test_camera_that_leaves_the_patrol_is_not_missed_any_longer() -> None:
    """The longest absence stays 59 s, though 5000 s pass after the change of mode."""
    story = cycle(begun(Mode.PATROL), served=False)
    story.given(c.Configure("test", (settings(GATE, mode=Mode.ON_DEMAND),), Limits())).after(5000)
    assert of(story).away_max_s == 59


def test_figures_of_removed_cameras_and_codes_are_bounded() -> None:
    """However many cameras come and go, and whatever the codes of a foreign journal."""
    story = live()
    for number in range(CODES + 10):
        story.given(c.ReportLoss(GATE, Reason(f"code-{number}", "x", Fault.TEMPORARY), 0.1), c.ConnectCamera(GATE))
    found = of(story)
    assert (found.losses, len(found.errors), found.errors["other"]) == (CODES + 10, CODES + 1, 10)
    passing = [settings(CameraId(f"camera-{number}")) for number in range(GONE + 5)]
    for cameras in (passing, passing[:1], [settings()]):
        story.given(c.Configure("test", tuple(cameras), Limits()))
    assert len(added(story).cameras) == GONE + 1


def test_figures_at_a_later_time_do_not_change_the_sum() -> None:
    """A ledger can be read at any time, in any order, with the same result for the same instant."""
    ledger = ledger_of(live().recorded)
    first = ledger.found(ledger.seen_ns)
    assert ledger.found((ledger.seen_ns or 0) + 9 * SECOND).cameras[0].live_s == 9
    assert ledger.found(ledger.seen_ns) == first
    assert ledger.found(cameras=[YARD]).cameras == ()


def test_figures_that_are_made_while_events_come_are_of_no_earlier_time() -> None:
    """A camera that changes before it is iterated has the figures of its change."""
    story = running(GATE, YARD).given(c.ConnectCamera(YARD), c.ReportLive(YARD, PICTURE))
    ledger = ledger_of(story.recorded)
    each = ledger.each(story.now_ns)
    assert next(each).wanted_s == 0
    before = story.state
    story.after(10).given(c.ReportLoss(YARD, TEMPORARY, 0.1))
    ledger.see(before, story.recorded[-1], story.state)
    assert [(one.wanted_s, one.live_s, one.losses, one.away_max_s) for one in each] == [(10, 10, 1, 0)]


def test_lease_that_shows_a_substream_wants_that_one() -> None:
    """As the cameras are opened: the lease's own camera rests while its viewers are shown another."""
    shown = (settings(GATE, mode=Mode.ON_DEMAND, substream=YARD), settings(YARD, mode=Mode.ON_DEMAND))
    story = Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", shown, Limits()), lease()).after(5)
    story.given(replace(peer("peer-1", YARD), lease=LeaseId("lease-1"), holder="mine")).after(7)
    story.given(c.ReportPeerClosed(peer("peer-1").peer, ASKED)).after(11)
    assert (of(story).wanted_s, of(story, YARD).wanted_s) == (5 + 11, 7)


def check_by_hand(rows: Sequence[e.Recorded]) -> None:
    """Time wanted and live, added up from each state alone, is what the ledger says."""
    wanted, shown = Counter[CameraId](), Counter[CameraId]()
    for state, row, after in zip(states(rows)[1:], rows, rows[1:], strict=False):
        if state.run is None or state.stopping or state.run != after.run:
            continue
        passed, held = max(0, after.mono_ns - row.mono_ns), state.lease_counts()
        for name, known in state.cameras.items():
            if known.settings.mode is Mode.ALWAYS or name in held:
                wanted[name] += passed
                shown[name] += passed * (known.phase is CameraPhase.LIVE)
    for one in ledger_of(rows).found().cameras:
        assert (one.wanted_s, one.live_s) == (wanted[one.camera] / 1e9, shown[one.camera] / 1e9)


def test_sum_of_the_events_is_what_the_states_add_up_to() -> None:
    """The ledger agrees with a second, slow computation over all states of a lively journal."""
    check_by_hand(lively())


def test_cameras_have_the_order_of_the_configuration() -> None:
    """Those of the last one; a camera that it does not name follows, and a choice changes no place."""
    attic = CameraId("attic")
    names = (YARD, CameraId("cam-2"), attic, CameraId("cam-10"), GATE)
    story = running(*names).after(1)
    assert [one.camera for one in added(story).cameras] == list(names)
    story.given(c.Configure("test", tuple(settings(name) for name in names if name != attic), Limits()))
    ledger = ledger_of(story.recorded)
    assert [one.camera for one in ledger.found().cameras] == [name for name in names if name != attic] + [attic]
    assert [one.camera for one in ledger.found(cameras=[GATE, YARD]).cameras] == [YARD, GATE]
