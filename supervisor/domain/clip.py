"""Clips: recorded video that somebody took away.

Rules of this file:
- A clip is journaled before its first byte is sent: whoever has it is in the journal.
- Further requests of the same download are no further clips. The web layer knows them (`web/downloads.py`).
"""

from datetime import UTC, datetime

from .common import Arms, Decisions, Events, require_camera
from .core import FIRST, Command, Event, Severity
from .ids import AUDIT, CameraId
from .rights import Right
from .state import State
from .words import seconds


class TakeClip(Command, frozen=True):
    """Somebody takes recorded video away. The fields are those of `ClipTaken`."""

    camera: CameraId
    began_ns: int
    ended_ns: int
    format: str
    client: str

    sender = "gateway"
    right = Right.REVIEW


class ClipTaken(Event, frozen=True):
    """Somebody took recorded video away, or looked at a picture of it."""

    camera: CameraId
    """Its name in the configuration."""
    began_ns: int
    """Where the clip begins."""
    ended_ns: int
    """Where it ends. For a picture, the same."""
    format: str
    """`mp4`, `h264`, `h265`, `zip`, `hls`, or `jpg` for a picture. One event covers the pictures of an hour."""
    client: str
    """Address of the client, without its port."""

    severity = Severity.NOTICE
    emitters = ("TakeClip",)
    when = "before the first byte is sent; `banken footage clip` reads files, and is not known to any daemon"
    stored = FIRST

    @property
    def stream(self) -> str:
        return AUDIT

    def sentence(self) -> str:
        if self.began_ns == self.ended_ns:
            return f"recorded picture of {self.camera} of {_at(self.began_ns)} sent to {self.client}"
        lasts = seconds((self.ended_ns - self.began_ns) / 1e9)
        return f"clip of {self.camera} taken by {self.client}: {lasts} from {_at(self.began_ns)} on ({self.format})"


def _at(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def take_clip(state: State, command: TakeClip, now_ns: int) -> Events:
    require_camera(state, command.camera)
    return (ClipTaken(command.camera, command.began_ns, command.ended_ns, command.format, command.client),)


DECISIONS: Decisions = {TakeClip: take_clip}
ARMS: Arms = {ClipTaken: lambda s, v, at: {}}
