"""Decides which sealed segments are removed, and which are kept because of a pin.

Pins of 0.1.0 are in a file of the folder, and keep events alone. A daemon makes pins of events and footage, which are
events themselves (`domain/pin.py`).
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs
import msgspec

from ..domain.words import plural, size
from ..ports.errors import JournalError
from .files import private_file, sync_folder
from .guard import read_bounded
from .manifest import Sealed

PINS = "pins.json"
MAX_PINS = 1000
MAX_BYTES = 4 * 1024**2
"""Limit of the file of pins."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}")
DAY_S = 86_400.0


@attrs.frozen
class Retention:
    """The limits of a journal: events are kept for `keep_s` seconds, and at most `max_bytes` of them."""

    keep_s: float = 90 * DAY_S
    max_bytes: int = 4 * 1024**3


@attrs.frozen
class Removal:
    """Segments that retention removes, oldest first, with their events, their bytes and the limit that they exceed."""

    segments: tuple[str, ...]
    first: int
    last: int
    bytes: int
    why: str


def removal_of(gone: Sequence[Sealed], retention: Retention, now_ns: int) -> Removal | None:
    """The result of `expendable` as a fact to report; None if it is empty."""
    if not gone:
        return None
    old = sum(now_ns - segment.ended_ns > retention.keep_s * 1e9 for segment in gone)
    days, most = plural(float(f"{retention.keep_s / DAY_S:.3g}"), "day"), size(retention.max_bytes)
    reasons = [f"{old} older than {days}"] * bool(old) + [f"{len(gone) - old} beyond {most}"] * bool(len(gone) - old)
    names = tuple(segment.segment for segment in gone)
    size_of = sum(segment.bytes for segment in gone)
    return Removal(names, gone[0].first, gone[-1].last, size_of, ", ".join(reasons))


class Pin(msgspec.Struct, frozen=True):
    """A stretch of the journal that retention must not touch."""

    first: int
    last: int
    note: str
    made_ns: int


def expendable(sealed: Sequence[Sealed], pins: Sequence[Pin], retention: Retention, now_ns: int) -> list[Sealed]:
    """The `sealed` segments that may be removed, oldest first.

    Segments are removed only from the old end: a journal has no holes. So a pin also keeps all younger segments.
    """
    gone: list[Sealed] = []
    if sealed:  # a clock that is far ahead for a minute must not cause the loss of a journal
        now_ns = min(now_ns, max(segment.ended_ns for segment in sealed) + int(DAY_S * 1e9))
    left = sum(segment.bytes for segment in sealed)
    for segment in sealed:
        old = now_ns - segment.ended_ns > retention.keep_s * 1e9
        if is_pinned(segment.first, segment.last, pins) or not (old or left > retention.max_bytes):
            break
        gone.append(segment)
        left -= segment.bytes
    return gone


def is_pinned(first: int, last: int, pins: Iterable[Pin]) -> bool:
    """Whether a pin covers one of the events `first` to `last`."""
    return any(pin.first <= last and first <= pin.last for pin in pins)


def pin_of_time(from_ns: int, to_ns: int, sealed: Sequence[Sealed]) -> Pin | None:
    """A pin of the `sealed` segments that have events of a time; None if none has."""
    found = [segment for segment in sealed if segment.began_ns <= to_ns and from_ns <= segment.ended_ns]
    if not found:
        return None
    return Pin(min(each.first for each in found), max(each.last for each in found), "", from_ns)


def read_pins(folder: Path) -> dict[str, Pin]:
    """The pins of a journal, by name. Raises `JournalError`."""
    path = folder / PINS
    try:
        return msgspec.json.decode(read_bounded(path, MAX_BYTES), type=dict[str, Pin])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise JournalError(f"{path}: the pins cannot be read, so nothing is removed: {error}") from None


def write_pins(folder: Path, pins: dict[str, Pin]) -> None:
    """Replace the pins, durably. Raises `JournalError` for an invalid name, too many pins, or a failed write."""
    for name in pins:
        if not _NAME.fullmatch(name):
            raise JournalError(f"{name[:70]!r} cannot be the name of a pin: letters, digits and ._:- are allowed")
    if len(pins) > MAX_PINS:
        raise JournalError(f"{folder} has {MAX_PINS} pins already; unpin some")
    draft = folder / f"{PINS}.new"
    try:
        with private_file(draft) as file:
            file.write(msgspec.json.format(msgspec.json.encode(pins)) + b"\n")
        draft.replace(folder / PINS)
        sync_folder(folder)
    except OSError as error:
        raise JournalError(f"{folder}: the pins cannot be written: {error.strerror}") from None
