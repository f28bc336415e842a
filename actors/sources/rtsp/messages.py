"""RTSP on the wire: parse requests, responses and interleaved frames from one stream of bytes. Sans-I/O.

Rules of this file:
- The payload of a frame is not copied: its taker gets the surrounding bytes, and where the payload begins and ends.
- Everything is bounded: a header, a body, a frame, and noise that is skipped.
- No error quotes the input, because it may contain our request.
- A response may have the first line of HTTP if it has a CSeq, which no web server sends.
- The result does not depend on how the bytes are split into reads, nor does the time, within a factor: it is linear in
  the bytes.

Source: RFC 2326, sections 4 to 7, 10.12 (interleaved data) and 12.
"""

import re
from collections.abc import Callable, Mapping

import attrs

from ...cpu_share import AT_ONCE

AGENT = "banken"
"""Our name in requests."""
MAX_LINE = 16 * 1024
"""Limit of one header line in bytes: challenges and addresses, the longest lines of cameras, have some hundred."""
MAX_HEADER = 64 * 1024
"""Limit of all headers of a message together, in bytes."""
MAX_BODY = 64 * 1024
"""Limit of a body in bytes: the longest meaningful one is a stream description, of some thousand bytes."""
MAX_HEADERS = 256
"""Header lines of a message that are read; those behind them are ignored."""
MAX_NOISE = 64 * 1024
"""Limit of consecutive bytes outside the protocol: some cameras insert a few between two frames."""
OF_MESSAGE = 16
"""The work of one message, in frames."""

NOT_RTSP = "the received data is not RTSP"

TakeFrame = Callable[[bytes, int, int], None]
"""`take(data, start, stop)`: the payload of one frame is `data[start:stop]`."""

_DOLLAR = 0x24
_START = re.compile(rb"[ \t]{0,8}(?i:RTSP)(?:/\d| \d)|HTTP/1\.|[A-Z_]{3,20} ")
_PARTIAL_METHOD = re.compile(rb"(?:[A-Z_/]{0,20}|[ \t]{0,8}(?i:R|RT|RTS|RTSP|RTSP/)?)\Z")
"""Too short to distinguish a message from noise."""
_RESPONSE = re.compile(r"((?i:RTSP|HTTP))(?:/\d{1,3}(?:\.\d{1,3})?)?[ \t]+0?(\d{3})(?!\d)(.*)")
_REQUEST = re.compile(r"([A-Z_]+) +(\S+) +RTSP/\d\.\d")
"""No two adjacent quantifiers match the same character: nothing is read more than twice."""


class ProtocolError(ValueError):
    """The other side does not speak RTSP, or exceeds a limit."""


@attrs.frozen
class RtspMessage:
    """Header names are in lower case; a repeated header has all its values."""

    headers: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str:
        """Return the first value of a header; empty when it is missing."""
        return self.headers.get(name, ("",))[0]


@attrs.frozen
class RtspRequest(RtspMessage):
    method: str = attrs.field(kw_only=True)
    url: str = attrs.field(kw_only=True)


@attrs.frozen
class Response(RtspMessage):
    status: int = attrs.field(kw_only=True)
    phrase: str = attrs.field(kw_only=True, default="")
    is_http: bool = attrs.field(kw_only=True, default=False)
    """Whether its first line is one of HTTP."""


def encode_request(method: str, url: str, headers: Mapping[str, str]) -> bytes:
    return _encode(f"{method} {url} RTSP/1.0", headers)


def encode_response(status: str, headers: Mapping[str, str | tuple[str, ...]]) -> bytes:
    """Encode a response; a header with several values is repeated."""
    return _encode(f"RTSP/1.0 {status}", headers)


def _encode(first: str, headers: Mapping[str, str] | Mapping[str, str | tuple[str, ...]]) -> bytes:
    fields = ((name, (value,) if isinstance(value, str) else value) for name, value in headers.items())
    lines = (first, *(f"{name}: {value}" for name, values in fields for value in values), "", "")
    return "\r\n".join(lines).encode()


