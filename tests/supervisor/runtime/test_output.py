"""Lines for whoever reads stdout and stderr: nothing waits for them, and none is lost without being counted."""

import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from select import select

import pytest

from supervisor.runtime.output import END_S, MOST_WAITING, LineWriter, LogHandler
from tests.kit.daemon import ROOT
from tests.kit.processes import wait_until, waiting_in


class Pipe:
    """A pipe of 4 KiB; `read` takes lines out of it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)
        self.outlet = LineWriter(self.writer, "lost {}".format)

    def read(self, is_enough: Callable[[list[str]], bool]) -> list[str]:
        data = b""
        while not data.endswith(b"\n") or not is_enough(data.decode().splitlines()):
            assert select([self.reader], [], [], 30)[0], data[-500:]
            data += os.read(self.reader, 65536)
        return data.decode().splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.reader)  # a thread that waits gets EPIPE, and ends
    made.outlet.end()
    os.close(made.writer)


async def test_lines_beyond_the_queue_are_counted_and_the_others_arrive_in_order(pipe: Pipe) -> None:
    """`put` returns at once. When somebody reads, the count comes first, and then what found room."""
    pipe.outlet.put("x" * 10_000)
    await wait_until(lambda: waiting_in(pipe.reader) == 4096, what="a pipe that is full")
    for number in range(MOST_WAITING + 500):
        pipe.outlet.put(str(number))
    lines = pipe.read(lambda lines: len(lines) >= 2 + MOST_WAITING)
    assert lines == ["x" * 10_000, "lost 500", *map(str, range(MOST_WAITING))]


async def test_lines_that_cannot_be_written_are_counted(pipe: Pipe) -> None:
    """As on a disk that is full: the count is written when there is room again."""
    target = os.open("/dev/full", os.O_WRONLY)
    outlet = LineWriter(target, "lost {}".format)
    for number in range(3):
        outlet.put(str(number))
    await wait_until(lambda: outlet._lost == 3, what="the count")
    os.dup2(pipe.writer, target)
    outlet.put("more")
    assert pipe.read(lambda lines: "more" in lines) == ["lost 3", "more"]
    outlet.end()
    os.close(target)


async def test_refused_memory_costs_a_line_and_not_the_thread(pipe: Pipe) -> None:
    """It is counted as one that could not be written."""
    refused = threading.Event()

    def write(descriptor: int, data: bytes) -> int:
        if not refused.is_set():
            refused.set()
            raise MemoryError
        return os.write(descriptor, data)

    outlet = LineWriter(pipe.writer, "lost {}".format, write)
    outlet.put("one")
    await wait_until(lambda: outlet._lost == 1, what="the count")
    outlet.put("two")
    assert pipe.read(lambda lines: "two" in lines) == ["lost 1", "two"]
    outlet.end()


def test_end_waits_at_most_its_limit_for_lines_without_a_reader(pipe: Pipe) -> None:
    """The thread may stay in its write."""
    pipe.outlet.put("x" * 10_000)
    before = time.monotonic()
    pipe.outlet.end()
    assert END_S <= time.monotonic() - before < END_S + 5


def test_refused_thread_delays_lines_only(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next line asks for a thread again, and all lines arrive."""
    with monkeypatch.context() as refusing:
        refusing.setattr("threading.Thread.start", refuse)
        pipe.outlet.put("first")
    pipe.outlet.put("second")
    assert pipe.read(lambda lines: len(lines) == 2) == ["first", "second"]


def refuse(thread: object) -> None:
    raise RuntimeError("can't start new thread")


def test_record_that_cannot_be_formatted_is_one_line(pipe: Pipe) -> None:
    """It names the place of the wrong call, and none of its arguments."""
    record = logging.LogRecord("x", logging.ERROR, "place.py", 7, "%d", ("secret",), None)
    handler = LogHandler(pipe.writer)
    handler.handle(record)
    (line,) = pipe.read(bool)
    assert line.endswith(" WARNING banken: a record of place.py:7 cannot be formatted: TypeError")
    handler.close()


PRINTS = """
import logging, threading, warnings
from supervisor.runtime.output import set_up_log

class Odd:
    def __del__(self):
        raise ValueError("of a finalizer: s3cret")

def fail():
    raise ValueError("of a thread: s3cret")

set_up_log("info", ["s3cret"])
warnings.warn("of a warning: s3cret")
Odd()
thread = threading.Thread(target=fail)
thread.start()
thread.join()
raise ValueError("of the end: s3cret")
"""


def test_messages_that_python_prints_itself_go_through_the_log() -> None:
    """Warnings, errors of finalizers and threads, and the error that ends the process; all without secrets."""
    done = subprocess.run([sys.executable, "-c", PRINTS], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "s3cret" not in done.stderr
    records = "".join(line if line.startswith(" ") else f"\n{line}" for line in done.stderr.splitlines())
    for origin in ("a warning", "a finalizer", "a thread", "the end"):
        assert f"of {origin}: ***" in records, done.stderr
    assert all(line[:4].isdigit() for line in records.strip().splitlines()), records
