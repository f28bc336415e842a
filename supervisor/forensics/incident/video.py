"""The video in a bundle: which of it the journal of the bundle has sealed, and why some times have no video.

Rules of this file:
- A file is called sealed only if the journal has the SHA-256 of the whole file: then it is what was recorded.
- A file of a sealed time with another SHA-256 is damage. One of a time that is not sealed yet is called not sealed.
- A time without video has its reason from the journal, or is said to have none. Removed files are such a time, too.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import attrs

from ...base.times import iso
from ...domain.describe import describe
from ...domain.events import (
    Recorded,
    RecordingInterrupted,
    RecordingResumed,
    RecordingSealed,
    RecordingsExpired,
    RecordingStarted,
    RecordingStopped,
)
from ...domain.ids import CameraId, recording_stream
from ...domain.lifecycle import RecordingPhase
from ...domain.state import State
from ...journal.reader import PAGE, Reader
from ...ports.questions import NEVER, Query
from ..replay import event
from .bundle import Damaged

LEAST_NS = 1_500_000_000
"""A shorter time without video is no gap: the journal notes the end of a stretch some time after its last frame."""
LATE_NS = 30 * 1_000_000_000
"""An event without the time of the last frame is at most so much later: a silent camera is waited for."""
MOST_GAPS, MOST_PERIODS = 1000, 20_000
"""Gaps of a camera that are listed, and that the journal may have in the time: a bundle may come from anybody."""
Span = tuple[int, int]
"""Begin and end, in ns since 1970."""


@attrs.frozen
class WalkedVideo:
    """A recording file about itself, as far as its checksums fit."""

    camera: str
    recording: str
    began_ns: int
    ended_ns: int
    bytes: int
    """Up to the end of the last fragment that fits, or of the file if it was ended."""
    is_ended: bool
    """Whether its writer has ended it."""
    damage: str
    """Where and why it cannot be believed; empty if there is nothing of that kind."""


WalkVideo = Callable[[BinaryIO], WalkedVideo | None]
"""Reads a recording file; None if it has no whole fragment. Raises `OSError`."""


@attrs.frozen
class FoundVideo:
    """A recording file for a bundle."""

    name: str
    """In the bundle: `video/CAMERA/recording_….mp4`."""
    bytes: int
    sha256: str
    walked: WalkedVideo | None
    path: Path = Path()
    """In the archive."""


@attrs.frozen
class WantedVideo:
    """The video that a bundle is to have."""

    cameras: Sequence[CameraId]
    since_ns: int
    until_ns: int
    find: Callable[[], Sequence[FoundVideo]]
    """The files of the archive that have something of this time. Raises `OSError`, and `JournalError` above a limit."""
    walk: WalkVideo


@attrs.frozen
class VideoGap:
    """A time without video in the bundle."""

    since_ns: int
    until_ns: int
    text: str
    """The reason."""
    seq: int | None = None
    """The event that says so."""
    cause: str = ""
    """The event that caused this one, in words."""
    late_ns: int = 0
    """The event may be so much later than the last frame."""


@attrs.frozen
class CameraVideo:
    """The video of one camera in a bundle."""

    camera: str
    since_ns: int
    until_ns: int
    """The time that was asked for."""
    bytes: int
    seals: Mapping[str, int]
    """The sealed files, and the events that have their SHA-256."""
    unsealed: Mapping[str, str]
    """The files that are not sealed, and why."""
    gaps: Sequence[VideoGap]


@attrs.frozen
class Seals:
    """The events of a journal that have sealed files."""

    by_digest: Mapping[str, Recorded]
    """By the SHA-256 of each file, in hex."""
    spans: Mapping[str, Sequence[tuple[int, int, int]]]
    """The times that they have sealed, and their numbers, by recording."""

    @property
    def all_spans(self) -> list[tuple[int, int, int]]:
        """The same of all recordings, in order."""
        return sorted(span for spans in self.spans.values() for span in spans)


def of_recordings(reader: Reader, camera: str, first: int = 1, last: int = NEVER - 1) -> Iterator[Recorded]:
    """The events `first` to `last` of the recordings of a camera, oldest first."""
    stream = recording_stream(CameraId(camera))
    while rows := reader.page(Query(first - 1, last + 1, streams=(stream,)), PAGE):
        yield from rows
        first = rows[-1].seq + 1


def seals_of(rows: Iterable[Recorded]) -> Seals:
    by_digest, spans = dict[str, Recorded](), dict[str, list[tuple[int, int, int]]]()
    for row in rows:
        if isinstance(row.event, RecordingSealed):
            by_digest |= dict.fromkeys(row.event.digests, row)
            spans.setdefault(row.event.recording, []).append((row.event.began_ns, row.event.ended_ns, row.seq))
    return Seals(by_digest, spans)


def require_recorded(file: FoundVideo, seals: Seals) -> Recorded | None:
    """The event that has sealed a file; None if its time is not sealed. Raises `Damaged` if it is not what it says."""
    walked = file.walked
    if walked is None:
        raise Damaged(f"{file.name}: it is not a recording file with a whole second")
    _, camera, name = file.name.split("/")
    if walked.camera != camera:
        raise Damaged(f"{file.name}: it is video of another camera, {walked.camera}")
    began = time.strftime("recording_%Y%m%d_%H%M%S", time.gmtime(walked.began_ns // 10**9))
    if not name.startswith(began):
        raise Damaged(f"{file.name}: its name is wrong: its video begins at {iso(walked.began_ns)}")
    seal = seals.by_digest.get(file.sha256)
    if seal is not None:
        if getattr(seal.event, "camera", "") != camera or getattr(seal.event, "recording", "") != walked.recording:
            raise Damaged(f"{file.name}: event {seal.seq} has sealed it as another recording")
        return seal
    if walked.damage:
        raise Damaged(f"{file.name}: {walked.damage}")
    middle = (walked.began_ns + walked.ended_ns) // 2
    for begin, end, seq in seals.spans.get(walked.recording, ()):
        if begin <= middle < end:
            raise Damaged(f"{file.name}: it is not the file that was recorded: event {seq} has sealed another one")
    return None


def judge(
    reader: Reader, cameras: Sequence[str], since_ns: int, until_ns: int, files: Sequence[FoundVideo]
) -> tuple[CameraVideo, ...]:
    """Compare the files of a bundle with its journal. Raises `Damaged`, and `JournalError`."""
    first, last = reader.bounds()
    head = reader.state_at(first - 1)
    stray = [file.name for file in files if file.name.split("/")[1] not in cameras]
    if stray:
        raise Damaged(f"{stray[0]}: the manifest names no such camera")
    return tuple(
        _of_camera(reader, head, camera, (since_ns, until_ns), [*of_recordings(reader, camera, first, last)],
                   [file for file in files if file.name.split("/")[1] == camera])
        for camera in cameras
    )  # fmt: skip


def _of_camera(
    reader: Reader, head: State, camera: str, span: Span, rows: Sequence[Recorded], files: Sequence[FoundVideo]
) -> CameraVideo:
    seals, sealed, unsealed = seals_of(rows), dict[str, int](), dict[str, str]()
    known = {str(getattr(row.event, "recording", "")) for row in rows}
    before = head.recordings.get(CameraId(camera))
    known |= {str(before.recording)} if before is not None else set()
    digests, covered, until_ns = set[str](), list[Span](), span[1]
    for file in files:
        seal = require_recorded(file, seals)
        assert file.walked is not None
        if file.sha256 in digests:
            raise Damaged(f"{file.name}: this video is there twice")
        digests.add(file.sha256)
        covered.append((file.walked.began_ns, file.walked.ended_ns))
        if seal is not None:
            sealed[file.name] = seal.seq
        elif file.walked.recording not in known:
            unsealed[file.name] = "the journal in this bundle does not know its recording"
        elif not file.walked.is_ended:
            unsealed[file.name] = "it was still growing, or was cut off"
            until_ns = min(until_ns, max(file.walked.ended_ns, span[0]))
        else:
            unsealed[file.name] = "the journal in this bundle ends before its seal"
    periods = [*islice(_periods(reader, head, camera, rows, span), MOST_PERIODS)]
    sealed_times = seals.all_spans
    expired = [row for row in rows if isinstance(row.event, RecordingsExpired)]
    holes = _holes((span[0], until_ns), covered)
    found = (sorted(_explain(hole, periods, sealed_times, expired), key=lambda gap: gap.since_ns) for hole in holes)
    gaps = islice((gap for of_hole in found for gap in of_hole), MOST_GAPS)
    return CameraVideo(
        camera, *span, sum(file.bytes for file in files), sealed, unsealed, [*gaps]
    )  # fmt: skip


# ── gaps ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _holes(span: Span, covered: Iterable[Span]) -> Iterator[Span]:
    """The times of `span` that none of the others has, longer than `LEAST_NS`."""
    at, end = span
    for begin, until in (*sorted(covered), (end, end)):
        if min(begin, end) - at > LEAST_NS:
            yield at, min(begin, end)
        at = max(at, until)


def _periods(reader: Reader, head: State, camera: str, rows: Sequence[Recorded], span: Span) -> Iterator[VideoGap]:
    """The times at which a camera was not recorded, according to the journal."""
    known = head.recordings.get(CameraId(camera))
    gap: VideoGap | None = None
    resumed_ns = 0
    if known is None:
        gap = VideoGap(0, 0, "it was not to be recorded")
    elif known.phase is RecordingPhase.INTERRUPTED:
        text = known.reason.text if known.reason is not None else "the recording was interrupted"
        gap = VideoGap(0, 0, f"{text}; since {iso(known.since_ns)}, before the journal in this bundle")
    for row in rows:
        match row.event:
            case RecordingStarted() | RecordingResumed():
                began_ns = getattr(row.event, "began_ns", 0) or row.wall_ns
                if gap is not None:
                    yield attrs.evolve(gap, until_ns=began_ns)
                gap, resumed_ns = None, began_ns
            case RecordingInterrupted(reason=reason) | RecordingStopped(reason=reason):
                if gap is not None:
                    yield attrs.evolve(gap, until_ns=row.wall_ns)
                cause = _words(reader, row.cause)
                last_ns = getattr(row.event, "last_ns", 0)
                late_ns = 0 if last_ns else max(0, min(LATE_NS, row.wall_ns - resumed_ns))
                gap = VideoGap(last_ns or row.wall_ns, 0, reason.text, row.seq, cause, late_ns)
            case _:
                pass
    if gap is not None:
        yield attrs.evolve(gap, until_ns=max(span[1], gap.since_ns))


def _explain(
    hole: Span, periods: Sequence[VideoGap], sealed: Sequence[tuple[int, int, int]], expired: Sequence[Recorded]
) -> Iterator[VideoGap]:
    """The reasons for a time without video."""
    for begin, end, seq in sealed:
        since_ns, until_ns = max(begin, hole[0]), min(end, hole[1])
        if until_ns - since_ns > LEAST_NS:
            text = "it was recorded and sealed, and its files are not in this bundle"
            gone = [row for row in expired if _expired(row, since_ns, until_ns)]
            text += f"; files of this time were removed (event {gone[0].seq})" if gone else ""
            yield VideoGap(since_ns, until_ns, text, seq)
    for piece in _holes(hole, ((begin, end) for begin, end, _ in sealed)):
        unknown = [*_holes(piece, ((each.since_ns - each.late_ns, each.until_ns) for each in periods))]
        for span in unknown:
            yield VideoGap(
                *span, "no event says why: it was to be recorded, and no file of this time is in this bundle"
            )
        for span in _holes(piece, unknown):
            yield from _reasons(
                span, [each for each in periods if each.since_ns - each.late_ns < span[1] and span[0] < each.until_ns]
            )


def _reasons(span: Span, periods: Sequence[VideoGap]) -> Iterator[VideoGap]:
    """The periods that share a time, the first of them from its begin on."""
    begins = [span[0], *(each.since_ns for each in periods[1:])]
    for each, begin, end in zip(periods, begins, [*begins[1:], span[1]], strict=False):
        yield attrs.evolve(each, since_ns=begin, until_ns=end)
    if not periods:
        yield VideoGap(*span, "no event says why")


def _expired(row: Recorded, since_ns: int, until_ns: int) -> bool:
    gone = row.event
    return isinstance(gone, RecordingsExpired) and gone.began_ns < until_ns and since_ns < gone.ended_ns


def sentence_of(gap: VideoGap) -> str:
    """The reason of a gap with its events."""
    if gap.seq is None:
        return gap.text
    return f"{gap.text} (event {gap.seq}{gap.cause and f', caused by {gap.cause}'})"


def _words(reader: Reader, seq: int | None) -> str:
    """An event with its number; empty if it is not there."""
    found = event(reader, seq) if seq is not None else None
    return "" if found is None else f"event {found.seq}: {describe(found.event)[1]}"
