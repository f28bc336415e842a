"""Retries of cameras: an attempt that a client requests before its time."""

from msgspec.structs import replace

from ..common import Arms, Changes, Decisions, Events, elapsed_s, require_camera, require_not_private, require_running
from ..core import FIRST, Command, Recorded, Severity
from ..errors import Refusal, Rejected
from ..ids import CameraId
from ..lifecycle import LOST, CameraPhase, leads
from ..restart import PASSWORD, RETRY_AFTER_S
from ..rights import Right
from ..state import State
from .common import CameraEvent, move_camera


class RetryCamera(Command, frozen=True):
    """Probe a camera now that waits for its next attempt.

    After a refused password, the command must be `confirmed`: cameras lock accounts after many attempts.
    """

    camera: CameraId
    client: str
    confirmed: bool = False

    sender = "gateway"
    right = Right.OPERATE


class CameraRetried(CameraEvent, frozen=True):
    """A client requested an attempt now, which ends the wait for the next one.

    The attempt does not count for the limit of four a second after failures.
    """

    client: str
    """Address of the client, without its port."""

    steps = leads(*LOST)
    severity = Severity.NOTICE
    emitters = ("RetryCamera",)
    when = (
        "the camera is waiting, failed or quarantined, and its last attempt is a second ago; after a refused password "
        "only with a confirmation"
    )
    stored = FIRST

    def sentence(self) -> str:
        return f"{self.camera} is tried now: requested by {self.client}"


NOT_RETRIED = {
    CameraPhase.IDLE: "it is idle, and is opened for the next viewer",
    CameraPhase.QUEUED: "it waits for a connection slot on its device",
    CameraPhase.CONNECTING: "it is being tried already",
    CameraPhase.LIVE: "it is live",
    CameraPhase.STALLED: "its connection is open, and is replaced when nothing more comes",
}
"""Why a camera is not tried at once."""


def retry_camera(state: State, command: RetryCamera, now_ns: int) -> Events:
    camera = require_camera(state, command.camera)
    require_running(state)
    require_not_private(state, command.camera)
    if camera.phase in NOT_RETRIED:
        raise Rejected(Refusal.CONFLICT, f"{command.camera} is not tried again: {NOT_RETRIED[camera.phase]}")
    if camera.retried:
        return ()
    wait_s = RETRY_AFTER_S - elapsed_s(camera.since_ns, now_ns)
    if wait_s > 0:
        raise Rejected(Refusal.RATE_LIMITED, f"{command.camera} was tried less than a second ago", wait_s)
    if camera.failed == PASSWORD and not command.confirmed:
        text = (
            f"{command.camera} refused its password: a further attempt may lock the account at the camera, "
            "and needs a confirmation"
        )
        raise Rejected(Refusal.LOCKOUT, text)
    return (CameraRetried(command.camera, command.client),)


def _camera_retried(state: State, event: CameraRetried, at: Recorded) -> Changes:
    before = state.cameras[event.camera]
    due_ns = at.wall_ns if before.retry_at_ns is None else min(before.retry_at_ns, at.wall_ns)
    return move_camera(state, event, at, replace(before, retry_at_ns=due_ns, retried=True))


DECISIONS: Decisions = {
    RetryCamera: retry_camera,
}


ARMS: Arms = {
    CameraRetried: _camera_retried,
}
