"""`plan(state)`: the actors that should run. Reconciling starts and stops the difference."""

from collections.abc import Mapping

import attrs

from .ids import CameraId, PeerId
from .lifecycle import PeerPhase
from .state import Privacy, State
from .values import CameraSettings, Mode, Reason


@attrs.frozen
class Plan:
    """The actors that should run, by name, and the peers that should end, with the reason for each."""

    cameras: dict[CameraId, CameraSettings]
    uses: dict[CameraId, str]
    """The use for which each camera is open now. Cameras that should be closed are not in it."""
    patrols: frozenset[str]
    """Groups of cameras that are visited in patrol cycles."""
    leaving: dict[PeerId, Reason]
    private: Mapping[CameraId, Privacy] = attrs.field(factory=dict)
    """The cameras that are closed at once."""


def plan(state: State) -> Plan:
    """The plan for `state`. It is empty if the daemon is stopping or has not begun."""
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
        private=state.private_cameras(),
    )
