"""WebRTC viewers as seen by gateway and actors: they join, leave, vanish, or never connect."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from actors.webrtc.connection import CONNECT_S, SILENT_AFTER_S
from actors.webrtc.deferred import Witness
from actors.webrtc.fanout import Joinable
from actors.webrtc.fanout_peer import FanoutPeer
from actors.webrtc.offer import Candidate, SdpOffer
from actors.webrtc.sender import Sender
from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Fault, Reason
from supervisor.ports.decisions import Origin
from supervisor.ports.viewing import hash_secret
from supervisor.services.gateway import Gateway

LEFT = Reason("left", "the viewer closed the connection", Fault.NONE)
LOST = Reason("lost", "nothing was heard of the viewer")
NEVER = Reason("never-connected", f"the viewer did not connect within {CONNECT_S:g} s")
OFFER = "\n".join(
    [
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "m=video 9 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuv", "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass", "a=mid:0", "a=recvonly", "a=rtcp-mux", "a=rtpmap:96 H264/90000",
        "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", "",
    ]
)  # fmt: skip


@attrs.define
class Connections:
    """Replaces `run_connection`. `opened` counts the connections that hold resources."""

    chance: random.Random
    opened: int = 0
    served: int = 0
    """Number of frames that viewers received."""
    steady: bool = False
    """Every viewer connects, and stays until it is closed: for stories about something else."""

    async def connect(
        self,
        offer: SdpOffer,
        fanout: Joinable,
        candidates: trio.MemoryReceiveChannel[Candidate],
        witness: Witness,
        *,
        disconnected_after_s: float,
    ) -> Reason:
        self.opened += 1
        try:
            return await self._serve(offer, fanout, witness, disconnected_after_s)
        finally:
            self.opened -= 1

    async def _serve(self, offer: SdpOffer, fanout: Joinable, witness: Witness, disconnected_after_s: float) -> Reason:
        chance = self.chance
        if self.steady:
            witness.answered("v=0")
            witness.connected(FanoutPeer(Sender(offer), fanout.hub.subscribe()))
            await trio.sleep_forever()
        await trio.sleep(chance.uniform(0.01, 0.3))
        if chance.random() < 0.03:
            return Reason("never-connected", "no addresses were gathered")
        witness.answered("v=0")
        if chance.random() < 0.1:
            await trio.sleep(CONNECT_S)
            return NEVER
        await trio.sleep(chance.uniform(0.05, 2))
        if chance.random() < 0.01:
            raise ZeroDivisionError("a bug in the connection")
        witness.connected(FanoutPeer(Sender(offer), fanout.hub.subscribe()))
        with trio.move_on_after(chance.expovariate(1 / 60)):
            while True:
                await fanout.hub.wait_unit()
                self.served += 1
                await trio.sleep(chance.uniform(0, 10))
        while chance.random() < 0.3:
            await trio.sleep(SILENT_AFTER_S)
            witness.silent(SILENT_AFTER_S)
            if chance.random() < 0.5:
                await trio.sleep(disconnected_after_s - SILENT_AFTER_S)
                return LOST
            await trio.sleep(1)
            witness.heard(SILENT_AFTER_S + 1)
        return LEFT


async def run_viewer(client: str, cameras: list[CameraId], gateway: Gateway, chance: random.Random) -> None:
    """Watch one camera after the other, with or without patience, until cancelled."""
    while True:
        await trio.sleep(chance.expovariate(1 / 60))
        camera = chance.choice(cameras)
        with trio.move_on_after(chance.choice((0.0, 0.001, 0.1, 5, 5, 5, 5))):
            async with refusals():
                opened = await gateway.negotiate(camera, OFFER, client)
                if chance.random() < 0.5:
                    leave = c.ClosePeer(opened.peer, LEFT, hash_secret(opened.secret))
                    await trio.sleep(chance.uniform(0, 4))
                    await gateway.submit(leave, Origin(f"client:{client}"))


@asynccontextmanager
async def refusals() -> AsyncIterator[None]:
    """Ignore refusals, which are normal here."""
    try:
        yield
    except Rejected:
        await trio.lowlevel.checkpoint()
