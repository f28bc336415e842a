"""Authentication with Basic and Digest: from the camera's challenge to our answer. Pure.

Source: RFC 7617 (Basic), RFC 7616 and, where a camera offers no `qop`, RFC 2069 (Digest); RFC 2326, section 14.
"""

import base64
import hashlib
import itertools
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import attrs

MAX_CHALLENGES = 8
MAX_PARAMETERS = 32
"""Limit for one challenge; RFC 7616 defines nine. The rest of the same header is ignored."""
MD5 = "md5"
_ALGORITHMS = {"sha256": "sha256", "sha512256": "sha512_256", MD5: MD5}
"""The name in hashlib of each algorithm that can be answered, the preferred one first; OpenSSL may lack the second."""
STRONGER_THAN_MD5 = frozenset(_ALGORITHMS) - {MD5}
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_PART = re.compile(rf"""
    [\s,;]*+                                           # one class for all that separates: two in a row cost n * n
    (?: (?P<name>{_TOKEN}) \s*+=\s*+ (?: "(?P<quoted>(?:[^"\\]|\\.)*+)" | (?P<plain>[^\s,;"]*+) )
      | (?P<scheme>{_TOKEN}) )""", re.VERBOSE)  # fmt: skip
"""A parameter or a scheme. Every quantifier is possessive: for any input, no byte is read more than twice."""


@attrs.frozen
class Credentials:
    user: str
    password: str = attrs.field(repr=False)
    digest_only: bool = False
    """Whether the password must not be sent readably, as Basic does."""


@attrs.frozen
class Challenge:
    """One challenge of a camera; `parameters` by name in lower case."""

    scheme: str
    parameters: Mapping[str, str]

    @property
    def algorithm(self) -> str:
        """The algorithm as letters and digits in lower case, without `-sess`: cameras write its name in many ways."""
        name = self.parameters.get("algorithm", "") or MD5
        return re.sub(r"[-_]", "", name.lower().strip().removesuffix("-sess"))

    @property
    def qops(self) -> list[str]:
        """The offered qualities of protection; one that is empty if none is named."""
        return re.split(r"[\s,]+", self.parameters.get("qop", "").strip().lower())

    @property
    def is_stale(self) -> bool:
        return self.parameters.get("stale", "").lower() == "true"

    @property
    def nonce(self) -> str:
        return self.parameters.get("nonce", "")


def parse_challenges(values: Iterable[str]) -> Iterator[Challenge]:
    """Yield the challenges of all `WWW-Authenticate` headers; a header may hold several. Invalid parts are skipped."""
    for value in values:
        scheme, parameters, at = "", dict[str, str](), 0
        while len(parameters) < MAX_PARAMETERS and (part := _PART.match(value, at)):
            at = part.end()
            if part["scheme"]:
                if scheme:
                    yield Challenge(scheme, parameters)
                scheme, parameters = part["scheme"].lower(), {}
            else:
                quoted = part["quoted"]
                text = part["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                parameters[part["name"].lower()] = text
        if scheme:
            yield Challenge(scheme, parameters)


def choose(
    values: Iterable[str], digest_only: bool = False, refused: Collection[str] = frozenset()
) -> Challenge | None:
    """Return the strongest challenge that can be answered: Digest with SHA-256, SHA-512-256, MD5, then Basic.

    Digest whose `qop` lacks `auth` follows all other Digest, and is answered without `qop`. Basic is left out with
    `digest_only`, and the algorithms `refused` are left out always.
    """
    found = [challenge for challenge, _ in zip(parse_challenges(values), range(MAX_CHALLENGES), strict=False)]
    for is_other_qop, algorithm in itertools.product((False, True), _ALGORITHMS):
        for challenge in found:
            if challenge.scheme == "digest" and challenge.algorithm == algorithm and "nonce" in challenge.parameters:
                usable = _ALGORITHMS[algorithm] in hashlib.algorithms_available and algorithm not in refused
                if {"", "auth"}.isdisjoint(challenge.qops) == is_other_qop and usable:
                    return challenge
    basics = (challenge for challenge in found if challenge.scheme == "basic")
    return None if digest_only else next(basics, None)


def choose_next(
    offered: Collection[str],
    known: Credentials,
    before: Challenge | None,
    is_last: bool,
    refused: Collection[str] = frozenset(),
) -> tuple[Challenge | None, str]:
    """Return the challenge whose answer may succeed, and the algorithm that this camera refuses; empty if none.

    `offered` are the challenges of status 401, `before` the one that the request has answered. With `is_last`, the
    camera has refused an answer to this request before: only a stale nonce or a weaker algorithm explain that.
    """
    challenge = choose(offered, known.digest_only, refused) or choose(offered, known.digest_only)
    if challenge is None or challenge.is_stale:
        return challenge, ""
    if not is_last and (before is None or before.nonce != challenge.nonce):
        return challenge, ""
    if before is None or before.algorithm not in STRONGER_THAN_MD5:
        return None, ""
    return choose(offered, True, STRONGER_THAN_MD5), before.algorithm


class Authorization:
    """The answers to one challenge, one for each request."""

    def __init__(
        self,
        credentials: Credentials,
        challenge: Challenge,
        new_cnonce: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self.challenge, self.credentials = challenge, credentials
        self._new_cnonce = new_cnonce
        self._count = 0

    def header(self, method: str, url: str) -> str:
        """Return the value of the `Authorization` header for a request."""
        if self.challenge.scheme == "basic":
            login = f"{self.credentials.user}:{self.credentials.password}"
            return f"Basic {base64.b64encode(login.encode()).decode()}"
        return self._digest(method, url)

    def _digest(self, method: str, url: str) -> str:
        asked, known, qop = self.challenge.parameters, self.credentials, "auth" in self.challenge.qops
        name = _ALGORITHMS[self.challenge.algorithm]

        def hashed(*parts: str) -> str:
            return hashlib.new(name, ":".join(parts).encode()).hexdigest()

        self._count += 1
        realm, nonce, count, cnonce = asked.get("realm", ""), self.challenge.nonce, f"{self._count:08x}", ""
        secret = hashed(known.user, realm, known.password)
        algorithm = asked.get("algorithm", "").strip()
        is_session = algorithm.lower().endswith("-sess")
        if qop or is_session:
            cnonce = self._new_cnonce()
        if is_session:
            secret = hashed(secret, nonce, cnonce)
        quoted = {"username": known.user, "realm": realm, "nonce": nonce, "uri": url}
        plain = {"algorithm": algorithm} if algorithm else {}
        if qop:
            quoted["response"] = hashed(secret, nonce, count, cnonce, "auth", hashed(method, url))
            plain |= {"qop": "auth", "nc": count}
        else:
            quoted["response"] = hashed(secret, nonce, hashed(method, url))
        quoted |= {"cnonce": cnonce} if cnonce else {}
        quoted |= {"opaque": asked["opaque"]} if "opaque" in asked else {}
        pairs = [f"{key}={_quote(value)}" for key, value in quoted.items()]
        return "Digest " + ", ".join([*pairs, *(f"{key}={value}" for key, value in plain.items())])


def _quote(text: str) -> str:
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    return f'"{escaped}"'
