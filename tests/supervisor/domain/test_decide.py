"""The decisions, as given, when, then."""

import pytest
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.configuration import LINE, LINES
from supervisor.domain.errors import Refusal
from supervisor.domain.ids import NO_CAMERA, CameraId, ChildId, PeerId, RunId
from supervisor.domain.lifecycle import CameraPhase, PeerPhase
from supervisor.domain.restart import CRASHES
from supervisor.domain.values import Fault, Limits, Mode, Reason, Transcode
from tests.kit.domain import ASKED, GATE, NODE, PICTURE, TEMPORARY, YARD, Story, child, live, peer, running, settings

# ── the daemon ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_run_closes_what_the_last_one_left_open() -> None:
    """After a crash: the run, its child, its peer and its camera's phase are closed, each with a reason."""
    story = live().given(child(), peer())
    events = story.when(c.StartRun(RunId("run-2"), NODE, "0", 2))
    assert [type(event) for event in events] == [
        e.RunAbandoned,
        e.ChildAbandoned,
        e.PeerClosed,
        e.LeaseEnded,
        e.CameraIdle,
        e.RunStarted,
    ]
    assert not story.state.children
    assert not story.state.peers
    assert story.state.cameras[GATE].phase is CameraPhase.IDLE
    assert story.state.run == "run-2"


def test_run_that_was_cut_off_may_be_that_of_a_copy_unless_its_child_runs() -> None:
    """A copy of a journal looks as after a kill; a child process of its daemon that still runs contradicts that."""
    none: frozenset[ChildId] = frozenset()
    for alive, may_be_copy in ((none, True), (frozenset({ChildId("child-1")}), False)):
        story = live().given(child())
        abandoned = story.when(c.StartRun(RunId("run-2"), NODE, "0", 2, alive))[0]
        assert isinstance(abandoned, e.RunAbandoned)
        assert ("this journal is a copy" in abandoned.sentence()) == may_be_copy


def test_refused_configuration_stores_few_lines_and_counts_the_others() -> None:
    """The journal has `LINES` complaints, and the number of those left out, whatever the sender has cut."""
    (refused,) = running().when(c.RefuseConfiguration("banken.yaml", ("x" * 1000,) * 50, more=7))
    assert isinstance(refused, e.ConfigurationRefused)
    assert ({len(line) for line in refused.lines}, len(refused.lines), refused.more) == ({LINE}, LINES, 37)


def test_after_a_graceful_end_nothing_is_left_to_close() -> None:
    """The next run begins with `RunStarted` alone, without events about remains."""
    story = running().given(c.StopRun(ASKED), c.EndRun())
    assert [type(event) for event in story.when(c.StartRun(RunId("run-2"), NODE, "0", 2))] == [e.RunStarted]


def test_stopping_refuses_new_work() -> None:
    """From the moment of stopping no source, child or viewer begins."""
    story = running().given(c.StopRun(ASKED))
    for command in (c.ConnectCamera(GATE), child(), peer()):
        assert story.refuses(command).refusal is Refusal.UNAVAILABLE
    assert story.when(c.StopRun(ASKED)) == ()


def test_configuring_changes_only_what_differs() -> None:
    """The camera that stays the same has no event; one is removed, then one is added."""
    story = running(GATE, YARD)
    events = story.when(c.Configure("test", (settings(GATE), settings(CameraId("roof"))), Limits()))
    assert [(type(event), getattr(event, "camera", None)) for event in events] == [
        (e.ConfigurationApplied, None),
        (e.CameraRemoved, YARD),
        (e.CameraAdded, "roof"),
    ]


def test_cameras_have_the_order_of_the_configuration() -> None:
    """It is part of the state, and follows a file in which nothing else has changed."""
    names = [CameraId(name) for name in ("yard", "cam-2", "cam-10", "gate")]
    story = running(*names)
    assert [camera.settings.camera for camera in story.state.in_order()] == names
    turned = tuple(settings(name) for name in reversed(names))
    assert [type(event) for event in story.when(c.Configure("test", turned, Limits()))] == [e.ConfigurationApplied]
    assert [camera.settings.camera for camera in story.state.in_order()] == names[::-1]


def test_cameras_of_a_journal_without_an_order_are_ordered_by_name() -> None:
    """As are those behind the named ones that the order does not have."""
    state = running(YARD, GATE, CameraId("roof")).state
    for order, shown in (((), ["gate", "roof", "yard"]), ((YARD,), ["yard", "gate", "roof"])):
        older = replace(state, order=order)
        assert [camera.settings.camera for camera in older.in_order()] == shown


