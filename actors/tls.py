"""TLS to cameras. It encrypts; nobody is authenticated, unless the configuration pins the camera's certificate.

Rules of this file:
- The TLS of old firmware is accepted: TLS 1.0 and up, RSA key exchange, CBC with SHA-1, short keys, SHA-1
  signatures, no secure renegotiation. Newer servers still get TLS 1.3 and forward secrecy.
- No cipher without encryption, and none without a certificate: a pin compares it.
"""

import hashlib
import ssl
from functools import cache

import trio

LEGACY_SERVER_CONNECT = 0x4
"""OpenSSL's option for servers without RFC 5746 (secure renegotiation); Python names it from 3.12 on."""
_NEW = ("TLSv1.2", "TLSv1.3")


@cache
def camera_context() -> ssl.SSLContext:
    """Return the context of all connections to cameras. It loads no certificates: none is verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:ALL:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0")
    context.options |= LEGACY_SERVER_CONNECT
    return context


async def open_tls(stream: trio.SocketStream, host: str | None) -> trio.SSLStream[trio.SocketStream]:
    """Begin TLS with a camera. `host` is its name for SNI; None if it has only an address.

    Raises `trio.BrokenResourceError` when the other side does not speak TLS.
    Cancellation: closes the connection. Cleanup: the same after an error.
    """
    secured = trio.SSLStream(stream, camera_context(), server_hostname=host, https_compatible=True)
    try:
        await secured.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(secured)
        raise
    return secured


def fingerprint(stream: trio.abc.Stream) -> str:
    """Return the SHA-256 of the other side's certificate in hexadecimal digits; empty without TLS."""
    certificate = stream.getpeercert(True) if isinstance(stream, trio.SSLStream) else None
    return hashlib.sha256(certificate).hexdigest() if certificate else ""


def describe(stream: trio.abc.Stream, is_pinned: bool) -> str:
    """Return version and cipher for people, and whether the certificate is verified; empty without TLS."""
    if not isinstance(stream, trio.SSLStream):
        return ""
    verified = "the certificate is the pinned one" if is_pinned else "the certificate is not verified"
    return f"{stream.version()}, {stream.cipher()[0]}; {verified}"


def is_old(stream: trio.abc.Stream) -> bool:
    """Whether the connection has TLS before 1.2, or a cipher without forward secrecy."""
    if not isinstance(stream, trio.SSLStream):
        return False
    name, _, _ = stream.cipher()
    return stream.version() not in _NEW or not name.startswith(("TLS_", "ECDHE-", "DHE-"))
