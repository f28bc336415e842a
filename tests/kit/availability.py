"""Sums of availability against their parts, and against the visits that the journal has.

Rules of this file:
- A stretch may be split at any event: time wanted and live, cycles, snapshots, losses and restarts add up to the whole.
- A camera was served by as many cycles as visits of it ended with a picture, and missed by those that name it.
- A patrol cycle reports as many pictures as visits of its group ended with one since the cycle before.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from supervisor.domain import events as e
from supervisor.domain.availability import Availability, Ledger
from supervisor.domain.ids import CameraId, UseId
from supervisor.domain.state import State
from supervisor.domain.values import Mode, UseKind

TIMES = ("wanted_s", "live_s")
COUNTS = (
    "cycles", "cycles_served", "cycles_skipped", "snapshots", "snapshots_served", "losses", "failed_attempts", "queued",
    "restarts",
)  # fmt: skip


def summed(rows: Sequence[e.Recorded], known: Sequence[State], begin: int = 0) -> Ledger:
    """A ledger that has seen `rows` from number `begin` on; `known` are the states before the first, and after each."""
    ledger = Ledger(known[begin], rows[begin - 1].wall_ns if begin else None)
    for number in range(begin, len(rows)):
        ledger.see(known[number], rows[number], known[number + 1])
    return ledger


def unequal_parts(rows: Sequence[e.Recorded], known: Sequence[State], cuts: Iterable[int]) -> str | None:
    """A figure of two parts that do not add up to the whole; none where all do. Of journals without a gap."""
    whole = _figures(summed(rows, known).found())
    for cut in cuts:
        parts = _figures(summed(rows[:cut], known).found())
        parts.update(_figures(summed(rows, known, cut).found()))
        for name in parts | whole:
            if abs(parts[name] - whole[name]) > (1000 if name[1] in TIMES else 0):
                return f"split before event {rows[cut].seq}: {name} is {parts[name]} in parts and {whole[name]} in all"
    return None


def _figures(found: Availability) -> Counter[tuple[CameraId, str]]:
    """By camera and name; times in nanoseconds."""
    figures = Counter[tuple[CameraId, str]]()
    for one in found.cameras:
        figures.update({(one.camera, name): round(getattr(one, name) * 1e9) for name in TIMES})
        figures.update({(one.camera, name): getattr(one, name) for name in COUNTS})
    return figures


def uncounted_visits(rows: Sequence[e.Recorded], known: Sequence[State]) -> str | None:
    """A camera whose cycles are not the visits of the journal."""
    served, missed = Counter[CameraId](), Counter[CameraId]()
    for before, row in zip(known, rows, strict=False):
        if isinstance(row.event, e.UseEnded):
            use = before.uses[row.event.use]
            served[use.camera] += use.kind is UseKind.PATROL and row.event.reason.code == "done"
        elif isinstance(row.event, e.PatrolEnded) and before.run == row.run and not before.stopping:
            missed.update(row.event.missed)
    for one in summed(rows, known).found().cameras:
        counted, journaled = (
            (one.cycles_served, one.cycles - one.cycles_served),
            (served[one.camera], missed[one.camera]),
        )
        if counted != journaled:
            return f"{one.camera}: {counted} cycles served and missed, {journaled} in the journal"
    return None


def odd_cycles(rows: Sequence[e.Recorded], known: Sequence[State]) -> str | None:
    """A patrol cycle that reports other pictures than those of the visits in it."""
    group_of: dict[UseId, str] = {}
    pictures = Counter[str]()
    for before, row in zip(known, rows, strict=False):
        match row.event:
            case e.RunStarted():
                pictures.clear()
            case e.UseBegan(kind=UseKind.PATROL):
                group_of[row.event.use] = before.cameras[row.event.camera].settings.group
            case e.UseEnded() if row.event.use in group_of:
                pictures[group_of.pop(row.event.use)] += row.event.reason.code == "done"
            case e.CameraChanged() | e.CameraRemoved():
                groups = {one.settings.group for one in before.cameras.values() if one.settings.mode is Mode.PATROL}
                for group in pictures.keys() - groups:
                    del pictures[group]  # its patrol ended with the last of its cameras, in the middle of a cycle
            case e.PatrolEnded():
                if pictures[row.event.group] != row.event.snapshots:
                    return (
                        f"event {row.seq}: {row.event.snapshots} pictures, {pictures[row.event.group]} visits with one"
                    )
                del pictures[row.event.group]
            case _:
                pass
    return None
