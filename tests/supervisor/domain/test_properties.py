"""Random lives of a daemon: whatever is asked of it, in any order, the invariants hold."""

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.decide import decide
from supervisor.domain.errors import Rejected
from supervisor.domain.evolve import fold
from supervisor.domain.ids import CameraId, ChildId, DeviceId, PeerId, RunId, UseId
from supervisor.domain.lifecycle import CameraPhase, PeerPhase
from supervisor.domain.plan import plan
from supervisor.domain.state import AUDIO, state_hash
from supervisor.domain.values import DeviceSettings, Fault, LeaseKind, Limits, Mode, Reason, UseKind
from tests.kit.availability import uncounted_visits, unequal_parts
from tests.kit.domain import ASKED, FATAL, NODE, PICTURE, TEMPORARY, Story, child, lease, peer, settings
from tests.kit.journals import states

from .test_availability import DONE, check_by_hand

CAMERAS = [CameraId(name) for name in ("gate", "yard", "roof")]
MODES = dict(zip(CAMERAS, Mode, strict=True))
BOX = DeviceId("box")
CLIENTS = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
LIMITS = Limits(peers=4, peers_per_camera=3, peers_per_client=2, leases=6, leases_per_client=4, modal_s=60.0)


class Life(RuleBasedStateMachine):
    """Commands in any order. A refused command changes nothing; an accepted one keeps the invariants."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story()
        self.count = 0
        self.freed: list[e.SlotFreed] = []
        self.start()

    def ask(self, command: c.Command) -> None:
        try:
            events = self.story.when(command)
            self.freed += [event for event in events if isinstance(event, e.SlotFreed) and event.held]
        except Rejected:
            return

    def fresh(self, noun: str) -> str:
        self.count += 1
        return f"{noun}-{self.count}"

    @rule()
    def start(self) -> None:
        """A crash at any moment, and the next run."""
        self.ask(c.StartRun(RunId(self.fresh("run")), NODE, "0", 1))
        assert not self.story.state.children
        assert not self.story.state.peers
        assert not self.story.state.leases

    @rule(names=st.sets(st.sampled_from(CAMERAS)), revision=st.integers(0, 1))
    def configure(self, names: set[CameraId], revision: int) -> None:
        cameras = tuple(settings(n, revision=revision, device="box", mode=MODES[n]) for n in sorted(names))
        self.ask(c.Configure("test", cameras, LIMITS, (DeviceSettings(BOX, 2),)))
        assert set(self.story.state.cameras) == names

    @rule(modes=st.fixed_dictionaries(dict.fromkeys(CAMERAS, st.sampled_from(list(Mode)))))
    def change_modes(self, modes: dict[CameraId, Mode]) -> None:
        cameras = tuple(settings(name, mode=mode) for name, mode in modes.items())
        self.ask(c.Configure("test", cameras, LIMITS))

    @rule(missed=st.sets(st.sampled_from(CAMERAS)), skipped=st.integers(0, 2))
    def end_cycle(self, missed: set[CameraId], skipped: int) -> None:
        self.ask(c.ReportPatrol("others", 1, tuple(sorted(missed)), 1.0, skipped))

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        self.story.after(seconds)

    @rule(name=st.sampled_from(CAMERAS))
    def connect(self, name: CameraId) -> None:
        self.ask(c.TakeSlot(name))
        self.ask(c.ConnectCamera(name))

    @rule(name=st.sampled_from(CAMERAS))
    def live(self, name: CameraId) -> None:
        self.ask(c.ReportLive(name, PICTURE))

    @rule(name=st.sampled_from(CAMERAS), reason=st.sampled_from([TEMPORARY, FATAL]), jitter=st.floats(0, 0.99))
    def lose(self, name: CameraId, reason: Reason, jitter: float) -> None:
        self.ask(c.ReportLoss(name, reason, jitter))

    @rule(name=st.sampled_from(CAMERAS))
    def crash(self, name: CameraId) -> None:
        self.ask(c.ReportCrash(name, "boom", 0.5))

    @rule(name=st.sampled_from(CAMERAS))
    def rest(self, name: CameraId) -> None:
        self.ask(c.RestCamera(name, ASKED))

    @rule(name=st.sampled_from(CAMERAS), purpose=st.sampled_from(["source", AUDIO]))
    def start_child(self, name: CameraId, purpose: str) -> None:
        self.ask(child(self.fresh("child"), name, purpose))

    @precondition(lambda self: self.story.state.children)
    @rule(data=st.data())
    def child_reports(self, data: st.DataObject) -> None:
        name = ChildId(data.draw(st.sampled_from(sorted(self.story.state.children))))
        self.ask(c.ReportChildEnded(name, 0, None, ASKED))
        assert name not in self.story.state.children

    @rule(name=st.sampled_from(CAMERAS), client=st.sampled_from(CLIENTS))
    def open_peer(self, name: CameraId, client: str) -> None:
        self.ask(peer(self.fresh("peer"), name, client))

    @rule(
        name=st.sampled_from(CAMERAS),
        kind=st.sampled_from(list(LeaseKind)),
        client=st.sampled_from(CLIENTS),
        ttl_s=st.sampled_from([0.0, 10.0, 30.0]),
        exclusive=st.booleans(),
    )
    def grant(self, name: CameraId, kind: LeaseKind, client: str, ttl_s: float, exclusive: bool) -> None:
        self.ask(lease(self.fresh("lease"), name, kind, client, ttl_s=ttl_s, exclusive=exclusive))

    @precondition(lambda self: self.story.state.leases)
    @rule(data=st.data(), what=st.sampled_from(["renew", "idle", "silent", "end", "look"]), seconds=st.floats(0, 60))
    def lease_reports(self, data: st.DataObject, what: str, seconds: float) -> None:
        name = data.draw(st.sampled_from(sorted(self.story.state.leases)))
        camera = self.story.state.leases[name].camera
        before = self.story.state.seq
        self.ask(
            {
                "renew": c.RenewLease(name, "mine"),
                "idle": c.RenewLease(name, "mine", 1000.0),
                "silent": c.ReportLeaseSilent(name, seconds),
                "end": c.EndLease(name, ASKED),
                "look": replace(peer(self.fresh("peer"), camera), lease=name, holder="mine"),
            }[what]
        )
        assert (name in self.story.state.leases) or self.story.state.seq > before

    @precondition(lambda self: self.story.state.peers)
    @rule(data=st.data(), what=st.sampled_from(["connect", "silent", "heard", "close", "closed"]))
    def peer_reports(self, data: st.DataObject, what: str) -> None:
        name = PeerId(data.draw(st.sampled_from(sorted(self.story.state.peers))))
        self.ask(
            {
                "connect": c.ReportPeerConnected(name),
                "silent": c.ReportPeerSilent(name, 6.0),
                "heard": c.ReportPeerHeard(name, 7.0),
                "close": c.ClosePeer(name, ASKED),
                "closed": c.ReportPeerClosed(name, ASKED),
            }[what]
        )

    @rule(name=st.sampled_from(CAMERAS), takes=st.booleans())
    def slot(self, name: CameraId, takes: bool) -> None:
        self.ask(c.TakeSlot(name) if takes else c.FreeSlot(name, ASKED))

    @rule(name=st.sampled_from(CAMERAS))
    def device_is_full(self, name: CameraId) -> None:
        self.ask(c.ReportLoss(name, Reason("full", "453", Fault.TEMPORARY), 0.5))

    @rule(name=st.sampled_from(CAMERAS), kind=st.sampled_from(list(UseKind)))
    def begin_use(self, name: CameraId, kind: UseKind) -> None:
        self.ask(c.BeginUse(UseId(self.fresh("use")), name, kind, "192.0.2.1"))

    @precondition(lambda self: self.story.state.uses)
    @rule(data=st.data(), reason=st.sampled_from([ASKED, DONE]))
    def end_use(self, data: st.DataObject, reason: Reason) -> None:
        self.ask(c.EndUse(data.draw(st.sampled_from(sorted(self.story.state.uses))), reason))

    @rule()
    def stop(self) -> None:
        self.ask(c.StopRun(ASKED))

    @invariant()
    def replay_is_truth(self) -> None:
        """Folding everything from the beginning gives the live state."""
        assert state_hash(fold(self.story.recorded)) == state_hash(self.story.state)

    def teardown(self) -> None:
        """Figures kept event by event are those of the states, of the visits, and of any two parts of the life."""
        rows = self.story.recorded
        check_by_hand(rows)
        known = states(rows)
        assert uncounted_visits(rows, known) is None
        assert unequal_parts(rows, known, range(1, len(rows), 5)) is None

    @invariant()
    def caps_hold(self) -> None:
        peers = list(self.story.state.peers.values())
        assert len(peers) <= LIMITS.peers
        for name in CAMERAS:
            assert sum(p.camera == name for p in peers) <= LIMITS.peers_per_camera

    @invariant()
    def every_peer_has_a_lease(self) -> None:
        state = self.story.state
        for known in state.peers.values():
            assert known.lease in state.leases or known.phase is PeerPhase.CLOSING
        assert sum(known.ttl_s > 0 for known in state.leases.values()) <= LIMITS.leases
        assert all(known.camera in state.cameras for known in state.leases.values())

    @invariant()
    def a_camera_on_demand_is_wanted_exactly_while_it_has_a_lease(self) -> None:
        state = self.story.state
        wanted = {name for name, use in state.uses_of_cameras().items() if use == "live"}
        always = {name for name, known in state.cameras.items() if known.settings.mode is Mode.ALWAYS}
        assert wanted - always == state.lease_counts().keys() - always
        assert state.lease_counts().total() >= len(state.leases)

    @invariant()
    def an_exclusive_lease_is_the_only_one_of_its_kind(self) -> None:
        leases = list(self.story.state.leases.values())
        for one in leases:
            alike = [other for other in leases if (other.camera, other.kind) == (one.camera, one.kind)]
            assert len(alike) == 1 or not one.exclusive

    @invariant()
    def no_device_has_more_connections_than_it_serves(self) -> None:
        assert len(self.story.state.slots_of(BOX, held=True)) <= 2

    @invariant()
    def a_slot_is_freed_only_after_its_child_was_reaped(self) -> None:
        for event in self.freed:
            assert not self.story.state.connections_of(event.camera), "a slot was freed before the child was reaped"
        self.freed.clear()

    @invariant()
    def one_child_for_a_purpose(self) -> None:
        owners = [(known.camera, known.purpose) for known in self.story.state.children.values()]
        assert len(owners) == len(set(owners))

    @invariant()
    def a_camera_that_waits_has_a_reason_and_a_time(self) -> None:
        for camera in self.story.state.cameras.values():
            if camera.phase in (CameraPhase.WAITING, CameraPhase.FAILED, CameraPhase.QUARANTINED):
                assert camera.reason is not None
                assert camera.retry_at_ns is not None
            if camera.phase is CameraPhase.LIVE:
                assert camera.reason is None
                assert camera.picture is not None

    @invariant()
    def a_stopping_daemon_plans_nothing(self) -> None:
        if self.story.state.stopping:
            assert not plan(self.story.state).cameras

    @invariant()
    def deciding_is_pure(self) -> None:
        """The same question has the same answer, and asking changes nothing."""
        state, command = self.story.state, c.StopRun(ASKED)
        assert decide(state, command, self.story.now_ns) == decide(state, command, self.story.now_ns)
        assert self.story.state is state


Life.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=50, deadline=None)
TestLife = Life.TestCase
