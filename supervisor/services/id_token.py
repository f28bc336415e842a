"""ID tokens of OpenID Connect: their signature and their claims (OpenID Connect Core, 3.1.3.7). Without I/O.

Rules of this file:
- Four algorithms are known, all with a public key. `none` and those with a shared secret are not: the client secret is
  known to whoever can read the configuration, and a public key to everybody.
- The key decides as well: its type, its `use` and its `alg` must fit the algorithm of the token.
- A claim that is missing, or of another type than the standard has, refuses the token. No error quotes a token.
- Checking takes milliseconds: see `verify`.
"""

import base64
import binascii
import warnings
from collections.abc import Mapping, Sequence
from secrets import compare_digest
from typing import Any

import attrs
import msgspec

ALGORITHMS = {"RS256": ("RSA", ""), "PS256": ("RSA", ""), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}
"""Each with the type and the curve of its key."""
TYPES = ("", "jwt")
MOST_TOKEN = 32 * 1024
MOST_KEYS = 100
LEAST_RSA, MOST_RSA = 256, 1024
"""Bytes of the modulus of an RSA key."""
LEEWAY_S = 60.0
"""By which the clocks of the provider and of this machine may differ."""
MOST_AGE_S = 600.0
"""Since a token was issued: the login before it is not part of this."""
MOST_SUBJECT = 255
MOST_TIME = 10**12


class TokenRefused(Exception):
    """The text says what is wrong with it, for the operator."""


class UnknownKey(TokenRefused):
    """None of the keys has the token's `kid`: the provider may have new ones."""


class PublicKey(msgspec.Struct, frozen=True):
    """A key of the provider; the fields that any of the algorithms needs, and no private ones."""

    kty: str
    kid: str = ""
    use: str = ""
    alg: str = ""
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""


class _KeySet(msgspec.Struct):
    keys: list[msgspec.Raw]


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str = ""
    typ: str = ""
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    b64: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


@attrs.frozen
class Expected:
    """The claims that a token must have."""

    issuer: str
    client_id: str
    nonce: str = attrs.field(repr=False)
    user_claim: str
    groups_claim: str


@attrs.frozen
class Claims:
    """The facts about a person in an ID token."""

    subject: str
    user: str
    """Empty if the token has no such claim."""
    groups: tuple[str, ...]


def read_keys(text: bytes) -> tuple[PublicKey, ...]:
    """The public keys of a JWK set. One that cannot be read is left out. Raises `TokenRefused`."""
    try:
        found = msgspec.json.decode(text, type=_KeySet).keys
    except (msgspec.MsgspecError, RecursionError):
        raise TokenRefused("its keys are no JWK set") from None
    if len(found) > MOST_KEYS:
        raise TokenRefused(f"it has {len(found)} keys, and {MOST_KEYS} are the limit")
    keys = []
    for one in found:
        try:
            keys.append(msgspec.json.decode(one, type=PublicKey))
        except (msgspec.MsgspecError, RecursionError):
            continue
    return tuple(keys)


def find_key(token: str, keys: Sequence[PublicKey]) -> tuple[PublicKey, str]:
    """The key of a token, and its algorithm. Raises `TokenRefused`; `UnknownKey` if newer keys may have it."""
    if len(token) > MOST_TOKEN or not token.isascii() or token.count(".") != 2:
        raise TokenRefused("the ID token is no signed token")
    try:
        header = msgspec.json.decode(_decoded(token.partition(".")[0]), type=_Header)
    except (msgspec.MsgspecError, RecursionError):
        raise TokenRefused("the header of the ID token cannot be read") from None
    if header.typ.lower() not in TYPES:
        raise TokenRefused("the token is of another type than an ID token")
    if header.crit is not msgspec.UNSET or header.b64 is not msgspec.UNSET:
        raise TokenRefused("the ID token needs an extension that banken does not know")
    if header.alg not in ALGORITHMS:
        raise TokenRefused(
            f"the ID token is signed by {header.alg[:20]!r}; set the provider to one of {', '.join(ALGORITHMS)}"
        )
    fitting = [key for key in keys if fits(key, header.alg)]
    if header.kid:
        named = [key for key in keys if key.kid == header.kid]
        if not named:
            raise UnknownKey("the provider has no key with the kid of the ID token")
        fitting = [key for key in fitting if key.kid == header.kid]
    if len(fitting) != 1:
        raise TokenRefused("the provider has no single key that fits the algorithm of the ID token")
    return fitting[0], header.alg


