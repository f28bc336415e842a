"""RTSP on the wire: requests, responses and interleaved frames, out of one stream of bytes. Sans-I/O.

Rules of this file:
- What a frame carries is not copied: its taker gets the bytes it lies in, and where it begins and ends.
- Nothing grows without a bound: a header, a body, a frame, and what is neither and is skipped.
- No error quotes what came: it may hold what we sent.
- Whatever the pieces in which the bytes come, what comes out is the same, and so is the time, within a factor: it is
  linear in the bytes.

Source: RFC 2326, sections 4 to 7, 10.12 (interleaved data) and 12.
"""

import re
from collections.abc import Callable, Mapping

import attrs

from ...share import AT_ONCE

MAX_LINE = 8 * 1024
"""Of one header: the longest that cameras send are challenges and addresses, of some hundred bytes."""
MAX_HEADER = 64 * 1024
"""Of all headers of a message together."""
MAX_BODY = 64 * 1024
"""The longest body that means anything is a description of the stream, of some thousand bytes."""
MAX_HEADERS = 128
MAX_NOISE = 64 * 1024
"""Bytes in a row that are no part of the protocol: some cameras let a few slip in between two frames."""
OF_MESSAGE = 16
"""As how many frames a message counts."""

TakeFrame = Callable[[bytes, int, int], None]
"""`take(data, start, stop)`: the payload of one frame is `data[start:stop]`."""

_DOLLAR = 0x24
_START = re.compile(rb"RTSP/\d|[A-Z_]{3,20} ")
_PERHAPS = re.compile(rb"[A-Z_/]{0,20}\Z")
"""Too little yet to tell a message from noise."""
_RESPONSE = re.compile(r"RTSP/\d\.\d +(\d{3})(?: +(.*))?")
_REQUEST = re.compile(r"([A-Z_]+) +(\S+) +RTSP/\d\.\d")
"""No two quantifiers that stand beside each other take the same character: nothing is read more than twice."""


class ProtocolError(ValueError):
    """The other side does not speak RTSP, or speaks beyond all bounds."""


@attrs.frozen
class Message:
    """Names of headers are in lower case; one that came more than once has all its values."""

    headers: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str:
        """Its first value; empty for one that did not come."""
        return self.headers.get(name, ("",))[0]


@attrs.frozen
class Request(Message):
    method: str = attrs.field(kw_only=True)
    url: str = attrs.field(kw_only=True)


@attrs.frozen
class Response(Message):
    status: int = attrs.field(kw_only=True)
    phrase: str = attrs.field(kw_only=True, default="")


def encode_request(method: str, url: str, headers: Mapping[str, str]) -> bytes:
    return _encode(f"{method} {url} RTSP/1.0", headers)


def encode_response(status: str, headers: Mapping[str, str]) -> bytes:
    return _encode(f"RTSP/1.0 {status}", headers)


def _encode(first: str, headers: Mapping[str, str]) -> bytes:
    lines = (first, *(f"{name}: {value}" for name, value in headers.items()), "", "")
    return "\r\n".join(lines).encode()


class Parser:
    """Bytes in; frames to whom their channel is for, messages to `take_message`, in the order in which they came.

    `channels` says who takes the frames of which channel; those of others are skipped. As long as it is empty no
    frames are expected, and noise is an error at once.
    """

    def __init__(self, take_message: Callable[[Request | Response], None]) -> None:
        self.channels: dict[int, TakeFrame] = {}
        self.skipped = 0
        """Bytes of noise, in all."""
        self.messages = 0
        """That came, in all."""
        self.spent = 0
        """Work of this turn beside one for each frame, in frames, as the takers report it."""
        self._take_message = take_message
        self._parts: list[bytes] = [b""]
        self._size = 0
        self._at = 0
        """Where in the first part reading goes on."""
        self._head: _Head | None = None
        """The header that is only just coming."""
        self._wanted = 1
        """So many bytes have to be there before anything more can be read."""
        self._noise = 0
        self._lost = False
        """Whether what comes is noise until something is recognised."""

    def feed(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)

    def parse(self) -> bool:
        """Read on. Returns whether there is more that can be read at once. Raises `ProtocolError`."""
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
        """Read what is no frame; returns where it ends, or `at` when more of it is needed."""
        self._wanted = len(data) - at + 1
        if self._lost:
            return self._skip_noise(data, at)
        if line_end := _BLANK.match(data, at):
            return line_end.end()
        if not _START.match(data, at):
            return at if _PERHAPS.match(data, at) else self._skip_noise(data, at)
        head = _Head()
        end = head.find_end(data, at)
        if end < 0:
            self._head = head
            return at
        lines = data[at:end].decode("utf-8", "replace").splitlines()
        headers = _read_headers(lines[1:-1])
        start, end = end, end + _read_length(headers)
        if end > len(data):
            self._wanted = end - at
            return at
        self.messages += 1
        self._take_message(_read_message(lines[0], headers, data[start:end]))
        return end

    def _skip_noise(self, data: bytes, at: int) -> int:
        """To the next frame of a known channel, or the next answer; raises `ProtocolError` when there was too much."""
        if not self.channels:
            raise ProtocolError("what came is no RTSP")
        known = b"".join(b"\\x%02x" % channel for channel in self.channels)
        found = re.compile(rb"\$[" + known + rb"]|RTSP/\d|(?P<perhaps>(?:\$|RTSP/|RTSP|RTS|RT|R)\Z)").search(data, at)
        end = found.start() if found else len(data)
        self._lost = found is None or found["perhaps"] is not None
        if not self._lost:
            self._wanted = 1
        self.skipped += end - at
        self._noise += end - at
        if self._noise > MAX_NOISE:
            raise ProtocolError(f"more than {MAX_NOISE >> 10} KiB that are no RTSP")
        return end


_END = re.compile(rb"\n\r?\n")
_BLANK = re.compile(rb"[\r\n]+")


class _Head:
    """Looks for the end of a header that comes in pieces; each byte is looked at once, and not copied for it."""

    def __init__(self) -> None:
        self._size = 0
        self._line = 0
        """Bytes since the last line ended."""
        self._tail = b""
        """The last bytes: the end may lie across two pieces."""
        self._seen = 1
        """How many pieces have been looked at."""

    def ends(self, parts: list[bytes]) -> bool:
        """Whether the header ends within `parts`; what was looked at before is not looked at again.

        Raises `ProtocolError` for a line, or a header, that is too long.
        """
        for part in parts[self._seen :]:
            if self.find_end(part, 0) >= 0:
                return True
        self._seen = len(parts)
        return False

    def find_end(self, data: bytes, at: int) -> int:
        """Where in `data` the header ends that goes on at `at`; -1 when it does not. Raises as `ends`."""
        if tail := self._tail:
            data, at = tail + data[at:], 0
        found = _END.search(data, at, at + MAX_HEADER + 4)
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


def _read_headers(lines: list[str]) -> dict[str, tuple[str, ...]]:
    if len(lines) > MAX_HEADERS:
        raise ProtocolError(f"more than {MAX_HEADERS} headers")
    headers: dict[str, list[list[str]]] = {}
    values: list[list[str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and values:  # the line before goes on
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


def _read_message(first: str, headers: dict[str, tuple[str, ...]], body: bytes) -> Request | Response:
    if response := _RESPONSE.fullmatch(first.rstrip()):
        return Response(headers, body, status=int(response[1]), phrase=response[2] or "")
    if request := _REQUEST.fullmatch(first.rstrip()):
        return Request(headers, body, method=request[1], url=request[2])
    raise ProtocolError("a first line of neither a request nor a response")
