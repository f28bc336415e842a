"""Troubles: what has one cause is one, with its cameras, its times, who met it, and whether it is over."""

from pathlib import Path

import pytest

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.availability import Ledger
from supervisor.domain.ids import CameraId, ChildId, DeviceId, LeaseId, RunId, UseId
from supervisor.domain.state import State
from supervisor.domain.values import DeviceSettings, Fault, Limits, Mode, Reason, UseKind
from supervisor.forensics.incident.summary import paragraphs
from supervisor.forensics.replay import replay
from supervisor.forensics.timeline import timeline
from supervisor.forensics.troubles import Outage, Stuck, Trouble, Troubles
from tests.kit.availability import summed
from tests.kit.domain import (
    ASKED,
    FATAL,
    GATE,
    NODE,
    PICTURE,
    RUN,
    SECOND,
    YARD,
    Story,
    child,
    lease,
    live,
    running,
    settings,
)
from tests.kit.journals import lively, states
from tests.kit.troubles import untold

from .stories import BEGIN_NS, REFUSED, at, failing, night, of_run, reader_of

DOOR = CameraId("door")


def troubles(story: Story, folder: Path, first: int = 1, camera: CameraId | None = None) -> list[Trouble]:
    """Of the story from event `first` on, until now. They are those of which the availability has the figures."""
    reader = reader_of(folder / "journal", story.recorded)
    moments = list(replay(reader, first))
    since_ns, head = moments[0].recorded.wall_ns, reader.state_at(first - 1) if first > 1 else State()
    seen, ledger = Troubles(head, since_ns, camera), Ledger(head, since_ns)
    for moment in moments:
        seen.see(moment)
        ledger.see(*moment)
    reader.close()
    found = seen.found(story.now_ns)
    assert untold(found, ledger.found(story.now_ns, [camera] if camera else None)) is None
    return found


def test_lost_camera_is_a_trouble_with_its_viewers_until_it_is_live(tmp_path: Path) -> None:
    """Attempts in between are the same trouble; a viewer who comes meanwhile counts, banken's own lease does not."""
    story = live().given(lease("one")).after(5).given(c.ReportLoss(GATE, REFUSED, 0.5))
    story.after(1).given(c.ConnectCamera(GATE), c.ReportLoss(GATE, REFUSED, 0.5))
    story.given(lease("two"), lease("ours", client="banken"))
    story.after(1).given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE), lease("late")).after(9).given(c.EndRun())
    (found,) = troubles(story, tmp_path)
    assert (found.kind, found.text, found.begin_ns, found.end_ns) == ("lost", "connection refused", at(5), at(7))
    assert found.outages == (Outage(GATE, at(5), at(7), viewers=2, refused=0, missed=0, gone_ns=2 * SECOND, losses=2),)
    assert story.recorded[(found.cause or 0) - 1].type == "CameraWaiting"


def test_trouble_that_is_not_over_has_no_end_and_one_that_is_older_has_no_begin(tmp_path: Path) -> None:
    """The journal of the stretch does not say since when."""
    (found,) = troubles(failing(), tmp_path)
    assert (found.begin_ns, found.end_ns, found.outages[0].before) == (at(0), None, False)
    (found,) = troubles(failing(), tmp_path / "part", first=6)
    assert (found.begin_ns, found.end_ns, found.outages[0].before) == (at(11), None, True)


