"""A recording file: its beginning, its end, and the walk through its fragments.

Rules of this file:
- A file is `ftyp`, `moov` and our box about the recording, then whole fragments, then `mfra` if it was sealed.
- Nobody reads beyond the last fragment that passes its checksum: after a power failure, a whole box may hold zeros.
- A walk reads at most 1 MiB at once, whatever the file says.

Source: ISO/IEC 14496-12, section 8.8.10 and 8.8.11 (`tfra`, `mfro`); the boxes `uuid` are our own.
"""

import os
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO
from uuid import UUID

import attrs
import msgspec

from actors.media.bitstream import BitstreamError

from .boxes import HEADER, U32, box, full_box
from .fragment import PLACE, FragmentPlace, decode_place
from .initialization import VIDEO_TRACK

ABOUT = UUID("62616e6b-656e-4172-a167-6d656e740001").bytes
"""The type of our box about the recording."""
MAX_BEGINNING = 64 * 1024
"""Bytes in front of the first fragment."""
ID = re.compile("[0-9a-f]{16}")
CHUNK = 1024 * 1024
MOST_FRAGMENTS = 100_000
"""Fragments of one file that are read: a file of an hour has 3,600."""
MFRO = 16
"""Bytes of the last box, which says how long `mfra` is."""
ENTRY = struct.Struct(">QQ3B")
"""Of `tfra`: time in 1/90000 s, place of the box `moof`, and its number in the track, the run and the fragment."""
TABLE = HEADER + HEADER + 4 + 12
"""Bytes of `mfra` in front of the first entry."""


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """The file about itself: an index can be made from the files alone."""

    camera: str
    recording: str
    """The id of the recording: 16 hexadecimal digits."""
    codec: str
    """`h264` or `h265`."""
    version: int = 1


@attrs.frozen
class StoredFragment:
    """A fragment in a file."""

    offset: int
    size: int
    """Bytes with the box `uuid`."""
    place: FragmentPlace


@attrs.frozen
class Walk:
    """The content of a file, as far as it can be believed."""

    about: About | None
    """None if the beginning is damaged; then nothing of it can be played."""
    begins_at: int
    """Bytes in front of the first fragment."""
    fragments: tuple[StoredFragment, ...]
    """Those that passed their checksums, up to the first that did not."""
    whole: int
    """Bytes up to the end of the last of them."""
    size: int
    is_sealed: bool
    """Whether the file was ended by its writer."""
    damage: str = ""
    """The reason for which nothing behind `whole` is believed, and where; empty if there is nothing, or `mfra`."""

    @property
    def duration(self) -> int:
        """In 1/90000 s."""
        return sum(found.place.duration for found in self.fragments)


_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(About).decode


def begin_file(initialization: bytes, about: About) -> bytes:
    """Return the bytes in front of the first fragment; `initialization` is `ftyp` and `moov`."""
    content = ABOUT + _encode(about)
    head = U32.pack(HEADER + len(content) + 4) + b"uuid" + content
    return initialization + head + U32.pack(zlib.crc32(head, zlib.crc32(initialization)))


def end_file(fragments: Iterable[StoredFragment]) -> bytes:
    """Return the box `mfra`, by which players find key frames without reading the file."""
    keys, at = list[tuple[int, int]](), 0
    for found in fragments:
        if found.place.key:
            keys.append((at, found.offset))
        at += found.place.duration
    return _end_of(keys)


def _end_of(keys: Sequence[tuple[int, int]]) -> bytes:
    entries = (ENTRY.pack(at, offset + PLACE.size, 1, 1, 1) for at, offset in keys)
    table = full_box(b"tfra", 1, 0, struct.pack(">III", VIDEO_TRACK, 0, len(keys)), *entries)
    return box(b"mfra", table, full_box(b"mfro", 0, 0, U32.pack(HEADER + len(table) + MFRO)))


@attrs.frozen
class EndedFile:
    """A sealed file, by its beginning and its `mfra`. Its content was not read."""

    about: About
    began_ns: int
    duration: int
    """In 1/90000 s."""
    size: int
    keys: tuple[tuple[int, int], ...]
    """Time, in 1/90000 s from the beginning, and offset of each fragment with a key frame."""