def test_a_changed_password_is_a_change() -> None:
    """It may not be shown, so its revision says that the settings are not what they were."""
    events = running().when(c.Configure("test", (settings(revision=1),), Limits()))
    assert e.CameraChanged(GATE, settings(revision=1), ("source",)) in events


def test_changed_settings_are_named_and_the_address_only_if_it_is_one_of_them() -> None:
    """An event of an older journal names none, and shows the address."""
    events = running().when(c.Configure("test", (settings(transcode=Transcode.ALWAYS),), Limits()))
    (changed,) = [event for event in events if isinstance(event, e.CameraChanged)]
    assert changed.sentence() == "gate has new settings (transcode)"
    assert replace(changed, changed=()).sentence().startswith("gate has new settings: ")


# ── cameras ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_backoff_doubles_with_full_jitter_up_to_its_cap() -> None:
    """With the largest jitter the waits are 1, 2, 4 … 60 s; with none they are nothing."""
    story, delays = running(), []
    for _ in range(9):
        story.given(c.ConnectCamera(GATE))
        (waiting,) = story.when(c.ReportLoss(GATE, TEMPORARY, jitter=1.0))
        assert isinstance(waiting, e.CameraWaiting)
        delays.append(waiting.delay_s)
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    story.given(c.ConnectCamera(GATE))
    (waiting,) = story.when(c.ReportLoss(GATE, TEMPORARY, jitter=0.0))
    assert isinstance(waiting, e.CameraWaiting)
    assert waiting.delay_s == 0


@pytest.mark.parametrize(("healthy_s", "attempts"), [(59.9, 4), (60.0, 1)])
def test_count_of_attempts_restarts_after_a_minute_live(healthy_s: float, attempts: int) -> None:
    """After 59.9 s live a loss is the fourth attempt; after 60 s it is the first."""
    story = running()
    for _ in range(3):
        story.given(c.ConnectCamera(GATE), c.ReportLoss(GATE, TEMPORARY, 0.5))
    story.given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE)).after(healthy_s)
    (waiting,) = story.when(c.ReportLoss(GATE, TEMPORARY, 0.5))
    assert isinstance(waiting, e.CameraWaiting)
    assert waiting.attempts == attempts


def fails(story: Story, reason: Reason) -> e.CameraWaiting | e.CameraFailed:
    """One attempt that fails, when its time has come."""
    story.given(c.ConnectCamera(GATE))
    (event,) = story.when(c.ReportLoss(GATE, reason, 0.5))
    assert isinstance(event, e.CameraWaiting | e.CameraFailed)
    story.after(event.delay_s)
    return event


NOT_FOUND = Reason("not-found", "the camera has no stream under this path", Fault.FATAL)
NO_CODEC = Reason("unsupported-codec", "the stream is MPEG-4", Fault.FATAL)
PASSWORD = Reason("unauthorized", "the camera refuses the user or password", Fault.FATAL)


def retry(*, confirmed: bool = False) -> c.RetryCamera:
    return c.RetryCamera(GATE, "192.0.2.9", confirmed)


@pytest.mark.parametrize(
    "lost",
    [
        [c.ConnectCamera(GATE), c.ReportLoss(GATE, TEMPORARY, 1.0), c.ConnectCamera(GATE),
         c.ReportLoss(GATE, TEMPORARY, 1.0), c.ConnectCamera(GATE), c.ReportLoss(GATE, TEMPORARY, 1.0)],
        [c.ConnectCamera(GATE), c.ReportLoss(GATE, NOT_FOUND, 0.5)],
        [c.ReportCrash(GATE, "a bug", 0.5)] * 6,
    ],
    ids=["waiting", "failed", "quarantined"],
)  # fmt: skip
def test_camera_that_waits_is_retried_once_by_a_request(lost: list[c.Command]) -> None:
    """The event names the client, its phase stays until it connects, and a second request meanwhile adds nothing."""
    story = running().given(*lost).after(1)
    phase = story.state.cameras[GATE].phase
    assert story.when(retry()) == (e.CameraRetried(GATE, "192.0.2.9"),)
    camera = story.state.cameras[GATE]
    assert (camera.phase, camera.retry_at_ns) == (phase, story.now_ns)
    assert story.after(0.1).when(retry()) == ()
    assert story.when(c.ConnectCamera(GATE)) == (e.CameraConnecting(GATE, camera.attempts + 1),)


