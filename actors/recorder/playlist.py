"""The HLS playlist of recorded video, and its segments. Pure.

Rules of this file:
- A segment begins with a key frame: it is as many fragments as it takes.
- Gaps are left out. They are discontinuities, and what follows says when it was.
- The times in a file count from its beginning. In a segment they are moved, so that they never go back: there are
  players that lose the pictures after that.

Source: RFC 8216, sections 4.3.2 and 4.3.3; ISO/IEC 14496-12, section 8.8.12 (`tfdt`).
"""

import math
from collections.abc import Iterator, Sequence

import attrs

from actors.media.bitstream import BitstreamError
from actors.media.media import CLOCK_RATE
from supervisor.base.times import iso

from .boxes import HEADER
from .footage import BETWEEN_NS, FootageFile
from .fragment import PLACE, decode_place
from .recording_file import StoredFragment


@attrs.frozen
class RecordedSegment:
    """Fragments that follow each other in a file, the first with a key frame."""

    wall_ns: int
    duration: int
    """In 1/90000 s."""
    offset: int
    size: int


def playlist(files: Sequence[FootageFile], from_ns: int, to_ns: int) -> str:
    """The playlist of a time. Addresses in it are relative to its own."""
    lines, longest_s, at, before = list[str](), 1.0, 0, None
    for file in files:
        made, name = [*segments(file.playable(from_ns, to_ns))], file.path.partition("/")[2].removesuffix(".mp4")
        if not made:
            continue
        if before is not None and not _follows(file, before):
            lines.append("#EXT-X-DISCONTINUITY")
        if before is None or file.initialization != before.initialization:
            lines.append(f'#EXT-X-MAP:URI="{name}-beginning.mp4"')
        skipped = sum(found.place.duration for found in file.fragments if found.offset < made[0].offset)
        shift, before = at - skipped, file
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{iso(made[0].wall_ns)}")
        for segment in made:
            seconds = segment.duration / CLOCK_RATE
            lines += (f"#EXTINF:{seconds:.3f},", f"{name}-{segment.offset}-{segment.size}-{shift}.m4s")
            longest_s, at = max(longest_s, seconds), at + segment.duration
    head = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{math.ceil(longest_s)}"]
    head += ["#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-MEDIA-SEQUENCE:0"]
    return "\n".join([*head, *lines, "#EXT-X-ENDLIST"]) + "\n"


def _follows(file: FootageFile, before: FootageFile) -> bool:
    is_next = file.began_ns - before.ended_ns <= BETWEEN_NS and file.recording == before.recording
    return is_next and file.initialization == before.initialization


def segments(fragments: Sequence[StoredFragment]) -> Iterator[RecordedSegment]:
    """Yield the segments of a file: each begins with a key frame."""
    group = list[StoredFragment]()
    for found in fragments:
        if found.place.key and group:
            yield _segment(group)
            group = []
        group.append(found)
    if group:
        yield _segment(group)


def _segment(group: Sequence[StoredFragment]) -> RecordedSegment:
    begin, last = group[0].offset, group[-1]
    ticks = sum(found.place.duration for found in group)
    return RecordedSegment(group[0].place.wall_ns, ticks, begin, last.offset + last.size - begin)


def moved(data: bytes, shift: int, audio_rate: int) -> bytes:
    """The fragments in `data`, with their times moved by `shift` in 1/90000 s, and without our own boxes.

    `audio_rate`: samples a second; 0 without audio. Raises `BitstreamError` for anything that is not whole fragments.
    """
    found, at = bytearray(), 0
    if not data:
        raise BitstreamError("the file ends before it")
    while at < len(data):
        _, length, _ = decode_place(data[at : at + PLACE.size])
        begin, at = at + PLACE.size, at + PLACE.size + length
        if at > len(data):
            raise BitstreamError("a fragment ends early")
        body = bytearray(data[begin:at])
        for track, tfdt in enumerate(_decode_times(body)):
            ticks = shift if track == 0 else shift * audio_rate // CLOCK_RATE
            moved_to = int.from_bytes(body[tfdt : tfdt + 8]) + ticks
            if not 0 <= moved_to < 2**63:
                raise BitstreamError("a time that cannot be")
            body[tfdt : tfdt + 8] = moved_to.to_bytes(8)
        found += body
    return bytes(found)


def _decode_times(body: bytes | bytearray) -> Iterator[int]:
    """Yield where the decode time of each track is, in a `moof` as `fragment` makes it."""
    end, at = int.from_bytes(body[:4]), HEADER + 16
    if body[4:8] != b"moof" or end > len(body):
        raise BitstreamError("no moof begins here")
    while at < end:
        size = int.from_bytes(body[at : at + 4])
        if body[at + 4 : at + 8] != b"traf" or not HEADER < size <= end - at or body[at + 28 : at + 32] != b"tfdt":
            raise BitstreamError("no track begins here")
        yield at + 36
        at += size