def read_ended(file: BinaryIO) -> EndedFile:
    """Read where the key frames of a sealed file are, without its content. Raises `OSError`.

    Raises `BitstreamError` unless its last fragment ends where `mfra` begins, and that is as `end_file` makes it.
    """
    size = file.seek(0, os.SEEK_END)
    about, _, at = read_beginning(file)
    file.seek(at)
    first, _, _ = decode_place(file.read(PLACE.size))
    file.seek(max(0, size - 4))
    ends_at = size - int.from_bytes(file.read(4))
    if not at < ends_at <= size - MFRO or size - ends_at > CHUNK:
        raise BitstreamError("no mfra at the end")
    file.seek(ends_at)
    end = file.read(CHUNK)
    entries = end[TABLE:-MFRO]
    if len(entries) % ENTRY.size:
        raise BitstreamError("a damaged mfra at the end")
    keys = [(time, place - PLACE.size) for time, place, *_ in ENTRY.iter_unpack(entries)]
    if not keys or keys[0] != (0, at) or end != _end_of(keys):
        raise BitstreamError("a damaged mfra at the end")
    duration, offset = keys[-1]
    for found in fragments_of(file, offset, ends_at, about.recording, heads=True):
        duration += found.place.duration
    return EndedFile(about, first.wall_ns, duration, size, tuple(keys))


def walk(file: BinaryIO) -> Walk:
    """Read a whole file and check every fragment. Raises `OSError`."""
    size = file.seek(0, os.SEEK_END)
    try:
        about, _, begins_at = read_beginning(file)
    except BitstreamError as error:
        return Walk(None, 0, (), 0, size, False, f"the beginning: {error}")
    found, at, damage = list[StoredFragment](), begins_at, ""
    try:
        for fragment in fragments_of(file, at, size, about.recording):
            if len(found) == MOST_FRAGMENTS:
                raise BitstreamError(f"more than {MOST_FRAGMENTS} fragments")
            found.append(fragment)
            at = fragment.offset + fragment.size
    except BitstreamError as error:
        damage = f"at byte {at}: {error}"
    file.seek(at)
    is_sealed = bool(damage) and file.read(CHUNK) == end_file(found)
    return Walk(about, begins_at, tuple(found), at, size, is_sealed, "" if is_sealed else damage)


def read_beginning(file: BinaryIO) -> tuple[About, bytes, int]:
    """Return what a file is about, its `ftyp` and `moov`, and where its first fragment begins.

    Raises `BitstreamError`, and `OSError`.
    """
    file.seek(0)
    data = file.read(MAX_BEGINNING)
    at = length = 0
    for kind in (b"ftyp", b"moov", b"uuid"):
        length = int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + HEADER] != kind or length < HEADER or at + length > len(data):
            raise BitstreamError(f"no {kind.decode()} at byte {at}")
        at += length
    content = data[at - length + HEADER : at]
    if content[: len(ABOUT)] != ABOUT or U32.pack(zlib.crc32(data[: at - 4])) != data[at - 4 : at]:
        raise BitstreamError("its checksum does not fit")
    try:
        about = _decode(content[len(ABOUT) : -4])
    except msgspec.MsgspecError as error:
        raise BitstreamError(f"it was written by another version: {error}") from None
    if not ID.fullmatch(about.recording):
        raise BitstreamError("its recording has no id")
    return about, data[: at - length], at


def fragments_of(
    file: BinaryIO, at: int, size: int, recording: str, *, heads: bool = False
) -> Iterator[StoredFragment]:
    """Yield whole fragments from byte `at` to byte `size`. Raises `BitstreamError` at the first that is not.

    With `heads`, only their heads are read, not their contents with the checksums.
    """
    number: int | None = None
    while at < size:
        file.seek(at)
        head = file.read(PLACE.size)
        place, length, crc = decode_place(head)
        if place.recording != recording or number not in (None, place.number - 1):
            raise BitstreamError(f"fragment {place.number} of recording {place.recording} does not follow")
        checked = zlib.crc32(head[:-4])
        if heads and at + PLACE.size + length > size:
            raise BitstreamError(f"fragment {place.number} ends early")
        for count in () if heads else _steps(length):
            data = file.read(count)
            if len(data) < count:
                raise BitstreamError(f"fragment {place.number} ends early")
            checked = zlib.crc32(data, checked)
        if checked != crc and not heads:
            raise BitstreamError(f"the checksum of fragment {place.number} does not fit")
        number = place.number
        yield StoredFragment(at, PLACE.size + length, place)
        at += PLACE.size + length


def _steps(length: int) -> Iterator[int]:
    for done in range(0, length, CHUNK):
        yield min(CHUNK, length - done)
