"""Decisions about child processes."""

from .. import commands as c
from .. import events as e
from ..errors import Refusal, Rejected
from ..lifecycle import ChildPhase
from ..state import STRAY, State
from .common import Events, elapsed_s, require_running
from .device import free_after_last_child, place_of_stray


def prepare_child(state: State, command: c.PrepareChild, now_ns: int) -> Events:
    require_running(state)
    for child in state.children_of(command.camera):
        if child.purpose in (command.purpose, STRAY):
            raise Rejected(
                Refusal.CONFLICT, f"{command.camera} still has a child for {command.purpose}: pid {child.pid}"
            )
    return (
        e.ChildStarting(
            child=command.child, camera=command.camera, purpose=command.purpose, arguments=command.arguments
        ),
    )


def report_child_started(state: State, command: c.ReportChildStarted, now_ns: int) -> Events:
    child = state.children[command.child]
    return (e.ChildStarted(child.child, child.camera, pid=command.pid, start_ticks=command.start_ticks),)


def report_child_found(state: State, command: c.ReportChildFound, now_ns: int) -> Events:
    if command.child in state.children:
        return ()
    found = e.ChildFound(
        command.child, command.camera, command.pid, command.start_ticks, command.arguments, command.mark
    )
    return (found, *place_of_stray(state, command.camera))


def report_child_signalled(state: State, command: c.ReportChildSignalled, now_ns: int) -> Events:
    child = state.children[command.child]
    return (e.ChildStopping(child.child, child.camera, signal=command.signal, reason=command.reason),)


def report_child_unkillable(state: State, command: c.ReportChildUnkillable, now_ns: int) -> Events:
    child = state.children[command.child]
    return (e.ChildUnkillable(child.child, child.camera, pid=child.pid or 0),)


def report_child_ended(state: State, command: c.ReportChildEnded, now_ns: int) -> Events:
    child = state.children[command.child]
    ran_s = 0.0 if child.phase is ChildPhase.STARTING else elapsed_s(child.started_ns, now_ns)
    ended = e.ChildEnded(
        child.child,
        child.camera,
        exit_code=command.exit_code,
        signal=command.signal,
        reason=command.reason,
        stderr_tail=command.stderr_tail,
        ran_s=ran_s,
    )
    return (ended, *free_after_last_child(state, child, command.reason))
