"""Results of the analyses: frozen values, and the one that they share."""

from ..domain.describe import describe
from ..domain.events import ChildEnded, Recorded
from ..domain.ids import CameraId
from ..ports.past import Step


def camera_of(recorded: Recorded) -> CameraId | None:
    """The camera that an event is about, if it is about one."""
    return getattr(recorded.event, "camera", None)


def step_of(recorded: Recorded, before: Recorded | None = None) -> Step:
    severity, text = describe(recorded.event)
    return Step(
        recorded.seq,
        recorded.wall_ns,
        recorded.type,
        recorded.stream,
        camera_of(recorded),
        recorded.cause,
        recorded.correlation,
        recorded.principal,
        severity,
        text,
        after_s=between_s(before, recorded),
        stderr=recorded.event.stderr_tail if isinstance(recorded.event, ChildEnded) else (),
    )


def between_s(before: Recorded | None, after: Recorded) -> float:
    """The time between two events: by the clock that is never set, while they are of one run."""
    if before is None:
        return 0.0
    if before.run == after.run:
        return round((after.mono_ns - before.mono_ns) / 1e9, 3)
    return round((after.wall_ns - before.wall_ns) / 1e9, 3)
