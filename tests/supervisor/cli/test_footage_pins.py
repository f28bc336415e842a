"""`banken pin` with a daemon that runs: events and footage are kept, over a crash, until they are released."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import trio

from supervisor.domain import events as e
from tests.kit.daemon import ROOT, Daemon, launch_daemon, open_daemon
from tests.kit.processes import wait_until

SOURCE = {"source": "test:64x64@5", "record": "always"}


def banken(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "supervisor", *arguments],
        capture_output=True, text=True, cwd=folder, timeout=60, check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


async def ask(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await trio.to_thread.run_sync(banken, folder, *arguments)


def at(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns / 1e9, UTC).isoformat()


async def wait_recorded(daemon: Daemon) -> None:
    """Wait until some video is in a file."""
    folder = daemon.folder / "recordings"
    await wait_until(lambda: sum(path.stat().st_size for path in folder.glob("gate/*/*.mp4")) > 5000, 60, what="video")


async def test_pin_keeps_footage_and_events_over_a_crash_until_it_is_released(tmp_path: Path) -> None:
    """The daemon is killed right after the answer. Without it, the pin is listed, and cannot be released."""
    began_ns = time.time_ns()
    async with open_daemon(tmp_path, {"gate": SOURCE, "yard": "test:64x64@5"}) as daemon:
        await wait_recorded(daemon)
        growing = await ask(tmp_path, "pin", "now", "--from", at(began_ns), "--camera", "gate")
        assert growing.returncode == 0, growing.stderr
        assert "no complete file of that time" in growing.stdout
        assert (await ask(tmp_path, "unpin", "now")).stdout == "now: no longer kept\n"
        await daemon.end()
    ended_ns = time.time_ns()
    async with launch_daemon(tmp_path) as daemon:
        await daemon.wait_ready()
        until = ("--from", at(began_ns), "--to", at(ended_ns))
        made = await ask(tmp_path, "pin", "door", *until, "--note", "a parcel", "--json")
        os.kill(daemon.pid, signal.SIGKILL)
        assert made.returncode == 0, made.stderr
        pin = json.loads(made.stdout)
        assert (pin["cameras"], pin["by"], pin["note"]) == (["gate", "yard"], "local", "a parcel")
        assert pin["bytes"] > 5000
        daemon.process.wait()
    listed = await ask(tmp_path, "pins")
    assert listed.stdout.startswith("door: ")
    assert " of footage of gate, yard, pinned " in listed.stdout
    assert listed.stdout.endswith("  a parcel\n")
    refused = await ask(tmp_path, "unpin", "door")
    assert (refused.returncode, "must run to release it" in refused.stderr) == (2, True)
    assert (await ask(tmp_path, "pin", "door")).returncode == 2
    async with launch_daemon(tmp_path) as daemon:
        await daemon.wait_ready()
        assert [each["pin"] for each in (await daemon.get("/api/pins"))["pins"]] == ["door"]
        for arguments, said in (
            (["door", *until], "there is a pin 'door' already"),
            (["later", "--from", "1m", "--to", at(time.time_ns() + 3600 * 10**9)], "in the future"),
            (["none", *until, "--camera", "yard"], "no footage of yard in that time"),
            (["none", *until, "--camera", "nowhere"], "no footage of nowhere in that time"),
        ):
            answer = await ask(tmp_path, "pin", *arguments)
            assert (answer.returncode, said in answer.stderr) == (1, True), answer.stderr
        assert (await ask(tmp_path, "unpin", "door")).stdout == "door: no longer kept\n"
        audit = await ask(tmp_path, "audit")
        assert "pin door" in audit.stdout
        assert "pin door released" in audit.stdout
        await daemon.end()
    kinds = [type(row.event) for row in daemon.journal() if isinstance(row.event, e.PinEvent)]
    assert kinds == [e.StretchPinned, e.StretchReleased] * 2


async def test_pin_without_a_daemon_keeps_the_journal_alone(tmp_path: Path) -> None:
    """As in 0.1.0, and the list says so; a camera cannot be named."""
    async with open_daemon(tmp_path, {"gate": "test:64x64@5"}) as daemon:
        await daemon.end()
    done = await ask(tmp_path, "pin", "crash")
    assert (done.returncode, "are kept" in done.stdout) == (0, True), done.stderr
    assert "the journal alone" in (await ask(tmp_path, "pins")).stdout
    refused = await ask(tmp_path, "pin", "door", "--from", "1h", "--camera", "gate")
    assert (refused.returncode, "footage is pinned by the daemon" in refused.stderr) == (2, True)
    async with launch_daemon(tmp_path) as daemon:
        await daemon.wait_ready()
        assert (await ask(tmp_path, "unpin", "crash")).stdout == "crash: no longer kept\n"
        await daemon.end()
    assert (await ask(tmp_path, "pins")).stdout == ""
