"""Decisions about the daemon itself: its runs, its configuration, its alerts."""

from .. import commands as c
from .. import events as e
from ..errors import Refusal, Rejected
from ..lifecycle import CameraPhase
from ..state import SOUND, State
from ..values import Fault, Reason
from . import room
from .common import STOPPING, Events, elapsed_s
from .lease import end, ended_lease

REMOVED = Reason("removed", "the camera is no longer in the configuration", Fault.NONE)


def start_run(state: State, command: c.StartRun, now_ns: int) -> Events:
    closing: list[e.Event] = []
    if state.run is not None:
        closing.append(
            e.RunAbandoned(
                run=state.run,
                reason=Reason(
                    "abandoned", "the daemon ended without a word: a crash, a kill or a power cut", Fault.NONE
                ),
            )
        )
    left = Reason("abandoned", "left open by an earlier run of the daemon", Fault.NONE)
    for name, child in sorted(state.children.items()):
        if name not in command.alive:
            closing.append(e.ChildAbandoned(child.child, child.camera, reason=left))
    alive = [state.children[name] for name in command.alive if name in state.children]
    holding = {child.camera for child in alive if child.purpose != SOUND}
    for camera, slot in sorted(state.slots.items()):
        if camera not in holding:
            closing.append(e.SlotFreed(camera, slot.device, reason=left, held=slot.held))
    closing += [e.AlertCleared(alert) for alert in sorted(state.alerts)]
    for use, known in sorted(state.uses.items()):
        closing.append(e.UseEnded(use, known.camera, reason=left))
    for _, peer in sorted(state.peers.items()):
        lasted_s = elapsed_s(peer.opened_ns, now_ns)
        closing.append(e.PeerClosed(peer.peer, peer.camera, reason=left, lasted_s=lasted_s))
    closing += [ended_lease(lease, left, now_ns) for _, lease in sorted(state.leases.items())]
    closing += [room.closed(known, left, now_ns) for _, known in sorted(state.rooms.items())]
    for camera, seen in sorted(state.cameras.items()):
        if seen.phase is not CameraPhase.IDLE:
            closing.append(e.CameraIdle(camera=camera, reason=left))
    started = e.RunStarted(run=command.run, node=command.node, release=command.release, pid=command.pid)
    # All of this follows from the first.
    return (*closing, started) if state.run is not None else (started, *closing)


def stop_run(state: State, command: c.StopRun, now_ns: int) -> Events:
    if state.stopping:
        return ()
    empty = [known for _, known in sorted(state.rooms.items()) if not known.participants]
    return (e.RunStopping(reason=command.reason), *(room.closed(known, room.STOPPED, now_ns) for known in empty))


def end_run(state: State, command: c.EndRun, now_ns: int) -> Events:
    if state.run is None:
        raise Rejected(Refusal.CONFLICT, "no run is in progress")
    return (*(ended_lease(lease, STOPPING, now_ns) for _, lease in sorted(state.leases.items())), e.RunEnded(state.run))


def configure(state: State, command: c.Configure, now_ns: int) -> Events:
    wanted = {settings.camera: settings for settings in command.cameras}
    changes: list[e.Event] = []
    for camera in sorted(set(state.cameras) - set(wanted)):
        lent = [lease for _, lease in sorted(state.leases.items()) if lease.camera == camera]
        changes += [event for lease in lent for event in end(state, lease, REMOVED, now_ns)]
        changes.append(e.CameraRemoved(camera=camera))
    for camera, settings in wanted.items():
        known = state.cameras.get(camera)
        if known is None:
            changes.append(e.CameraAdded(camera=camera, settings=settings))
        elif known.settings != settings:
            changes.append(e.CameraChanged(camera=camera, settings=settings))
    return (
        e.ConfigurationApplied(
            origin=command.origin,
            cameras=len(wanted),
            limits=command.limits,
            devices=command.devices,
            patrol=command.patrol,
            policy=command.policy,
        ),
        *changes,
    )


def raise_alert(state: State, command: c.RaiseAlert, now_ns: int) -> Events:
    return () if command.alert in state.alerts else (e.AlertRaised(command.alert, command.text),)


def clear_alert(state: State, command: c.ClearAlert, now_ns: int) -> Events:
    return (e.AlertCleared(command.alert),) if command.alert in state.alerts else ()


def report_requests_refused(state: State, command: c.ReportRequestsRefused, now_ns: int) -> Events:
    return (e.RequestsRefused(command.clients, command.others, command.over_s),)
