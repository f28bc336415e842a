"""Transcodes a camera's video to H.264 without B-frames: in one child process, only while somebody needs it.

Rules of this file:
- It reads one hub and fills another. Whether it works or fails, neither the camera nor any other viewer waits for it.
- The child runs while it is needed, and `LINGER_S` longer. It reads access units, never an address or a password.
- At most `limits.transcoders` run at a time. Others wait, with the reason.
- A child that ends, or that got video and returned none for `STUCK_S`, is replaced after a backoff. From then on, an
  alert reports it until there is video again or nobody needs it.
- The child has a lower priority than the daemon: of a processor that both want, it gets a quarter.
- A child that is too slow gets fewer access units, not older ones: it continues at a newer key frame.
- The output keeps the presentation times of the input, so that the camera's audio goes with it.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

import trio

from supervisor.base.clock import Clock
from supervisor.base.processors import processors
from supervisor.config.config import Encoding, Source
from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.events import PeerClosed, PeerOpened
from supervisor.domain.ids import CameraId
from supervisor.domain.rendition import busy
from supervisor.domain.restart import HEALTHY_AFTER_S, backoff_s
from supervisor.domain.state import VIDEO
from supervisor.domain.values import Fault, Reason, name_of
from supervisor.ports.decisions import Decider, newest_of

from ..process.child import ChildExit, ChildSpec, run_child
from ..process.process import widen_pipe
from ..tools import Tools
from .bitstream import BitstreamError
from .ffmpeg import PER_MS, QUIET, explain, is_script, publish_flv
from .h264 import H264
from .hub import Hub
from .intake import OVER, TRANSITIONS, Arrival, Intake
from .matroska import VIDEO_CODECS, begin_video_matroska, frame_matroska
from .media import CLOCK_RATE, AccessUnit, AudioFormat, VideoCodec
from .rendition import Rendition
from .transcoder import of_listener

LINGER_S = 5.0
STUCK_S = 5.0
BEHIND = 32
"""Access units that the child has not answered. Fewer may be in its decoder, which puts B-frames in order."""
AWAY_S = 60.0
"""Without an access unit for this long, the child ends; the next key frame starts another one."""
AGAIN_S = 1.0
"""The shortest time between two starts for a camera that changes its format."""
LATE_S = 0.5
"""An access unit that has waited longer is left out if there is a newer key frame."""
SLOWER_S = 1.5
"""An access unit that waits so much longer than an earlier one is left out, with all until the next key frame."""
KEY_EVERY_S = 2
BEGIN_MS = 2000
"""The time of the first access unit: leading pictures are presented before it, and times are not negative."""
MOST_TIMES = 512
"""Access units whose times are remembered: many times what a decoder holds back."""
USUAL_FPS = 25.0

UNNEEDED = Reason("unused", "nobody needs it now", Fault.NONE)
STUCK = Reason("stuck", f"it returned no video for {STUCK_S:g} s")

_INPUT = ("-copyts", "-probesize", "32", "-analyzeduration", "0", "-f", "matroska", "-i", "pipe:0", "-map", "0:v:0")
_KEYS = ("-g", "9999", "-sc_threshold", "0", "-forced-idr", "1", "-force_key_frames")
_KEY = f"expr:isnan(prev_forced_t)+gte(t,prev_forced_t+{KEY_EVERY_S})"
_CODING = ("-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-profile:v", "baseline", "-bf", "0")
_OUTPUT = ("-flush_packets", "1", "-flvflags", "no_duration_filesize", "-f", "flv", "pipe:1")
_TIMES = ("-fps_mode", "passthrough", "-enc_time_base", "1:1000")
_LACKS = {
    "Unknown encoder": Reason("no-encoder", "this ffmpeg has no libx264, which transcodes video", Fault.FATAL),
    "fps_mode": Reason("old-ffmpeg", "this ffmpeg is too old to transcode video: it needs 5.1", Fault.FATAL),
}
"""Reasons by a part of the message."""


def arguments_of(codec: str, width: int, height: int, encoding: Encoding) -> tuple[str, ...]:
    """Return ffmpeg's arguments for video of `codec`, in pixels. It does not probe its input, and buffers nothing."""
    wide, high = bounded(width, height, encoding.height)
    period = f"{1 / encoding.fps:.5f}"
    # A frame is due one period after the last due time; two may come together, because cameras' times are not exact.
    chosen = f"select='if(gte(t+0.002,ld(0)),st(0,max(ld(0)+{period},t-{period}))*0+1,0)'"
    bits = str(encoding.bitrate)
    return (
        *("-threads", "1", "-c:v", VIDEO_CODECS[codec][0], *_INPUT),
        *("-vf", f"{chosen},scale={wide}:{high},setsar=1,format=yuv420p", *_TIMES, *_CODING),
        *("-threads", str(encoding.threads), "-crf", "23", "-maxrate", bits, "-bufsize", bits, *_KEYS, _KEY, *_OUTPUT),
    )