def test_cameras_that_are_lost_together_are_one_trouble_and_the_worst_comes_first(tmp_path: Path) -> None:
    """Two cameras for 100 s each, by one reason; then one with another reason for 30 s, which a viewer met."""
    story = running(GATE, YARD, DOOR)
    for camera in (GATE, YARD, DOOR):
        story.given(c.ConnectCamera(camera), c.ReportLive(camera, PICTURE))
    story.after(1).given(c.ReportLoss(GATE, REFUSED, 0.5)).after(9).given(c.ReportLoss(YARD, REFUSED, 0.5))
    story.given(c.ReportLoss(DOOR, Reason("timeout", "no answer"), 0.5)).after(30)
    story.given(c.ConnectCamera(DOOR), c.ReportLive(DOOR, PICTURE)).after(70)
    for camera in (GATE, YARD):
        story.given(c.ConnectCamera(camera), c.ReportLive(camera, PICTURE))
    found = troubles(story, tmp_path)
    assert [[outage.camera for outage in each.outages] for each in found] == [[GATE, YARD], [DOOR]]
    for camera in (YARD, DOOR):
        (alone,) = troubles(story, tmp_path / camera, camera=camera)
        assert [outage.camera for outage in alone.outages] == [camera]
    viewer = lease("one", camera=DOOR)
    again = running(GATE, DOOR).given(c.ConnectCamera(GATE), c.ReportLoss(GATE, REFUSED, 0.5)).given(viewer).after(99)
    again.given(c.ConnectCamera(DOOR), c.ReportLoss(DOOR, FATAL, 0.5)).after(1)
    assert [each.outages[0].camera for each in troubles(again, tmp_path / "met")] == [DOOR, GATE]


def stuck_box() -> Story:
    """Yard's process cannot be killed from 3 s to 63 s, and holds the one connection of the box that gate needs."""
    box = DeviceId("box")
    wanted = (settings(GATE, device="box", mode=Mode.ON_DEMAND), settings(YARD, device="box", mode=Mode.ON_DEMAND))
    story = Story().given(
        c.StartRun(RunId("run-1"), NODE, "0", 1), c.Configure("test", wanted, Limits(), (DeviceSettings(box, 1),))
    )
    story.after(1).given(lease("first", camera=YARD), c.TakeSlot(YARD), c.ConnectCamera(YARD), child(camera=YARD))
    name = ChildId("child-1")
    story.given(c.ReportChildStarted(name, 7, 70)).after(2)
    story.given(c.ReportChildSignalled(name, "SIGKILL", REFUSED), c.ReportChildUnkillable(name))
    story.given(c.ReportLoss(YARD, REFUSED, 0.5), c.EndLease(LeaseId("first"), ASKED)).after(7)
    story.given(lease("second"), c.TakeSlot(GATE)).after(20).given(c.EndLease(LeaseId("second"), ASKED))
    story.given(c.FreeSlot(GATE, ASKED), c.RestCamera(GATE, ASKED)).after(33)
    story.given(c.ReportChildEnded(name, None, "SIGKILL", REFUSED, ()), c.FreeSlot(YARD, REFUSED)).after(10)
    return story


def test_stuck_process_is_the_one_trouble_of_all_cameras_that_it_keeps_closed(tmp_path: Path) -> None:
    """Each for as long as somebody waited for it; the process is there until 63 s."""
    story = stuck_box()
    (found,) = troubles(story, tmp_path)
    assert (found.kind, found.device, found.end_ns) == ("stuck", "box", at(30))
    assert [(o.camera, o.begin_ns, o.end_ns, o.viewers) for o in found.outages] == [
        (GATE, at(10), at(30), 1), (YARD, at(1), at(3), 1),
    ]  # fmt: skip
    assert [(stuck.camera, stuck.begin_ns, stuck.end_ns) for stuck in found.stuck] == [(YARD, at(3), at(63))]
    kinds = [story.recorded[(seq or 0) - 1].type for seq in (found.cause, found.witness)]
    assert kinds == ["ChildUnkillable", "CameraQueued"]
    part = next(row.seq for row in story.recorded if row.type == "CameraQueued")
    (found,) = troubles(story, tmp_path / "part", first=part)
    assert (found.begin_ns, found.cause) == (at(3), None)
    (found,) = troubles(story, tmp_path / "one", camera=GATE)
    assert ([o.camera for o in found.outages], [s.camera for s in found.stuck]) == ([GATE], [YARD])
    assert troubles(story, tmp_path / "unmet", camera=DOOR) == []


