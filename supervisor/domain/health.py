"""A verdict for each part of the daemon, with its reason, and one for the whole."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import attrs

from .lifecycle import CameraPhase, ChildPhase
from .monitors import Reading, standing, verdict_of
from .state import Camera, State
from .verdict import Verdict

__all__ = ["Health", "PartHealth", "Verdict", "health"]

NO_READINGS: Mapping[str, Reading] = MappingProxyType({})


class PartHealth(NamedTuple):
    part: str
    verdict: Verdict
    reason: str


@attrs.frozen
class Health:
    verdict: Verdict
    """The worst of its parts; one lost camera degrades the whole, it does not make it critical."""
    parts: tuple[PartHealth, ...]


def health(state: State, journal_fault: str | None, readings: Mapping[str, Reading] = NO_READINGS) -> Health:
    """The health of everything. `journal_fault` says why the journal cannot write; none when it can.

    `readings` are what the monitors found last, by name; a journal alone has none.
    """
    parts = [
        PartHealth("journal", Verdict.CRITICAL, journal_fault)
        if journal_fault
        else PartHealth("journal", Verdict.OK, "writes")
    ]
    parts += [_camera(name, camera) for name, camera in sorted(state.cameras.items())]
    parts += [
        PartHealth(
            f"child/{name}",
            Verdict.CRITICAL,
            f"pid {child.pid} of {child.camera or 'all cameras'} does not die of SIGKILL",
        )
        for name, child in sorted(state.children.items())
        if child.phase is ChildPhase.UNKILLABLE
    ]
    parts += [_monitor(state, name, reading) for name, reading in sorted(readings.items())]
    parts += [PartHealth(f"alert/{name}", verdict_of(name), alert.text) for name, alert in sorted(state.alerts.items())]
    worst = max((part.verdict for part in parts), key=list(Verdict).index)
    return Health(worst, tuple(parts))


def _camera(name: str, camera: Camera) -> PartHealth:
    part = f"camera/{name}"
    if camera.phase is CameraPhase.LIVE:
        return PartHealth(part, Verdict.OK, "live")
    if camera.phase is CameraPhase.IDLE:
        return PartHealth(part, Verdict.OK, f"rests: {camera.reason.text}" if camera.reason else "rests")
    if camera.reason is None:
        return PartHealth(part, Verdict.OK, "on its first attempt")
    return PartHealth(part, Verdict.DEGRADED, f"{camera.phase.value}: {camera.reason.text}")


def _monitor(state: State, name: str, reading: Reading) -> PartHealth:
    """As its alert says; and something is wrong when it cannot be read."""
    stands = standing(state.alerts, name)
    unread = reading.level is None and stands is Verdict.OK
    return PartHealth(f"monitor/{name}", Verdict.DEGRADED if unread else stands, reading.text)
