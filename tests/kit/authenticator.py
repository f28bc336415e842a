"""An authenticator for tests: it makes passkeys and signs challenges, also as a faulty or hostile one would."""

import hashlib
import json
from base64 import urlsafe_b64encode
from typing import Any

import attrs
import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from supervisor.ports.passkeys import Assertion, Attestation, RelyingParty

PRESENT, VERIFIED, HAS_KEY = 1, 4, 64


@attrs.define
class Authenticator:
    """One passkey. `count` is how often it was used; None: it does not count, as those that are copied to a cloud."""

    credential: bytes = b"a credential id"
    count: int | None = 0
    user_handle: bytes = b""
    key: ec.EllipticCurvePrivateKey = attrs.field(factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def make(self, challenge: bytes, party: RelyingParty, user_handle: bytes, /, **changed: Any) -> Attestation:
        """A new passkey. `changed`: `flags`, `rp`, and fields of the client data, by their names there."""
        self.user_handle = user_handle
        numbers = self.key.public_key().public_numbers()
        key = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        flags = changed.pop("flags", PRESENT | VERIFIED) | HAS_KEY
        data = self._data(changed.pop("rp", party.rp), flags)
        data += bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + cbor2.dumps(key)
        attestation = changed.pop("attestation", {"fmt": "none", "attStmt": {}})
        client_data = _client_data("webauthn.create", challenge, party.origin, changed)
        return Attestation(client_data, cbor2.dumps({**attestation, "authData": data}), ("internal",))

    def sign(self, challenge: bytes, party: RelyingParty, /, **changed: Any) -> Assertion:
        """The answer to a challenge. `changed` as in `make`."""
        if self.count is not None:
            self.count += 1
        data = self._data(changed.pop("rp", party.rp), changed.pop("flags", PRESENT | VERIFIED))
        client_data = _client_data("webauthn.get", challenge, party.origin, changed)
        signed = data + hashlib.sha256(client_data).digest()
        return Assertion(
            credential=self.credential,
            client_data=client_data,
            authenticator_data=data,
            signature=self.key.sign(signed, ec.ECDSA(hashes.SHA256())),
            user_handle=self.user_handle,
        )

    def _data(self, rp: str, flags: int) -> bytes:
        return hashlib.sha256(rp.encode()).digest() + bytes([flags]) + (self.count or 0).to_bytes(4, "big")


def _client_data(kind: str, challenge: bytes, origin: str, changed: dict[str, Any]) -> bytes:
    text = urlsafe_b64encode(challenge).decode().rstrip("=")
    return json.dumps({"type": kind, "challenge": text, "origin": origin, "crossOrigin": False, **changed}).encode()
