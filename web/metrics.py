"""Metrics for Prometheus, rendered from one snapshot on request. The configuration bounds the number of labels.

Each viewer and each camera is visited once: the cost is linear in their sum.
"""

import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

import attrs
import trio

from supervisor.base.lag import LoopLag, loop_lag
from supervisor.domain.availability import Availability
from supervisor.domain.health import Verdict
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import CameraPhase, PeerPhase, RecordingPhase
from supervisor.domain.signaling import Code, Request
from supervisor.domain.state import Lease, Peer
from supervisor.domain.values import LeaseKind, PeerProtocol
from supervisor.ports.archives import ArchiveRoom
from supervisor.ports.snapshot import Snapshot
from supervisor.ports.statistics import ArchiveStatistics, CameraStatistics

from . import refusals
from .exposition import CONTENT_TYPE, Exposition, label

__all__ = ["CONTENT_TYPE", "FIGURES", "Process", "expose", "measure_process"]

_PHASES = tuple(each for each in CameraPhase if each is not CameraPhase.REMOVED)
DAY_S = 86_400
_VERDICTS = {verdict: level for level, verdict in enumerate(Verdict)}


@attrs.frozen
class Process:
    """Measurements of the daemon without its child processes, including the current request."""

    tasks: int
    threads: int
    descriptors: int
    lag: LoopLag | None
    refused: Mapping[refusals.Refusal, int]
    """Connections that were refused or closed for misbehavior, by reason."""


def measure_process() -> Process:
    """Measure the daemon. Must be called in the event loop."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    descriptors = len(os.listdir("/proc/self/fd")) - 1  # one belongs to the listing itself
    return Process(tasks, threading.active_count(), descriptors, loop_lag(), refusals.totals())


def expose(
    snapshot: Snapshot, process: Process, found: Availability | None = None, rooms: Sequence[ArchiveRoom] = ()
) -> bytes:
    """Return all metrics in the Prometheus text format; `found` is the availability of the cameras."""
    to = Exposition()
    state = snapshot.state
    peers, leases = list(state.peers.values()), list(state.leases.values())  # a pass takes 1 µs per item
    _write_cameras(to, snapshot, peers)
    _write_detectors(to, snapshot)
    if found is not None:
        _write_availability(to, snapshot, found)
    _write_sources(to, snapshot)
    _write_daemons(to, snapshot)
    _write_viewers(to, snapshot, peers)
    _write_recordings(to, snapshot)
    if snapshot.archives:
        _write_archives(to, snapshot.archives, rooms)
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
    granted = to.gauge("banken_camera_leases", "Live leases of the camera")
    suggested = to.gauge("banken_camera_suggested", "1 while all pages show the camera")
    children = to.gauge("banken_camera_children", "Child processes")
    shown = {each.camera for each in state.suggestions}
    watching, leases = Counter(peer.camera for peer in peers), state.lease_counts()
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
        suggested.add(name in shown, labels)
        children.add(working[name], labels)


FIGURES = (
    ("banken_camera_wanted_seconds", "Time for which the camera was wanted", "wanted_s"),
    ("banken_camera_live_seconds", "Wanted time in which the camera was live", "live_s"),
    ("banken_camera_patrol_cycles", "Patrol cycles that requested a snapshot", "cycles"),
    ("banken_camera_patrol_cycles_served", "Patrol cycles that got a snapshot", "cycles_served"),
    ("banken_camera_patrol_cycles_skipped", "Patrol cycles that were due and did not begin", "cycles_skipped"),
    ("banken_camera_snapshots", "Snapshots that were requested while the camera rested", "snapshots"),
    ("banken_camera_snapshots_served", "Requested snapshots that were served", "snapshots_served"),
    ("banken_camera_losses", "Losses, including failed attempts to open the camera", "losses"),
    ("banken_camera_failed_attempts", "Failed attempts to open the camera", "failed_attempts"),
    ("banken_camera_queued", "Waits for a connection slot of the device", "queued"),
    ("banken_camera_restarts", "Attempts to open the camera again after a loss", "restarts"),
)
"""Metric, help and field of the figures since the start of the daemon."""


def _write_availability(to: Exposition, snapshot: Snapshot, found: Availability) -> None:
    known = [(label(camera=one.camera), one) for one in found.cameras if one.camera in snapshot.state.cameras]
    for metric, help_text, field in FIGURES:
        family = to.counter(metric, help_text)
        for labels, one in known:
            family.add(getattr(one, field), labels)


_SOURCES = (
    ("gauge", "banken_camera_frames_per_second", "Frames a second", "fps"),
    ("counter", "banken_camera_frames", "Frames received", "frames"),
    ("counter", "banken_camera_bytes", "Bytes received", "bytes"),
    ("counter", "banken_camera_skipped_frames", "Frames that viewers missed", "skipped"),
    (
        "counter",
        "banken_camera_truncated_gops",
        "GOPs that were too long to be kept whole",
        "truncated_gops",
    ),
    ("counter", "banken_source_lost_packets", "RTP packets that never came from the camera", "lost_packets"),
    (
        "counter",
        "banken_source_discarded_frames",
        "Frames that were discarded because a packet was lost",
        "discarded_frames",
    ),
)
"""Kind, metric, help and field of the statistics of a camera's hub."""


