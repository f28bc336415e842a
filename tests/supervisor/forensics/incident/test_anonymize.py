"""An anonymized bundle has no name, address or browser of anybody in any byte, and is verified as every other."""

import io
import random
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from supervisor.__main__ import main
from supervisor.domain import commands as c
from supervisor.domain.core import Recorded
from supervisor.domain.ids import CameraId, LeaseId, PeerId, TokenId, UserId
from supervisor.domain.rights import ALL, Role
from supervisor.domain.session import session_of
from supervisor.domain.values import Fault, LeaseKind, Reason, RefusedClient
from supervisor.forensics.incident.anonymize import Pseudonyms
from supervisor.forensics.incident.export import Wanted, export
from supervisor.forensics.incident.verify import unpack, verify
from supervisor.forensics.incident.words import PROVES
from supervisor.journal.reader import Reader
from tests.kit.domain import GATE, YARD, peer, running, settings
from tests.kit.journals import write_journal
from tests.supervisor.forensics.test_audit_page import by, evening

LETTERS = "bcdfghjklmnpqrstvwxz"


UNKNOWN = "Quentin"
"""Somebody whom no field names."""


def invent(seed: int) -> tuple[list[str], list[str], list[str]]:
    """Names, addresses and browsers that are in nothing else."""
    rng = random.Random(seed)
    names = ["".join(rng.choices(LETTERS, k=rng.randint(4, 12))) for _ in range(4)]
    addresses = [f"198.51.{rng.randint(100, 255)}.{rng.randint(100, 255)}" for _ in range(2)]
    addresses += [f"2001:db8:{rng.randint(4096, 9999)}:1::{rng.randint(4096, 9999)}"]
    agents = [f"Browser-{''.join(rng.choices(LETTERS, k=8))}/{rng.randint(100, 999)}" for _ in range(2)]
    return names, addresses, agents


def told(seed: int, *, before: bool = False) -> list[Recorded]:
    """Everything in which somebody can be named; texts name them inside of words, and in capitals."""
    names, addresses, agents = invent(seed)
    anna, ben, token, proxied = names
    story = running(GATE, YARD)
    by(story, "local", c.AddUser(UserId(ben), Role.ADMIN, ALL), c.AddUser(UserId(anna), Role.OPERATOR, ALL))
    by(story, f"user:{ben}", c.SetPassword(UserId(anna)))
    by(story, f"user:{ben}/0123", c.MakeToken(TokenId(token), Role.WATCHER, ALL, "c" * 64))
    hashed = "a" * 64
    session = f"user:{anna}/{session_of(hashed)}"
    opened = c.OpenSession(UserId(anna), hashed, addresses[0], agents[0], story.now_ns + 10**15, "password")
    by(story.after(1), f"client:{addresses[0]}", opened)
    by(story, session, peer("p1", GATE, addresses[0]), c.ReportPeerConnected(PeerId("p1")))
    wish = c.GrantLease(LeaseId("m"), LeaseKind.MODAL, YARD, addresses[2], "o" * 64, 30.0, purpose=f"for {anna}")
    by(story, f"proxy:{proxied}/operator", wish)
    for text in (f"held by {addresses[1]} and {addresses[2]}", f"not for {anna.upper()}s, nor {agents[1]}", proxied):
        refusal = c.ReportRefusal(GATE, LeaseKind.VIEWER, addresses[1], Reason("not-lent", text, Fault.NONE), 1)
        by(story.after(1), f"client:{addresses[1]}", refusal)
    by(story, f"client:{addresses[1]}", c.ReportLoginFailed(anna, addresses[1], Reason("wrong-password", "wrong")))
    second = c.OpenSession(UserId(ben), "b" * 64, addresses[2], agents[1], story.now_ns + 10**15, "password")
    by(story, f"client:{addresses[2]}", second)
    by(story, session, c.SetPrivacy(YARD, private=True, by=anna))
    counted = (RefusedClient(addresses[1], 7), RefusedClient(f"user:{anna}", 3))
    story.given(c.ReportRequestsRefused(counted, 0, 1.0))
    by(story, session, c.ReportAccessRefused("operate", addresses[0], None, 1))
    by(story.after(1), session, c.ReportPeerClosed(PeerId("p1"), Reason("left", f"{anna} left", Fault.NONE), 5))
    by(story, f"user:{ben}", c.RemoveUser(UserId(anna)))
    by(story, "local", c.PinStretch("call", 1, 2, (GATE,), 9, f"Mr. {UNKNOWN} at the door", "local"))
    return story.after(1).given(c.RaiseAlert("children/gate", f"too many of {token}")).recorded


def exported(journal: Path, path: Path, **more: object) -> Path:
    reader = Reader(journal)
    ends = (*reader.page(limit=1), *reader.page(limit=1, newest=True))
    reader.close()
    wanted = Wanted(ends[0].wall_ns, ends[-1].wall_ns, anonymous=True, **more)  # type: ignore[arg-type]
    export(journal, wanted, path, ends[-1].wall_ns)
    return path


