"""Detections as a detector writes them: one JSON object each. Pure.

Rules of this file:
- A line has at most `MOST_LINE` bytes. A longer one is skipped up to its end, and counts as wrong once for each
  `MOST_LINE` bytes.
- Everything is checked before it is used. Further fields are ignored, so that a detector may print more for others.
"""

from datetime import datetime
from typing import Annotated

import attrs
import msgspec

MOST_LINE = 16 * 1024
FULL = 1.001
"""Maximum sum of an offset and a length of a box, with a tolerance for rounding."""
MOST_LABEL = 64

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
LONG, NOT_JSON, FIELD, CAMERA, TIME, MANY, LARGE, UNDECODED = (
    "long-line",
    "no-json",
    "wrong-field",
    "unknown-camera",
    "wrong-time",
    "too-many",
    "large-picture",
    "no-picture",
)
"""Why something was dropped: the reasons of `DetectorTally.drop`."""


class WrongLine(ValueError):
    """A line that is no detection. `code` is one of the reasons above."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@attrs.frozen
class Seen:
    """A detection, as a detector describes it."""

    camera: str
    at: str
    """As it was written."""
    at_ns: int
    label: str
    score: float
    box: tuple[float, ...] = ()


class _Line(msgspec.Struct, frozen=True):
    camera: Annotated[str, msgspec.Meta(max_length=64)]
    at: Annotated[str, msgspec.Meta(max_length=64)]
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_LABEL)]
    score: Share
    box: tuple[Share, Share, Share, Share] | None = None


def read_line(line: bytes | bytearray | msgspec.Raw) -> Seen:
    """Return the detection in one JSON object. Raises `WrongLine`."""
    try:
        found = msgspec.json.decode(line, type=_Line)
    except msgspec.ValidationError as error:
        raise WrongLine(FIELD, str(error)[:200]) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise WrongLine(NOT_JSON, "it is not one JSON object") from None
    except RecursionError:
        raise WrongLine(NOT_JSON, "its JSON is nested too deeply") from None
    if not found.label.isprintable():
        raise WrongLine(FIELD, "its label has characters that cannot be printed")
    box = found.box or ()
    if box and (box[0] + box[2] > FULL or box[1] + box[3] > FULL):
        raise WrongLine(FIELD, "its box [x, y, width, height] reaches beyond the picture")
    return Seen(found.camera, found.at, read_time(found.at), found.label, found.score, box)


def read_time(text: str) -> int:
    """Return a time in nanoseconds since the epoch. Raises `WrongLine` for one without an offset."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise WrongLine(TIME, "its `at` is not a time like 2026-01-31T03:10:00.000Z") from None
    if at.tzinfo is None:
        raise WrongLine(TIME, "its `at` has no offset")
    try:
        return round(at.timestamp() * 1e6) * 1000
    except (OverflowError, ValueError):  # a time in the year 1 or 9999, with an offset
        raise WrongLine(TIME, "its `at` is no time that can be counted") from None


class Splitter:
    """Cuts a stream of bytes into lines, without keeping more than `MOST_LINE` bytes."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipped = -1
        """Bytes of a line that is too long since it was last reported; -1 outside of such a line."""

    def feed(self, chunk: bytes | bytearray) -> list[bytes | None]:
        """Return the lines that end in `chunk`, without empty ones; None for each `MOST_LINE` bytes of a long one."""
        found: list[bytes | None] = []
        *ends, rest = bytes(chunk).split(b"\n")
        for end in ends:
            self._add(end, found)
            if self._skipped < 0 and self._rest.strip():
                found.append(bytes(self._rest))
            self._rest, self._skipped = bytearray(), -1
        self._add(rest, found)
        return found

    def _add(self, piece: bytes, found: list[bytes | None]) -> None:
        if self._skipped < 0:
            self._rest += piece
            if len(self._rest) <= MOST_LINE:
                return
            self._rest, self._skipped = bytearray(), 0
            found.append(None)
            return
        self._skipped += len(piece)
        found += [None] * (self._skipped // MOST_LINE)
        self._skipped %= MOST_LINE
