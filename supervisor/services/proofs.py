"""Proofs of passkeys: whether an authenticator has signed a challenge (WebAuthn, sections 7.1 and 7.2).

Rules of this file:
- The library is imported at the first use, in a thread: that takes 0.1 s and 20 MB.
- Everything that the library raises is a refusal: it parses bytes of strangers, and raises whatever these cause.
- An authenticator is not asked for its maker. So of its statements only `none`, and one that is signed by the new key
  itself, are verified. No certificate is parsed.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import attrs
import msgspec

from ..ports.passkeys import Assertion, Attestation, RelyingParty

LONGEST_KEY = 2048
"""Bytes of a public key in COSE. One of RSA with 4096 bits has 540."""


class NotProved(Exception):
    """The answer of the authenticator proves nothing."""


class ClientData(msgspec.Struct, frozen=True):
    """The page, according to the browser. The authenticator signs it."""

    challenge: str
    cross_origin: bool = msgspec.field(default=False, name="crossOrigin")
    top_origin: str = msgspec.field(default="", name="topOrigin")


@attrs.frozen
class Made:
    """A new passkey."""

    credential: bytes
    key: bytes
    count: int


def challenge_in(client_data: bytes) -> bytes:
    """The challenge that was signed. Raises `NotProved`, also for a page in a frame of another site."""
    try:
        found = msgspec.json.decode(client_data, type=ClientData)
        challenge = urlsafe_b64decode(found.challenge + "=" * (-len(found.challenge) % 4))
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError):
        raise NotProved("the data of the browser cannot be read") from None
    if found.cross_origin or found.top_origin:
        raise NotProved("the page was in a frame of another site")
    return challenge


def count_of(proof: Assertion, key: bytes, party: RelyingParty) -> int:
    """How often the passkey was used, after its answer to its challenge was verified. Raises `NotProved`.

    Whether that is more often than before is for the caller to decide, under a lock.
    """
    from webauthn import verify_authentication_response
    from webauthn.helpers.structs import AuthenticationCredential, AuthenticatorAssertionResponse

    response = AuthenticatorAssertionResponse(
        client_data_json=proof.client_data,
        authenticator_data=proof.authenticator_data,
        signature=proof.signature,
        user_handle=proof.user_handle,
    )
    try:
        return verify_authentication_response(
            credential=AuthenticationCredential(_text(proof.credential), proof.credential, response),
            expected_challenge=challenge_in(proof.client_data),
            expected_rp_id=party.rp,
            expected_origin=party.origin,
            credential_public_key=key,
            credential_current_sign_count=0,
            require_user_verification=True,
        ).new_sign_count
    except MemoryError:
        raise
    except Exception as error:
        raise NotProved(f"{type(error).__name__}: {error}") from None


def made_by(proof: Attestation, party: RelyingParty) -> Made:
    """The new passkey, after the answer to its challenge was verified. Raises `NotProved`."""
    from webauthn import verify_registration_response
    from webauthn.helpers import (
        decode_credential_public_key,
        decoded_public_key_to_cryptography,
        parse_attestation_object,
    )
    from webauthn.helpers.structs import AttestationFormat, AuthenticatorAttestationResponse, RegistrationCredential

    try:
        made = parse_attestation_object(proof.attestation)
        is_own = made.fmt == AttestationFormat.PACKED and not made.att_stmt.x5c
        found = made.auth_data.attested_credential_data
        if found is None or not (made.fmt == AttestationFormat.NONE or is_own):
            raise NotProved(f"no passkey, or one with an attestation of the kind {made.fmt}")
        response = AuthenticatorAttestationResponse(proof.client_data, proof.attestation)
        verified = verify_registration_response(
            credential=RegistrationCredential(_text(found.credential_id), found.credential_id, response),
            expected_challenge=challenge_in(proof.client_data),
            expected_rp_id=party.rp,
            expected_origin=party.origin,
            require_user_verification=True,
        )
        if len(verified.credential_public_key) > LONGEST_KEY:
            raise NotProved("the public key is too long")
        decoded_public_key_to_cryptography(decode_credential_public_key(verified.credential_public_key))
    except (NotProved, MemoryError):
        raise
    except Exception as error:
        raise NotProved(f"{type(error).__name__}: {error}") from None
    return Made(verified.credential_id, verified.credential_public_key, verified.sign_count)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
