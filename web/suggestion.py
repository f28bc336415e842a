"""The suggestions as clients read them. They are part of the state, also if the part `detections` is off."""

from supervisor.domain import state
from supervisor.domain.ids import CameraId, DetectionId, LeaseId
from supervisor.ports.snapshot import Snapshot

from .json import Answer, Share, Time, iso


class Suggestion(Answer, frozen=True):
    """A camera that all pages show now, with its newest detection."""

    lease: LeaseId
    camera: CameraId
    label: str
    score: Share
    since: Time
    until: Time
    remaining_s: float
    detection: DetectionId
    time: Time
    """When the detection was seen."""
    by: str
    box: tuple[float, ...] | None
    """`[x, y, width, height]`, as shares of the picture."""
    image: str | None
    """Relative to `/api/detections`. The picture may be gone."""


def suggestions(snapshot: Snapshot) -> list[Suggestion]:
    """Return the suggestions that all pages show now, newest first, with their remaining time."""
    return [_of(shown, snapshot.now_ns) for shown in snapshot.state.suggestions if shown.until_ns > snapshot.now_ns]


def _of(shown: state.Suggestion, now_ns: int) -> Suggestion:
    return Suggestion(
        lease=shown.lease,
        camera=shown.camera,
        label=shown.label,
        score=shown.score,
        since=iso(shown.since_ns),
        until=iso(shown.until_ns),
        remaining_s=round((shown.until_ns - now_ns) / 1e9, 3),
        detection=shown.detection,
        time=iso(shown.at_ns or shown.since_ns),
        by=shown.by,
        box=shown.box or None,
        image=f"detections/{shown.detection}/image.jpg" if shown.pictured else None,
    )
