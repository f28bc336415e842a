"""Cuts the media of one recording into fragments, and these into files. Pure.

Rules of this file:
- A fragment ends before a key frame, and after a second: a GOP may last for minutes.
- A file begins with a key frame and has one codec, one size and one set of parameter sets. It ends before the first key
  frame after `FILE_S`, or where any of these changes.
- The duration of an access unit is known when the next one comes. Only the last one of a recording has a guessed one.
"""

from collections import deque
from collections.abc import Iterator, Sequence

import attrs

from actors.media.media import CLOCK_RATE, AccessUnit, AudioFormat, AudioFrame

from .fragment import encode_fragment
from .initialization import AUDIO, ENTRIES, FileTracks, initialization
from .recording_file import About, begin_file

FILE_S = 60
LONGEST = 3600 * CLOCK_RATE
"""A file ends after this time also without a key frame, and the next key frame begins the next one; in 1/90000 s."""
USUAL = CLOCK_RATE // 25
"""Duration of an access unit after which none came, in 1/90000 s, if no other is known."""
MAX_BYTES = 32 * 1024 * 1024
"""Bytes of access units after which a fragment ends, whatever its duration."""
MAX_WAITING = 512
"""Frames of audio that wait for the video of their time."""


@attrs.frozen
class NewFile:
    """A file begins."""

    wall_ns: int
    """When its first access unit arrived."""
    data: bytes
    tracks: FileTracks


@attrs.frozen
class Fragment:
    """The next fragment of the newest file."""

    data: bytes
    number: int
    wall_ns: int
    duration: int
    """In 1/90000 s."""
    key: bool

    @property
    def ended_ns(self) -> int:
        return self.wall_ns + self.duration * 10**9 // CLOCK_RATE


class Cutter:
    """Made once for each recording."""

    def __init__(self, camera: str, recording: str, file_s: float = FILE_S, fragment_s: float = 1) -> None:
        self._fragment = round(fragment_s * CLOCK_RATE)
        self._camera, self._recording, self._file = camera, recording, round(file_s * CLOCK_RATE)
        self._units: list[AccessUnit] = []
        self._bytes = 0
        self._wall_ns = 0
        """Of the first access unit in `_units`."""
        self._heard: deque[AudioFrame] = deque(maxlen=MAX_WAITING)
        self._tracks: FileTracks | None = None
        self._origin = 0
        """Decode time of the file's first access unit."""
        self._number = 0
        self._gap = USUAL
        """Between the last two access units of a fragment."""

    def hear(self, frame: AudioFrame) -> None:
        """Take a frame of audio, before the first access unit with a later time."""
        if frame.format.codec in AUDIO:
            self._heard.append(frame)

    def take(self, unit: AccessUnit, wall_ns: int, audio: AudioFormat | None = None) -> Sequence[NewFile | Fragment]:
        """Take an access unit that arrived at `wall_ns`; return what can be written now.

        `audio` is the format of the camera's audio now. Everything before the first key frame is left out. Raises
        `KeyError` for a codec that is not recorded, and `BitstreamError` for parameter sets that cannot be read.
        """
        made: Sequence[NewFile | Fragment] = ()
        if unit.key or not self._units or self._is_full(unit.dts):
            made = [*self._end_fragment(unit, wall_ns, audio)]
            if self._tracks is None:
                return made
        if self._units:
            self._gap = unit.dts - self._units[-1].dts
        else:
            self._wall_ns = wall_ns
        self._units.append(unit)
        self._bytes += unit.size
        return made

    def _is_full(self, dts: int) -> bool:
        """Whether the fragment, or the file, ends before an access unit that is no key frame."""
        is_long = dts - self._units[0].dts >= self._fragment or dts - self._origin >= LONGEST
        return is_long or self._bytes >= MAX_BYTES

    def _end_fragment(self, unit: AccessUnit, wall_ns: int, audio: AudioFormat | None) -> Iterator[NewFile | Fragment]:
        """Yield the fragment that ends before this access unit, and the file that begins with it."""
        if not unit.key:
            yield from self._cut(unit.dts)
            if unit.dts - self._origin >= LONGEST:
                self._tracks = None
            return
        tracks = _tracks(unit, audio)
        yield from self._cut(unit.dts)
        if tracks != self._tracks or self.ends_file(unit):
            about = About(self._camera, self._recording, unit.codec.name)
            self._tracks, self._origin = tracks, unit.dts
            yield NewFile(wall_ns, begin_file(initialization(tracks), about), tracks)

    def ends_file(self, unit: AccessUnit) -> bool:
        """Whether the file is so long that it ends before this access unit."""
        return unit.key and unit.dts - self._origin >= self._file

    def end(self) -> Iterator[Fragment]:
        """Yield the rest. The last access unit is taken to last as long as the one before."""
        if self._units:
            yield from self._cut(self._units[-1].dts + self._gap)

    def _cut(self, until: int) -> Iterator[Fragment]:
        if not self._units:
            return
        units, first, audio = self._units, self._units[0], self._take_audio(until)
        data = encode_fragment(self._recording, self._number, self._wall_ns, self._origin, units, until, audio)
        yield Fragment(data, self._number, self._wall_ns, until - first.dts, first.key)
        self._units, self._bytes, self._number = [], 0, self._number + 1

    def _take_audio(self, until: int) -> list[AudioFrame]:
        """The frames of the file's audio before `until`; others are left out."""
        taken = list[AudioFrame]()
        while self._heard and self._heard[0].pts < until:
            frame = self._heard.popleft()
            assert self._tracks is not None
            if frame.format == self._tracks.audio and frame.pts >= self._origin:
                taken.append(frame)
        return taken


def _tracks(unit: AccessUnit, audio: AudioFormat | None) -> FileTracks:
    """The tracks of a file that begins with this key frame."""
    codec = unit.codec
    ENTRIES[codec.name]
    sets = tuple(dict.fromkeys(nal for nal in unit.units if codec.nal_type(nal) in codec.set_types))
    width, height = codec.picture_size(next(nal for nal in sets if codec.nal_type(nal) == codec.sps_type))
    return FileTracks(codec, sets, width, height, audio if audio is not None and audio.codec in AUDIO else None)
