"""The table of source kinds. A new kind is a file in this folder and a line here.

A source opens its configured input, publishes access units on the hub and returns the reason why it ended. External
failures are such reasons; an exception means a bug. The cause of its events is carried (`Kernel.following`).
"""

from collections.abc import Awaitable, Callable

import attrs

from supervisor.config.config import Check, Source
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Reason

from ..media.hub import Hub
from ..tools import Tools
from . import ffmpeg, file, go2rtc, rtsp, shm, test

Run = Callable[[CameraId, Source, Hub, Tools], Awaitable[Reason]]


@attrs.frozen
class Kind:
    """A kind of source: `check` returns the error in a source's settings, or None; `run` runs the source."""

    check: Check
    run: Run
    forks: bool = True
    """Whether the source starts a child process."""


KINDS: dict[str, Kind] = {
    "rtsp": Kind(rtsp.check, rtsp.run, forks=False),
    "ffmpeg": Kind(ffmpeg.check, ffmpeg.run),
    "file": Kind(file.check, file.run),
    "go2rtc": Kind(go2rtc.check, go2rtc.run, forks=False),
    "shm": Kind(shm.check, shm.run, forks=False),
    "test": Kind(test.check, test.run),
}
