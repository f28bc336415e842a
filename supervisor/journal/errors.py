"""Errors of a journal, in words for the operator. Each message says which file, where, and what would be right."""


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
