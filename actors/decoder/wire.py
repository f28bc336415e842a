"""The frames between the daemon and its decoder, over the child's standard input and output. Pure.

Rules of this file:
- It is imported on both sides, and the child has to start fast: nothing but the standard library's smallest modules.
- Every length is checked against its limit as soon as the header is there, before anything is kept for it.
- A request and its answer have the same number; an answer to nothing that was asked is an error.

A request: kind, codec, number, width, height (of the picture that is wanted; 0: its own), length of `before`, length of
the key frame; then both. An answer: status, number, CPU time of the child in all, width, height, length; then the body.
All numbers are big-endian.
"""

from struct import Struct
from typing import NamedTuple

JPEG, LOOK = 1, 2
"""Kinds of requests: the picture as JPEG; a few grey pixels, and where they differ from those `before`."""
HELLO, DONE, UNDECODABLE = 0, 1, 2
"""Statuses. The body is: what could not be limited; the result; why there is none (text)."""
CODECS = ("h264", "h265")

MOST_REQUEST = 16 * 1024 * 1024
"""Bytes of one key frame."""
MOST_ANSWER = 32 * 1024 * 1024
"""Bytes of one JPEG; one of 4096 x 4096 pixels of noise has 20 MB."""
MOST_TEXT = 4096
"""Bytes of a text: why a key frame gives no picture, or what could not be limited."""
MAY_PASS = 75
"""How `probe.py` ends when the system was short of something (EX_TEMPFAIL of sysexits.h)."""
SIZE = (64, 36)
"""Of the grey picture in which motion is looked for."""
GREY = SIZE[0] * SIZE[1]

_REQUEST = Struct("!BBIHHHI")
_ANSWER = Struct("!BIQHHI")
_LOOKED = Struct("!5f")


class WireError(ValueError):
    """The other side does not keep to the protocol."""


class Request(NamedTuple):
    number: int
    kind: int
    codec: str
    data: bytes
    """The key frame, Annex B, with its parameter sets."""
    width: int = 0
    height: int = 0
    before: bytes = b""
    """The grey pixels of the last look, `GREY` of them; empty at the first."""


class Answer(NamedTuple):
    number: int
    status: int
    body: bytes = b""
    cpu_us: int = 0
    """CPU time that the child has used since its start, in microseconds."""
    width: int = 0
    height: int = 0
    """Of the decoded picture."""


class Looked(NamedTuple):
    """What a look found."""

    share: float
    """Of the pixels that are different, 0 to 1."""
    box: tuple[float, float, float, float]
    """Around them: left, top, width, height, as shares of the picture."""
    grey: bytes
    """To be given with the next look."""


def encode_request(request: Request) -> bytes:
    """Raises `WireError` for a key frame that is too large."""
    if len(request.data) > MOST_REQUEST or request.codec not in CODECS or len(request.before) not in (0, GREY):
        raise WireError(f"no request: {len(request.data)} bytes of {request.codec}, {len(request.before)} before")
    head = _REQUEST.pack(
        request.kind,
        CODECS.index(request.codec),
        request.number,
        request.width,
        request.height,
        len(request.before),
        len(request.data),
    )
    return head + request.before + request.data


def encode_answer(answer: Answer) -> bytes:
    """Raises `WireError` for a body that is too large."""
    if len(answer.body) > MOST_ANSWER:
        raise WireError(f"an answer of {len(answer.body)} bytes")
    size = (answer.width, answer.height)
    return _ANSWER.pack(answer.status, answer.number, answer.cpu_us, *size, len(answer.body)) + answer.body


def encode_looked(looked: Looked) -> bytes:
    return _LOOKED.pack(looked.share, *looked.box) + looked.grey


def decode_looked(body: bytes) -> Looked:
    """Raises `WireError`."""
    if len(body) != _LOOKED.size + GREY:
        raise WireError(f"a look of {len(body)} bytes")
    share, *box = _LOOKED.unpack_from(body)
    if not all(0 <= value <= 1 for value in (share, *box)):
        raise WireError("a look outside of the picture")
    return Looked(share, (box[0], box[1], box[2], box[3]), body[_LOOKED.size :])


class _Frames:
    """Cuts a stream of bytes into frames of a header and a body. Takes time that is linear in the bytes."""

    def __init__(self, header: Struct) -> None:
        self._header = header
        self._parts: list[bytes] = []
        self._have, self._need = 0, header.size
        self._known = False
        """Whether the header is there, and `_need` is the length of the frame."""

    def _cut(self, chunk: bytes) -> list[bytes]:
        """The whole frames that end in `chunk`, each with its header."""
        self._parts.append(chunk)
        self._have += len(chunk)
        if self._have < self._need:
            return []
        data, at, frames = b"".join(self._parts), 0, list[bytes]()
        while len(data) - at >= self._need:
            if self._known:
                frames.append(data[at : at + self._need])
                at += self._need
                self._need, self._known = self._header.size, False
            else:
                self._need, self._known = self._header.size + self._length(data, at), True
        self._parts = [data[at:]]
        self._have = len(data) - at
        return frames

    def _length(self, data: bytes, at: int) -> int:
        """Of the body whose header is at `at`. Raises `WireError` when it is above its limit."""
        raise NotImplementedError


class RequestReader(_Frames):
    """The child's side."""

    def __init__(self) -> None:
        super().__init__(_REQUEST)

    def feed(self, chunk: bytes) -> list[Request]:
        """The requests that are complete with `chunk`. Raises `WireError`."""
        return [self._read(frame) for frame in self._cut(chunk)]

    def _length(self, data: bytes, at: int) -> int:
        kind, codec, *_, before, size = _REQUEST.unpack_from(data, at)
        if kind not in (JPEG, LOOK) or codec >= len(CODECS) or before not in (0, GREY) or size > MOST_REQUEST:
            raise WireError(f"no request: kind {kind}, codec {codec}, {before} and {size} bytes")
        return int(before + size)

    def _read(self, frame: bytes) -> Request:
        kind, codec, number, width, height, before, _ = _REQUEST.unpack_from(frame)
        at = _REQUEST.size + before
        return Request(number, kind, CODECS[codec], frame[at:], width, height, frame[_REQUEST.size : at])


class AnswerReader(_Frames):
    """The daemon's side: what it reads comes from a process that may be in an attacker's hands."""

    def __init__(self) -> None:
        super().__init__(_ANSWER)

    def feed(self, chunk: bytes) -> Answer | None:
        """The answer that is complete with `chunk`. Raises `WireError`, also for what follows an answer unasked."""
        frames = self._cut(chunk)
        if len(frames) > 1 or (frames and self._have):
            raise WireError("more than was asked for")
        return self._read(frames[0]) if frames else None

    def _length(self, data: bytes, at: int) -> int:
        status, *_, size = _ANSWER.unpack_from(data, at)
        if status not in (HELLO, DONE, UNDECODABLE) or size > (MOST_ANSWER if status == DONE else MOST_TEXT):
            raise WireError(f"no answer: status {status}, {size} bytes")
        return int(size)

    def _read(self, frame: bytes) -> Answer:
        status, number, cpu_us, width, height, _ = _ANSWER.unpack_from(frame)
        return Answer(number, status, frame[_ANSWER.size :], cpu_us, width, height)
