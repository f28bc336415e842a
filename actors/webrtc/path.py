"""The addresses of one viewer, as ICE has proved them: which may send datagrams, and which may be checked.

Rules of this file:
- An address is *authenticated* once it has sent a check with the password of the answer. It is *validated* once it has
  answered a check from here. DTLS is accepted from validated addresses only.
- The route of media and DTLS is the pair that ICE has nominated. Only packets from a validated address that are proved
  to be the viewer's change it: a check that nominates; DTLS, until the handshake is complete; and SRTCP that the keys
  open. An address that is only named, or sends a check or anything else, changes nothing.
- The checks to an address without either proof are paced over all peers (`pacing.py`).
- Everything that a viewer can make grow is bounded: addresses, and datagrams that wait for DTLS.
- Each proof is also a sign of life, and reported by `heard`.

Private names of aioice that this file uses are checked by `tests/actors/webrtc/test_path.py`.
Source: RFC 8445, sections 7.2.5 and 7.3.1 (proofs of an address), RFC 7675 (consent).
"""

from collections.abc import Callable
from typing import Any

from aioice import stun
from aioice.ice import CandidatePair, Connection, StunProtocol
from aiortc import RTCIceTransport

from .pacing import Pacer

Address = tuple[str, int]

MAX_ADDRESSES = 64
"""Addresses of one viewer that are paired: those that it named, and those that sent checks."""
MAX_EXEMPT = 8
"""Authenticated addresses to which checks are not paced. A viewer can forge the source of its checks."""
MAX_NOMINATED = 4
"""Nominated pairs, beside the route, on which DTLS begins."""
MAX_WAITING = 64
"""Datagrams that wait for DTLS to read them."""


