"""Users, sessions and tokens: who may do what, and what ends when a right is taken away."""

from collections.abc import Mapping
from hashlib import sha256

import msgspec
import pytest
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.access import OWN, authorize, principal_of, rights_of
from supervisor.domain.catalogue import DECISIONS
from supervisor.domain.clients import LOCAL
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.evolve import evolve
from supervisor.domain.ids import CameraId, LeaseId, NodeId, PeerId, RunId, TokenId, UserId
from supervisor.domain.rights import ALL, OF_PROGRAMS, RIGHTS, Right, Role, Scope
from supervisor.domain.session import MOST_OF_USER, session_of
from supervisor.domain.state import State, User, UserSession
from supervisor.domain.values import LeaseKind, Limits
from tests.kit.domain import ASKED, GATE, YARD, lease, peer, settings

ANNA, BEN = UserId("anna"), UserId("ben")
NOW_NS = 1_800_000_000_000_000_000
LATER_NS = NOW_NS + 10**18
GATE_ONLY = Scope(cameras=(GATE,))


class Life:
    """A state that commands change, as in the kernel."""

    def __init__(self) -> None:
        self.state = State()
        self.told: list[e.Event] = []
        self.do(c.StartRun(RunId("run"), NodeId("node"), "0", 1))
        self.do(c.Configure("test", (settings(GATE, group="west"), settings(YARD, group="east")), Limits()))

    def do(self, command: c.Command, principal: str = LOCAL) -> tuple[e.Event, ...]:
        authorize(self.state, principal, command, NOW_NS)
        events = tuple(DECISIONS[type(command)](self.state, command, NOW_NS))
        for event in events:
            version = self.state.versions.get(event.stream, 0) + 1
            seq = self.state.seq + 1
            place = (seq, NOW_NS, seq, NodeId("node"), RunId("run"), event.stream, version)
            self.state = evolve(self.state, e.Recorded(*place, event, None, "", principal))
        self.told += events
        return events

    def log_in(self, user: UserId, number: int = 0) -> str:
        """Open a session; its principal."""
        hashed = sha256(f"{user} {number}".encode()).hexdigest()
        self.do(c.OpenSession(user, hashed, "192.0.2.9", "a browser", LATER_NS, "password"))
        return principal_of(self.state.sessions[session_of(hashed)])


@pytest.fixture
def life() -> Life:
    """With the admin anna, and ben who watches the gate."""
    life = Life()
    life.do(c.AddUser(ANNA, Role.ADMIN, ALL))
    life.do(c.AddUser(BEN, Role.WATCHER, GATE_ONLY))
    return life


def ended(events: tuple[e.Event, ...]) -> set[str]:
    return {event.lease for event in events if isinstance(event, e.LeaseEnded)}


COMMANDS: Mapping[Right, c.Command] = {
    Right.WATCH: lease(),
    Right.OPERATE: c.RetryCamera(GATE, "192.0.2.9"),
    Right.ADMINISTER: c.RemoveUser(BEN),
    Right.ROOM: c.OpenRoom("room", "participant", "192.0.2.9"),  # type: ignore[arg-type]
}
"""A command for each right that commands need."""


@pytest.mark.parametrize("role", [role for role in Role if role not in OF_PROGRAMS])
@pytest.mark.parametrize("right", COMMANDS)
def test_role_may_send_what_its_rights_allow_and_nothing_else(role: Role, right: Right) -> None:
    """For every role and every right, against the table."""
    life = Life()
    life.do(c.AddUser(ANNA, Role.ADMIN, ALL))
    if role is not Role.ADMIN:
        life.do(c.AddUser(BEN, role, ALL))
    who = life.log_in(ANNA if role is Role.ADMIN else BEN)
    if right in RIGHTS[role]:
        authorize(life.state, who, COMMANDS[right], NOW_NS)
    else:
        with pytest.raises(Rejected) as refused:
            authorize(life.state, who, COMMANDS[right], NOW_NS)
        assert refused.value.refusal is Refusal.FORBIDDEN


def test_every_command_of_the_web_names_the_right_that_it_needs() -> None:
    """A new command without one is refused here. `EndLease` and `ClosePeer` need another right with an owner."""
    of_people = {
        kind for kind in DECISIONS if {"gateway", "accounts service", "rooms service"} & set(kind.sender.split(", "))
    }
    own = {
        c.ReportRefusal,
        c.LeaveRoom,
        c.CloseRoom,
        c.ReportPeerClosed,
        c.ReportDetection,
        c.ReportLoginFailed,
        c.RestoreAccess,
    }
    assert {kind for kind in of_people if kind.right is None} == own
    for ends in (c.EndLease(lease().lease, ASKED), c.ClosePeer(PeerId("peer"), ASKED)):
        assert (ends.needs(), replace(ends, owner="hash").needs()) == (Right.OPERATE, Right.WATCH)


