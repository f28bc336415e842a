"""`decide(state, command, now_ns) -> events`: every decision of the daemon, as a pure function.

A command that cannot be is `Rejected`, with a reason for the one who sent it; then nothing has changed. A report about
something that is already gone is no fault of the reporter: it decides nothing.
"""

from collections.abc import Callable
from typing import Any

from . import commands as c
from .decisions import camera, child, detection, device, journal, lease, room, run, viewer
from .decisions.common import Events
from .state import State


def decide(state: State, command: c.Command, now_ns: int) -> Events:
    """The events that follow from `command`, in order. Raises `Rejected`; changes nothing itself."""
    return _DECISIONS[type(command)](state, command, now_ns)


_DECISIONS: dict[type[c.Command], Callable[[State, Any, int], Events]] = {
    c.StartRun: run.start_run,
    c.StopRun: run.stop_run,
    c.EndRun: run.end_run,
    c.Configure: run.configure,
    c.ReportGap: journal.report_gap,
    c.ReportChain: journal.report_chain,
    c.ReportSetAside: journal.report_set_aside,
    c.ReportRemoval: journal.report_removal,
    c.ReportJournalFault: journal.report_fault,
    c.RaiseAlert: run.raise_alert,
    c.ClearAlert: run.clear_alert,
    c.ReportRequestsRefused: run.report_requests_refused,
    c.ConnectCamera: camera.connect_camera,
    c.ReportLive: camera.report_live,
    c.ReportStall: camera.report_stall,
    c.ReportLoss: camera.report_loss,
    c.ReportCrash: camera.report_crash,
    c.RestCamera: camera.rest_camera,
    c.TakeSlot: device.take_slot,
    c.FreeSlot: device.free_slot,
    c.PrepareChild: child.prepare_child,
    c.ReportChildStarted: child.report_child_started,
    c.ReportChildFound: child.report_child_found,
    c.ReportChildSignalled: child.report_child_signalled,
    c.ReportChildUnkillable: child.report_child_unkillable,
    c.ReportChildEnded: child.report_child_ended,
    c.GrantLease: lease.grant_lease,
    c.RenewLease: lease.renew_lease,
    c.ReportLeaseSilent: lease.report_lease_silent,
    c.EndLease: lease.end_lease,
    c.ReportRefusal: lease.report_refusal,
    c.ReportDetection: detection.report_detection,
    c.OpenPeer: viewer.open_peer,
    c.ReportPeerConnected: viewer.report_peer_connected,
    c.ReportPeerSilent: viewer.report_peer_silent,
    c.ReportPeerHeard: viewer.report_peer_heard,
    c.ClosePeer: viewer.close_peer,
    c.ReportPeerClosed: viewer.report_peer_closed,
    c.BeginUse: viewer.begin_use,
    c.EndUse: viewer.end_use,
    c.ReportPatrol: viewer.report_patrol,
    c.OpenRoom: room.open_room,
    c.JoinRoom: room.join_room,
    c.LeaveRoom: room.leave_room,
    c.CloseRoom: room.close_room,
}
