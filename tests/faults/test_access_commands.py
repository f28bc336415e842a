"""Users of a real daemon, made from the command line by the owner of the machine."""

import json
import subprocess
import sys
from pathlib import Path

import trio

from tests.kit.accounts import ANNA, PASSWORDS, Browser
from tests.kit.daemon import ROOT, open_daemon
from tests.kit.http import request
from tests.kit.patience import give_up_after

NEW = "another horse"


async def banken(folder: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[bytes]:
    """A command over the control socket, without a terminal."""
    with give_up_after(60):
        return await trio.run_process(
            [sys.executable, "-m", "supervisor", *arguments, "--state", str(folder)],
            stdin=text.encode(), capture_stdout=True, capture_stderr=True, cwd=ROOT, check=False,
        )  # fmt: skip


async def test_first_user_is_made_without_a_page_and_may_log_in(tmp_path: Path) -> None:
    """No camera and no page is needed. It is an admin; afterwards the control socket is still open to its owner."""
    async with open_daemon(tmp_path, {}) as daemon:
        some = await banken(tmp_path, "user", "add", "ben", "--role", "watcher", "--all", text=f"{PASSWORDS[ANNA]}\n")
        assert (some.returncode, some.stderr) == (1, b"banken: the first user is an admin of all cameras\n")
        short = await banken(tmp_path, "user", "add", ANNA, "--role", "admin", text="short\n")
        assert (short.returncode, b"8 to 1024 characters" in short.stderr) == (1, True)
        done = await banken(tmp_path, "user", "add", ANNA, "--role", "admin", text=f"{PASSWORDS[ANNA]}\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"user anna added: admin, all cameras\n", b"")
        again = await banken(tmp_path, "user", "add", ANNA, "--role", "admin", text=f"{PASSWORDS[ANNA]}\n")
        assert (again.returncode, again.stderr) == (1, b"banken: there is a user anna already\n")
        assert (await Browser(daemon.port).log_in(ANNA)).status == 201
        listed = json.loads((await banken(tmp_path, "user", "list", "--json")).stdout)
        assert [(each["user"], each["role"], each["sessions"]) for each in listed["users"]] == [(ANNA, "admin", 1)]
        rows = daemon.journal()
        assert PASSWORDS[ANNA] not in daemon.output
    assert [row.principal for row in rows if row.type == "UserAdded"] == ["local"]
    absent = await banken(tmp_path, "user", "list")
    assert (absent.returncode, b"no daemon runs on this state folder" in absent.stderr) == (2, True)


async def test_owner_of_the_machine_is_never_locked_out(tmp_path: Path) -> None:
    """The only admin has forgotten the password, and tries it until no more tries are allowed: the owner sets another
    one, and the old sessions end. The last admin cannot be removed or become less."""
    async with open_daemon(tmp_path, {}) as daemon:
        await banken(tmp_path, "user", "add", ANNA, "--role", "admin", text=f"{PASSWORDS[ANNA]}\n")
        browser = Browser(daemon.port)
        assert (await browser.log_in(ANNA)).status == 201
        while (await Browser(daemon.port).log_in(ANNA, "wrong horse")).status != 429:
            pass
        done = await banken(tmp_path, "user", "password", ANNA, text=f"{NEW}\n")
        assert (done.returncode, b"anna is set" in done.stdout) == (0, True)
        assert (await browser.get("/api/users")).status == 401
        for change in (["remove", ANNA, "--yes"], ["role", ANNA, "--role", "watcher", "--all"]):
            done = await banken(tmp_path, "user", *change)
            assert (done.returncode, done.stderr) == (1, b"banken: anna is the last admin: make another one first\n")
        assert (await banken(tmp_path, "user", "password", "nobody", text=f"{NEW}\n")).returncode == 1
        assert daemon.process.poll() is None and NEW not in daemon.output


async def test_sessions_and_tokens_are_made_listed_and_ended(tmp_path: Path) -> None:
    """A token opens the API until it is revoked; a session until it is ended."""
    async with open_daemon(tmp_path, {}) as daemon:
        await banken(tmp_path, "user", "add", ANNA, "--role", "admin", text=f"{PASSWORDS[ANNA]}\n")
        browser = Browser(daemon.port)
        assert (await browser.log_in(ANNA)).status == 201
        (session,) = json.loads((await banken(tmp_path, "session", "list", "--json")).stdout)["sessions"]
        assert (session["user"], session["client"], session["own"]) == (ANNA, "127.0.0.1", False)
        assert (await banken(tmp_path, "session", "end", session["session"])).returncode == 0
        assert (await browser.get("/api/users")).status == 401
        gone = await banken(tmp_path, "session", "end", session["session"])
        assert (gone.returncode, b"has ended" in gone.stderr) == (1, True)

        made = await banken(tmp_path, "token", "make", "ha", "--role", "admin", "--until", "2100-06-01")
        bearer = {"Authorization": f"Bearer {made.stdout.decode().strip()}"}
        assert (await request(daemon.port, "GET", "/api/users", headers=bearer)).status == 200
        (token,) = json.loads((await banken(tmp_path, "token", "list", "--json")).stdout)["tokens"]
        assert (token["token"], token["by"], token["until"][:4]) == ("ha", "local", "2100")
        late = await banken(tmp_path, "token", "make", "old", "--role", "admin", "--until", "2001-01-01")
        assert (late.returncode, late.stdout, b"in the past" in late.stderr) == (1, b"", True)
        assert (await banken(tmp_path, "token", "end", "ha", "--yes")).returncode == 0
        assert (await request(daemon.port, "GET", "/api/users", headers=bearer)).status == 401
