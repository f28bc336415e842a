"""The last stderr lines of a child: bounded in number and length regardless of its output, and without secrets."""

from collections import deque
from collections.abc import Callable

import trio

from supervisor.base.redact import redact

TAIL_LINES, LINE_LENGTH = 20, 300
RAW_LENGTH = 1024
"""Bytes of a line that are examined. Twenty such lines take the loop at most 3 ms.

A line is cut to `LINE_LENGTH` after its secrets are redacted. At the end of a longer line, characters that may be the
first half of a secret are left out.
"""
CHUNK = 64 * 1024
PAUSE_S = 0.01
"""Between two reads of at most `CHUNK` bytes: a child that floods waits, and costs the loop little."""
FLOOD = 1024 * 1024
"""Bytes per second above which the output counts as a flood."""


class StderrTail:
    """Reads a child's stderr to its end; `on_flood` is called once, when the output exceeds `FLOOD`."""

    def __init__(self, secrets: tuple[str, ...], on_flood: Callable[[], None]) -> None:
        self._secrets = secrets
        self._on_flood: Callable[[], None] | None = on_flood
        self._lines: deque[bytes] = deque(maxlen=TAIL_LINES)
        self._rest = b""
        self._second, self._said = 0, 0
        self.finished = trio.Event()

    async def read(self, stream: trio.abc.ReceiveStream) -> None:
        """Read until the stream ends.

        Cancellation: at any time; lines that have been read are kept. Cleanup: holds nothing.
        """
        while chunk := await stream.receive_some(CHUNK):
            self._measure(len(chunk))
            *lines, rest = (self._rest + chunk).replace(b"\r", b"\n").rsplit(b"\n", TAIL_LINES + 1)
            self._lines.extend(line[: RAW_LENGTH + 1] for line in lines[-TAIL_LINES:] if line.strip())
            self._rest = rest[: RAW_LENGTH + 1]
            await trio.sleep(PAUSE_S)
        self.finished.set()

    def lines(self) -> tuple[str, ...]:
        kept = [*self._lines, self._rest] if self._rest.strip() else list(self._lines)
        return tuple(redact(self._whole(line), self._secrets)[:LINE_LENGTH] for line in kept[-TAIL_LINES:])

    def _whole(self, line: bytes) -> str:
        """Return the line; one that is too long loses its last word and any beginning of a secret at its end."""
        if len(line) <= RAW_LENGTH:
            return line.decode(errors="replace")
        text = line[:RAW_LENGTH].decode(errors="ignore")
        halves = (begun(text, secret) for secret in self._secrets)
        text = text[: len(text) - max(halves, default=0)]
        end = max(text.rfind(mark) for mark in " \t'\"") + 1
        return f"{text[:end]}…"

    def _measure(self, size: int) -> None:
        second = int(trio.current_time())
        self._said = size if second != self._second else self._said + size
        self._second = second
        if self._said > FLOOD and self._on_flood is not None:
            self._on_flood()
            self._on_flood = None


def begun(text: str, secret: str) -> int:
    """Return the number of characters at the end of `text` that begin `secret` without completing it."""
    return next((size for size in range(min(len(secret) - 1, len(text)), 0, -1) if text.endswith(secret[:size])), 0)