@pytest.mark.parametrize("owner", [None, "hash"])
def test_lease_and_peer_outside_the_scope_are_refused_with_the_right_too(life: Life, owner: str | None) -> None:
    """A command that names no camera concerns that of its lease or peer."""
    life.do(c.ChangeUser(BEN, Role.OPERATOR, GATE_ONLY))
    who, chief = life.log_in(BEN), life.log_in(ANNA)
    life.do(lease("lease-1", YARD), chief)
    life.do(peer("peer-1", YARD), chief)
    for command in (c.EndLease(LeaseId("lease-1"), ASKED, owner), c.ClosePeer(PeerId("peer-1"), ASKED, owner)):
        assert command.on(life.state) == YARD
        with pytest.raises(Rejected, match="there is no camera 'yard'"):
            authorize(life.state, who, command, NOW_NS)
        authorize(life.state, chief, command, NOW_NS)


def test_peer_is_opened_under_a_lease_of_ones_own_only(life: Life) -> None:
    """The peer ends with its lease: under that of another user it would outlive the rights of who watches."""
    mine, hers, again = life.log_in(BEN), life.log_in(ANNA), life.log_in(ANNA, 1)
    life.do(replace(lease("lease-1", GATE), owner="hash"), hers)
    under = replace(peer("peer-1", GATE), lease=LeaseId("lease-1"), holder="hash")
    with pytest.raises(Rejected, match="of somebody else"):
        authorize(life.state, mine, under, NOW_NS)
    authorize(life.state, again, under, NOW_NS)


def test_before_the_first_user_clients_may_do_all_and_then_nothing(life: Life) -> None:
    """A client without a login has no right once there are users, whatever it asks for."""
    before = Life()
    authorize(before.state, "client:127.0.0.1", COMMANDS[Right.OPERATE], NOW_NS)
    for right, command in COMMANDS.items():
        with pytest.raises(Rejected, match=right.value):
            authorize(life.state, "client:127.0.0.1", command, NOW_NS)
    assert rights_of(life.state, "client:127.0.0.1", NOW_NS).rights == {Right.NONE}
    assert all(rights_of(life.state, own, NOW_NS).may(Right.WATCH) for own in OWN)


def test_first_user_ends_the_viewers_of_this_machine(life: Life) -> None:
    """Also the leases that a connection holds; what banken itself shows stays."""
    local = Life()
    local.do(lease("lease-1"), "client:127.0.0.1")
    local.do(peer("peer-1", YARD), "client:127.0.0.1")
    told = local.do(c.AddUser(ANNA, Role.ADMIN, ALL))
    assert [type(event).__name__ for event in told] == [
        "UserAdded",
        "TrustEnded",
        "LeaseEnded",
        "LeaseEnded",
        "PeerClosing",
    ]
    assert ended(told) == {"lease-1", "peer-1"}
    assert local.state.trust_ended


def test_camera_outside_the_scope_is_refused_as_an_unknown_one(life: Life) -> None:
    """Byte for byte: a watcher cannot learn the names of other cameras."""
    who = life.log_in(BEN)
    texts = set()
    for camera in (YARD, CameraId("nowhere")):
        with pytest.raises(Rejected) as refused:
            life.do(lease(camera=camera), who)
        assert refused.value.refusal is Refusal.UNKNOWN
        texts.add(str(refused.value).replace(camera, "?"))
    assert len(texts) == 1
    life.do(lease(camera=GATE), who)


def test_group_in_a_scope_has_the_cameras_that_are_in_it_now(life: Life) -> None:
    """A camera that leaves the group leaves the scope."""
    life.do(c.ChangeUser(BEN, Role.WATCHER, Scope(groups=("east",))))
    who = life.log_in(BEN)
    life.do(lease("lease-1", YARD), who)
    life.do(c.Configure("test", (settings(GATE, group="east"), settings(YARD, group="west")), Limits()))
    with pytest.raises(Rejected):
        life.do(lease("lease-2", YARD), who)
    life.do(lease("lease-2", GATE), who)


