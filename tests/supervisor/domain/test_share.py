"""Shares: who may make one, what it has, who is let in, and what ends it."""

from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.access import of_visit, rights_of
from supervisor.domain.catalogue import DECISIONS
from supervisor.domain.clients import LOCAL
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, ShareId, TokenId, UserId
from supervisor.domain.rights import ALL, OF_SHARES, Right, Role, Scope
from supervisor.domain.share import KEPT_ENDED, LONGEST_S, MOST_OF_MAKER, MOST_VISITS, REVOKED, share_of, visit_of
from supervisor.domain.values import Limits
from tests.kit.domain import GATE, YARD, lease, peer, settings

from .test_access import ANNA, BEN, GATE_ONLY, LATER_NS, NOW_NS, Life, ended

HOUR_NS = 3600 * 10**9


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def make(scope: Scope = GATE_ONLY, by: str = "user:ben", name: str = "secret", **fields: Any) -> c.MakeShare:
    return replace(c.MakeShare(digest(name), scope, NOW_NS + HOUR_NS, 1, "the plumber", by), **fields)


def share_named(name: str = "secret") -> ShareId:
    return share_of(digest(name))


def enter(life: Life, number: int = 0, name: str = "secret") -> str:
    """Open a link; the principal of the visit."""
    hashed = digest(f"visit {number} of {name}")
    life.do(c.OpenVisit(share_named(name), hashed, "192.0.2.9", "a browser"), "client:192.0.2.9")
    return of_visit(life.state.visits[visit_of(hashed)])


@pytest.fixture
def life() -> Life:
    """With the admin anna, and ben who watches the gate and has shared it."""
    life = Life()
    life.do(c.AddUser(ANNA, Role.ADMIN, ALL))
    life.do(c.AddUser(BEN, Role.WATCHER, GATE_ONLY))
    life.do(make(), life.log_in(BEN))
    return life


def reasons(events: tuple[e.Event, ...]) -> list[str]:
    return [event.reason.code for event in events if isinstance(event, e.ShareEnded)]


def test_visitor_watches_the_cameras_of_the_share_and_nothing_else(life: Life) -> None:
    """No past, no rooms, no viewers of others, no own shares, and no other camera."""
    who = enter(life)
    now = rights_of(life.state, who, NOW_NS)
    assert (now.rights, now.scope, now.until_ns) == (OF_SHARES, GATE_ONLY, NOW_NS + HOUR_NS)
    assert {Right.NONE, Right.VIEW, Right.WATCH} == OF_SHARES
    life.do(lease("lease-1"), who)
    for command, says in (
        (lease("lease-2", YARD), "there is no camera 'yard'"),
        (lease("lease-2", CameraId("nowhere")), "there is no camera 'nowhere'"),
        (make(by="user:ben", name="more"), "needs the right share"),
        (c.RetryCamera(GATE, "192.0.2.9"), "needs the right operate"),
        (c.OpenRoom("room", "participant", "192.0.2.9"), "needs the right room"),  # type: ignore[arg-type]
    ):
        with pytest.raises(Rejected, match=says):
            life.do(command, who)


def test_visitor_has_no_right_after_the_end_of_the_share(life: Life) -> None:
    """Also before the service has ended it; and a visit of another share has none either."""
    who = enter(life)
    assert rights_of(life.state, who, NOW_NS + HOUR_NS - 1).may(Right.WATCH)
    assert not rights_of(life.state, who, NOW_NS + HOUR_NS).may(Right.VIEW)
    life.do(make(name="other"), life.log_in(BEN, 1))
    visit = who.rpartition("/")[2]
    for name in (f"share:{share_named('other')}/{visit}", f"share:{share_named()}/nobody", f"share:/{visit}", "share:"):
        assert rights_of(life.state, name, NOW_NS).rights == {Right.NONE}, name


def test_one_viewer_more_than_the_share_has_is_refused(life: Life) -> None:
    """In the step that counts them; when one leaves, another may come."""
    enter(life, 1)
    before = life.state
    with pytest.raises(Rejected, match="1 viewer has this link open already") as refused:
        enter(life, 2)
    assert (refused.value.refusal, refused.value.status, life.state) == (Refusal.FULL, 403, before)
    life.do(c.EndVisit(next(iter(life.state.visits))), "actor")
    enter(life, 2)


