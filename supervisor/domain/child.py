"""Child processes: sources, transcoders, inspectors and the decoder, and orphans."""

from typing import Any

from msgspec.structs import replace

from .common import Arms, Changes, Decisions, Events, elapsed_s, require_running
from .core import ANY, CLOSES_SOURCE, FIRST, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import CameraId, ChildId, child_stream
from .lifecycle import ChildPhase, leads, step
from .slot import free_after_last_child, slot_of_orphan
from .state import DECODER, ORPHAN, Child, State
from .values import Fault, Reason
from .words import seconds


class PrepareChild(Command, frozen=True):
    child: ChildId
    camera: CameraId
    purpose: str
    arguments: tuple[str, ...]

    sender = "child actor"


class ReportChildStarted(Command, frozen=True):
    child: ChildId
    pid: int
    start_ticks: int

    sender = "child actor, sweep"


class ReportChildFound(Command, frozen=True):
    """An orphaned process with the mark of a child that has ended. `child` is a new id."""

    child: ChildId
    camera: CameraId
    pid: int
    start_ticks: int
    arguments: tuple[str, ...]
    mark: str = ""

    sender = "sweep"


class ReportChildSignalled(Command, frozen=True):
    child: ChildId
    signal: str
    reason: Reason

    sender = "child actor, sweep"


class ReportChildUnkillable(Command, frozen=True):
    child: ChildId

    sender = "child actor, sweep"


class ReportChildEnded(Command, frozen=True):
    child: ChildId
    exit_code: int | None
    signal: str | None
    reason: Reason
    stderr_tail: tuple[str, ...] = ()

    sender = "child actor, sweep"


def owner_of_child(camera: CameraId, purpose: str) -> str:
    """Return what a child works for, for people: its camera, else `detector/NAME`, `daemon/NAME` or the decoder.

    `purpose`: as in `ChildStarting`; empty if it is not known, and `ORPHAN` for an orphan.
    """
    return camera or {DECODER: "the decoder", ORPHAN: "no camera", "": "all cameras"}.get(purpose, purpose)


_ALIVE = tuple(phase for phase in ChildPhase if phase is not ChildPhase.ENDED)


class _OfPurpose(Event, frozen=True, kw_only=True):
    purpose: str = ""
    """As in its `ChildStarting`; `stray` for an orphan, empty in older journals."""


class ChildEvent(_OfPurpose, frozen=True):
    child: ChildId
    """As in the environment of the process and in `/api/processes`."""
    camera: CameraId
    """Its name in the configuration; empty for the decoder, detectors and daemons, which work for several cameras."""

    @property
    def stream(self) -> str:
        return child_stream(self.child)

    @property
    def owner(self) -> str:
        """The camera, detector or daemon that it works for, for people."""
        return owner_of_child(self.camera, self.purpose)


class ChildStarting(ChildEvent, frozen=True):
    """The intent to start a child process, durable before the process exists. So a kill leaves no unknown process."""

    purpose: str
    """`source`, `audio` (transcodes to Opus), `video` (transcodes to H.264), `inspector` (reads a file's format; in
    older journals `probe`), `decoder` (snapshots and motion), `detector/NAME` or `daemon/NAME`."""
    arguments: tuple[str, ...]
    """Program and arguments, redacted."""

    begins = ChildPhase.STARTING
    severity = Severity.INFO
    emitters = ("PrepareChild",)
    causes = ("CameraConnecting", ANY)
    cause_note = (
        "the `CameraConnecting` of the attempt; for the decoder, the newest event of the camera whose snapshot was "
        "requested first; for audio, the newest `PeerOpened`, or the `ChildEnded` before"
    )
    when = (
        "before the process exists; rejected while another child of the same purpose, or an orphan, of the camera "
        "exists"
    )
    stored = FIRST

    def sentence(self) -> str:
        return f"starting a child for {self.owner}" + (f" ({self.purpose})" if self.camera else "")


class ChildStarted(ChildEvent, frozen=True):
    """The process exists."""

    pid: int
    """Of the process, which leads its process group."""
    start_ticks: int
    """Field 22 of /proc/PID/stat. With the pid, it identifies one process permanently; 0 if it ended too soon."""

    steps = leads(ChildPhase.STARTING, to=ChildPhase.RUNNING)
    severity = Severity.INFO
    emitters = ("ReportChildStarted",)
    causes = ("ChildStarting", "RunStarted")
    cause_note = "`RunStarted` for a child of an earlier run"
    when = "directly after the start"

    def sentence(self) -> str:
        return f"child {self.child} of {self.owner} runs as pid {self.pid}"


