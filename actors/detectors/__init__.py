"""The table of kinds of detectors. A new kind is a file in this folder, a line here and one in `config/detectors.py`.

A kind gives pictures of cameras to something outside, or only reads from it, and reports detections. It returns the
reason why it ended. External failures are such reasons; an exception means a bug.
"""

from collections.abc import Awaitable, Callable

from supervisor.domain.values import Reason

from . import command, memory, service
from .work import Work

Run = Callable[[Work], Awaitable[Reason]]

KINDS: dict[str, Run] = {
    "command": command.run,
    "url": service.run,
    "shm": memory.run,
}
