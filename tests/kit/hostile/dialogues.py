"""Targets for the texts of a camera that our next request depends on: control addresses and challenges.

And for the answers of readers to our own challenges.
"""

from functools import cache

from actors.rtsp_server.digest import DigestAnswer, Nonces, Outcome, is_right, read_answer
from actors.sources.rtsp.address import MAX_ADDRESS, candidates, repair
from actors.sources.rtsp.auth import STRONGER_THAN_MD5, Authorization, Credentials, choose
from supervisor.domain.digest import reader_keys

from .judge import Wrong

ASKED = "rtsp://192.0.2.1:8554/main"
KNOWN = Credentials('vie"wer', "pa55word")
READER = reader_keys("nvr", "nvr.pa55word")
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


def take_login(data: bytes) -> None:
    """A damaged answer of a reader proves nothing, unless what it says is undamaged. A nonce of another is stale."""
    answer = read_answer(data.decode(errors="replace").splitlines())
    if answer is None:
        return
    proved = is_right(answer, READER, "DESCRIBE", ASKED)
    if proved and _hashed(answer) not in _proofs():
        raise Wrong(f"{answer} is no answer of a reader that has the token")
    outcome = Nonces().judge(answer, READER, "DESCRIBE", ASKED, 0.0)
    if outcome is not (Outcome.STALE if proved else Outcome.WRONG):
        raise Wrong(f"{answer} is {outcome.name}")


def _hashed(answer: DigestAnswer) -> tuple[str, ...]:
    """The part of an answer that is hashed."""
    counted = (answer.count, answer.cnonce, answer.qop) if answer.qop else ()
    return (answer.response, answer.nonce, answer.url, *counted)


@cache
def logins() -> tuple[bytes, ...]:
    """Right answers to challenges of a connection that has gone, and a Basic one."""
    offered, known = Nonces().challenges(0.0, stale=False), Credentials("nvr", "nvr.pa55word")
    found = [choose([each]) for each in (*offered, *(each.replace(', qop="auth"', "") for each in offered))]
    answers = [Authorization(known, each).header("DESCRIBE", ASKED) for each in found if each is not None]
    return tuple(each.encode() for each in (*answers, f"Basic bnZyOm52cg==\n{answers[0]}"))


@cache
def _proofs() -> frozenset[tuple[str, ...]]:
    found = [read_answer(each.decode().splitlines()) for each in logins()]
    return frozenset(_hashed(each) for each in found if each is not None)


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
