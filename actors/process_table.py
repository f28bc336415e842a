"""The processes that carry our mark, whoever started them. Thin: what becomes of them, `sweep.py` decides."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import attrs
import trio

from supervisor.domain.ids import CameraId, ChildId, NodeId
from supervisor.threads import run_in_thread

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
    """All processes of the machine, as far as they are ours."""

    async def find(self, node: NodeId) -> list[Marked]:
        """Those that carry the mark of `node`, the oldest first. Beside a process that hangs it may hang, too."""
        ...

    def signal(self, process: Marked, number: signal.Signals) -> None:
        """Does nothing when it is gone."""
        ...

    async def wait_end(self, process: Marked) -> None:
        """Wait until it is gone; it need not be a child of ours."""
        ...


class RealProcessTable:
    """Read from /proc, in a thread: the table may be long."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(1)

    async def find(self, node: NodeId) -> list[Marked]:
        look = partial(marked_processes, node)
        return await run_in_thread(look, abandon_on_cancel=True, limiter=self._limiter)

    def signal(self, process: Marked, number: signal.Signals) -> None:
        with _opened(process) as descriptor:
            if descriptor is not None:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, number)

    async def wait_end(self, process: Marked) -> None:
        with _opened(process) as descriptor:
            if descriptor is not None:
                await trio.lowlevel.wait_readable(descriptor)
        with suppress(ChildProcessError):  # unless we are the init of a container, its parent is another
            os.waitpid(process.pid, os.WNOHANG)  # noqa: ASYNC222 - it does not wait


@contextmanager
def _opened(process: Marked) -> Iterator[int | None]:
    """A descriptor for that process; none when it is gone and its number perhaps another's."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        yield None
        return
    try:
        yield descriptor if start_ticks(process.pid) == process.start_ticks else None
    finally:
        os.close(descriptor)


def marked_processes(node: NodeId) -> list[Marked]:
    """The living processes with the mark of `node`, the oldest first. Blocking: about 30 µs for each of the machine."""
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            environment = Path(entry.path, "environ").read_bytes()
            arguments = Path(entry.path, "cmdline").read_bytes()
        except OSError:
            continue  # gone, or another user's
        marks = [line for line in environment.split(b"\0") if line.startswith(f"{MARK}={node}/".encode())]
        parts = marks[0].decode(errors="replace").partition("=")[2].split("/") if marks else []
        if len(parts) == 4:
            program = arguments.partition(b"\0")[0].decode(errors="replace")  # what follows may be secret
            pid, (_, run, camera, child) = int(entry.name), parts
            found.append(Marked(pid, start_ticks(pid), run, CameraId(camera), ChildId(child), (program,)))
    return sorted(found, key=lambda process: (process.start_ticks, process.pid))
