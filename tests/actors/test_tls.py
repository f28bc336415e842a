"""TLS with cameras of every age: what is accepted, what counts as old, and the pinned certificate."""

import re
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from actors.addresses import open_tcp
from actors.tls import LEGACY_SERVER_CONNECT, camera_context, describe, fingerprint, is_old
from tests.kit.certificates import Kind, pin_of, write_certificate

V = ssl.TLSVersion


@asynccontextmanager
async def open_camera(
    path: Path, kind: Kind, version: ssl.TLSVersion, ciphers: str, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[int, list[str | None]]]:
    """A camera with this certificate, version and ciphers. Yields its port and the names that clients asked for."""
    context, names = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), list[str | None]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    context.load_cert_chain(write_certificate(path, kind))
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    async def serve(stream: trio.SocketStream) -> None:
        secured = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        try:
            await secured.do_handshake()
            await secured.receive_some()
            await secured.aclose()
        except trio.BrokenResourceError:
            return

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host=host)
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield listener.socket.getsockname()[1], names
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("kind", "version", "ciphers", "is_old_one"),
    [
        ("rsa-1024-sha1", V.TLSv1, "AES128-SHA", True),
        ("rsa-1024-sha1", V.TLSv1_1, "AES256-SHA", True),
        ("rsa-2048", V.TLSv1_2, "AES128-SHA", True),
        ("rsa-2048", V.TLSv1_2, "AES128-GCM-SHA256", True),
        ("rsa-1024-sha1", V.TLSv1, "ECDHE-RSA-AES128-SHA", True),
        ("rsa-2048", V.TLSv1_2, "ECDHE-RSA-AES128-SHA", False),
        ("ecdsa", V.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384", False),
        ("ecdsa", V.TLSv1_3, "DEFAULT", False),
        ("ed25519", V.TLSv1_3, "DEFAULT", False),
        ("rsa-1024-sha1", V.TLSv1_3, "DEFAULT", False),
    ],
)
async def test_camera_of_any_age_is_accepted(
    kind: Kind, version: ssl.TLSVersion, ciphers: str, is_old_one: bool, tmp_path: Path
) -> None:
    """From TLS 1.0 with RSA key exchange, CBC-SHA1 and a small SHA-1 key, to TLS 1.3 with Ed25519."""
    path = tmp_path / "camera.pem"
    async with open_camera(path, kind, version, ciphers) as (port, _):
        async with await open_tcp("127.0.0.1", port, True) as stream:
            assert isinstance(stream, trio.SSLStream)
            assert is_old(stream) is is_old_one
            assert fingerprint(stream) == pin_of(path)


@pytest.mark.parametrize(("host", "names"), [("localhost", ["localhost"]), ("127.0.0.1", [None]), ("::1", [None])])
async def test_only_a_name_is_sent_as_a_name(host: str, names: list[str | None], tmp_path: Path) -> None:
    """RFC 6066 forbids addresses in SNI, and some cameras refuse them."""
    at = host if ":" in host else "127.0.0.1"
    async with open_camera(tmp_path / "camera.pem", "ecdsa", V.TLSv1_3, "DEFAULT", at) as (port, asked):
        async with await open_tcp(host, port, True):
            assert asked == names


def test_no_cipher_is_without_encryption_or_certificate() -> None:
    """A pin compares the certificate, and rtsps:// encrypts."""
    names = [cipher["name"] for cipher in camera_context().get_ciphers()]
    assert {"AES128-SHA", "TLS_AES_256_GCM_SHA384"} <= set(names)
    assert not [name for name in names if name.startswith(("ADH", "AECDH")) or re.search("NULL|PSK|SRP", name)]


def test_server_without_secure_renegotiation_is_accepted() -> None:
    """OpenSSL 3 refuses it by default. Firmware from before 2010 has none, and no server here can imitate it."""
    assert camera_context().options & LEGACY_SERVER_CONNECT


async def test_plain_stream_has_no_fingerprint_and_is_not_old() -> None:
    """Cameras without TLS are not odd."""
    ours, _ = trio.testing.memory_stream_pair()
    assert (fingerprint(ours), is_old(ours), describe(ours, False)) == ("", False, "")


@pytest.mark.parametrize(("is_pinned", "verified"), [(True, "is the pinned one"), (False, "is not verified")])
async def test_connection_is_described_for_people(is_pinned: bool, verified: str, tmp_path: Path) -> None:
    """Version and cipher, and whether anybody is authenticated."""
    async with open_camera(tmp_path / "camera.pem", "rsa-2048", V.TLSv1_2, "AES128-SHA") as (port, _):
        async with await open_tcp("127.0.0.1", port, True) as stream:
            assert describe(stream, is_pinned) == f"TLSv1.2, AES128-SHA; the certificate {verified}"
