"""Start and end of the real programs that tests need.

Rules of this file:
1. Started from the caller's thread, never through trio's worker thread: a parent-death signal follows the thread that
   forked, and an idle worker ends after 10 s.
2. Each program has its own session. Signals go to the whole group while the unreaped leader still holds the number.
3. `end` is bounded and shielded; afterwards nothing of the session or with our mark runs, and the leader is reaped.
4. Pipes are read by a task with bounded memory, so that a program with much output never blocks.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import IO

import trio

from .patience import give_up_after
from .processes import ProcessInfo, marked, session_members, wait_until

MARK = "BANKEN_TEST_KIT"
TAIL_LINES = 200
LINE_BYTES = 64 * 1024
END_SECONDS = 2.0  # per rung of the ladder


class ProcessGroup:
    """A running program with everything it started. Made by `open_process_group`."""

    def __init__(self, popen: subprocess.Popen[bytes], mark: str) -> None:
        self.pid = popen.pid
        self.stderr_tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._popen = popen
        self._mark = mark
        self._stderr_ended = trio.Event()

    @property
    def running(self) -> bool:
        """False once the leader has ended; it may not be reaped yet."""
        if self._popen.returncode is not None:
            return False
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    @property
    def returncode(self) -> int | None:
        """The leader's exit status (negative: the signal), or None until it has been reaped."""
        return self._popen.returncode

    def send(self, number: signal.Signals) -> None:
        """Send to every process of the group. Does nothing once the leader has been reaped."""
        if self._popen.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def wait_exited(self) -> None:
        """Wait until the leader has ended, without reaping it."""
        if self._popen.returncode is not None:
            return
        pidfd = os.pidfd_open(self.pid)
        try:
            await trio.lowlevel.wait_readable(pidfd)
        finally:
            trio.lowlevel.notify_closing(pidfd)
            os.close(pidfd)

    async def end(self, *, first: signal.Signals = signal.SIGTERM) -> int:
        """End the group: `first`, after 2 s SIGKILL; also what left the group. Returns the leader's status.

        Cancellation: shielded, at most 6 s. Idempotent. Raises TimeoutError for a process that survives SIGKILL.
        """
        with trio.CancelScope(shield=True):
            if self._popen.returncode is None:
                self.send(first)
                self.send(signal.SIGCONT)  # a stopped process gets no other signal but SIGKILL
                with trio.move_on_after(END_SECONDS):
                    await self.wait_exited()
                self.send(signal.SIGKILL)
            await wait_until(self._none_left, END_SECONDS, what=f"the group of {self.pid} to end")
            with give_up_after(END_SECONDS):
                await self.wait_exited()
        return self._popen.wait()  # does not wait: it has ended

    async def describe_exit(self) -> str:
        """Why the program ended by itself, in words: its status and its last lines. Ends the rest of the group."""
        status = await self.end()
        with trio.move_on_after(1):
            await self._stderr_ended.wait()
        return "\n  ".join([f"exit status {status}", *list(self.stderr_tail)[-20:]])

    def _none_left(self) -> bool:
        """Kill stragglers: members of the session, or bearers of the mark that left it."""
        left = {info.pid for info in session_members(self.pid) or marked(self._mark)}
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    async def _read_stderr(self, pipe: IO[bytes]) -> None:
        await _read_lines(pipe, self.stderr_tail.append)
        self._stderr_ended.set()


@asynccontextmanager
async def open_process_group(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> AsyncIterator[ProcessGroup]:
    """Run `argv` (no shell) in its own session for the length of the block.

    `on_line` gets each line of standard output, from a task of this block; it must not block. Standard error is kept
    in `stderr_tail`. The program dies with this process, where `setpriv` exists.
    Cleanup: TERM, KILL, reap, pipes closed; on error and on cancellation too.
    """
    mark = uuid.uuid4().hex
    popen = _start(argv, {**(os.environ if env is None else env), MARK: mark})
    group = ProcessGroup(popen, f"{MARK}={mark}")
    async with open_background() as tasks:
        try:
            assert popen.stdout is not None and popen.stderr is not None
            tasks.start_soon(_read_lines, popen.stdout, on_line or _ignore)
            tasks.start_soon(group._read_stderr, popen.stderr)
            yield group
        finally:
            await group.end()  # needs none of the tasks: a cancellation from outside may have ended them already


def _start(argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    return subprocess.Popen(
        [*prefix, *argv],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )


def _ignore(_line: str) -> None:
    """Read and thrown away."""


async def _read_lines(pipe: IO[bytes], on_line: Callable[[str], None]) -> None:
    """Give every line to `on_line` until end of file. A line above 64 KiB comes in pieces."""
    rest = b""
    with pipe:  # opened unbuffered; trio gets its own descriptor, because both want to close theirs
        stream = trio.lowlevel.FdStream(os.dup(pipe.fileno()))
    async with stream:
        async for data in stream:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                on_line(line.decode(errors="replace"))
            if len(rest) > LINE_BYTES:
                on_line(rest.decode(errors="replace"))
                rest = b""
    if rest:
        on_line(rest.decode(errors="replace"))


def end_marked(*marks: str) -> list[ProcessInfo]:
    """Kill what should have been gone by now, so that a failed test leaves nothing behind. Returns what it was."""
    left = marked(*marks)
    for info in left:
        with suppress(ProcessLookupError):
            os.kill(info.pid, signal.SIGKILL)
    return left


@asynccontextmanager
async def open_background() -> AsyncIterator[trio.Nursery]:
    """A nursery for helper tasks that end with the block.

    The block's own error comes out as it is, not wrapped into a group, so that `pytest.raises` reads naturally. A
    helper that crashes is a bug and comes out as a group.
    """
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as error:
                failure = error
                raise
            finally:
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if failure is None or group.exceptions != (failure,):
            raise
    if failure is not None:
        raise failure
