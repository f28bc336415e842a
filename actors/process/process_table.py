"""Finds and signals the processes that carry our mark, whatever started them. `sweep.py` decides about them."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import attrs
import trio

from supervisor.base.threads import run_in_thread
from supervisor.domain.ids import CameraId, ChildId

from .process import MARK, start_ticks


@attrs.frozen
class Marked:
    """A living process that carries our mark."""

    pid: int
    start_ticks: int
    run: str
    camera: CameraId
    child: ChildId
    arguments: tuple[str, ...]


class ProcessTable(Protocol):
    """The processes of this machine that carry our mark."""

    async def find(self, owner: str) -> list[Marked]:
        """Return the processes with the mark of `owner`, oldest first. May hang when a process hangs in the kernel."""
        ...

    def signal(self, process: Marked, number: signal.Signals) -> None:
        """Send a signal. Does nothing when the process is gone."""
        ...

    async def wait_end(self, process: Marked) -> None:
        """Wait until the process is gone; it need not be our child."""
        ...


class RealProcessTable:
    """Reads /proc in a thread, because the table may be long."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(1)

    async def find(self, owner: str) -> list[Marked]:
        look = partial(marked_processes, owner)
        return await run_in_thread(look, limiter=self._limiter, abandon="a process in the kernel may not answer")

    def signal(self, process: Marked, number: signal.Signals) -> None:
        with _opened(process) as descriptor:
            if descriptor is not None:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, number)

    async def wait_end(self, process: Marked) -> None:
        with _opened(process) as descriptor:
            if descriptor is not None:
                await trio.lowlevel.wait_readable(descriptor)
        with suppress(ChildProcessError):  # its parent is another process, unless we are a container's init
            os.waitpid(process.pid, os.WNOHANG)  # noqa: ASYNC222 - it does not wait


@contextmanager
def _opened(process: Marked) -> Iterator[int | None]:
    """Yield a descriptor of the process; None when it is gone and its pid may have been reused."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        yield None
        return
    try:
        yield descriptor if start_ticks(process.pid) == process.start_ticks else None
    finally:
        os.close(descriptor)


def marked_processes(owner: str) -> list[Marked]:
    """Return the living processes with the mark of `owner`, oldest first. Blocks for about 30 µs per process."""
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            environment = Path(entry.path, "environ").read_bytes()
            arguments = Path(entry.path, "cmdline").read_bytes()
        except OSError:
            continue  # gone, or of another user
        marks = [line for line in environment.split(b"\0") if line.startswith(f"{MARK}={owner}/".encode())]
        parts = marks[0].decode(errors="replace").partition("=")[2].split("/") if marks else []
        if len(parts) == 4:
            program = arguments.partition(b"\0")[0].decode(errors="replace")  # the arguments may be secret
            pid, (_, run, camera, child) = int(entry.name), parts
            found.append(Marked(pid, start_ticks(pid), run, CameraId(camera), ChildId(child), (program,)))
    return sorted(found, key=lambda process: (process.start_ticks, process.pid))
