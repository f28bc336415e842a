"""Private names of aiortc, aioice and pylibsrtp that we use. More are in `dtls.py`, `path.py` and `reflexive.py`.

`tests/actors/rtc/test_inside.py` fails loudly when a release changes any of it. Written against aiortc 1.16.
"""

import socket
import sys
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import aioice.ice
from aiortc import RTCDtlsTransport, RTCIceTransport
from pylibsrtp import Error
from pylibsrtp._binding import ffi, lib

TAGS = {b"SRTP_AEAD_AES_256_GCM": 16, b"SRTP_AEAD_AES_128_GCM": 16, b"SRTP_AES128_CM_SHA1_80": 10}
"""Bytes that protection adds to a packet (RFC 7714, section 13; RFC 5764, section 4.1.2)."""

MAX_PACKETS = 64
"""That are protected at a time."""
buffer = bytearray(0x10000)
"""Where packets are written, protected and sent from, one run at a time: nothing waits in between."""
_base = ffi.from_buffer(buffer)
_lengths = ffi.new("int[]", MAX_PACKETS)
_lengths_bytes = ffi.buffer(_lengths)
_length_of = tuple(_lengths + index for index in range(MAX_PACKETS))

_stock_addresses = aioice.ice.get_host_addresses


def include_loopback() -> None:
    """Let viewers on this very machine connect even where it has no other address: aioice leaves loopback out."""

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return _stock_addresses(use_ipv4, use_ipv6) or (["127.0.0.1"] if use_ipv4 else [])

    aioice.ice.get_host_addresses = addresses


def take_roles(dtls: RTCDtlsTransport, *, server: bool, controlling: bool) -> None:
    """Be the DTLS server or its client, and the one who nominates or not: as offer and answer have settled it."""
    dtls._set_role("server" if server else "client")
    dtls.transport._connection.ice_controlling = controlling


def has_lost_path(ice: RTCIceTransport) -> bool:
    """Whether ICE, which we have not closed, has given up: DTLS notices that a turn before its state says so."""
    return ice.state == "failed" or bool(ice._connection._closing)


def locate(offsets: Iterable[int]) -> tuple[Any, ...]:
    """Where packets at these offsets lie in the buffer, as libsrtp is told."""
    return tuple(_base + at for at in offsets)


_first = locate([0])


class Wire:
    """A connected viewer's keys, and where its packets go. Packets are protected where they lie, in the buffer."""

    def __init__(self, dtls: RTCDtlsTransport) -> None:
        assert dtls._ssl is not None, "a connected transport has one"
        self.tag = TAGS[dtls._ssl.get_selected_srtp_profile()]
        self._session, self._incoming = dtls._tx_srtp, dtls._rx_srtp
        self._context = self._session._srtp[0]
        self._connection = dtls.transport._connection

    def protect(self, length: int) -> int:
        """Protect the one RTP packet that stands at the buffer's beginning. Returns its new length."""
        self.protect_all(_first, length.to_bytes(4, sys.byteorder))
        return int(_lengths[0])

    def protect_all(self, places: Sequence[Any], lengths: bytes) -> None:
        """Protect RTP packets, `MAX_PACKETS` at the most, that `locate` has placed; their lengths are C's `int`s.

        Behind each there has to be room for `tag` bytes. No line of Python for each of them: this is done for every
        packet to every viewer. Raises `pylibsrtp.Error`.
        """
        _lengths_bytes[: len(lengths)] = lengths
        statuses = map(lib.srtp_protect, repeat(self._context), places, _length_of)
        failure = next(filter(None, statuses), None)
        if failure is not None:
            raise Error(failure)

    def protect_rtcp(self, packet: bytes) -> bytes:
        return bytes(self._session.protect_rtcp(packet))

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """The RTCP in it, if it is really the viewer's, and new."""
        try:
            return bytes(self._incoming.unprotect_rtcp(packet))
        except Error:
            return None

    def route(self) -> tuple[socket.socket, tuple[str, int]] | None:
        """The socket and the viewer's address that ICE has chosen; it may choose anew at any time."""
        pair = self._connection._nominated.get(1)
        if pair is None:
            return None
        endpoint = pair.protocol.transport
        return None if endpoint.is_closing() else (endpoint.get_extra_info("socket"), pair.remote_addr)