def _write_sources(to: Exposition, snapshot: Snapshot) -> None:
    measured = [(label(camera=name), statistics) for name, statistics in sorted(snapshot.cameras.items())]
    for kind, metric, help_text, field in _SOURCES:
        family = to.gauge(metric, help_text) if kind == "gauge" else to.counter(metric, help_text)
        for labels, statistics in measured:
            family.add(getattr(statistics, field), labels)
    _write_renditions(to, snapshot)
    latency = to.histogram(
        "banken_frame_latency_seconds", "From a frame's last packet to its first packet to a viewer, once a second"
    )
    for name, statistics in sorted(snapshot.cameras.items()):
        if statistics.latency is not None:
            found = statistics.latency
            latency.add(found.bounds_s, found.counts, found.sum_s, camera=name)
    rate = to.gauge("banken_camera_bytes_per_second", "Data rate")
    age = to.gauge("banken_camera_frame_age_seconds", "Age of the last frame")
    irregular = to.counter("banken_source_irregular_packets", "RTP packets that came late, reordered or malformed")
    oddities = to.counter("banken_camera_oddities", "Deviations of the camera from the standards, by their name")
    for name, statistics in sorted(snapshot.cameras.items()):
        rate.add(statistics.bitrate / 8, label(camera=name))
        if statistics.last_frame_age_s is not None:
            age.add(statistics.last_frame_age_s, label(camera=name))
        for kind, count in _irregular(statistics):
            irregular.add(count, label(camera=name, kind=kind))
        for oddity, count in sorted(statistics.oddities.items()):
            oddities.add(count, label(camera=name, oddity=oddity))


def _write_renditions(to: Exposition, snapshot: Snapshot) -> None:
    """Write the cost of transcoded video, for cameras that have had any."""
    used = to.counter("banken_transcoder_cpu_seconds", "CPU time of the camera's video transcoders")
    share = to.gauge("banken_transcoder_cpu_ratio", "Share of a processor that the camera's video transcoder uses")
    skipped = to.counter("banken_transcoder_skipped_frames", "Frames that the transcoder left out, being too slow")
    for name, statistics in sorted(snapshot.cameras.items()):
        if statistics.transcoder_cpu_s:
            used.add(statistics.transcoder_cpu_s, label(camera=name))
        if statistics.rendition is not None:
            share.add(statistics.rendition.cpu, label(camera=name))
            skipped.add(statistics.rendition.skipped, label(camera=name))


def _write_recordings(to: Exposition, snapshot: Snapshot) -> None:
    recordings = snapshot.state.recordings
    active = to.gauge("banken_recording_active", "1 while the camera is recorded")
    interrupted = to.gauge("banken_recording_interrupted", "1 while the recording has a gap that has not ended")
    gaps = to.counter("banken_recording_gap_seconds", "Time without video in recordings, of gaps that have ended")
    for name in sorted(snapshot.state.cameras):
        known = recordings.get(name)
        active.add(known is not None and known.phase is RecordingPhase.RECORDING, label(camera=name))
        interrupted.add(known is not None and known.phase is RecordingPhase.INTERRUPTED, label(camera=name))
        for reason, seconds in sorted(snapshot.gaps.get(name, {}).items()):
            gaps.add(seconds, label(camera=name, reason=reason))


