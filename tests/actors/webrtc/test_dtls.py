"""DTLS with all kinds of viewers: RSA and ECDSA, in both roles; each failure names its own cause.

These tests fail when a new release of aiortc changes internals that `actors/webrtc/dtls.py` uses.
"""

import datetime
import socket
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
import trio
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES, generate_certificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from OpenSSL.crypto import X509

from actors.webrtc import dtls
from actors.webrtc.dtls import certificate
from actors.webrtc.endpoint import Endpoints
from tests.actors.webrtc.test_connection import Server, serve
from tests.kit.processes import wait_until
from tests.kit.viewer import Viewer, open_viewer

A_DAY = datetime.timedelta(days=1)
RSA = b"ECDHE-RSA-AES128-GCM-SHA256"


class Picky(RTCCertificate):
    """A viewer's certificate, and the cipher suites of its stack."""

    suites = RSA
    profiles: bytes | None = None

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(self.suites)
        return context


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def rsa_certificate(suites: bytes = RSA) -> Picky:
    key: Any = rsa_key()
    certificate = Picky(key, generate_certificate(key))
    certificate.suites = suites
    return certificate


async def connect(nursery: trio.Nursery, viewer: Viewer, offer: str) -> Server:
    server = await serve(nursery, offer)
    await viewer.accept(server.notes.answer)
    await wait_until(lambda: server.notes.heard_of or server.done.is_set(), 15, what="an end of the handshake")
    return server


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
async def test_viewer_with_an_rsa_certificate_is_served_in_either_role(setup: str) -> None:
    """GStreamer and others use RSA certificates; `active` makes us the DTLS server, all else its client."""
    certificate = rsa_certificate(b"ECDHE-ECDSA-AES128-GCM-SHA256:" + RSA)
    async with trio.open_nursery() as nursery, open_viewer(certificate=certificate) as viewer:
        server = await connect(nursery, viewer, viewer.offer.replace("a=setup:actpass", f"a=setup:{setup}"))
        assert server.reason is None
        nursery.start_soon(server.play)
        await viewer.wait_frames(3)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA"])
async def test_each_suite_of_rsa_is_accepted(suite: str) -> None:
    """A viewer with a single suite of each family connects as the DTLS server."""
    async with (
        trio.open_nursery() as nursery,
        open_viewer(certificate=rsa_certificate(f"ECDHE-RSA-{suite}".encode())) as viewer,
    ):
        assert (await connect(nursery, viewer, viewer.offer)).notes.heard_of == ["connected"]
        nursery.cancel_scope.cancel()


async def test_reason_names_the_fingerprint_when_the_certificate_is_another() -> None:
    """The certificate is of a supported kind, but not the one that the offer announced."""
    async with trio.open_nursery() as nursery, open_viewer() as viewer:
        line = next(line for line in viewer.offer.splitlines() if line.startswith("a=fingerprint:sha-256"))
        name, _, digest = line.partition(" ")
        other = f"{name} {':'.join(reversed(digest.split(':')))}"
        server = await connect(nursery, viewer, viewer.offer.replace(line, other))
        assert server.reason is not None
        assert (server.reason.code, server.reason.text) == (
            "dtls-failed",
            "the viewer's certificate does not match the fingerprint in its offer",
        )
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("setup", "sender"), [("actpass", "the viewer"), ("active", "banken")])
async def test_reason_names_the_alert_when_no_cipher_suite_is_shared(setup: str, sender: str) -> None:
    """The certificate is not blamed: the DTLS server, the viewer or banken, reports that no suite is shared."""
    text = f"the DTLS handshake failed: {sender} sent the alert handshake_failure (no common security parameters)"
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = Picky(key, generate_certificate(key))
    certificate.suites = b"ECDHE-ECDSA-AES256-GCM-SHA384"
    async with trio.open_nursery() as nursery, open_viewer(certificate=certificate) as viewer:
        server = await connect(nursery, viewer, viewer.offer.replace("a=setup:actpass", f"a=setup:{setup}"))
        assert server.reason is not None
        assert (server.reason.code, server.reason.text) == ("dtls-failed", text)
        nursery.cancel_scope.cancel()


def client_hello() -> bytes:
    """Return a ClientHello of a stranger."""
    stranger = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))
    stranger.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        stranger.do_handshake()
    return stranger.bio_read(4096)


ALERT = bytes([21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40])
"""A fatal handshake_failure in plain text."""
CLOSE = bytes([21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0])