class Parser:
    """Parses bytes; passes frames to the taker of their channel, and messages to `take_message`, in order of arrival.

    `channels` maps each channel to its taker; frames of other channels are skipped. While it is empty no frames are
    expected, and noise is an error at once.
    """

    def __init__(self, take_message: Callable[[RtspRequest | Response], None]) -> None:
        self.channels: dict[int, TakeFrame] = {}
        self.skipped = 0
        """Bytes of noise, in total."""
        self.messages = 0
        """Messages received, in total."""
        self.spent = 0
        """Work of this call besides one per frame, in frames, as reported by the takers."""
        self._take_message = take_message
        self._parts: list[bytes] = [b""]
        self._size = 0
        self._at = 0
        """Position in the first part where parsing continues."""
        self._head: _Head | None = None
        """The header that is still incomplete."""
        self._wanted = 1
        """Number of bytes that have to arrive before parsing can continue."""
        self._noise = 0
        self._lost = False
        """Whether the input counts as noise until something is recognised."""

    @property
    def is_partial(self) -> bool:
        """Whether a message or a frame has begun and not ended."""
        return self._size > self._at

    @property
    def begins_http(self) -> bool:
        """Whether the message that has not ended begins as one of HTTP without a CSeq: that of a web server."""
        rest = b"".join(self._parts)[self._at :].lower()
        return rest.startswith(b"http/") and b"cseq" not in rest

    def feed(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)

    def parse(self) -> bool:
        """Parse one batch. Returns whether more can be parsed at once. Raises `ProtocolError`."""
        if self._size - self._at < self._wanted or (self._head and not self._head.ends(self._parts)):
            return False
        if len(self._parts) > 1:
            self._parts, self._at = [b"".join(self._parts)[self._at :]], 0
            self._size = len(self._parts[0])
        data, at, size, left, channels = self._parts[0], self._at, self._size, AT_ONCE, self.channels
        waits, self._head, self.spent = False, None, 0
        while at < size and left > self.spent and not waits:
            left -= 1
            if data[at] != _DOLLAR or self._lost:
                left -= OF_MESSAGE
                end = self._read_other(data, at)
                waits = end == at and self._wanted > size - at
            elif at + 4 > size:
                end, waits, self._wanted = at, True, 4
            else:
                end = at + 4 + (data[at + 2] << 8 | data[at + 3])
                if end > size:
                    end, waits, self._wanted = at, True, end - at
                elif (take := channels.get(data[at + 1])) is not None:
                    self._noise = 0
                    take(data, at + 4, end)
            at = end
        if not waits:
            self._wanted = 1
        if waits or at == size:
            self._parts, self._size, at = [data[at:]], size - at, 0
        self._at = at
        return not waits and at < self._size

    def _read_other(self, data: bytes, at: int) -> int:
        """Parse input that is not a frame. Returns where it ends, or `at` when more of it is needed."""
        self._wanted = len(data) - at + 1
        if self._lost:
            return self._skip_noise(data, at)
        if line_end := _BLANK.match(data, at):
            return line_end.end()
        if not _START.match(data, at):
            return at if _PARTIAL_METHOD.match(data, at) else self._skip_noise(data, at)
        head = _Head()
        end = head.find_end(data, at)
        if end < 0:
            self._head = head
            return at
        lines = data[at:end].decode("utf-8", "replace").splitlines()
        start = end
        try:
            headers = read_headers(lines[1:-1])
            if "cseq" not in headers and lines[0].startswith("HTTP"):
                raise ProtocolError(NOT_RTSP)  # a web server
            end += _read_length(headers)
            if end > len(data):
                self._wanted = end - at
                return at
            message = read_message(lines[0], headers, data[start:end])
        except ProtocolError:
            if not self.channels:
                raise
            self.messages += 1
            self._count_noise(end - at)  # a stream of pictures need not end for it
            return end
        self.messages += 1
        self._take_message(message)
        return end

    def _skip_noise(self, data: bytes, at: int) -> int:
        """Skip to the next frame of a known channel, or the next response. Raises `ProtocolError` above `MAX_NOISE`."""
        if not self.channels:
            raise ProtocolError(NOT_RTSP)
        known = b"".join(b"\\x%02x" % channel for channel in self.channels)
        found = re.compile(rb"\$[" + known + rb"]|RTSP/\d|(?P<perhaps>(?:\$|RTSP/|RTSP|RTS|RT|R)\Z)").search(data, at)
        end = found.start() if found else len(data)
        self._lost = found is None or found["perhaps"] is not None
        if not self._lost:
            self._wanted = 1
        self._count_noise(end - at)
        return end

    def _count_noise(self, size: int) -> None:
        self.skipped += size
        self._noise += size
        if self._noise > MAX_NOISE:
            raise ProtocolError(f"more than {MAX_NOISE >> 10} KiB that are no RTSP")


