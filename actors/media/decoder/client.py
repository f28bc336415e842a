"""The decoder's interface for other actors: send a key frame to the child, and wait for the JPEG or the look.

Rules of this file:
- A key frame that is too large is refused before anything is started or queued for it.
- No caller of a JPEG waits longer than `JOB_S`. A caller that is cancelled removes its request, unless the child is
  already decoding it.
"""

import math
from typing import Protocol
from weakref import WeakKeyDictionary

import trio

from supervisor.domain.ids import CameraId

from ..hub import Still
from .limits import refusal
from .queue import Backlog, Job, Undecodable
from .waits import Waits
from .wire import DONE, JPEG, LOOK, DecoderAnswer, DecoderRequest, Looked, decode_looked

JOB_S = 12.0
"""Seconds for one caller, including the jobs in front of it."""
TOO_LARGE_S = 60.0
"""Seconds until a retry: only an operator changes a camera's size."""
THUMBNAIL = (320, 180)


class Decodes(Protocol):
    """Decodes key frames."""

    async def jpeg(self, camera: CameraId, still: Still) -> bytes:
        """Return the frame in its own size, as JPEG. Raises `Undecodable`. Cancellation: at any time."""
        ...

    async def thumbnail(self, camera: CameraId, still: Still) -> bytes:
        """Return the frame in the size `THUMBNAIL`, as JPEG. Raises and is cancelled as `jpeg`."""
        ...

    async def scaled(self, camera: CameraId, still: Still, size: tuple[int, int]) -> bytes:
        """Return the frame in another size, as JPEG. Raises and is cancelled as `jpeg`."""
        ...

    async def look(self, camera: CameraId, still: Still, before: bytes) -> Looked:
        """Return where the frame differs from `before`, the grey pixels of the last look. None for an empty `before`.

        Waits for motion's share of a core. Raises and is cancelled as `jpeg`.
        """
        ...


class Decoder:
    """The implementation for the daemon. There is one instance; `run_decoder` does the work."""

    def __init__(self) -> None:
        self.queue, self.waits = Backlog(), Waits()
        self._number = 0
        self._refusals: WeakKeyDictionary[Still, str | None] = WeakKeyDictionary()
        """The reason why a key frame that still exists is not decoded; None for a key frame that may be."""

    async def jpeg(self, camera: CameraId, still: Still) -> bytes:
        return (await self._ask(camera, still, JPEG)).body

    async def thumbnail(self, camera: CameraId, still: Still) -> bytes:
        return await self.scaled(camera, still, THUMBNAIL)

    async def scaled(self, camera: CameraId, still: Still, size: tuple[int, int]) -> bytes:
        return (await self._ask(camera, still, JPEG, size)).body

    async def look(self, camera: CameraId, still: Still, before: bytes) -> Looked:
        return decode_looked((await self._ask(camera, still, LOOK, before=before)).body)

    def _refusal(self, still: Still) -> str | None:
        """Return the refusal of a key frame. It is computed once for each key frame."""
        if still not in self._refusals:
            self._refusals[still] = refusal(still.codec, still.units)
        return self._refusals[still]

    async def _ask(
        self, camera: CameraId, still: Still, kind: int, size: tuple[int, int] = (0, 0), before: bytes = b""
    ) -> DecoderAnswer:
        refused = self._refusal(still)
        if refused is not None:
            raise Undecodable(refused, TOO_LARGE_S)
        self.waits.check(camera, trio.current_time())
        self._number = (self._number + 1) % (1 << 16)
        job = Job(camera, DecoderRequest(self._number, kind, still.codec.name, still.data, *size, before))
        self.queue.put(job)
        try:
            with trio.move_on_after(JOB_S if kind == JPEG else math.inf):
                await job.done.wait()
        finally:
            self.queue.discard(job)
        if job.error is not None:
            raise Undecodable(str(job.error), job.error.retry_s)
        if job.answer is None:
            raise Undecodable(f"the decoder did not start it within {JOB_S:g} s")
        if job.answer.status != DONE:
            raise Undecodable(job.answer.body.decode(errors="replace"))
        return job.answer
