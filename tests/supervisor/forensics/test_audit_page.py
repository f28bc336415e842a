"""The audit by page has the rows of the audit of the whole stretch; and everybody sees what is theirs to see."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.clients import PREFIX
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId, LeaseId, PeerId, SessionId, TokenId, UserId
from supervisor.domain.rights import ALL, Role, Scope
from supervisor.domain.session import session_of
from supervisor.domain.values import Fault, LeaseKind, Reason
from supervisor.forensics.audit import audit
from supervisor.forensics.audit_page import audit_page
from supervisor.journal.reader import Reader
from supervisor.journal.times import Stretch, find_stretch
from supervisor.ports.audit import AuditFilter, AuditPage, Author, Live, Row, author_of
from tests.kit.domain import ASKED, GATE, YARD, Story, peer, running
from tests.kit.journals import write_journal
from tests.supervisor.forensics.stories import reader_of

ANNA, BEN = "192.0.2.10", "192.0.2.20"
HASHES = {"anna": "a" * 64, "ben": "b" * 64}
SESSIONS = {name: f"user:{name}/{session_of(hashed)}" for name, hashed in HASHES.items()}
AGENTS = {"anna": "Firefox", "ben": "Chromium"}
LEFT = Reason("left", "the viewer closed the connection", Fault.NONE)
KICKED = Reason("kicked", "an operator ended this lease", Fault.NONE)


def by(story: Story, principal: str, *commands: c.Command) -> Story:
    """The commands, with the principal that the kernel records."""
    begin = len(story.recorded)
    story.given(*commands)
    cause = story.recorded[begin].seq if len(story.recorded) > begin else None
    story.recorded[begin:] = [
        replace(each, principal=principal, cause=None if number == 0 else cause)
        for number, each in enumerate(story.recorded[begin:])
    ]
    return story


def log_in(story: Story, name: str, client: str) -> Story:
    command = c.OpenSession(UserId(name), HASHES[name], client, AGENTS[name], story.now_ns + 10**15, "password")
    return by(story, f"{PREFIX}{client}", command)


def evening() -> Story:
    """Anna, a watcher of gate, and ben, an admin: viewers, pictures, refusals, changes, one after the other."""
    story = running(GATE, YARD)
    by(story, "local", c.AddUser(UserId("ben"), Role.ADMIN, ALL))
    by(story, "local", c.AddUser(UserId("anna"), Role.WATCHER, Scope(cameras=(GATE,))))
    by(story, "local", c.MakeToken(TokenId("hall"), Role.WATCHER, ALL, "c" * 64))
    by(story.after(1), f"{PREFIX}{ANNA}", c.ReportLoginFailed("anna", ANNA, Reason("wrong-password", "wrong"), 3))
    log_in(story.after(1), "anna", ANNA)
    log_in(story.after(1), "ben", BEN)
    by(story.after(1), SESSIONS["anna"], peer("p1", GATE, ANNA), c.ReportPeerConnected(PeerId("p1")))
    by(story.after(1), SESSIONS["ben"], peer("p2", YARD, BEN), c.ReportPeerConnected(PeerId("p2")))
    by(story.after(1), "token:hall", peer("p3", GATE, "192.0.2.30"), c.ReportPeerConnected(PeerId("p3")))
    by(story.after(1), SESSIONS["anna"], c.ReportPictures(GATE, ANNA, 12, 34_000, 3.0))
    by(story.after(1), SESSIONS["anna"], c.ReportAccessRefused("camera", ANNA, YARD, 2))
    by(story.after(1), SESSIONS["ben"], c.GrantLease(LeaseId("row"), LeaseKind.VIEWER, YARD, BEN, purpose="pictures"))
    by(story.after(1), SESSIONS["anna"], c.ReportPeerClosed(PeerId("p1"), LEFT, 5_000_000))
    by(story.after(1), SESSIONS["ben"], c.EndLease(LeaseId("row"), ASKED, bytes=700))
    by(story.after(1), SESSIONS["ben"], c.SetPrivacy(YARD, private=True, by="ben"))
    by(story.after(1), SESSIONS["ben"], c.ReportExport(1, 5, BEN, "d" * 64))
    by(story.after(1), SESSIONS["ben"], c.EndLease(LeaseId("p3"), KICKED))
    by(story, "token:hall", c.ReportPeerClosed(PeerId("p3"), LEFT, 9))
    by(story.after(1), SESSIONS["anna"], c.EndSession(SessionId(session_of(HASHES["anna"])), LEFT))
    return story.after(1)


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return reader_of(tmp_path / "journal", evening().recorded)


def stretch(reader: Reader, first: int = 1) -> Stretch:
    found = find_stretch(reader, None, None, None)
    return found._replace(first=first)


def of(reader: Reader, wanted: AuditFilter = AuditFilter(), limit: int = 1000, **more: object) -> list[Row]:  # noqa: B008
    return list(audit_page(reader, stretch(reader), wanted, limit, **more).rows)  # type: ignore[arg-type]


def test_row_has_user_duration_bytes_address_and_device(reader: Reader) -> None:
    """For each way to watch."""
    rows = {row.id or row.how: row for row in of(reader, AuditFilter(kinds=frozenset({"watched"})))}
    p1 = rows["p1"]
    assert (p1.by, p1.user, p1.client, p1.device, p1.camera, p1.how) == (
        "user", "anna", ANNA, "Firefox", GATE, "whep",
    )  # fmt: skip
    assert (p1.lasted_s, p1.bytes, p1.end, p1.code, p1.connected) == (6.0, 5_000_000, "ended", "left", True)
    assert p1.session == session_of(HASHES["anna"])
    snapshot = rows["snapshot"]
    assert (snapshot.user, snapshot.count, snapshot.bytes, snapshot.lasted_s) == ("anna", 12, 34_000, 3.0)
    assert (rows["row"].how, rows["row"].bytes, rows["row"].device) == ("mjpeg", 700, "Chromium")
    assert (rows["p3"].by, rows["p3"].user, rows["p3"].bytes, rows["p3"].code) == ("token", "hall", 9, "kicked")


def test_other_kinds_have_a_row_each(reader: Reader) -> None:
    """Exports, changes, logins, failed ones with their number, refusals."""
    rows = of(reader)
    found = {(row.kind, row.user, row.code) for row in rows if row.kind not in ("watched", "leased")}
    assert found >= {
        ("exported", "ben", "exported"), ("changed", "local", "UserAdded"), ("changed", "local", "TokenMade"),
        ("changed", "ben", "PrivacyBegan"), ("changed", "ben", "LeaseEnded"), ("login", "anna", "left"),
        ("login", "ben", ""), ("login-failed", "anna", "wrong-password"), ("refused", "anna", "camera"),
    }  # fmt: skip
    assert {row.kind: row.count for row in rows if row.kind in ("login-failed", "refused")} == {
        "login-failed": 4, "refused": 3,
    }  # fmt: skip
    assert {row.end for row in rows if row.kind == "login" and row.user == "ben"} == {"open"}


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_pages_together_are_the_rows_of_the_stretch(reader: Reader, limit: int) -> None:
    """Newest first, none twice, none missing."""
    whole = list(audit(reader, stretch(reader), AuditFilter()))
    found: list[Row] = []
    page = AuditPage((), None)
    while True:
        page = audit_page(reader, stretch(reader), AuditFilter(), limit, page.before)
        assert len(page.rows) <= limit
        found += page.rows
        if page.before is None:
            break
    assert found == sorted(whole, key=lambda row: row.seq or 0, reverse=True)


@pytest.mark.parametrize("first", range(2, len(evening().recorded) + 1))
def test_rows_that_were_open_when_the_stretch_began_come_last(tmp_path: Path, first: int) -> None:
    """As in the audit of the stretch, whatever event it begins with."""
    reader = reader_of(tmp_path / "journal", evening().recorded)
    part = stretch(reader, first)

    def key(row: Row) -> tuple[str, str, int | None, str]:
        return row.kind, row.id or row.code, row.until_ns, row.user

    whole = sorted(map(key, audit(reader, part, AuditFilter())), key=str)
    assert sorted(map(key, audit_page(reader, part, AuditFilter(), 1000).rows), key=str) == whole


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ("anna", {"p1", "snapshot"}),
        ("user:anna", {"p1", "snapshot"}),
        ("token:hall", {"p3"}),
        ("hall", {"p3"}),
        ("token:anna", set()),
        ("ann", set()),
        ("a*", set()),
    ],
)
def test_user_chooses_by_the_index_of_the_principal(reader: Reader, user: str, ids: set[str]) -> None:
    """A name with or without its kind, and never a pattern."""
    assert {row.id or row.how for row in of(reader, AuditFilter(user=user, kinds=frozenset({"watched"})))} == ids
    logins = of(reader, AuditFilter(user=user, kinds=frozenset({"login", "login-failed"})))
    assert len(logins) == (2 if user in ("anna", "user:anna") else 0)


def test_camera_chooses(reader: Reader) -> None:
    """Rows without a camera are of none."""
    assert {row.camera for row in of(reader, AuditFilter(camera=YARD))} == {YARD}


def test_daemon_knows_what_is_open(tmp_path: Path) -> None:
    """The end of a row that it does not know any more was lost."""
    silent = [
        replace(row, event=e.PicturesSent(row.event.camera, BEN, 1, 1), stream="audit")
        if isinstance(row.event, e.PeerClosed)
        else row
        for row in evening().recorded
    ]
    reader = reader_of(tmp_path / "journal", silent)
    rows = {row.id: row for row in of(reader, live=Live(len(evening().recorded), frozenset({"peer/p1"})))}
    assert (rows["p1"].end, rows["p3"].end) == ("open", "unknown")


# ── who sees what ───────────────────────────────────────────────────────────────────────────────────────────────────


def seen(reader: Reader, own: str, visible: set[CameraId] | None, **more: bool) -> list[Row]:
    names = None if visible is None else frozenset(visible)
    return of(reader, AuditFilter(own=author_of(own), visible=names, **more))  # type: ignore[arg-type]


def test_watcher_sees_her_own_rows_alone(reader: Reader) -> None:
    """Without the right to read the journal."""
    rows = seen(reader, SESSIONS["anna"], {GATE}, reads=False, people=False)
    assert {row.user for row in rows} == {"anna"}
    assert {row.kind for row in rows} == {"watched", "login", "login-failed", "refused"}
    filtered = AuditFilter(own=author_of(SESSIONS["anna"]), visible=frozenset({GATE}), reads=False, people=False)
    assert {row.user for row in audit(reader, stretch(reader), filtered)} == {"anna"}


def test_row_of_ones_own_does_not_name_a_camera_outside_the_scope(reader: Reader) -> None:
    """She asked for yard, and may not learn that it exists."""
    rows = seen(reader, SESSIONS["anna"], {GATE}, reads=False, people=False)
    assert [row.camera for row in rows if row.kind == "refused"] == [None]
    assert YARD not in str(rows)


def test_analyst_sees_the_rows_of_visible_cameras_and_no_login_of_others(reader: Reader) -> None:
    """Changes of users and logins are for admins."""
    rows = seen(reader, "user:cleo/0", {GATE}, reads=True, people=False)
    assert {row.camera for row in rows} == {GATE}
    assert YARD not in str(rows)
    whole = seen(reader, "user:cleo/0", None, reads=True, people=False)
    assert {row.kind for row in whole if row.camera is None} == set()


def test_admin_sees_everything(reader: Reader) -> None:
    """Also logins and changes of others."""
    assert seen(reader, SESSIONS["ben"], None, reads=True, people=True) == of(reader)


@pytest.mark.parametrize(
    ("principal", "author"),
    [
        ("user:anna/0123", Author("user", "anna", "0123")),
        ("user:anna", Author("user", "anna")),
        ("token:hall", Author("token", "hall")),
        ("share:s1", Author("share", "s1")),
        ("proxy:Anna@x.example/admin", Author("proxy", "Anna@x.example")),
        ("local", Author("local", "local")),
        ("client:192.0.2.1", Author("client", "192.0.2.1")),
        ("actor", Author("banken", "banken")),
    ],
)
def test_principal_is_an_author(principal: str, author: Author) -> None:
    """Of each kind."""
    assert author_of(principal) == author


def test_journal_of_old_has_no_bytes(tmp_path: Path) -> None:
    """The row has null, not 0."""
    rows: list[Recorded] = evening().recorded
    old = [
        replace(row, event=replace(row.event, bytes=None)) if row.type == "PeerClosed" else row for row in rows
    ]  # fmt: skip
    reader = Reader(write_journal(tmp_path / "journal", old))
    assert {row.bytes for row in of(reader) if row.id == "p1"} == {None}


def test_clip_is_a_row_with_its_camera_and_its_time(tmp_path: Path) -> None:
    """It says who took it and from where. Somebody who does not see the camera does not see the row."""
    story = evening()
    by(story, SESSIONS["ben"], c.TakeClip(YARD, 1_780_000_000 * 10**9, 1_780_000_600 * 10**9, "mp4", BEN))
    reader = reader_of(tmp_path / "journal", story.recorded)
    found = audit_page(reader, stretch(reader), AuditFilter(kinds=frozenset({"exported"})), 10).rows
    assert [(row.user, row.camera, row.client, row.code) for row in found if row.camera] == [("ben", YARD, BEN, "mp4")]
    assert found[0].reason == f"clip of yard taken by {BEN}: 10 min from 2026-05-28 20:26:40Z on (mp4)"
    hidden = AuditFilter(kinds=frozenset({"exported"}), visible=frozenset({GATE}), people=False)
    assert not [row for row in audit_page(reader, stretch(reader), hidden, 10).rows if row.camera]
