"""A verdict with a reason for each part of the daemon, and one for the whole."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import attrs

from .lifecycle import CameraPhase, ChildPhase
from .monitors import Reading, standing, verdict_of
from .restart import NO_SHARED_MEMORY
from .state import ArchiveTrouble, Camera, Refused, State
from .verdict import Verdict
from .words import complaints

__all__ = ["Health", "PartHealth", "Verdict", "health"]

DISK_SLOW = "disk-slow"
"""The code of the reason with which an archive reports that its disk does not answer."""
NO_READINGS: Mapping[str, Reading] = MappingProxyType({})


class PartHealth(NamedTuple):
    part: str
    verdict: Verdict
    reason: str


@attrs.frozen
class Health:
    verdict: Verdict
    """The worst verdict of its parts. A lost camera degrades the whole, but is not critical."""
    parts: tuple[PartHealth, ...]


def health(state: State, journal_fault: str | None, readings: Mapping[str, Reading] = NO_READINGS) -> Health:
    """The health of all parts. `journal_fault` is why the journal cannot write; None if it can.

    `readings` are the last results of the monitors, by name; empty for a journal without a daemon.
    """
    parts = [
        PartHealth("journal", Verdict.CRITICAL, journal_fault)
        if journal_fault
        else PartHealth("journal", Verdict.OK, "writes")
    ]
    if state.refused is not None:
        parts.append(PartHealth("configuration", Verdict.DEGRADED, _refused(state.refused)))
    parts += [_camera(camera.settings.camera, camera) for camera in state.in_order()]
    parts += [
        PartHealth(
            f"child/{name}",
            Verdict.CRITICAL,
            f"pid {child.pid} of {child.camera or child.purpose} did not exit after SIGKILL",
        )
        for name, child in sorted(state.children.items())
        if child.phase is ChildPhase.UNKILLABLE
    ]
    parts += [_archive(trouble) for _, trouble in sorted(state.archive_troubles.items())]
    parts += [_monitor(state, name, reading) for name, reading in sorted(readings.items())]
    parts += [PartHealth(f"alert/{name}", verdict_of(name), alert.text) for name, alert in sorted(state.alerts.items())]
    worst = max((part.verdict for part in parts), key=list(Verdict).index)
    return Health(worst, tuple(parts))


def _refused(refused: Refused) -> str:
    """The text for a rejected configuration, until a valid one was read."""
    what = f"{refused.origin} was refused, the configuration before it is in use"
    return f"{what}: {complaints(refused.lines, refused.more)}"


def _camera(name: str, camera: Camera) -> PartHealth:
    part = f"camera/{name}"
    if camera.phase is CameraPhase.LIVE:
        return PartHealth(part, Verdict.OK, "live")
    if camera.phase is CameraPhase.IDLE:
        return PartHealth(part, Verdict.OK, f"rests: {camera.reason.text}" if camera.reason else "rests")
    if camera.reason is None:
        return PartHealth(part, Verdict.OK, "on its first attempt")
    if camera.reason.code == NO_SHARED_MEMORY and camera.attempts == 1:
        return PartHealth(part, Verdict.OK, camera.reason.text)  # the program that provides it may still be starting
    return PartHealth(part, Verdict.DEGRADED, f"{camera.phase.value}: {camera.reason.text}")


def _archive(trouble: ArchiveTrouble) -> PartHealth:
    """An archive that cannot be written: nothing is recorded. One that is slow has its buffer."""
    verdict = Verdict.DEGRADED if trouble.reason.code == DISK_SLOW else Verdict.CRITICAL
    return PartHealth(f"archive/{trouble.archive}", verdict, f"cannot be written: {trouble.reason.text}")


def _monitor(state: State, name: str, reading: Reading) -> PartHealth:
    """The verdict of the monitor's alert. A monitor that cannot be read is at least degraded."""
    stands = standing(state.alerts, name)
    unread = reading.level is None and stands is Verdict.OK
    return PartHealth(f"monitor/{name}", Verdict.DEGRADED if unread else stands, reading.text)