def test_retry_of_a_camera_whose_wait_is_over_is_journaled_once() -> None:
    """It stands at the gate for all starts, perhaps for half a minute; the event says who asked, and moves it up."""
    story = running().given(c.ConnectCamera(GATE), c.ReportLoss(GATE, TEMPORARY, 1.0)).after(30)
    due_ns = story.state.cameras[GATE].retry_at_ns
    assert story.when(retry()) == (e.CameraRetried(GATE, "192.0.2.9"),)
    assert story.state.cameras[GATE].retry_at_ns == due_ns
    assert story.after(30).when(retry()) == ()
    story.given(c.ReportCrash(GATE, "a bug before it connects", 0.5)).after(30)
    assert story.when(retry()) == (e.CameraRetried(GATE, "192.0.2.9"),)


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (running(), "it is idle"),
        (running().given(c.ConnectCamera(GATE)), "tried already"),
        (live(), "it is live"),
        (live().given(c.ReportStall(GATE, 2.0)), "its connection is open"),
    ],
    ids=["idle", "connecting", "live", "stalled"],
)
def test_camera_that_waits_for_nothing_is_not_retried(story: Story, reason: str) -> None:
    """The refusal says why: there is no wait that could be ended."""
    refused = story.refuses(retry(confirmed=True))
    assert refused.refusal is Refusal.CONFLICT
    assert reason in refused.reason


def test_reason_of_a_silence_has_a_tenth_of_a_second() -> None:
    """The time is measured to the nanosecond."""
    (stalled,) = live().when(c.ReportStall(GATE, 2.78468))
    assert isinstance(stalled, e.CameraStalled)
    assert stalled.reason.text == "nothing has come for 2.8 s"


def test_retry_within_a_second_of_a_loss_is_refused() -> None:
    """However many ask, a camera is tried once a second at the most."""
    story = running().given(c.ConnectCamera(GATE), c.ReportLoss(GATE, NOT_FOUND, 0.5)).after(0.75)
    refused = story.refuses(retry())
    assert (refused.refusal, refused.retry_after_s) == (Refusal.RATE_LIMITED, 0.25)
    assert story.after(0.25).when(retry())


def test_retry_after_a_refused_password_needs_a_confirmation() -> None:
    """Also when the camera has been out of reach since: the same password would be sent."""
    story = running().given(c.ConnectCamera(GATE), c.ReportLoss(GATE, PASSWORD, 0.5)).after(2)
    assert story.refuses(retry()).refusal is Refusal.LOCKOUT
    assert story.when(retry(confirmed=True)) == (e.CameraRetried(GATE, "192.0.2.9"),)
    story.given(c.ConnectCamera(GATE), c.ReportLoss(GATE, TEMPORARY, 1.0), c.ConnectCamera(GATE))
    story.given(c.ReportLoss(GATE, TEMPORARY, 1.0)).after(1)
    assert story.refuses(retry()).refusal is Refusal.LOCKOUT
    story.given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE), c.ReportLoss(GATE, TEMPORARY, 1.0))
    assert running().given(c.StopRun(ASKED)).refuses(retry()).refusal is Refusal.UNAVAILABLE


@pytest.mark.parametrize(
    ("reasons", "delays"),
    [
        ([NOT_FOUND] * 8, [10, 20, 40, 80, 160, 300, 300, 300]),
        ([NO_CODEC, NO_CODEC, NOT_FOUND, NOT_FOUND], [10, 20, 10, 20]),
        ([PASSWORD] * 4, [300, 1800, 1800, 1800]),
        ([PASSWORD, NOT_FOUND, PASSWORD], [300, 10, 300]),
        ([PASSWORD, TEMPORARY, PASSWORD], [300, 0.5, 1800]),
        ([NOT_FOUND, TEMPORARY, NOT_FOUND], [10, 0.5, 20]),
    ],
)
def test_fatal_loss_is_probed_after_10_s_then_doubled_to_5_min(reasons: list[Reason], delays: list[float]) -> None:
    """A refused password is not: 5 min, then 30 min. A failure that passes by itself does not restart the count."""
    story = running()
    assert [fails(story, reason).delay_s for reason in reasons] == delays