def _write_archives(to: Exposition, archives: Mapping[str, ArchiveStatistics], rooms: Sequence[ArchiveRoom]) -> None:
    """`rooms`: those that have been found. Time and bytes of each are at most a minute old."""
    fault = to.gauge("banken_archive_fault", "1 while the archive cannot be written")
    buffered = to.gauge("banken_archive_buffered_bytes", "Bytes that wait for the disk")
    pool = to.gauge("banken_archive_pool_ratio", "Share of the buffer for a slow disk in use; at 1, gaps begin")
    written = to.counter("banken_archive_written_bytes", "Bytes of video and audio that were written")
    compared = to.gauge("banken_archive_compared_ratio", "Share of the files compared with their index since the start")
    disk = to.counter("banken_archive_disk_seconds", "Time in calls of the disk")
    latency = to.histogram("banken_archive_write_latency_seconds", "From the end of a fragment until it is written")
    for archive, each in sorted(archives.items()):
        labels = label(archive=archive)
        fault.add(bool(each.fault), labels)
        buffered.add(each.buffered, labels)
        pool.add(each.pool, labels)
        written.add(each.written, labels)
        compared.add(1.0 if each.compared is None else each.compared, labels)
        disk.add(each.disk_s, labels)
        latency.add(each.latency.bounds_s, each.latency.counts, each.latency.sum_s, archive=archive)
    used = to.gauge("banken_archive_bytes", "Bytes of complete recording files")
    pinned = to.gauge("banken_archive_pinned_bytes", "Those of them that are pinned")
    budget = to.gauge("banken_archive_budget_bytes", "Bytes that recording files may have")
    left = to.gauge("banken_archive_left_seconds", "Time until the budget is full, at the rate of the last 24 hours")
    for room in rooms:
        labels = label(archive=room.archive)
        used.add(room.bytes, labels)
        pinned.add(room.pinned_bytes, labels)
        budget.add(room.budget_bytes, labels)
        if room.days_left is not None:
            left.add(room.days_left * DAY_S, labels)


def _irregular(statistics: CameraStatistics) -> tuple[tuple[str, int], ...]:
    return (
        ("late", statistics.late_packets),
        ("reordered", statistics.reordered_packets),
        ("malformed", statistics.malformed_packets),
    )


def _write_viewers(to: Exposition, snapshot: Snapshot, peers: Sequence[Peer]) -> None:
    narrow = to.gauge("banken_camera_viewers_key_frames_only", "Viewers whose path carries key frames only")
    loss = to.gauge("banken_camera_viewer_loss_ratio", "Share of packets lost on the worst viewer's path")
    slowed: Counter[CameraId] = Counter()
    worst: dict[CameraId, float] = {}
    for peer in peers:
        sent = snapshot.peers.get(peer.peer)
        if sent is not None:
            slowed[peer.camera] += sent.key_frames_only
            worst[peer.camera] = max(sent.loss, worst.get(peer.camera, 0.0))
    for camera in sorted(snapshot.state.cameras):
        narrow.add(slowed[camera], label(camera=camera))
        loss.add(worst.get(camera, 0.0), label(camera=camera))