def test_camera_that_waits_briefly_for_a_slot_is_not_a_trouble(tmp_path: Path) -> None:
    """Yard waits from 1 to 20 s and nobody watches it; a real loss of gate is one."""
    story = Story(recorded=night())
    story.now_ns = at(40)
    found = troubles(story, tmp_path)
    assert [(each.kind, [outage.camera for outage in each.outages]) for each in found] == [
        ("down", []), ("lost", [GATE]), ("other", []),
    ]  # fmt: skip
    assert (found[0].begin_ns, found[0].end_ns, found[2].text) == (at(20), at(30), "too many")


def test_long_wait_of_a_viewer_for_a_slot_is_a_trouble(tmp_path: Path) -> None:
    """Cameras of one device together, those of another device apart; the cause names who waits and who holds."""
    names = [CameraId(f"{box}-{n}") for box in "ab" for n in range(3)]
    boxes = tuple(DeviceSettings(DeviceId(box), 1) for box in "ab")
    wanted = tuple(settings(name, device=name[0], mode=Mode.ON_DEMAND) for name in names)
    story = Story().given(c.StartRun(RunId("run-1"), NODE, "0", 1), c.Configure("test", wanted, Limits(), boxes))
    for name in names:
        story.given(lease(f"of-{name}", camera=name), c.TakeSlot(name))
        if name.endswith("0"):
            story.given(c.ConnectCamera(name), c.ReportLive(name, PICTURE))
    story.after(20)
    found = troubles(story, tmp_path)
    assert [[outage.camera for outage in each.outages] for each in found] == [["a-1", "a-2"], ["b-1", "b-2"]]
    assert found[0].text == "a-1 waits for a connection to a, which serves 1; taken by a-0 (live)"


def test_orderly_stop_is_no_trouble_and_a_fault_outlives_a_restart(tmp_path: Path) -> None:
    """Nobody knows of the time in between: the camera that fails before and after it was away twice."""
    story = live().after(5).given(c.StopRun(ASKED), c.RestCamera(GATE, ASKED), c.EndRun())
    assert troubles(story, tmp_path) == []
    story = failing().given(c.StopRun(ASKED), c.RestCamera(GATE, ASKED), c.EndRun()).after(60)
    (found,) = troubles(story, tmp_path / "stopped")
    assert (found.end_ns, found.outages[0].stopped) == (at(31), True)
    story.given(c.StartRun(RunId("run-2"), NODE, "0", 1)).after(2)
    story.given(c.ConnectCamera(GATE), c.ReportLoss(GATE, REFUSED, 0.5)).after(7).given(
        c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE)
    )
    (found,) = troubles(story, tmp_path / "two")
    (outage,) = found.outages
    assert (found.begin_ns, found.end_ns, outage.times, outage.stopped) == (at(0), at(100), 2, False)
    assert outage.gone_ns == (31 + 9) * SECOND, "without the minute in which no daemon ran"


def test_round_that_a_stop_cut_short_counts_nowhere(tmp_path: Path) -> None:
    """Older versions wrote it, with an alert."""
    story = live().after(5).given(c.StopRun(ASKED))
    for event in (
        e.PatrolEnded("round", 0, (GATE,), 0.0, 0),
        e.AlertRaised("patrol/round", "no picture"),
        e.AlertCleared("patrol/round"),
    ):
        story.fold(event)
    story.given(c.RestCamera(GATE, ASKED), c.EndRun())
    assert troubles(story, tmp_path) == []
    reader = reader_of(tmp_path / "again", story.recorded)
    assert [mark.kind for mark in timeline(reader, BEGIN_NS, story.now_ns).marks] == ["start", "configuration", "stop"]
    reader.close()