@pytest.mark.parametrize("reason", [NOT_FOUND, NO_CODEC], ids=lambda reason: reason.code)
def test_camera_that_was_live_a_moment_ago_is_tried_after_1_2_4_s(reason: Reason) -> None:
    """It, or the relay in front of it, restarts. After two minutes it counts as failed, and is probed."""
    story = live().given(c.ReportLoss(GATE, TEMPORARY, 0.5))
    events = [fails(story, reason) for _ in range(24)]
    waits = [event for event in events if isinstance(event, e.CameraWaiting)]
    assert [event.delay_s for event in waits[:6]] == [1, 2, 4, 8, 10, 10]
    assert sum(event.delay_s for event in waits) == pytest.approx(120, abs=15)
    assert [event.delay_s for event in events[len(waits) :]][:6] == [20, 40, 80, 160, 300, 300]
    assert waits[0].reason == Reason(reason.code, reason.text, Fault.TEMPORARY)


def test_404_in_the_middle_of_a_live_connection_is_tried_after_1_s() -> None:
    """A redirect, or a session that is set up again, may answer so while the camera is live."""
    story = live()
    (event,) = story.when(c.ReportLoss(GATE, NOT_FOUND, 0.5))
    assert isinstance(event, e.CameraWaiting)
    assert (event.delay_s, event.times, event.live_until_ns) == (1, 1, story.now_ns)


def test_camera_on_demand_that_was_live_before_it_rested_is_tried_after_1_s() -> None:
    """The moment in which it was last live is not forgotten while it rests."""
    story = live().given(c.RestCamera(GATE, ASKED)).after(30)
    assert fails(story, NOT_FOUND).delay_s == 1
    assert fails(live().given(c.RestCamera(GATE, ASKED)).after(130), NOT_FOUND).delay_s == 10


def test_refused_password_of_a_camera_that_was_live_waits_5_min() -> None:
    """The account may be locked by attempts, however well it went before."""
    story = live().given(c.ReportLoss(GATE, TEMPORARY, 0.5))
    assert [fails(story, PASSWORD).delay_s for _ in range(3)] == [300, 1800, 1800]


def test_camera_that_is_live_again_begins_a_new_count() -> None:
    """Of probes, and of refused passwords."""
    for reason, delay_s in ((NOT_FOUND, 1), (PASSWORD, 300)):
        story = running()
        for _ in range(5):
            fails(story, reason)
        story.given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE), c.ReportLoss(GATE, TEMPORARY, 0.5))
        assert fails(story, reason).delay_s == delay_s


def test_new_settings_begin_a_new_count_of_refused_passwords() -> None:
    """A new password is tried at once, and if it is wrong, too, again after 5 min."""
    story = running()
    assert [fails(story, PASSWORD).delay_s for _ in range(2)] == [300, 1800]
    story.given(c.Configure("test", (settings(GATE, revision=1),), Limits()))
    assert fails(story, PASSWORD).delay_s == 300


def test_crashes_within_limits_restart_and_beyond_them_quarantine() -> None:
    """Five in thirty seconds are borne, the sixth is not; each further quarantine is twice as long, up to an hour."""
    story, quarantines = running(), []
    for _ in range(6):
        for _ in range(CRASHES):
            story.after(1)
            assert isinstance(story.when(c.ReportCrash(GATE, "boom", 0.5))[0], e.CameraCrashed)
        (event,) = story.when(c.ReportCrash(GATE, "boom", 0.5))
        assert isinstance(event, e.CameraQuarantined)
        quarantines.append(event.delay_s)
    assert quarantines == [300, 600, 1200, 2400, 3600, 3600]


def test_slow_crashes_never_quarantine() -> None:
    """Fifty crashes, 7 s apart, each lead to a restart."""
    story = running()
    for _ in range(50):
        story.after(7)
        assert isinstance(story.when(c.ReportCrash(GATE, "boom", 0.5))[0], e.CameraCrashed)


def test_a_short_silence_does_not_make_a_healthy_camera_sick() -> None:
    """Every stall is seen as silence first; what counts is how long the connection had been live."""
    story = running()
    for _ in range(5):
        story.given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE)).after(3600)
        story.given(c.ReportStall(GATE, 2.0)).after(2).given(c.ReportLive(GATE, PICTURE)).after(2)
        story.given(c.ReportStall(GATE, 2.0)).after(4).given(c.ReportLoss(GATE, TEMPORARY, 0.5))
        assert story.state.cameras[GATE].attempts == 1


