"""The WebRTC end of one peer: ICE and DTLS by aiortc, on a separate asyncio loop.

Rules of this file:
- One `open_loop()` for each peer. Leaving it guarantees that no asyncio task is left. A crash ends only this peer.
- Closing runs once, shielded, under a deadline. If it were interrupted, every later call would hang.
- Media does not pass through this file: once connected, the fan-out sends with the peer's socket and keys.
- Every end of a connection is a `Reason`. An exception that leaves this file is a bug.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio_asyncio
from aiortc import RTCDtlsFingerprint, RTCDtlsParameters, RTCIceGatherer, RTCIceParameters, RTCIceTransport
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp
from trio_asyncio import aio_as_trio

from supervisor.base.shield import bounded_shield
from supervisor.domain.values import Fault, Reason

from .answer import Local, Ssrcs, is_server, write_answer
from .deferred import Witness
from .dtls import Dtls, certificate
from .endpoint import Endpoints
from .fanout import Joinable
from .fanout_peer import FanoutPeer
from .library_internals import Wire, has_lost_path, include_loopback, rank_candidates, take_roles
from .offer import Candidate, SdpOffer
from .pacing import Pacer
from .path import Path
from .reflexive import gather_reflexive
from .sender import Sender

logger = logging.getLogger(__name__)

CONNECT_S = 20.0
"""A DTLS flight is repeated after 1, 2, 4 and 8 s: the handshake survives four losses of the same flight."""
CLOSE_S = 2.0
SILENT_AFTER_S = 8.0
"""Viewers report about once a second, and are checked every 4 to 6 s: after 8 s, at least one answer is missing."""

LOOP_ENDED = Reason("crashed", "the connection's event loop ended", Fault.CRASH)

include_loopback()
_pacer = Pacer(time.monotonic)
"""One for all peers, because all of them could name the same third-party address."""


async def run_connection(
    offer: SdpOffer,
    fanout: Joinable,
    candidates: trio.MemoryReceiveChannel[Candidate],
    witness: Witness,
    *,
    ice_servers: tuple[str, ...],
    disconnected_after_s: float,
) -> Reason:
    """Serve one viewer until its connection ends. Returns the reason.

    Args:
        candidates: the viewer's trickled candidates.
        witness: gets the SDP answer and the changes of the connection.
        ice_servers: URLs like `stun:HOST:PORT`.
        disconnected_after_s: seconds of silence after which the viewer is lost.

    Cancellation: closes the connection, within `CLOSE_S`. Cleanup: the fan-out has removed the peer; sockets, asyncio
    tasks and the loop are closed.
    """
    reason = LOOP_ENDED
    try:
        async with _open_connection(offer, ice_servers) as connection:
            with trio.move_on_after(CONNECT_S) as gathering:
                witness.answered(await connection.answer())
            if gathering.cancelled_caught:
                return Reason("never-connected", f"no addresses were gathered within {CONNECT_S:g} s")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.add_candidates, candidates)
                reason = await connection.connect() or reason
                if reason is LOOP_ENDED:
                    viewer = fanout.add(connection.sender)
                    try:
                        witness.connected(viewer)
                        reason = await connection.wait_end(viewer, witness, disconnected_after_s)
                    finally:
                        fanout.remove(viewer)
                nursery.cancel_scope.cancel(reason=reason.text)
    except* asyncio.CancelledError:
        # From tasks that ended with their loop. The reason, or the other exception, explains the end. This one must not
        # leave here, because nobody outside of asyncio catches it.
        logger.debug("asyncio tasks of a viewer ended with their loop")
    return reason


class _Connection:
    """Transport and sender of one peer, on the loop that is open around it."""

    def __init__(self, offer: SdpOffer, ice_servers: tuple[str, ...], endpoints: Endpoints) -> None:
        self._offer, self._endpoints, self._ice_servers = offer, endpoints, ice_servers
        self._gatherer = RTCIceGatherer([])
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = Dtls(self._ice, certificate())
        self._path = endpoints.path = Path(self._ice, self._hear_check, _pacer)
        self._path.released, self._path.strangers = endpoints.release, offer.strangers
        self._changed = trio.Event()
        self._heard_at = 0.0
        self._wire: Wire | None = None
        self.sender = Sender(offer)
        take_roles(self._dtls, server=is_server(offer), controlling=offer.lite)
        self._dtls.on("statechange", self._wake)
        self._ice.on("statechange", self._wake)

    async def answer(self) -> str:
        """Gather the local candidates and return the SDP answer."""
        await aio_as_trio(self._gatherer.gather)()
        await gather_reflexive(self._ice, self._path, self._ice_servers)
        rank_candidates(self._ice)
        ours = self._gatherer.getLocalParameters()
        fingerprint = next(f for f in self._dtls.getLocalParameters().fingerprints if f.algorithm == "sha-256")
        candidates = tuple(map(candidate_to_sdp, self._gatherer.getLocalCandidates()))
        local = Local(ours.usernameFragment or "", ours.password or "", f"sha-256 {fingerprint.value}", candidates)
        sender = self.sender
        audio = sender.audio.ssrc if sender.audio else 0
        return write_answer(self._offer, local, Ssrcs(sender.video.ssrc, sender.rtx.ssrc, audio))

    async def connect(self) -> Reason | None:
        """Connect by ICE and DTLS. Returns None once connected, or the reason why it failed."""
        offer, waited_for = self._offer, "the viewer did not connect"
        with trio.move_on_after(CONNECT_S):
            for candidate in offer.candidates:
                await self._add(candidate)
            theirs = RTCIceParameters(usernameFragment=offer.ufrag, password=offer.pwd, iceLite=offer.lite)
            await aio_as_trio(self._ice.start)(theirs)
            if self._ice.state != "completed":
                return Reason("ice-failed", "no path to the viewer was found")
            await aio_as_trio(self._path.resume_checks)()
            waited_for = "a path to the viewer was found, but DTLS did not complete"
            prints = [RTCDtlsFingerprint(algorithm, value) for algorithm, value in offer.fingerprints]
            await aio_as_trio(self._dtls.start)(RTCDtlsParameters(fingerprints=prints))
            if self._dtls.state != "connected":
                return Reason("dtls-failed", self._dtls.failure)
            self._path.complete()
            self._heard_at = trio.current_time()
            self._wire = Wire(self._dtls)
            self.sender.open(self._wire)
            self._endpoints.take_rtcp(self._hear)
            return None
        return Reason("never-connected", f"{waited_for} within {CONNECT_S:g} s")

    async def wait_end(self, viewer: FanoutPeer, witness: Witness, disconnected_after_s: float) -> Reason:
        """Wait until the viewer closes, is lost, is silent too long, or can receive nothing more. Returns why."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._wake_at_end, viewer)
            reason = await self._wait_end(viewer, witness, disconnected_after_s)
            nursery.cancel_scope.cancel(reason=reason.text)
        return reason

    async def _wake_at_end(self, viewer: FanoutPeer) -> None:
        await viewer.wait_end()
        self._wake()

    async def _wait_end(self, viewer: FanoutPeer, witness: Witness, disconnected_after_s: float) -> Reason:
        silent, since = False, 0.0
        while self._dtls.state == "connected" and self._ice.state not in ("failed", "closed"):
            if viewer.has_ended:
                return await viewer.wait_end()
            silence_s = trio.current_time() - self._heard_at
            if silence_s >= disconnected_after_s:
                return Reason("lost", f"nothing was heard of the viewer for {disconnected_after_s:g} s")
            if not silent and silence_s >= SILENT_AFTER_S:
                silent, since = True, self._heard_at
                witness.silent(round(silence_s, 1))
            elif silent and silence_s < SILENT_AFTER_S:
                silent = False
                witness.heard(round(self._heard_at - since, 1))
            look_s = disconnected_after_s if silent else min(SILENT_AFTER_S, disconnected_after_s)
            with trio.move_on_after(look_s - silence_s):
                await self._wait_change()
        if has_lost_path(self._ice):
            return Reason("lost", "the viewer answered no more connectivity checks")
        return Reason("left", "the viewer closed the connection", Fault.NONE)

    async def add_candidates(self, candidates: trio.MemoryReceiveChannel[Candidate]) -> None:
        """Add trickled candidates until their channel is closed. Cancellation: at any time."""
        async for candidate in candidates:
            await self._add(candidate)

    async def _add(self, candidate: Candidate) -> None:
        await aio_as_trio(self._ice.addRemoteCandidate)(candidate_from_sdp(candidate.line()))

    async def close(self) -> None:
        await aio_as_trio(self._dtls.stop)()
        await aio_as_trio(self._ice.stop)()

    def _hear(self, packet: bytes, protocol: Any, source: tuple[str, int]) -> None:
        """Handle RTCP from `source`. A packet that the keys do not open proves neither life nor address."""
        data = self._wire.unprotect_rtcp(packet) if self._wire else None
        if data is None:
            return
        self._hear_check()
        if self._path.take_rtcp(protocol, source):
            self.sender.find_route()
        self.sender.receive_rtcp(data)

    def _hear_check(self) -> None:
        """Note a sign of life: the viewer has sent a report, an answer to a check, or a check."""
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
async def _open_connection(offer: SdpOffer, ice_servers: tuple[str, ...]) -> AsyncIterator[_Connection]:
    async with trio_asyncio.open_loop() as loop, trio.open_nursery() as nursery:
        endpoints = Endpoints(loop, nursery)
        connection = _Connection(offer, ice_servers, endpoints)
        try:
            yield connection
        finally:
            try:
                with bounded_shield(CLOSE_S):
                    await connection.close()
            finally:
                endpoints.close()
