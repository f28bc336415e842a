"""What is taken from the inside of aiortc, aioice and pylibsrtp. Nothing else touches a private name of theirs.

`tests/actors/rtc/test_inside.py` fails loudly when a release changes any of it. Written against aiortc 1.16.
"""

import socket
from collections.abc import Iterable

import aioice.ice
from aiortc import RTCDtlsTransport
from pylibsrtp import Error
from pylibsrtp._binding import ffi, lib

TAGS = {b"SRTP_AEAD_AES_256_GCM": 16, b"SRTP_AEAD_AES_128_GCM": 16, b"SRTP_AES128_CM_SHA1_80": 10}
"""Bytes that protection adds to a packet (RFC 7714, section 13; RFC 5764, section 4.1.2)."""

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


class Wire:
    """A connected viewer's keys, and where its packets go. Packets are protected where they lie, in one buffer."""

    def __init__(self, dtls: RTCDtlsTransport, buffer: bytearray) -> None:
        assert dtls._ssl is not None, "a connected transport has one"
        self.tag = TAGS[dtls._ssl.get_selected_srtp_profile()]
        self._session, self._incoming = dtls._tx_srtp, dtls._rx_srtp
        self._context = self._session._srtp[0]
        self._connection = dtls.transport._connection
        self._base = ffi.from_buffer(buffer)
        self._length = ffi.new("int *")

    def protect(self, at: int, length: int) -> int:
        """Protect the RTP packet of `length` bytes at `at` in the buffer, where `tag` bytes more have room.

        Returns its new length. Raises `pylibsrtp.Error`.
        """
        self._length[0] = length
        status = lib.srtp_protect(self._context, self._base + at, self._length)
        if status:
            raise Error(status)
        return int(self._length[0])

    def protect_all(self, packets: Iterable[tuple[int, int, int]]) -> None:
        """Protect the RTP packets at these offsets, with these lengths. Raises `pylibsrtp.Error`."""
        protect, context, base, count = lib.srtp_protect, self._context, self._base, self._length
        for at, length, _ in packets:
            count[0] = length
            status = protect(context, base + at, count)
            if status:
                raise Error(status)

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
