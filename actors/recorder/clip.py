"""A clip: a stretch of one camera's recording files as one progressive MP4, which is never made as a whole. Pure.

Rules of this file:
- A clip is a head (`ftyp`, `moov`, and the header of one `mdat`), then slices of recording files. Any byte of it is
  found without the others, and the same files and times always give the same bytes.
- It begins with the key frame at or before its beginning. An edit list shows it from the picture of that time on.
- Media time goes on over a gap without it: a picture that stands still would look like a camera that sees nothing.
- Other parameter sets or another size begin another sample entry. Another codec, or other audio, is refused by name
  with the time to split at: no player plays both in one track.
- Samples are never looked at one by one: an hour has 108,000. Their rows are sliced as arrays of 32 bits.

Source: ISO/IEC 14496-12, sections 8.5 to 8.7 (sample tables, edit lists).
"""

import hashlib
import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import NamedTuple

import attrs

from actors.media.bitstream import START_CODE, BitstreamError
from actors.media.media import CLOCK_RATE
from supervisor.ports.footage import NoFootage, TracksDiffer

from .boxes import HEADER, U32, box, full_box, split_boxes
from .initialization import AUDIO_TRACK, ENTRIES, MATRIX, UNDETERMINED, VIDEO_TRACK

SECOND_NS = 1_000_000_000
OVERLAP_NS = SECOND_NS // 10
"""The end of a recording is guessed: the next one may begin so much earlier."""
NOTHING = "nothing is recorded of this time"
_SLICE_WEIGHT = 150
REORDERED_S = 10
"""No B-frame is decoded so many seconds after pictures that are shown later."""
AUDIO_APART_S = 0.02
"""The audio follows the video's time if it is further from it: the rounding of times is less, lost frames are more."""
_MOOF = struct.Struct(">I4s16x")
_TRAF = struct.Struct(">I4s12xI12xQI4sIII")
"""In front of the rows of a track: size and type of `traf`, track, decode time; of `trun` its size, type, version and
flags, rows, and where the data begin."""
_RUN = 0xF01
"""Rows with duration, bytes, flags and composition offset."""
_ROW = 16
CODECS = {entry[0]: codec for codec, entry in ENTRIES.items()}
_EPOCH_S = 2_082_844_800
"""Seconds from 1904, where times of MP4 begin, to 1970."""


class ClipFragment(NamedTuple):
    """A fragment of a file, as a clip needs it."""

    wall_ns: int
    duration: int
    """In 1/90000 s."""
    key: bool
    offset: int
    """Of its `moof` in the file."""
    size: int
    """Bytes of `moof` and `mdat`."""
    moof: bytes
    """The beginning of these bytes, with the whole `moof`."""


@attrs.frozen
class ClipFile:
    """A recording file, with the fragments from the key frame at or before the beginning of the clip on."""

    path: str
    recording: str
    beginning: bytes
    """`ftyp` and `moov`, and more."""
    fragments: Sequence[ClipFragment]


class Slice(NamedTuple):
    """Bytes of a file."""

    file: int
    """Its index in `Clip.paths`."""
    offset: int
    size: int