def bounded(width: int, height: int, most: int) -> tuple[int, int]:
    """Return the size of the output: even, at most `most` pixels high, with the same proportions."""
    scale = min(1.0, most / height)
    return max(16, round(width * scale / 2) * 2), max(16, int(height * scale / 2) * 2)


async def run_video_transcoder(
    camera: CameraId, own: Hub, rendition: Rendition, serve: Callable[[], Awaitable[None]], tools: Tools
) -> None:
    """While `rendition` is needed, fill it with the video of `own`, transcoded, and run `serve` beside.

    Never returns. Cancellation: ends the child. Cleanup: as in `run_child`; both hubs stay as they are, and the alert
    is cleared.
    """
    kernel = tools.kernel
    while True:
        await rendition.needs.wait_some()
        came = of_listener(camera, PeerOpened, kernel) or newest_of(kernel, camera)
        with kernel.following(came):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve)
                nursery.start_soon(_run_while_needed, camera, own, rendition, tools)
                await rendition.needs.wait_none(LINGER_S)
                left = of_listener(camera, PeerClosed, kernel)
                nursery.cancel_scope.cancel(reason=kernel.because(UNNEEDED, left))


async def _run_while_needed(camera: CameraId, own: Hub, rendition: Rendition, tools: Tools) -> None:
    """Run one child after the other, with a backoff in between, until it is cancelled."""
    kernel, alert, failures = tools.kernel, f"transcoder/{camera}", 0

    def is_shown() -> None:
        kernel.emit(c.ClearAlert(alert))
        rendition.fail(None)

    def fail(reason: Reason, text: str) -> None:
        kernel.emit(c.RaiseAlert(alert, text))
        rendition.fail(reason)

    try:
        while True:
            await _wait_start(camera, own, kernel, fail)
            began = trio.current_time()
            work = VideoTranscoding(own, rendition, _encoding_of(camera, tools), kernel.clock, is_shown)
            rendition.hub.begin()
            try:
                ended = await _run_once(camera, work, tools)
            finally:
                rendition.hub.rest()
            if work.intake in OVER:
                failures = 0
                await trio.sleep(max(0.0, began + AGAIN_S - trio.current_time()))
                if work.intake is Intake.AWAY:
                    await own.wait_unit()
                continue
            failures = 1 if trio.current_time() - began >= HEALTHY_AFTER_S else failures + 1
            fail(ended, f"the video transcoder of {camera} has ended, and starts again: {ended.text}")
            await trio.sleep(backoff_s(failures, tools.jitter()))
    finally:
        is_shown()


async def _wait_start(camera: CameraId, own: Hub, kernel: Decider, fail: Callable[[Reason, str], None]) -> None:
    """Wait for a key frame of known format, and until this transcoder may start. Returns in the step of both.

    The second may take long: meanwhile the camera may have reconnected, or the key frame left the buffer.
    """
    while True:
        while _newest_format(own) is None:
            await own.wait_unit()
        await _wait_turn(camera, kernel, fail)
        if _newest_format(own) is not None:
            return


async def _wait_turn(camera: CameraId, kernel: Decider, fail: Callable[[Reason, str], None]) -> None:
    """Wait until another transcoder may start. Returns without a checkpoint in the step in which that was found."""
    while True:
        why = busy(kernel.state, camera, processors())
        if why is None:
            return
        fail(why, f"the video of {camera} is not transcoded now: {why.text}")
        await kernel.wait_change(kernel.state.seq)


