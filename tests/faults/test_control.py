"""The control socket under a real daemon: kills, foreign files, and folders that cannot be used."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.conftest import require
from tests.kit.daemon import Daemon, launch_daemon, open_daemon, write_config
from tests.kit.http import is_listened_at, request
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until

CAMERAS = {"bars": "test:64x64@5"}
IN_MOUNT = [
    "unshare", "--map-root-user", "--mount", "--", "sh", "-c",
    'mount -t tmpfs -o "$1" none "$0" && shift && exec "$@"',
]  # fmt: skip
"""Followed by a folder, the options of a file system that is mounted there for one program, and that program."""


async def banken(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    with give_up_after(60):
        return await trio.run_process(
            [sys.executable, "-m", "supervisor", *map(str, arguments)],
            check=False, capture_stdout=True, capture_stderr=True,
        )  # fmt: skip


async def control_reason(daemon: Daemon) -> tuple[str, str]:
    """The verdict on the control socket, with its reason."""
    parts = (await daemon.get("/api/health"))["parts"]
    return next((each["verdict"], each["reason"]) for each in parts if each["part"] == "monitor/control")


async def test_socket_is_served_again_after_a_kill_and_removed_at_the_end(tmp_path: Path) -> None:
    """The killed daemon leaves its socket, and a command says so; the next one replaces it."""
    path, asked = tmp_path / "control", ("reload", "--config", tmp_path / "banken.yaml")
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert (await banken(*asked)).stdout == b"configuration taken: 1 camera\n"
        await daemon.end(signal.SIGKILL)
        refused = await banken(*asked)
    assert (refused.returncode, b"the last one was killed" in refused.stderr) == (2, True)
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        assert (await banken("reload", "--state", tmp_path)).returncode == 0
        assert await control_reason(daemon) == ("ok", f"listens at {path}")
        assert await daemon.end() == 0
        assert not path.is_symlink() and not path.exists()
    absent = await banken(*asked)
    assert (absent.returncode, b"no daemon runs on this state folder" in absent.stderr) == (2, True)
    taken = [row for row in daemon.journal() if row.type == "ConfigurationApplied" and row.cause is None]
    assert [row.principal for row in taken] == ["local", "local"]


async def test_daemons_that_start_at_once_on_one_folder_are_one(tmp_path: Path) -> None:
    """Whichever is first: the others exit with 2, and their journals are not made."""
    write_config(tmp_path, CAMERAS)
    config = (tmp_path / "banken.yaml").read_text()
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
        (folder / "banken.yaml").write_text(f"state: {{path: {tmp_path}}}\n{config}")
    daemons: list[Daemon] = []
    ended: list[Daemon] = []

    async def run(folder: Path) -> None:
        async with launch_daemon(folder) as daemon:
            daemons.append(daemon)
            await wait_until(lambda: daemon.process.poll() is not None or "http://" in daemon.output, 60)
            if daemon.process.poll() is not None:
                ended.append(daemon)
                return
            await wait_until(lambda: len(ended) == 2, 60)
            assert (await request(tmp_path / "control", "GET", "/healthz")).status == 200
            assert await daemon.end() == 0

    async with trio.open_nursery() as nursery:
        for folder in folders:
            nursery.start_soon(run, folder)
    assert sorted(daemon.process.returncode for daemon in daemons) == [0, 2, 2]
    for daemon in ended:
        assert f"{tmp_path}: the state folder is in use by another daemon" in daemon.output
        assert not (daemon.folder / "journal").exists()


async def test_file_in_the_place_of_the_socket_stays_and_cameras_run(tmp_path: Path) -> None:
    """Health and an alert have the reason; when the file has gone, the socket is made without a restart."""
    path = tmp_path / "control"
    path.write_text("mine")
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        await daemon.wait_camera("bars", "live")
        assert await control_reason(daemon) == (
            "degraded",
            f"there is no control socket {path}: something else has its name; remove that; "
            "state.path can name another folder",
        )
        assert any(row.type == "AlertRaised" for row in daemon.journal())
        refused = await banken("retry", "bars", "--state", tmp_path)
        assert (refused.returncode, b"this is no control socket" in refused.stderr) == (2, True)
        assert path.read_text() == "mine"
        path.unlink()
        await wait_until(lambda: is_listened_at(path), 90)
        assert (await request(path, "GET", "/healthz")).status == 200
        assert await daemon.end() == 0


@pytest.mark.parametrize(
    ("options", "reason"), [("ro", "Read-only file system"), ("nr_inodes=1", "No space left on device")]
)
async def test_folder_that_takes_no_file_leaves_cameras_running(tmp_path: Path, options: str, reason: str) -> None:
    """On a read-only and on a full file system. The reason is in the health, and a page is served."""
    state = tmp_path / "state"
    state.mkdir()
    before = [*IN_MOUNT, str(state), options]
    if subprocess.run([*before, "true"], check=False, capture_output=True).returncode:  # noqa: ASYNC221
        require("no mount namespaces (unshare --map-root-user --mount)")
    write_config(tmp_path, CAMERAS, "state: {path: state}")
    async with launch_daemon(tmp_path, before=before) as daemon:
        await daemon.wait_ready()
        await daemon.wait_camera("bars", "live")
        assert await control_reason(daemon) == (
            "degraded",
            f"there is no control socket {state}/control: {state}/control.lock: {reason}; "
            "state.path can name another folder",
        )
        assert await daemon.end() == 0
