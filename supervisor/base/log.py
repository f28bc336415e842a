"""The forms of the log: text for people, and JSON objects for programs.

Rules of this file:
- No record contains a text of the operator's `secrets`, in either form, nor anything that a terminal would obey.
- A record is one object, or lines of which all but the first are indented.
- A record names what it is about in the fields of `FIELDS`. They come from `extra=`, and from `log_about` around it.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from .printable import json_text, printable_lines
from .redact import hide
from .times import shown

INDENT = "    "
"""Precedes each further line of a record in text, so that no line looks like a separate record."""
FIELDS = ("camera", "peer", "lease", "participant_id", "room_id")
"""The fields that name the subject of a record."""
about: ContextVar[Mapping[str, str]] = ContextVar("log_about", default=MappingProxyType({}))
"""Those of `FIELDS` that records of this task have. `log_about` sets them."""


@contextmanager
def log_about(**fields: str) -> Iterator[None]:
    """Give records of this task, and of tasks that it starts, these of `FIELDS`, until the block ends."""
    token = about.set({**about.get(), **fields})
    try:
        yield
    finally:
        about.reset(token)


class LogFormatter(logging.Formatter):
    """Records as text, with the time in the local zone."""

    def __init__(
        self, form: str = "%(asctime)s %(levelname)s %(name)s: %(message)s", secrets: Sequence[str] = ()
    ) -> None:
        super().__init__(form)
        self.secrets = secrets

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return _time(record, " ")

    def format(self, record: logging.LogRecord) -> str:
        text = hide(super().format(record), self.secrets)
        return printable_lines(text).replace("\n", f"\n{INDENT}")


class JsonFormatter(LogFormatter):
    """Records as JSON: `time`, `level`, `logger`, `message`, those of `FIELDS` that are known, and `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        fixed = {"time": _time(record, "T"), "level": record.levelname.lower(), "logger": record.name}
        fields = {"message": record.getMessage()}
        for name in FIELDS:
            if value := getattr(record, name, "") or about.get().get(name, ""):
                fields[name] = str(value)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json_text({**fixed, **{name: hide(text, self.secrets) for name, text in fields.items()}})


def _time(record: logging.LogRecord, separator: str) -> str:
    """The time of a record with milliseconds and its zone."""
    return shown(round(record.created * 1e6) * 1000, separator=separator)


FORMS: Mapping[str, type[LogFormatter]] = {"text": LogFormatter, "json": JsonFormatter}
"""By the values of `log.format`."""


def hide_in_log(secrets: Sequence[str]) -> None:
    """Hide `secrets` in the log from now on. They replace the previous list."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, LogFormatter):
            handler.formatter.secrets = secrets
