"""Errors of a journal that other layers handle. Each message says which file, where in it, and what is correct."""


class JournalError(Exception):
    """A journal that cannot be used."""


class JournalDamaged(JournalError):
    """A file that is not what was written, or not ours. The damage is permanent, so the file may be set aside."""
