"""The base of what is found in a journal."""

from msgspec import Struct


class Finding(Struct, frozen=True):
    """Base of all that is found. It holds scalars, tuples and other findings, and is JSON with all its fields."""
