"""AAC → Opus, for the viewers' browsers: once for each camera, in a child process, only while somebody listens.

Rules of this file:
- It reads one tape and writes another. Whatever becomes of it, neither the camera nor a viewer waits for it.
- The child is there while somebody listens to AAC, and a little longer: who comes back hears at once.
- One that ends, or that was given sound and has given none back for `STUCK_S`, is replaced after a backoff. From then
  on until there is sound again, or nobody listens, an alert says that there is none.
- It is told the time of what it is given, in FLV, and tells that of what it gives back, in Ogg: frames that get lost
  on the way, or never came, leave a gap where they were.
"""

from collections.abc import Callable
from functools import partial

import trio

from supervisor.config import Source
from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.events import ChildEnded, PeerClosed, PeerOpened, Recorded
from supervisor.domain.ids import SYSTEM, CameraId, camera_stream, demand_stream, sound_stream
from supervisor.domain.restart import HEALTHY_AFTER_S, backoff_s
from supervisor.domain.state import SOUND
from supervisor.domain.values import Fault, Reason
from supervisor.kernel import Kernel
from supervisor.tape import Tape

from .bitstream import BitstreamError
from .child import ChildSpec, run_child
from .ffmpeg import QUIET, explain, is_script
from .flv import begin_aac, frame_aac
from .listeners import Listeners
from .media import CLOCK_RATE, AudioFrame
from .ogg import OggOpus
from .sound import OPUS, SampleClock, samples_of
from .tools import Tools

LINGER_S = 5.0
STUCK_S = 5.0
BEHIND = 10
"""So many frames given and none got back: a second of the slowest AAC. Fewer may still be on their way."""
TOLERANCE = 40 * CLOCK_RATE // 1000
"""Sound that is this close to its time is counted on; further off, the lips would show it (ITU-R BT.1359)."""
MOST_MS = 1 << 31
"""What FLV can say of a time, 24 days; then another child takes over."""

UNHEARD = Reason("unused", "nobody listens now", Fault.NONE)
STUCK = Reason("stuck", f"it was given sound and gave none back for {STUCK_S:g} s")

_INPUT = ("-copyts", "-probesize", "32", "-analyzeduration", "0", "-f", "flv", "-i", "pipe:0")
_CODING = ("-map", "0:a:0", "-ac", "2", "-ar", "48000", "-c:a", "libopus", "-b:a", "64k")
_AT_ONCE = ("-frame_duration", "20", "-application", "lowdelay", "-page_duration", "20000", "-flush_packets", "1")
ARGUMENTS = (*_INPUT, *_CODING, *_AT_ONCE, "-f", "ogg", "pipe:1")
"""Nothing is looked at ahead; every 20 ms leave when the next are made, as Ogg has to mark the last page as such."""

_READ = 16 * 1024


async def run_transcoder(
    camera: CameraId, sounds: Tape[AudioFrame], out: Tape[AudioFrame], listeners: Listeners, tools: Tools
) -> None:
    """While somebody listens and `sounds` are AAC, have them made into Opus, and put that on `out`.

    Never returns. Cancellation: ends the child. Cleanup: that of `run_child`; both tapes stay as they are, and no alert
    stands.
    """
    kernel = tools.kernel
    while True:
        await listeners.wait_some()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_run_while_heard, camera, sounds, out, tools)
            await listeners.wait_none(LINGER_S)
            left = kernel.latest(demand_stream(camera), of=PeerClosed)
            nursery.cancel_scope.cancel(reason=kernel.because(UNHEARD, left))


async def _run_while_heard(camera: CameraId, sounds: Tape[AudioFrame], out: Tape[AudioFrame], tools: Tools) -> None:
    """One child after the other, with a backoff in between, until it is cancelled."""
    failures, is_heard = 0, partial(_clear_alert, camera, tools.kernel)
    try:
        while True:
            position = sounds.end
            await sounds.wait_beyond(position)
            if sounds.end <= position or sounds.read_nowait(sounds.end - 1, 1)[0].format.codec != "aac":
                continue
            began, work = trio.current_time(), Transcoding(sounds, out, is_heard)
            ended = await _run_once(camera, work, tools)
            if work.is_over:
                failures = 0
                continue
            failures = 1 if trio.current_time() - began >= HEALTHY_AFTER_S else failures + 1
            _raise_alert(camera, tools.kernel, ended)
            await trio.sleep(backoff_s(failures, tools.jitter()))
    finally:
        is_heard()


