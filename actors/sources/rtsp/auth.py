"""Who we are: Basic and Digest, from what the camera asks for to what it is answered. Pure.

Source: RFC 7617 (Basic), RFC 7616 and, where a camera offers no `qop`, RFC 2069 (Digest); RFC 2326, section 14.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping

import attrs

MAX_CHALLENGES = 8
MAX_PARAMETERS = 32
"""Of one challenge; RFC 7616 knows nine. The rest of the same header is not read."""
_ALGORITHMS = {"sha-256": ("SHA-256", hashlib.sha256), "md5": ("MD5", hashlib.md5)}
"""The better one first."""
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_PART = re.compile(rf"""
    [\s,]*+                                            # one class for all that separates: two in a row cost n * n
    (?: (?P<name>{_TOKEN}) \s*+=\s*+ (?: "(?P<quoted>(?:[^"\\]|\\.)*+)" | (?P<plain>[^\s,"]*+) )
      | (?P<scheme>{_TOKEN}) )""", re.VERBOSE)  # fmt: skip
"""A parameter or a scheme. Every quantifier is possessive: nothing is read a third time, whatever a camera sends."""


@attrs.frozen
class Credentials:
    user: str
    password: str = attrs.field(repr=False)


@attrs.frozen
class Challenge:
    """One way in which a camera lets itself be convinced; `parameters` by name in lower case."""

    scheme: str
    parameters: Mapping[str, str]

    @property
    def algorithm(self) -> str:
        """Without `-sess`, in lower case."""
        return self.parameters.get("algorithm", "MD5").lower().removesuffix("-sess")

    @property
    def is_stale(self) -> bool:
        return self.parameters.get("stale", "").lower() == "true"

    @property
    def nonce(self) -> str:
        return self.parameters.get("nonce", "")


def parse_challenges(values: Iterable[str]) -> Iterator[Challenge]:
    """The challenges of all `WWW-Authenticate` headers; one header may hold several. What is none is left out."""
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


def choose(values: Iterable[str]) -> Challenge | None:
    """The safest of the challenges that can be answered: Digest with SHA-256, with MD5, then Basic."""
    found = [challenge for challenge, _ in zip(parse_challenges(values), range(MAX_CHALLENGES), strict=False)]
    for algorithm in _ALGORITHMS:
        for challenge in found:
            if challenge.scheme == "digest" and challenge.algorithm == algorithm and challenge.nonce:
                qops = challenge.parameters.get("qop", "auth").lower()
                if "auth" in re.split(r"[\s,]+", qops):
                    return challenge
    return next((challenge for challenge in found if challenge.scheme == "basic"), None)


class Authorization:
    """Answers to one challenge, one for each request that is sent under it."""

    def __init__(
        self,
        credentials: Credentials,
        challenge: Challenge,
        new_cnonce: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self.challenge = challenge
        self._credentials = credentials
        self._new_cnonce = new_cnonce
        self._count = 0

    def header(self, method: str, url: str) -> str:
        """The value of `Authorization` for a request."""
        if self.challenge.scheme == "basic":
            login = f"{self._credentials.user}:{self._credentials.password}"
            return f"Basic {base64.b64encode(login.encode()).decode()}"
        return self._digest(method, url)

    def _digest(self, method: str, url: str) -> str:
        asked, known = self.challenge.parameters, self._credentials
        name, make = _ALGORITHMS[self.challenge.algorithm]

        def hashed(*parts: str) -> str:
            return make(":".join(parts).encode()).hexdigest()

        self._count += 1
        realm, nonce, count, cnonce = asked.get("realm", ""), self.challenge.nonce, f"{self._count:08x}", ""
        secret = hashed(known.user, realm, known.password)
        is_session = asked.get("algorithm", "").lower().endswith("-sess")
        if "qop" in asked or is_session:
            cnonce = self._new_cnonce()
        if is_session:
            name, secret = f"{name}-sess", hashed(secret, nonce, cnonce)
        quoted = {"username": known.user, "realm": realm, "nonce": nonce, "uri": url}
        plain = {"algorithm": name} if "algorithm" in asked else {}
        if "qop" in asked:
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
