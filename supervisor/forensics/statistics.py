"""The availability of cameras over a stretch of a journal, as figures and in words for commands and reports."""

from collections.abc import Callable, Collection, Mapping

from msgspec.structs import replace

from ..domain.availability import Availability, CameraAvailability, Ledger
from ..domain.ids import CameraId
from ..domain.state import State
from ..domain.words import seconds
from ..journal.reader import Reader
from ..ports.questions import Query
from .replay import first_and_last, replay, state_at


def statistics(
    reader: Reader, since_ns: int, until_ns: int, cameras: Collection[CameraId] | None = None,
    events: tuple[int, int] | None = None,
) -> Availability:  # fmt: skip
    """Of these cameras, or of all, between two times of which the journal knows. Raises `JournalError`.

    `events` are the first and the last one, where they are known already: a clock that was set back hides them.
    """
    first, last = events or first_and_last(reader, since_ns, until_ns)
    state = state_at(reader, first - 1)
    ledger = Ledger(state, since_ns)
    for before, recorded, after, jumped in replay(reader, first, last) if last >= first else ():
        ledger.see(before, recorded, after, jumped)
        state = after
    return replace(ledger.found(until_ns if goes_on(reader, last, state) else None, cameras), until_ns=until_ns)


def goes_on(reader: Reader, last: int, state: State) -> bool:
    """Whether the run of event `last`, after which `state` is, goes on until the next event; not into a gap."""
    following = reader.page(Query(after=last), 1)
    return not following or (following[0].run == state.run and following[0].seq == last + 1)


def percent(share: float | None) -> str:
    """100.00 % is all of it: what is rounded to that is not."""
    if share is None:
        return "-"
    return "99.99 %" if share < 1 and round(share, 4) == 1 else f"{share * 100:.2f} %"


def _of(served: int, asked: int) -> str:
    return f"{served}/{asked}" if asked else "-"


def _seconds(value: float | None) -> str:
    return "-" if value is None else seconds(value)


COLUMNS: Mapping[str, Callable[[CameraAvailability], str]] = {
    "live": lambda one: percent(one.availability),
    "wanted": lambda one: _seconds(one.wanted_s or None),
    "cycles": lambda one: _of(one.cycles_served, one.cycles),
    "snapshots": lambda one: _of(one.snapshots_served, one.snapshots),
    "losses": lambda one: str(one.losses),
    "restarts": lambda one: str(one.restarts),
    "back in": lambda one: _seconds(one.recover_mean_s),
    "away": lambda one: _seconds(one.away_max_s or None),
}
"""The figures of a camera in words, by the heads of their columns; `-` where there is nothing to say."""


def remarks(one: CameraAvailability) -> str:
    """Why it was lost, and what else was in the way; the most frequent first."""
    counts = [*one.errors.items(), ("queued", one.queued), ("cycles skipped", one.cycles_skipped)]
    return ", ".join(f"{what} {count}" for what, count in counts if count)


SORTS: Mapping[str, Callable[[CameraAvailability], float]] = {
    "live": lambda one: 2.0 if one.availability is None else one.availability,
    "wanted": lambda one: -one.wanted_s,
    "cycles": lambda one: one.cycles_served / one.cycles if one.cycles else 2.0,
    "snapshots": lambda one: one.snapshots_served / one.snapshots if one.snapshots else 2.0,
    "losses": lambda one: -one.losses,
    "restarts": lambda one: -one.restarts,
    "back": lambda one: -(one.recover_mean_s or 0.0),
    "away": lambda one: -one.away_max_s,
}
"""The sort key of each order: the worst camera first."""
