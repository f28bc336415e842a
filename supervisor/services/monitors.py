"""The monitors: periodic readings with a number, a verdict, and an alert when the number passes a threshold.

A new one is an entry in the table of `make_monitors`. `domain/monitors.py` decides about alerts.

Rules of this file:
- A reading that may block runs in a thread, with one thread for each monitor at most. It is not waited for beyond
  `PATIENCE_S`: a dead disk keeps one thread, and the other monitors go on.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import partial
from pathlib import Path

import attrs
import trio

from ..base.lag import KEPT, loop_lag
from ..base.threads import run_in_thread
from ..domain.growth import Keeping
from ..domain.monitors import ALERT_SUFFIXES, Figure, Reading, Threshold, Thresholds, alert_of, standing, words
from ..domain.state import State
from ..domain.values import LeaseKind
from ..domain.words import plural, size
from ..journal.retention import Retention
from ..journal.writer import Journal
from ..ports.archives import ArchiveRoom
from ..ports.decisions import ACTOR, raised
from ..ports.statistics import SocketStatistics
from ..runtime.gauges import descendants, read_disk, read_memory
from ..runtime.kernel import Kernel
from .growth import EVERY_S, THRESHOLDS, GrowthMonitor, measure_events

PATIENCE_S = 5.0
KEEPING = Keeping(Retention().keep_s, Retention().max_bytes)
"""Of a configuration that says nothing."""

Read = Callable[[], Awaitable[Reading]]


@attrs.frozen
class Monitor:
    read: Read
    every_s: float
    thresholds: Thresholds


def make_monitors(
    kernel: Kernel,
    journal: Journal,
    folder: Path,
    sockets: Callable[[], SocketStatistics],
    starts: Callable[[], tuple[int, float]],
    control: Callable[[], Reading],
    keeping: Keeping = KEEPING,
    anchor: Callable[[], Reading] | None = None,
    tls: Callable[[], Reading] | None = None,
    users: Callable[[], Reading] | None = None,
    provider: Callable[[], Reading] | None = None,
    rooms: Callable[[], Sequence[ArchiveRoom]] = tuple,
) -> Mapping[str, Monitor]:
    """All there are, by name. `folder` is the journal's; `sockets` counts the pages that are connected; `starts` says
    how many cameras wait for their turn to start, and for how many seconds the first of them has; `control` is about
    the control socket; `anchor` says how noting the end of the chain goes, where it is wanted; `tls` how the page's
    certificate is; `users` whether there are users, where without them something is not served; `provider` whether
    the login provider answers; `rooms` is the room of the archives."""
    growth = GrowthMonitor(kernel, keeping, measure_events(folder))
    share = Thresholds(Threshold(0.80, 0.75), Threshold(0.90, 0.85))
    monitors = {
        "memory": Monitor(in_thread(read_memory), 60, share),
        "disk": Monitor(in_thread(partial(read_disk, folder)), 60, share),
        "processes": Monitor(in_thread(Processes().read), 30, Thresholds(Threshold(1, 0.5))),
        "connections": Monitor(
            at_once(lambda: read_connections(kernel.state, sockets())), 30, Thresholds(Threshold(0.9, 0.8))
        ),
        "loop": Monitor(at_once(read_loop), 10, Thresholds(Threshold(0.1, 0.05), Threshold(1.0, 0.5))),
        "growth": Monitor(growth.read, EVERY_S, THRESHOLDS),
        "journal": Monitor(
            at_once(lambda: read_journal(journal)), 10, Thresholds(Threshold(1.0, 0.5), Threshold(10.0, 1.0))
        ),
        "starts": Monitor(at_once(lambda: read_starts(*starts())), 5, Thresholds(Threshold(3.0, 1.0))),
        "control": Monitor(at_once(control), 10, Thresholds(Threshold(1.0, 0.5))),
        "archives": Monitor(at_once(lambda: read_archives(rooms())), 30, Thresholds(Threshold(1.0, 0.5))),
    }
    nowhere = Reading(0.0, "the end of the chain is noted nowhere")
    for name, read, otherwise, thresholds in (
        ("anchor", anchor, nowhere, Thresholds(Threshold(1.0, 0.5))),
        ("tls", tls, Reading(0.0, "https is off"), Thresholds(Threshold(1.0, 0.5), Threshold(2.0, 1.5))),
        ("users", users, Reading(0.0, "this machine is trusted, or there are users"), Thresholds(Threshold(1.0, 0.5))),
        ("login", provider, Reading(0.0, "there is no login provider"), Thresholds(Threshold(1.0, 0.5))),
    ):
        if (
            read is not None or standing(kernel.state.alerts, name) in ALERT_SUFFIXES
        ):  # one of an earlier run is cleared
            monitors[name] = Monitor(at_once(read or always(otherwise)), 10, thresholds)
    return monitors


async def run_monitors(monitors: Mapping[str, Monitor], readings: MutableMapping[str, Reading], kernel: Kernel) -> None:
    """Read each monitor now and then; put what it finds into `readings`, and what is worth a word into the journal.

    Cancellation: at any time. Cleanup: a thread that still reads is abandoned; it holds nothing.
    """

    async def watch(name: str, monitor: Monitor) -> None:
        while True:
            reading = readings[name] = await monitor.read()
            before = standing(kernel.state.alerts, name)
            stood = raised(kernel, alert_of(name, before)) if before in ALERT_SUFFIXES else None
            for command in words(name, reading, monitor.thresholds, before):
                kernel.emit(command, after=stood, origin=ACTOR if stood else kernel.fault())
            await trio.sleep(monitor.every_s)

    async with trio.open_nursery() as nursery:
        for name, monitor in monitors.items():
            nursery.start_soon(watch, name, monitor, name=f"monitor/{name}")


# ── how they are read ───────────────────────────────────────────────────────────────────────────────────────────


def in_thread(read: Callable[[], Reading]) -> Read:
    """A reading that blocks. A failure or a timeout is a reading, too."""
    limiter = trio.CapacityLimiter(1)

    async def look() -> Reading:
        with trio.move_on_after(PATIENCE_S):
            try:
                return await run_in_thread(read, limiter=limiter, abandon="a disk may not answer")
            except (
                OSError,
                LookupError,
                ValueError,
            ) as error:  # the last two: a kernel that writes its files otherwise
                return Reading(None, f"cannot be read: {error}")
        return Reading(None, f"cannot be read: no answer within {PATIENCE_S:g} s")

    return look


def at_once(read: Callable[[], Reading]) -> Read:
    """A reading that is known in the loop."""

    async def look() -> Reading:
        await trio.lowlevel.checkpoint()
        return read()

    return look


def always(reading: Reading) -> Callable[[], Reading]:
    return lambda: reading


class Processes:
    """Remembers which processes had ended: one that is found ended twice is a zombie, one found once may yet be
    reaped."""

    def __init__(self, find: Callable[[], Mapping[int, bool]] = descendants) -> None:
        self._find = find
        self._ended: set[int] = set()

    def read(self) -> Reading:
        """How many processes below the daemon ended before the last reading, and nobody has reaped them. Blocking."""
        found = self._find()
        ended = {pid for pid, is_over in found.items() if is_over}
        left, self._ended = sorted(ended & self._ended), ended
        pids = f" (pid {', '.join(map(str, left[:5]))}{' …' if left[5:] else ''})" if left else ""
        unreaped = plural(len(left), "ended and was", "ended and were") if left else "none ended and was"
        return Reading(
            len(left),
            f"{plural(len(found), 'process', 'processes')} below the daemon; {unreaped} not reaped{pids}",
            (
                Figure(
                    "banken_processes",
                    "Processes below the daemon, those that nobody has reaped yet included",
                    len(found),
                ),
                Figure("banken_unreaped_processes", "Processes that ended long ago and were not reaped", len(left)),
            ),
        )


def read_connections(state: State, sockets: SocketStatistics) -> Reading:
    """The share of the fullest of the caps on connections."""
    peers, rows, most = len(state.peers), len(state.rows()), state.limits.peers
    kinds = Counter(lease.kind for lease in state.leases.values())
    return Reading(
        max(sockets.open / sockets.most, (peers + rows) / max(most, 1)),
        f"{sockets.open} of {sockets.most} WebSockets, {peers + rows} of {plural(most, 'viewer')}, "
        f"{rows} of them over MJPEG; large views: {kinds[LeaseKind.MODAL]}, suggested: {kinds[LeaseKind.SUGGEST]}",
        (
            Figure("banken_websockets", "WebSockets of the path that most are connected to", sockets.open),
            Figure("banken_mjpeg_viewers", "Viewers over MJPEG", rows),
        ),
    )


def read_loop() -> Reading:
    """The median, not the worst: one late turn is a number in the metrics, half of all turns is trouble."""
    lag = loop_lag()
    if lag is None or lag.turns < KEPT:
        return Reading(0.0, "has not been measured for long enough yet")
    return Reading(
        lag.p50_s, f"half of all turns come {lag.p50_s * 1000:.0f} ms late or more, the worst {lag.p99_s * 1000:.0f} ms"
    )


def read_users(kernel: Kernel, hints: Sequence[str]) -> Reading:
    """1 until the first user is made. `hints` say what is not served until then."""
    if kernel.state.trust_ended:
        return Reading(0.0, "there are users")
    return Reading(1.0, "; ".join(hints))


def read_archives(rooms: Sequence[ArchiveRoom]) -> Reading:
    """1 while pins leave an archive too little room."""
    lag_s = max((room.lag_s for room in rooms), default=0.0)
    late = "By how much the oldest recording is older than its rule"
    figures = [Figure("banken_archive_retention_lag_seconds", late, lag_s)]
    warnings = [room.warning for room in rooms if room.warning]
    if warnings:
        return Reading(1.0, "; ".join(warnings), figures)
    return Reading(0.0, "; ".join(map(words_of_room, rooms)) or "nothing is recorded", figures)


def words_of_room(room: ArchiveRoom) -> str:
    """How long the room lasts, for people."""
    text = f"archive {room.archive} has {size(room.bytes)} of {size(room.budget_bytes)}"
    if room.days_left is not None:
        return f"{text}, and is full in {plural(round(room.days_left, 1), 'day')}"
    if room.turns_over_days is not None:
        return f"{text}, and keeps {plural(round(room.turns_over_days, 1), 'day')}"
    return text


def read_journal(journal: Journal) -> Reading:
    found = journal.statistics()
    if not found.pending:
        return Reading(0.0, "nothing waits for the disk")
    return Reading(
        found.waited_s,
        f"{plural(found.pending, 'event waits', 'events wait')} for the disk, the oldest for {found.waited_s:.1f} s",
    )


def read_starts(waiting: int, oldest_s: float) -> Reading:
    """The seconds that the first of the waiting cameras has waited to start."""
    text = (
        f"{plural(waiting, 'start waits', 'starts wait')}, the first for {oldest_s:.1f} s"
        if waiting
        else "no start waits"
    )
    figure = Figure("banken_starts_waiting", "Cameras that wait to start", waiting)
    return Reading(oldest_s, text, (figure,))
