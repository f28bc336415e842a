"""Copies the journal's warnings and errors to the log."""

import logging

import trio

from ..domain.core import Severity
from ..domain.describe import describe
from ..ports.errors import JournalError
from .feed import Feed

logger = logging.getLogger("banken")

ABOUT = {"camera": "camera", "peer": "peer", "lease": "lease", "participant_id": "participant", "room_id": "room"}
"""Fields of log records, each with the attribute of the events that have it."""
LOG_AGAIN_S = 10.0
"""Delay before events that could not be read for the log are read again."""


async def run_trouble_log(feed: Feed) -> None:
    """Copy the journal's warnings and errors to the log."""
    levels = {Severity.WARNING: logging.WARNING, Severity.ERROR: logging.ERROR}
    seen = feed.last_seq
    while True:
        try:
            page = await feed.next_page(seen)
        except (OSError, JournalError) as error:
            logger.warning("the events after %d cannot be read for the log: %s", seen, error)
            await trio.sleep(LOG_AGAIN_S)
            continue
        for recorded in page:
            seen = recorded.seq
            severity, text = describe(recorded.event)
            if severity in levels:
                about = {
                    field: value for field, name in ABOUT.items() if (value := getattr(recorded.event, name, None))
                }
                logger.log(levels[severity], "%s (event %d)", text, seen, extra=about)