def contents(path: Path) -> bytes:
    """All bytes of a bundle, packed and unpacked."""
    with zipfile.ZipFile(path) as archive:
        unpacked = [archive.read(name) for name in archive.namelist()]
    return b"\n".join([path.read_bytes(), *unpacked])


@pytest.mark.parametrize("seed", range(12))
def test_no_byte_of_the_bundle_has_a_name_an_address_or_a_browser(tmp_path: Path, seed: int) -> None:
    """With random ones; and the bundle is verified, with all its events."""
    names, addresses, agents = invent(seed)
    rows = told(seed)
    journal = write_journal(tmp_path / "journal", rows)
    whole = b"".join(path.read_bytes() for path in journal.iterdir())
    path = exported(journal, tmp_path / "bundle.zip", note=f"{names[0]} called from {addresses[0]}")
    found = contents(path).lower()
    for original in (*names, *addresses, *agents, UNKNOWN):
        assert original.encode() in whole
        assert original.lower().encode() not in found, original
    proven = verify(path)
    assert (proven.manifest.events, proven.seals) == (len(rows), 0)
    assert proven.differing == ()


def test_pseudonyms_are_the_same_in_the_whole_bundle(tmp_path: Path) -> None:
    """In fields, principals and texts: who did what can still be followed."""
    journal = write_journal(tmp_path / "journal", told(1))
    unpack(exported(journal, tmp_path / "bundle.zip"), tmp_path / "there")
    rows = Reader(tmp_path / "there" / "journal").page(limit=500)
    anna = {row.event.user for row in rows if row.type == "SessionOpened"}  # type: ignore[attr-defined]
    assert len(anna) == 2
    (closed,) = (row for row in rows if row.type == "PeerClosed")
    user = closed.principal.removeprefix("user:").partition("/")[0]
    assert user in anna
    assert closed.event.reason.text == f"{user} left"  # type: ignore[attr-defined]
    kinds = {"system", "test", "local", "user:user", "client:client", "proxy:user"}
    assert {row.principal.partition("-")[0] for row in rows} <= kinds


def test_bundle_says_that_it_was_anonymized_and_what_it_proves(tmp_path: Path) -> None:
    """In its manifest, in its report, and by every command that reads it."""
    journal = write_journal(tmp_path / "journal", evening().recorded)
    arguments = ["incident", "export", str(journal), "--from", "#1", "--to", "#9", "--anonymous"]
    made = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "bundle.zip")])
    assert made.exit_code == 0, made.output
    assert PROVES in made.stdout
    said = CliRunner().invoke(main, ["incident", "verify", str(tmp_path / "bundle.zip")]).stdout
    assert "anonymized: " in said
    assert PROVES in said
    with zipfile.ZipFile(io.BytesIO((tmp_path / "bundle.zip").read_bytes())) as archive:
        assert "Anonymized" in archive.read("report.html").decode()
        assert b'"anonymous": {' in archive.read("manifest.json")


def test_bundle_with_names_says_nothing_of_it(tmp_path: Path) -> None:
    """As bundles of earlier versions."""
    journal = write_journal(tmp_path / "journal", evening().recorded)
    arguments = ["incident", "export", str(journal), "--from", "#1", "--to", "#9", "-o", str(tmp_path / "bundle.zip")]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert "anonymized" not in CliRunner().invoke(main, ["incident", "verify", str(tmp_path / "bundle.zip")]).stdout


def test_name_that_is_a_word_of_banken_is_replaced_where_it_is_a_name() -> None:
    """Its events can still be read."""
    names = Pseudonyms()
    story = running(GATE)
    by(story, "local", c.AddUser(UserId("viewer"), Role.ADMIN, ALL))
    for row in story.recorded:
        names.see(row)
    names.fix()
    changed = [names.event(row) for row in story.recorded]
    assert changed[-2].stream == "user/user-1"
    assert names.state(story.state).versions.get("user/user-1") == 1
    assert names.text("the viewer left") == "the viewer left"


def test_pseudonym_is_never_the_name_of_another(tmp_path: Path) -> None:
    """A user may be called user-1."""
    names = Pseudonyms()
    for user in ("user-2", "user-1", "anna"):
        names._add("user", user)
    names.fix()
    made = set(names.names.values())
    assert len(made) == 3
    assert not made & {"user-1", "user-2"}


def test_addresses_of_devices_stay(tmp_path: Path) -> None:
    """They are needed to find the fault, and the help says so."""
    rows = told(3)
    journal = write_journal(tmp_path / "journal", rows)
    assert b"192.0.2.1" in contents(exported(journal, tmp_path / "bundle.zip", camera=CameraId(GATE)))
    assert replace(settings(GATE)).source.url.startswith("rtsp://192.0.2.1")
