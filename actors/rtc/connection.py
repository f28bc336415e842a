"""The WebRTC end of one viewer: ICE, DTLS and SDP by aiortc, on an asyncio loop of this viewer's own.

Rules of this file:
- One `open_loop()` for each viewer. Leaving it is the guarantee that nothing of asyncio's is left, and what crashes in
  it crashes this viewer alone.
- `pc.close()` runs once, shielded, under a deadline: cut short, it would hang every later call.
- Every way a connection can end is a `Reason`; an exception out of here is a bug.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Protocol

import av
import trio
import trio_asyncio
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp
from trio_asyncio import aio_as_trio

from supervisor.domain.values import Fault, Reason
from supervisor.shield import bounded_shield

from ..media import CLOCK_RATE, AccessUnit
from .inside import include_loopback, remember_endpoints, watch_rtcp
from .offer import Candidate, Offer, canonical, widen

logger = logging.getLogger(__name__)

CONNECT_S = 10.0
CLOSE_S = 2.0
SILENT_AFTER_S = 6.0
"""Viewers report about once a second; this many missed reports are worth a word."""

LOOP_ENDED = Reason("crashed", "the connection's event loop ended", Fault.CRASH)

include_loopback()


class Witness(Protocol):
    """Told what becomes of a connection."""

    def answered(self, answer: str) -> None:
        """`answer` is the SDP for the viewer."""
        ...

    def connected(self) -> None: ...

    def silent(self, seconds: float) -> None: ...

    def heard(self, seconds: float) -> None: ...


Receive = Callable[[], Awaitable[AccessUnit]]


async def run_connection(
    offer: Offer,
    receive: Receive,
    candidates: trio.MemoryReceiveChannel[Candidate],
    witness: Witness,
    *,
    ice_servers: tuple[str, ...],
    disconnected_after_s: float,
) -> Reason:
    """Serve one viewer until its connection ends, and say why.

    Cancellation: closes the connection, within `CLOSE_S`. Cleanup: sockets, asyncio tasks and the loop are gone.
    """
    reason = LOOP_ENDED
    try:
        async with _open_connection(ice_servers) as connection:
            with trio.move_on_after(CONNECT_S) as gathering:
                witness.answered(await connection.answer(offer))
            if gathering.cancelled_caught:
                return Reason("never-connected", f"no addresses were gathered within {CONNECT_S:g} s")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.add_candidates, candidates)
                reason = await connection.wait_connected() or reason
                if reason is LOOP_ENDED:
                    witness.connected()
                    nursery.start_soon(connection.pump, receive)
                    reason = await connection.wait_end(witness, disconnected_after_s)
                nursery.cancel_scope.cancel(reason=reason.text)
    except* asyncio.CancelledError:
        # Of tasks that ended with their loop: what ended it is the reason, or the other exception. It must not
        # leave here, for outside of asyncio it means nothing and nobody would catch it.
        logger.debug("asyncio tasks of a viewer ended with their loop")
    return reason


class _Connection:
    """A peer connection on the loop that is open around it."""

    def __init__(self, ice_servers: tuple[str, ...]) -> None:
        servers = [RTCIceServer(urls=url) for url in ice_servers]
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._track = _UnitTrack()
        self._changed = trio.Event()
        self._heard_at = 0.0
        sender = self.pc.addTransceiver(self._track, direction="sendonly").sender
        self._dtls: RTCDtlsTransport = sender.transport
        self._ice = self._dtls.transport
        self._dtls.on("statechange", self._wake)
        self._ice.on("statechange", self._wake)
        watch_rtcp(self._dtls, self._hear)

    async def answer(self, offer: Offer) -> str:
        await aio_as_trio(self.pc.setRemoteDescription)(RTCSessionDescription(canonical(offer), "offer"))
        await aio_as_trio(self.pc.setLocalDescription)()
        return widen(offer, self.pc.localDescription.sdp)

    async def wait_connected(self) -> Reason | None:
        """None once connected; otherwise why it never came to that."""
        with trio.move_on_after(CONNECT_S):
            while self._dtls.state not in ("connected", "failed", "closed") and self._ice.state != "failed":
                await self._wait_change()
        if self._dtls.state == "connected":
            self._hear()
            return None
        if self._dtls.state == "failed":
            return Reason("dtls-failed", "the viewer's certificate did not match its offer, or it spoke no DTLS")
        if self._ice.state == "failed":
            return Reason("ice-failed", "no path to the viewer was found")
        return Reason("never-connected", f"the viewer did not connect within {CONNECT_S:g} s")

    async def wait_end(self, witness: Witness, disconnected_after_s: float) -> Reason:
        """Wait until the viewer closes, is lost, or has been silent for too long."""
        silent, since = False, 0.0
        while self._dtls.state == "connected" and self._ice.state not in ("failed", "closed"):
            silence_s = trio.current_time() - self._heard_at
            if silence_s >= disconnected_after_s:
                return Reason("lost", f"nothing was heard of the viewer for {disconnected_after_s:g} s")
            if not silent and silence_s >= SILENT_AFTER_S:
                silent, since = True, self._heard_at
                witness.silent(round(silence_s, 1))
            elif silent and silence_s < SILENT_AFTER_S:
                silent, since = False, 0.0
                witness.heard(round(self._heard_at - since, 1))
            with trio.move_on_after((disconnected_after_s if silent else SILENT_AFTER_S) - silence_s):
                await self._wait_change()
        if self._ice.state == "failed":
            return Reason("lost", "the viewer answered no more connectivity checks")
        return Reason("left", "the viewer closed the connection", Fault.NONE)

    async def pump(self, receive: Receive) -> None:
        """Hand access units to aiortc, one at a time: the only place where media meets the loop."""
        while True:
            await aio_as_trio(self._track.units.put)(await receive())

    async def add_candidates(self, candidates: trio.MemoryReceiveChannel[Candidate]) -> None:
        async for candidate in candidates:
            await aio_as_trio(self._ice.addRemoteCandidate)(candidate_from_sdp(candidate.line()))

    def _hear(self) -> None:
        was_silent = trio.current_time() - self._heard_at >= SILENT_AFTER_S
        self._heard_at = trio.current_time()
        if was_silent:
            self._wake()

    def _wake(self) -> None:
        self._changed.set()

    async def _wait_change(self) -> None:
        await self._changed.wait()
        self._changed = trio.Event()


@asynccontextmanager
async def _open_connection(ice_servers: tuple[str, ...]) -> AsyncIterator[_Connection]:
    async with trio_asyncio.open_loop() as loop:
        endpoints = remember_endpoints(loop)
        connection = _Connection(ice_servers)
        try:
            yield connection
        finally:
            try:
                with bounded_shield(CLOSE_S):
                    await aio_as_trio(connection.pc.close)()
            finally:
                with bounded_shield(CLOSE_S):
                    await aio_as_trio(_abort)(endpoints)


async def _abort(endpoints: list[asyncio.DatagramTransport]) -> None:
    """Close what `pc.close()` has left open. The sockets themselves are closed by the loop, in its next round."""
    for endpoint in endpoints:
        endpoint.abort()
    await asyncio.sleep(0)


class _UnitTrack(MediaStreamTrack):
    """What aiortc pulls from: access units, passed through."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.units: asyncio.Queue[AccessUnit] = asyncio.Queue(maxsize=1)

    async def recv(self) -> av.Packet:  # type: ignore[type-arg]
        unit = await self.units.get()
        packet = av.Packet(unit.annexb())
        packet.pts = unit.pts
        packet.time_base = Fraction(1, CLOCK_RATE)
        return packet