def test_crash_of_the_camera_is_named_by_its_reason(tmp_path: Path) -> None:
    """Also where the camera was never live."""
    story = running(GATE).given(c.ConnectCamera(GATE)).after(2)
    story.given(c.ReportLoss(GATE, Reason("bad-password", "the password was refused", Fault.FATAL), 0.5)).after(3)
    (found,) = troubles(story, tmp_path)
    assert (found.text, found.begin_ns, found.end_ns) == ("the password was refused", at(0), None)


def test_camera_that_flaps_is_one_trouble_with_the_number_of_its_losses(tmp_path: Path) -> None:
    """Away for 2 s in each 10 s, three times; a minute of peace begins another trouble."""
    story = live()
    for pause in (8, 8, 8, 80):
        story.after(pause).given(c.ReportLoss(GATE, REFUSED, 0.5)).after(2)
        story.given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE))
    many, one = troubles(story, tmp_path)
    assert [outage.times for outage in (*many.outages, *one.outages)] == [3, 1]
    assert (many.begin_ns, many.end_ns, many.gone_ns) == (at(8), at(30), 6 * SECOND)


def test_outage_ends_with_the_last_event_of_a_run_that_did_not_go_on(tmp_path: Path) -> None:
    """The daemon was cut off within the stretch, and the next run is behind it."""
    story = failing()
    seen = Troubles(State(), at(0))
    reader = reader_of(tmp_path / "journal", story.recorded)
    for moment in replay(reader):
        seen.see(moment)
    reader.close()
    (found,) = seen.found(at(1000), goes_on=False)
    assert (times(found), found.outages[0].stopped) == ([(0, 21, 21)], True)


def begun(mode: Mode, *more: CameraId, box: str | None = None) -> Story:
    boxes = (DeviceSettings(DeviceId(box), 1),) if box else ()
    wanted = tuple(settings(name, device=box, mode=mode) for name in (GATE, *more))
    return Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", wanted, Limits(), boxes))


def refused(story: Story, camera: CameraId = GATE, reason: Reason = REFUSED) -> Story:
    return story.given(c.ConnectCamera(camera), c.ReportLoss(camera, reason, 0.5))


def shown(story: Story, camera: CameraId = GATE) -> Story:
    return story.given(c.ConnectCamera(camera), c.ReportLive(camera, PICTURE))


def let_go(story: Story, name: str, camera: CameraId = GATE) -> Story:
    return story.given(c.EndLease(LeaseId(name), ASKED), c.RestCamera(camera, ASKED))


def times(found: Trouble) -> list[tuple[float, float | None, float]]:
    """Begin, end and length of each outage, in seconds."""
    return [
        ((o.begin_ns - at(0)) / SECOND, None if o.end_ns is None else (o.end_ns - at(0)) / SECOND, o.gone_ns / SECOND)
        for o in found.outages
    ]


def test_outage_that_is_older_than_the_stretch_begins_with_the_stretch(tmp_path: Path) -> None:
    """A camera that was at rest for hours before it failed once was not away for hours."""
    story = shown(begun(Mode.ON_DEMAND).given(lease("one"))).after(10)
    refused(let_go(story, "one").after(36_000).given(lease("two")))
    first = len(story.recorded) + 1
    shown(story.after(5).given(lease("three")).after(5)).after(5)
    (whole,) = troubles(story, tmp_path)
    (part,) = troubles(story, tmp_path / "part", first)
    assert (times(whole), times(part)) == ([(36_010, 36_020, 10)], [(36_015, 36_020, 5)])
    assert (whole.outages[0].before, part.outages[0].before) == (False, True)


def test_time_in_which_a_camera_is_not_needed_is_not_an_outage(tmp_path: Path) -> None:
    """One viewer is refused and leaves; hours later another one gets a picture at once."""
    story = refused(begun(Mode.ON_DEMAND).given(lease("one"))).after(5)
    shown(let_go(story, "one").after(14_400).given(lease("two"))).after(5)
    (found,) = troubles(story, tmp_path)
    assert (times(found), found.viewers) == ([(0, 5, 5)], 1)


