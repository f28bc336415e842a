"""What does not fit together among the child processes: signs of a bug or of a sick machine, for people to look at."""

from collections.abc import Collection, Mapping

from .ids import NO_CAMERA, CameraId, ChildId
from .state import SOUND, State


def anomalies(state: State, running: Collection[CameraId], strays: Collection[ChildId]) -> Mapping[str, str]:
    """Alerts by name: cameras with more than one source, and children whose camera has no actor (any more)."""
    wrong = {}
    for name in sorted({child.camera for child in state.children.values()} - {NO_CAMERA}):
        ours = [child for child in state.children_of(name) if child.child not in strays]
        sources = [child for child in ours if child.purpose != SOUND]
        if len(sources) > 1:
            wrong[f"children/{name}"] = f"{name} has {len(sources)} child processes; its one source needs one"
        elif ours and name not in running:
            wrong[f"children/{name}"] = f"pid {ours[0].pid} of {name} is older than its actor, which has ended"
    return wrong
