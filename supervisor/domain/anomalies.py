"""Finds inconsistent child processes: signs of a bug or of a faulty machine, for people to examine."""

from collections.abc import Collection, Mapping

from .ids import NO_CAMERA, CameraId, ChildId
from .state import TRANSCODERS, State


def anomalies(state: State, running: Collection[CameraId], strays: Collection[ChildId]) -> Mapping[str, str]:
    """Alerts by name: cameras with more than one source, and children whose camera has no actor.

    `running` are the cameras with an actor; `strays` are orphans, which do not count.
    """
    wrong = {}
    for name in sorted({child.camera for child in state.children.values()} - {NO_CAMERA}):
        ours = [child for child in state.children_of(name) if child.child not in strays]
        sources = [child for child in ours if child.purpose not in TRANSCODERS]
        if len(sources) > 1:
            wrong[f"children/{name}"] = f"{name} has {len(sources)} child processes; its one source needs one"
        elif ours and name not in running:
            wrong[f"children/{name}"] = f"pid {ours[0].pid} of {name} is older than its actor, which has ended"
    return wrong
