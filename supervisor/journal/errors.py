"""What can be wrong with a journal, in words for the operator."""


class JournalError(Exception):
    """A journal that cannot be used; the message says which, where, and what would be right."""
