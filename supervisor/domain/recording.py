"""Recordings: stretches of a camera's video that are kept, the gaps between them, and the archives that hold them.

Rules of this file:
- A gap begins with `RecordingInterrupted`, whose cause is the event that made it, and ends with `RecordingResumed`.
- Fragments and files are never events. Each ten minutes a recording is sealed: the digest of its files is journaled.
- The state of an archive is a fact of the disk: the journal reports it, and decides nothing.
"""

from msgspec.structs import replace

from .common import Arms, Changes, Decisions, Events, elapsed_s
from .core import ANY, OUTSIDE, Command, Event, Recorded, Severity
from .ids import CameraId, RecordingId, archive_stream, recording_stream
from .lifecycle import RecordingPhase, leads, step
from .state import ArchiveTrouble, Recording, Seal, State
from .values import Reason, RecordMode
from .words import plural, seconds, size


class BeginRecording(Command, frozen=True):
    """The first fragment of a stretch was given to the archive."""

    camera: CameraId
    recording: RecordingId
    mode: RecordMode
    began_ns: int = 0
    last_ns: int = 0

    sender = "recorder"


class InterruptRecording(Command, frozen=True):
    """Nothing is recorded from now on, although it is wanted."""

    camera: CameraId
    reason: Reason
    last_ns: int = 0

    sender = "recorder"


class StopRecording(Command, frozen=True):
    """No recording is wanted any more."""

    camera: CameraId
    reason: Reason

    sender = "recorder"


class SealRecording(Command, frozen=True):
    """Files are complete, and their digest is known."""

    camera: CameraId
    recording: RecordingId
    bytes: int
    began_ns: int
    ended_ns: int
    digests: tuple[str, ...]

    sender = "recorder"


class ReportRepairedFile(Command, frozen=True):
    """A file that was not complete was cut behind its last whole fragment."""

    camera: CameraId
    recording: RecordingId
    file: str
    duration_s: float

    sender = "recorder"


class ReportExpired(Command, frozen=True):
    """Retention has removed files."""

    camera: CameraId
    files: int
    bytes: int
    began_ns: int
    ended_ns: int
    reason: Reason

    sender = "recorder"


class ReportArchive(Command, frozen=True):
    """The disk of an archive does not answer or has a fault; without a reason, it writes again."""

    archive: str
    reason: Reason | None

    sender = "recorder"


class RecordingEvent(Event, frozen=True):
    camera: CameraId
    """Its name in the configuration."""

    @property
    def stream(self) -> str:
        return recording_stream(self.camera)


class RecordingStarted(RecordingEvent, frozen=True):
    """Video of the camera is recorded."""

    recording: RecordingId
    """The stretch that begins; it is in the files."""
    mode: RecordMode
    """`always`; `demand` for a person, `events` for a detection."""

    begins = RecordingPhase.RECORDING
    severity = Severity.INFO
    emitters = ("BeginRecording",)
    causes = (ANY,)
    cause_note = "the event after which the camera was live; a person's `RecordingRequested`, or the `DetectionMade`"
    when = "the archive has taken the first fragment"

    def sentence(self) -> str:
        return f"recording of {self.camera} started ({self.mode.value})"

    def timeline_mark(self) -> str:
        return "recording"


class RecordingInterrupted(RecordingEvent, frozen=True):
    """A gap begins: the camera should be recorded, and is not."""

    reason: Reason
    """Code `camera-lost`, `privacy`, `disk-slow`, `disk-failed`, `no-room`, `codec`, `clock` or `abandoned`."""
    last_ns: int = 0
    """When the last fragment before the gap ended, in nanoseconds since 1970; 0 if that is not known.

    After a fault of the disk, only what was synced counts."""

    steps = leads(RecordingPhase.RECORDING, to=RecordingPhase.INTERRUPTED)
    severity = Severity.WARNING
    emitters = ("InterruptRecording", "StartRun")
    causes = (ANY,)
    cause_note = "the event that made the gap: of the camera, of the archive, or of its privacy"
    when = "the last fragment before the gap was given to the archive"
    action = "look at its cause: `banken why` and the number of this event"

    def sentence(self) -> str:
        return f"recording of {self.camera} interrupted: {self.reason.text}"

    def timeline_mark(self) -> str:
        return "gap"


class RecordingResumed(RecordingEvent, frozen=True):
    """The gap is over: another stretch begins."""

    recording: RecordingId
    """The new stretch."""
    gap_s: float
    """The length of the gap; if its beginning is not known, the time since `RecordingInterrupted`."""
    last_ns: int = 0
    """When the last fragment before the gap ended, as it is known now, in nanoseconds since 1970; 0 if it is not."""
    began_ns: int = 0
    """When the first fragment after it began."""

    steps = leads(RecordingPhase.INTERRUPTED, to=RecordingPhase.RECORDING)
    severity = Severity.INFO
    emitters = ("BeginRecording",)
    causes = (ANY,)
    cause_note = "the event after which the camera was live, or the archive wrote again"
    when = "the archive has taken the first fragment after the gap"

    def sentence(self) -> str:
        return f"recording of {self.camera} resumed after a gap of {seconds(self.gap_s)}"

    def timeline_mark(self) -> str:
        return "recording"


