"""No secret of a login is in anything that outlives it: a real daemon, and all that it writes."""

import sys
from pathlib import Path
from zipfile import ZipFile

import trio

from tests.faults.test_access_commands import banken
from tests.kit.accounts import ANNA, PASSWORDS, Browser
from tests.kit.daemon import ROOT, open_daemon
from tests.kit.http import request

NEW, WRONG = "battery staple 9182", "my other password 7731"


async def test_no_secret_of_a_login_is_written_anywhere(tmp_path: Path) -> None:
    """Passwords, sessions, tokens, share links, and a password that was typed where a name belongs.

    The access file has hashes only; the journal, the log, a bundle, the state, and the command lines of all processes
    have none of them.
    """
    async with open_daemon(tmp_path, {"gate": "test:"}) as daemon:
        await banken(tmp_path, "user", "add", ANNA, "--role", "admin", text=f"{PASSWORDS[ANNA]}\n")
        browser = Browser(daemon.port)
        assert (await browser.log_in(ANNA)).status == 201
        assert (await Browser(daemon.port).log_in(WRONG, WRONG)).status == 403
        changed = await browser.put("/api/session/password", {"old": PASSWORDS[ANNA], "new": NEW})
        assert changed.status == 204
        token = await browser.post("/api/tokens", {"token": "nvr", "role": "watcher", "everything": True})
        share = await browser.post("/api/shares", {"cameras": ["gate"], "for_s": 3600, "viewers": 1})
        bearer = {"Authorization": f"Bearer {token.json['secret']}"}
        assert (await request(daemon.port, "GET", "/api/cameras", headers=bearer)).status == 200
        visit = await Browser(daemon.port).post("/api/session/share", {"secret": share.json["secret"]})
        assert visit.status == 200
        lines = command_lines()
        export = [
            sys.executable,
            "-m",
            "supervisor",
            "incident",
            "export",
            str(tmp_path / "journal"),
            "--from",
            "1h",
            "--to",
            "0s",
        ]
        await trio.run_process([*export, "-o", str(tmp_path / "bundle")], cwd=ROOT, capture_stdout=True)
        assert daemon.process.poll() is None
    secrets = {
        "the password": PASSWORDS[ANNA],
        "the new password": NEW,
        "a password instead of a name": WRONG,
        "the session": browser.cookie.partition("=")[2],
        "the token": token.json["secret"].partition(".")[2],
        "the share": share.json["secret"],
        "the visit": visit.headers["Set-Cookie"].partition("=")[2].partition(";")[0],
    }
    places = contents(tmp_path) | unpacked(tmp_path / "bundle")
    places |= {"the command lines": lines, "the log": daemon.output.encode()}
    places["the events"] = str(daemon.journal()).encode()
    assert {"access.json", "journal", "bundle"} <= {place.partition("/")[0] for place in places}
    assert any(b"SessionOpened" in data for place, data in places.items() if place.startswith("bundle/"))
    for what, secret in secrets.items():
        assert len(secret) > 10
        assert [place for place, data in places.items() if secret.encode() in data] == [], what


def command_lines() -> bytes:
    """Those of all processes of this machine."""
    return b"".join(path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())


def contents(folder: Path) -> dict[str, bytes]:
    """All files in a folder, by their paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpacked(bundle: Path) -> dict[str, bytes]:
    """The files in a bundle."""
    with ZipFile(bundle) as zipped:
        return {f"bundle/{name}": zipped.read(name) for name in zipped.namelist()}
