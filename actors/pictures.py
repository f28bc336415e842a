"""Pictures of cameras: the newest key frame as JPEG, and opening a camera that rests to get one.

Rules of this file:
- A key frame is decoded once, whoever asks.
- There is one connection to a camera. Whoever needs a picture of one that rests says so, waits, and lets go again.
- Nobody waits longer than his patience, and what keeps the camera from answering is what he is told.
- How many may wait for cameras, in all and for each client, is bounded where clients ask (`web/pictures.py`). Of each
  camera, one picture at a time waits for the decoder.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import trio

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import SYSTEM, LeaseId, UseId, camera_stream
from supervisor.domain.lifecycle import LOST, STREAMING
from supervisor.domain.values import Fault, LeaseKind, Mode, Reason, UseKind
from supervisor.gateway import Jpeg
from supervisor.kernel import Origin, why_cancelled

from .camera import Camera
from .decoder.queue import Undecodable
from .hub import Still
from .tools import Tools

FRESH_S = 10.0
"""A picture of a camera that rests is good for so long."""
LEASE_LOOK_S = 1.0
"""A stream of pictures is over this soon after its lease, whether its camera sends or not."""
PURPOSE = "pictures in a row"
LOSSES = e.CameraWaiting | e.CameraFailed | e.CameraCrashed | e.CameraQuarantined | e.CameraRemoved

DONE = Reason("done", "done with it", Fault.NONE)
GONE = Reason("gone", "whoever asked has left, or has waited long enough", Fault.NONE)


class Pictures:
    """Takes the pictures of all cameras."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def take(self, camera: Camera, client: str, max_age_s: float | None, patience_s: float) -> Jpeg:
        """The camera's picture, no older than `max_age_s`; opens the camera if it must.

        Without `max_age_s` the newest picture of a camera that is live is good enough, whatever its age.
        Raises `Rejected` with what keeps the camera from giving one. Cancellation: the camera is let go.
        """
        still = camera.hub.still
        if still is None or not self._is_fresh(camera, still, max_age_s):
            still = await self.renew(camera, UseKind.SNAPSHOT, client, patience_s)
        return await self._develop(camera, still)

    async def recall(self, camera: Camera, max_age_s: float | None) -> Jpeg:
        """The newest picture that there is, no older than `max_age_s`; nobody is asked for another one.

        Raises `Rejected` when there is none.
        """
        still = camera.hub.still
        if still is None or (max_age_s is not None and self._age_s(still) > max_age_s):
            which = "yet" if still is None else f"of the last {max_age_s:g} s"
            raise Rejected(Refusal.UNKNOWN, f"there is no picture of {camera.name} {which}")
        return await self._develop(camera, still)

    async def renew(self, camera: Camera, kind: UseKind, client: str, patience_s: float) -> Still:
        """The camera's next key frame. Raises and is cancelled as `take`."""
        lost = self._lost(camera)
        if lost is not None:
            raise lost
        async with self._use(camera, kind, client):
            return await self._next_key(camera, patience_s)

    async def watch(
        self, camera: Camera, client: str, interval_s: float, patience_s: float
    ) -> AsyncGenerator[Jpeg, None]:
        """Every key frame of the camera, but at most one in `interval_s`, for as long as the caller goes on.

        The first one is of now, and comes within `patience_s`. Raises `Rejected` when it does not, or when there is no
        place. Ends with the camera. Cancellation and closing give the place back.
        """
        lease = LeaseId(self._tools.kernel.new_id())
        grant = c.GrantLease(lease, LeaseKind.VIEWER, camera.name, client, purpose=PURPOSE)
        began = self._tools.leases.lend(grant)
        async with self._held(camera, began, partial(c.EndLease, lease)):
            still = camera.hub.still
            if still is None or camera.hub.newest_key() is None:
                still = await self._next_key(camera, patience_s)
            yield await self._develop(camera, still)
            while await self._next_while_leased(camera, lease, still.number):
                still = camera.hub.still or still
                with suppress(Rejected):  # a picture that cannot be decoded is no reason to end
                    yield await self._develop(camera, still)
                await trio.sleep(interval_s)

    async def _next_while_leased(self, camera: Camera, lease: LeaseId, seen: int) -> bool:
        """Wait for a key frame after number `seen`. False when the camera is gone, or the lease has been ended."""
        came = None
        while came is None and lease in self._tools.kernel.state.leases:
            with trio.move_on_after(LEASE_LOOK_S):
                came = await camera.hub.wait_key(seen)
        return bool(came) and lease in self._tools.kernel.state.leases

    @asynccontextmanager
    async def _use(self, camera: Camera, kind: UseKind, client: str) -> AsyncIterator[None]:
        """Have the camera open for the length of the block; one that is always open needs no asking."""
        kernel = self._tools.kernel
        known = kernel.state.cameras.get(camera.name)
        if known is not None and known.settings.mode is Mode.ALWAYS:
            yield
            return
        use = UseId(kernel.new_id())
        origin = Origin(client if kind is UseKind.PATROL else f"client:{client}")
        began = kernel.emit(c.BeginUse(use, camera.name, kind, client), origin=origin).events[0]
        async with self._held(camera, began, partial(c.EndUse, use)):
            yield

    @asynccontextmanager
    async def _held(self, camera: Camera, began: e.Recorded, end: Callable[[Reason], c.Command]) -> AsyncIterator[None]:
        """What has begun with this event is ended after the block, with a reason and its cause."""
        kernel, ended, after = self._tools.kernel, GONE, began
        try:
            yield
            ended = DONE
            if camera.hub.is_closed:
                after = kernel.latest(SYSTEM, camera_stream(camera.name), of=e.CameraRemoved | e.RunStopping) or after
        except BaseException as error:
            after = kernel.latest(began.stream, because=await why_cancelled()) or began
            if isinstance(error, Rejected) and self._lost(camera) is not None:
                after = kernel.latest(camera_stream(camera.name), of=LOSSES) or after
            raise
        finally:
            kernel.emit(end(ended), after=after)

    async def _next_key(self, camera: Camera, patience_s: float) -> Still:
        """Wait for a key frame; raises `Rejected` as soon as the camera is known to give none for now."""
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

    def _lost(self, camera: Camera) -> Rejected | None:
        kernel = self._tools.kernel
        known = kernel.state.cameras.get(camera.name)
        if known is None:
            return Rejected(Refusal.UNKNOWN, f"there is no camera {camera.name!r}")
        if known.phase not in LOST or known.reason is None:
            return None
        wait_s = max(1.0, ((known.retry_at_ns or 0) - kernel.clock.wall_ns()) / 1e9)
        return Rejected(Refusal.UNAVAILABLE, f"{camera.name} is {known.phase.value}: {known.reason.text}", wait_s)

    def _why(self, camera: Camera) -> str:
        kernel = self._tools.kernel
        known, reason = kernel.state.cameras.get(camera.name), kernel.state.why(camera.name, kernel.clock.wall_ns())
        if known is None:
            return "the camera was removed"
        return reason.text if reason else f"it is {known.phase.value}"

    def _is_fresh(self, camera: Camera, still: Still, max_age_s: float | None) -> bool:
        kernel = self._tools.kernel
        known = kernel.state.cameras.get(camera.name)
        if max_age_s is None and known is not None:
            if known.phase in STREAMING and camera.hub.picture is not None:
                return True
            max_age_s = 2 * kernel.state.patrol.every_s if known.settings.mode is Mode.PATROL else FRESH_S
        return self._age_s(still) <= (max_age_s or 0)

    def _age_s(self, still: Still) -> float:
        return (self._tools.kernel.clock.mono_ns() - still.mono_ns) / 1e9

    async def _develop(self, camera: Camera, still: Still) -> Jpeg:
        async with camera.developing:
            if camera.developed is None or camera.developed[0] is not still:
                try:
                    data = await self._tools.decoder.jpeg(camera.name, still)
                except Undecodable as error:
                    raise Rejected(Refusal.UNAVAILABLE, f"{camera.name}: {error}", max(1.0, error.retry_s)) from None
                camera.developed = (still, data)
            data = camera.developed[1]
        return Jpeg(data, still.wall_ns, round(self._age_s(still), 3))