class RecordingStopped(RecordingEvent, frozen=True):
    """The camera is not recorded any more, and should not be."""

    reason: Reason
    """Code `off`, `unrequested`, `quiet`, `moved` or `stopped`."""
    lasted_s: float
    """Time since `RecordingStarted`."""

    ends_stream = True
    steps = leads(RecordingPhase.RECORDING, RecordingPhase.INTERRUPTED, to=RecordingPhase.STOPPED)
    severity = Severity.INFO
    emitters = ("StopRecording",)
    causes = (ANY,)
    cause_note = (
        "the change of the configuration, the stop of the daemon, `RecordingRequestEnded`, or the last `DetectionMade`"
    )
    when = "the last fragment was given to the archive"

    def sentence(self) -> str:
        return f"recording of {self.camera} stopped after {seconds(self.lasted_s)}: {self.reason.text}"

    def timeline_mark(self) -> str:
        return "gap"


class RecordingSealed(RecordingEvent, frozen=True):
    """Files are complete. With this event, a change of them can be proved."""

    recording: RecordingId
    """The stretch that they are of."""
    bytes: int
    """The sum of their sizes."""
    began_ns: int
    """When the first fragment began."""
    ended_ns: int
    """When the last one ended."""
    digests: tuple[str, ...]
    """SHA-256 of each file, the oldest first, in hex: what `sha256sum` prints."""

    severity = Severity.INFO
    emitters = ("SealRecording",)
    when = "each ten minutes, and at the end of a recording, once the files are synced"

    def sentence(self) -> str:
        return f"{plural(len(self.digests), 'recording file')} of {self.camera} sealed ({size(self.bytes)})"


class RecordingRepaired(RecordingEvent, frozen=True):
    """A file was not complete, and ends behind its last whole fragment now."""

    recording: RecordingId
    """The stretch that it is of."""
    file: str
    """Its path in the archive."""
    duration_s: float
    """Video that it has."""

    severity = Severity.NOTICE
    emitters = ("ReportRepairedFile",)
    causes = (OUTSIDE, "ArchiveFailed", "ArchiveRecovered", "RunAbandoned")
    cause_note = "the fault of the disk, or its end; after a start none"
    when = "at a start, or when the disk works again"

    def sentence(self) -> str:
        return f"recording file {self.file} was not complete; {seconds(self.duration_s)} of it are whole"


class RecordingsExpired(RecordingEvent, frozen=True):
    """Files were removed. There is no video of their time any more."""

    files: int
    """Their number."""
    bytes: int
    """The sum of their sizes."""
    began_ns: int
    """When the oldest began."""
    ended_ns: int
    """When the newest ended."""
    reason: Reason
    """Code `age` or `room`."""

    severity = Severity.INFO
    emitters = ("ReportExpired",)
    when = "at most once a minute for each camera and reason"

    def sentence(self) -> str:
        files = plural(self.files, "recording file")
        return f"{files} of {self.camera} removed ({size(self.bytes)}): {self.reason.text}"


class ArchiveEvent(Event, frozen=True):
    archive: str
    """Its name in the configuration."""

    @property
    def stream(self) -> str:
        return archive_stream(self.archive)


class ArchiveFailed(ArchiveEvent, frozen=True):
    """The disk does not write. Nothing is recorded until `ArchiveRecovered`."""

    reason: Reason
    """Code `disk-slow`, `disk-failed` or `no-room`."""

    severity = Severity.ERROR
    emitters = ("ReportArchive",)
    when = "the disk has not answered for a second (`disk-slow`), or a call failed; again for another reason"
    action = "look at the disk: is it mounted, full, or read-only? The reason says what it answered"

    def sentence(self) -> str:
        return f"archive {self.archive} cannot be written: {self.reason.text}"

    def timeline_mark(self) -> str:
        return "archive"


class ArchiveRecovered(ArchiveEvent, frozen=True):
    """The disk writes again."""

    after_s: float
    """Time since `ArchiveFailed`."""

    severity = Severity.NOTICE
    emitters = ("ReportArchive",)
    causes = (OUTSIDE, "ArchiveFailed")
    cause_note = "its `ArchiveFailed`"
    when = "a call has succeeded"

    def sentence(self) -> str:
        return f"archive {self.archive} is written again after {seconds(self.after_s)}"