@attrs.frozen
class Clip:
    """One MP4, or one Annex B stream, whose bytes are found by `parts`."""

    head: bytes
    paths: tuple[str, ...]
    slices: tuple[Slice, ...]
    ends: Sequence[int]
    """For each slice, where it ends in the clip."""
    duration_s: float
    """That a player shows."""
    tag: str
    """The same for the same bytes: in hexadecimal digits."""
    codec: str
    """`h264` or `h265`."""
    is_annexb: bool = False
    """Then each slice is the video of a fragment, for `to_annexb`."""

    @property
    def size(self) -> int:
        """Bytes of the clip."""
        return self.ends[-1]

    @property
    def weight(self) -> int:
        """Approximate bytes of memory."""
        return len(self.head) + _SLICE_WEIGHT * len(self.slices)

    def files(self, begin: int, end: int) -> range:
        """The numbers of the files that these bytes are made of."""
        first, last = bisect_right(self.ends, begin), bisect_right(self.ends, end - 1)
        if begin >= end or end <= len(self.head) or first == len(self.slices):
            return range(0)
        return range(self.slices[first].file, self.slices[min(last, len(self.slices) - 1)].file + 1)

    def parts(self, begin: int, end: int) -> Iterator[bytes | Slice]:
        """Yield what the bytes from `begin` up to `end` are made of, in order."""
        if begin < len(self.head):
            yield self.head[begin:end]
        for index in range(bisect_right(self.ends, begin), len(self.slices)):
            file, offset, size = self.slices[index]
            at = self.ends[index] - size
            if at >= end:
                return
            skip = max(0, begin - at)
            yield Slice(file, offset + skip, min(size, end - at) - skip)


@attrs.frozen
class _Tracks:
    """The tracks of a file as its beginning has them."""

    video: bytes
    """The sample entry."""
    size: tuple[int, int]
    """Width and height as `tkhd` has them."""
    audio: bytes
    rate: int
    """Of the audio; 0 without it."""


def make_clip(files: Sequence[ClipFile], from_ns: int, to_ns: int) -> Clip:
    """Return these files as MP4. They are in the order of their recording.

    Raises `NoFootage`, `TracksDiffer`, and `BitstreamError` for files that are not as this banken writes them.
    """
    files, table = _needed(files, from_ns), _Table()
    for number, file in enumerate(files):
        table.add(number, file)
    first, last = files[0], files[-1]
    begin = table.picture_at(_position(first.fragments, 0, from_ns))
    end = _position(last.fragments, table.begins[-1], to_ns)
    if end <= begin:
        raise NoFootage(NOTHING)
    head = table.head(begin, end, max(from_ns, first.fragments[0].wall_ns))
    return _clip(files, head, table.slices, (end - begin) / CLOCK_RATE, table.codec)


def make_annexb(files: Sequence[ClipFile], from_ns: int) -> Clip:
    """Return the video of these files as an Annex B stream, from a key frame on: it has no times.

    Raises as `make_clip`.
    """
    files, table, slices = _needed(files, from_ns), _Table(), list[Slice]()
    for number, file in enumerate(files):
        known = len(table.slices)
        table.add(number, file)
        slices += (
            found._replace(size=size) for found, size in zip(table.slices[known:], table.video[known:], strict=True)
        )
    return attrs.evolve(_clip(files, b"", slices, table.lasts / CLOCK_RATE, table.codec), is_annexb=True)


def to_annexb(video: bytes) -> bytearray:
    """The NAL units of a slice with start codes instead of their lengths. Raises `BitstreamError`."""
    made, at = bytearray(video), 0
    while at < len(made):
        end = at + 4 + int.from_bytes(made[at : at + 4])
        made[at : at + 4] = START_CODE
        at = end
    if at != len(video):
        raise BitstreamError("a NAL unit ends behind its fragment")
    return made


def first_sample(moof: bytes) -> tuple[int, int]:
    """Where the first picture of a fragment begins, from its `moof` on, and its bytes. Raises `BitstreamError`."""
    try:
        data_at = _track_of(moof, _MOOF.size, VIDEO_TRACK, of_all=False)[-1]
    except (ValueError, struct.error):
        raise BitstreamError("a fragment of another form") from None
    return data_at, int.from_bytes(moof[_MOOF.size + _TRAF.size + 4 : _MOOF.size + _TRAF.size + 8])


def _clip(files: Sequence[ClipFile], head: bytes, slices: Sequence[Slice], duration_s: float, codec: str) -> Clip:
    ends = [*accumulate((found.size for found in slices), initial=len(head))][1:]
    digest = hashlib.sha256(head)
    for file in files:
        digest.update(f"{file.path}\0{file.recording}\0{file.fragments[0].offset}\0".encode())
    digest.update(str(ends[-1]).encode())
    paths = tuple(file.path for file in files)
    return Clip(head, paths, tuple(slices), ends, duration_s, digest.hexdigest()[:32], codec)