def test_oddity_of_a_camera_is_an_event_once_in_a_run() -> None:
    """Another kind is another event, and the next run reports both again. An unknown camera has none."""
    story, met = running(), c.ReportOddity(GATE, "cseq", "answers with another CSeq", "taken in order")
    assert story.when(met) == (e.OddityMet(GATE, "cseq", met.does, met.handled),)
    story.given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE))
    assert story.when(met) == ()
    assert len(story.when(c.ReportOddity(GATE, "no-range", "PLAY is refused with a Range", "without it"))) == 1
    assert story.state.cameras[GATE].oddities == ("cseq", "no-range")
    assert story.when(c.ReportOddity(YARD, "cseq", met.does, met.handled)) == ()
    story.given(c.StartRun(RunId("run-2"), NODE, "0", 2))
    assert story.state.cameras[GATE].oddities == ()
    assert len(story.when(met)) == 1


def test_letting_go_of_a_failing_camera_does_not_make_it_well() -> None:
    """A failing camera still reports its failure when its viewers return; one that was live starts without a
    history."""
    story = running()
    for _ in range(3):
        story.given(c.ConnectCamera(GATE), c.ReportLoss(GATE, TEMPORARY, 0.5))
    story.given(c.RestCamera(GATE, ASKED))
    assert story.when(c.ConnectCamera(GATE)) == (e.CameraConnecting(GATE, attempt=4),)
    story.given(c.ReportLive(GATE, PICTURE), c.RestCamera(GATE, ASKED))
    assert story.when(c.ConnectCamera(GATE)) == (e.CameraConnecting(GATE, attempt=1),)


def test_same_picture_format_is_reported_once() -> None:
    """A second report with equal size and codec decides no event."""
    assert live().when(c.ReportLive(GATE, PICTURE)) == ()


def test_transport_of_the_last_connection_is_known_for_the_device() -> None:
    """First that of the camera, then those of the others of its device; new settings forget it."""
    story = running(GATE, YARD).given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE, "udp"))
    assert story.state.transports_of(GATE)[0] == "udp"
    assert story.state.transports_of(CameraId("nobody")) == []
    both = (settings(GATE, device="box"), settings(YARD, device="box"))
    story = Story().given(c.StartRun(RunId("run"), NODE, "0", 1), c.Configure("test", both, Limits()), c.TakeSlot(GATE))
    story.given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE, "udp"))
    assert story.state.transports_of(YARD) == ["udp"]
    story.given(c.RestCamera(GATE, ASKED))
    assert story.state.transports_of(YARD) == ["udp"]
    changed = (settings(GATE, device="box", mode=Mode.ON_DEMAND), both[1])
    assert story.given(c.Configure("test", changed, Limits())).state.transports_of(YARD) == []


def test_reports_about_what_is_gone_decide_nothing() -> None:
    """A late report of an actor is no error; only a connection to an unknown camera is refused."""
    story = running()
    nobody = CameraId("nobody")
    assert story.when(c.ReportLive(nobody, PICTURE)) == ()
    assert story.when(c.ReportLoss(nobody, TEMPORARY, 0.5)) == ()
    assert story.when(c.ReportCrash(nobody, "boom", 0.5)) == ()
    assert story.when(c.RestCamera(nobody, ASKED)) == ()
    assert story.when(c.RestCamera(GATE, ASKED)) == ()
    assert story.when(c.ReportPeerConnected(PeerId("nobody"))) == ()
    assert story.when(c.ReportPeerClosed(PeerId("nobody"), ASKED)) == ()
    assert story.refuses(c.ConnectCamera(nobody)).refusal is Refusal.UNKNOWN


# ── child processes ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_camera_never_has_two_children_for_one_purpose() -> None:
    """The second is refused until the first is reaped, whatever phase that one is in."""
    story = running()
    first = ChildId("child-1")
    for step in (child(), c.ReportChildStarted(first, 10, 99), c.ReportChildSignalled(first, "SIGTERM", ASKED)):
        story.given(step)
        assert story.refuses(child("child-2")).refusal is Refusal.CONFLICT
    story.given(c.ReportChildUnkillable(first))
    assert story.refuses(child("child-2")).refusal is Refusal.CONFLICT
    story.given(c.ReportChildEnded(first, None, "SIGKILL", ASKED))
    assert isinstance(story.when(child("child-2"))[0], e.ChildStarting)


