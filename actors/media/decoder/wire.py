"""The messages between the daemon and its decoder, over the child's standard input and output. Pure.

Rules of this file:
- Both sides import it, and the child has to start fast: it imports only the smallest modules of the standard library.
- Every length is checked against its limit as soon as the header is complete, before memory is allocated for it.
- A request and its answer have the same number. An answer without a matching request is an error.

A request: kind, codec, number, width, height (of the requested JPEG; 0: its own), length of `before`, length of the key
frame; then both. An answer: status, number, total CPU time of the child, width, height, length; then the body. All
numbers are big-endian.
"""

from io import BytesIO
from struct import Struct
from typing import NamedTuple

JPEG, LOOK = 1, 2
"""Kinds of requests: the frame as JPEG; a few grey pixels, and where they differ from `before`."""
HELLO, DONE, UNDECODABLE = 0, 1, 2
"""Statuses. The body is: the limits that could not be set; the result; the reason of the failure (text)."""
CODECS = ("h264", "h265", "mjpeg", "mpeg4")

MOST_REQUEST = 16 * 1024 * 1024
"""Bytes of one key frame."""
MOST_ANSWER = 8 * 1024 * 1024
"""Bytes of one JPEG. A larger one is made again with less quality (`codec.py`)."""
MOST_TEXT = 4096
"""Bytes of a text: why a key frame cannot be decoded, or which limits could not be set."""
MAY_PASS = 75
"""Exit status of `inspector.py` when the system was short of a resource (EX_TEMPFAIL of sysexits.h)."""
SIZE = (64, 36)
"""Width and height of the grey frame in which motion is detected."""
GREY_BYTES = SIZE[0] * SIZE[1]

_REQUEST = Struct("!BBIHHHI")
_ANSWER = Struct("!BIQHHI")
_LOOKED = Struct("!5f")


class WireError(ValueError):
    """The other side does not follow the protocol."""


class DecoderRequest(NamedTuple):
    number: int
    kind: int
    codec: str
    data: bytes
    """The key frame with its parameter sets: Annex B for H.264 and H.265."""
    width: int = 0
    height: int = 0
    before: bytes = b""
    """The grey pixels of the last look, `GREY_BYTES` bytes; empty for the first."""


class DecoderAnswer(NamedTuple):
    number: int
    status: int
    body: bytes = b""
    cpu_us: int = 0
    """CPU time that the child has used since its start, in microseconds."""
    width: int = 0
    height: int = 0
    """Size of the decoded frame."""


class Looked(NamedTuple):
    """The result of a look."""

    share: float
    """Share of the pixels that differ, 0 to 1."""
    box: tuple[float, float, float, float]
    """The box around them: left, top, width, height, as shares of the frame."""
    grey: bytes
    """The `before` of the next look."""


def encode_request(request: DecoderRequest) -> tuple[bytes, bytes]:
    """Return the head of the message, and the key frame, which may have `MOST_REQUEST` bytes and is not copied.

    Raises `WireError` for a key frame that is too large.
    """
    if len(request.data) > MOST_REQUEST or request.codec not in CODECS or len(request.before) not in (0, GREY_BYTES):
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


def encode_answer(answer: DecoderAnswer) -> bytes:
    """Return the message. Raises `WireError` for a body that is too large."""
    if len(answer.body) > MOST_ANSWER:
        raise WireError(f"an answer of {len(answer.body)} bytes")
    size = (answer.width, answer.height)
    return _ANSWER.pack(answer.status, answer.number, answer.cpu_us, *size, len(answer.body)) + answer.body


def encode_looked(looked: Looked) -> bytes:
    return _LOOKED.pack(looked.share, *looked.box) + looked.grey


def decode_looked(body: bytes) -> Looked:
    """Raises `WireError` for a wrong length, or for shares outside 0 to 1."""
    if len(body) != _LOOKED.size + GREY_BYTES:
        raise WireError(f"a look of {len(body)} bytes")
    share, *box = _LOOKED.unpack_from(body)
    if not all(0 <= value <= 1 for value in (share, *box)):
        raise WireError("a look outside of the picture")
    return Looked(share, (box[0], box[1], box[2], box[3]), body[_LOOKED.size :])


class _Frames:
    """Splits a stream of bytes into messages of a header and a body. A body is copied once, into one buffer."""

    def __init__(self, header: Struct) -> None:
        self._header = header
        self._begin()

    def _begin(self) -> None:
        self._head, self._body, self._left = b"", BytesIO(), 0

    @property
    def _begun(self) -> bool:
        """Whether a part of a message has arrived."""
        return bool(self._head)

    def _cut(self, chunk: bytes | bytearray) -> list[tuple[bytes, bytes]]:
        """Return header and body of the messages that end in `chunk`."""
        view, frames = memoryview(chunk), list[tuple[bytes, bytes]]()
        while view:
            if missing := self._header.size - len(self._head):
                self._head += bytes(view[:missing])
                view = view[missing:]
                if len(self._head) < self._header.size:
                    break
                self._left = self._length(self._head)
                self._body = BytesIO(
                    bytes(self._left)
                )  # takes this buffer without a copy; getvalue() returns it without one, too
            self._body.write(view[: self._left])
            taken = min(self._left, len(view))
            view, self._left = view[taken:], self._left - taken
            if not self._left:
                frames.append((self._head, self._body.getvalue()))
                self._begin()
        return frames

    def _length(self, head: bytes) -> int:
        """Return the length of the body after this header. Raises `WireError` above its limit."""
        raise NotImplementedError


class RequestReader(_Frames):
    """The child's side."""

    def __init__(self) -> None:
        super().__init__(_REQUEST)

    def feed(self, chunk: bytes) -> list[DecoderRequest]:
        """Return the requests that are complete with `chunk`. Raises `WireError`."""
        return [self._read(head, body) for head, body in self._cut(chunk)]

    def _length(self, head: bytes) -> int:
        kind, codec, *_, before, size = _REQUEST.unpack(head)
        if kind not in (JPEG, LOOK) or codec >= len(CODECS) or before not in (0, GREY_BYTES) or size > MOST_REQUEST:
            raise WireError(f"no request: kind {kind}, codec {codec}, {before} and {size} bytes")
        return int(before + size)

    def _read(self, head: bytes, body: bytes) -> DecoderRequest:
        kind, codec, number, width, height, before, _ = _REQUEST.unpack(head)
        return DecoderRequest(number, kind, CODECS[codec], body[before:], width, height, body[:before])


class AnswerReader(_Frames):
    """The daemon's side: it reads from a process that an attacker may control."""

    def __init__(self) -> None:
        super().__init__(_ANSWER)

    def feed(self, chunk: bytes | bytearray) -> DecoderAnswer | None:
        """Return the answer that is complete with `chunk`. Raises `WireError`, also for bytes after an answer."""
        frames = self._cut(chunk)
        if len(frames) > 1 or (frames and self._begun):
            raise WireError("more than was asked for")
        return self._read(*frames[0]) if frames else None

    def _length(self, head: bytes) -> int:
        status, *_, size = _ANSWER.unpack(head)
        if status not in (HELLO, DONE, UNDECODABLE) or size > (MOST_ANSWER if status == DONE else MOST_TEXT):
            raise WireError(f"no answer: status {status}, {size} bytes")
        return int(size)

    def _read(self, head: bytes, body: bytes) -> DecoderAnswer:
        status, number, cpu_us, width, height, _ = _ANSWER.unpack(head)
        return DecoderAnswer(number, status, body, cpu_us, width, height)
