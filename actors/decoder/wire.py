"""The frames between the daemon and its decoder, over the child's standard input and output. Pure.

Rules of this file:
- It is imported on both sides, and the child has to start fast: nothing but the standard library's smallest modules.
- Every length is checked against its limit as soon as the header is there, before anything is kept for it.
- A request and its answer have the same number; an answer to nothing that was asked is an error.

A request: kind, codec, number, width, height (of the picture that is wanted; 0: its own), length of `before`, length of
the key frame; then both. An answer: status, number, CPU time of the child in all, width, height, length; then the body.
All numbers are big-endian.
"""

from io import BytesIO
from struct import Struct
from typing import NamedTuple

JPEG, LOOK = 1, 2
"""Kinds of requests: the picture as JPEG; a few grey pixels, and where they differ from those `before`."""
HELLO, DONE, UNDECODABLE = 0, 1, 2
"""Statuses. The body is: what could not be limited; the result; why there is none (text)."""
CODECS = ("h264", "h265")

MOST_REQUEST = 16 * 1024 * 1024
"""Bytes of one key frame."""
MOST_ANSWER = 8 * 1024 * 1024
"""Bytes of one JPEG. A picture that has more is made with less quality (`codec.py`)."""
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
    """The result of a look."""

    share: float
    """Of the pixels that are different, 0 to 1."""
    box: tuple[float, float, float, float]
    """Around them: left, top, width, height, as shares of the picture."""
    grey: bytes
    """To be given with the next look."""


def encode_request(request: Request) -> tuple[bytes, bytes]:
    """What is sent first, and the key frame, which may have `MOST_REQUEST` bytes and is not copied.

    Raises `WireError` for a key frame that is too large.
    """
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
    return head + request.before, request.data


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
    """Cuts a stream of bytes into frames of a header and a body. A body is copied once, into one buffer."""

    def __init__(self, header: Struct) -> None:
        self._header = header
        self._begin()

    def _begin(self) -> None:
        self._head, self._body, self._left = b"", BytesIO(), 0

    @property
    def _begun(self) -> bool:
        """Whether there is a part of a frame."""
        return bool(self._head)

    def _cut(self, chunk: bytes | bytearray) -> list[tuple[bytes, bytes]]:
        """Header and body of the frames that end in `chunk`."""
        view, frames = memoryview(chunk), list[tuple[bytes, bytes]]()
        while view:
            if missing := self._header.size - len(self._head):
                self._head += bytes(view[:missing])
                view = view[missing:]
                if len(self._head) < self._header.size:
                    break
                self._left = self._length(self._head)
                self._body = BytesIO(bytes(self._left))  # it takes this buffer over, and gives it back, uncopied
            self._body.write(view[: self._left])
            taken = min(self._left, len(view))
            view, self._left = view[taken:], self._left - taken
            if not self._left:
                frames.append((self._head, self._body.getvalue()))
                self._begin()
        return frames

    def _length(self, head: bytes) -> int:
        """Of the body after this header. Raises `WireError` when it is above its limit."""
        raise NotImplementedError


class RequestReader(_Frames):
    """The child's side."""

    def __init__(self) -> None:
        super().__init__(_REQUEST)

    def feed(self, chunk: bytes) -> list[Request]:
        """The requests that are complete with `chunk`. Raises `WireError`."""
        return [self._read(head, body) for head, body in self._cut(chunk)]

    def _length(self, head: bytes) -> int:
        kind, codec, *_, before, size = _REQUEST.unpack(head)
        if kind not in (JPEG, LOOK) or codec >= len(CODECS) or before not in (0, GREY) or size > MOST_REQUEST:
            raise WireError(f"no request: kind {kind}, codec {codec}, {before} and {size} bytes")
        return int(before + size)

    def _read(self, head: bytes, body: bytes) -> Request:
        kind, codec, number, width, height, before, _ = _REQUEST.unpack(head)
        return Request(number, kind, CODECS[codec], body[before:], width, height, body[:before])


class AnswerReader(_Frames):
    """The daemon's side: what it reads comes from a process that may be in an attacker's hands."""

    def __init__(self) -> None:
        super().__init__(_ANSWER)

    def feed(self, chunk: bytes | bytearray) -> Answer | None:
        """The answer that is complete with `chunk`. Raises `WireError`, also for bytes after an answer."""
        frames = self._cut(chunk)
        if len(frames) > 1 or (frames and self._begun):
            raise WireError("more than was asked for")
        return self._read(*frames[0]) if frames else None

    def _length(self, head: bytes) -> int:
        status, *_, size = _ANSWER.unpack(head)
        if status not in (HELLO, DONE, UNDECODABLE) or size > (MOST_ANSWER if status == DONE else MOST_TEXT):
            raise WireError(f"no answer: status {status}, {size} bytes")
        return int(size)

    def _read(self, head: bytes, body: bytes) -> Answer:
        status, number, cpu_us, width, height, _ = _ANSWER.unpack(head)
        return Answer(number, status, body, cpu_us, width, height)
