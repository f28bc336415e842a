"""Threads, processes, file descriptors and memory that the system refuses to a running daemon, and permits later."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisor.domain.events import ChainBegan
from supervisor.journal.check import verify
from tests.kit.daemon import Daemon, launch_daemon, write_config
from tests.kit.http import Answer, request
from tests.kit.patience import give_up_after
from tests.kit.processes import descendants, descriptors, thread_names, wait_until

from .test_decoder import lavfi, snapshot, working_decoder

UID = 64_123
"""Of a user with no other process: a limit on processes counts all of a user's, and does not hold for root."""
CAPABILITIES = "+dac_read_search,+dac_override"
"""So that this user may read the clone and write the test's folder."""


def as_user() -> tuple[str, ...]:
    who = (f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
    return ("setpriv", *who, f"--inh-caps={CAPABILITIES}", f"--ambient-caps={CAPABILITIES}", "--")


@asynccontextmanager
async def open_limited(folder: Path, before: tuple[str, ...] = ()) -> AsyncIterator[Daemon]:
    """A daemon with a live camera, one on demand, and a decoder that has made a picture."""
    write_config(folder, {"front": lavfi("320x180"), "spare": {**lavfi("320x180"), "mode": "on_demand"}})
    async with launch_daemon(folder, {"HOME": str(folder)}, before=before) as daemon:
        await daemon.wait_ready()
        await daemon.wait_camera("front", "live")
        await working_decoder(daemon)
        yield daemon
        assert daemon.process.poll() is None, daemon.output
        assert await daemon.end() == 0, daemon.output
    assert "Traceback" not in daemon.output, daemon.output


@contextmanager
def limited(daemon: Daemon, name: str, most: int, before: Sequence[str] = ()) -> Iterator[None]:
    """The soft limit of a running daemon (prlimit(1)), and as it was before afterwards."""

    def set_soft(soft: str) -> None:
        subprocess.run([*before, "prlimit", f"--pid={daemon.pid}", f"--{name}={soft}:"], check=True)

    asked = ["prlimit", f"--pid={daemon.pid}", f"--{name}", "--output=SOFT", "--noheadings", "--raw"]
    soft = subprocess.run([*before, *asked], check=True, capture_output=True, text=True).stdout.strip()
    set_soft(str(most))
    try:
        yield
    finally:
        set_soft(soft)


async def new_snapshot(daemon: Daemon, camera: str) -> Answer:
    """Of now: an older one is not good enough."""
    return await request(daemon.port, "GET", f"/cameras/{camera}/snapshot.jpg?max_age=0")


def end_children(daemon: Daemon) -> None:
    """End everything that the daemon would then have to start again."""
    for process in descendants(daemon.pid):
        os.kill(process.pid, signal.SIGKILL)


async def recovers(daemon: Daemon) -> None:
    """The camera is live and pictures of both cameras are made again, within the longest backoff."""
    await daemon.wait_camera("front", "live", 90)
    for name in ("front", "spare"):
        with give_up_after(90):
            while (await snapshot(daemon, name)).status != 200:
                await daemon.get("/healthz")
    assert (await daemon.get("/api/health"))["verdict"] == "ok"


async def waits_because(daemon: Daemon, name: str, text: str) -> None:
    """Wait until a camera waits for its next attempt with these words in its reason."""
    camera: Any = None
    with trio.move_on_after(60):
        while camera is None or text not in str(camera["reason"]):
            # The start of a child takes the last descriptors for a moment: a connection is reset meanwhile.
            with suppress(trio.BrokenResourceError):
                camera = await daemon.wait_camera(name, "waiting")
    assert text in str(camera["reason"]), camera


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; those of pytest are its user's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="another user has to run the daemon")
async def test_refused_forks_and_threads_end_in_faults_and_the_daemon_recovers(open_folder: Path) -> None:
    """The camera waits with the reason, snapshots are 503, everything else is served; then the daemon recovers."""
    async with open_limited(open_folder, as_user()) as daemon:
        with limited(daemon, "nproc", 1, as_user()):
            await wait_until(lambda: len(thread_names(daemon.pid)) <= 3, 60, what="the end of its idle threads")
            end_children(daemon)
            await waits_because(daemon, "front", "cannot be started: Resource temporarily unavailable")
            for name in ("front", "spare"):
                assert (await new_snapshot(daemon, name)).status == 503
            for path in ("/healthz", "/api/health", "/api/cameras"):
                assert (await request(daemon.port, "GET", path)).status == 200
            assert (await request(daemon.port, "GET", "/api/events?limit=1000")).status in (200, 503)
            assert (await request(daemon.port, "GET", "/metrics")).status in (200, 503)
            assert (await daemon.get("/api/health"))["verdict"] != "ok"
        await recovers(daemon)


async def test_refused_descriptors_end_in_faults_and_the_daemon_recovers(tmp_path: Path) -> None:
    """So few that a request is answered and no child is started."""
    async with open_limited(tmp_path) as daemon:
        with limited(daemon, "nofile", room_for(descriptors_without_children(daemon), 4)):
            end_children(daemon)
            await waits_because(daemon, "front", "cannot be started: Too many open files")
            for name in ("front", "spare"):
                assert (await new_snapshot(daemon, name)).status == 503
            for path in ("/healthz", "/api/health", "/api/cameras", "/metrics"):
                assert (await request(daemon.port, "GET", path)).status in (200, 503)
        await recovers(daemon)


async def test_refused_descriptors_leave_the_chain_of_the_journal_as_it_is(tmp_path: Path) -> None:
    """An event that was stored and could not be read back is found later: nothing is lost, and no new chain begins."""
    async with open_limited(tmp_path) as daemon:
        await wait_until(lambda: imported(daemon), 30, what="the modules of viewers")
        with limited(daemon, "nofile", 5):
            end_children(daemon)
            await wait_until(lambda: "the journal cannot write" in daemon.output, 30, what="a fault of the journal")
        await recovers(daemon)
    assert not any(isinstance(row.event, ChainBegan) for row in daemon.journal()), daemon.output
    assert not verify(tmp_path / "journal").damages


async def test_refused_descriptors_right_after_the_start_delay_viewers_only(tmp_path: Path) -> None:
    """The modules that viewers need are imported when there are descriptors again; meanwhile the daemon goes on."""
    write_config(tmp_path, {})
    async with launch_daemon(tmp_path) as daemon:
        await daemon.wait_ready()
        with limited(daemon, "nofile", 5):
            await wait_until(lambda: "they are imported again" in daemon.output, 30, what="a word of it")
        await wait_until(lambda: "imported now" in daemon.output, 30, what="the modules of viewers")
        assert (await request(daemon.port, "GET", "/healthz")).status == 200
        assert await daemon.end() == 0, daemon.output


def imported(daemon: Daemon) -> bool:
    """Whether the daemon has imported what viewers need: the library of SRTP is mapped."""
    return "pylibsrtp" in Path(f"/proc/{daemon.pid}/maps").read_text()


async def test_refused_memory_ends_in_faults_and_the_daemon_recovers(tmp_path: Path) -> None:
    """No room for a thread's stack; whatever else asks for memory is refused or served."""
    async with open_limited(tmp_path) as daemon:
        with limited(daemon, "as", address_space(daemon.pid) + (1 << 20)):
            end_children(daemon)
            for _ in range(10):
                for path in ("/healthz", "/api/health", "/api/cameras", "/metrics", "/api/events?limit=1000"):
                    assert (await request(daemon.port, "GET", path)).status in (200, 503)
                for name in ("front", "spare"):
                    assert (await new_snapshot(daemon, name)).status in (200, 503)
        await recovers(daemon)


def descriptors_without_children(daemon: Daemon) -> dict[int, str]:
    """Those that stay when its children have ended: all but pipes and descriptors of processes."""
    found = descriptors(daemon.pid).items()
    return {number: leads_to for number, leads_to in found if not re.match(r"pipe:|anon_inode:\[pidfd\]", leads_to)}


def room_for(taken: Collection[int], more: int) -> int:
    """The limit below which so many numbers are free."""
    free = (number for number in count() if number not in taken)
    return next(islice(free, more, None))


def address_space(pid: int) -> int:
    """Bytes (proc(5), VmSize)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmSize"))) * 1024
