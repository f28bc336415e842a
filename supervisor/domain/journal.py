"""Journal: its own files. Reports about them are facts: none is rejected."""

from .common import Arms, Decisions, Events
from .core import FIRST, Command, Event, Severity
from .ids import JOURNAL
from .state import State
from .words import plural, seconds, size


class ReportGap(Command, frozen=True):
    """Events `first` to `last` were decided, but could not be stored."""

    first: int
    last: int

    sender = "journal writer"


class ReportChain(Command, frozen=True):
    """A new chain begins. The old one ended with event `last` and `digest` (hex)."""

    last: int
    digest: str
    why: str

    sender = "journal writer"


class ReportSetAside(Command, frozen=True):
    """A file of the journal was renamed because it is damaged or not ours."""

    file: str
    aside: str
    why: str

    sender = "daemon"


class ReportRemoval(Command, frozen=True):
    """Retention is about to remove these segments."""

    segments: tuple[str, ...]
    first: int
    last: int
    bytes: int
    why: str

    sender = "journal writer"


class ReportJournalFault(Command, frozen=True):
    """The journal could not write for `lasted_s` seconds from `began_ns` (wall time) on."""

    why: str
    began_ns: int
    lasted_s: float

    sender = "journal writer"


class JournalEvent(Event, frozen=True):
    """Base of events of the journal's own files."""

    @property
    def stream(self) -> str:
        return JOURNAL


class EventsLost(Event, frozen=True):
    """Events were decided but are not in the journal, because the disk did not write for too long.

    The state after them is stored at the beginning of the segment whose first event is this one.
    """

    first: int
    """Sequence number of the first lost event."""
    last: int
    """Sequence number of the last lost event; this event follows it."""
    count: int
    """The number of lost events."""

    severity = Severity.ERROR
    emitters = ("ReportGap",)
    when = "as soon as the disk writes again and the queued events are stored"
    action = (
        "find out why the disk did not write (full, failing, a lost mount). Only the daemon's log shows what happened "
        "in the gap"
    )

    def sentence(self) -> str:
        return f"{plural(self.count, 'event')} ({self.first} to {self.last}) could not be stored"

    def timeline_mark(self) -> str:
        return "lost"


class ChainBegan(JournalEvent, frozen=True):
    """A new chain of digests begins with this event, because the files of the old chain cannot be trusted.

    The files vanished, were replaced, are damaged, or could not be read. Acknowledged events may be missing from the
    folder.
    """

    last: int
    """Sequence number of the old chain's last event as this daemon knows it; 0 if it is not known."""
    digest: str
    """SHA-256 of the old chain's last batch, in hex; empty if it is not known."""
    why: str
    """The fault that was noticed."""

    severity = Severity.ERROR
    emitters = ("ReportChain",)
    when = "as soon as the folder can be written again, before every other event"
    action = (
        "find out who changed the journal's files (a backup, a clean-up, an unmounted disk). `banken verify` shows "
        "whether the old chain ends in this folder where this event says that it ended"
    )

    def sentence(self) -> str:
        old = f"ended with event {self.last}, digest {self.digest[:16]}" if self.digest else "could not be read"
        return f"new journal chain; the old one {old}: {self.why}"

    def timeline_mark(self) -> str:
        return "chain"


class JournalFileSetAside(JournalEvent, frozen=True):
    """A damaged or foreign file obstructed the journal, and was renamed. Its content is unchanged."""

    file: str
    """Its name before."""
    aside: str
    """Its name now, in the same folder."""
    why: str
    """The damage."""

    severity = Severity.ERROR
    emitters = ("ReportSetAside",)
    when = "at the start of a run, or when a new chain begins; `banken repair --yes` does the same"
    action = "read the rest of it with `banken events --salvage FILE`; then keep or delete it"

    def sentence(self) -> str:
        return f"journal file {self.file} set aside as {self.aside}: {self.why}"


class SegmentsRemoved(JournalEvent, frozen=True):
    """Retention removes the oldest segments, with events `first` to `last`."""

    segments: tuple[str, ...]
    """The files, oldest first."""
    first: int
    """Sequence number of the first event in them."""
    last: int
    """Sequence number of the last event in them."""
    bytes: int
    """Their size."""
    why: str
    """The limit that they exceed."""

    severity = Severity.NOTICE
    emitters = ("ReportRemoval",)
    when = (
        "at most once a minute, when segments are older than `journal.retention` or the journal is larger than "
        "`journal.max_size`"
    )
    stored = FIRST

    def sentence(self) -> str:
        return (
            f"retention removes {plural(len(self.segments), 'segment')}, "
            f"events {self.first} to {self.last}, {size(self.bytes)}: {self.why}"
        )


class JournalFailed(JournalEvent, frozen=True):
    """The journal writes again after a failure, during which nothing was acknowledged; or retention failed."""

    why: str
    """The first fault."""
    began_ns: int
    """When the fault was noticed."""
    lasted_s: float
    """Time until the first commit after the fault; 0 for a fault that did not prevent writes."""

    severity = Severity.ERROR
    emitters = ("ReportJournalFault",)
    when = "after the fault, at most once a minute; for retention, at its first failure"
    action = "find the cause: a disk that is full, failing or read-only, or no threads or memory left"

    def sentence(self) -> str:
        if self.lasted_s == 0:
            return f"journal: {self.why}"
        return f"the journal could not write for {seconds(self.lasted_s)}: {self.why}"


def report_gap(state: State, command: ReportGap, now_ns: int) -> Events:
    return (EventsLost(first=command.first, last=command.last, count=command.last - command.first + 1),)


def report_chain(state: State, command: ReportChain, now_ns: int) -> Events:
    return (ChainBegan(last=command.last, digest=command.digest, why=command.why),)


def report_set_aside(state: State, command: ReportSetAside, now_ns: int) -> Events:
    return (JournalFileSetAside(file=command.file, aside=command.aside, why=command.why),)


def report_removal(state: State, command: ReportRemoval, now_ns: int) -> Events:
    return (SegmentsRemoved(command.segments, command.first, command.last, command.bytes, command.why),)


def report_fault(state: State, command: ReportJournalFault, now_ns: int) -> Events:
    return (JournalFailed(why=command.why, began_ns=command.began_ns, lasted_s=command.lasted_s),)


DECISIONS: Decisions = {
    ReportGap: report_gap,
    ReportChain: report_chain,
    ReportSetAside: report_set_aside,
    ReportRemoval: report_removal,
    ReportJournalFault: report_fault,
}


ARMS: Arms = {
    EventsLost: lambda s, v, at: {},
    ChainBegan: lambda s, v, at: {},
    JournalFileSetAside: lambda s, v, at: {},
    SegmentsRemoved: lambda s, v, at: {},
    JournalFailed: lambda s, v, at: {},
}
