"""Users of a real daemon, made from the command line by the owner of the machine."""

import json
import subprocess
import sys
from pathlib import Path

import trio

from tests.kit.accounts import ANNA, PASSWORDS, Browser
from tests.kit.daemon import ROOT, open_daemon
from tests.kit.patience import give_up_after


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
