"""Events with the states before and after them, also across a gap, and, for those who salvage, across damage."""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from ..domain.errors import IllegalTransition
from ..domain.events import AlertRaised, PatrolEnded, Recorded
from ..domain.evolve import evolve
from ..domain.ids import patrol_alert
from ..domain.state import State
from ..journal.reader import Reader
from ..ports.errors import JournalError
from ..ports.questions import NEVER, Query


class ReplayedEvent(NamedTuple):
    """One event, and what it changed."""

    before: State
    recorded: Recorded
    after: State
    jumped: bool
    """Whether events before this one are not there, so that more may have changed than this event says."""


def first_and_last(reader: Reader, since_ns: int, until_ns: int) -> tuple[int, int]:
    """The first and the last event between two times; first is greater than last where there are no events."""
    return reader.seq_at(since_ns - 1) + 1, reader.seq_at(until_ns)


def of_a_stop(moment: ReplayedEvent) -> bool:
    """Whether older versions reported this of a patrol round that the stop of the daemon cut short."""
    event = moment.recorded.event
    alert = isinstance(event, AlertRaised) and event.alert.startswith(patrol_alert(""))
    return moment.before.stopping and (alert or isinstance(event, PatrolEnded))


def replay(reader: Reader, first: int = 1, last: int = NEVER - 1) -> Iterator[ReplayedEvent]:
    """The events from `first` to `last` with their states. Raises `JournalError`.

    After events that were lost, it goes on from the state that they led to, which the journal has. With salvage, it
    goes on from the nearest one it can have.
    """
    first = max(first, reader.segments()[0].first) if reader.path.is_dir() else first
    state = state_at(reader, first - 1)
    for recorded in reader.events(first, last):
        before = state
        jumped = recorded.seq != state.seq + 1
        if jumped:
            before = state_at(reader, recorded.seq - 1, state)
        try:
            after = evolve(before, recorded)
        except (KeyError, IllegalTransition) as error:
            if not reader.salvages:
                raise _does_not_follow(recorded.seq, error) from None
            jumped, after = True, replace(before, seq=recorded.seq)
        yield ReplayedEvent(state, recorded, after, jumped)
        state = after


def state_at(reader: Reader, seq: int, otherwise: State = State()) -> State:  # noqa: B008
    """The state after event `seq`. With salvage, `otherwise` as if of that instant where it cannot be had."""
    try:
        return reader.state_at(seq)
    except (KeyError, IllegalTransition) as error:
        if not reader.salvages:
            raise _does_not_follow(seq, error) from None
    except JournalError:
        if not reader.salvages:
            raise
    return replace(otherwise, seq=seq)


def event(reader: Reader, seq: int) -> Recorded | None:
    """The event with this number; none if the journal does not have it."""
    found = reader.page(Query(after=seq - 1, before=seq + 1), 1)
    return found[0] if found else None


def _does_not_follow(seq: int, error: Exception) -> JournalError:
    return JournalError(f"event {seq} cannot follow from what was before: {error}")