def test_visits_of_all_shares_are_bounded(life: Life) -> None:
    """Also if the shares permit more."""
    ben = life.log_in(BEN, 1)
    for number in range(MOST_VISITS // 50 + 1):
        life.do(make(name=f"{number}", viewers=50), ben)
    for number in range(MOST_VISITS):
        enter(life, number, f"{number // 50}")
    with pytest.raises(Rejected, match=f"{MOST_VISITS} links are open"):
        enter(life, 0, f"{MOST_VISITS // 50}")


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (make(Scope(cameras=(YARD,)), name="x"), Refusal.UNKNOWN),
        (make(Scope(cameras=(GATE, YARD)), name="x"), Refusal.UNKNOWN),
        (make(Scope(cameras=(CameraId("nowhere"),)), name="x"), Refusal.UNKNOWN),
        (make(Scope(groups=("west",)), name="x"), Refusal.UNKNOWN),
        (make(Scope(groups=("nowhere",)), "user:anna", name="x"), Refusal.UNKNOWN),
        (make(ALL, name="x"), Refusal.INVALID),
        (make(ALL, "user:anna", name="x"), Refusal.INVALID),
        (make(Scope(), name="x"), Refusal.INVALID),
        (make(Scope(cameras=(GATE,) * 101), name="x"), Refusal.INVALID),
        (make(name="x", until_ns=NOW_NS), Refusal.INVALID),
        (make(name="x", until_ns=NOW_NS + int(LONGEST_S * 1e9) + 1), Refusal.INVALID),
        (make(name="x", viewers=0), Refusal.INVALID),
        (make(name="x", viewers=51), Refusal.INVALID),
        (make(name="x", label="x" * 101), Refusal.INVALID),
        (make(name="x", label="a\nb"), Refusal.INVALID),
        (make(name="x", hash="short"), Refusal.INVALID),
        (make(), Refusal.INVALID),
        (make(name="x", by="token:nas"), Refusal.FORBIDDEN),
        (make(name="x", by="proxy:anna"), Refusal.FORBIDDEN),
        (make(name="x", by="client:127.0.0.1"), Refusal.FORBIDDEN),
        (make(name="x", by="user:nobody"), Refusal.FORBIDDEN),
        (make(name="x", by=""), Refusal.FORBIDDEN),
    ],
)
def test_share_that_its_maker_may_not_make_is_refused(life: Life, command: c.MakeShare, refusal: Refusal) -> None:
    """A camera that the maker does not see is refused as one that does not exist. Nothing has changed."""
    before = life.state
    with pytest.raises(Rejected) as refused:
        life.do(command)
    assert (refused.value.refusal, life.state) == (refusal, before)


def test_a_camera_outside_the_scope_is_refused_in_the_words_of_an_unknown_one(life: Life) -> None:
    """Only the name differs, which the maker has sent."""
    said = []
    for name in (YARD, CameraId("nowhere")):
        with pytest.raises(Rejected) as refused:
            life.do(make(Scope(cameras=(name,)), name="x"))
        said.append(refused.value.reason.replace(name, "NAME"))
    assert said[0] == said[1]


def test_programs_and_those_from_a_proxy_have_no_right_to_share(life: Life) -> None:
    """Nobody would notice when they lose it."""
    life.do(c.MakeToken(TokenId("nas"), Role.WATCHER, ALL, "a" * 64))
    for name in ("token:nas", "proxy:carl/admin", "proxy:carl/watcher"):
        now = rights_of(life.state, name, NOW_NS)
        assert (now.may(Right.WATCH), now.may(Right.SHARE)) == (True, False), name


def test_before_the_first_user_nothing_can_be_shared() -> None:
    """Everybody whom banken serves then has all rights."""
    with pytest.raises(Rejected, match="make a user first"):
        Life().do(make(by=LOCAL))


def test_owner_of_the_machine_and_admin_share_a_group(life: Life) -> None:
    """A camera that joins the group is in the share."""
    for by, name in ((LOCAL, "1"), ("user:anna", "2")):
        life.do(make(Scope(groups=("east",)), by, name))
        visit = enter(life, 0, name)
        who = rights_of(life.state, visit, NOW_NS)
        assert (who.sees(life.state, YARD), who.sees(life.state, GATE)) == (True, False)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (c.ChangeUser(BEN, Role.WATCHER, Scope(cameras=(YARD,))), "access-revoked"),
        (c.ChangeUser(BEN, Role.WATCHER, Scope()), "access-revoked"),
        (c.ChangeUser(BEN, Role.ANALYST, ALL), "access-revoked"),
        (c.RemoveUser(BEN), "user-removed"),
        (c.SetPassword(BEN, end_passkeys=True), "new-password"),
        (c.EndShare(share_named(), REVOKED, LOCAL), "share-revoked"),
        (c.EndShare(share_named(), REVOKED, "user:ben/session"), "share-revoked"),
        (c.RestoreAccess((), frozenset(), frozenset(), True, 0), "restored"),
    ],
)
def test_share_ends_with_its_right_and_its_viewers_with_it(life: Life, command: c.Command, code: str) -> None:
    """In one step: the share, its visits, their leases and peers; others stay."""
    life.do(make(by="user:anna", name="other"))
    who, other = enter(life), enter(life, 0, "other")
    life.do(lease("lease-1"), who)
    life.do(peer("peer-1"), who)
    life.do(lease("lease-2"), other)
    if isinstance(command, c.EndShare) and command.by != LOCAL:
        command = replace(command, by=life.log_in(BEN, 2))
    if isinstance(command, c.RestoreAccess):
        users = tuple(life.state.users.values())
        kept = frozenset(session.hash for session in life.state.sessions.values())
        command = replace(command, users=users, sessions=kept, shares=frozenset({digest("other")}))
    events = life.do(command)
    assert reasons(events) == [code]
    assert ended(events) == {"lease-1", "peer-1"}
    assert sum(isinstance(event, e.PeerClosing) for event in events) == 1
    assert {each.reason.code for each in events if isinstance(each, e.VisitEnded)} == {code}
    assert rights_of(life.state, who, NOW_NS).rights == {Right.NONE}
    assert rights_of(life.state, other, NOW_NS).may(Right.WATCH)
    with pytest.raises(Rejected) as refused:
        enter(life, 3)
    assert refused.value.reason == next(each for each in events if isinstance(each, e.ShareEnded)).reason.text


