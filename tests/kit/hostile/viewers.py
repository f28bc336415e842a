"""The target behind an accepted offer: the peer of a viewer."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from actors.media.hub import Hub
from actors.webrtc.connection import run_connection
from actors.webrtc.fanout import Fanout
from actors.webrtc.fanout_peer import FanoutPeer
from actors.webrtc.offer import Candidate, SdpOffer, parse_offer
from supervisor.base.clock import SystemClock
from supervisor.domain.values import Reason
from supervisor.ports.viewing import OfferError

from ..mutations import mutate
from .judge import Take, Wrong
from .parsers import as_text, offers


def make_acceptable(rng: random.Random) -> bytes:
    """A damaged offer that is still one: the first of some that `parse_offer` takes."""
    for _ in range(100):
        data = mutate(rng, offers())
        try:
            parse_offer(as_text(data))
        except OfferError:
            continue
        return data
    return offers()[2]


@asynccontextmanager
async def open_answers() -> AsyncIterator[Take]:
    yield take_accepted


async def take_accepted(data: bytes) -> bool:
    """The real way to an answer, and some steps beyond it; the viewer's candidates come once more, by trickle."""
    try:
        offer = parse_offer(as_text(data))
    except OfferError:
        return False
    witness = _Witness(trio.CancelScope())
    send, candidates = trio.open_memory_channel[Candidate](32)
    for candidate in offer.candidates:
        send.send_nowait(candidate)
    with witness.scope:
        await _serve(offer, candidates, witness)
    if witness.answer is None:
        raise Wrong(f"an offer that was accepted has no answer: {witness.reason}")
    if witness.answer.count("m=") < len(offer.sections):
        raise Wrong("the answer lacks a section")
    return True


async def _serve(offer: SdpOffer, candidates: "trio.MemoryReceiveChannel[Candidate]", witness: "_Witness") -> None:
    hub = Hub(SystemClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(witness.cut)
        witness.reason = await run_connection(
            offer, Fanout(hub, SystemClock()), candidates, witness, ice_servers=(), disconnected_after_s=20.0
        )
        nursery.cancel_scope.cancel()


@attrs.define
class _Witness:
    """Ends the connection some steps after it has answered."""

    scope: trio.CancelScope
    answer: str | None = None
    reason: Reason | None = None
    told: trio.Event = attrs.field(factory=trio.Event)

    async def cut(self) -> None:
        await self.told.wait()
        for _ in range(30):
            await trio.lowlevel.checkpoint()
        self.scope.cancel()

    def answered(self, answer: str) -> None:
        self.answer = answer
        self.told.set()

    def connected(self, viewer: FanoutPeer) -> None: ...

    def silent(self, seconds: float) -> None: ...

    def heard(self, seconds: float) -> None: ...
