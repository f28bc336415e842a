"""A verdict for each part of the daemon, with its reason, and one for the whole."""

from enum import StrEnum

import attrs

from .lifecycle import CameraPhase, ChildPhase
from .state import Camera, State


class Verdict(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    CRITICAL = "critical"


@attrs.frozen
class PartHealth:
    part: str
    verdict: Verdict
    reason: str


@attrs.frozen
class Health:
    verdict: Verdict
    """The worst of its parts; one lost camera degrades the whole, it does not make it critical."""
    parts: tuple[PartHealth, ...]


def health(state: State, journal_fault: str | None) -> Health:
    """The health of everything. `journal_fault` says why the journal cannot write; none when it can."""
    parts = [
        PartHealth("journal", Verdict.CRITICAL, journal_fault)
        if journal_fault
        else PartHealth("journal", Verdict.OK, "writes")
    ]
    parts += [_camera(name, camera) for name, camera in sorted(state.cameras.items())]
    parts += [
        PartHealth(f"child/{name}", Verdict.CRITICAL, f"pid {child.pid} of {child.camera} does not die of SIGKILL")
        for name, child in sorted(state.children.items())
        if child.phase is ChildPhase.UNKILLABLE
    ]
    parts += [PartHealth(f"alert/{name}", Verdict.DEGRADED, alert.text) for name, alert in sorted(state.alerts.items())]
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