def begin_recording(state: State, command: BeginRecording, now_ns: int) -> Events:
    known = state.recordings.get(command.camera)
    if known is None:
        return (RecordingStarted(command.camera, command.recording, command.mode),)
    if known.phase is RecordingPhase.INTERRUPTED:
        last_ns, began_ns = command.last_ns, command.began_ns
        gap_s = elapsed_s(last_ns, began_ns) if 0 < last_ns <= began_ns else elapsed_s(known.since_ns, now_ns)
        return (RecordingResumed(command.camera, command.recording, gap_s, last_ns, began_ns),)
    return ()


def interrupt_recording(state: State, command: InterruptRecording, now_ns: int) -> Events:
    known = state.recordings.get(command.camera)
    if known is None or known.phase is not RecordingPhase.RECORDING:
        return ()
    return (RecordingInterrupted(command.camera, command.reason, command.last_ns),)


def stop_recording(state: State, command: StopRecording, now_ns: int) -> Events:
    known = state.recordings.get(command.camera)
    if known is None:
        return ()
    return (RecordingStopped(command.camera, command.reason, elapsed_s(known.began_ns, now_ns)),)


def seal_recording(state: State, command: SealRecording, now_ns: int) -> Events:
    sealed = RecordingSealed(
        command.camera, command.recording, command.bytes, command.began_ns, command.ended_ns, command.digests
    )
    return (sealed,)


def report_repaired_file(state: State, command: ReportRepairedFile, now_ns: int) -> Events:
    return (RecordingRepaired(command.camera, command.recording, command.file, command.duration_s),)


def report_expired(state: State, command: ReportExpired, now_ns: int) -> Events:
    expired = RecordingsExpired(
        command.camera, command.files, command.bytes, command.began_ns, command.ended_ns, command.reason
    )
    return (expired,)


def report_archive(state: State, command: ReportArchive, now_ns: int) -> Events:
    known = state.archive_troubles.get(command.archive)
    if command.reason is None:
        return () if known is None else (ArchiveRecovered(command.archive, elapsed_s(known.since_ns, now_ns)),)
    if known is not None and known.reason == command.reason:
        return ()
    return (ArchiveFailed(command.archive, command.reason),)


def abandoned(state: State, reason: Reason) -> Events:
    """The ends of recordings that an earlier run left open: their gaps begin with the end of that run."""
    running = [each for _, each in sorted(state.recordings.items()) if each.phase is RecordingPhase.RECORDING]
    return tuple(RecordingInterrupted(each.camera, reason) for each in running)


def _recording_started(state: State, event: RecordingStarted, at: Recorded) -> Changes:
    began = Recording(event.camera, event.recording, event.mode, RecordingPhase.RECORDING, at.wall_ns, at.wall_ns)
    return {"recordings": state.recordings.insert(event.camera, began)}


def _recording_interrupted(state: State, event: RecordingInterrupted, at: Recorded) -> Changes:
    known = state.recordings[event.camera]
    gap = replace(known, phase=step(known.phase, type(event)), since_ns=at.wall_ns, reason=event.reason)
    return {"recordings": state.recordings.insert(event.camera, gap)}


def _recording_resumed(state: State, event: RecordingResumed, at: Recorded) -> Changes:
    known = state.recordings[event.camera]
    again = replace(
        known, recording=event.recording, phase=step(known.phase, type(event)), since_ns=at.wall_ns, reason=None
    )
    return {"recordings": state.recordings.insert(event.camera, again)}


def _archive_failed(state: State, event: ArchiveFailed, at: Recorded) -> Changes:
    known = state.archive_troubles.get(event.archive)
    trouble = ArchiveTrouble(event.archive, event.reason, at.wall_ns if known is None else known.since_ns)
    return {"archive_troubles": state.archive_troubles.insert(event.archive, trouble)}


DECISIONS: Decisions = {
    BeginRecording: begin_recording,
    InterruptRecording: interrupt_recording,
    StopRecording: stop_recording,
    SealRecording: seal_recording,
    ReportRepairedFile: report_repaired_file,
    ReportArchive: report_archive,
    ReportExpired: report_expired,
}


ARMS: Arms = {
    RecordingStarted: _recording_started,
    RecordingInterrupted: _recording_interrupted,
    RecordingResumed: _recording_resumed,
    RecordingStopped: lambda s, v, at: {"recordings": s.recordings.remove(v.camera)},
    RecordingSealed: lambda s, v, at: {"seals": s.seals.insert(v.camera, Seal(v.recording, v.ended_ns))},
    RecordingRepaired: lambda s, v, at: {},
    RecordingsExpired: lambda s, v, at: {},
    ArchiveFailed: _archive_failed,
    ArchiveRecovered: lambda s, v, at: {"archive_troubles": s.archive_troubles.remove(v.archive)},
}
