"""Ends the requests to record whose time is up.

Rules of this file:
- The end of a request is a time of day: the clock is read again at each look, since it may be set.
"""

import math

import trio

from ..domain import commands as c
from ..ports.decisions import Origin
from ..runtime.kernel import Kernel

LOOK_S = 10.0
"""The longest time between two looks while a request has an end."""
LEAST_S = 0.05


class RecordingRequests:
    """Made once by the daemon."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def run(self) -> None:
        """Look when a request comes or ends, and when its time is up, until it is cancelled.

        Cancellation: at any time. Cleanup: nothing is held; requests outlive it.
        """
        kernel = self._kernel
        while True:
            next_ns, known = self.look(), kernel.state.recording_requests
            wait_s = math.inf
            if next_ns is not None:
                wait_s = max(LEAST_S, min(LOOK_S, (next_ns - kernel.clock.wall_ns()) / 1e9))
            with trio.move_on_after(wait_s):
                while kernel.state.recording_requests is known:
                    await kernel.wait_change(kernel.state.seq)

    def look(self) -> int | None:
        """End each request whose time is up. Returns when the next one ends, if one does."""
        now_ns, coming = self._kernel.clock.wall_ns(), []
        for camera, request in sorted(self._kernel.state.recording_requests.items()):
            if request.until_ns is None:
                continue
            if request.until_ns > now_ns:
                coming.append(request.until_ns)
            else:
                self._kernel.emit(c.EndRecordingRequest(camera), origin=Origin("system", request.correlation))
        return min(coming, default=None)
