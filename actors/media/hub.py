"""The hub of one camera: one source publishes access units, and any number of viewers read them, each at its own pace.

Rules of this file:
- The source never waits for a viewer. A viewer is only a position in a shared, bounded ring buffer.
- A viewer starts at a key frame with its parameter sets. A viewer that falls behind skips to the newest key frame, and
  the skipped access units are counted.
- Outgoing time stamps follow one clock for the life of the hub. After a reconnect of the source, the video resumes.
- The parts know nothing of each other: cached access units, clock, statistics, parameter sets. Only the hub joins them.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import attrs
import trio

from supervisor.base.clock import Clock
from supervisor.base.ring_buffer import RingBuffer
from supervisor.config.config import Timeouts
from supervisor.domain.values import Picture
from supervisor.ports.facts import CameraFacts
from supervisor.ports.statistics import CameraStatistics

from .arrivals import Arrivals
from .b_frames import BFrames
from .batches import Batches
from .bitstream import MAX_ACCESS_UNIT, MAX_UNITS
from .clock_map import ClockMap, SameClock
from .facts import SourceFacts, audio_use, met
from .gop_buffer import GopBuffer
from .h264 import H264
from .latency import LatencyTally
from .listeners import Listeners
from .media import CLOCK_RATE, AccessUnit, AudioFormat, AudioFrame, SourceLoss, VideoCodec
from .oddities import Oddity
from .parameter_sets import ParameterSets
from .profiles import profile_and_level
from .subscription import Subscription

MAX_AUDIO_FRAMES = 256
LATENCIES_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
STALL_S = 6.0
"""How long a connection may be silent, unless that is configured or its access units come seconds apart."""


@attrs.frozen(eq=False)
class Still:
    """A key frame with its parameter sets and its arrival time."""

    codec: VideoCodec
    units: tuple[bytes, ...]
    wall_ns: int
    mono_ns: int
    number: int
    """The number of this key frame in the life of this hub, from 1."""

    @property
    def data(self) -> bytes:
        """The NAL units as Annex B bytes, or the JPEG."""
        return self.codec.join(self.units)


class Hub:
    """The fan-out of one camera. Not a task: the source calls `publish`, and viewers wait on their subscriptions."""

    def __init__(self, clock: Clock, of: "Hub | None" = None) -> None:
        """`of`: the hub of the camera, for the hub of its rendition. Both have the same clock and the same audio."""
        self._clock = clock
        self._gop, self._arrivals, self._sets = GopBuffer(), Arrivals(), ParameterSets()
        self._times = ClockMap() if of is None else SameClock()
        self._b_frames = BFrames()
        self._codec: VideoCodec | None = None
        """The codec of the published access units; None until a key frame that can be decoded."""
        self.units = self._gop.units
        self._batches: list[Batches] = []
        self.audio_frames: RingBuffer[AudioFrame] = of.audio_frames if of else RingBuffer(MAX_AUDIO_FRAMES)
        self.opus: RingBuffer[AudioFrame] = of.opus if of else RingBuffer(MAX_AUDIO_FRAMES)
        """The transcoder's output for `audio_frames`, while it is not passed unchanged and there is a listener."""
        self.recorded_opus: RingBuffer[AudioFrame] = of.recorded_opus if of else RingBuffer(MAX_AUDIO_FRAMES)
        """The same for audio that viewers get unchanged, while it is recorded. No viewer gets it."""
        self.listeners: Listeners = of.listeners if of else Listeners()
        self._format = trio.lowlevel.ParkingLot()
        self.skipped = 0
        """Access units that viewers missed; counted by the senders."""
        self.latency = LatencyTally(LATENCIES_S)
        """Measured by the fan-out."""
        self.loss = SourceLoss()
        """Updated by sources that can detect loss."""
        self.facts = SourceFacts(clock)
        """Filled by the source; `about` returns them."""
        self.memory: object = None
        """Kept by the source for its next connection; only the source knows its type."""
        self.still: Still | None = None
        """The newest key frame of all connections."""
        self.keys = 0
        self.picture: Picture | None = None
        """Format of the current connection's video; None until its first key frame."""
        self.audio: AudioFormat | None = None
        """The audio of the current connection, if it can be passed on."""
        self._mute = ""
        self._shut = False
        self._closed = False
        self.heard = False
        """Whether the current connection has delivered anything."""
        self._due_from_ns: int | None = None
        """Since when the first key frame is due, on the monotonic clock; None while the source negotiates."""
        self._damage_before = 0
        """Lost and unusable packets before the first key frame was expected."""
        self.is_connected = False
        """Whether the source has a connection to its camera, or its child process runs."""
        self._met_before: Counter[Oddity] = Counter()
        """The oddities of earlier connections."""
        self.transport = ""
        """How RTP arrives in the current connection, from the camera's agreement on.

        `tcp`, `udp`, `http` or `multicast`; empty without RTP.
        """

    def begin(self, secrets: Iterable[str] = ()) -> None:
        """Begin a new connection of the source. Its time stamps, size and parameter sets may all differ.

        `secrets` are hidden in the facts about it.
        """
        self._shut = False
        self.facts.begin(secrets)
        for part in (self._gop, self._times, self._arrivals, self._sets, self._b_frames):
            part.begin()
        self._codec = self.picture = self.audio = None
        self._mute = self.transport = ""
        self.heard = self.is_connected = False
        self._met_before = self.loss.oddities.copy()
        self._wake_batches()
        self.expect()

    def negotiate(self) -> None:
        """Expect no media yet: the source connects and negotiates, within time limits that it keeps itself."""
        self._due_from_ns, self.is_connected, self.transport = None, False, ""
        self.units.wake()

    def expect(self) -> None:
        """Expect the first key frame from now on."""
        self._damage_before = self._damage()
        self._due_from_ns = self._clock.mono_ns()
        self.units.wake()

    def rest(self) -> None:
        """Discard the cached access units while the source is disconnected; a later viewer would see old video."""
        self._arrivals.rest()
        self._gop.clear()
        self._wake_batches()

    def shut(self) -> None:
        """Discard everything that was received, and everything that a source still publishes until `begin`."""
        self._shut = True
        self.rest()
        self.still = None
        for ring in (self.audio_frames, self.opus, self.recorded_opus):
            ring.drop_before(ring.end)

    def set_parameter_sets(self, sets: Iterable[bytes], codec: VideoCodec = H264) -> None:
        """Take new parameter sets. Raises the errors of `ParameterSets.update`."""
        if self._sets.update(sets, codec, self._clock.mono_ns()):
            self.picture = None

    def set_transport(self, transport: str, words: str) -> None:
        """Set how the media arrive: `transport` as the field of the same name, and in `words` for the facts."""
        self.transport = transport
        self.facts.note(transport=words)

    def set_audio(self, audio: AudioFormat | None, mute: str = "") -> None:
        """Set the connection's audio. Without audio that can be passed on, `mute` gives the reason, for people."""
        self.audio, self._mute = audio, mute
        if self.picture is not None:
            self._see_picture()

    def publish(self, units: Iterable[bytes], pts: int, codec: VideoCodec = H264, dts: int | None = None) -> None:
        """Publish one access unit: its NAL units, its presentation time, and its decode time if the source names one.

        Both times are in 1/90000 s of the source's clock.

        A connection may change its codec. An access unit before a codec's first key frame or parameter sets cannot be
        decoded and is dropped. A NAL unit that is shorter than its header is dropped, too. Raises the errors of
        `ParameterSets.update`.

        The units of `JPEG` and `MPEG4` are described in their modules. No peer gets these codecs.
        """
        units = [unit for unit in units if len(unit) >= codec.header]
        if not units or self._shut:
            return
        kinds = {codec.nal_type(unit) for unit in units}
        key = not codec.key_types.isdisjoint(kinds)
        if not (codec.set_types and kinds.isdisjoint(codec.set_types)):
            self.set_parameter_sets(units, codec)
        self.heard = True
        begins = key and self._sets.is_complete(codec)
        if not begins and (key or codec is not self._codec):
            self._codec = None
            return
        now_ns = self._clock.mono_ns()
        if key:
            if codec is not self._codec:
                self._codec = codec
                self._b_frames.begin()
            if not kinds.issuperset(codec.set_types):
                units = [*self._sets.all(), *(unit for unit in units if codec.nal_type(unit) not in codec.set_types)]
            if self.picture is None:
                self._see_picture()
        shown, decoded = self._times.map(pts, dts, now_ns)
        size = sum(map(len, units))
        unit = AccessUnit(codec, tuple(units), shown, key, size, decoded, now_ns, self._times.connection)
        if key:
            self.keys += 1
            self.still = Still(codec, unit.units, self._clock.wall_ns(), now_ns, self.keys)
        if self._b_frames.see(unit):
            self._see_picture()
        self._arrivals.count(unit, now_ns)
        self._gop.append(unit)
        for batches in self._batches:
            batches.put(unit)

    def publish_audio(self, data: bytes, pts: int) -> None:
        """Publish one frame of the audio that `set_audio` announced; `pts` in 1/90000 s, by the video's clock.

        Audio before the first access unit, or far from the last one, belongs to no video and is dropped.
        """
        self.heard = True
        there = self._times.map_audio(pts)
        if self.audio is not None and there is not None and not self._shut:
            self.audio_frames.append(AudioFrame(self.audio, data, there))

    def _see_picture(self) -> None:
        audio = self.audio.codec if self.audio else ""
        name, size, b_frames = self._sets.codec.name, self._sets.size, self._b_frames.found
        self.picture = Picture(name, *size, audio=audio, mute=self._mute, b_frames=b_frames)
        self._format.unpark_all()

    def _damage(self) -> int:
        return self.loss.malformed + self.loss.skipped + self.loss.lost + self.loss.late

    @property
    def is_reached(self) -> bool:
        """Whether anything has come in the current connection, usable or not."""
        return self.heard or self._damage() != self._damage_before

    @property
    def missing(self) -> str:
        """The reason for which there is no key frame yet: the beginning of a sentence."""
        if self.heard:
            return "no key frame was among what came"
        if self._has_met(Oddity.NO_VERSION):
            return "packets of RTP version 0 come, which are taken over TCP only (`transport: tcp`); no picture came"
        return "packets come, but they make no picture" if self.is_reached else "connected, but no picture came"

    @property
    def too_large(self) -> str:
        """Whether the connection has sent access units above the limit: the end of a sentence, or nothing."""
        if not self._has_met(Oddity.HUGE_PICTURE):
            return ""
        return f"; there were pictures above the limit of {MAX_ACCESS_UNIT >> 20} MiB or {MAX_UNITS} NAL units"

    def _has_met(self, oddity: Oddity) -> bool:
        """Whether the current connection has shown it."""
        return self.loss.oddities[oddity] > self._met_before[oddity]

    async def wait_picture(self, within_s: float) -> bool:
        """Wait for the connection's first key frame, `within_s` seconds since it is expected. Returns whether it came.

        Cancellation: at any time.
        """
        while self.picture is None:
            since_ns = self._due_from_ns
            left_s = math.inf if since_ns is None else within_s - (self._clock.mono_ns() - since_ns) / 1e9
            if left_s <= 0:
                return False
            with trio.move_on_after(left_s):
                await self.units.wait_beyond(self.units.end)
        return True

    async def wait_format(self, known: Picture | None) -> None:
        """Wait until `picture` is known and another object than `known`. Cancellation: at any time."""
        while self.picture is None or self.picture is known:
            await self._format.park()

    @property
    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """End the hub: the camera was removed, or restarts with another hub."""
        self._closed = True
        self.units.wake()
        self._wake_batches()

    async def wait_key(self, newer_than: int) -> bool:
        """Wait until the hub has counted more than `newer_than` key frames. Returns False if it closes before.

        Cancellation: at any time.
        """
        while self.keys <= newer_than and not self._closed:
            await self.units.wait_beyond(self.units.end)
        return self.keys > newer_than

    async def wait_unit(self) -> None:
        """Wait for the next access unit. Cancellation: at any time."""
        await self.units.wait_beyond(self.units.end)

    async def wait_silence(self, least_s: float, most_s: float) -> float | None:
        """Wait until nothing has arrived for three usual gaps, limited to `least_s` and `most_s` seconds.

        While the usual gap is unknown, that is `most_s`. Returns that time in seconds, or None when something arrived
        meanwhile, at most `least_s` later. At least one access unit must have arrived. Cancellation: at any time.
        """
        last_ns = self._arrivals.last_ns
        assert last_ns is not None
        seconds = self._arrivals.silence_s(least_s, most_s)
        until_ns = last_ns + round(seconds * 1e9)
        while (left_ns := until_ns - self._clock.mono_ns()) > 0:  # whole, or it never ends
            await trio.sleep(min(left_ns / 1e9, least_s))
            if self._arrivals.last_ns != last_ns:
                return None
        return seconds

    @property
    def usual_s(self) -> float | None:
        """The usual seconds between two access units; None if that is not known yet."""
        return self._arrivals.usual_s

    def patience_s(self, limits: Timeouts) -> float:
        """Return after how many seconds without an access unit the connection ends.

        That is `stall_s` if it was configured. Otherwise it is `STALL_S`, or three usual gaps up to `first_picture_s`;
        the latter as long as the second access unit has not come.
        """
        if limits.stall_s:
            return limits.stall_s
        return self._arrivals.silence_s(STALL_S, max(STALL_S, limits.first_picture_s))

    def subscribe(self) -> Subscription:
        """Return the subscription of a new viewer. It needs no release."""
        return Subscription(self._gop, self._arrivals)

    @contextmanager
    def read_batches(self) -> Iterator[Batches]:
        """Collect access units for one reader inside the context, from the newest cached key frame on."""
        batches, newest = Batches(), self.newest_key()
        if newest is not None:
            for unit in self.units.read_nowait(newest, self.units.end - newest):
                batches.put(unit)
        self._batches.append(batches)
        try:
            yield batches
        finally:
            self._batches.remove(batches)

    def _wake_batches(self) -> None:
        for batches in self._batches:
            batches.wake()

    @property
    def has_b_frames(self) -> bool:
        """Whether the current connection sends B-frames, which browsers do not present in order."""
        return self._b_frames.found

    def newest_key(self) -> int | None:
        """Return the position of the newest key frame that is still in the ring buffer."""
        return self._gop.newest_key()

    def gap_s(self) -> float:
        """Return the average seconds between two access units, at most 1."""
        return self._arrivals.gap_s()

    def pts_now(self) -> int:
        """Return the decode time that an access unit would get if it arrived now."""
        last_ns = self._arrivals.last_ns
        since_ns = 0 if last_ns is None else self._clock.mono_ns() - last_ns
        return self._times.last + since_ns * CLOCK_RATE // 1_000_000_000

    def key_due_s(self) -> float:
        """Return the seconds until the next key frame at the camera's interval; infinite if that is unknown."""
        return self._arrivals.key_due_s(self._clock.mono_ns())

    def about(self) -> CameraFacts:
        """Return the facts about the current connection, or about the last one. Takes about 10 µs."""
        fps, bitrate = self._arrivals.rates(self._clock.mono_ns())
        codec, audio = self._sets.codec.name if self.picture else "", self.audio
        profile, level = profile_and_level(codec, self._sets.newest_sps())
        return self.facts.current(
            codec=codec,
            profile=profile,
            level=level,
            width=self.picture.width if self.picture else None,
            height=self.picture.height if self.picture else None,
            fps=fps,
            bitrate=bitrate,
            gop_frames=self._arrivals.gop_frames,
            gop_s=self._arrivals.gop_s,
            b_frames=self.has_b_frames,
            audio=audio.codec if audio else "",
            audio_rate=audio.rate if audio else None,
            audio_channels=audio.channels if audio else None,
            audio_use=audio_use(audio, self._mute),
            oddities=met(self.loss.oddities),
        )

    def statistics(self) -> CameraStatistics:
        now_ns, arrivals = self._clock.mono_ns(), self._arrivals
        fps, bitrate = arrivals.rates(now_ns)
        return CameraStatistics(
            fps=fps,
            bitrate=bitrate,
            frames=arrivals.frames,
            bytes=arrivals.bytes,
            skipped=self.skipped,
            truncated_gops=self._gop.truncated_gops,
            lost_packets=self.loss.lost,
            late_packets=self.loss.late,
            reordered_packets=self.loss.reordered,
            malformed_packets=self.loss.malformed,
            discarded_frames=self.loss.skipped,
            oddities={oddity.code: count for oddity, count in self.loss.oddities.items()},
            last_frame_age_s=None if arrivals.last_ns is None else round((now_ns - arrivals.last_ns) / 1e9, 3),
            latency=self.latency.result(),
        )
