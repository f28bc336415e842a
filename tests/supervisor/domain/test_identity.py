"""Identities at a login provider: whose account one opens, and what ends with the link."""

from hashlib import sha256

import pytest

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.access import of_visit, principal_of
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.identity import identity_of
from supervisor.domain.ids import IdentityId, LeaseId, SessionId, UserId
from supervisor.domain.rights import ALL, Role, Scope
from supervisor.domain.share import share_of, visit_of
from supervisor.domain.state import Identity, State, User
from supervisor.domain.values import LeaseKind
from tests.kit.domain import GATE

from .test_access import ANNA, BEN, LATER_NS, NOW_NS, Life

CARLA = UserId("carla")
HERS, OTHER = identity_of("https://login.example", "7"), identity_of("https://login.example", "8")
LOGIN = "client:192.0.2.9"


@pytest.fixture
def life() -> Life:
    """With the admin anna and the watcher ben."""
    life = Life()
    life.do(c.AddUser(ANNA, Role.ADMIN, ALL))
    life.do(c.AddUser(BEN, Role.WATCHER, ALL))
    return life


def admit(
    life: Life, identity: IdentityId = HERS, user: UserId = CARLA, role: Role = Role.WATCHER
) -> tuple[SessionId, tuple[e.Event, ...]]:
    """The session that a login by the provider opens, and its events."""
    hashed = sha256(f"{identity} {len(life.told)}".encode()).hexdigest()
    command = c.AdmitIdentity(identity, user, role, "Example", hashed, "192.0.2.9", "a browser", LATER_NS)
    return c.session_of(hashed), life.do(command, LOGIN)


def session_of(life: Life, user: UserId) -> SessionId:
    """A session that a password opened."""
    return SessionId(life.log_in(user).rpartition("/")[2])


