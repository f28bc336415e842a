"""Answers about the past, and the interface that gives them."""

from typing import Literal, NamedTuple, Protocol

import attrs

from ..base.times import Zone, shown
from ..domain.availability import Availability
from ..domain.core import Severity
from ..domain.errors import Refusal, Rejected
from ..domain.events import Recorded, RunEnded
from ..domain.ids import CameraId
from ..domain.state import State
from .audit import AuditFilter, AuditPage, Live
from .findings import Finding as Finding
from .questions import At
from .snapshot import Snapshot, past_snapshot

Kind = Literal["camera", "child", "peer"]


class Silence(NamedTuple):
    """A stretch in which no daemon wrote to the journal, between two events, both exclusive."""

    before: Recorded
    after: Recorded

    def words(self, zone: Zone) -> str:
        begin, end = (shown(each.wall_ns, zone) for each in self)
        how = "no daemon ran" if isinstance(self.before.event, RunEnded) else "the daemon was cut off"
        return f"nothing is known between {begin} (#{self.before.seq}) and {end} (#{self.after.seq}): {how}"


class Closure(Silence):
    """The events that close what a run without an end left open, from the last event of that run to the next start.

    The state after one of them still has the rest of what that run left, as if it ran.
    """

    def words(self, zone: Zone) -> str:
        begin, end = (shown(each.wall_ns, zone) for each in self)
        how = "the daemon had ended; what it left open is being closed"
        return f"nothing is known between {begin} (#{self.before.seq}) and {end} (#{self.after.seq}): {how}"


@attrs.frozen
class Instant:
    """How things stood after `event`, and between which events of the journal it lies."""

    now_ns: int
    event: Recorded
    first: Recorded
    last: Recorded
    state: State
    silence: Silence | None = None
    """The stretch without a daemon in which it lies, or the closure of what a dead run left: how things stood is not
    known then."""

    @property
    def snapshot(self) -> Snapshot:
        """Without statistics of cameras and peers: the journal does not contain them."""
        return past_snapshot(self.now_ns, self.state)


class Step(Finding, frozen=True):
    """An event as one step of a story."""

    seq: int
    wall_ns: int
    type: str
    stream: str
    camera: CameraId | None
    cause: int | None
    correlation: str
    principal: str
    severity: Severity
    text: str
    after_s: float
    """Since the step before; since the cause, where the story is a tree. Zero for the first one."""
    stderr: tuple[str, ...] = ()
    """The last lines that a child wrote, where this is its end."""


class Holder(Finding, frozen=True):
    """A holder of a connection slot that a camera waits for."""

    camera: CameraId
    use: str
    since_ns: int
    by: Step | None = None
    """The last event of the process that holds it."""


class Began(Finding, frozen=True):
    """How a camera came to be not live: its first failure since it was live, or since it was configured."""

    after: Step | None
    """When it was live last, or was configured; none if the journal does not have that any more."""
    steps: tuple[Step, ...]
    """From the first cause down to the failure."""


class Why(Finding, frozen=True):
    """The chain of causes of an event."""

    seq: int
    steps: tuple[Step, ...]
    """From the first cause down to the event itself."""
    cut: int | None = None
    """The event that the first step follows from, where that is not in the journal any more."""
    device: str | None = None
    """Whose connections are all taken, when the question was about a camera that waits for one."""
    taken_by: tuple[Holder, ...] = ()
    """The holders of the slots at that instant."""
    began: Began | None = None
    """The first failure, when the question was about a camera that has failed more than once since it was live."""


class Span(Finding, frozen=True):
    """A stretch of time in one phase."""

    state: str
    begin_ns: int
    end_ns: int
    seq: int | None
    """The event that began it; none if the journal does not have it any more."""
    text: str
    """The sentence of that event."""


class Lane(Finding, frozen=True):
    """The life of a camera, a child or a viewer, as far as it is in the stretch."""

    kind: Kind
    name: str
    camera: CameraId
    spans: tuple[Span, ...]
    below: tuple[Span, ...] = ()
    """Of a camera: the trouble of its children and viewers, at each instant the worst; see `TROUBLE`."""


class Mark(Finding, frozen=True):
    """An event that stands out."""

    seq: int
    wall_ns: int
    camera: CameraId | None
    kind: str
    """The kind of mark that the event declares: see `timeline_mark`."""
    severity: Severity
    text: str


class UnknownStretch(Finding, frozen=True):
    """A stretch of time of which the journal cannot tell."""

    kind: Literal["lost", "down"]
    """Events were lost, or no daemon ran."""
    begin_ns: int
    end_ns: int
    text: str


class Timeline(Finding, frozen=True):
    since_ns: int
    until_ns: int
    lanes: tuple[Lane, ...]
    """Cameras first, then children and viewers; each kind in the order of the cameras, then by time."""
    marks: tuple[Mark, ...]
    gaps: tuple[UnknownStretch, ...]


class TooLong(Exception):
    """A stretch with too many events to be evaluated during a request."""


class Past(Protocol):
    """The journal, for questions about the past. The methods block.

    A stretch between two times without `since` has at most the hour before `until`. All methods raise
    `JournalError`, and `Rejected` for a question about something that the journal does not contain.
    """

    def moment(self, at: At | None) -> Instant:
        """The state at an instant; without `at`, after the last event."""
        ...

    def trouble(self, after: int | None, before: int | None) -> Recorded | None:
        """The next warning or error after event `after`, or the last one before event `before`."""
        ...

    def why(self, seq: int) -> Why:
        """The causes of event `seq`."""
        ...

    def timeline(self, since: At | None, until: At | None, camera: CameraId | None) -> Timeline:
        """The timeline of a stretch, of one camera or of all. Also raises `TooLong`."""
        ...

    def availability(self, since: At | None, until: At | None, camera: CameraId | None) -> Availability:
        """The availability in a stretch, of one camera or of all. Also raises `TooLong`."""
        ...

    def audit(
        self, since: At | None, until: At | None, wanted: AuditFilter, limit: int, before: int | None, live: Live | None
    ) -> AuditPage:
        """The newest rows of the audit in a stretch that began before event `before`. See `audit_page`."""
        ...

    def whole(self, since_ns: int, until_ns: int) -> Availability:
        """The availability of all cameras between two instants, however many events that are."""
        ...


def no_such_camera(camera: str, note: str = "") -> Rejected:
    """The error for a camera that is not in a stretch. `note` says under which other name it may be found."""
    text = f"there is no camera {camera[:80]!r} in this stretch of time"
    return Rejected(Refusal.UNKNOWN, f"{text}; {note}" if note else text)
