"""Metrics for Prometheus, made from one snapshot when they are asked for. The configuration bounds the labels.

Each viewer and each camera is visited once: the cost grows with their sum.
"""

import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

import attrs
import trio

from supervisor.domain.health import Verdict
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import CameraPhase, PeerPhase
from supervisor.domain.signaling import Code, Request
from supervisor.domain.state import Lease, Peer
from supervisor.domain.values import LeaseKind
from supervisor.gateway import CameraStatistics, Snapshot
from supervisor.lag import LoopLag, loop_lag

from . import refusals
from .exposition import CONTENT_TYPE, Exposition, label

__all__ = ["CONTENT_TYPE", "Process", "expose", "measure_process"]

_PHASES = tuple(each for each in CameraPhase if each is not CameraPhase.REMOVED)
_VERDICTS = {verdict: level for level, verdict in enumerate(Verdict)}


@attrs.frozen
class Process:
    """The daemon itself, without its children; the request that asks for it included."""

    tasks: int
    threads: int
    descriptors: int
    lag: LoopLag | None
    refused: Mapping[refusals.Refusal, int]
    """Connections that were refused or ended for their conduct, by reason."""


def measure_process() -> Process:
    """To be called in the loop."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    descriptors = len(os.listdir("/proc/self/fd")) - 1  # one is the listing's own
    return Process(tasks, threading.active_count(), descriptors, loop_lag(), refusals.totals())


def expose(snapshot: Snapshot, process: Process) -> bytes:
    """All metrics in Prometheus's text format."""
    to = Exposition()
    state = snapshot.state
    peers, leases = list(state.peers.values()), list(state.leases.values())  # a walk takes a microsecond for each
    _write_cameras(to, snapshot, peers)
    _write_sources(to, snapshot)
    _write_viewers(to, snapshot, peers)
    _write_daemon(to, snapshot, process, peers, leases)
    _write_monitors(to, snapshot)
    return to.encode()


def _write_cameras(to: Exposition, snapshot: Snapshot, peers: Sequence[Peer]) -> None:
    state = snapshot.state
    up = to.gauge("banken_camera_live", "1 while the camera sends frames")
    phase = to.gauge("banken_camera_state", "1 for the state the camera is in")
    since = to.gauge("banken_camera_state_seconds", "Time in this state")
    attempts = to.gauge("banken_camera_attempts", "Failed attempts in a row")
    viewers = to.gauge("banken_camera_viewers", "Viewers' connections")
    granted = to.gauge("banken_camera_leases", "Live leases of the camera: its use count")
    suggested = to.gauge("banken_camera_suggested", "1 while all pages show the camera")
    children = to.gauge("banken_camera_children", "Child processes")
    watching, leases = Counter(peer.camera for peer in peers), state.lent()
    working = Counter(child.camera for child in state.children.values())
    for name, camera in sorted(state.cameras.items()):
        labels = label(camera=name)
        up.add(camera.phase is CameraPhase.LIVE, labels)
        for each in _PHASES:
            phase.add(camera.phase is each, label(camera=name, state=each.value))
        since.add((snapshot.now_ns - camera.since_ns) / 1e9, labels)
        attempts.add(camera.attempts, labels)
        viewers.add(watching[name], labels)
        granted.add(leases[name], labels)
        suggested.add(state.suggestion is not None and state.suggestion.camera == name, labels)
        children.add(working[name], labels)


_SOURCES = (
    ("gauge", "banken_camera_frames_per_second", "Frames a second", "fps"),
    ("gauge", "banken_camera_bits_per_second", "Bit rate", "bitrate"),
    ("counter", "banken_camera_frames", "Frames received", "frames"),
    ("counter", "banken_camera_bytes", "Bytes received", "bytes"),
    ("counter", "banken_camera_skipped_frames", "Frames that viewers missed", "skipped"),
    (
        "counter",
        "banken_camera_cut_groups",
        "Groups of pictures that were too long to be kept whole",
        "cut_groups",
    ),
    ("counter", "banken_source_lost_packets", "RTP packets that never came from the camera", "lost_packets"),
    (
        "counter",
        "banken_source_broken_pictures",
        "Frames not shown, since a part of each was lost",
        "broken_pictures",
    ),
)
"""Kind, metric, help and field of what a camera's hub has measured."""


def _write_sources(to: Exposition, snapshot: Snapshot) -> None:
    measured = [(label(camera=name), statistics) for name, statistics in sorted(snapshot.cameras.items())]
    for kind, metric, help_text, field in _SOURCES:
        family = to.gauge(metric, help_text) if kind == "gauge" else to.counter(metric, help_text)
        for labels, statistics in measured:
            family.add(getattr(statistics, field), labels)
    age = to.gauge("banken_camera_frame_age_seconds", "Age of the last frame")
    odd = to.counter("banken_source_odd_packets", "RTP packets that came late, in disorder or damaged")
    for name, statistics in sorted(snapshot.cameras.items()):
        if statistics.last_frame_age_s is not None:
            age.add(statistics.last_frame_age_s, label(camera=name))
        for kind, count in _odd(statistics):
            odd.add(count, label(camera=name, kind=kind))


