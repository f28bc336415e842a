"""The hub of one camera: access units in, once; any number of viewers out, each at its own pace.

Rules of this file:
- The source never waits for a viewer. A viewer is a position on a shared, bounded tape and nothing more.
- A viewer starts at a key frame, with its parameter sets in front. One that falls behind skips to the newest key
  frame, and what it missed is counted.
- Outgoing time stamps follow one clock for the life of the hub: the source may die and return, the picture resumes.
"""

from collections import deque
from collections.abc import Iterable

import attrs
import trio

from supervisor.clock import Clock
from supervisor.domain.values import Picture
from supervisor.gateway import CameraStatistics
from supervisor.tape import Tape

from .bitstream import BitstreamError, join_annexb
from .h264 import H264
from .listeners import Listeners
from .media import CLOCK_RATE, AccessUnit, AudioFormat, AudioFrame, SourceLoss, VideoCodec

MAX_UNITS = 4096
MAX_SOUNDS = 256
MAX_BYTES = 64 * 1024 * 1024
MAX_SPAN = 30 * CLOCK_RATE
"""A longer group of pictures is cut at its front and counted; new viewers then wait for the next key frame."""
CATCH_UP = 300 * CLOCK_RATE // 1000
"""The cached pictures that a new viewer starts with are shown within this time."""
JUMP = 10 * CLOCK_RATE
"""A source whose time stamps leap further than this has begun a new count."""
RATE_WINDOW_NS = 2_000_000_000
MOST_SETS, MOST_OTHER_SETS = 4, 16
"""Different sequence parameter sets, and different ones of each other type, in one access unit: cameras send one."""
MOST_CHANGES = 4
"""Sequence parameter sets that replace others, in a second: a camera sends new ones when somebody changes its size."""


@attrs.frozen(eq=False)
class Still:
    """A key frame with its parameter sets, and when it came."""

    codec: VideoCodec
    units: tuple[bytes, ...]
    wall_ns: int
    mono_ns: int
    number: int
    """Among all the key frames of this hub, from 1."""

    @property
    def data(self) -> bytes:
        """As Annex B bytes."""
        return join_annexb(self.units)


