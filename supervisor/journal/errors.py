"""Errors of a journal, in words for the operator. Each message says which file, where, and what would be right."""

import errno

import apsw

from ..shortage import REFUSALS


class JournalError(Exception):
    """A journal that cannot be used."""


class JournalDamaged(JournalError):
    """A file that is not what was written, or not ours. It will not mend by itself, so it may be set aside."""


class SearchTooLong(JournalError):
    """A search that took longer than it may."""


class JournalInUse(JournalError):
    """Another process holds the folder: another daemon, as a rule."""


class JournalReplaced(JournalError):
    """The files are not those that were written to: removed, replaced, truncated, rolled back, or on another disk."""


FOREIGN = (ArithmeticError, LookupError, TypeError, ValueError, RecursionError, MemoryError)
"""Rows of a foreign journal can lead to these, well formed as they are: numbers, names and types that mean nothing."""

MOMENTARY = (*REFUSALS, errno.EINTR, errno.EIO, errno.ETIMEDOUT)
"""Errors that say nothing of a file, only that it cannot be looked at now: no resources, or a disk that fails."""


def may_pass(error: BaseException) -> bool:
    """Whether the same look at the same file may succeed later: then nobody has replaced it."""
    refusals = (apsw.CantOpenError, apsw.IOError, apsw.NoMemError)
    return isinstance(error, refusals) or (isinstance(error, OSError) and error.errno in MOMENTARY)


def replaced_unless(error: OSError, text: str) -> Exception:
    """The error to raise: `error` itself where it may pass, otherwise `JournalReplaced` with this text."""
    return error if may_pass(error) else JournalReplaced(text)