def _write_daemon(
    to: Exposition, snapshot: Snapshot, process: Process, peers: Sequence[Peer], leases: Sequence[Lease]
) -> None:
    connections = to.gauge("banken_peers", "Viewers' connections by state")
    phases = Counter(peer.phase for peer in peers)
    for each in PeerPhase:
        if each is not PeerPhase.CLOSED:
            connections.add(phases[each], label(state=each.value))
    readers = sum(peer.protocol is PeerProtocol.RTSP for peer in peers)
    to.gauge("banken_rtsp_readers", "Those of the viewers' connections that are readers by RTSP", readers)
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
    to.gauge("banken_journal_lag_seconds", "Waiting time of the oldest event that waits for the disk", journal.waited_s)
    to.gauge("banken_journal_fault", "1 while the journal cannot write", journal.fault is not None)
    to.gauge("banken_tasks", "Tasks of the daemon's loop", process.tasks)
    to.gauge("banken_threads", "Threads of the daemon, idle ones included", process.threads)
    to.gauge("banken_descriptors", "Open file descriptors of the daemon", process.descriptors)
    refused = to.counter("banken_connections_refused", "Connections that were refused, or ended for misbehavior")
    for reason in refusals.Refusal:
        refused.add(process.refused.get(reason, 0), label(reason=reason.value))
    if process.lag is not None:
        lag = to.gauge("banken_loop_lag_seconds", "How late the event loop runs tasks")
        lag.add(process.lag.p50_s, label(quantile="0.5"))
        lag.add(process.lag.p99_s, label(quantile="0.99"))


def _write_detectors(to: Exposition, snapshot: Snapshot) -> None:
    """Nothing without a detector in the configuration."""
    if not snapshot.detectors:
        return
    up = to.gauge("banken_detector_running", "1 while the detector works")
    pictures = to.counter("banken_detector_pictures", "Pictures that the detector got")
    made = to.counter("banken_detector_detections", "Detections that were taken")
    dropped = to.counter("banken_detector_dropped", "Lines, answers and pictures that were not used")
    latency = to.gauge("banken_detector_latency_seconds", "From the last picture to its detection or answer")
    for each in snapshot.detectors:
        labels = label(detector=each.name)
        up.add(each.state == "running", labels)
        pictures.add(each.pictures, labels)
        made.add(each.detections, labels)
        for reason, count in sorted(each.dropped.items()):
            dropped.add(count, label(detector=each.name, reason=reason))
        if each.latency_s is not None:
            latency.add(each.latency_s, labels)


def _write_daemons(to: Exposition, snapshot: Snapshot) -> None:
    """Nothing without a program in the section `daemons`."""
    if not snapshot.daemons:
        return
    up = to.gauge("banken_provider_running", "1 while the program of `daemons` runs")
    starts = to.counter("banken_provider_starts", "Starts since the last change of its settings")
    for each in snapshot.daemons:
        up.add(each.state == "running", label(provider=each.name))
        starts.add(each.starts, label(provider=each.name))


def _write_rooms(to: Exposition, snapshot: Snapshot) -> None:
    state, measured = snapshot.state, snapshot.rooms
    to.gauge("banken_rooms", "Rooms that are open", len(state.rooms))
    to.gauge("banken_room_participants", "Participants in all rooms", len(state.participants))
    to.gauge("banken_signaling_sessions", "WebSockets for rooms that are open", measured.sessions)
    obeyed = to.counter("banken_signaling_messages", "Messages of clients that were accepted")
    for request in get_args(Request):
        obeyed.add(measured.requests.get(request.tag(), 0), label(type=request.tag()))
    refused = to.counter("banken_signaling_errors", "Errors sent to clients")
    for code in Code:
        refused.add(measured.errors.get(code.value, 0), label(code=code.value))
    to.counter("banken_signaling_unread", "Clients that were disconnected because they did not read", measured.unread)


def _write_monitors(to: Exposition, snapshot: Snapshot) -> None:
    for reading in snapshot.readings.values():
        for figure in reading.figures:
            add = to.counter if figure.is_counter else to.gauge
            add(figure.metric, figure.help, figure.value)
    level = to.gauge("banken_monitor_level", "The value that the monitor compares with its thresholds")
    for name, reading in snapshot.readings.items():
        if reading.level is not None:
            level.add(reading.level, label(monitor=name))
    verdict = to.gauge("banken_monitor_verdict", "0 ok, 1 degraded, 2 critical")
    for part in snapshot.health.parts:
        kind, _, name = part.part.partition("/")
        if kind == "monitor":
            verdict.add(_VERDICTS[part.verdict], label(monitor=name))
