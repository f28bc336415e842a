"""Requests that a proxy in front could read differently are refused, and so are those that name two hosts.

Rules of this file:
- A body has one length: `Content-Length` or `Transfer-Encoding`, never both, and the second one in HTTP/1.1 only
  (RFC 9112, section 6.1). h11 refuses two lengths, and every coding but `chunked`.
- A line of a head or of trailers ends in CR LF, and no line continues the previous one (sections 2.2 and 5.2).
- The authority of an absolute target replaces `Host` (section 3.2.2): the checks of hosts see what was asked for.
- Every refusal says what is wrong, also where h11 finds it.
"""

import json
import re
from http import HTTPStatus

import h11
from h11._receivebuffer import ReceiveBuffer


class Refused(h11.RemoteProtocolError):
    """A request is refused before any route sees it. The text is for its client."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text, error_status_hint=status)


_ABSOLUTE = re.compile(rb"(?i:https?)://(?P<authority>[^/?#]*+)(?P<path>.*+)")
_WORDS = {
    "Missing mandatory Host": "a request in HTTP/1.1 has a Host",
    "Found multiple Host": "the request has more than one Host",
    "conflicting Content-Length": "the Content-Length of the request is not one number",
    "bad Content-Length": "the Content-Length of the request is not one number",
    "Only Transfer-Encoding": "the only Transfer-Encoding is chunked",
    "multiple Transfer-Encoding": "the request has more than one Transfer-Encoding",
    "illegal request line": "the request line is not METHOD TARGET HTTP/1.1",
    "no request line": "the request line is not METHOD TARGET HTTP/1.1",
    "illegal header line": "a header line is not NAME: VALUE, in printable characters",
    "illegal chunk header": "the body of the request is not chunked, as its Transfer-Encoding says",
    "malformed chunk footer": "the body of the request is not chunked, as its Transfer-Encoding says",
    "peer": "the connection ended in the middle of the request",
}
"""The beginnings of h11's errors, each with the text for the client."""


class StrictBuffer(ReceiveBuffer):
    """h11's buffer, whose lines end in CR LF only. A bare LF stays in its line, which is then refused."""

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """The lines up to the first empty line, which are removed; None before it has arrived."""
        if self._data[:2] == b"\r\n":
            self._extract(2)
            return []
        end = self._data.find(b"\r\n\r\n", self._multiple_lines_search)
        if end < 0:
            self._multiple_lines_search = max(0, len(self._data) - 3)
            return None
        return self._extract(end + 4)[:-4].split(b"\r\n")


def problem_body(status: int, detail: str) -> bytes:
    """A problem document (RFC 9457) for a request that no route sees."""
    title = HTTPStatus(status).phrase
    return json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}).encode()


def reason_of(error: h11.RemoteProtocolError) -> str:
    """Why a request is refused, for its client: without terms of h11, and without bytes of the request."""
    if isinstance(error, Refused):
        return str(error)
    return next((ours for theirs, ours in _WORDS.items() if str(error).startswith(theirs)), "this is not HTTP/1.1")


def require_one_length(request: h11.Request) -> None:
    """Raises `Refused` if the end of the body depends on the reader."""
    names = {name for name, _ in request.headers}
    if b"transfer-encoding" not in names:
        return
    if b"content-length" in names:
        raise Refused("the request has both Content-Length and Transfer-Encoding: its length is not clear")
    if request.http_version < b"1.1":
        raise Refused("HTTP/1.0 has no Transfer-Encoding")


def split_target(request: h11.Request) -> tuple[bytes, bytes | None]:
    """The target without its authority, and the authority, which replaces `Host`; None if the target has none.

    Raises `Refused` unless the target is a path, a whole URL, or the `*` of OPTIONS.
    """
    if request.target.startswith(b"/") or (request.method, request.target) == (b"OPTIONS", b"*"):
        return request.target, None
    match = _ABSOLUTE.fullmatch(request.target)
    if match is None:
        raise Refused("the target of the request is neither a path nor a URL of http")
    path = match["path"]
    return path if path.startswith(b"/") else b"/" + path, match["authority"]