class Hub:
    """One camera's fan-out. Not a task: the source calls `publish`, viewers wait on their subscriptions."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.units: Tape[AccessUnit] = Tape(MAX_UNITS)
        self._held = 0
        self._key_at: int | None = None
        """Position of the newest key frame on the tape."""
        self.sounds: Tape[AudioFrame] = Tape(MAX_SOUNDS)
        self.opus: Tape[AudioFrame] = Tape(MAX_SOUNDS)
        """What the transcoder makes of `sounds`, while they are AAC and somebody listens."""
        self.listeners = Listeners()
        self._codec = H264
        self._sets: dict[int, tuple[bytes, ...]] = {}
        """Parameter sets by their NAL unit type."""
        self._size = (0, 0)
        self._changes: deque[int] = deque()
        """When the last sequence parameter sets replaced others; bounded by `MOST_CHANGES`."""
        self._offset: int | None = None
        """From the source's time stamps to ours; none until the connection's first key frame."""
        self._last_pts = 0
        self._recent: deque[tuple[int, int]] = deque()
        self._frames = self._bytes = 0
        self.skipped = 0
        """Access units that viewers missed; counted by those who send to them."""
        self.cut_groups = 0
        """Groups of pictures that were too long to be kept whole."""
        self.loss = SourceLoss()
        """Kept by a source that can tell."""
        self._gap_ns = 0
        """Between access units, usually."""
        self.still: Still | None = None
        """The newest key frame there ever was."""
        self.keys = 0
        self.picture: Picture | None = None
        """Of the current connection; none until its first key frame."""
        self.audio: AudioFormat | None = None
        """The sound of the current connection, if it has one that can be carried."""
        self._mute = ""
        self.last_unit_ns: int | None = None
        self._closed = False
        self.heard = False
        """Whether the current connection has brought anything at all."""

    def begin(self) -> None:
        """A new connection of the source begins: its time stamps, size and parameter sets may all be new."""
        self._offset = self.picture = self.audio = self.last_unit_ns = self._key_at = None
        self._sets = {}
        self._changes.clear()
        self._mute = ""
        self._gap_ns = 0
        self.heard = False
        self._recent.clear()

    def rest(self) -> None:
        """The source is let go for some time: what is on the tape would be an old picture for whoever comes next."""
        self._key_at = self.last_unit_ns = None
        self._recent.clear()
        self._drop_before(self.units.end)

    def set_parameter_sets(self, sets: Iterable[bytes], codec: VideoCodec = H264) -> None:
        """New parameter sets, of one type or more. Those of one type replace all that were known of it.

        Raises `BitstreamError` for those that promise no possible picture, and for more than a camera has reason to
        send: `MOST_SETS` and `MOST_OTHER_SETS` at once, `MOST_CHANGES` in a second.
        """
        if codec is not self._codec:
            self._codec, self._sets = codec, {}
        gathered: dict[int, dict[bytes, None]] = {}
        for unit in sets:
            kind = codec.nal_type(unit)
            if kind in codec.set_types:
                different = gathered.setdefault(kind, {})
                different[unit] = None
                most = MOST_SETS if kind == codec.sps_type else MOST_OTHER_SETS
                if len(different) > most:
                    raise BitstreamError(f"more than {most} different parameter sets of type {kind} at once")
        found = {kind: tuple(units) for kind, units in gathered.items()}
        sps = found.get(codec.sps_type)
        if sps is not None and sps != self._sets.get(codec.sps_type):
            if codec.sps_type in self._sets:
                self._count_change()
            self._size = codec.picture_size(sps[0])
            self.picture = None
        self._sets |= found

    def _count_change(self) -> None:
        """Raises `BitstreamError` for one too many."""
        now_ns = self._clock.mono_ns()
        while self._changes and self._changes[0] <= now_ns - 1_000_000_000:
            self._changes.popleft()
        self._changes.append(now_ns)
        if len(self._changes) > MOST_CHANGES:
            raise BitstreamError(f"more than {MOST_CHANGES} new sequence parameter sets in a second")

    def set_audio(self, audio: AudioFormat | None, mute: str = "") -> None:
        """What sound the connection has; if none that can be carried, `mute` says why, for people."""
        self.audio, self._mute = audio, mute
        if self.picture is not None:
            self._see_picture()

    def publish(self, units: Iterable[bytes], pts: int, codec: VideoCodec = H264) -> None:
        """One access unit: its NAL units and its presentation time in 1/90000 s of the source's clock.

        What comes before a connection's first key frame, or before its parameter sets, cannot be shown and is dropped;
        so is what is no NAL unit, because it is shorter than the header of one.
        """
        units = [unit for unit in units if len(unit) >= codec.header]
        if not units:
            return
        kinds = {codec.nal_type(unit) for unit in units}
        key = not codec.key_types.isdisjoint(kinds)
        if not kinds.isdisjoint(codec.set_types):
            self.set_parameter_sets(units, codec)
        self.heard = True
        decodable = codec is self._codec and all(kind in self._sets for kind in codec.set_types)
        if self._offset is None and not (key and decodable):
            return
        now_ns = self._clock.mono_ns()
        if self.last_unit_ns is not None:
            self._gap_ns += (now_ns - self.last_unit_ns - self._gap_ns) // 8
        if key and decodable:
            if not kinds.issuperset(codec.set_types):
                sets = [unit for kind in codec.set_types for unit in self._sets[kind]]
                units = [*sets, *(unit for unit in units if codec.nal_type(unit) not in codec.set_types)]
            if self.picture is None:
                self._see_picture()
        unit = AccessUnit(codec, tuple(units), self._map(pts, now_ns), key, sum(map(len, units)))
        self.last_unit_ns = now_ns
        if key:
            self.keys += 1
            self.still = Still(codec, unit.units, self._clock.wall_ns(), now_ns, self.keys)
        self._keep(unit)
        self._frames += 1
        self._bytes += unit.size
        self._recent.append((now_ns, unit.size))
        self._forget_old_rates(now_ns)

    def publish_audio(self, data: bytes, pts: int) -> None:
        """One frame of the sound that `set_audio` announced; `pts` by the same clock as the pictures', in 1/90000 s.

        Before the first picture, or far from the last one, it belongs to nothing that is shown, and is dropped.
        """
        self.heard = True
        if self.audio is not None and self._offset is not None and -JUMP < pts + self._offset - self._last_pts < JUMP:
            self.sounds.append(AudioFrame(self.audio, data, pts + self._offset))

    def _see_picture(self) -> None:
        audio = self.audio.codec if self.audio else ""
        self.picture = Picture(self._codec.name, *self._size, audio=audio, mute=self._mute)

    def _map(self, pts: int, now_ns: int) -> int:
        if self._offset is not None and not -JUMP < pts + self._offset - self._last_pts < JUMP:
            self._offset = None
        if self._offset is None:
            self._offset = max(now_ns * CLOCK_RATE // 1_000_000_000, self._last_pts + 1) - pts
        self._last_pts = max(self._last_pts + 1, pts + self._offset)
        return self._last_pts

    def _keep(self, unit: AccessUnit) -> None:
        if unit.key:
            # The group before this one stays until now for viewers that are a little behind.
            if self._key_at is not None:
                self._drop_before(self._key_at)
            self._key_at = self.units.end
        self._held += unit.weight
        self.units.append(unit)
        was_whole = self.newest_key() is not None
        while self._is_too_much():
            self._drop_before(self.units.start + 1)
        self.cut_groups += was_whole and self.newest_key() is None

    def _is_too_much(self) -> bool:
        """Whether more is kept than may be, in bytes, in time or in access units."""
        start, end = self.units.start, self.units.end
        if self._held > MAX_BYTES or end - start >= MAX_UNITS:
            return True
        return start < end and self._last_pts - self.units.read_nowait(start, 1)[0].pts > MAX_SPAN

    def _drop_before(self, position: int) -> None:
        count = position - self.units.start
        self._held -= sum(unit.weight for unit in self.units.read_nowait(self.units.start, count))
        self.units.drop_before(position)

    async def wait_picture(self) -> None:
        """Wait for the connection's first key frame."""
        while self.picture is None:
            await self.units.wait_beyond(self.units.end)

    @property
    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Nothing will come any more: the camera was removed, or is started anew with another hub."""
        self._closed = True
        self.units.wake()

    async def wait_key(self, newer_than: int) -> bool:
        """Wait until there have been more than so many key frames: true; false when there will be none any more."""
        while self.keys <= newer_than and not self._closed:
            await self.units.wait_beyond(self.units.end)
        return self.keys > newer_than

    async def wait_unit(self) -> None:
        """Wait for one more access unit."""
        await self.units.wait_beyond(self.units.end)

    async def wait_silence(self, least_s: float, most_s: float) -> float | None:
        """Wait until nothing has come for three usual gaps, but at least and at most for so many seconds.

        Returns how long it was, or none when something came meanwhile. Only once an access unit has come.
        """
        assert self.last_unit_ns is not None
        last_ns = self.last_unit_ns
        seconds = min(most_s, max(least_s, 3 * self._gap_ns / 1e9))
        await trio.sleep(max(0.0, seconds - (self._clock.mono_ns() - last_ns) / 1e9))
        return seconds if self.last_unit_ns == last_ns else None

    def subscribe(self) -> "Subscription":
        """A new viewer. Nothing has to be given back."""
        return Subscription(self)

    def gap_s(self) -> float:
        """Seconds between two access units, usually."""
        return min(1.0, self._gap_ns / 1e9)

    def pts_now(self) -> int:
        """What a picture that came just now would have for a time stamp."""
        since_ns = 0 if self.last_unit_ns is None else self._clock.mono_ns() - self.last_unit_ns
        return self._last_pts + since_ns * CLOCK_RATE // 1_000_000_000

    def newest_key(self) -> int | None:
        """Position of the newest key frame that is still on the tape."""
        return self._key_at if self._key_at is not None and self._key_at >= self.units.start else None

    def statistics(self) -> CameraStatistics:
        now_ns = self._clock.mono_ns()
        self._forget_old_rates(now_ns)
        window_s = RATE_WINDOW_NS / 1e9
        if len(self._recent) > 1:
            window_s = max(0.1, (now_ns - self._recent[0][0]) / 1e9)
        return CameraStatistics(
            fps=round(len(self._recent) / window_s, 1),
            bitrate=int(sum(size for _, size in self._recent) * 8 / window_s),
            frames=self._frames,
            bytes=self._bytes,
            skipped=self.skipped,
            cut_groups=self.cut_groups,
            lost_packets=self.loss.lost,
            late_packets=self.loss.late,
            reordered_packets=self.loss.reordered,
            malformed_packets=self.loss.malformed,
            broken_pictures=self.loss.skipped,
            last_frame_age_s=None if self.last_unit_ns is None else round((now_ns - self.last_unit_ns) / 1e9, 3),
        )

    def _forget_old_rates(self, now_ns: int) -> None:
        while self._recent and self._recent[0][0] < now_ns - RATE_WINDOW_NS:
            self._recent.popleft()


class Subscription:
    """One viewer's place on the tape."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self._tape = hub, hub.units
        self.at = hub.units.end
        """Position of the next access unit."""
        self._live_at = 0
        """Units before this position were cached when the viewer began; their time stamps are drawn together."""
        self._newest = self._until = self._factor = 0.0
        self._shown: int | None = None
        """The time stamp of what was taken last."""

    def begin(self) -> bool:
        """Go to the newest key frame, if there is one, or wait for the next one at the end of the tape.

        What is cached then is drawn together: for a new viewer into `CATCH_UP`, for one that has seen what is cached
        before into the time between two pictures, so that its clock need not go back.
        """
        newest = self._hub.newest_key()
        if newest is None:
            self.at = self._tape.end
            return False
        first, last = (self._tape.read_nowait(at, 1)[0].pts for at in (newest, self._tape.end - 1))
        self.at, self._live_at, self._newest = newest, self._tape.end, last
        room, span = float(CATCH_UP), last - first
        self._until = self._newest
        if self._shown is not None:
            self._until = max(self._newest, self._shown + self._hub.gap_s() * CLOCK_RATE / 2)
            room = min(room, self._until - self._shown - 1)
        self._factor = min(1.0, room / span) if span else 1.0
        return True

    def show(self, position: int, unit: AccessUnit) -> int:
        """Take the access unit at `position`; returns the time stamp to show it with, which never goes back."""
        pts = unit.pts
        if position < self._live_at:
            pts = int(self._until - (self._newest - pts) * self._factor)
        self._shown = pts if self._shown is None else max(pts, self._shown + 1)
        self.at = position + 1
        return self._shown

    def take_nowait(self) -> tuple[AccessUnit, int] | None:
        """The next access unit and when to show it; none at the end, or without a key frame to go on."""
        if self.at < self._tape.start and not self.begin():
            return None
        if self.at >= self._tape.end:
            return None
        (unit,) = self._tape.read_nowait(self.at, 1)
        return unit, self.show(self.at, unit)
