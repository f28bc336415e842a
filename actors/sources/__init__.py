"""The kinds of sources, as a table. A new kind is a file beside this one and a line here.

A source opens what it is told, publishes access units on the hub and returns the reason why it ended. The world
failing is such a reason; an exception means a bug.
"""

from collections.abc import Awaitable, Callable

import attrs

from supervisor.config import Check, Source
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Reason

from ..hub import Hub
from ..tools import Tools
from . import ffmpeg, file, go2rtc, rtsp, test

Run = Callable[[CameraId, Source, Hub, Tools, Recorded], Awaitable[Reason]]


@attrs.frozen
class Kind:
    """`check` says what is wrong with a source's settings; `run` runs it."""

    check: Check
    run: Run
    forks: bool = True
    """Whether it starts a child process."""


KINDS: dict[str, Kind] = {
    "rtsp": Kind(rtsp.check, rtsp.run, forks=False),
    "ffmpeg": Kind(ffmpeg.check, ffmpeg.run),
    "file": Kind(file.check, file.run),
    "go2rtc": Kind(go2rtc.check, go2rtc.run, forks=False),
    "test": Kind(test.check, test.run),
}
