"""HA1 of Digest: what banken keeps of a token, so that a reader by RTSP proves to have it without sending it. Pure.

Rules of this file:
- HA1 is as good as the token for RTSP: who has it can answer every challenge. It is kept in the access file alone, and
  only of tokens that were made for RTSP.
- The realm is part of it, so it never changes.

Source: RFC 7616, section 3.4.2.
"""

import hashlib
from collections.abc import Mapping

import msgspec

REALM = "banken"
ALGORITHMS: Mapping[str, str] = {"SHA-256": "sha256", "MD5": "md5"}
"""Name in Digest, and in hashlib. Most readers know MD5 only."""


class ReaderKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """HA1 of one token: with the whole token as the password, and with the part behind its name, by algorithm."""

    sha256: tuple[str, str]
    md5: tuple[str, str]

    def of(self, algorithm: str) -> tuple[str, str]:
        """`algorithm`: a key of `ALGORITHMS`."""
        return self.sha256 if algorithm == "SHA-256" else self.md5


def reader_keys(name: str, token: str) -> ReaderKeys:
    """The keys of `token`, the text `NAME.SECRET`."""
    passwords = token, token.removeprefix(f"{name}.")

    def keys(algorithm: str) -> tuple[str, str]:
        whole, secret = (hashed(algorithm, name, REALM, password) for password in passwords)
        return whole, secret

    return ReaderKeys(keys("SHA-256"), keys("MD5"))


def hashed(algorithm: str, *parts: str) -> str:
    """The hash of the parts, with a colon between two, in hex."""
    data = ":".join(parts).encode(errors="replace")
    return hashlib.new(ALGORITHMS[algorithm], data, usedforsecurity=False).hexdigest()
