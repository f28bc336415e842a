"""Daemons whose stdout and stderr cannot be written: cameras, leases and the journal do not depend on them."""

import fcntl
import os
import re
import signal
from pathlib import Path

import pytest

from tests.kit.daemon import Daemon, launch_daemon, write_config
from tests.kit.http import request
from tests.kit.processes import wait_until, waiting_in

CAMERAS = {"bars": "test:64x64@20"}
LEASE = '{"kind": "viewer", "camera": "bars"}'


async def take_lease(daemon: Daemon) -> int:
    answer = await request(daemon.port, "POST", "/api/leases", LEASE, {"Content-Type": "application/json"})
    return answer.status


async def test_stderr_without_a_reader_stops_nothing(tmp_path: Path) -> None:
    """A log record larger than the pipe blocks in it; the web answers, events are durable, and SIGTERM works."""
    write_config(tmp_path, CAMERAS)
    os.mkfifo(tmp_path / "log")
    log = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(log, fcntl.F_SETPIPE_SZ, 4096)
    try:
        async with launch_daemon(tmp_path, before=("sh", "-c", 'exec "$@" 2>"$0"', str(tmp_path / "log"))) as daemon:
            await daemon.wait_ready()
            write_config(tmp_path, {f"wrong-{number}": f"nonsense-{'x' * 400}:" for number in range(200)})
            daemon.process.send_signal(signal.SIGHUP)
            await wait_until(lambda: waiting_in(log) == 4096, what="a pipe that is full")
            for _ in range(3):
                daemon.process.send_signal(signal.SIGHUP)
                assert await take_lease(daemon) == 201
                assert (await request(daemon.port, "GET", "/healthz")).status == 200
            await daemon.wait_camera("bars", "live")
            assert await daemon.end(within=10) == 0
    finally:
        os.close(log)


@pytest.mark.parametrize("how", [">/dev/full", ">&-", "> >(exec true)", "<&- >&- 2>&-"])
async def test_daemon_starts_whatever_its_standard_descriptors_are(tmp_path: Path, how: str) -> None:
    """A full disk, a pipe whose reader has ended, and closed ones, in whose place no socket is opened."""
    write_config(tmp_path, CAMERAS)
    async with launch_daemon(tmp_path, before=("bash", "-c", f'exec "$@" {how}', "_")) as daemon:
        port = await wait_until(lambda: listening(daemon) or daemon.process.poll() is not None, 60, what="its port")
        assert daemon.process.poll() is None, daemon.output
        daemon.port = port
        await daemon.wait_camera("bars", "live")
        assert await take_lease(daemon) == 201
        for number in range(3):
            assert "socket" not in os.readlink(f"/proc/{daemon.pid}/fd/{number}")
        assert await daemon.end() == 0, daemon.output
        assert "Traceback" not in daemon.output, daemon.output


def listening(daemon: Daemon) -> int:
    """Return the port on which the process listens; 0 without one (proc(5), `/proc/net/tcp`, state 0A)."""
    try:
        links = [os.readlink(each) for each in Path(f"/proc/{daemon.pid}/fd").iterdir()]
    except OSError:
        return 0
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    found = [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in links]
    return int(re.sub(".*:", "", found[0]), 16) if found else 0