@pytest.mark.parametrize(
    ("purpose", "owner"),
    [("daemon/switcher", "daemon/switcher"), ("detector/people", "detector/people"), ("decoder", "the decoder")],
)
def test_sentences_about_a_child_without_a_camera_name_its_work(purpose: str, owner: str) -> None:
    """From its start to its end: the events after the first have the purpose too."""
    story, name = running(), ChildId("child-1")
    steps = (
        c.PrepareChild(name, NO_CAMERA, purpose, ("x",)),
        c.ReportChildStarted(name, 10, 99),
        c.ReportChildSignalled(name, "SIGKILL", ASKED),
        c.ReportChildUnkillable(name),
        c.ReportChildEnded(name, None, "SIGKILL", ASKED),
    )
    sentences = [event.sentence() for step in steps for event in story.when(step)]
    assert sentences[0] == f"starting a child for {owner}"
    assert all(f"child child-1 of {owner}" in sentence for sentence in sentences[1:])


def test_sentence_about_the_end_of_a_child_does_not_say_twice_how_it_ended() -> None:
    """Reasons of programs name the exit code themselves; other reasons do not."""

    def sentence(text: str) -> str:
        story = running().given(child(), c.ReportChildStarted(ChildId("child-1"), 10, 99)).after(2)
        return story.when(c.ReportChildEnded(ChildId("child-1"), 3, None, replace(TEMPORARY, text=text)))[0].sentence()

    assert (
        sentence("yolo exited with 3: no model")
        == "child child-1 of gate ended after 2.0 s: yolo exited with 3: no model"
    )
    assert sentence("no model") == "child child-1 of gate exited with 3 after 2.0 s: no model"


# ── viewers ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("limits", "taken", "asked"),
    [
        (Limits(peers=2), [peer("a"), peer("b", YARD)], peer("c")),
        (Limits(peers_per_camera=1), [peer("a")], peer("b")),
        (Limits(peers_per_client=1), [peer("a", client="192.0.2.1")], peer("b", YARD, client="192.0.2.1")),
    ],
    ids=["in all", "per camera", "per client"],
)
def test_each_cap_refuses_with_429_and_when_to_ask_again(
    limits: Limits, taken: list[c.OpenPeer], asked: c.OpenPeer
) -> None:
    """At the cap: 429 with a delay; once one has left, the same request is served."""
    story = running(GATE, YARD, limits=limits).given(*taken)
    refused = story.refuses(asked)
    assert (refused.status, refused.retry_after_s) == (429, 5.0)
    story.given(c.ReportPeerClosed(taken[0].peer, ASKED))
    assert [type(event) for event in story.when(asked)] == [e.LeaseGranted, e.PeerOpened]


def test_a_failed_camera_takes_no_viewers_and_says_why() -> None:
    """503 with the camera's reason, and a `Retry-After` of the 200 s until the next attempt."""
    story = running().given(c.ConnectCamera(GATE), c.ReportLoss(GATE, PASSWORD, 0.5)).after(100)
    refused = story.refuses(peer())
    assert (refused.status, refused.retry_after_s) == (503, 200.0)
    assert PASSWORD.text in refused.reason


def test_only_the_owner_may_close_its_peer() -> None:
    """Another owner gets 403; a second close by the owner decides nothing."""
    story = running().given(peer(owner="mine"))
    assert story.refuses(c.ClosePeer(PeerId("peer-1"), ASKED, owner="yours")).status == 403
    assert story.when(c.ClosePeer(PeerId("peer-1"), ASKED, owner="mine")) == (
        e.PeerClosing(PeerId("peer-1"), GATE, ASKED),
    )
    assert story.when(c.ClosePeer(PeerId("peer-1"), ASKED, owner="mine")) == ()


def test_first_reason_for_closing_a_peer_is_kept() -> None:
    """The actor's own reason for its end does not replace the one it was ended for."""
    story = running().given(peer(), c.ClosePeer(PeerId("peer-1"), ASKED)).after(2)
    closed, ended = story.when(c.ReportPeerClosed(PeerId("peer-1"), Reason("cancelled", "cancelled")))
    assert closed == e.PeerClosed(PeerId("peer-1"), GATE, ASKED, lasted_s=2.0, bytes=0)
    assert isinstance(ended, e.LeaseEnded)
    assert ended.reason == ASKED


def test_a_silent_peer_may_be_heard_again() -> None:
    """It is connected again, and the event has the length of the silence, 8 s."""
    name = PeerId("peer-1")
    story = running().given(peer(), c.ReportPeerConnected(name), c.ReportPeerSilent(name, 6.0))
    assert story.state.peers[name].phase is PeerPhase.SILENT
    heard = story.when(c.ReportPeerHeard(name, 8.0))
    assert heard == (e.PeerHeard(name, GATE, silence_s=8.0),)
    assert story.state.peers[name].phase is PeerPhase.CONNECTED