def _odd(statistics: CameraStatistics) -> tuple[tuple[str, int], ...]:
    return (
        ("late", statistics.late_packets),
        ("reordered", statistics.reordered_packets),
        ("malformed", statistics.malformed_packets),
    )


def _write_viewers(to: Exposition, snapshot: Snapshot, peers: Sequence[Peer]) -> None:
    thin = to.gauge("banken_camera_viewers_thin", "Viewers whose path carries key frames only")
    loss = to.gauge("banken_camera_viewer_loss", "The worst viewer's share of loss")
    narrow: Counter[CameraId] = Counter()
    worst: dict[CameraId, float] = {}
    for peer in peers:
        sent = snapshot.peers.get(peer.peer)
        if sent is not None:
            narrow[peer.camera] += sent.thin
            worst[peer.camera] = max(sent.loss, worst.get(peer.camera, 0.0))
    for camera in sorted(snapshot.state.cameras):
        thin.add(narrow[camera], label(camera=camera))
        loss.add(worst.get(camera, 0.0), label(camera=camera))


def _write_daemon(
    to: Exposition, snapshot: Snapshot, process: Process, peers: Sequence[Peer], leases: Sequence[Lease]
) -> None:
    connections = to.gauge("banken_peers", "Viewers' connections by state")
    phases = Counter(peer.phase for peer in peers)
    for each in PeerPhase:
        if each is not PeerPhase.CLOSED:
            connections.add(phases[each], label(state=each.value))
    granted = to.gauge("banken_leases", "Live leases by kind")
    kinds = Counter(lease.kind for lease in leases)
    for kind in LeaseKind:
        granted.add(kinds[kind], label(kind=kind.value))
    _write_rooms(to, snapshot)
    to.gauge("banken_health", "0 ok, 1 degraded, 2 critical", _VERDICTS[snapshot.health.verdict])
    journal = snapshot.journal
    to.counter("banken_journal_events", "Events stored in the journal", journal.committed)
    to.counter("banken_journal_commits", "Commits since the start", journal.commits)
    to.gauge("banken_journal_pending_events", "Events that wait for the disk", journal.pending)
    to.gauge("banken_journal_lag_seconds", "How long the oldest of them has waited", journal.waited_s)
    to.gauge("banken_journal_fault", "1 while the journal cannot write", journal.fault is not None)
    to.gauge("banken_tasks", "Tasks of the daemon's loop", process.tasks)
    to.gauge("banken_threads", "Threads of the daemon, idle ones included", process.threads)
    to.gauge("banken_descriptors", "Open file descriptors of the daemon", process.descriptors)
    refused = to.counter("banken_connections_refused", "Connections refused, or ended for their conduct")
    for reason in refusals.Refusal:
        refused.add(process.refused.get(reason, 0), label(reason=reason.value))
    if process.lag is not None:
        lag = to.gauge("banken_loop_lag_seconds", "How late tasks get their turn")
        lag.add(process.lag.p50_s, label(quantile="0.5"))
        lag.add(process.lag.p99_s, label(quantile="0.99"))


def _write_rooms(to: Exposition, snapshot: Snapshot) -> None:
    state, measured = snapshot.state, snapshot.rooms
    to.gauge("banken_rooms", "Rooms that are open", len(state.rooms))
    to.gauge("banken_room_participants", "Participants in all rooms", len(state.participants))
    to.gauge("banken_signaling_sessions", "WebSockets for rooms that are open", measured.sessions)
    obeyed = to.counter("banken_signaling_messages", "Messages of clients, obeyed")
    for request in get_args(Request):
        obeyed.add(measured.requests.get(request.__name__, 0), label(type=request.__name__))
    refused = to.counter("banken_signaling_errors", "Errors that clients were sent")
    for code in Code:
        refused.add(measured.errors.get(code.value, 0), label(code=code.value))
    to.counter("banken_signaling_unread", "Clients ended, since they did not read", measured.unread)


def _write_monitors(to: Exposition, snapshot: Snapshot) -> None:
    for reading in snapshot.readings.values():
        for figure in reading.figures:
            to.gauge(figure.metric, figure.help, figure.value)
    level = to.gauge("banken_monitor_level", "The value that the monitor compares with its thresholds")
    for name, reading in snapshot.readings.items():
        if reading.level is not None:
            level.add(reading.level, label(monitor=name))
    verdict = to.gauge("banken_monitor_verdict", "0 ok, 1 degraded, 2 critical")
    for part in snapshot.health.parts:
        kind, _, name = part.part.partition("/")
        if kind == "monitor":
            verdict.add(_VERDICTS[part.verdict], label(monitor=name))
