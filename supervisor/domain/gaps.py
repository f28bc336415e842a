"""The gaps in what is recorded of a camera, each with the event that made it. Pure.

Rules of this file:
- A gap is a time without files. The journal only says why: a gap that it does not explain is a gap, too.
- Files that retention has removed leave a gap, whose event is their removal.
"""

from collections.abc import Iterable, Sequence

import attrs

from . import events as e
from .values import Fault, Reason

SECOND_NS = 1_000_000_000
NEAR_NS = 5 * SECOND_NS
"""An event that makes a gap is journaled within this time after its beginning, unless it says when that was."""
LEAST_NS = SECOND_NS
"""Shorter ones are no gaps: the end of a file is guessed to the duration of a picture."""
WRITING_NS = 15 * SECOND_NS
"""While a camera is recorded, so much of now may not be in its file yet."""
NEVER = Reason("not-recorded", "nothing was recorded, and the journal does not say why", Fault.NONE)

Begins = e.RecordingInterrupted | e.RecordingStopped
BEGIN, END = (e.RecordingInterrupted, e.RecordingStopped), (e.RecordingStarted, e.RecordingResumed)
CAUSES = tuple(kind.__name__ for kind in (*BEGIN, *END))
REMOVAL = e.RecordingsExpired.__name__


@attrs.frozen
class RecordingGap:
    """A time of a camera without recorded video."""

    began_ns: int
    ended_ns: int
    reason: Reason
    seq: int | None
    """The event that made it; None if the journal does not have it."""


def gaps(
    stretches: Iterable[tuple[int, int]],
    events: Sequence[e.Recorded],
    from_ns: int,
    to_ns: int,
    now_ns: int,
    *,
    is_recorded: bool = False,
) -> list[RecordingGap]:
    """Return the gaps of a time, the oldest first.

    Args:
        stretches: when there is video, in nanoseconds since 1970.
        events: of the camera's recording, in the order of their numbers.
        is_recorded: whether it is recorded now.
    """
    found, at, to_ns = list[RecordingGap](), from_ns, min(to_ns, now_ns)
    for began_ns, ended_ns in [*sorted(stretches), (to_ns, to_ns)]:
        until_ns = min(began_ns, to_ns)
        is_written = is_recorded and until_ns >= to_ns >= now_ns and at >= now_ns - WRITING_NS
        if until_ns - at >= LEAST_NS and not is_written:
            found.append(_explained(at, until_ns, events))
        at = max(at, ended_ns)
    return found


def _explained(began_ns: int, ended_ns: int, events: Sequence[e.Recorded]) -> RecordingGap:
    made_by: e.Recorded | None = None
    for recorded in events:
        at_ns = _began_ns(recorded)
        if at_ns >= ended_ns:
            continue
        if isinstance(recorded.event, BEGIN) and (made_by is None or at_ns <= began_ns + NEAR_NS):
            made_by = recorded
        elif isinstance(recorded.event, END) and made_by is not None and recorded.wall_ns <= began_ns:
            made_by = None
    if made_by is not None and isinstance(made_by.event, Begins):
        return RecordingGap(began_ns, ended_ns, made_by.event.reason, made_by.seq)
    for recorded in events:
        gone = recorded.event
        if isinstance(gone, e.RecordingsExpired) and gone.began_ns < ended_ns and gone.ended_ns > began_ns:
            return RecordingGap(began_ns, ended_ns, gone.reason, recorded.seq)
    return RecordingGap(began_ns, ended_ns, NEVER, None)


def _began_ns(recorded: e.Recorded) -> int:
    """When the gap of an event began, or when it happened."""
    said = recorded.event.last_ns if isinstance(recorded.event, e.RecordingInterrupted) else 0
    return said or recorded.wall_ns
