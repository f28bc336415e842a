"""The formats of a service: how it is asked, and how its answer is read. Pure. A new format is a class and one line.

`banken`: multipart with the texts `camera` and `at`, and the JPEGs `current` and `previous` (where there is one). The
answer is one JSON object as a program prints it, a list of them, or nothing.

`analyze-v1`: multipart with the JPEGs `infer_image` and `prev_image`, and texts. The answer is one JSON object; its
further fields are ignored. A box in pixels becomes one in shares of the picture.
"""

import secrets
from collections.abc import Iterable, Sequence
from typing import Annotated, Protocol

import msgspec

from .lines import CAMERA, FIELD, FULL, MOST_LABEL, NOT_JSON, Seen, WrongLine, read_line
from .pictures import DetectorPicture

MOST_DETECTIONS = 32
"""Of one answer."""
JPEG = "image/jpeg"


class ServiceFormat(Protocol):
    path: str
    """Of an address without one."""

    def encode(self, picture: DetectorPicture, before: bytes, hint: str) -> tuple[str, bytes]:
        """Return the content type and the body of a request. `before`: the camera's last JPEG, or empty."""
        ...

    def read(self, answer: bytes, picture: DetectorPicture) -> tuple[Sequence[Seen | WrongLine], int]:
        """Return the first `MOST_DETECTIONS` of an answer, and how many more it has, which are not looked at.

        In the place of one that is wrong is what is wrong with it. Raises `WrongLine` if the answer is of no use.
        """
        ...


class Banken:
    path = "/"

    def encode(self, picture: DetectorPicture, before: bytes, hint: str) -> tuple[str, bytes]:
        return multipart({"camera": picture.camera, "at": picture.at}, {"current": picture.jpeg, "previous": before})

    def read(self, answer: bytes, picture: DetectorPicture) -> tuple[Sequence[Seen | WrongLine], int]:
        if not answer.strip():
            return [], 0
        found = _objects(answer)
        return [_read_one(each, picture) for each in found[:MOST_DETECTIONS]], max(0, len(found) - MOST_DETECTIONS)


def _objects(answer: bytes) -> Sequence[bytes | msgspec.Raw]:
    if not answer.lstrip().startswith(b"["):
        return [answer]
    try:
        return msgspec.json.decode(answer, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WrongLine(NOT_JSON, "it is not a list in JSON") from None


def _read_one(line: bytes | msgspec.Raw, picture: DetectorPicture) -> Seen | WrongLine:
    try:
        seen = read_line(line)
    except WrongLine as error:
        return error
    return seen if seen.camera == picture.camera else WrongLine(CAMERA, "it is about another camera")


Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Box(msgspec.Struct, frozen=True):
    x1: float
    y1: float
    x2: float
    y2: float
    label: str = ""
    conf: Share | None = None


class _Analyzed(msgspec.Struct, frozen=True):
    """The fields of an answer that are read."""

    camera_id: str = ""
    detected: bool = False
    primary_event: str | None = None
    tags: tuple[str, ...] = ()
    confidence: Share | None = None
    bboxes: tuple[_Box, ...] = ()


class AnalyzeV1:
    path = "/v1/analyze"

    def encode(self, picture: DetectorPicture, before: bytes, hint: str) -> tuple[str, bytes]:
        texts = {
            "camera_id": picture.camera,
            "captured_at": picture.at,
            "schema_version": "1",
            "preset_id": "default",
            "preset_version": "1",
            "return_bboxes": "true",
            "enable_frame_diff": "true" if before else "false",
            "hints_json": _as_json(hint),
        }
        return multipart(texts, {"infer_image": picture.jpeg, "prev_image": before})

    def read(self, answer: bytes, picture: DetectorPicture) -> tuple[Sequence[Seen | WrongLine], int]:
        try:
            found = msgspec.json.decode(answer, type=_Analyzed)
        except msgspec.ValidationError as error:
            raise WrongLine(FIELD, str(error)[:200]) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise WrongLine(NOT_JSON, "it is not one JSON object") from None
        if found.camera_id not in ("", picture.camera):
            raise WrongLine(CAMERA, "it is about another camera")
        if not found.detected:
            return [], 0
        name = found.primary_event or next(iter(found.tags), "")
        if not found.bboxes:
            return [_seen(picture, name, found.confidence, ())], 0
        boxes = found.bboxes[:MOST_DETECTIONS]
        return [_boxed(picture, box, name, found.confidence) for box in boxes], len(found.bboxes) - len(boxes)


def _boxed(picture: DetectorPicture, box: _Box, name: str, confidence: float | None) -> Seen | WrongLine:
    corners = (box.x1, box.y1, box.x2, box.y2)
    shares = max(corners) <= FULL
    width, height = (1.0, 1.0) if shares else (float(picture.width), float(picture.height))
    left, right = (min(1.0, max(0.0, x / width)) for x in sorted((box.x1, box.x2)))
    top, bottom = (min(1.0, max(0.0, y / height)) for y in sorted((box.y1, box.y2)))
    where = tuple(round(value, 4) for value in (left, top, right - left, bottom - top))
    return _seen(picture, box.label or name, box.conf if box.conf is not None else confidence, where)


def _seen(picture: DetectorPicture, label: str, score: float | None, box: tuple[float, ...]) -> Seen | WrongLine:
    label = label.strip()[:MOST_LABEL]
    if not label or not label.isprintable() or score is None:
        return WrongLine(FIELD, "it has no label or no confidence")
    return Seen(picture.camera, picture.at, picture.still.wall_ns, label, score, box)


def _as_json(hint: str) -> str:
    """Return JSON as it is, and any other text as a string of JSON."""
    if not hint:
        return ""
    try:
        msgspec.json.decode(hint)
    except (msgspec.DecodeError, RecursionError):
        return msgspec.json.encode(hint).decode()
    return hint


def multipart(texts: dict[str, str], jpegs: dict[str, bytes]) -> tuple[str, bytes]:
    """Return the content type and the body of a form (RFC 7578). Empty texts and pictures are left out."""
    boundary = secrets.token_hex(16)
    parts: list[bytes] = []
    for name, text in texts.items():
        parts += _part(boundary, name, "", "", text.encode()) if text else ()
    for name, jpeg in jpegs.items():
        parts += _part(boundary, name, f'; filename="{name}.jpg"', f"Content-Type: {JPEG}\r\n", jpeg) if jpeg else ()
    return f"multipart/form-data; boundary={boundary}", b"".join([*parts, f"--{boundary}--\r\n".encode()])


def _part(boundary: str, name: str, file: str, kind: str, data: bytes) -> Iterable[bytes]:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{kind}\r\n'
    return head.encode(), data, b"\r\n"


FORMATS: dict[str, ServiceFormat] = {
    "banken": Banken(),
    "analyze-v1": AnalyzeV1(),
}