class ChildStopping(ChildEvent, frozen=True):
    """A signal was sent to the child's whole process group."""

    signal: str
    """`SIGTERM` or `SIGKILL`."""
    reason: Reason
    """That of the event that ended the demand: `stalled`, `unused`, `settings-changed`, `removed`, `stopped`; or
    `crashed`, `stayed`, `stray`, `cancelled`, or a fault of its output."""

    steps = leads(ChildPhase.RUNNING, ChildPhase.STOPPING, to=ChildPhase.STOPPING)
    severity = Severity.INFO
    emitters = ("ReportChildSignalled",)
    causes = (
        "ChildStarted",
        "ChildStopping",
        "ChildFound",
        "CameraConnecting",
        "CameraStalled",
        "RunStarted",
        *CLOSES_SOURCE,
    )
    cause_note = (
        "the event that ended the demand; `CameraStalled`, or `CameraConnecting` if no key frame arrived; "
        "`ChildStarted` if the child itself gave the reason; `ChildFound` for an orphan, `RunStarted` for a child of "
        "an earlier run; for SIGKILL the `ChildStopping` before"
    )
    when = "SIGTERM first, SIGKILL 2 s later; not for a child that ended by itself"

    def sentence(self) -> str:
        return f"sent {self.signal} to child {self.child} of {self.owner}: {self.reason.text}"

    def timeline_mark(self) -> str:
        return "kill" if self.signal == "SIGKILL" else ""


class ChildUnkillable(ChildEvent, frozen=True):
    """The child did not exit within 2 s of SIGKILL, because of a hung device or file system.

    Waiting continues, and its camera starts no other child.
    """

    pid: int
    """0 if it is not known."""

    steps = leads(ChildPhase.STOPPING, to=ChildPhase.UNKILLABLE)
    severity = Severity.ERROR
    emitters = ("ReportChildUnkillable",)
    causes = ("ChildStopping",)
    when = "2 s after SIGKILL"
    action = (
        "health is critical. Look at `/proc/PID/stack` and at what the process reads (device, NFS); when that answers "
        "again, the process ends by itself"
    )

    def sentence(self) -> str:
        return f"child {self.child} of {self.owner}, pid {self.pid}, did not exit after SIGKILL"

    def timeline_mark(self) -> str:
        return "unkillable"


class ChildEnded(ChildEvent, frozen=True):
    """The child was reaped, or never started. Its descriptors are closed."""

    exit_code: int | None
    """None if a signal ended it, or it never started."""
    signal: str | None
    """The signal that ended it."""
    reason: Reason
    """That of `ChildStopping`; otherwise how it ended."""
    stderr_tail: tuple[str, ...]
    """The last lines of its stderr, redacted."""
    ran_s: float
    """Time since its start; 0 if it never started."""

    steps = leads(*_ALIVE, to=ChildPhase.ENDED)
    ends_stream = True
    severity = Severity.INFO
    emitters = ("ReportChildEnded",)
    causes = (
        "ChildStarting",
        "ChildStarted",
        "ChildStopping",
        "ChildUnkillable",
        "ChildFound",
        "CameraConnecting",
        "CameraStalled",
        "RunStarted",
        *CLOSES_SOURCE,
    )
    cause_note = (
        "`ChildStopping` or `ChildUnkillable` if it was stopped; `ChildStarted` if it ended by itself; "
        "`ChildStarting` if it did not start; the event that ended the demand if it was cancelled before its start or "
        "ended before the signal; `ChildFound` or `RunStarted` for an orphan that had ended before"
    )
    when = "after the whole process group has ended"

    def sentence(self) -> str:
        if self.reason.fault is Fault.NONE:
            how = "stopped as requested"
        elif self.signal is not None:
            how = f"was ended by {self.signal}"
        elif self.exit_code is None:
            how = "did not start"
        else:
            how = f"exited with {self.exit_code}"
        how = "ended" if how in self.reason.text else how
        return f"child {self.child} of {self.owner} {how} after {seconds(self.ran_s)}: {self.reason.text}"


class ChildFound(ChildEvent, frozen=True):
    """An orphan: a process with our mark that no actor knows, left by an earlier run or detached from a child.

    The child with that mark has ended, so the orphan has a separate id.
    """

    pid: int
    """Of the process."""
    start_ticks: int
    """As in `ChildStarted`."""
    arguments: tuple[str, ...]
    """Program and arguments, redacted."""
    mark: str = ""
    """The child named in its mark; empty in older journals, where `child` is that child."""

    begins = ChildPhase.RUNNING
    severity = Severity.ERROR
    emitters = ("ReportChildFound",)
    when = "at the start of a run and once a minute"
    action = "nothing: it is stopped. If it repeats, report it with `/api/processes`"

    def sentence(self) -> str:
        return f"orphaned process found: pid {self.pid} of {self.owner}"

    def timeline_mark(self) -> str:
        return "stray"


