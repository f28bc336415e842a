"""Digest, as the server of readers checks it: challenges, nonces, and the answers of readers. Pure but for its keys.

Rules of this file:
- A nonce is signed with a key of its connection, so an answer is worth nothing in another one. It ages.
- In one connection, the count of a nonce only rises: an answer that was sent before is refused.
- Only who knows the password learns that a nonce is stale.
- A name that nobody has costs the same work as one with a wrong password.

Source: RFC 7616; RFC 2069 for answers without `qop`, which most readers send; RFC 2326, section 14.
"""

import hmac
import re
import secrets
from collections.abc import Sequence
from enum import Enum, auto
from urllib.parse import unquote, urlsplit

import attrs

from supervisor.domain.digest import ALGORITHMS, REALM, ReaderKeys, hashed, reader_keys

from ..sources.rtsp.auth import parse_challenges

NONCE_S = 300.0
"""How long a nonce may be used."""
MOST_ANSWER = 2048
"""Characters of an answer that are read: usual ones have 300."""
NOBODY = reader_keys("", secrets.token_hex())
"""The keys of a name that nobody has."""
_NONCE = re.compile(r"([0-9a-f]{12})([0-9a-f]{32})", re.ASCII)
_COUNT = re.compile(r"[0-9a-fA-F]{8}", re.ASCII)


class Outcome(Enum):
    """How the answer of a reader is judged."""

    RIGHT = auto()
    STALE = auto()
    """It knows the password. The nonce is too old, of another connection, or was used with this count."""
    WRONG = auto()


@attrs.frozen
class DigestAnswer:
    """The `Authorization` header of a request."""

    user: str
    realm: str
    nonce: str
    url: str
    response: str = attrs.field(repr=False)
    algorithm: str
    qop: str
    count: str
    cnonce: str


def read_answer(values: Sequence[str]) -> DigestAnswer | None:
    """The first answer by Digest in the first of these headers; None without one, for Basic for instance."""
    for found in parse_challenges(value[:MOST_ANSWER] for value in values[:1]):
        if found.scheme == "digest":
            of = found.parameters
            return DigestAnswer(
                user=of.get("username", ""),
                realm=of.get("realm", ""),
                nonce=of.get("nonce", ""),
                url=of.get("uri", ""),
                response=of.get("response", "").lower(),
                algorithm=of.get("algorithm", "MD5").upper(),
                qop=of.get("qop", "").lower(),
                count=of.get("nc", ""),
                cnonce=of.get("cnonce", ""),
            )
    return None


def is_right(answer: DigestAnswer, keys: ReaderKeys, method: str, url: str) -> bool:
    """Whether the answer proves one of the keys for a request of `method` at `url`.

    Readers name the camera, or one of its tracks, whichever of them they ask for; both are of one camera.
    """
    known = answer.algorithm in ALGORITHMS and answer.realm == REALM and answer.qop in ("", "auth")
    fits = known and camera_of(answer.url) == camera_of(url) and (not answer.qop or _counts(answer))
    algorithm = answer.algorithm if known else "MD5"
    request = hashed(algorithm, method, answer.url)
    counted = (answer.count, answer.cnonce, answer.qop) if answer.qop else ()
    sent = answer.response.encode()
    proved = [
        hmac.compare_digest(sent, hashed(algorithm, key, answer.nonce, *counted, request).encode())
        for key in keys.of(algorithm)
    ]
    return fits and any(proved)


def _counts(answer: DigestAnswer) -> bool:
    return bool(_COUNT.fullmatch(answer.count) and answer.cnonce)


def camera_of(url: str) -> str:
    """The camera that an address names, or the path of one; empty for an unreadable one."""
    try:
        return unquote(urlsplit(url).path, errors="replace").strip("/").partition("/")[0]
    except ValueError:
        return ""


class Nonces:
    """The nonces of one connection. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)
        self._used = 0, 0
        """The newest nonce that was used with a count, by its time in milliseconds; and that count."""

    def challenges(self, now: float, *, stale: bool) -> tuple[str, ...]:
        """The values of `WWW-Authenticate`, the strongest first; some readers take the first, and some the last."""
        at = f"{int(now * 1000):012x}"
        nonce = at + self._sign(at)
        said = ", stale=true" if stale else ""
        return tuple(
            f'Digest realm="{REALM}", nonce="{nonce}"{said}, algorithm={algorithm}, qop="auth"'
            for algorithm in ALGORITHMS
        )

    def judge(self, answer: DigestAnswer, keys: ReaderKeys | None, method: str, url: str, now: float) -> Outcome:
        """Judge an answer. `keys`: of the token with that name, if there is one for RTSP."""
        proved = is_right(answer, keys or NOBODY, method, url)
        if keys is None or not proved:
            return Outcome.WRONG
        found = _NONCE.fullmatch(answer.nonce)
        if found is None or not hmac.compare_digest(found[2], self._sign(found[1])):
            return Outcome.STALE
        at_ms = int(found[1], 16)
        if now - at_ms / 1000 > NONCE_S:
            return Outcome.STALE
        if answer.qop:
            use = at_ms, int(answer.count, 16)
            if use <= self._used:
                return Outcome.STALE
            self._used = use
        return Outcome.RIGHT

    def _sign(self, at: str) -> str:
        return hmac.digest(self._key, at.encode(), "sha256").hex()[:32]
