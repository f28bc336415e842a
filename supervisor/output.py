"""The output of a program that serves: its log on stderr, and a line on stdout when it is ready.

A terminal that is stopped, a pipe that nobody reads or a disk that hangs makes a write wait without end.

Rules of this file:
- Once the program serves, one thread writes to a descriptor, and nothing else does: the loop only puts lines into a
  bounded queue.
- It calls `os.write`, and so holds no lock while it waits that another thread, or the end of the process, may need.
- Lines without room, and lines that cannot be written, are counted. The count goes in front of the next line.
- A finalizer may log while its own thread is inside `put`: `SimpleQueue` and `RLock` allow that, `Queue` does not.
"""

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType

from .printable import LogFormatter, printable

MOST_WAITING = 1000
"""Lines; further ones are only counted."""
END_S = 0.5
"""How long the end of the process waits for the lines that are still in the queue."""

logger = logging.getLogger("banken")


class Outlet:
    """Writes lines to a descriptor, in a thread that `put` starts. `notice` makes a line of the number of lost ones."""

    def __init__(self, descriptor: int, notice: Callable[[int], str] = lambda lost: "") -> None:
        self._descriptor, self._notice = descriptor, notice
        self._lines = SimpleQueue[str | None]()
        self._lock = threading.RLock()
        self._lost = 0
        self._thread: threading.Thread | None = None

    def put(self, line: str) -> None:
        """Have `line`, which has no line feed at its end, written. Never waits; may be called by any thread."""
        with self._lock:
            if self._thread is None:
                self._begin()
            if self._lines.qsize() < MOST_WAITING:
                self._lines.put(line)
            else:
                self._lost += 1

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the system refuses a thread: the next line tries again
            self._thread = None

    def end(self) -> None:
        """Let the thread end, and wait `END_S` at most until it has written everything."""
        self._lines.put(None)
        if self._thread is not None:
            self._thread.join(END_S)

    def _run(self) -> None:
        line: str | None = ""
        while line is not None:
            line = self._lines.get()
            with self._lock:
                lost, self._lost = self._lost, 0
            lines = ([self._notice(lost)] if lost else []) + ([] if line is None else [line])
            try:
                self._write("".join(f"{each}\n" for each in lines).encode(errors="backslashreplace"))
            except (OSError, MemoryError):
                with self._lock:
                    self._lost += lost + (line is not None)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]


class LogHandler(logging.Handler):
    """The log on `descriptor`: each record with its time, safe to look at, and without `secrets`."""

    def __init__(self, descriptor: int, secrets: Sequence[str] = ()) -> None:
        super().__init__()
        self.setFormatter(LogFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s", secrets))
        self._outlet = Outlet(descriptor, self._notice)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._outlet.put(self.format(record))
        except Exception as error:  # as every handler: a wrong call of a library's ends nothing
            kind = type(error).__name__
            self._outlet.put(printable(f"a record of {record.pathname}:{record.lineno} cannot be formatted: {kind}"))

    def close(self) -> None:
        self._outlet.end()
        super().close()

    def _notice(self, lost: int) -> str:
        text = f"{lost} records of the log could not be written, and are lost"
        return self.format(logging.LogRecord("banken", logging.WARNING, __file__, 0, text, (), None))


def set_up_log(level: int, secrets: Sequence[str] = ()) -> None:
    """Log to stderr from `level` on, without `secrets`, and with all that Python itself would print there."""
    logging.basicConfig(level=level, handlers=[LogHandler(2, secrets)])
    logging.captureWarnings(True)
    sys.excepthook = _log_end
    sys.unraisablehook = lambda args: _log_error(args.err_msg or "ignored", args.exc_value)
    threading.excepthook = lambda args: _log_error("a thread has ended", args.exc_value)


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logger.critical("ended by an error", exc_info=error)


def _log_error(text: str, error: BaseException | None) -> None:
    logger.error("%s", text, exc_info=error)


def announce(line: str, page: str | None = None) -> None:
    """Print `line` on stdout, and open `page` in the browser. Waits for neither, and both may fail."""
    outlet = Outlet(1)
    outlet.put(printable(line))
    atexit.register(outlet.end)
    if page is not None:
        with suppress(RuntimeError):  # the system refuses a thread
            threading.Thread(target=_browse, args=(page,), name="browser", daemon=True).start()


def _browse(page: str) -> None:
    import webbrowser

    webbrowser.open(page)
