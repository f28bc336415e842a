"""Start, signal and reap a child process. Every decision about it is in `child.py`.

Rules of this file:
- Argument lists, never a command line: the lines for `sh` are constant, and only run their arguments. A child inherits
  only the three standard streams.
- A child's environment is `environment_of`: the variables that it needs and those that its source lists. It never gets
  the daemon's own environment, which holds the passwords of all cameras.
- Children start from the main thread: a parent-death signal follows the thread that forked. trio's own `open_process`
  forks in a worker thread that ends when it is idle; the child would die with it.
- Each child has its own session, so that a signal to the group reaches all that it started and nothing else.
- A program whose arguments follow `NICE` competes less with the daemon's loop.
- A program that may fork runs under a guardian (`guardian.py`), which no descendant escapes; the guardian ends as the
  program ends.
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

from supervisor.base.threads import is_refusal
from supervisor.domain.ids import NodeId
from supervisor.domain.values import Fault

MARK = "BANKEN_CHILD"
"""Variable in the environment of every child and its descendants: `owner/run/camera/child`."""

INHERITED = ("PATH", "HOME", "LANG", "TZ")
"""Variables of the daemon that a child gets. LD_*, PYTHON* and proxies come only from `env:` of its source."""
BOUND = ("setpriv", "--pdeathsig", "KILL", "--", "/bin/sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')
"""Runs the command that follows under a parent-death signal.

The parent's pid precedes the command: if that parent has died before, the command is not run.
"""

NICE = ("nice", "-n", "5")
"""In front of a program: run it with a lower priority, nice(1)."""
LOWER = (
    "/bin/sh",
    "-c",
    "[ -w /proc/self/autogroup ] && for _ in 1 2 3 4 5 6 7 8 9; do "
    'echo 5 > /proc/self/autogroup && break; sleep 0.1; done 2> /dev/null; exec "$0" -n 5 "$@"',
)
"""Runs nice(1), whose path follows, in front of a program.

Each child has its own session. Where Linux groups sessions (sched(7), autogroup), nice(1) alone has an effect within
the session only, so the group gets the same value. The kernel takes one such value in 0.1 s, except from root.
"""

WIDE_PIPE_ROOM = 128 * 1024
"""Capacity of the pipe to a child that reads video: a picture that fits is written in one step."""
PIPE_ROOM = 4096
"""Capacity of the pipe to a child's standard input, in bytes (POSIX: PIPE_BUF); a limit for input before the start.

A pipe that is written while the child runs has the same capacity, so that the writer soon waits for a child that is
stuck.
"""
GUARDIAN = Path(__file__).with_name("guardian.py")


class Process(Protocol):
    """A child process that has been started. `stdout` and `stderr` end when the child closes them."""

    pid: int
    start_ticks: int
    status: int | None
    """None until it is reaped; then its exit code, or the negative number of the signal that ended it."""
    stdout: trio.abc.ReceiveStream
    stderr: trio.abc.ReceiveStream
    feed: trio.abc.SendStream | None
    """Its standard input, if it was left open."""

    async def wait(self) -> int:
        """Wait until it has ended, reap it, end its whole group, and return its status."""
        ...

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to its whole group. Does nothing after it has ended."""
        ...

    def close(self) -> None:
        """Close the descriptors. Does nothing the second time."""
        ...


OpenProcess = Callable[[Sequence[str], Mapping[str, str], bytes | None, bool], Process]
"""`open_process(arguments, environment, standard input, guarded)`. Raises `OSError` when the child cannot be started.

The standard input is all that the child will read; with None it stays open, and `feed` writes it.
"""


class RealProcess:
    """A child process that does not outlive the daemon: the kernel or its guardian kills it when the daemon dies.

    The end of a guarded child ends all its descendants, including those that left its group; `pid` is then that of its
    guardian. Raises `OSError` when it cannot be started, `ValueError` when `stdin` exceeds `PIPE_ROOM` bytes.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes | None, guarded: bool = False
    ) -> None:
        if stdin is not None and len(stdin) > PIPE_ROOM:
            raise ValueError(f"{len(stdin)} bytes of standard input; {PIPE_ROOM} fit")
        lower: Sequence[str] = ()
        if tuple(arguments[: len(NICE)]) == NICE:
            lower, arguments = (*LOWER, _find(NICE[0])), arguments[len(NICE) :]
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
                    [*keeper, *lower, program, *arguments[1:]],
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
        """Kill a child that was started when too few descriptors were left to supervise it."""
        self._popen.kill()
        self._popen.wait()

    async def wait(self) -> int:
        if self.status is None:
            await trio.lowlevel.wait_readable(self._pidfd)
            # It is a zombie now, so the number of its group cannot have been reused yet.
            self.signal_group(signal.SIGKILL)
            self.status = self._popen.wait()
        return self.status

    def signal_group(self, number: signal.Signals) -> None:
        if self._guarded and number is signal.SIGKILL:
            # A killed guardian could end nothing. It ends all when the lifeline is closed; SIGCONT resumes one that was
            # stopped.
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


def widen_pipe(stream: trio.abc.SendStream) -> None:
    """Give the pipe to a child's standard input `WIDE_PIPE_ROOM`, if the system allows it (pipe(7))."""
    if isinstance(stream, trio.lowlevel.FdStream):
        try:
            fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, WIDE_PIPE_ROOM)
        except OSError:
            pass  # it stays narrow, and costs more steps


def cpu_s(pid: int) -> float | None:
    """Return the CPU time that a process has used, in seconds (fields 14 and 15 of /proc/PID/stat); None if gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _find(program: str) -> str:
    """Return the path of a program, by the daemon's PATH. Raises `FileNotFoundError`."""
    found = shutil.which(program)
    if found is None and os.path.isabs(program) and os.path.isfile(program):
        found = program  # access(2) judges by the real user, without its capabilities; exec does not
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "no such program", program)
    return found


def owner_of(node: NodeId, journal: Path) -> str:
    """Return the name under which a daemon marks its children, and finds those of its earlier runs.

    A copy of a journal has the same node, but another folder: its daemon must not end the children of the first.
    """
    folder = journal.stat()
    return f"{node}-{folder.st_dev:x}-{folder.st_ino:x}"


def environment_of(mark: str, own: Mapping[str, str], given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return all variables of a child: `INHERITED` of `given`, those of its source (`own`), and the mark."""
    return {name: given[name] for name in INHERITED if name in given} | dict(own) | {MARK: mark}


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """Return the two ends of a pipe; `reader` and `writer` close them."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    reader.callback(os.close, read_end)
    writer.callback(os.close, write_end)
    return read_end, write_end


def fault_of(error: BaseException) -> Fault:
    """Classify an error of the system: a lack of descriptors, memory or processes is temporary."""
    passes = is_refusal(error) or getattr(error, "errno", None) == errno.EINTR
    return Fault.TEMPORARY if passes else Fault.FATAL


def start_ticks(pid: int) -> int:
    """Return the start of a process in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)); 0 if gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])
