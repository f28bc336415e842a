"""Connections that were refused or ended for their conduct: counted for the metrics, and logged once a minute.

Rules of this file:
- However many there are, the log gets one line for each reason a minute, and the table has at most `MAX_CLIENTS` rows
  and one for the others of each reason.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from enum import Enum

import attrs
import trio

logger = logging.getLogger("banken.web")


class Refusal(Enum):
    """Why. The values are labels of the metric."""

    PEER_HAS_ITS_SHARE = "peer_has_its_share"
    ALL_ARE_TAKEN = "all_are_taken"
    REPLACED = "replaced"
    """An idle one, ended because a new one came when all were taken."""
    NO_RESOURCES = "no_resources"
    """The system has no descriptor or no memory for it."""
    CRASHED = "crashed"
    """The HTTP server failed at the client's bytes."""
    UNANSWERED_PINGS = "unanswered_pings"
    UNFINISHED_BODIES = "unfinished_bodies"
    """A request of a client that has many whose body has not arrived."""


LOG_EVERY_S = 60.0
MAX_CLIENTS = 32
"""Clients that are counted one by one in a minute; the others are counted together."""
OTHERS = "others"


@attrs.define
class _Table:
    total: Counter[Refusal] = attrs.field(factory=Counter)
    """By reason, since the start."""
    minute: Counter[tuple[Refusal, str]] = attrs.field(factory=Counter)
    """By reason and client, since the last line of the log."""


_table: trio.lowlevel.RunVar[_Table] = trio.lowlevel.RunVar("connections refused")


def _here() -> _Table:
    try:
        return _table.get()
    except LookupError:
        table = _Table()
        _table.set(table)
        return table


def count(reason: Refusal, client: str) -> None:
    """One more. To be called in the loop."""
    table = _here()
    table.total[reason] += 1
    known = (reason, client) in table.minute or len(table.minute) < MAX_CLIENTS
    table.minute[reason, client if known else OTHERS] += 1


def totals() -> Mapping[Refusal, int]:
    """How many by reason, since the start. To be called in the loop."""
    return dict(_here().total)


async def run_log() -> None:
    """Log what was counted, once a minute.

    Cancellation: at any time. Cleanup: nothing is held.
    """
    while True:
        await trio.sleep(LOG_EVERY_S)
        log_now()


def log_now() -> None:
    """One line for each reason that was counted since the last one."""
    table = _here()
    minute, table.minute = table.minute, Counter()
    for reason in Refusal:
        clients = Counter({client: number for (why, client), number in minute.items() if why == reason})
        if not clients:
            continue
        named = ", ".join(f"{client or 'unknown'} {number}" for client, number in clients.most_common(5))
        logger.warning("connections refused: %s: %d (%s)", reason.value.replace("_", " "), clients.total(), named)
