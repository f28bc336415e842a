"""Private names of aiortc, aioice and pylibsrtp. More are in `dtls.py`, `path.py` and `reflexive.py`.

`tests/actors/webrtc/test_library_internals.py` fails when a release changes any of them. Written against aiortc 1.16.
"""

import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

import aioice.ice
from aioice.candidate import candidate_priority
from aiortc import RTCDtlsTransport, RTCIceTransport
from pylibsrtp import Error
from pylibsrtp._binding import ffi, lib

TAGS = {b"SRTP_AEAD_AES_256_GCM": 16, b"SRTP_AEAD_AES_128_GCM": 16, b"SRTP_AES128_CM_SHA1_80": 10}
"""Bytes that protection adds to a packet (RFC 7714, section 13; RFC 5764, section 4.1.2)."""

MAX_PACKETS = 64
"""Packets that are protected at once."""
buffer = bytearray(0x10000)
"""Packets are written, protected and sent in this memory, one run at a time, without a trio checkpoint in between."""
_base = ffi.from_buffer(buffer)
_lengths = ffi.new("int[]", MAX_PACKETS)
_lengths_bytes = ffi.buffer(_lengths)
_length_of = tuple(_lengths + index for index in range(MAX_PACKETS))


def include_loopback(find: Callable[[bool, bool], list[str]] = aioice.ice.get_host_addresses) -> None:
    """Let viewers on this machine connect even if it has no other address: aioice leaves loopback out.

    `find` returns all other addresses, for IPv4 and IPv6 if that argument is true.
    """

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return find(use_ipv4, use_ipv6) or (["127.0.0.1"] if use_ipv4 else [])

    aioice.ice.get_host_addresses = addresses


def take_roles(dtls: RTCDtlsTransport, *, server: bool, controlling: bool) -> None:
    """Set the roles that offer and answer have settled: DTLS server or client, and whether banken nominates."""
    dtls._set_role("server" if server else "client")
    dtls.transport._connection.ice_controlling = controlling


def rank_candidates(ice: RTCIceTransport) -> None:
    """Give each local candidate a distinct priority, in the order of discovery (RFC 8445, section 5.1.2.1).

    aioice gives the same priority to all candidates of a type.
    """
    for index, candidate in enumerate(ice._connection._local_candidates):
        candidate.priority = candidate_priority(candidate.component, candidate.type, 0xFFFF - index)


def has_lost_path(ice: RTCIceTransport) -> bool:
    """Return whether ICE has given up by itself. DTLS reacts one loop iteration before ICE's state changes."""
    return ice.state == "failed" or bool(ice._connection._closing)


def locate(offsets: Iterable[int]) -> tuple[Any, ...]:
    """Return pointers to packets at these offsets of the buffer, as libsrtp takes them."""
    return tuple(_base + at for at in offsets)


_first = locate([0])


class Wire:
    """The keys and the route of one connected peer. Packets are protected in place, in the buffer."""

    def __init__(self, dtls: RTCDtlsTransport) -> None:
        assert dtls._ssl is not None, "a connected transport has one"
        self.tag = TAGS[dtls._ssl.get_selected_srtp_profile()]
        self._session, self._incoming = dtls._tx_srtp, dtls._rx_srtp
        self._context = self._session._srtp[0]
        self._connection = dtls.transport._connection

    def protect(self, length: int) -> int:
        """Protect the single RTP packet at the beginning of the buffer. Returns its new length in bytes."""
        self.protect_all(_first, length.to_bytes(4, sys.byteorder))
        return int(_lengths[0])

    def protect_all(self, places: Sequence[Any], lengths: bytes) -> None:
        """Protect at most `MAX_PACKETS` RTP packets at the pointers from `locate`; `lengths` are C `int`s, in bytes.

        Each packet needs `tag` bytes of room behind it. No Python code runs for each packet, because this runs for
        every packet to every viewer. Raises `pylibsrtp.Error`.
        """
        _lengths_bytes[: len(lengths)] = lengths
        statuses = map(lib.srtp_protect, repeat(self._context), places, _length_of)
        failure = next(filter(None, statuses), None)
        if failure is not None:
            raise Error(failure)

    def protect_rtcp(self, packet: bytes) -> bytes:
        return bytes(self._session.protect_rtcp(packet))

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """Return the RTCP in the packet; None if it is not authentic, or replayed."""
        try:
            return bytes(self._incoming.unprotect_rtcp(packet))
        except Error:
            return None

    def route(self) -> tuple[socket.socket, tuple[str, int]] | None:
        """Return the socket and the viewer's address that ICE has selected; the selection may change at any time."""
        pair = self._connection._nominated.get(1)
        if pair is None:
            return None
        endpoint = pair.protocol.transport
        return None if endpoint.is_closing() else (endpoint.get_extra_info("socket"), pair.remote_addr)
