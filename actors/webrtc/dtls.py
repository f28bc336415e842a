"""DTLS of one peer: the accepted certificates, and the cause of a failed handshake.

Rules of this file:
- Certificates with ECDSA and with RSA keys are accepted in both roles. banken's own is ECDSA.
- No chain is built, because a viewer is identified by the fingerprint of its certificate. A certificate with a slow key
  is refused before the key is used: a signature may take milliseconds, and a chain of them seconds.
- Each failed handshake leaves its cause in `failure`. The text has no byte that the viewer chose: alerts are numbers
  with names from this file; all other words are OpenSSL's.

Private names of aiortc that this file uses are checked by `tests/actors/webrtc/test_dtls.py`.
Source: RFC 5246, section 7.2 (alerts), RFC 8827, section 6.5 (cipher suites), RFC 8422 and RFC 5289 (the suites).
"""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from aiortc import RTCCertificate, RTCDtlsParameters, RTCDtlsTransport, RTCIceTransport
from aiortc.rtcdtlstransport import State
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL, crypto
from OpenSSL.crypto import X509

_FAMILIES = ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA")
CIPHERS = ":".join(f"ECDHE-{key}-{family}" for key in ("ECDSA", "RSA") for family in _FAMILIES).encode()

CURVES = ("secp256r1", "secp384r1", "secp521r1")
RSA_BITS, RSA_EXPONENT = 8192, 1 << 32
"""The limits of an RSA key. The time for a signature grows with both. Browsers use 2048 bits and 65537."""
_ALERT, _READ = 0x4000, 0x04
"""Bits of `where` in OpenSSL's information callback."""
ALERTS = {
    10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow",
    40: "handshake_failure (no common security parameters)",
    42: "bad_certificate", 43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired",
    46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error",
    51: "decrypt_error", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error",
    86: "inappropriate_fallback", 109: "missing_extension", 110: "unsupported_extension", 116: "certificate_required",
}  # fmt: skip
_CLOSE_NOTIFY = 0


class Certificate(RTCCertificate):
    """A certificate whose connections accept RSA, and record their alerts in `alerts` as `(from_viewer, number)`."""

    alerts: list[tuple[bool, int]]

    def for_viewer(self) -> "Certificate":
        """Return the same certificate and key, with a separate list of alerts."""
        copy = type(self)(self._key, self._cert)
        copy.alerts = []
        return copy

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(CIPHERS)
        context.set_verify_depth(0)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, is_usable)
        context.set_info_callback(self._note)
        return context

    def _note(self, _: SSL.Connection, where: int, code: int) -> None:
        number = code & 0xFF
        if where & _ALERT and number != _CLOSE_NOTIFY and len(self.alerts) < 8:
            self.alerts.append((bool(where & _READ), number))


def is_usable(_connection: SSL.Connection, certificate: X509, _error: int, _depth: int, _ok: int) -> bool:
    """Return whether a signature by this certificate's key is checked in less than a millisecond.

    OpenSSL calls this before it uses the key. The certificate has no trusted issuer, which is no reason to refuse it.
    """
    try:
        key = certificate.get_pubkey().to_cryptography_key()
    except (SSL.Error, crypto.Error, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size <= RSA_BITS and key.public_numbers().e <= RSA_EXPONENT
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES


class Dtls(RTCDtlsTransport):
    """A DTLS transport that explains a failed handshake: `failure` is empty until then."""

    def __init__(self, ice: RTCIceTransport, certificate: Certificate) -> None:
        own = certificate.for_viewer()
        self.failure = ""
        self._alerts = own.alerts
        super().__init__(ice, [own])

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:  # noqa: N803 - aiortc's name
        super()._validate_peer_identity(remoteParameters)
        if self._state is State.FAILED:
            self.failure = "the viewer's certificate does not match the fingerprint in its offer"

    def _setup_srtp(self) -> None:
        super()._setup_srtp()
        if self._state is State.FAILED:
            self.failure = "the viewer shares no SRTP protection profile with banken"

    def _set_state(self, state: State) -> None:
        if state is State.FAILED:
            self.failure = self._explain(sys.exc_info()[1])
        super()._set_state(state)

    def _explain(self, error: BaseException | None) -> str:
        """Return why the handshake failed. `error` is the exception that aiortc is handling, if any."""
        if isinstance(error, ConnectionError):
            return "the path to the viewer was lost during the DTLS handshake"
        if self._alerts:
            from_viewer, number = self._alerts[0]
            name = ALERTS.get(number, f"number {number}")
            return f"the DTLS handshake failed: {'the viewer' if from_viewer else 'banken'} sent the alert {name}"
        return f"the DTLS handshake failed: {_reason(error) or 'the viewer ended it'}"


def _reason(error: BaseException | None) -> str:
    """Return OpenSSL's text for an error; empty if there is no text."""
    entries = error.args[0] if error is not None and error.args else None
    if isinstance(entries, list) and entries and isinstance(entries[-1], tuple):
        return str(entries[-1][-1])
    return ""


_made: list[Certificate] = []


def certificate() -> Certificate:
    """Return the certificate, one for all peers. It is replaced a day before it expires.

    It proves to each viewer that the other end is the writer of the answer.
    """
    if not _made or _made[0].expires - datetime.now(UTC) < timedelta(days=1):
        _made[:] = [Certificate.generateCertificate()]
    return _made[0]
