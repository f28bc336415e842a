"""Snapshots: the newest key frame as JPEG; a camera at rest is opened to get one.

Rules of this file:
- A key frame is decoded once, regardless of the number of requests. The picture of an MJPEG camera is passed on as it
  is.
- A camera has one connection. A request for a snapshot of a camera at rest begins a use, waits, and ends the use.
- No request waits longer than its patience; its error names the reason why the camera does not answer.
- `web/resources/pictures.py` bounds the requests that wait for cameras, in total and for each client. For each camera,
  one key frame at a time waits for the decoder.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import attrs
import trio

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import LeaseId, UseId, camera_stream
from supervisor.domain.lifecycle import LOST, STREAMING
from supervisor.domain.values import Fault, LeaseKind, Mode, Reason, UseKind
from supervisor.ports.asking import origin_of
from supervisor.ports.decisions import Origin, why_cancelled
from supervisor.ports.viewing import Jpeg

from ..media.decoder.client import Decodes
from ..media.decoder.queue import Undecodable
from ..media.hub import Still
from ..media.jpeg import JPEG
from ..tools import Tools
from .camera import CameraActor

FRESH_S = 10.0
"""How long a snapshot of a camera at rest counts as fresh."""
LEASE_LOOK_S = 1.0
"""An MJPEG stream ends within this time after its lease, whether or not its camera sends."""
PURPOSE = "pictures in a row"
LOSSES = e.CameraWaiting | e.CameraFailed | e.CameraCrashed | e.CameraQuarantined | e.CameraRemoved

DONE = Reason("done", "done with it", Fault.NONE)
GONE = Reason("gone", "the client has left, or its time limit has passed", Fault.NONE)


@attrs.define
class _PicturesOfStream:
    """The pictures of an MJPEG stream."""

    pictures: int = 0
    bytes: int = 0

    def count(self, jpeg: Jpeg) -> Jpeg:
        self.pictures += 1
        self.bytes += len(jpeg.data)
        return jpeg


class Snapshots:
    """Takes the snapshots of all cameras."""

    def __init__(self, tools: Tools, decoder: Decodes) -> None:
        self._tools, self._decoder = tools, decoder

    async def take(self, camera: CameraActor, client: str, max_age_s: float | None, patience_s: float) -> Jpeg:
        """Return the camera's snapshot, at most `max_age_s` seconds old; open the camera if necessary.

        Without `max_age_s`, the newest key frame of a live camera is good enough, whatever its age. Raises `Rejected`
        with the reason why the camera gives none within `patience_s` seconds.

        Cancellation: ends the use of the camera.
        """
        still = camera.hub.still
        if still is None or not self._is_fresh(camera, still, max_age_s):
            still = await self.renew(camera, UseKind.SNAPSHOT, client, patience_s)
        return await self.jpeg_of(camera, still)

    async def recall(self, camera: CameraActor, max_age_s: float | None) -> Jpeg:
        """Return the newest snapshot, at most `max_age_s` seconds old; the camera is not opened.

        Raises `Rejected` when no such snapshot exists.
        """
        self._require_not_private(camera)
        still = camera.hub.still
        if still is None or (max_age_s is not None and self._age_s(still) > max_age_s):
            which = "yet" if still is None else f"of the last {max_age_s:g} s"
            raise Rejected(Refusal.UNKNOWN, f"there is no picture of {camera.name} {which}")
        return await self.jpeg_of(camera, still)

    async def renew(self, camera: CameraActor, kind: UseKind, client: str, patience_s: float) -> Still:
        """Return the camera's next key frame. Errors and cancellation are those of `take`."""
        lost = self._lost(camera)
        if lost is not None:
            raise lost
        async with self._use(camera, kind, client):
            return await self._next_key(camera, patience_s)

    async def watch(
        self, camera: CameraActor, client: str, interval_s: float, patience_s: float
    ) -> AsyncGenerator[Jpeg, None]:
        """Yield every key frame of the camera, at most one per `interval_s` seconds, until the caller stops.

        The first one is current, and comes within `patience_s` seconds. Raises `Rejected` when it does not, or when no
        lease is granted. Ends with the camera or the lease.

        Cancellation: at any time. Cleanup: on cancellation and on closing, the lease is released.
        """
        lease = LeaseId(self._tools.kernel.new_id())
        wish = c.GrantLease(lease, LeaseKind.VIEWER, camera.name, client, purpose=PURPOSE)
        began = self._tools.leases.grant(wish)
        sent = _PicturesOfStream()

        def end(reason: Reason) -> c.Command:
            if lease not in self._tools.kernel.state.leases:  # banken has ended it: its end does not count them
                now = self._tools.kernel.clock.mono_ns() / 1e9
                self._tools.kernel.traces.picture(
                    began.principal, client, camera.name, sent.bytes, now, count=sent.pictures
                )
            return c.EndLease(lease, reason, bytes=sent.bytes)

        async with self._held(camera, began, end):
            still = camera.hub.still
            if still is None or camera.hub.newest_key() is None:
                still = await self._next_key(camera, patience_s)
            yield sent.count(await self.jpeg_of(camera, still))
            while await self._next_while_leased(camera, lease, still.number):
                still = camera.hub.still or still
                with suppress(Rejected):  # the stream continues after a key frame that cannot be decoded
                    yield sent.count(await self.jpeg_of(camera, still))
                await trio.sleep(interval_s)

    async def _next_while_leased(self, camera: CameraActor, lease: LeaseId, seen: int) -> bool:
        """Wait for a key frame after number `seen`. Returns False when the camera is gone or the lease has ended."""
        came = None
        while came is None and lease in self._tools.kernel.state.leases:
            with trio.move_on_after(LEASE_LOOK_S):
                came = await camera.hub.wait_key(seen)
        return bool(came) and lease in self._tools.kernel.state.leases

    @asynccontextmanager
    async def _use(self, camera: CameraActor, kind: UseKind, client: str) -> AsyncIterator[None]:
        """Keep the camera open during the block; one that is always open needs no use."""
        kernel = self._tools.kernel
        known = kernel.state.cameras.get(camera.name)
        if known is not None and known.settings.is_always_open:
            yield
            return
        use = UseId(kernel.new_id())
        origin = Origin(client) if kind is UseKind.PATROL else origin_of(client)
        began = kernel.emit(c.BeginUse(use, camera.name, kind, client), origin=origin).events[0]
        async with self._held(camera, began, partial(c.EndUse, use)):
            yield

    @asynccontextmanager
    async def _held(
        self, camera: CameraActor, began: e.Recorded, end: Callable[[Reason], c.Command]
    ) -> AsyncIterator[None]:
        """End the use or lease that `began` started after the block, with a reason and a cause."""
        kernel, ended, after = self._tools.kernel, GONE, began
        try:
            yield
            ended = DONE
            if camera.ended is not None:
                after = camera.ended.event or began
        except BaseException as error:
            because = await why_cancelled()
            after = (because and because.event) or began
            if isinstance(error, Rejected) and self._lost(camera) is not None:
                after = self._newest_loss(camera) or after
            raise
        finally:
            kernel.emit(end(ended), after=after)

    async def _next_key(self, camera: CameraActor, patience_s: float) -> Still:
        """Wait for a key frame. Raises `Rejected` as soon as the camera is known to deliver none for now."""
        lost: Rejected | None = None

        async def watch_phase(scope: trio.CancelScope) -> None:
            nonlocal lost
            while (lost := self._lost(camera)) is None:
                await self._tools.kernel.wait_change(self._tools.kernel.state.seq)
            scope.cancel(reason="the camera was lost")

        came = False
        with trio.move_on_after(patience_s):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch_phase, nursery.cancel_scope)
                came = await camera.hub.wait_key(camera.hub.keys)
                nursery.cancel_scope.cancel(reason="there is a picture, or there will be none")
        if came and camera.hub.still is not None:
            return camera.hub.still
        text = f"no picture within {patience_s:g} s: {self._why(camera)}"
        raise lost or Rejected(Refusal.UNAVAILABLE, text, 1.0)

    def _lost(self, camera: CameraActor) -> Rejected | None:
        kernel = self._tools.kernel
        known = kernel.state.cameras.get(camera.name)
        if known is None:
            return Rejected(Refusal.UNKNOWN, f"there is no camera {camera.name!r}")
        if (private := self._private(camera)) is not None:
            return private
        if known.phase not in LOST or known.reason is None:
            return None
        wait_s = max(1.0, ((known.retry_at_ns or 0) - kernel.clock.wall_ns()) / 1e9)
        return Rejected(Refusal.UNAVAILABLE, f"{camera.name} is {known.phase.value}: {known.reason.text}", wait_s)

    def _private(self, camera: CameraActor) -> Rejected | None:
        switched = self._tools.kernel.state.private(camera.name)
        if switched is None:
            return None
        return Rejected(Refusal.PRIVATE, f"{camera.name} is private: {switched.reason.text}")

    def _require_not_private(self, camera: CameraActor) -> None:
        if (private := self._private(camera)) is not None:
            raise private

    def _newest_loss(self, camera: CameraActor) -> e.Recorded | None:
        """The event of `_lost`: it was found in the state, and a crash or a removal is not the camera actor's event."""
        return self._tools.kernel.latest(camera_stream(camera.name), of=LOSSES)

    def _why(self, camera: CameraActor) -> str:
        kernel = self._tools.kernel
        known, reason = kernel.state.cameras.get(camera.name), kernel.state.why(camera.name, kernel.clock.wall_ns())
        if known is None:
            return "the camera was removed"
        return reason.text if reason else f"it is {known.phase.value}"

    def _is_fresh(self, camera: CameraActor, still: Still, max_age_s: float | None) -> bool:
        kernel = self._tools.kernel
        known = kernel.state.cameras.get(camera.name)
        if max_age_s is None and known is not None:
            if known.phase in STREAMING and camera.hub.picture is not None:
                return True
            max_age_s = 2 * kernel.state.patrol.every_s if known.settings.mode is Mode.PATROL else FRESH_S
        return self._age_s(still) <= (max_age_s or 0)

    def _age_s(self, still: Still) -> float:
        return (self._tools.kernel.clock.mono_ns() - still.mono_ns) / 1e9

    async def jpeg_of(self, camera: CameraActor, still: Still) -> Jpeg:
        """Return the JPEG of a key frame. Raises `Rejected` when it cannot be decoded now, or the camera is private."""
        self._require_not_private(camera)
        if still.codec is JPEG:
            return Jpeg(still.data, still.wall_ns, round(self._age_s(still), 3))
        async with camera.decoding:
            if camera.decoded is None or camera.decoded[0] is not still:
                try:
                    data = await self._decoder.jpeg(camera.name, still)
                except Undecodable as error:
                    raise Rejected(Refusal.UNAVAILABLE, f"{camera.name}: {error}", max(1.0, error.retry_s)) from None
                self._require_not_private(camera)
                camera.decoded = (still, data)
            data = camera.decoded[1]
        return Jpeg(data, still.wall_ns, round(self._age_s(still), 3))
