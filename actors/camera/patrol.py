"""The patrol actor: visits the cameras of one group in turn, opens each for one snapshot, and leaves none open.

A camera that is already open gives its snapshot from that connection. Patrol cycles never overlap: cycles that should
have begun during a long one are skipped and counted.
"""

import logging
from collections.abc import Mapping

import trio

from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import STREAMING, CameraPhase
from supervisor.domain.state import State
from supervisor.domain.values import Mode, UseKind
from supervisor.ports.decisions import ACTOR

from ..tools import Tools
from .camera import CameraActor
from .snapshots import Snapshots

logger = logging.getLogger(__name__)

HEAD_START_S = 1.0
"""The longest wait for the cameras' actors, which start with the patrol; one that cannot start delays it no longer."""
CLOSED_S = 10.0
"""The longest wait for a visited camera to close before the next one is opened."""


async def run_patrol(group: str, cameras: Mapping[CameraId, CameraActor], pictures: Snapshots, tools: Tools) -> None:
    """Visit the cameras of `group` in patrol mode, one patrol cycle after the other.

    A camera that leaves the group or becomes private before its visit is skipped, so that each snapshot that a cycle
    reports is of one use.

    Cancellation: ends the use of the camera that is being visited. Cleanup: that of the camera, by its actor.
    """
    kernel = tools.kernel
    with trio.move_on_after(HEAD_START_S):
        while not cameras.keys() >= set(_members(kernel.state, group)):
            await kernel.wait_change(kernel.state.seq)
    due = trio.current_time()
    while True:
        seen: list[CameraId] = []
        missed: list[CameraId] = []
        for name in _members(kernel.state, group):
            if name in cameras and _is_member(kernel.state, name, group):
                took = await _visit(cameras[name], pictures, tools)
                if took or kernel.state.private(name) is None:
                    (seen if took else missed).append(name)
        patrol = kernel.state.patrol
        took_s, every_s = trio.current_time() - due, patrol.every_s
        skipped = int(took_s / every_s)
        kernel.emit(c.ReportPatrol(group, len(seen), tuple(missed), round(took_s, 3), skipped), origin=ACTOR)
        due += (skipped + 1) * every_s
        with trio.move_on_at(due):
            while kernel.state.patrol == patrol:
                await kernel.wait_change(kernel.state.seq)
            due = trio.current_time()


def _members(state: State, group: str) -> list[CameraId]:
    """Return the cameras of a group in the order of the configuration file, without private ones."""
    return [name for name in (known.settings.camera for known in state.in_order()) if _is_member(state, name, group)]


def _is_member(state: State, name: CameraId, group: str) -> bool:
    known = state.cameras.get(name)
    if known is None or state.private(name) is not None:
        return False
    return (known.settings.mode, known.settings.group) == (Mode.PATROL, group)


async def _visit(camera: CameraActor, pictures: Snapshots, tools: Tools) -> bool:
    """Take one snapshot. Returns whether it succeeded, once the camera is closed again or in other use."""
    kernel = tools.kernel
    try:
        await pictures.renew(camera, UseKind.PATROL, "patrol", kernel.state.patrol.patience_s)
        taken = True
    except Rejected as refused:
        logger.info("patrol: %s", refused)
        taken = False
    with trio.move_on_after(CLOSED_S):
        while _is_closing(camera.name, tools):
            await kernel.wait_change(kernel.state.seq)
    return taken


def _is_closing(name: CameraId, tools: Tools) -> bool:
    state = tools.kernel.state
    known = state.cameras.get(name)
    wanted = bool(state.uses_of(state.settings_of([name])))
    return known is not None and not wanted and known.phase in (*STREAMING, CameraPhase.QUEUED)