class Path:
    """Watches the ICE connection of one peer, as soon as it is constructed.

    Args:
        ice: the transport; it must not have gathered candidates yet.
        heard: called for each authenticated check, and for each answer to a check from here.
        pacer: shared by all peers.
    """

    def __init__(self, ice: RTCIceTransport, heard: Callable[[], None], pacer: Pacer) -> None:
        self._connection: Connection = ice._connection
        self._heard, self._pacer = heard, pacer
        self._user = f"{self._connection.local_username}:".encode()
        """The beginning of the user name in a check for this peer (RFC 8445, 7.2.2)."""
        self._authenticated: dict[tuple[StunProtocol, Address], None] = {}
        self._validated: set[tuple[StunProtocol, Address]] = set()
        self._begun = self._complete = False
        """Whether the viewer has sent DTLS, and whether the handshake is complete."""
        self.released: Callable[[], None] = lambda: None
        """Called when another address is validated."""
        self.strangers: frozenset[Address] = frozenset()
        """Addresses of the viewer's other transports. Their nominations do not change this path."""
        self.servers: set[Address] = set()
        """STUN servers. The operator named them, so no proof is needed."""
        self._check_incoming = self._connection.check_incoming
        self._receive_data = self._connection.data_received
        self._connection.check_incoming = self._take_check  # type: ignore[method-assign, assignment]
        self._connection.data_received = self._take_data  # type: ignore[method-assign]
        self._send_on_route, ice._send = ice._send, self._send

    def watch(self, protocol: Any) -> None:
        """Note the proofs that `protocol`, one of aioice's, sees from now on."""
        if not isinstance(protocol, StunProtocol):
            return
        request, send_stun = protocol.request, protocol.send_stun

        async def note_answer(
            message: stun.Message,
            address: Address,
            integrity_key: bytes | None = None,
            retransmissions: int | None = None,
        ) -> tuple[stun.Message, Address]:
            answer, source = await request(message, address, integrity_key, retransmissions)
            if integrity_key is not None and source == address:
                self._validated.add((protocol, address))
                self._heard()
                self.released()
            return answer, source

        def note_check(message: stun.Message, address: Address) -> None:
            if message.message_class == stun.Class.RESPONSE:  # aioice answers so after it has checked the password
                if len(self._authenticated) < MAX_ADDRESSES:
                    self._authenticated[protocol, address] = None
                self._heard()
            send_stun(message, address)

        protocol.request, protocol.send_stun = note_answer, note_check  # type: ignore[method-assign, assignment]

    def may_be_ours(self, protocol: Any, data: bytes) -> bool:
        """Return whether a STUN message may be for this peer: a check with its user name, or an answer to its check.

        Parsing a message takes 0.1 ms; this takes a microsecond. Later, aioice checks the password.
        """
        match data[:2]:
            case b"\x00\x01":
                return self._user in data
            case b"\x01\x01" | b"\x01\x11":
                return data[8:20] in protocol.transactions
            case _:
                return False

    def take_dtls(self, protocol: Any, address: Address) -> None:
        """DTLS has arrived from a validated address: the handshake continues there."""
        self._begun = True
        if not self._complete:
            self._follow(protocol, address)

    def complete(self) -> None:
        """The handshake is complete. From now on DTLS does not change the route, because anybody can send it."""
        self._complete = True

    def take_rtcp(self, protocol: Any, address: Address) -> bool:
        """Authentic RTCP has arrived from the address. Returns whether the route has changed to it."""
        return self._follow(protocol, address)

    def _follow(self, protocol: Any, address: Address) -> bool:
        route = self._connection._nominated.get(1)
        if route is None or (route.protocol is protocol and route.remote_addr == address):
            return False
        for pair in self._valid_pairs():
            if pair.protocol is protocol and pair.remote_addr == address:
                self._connection._nominated[1] = pair  # checks for consent use this pair, too
                return True
        return False

    def _valid_pairs(self) -> list[CandidatePair]:
        """Return the pairs on which a check from here was answered."""
        return [pair for pair in self._connection._check_list if pair.state is CandidatePair.State.SUCCEEDED]

    async def _send(self, data: bytes) -> None:
        """Send DTLS to the viewer. Before it has sent DTLS, send to each address that it has nominated: one may belong
        to another transport, on which nothing answers."""
        await self._send_on_route(data)
        if not self._begun:
            route = self._connection._nominated.get(1)
            others = [pair for pair in self._valid_pairs() if pair.nominated and pair is not route]
            for pair in others[:MAX_NOMINATED]:
                await pair.protocol.send_data(data, pair.remote_addr)

    def is_validated(self, protocol: Any, address: Address) -> bool:
        return (protocol, address) in self._validated

    def is_known(self, protocol: Any, address: Address) -> bool:
        """Return whether the address is validated, authenticated, or named by the viewer."""
        if (protocol, address) in self._validated or (protocol, address) in self._authenticated:
            return True
        return any((c.host, c.port) == address for c in self._connection.remote_candidates)

    def may_check(self, protocol: Any, address: Address) -> bool:
        """Return whether a check may be sent to the address now. aioice repeats a check that is held back."""
        if (protocol, address) in self._validated or address in self.servers:
            return True
        exempt = list(self._authenticated)[:MAX_EXEMPT]
        return (protocol, address) in exempt or self._pacer.take(address[0])

    def _take_check(self, message: stun.Message, address: Address, protocol: StunProtocol) -> None:
        """Pass an authenticated check to aioice, which pairs its address; only the first `MAX_ADDRESSES` are paired."""
        if address in self.strangers:
            return
        candidates = self._connection.remote_candidates
        candidate = next((c for c in candidates if (c.host, c.port) == address), None)
        if candidate is None and len(candidates) >= MAX_ADDRESSES:
            return
        pair = self._connection._find_pair(protocol, candidate) if candidate is not None else None
        if pair is not None and _is_cancelled(pair):  # aioice would never check the pair again
            pair.task, pair.state = None, CandidatePair.State.FAILED
        self._check_incoming(message, address, protocol)
        for pair in self._connection._check_list:
            scheduled = pair.task is not None and pair.state is CandidatePair.State.WAITING
            if scheduled and pair.protocol is protocol and pair.remote_addr == address:
                # Else aioice forgets the pair, and with it the nomination, if another pair completes before it begins.
                pair.state = CandidatePair.State.IN_PROGRESS

    async def resume_checks(self) -> None:
        """Check the viewer's authenticated addresses after all: aioice cancels each check at the first nomination.

        A viewer that nominates each of its addresses sends DTLS from the last one, which may be one of these. This runs
        on the asyncio loop.
        """
        for pair in self._connection._check_list:
            if _is_cancelled(pair) and (pair.protocol, pair.remote_addr) in self._authenticated:
                pair.task, pair.state = None, CandidatePair.State.WAITING
                self._connection.check_start_task(pair)

    def _take_data(self, data: bytes, component: int) -> None:
        """Pass on data that is not valid STUN. aioice puts it into an unbounded queue, so it is bounded here."""
        if data[0] > 3 and self._connection._queue.qsize() < MAX_WAITING:
            self._receive_data(data, component)


def _is_cancelled(pair: CandidatePair) -> bool:
    """Return whether aioice has cancelled the check of this pair, which it does when the first pair is nominated."""
    task = pair.task
    return pair.state is CandidatePair.State.IN_PROGRESS and task is not None and (task.done() or task.cancelling() > 0)
