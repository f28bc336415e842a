"""The output of a server program: its log on stderr, and a line on stdout when it is ready.

A stopped terminal, a pipe without a reader or a disk that hangs blocks a write forever.

Rules of this file:
- While the program serves, only one thread writes to a descriptor. The loop only puts lines into a bounded queue.
- The thread calls `os.write`, so while it waits it holds no lock that another thread or the end of the process needs.
- Lines that do not fit into the queue or cannot be written are counted. The next line is preceded by the count.
- A finalizer may log while its thread is inside `put`. `SimpleQueue` and `RLock` allow that, `Queue` does not.
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

from ..base.log import FORMS
from ..base.printable import printable
from ..domain.words import plural

MOST_WAITING = 1000
"""Lines in the queue. Further lines are only counted."""
END_S = 0.5
"""Seconds for which the end of the process waits for the lines in the queue."""
CHATTY = ("aiortc", "aioice", "asyncio", "trio_asyncio", "libav", "hypercorn", "quart")
"""Libraries whose records are of interest only to somebody who looks for an error in them."""

logger = logging.getLogger("banken")


class LineWriter:
    """Writes lines to a descriptor, in a thread that `put` starts. `notice(n)` is the line that reports n lost ones.

    `write` is `os.write`, or behaves like it.
    """

    def __init__(
        self,
        descriptor: int,
        notice: Callable[[int], str] = lambda lost: "",
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        self._descriptor, self._notice, self._os_write = descriptor, notice, write
        self._lines = SimpleQueue[str | None]()
        self._lock = threading.RLock()
        self._lost = 0
        self._thread: threading.Thread | None = None

    def put(self, line: str) -> None:
        """Queue `line`, without a line feed at its end. Never waits; any thread may call it."""
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
        """End the thread; wait at most `END_S` until it has written all lines."""
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
            data = data[self._os_write(self._descriptor, data) :]


class LogHandler(logging.Handler):
    """The log on `descriptor`: each record with its time, safe for a terminal, and without `secrets`.

    `form` is one of `log.FORMS`.
    """

    def __init__(self, descriptor: int, secrets: Sequence[str] = (), form: str = "text") -> None:
        super().__init__()
        self.setFormatter(FORMS[form](secrets=secrets))
        self._outlet = LineWriter(descriptor, self._notice)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._outlet.put(self.format(record))
        except Exception as error:  # as in every handler: a library's wrong logging call must not end anything
            kind = type(error).__name__
            self._outlet.put(self._own(f"a record of {record.pathname}:{record.lineno} cannot be formatted: {kind}"))

    def show(self, line: str) -> None:
        """Write a line that is no record of the log."""
        self._outlet.put(printable(line))

    def close(self) -> None:
        self._outlet.end()
        super().close()

    def _notice(self, lost: int) -> str:
        return self._own(f"{plural(lost, 'record')} of the log could not be written")

    def _own(self, text: str) -> str:
        """A record about the log itself."""
        return self.format(logging.LogRecord("banken", logging.WARNING, __file__, 0, text, (), None))


def set_up_log(level: str, secrets: Sequence[str] = (), form: str = "text") -> None:
    """Log to stderr from `level` upwards, without `secrets`. The log includes what Python itself would print there.

    `level` and `form` are values of `log.level` and `log.format`.
    """
    logging.basicConfig(handlers=[LogHandler(2, secrets, form)])
    set_log_level(level)
    logging.captureWarnings(True)
    sys.excepthook = _log_end
    sys.unraisablehook = lambda args: _log_error(args.err_msg or "ignored", args.exc_value)
    threading.excepthook = lambda args: _log_error("a thread has ended", args.exc_value)


def set_log_level(level: str) -> None:
    """Log from `level` upwards. Libraries that log much are one step quieter."""
    logging.getLogger().setLevel(level.upper())
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.INFO if level == "debug" else logging.ERROR)


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logger.critical("ended by an error", exc_info=error)


def _log_error(text: str, error: BaseException | None) -> None:
    logger.error("%s", text, exc_info=error)


def show_on_terminal(line: str) -> None:
    """Print `line` on stderr if that is a terminal. Else it may be a file or a journal, so nothing happens."""
    if os.isatty(2):
        for handler in logging.getLogger().handlers:
            if isinstance(handler, LogHandler):
                handler.show(line)


def announce(line: str, page: str | None = None) -> None:
    """Print `line` on stdout, and open the URL `page` in the browser. Does not wait; failures of either are ignored."""
    outlet = LineWriter(1)
    outlet.put(printable(line))
    atexit.register(outlet.end)
    if page is not None:
        with suppress(RuntimeError):  # the system refuses a thread
            threading.Thread(target=_browse, args=(page,), name="browser", daemon=True).start()


def _browse(page: str) -> None:
    import webbrowser

    webbrowser.open(page)