async def _run_once(camera: CameraId, work: "Transcoding", tools: Tools) -> Reason:
    """Run one child until it ends by itself. Returns why."""
    kernel = tools.kernel
    came = kernel.latest(sound_stream(camera), demand_stream(camera), of=ChildEnded | PeerOpened)
    after = came or kernel.latest(camera_stream(camera), SYSTEM)
    assert after is not None, "a camera with a listener has been added"
    command = (tools.ffmpeg, *QUIET, *ARGUMENTS)
    source = tools.sources.find(camera) or Source("", "")
    spec = ChildSpec(camera, SOUND, command, source.secrets, may_fork=is_script(tools.ffmpeg), env=source.env)
    try:
        return await run_child(spec, work.consume, explain, tools, after, work.feed)
    except Rejected as refused:  # banken is stopping, or a child of an earlier life still lives
        return Reason("refused", str(refused))


def _raise_alert(camera: CameraId, kernel: Kernel, ended: Reason) -> None:
    text = f"what makes Opus of the AAC of {camera} has ended, there is no sound until it runs again: {ended.text}"
    kernel.emit(c.RaiseAlert(f"sound/{camera}", text), after=_newest(camera, kernel))


def _clear_alert(camera: CameraId, kernel: Kernel) -> None:
    kernel.emit(c.ClearAlert(f"sound/{camera}"), after=_newest(camera, kernel))


def _newest(camera: CameraId, kernel: Kernel) -> Recorded | None:
    return kernel.latest(sound_stream(camera)) or kernel.latest(camera_stream(camera), SYSTEM)


class Transcoding:
    """The work of one child: what it is given, and what it gives back."""

    def __init__(self, sounds: Tape[AudioFrame], out: Tape[AudioFrame], is_heard: Callable[[], None]) -> None:
        """Begins with the newest frame of `sounds`, which has to be AAC. `is_heard` is called when sound comes back."""
        self._is_heard = is_heard
        self._sounds, self._out = sounds, out
        self._at = sounds.end - 1
        (first,) = sounds.read_nowait(self._at, 1)
        self._audio, self._began = first.format, first.pts
        self._clock = SampleClock(OPUS.rate, TOLERANCE)
        self.is_over = False
        """Whether this child has become the wrong one: the sound is another now, or its time cannot be written."""

    async def feed(self, stream: trio.abc.SendStream) -> None:
        """Give the child every frame as it comes. Returns when there is no more for this one."""
        await stream.send_all(begin_aac(self._audio))
        time_ms = 0
        while True:
            await self._sounds.wait_beyond(self._at)
            self._at = max(self._at, self._sounds.start)
            for frame in self._sounds.read_nowait(self._at, 1):
                time_ms = max(time_ms, (frame.pts - self._began) * 1000 // CLOCK_RATE)
                if frame.format != self._audio or time_ms >= MOST_MS:
                    self.is_over = True
                    return
                self._at += 1
                await stream.send_all(frame_aac(time_ms, frame.data))

    async def consume(self, stream: trio.abc.ReceiveStream) -> Reason | None:
        """Put what comes on the tape. Returns at its end, or with what is wrong with the child."""
        reader, seen, silent = OggOpus(), self._at, True
        while True:
            chunk: bytes | bytearray | None = None
            with trio.move_on_after(STUCK_S):
                chunk = await stream.receive_some(_READ)
            if chunk is None:
                if self._sounds.end - seen > BEHIND:
                    return STUCK
                continue
            if not chunk:
                return None
            seen = self._sounds.end
            try:
                for at, packet in reader.feed(chunk):
                    told = self._began + at * CLOCK_RATE // OPUS.rate
                    pts = self._clock.stamp(told, samples_of(OPUS, packet))
                    self._out.append(AudioFrame(OPUS, packet, pts))
                    if silent:
                        silent = False
                        self._is_heard()
            except BitstreamError as error:
                return Reason("bad-data", f"what came is no usable sound: {error}")