HEADER_END = re.compile(rb"\n\r?\n")
_BLANK = re.compile(rb"[\r\n]+")


class _Head:
    """Finds the end of a header that arrives in pieces; each byte is examined once, without copying it."""

    def __init__(self) -> None:
        self._size = 0
        self._line = 0
        """Bytes since the end of the last line."""
        self._tail = b""
        """The last bytes: the end may be split across two pieces."""
        self._seen = 1
        """Number of pieces that have been examined."""

    def ends(self, parts: list[bytes]) -> bool:
        """Return whether the header ends within `parts`; bytes of earlier calls are not examined twice.

        Raises `ProtocolError` for a line, or a header, that is too long.
        """
        for part in parts[self._seen :]:
            if self.find_end(part, 0) >= 0:
                return True
        self._seen = len(parts)
        return False

    def find_end(self, data: bytes, at: int) -> int:
        """Return where the header that continues at `at` ends in `data`; -1 when it does not. Raises as `ends`."""
        if tail := self._tail:
            data, at = tail + data[at:], 0
        found = HEADER_END.search(data, at, at + MAX_HEADER + 4)
        stop, begin = found.end() if found else min(len(data), at + MAX_HEADER + 4), at + len(tail)
        lines = data[begin:stop].split(b"\n")
        longest = max(self._line + len(lines[0]), *map(len, lines))
        self._size += stop - begin
        self._line = len(lines[-1]) + (self._line if len(lines) == 1 else 0)
        self._tail = data[max(at, stop - 2) : stop]
        if longest > MAX_LINE:
            raise ProtocolError(f"a header line of more than {MAX_LINE >> 10} KiB")
        if self._size > MAX_HEADER:
            raise ProtocolError(f"a header of more than {MAX_HEADER >> 10} KiB")
        return stop - len(tail) if found else -1


def read_headers(lines: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the headers of the first `MAX_HEADERS` lines."""
    headers: dict[str, list[list[str]]] = {}
    values: list[list[str]] = []
    for line in lines[:MAX_HEADERS]:
        if line[:1] in (" ", "\t") and values:  # continuation of the last line
            values[-1].append(line.strip())
            continue
        name, _, value = line.partition(":")
        values = headers.setdefault(name.strip().lower(), [])
        values.append([value.strip()])
    return {name: tuple(" ".join(value) for value in values) for name, values in headers.items()}


def _read_length(headers: Mapping[str, tuple[str, ...]]) -> int:
    text = headers.get("content-length", ("0",))[0] or "0"
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > MAX_BODY:
        raise ProtocolError(f"a body of no length, or of more than {MAX_BODY >> 10} KiB")
    return int(text)


def read_message(first: str, headers: dict[str, tuple[str, ...]], body: bytes) -> RtspRequest | Response:
    """Return a message; a response may be that of HTTP. Raises `ProtocolError`."""
    if response := _RESPONSE.fullmatch(first.strip()):
        is_http = response[1].upper() == "HTTP"
        return Response(headers, body, status=int(response[2]), phrase=response[3].strip(), is_http=is_http)
    if request := _REQUEST.fullmatch(first.rstrip()):
        return RtspRequest(headers, body, method=request[1], url=request[2])
    raise ProtocolError("a first line of neither a request nor a response")
