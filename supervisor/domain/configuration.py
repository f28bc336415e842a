"""Configuration: as far as the journal stores it."""

from collections.abc import Mapping

from msgspec import field
from msgspec.structs import replace
from rpds import HashTrieMap

from .camera import CameraAdded, CameraChanged, CameraRemoved
from .common import Arms, Changes, Decisions, Events
from .core import FIRST, OUTSIDE, SOON, Command, Event, Recorded, Severity
from .ids import CameraId
from .lease import end, end_lost
from .recording_request import end_requests
from .state import Refused, State
from .values import CameraSettings, DeviceSettings, Fault, Limits, Patrol, Policy, Reason
from .words import complaints, plural


class Configure(Command, frozen=True):
    """Set the cameras, devices and limits. Only differences lead to changes."""

    origin: str
    cameras: tuple[CameraSettings, ...]
    limits: Limits
    devices: tuple[DeviceSettings, ...] = ()
    patrol: Patrol = field(default_factory=Patrol)
    policy: Policy = field(default_factory=Policy)

    sender = "daemon"


class RefuseConfiguration(Command, frozen=True):
    """A changed configuration is invalid. `lines` are its complaints, without secrets; `more` counts further ones."""

    origin: str
    lines: tuple[str, ...]
    more: int = 0

    sender = "daemon"


class ConfigurationApplied(Event, frozen=True):
    """A configuration took effect. Its changes follow as events of the cameras, in the same decision."""

    origin: str
    """Path of the file, or `the demo`."""
    cameras: int
    """The number of cameras in it."""
    limits: Limits
    """Limits of peers and leases."""
    devices: tuple[DeviceSettings, ...] = ()
    """The devices with a configured connection limit."""
    patrol: Patrol = Patrol()
    """The timing of patrol cycles."""
    policy: Policy = Policy()
    """The rules by which detections are suggested."""
    order: tuple[CameraId, ...] = ()
    """All cameras in the order of the configuration file; empty in older journals."""

    severity = Severity.INFO
    emitters = ("Configure",)
    causes = (OUTSIDE, "RunStarted")
    cause_note = "`RunStarted` for the first of a run, none at a reload"
    when = "at each start and at each reload of a valid file, whether or not anything differs"
    stored = f"{FIRST} at a start and for a client, {SOON} at a SIGHUP"

    def sentence(self) -> str:
        return f"configuration from {self.origin} applied: {plural(self.cameras, 'camera')}"

    def timeline_mark(self) -> str:
        return "configuration"


class ConfigurationRefused(Event, frozen=True):
    """A changed configuration is invalid. The previous one stays in use.

    Health shows the complaints in its part `configuration` until a valid file is read.
    """

    origin: str
    """Path of the file."""
    lines: tuple[str, ...]
    """The first 20 complaints, as `file:line: problem`, at most 300 characters of each, without secrets."""
    more: int = 0
    """Number of further complaints."""

    severity = Severity.WARNING
    emitters = ("RefuseConfiguration",)
    cause_note = "the principal is the client that requested the reload, or `system` at a SIGHUP"
    when = "at each reload of a file that is invalid or names no camera"
    stored = f"{FIRST} for a client, {SOON} at a SIGHUP"
    action = "correct the lines (`banken check FILE` prints them as well), then `banken reload`"

    def sentence(self) -> str:
        problems = complaints(self.lines, self.more)
        return f"configuration from {self.origin} refused, the one before stays in use: {problems}"


LINES, LINE = 20, 300
"""Complaints about a rejected configuration that the journal stores, and characters of each."""


REMOVED = Reason("removed", "the camera is no longer in the configuration", Fault.NONE)


def configure(state: State, command: Configure, now_ns: int) -> Events:
    wanted = {settings.camera: settings for settings in command.cameras}
    changes: list[Event] = []
    for camera in sorted(set(state.cameras) - set(wanted)):
        held = [lease for _, lease in sorted(state.leases.items()) if lease.camera == camera]
        changes += [event for lease in held for event in end(state, lease, REMOVED, now_ns)]
        changes.append(CameraRemoved(camera=camera))
    for camera, settings in wanted.items():
        known = state.cameras.get(camera)
        if known is None:
            changes.append(CameraAdded(camera=camera, settings=settings))
        elif known.settings != settings:
            names = (
                name for name in settings.__struct_fields__ if getattr(settings, name) != getattr(known.settings, name)
            )
            changes.append(CameraChanged(camera=camera, settings=settings, changed=tuple(names)))
    changes += end_requests(state, wanted)
    changes += _end_lost(state, wanted, now_ns)
    return (
        ConfigurationApplied(
            origin=command.origin,
            cameras=len(wanted),
            limits=command.limits,
            devices=command.devices,
            patrol=command.patrol,
            policy=command.policy,
            order=tuple(wanted),
        ),
        *changes,
    )


def _end_lost(state: State, wanted: Mapping[CameraId, CameraSettings], now_ns: int) -> Events:
    """The ends of the leases on cameras that leave the scope of their principal, by group or as a substream."""
    cameras = state.cameras
    for camera, settings in wanted.items():
        known = cameras.get(camera)
        if known is not None and known.settings != settings:
            cameras = cameras.insert(camera, replace(known, settings=settings))
    held = [(name, lease) for name, lease in state.leases.items() if lease.camera in wanted]
    return end_lost(replace(state, leases=HashTrieMap(held)), replace(state, cameras=cameras), now_ns)


def refuse_configuration(state: State, command: RefuseConfiguration, now_ns: int) -> Events:
    lines = tuple(line if len(line) <= LINE else f"{line[: LINE - 1]}…" for line in command.lines[:LINES])
    return (ConfigurationRefused(command.origin, lines, command.more + len(command.lines) - len(lines)),)


def _configured(state: State, event: ConfigurationApplied, at: Recorded) -> Changes:
    devices = HashTrieMap({known.device: known for known in event.devices})
    kept = {"origin": event.origin, "limits": event.limits, "patrol": event.patrol, "policy": event.policy}
    return {**kept, "order": event.order, "devices": devices, "refused": None}


DECISIONS: Decisions = {
    Configure: configure,
    RefuseConfiguration: refuse_configuration,
}


ARMS: Arms = {
    ConfigurationApplied: _configured,
    ConfigurationRefused: lambda s, v, at: {"refused": Refused(v.origin, v.lines, v.more, since_ns=at.wall_ns)},
}