def test_camera_that_leaves_the_scope_by_configuration_takes_its_viewers_with_it(life: Life) -> None:
    """By its group, and as the substream of a camera: the viewers of others go on."""
    life.do(c.ChangeUser(BEN, Role.WATCHER, Scope(cameras=(GATE,), groups=("east",))))
    below = CameraId("below")

    def configure(group: str, substream: CameraId | None) -> tuple[e.Event, ...]:
        cameras = settings(GATE, substream=substream), settings(YARD, group=group), settings(below)
        return life.do(c.Configure("test", cameras, Limits()))

    assert not ended(configure("east", below))
    who, chief = life.log_in(BEN), life.log_in(ANNA)
    for name, camera in (("1", GATE), ("2", YARD), ("3", below)):
        life.do(lease(f"ben-{name}", camera), who)
        life.do(lease(f"anna-{name}", camera), chief)
    assert ended(told := configure("west", below)) == {"ben-2"}
    assert [event.reason.code for event in told if isinstance(event, e.LeaseEnded)] == ["access-revoked"]
    assert ended(configure("west", None)) == {"ben-3"}


@pytest.mark.parametrize(
    "revoke",
    [
        c.RemoveUser(BEN),
        c.ChangeUser(BEN, Role.ANALYST, ALL),
        c.ChangeUser(BEN, Role.WATCHER, Scope(cameras=(YARD,))),
        c.SetPassword(BEN),
    ],
    ids=["removed", "role", "scope", "password"],
)
def test_right_that_is_taken_away_ends_its_viewers_in_the_same_step(life: Life, revoke: c.Command) -> None:
    """Those of the user alone: with the lease, the peer closes."""
    who, chief = life.log_in(BEN), life.log_in(ANNA)
    life.do(lease("of-ben"), who)
    life.do(peer("peer-ben"), who)
    life.do(lease("of-anna"), chief)
    told = life.do(revoke)
    assert ended(told) == {"of-ben", "peer-ben"}
    assert [event.peer for event in told if isinstance(event, e.PeerClosing)] == ["peer-ben"]
    with pytest.raises(Rejected):
        life.do(lease("again"), who)


def test_end_of_a_session_ends_its_viewers_and_no_others(life: Life) -> None:
    """The same user watches on at another browser."""
    here, there = life.log_in(BEN, 1), life.log_in(BEN, 2)
    life.do(lease("here"), here)
    life.do(lease("there"), there)
    session = next(name for name, known in life.state.sessions.items() if principal_of(known) == here)
    assert ended(life.do(c.EndSession(session, ASKED))) == {"here"}
    assert not life.do(c.EndSession(session, ASKED))
    life.do(c.SetPassword(BEN, keep=life.state.sessions[next(iter(life.state.sessions))].hash))
    assert [principal_of(known) for known in life.state.sessions.values()] == [there]


def test_session_and_token_have_no_right_after_their_time(life: Life) -> None:
    """Also before the sweep that ends them."""
    who = life.log_in(BEN)
    life.do(c.MakeToken(TokenId("nas"), Role.WATCHER, ALL, "a" * 64, NOW_NS + 1))
    for principal in (who, "token:nas"):
        assert rights_of(life.state, principal, NOW_NS).may(Right.WATCH)
        assert rights_of(life.state, principal, LATER_NS).rights == {Right.NONE}


def test_revoked_token_ends_its_viewers(life: Life) -> None:
    """A program loses its picture as a person does."""
    life.do(c.MakeToken(TokenId("nas"), Role.WATCHER, GATE_ONLY, "a" * 64))
    life.do(lease("nas"), "token:nas")
    assert ended(life.do(c.EndToken(TokenId("nas")))) == {"nas"}
    with pytest.raises(Rejected):
        life.do(lease("again"), "token:nas")


@pytest.mark.parametrize(
    "command",
    [
        c.RemoveUser(ANNA),
        c.ChangeUser(ANNA, Role.OPERATOR, ALL),
        c.AddUser(ANNA, Role.ADMIN, ALL),
        c.AddUser(UserId("Anna Bee"), Role.WATCHER, ALL),
        c.AddUser(UserId("../x"), Role.WATCHER, ALL),
        c.AddUser(UserId("carl"), Role.ADMIN, GATE_ONLY),
        c.AddUser(UserId("carl"), Role.DETECTOR, ALL),
        c.RemoveUser(UserId("nobody")),
        c.SetPassword(UserId("nobody")),
        c.AddUser(UserId("carl"), Role.MONITOR, ALL),
        c.MakeToken(TokenId("nas"), Role.ADMIN, GATE_ONLY, "a" * 64),
        c.MakeToken(TokenId("nas"), Role.WATCHER, ALL, "secret"),
        c.MakeToken(TokenId("nas"), Role.WATCHER, ALL, "a" * 64, NOW_NS),
        c.EndToken(TokenId("nobody")),
    ],
)
def test_impossible_change_is_refused_and_changes_nothing(life: Life, command: c.Command) -> None:
    """Above all the removal of the last admin."""
    before = life.state
    with pytest.raises(Rejected):
        life.do(command)
    assert life.state == before


