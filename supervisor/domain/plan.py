"""`plan(state)`: which actors should run. Reconciling starts and stops the difference."""

import attrs

from .ids import CameraId, PeerId
from .lifecycle import PeerPhase
from .state import State
from .values import CameraSettings, Mode, Reason


@attrs.frozen
class Plan:
    """What should run, by name; and which viewers should not, with the reason they are told."""

    cameras: dict[CameraId, CameraSettings]
    uses: dict[CameraId, str]
    """What cameras are to be open for now; those that are to rest are not in it."""
    patrols: frozenset[str]
    """Groups of cameras that are visited in turn."""
    leaving: dict[PeerId, Reason]


def plan(state: State) -> Plan:
    """What should run in `state`. A daemon that stops, or has not begun, wants nothing to run."""
    if state.stopping or state.run is None:
        return Plan({}, {}, frozenset(), {})
    cameras = {name: camera.settings for name, camera in state.cameras.items()}
    return Plan(
        cameras={name: cameras[name] for name in sorted(cameras)},
        uses=state.uses_of(cameras.values()),
        patrols=frozenset(settings.group for settings in cameras.values() if settings.mode is Mode.PATROL),
        leaving={
            peer.peer: peer.reason
            for _, peer in sorted(state.peers.items())
            if peer.phase is PeerPhase.CLOSING and peer.reason is not None
        },
    )
