"""Answers to questions about the past, from the journal alone. Blocking; for a separate thread.

Rules of this file:
- Nothing is answered about a time that the journal does not cover.
- A stretch that would take more than about a second to fold is refused.
"""

from datetime import UTC

from ..base.times import Zone, shown
from ..domain.availability import Availability
from ..domain.catalogue import TROUBLES
from ..domain.errors import IllegalTransition, Refusal, Rejected
from ..domain.events import Recorded
from ..domain.ids import CameraId
from ..forensics.audit_page import audit_page
from ..forensics.causes import why
from ..forensics.renames import note
from ..forensics.statistics import statistics
from ..forensics.timeline import timeline
from ..journal.errors import SearchTooLong
from ..journal.guard import search_limit
from ..journal.reader import Reader
from ..journal.times import Stretch, find, find_stretch, silence_at, span_of
from ..ports.audit import AuditFilter, AuditPage, Live
from ..ports.errors import JournalError
from ..ports.past import Instant, Timeline, TooLong, Why, no_such_camera
from ..ports.questions import NEVER, At, Query

LAST_NS = 3600 * 10**9
"""The longest stretch if only its end is given."""
MAX_EVENTS = 20_000
"""Maximum number of events in a stretch. They are folded in about a second."""


class JournalPast:
    """Answers from an open journal. Times without an offset are in UTC. `running`: a daemon writes to the journal."""

    def __init__(self, reader: Reader, *, running: bool) -> None:
        self._reader, self._running = reader, running

    def moment(self, at: At | None) -> Instant:
        return look_back(self._reader, at, UTC, across=True, running=self._running)

    def trouble(self, after: int | None, before: int | None) -> Recorded | None:
        if before is not None:
            found = self._reader.page(Query(before=before, types=TROUBLES), 1, newest=True)
        else:
            found = self._reader.page(Query(after=after or 0, types=TROUBLES), 1)
        return found[0] if found else None

    def why(self, seq: int) -> Why:
        found = why(self._reader, seq) if seq < NEVER else None
        if found is None:
            raise Rejected(Refusal.UNKNOWN, f"the journal holds no event {seq}")
        return found

    def timeline(self, since: At | None, until: At | None, camera: CameraId | None) -> Timeline:
        reader, part = self._reader, self._part(since, until)
        drawn = timeline(reader, part.since_ns, part.until_ns, [camera] if camera else None, part.events)
        if camera and not drawn.lanes and camera not in reader.state_at(reader.seq_at(drawn.until_ns)).cameras:
            raise self._no_such_camera(camera)
        return drawn

    def availability(self, since: At | None, until: At | None, camera: CameraId | None) -> Availability:
        part = self._part(since, until)
        cameras = None if camera is None else {camera}
        found = statistics(self._reader, part.since_ns, part.until_ns, cameras, part.events)
        if camera is not None and not found.cameras:
            raise self._no_such_camera(camera)
        return found

    def audit(
        self, since: At | None, until: At | None, wanted: AuditFilter, limit: int, before: int | None, live: Live | None
    ) -> AuditPage:
        try:
            with search_limit():
                part = find_stretch(self._reader, since, until, UTC, running=self._running)
                return audit_page(self._reader, part, wanted, limit, before, live)
        except SearchTooLong as error:
            raise Rejected(Refusal.UNAVAILABLE, str(error), 5.0) from None

    def whole(self, since_ns: int, until_ns: int) -> Availability:
        return statistics(self._reader, since_ns, until_ns)

    def _part(self, since: At | None, until: At | None) -> Stretch:
        """The covered part between two times; without the first, at most the hour before the second."""
        part = find_stretch(self._reader, since, until, UTC, running=self._running)
        if since is None and part.until_ns - LAST_NS > part.since_ns:
            begin_ns = part.until_ns - LAST_NS
            part = part._replace(first=max(part.first, self._reader.seq_at(begin_ns - 1) + 1), since_ns=begin_ns)
        count = part.last + 1 - part.first
        if count > MAX_EVENTS:
            text = f"{count} events are in this stretch, and {MAX_EVENTS} can be read: choose a shorter one"
            raise TooLong(text)
        return part

    def _no_such_camera(self, camera: CameraId) -> Rejected:
        return no_such_camera(camera, note(self._reader, camera, lambda wall_ns: shown(wall_ns, UTC)))


def look_back(
    reader: Reader, at: At | None = None, zone: Zone = None, *, across: bool = False, running: bool = False
) -> Instant:
    """The moment that `at` means; the last one for none. `running`: a daemon writes to the journal.

    Raises `Rejected` where the journal does not reach and, without `across`, where nothing is known; and `JournalError`
    for damage.
    """
    place = find(reader, at, zone, across=across, running=running)
    low, high = reader.bounds()
    if place.seq < low:
        raise Rejected(Refusal.UNKNOWN, f"there is no event #{place.seq}; {span_of(reader, zone)}")
    first, last, chosen = (_event(reader, seq) for seq in (low, high, place.seq))
    now_ns = max(chosen.wall_ns, place.wall_ns)
    try:
        state = reader.state_at(chosen.seq)
    except (KeyError, IllegalTransition) as error:
        raise JournalError(f"{reader.path}: the journal's events do not follow from each other: {error}") from None
    return Instant(now_ns, chosen, first, last, state, silence_at(reader, place))


def _event(reader: Reader, seq: int) -> Recorded:
    """Event `seq`; where it was never stored, the one before it."""
    return reader.page(Query(before=seq + 1), 1, newest=True)[0]
