"""Describes an event for people: one sentence and a severity. Used by the page and the command line."""

from .core import Event, Severity


def describe(event: Event) -> tuple[Severity, str]:
    """The severity of `event` and a sentence about it, without its time."""
    return event.severity, event.sentence()