def test_loss_while_no_time_counts_is_a_trouble_without_length(tmp_path: Path) -> None:
    """A snapshot that fails; and a patrol's attempt that fails, after which the cycle gets its picture."""
    story = begun(Mode.ON_DEMAND).after(1).given(c.BeginUse(UseId("u"), GATE, UseKind.SNAPSHOT, "x"))
    refused(story).after(2).given(c.EndUse(UseId("u"), ASKED), c.RestCamera(GATE, ASKED)).after(99)
    (found,) = troubles(story, tmp_path)
    assert (times(found), found.outages[0].losses) == ([(1, 1, 0)], 1)
    story = shown(refused(begun(Mode.PATROL).after(1)).after(2)).given(c.ReportPatrol("others", 1, (), 3.0, 0))
    (found,) = troubles(story.after(9), tmp_path / "patrol")
    assert times(found) == [(1, 1, 0)]


def test_process_that_is_stuck_for_a_moment_does_not_hide_a_long_outage(tmp_path: Path) -> None:
    """The outage keeps its times and its cause; the process has no separate outage."""
    story = live().after(10).given(c.ReportLoss(GATE, REFUSED, 0.5)).after(3600).given(c.ConnectCamera(GATE), child())
    name = ChildId("child-1")
    story.given(c.ReportChildStarted(name, 7, 70), c.ReportChildSignalled(name, "SIGKILL", REFUSED))
    story.given(c.ReportChildUnkillable(name)).after(2)
    story.given(c.ReportLoss(GATE, REFUSED, 0.5), c.ReportChildEnded(name, None, "SIGKILL", REFUSED, ()))
    shown(story.after(30)).after(5)
    lost, stuck = troubles(story, tmp_path)
    assert (lost.kind, lost.text, times(lost)) == ("lost", "connection refused", [(10, 3642, 3632)])
    assert (stuck.kind, stuck.outages, stuck.begin_ns, stuck.end_ns) == ("stuck", (), at(3610), at(3612))


def test_camera_that_is_live_again_is_back_while_its_process_is_still_stuck(tmp_path: Path) -> None:
    """Away for 5 s, with a process that stays for an hour."""
    name = ChildId("child-1")
    story = live().given(child(), c.ReportChildStarted(name, 7, 70)).after(10).given(c.ReportLoss(GATE, REFUSED, 0.5))
    story.given(c.ReportChildSignalled(name, "SIGKILL", REFUSED), c.ReportChildUnkillable(name))
    shown(story.after(5)).after(3600)
    (found,) = troubles(story, tmp_path)
    assert (found.kind, times(found), found.end_ns, found.stuck[0].end_ns) == ("stuck", [(10, 15, 5)], at(15), None)


def test_alert_that_was_raised_before_the_stretch_is_a_trouble_of_it(tmp_path: Path) -> None:
    """With the time at which it was raised, and until it is cleared."""
    story = live().given(c.RaiseAlert("disk/journal", "the disk is full"))
    first = len(story.recorded) + 1
    story.after(600).given(lease()).after(60)
    (found,) = troubles(story, tmp_path, first)
    assert (found.kind, found.begin_ns, found.end_ns, found.text) == ("other", at(0), None, "the disk is full")
    story.given(c.ClearAlert("disk/journal"))
    (found,) = troubles(story, tmp_path / "cleared", first)
    assert found.end_ns == at(660)


