"""Metrics for Prometheus, made from one snapshot when they are asked for. The configuration bounds the labels."""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from typing import get_args

import attrs
import trio
from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from supervisor.domain.health import Verdict
from supervisor.domain.lifecycle import CameraPhase, PeerPhase
from supervisor.domain.signaling import Code, Request
from supervisor.domain.values import LeaseKind
from supervisor.gateway import Snapshot
from supervisor.lag import LoopLag, loop_lag

__all__ = ["CONTENT_TYPE", "Process", "expose", "measure_process"]


@attrs.frozen
class Process:
    """The daemon itself, without its children; the request that asks for it included."""

    tasks: int
    threads: int
    descriptors: int
    lag: LoopLag | None


def measure_process() -> Process:
    """To be called in the loop."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    descriptors = len(os.listdir("/proc/self/fd")) - 1  # one is the listing's own
    return Process(tasks, threading.active_count(), descriptors, loop_lag())


def expose(snapshot: Snapshot, process: Process) -> bytes:
    """All metrics in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(snapshot, process))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, snapshot: Snapshot, process: Process) -> None:
        self._snapshot = snapshot
        self._process = process

    def collect(self) -> Iterator[Metric]:
        yield from self._cameras()
        yield from self._daemon()
        yield from self._monitors()

    def _cameras(self) -> Iterator[Metric]:
        snapshot, state = self._snapshot, self._snapshot.state
        up = GaugeMetricFamily("banken_camera_live", "1 while the camera sends pictures", labels=["camera"])
        phase = GaugeMetricFamily("banken_camera_state", "1 for the state the camera is in", labels=["camera", "state"])
        since = GaugeMetricFamily("banken_camera_state_seconds", "Time in this state", labels=["camera"])
        attempts = GaugeMetricFamily("banken_camera_attempts", "Failed attempts in a row", labels=["camera"])
        viewers = GaugeMetricFamily("banken_camera_viewers", "Viewers' connections", labels=["camera"])
        lent = GaugeMetricFamily("banken_camera_leases", "Live leases of the camera: its use count", labels=["camera"])
        suggested = GaugeMetricFamily("banken_camera_suggested", "1 while all pages show the camera", labels=["camera"])
        children = GaugeMetricFamily("banken_camera_children", "Child processes", labels=["camera"])
        watching, leases = Counter(peer.camera for peer in state.peers.values()), state.lent()
        working = Counter(child.camera for child in state.children.values())
        for name, camera in sorted(state.cameras.items()):
            up.add_metric([name], camera.phase is CameraPhase.LIVE)
            for each in CameraPhase:
                if each is not CameraPhase.REMOVED:
                    phase.add_metric([name, each.value], camera.phase is each)
            since.add_metric([name], (snapshot.now_ns - camera.since_ns) / 1e9)
            attempts.add_metric([name], camera.attempts)
            viewers.add_metric([name], watching[name])
            lent.add_metric([name], leases[name])
            suggested.add_metric([name], state.suggestion is not None and state.suggestion.camera == name)
            children.add_metric([name], working[name])
        yield from (up, phase, since, attempts, viewers, lent, suggested, children)

        fps = GaugeMetricFamily("banken_camera_frames_per_second", "Pictures a second", labels=["camera"])
        bitrate = GaugeMetricFamily("banken_camera_bits_per_second", "Bit rate", labels=["camera"])
        age = GaugeMetricFamily("banken_camera_frame_age_seconds", "Age of the last picture", labels=["camera"])
        frames = CounterMetricFamily("banken_camera_frames", "Pictures received", labels=["camera"])
        size = CounterMetricFamily("banken_camera_bytes", "Bytes received", labels=["camera"])
        skipped = CounterMetricFamily("banken_camera_skipped_frames", "Pictures viewers missed", labels=["camera"])
        cut = CounterMetricFamily(
            "banken_camera_cut_groups", "Groups of pictures that were too long to be kept whole", labels=["camera"]
        )
        lost = CounterMetricFamily(
            "banken_source_lost_packets", "RTP packets that never came from the camera", labels=["camera"]
        )
        broken = CounterMetricFamily(
            "banken_source_broken_pictures", "Pictures not shown, for something of them was lost", labels=["camera"]
        )
        odd = CounterMetricFamily(
            "banken_source_odd_packets", "RTP packets that came late, in disorder or damaged", labels=["camera", "kind"]
        )
        for name, statistics in sorted(snapshot.cameras.items()):
            cut.add_metric([name], statistics.cut_groups)
            lost.add_metric([name], statistics.lost_packets)
            broken.add_metric([name], statistics.broken_pictures)
            odd.add_metric([name, "late"], statistics.late_packets)
            odd.add_metric([name, "reordered"], statistics.reordered_packets)
            odd.add_metric([name, "malformed"], statistics.malformed_packets)
            fps.add_metric([name], statistics.fps)
            bitrate.add_metric([name], statistics.bitrate)
            frames.add_metric([name], statistics.frames)
            size.add_metric([name], statistics.bytes)
            skipped.add_metric([name], statistics.skipped)
            if statistics.last_frame_age_s is not None:
                age.add_metric([name], statistics.last_frame_age_s)
        yield from (fps, bitrate, age, frames, size, skipped, cut, lost, broken, odd)

        thin = GaugeMetricFamily(
            "banken_camera_viewers_thin", "Viewers whose path carries key frames only", labels=["camera"]
        )
        loss = GaugeMetricFamily("banken_camera_viewer_loss", "The worst viewer's share of loss", labels=["camera"])
        for name in sorted(state.cameras):
            sent = [
                snapshot.peers[peer]
                for peer, known in state.peers.items()
                if known.camera == name and peer in snapshot.peers
            ]
            thin.add_metric([name], sum(each.thin for each in sent))
            loss.add_metric([name], max((each.loss for each in sent), default=0.0))
        yield from (thin, loss)

    def _daemon(self) -> Iterator[Metric]:
        snapshot = self._snapshot
        peers = GaugeMetricFamily("banken_peers", "Viewers' connections by state", labels=["state"])
        phases = [peer.phase for peer in snapshot.state.peers.values()]
        for each in PeerPhase:
            if each is not PeerPhase.CLOSED:
                peers.add_metric([each.value], phases.count(each))
        yield peers
        leases = GaugeMetricFamily("banken_leases", "Live leases by kind", labels=["kind"])
        kinds = Counter(lease.kind for lease in snapshot.state.leases.values())
        for kind in LeaseKind:
            leases.add_metric([kind.value], kinds[kind])
        yield leases
        yield from self._rooms()
        verdicts = list(Verdict)
        yield GaugeMetricFamily(
            "banken_health", "0 ok, 1 degraded, 2 critical", verdicts.index(snapshot.health.verdict)
        )
        journal = snapshot.journal
        yield CounterMetricFamily("banken_journal_events", "Events stored in the journal", journal.committed)
        yield CounterMetricFamily("banken_journal_commits", "Commits since the start", journal.commits)
        yield GaugeMetricFamily("banken_journal_pending_events", "Events that wait for the disk", journal.pending)
        yield GaugeMetricFamily(
            "banken_journal_lag_seconds", "How long the oldest of them has waited", journal.waited_s
        )
        yield GaugeMetricFamily("banken_journal_fault", "1 while the journal cannot write", journal.fault is not None)
        process = self._process
        yield GaugeMetricFamily("banken_tasks", "Tasks of the daemon's loop", process.tasks)
        yield GaugeMetricFamily("banken_threads", "Threads of the daemon, idle ones included", process.threads)
        yield GaugeMetricFamily("banken_descriptors", "Open file descriptors of the daemon", process.descriptors)
        if process.lag is not None:
            lag = GaugeMetricFamily("banken_loop_lag_seconds", "How late tasks get their turn", labels=["quantile"])
            lag.add_metric(["0.5"], process.lag.p50_s)
            lag.add_metric(["0.99"], process.lag.p99_s)
            yield lag

    def _monitors(self) -> Iterator[Metric]:
        verdicts = list(Verdict)
        level = GaugeMetricFamily(
            "banken_monitor_level", "What the monitor compares with its thresholds", labels=["monitor"]
        )
        verdict = GaugeMetricFamily("banken_monitor_verdict", "0 ok, 1 degraded, 2 critical", labels=["monitor"])
        for part in self._snapshot.health.parts:
            kind, _, name = part.part.partition("/")
            if kind == "monitor":
                verdict.add_metric([name], verdicts.index(part.verdict))
        for name, reading in self._snapshot.readings.items():
            if reading.level is not None:
                level.add_metric([name], reading.level)
            for figure in reading.figures:
                yield GaugeMetricFamily(figure.metric, figure.help, figure.value)
        yield from (level, verdict)

    def _rooms(self) -> Iterator[Metric]:
        state, measured = self._snapshot.state, self._snapshot.rooms
        yield GaugeMetricFamily("banken_rooms", "Rooms that are open", len(state.rooms))
        yield GaugeMetricFamily("banken_room_participants", "Participants in all rooms", len(state.participants))
        yield GaugeMetricFamily("banken_signaling_sessions", "WebSockets for rooms that are open", measured.sessions)
        obeyed = CounterMetricFamily("banken_signaling_messages", "Messages of clients, obeyed", labels=["type"])
        for request in get_args(Request):
            obeyed.add_metric([request.__name__], measured.requests.get(request.__name__, 0))
        refused = CounterMetricFamily("banken_signaling_errors", "Errors that clients were told", labels=["code"])
        for code in Code:
            refused.add_metric([code.value], measured.errors.get(code.value, 0))
        unread = CounterMetricFamily("banken_signaling_unread", "Clients ended, since they did not read")
        unread.add_metric([], measured.unread)
        yield from (obeyed, refused, unread)