def fits(key: PublicKey, algorithm: str) -> bool:
    """Whether the key may have signed by this algorithm."""
    kind, curve = ALGORITHMS[algorithm]
    if key.kty != kind or key.crv != curve or key.use not in ("", "sig") or key.alg not in ("", algorithm):
        return False
    return kind != "RSA" or (LEAST_RSA <= len(_decoded(key.n).lstrip(b"\0")) <= MOST_RSA and len(_decoded(key.e)) <= 4)


def verify(token: str, key: PublicKey, algorithm: str) -> Mapping[str, Any]:
    """The claims of a token that `key` has signed. Raises `TokenRefused`.

    To be called in a thread: the library is loaded at the first call, and a large key takes milliseconds.
    """
    from joserfc import errors, jwk, jws

    warnings.filterwarnings("ignore", "EdDSA", errors.SecurityWarning)  # joserfc prefers its newer name
    fields = {name: value for name, value in msgspec.structs.asdict(key).items() if value}
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = 8192
    try:
        signed = jws.deserialize_compact(token, jwk.import_key(fields), [algorithm], registry)
        found = msgspec.json.decode(signed.payload or b"", type=dict[str, Any])
    except (errors.JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise TokenRefused("the signature of the ID token is wrong") from None
    return found


def read_claims(found: Mapping[str, Any], expected: Expected, now_s: float) -> Claims:
    """Check the claims. `now_s`: seconds since the epoch. Raises `TokenRefused`."""
    if found.get("iss") != expected.issuer:
        raise TokenRefused("the ID token is of another issuer")
    audience = found.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in audiences or not all(isinstance(one, str) for one in audiences):
        raise TokenRefused("the ID token is for another client")
    if "azp" in found or len(audiences) > 1:
        if found.get("azp") != expected.client_id:
            raise TokenRefused("the ID token was issued to another client")
    _check_times(found, now_s)
    nonce = found.get("nonce")
    if not isinstance(nonce, str) or not compare_digest(nonce.encode(), expected.nonce.encode()):
        raise TokenRefused("the ID token belongs to another login")
    subject = found.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MOST_SUBJECT:
        raise TokenRefused("the ID token names no person")
    user, groups = found.get(expected.user_claim), found.get(expected.groups_claim)
    groups = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
    return Claims(
        subject,
        user if isinstance(user, str) else "",
        tuple(group for group in groups if isinstance(group, str)),
    )


def _check_times(found: Mapping[str, Any], now_s: float) -> None:
    expires, issued, begins = (_time(found.get(name)) for name in ("exp", "iat", "nbf"))
    clocks = "compare the clocks of the provider and of this machine"
    if expires is None or now_s >= expires + LEEWAY_S:
        raise TokenRefused(f"the ID token has expired; {clocks}")
    if issued is None or issued > now_s + LEEWAY_S:
        raise TokenRefused(f"the ID token was issued in the future; {clocks}")
    if now_s > issued + MOST_AGE_S + LEEWAY_S:
        raise TokenRefused(f"the ID token was issued long ago; {clocks}")
    if "nbf" in found and (begins is None or begins > now_s + LEEWAY_S):
        raise TokenRefused(f"the ID token is not valid yet; {clocks}")


def _time(value: object) -> float | None:
    """Seconds since the epoch; None for anything that is no such number, also NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_TIME:
        return None
    return float(value)


def _decoded(text: str) -> bytes:
    """Base64url without padding; empty for anything else."""
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