@pytest.mark.parametrize("setup", ["actpass", "active"])
@pytest.mark.parametrize("kind", ["hello", "alert", "close", "noise", "srtp"])
async def test_stranger_disturbs_no_handshake_and_no_session(
    kind: str, setup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's datagrams reach our ports before the checks, during the handshake, and while media flows."""
    data = {
        "hello": client_hello(), "alert": ALERT, "close": CLOSE, "noise": bytes([30]) * 200, "srtp": b"\x81\xc9" * 100
    }[kind]  # fmt: skip
    made: list[Endpoints] = []
    stock = Endpoints.__init__

    def note(self: Endpoints, *args: Any) -> None:
        stock(self, *args)
        made.append(self)

    monkeypatch.setattr(Endpoints, "__init__", note)
    async with trio.open_nursery() as nursery, open_viewer() as viewer:
        server = await serve(nursery, viewer.offer.replace("a=setup:actpass", f"a=setup:{setup}"))
        ours = [endpoint.get_extra_info("sockname") for endpoint in made[0].opened]

        async def spray() -> None:
            families = {len(address): socket.AF_INET6 if len(address) == 4 else socket.AF_INET for address in ours}
            strangers = {size: socket.socket(family, socket.SOCK_DGRAM) for size, family in families.items()}
            try:
                while True:
                    for address in ours:
                        strangers[len(address)].sendto(data, address)
                    await trio.sleep(0.002)
            finally:
                for stranger in strangers.values():
                    stranger.close()

        nursery.start_soon(spray)
        await viewer.accept(server.notes.answer)
        await wait_until(lambda: server.notes.heard_of or server.done.is_set(), 15, what="an end of the handshake")
        assert server.reason is None
        nursery.start_soon(server.play)
        await viewer.wait_frames(10)
        assert not server.done.is_set()
        assert not made[0].held
        nursery.cancel_scope.cancel()


def chained(key: Any, *issuers: Any) -> list[x509.Certificate]:
    """Return a certificate for `key` and its issuers. No signature is valid, because none is checked."""
    signer, now = rsa_key(), datetime.datetime.now(datetime.UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"c{index}")]) for index in range(len(issuers) + 2)]
    made = []
    for index, one in enumerate((key, *issuers)):
        builder = x509.CertificateBuilder(names[index + 1], names[index], one, index + 1, now, now + A_DAY)
        builder = builder.add_extension(x509.BasicConstraints(index > 0, None), critical=True)
        made.append(builder.sign(signer, hashes.SHA256()))
    return made


def shake_hands(certificates: list[x509.Certificate], key: Any, banken_is_client: bool) -> bool:
    """Run a handshake in memory with a viewer that has these certificates; returns whether it succeeded."""
    ours = SSL.Connection(certificate().for_viewer()._create_ssl_context(SRTP_PROFILES))
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    context.use_certificate(certificates[0])
    context.use_privatekey(key)
    for one in certificates[1:]:
        context.add_extra_chain_cert(one)
    context.set_tlsext_use_srtp(b":".join(profile.openssl_profile for profile in SRTP_PROFILES))
    theirs = SSL.Connection(context)
    (ours if banken_is_client else theirs).set_connect_state()
    (theirs if banken_is_client else ours).set_accept_state()
    done: set[SSL.Connection] = set()
    for end in (ours, theirs):
        end.set_ciphertext_mtu(4000)
    for _ in range(30):
        for end, other in ((ours, theirs), (theirs, ours)):
            try:
                end.do_handshake()
                done.add(end)
            except SSL.WantReadError:
                pass
            except SSL.Error:
                return False
            with suppress(SSL.WantReadError):
                while True:
                    other.bio_write(end.bio_read(4096))
                    with suppress(SSL.Error):
                        other.do_handshake()
        if len(done) == 2:
            return True
    return False


SLOW = rsa.RSAPublicNumbers((1 << 3071) - 1, (1 << 3072) - 1).public_key()
"""Checking a signature by it takes 9 ms."""
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("banken_is_client", [True, False])
def test_chain_of_keys_that_are_slow_is_refused_before_they_are_used(banken_is_client: bool) -> None:
    """A chain of 66 such keys blocked the loop for 600 ms in each handshake."""
    assert shake_hands(chained(KEY.public_key()), KEY, banken_is_client)
    assert not shake_hands(chained(KEY.public_key(), *[SLOW] * 10), KEY, banken_is_client)


@pytest.mark.parametrize("banken_is_client", [True, False])
def test_no_chain_is_built(banken_is_client: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fingerprint is that of the viewer's own certificate, so that its issuers prove nothing."""
    asked: list[int] = []

    def count(*arguments: Any) -> bool:
        asked.append(arguments[3])
        return stock(*arguments)

    stock = dtls.is_usable
    monkeypatch.setattr(dtls, "is_usable", count)
    assert shake_hands(chained(KEY.public_key(), *[rsa_key().public_key()] * 20), KEY, banken_is_client)
    assert max(asked) <= 1


@pytest.mark.parametrize(
    ("key", "usable"),
    [
        (rsa.RSAPublicNumbers(65537, (1 << 2048) - 1).public_key(), True),
        (rsa.RSAPublicNumbers(65537, (1 << 8192) - 1).public_key(), True),
        (rsa.RSAPublicNumbers(65537, (1 << 16_000) - 1).public_key(), False),
        (rsa.RSAPublicNumbers((1 << 60) - 1, (1 << 2048) - 1).public_key(), False),
        (SLOW, False),
        (KEY.public_key(), True),
        (ec.generate_private_key(ec.SECP521R1()).public_key(), True),
        (ec.generate_private_key(ec.BrainpoolP512R1()).public_key(), False),
        (ed25519.Ed25519PrivateKey.generate().public_key(), False),
        (dsa.generate_parameters(1024).generate_private_key().public_key(), False),
    ],
)
def test_keys_that_are_quick_to_use_are_taken(key: Any, usable: bool) -> None:
    """A huge RSA key or exponent would block the event loop; other curves and algorithms are not supported."""
    (made,) = chained(key)
    assert dtls.is_usable(None, X509.from_cryptography(made), 18, 0, 0) is usable  # type: ignore[arg-type]
