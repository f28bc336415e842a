"""Makes pictures of key frames, for actors that want them: a request to the child, and the wait for its answer.

Rules of this file:
- A key frame that is too large is refused before anything is started or queued for it.
- Nobody waits for longer than `JOB_S`; who leaves takes the request along, unless it is being decoded.
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
from .wire import DONE, JPEG, LOOK, Answer, Looked, Request, decode_looked

JOB_S = 12.0
"""For a caller, those before it included."""
TOO_LARGE_S = 60.0
"""A camera is set to another size by hand."""
THUMBNAIL = (320, 180)


class Decodes(Protocol):
    """Makes pictures of key frames."""

    async def jpeg(self, camera: CameraId, still: Still) -> bytes:
        """The picture in its own size. Raises `Undecodable`. Cancellation: at any time."""
        ...

    async def thumbnail(self, camera: CameraId, still: Still) -> bytes:
        """The picture in `THUMBNAIL`, as JPEG. Raises and is cancelled as `jpeg`."""
        ...

    async def look(self, camera: CameraId, still: Still, before: bytes) -> Looked:
        """Where it differs from the grey pixels of the last look; empty at the first, which differs nowhere.

        Waits for motion's share of a core. Raises and is cancelled as `jpeg`.
        """
        ...


class Decoder:
    """The real one. Made once; `run_decoder` does the work."""

    def __init__(self) -> None:
        self.queue, self.waits = Backlog(), Waits()
        self._number = 0
        self._refusals: WeakKeyDictionary[Still, str | None] = WeakKeyDictionary()
        """Why key frames that still exist are not decoded; none for those that may be."""

    async def jpeg(self, camera: CameraId, still: Still) -> bytes:
        return (await self._ask(camera, still, JPEG)).body

    async def thumbnail(self, camera: CameraId, still: Still) -> bytes:
        return (await self._ask(camera, still, JPEG, THUMBNAIL)).body

    async def look(self, camera: CameraId, still: Still, before: bytes) -> Looked:
        return decode_looked((await self._ask(camera, still, LOOK, before=before)).body)

    def _refusal(self, still: Still) -> str | None:
        """Found once for each key frame, however often it is asked for."""
        if still not in self._refusals:
            self._refusals[still] = refusal(still.codec, still.units)
        return self._refusals[still]

    async def _ask(
        self, camera: CameraId, still: Still, kind: int, size: tuple[int, int] = (0, 0), before: bytes = b""
    ) -> Answer:
        refused = self._refusal(still)
        if refused is not None:
            raise Undecodable(refused, TOO_LARGE_S)
        self.waits.check(camera, trio.current_time())
        self._number = (self._number + 1) % (1 << 16)
        job = Job(camera, Request(self._number, kind, still.codec.name, still.data, *size, before))
        self.queue.put(job)
        try:
            with trio.move_on_after(JOB_S if kind == JPEG else math.inf):
                await job.done.wait()
        finally:
            self.queue.discard(job)
        if job.error is not None:
            raise Undecodable(str(job.error), job.error.retry_s)
        if job.answer is None:
            raise Undecodable(f"the decoder did not come to it within {JOB_S:g} s")
        if job.answer.status != DONE:
            raise Undecodable(job.answer.body.decode(errors="replace"))
        return job.answer
