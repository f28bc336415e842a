"""The addresses of one viewer, as ICE has proved them: from which datagrams are taken, and to which checks are sent.

Rules of this file:
- An address is *authenticated* when a check came from it that was made with the password of our answer, and *validated*
  when it answered a check of ours. DTLS is taken from validated addresses alone.
- Until an address has proved one of both, the checks to it are paced over all viewers (`pacing.py`).
- Everything that a viewer can make grow is bounded: addresses, and datagrams that wait for DTLS.
- Each proof is also a sign of life, and reported by `heard`.

Private names of aioice that this file uses are checked by `tests/actors/rtc/test_path.py`.
Source: RFC 8445, sections 7.2.5 and 7.3.1 (what proves an address), RFC 7675 (consent).
"""

from collections.abc import Callable
from typing import Any

from aioice import stun
from aioice.ice import CandidatePair, Connection, StunProtocol
from aiortc import RTCIceTransport

from .pacing import Pacer

Address = tuple[str, int]

MAX_ADDRESSES = 64
"""Addresses of one viewer that are paired: those that it named, and those that its checks came from."""
MAX_EXEMPT = 8
"""Authenticated addresses to which checks are not paced. A viewer can forge the source of its checks."""
MAX_WAITING = 64
"""Datagrams that wait for DTLS to read them."""


class Path:
    """Watches the ICE connection of one viewer. Takes effect as soon as it is made.

    Args:
        ice: the transport; nothing must have been gathered yet.
        heard: called for each authenticated check, and for each answer to a check of ours.
        pacer: shared by all viewers.
    """

    def __init__(self, ice: RTCIceTransport, heard: Callable[[], None], pacer: Pacer) -> None:
        self._connection: Connection = ice._connection
        self._heard, self._pacer = heard, pacer
        self._user = f"{self._connection.local_username}:".encode()
        """How the user name of a check begins that is meant for us (RFC 8445, 7.2.2)."""
        self._authenticated: dict[tuple[StunProtocol, Address], None] = {}
        self._validated: set[tuple[StunProtocol, Address]] = set()
        self.released: Callable[[], None] = lambda: None
        """Called when one more address was validated."""
        self.servers: set[Address] = set()
        """STUN servers: the operator named them, so nothing needs to be proved."""
        self._check_incoming = self._connection.check_incoming
        self._receive_data = self._connection.data_received
        self._connection.check_incoming = self._take_check  # type: ignore[method-assign, assignment]
        self._connection.data_received = self._take_data  # type: ignore[method-assign]

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
        """Whether a STUN message may be meant for this viewer: a check that names us, or an answer to one of ours.

        To parse one takes 0.1 ms; this takes a microsecond. The password is checked later, by aioice.
        """
        match data[:2]:
            case b"\x00\x01":
                return self._user in data
            case b"\x01\x01" | b"\x01\x11":
                return data[8:20] in protocol.transactions
            case _:
                return False

    def is_validated(self, protocol: Any, address: Address) -> bool:
        return (protocol, address) in self._validated

    def is_known(self, protocol: Any, address: Address) -> bool:
        """Whether the address is validated, authenticated, or named by the viewer."""
        if (protocol, address) in self._validated or (protocol, address) in self._authenticated:
            return True
        return any((c.host, c.port) == address for c in self._connection.remote_candidates)

    def may_check(self, protocol: Any, address: Address) -> bool:
        """Whether a check may be sent to the address now. A check that is held back is repeated by aioice, later."""
        if (protocol, address) in self._validated or address in self.servers:
            return True
        exempt = list(self._authenticated)[:MAX_EXEMPT]
        return (protocol, address) in exempt or self._pacer.take(address[0])

    def _take_check(self, message: stun.Message, address: Address, protocol: StunProtocol) -> None:
        """An authenticated check: aioice pairs its address. The first `MAX_ADDRESSES` are paired."""
        candidates = self._connection.remote_candidates
        candidate = next((c for c in candidates if (c.host, c.port) == address), None)
        if candidate is None and len(candidates) >= MAX_ADDRESSES:
            return
        pair = self._connection._find_pair(protocol, candidate) if candidate is not None else None
        if pair is not None and pair.state is CandidatePair.State.IN_PROGRESS and pair.task and pair.task.done():
            # aioice cancelled this check when the first pair was nominated, and would never check the pair again.
            pair.task, pair.state = None, CandidatePair.State.FAILED
        self._check_incoming(message, address, protocol)

    def _take_data(self, data: bytes, component: int) -> None:
        """Called with data that is no STUN, or malformed STUN. aioice puts it into a queue without bound."""
        if data[0] > 3 and self._connection._queue.qsize() < MAX_WAITING:
            self._receive_data(data, component)