class ChildAbandoned(ChildEvent, frozen=True):
    """An earlier run left this child open in the journal, and its process is gone. This run closes the entry."""

    reason: Reason
    """Code `abandoned`."""

    steps = leads(*_ALIVE, to=ChildPhase.ENDED)
    ends_stream = True
    severity = Severity.WARNING
    emitters = ("StartRun",)
    causes = ()
    when = "at the start of a run"
    stored = FIRST
    action = "nothing: it follows from a run that was cut off"

    def sentence(self) -> str:
        return f"child {self.child} of {self.owner} {self.reason.text}"


def prepare_child(state: State, command: PrepareChild, now_ns: int) -> Events:
    require_running(state)
    for child in state.children_of(command.camera):
        if child.purpose in (command.purpose, ORPHAN):
            raise Rejected(
                Refusal.CONFLICT,
                f"{command.camera or 'banken'} still has a child for {command.purpose}: pid {child.pid}",
            )
    return (
        ChildStarting(child=command.child, camera=command.camera, purpose=command.purpose, arguments=command.arguments),
    )


def report_child_started(state: State, command: ReportChildStarted, now_ns: int) -> Events:
    child = state.children[command.child]
    return (
        ChildStarted(
            child.child, child.camera, pid=command.pid, start_ticks=command.start_ticks, purpose=child.purpose
        ),
    )


def report_child_found(state: State, command: ReportChildFound, now_ns: int) -> Events:
    if command.child in state.children:
        return ()
    found = ChildFound(
        command.child, command.camera, command.pid, command.start_ticks, command.arguments, command.mark, purpose=ORPHAN
    )
    return (found, *slot_of_orphan(state, command.camera))


def report_child_signalled(state: State, command: ReportChildSignalled, now_ns: int) -> Events:
    child = state.children[command.child]
    return (
        ChildStopping(child.child, child.camera, signal=command.signal, reason=command.reason, purpose=child.purpose),
    )


def report_child_unkillable(state: State, command: ReportChildUnkillable, now_ns: int) -> Events:
    child = state.children[command.child]
    return (ChildUnkillable(child.child, child.camera, pid=child.pid or 0, purpose=child.purpose),)


def report_child_ended(state: State, command: ReportChildEnded, now_ns: int) -> Events:
    child = state.children[command.child]
    ran_s = 0.0 if child.phase is ChildPhase.STARTING else elapsed_s(child.started_ns, now_ns)
    ended = ChildEnded(
        child.child,
        child.camera,
        exit_code=command.exit_code,
        signal=command.signal,
        reason=command.reason,
        stderr_tail=command.stderr_tail,
        ran_s=ran_s,
        purpose=child.purpose,
    )
    return (ended, *free_after_last_child(state, child, command.reason))


_STARTING, _ENDED = ChildPhase.STARTING, ChildPhase.ENDED


def _child_born(
    state: State, event: ChildStarting | ChildFound, at: Recorded, purpose: str, phase: ChildPhase, **more: Any
) -> Changes:
    """Add a child that we start, or an orphan that already runs."""
    child = Child(
        event.child,
        event.camera,
        purpose,
        event.arguments,
        at.run,
        phase,
        since_ns=at.wall_ns,
        started_ns=at.wall_ns,
        **more,
    )
    return {"children": state.children.insert(event.child, child)}


def _child(state: State, event: ChildEvent, at: Recorded, changed: Child | None = None) -> Changes:
    """The child, unchanged or `changed`, in its next phase; removed at a final phase."""
    before = changed or state.children[event.child]
    phase = step(before.phase, type(event))
    if phase is _ENDED:
        return {"children": state.children.remove(event.child)}
    return {"children": state.children.insert(event.child, replace(before, phase=phase, since_ns=at.wall_ns))}


def _child_started(state: State, event: ChildStarted, at: Recorded) -> Changes:
    before = state.children[event.child]
    return _child(state, event, at, replace(before, pid=event.pid, start_ticks=event.start_ticks))


DECISIONS: Decisions = {
    PrepareChild: prepare_child,
    ReportChildStarted: report_child_started,
    ReportChildFound: report_child_found,
    ReportChildSignalled: report_child_signalled,
    ReportChildUnkillable: report_child_unkillable,
    ReportChildEnded: report_child_ended,
}


ARMS: Arms = {
    ChildStarting: lambda s, v, at: _child_born(s, v, at, v.purpose, _STARTING),
    ChildStarted: _child_started,
    ChildStopping: _child,
    ChildUnkillable: _child,
    ChildEnded: _child,
    ChildFound: lambda s, v, at: _child_born(
        s, v, at, ORPHAN, ChildPhase.RUNNING, pid=v.pid, start_ticks=v.start_ticks, mark=v.mark
    ),
    ChildAbandoned: _child,
}
