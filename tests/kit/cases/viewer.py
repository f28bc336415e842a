"""A WHEP client that decodes nothing: it takes H.264 and H.265 and hands on each RTP packet, decrypted.

ICE and DTLS are aiortc's, on an asyncio loop of the viewer's own; the offer is ours, because aiortc has no H.265.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import aioice.ice
import trio
import trio_asyncio
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket
from aiortc.sdp import SessionDescription, candidate_to_sdp
from trio_asyncio import aio_as_trio

from ..http import Answer, request
from .units import Units

CODECS = {96: "h264", 98: "h265"}
"""The payload types of the offer."""
CONNECT_S = 10.0
CLOSE_S = 3.0
REPORT_EVERY_S = 1.0
POLL_S = 0.05
RETRY_S = 1.0

_stock_addresses = aioice.ice.get_host_addresses


def _addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """With loopback where there is nothing else: aioice leaves it out."""
    return _stock_addresses(use_ipv4, use_ipv6) or (["127.0.0.1"] if use_ipv4 else [])


class ViewerError(Exception):
    """There is no connection, and why."""


class Viewer:
    """Made by `open_viewer`."""

    def __init__(self, port: int, camera: str, units: Units) -> None:
        self._port, self._camera, self._units = port, camera, units
        self._gatherer = RTCIceGatherer([])
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [RTCCertificate.generateCertificate()])
        self._dtls._handle_rtp_data = self._take  # type: ignore[method-assign]
        self._place = ""
        """The path of the WHEP session."""

    async def join(self) -> None:
        """Connect, and wait until the daemon counts this viewer as connected. Raises `ViewerError`."""
        with trio.move_on_after(CONNECT_S):
            answer = await self._offer()
            await self._connect(answer)
            while True:
                if await self._is_counted():
                    return
                await trio.sleep(POLL_S)
        raise ViewerError(f"not connected within {CONNECT_S:g} s: ICE is {self._ice.state}, DTLS {self._dtls.state}")

    async def report(self) -> None:
        """Send a receiver report without any loss each second, as viewers do; until it is cancelled."""
        own = secrets.randbits(32)
        while True:
            await trio.sleep(REPORT_EVERY_S)
            if self._dtls.state != "connected":
                continue
            seen = RtcpReceiverInfo(self._units.ssrc, 0, 0, self._units.highest, 0, 0, 0)
            packet = RtcpRrPacket(own, [seen] if self._units.packets else [])
            try:
                await aio_as_trio(self._dtls._send_rtp)(bytes(packet))
            except ConnectionError:
                return

    async def leave(self) -> None:
        """End the session, and close the connection."""
        try:
            if self._place:
                await request(self._port, "DELETE", self._place, within=CLOSE_S)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError):
            pass  # the daemon has ended
        await aio_as_trio(self._dtls.stop)()
        await aio_as_trio(self._ice.stop)()

    async def _offer(self) -> SessionDescription:
        aioice.ice.get_host_addresses = _addresses
        await aio_as_trio(self._gatherer.gather)()
        path = f"/whep/{self._camera}"
        while True:
            answer = await request(self._port, "POST", path, self._write_offer(), {"Content-Type": "application/sdp"})
            if answer.status != 503:
                break
            await trio.sleep(float(answer.headers.get("Retry-After", RETRY_S)))  # a camera that is only just starting
        if answer.status != 201:
            raise ViewerError(f"POST {path} is answered {answer.status}: {_first_line(answer)}")
        self._place = urljoin(path, answer.headers["Location"])
        return SessionDescription.parse(answer.text)

    async def _connect(self, answer: SessionDescription) -> None:
        media = answer.media[0]
        if media.dtls is None:
            raise ViewerError("the answer has no fingerprint")
        self._ice._connection.ice_controlling = True  # who offers does (RFC 8445, section 6.1.1)
        for candidate in media.ice_candidates:
            await aio_as_trio(self._ice.addRemoteCandidate)(candidate)
        await aio_as_trio(self._ice.addRemoteCandidate)(None)
        await aio_as_trio(self._ice.start)(media.ice)
        if self._ice.state != "completed":
            raise ViewerError("no path to the daemon was found")
        self._dtls._set_role("server" if media.dtls.role == "client" else "client")
        await aio_as_trio(self._dtls.start)(media.dtls)
        if self._dtls.state != "connected":
            raise ViewerError(f"DTLS is {self._dtls.state}")

    async def _is_counted(self) -> bool:
        """Whether the daemon sends: it counts who can be sent to as connected, a moment after DTLS does."""
        peers = (await request(self._port, "GET", "/api/peers")).json["peers"]
        return any(peer["camera"] == self._camera and peer["state"] == "connected" for peer in peers)

    async def _take(self, data: bytes, arrival_time_ms: int) -> None:
        self._units.add(data)

    def _write_offer(self) -> str:
        ours = self._gatherer.getLocalParameters()
        prints = self._dtls.getLocalParameters().fingerprints
        fingerprint = next(each.value for each in prints if each.algorithm == "sha-256")
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0"]
        lines += ["m=video 9 UDP/TLS/RTP/SAVPF 96 98", "c=IN IP4 0.0.0.0", "a=mid:0", "a=recvonly", "a=rtcp-mux"]
        lines += [f"a=ice-ufrag:{ours.usernameFragment}", f"a=ice-pwd:{ours.password}"]
        lines += [f"a=fingerprint:sha-256 {fingerprint}", "a=setup:actpass", "a=rtpmap:96 H264/90000"]
        lines += ["a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"]
        lines += ["a=rtpmap:98 H265/90000"]
        lines += [f"a=candidate:{candidate_to_sdp(each)}" for each in self._gatherer.getLocalCandidates()]
        return "\r\n".join([*lines, "a=end-of-candidates", ""])


@asynccontextmanager
async def open_viewer(port: int, camera: str, units: Units) -> AsyncIterator[Viewer]:
    """A viewer of a camera of the daemon at this TCP port, which has not joined yet. It leaves with the block."""
    async with trio_asyncio.open_loop():
        viewer = Viewer(port, camera, units)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(viewer.report)
                yield viewer
                nursery.cancel_scope.cancel(reason="the case is over")
        finally:
            with trio.move_on_after(CLOSE_S) as scope:
                scope.shield = True
                await viewer.leave()


def _first_line(answer: Answer) -> str:
    return answer.text.strip().partition("\n")[0][:200]