def _encoding_of(camera: CameraId, tools: Tools) -> Encoding:
    source = tools.sources.find(camera)
    return source.encoding if source else Encoding()


async def _run_once(camera: CameraId, work: "VideoTranscoding", tools: Tools) -> Reason:
    """Run one child until it ends by itself. Returns why."""
    source = tools.sources.find(camera) or Source("", "")
    command = (tools.ffmpeg, *QUIET, *work.arguments)
    spec = ChildSpec(camera, VIDEO, command, source.secrets, may_fork=is_script(tools.ffmpeg), gives_way=True)
    try:
        return await run_child(spec, work.consume, _explain, tools, work.feed)
    except Rejected as refused:  # banken is stopping, or a child of an earlier process still lives
        return Reason("refused", str(refused))


def _explain(ending: ChildExit) -> Reason:
    for line in ending.stderr_tail:
        for word, reason in _LACKS.items():
            if word in line:
                return reason
    return explain(ending)


class VideoTranscoding:
    """The work of one child: its input and its output. To `publish_flv` it is the hub that takes the output."""

    audio: AudioFormat | None = None

    def __init__(
        self, own: Hub, rendition: Rendition, encoding: Encoding, clock: Clock, is_shown: Callable[[], object]
    ) -> None:
        """Begin with the newest key frame of `own`, whose format is known. The first output calls `is_shown`."""
        at, known = own.newest_key(), _newest_format(own)
        assert at is not None and known is not None, "it was waited for"
        self._own, self._rendition, self._clock, self._is_shown = own, rendition, clock, is_shown
        self._units, self._at = own.units, at
        (first,) = own.units.read_nowait(at, 1)
        self._format, self._began = known, first.pts
        codec, width, height = self._format
        self.arguments = arguments_of(codec, width, height, encoding)
        fps = min(1 / own.gap_s() if own.gap_s() > 0 else USUAL_FPS, encoding.fps)
        self._head = begin_video_matroska(codec, width, height, fps)
        self._times: OrderedDict[int, int] = OrderedDict()
        """The presentation time of each access unit, by its time in the child, both in 1/90000 s."""
        self._least_s = self._age_s(first)
        """The shortest wait of an access unit since the last one that was left out."""
        self.intake = Intake.NEXT
        self._unanswered = 0
        """Access units that were sent since the child last returned any."""
        self._sending_since: float | None = None
        """Since when the child has not taken an access unit that is being sent."""
        self._silent = True
        """It has returned nothing yet."""

    # ── to the child ────────────────────────────────────────────────────────────────────────────────────────────

    async def feed(self, stream: trio.abc.SendStream) -> None:
        """Send the child access units as they arrive. Returns when there are no more for this child."""
        widen_pipe(stream)
        await stream.send_all(self._head)
        while (unit := await self._next()) is not None:
            time_ms = max(0, BEGIN_MS + (unit.pts - self._began) // PER_MS)
            self._times[time_ms * PER_MS] = unit.pts
            if len(self._times) > MOST_TIMES:
                self._times.popitem(last=False)
            self._sending_since = trio.current_time()
            await stream.send_all(frame_matroska(time_ms, unit.data, key=unit.key))
            self._sending_since = None
            self._unanswered += 1

    async def _next(self) -> AccessUnit | None:
        """Wait for the next access unit that the child gets. None when it must be replaced, or the camera is gone."""
        while True:
            with trio.move_on_after(AWAY_S) as patience:
                await self._units.wait_beyond(self._at)
            if patience.cancelled_caught or self._own.is_closed:
                self._take(Arrival.SILENCE)
                return None
            self._skip_late()
            if self._at >= self._units.end:
                continue
            (unit,) = self._units.read_nowait(self._at, 1)
            self._at += 1
            self._take(self._kind_of(unit))
            if self.intake in OVER:
                return None
            if self.intake is Intake.NEXT:
                return unit
            self._rendition.skipped += 1

    def _take(self, arrival: Arrival) -> None:
        self.intake = TRANSITIONS[self.intake][arrival]

    def _kind_of(self, unit: AccessUnit) -> Arrival:
        known = _format_of(unit) if unit.key else None
        if known is None:
            return Arrival.ACCESS_UNIT
        return Arrival.KEY_FRAME if known == self._format else Arrival.OTHER_FORMAT

    def _skip_late(self) -> None:
        """Go to a newer key frame if the next access unit is late; without one, wait for the next key frame."""
        newest = self._own.newest_key()
        if self._at < self._units.start:
            self._skip_to(newest)
            return
        if self._at >= self._units.end:
            return
        age_s = self._age_s(self._units.read_nowait(self._at, 1)[0])
        self._least_s = min(self._least_s, age_s)
        if age_s > LATE_S and newest is not None and newest > self._at:
            self._skip_to(newest)
        elif age_s > self._least_s + SLOWER_S:
            self._skip_to(None)

    def _skip_to(self, key: int | None) -> None:
        """Continue at the key frame `key`, or at the next one that arrives."""
        to = self._units.end if key is None else max(key, self._at)
        self._rendition.skipped += to - self._at
        self._at, self._least_s = to, 0.0
        self._take(Arrival.LEFT_OUT)

    def _age_s(self, unit: AccessUnit) -> float:
        return (self._clock.mono_ns() - unit.arrived_ns) / 1e9

    # ── from the child ──────────────────────────────────────────────────────────────────────────────────────────

    async def consume(self, stream: trio.abc.ReceiveStream) -> Reason | None:
        """Publish the child's output. Returns at its end, or with the reason why the child is not usable."""
        reason: Reason | None = None
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                nonlocal reason
                await self._wait_stuck()
                reason = STUCK
                nursery.cancel_scope.cancel(reason=STUCK.text)

            nursery.start_soon(watch)
            ended = await publish_flv(stream, self)
            reason = ended
            nursery.cancel_scope.cancel(reason="the output has ended")
        return reason

    async def _wait_stuck(self) -> None:
        """Return when the child got video, or does not take it, and has returned none for `STUCK_S`."""
        seen, since = self._unanswered, trio.current_time()
        while True:
            await trio.sleep(STUCK_S / 5)
            now = trio.current_time()
            if self._unanswered < seen:
                since = now
            seen = self._unanswered
            if self._sending_since is not None and now - self._sending_since > STUCK_S:
                return
            if seen <= BEHIND:
                since = now
            elif now - since > STUCK_S:
                return

    def set_parameter_sets(self, sets: Iterable[bytes], codec: VideoCodec = H264) -> None:
        _require_h264(codec)
        self._rendition.hub.set_parameter_sets(sets, codec)

    def publish(self, units: Iterable[bytes], pts: int, codec: VideoCodec = H264, dts: int | None = None) -> None:
        """Take one access unit. Raises `BitstreamError` for another codec, and for a time that no input has."""
        _require_h264(codec)
        shown = self._times.get(pts)
        if shown is None:
            raise BitstreamError(f"a picture at {pts / CLOCK_RATE:.3f} s, where the camera has none")
        self._unanswered = 0
        self._rendition.hub.publish(units, shown, codec, shown)
        if self._silent:
            self._silent = False
            self._is_shown()

    def set_audio(self, audio: AudioFormat | None, mute: str = "") -> None:
        raise BitstreamError("audio, which was not requested")

    def publish_audio(self, data: bytes, pts: int) -> None:
        raise BitstreamError("audio, which was not requested")


def _require_h264(codec: VideoCodec) -> None:
    if codec is not H264:
        raise BitstreamError(f"video in {name_of(codec.name)}, where H.264 was requested")


def _newest_format(hub: Hub) -> tuple[str, int, int] | None:
    """Return codec, width and height of the newest key frame in the hub's buffer, if there is one."""
    at = hub.newest_key()
    return None if at is None else _format_of(hub.units.read_nowait(at, 1)[0])


def _format_of(key_frame: AccessUnit) -> tuple[str, int, int] | None:
    """Return codec, width and height. None for one whose parameter sets have not come: it cannot be decoded."""
    codec = key_frame.codec
    head = next((unit for unit in key_frame.units if codec.nal_type(unit) == codec.sps_type), None)
    return None if head is None else (codec.name, *codec.picture_size(head))
