"""Connections that were refused or closed for misbehavior: counted for the metrics, and logged once a minute.

Rules of this file:
- However many there are, the log gets one line per reason and minute, and the table has at most `MAX_CLIENTS` rows plus
  one row per reason for the remaining clients.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from enum import Enum

import attrs
import trio

logger = logging.getLogger("banken.web")


class Refusal(Enum):
    """The reason of a refusal. The values are labels of the metric."""

    PEER_HAS_ITS_SHARE = "peer_has_its_share"
    ALL_ARE_TAKEN = "all_are_taken"
    REPLACED = "replaced"
    """An idle connection, closed in favor of a new one when all were taken."""
    OTHER_USER = "other_user"
    """A connection to the control socket from another user of this machine."""
    NO_RESOURCES = "no_resources"
    """The system has no file descriptor or no memory for it."""
    CRASHED = "crashed"
    """The HTTP server failed on the client's bytes."""
    UNANSWERED_PINGS = "unanswered_pings"
    UNFINISHED_BODIES = "unfinished_bodies"
    """A request of a client with too many unfinished request bodies."""
    UNFINISHED_HANDSHAKES = "unfinished_handshakes"
    """A connection of a client with too many unfinished TLS handshakes."""
    FAILED_HANDSHAKE = "failed_handshake"
    """A TLS handshake that failed or took too long. The client may not trust the certificate."""


LOG_EVERY_S = 60.0
MAX_CLIENTS = 32
"""Maximum number of clients that are counted individually in a minute; the others are counted together."""
OTHERS = "others"


@attrs.define
class _Table:
    total: Counter[Refusal] = attrs.field(factory=Counter)
    """Counts by reason, since the start."""
    minute: Counter[tuple[Refusal, str]] = attrs.field(factory=Counter)
    """Counts by reason and client, since the last log line."""


_table: trio.lowlevel.RunVar[_Table] = trio.lowlevel.RunVar("connections refused")


def _here() -> _Table:
    try:
        return _table.get()
    except LookupError:
        table = _Table()
        _table.set(table)
        return table


def count(reason: Refusal, client: str) -> None:
    """Count one refusal. Must be called in the event loop."""
    table = _here()
    table.total[reason] += 1
    known = (reason, client) in table.minute or len(table.minute) < MAX_CLIENTS
    table.minute[reason, client if known else OTHERS] += 1


def totals() -> Mapping[Refusal, int]:
    """Return the counts by reason, since the start. Must be called in the event loop."""
    return dict(_here().total)


async def run_log() -> None:
    """Log the counts once a minute.

    Cancellation: at any time. Cleanup: nothing is held.
    """
    while True:
        await trio.sleep(LOG_EVERY_S)
        log_now()


def log_now() -> None:
    """Log one line for each reason that was counted since the last call."""
    table = _here()
    minute, table.minute = table.minute, Counter()
    for reason in Refusal:
        clients = Counter({client: number for (why, client), number in minute.items() if why == reason})
        if not clients:
            continue
        named = ", ".join(f"{client or 'unknown'} {number}" for client, number in clients.most_common(5))
        logger.warning("connections refused: %s: %d (%s)", reason.value.replace("_", " "), clients.total(), named)