def kinds(events: tuple[e.Event, ...]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_identities_of_two_issuers_differ() -> None:
    """Also if issuer and subject are the same text together."""
    assert identity_of("https://a", "bc") != identity_of("https://ab", "c")
    assert identity_of("https://a", "b") != identity_of("https://b", "a")


def test_first_login_makes_an_account_and_the_next_one_opens_it(life: Life) -> None:
    """The name at the provider may have changed meanwhile."""
    _, first = admit(life)
    assert kinds(first) == ["UserAdded", "IdentityLinked", "SessionOpened"]
    session, second = admit(life, user=UserId("renamed"))
    assert kinds(second) == ["SessionOpened"]
    assert life.state.sessions[session].user == CARLA
    assert life.state.identities[HERS].user == CARLA


def test_name_of_an_account_that_exists_is_refused(life: Life) -> None:
    """Nothing changes: who may choose a name at a provider must not take over an account."""
    before = life.state
    with pytest.raises(Rejected) as refused:
        admit(life, user=ANNA)
    assert refused.value.refusal is Refusal.CONFLICT
    assert "its owner logs in with the password, and links it" in str(refused.value)
    assert life.state is before


def test_first_user_of_all_ends_the_trust(life: Life) -> None:
    """An admin by the groups may be the first one; another role may not."""
    fresh = Life()
    with pytest.raises(Rejected, match="first user is an admin"):
        admit(fresh)
    _, events = admit(fresh, role=Role.ADMIN)
    assert "TrustEnded" in kinds(events)
    assert fresh.state.trust_ended


def test_viewer_ends_with_the_role_that_the_groups_take_away(life: Life) -> None:
    """In the step of the next login."""
    session, _ = admit(life)
    watch = c.GrantLease(LeaseId("lease"), LeaseKind.VIEWER, GATE, "192.0.2.9")
    life.do(watch, principal_of(life.state.sessions[session]))
    _, events = admit(life, role=Role.ANALYST)
    assert kinds(events)[:2] == ["UserChanged", "LeaseEnded"]
    assert not life.state.leases


def test_sessions_of_a_refused_identity_end_and_those_of_the_password_do_not(life: Life) -> None:
    """With their viewers. An identity without an account ends nothing."""
    own = session_of(life, BEN)
    life.do(c.LinkIdentity(own, HERS, "Example"), f"user:ben/{own}")
    session, _ = admit(life)
    assert life.do(c.RefuseIdentity(OTHER)) == ()
    ended = life.do(c.RefuseIdentity(HERS))
    assert [event.session for event in ended if isinstance(event, e.SessionEnded)] == [session]
    assert set(life.state.sessions) == {own}
    assert HERS in life.state.identities


def test_shares_of_a_refused_identity_end_with_their_viewers(life: Life) -> None:
    """Else whom the provider lets in no more watches on by a link of one's own, for up to 90 days."""
    session, _ = admit(life)
    hers, visits = sha256(b"hers").hexdigest(), sha256(b"visit").hexdigest()
    who = principal_of(life.state.sessions[session])
    life.do(c.MakeShare(hers, Scope(cameras=(GATE,)), NOW_NS + 10**12, 1, "", f"user:{CARLA}"), who)
    life.do(c.OpenVisit(share_of(hers), visits, "192.0.2.9", "a browser"))
    visitor = of_visit(life.state.visits[visit_of(visits)])
    life.do(c.GrantLease(LeaseId("lease"), LeaseKind.VIEWER, GATE, "192.0.2.9"), visitor)
    ended = life.do(c.RefuseIdentity(HERS))
    assert {"ShareEnded", "VisitEnded", "LeaseEnded"} <= set(kinds(ended))
    assert not (life.state.shares or life.state.visits or life.state.leases)


def test_link_needs_a_session_that_lives(life: Life) -> None:
    """In the same step; and both an identity and an account have one link."""
    own, hers = session_of(life, BEN), session_of(life, ANNA)
    with pytest.raises(Rejected, match="has ended"):
        life.do(c.LinkIdentity(SessionId("0" * 16), HERS, "Example"))
    life.do(c.LinkIdentity(own, HERS, "Example"))
    with pytest.raises(Rejected, match="has a link already"):
        life.do(c.LinkIdentity(own, OTHER, "Example"))
    with pytest.raises(Rejected, match="linked to an account already"):
        life.do(c.LinkIdentity(hers, HERS, "Example"))
    with pytest.raises(Rejected, match="SHA-256"):
        life.do(c.LinkIdentity(hers, IdentityId("7"), "Example"))


def test_session_that_is_over_links_nothing(life: Life) -> None:
    """Although no sweep has ended it yet."""
    hashed = sha256(b"short").hexdigest()
    life.do(c.OpenSession(BEN, hashed, "192.0.2.9", "a browser", NOW_NS, "password"))
    with pytest.raises(Rejected, match="has ended"):
        life.do(c.LinkIdentity(c.session_of(hashed), HERS, "Example"))


def test_sessions_of_a_link_end_with_it_but_the_one_that_asks(life: Life) -> None:
    """The identity is free afterwards."""
    own = session_of(life, BEN)
    life.do(c.LinkIdentity(own, HERS, "Example"))
    one, _ = admit(life)
    two, _ = admit(life)
    events = life.do(c.UnlinkIdentity(one))
    assert kinds(events) == ["IdentityUnlinked", "SessionEnded"]
    assert set(life.state.sessions) == {own, one}
    assert two not in life.state.sessions
    assert not life.state.identities
    assert life.do(c.UnlinkIdentity(one)) == ()


def test_link_goes_with_its_user(life: Life) -> None:
    """Each session ends once."""
    admit(life)
    assert kinds(life.do(c.RemoveUser(CARLA))) == ["UserRemoved", "SessionEnded", "IdentityUnlinked"]
    assert not life.state.identities
    assert not life.state.sessions


def restore(life: Life, *filed: Identity, newer: bool = False) -> list[str]:
    """Start again with an access file that has all users, and these links."""
    state = life.state
    users = tuple(state.users.values())
    changes = state.access_changes + newer
    sessions = frozenset(session.hash for session in state.sessions.values())
    command = c.RestoreAccess(users, sessions, frozenset(), state.trust_ended, changes, identities=filed)
    return kinds(life.do(command))


def link(user: UserId = CARLA, identity: IdentityId = HERS) -> Identity:
    return Identity(identity, user, "Example")


def test_link_that_file_and_journal_have_stays(life: Life) -> None:
    """Whichever is newer."""
    admit(life)
    assert restore(life, link()) == []
    assert restore(life, link(), newer=True) == []


@pytest.mark.parametrize("newer", [False, True])
def test_link_that_the_file_does_not_have_ends_with_its_sessions(newer: bool, life: Life) -> None:
    """Also one that the file has for another user: then nobody has it."""
    admit(life)
    assert restore(life, newer=newer) == ["IdentityUnlinked", "SessionEnded"]
    admit(life, OTHER, UserId("dora"))
    assert restore(life, link(BEN, OTHER), newer=newer)[:2] == ["IdentityUnlinked", "SessionEnded"]
    assert OTHER not in life.state.identities


def test_link_of_the_file_alone_counts_only_if_the_file_is_newer(life: Life) -> None:
    """An older file does not bring back a link that was taken away; a lost journal takes none away."""
    assert restore(life, link(BEN)) == []
    assert restore(life, link(BEN), newer=True) == ["IdentityLinked"]
    assert restore(life, link(BEN), link(BEN, OTHER), newer=True) == []
    assert list(life.state.identities) == [HERS]


def test_link_of_an_unknown_user_is_not_restored(life: Life) -> None:
    """The file names one without an account."""
    assert restore(life, link(CARLA), newer=True) == []


def test_state_without_identities_is_that_of_before() -> None:
    """Hashes of states in old journals stay valid."""
    user = User(ANNA, Role.ADMIN, ALL, 0)
    assert "identities" not in str(State(users=State().users.insert(ANNA, user)).identities or "")
