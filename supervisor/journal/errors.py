"""Errors of a journal. Each message is for the operator: which file, where in it, and what would be correct."""

import errno

import apsw

from ..base.resource_errors import RESOURCE_ERRNOS
from ..ports.errors import JournalError


class SearchTooLong(JournalError):
    """A search that exceeded its time limit."""


class JournalInUse(JournalError):
    """Another process holds the folder, usually another daemon."""


class JournalReplaced(JournalError):
    """The files are not those that were written: removed, replaced, truncated, rolled back, or on another disk."""


FOREIGN = (ArithmeticError, LookupError, TypeError, ValueError, RecursionError, MemoryError)
"""Errors that well-formed rows of a foreign journal can cause: with numbers, names and types that mean nothing."""

MOMENTARY = (*RESOURCE_ERRNOS, errno.EINTR, errno.EIO, errno.ETIMEDOUT)
"""Errors that prove nothing about a file, only that it cannot be read now: no resources, or a failing disk."""


def may_pass(error: BaseException) -> bool:
    """Whether the same access to the file may succeed later. Then the error does not prove that it was replaced."""
    refusals = (apsw.CantOpenError, apsw.IOError, apsw.NoMemError)
    return isinstance(error, refusals) or (isinstance(error, OSError) and error.errno in MOMENTARY)


def replaced_unless(error: OSError, text: str) -> Exception:
    """The error to raise: `error` itself if it may pass, otherwise `JournalReplaced` with this text."""
    return error if may_pass(error) else JournalReplaced(text)
