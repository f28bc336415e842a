"""`decide(state, command, now_ns) -> events`: every decision of the daemon, as a pure function.

An impossible command is `Rejected`, with a reason for its sender; then nothing has changed. A report about something
that is already gone is not an error of the reporter: it leads to no events.
"""

from .catalogue import DECISIONS
from .common import Events
from .core import Command
from .state import State


def decide(state: State, command: Command, now_ns: int) -> Events:
    """The events that follow from `command`, in order. `now_ns` is wall time. Raises `Rejected`; changes nothing."""
    return DECISIONS[type(command)](state, command, now_ns)
