"""Runs: the daemon, from its start to its end."""

from msgspec.structs import replace
from rpds import HashTrieMap

from .alert import AlertCleared
from .camera import CameraIdle
from .child import ChildAbandoned
from .common import STOPPING, Arms, Changes, Decisions, Events, elapsed_s
from .core import FIRST, OUTSIDE, SOON, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import ChildId, NodeId, RunId
from .lease import ended_lease
from .lifecycle import CameraPhase
from .peer import PeerClosed
from .recording import abandoned as abandoned_recordings
from .room import STOPPED, closed
from .slot import SlotFreed
from .state import TRANSCODERS, State
from .use import UseEnded
from .values import Fault, Reason


class StartRun(Command, frozen=True):
    """The first command of a run. Closes everything that an earlier run left open, except children still `alive`."""

    run: RunId
    node: NodeId
    release: str
    pid: int
    alive: frozenset[ChildId] = frozenset()

    sender = "daemon"


class StopRun(Command, frozen=True):
    reason: Reason

    sender = "daemon"


class EndRun(Command, frozen=True):
    sender = "daemon"


class RunStarted(Event, frozen=True):
    """A daemon has locked and folded the journal, and its run begins."""

    run: RunId
    """This run; the `run` of all following rows."""
    node: NodeId
    """The identity of the daemon. The first run makes it; it is stored in the journal and never changes."""
    release: str
    """The version of banken."""
    pid: int
    """Of the daemon's process."""

    severity = Severity.NOTICE
    emitters = ("StartRun",)
    causes = (OUTSIDE, "RunAbandoned")
    when = "once in a run, before any camera starts"
    stored = FIRST

    def sentence(self) -> str:
        return f"banken {self.release} started, pid {self.pid}"

    def timeline_mark(self) -> str:
        return "start"


class RunAbandoned(Event, frozen=True):
    """The previous run ended without `RunEnded`: a crash, a kill, a failed start or a power failure."""

    run: RunId
    """The run that ended."""
    reason: Reason
    """Code `abandoned`."""

    severity = Severity.WARNING
    emitters = ("StartRun",)
    when = "first event of a run whose predecessor is still open in the journal"
    stored = FIRST
    action = (
        "look in the system's log at the time of the last event before it (out of memory, power, `kill -9`). "
        "Everything that was open is closed after it, with the code `abandoned`"
    )

    def sentence(self) -> str:
        return f"the previous run was cut off: {self.reason.text}"

    def timeline_mark(self) -> str:
        return "abandoned"


class RunStopping(Event, frozen=True):
    """The daemon is stopping: nothing new begins, and everything that runs ends within 3.5 s."""

    reason: Reason
    """Code `signal`; the text names the signal."""

    severity = Severity.NOTICE
    emitters = ("StopRun",)
    when = "at the first SIGTERM or SIGINT"

    def sentence(self) -> str:
        return f"stopping: {self.reason.text}"

    def timeline_mark(self) -> str:
        return "stop"


class RunEnded(Event, frozen=True):
    """Nothing runs any more. The last event of a run that ends gracefully."""

    run: RunId
    """The run that ends."""

    severity = Severity.NOTICE
    emitters = ("EndRun",)
    causes = ("RunStopping", "LeaseEnded")
    when = "after cameras, peers and web have ended, or 3.5 s after `RunStopping`"
    stored = f"{SOON}; the process waits up to 1 s for it"

    def sentence(self) -> str:
        return "banken ended in good order"


def start_run(state: State, command: StartRun, now_ns: int) -> Events:
    closing: list[Event] = []
    if state.run is not None:
        copy = "" if command.alive else ", or this journal is a copy"  # a child of it that still runs proves the run
        why = f"the daemon ended without a word: a crash, a kill or a power cut{copy}"
        closing.append(RunAbandoned(run=state.run, reason=Reason("abandoned", why, Fault.NONE)))
    left = Reason("abandoned", "left open by an earlier run of the daemon", Fault.NONE)
    for name, child in sorted(state.children.items()):
        if name not in command.alive:
            closing.append(ChildAbandoned(child.child, child.camera, reason=left, purpose=child.purpose))
    alive = [state.children[name] for name in command.alive if name in state.children]
    holding = {child.camera for child in alive if child.purpose not in TRANSCODERS}
    for camera, slot in sorted(state.slots.items()):
        if camera not in holding:
            closing.append(SlotFreed(camera, slot.device, reason=left, held=slot.held))
    closing += [AlertCleared(alert) for alert in sorted(state.alerts)]
    closing += abandoned_recordings(state, left)
    for use, known in sorted(state.uses.items()):
        closing.append(UseEnded(use, known.camera, reason=left))
    for _, peer in sorted(state.peers.items()):
        lasted_s = elapsed_s(peer.opened_ns, now_ns)
        closing.append(PeerClosed(peer.peer, peer.camera, reason=left, lasted_s=lasted_s))
    closing += [ended_lease(lease, left, now_ns) for _, lease in sorted(state.leases.items())]
    closing += [closed(known, left, now_ns) for _, known in sorted(state.rooms.items())]
    for camera, seen in sorted(state.cameras.items()):
        if seen.phase is not CameraPhase.IDLE:
            closing.append(CameraIdle(camera=camera, reason=left))
    started = RunStarted(run=command.run, node=command.node, release=command.release, pid=command.pid)
    # All other events follow from the first.
    return (*closing, started) if state.run is not None else (started, *closing)


def stop_run(state: State, command: StopRun, now_ns: int) -> Events:
    if state.stopping:
        return ()
    empty = [known for _, known in sorted(state.rooms.items()) if not known.participants]
    return (RunStopping(reason=command.reason), *(closed(known, STOPPED, now_ns) for known in empty))


def end_run(state: State, command: EndRun, now_ns: int) -> Events:
    if state.run is None:
        raise Rejected(Refusal.CONFLICT, "no run is in progress")
    return (*(ended_lease(lease, STOPPING, now_ns) for _, lease in sorted(state.leases.items())), RunEnded(state.run))


def _run_started(state: State, event: RunStarted, at: Recorded) -> Changes:
    """Deviations of cameras and troubles of archives are reported again in each run."""
    cameras = state.cameras
    for name, camera in cameras.items():
        if camera.oddities:
            cameras = cameras.insert(name, replace(camera, oddities=()))
    return {
        "run": event.run,
        "node": event.node,
        "stopping": False,
        "cameras": cameras,
        "archive_troubles": HashTrieMap(),
    }


DECISIONS: Decisions = {
    StartRun: start_run,
    StopRun: stop_run,
    EndRun: end_run,
}


ARMS: Arms = {
    RunStarted: _run_started,
    RunStopping: lambda s, v, at: {"stopping": True},
    RunAbandoned: lambda s, v, at: {"run": None, "stopping": False},
    RunEnded: lambda s, v, at: {"run": None, "stopping": False},
}
