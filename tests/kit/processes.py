"""Information about processes from `/proc`, and the one way in which tests wait for it.

Rules of this file:
1. It only reads. `process_group.py` ends processes.
2. Zombies count: a process that was not reaped is a leak.
3. A process that ends while it is being read is absent; that is never an error.
"""

from __future__ import annotations

import fcntl
import os
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import attrs
import trio

from .patience import PATIENCE

T = TypeVar("T")

PROC = Path("/proc")
POLL_SECONDS = 0.01  # /proc cannot be waited on; 10 ms costs about 1 % of a core with 300 processes


@attrs.frozen
class ProcessInfo:
    """One process at one instant. `state` is the letter of proc(5): R, S, D, T (stopped), Z (zombie)."""

    pid: int
    ppid: int
    pgid: int
    sid: int
    state: str
    nice: int
    started: int  # clock ticks since boot: with `pid` the process's identity, safe against reused numbers
    cmdline: tuple[str, ...]  # empty for zombies

    @property
    def zombie(self) -> bool:
        return self.state == "Z"


def read_process(pid: int) -> ProcessInfo | None:
    """Return the process with this pid, or None if it does not exist."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
        cmdline = (PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The name is enclosed in parentheses and may contain blanks and parentheses: split at the last one.
    fields = stat[stat.rindex(")") + 2 :].split()
    return ProcessInfo(
        pid=pid,
        state=fields[0],
        ppid=int(fields[1]),
        pgid=int(fields[2]),
        sid=int(fields[3]),
        nice=int(fields[16]),
        started=int(fields[19]),
        cmdline=tuple(part.decode(errors="replace") for part in cmdline.split(b"\0") if part),
    )


def all_processes() -> Iterator[ProcessInfo]:
    for name in os.listdir(PROC):
        if name.isdigit() and (info := read_process(int(name))) is not None:
            yield info


def descendants(pid: int) -> list[ProcessInfo]:
    """Children, grandchildren and so on of `pid`, zombies included, parents before their children.

    A process whose parent died belongs to init (or a subreaper) and is no longer found here; look for it with
    `session_members` or `marked`.
    """
    children: dict[int, list[ProcessInfo]] = {}
    for info in all_processes():
        children.setdefault(info.ppid, []).append(info)
    found: list[ProcessInfo] = []
    queue = [pid]
    while queue:
        for child in children.get(queue.pop(0), []):
            found.append(child)
            queue.append(child.pid)
    return found


def session_members(sid: int) -> list[ProcessInfo]:
    """Processes of session `sid` that are not zombies, wherever they were reparented to."""
    return [info for info in all_processes() if info.sid == sid and not info.zombie]


def marked(*marks: str) -> list[ProcessInfo]:
    """Processes that were started with one of `marks` (`NAME=value`) in their environment, zombies excluded.

    Finds also what left its session. Misses programs that overwrite their environment (Chromium's renderers do, to
    set their title; those stay in their session).
    """
    needles = {mark.encode() for mark in marks}
    return [info for info in all_processes() if not info.zombie and not needles.isdisjoint(_environment(info.pid))]


def _environment(pid: int) -> list[bytes]:
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except (OSError, ProcessLookupError):
        return []


def descriptors(pid: int) -> dict[int, str]:
    """Open file descriptors of `pid` and what each leads to (`socket:[123]`, `pipe:[4]`, a path); {} when gone."""
    found: dict[int, str] = {}
    folder = PROC / str(pid) / "fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        try:
            found[int(name)] = os.readlink(folder / name)
        except OSError:
            continue  # closed meanwhile, or the descriptor that reads the folder of this process
    return found


def cpu_s(pid: int) -> float:
    """Processor time that a process has used, without its children, in seconds (proc_pid_stat(5)).

    Raises OSError for a process that is gone.
    """
    fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def thread_names(pid: int) -> dict[int, str]:
    """Threads of `pid` by their number, with the kernel's name for each; {} when gone."""
    found: dict[int, str] = {}
    folder = PROC / str(pid) / "task"
    try:
        for name in os.listdir(folder):
            found[int(name)] = (folder / name / "comm").read_text(errors="replace").strip()
    except OSError:
        pass
    return found


async def wait_until(predicate: Callable[[], T | None], within: float = 5.0, *, what: str = "") -> T:
    """Wait until `predicate()` is true and return what it gave.

    For things that cannot be waited on, such as `/proc`; where there is an event, wait for the event. Real time: do not
    mix with trio's autojump clock. Raises TimeoutError, naming `what` and the last value, after `within` seconds, times
    `PATIENCE`.
    """
    return await wait_bounded(predicate, within * PATIENCE, what=what)


async def wait_bounded(predicate: Callable[[], T | None], within: float, *, what: str = "") -> T:
    """As `wait_until`, for a documented bound: `PATIENCE` does not stretch it."""
    deadline = trio.current_time() + within
    while not (value := predicate()):
        if trio.current_time() >= deadline:
            name = what or getattr(predicate, "__qualname__", repr(predicate))
            raise TimeoutError(f"not within {within:g} s: {name} (last value: {value!r})")
        await trio.sleep(POLL_SECONDS)
    return value


def waiting_in(pipe: int) -> int:
    """Bytes that were written to a pipe, and not read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
