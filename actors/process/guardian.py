"""Runs one program that may fork, and ends all its descendants: none of them outlives this process.

Run as `python -I -S guardian.py LIFELINE SETPRIV program argument...`. LIFELINE is the number of an inherited
descriptor, the reading end of a pipe whose other end only the daemon holds; SETPRIV is the path of setpriv(1). Ends as
the program ended, by exit code or by signal.

Rules of this file:
- Only the standard library, and little of it: the guardian starts with every child.
- It never polls. It wakes when a child of it ends, at SIGTERM, and when the lifeline is closed: the daemon has died, or
  wants the end at once. A parent-death signal would kill the guardian before it could end its descendants.
- Descendants that detach themselves are reparented to the guardian (prctl(2), PR_SET_CHILD_SUBREAPER).
- It keeps none of the program's streams, so that their readers see them end.
"""

import ctypes
import os
import select
import signal
import sys

PATIENCE_S = 5
"""Seconds after a SIGTERM; longer than the daemon's limit, so that the daemon reports the end that it causes."""
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
"""linux/prctl.h"""
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def main(lifeline: int, setpriv: str, command: list[str]) -> None:
    bell = _open_signal_pipe(signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    os.set_inheritable(lifeline, False)
    program = os.posix_spawn(
        setpriv,
        ["setpriv", "--pdeathsig", "KILL", "--", *command],
        os.environ,
        setsid=True,
        setsigdef=IGNORED_BY_PYTHON,
    )
    _let_go_of_streams()
    status = _watch(program, lifeline, bell)
    _end_as(_end_all(program, status))


def _open_signal_pipe(*numbers: signal.Signals) -> int:
    """Return a descriptor from which the numbers of these signals can be read."""
    bell, rope = os.pipe()
    os.set_blocking(rope, False)
    signal.set_wakeup_fd(rope, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    return bell


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


def _let_go_of_streams() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)


def _watch(program: int, lifeline: int, bell: int) -> int | None:
    """Wait until the program has ended, and return its wait status; None when the guardian has to end it."""
    poll = select.poll()
    poll.register(lifeline, 0)  # poll(2) reports its end without being asked
    poll.register(bell, select.POLLIN)
    while True:
        if lifeline in dict(poll.poll()):
            return None
        rung = os.read(bell, 4096)
        if signal.SIGTERM in rung:
            _signal_group(program)
            signal.alarm(PATIENCE_S)
        status = _reap(program)
        if status is not None or signal.SIGALRM in rung:
            return status


def _signal_group(program: int) -> None:
    try:
        os.killpg(program, signal.SIGTERM)
    except OSError:
        pass  # it has ended, or may not be signalled: then the alarm ends it


def _reap(program: int) -> int | None:
    """Reap all children that have ended. Returns the program's wait status if the program is one of them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == program:
            found = status


def _end_all(program: int, status: int | None) -> int:
    """Kill and reap every descendant. Returns the program's wait status."""
    while True:
        for pid in _descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass  # it has ended, or may not be killed: then waitid waits for its end
        try:
            # Processes forked during the scan become our children, and visible, when their parent ends.
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            assert status is not None, "the program is a child, and all children have been reaped"
            return status
        ended = _reap(program)
        status = status if ended is None else ended


def _descendants() -> list[int]:
    """Return the pids of all descendants, zombies included."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue  # it has ended during the scan
            children.setdefault(parent, []).append(int(name))
    found = children.get(os.getpid(), [])
    for pid in found:  # grows during the loop
        found.extend(children.get(pid, []))
    return found


def _end_as(status: int) -> None:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        _prctl(PR_SET_DUMPABLE, 0)  # one core file, that of the program, is enough
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
