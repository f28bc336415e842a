"""The camera's side of an RTSP dialogue, as rules: requests in, answers out. Pure.

The first rule that fits a request is taken. Source: RFC 2326; RFC 2069 and RFC 7616 (Digest, without qop).
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

import attrs
import msgspec

MAX_HEAD = 64 * 1024
"""Bytes of one request."""
ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_PLACE = re.compile(r"\{([\w-]+)(?::(\w+))?\}")
_PLACES = ("port", "cseq", "cseq-1", "client_port", "server_port")
_NUMBERS = ("port", "cseq", "cseq-1")
_PAIR = re.compile(r'([\w-]+)=("[^"]*"|[^,\s]+)')
_CLIENT_PORTS = re.compile(r"client_port=(\d{1,5})-(\d{1,5})")


class RequestError(ValueError):
    """The bytes are no RTSP request."""


class Digest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The proof of a password (HTTP Digest without qop)."""

    user: str
    password: str
    realm: str
    nonce: str
    algorithm: str


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests it fits, by the fields up to `unless_digest`, and what the camera then does.

    Names of headers are in lower case.
    """

    method: str = "*"
    url: str | None = None
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    header: Mapping[str, str] = {}
    contains: Mapping[str, str] = {}
    unless_digest: Digest | None = None
    reply: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    line_end: str = "\r\n"
    close: bool = False
    udp: bool = False
    udp_from: str = "127.0.0.1"
    play: bool = False


@attrs.frozen
class Request:
    """`headers` by their names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]

    @property
    def client_ports(self) -> tuple[int, int] | None:
        """The UDP ports that a SETUP names, if it names any."""
        found = _CLIENT_PORTS.search(self.headers.get("transport", ""))
        return (int(found[1]), int(found[2])) if found else None


def complaints_of(rule: Rule) -> Iterator[str]:
    """A line for each field that cannot be followed."""
    for field, lines in (("reply", rule.reply), ("body", rule.body), ("url", (rule.url or "",))):
        for name, shape in _PLACE.findall("".join(lines)):
            if name not in _PLACES:
                yield f"{field}: {{{name}}} is unknown; there are {', '.join(_PLACES)}"
            elif shape and (name not in _NUMBERS or not re.fullmatch(r"0?[1-9]?[0-9]?[dxX]?", shape)):
                yield f"{field}: {{{name}:{shape}}} has no such form; a number may have one like 04d or x"
    if rule.unless_digest is not None and rule.unless_digest.algorithm not in ALGORITHMS:
        yield f"unless_digest.algorithm: {rule.unless_digest.algorithm!r} is none of {', '.join(ALGORITHMS)}"
    for field, names in (
        ("has", rule.has),
        ("lacks", rule.lacks),
        ("header", rule.header),
        ("contains", rule.contains),
    ):
        yield from (f"{field}: {name!r} must be in lower case" for name in names if name != name.lower())


def take_request(buffer: bytearray) -> Request | None:
    """Remove the next request from `buffer`, with all interleaved packets and answers in front of it.

    None while it is not whole. Raises `RequestError`.
    """
    while buffer[:1] == b"$" or buffer[:5] == b"RTSP/":
        end = 4 + (int.from_bytes(buffer[2:4]) if buffer[:1] == b"$" else buffer.find(b"\r\n\r\n"))
        if end < 4:
            break
        if len(buffer) < max(4, end):
            return None
        del buffer[:end]
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > MAX_HEAD:
            raise RequestError(f"a request of more than {MAX_HEAD} bytes")
        return None
    request = _parse(bytes(buffer[:end]))
    length = request.headers.get("content-length", "0")
    whole = end + 4 + (int(length) if re.fullmatch(r"\d{1,5}", length) else 0)
    if len(buffer) < whole:
        return None
    del buffer[:whole]
    return request


def choose(rules: Sequence[Rule], request: Request, port: int) -> Rule | None:
    """The first rule that fits; none where the dialogue has no answer. `port` is the camera's."""
    return next((rule for rule in rules if _fits(rule, request, port)), None)


def write_reply(rule: Rule, request: Request, port: int, server_port: int = 0) -> bytes:
    """The bytes of the answer; empty for a rule without one.

    Args:
        port: the camera's TCP port.
        server_port: the UDP port from which it is going to send.
    """
    if not rule.reply:
        return b""
    cseq = int(request.headers["cseq"]) if request.headers.get("cseq", "").isdecimal() else 0
    ports = request.client_ports if rule.udp else None
    known: dict[str, object] = {
        "port": port,
        "cseq": cseq,
        "cseq-1": cseq - 1,
        "client_port": f"{ports[0]}-{ports[1]}" if ports else "",
        "server_port": f"{server_port}-{server_port + 1}" if ports else "",
    }
    lines = [_fill(line, known) for line in rule.reply]
    body = "".join(f"{_fill(line, known)}\r\n" for line in rule.body).encode()
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return rule.line_end.join([*lines, "", ""]).encode() + body


def proves(asked: Digest, request: Request) -> bool:
    """Whether the request has the right answer to this challenge."""
    pairs = _PAIR.findall(request.headers.get("authorization", ""))
    given = {name.lower(): value.strip('"') for name, value in pairs}
    secret = _hash(asked, f"{asked.user}:{asked.realm}:{asked.password}")
    what = _hash(asked, f"{request.method}:{given.get('uri', '')}")
    return given.get("response") == _hash(asked, f"{secret}:{asked.nonce}:{what}")


def _parse(head: bytes) -> Request:
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("RTSP/"):
        raise RequestError(f"no RTSP request: {first[:60]!r}")
    pairs = (line.partition(":") for line in lines)
    return Request(words[0], words[1], {name.strip().lower(): value.strip() for name, _, value in pairs})


def _fits(rule: Rule, request: Request, port: int) -> bool:
    headers = request.headers
    return (
        rule.method in ("*", "", request.method)
        and (rule.url is None or _fill(rule.url, {"port": port}) == request.url)
        and all(name in headers for name in rule.has)
        and not any(name in headers for name in rule.lacks)
        and all(headers.get(name) == value for name, value in rule.header.items())
        and all(value in headers.get(name, "") for name, value in rule.contains.items())
        and not (rule.unless_digest is not None and proves(rule.unless_digest, request))
    )


def _fill(line: str, known: Mapping[str, object]) -> str:
    return _PLACE.sub(lambda place: format(known.get(place[1], ""), place[2] or ""), line)


def _hash(asked: Digest, text: str) -> str:
    return hashlib.new(ALGORITHMS[asked.algorithm], text.encode()).hexdigest()