def test_first_user_is_an_admin() -> None:
    """Else nobody could make another one."""
    with pytest.raises(Rejected, match="admin"):
        Life().do(c.AddUser(BEN, Role.WATCHER, ALL))


def test_user_with_too_many_sessions_loses_the_oldest(life: Life) -> None:
    """And other users none."""
    life.log_in(ANNA)
    for number in range(MOST_OF_USER + 1):
        life.log_in(BEN, number)
    assert len(life.state.sessions) == MOST_OF_USER + 1
    assert [event.user for event in life.told if isinstance(event, e.SessionEnded)] == [BEN]


def restore(life: Life, users: tuple[User, ...], changes: int) -> tuple[e.Event, ...]:
    hashes = frozenset(known.hash for known in life.state.sessions.values())
    return life.do(c.RestoreAccess(users, hashes, frozenset(), True, changes))


def test_sessions_share_the_texts_that_are_equal(life: Life) -> None:
    """Also those of a checkpoint: each request, and each line of the journal, makes new objects."""
    names = [session_of(_hash(life, number)) for number in range(2)]
    one, other = (life.state.sessions[name] for name in names)
    read = msgspec.json.decode(msgspec.json.encode(other), type=UserSession)
    assert one.agent is other.agent is read.agent
    assert one.user is other.user is read.user
    assert one.client is other.client is read.client


def _hash(life: Life, number: int) -> str:
    """Log in with texts that are new objects; the hash of the session."""
    user, client, agent = (text.encode().decode() for text in (ANNA, "192.0.2.9", "Firefox, on a desk"))
    hashed = sha256(f"{number}".encode()).hexdigest()
    life.do(c.OpenSession(UserId(user), hashed, client, agent, LATER_NS, "password"))
    return hashed


def test_journal_that_was_rolled_back_restores_no_right(life: Life) -> None:
    """The file is newer: ben was removed, and anna's session is not known to it."""
    life.log_in(ANNA)
    anna = life.state.users[ANNA]
    told = life.do(c.RestoreAccess((anna,), frozenset(), frozenset(), True, life.state.access_changes + 3))
    assert [type(event).__name__ for event in told] == ["UserRemoved", "SessionEnded"]
    assert set(life.state.users) == {ANNA}


def test_journal_that_was_lost_opens_nothing_and_keeps_the_users_of_the_file(life: Life) -> None:
    """Local trust does not come back with an empty journal."""
    new = Life()
    told = restore(new, tuple(life.state.users.values()), 2)
    assert {type(event).__name__ for event in told} == {"UserAdded", "TrustEnded"}
    assert new.state.trust_ended
    assert {name: (user.role, user.scope) for name, user in new.state.users.items()} == {
        ANNA: (Role.ADMIN, ALL),
        BEN: (Role.WATCHER, GATE_ONLY),
    }


def test_older_file_gives_no_user_back(life: Life) -> None:
    """The journal is newer: it removed ben, whom the file still has."""
    ben, anna = life.state.users[BEN], life.state.users[ANNA]
    life.do(c.RemoveUser(BEN))
    assert restore(life, (anna, ben), life.state.access_changes - 1) == ()
    assert set(life.state.users) == {ANNA}


@pytest.mark.parametrize(
    ("of_file", "left"),
    [
        ((Role.OPERATOR, ALL), (Role.WATCHER, GATE_ONLY)),
        ((Role.ANALYST, ALL), (Role.ANALYST, Scope())),
        ((Role.WATCHER, Scope(cameras=(YARD,))), (Role.WATCHER, Scope())),
    ],
    ids=["more", "other", "elsewhere"],
)
def test_where_both_know_a_user_the_smaller_right_decides(
    life: Life, of_file: tuple[Role, Scope], left: tuple[Role, Scope]
) -> None:
    """Whichever is newer: a role that is not in the other leaves no camera."""
    ben = replace(life.state.users[BEN], role=of_file[0], scope=of_file[1])
    restore(life, (life.state.users[ANNA], ben), 0)
    assert (life.state.users[BEN].role, life.state.users[BEN].scope) == left
    assert life.state.users[ANNA].role is Role.ADMIN


def test_lease_without_a_login_has_no_principal() -> None:
    """The field is empty where nobody has logged in, so the state of older journals stays what it was."""
    life = Life()
    life.do(lease(), "client:192.0.2.9")
    (held,) = life.state.leases.values()
    assert (held.by, held.kind) == ("", LeaseKind.VIEWER)
