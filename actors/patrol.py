"""The actor of a patrol: visits the cameras of one group in turn, opens each for one picture, and leaves nothing open.

A camera that is open for somebody else gives its picture from there. A round that takes too long is not overlapped:
the rounds that should have begun meanwhile are skipped, and counted.
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
from supervisor.kernel import ACTOR

from .camera import Camera
from .pictures import Pictures
from .tools import Tools

logger = logging.getLogger(__name__)

HEAD_START_S = 1.0
"""The cameras' actors are started at the same time as we are; one that cannot start holds up no other for longer."""
CLOSED_S = 10.0
"""A visited camera is waited for so long before the next one is opened."""


async def run_patrol(group: str, cameras: Mapping[CameraId, Camera], pictures: Pictures, tools: Tools) -> None:
    """Visit the cameras of `group` in patrol mode, round after round.

    Cancellation: lets go of the camera that is being visited. Cleanup: the camera's own, by its actor.
    """
    kernel = tools.kernel
    with trio.move_on_after(HEAD_START_S):
        while not _members(kernel.state, group) <= cameras.keys():
            await kernel.wait_change(kernel.state.seq)
    due = trio.current_time()
    while True:
        seen: list[CameraId] = []
        missed: list[CameraId] = []
        for name in sorted(_members(kernel.state, group)):
            if name in cameras:
                took = await _visit(cameras[name], pictures, tools)
                (seen if took else missed).append(name)
        patrol = kernel.state.patrol
        took_s, every_s = trio.current_time() - due, patrol.every_s
        skipped = int(took_s / every_s)
        report = c.ReportPatrol(group, len(seen), tuple(missed), round(took_s, 3), skipped)
        ended = kernel.emit(report, origin=ACTOR).last
        alert = f"patrol/{group}"
        if missed:
            text = f"the patrol of {group} gets no picture of {', '.join(missed)}"
            kernel.emit(c.RaiseAlert(alert, text), after=ended)
        else:
            kernel.emit(c.ClearAlert(alert), after=ended)
        due += (skipped + 1) * every_s
        with trio.move_on_at(due):
            while kernel.state.patrol == patrol:
                await kernel.wait_change(kernel.state.seq)
            due = trio.current_time()


def _members(state: State, group: str) -> set[CameraId]:
    members = (known.settings for known in state.cameras.values())
    return {known.camera for known in members if known.mode is Mode.PATROL and known.group == group}


async def _visit(camera: Camera, pictures: Pictures, tools: Tools) -> bool:
    """Whether there is a new picture of the camera. Returns when the camera is closed again, or somebody else's."""
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