@pytest.mark.parametrize("queued", [True, False])
def test_camera_that_every_patrol_cycle_misses_is_a_trouble(tmp_path: Path, queued: bool) -> None:
    """Also while it only waits for a connection, or has no event itself; the patrol's alert adds nothing."""
    box = "box" if queued else None
    wanted = (settings(GATE, device=box), settings(YARD, device=box, mode=Mode.PATROL))
    boxes = (DeviceSettings(DeviceId("box"), 1),) if queued else ()
    story = Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", wanted, Limits(), boxes))
    shown(story.given(c.TakeSlot(GATE)) if queued else story)
    for number in range(5):
        use = UseId(f"use-{number}")
        story.given(c.BeginUse(use, YARD, UseKind.PATROL, "patrol"))
        if queued:
            story.given(c.TakeSlot(YARD)).after(10).given(c.FreeSlot(YARD, ASKED), c.RestCamera(YARD, ASKED))
        story.given(c.EndUse(use, Reason("late", "it is late")), c.ReportPatrol("others", 0, (YARD,), 10.0, 0))
        if not number:
            (found,) = troubles(story, tmp_path / "first")
            assert found.outages[0].missed == 1, "one missed cycle is a trouble"
        story.after(50)
    (found,) = troubles(story, tmp_path)
    (outage,) = found.outages
    assert (outage.camera, outage.missed, outage.end_ns) == (YARD, 5, None)
    assert outage.gone_ns == story.now_ns - outage.begin_ns
    assert ("waits for a connection to box" in found.text) is queued
    rested = story.recorded[-1].seq + 1
    story.given(c.RaiseAlert("disk/journal", "the disk is full"))
    (alert, _) = troubles(story, tmp_path / "later", rested)
    assert alert.text == "the patrol of others gets no snapshot of yard", "no cycle of the stretch says it"


def test_outage_across_a_change_of_mode_is_one_with_one_length(tmp_path: Path) -> None:
    """Missed by the patrol for 300 s, then always wanted and lost for 400 s: the paragraph and the table say 700 s."""
    story = begun(Mode.PATROL).given(c.ReportPatrol("others", 0, (GATE,), 10.0, 0)).after(300)
    story.given(c.Configure("test", (settings(GATE),), Limits()))
    shown(refused(story).after(400)).after(5)
    (found,) = troubles(story, tmp_path)
    assert (times(found), found.outages[0].times) == ([(0, 700, 700)], 1)
    (row,) = summed(story.recorded, states(story.recorded)).found(story.now_ns).cameras
    assert row.away_max_s == 700


def test_camera_that_leaves_the_patrol_before_the_cycle_that_missed_it_ends_is_in_no_outage(tmp_path: Path) -> None:
    """The report says that it was missed, as the table does, and for how long it gave no picture it does not say."""
    story = begun(Mode.PATROL).given(c.Configure("test", (settings(GATE, mode=Mode.ON_DEMAND),), Limits())).after(9)
    story.given(c.ReportPatrol("others", 0, (GATE,), 10.0, 0)).after(300)
    found = troubles(story, tmp_path)
    assert [(each.kind, each.gone_ns) for each in found] == [("lost", 0)]
    (said,) = paragraphs(found, at(0), story.now_ns, None, 309.0)
    assert said.startswith("gate was missed by the patrol at 2027-01-15 08:00:09 UTC. No event says why.")


def test_outage_that_no_event_explains_names_no_cause(tmp_path: Path) -> None:
    """A patrol misses a camera that only connects: that no picture had come is not why."""
    story = begun(Mode.PATROL).given(c.ConnectCamera(GATE), c.ReportPatrol("others", 0, (GATE,), 10.0, 0)).after(300)
    (found,) = troubles(story, tmp_path)
    assert (found.text, found.outages[0].missed) == ("", 1)
    (said,) = paragraphs([found], at(0), story.now_ns, None, 300.0)
    assert "No event says why. In this stretch the patrol got no picture of gate 1 time." in said