def _needed(files: Sequence[ClipFile], from_ns: int) -> list[ClipFile]:
    """The files that have something of the clip, in the order in which they are played. Raises `NoFootage`."""
    found = [file for file in _in_order(files) if file.fragments and _ended_ns(file) > from_ns]
    if len(found) > 1 and found[1].fragments[0].wall_ns <= from_ns and _ended_ns(found[0]) < from_ns + OVERLAP_NS:
        found = found[1:]
    if not found:
        raise NoFootage(NOTHING)
    return found


def _ended_ns(file: ClipFile) -> int:
    last = file.fragments[-1]
    return last.wall_ns + last.duration * SECOND_NS // CLOCK_RATE


def _in_order(files: Sequence[ClipFile]) -> list[ClipFile]:
    """Recordings one after the other: after a clock was set back, two of them may have the same times."""
    began: dict[str, int] = {}
    for number, file in enumerate(files):
        began.setdefault(file.recording, number)
    return sorted(files, key=lambda file: began[file.recording])


def _position(fragments: Sequence[ClipFragment], begin: int, at_ns: int) -> int:
    """The media time of a moment, in these fragments, of which the first has the media time `begin`."""
    for fragment in fragments:
        if at_ns < fragment.wall_ns:
            return begin
        within = min(fragment.duration, (at_ns - fragment.wall_ns) * CLOCK_RATE // SECOND_NS)
        if within < fragment.duration or fragment is fragments[-1]:
            return begin + within
        begin += fragment.duration
    return begin


class _Samples:
    """The samples of one track, which grow."""

    def __init__(self) -> None:
        self.durations, self.offsets = array("I"), array("I")
        self.sizes: list[bytes] = []
        """For each file, as the clip has them."""
        self.count = 0
        self.chunks: list[int] = []
        """Where the samples of each fragment begin, from the first slice on."""
        self.runs: list[tuple[int, int]] = []
        """For each of these, its samples and the number of their sample entry."""

    def add(self, rows: bytes) -> int:
        """Add rows of `trun`, and return the bytes of their samples."""
        table = array("I", rows)
        self.durations += _swapped(table[0::4])
        self.offsets += _swapped(table[3::4])
        sizes = table[1::4]
        self.sizes.append(sizes.tobytes())
        self.count += len(sizes)
        return sum(_swapped(sizes))

    def tables(self, keys: Sequence[int] | None, entries: Sequence[bytes]) -> Callable[[int], bytes]:
        """Return what makes the box `stbl` for slices that begin at a place."""
        found = [
            full_box(b"stsd", 0, 0, U32.pack(len(entries)), *entries),
            _runs_box(b"stts", 0, self.durations),
        ]
        if self.offsets.tobytes() != bytes(4 * len(self.offsets)):
            found.append(_runs_box(b"ctts", 1, self.offsets))
        if keys is not None:
            found.append(full_box(b"stss", 0, 0, U32.pack(len(keys)), _swapped(array("I", keys)).tobytes()))
        runs = array("I")
        at = 1
        for (count, entry), alike in groupby(self.runs):
            runs.extend((at, count, entry))
            at += len(list(alike))
        found += [
            full_box(b"stsc", 0, 0, U32.pack(len(runs) // 3), _swapped(runs).tobytes()),
            full_box(b"stsz", 0, 0, struct.pack(">II", 0, self.count), *self.sizes),
        ]
        fixed = b"".join(found)

        def make(base: int) -> bytes:
            places = _swapped(array("Q", [base + each for each in self.chunks]))
            return box(b"stbl", fixed, full_box(b"co64", 0, 0, U32.pack(len(self.chunks)), places.tobytes()))

        return make


class _Table:
    """The tracks of a clip, which grow by one file after the other."""

    def __init__(self) -> None:
        self._beginning, self._tracks = b"", _Tracks(b"", (0, 0), b"", 0)
        self._entries: list[bytes] = []
        self._entry = 0
        """The number of the sample entry of the newest file, from 1."""
        self.slices: list[Slice] = []
        self.video: list[int] = []
        """For each slice, the bytes of video at its beginning."""
        self.begins: list[int] = []
        """For each file, the media time at which it begins in the clip, in 1/90000 s."""
        self._at, self._length = 0, 0
        """Media time, and bytes, of all fragments so far."""
        self._video, self._audio = _Samples(), _Samples()
        self._keys: list[int] = []
        """The numbers of the key frames, from 1."""
        self._pictures = 0
        self._heard_at = self._heard_from = 0
        """Media time at which the audio ends so far, and at which it began, in its own rate."""

    @property
    def codec(self) -> str:
        return CODECS[self._tracks.video[4:HEADER]]

    @property
    def lasts(self) -> int:
        """Media time of all files, in 1/90000 s."""
        return self._at

    def add(self, number: int, file: ClipFile) -> None:
        self._take_tracks(file)
        self.begins.append(self._at)
        rows, size = list[bytes](), 0
        for fragment in file.fragments:
            moof = fragment.moof
            try:
                moof_size, kind = _MOOF.unpack_from(moof)
                if kind != b"moof" or not moof_size <= min(len(moof), fragment.size - HEADER):
                    raise ValueError
                behind, decoded, count, data_at = _track_of(moof, _MOOF.size, VIDEO_TRACK)
                if data_at != moof_size + HEADER:
                    raise ValueError
                rows.append(moof[behind - _ROW * count : behind])
                self._video.chunks.append(self._length)
                self._video.runs.append((count, self._entry))
                video = fragment.size - data_at
                if behind < moof_size:
                    begins = self._at - decoded
                    size += self._hear(moof, behind, data_at, begins)
                    video = self._audio.chunks[-1] - self._length
            except (ValueError, struct.error):
                raise BitstreamError(f"{file.path}: the fragment at byte {fragment.offset} has another form") from None
            if fragment.key:
                self._keys.append(self._pictures + 1)
            self._pictures += count
            payload = fragment.size - data_at
            self.video.append(video)
            self.slices.append(Slice(number, fragment.offset + data_at, payload))
            self._length += payload
            self._at += fragment.duration
        size += self._video.add(b"".join(rows))
        if size != sum(found.size for found in self.slices[-len(file.fragments) :]):
            raise BitstreamError(f"{file.path}: its samples are not as long as its data")

    def _hear(self, moof: bytes, at: int, data_at: int, begins: int) -> int:
        """Take the audio of a fragment, and return its bytes. `begins`: media time of the beginning of its file."""
        behind, decoded, count, heard_at = _track_of(moof, at, AUDIO_TRACK)
        rate, durations = self._tracks.rate, self._audio.durations
        if not rate or behind != int.from_bytes(moof[:4]):
            raise ValueError
        began = begins * rate // CLOCK_RATE + decoded
        if not durations:
            self._heard_at = self._heard_from = began
        elif abs(began - self._heard_at) > AUDIO_APART_S * rate:
            apart = min(max(began - self._heard_at, 1 - durations[-1]), 0x7FFFFFFF - durations[-1])
            durations[-1] += apart
            self._heard_at += apart
        known = len(durations)
        size = self._audio.add(moof[behind - _ROW * count : behind])
        self._heard_at += sum(durations[known:])
        self._audio.chunks.append(self._length + heard_at - data_at)
        self._audio.runs.append((count, 1))
        return size

    def _take_tracks(self, file: ClipFile) -> None:
        if file.beginning == self._beginning:
            return
        known, found = self._tracks, _read_tracks(file.beginning)
        at_ns = file.fragments[0].wall_ns
        if known.video and known.video[4:HEADER] != found.video[4:HEADER]:
            raise TracksDiffer("the camera sends another codec from then on", at_ns)
        if known.rate and found.rate and (known.rate, known.audio) != (found.rate, found.audio):
            raise TracksDiffer("the camera sends other audio from then on", at_ns)
        if not found.rate:
            found = attrs.evolve(found, audio=known.audio, rate=known.rate)
        size = max(known.size, found.size, key=lambda size: size[0] * size[1])
        self._beginning, self._tracks = file.beginning, attrs.evolve(found, size=size)
        if found.video not in self._entries:
            self._entries.append(found.video)
        self._entry = self._entries.index(found.video) + 1

    def picture_at(self, begin: int) -> int:
        """When the picture that is shown at `begin` was shown first, in media time: players do not cut pictures."""
        decoded = accumulate(self._video.durations, initial=0)
        first = _signed(self._video.offsets[0])
        found = 0
        for at, offset in zip(decoded, self._video.offsets, strict=False):
            if at - CLOCK_RATE * REORDERED_S > begin:
                break
            shown = at + _signed(offset) - first
            if found < shown <= begin:
                found = shown
        return found

    def head(self, begin: int, end: int, wall_ns: int) -> bytes:
        """The bytes in front of the slices. Media times `begin` and `end`: what is shown, in 1/90000 s."""
        made_s, lasts, rate = wall_ns // SECOND_NS + _EPOCH_S, end - begin, self._tracks.rate
        header = full_box(
            b"mvhd", 1, 0, struct.pack(">QQIQIH10x", made_s, made_s, CLOCK_RATE, lasts, 0x10000, 0x100), MATRIX,
            bytes(24), U32.pack(AUDIO_TRACK + 1),
        )  # fmt: skip
        edits = [(lasts, begin + _signed(self._video.offsets[0]))]
        tables = self._video.tables(self._keys, self._entries)
        media = full_box(b"vmhd", 0, 1, bytes(8))
        found = [_track(VIDEO_TRACK, CLOCK_RATE, b"vide", media, edits, made_s, self._at, self._tracks.size, tables)]
        if self._audio.chunks and (edits := self._audio_edits(begin, lasts)):
            tables = self._audio.tables(None, [self._tracks.audio])
            media, heard = full_box(b"smhd", 0, 0, bytes(4)), self._heard_at - self._heard_from
            found.append(_track(AUDIO_TRACK, rate, b"soun", media, edits, made_s, heard, (0, 0), tables))
        brand = b"hvc1" if self._tracks.video[4:HEADER] == b"hvc1" else b"avc1"
        file_type = box(b"ftyp", b"isom", U32.pack(512), b"isom", b"iso6", b"mp41", brand)
        data = struct.pack(">I4sQ", 1, b"mdat", 16 + self._length)
        size = len(file_type) + len(header) + sum(len(make(0)) for make in found) + HEADER + len(data)
        return file_type + box(b"moov", header, *(make(size) for make in found)) + data

    def _audio_edits(self, begin: int, lasts: int) -> list[tuple[int, int]]:
        """The edit list of the audio; empty if nothing of it is heard."""
        rate = self._tracks.rate
        skipped = begin * rate // CLOCK_RATE - self._heard_from
        waits = max(0, -skipped * CLOCK_RATE // rate)
        heard = self._heard_at - self._heard_from - max(0, skipped)
        audible = min(lasts - waits, heard * CLOCK_RATE // rate)
        if audible <= 0:
            return []
        return [*([(waits, -1)] if waits else []), (audible, max(0, skipped))]


def _track_of(moof: bytes, at: int, number: int, *, of_all: bool = True) -> tuple[int, int, int, int]:
    """Of the `traf` at a place: where it ends, decode time, rows, and where its data begin. Raises `ValueError`.

    With `of_all`, also if it ends behind these bytes.
    """
    size, kind, track, decoded, run_size, run_kind, flags, count, data_at = _TRAF.unpack_from(moof, at)
    if (kind, run_kind, track, flags & 0xFFFFFF) != (b"traf", b"trun", number, _RUN):
        raise ValueError
    if (
        size != _TRAF.size + _ROW * count
        or run_size != 20 + _ROW * count
        or not count
        or (of_all and at + size > len(moof))
    ):
        raise ValueError
    return at + size, decoded, count, data_at


def audio_rate(beginning: bytes) -> int:
    """The samples a second of a file's audio; 0 without audio. Raises `BitstreamError`."""
    return _read_tracks(beginning).rate


def _read_tracks(beginning: bytes) -> _Tracks:
    """Raises `BitstreamError`."""
    video, size, audio, rate = b"", (0, 0), b"", 0
    for kind, content in split_boxes(_child(beginning, b"moov")):
        if kind != b"trak":
            continue
        header, media = _child(content, b"tkhd"), _child(content, b"mdia")
        entry = _child(_child(_child(media, b"minf"), b"stbl"), b"stsd")[8:]
        if int.from_bytes(header[12:16]) == VIDEO_TRACK:
            video, size = entry, (int.from_bytes(header[-8:-4]), int.from_bytes(header[-4:]))
        else:
            audio, rate = entry, int.from_bytes(_child(media, b"mdhd")[12:16])
    if video[4:HEADER] not in CODECS:
        raise BitstreamError("a file without video that is known")
    return _Tracks(video, size, audio, rate)


def _child(data: bytes, wanted_kind: bytes) -> bytes:
    for kind, content in split_boxes(data):
        if kind == wanted_kind:
            return content
    raise BitstreamError(f"a file without {wanted_kind.decode()}")


def _track(
    number: int,
    rate: int,
    handler: bytes,
    media: bytes,
    edits: Sequence[tuple[int, int]],
    made_s: int,
    duration: int,
    size: tuple[int, int],
    tables: Callable[[int], bytes],
) -> Callable[[int], bytes]:
    """Return what makes a `trak` for slices that begin at a place.

    `edits`: duration in 1/90000 s, and media time in `rate`, or -1 for nothing. `size`: as in `tkhd`.
    """
    lasts = sum(edit[0] for edit in edits)
    header = full_box(
        b"tkhd", 1, 7, struct.pack(">QQIIQ8x", made_s, made_s, number, 0, lasts),
        struct.pack(">4H", 0, 0, 0 if size[0] else 0x100, 0), MATRIX, struct.pack(">II", *size),
    )  # fmt: skip
    rows = (struct.pack(">QqHH", *edit, 1, 0) for edit in edits)
    reference = box(b"dinf", full_box(b"dref", 0, 0, U32.pack(1), full_box(b"url ", 0, 1)))
    head = header + box(b"edts", full_box(b"elst", 1, 0, U32.pack(len(edits)), *rows))
    about = full_box(b"mdhd", 1, 0, struct.pack(">QQIQHH", made_s, made_s, rate, duration, UNDETERMINED, 0))
    about += full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(12), b"banken\0")

    def make(base: int) -> bytes:
        return box(b"trak", head, box(b"mdia", about, box(b"minf", media, reference, tables(base))))

    return make


def _runs_box(kind: bytes, version: int, values: "array[int]") -> bytes:
    """A table of runs: how many samples follow each other with a value, and the value."""
    runs = array("I")
    if values.tobytes() == values[:1].tobytes() * len(values):
        runs.extend((len(values), values[0]))
    else:
        for value, alike in groupby(values):
            runs.extend((len(list(alike)), value))
    return full_box(kind, version, 0, U32.pack(len(runs) // 2), _swapped(runs).tobytes())


def _swapped(values: "array[int]") -> "array[int]":
    """The same array, from or to the byte order of MP4."""
    if sys.byteorder == "little":
        values.byteswap()
    return values


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value
