"""A viewer that is not a browser: an offer by aiortc, on a separate asyncio loop, in any trio task."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
import trio_asyncio
from aiortc import RTCCertificate, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame
from trio_asyncio import aio_as_trio

from .processes import wait_until


@attrs.define
class Viewer:
    """`offer` is ready at once; after `accept`, decoded frames are counted in `frames` and audio is kept in `heard`."""

    pc: RTCPeerConnection
    offer: str
    nursery: trio.Nursery
    frames: int = 0
    last_ns: int = 0
    """When the newest of them came, in nanoseconds since the epoch."""
    sizes: set[tuple[int, int]] = attrs.field(factory=set)
    heard: deque[AudioFrame] = attrs.field(factory=lambda: deque(maxlen=100))
    """The newest two seconds of audio."""

    async def accept(self, answer: str) -> None:
        await aio_as_trio(self.pc.setRemoteDescription)(RTCSessionDescription(answer, "answer"))

    async def watch(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await aio_as_trio(track.recv)()
            except (MediaStreamError, asyncio.CancelledError):
                return
            if isinstance(frame, AudioFrame):
                self.heard.append(frame)
                continue
            self.frames += 1
            self.last_ns = time.time_ns()
            self.sizes.add((frame.width, frame.height))

    async def wait_frames(self, more: int, within: float = 15) -> None:
        """Wait until `more` further pictures have been decoded."""
        wanted = self.frames + more
        try:
            await wait_until(lambda: self.frames >= wanted, within, what=f"{more} more pictures")
        except TimeoutError as error:
            error.add_note(f"{self.frames} of {wanted} came; the connection is {self.pc.connectionState}")
            raise


@asynccontextmanager
async def open_viewer(*, sound: bool = False, certificate: RTCCertificate | None = None) -> AsyncIterator[Viewer]:
    """`certificate` replaces the one that aiortc makes."""
    async with trio_asyncio.open_loop() as loop:
        endpoints = _remember_endpoints(loop)
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        if certificate is not None:
            vars(pc)["_RTCPeerConnection__certificates"] = [certificate]
        try:
            async with trio.open_nursery() as nursery:
                pc.addTransceiver("video", direction="recvonly")
                if sound:
                    pc.addTransceiver("audio", direction="recvonly")
                await aio_as_trio(pc.setLocalDescription)(await aio_as_trio(pc.createOffer)())
                viewer = Viewer(pc, pc.localDescription.sdp, nursery)
                pc.on("track", lambda track: nursery.start_soon(viewer.watch, track))
                yield viewer
                nursery.cancel_scope.cancel()
        finally:
            with trio.move_on_after(2) as scope:
                scope.shield = True
                await aio_as_trio(pc.close)()
                await aio_as_trio(_abort)(endpoints)


def _remember_endpoints(loop: asyncio.AbstractEventLoop) -> list[asyncio.DatagramTransport]:
    """The endpoints that `loop` opens from now on: aioice forgets those it opened when gathering is cut short."""
    opened: list[asyncio.DatagramTransport] = []
    stock = loop.create_datagram_endpoint

    async def create(*args: Any, **kwargs: Any) -> Any:
        transport, protocol = await stock(*args, **kwargs)
        opened.append(transport)
        return transport, protocol

    loop.create_datagram_endpoint = create  # type: ignore[method-assign]
    return opened


async def _abort(endpoints: list[asyncio.DatagramTransport]) -> None:
    """Close what `pc.close()` has left open; the loop closes the sockets in its next round."""
    for endpoint in endpoints:
        endpoint.abort()
    await asyncio.sleep(0)
