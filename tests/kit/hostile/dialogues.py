"""Targets for the texts of a camera that our next request depends on: control addresses and challenges."""

from functools import cache

from actors.sources.rtsp.address import MAX_ADDRESS, candidates, repair
from actors.sources.rtsp.auth import STRONGER_THAN_MD5, Authorization, Credentials, choose

from .judge import Wrong

ASKED = "rtsp://192.0.2.1:8554/main"
KNOWN = Credentials('vie"wer', "pa55word")
MOST = 8
"""Addresses that a medium may be looked for at."""


def take_addresses(data: bytes) -> None:
    """A base, the control of the whole, that of a medium: each address found fits into a request line."""
    base, whole, control = ([*data.decode(errors="replace").split("\n", 2), "", ""])[:3]
    try:
        base = repair(base, ASKED)
    except ValueError:
        base = ASKED
    found = candidates(base, ASKED, whole, control)
    if not 1 <= len(found) <= MOST:
        raise Wrong(f"{len(found)} addresses")
    for address in (each for pair in found for each in pair):
        if not address.isascii() or any(not character.isprintable() or character == " " for character in address):
            raise Wrong(f"{address!r} fits into no request line")
        if len(address) > 12 * MAX_ADDRESS:
            raise Wrong(f"an address of {len(address)} characters")


def take_challenge(data: bytes) -> None:
    """The answer to the challenges of these headers, by each algorithm, is one line without the password."""
    offered = data.decode(errors="replace").splitlines()
    for refused in (frozenset[str](), STRONGER_THAN_MD5):
        challenge = choose(offered, True, refused)
        if challenge is None:
            continue
        answer = Authorization(KNOWN, challenge).header("PLAY", ASKED)
        if "\r" in answer or "\n" in answer or KNOWN.password in answer:
            raise Wrong(f"{answer!r} is not one line, or has the password")


@cache
def addresses() -> tuple[bytes, ...]:
    bases = ("rtsp://rtsp://192.0.2.1:8554/main/", "192.0.2.1:8554/main/", "[2001:db8::1]:554/", "/main/?a=1", "*", "")
    controls = ("trackID=1", "?ctype=video", "rtsp://u:p@10.0.0.9/main/trackID=1", "/trackID=1", "track:1")
    return tuple(
        f"{base}\n{whole}\n{control}".encode() for base in bases for whole in ("*", base) for control in controls
    )


@cache
def challenges() -> tuple[bytes, ...]:
    digest = 'Digest realm="camera", nonce="1f", opaque="x", stale="FALSE"'
    algorithms = ("", ", algorithm=MD5", ', algorithm="SHA-256"', ", algorithm=SHA-512-256-sess", ", algorithm=SHA-3")
    offers = [
        f"{digest}{algorithm}{qop}" for algorithm in algorithms for qop in ("", ', qop="auth,auth-int"', ', qop=""')
    ]
    return tuple(f'{offer}\n{digest}, Basic realm="x"'.encode() for offer in offers)
