"""Cuts the video of one camera into the segments of a live HLS stream, and these into parts. Pure.

Rules of this file:
- A segment begins with a key frame, unless the camera sends none for longer than the stream has announced.
- The numbers of segments begin with the time of day in seconds: they grow also when the stream is made again.
- Only the newest segments are kept: `KEEP` of them, and at most `MAX_BYTES`.

Source: RFC 8216bis (HTTP Live Streaming, 2nd edition), sections 4.4.3, 4.4.4 and 6.2.
"""

import math
from collections import deque
from collections.abc import Iterable

import attrs

from actors.media.media import CLOCK_RATE, AccessUnit, AudioFormat, AudioFrame
from actors.recorder.cutter import Cutter, NewFile
from actors.recorder.fragment import PLACE
from actors.recorder.initialization import initialization
from supervisor.base.times import iso

PART_S = 0.4
"""A part ends with the first access unit after this time."""
LEAST_S = 1.0
"""A segment ends with the first key frame after this time."""
KEEP = 6
MAX_BYTES = 64 * 1024 * 1024
NO_RECORDING = "0" * 16
FOR_EVER_S = 1e9


@attrs.frozen
class LivePart:
    data: bytes
    duration_s: float
    key: bool


@attrs.define
class LiveSegment:
    number: int
    initialization: int
    """Which of the initializations it needs."""
    wall_ns: int
    """When its first access unit arrived."""
    discontinuity: bool
    """Whether its times and its format do not follow those of the segment before."""
    parts: list[LivePart] = attrs.field(factory=list)
    is_whole: bool = False

    @property
    def duration_s(self) -> float:
        return sum(part.duration_s for part in self.parts)

    @property
    def size(self) -> int:
        return sum(len(part.data) for part in self.parts)


class LiveSegments:
    """Made once for each stream of a camera."""

    def __init__(self, wall_ns: int, gop_s: float, gap_s: float) -> None:
        """`gop_s`, `gap_s`: the usual seconds between two key frames, and between two access units."""
        self.target_s = max(2, math.ceil(gop_s + gap_s))
        """No segment is longer, rounded to seconds."""
        self.part_target_s = round(PART_S + 2 * gap_s, 3)
        """No part is longer, as long as the camera keeps its rate."""
        self._next = wall_ns // 1_000_000_000
        self._cutter = self._new_cutter()
        self._connection: int | None = None
        self._discontinuity = False
        self.segments: deque[LiveSegment] = deque()
        """The newest last; it may grow."""
        self.discontinuities = 0
        """Discontinuities in segments that are not kept any more."""
        self.initializations: dict[int, bytes] = {}

    def _new_cutter(self) -> Cutter:
        return Cutter("live", NO_RECORDING, FOR_EVER_S, PART_S)

    def hear(self, frame: AudioFrame) -> None:
        """Take a frame of audio, before the first access unit with a later time."""
        self._cutter.hear(frame)

    def take(self, unit: AccessUnit, wall_ns: int, audio: AudioFormat | None) -> bool:
        """Take an access unit that arrived at `wall_ns`. Returns whether there is another part."""
        before = self._connection
        if before is not None and before != unit.connection:
            self._end()
            self._cutter = self._new_cutter()
        self._connection = unit.connection
        is_new = False
        for step in self._cutter.take(unit, wall_ns, audio):
            if isinstance(step, NewFile):
                self._begin(initialization(step.tracks))
            else:
                part = LivePart(step.data[PLACE.size :], step.duration / CLOCK_RATE, step.key)
                self._append(part, step.wall_ns)
                is_new = True
        return is_new

    def _begin(self, beginning: bytes) -> None:
        self._end()
        self._discontinuity = bool(self.initializations)
        self.initializations[max(self.initializations, default=0) + 1] = beginning

    def _end(self) -> None:
        if self.segments:
            self.segments[-1].is_whole = True

    def _append(self, part: LivePart, wall_ns: int) -> None:
        newest = self.segments[-1] if self.segments else None
        if newest is not None and not newest.is_whole:
            length = newest.duration_s
            newest.is_whole = (part.key and length >= LEAST_S) or length + part.duration_s >= self.target_s + 0.5
        if newest is None or newest.is_whole:
            newest = LiveSegment(self._next, max(self.initializations), wall_ns, self._discontinuity)
            self._next, self._discontinuity = self._next + 1, False
            self.segments.append(newest)
        newest.parts.append(part)
        self._forget()

    def _forget(self) -> None:
        while len(self.segments) > 1 and (len(self.segments) > KEEP + 1 or self.size > MAX_BYTES):
            self.discontinuities += self.segments.popleft().discontinuity
        oldest = self.segments[0].initialization
        self.initializations = {number: data for number, data in self.initializations.items() if number >= oldest}

    @property
    def size(self) -> int:
        return sum(segment.size for segment in self.segments)

    @property
    def is_playable(self) -> bool:
        """Whether a player can begin: there is a whole segment."""
        return any(segment.is_whole for segment in self.segments)

    def find(self, number: int) -> LiveSegment | None:
        return next((segment for segment in self.segments if segment.number == number), None)

    def has(self, number: int, part: int | None) -> bool:
        """Whether a playlist has this segment, or this part of it, or later ones."""
        if not self.segments or number > self.segments[-1].number:
            return False
        newest = self.segments[-1]
        if number < newest.number:
            return True
        return newest.is_whole or (part is not None and part < len(newest.parts))

    def playlist(self) -> str:
        """The playlist of now. Addresses in it are relative to its own."""
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:9",
            f"#EXT-X-TARGETDURATION:{self.target_s}",
            f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={3 * self.part_target_s:.3f}",
            f"#EXT-X-PART-INF:PART-TARGET={self.part_target_s:.3f}",
            f"#EXT-X-MEDIA-SEQUENCE:{self.segments[0].number}",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{self.discontinuities}",
        ]
        known = 0
        for place, segment in enumerate(self.segments):
            if segment.discontinuity:
                lines.append("#EXT-X-DISCONTINUITY")
            if segment.initialization != known:
                known = segment.initialization
                lines.append(f'#EXT-X-MAP:URI="init-{known}.mp4"')
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{iso(segment.wall_ns)}")
            if place >= len(self.segments) - 3:
                lines += _parts(segment)
            if segment.is_whole:
                lines += (f"#EXTINF:{segment.duration_s:.3f},", f"{segment.number}.m4s")
        newest = self.segments[-1]
        following = f"{newest.number + 1}-0" if newest.is_whole else f"{newest.number}-{len(newest.parts)}"
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{following}.m4s"')
        return "\n".join(lines) + "\n"


def _parts(segment: LiveSegment) -> Iterable[str]:
    for place, part in enumerate(segment.parts):
        independent = ",INDEPENDENT=YES" if part.key else ""
        yield f'#EXT-X-PART:DURATION={part.duration_s:.3f},URI="{segment.number}-{place}.m4s"{independent}'
