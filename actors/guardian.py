"""Runs one program that may fork, and answers for all that it starts: nothing of it outlives this process.

Run as `python -I -S guardian.py LIFELINE SETPRIV program argument...`. LIFELINE is the number of an inherited
descriptor, the reading end of a pipe of which only the daemon holds the other end; SETPRIV is the path of setpriv(1).
Ends as the program ended, by code or by signal.

Rules of this file:
- Standard library only, and little of it: this is started with every child.
- Nothing is polled. It wakes when something of its own ends, at SIGTERM, and when the lifeline is cut: the daemon has
  died, or wants the end now. A parent-death signal would come too late to end anybody else.
- Descendants stay ours however they detach themselves (prctl(2), PR_SET_CHILD_SUBREAPER).
- It keeps none of the program's streams: who reads them must see them end.
"""

import ctypes
import os
import select
import signal
import sys

PATIENCE_S = 5
"""After a SIGTERM; longer than the daemon's own, so that the end is told by whoever caused it."""
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
"""linux/prctl.h"""
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def main(lifeline: int, setpriv: str, command: list[str]) -> None:
    bell = _hang_bell(signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM)
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


def _hang_bell(*numbers: signal.Signals) -> int:
    """A descriptor from which the numbers of these signals can be read."""
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
    """Wait until the program has ended, and return its wait status; or none when it is to be ended."""
    poll = select.poll()
    poll.register(lifeline, 0)  # its end is told whatever one asks for
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
        pass  # it has ended, or may not be signalled: then patience runs out


def _reap(program: int) -> int | None:
    """Reap what has ended. Returns the program's wait status if it was among it."""
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
                pass  # it has ended, or may not be killed: then its end is waited for
        try:
            # What was forked while we looked becomes ours, and seen, when its parent ends.
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            assert status is not None, "the program is a child, and all children have been reaped"
            return status
        ended = _reap(program)
        status = status if ended is None else ended


def _descendants() -> list[int]:
    """Children, their children and so on, those that have ended included."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue  # it has ended while we looked
            children.setdefault(parent, []).append(int(name))
    found = children.get(os.getpid(), [])
    for pid in found:  # grows meanwhile
        found.extend(children.get(pid, []))
    return found


def _end_as(status: int) -> None:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        _prctl(PR_SET_DUMPABLE, 0)  # one core file, the program's, is enough
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
