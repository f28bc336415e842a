"""Imports the modules that only viewers need, when the first cameras have started."""

import logging
from typing import Protocol

import trio

from ..base.background_import import NotLoaded

logger = logging.getLogger("banken")

LOAD_LOOK_S, LOAD_LOOKS = 0.25, 8
"""The interval and the number of checks whether cameras wait to start. If none waits, or after the last check, the
modules for WebRTC are imported."""
LOAD_AGAIN_S = 5.0
"""Delay before the import is retried if the system is short of resources."""


class ViewerModules(Protocol):
    """The interface of the actors for these imports."""

    def starts_waiting(self) -> tuple[int, float]:
        """How many cameras wait to start, and for how many seconds the first of them has waited."""
        ...

    async def load(self) -> None:
        """Import the modules that only peers need. Raises as `BackgroundImport.load`; the first peer retries."""
        ...


async def load_viewer_modules(actors: ViewerModules, stop: trio.Event) -> None:
    """Import the modules that peers need when the first cameras have started: the interpreter does one thing at a time.

    Cancellation: at any time. Cleanup: nothing is held.
    """
    for _ in range(LOAD_LOOKS):
        await trio.sleep(LOAD_LOOK_S)
        if stop.is_set():
            return
        if not actors.starts_waiting()[0]:
            break
    is_refused = False
    while not stop.is_set():
        try:
            await actors.load()
        except NotLoaded as error:
            logger.warning("modules for WebRTC: %s; they are imported again in %g s", error.strerror, LOAD_AGAIN_S)
            is_refused = True
            await trio.sleep(LOAD_AGAIN_S)
        except ImportError as error:
            logger.error("no viewer can be connected over WebRTC: %s", error)
            return
        else:
            if is_refused:
                logger.info("modules for WebRTC: imported now")
            return