def test_loss_of_another_camera_with_another_cause_is_a_separate_trouble(tmp_path: Path) -> None:
    """Gate flaps; yard is lost once meanwhile with the same code, for another reason. Addresses make no difference."""
    story = running(GATE, YARD, DOOR)
    for camera in (GATE, YARD, DOOR):
        shown(story, camera)
    for number in range(6):
        story.after(40).given(c.ReportLoss(GATE, Reason("refused", "192.0.2.1 refused it"), 0.5))
        if number == 0:
            story.given(c.ReportLoss(DOOR, Reason("refused", "192.0.2.2 refused it"), 0.5))
        if number == 1:
            story.given(c.ReportLoss(YARD, Reason("refused", "192.0.2.9 has no route"), 0.5))
        shown(story.after(2))
    for camera in (YARD, DOOR):
        shown(story, camera)
    found = {each.text: [outage.camera for outage in each.outages] for each in troubles(story, tmp_path)}
    assert found == {"192.0.2.1 refused it": [GATE, DOOR], "192.0.2.9 has no route": [YARD]}
    again = running(GATE, YARD)
    for camera in (GATE, YARD):
        shown(again, camera)
    for number in range(6):
        again.after(40).given(c.ReportLoss(GATE, REFUSED, 0.5))
        if number == 4:
            again.given(c.ReportLoss(YARD, REFUSED, 0.5))
        shown(again.after(2))
    one, two = troubles(again, tmp_path / "late")
    assert {each.outages[0].camera: each.outages[0].times for each in (one, two)} == {GATE: 6, YARD: 1}


def test_faults_of_the_daemon_come_before_losses_without_viewers(tmp_path: Path) -> None:
    """Ten hours without a daemon are more than 4 s without a picture."""
    story = live().after(5).given(c.ReportLoss(GATE, REFUSED, 0.5))
    shown(story.after(4)).after(1)
    cut = len(story.recorded)
    shown(story.after(36_000).given(c.StartRun(RunId("run-2"), NODE, "0", 2), c.RestCamera(GATE, ASKED)))
    of_run(story, "run-2", cut)
    story.fold(e.JournalFailed("the disk is full", story.now_ns, 9.0))
    assert [each.kind for each in troubles(story, tmp_path)] == ["fault", "down", "lost"]


def test_report_about_one_camera_names_no_alert_of_another_one(tmp_path: Path) -> None:
    """Those of the camera, of its processes and of the whole are named."""
    story = running(GATE, YARD).given(child("mine"), child("other", camera=YARD))
    for alert in ("children/gate", "children/yard", "flood/mine", "flood/other", "disk/journal", "patrol/others"):
        story.given(c.RaiseAlert(alert, alert))
    found = [each.text for each in troubles(story, tmp_path, camera=GATE)]
    assert found == ["children/gate", "flood/mine", "disk/journal"]


@pytest.mark.parametrize("rounds", range(8))
def test_any_journal_has_troubles_whose_times_are_in_order(tmp_path: Path, rounds: int) -> None:
    """From any event on, of one camera and of all."""
    story = Story(recorded=lively(rounds))
    story.now_ns = story.recorded[-1].wall_ns
    for number, first in enumerate(range(1, len(story.recorded), 17)):
        for camera in (None, GATE):
            for found in troubles(story, tmp_path / f"{number}-{camera}", first, camera):
                several: list[Trouble | Outage | Stuck] = [found, *found.outages, *found.stuck]
                for each in several:
                    assert each.begin_ns <= (each.end_ns or story.now_ns), each
                assert found.gone_ns >= 0
                assert camera is None or all(outage.camera == camera for outage in found.outages)


def test_cameras_of_a_trouble_have_the_order_of_the_configuration(tmp_path: Path) -> None:
    """Those with viewers come before the others."""
    story = running(YARD, GATE, DOOR)
    for camera in (GATE, DOOR, YARD):
        story.given(c.ConnectCamera(camera), c.ReportLive(camera, PICTURE))
    story.after(1).given(*(c.ReportLoss(camera, REFUSED, 0.5) for camera in (DOOR, GATE, YARD))).after(60)
    (found,) = troubles(story, tmp_path)
    assert [outage.camera for outage in found.outages] == [YARD, GATE, DOOR]
    (found,) = troubles(story.given(lease("one", DOOR)), tmp_path / "met")
    assert [outage.camera for outage in found.outages] == [DOOR, YARD, GATE]
