"""Starting a child process, and the few things one can do with it. Thin: every decision is in `child.py`.

Rules of this file:
- Argument lists, never a command line: the one line for `sh` is constant, and only runs what it is handed. Nothing
  is inherited but the three standard streams.
- A child's environment is `environment_of`: what it needs and what its source lists, never the daemon's own, which
  holds the passwords of all cameras.
- Started from the main thread: a parent-death signal follows the thread that forked, and trio's own
  `open_process` forks in a worker thread that ends when it is idle; the child would die with it.
- Its own session, so that a signal to the group reaches whatever it started and nobody else.
- What may fork runs under a guardian (`guardian.py`), which no descendant escapes; its end is the program's end.
"""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import trio

from supervisor.domain.values import Fault
from supervisor.threads import is_refusal

MARK = "BANKEN_CHILD"
"""In the environment of every child, and of whatever it starts: `node/run/camera/child`."""

HANDED_ON = ("PATH", "HOME", "LANG", "TZ")
"""Of the daemon's environment, for a child. LD_*, PYTHON*, proxies come only from `env:` of its source."""
BOUND = ("setpriv", "--pdeathsig", "KILL", "--", "/bin/sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')
"""Runs what follows under a parent-death signal; not at all if that parent, whose pid follows, has died before."""

PIPE_ROOM = 4096
"""What is written to a child's standard input before it starts must fit the pipe at once (POSIX: PIPE_BUF).

A pipe that is fed while it runs has no more room either: what a stuck child has not read is soon waited for.
"""
GUARDIAN = Path(__file__).with_name("guardian.py")


class Process(Protocol):
    """A started child. `stdout` and `stderr` end when it closes them."""

    pid: int
    start_ticks: int
    status: int | None
    """None until it is reaped; then its exit code, or the negative number of the signal that ended it."""
    stdout: trio.abc.ReceiveStream
    stderr: trio.abc.ReceiveStream
    feed: trio.abc.SendStream | None
    """Its standard input, where that was left open."""

    async def wait(self) -> int:
        """Wait until it has ended, reap it with all its group, and return its status."""
        ...

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to its whole group. Does nothing when it has ended."""
        ...

    def close(self) -> None:
        """Give back the descriptors. Does nothing the second time."""
        ...


OpenProcess = Callable[[Sequence[str], Mapping[str, str], bytes | None, bool], Process]
"""`open_process(arguments, environment, standard input, guarded)`. Raises `OSError` when it cannot be started.

Standard input is all that the child will read; or none, and it stays open to be fed.
"""


class RealProcess:
    """A child of this process that does not outlive it: the kernel kills it with us, or its guardian does.

    A guarded child takes along all its descendants, wherever they went; `pid` is then its guardian's.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes | None, guarded: bool = False
    ) -> None:
        if stdin is not None and len(stdin) > PIPE_ROOM:
            raise ValueError(f"{len(stdin)} bytes of standard input; {PIPE_ROOM} fit")
        program, setpriv = _find(arguments[0]), _find(BOUND[0])
        self._guarded, self._lifeline = guarded, -1
        with ExitStack() as opened:
            with ExitStack() as handed_over:
                input_end, feed_end = _pipe(handed_over, handed_over)
                self._feed: trio.lowlevel.FdStream | None = None
                if stdin is None:
                    fcntl.fcntl(feed_end, fcntl.F_SETPIPE_SZ, PIPE_ROOM)
                    self._feed = trio.lowlevel.FdStream(os.dup(feed_end))
                    opened.callback(self._feed.close)
                else:
                    os.write(feed_end, stdin)
                keeper: Sequence[str] = (setpriv, *BOUND[1:], str(os.getpid()))
                kept: tuple[int, ...] = ()
                if guarded:
                    watched_end, self._lifeline = _pipe(handed_over, opened)
                    keeper = (sys.executable, "-I", "-S", str(GUARDIAN), str(watched_end), setpriv)
                    kept = (watched_end,)
                self._popen = subprocess.Popen(
                    [*keeper, program, *arguments[1:]],
                    stdin=input_end,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=dict(environment),
                    start_new_session=True,
                    pass_fds=kept,
                )
            assert self._popen.stdout is not None
            assert self._popen.stderr is not None
            self.pid = self._popen.pid
            self.status: int | None = None
            opened.callback(self._discard)
            with self._popen.stdout as output, self._popen.stderr as errors:
                self._pidfd = os.pidfd_open(self.pid)
                opened.callback(os.close, self._pidfd)
                self._output = trio.lowlevel.FdStream(os.dup(output.fileno()))
                opened.callback(self._output.close)
                self._errors = trio.lowlevel.FdStream(os.dup(errors.fileno()))
            opened.pop_all()
        self.stdout: trio.abc.ReceiveStream = self._output
        self.stderr: trio.abc.ReceiveStream = self._errors
        self.feed: trio.abc.SendStream | None = self._feed
        self.start_ticks = start_ticks(self.pid)

    def _discard(self) -> None:
        """It was started, but not enough descriptors were left to look after it."""
        self._popen.kill()
        self._popen.wait()

    async def wait(self) -> int:
        if self.status is None:
            await trio.lowlevel.wait_readable(self._pidfd)
            # It is a zombie now, so its group's number cannot belong to anybody else yet.
            self.signal_group(signal.SIGKILL)
            self.status = self._popen.wait()
        return self.status

    def signal_group(self, number: signal.Signals) -> None:
        if self._guarded and number is signal.SIGKILL:
            # Killed, a guardian could end nobody. It ends all at the cut, unless somebody has stopped it.
            self._cut_lifeline()
            number = signal.SIGCONT
        if self.status is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                pass

    def _cut_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def close(self) -> None:
        self._cut_lifeline()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        for stream in (self._output, self._errors, self._feed):
            if stream is not None:
                stream.close()


def _find(program: str) -> str:
    """Its path, by the daemon's own PATH. Raises `FileNotFoundError`."""
    found = shutil.which(program)
    if found is None and os.path.isabs(program) and os.path.isfile(program):
        found = program  # access(2) judges by the real user, without its capabilities; exec does not
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "no such program", program)
    return found


def environment_of(mark: str, own: Mapping[str, str], given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """All that a child has in its environment: `HANDED_ON` of `given`, what its source lists (`own`), and the mark."""
    return {name: given[name] for name in HANDED_ON if name in given} | dict(own) | {MARK: mark}


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """A pipe whose ends these close."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    reader.callback(os.close, read_end)
    writer.callback(os.close, write_end)
    return read_end, write_end


def fault_of(error: BaseException) -> Fault:
    """Whether what the system refused may pass: a lack of descriptors, memory or processes does."""
    passes = is_refusal(error) or getattr(error, "errno", None) == errno.EINTR
    return Fault.TEMPORARY if passes else Fault.FATAL


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)); 0 when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])