def test_right_that_comes_back_opens_no_share_again(life: Life) -> None:
    """Somebody may have forgotten that it was shared."""
    life.do(c.ChangeUser(BEN, Role.WATCHER, Scope()))
    life.do(c.ChangeUser(BEN, Role.WATCHER, GATE_ONLY))
    with pytest.raises(Rejected, match="may not share this any more"):
        enter(life)


def test_share_stays_when_its_maker_gets_more_or_loses_another_camera(life: Life) -> None:
    """Ben may then see the yard, too; anna's role is not ben's."""
    for scope in (Scope(cameras=(GATE, YARD)), Scope(cameras=(GATE,), groups=("east",)), ALL, Scope(groups=("west",))):
        assert not reasons(life.do(c.ChangeUser(BEN, Role.OPERATOR, scope))), scope
    life.do(c.RemoveUser(BEN))


def test_camera_that_leaves_the_group_of_the_maker_leaves_the_share(life: Life) -> None:
    """The configuration decides, at each request."""
    life.do(c.ChangeUser(BEN, Role.WATCHER, Scope(groups=("west",))))
    who = enter(life)
    assert rights_of(life.state, who, NOW_NS).sees(life.state, GATE)
    life.do(c.Configure("test", (settings(GATE, group="east"), settings(YARD, group="east")), Limits()))
    assert not rights_of(life.state, who, NOW_NS).sees(life.state, GATE)


@pytest.mark.parametrize("by", ["user:carl/x", "token:nas", "proxy:carl/watcher", "client:192.0.2.9", "share:x/y"])
def test_only_the_maker_and_admins_end_a_share(life: Life, by: str) -> None:
    """Others get the answer for an unknown share."""
    life.do(c.AddUser(UserId("carl"), Role.OPERATOR, ALL))
    life.do(c.MakeToken(TokenId("nas"), Role.OPERATOR, GATE_ONLY, "a" * 64))
    if by.startswith("user:"):
        by = life.log_in(UserId("carl"))
    said = []
    for share in (share_named(), ShareId("nothing")):
        with pytest.raises(Rejected) as refused:
            life.do(c.EndShare(share, REVOKED, by), by)
        said.append((refused.value.refusal, refused.value.reason))
    assert said[0] == said[1]
    assert said[0][0] is Refusal.UNKNOWN


def test_shares_of_one_maker_are_bounded(life: Life) -> None:
    """Others may still share."""
    for number in range(MOST_OF_MAKER - 1):
        life.do(make(name=f"{number}"))
    with pytest.raises(Rejected, match="revoke some"):
        life.do(make(name="one more"))
    life.do(make(by="user:anna", name="one more"))


def test_reasons_of_the_last_ended_shares_are_kept(life: Life) -> None:
    """Those of older ones are not: then a link is just not valid."""
    for number in range(KEPT_ENDED):
        life.do(make(name=f"{number}"))
        life.do(c.EndShare(share_named(f"{number}"), REVOKED, LOCAL))
    life.do(c.EndShare(share_named(), REVOKED, LOCAL))
    assert len(life.state.ended_shares) == KEPT_ENDED
    with pytest.raises(Rejected, match="the link was revoked"):
        enter(life)
    with pytest.raises(Rejected, match="not valid"):
        life.do(c.OpenVisit(ShareId("nothing"), "a" * 64, "192.0.2.9", ""), "client:192.0.2.9")


def test_file_that_lacks_a_share_ends_it_once_also_if_its_maker_is_gone(life: Life) -> None:
    """The file is newer: ben was removed."""
    anna = life.state.users[ANNA]
    kept = frozenset(session.hash for session in life.state.sessions.values())
    events = life.do(c.RestoreAccess((anna,), kept, frozenset(), True, life.state.access_changes + 9))
    assert reasons(events) == ["restored"]
    assert not life.state.shares


def test_end_of_the_time_is_judged_by_the_clock(life: Life) -> None:
    """A share cannot be opened after its end, whether or not it was ended."""
    with pytest.raises(Rejected, match="the time of the link is over"):
        DECISIONS[c.OpenVisit](life.state, c.OpenVisit(share_named(), "a" * 64, "192.0.2.9", ""), LATER_NS)
