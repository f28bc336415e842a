"""Transcodes audio to Opus for browsers and recordings: once for each camera, in a child process, only while there is a
listener.

Rules of this file:
- It reads one ring buffer and writes another. Whether it works or fails, neither the camera nor a viewer waits for it.
- The child runs while it has a listener, and `LINGER_S` longer: a returning listener hears audio at once.
- A child that ends, or that got audio and returned none for `STUCK_S`, is replaced after a backoff. From then on, an
  alert reports missing audio until there is audio again or nobody listens.
- Matroska carries the time of each input frame, and Ogg that of each output frame. A frame that is lost, or never came,
  leaves a gap at its time.
"""

from collections.abc import Callable
from functools import partial

import trio

from supervisor.base.ring_buffer import RingBuffer
from supervisor.config.config import Source
from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.events import PeerClosed, PeerOpened, Recorded
from supervisor.domain.ids import CameraId, demand_stream
from supervisor.domain.restart import HEALTHY_AFTER_S, backoff_s
from supervisor.domain.state import AUDIO
from supervisor.domain.values import Fault, Reason
from supervisor.ports.decisions import Decider, newest_of

from ..process.child import ChildSpec, run_child
from ..tools import Tools
from .audio import OPUS, SampleClock, samples_of
from .bitstream import BitstreamError
from .ffmpeg import QUIET, explain, is_script
from .listeners import Listeners
from .matroska import CODECS, begin_matroska, frame_matroska
from .media import CLOCK_RATE, AudioFormat, AudioFrame
from .ogg import OggOpus

LINGER_S = 5.0
STUCK_S = 5.0
BEHIND = 10
"""Frames that the child has not answered: a second of the longest ones. Fewer may still be in its pipeline."""
TOLERANCE = 40 * CLOCK_RATE // 1000
"""In ticks. Audio within this distance of its time stamp continues sample by sample. A larger error would be visible as
lip-sync error (ITU-R BT.1359)."""

UNHEARD = Reason("unused", "nobody listens now", Fault.NONE)
STUCK = Reason("stuck", f"it returned no audio for {STUCK_S:g} s")

_INPUT = ("-copyts", "-probesize", "32", "-analyzeduration", "0", "-f", "matroska", "-i", "pipe:0")
_CODING = ("-map", "0:a:0", "-ac", "2", "-ar", "48000", "-c:a", "libopus", "-b:a", "64k")
_AT_ONCE = ("-frame_duration", "20", "-application", "lowdelay", "-page_duration", "20000", "-flush_packets", "1")
ARGUMENTS = (*_INPUT, *_CODING, *_AT_ONCE, "-f", "ogg", "pipe:1")
"""They follow the decoder. ffmpeg does not probe its input. Every 20 ms of audio leave when the next 20 ms are encoded,
because Ogg has to mark the last page as such."""

_READ = 16 * 1024


async def run_transcoder(
    camera: CameraId,
    audio: RingBuffer[AudioFrame],
    out: RingBuffer[AudioFrame],
    recorded: RingBuffer[AudioFrame],
    listeners: Listeners,
    tools: Tools,
) -> None:
    """While there is a listener and `audio` is not passed unchanged, transcode it to Opus and append that to `out`.

    Audio that viewers get unchanged is transcoded while it is recorded, and appended to `recorded`.

    Never returns. Cancellation: ends the child. Cleanup: as in `run_child`; both ring buffers stay as they are, and the
    alert is cleared.
    """
    kernel = tools.kernel
    while True:
        await listeners.wait_some()
        came = of_listener(camera, PeerOpened, kernel) or newest_of(kernel, camera)
        with kernel.following(came):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_run_while_heard, camera, audio, out, recorded, listeners, tools)
                await listeners.wait_none(LINGER_S)
                left = of_listener(camera, PeerClosed, kernel)
                nursery.cancel_scope.cancel(reason=kernel.because(UNHEARD, left))


def of_listener(camera: CameraId, of: type[PeerOpened | PeerClosed], kernel: Decider) -> Recorded | None:
    """The newest event of a peer: listeners are only counted, and a peer stops to listen before it reports its end."""
    return kernel.latest(demand_stream(camera), of=of)


async def _run_while_heard(
    camera: CameraId,
    audio: RingBuffer[AudioFrame],
    out: RingBuffer[AudioFrame],
    recorded: RingBuffer[AudioFrame],
    listeners: Listeners,
    tools: Tools,
) -> None:
    """Run one child after the other, with a backoff in between, until it is cancelled."""
    alert, failures = f"sound/{camera}", 0
    is_heard = partial(tools.kernel.emit, c.ClearAlert(alert))
    try:
        while True:
            position = audio.end
            await audio.wait_beyond(position)
            if audio.end <= position:
                continue
            (newest,) = audio.read_nowait(audio.end - 1, 1)
            if not listeners.need(newest.format):
                continue
            into = recorded if newest.format.is_passed else out
            began, work = trio.current_time(), Transcoding(audio, into, is_heard, listeners.need)
            ended = await _run_once(camera, work, tools)
            if work.is_over:
                failures = 0
                continue
            failures = 1 if trio.current_time() - began >= HEALTHY_AFTER_S else failures + 1
            text = f"the audio transcoder of {camera} has ended, there is no audio until it runs again: {ended.text}"
            tools.kernel.emit(c.RaiseAlert(alert, text))
            await trio.sleep(backoff_s(failures, tools.jitter()))
    finally:
        is_heard()


async def _run_once(camera: CameraId, work: "Transcoding", tools: Tools) -> Reason:
    """Run one child until it ends by itself. Returns why."""
    command = (tools.ffmpeg, *QUIET, "-c:a", work.decoder, *ARGUMENTS)
    source = tools.sources.find(camera) or Source("", "")
    may_fork = is_script(tools.ffmpeg)
    spec = ChildSpec(camera, AUDIO, command, source.secrets, may_fork=may_fork, env=source.env, gives_way=True)
    try:
        return await run_child(spec, work.consume, explain, tools, work.feed)
    except Rejected as refused:  # banken is stopping, or a child of an earlier process still lives
        return Reason("refused", str(refused))


class Transcoding:
    """The work of one child: its input and its output."""

    def __init__(
        self,
        audio: RingBuffer[AudioFrame],
        out: RingBuffer[AudioFrame],
        is_heard: Callable[[], object],
        is_needed: Callable[[AudioFormat], bool],
    ) -> None:
        """Begin with the newest frame of `audio`, of a codec in `CODECS`. The first output calls `is_heard`.

        `is_needed`: whether audio of this format is to be transcoded now.
        """
        self._is_heard, self._is_needed = is_heard, is_needed
        self._audio_frames, self._out = audio, out
        self._at = audio.end - 1
        (first,) = audio.read_nowait(self._at, 1)
        self._audio, self._began = first.format, first.pts
        self._clock = SampleClock(OPUS.rate, TOLERANCE)
        self.decoder = CODECS[self._audio.codec][0]
        self.is_over = False
        """Whether this child must end: the audio's format has changed, or nobody needs it transcoded any more."""

    async def feed(self, stream: trio.abc.SendStream) -> None:
        """Send the child every frame as it arrives. Returns when there are no more frames for this child."""
        await stream.send_all(begin_matroska(self._audio))
        time_ms = 0
        while True:
            await self._audio_frames.wait_beyond(self._at)
            self._at = max(self._at, self._audio_frames.start)
            for frame in self._audio_frames.read_nowait(self._at, 1):
                time_ms = max(time_ms, (frame.pts - self._began) * 1000 // CLOCK_RATE)
                if frame.format != self._audio or not self._is_needed(frame.format):
                    self.is_over = True
                    return
                self._at += 1
                await stream.send_all(frame_matroska(time_ms, frame.data))

    async def consume(self, stream: trio.abc.ReceiveStream) -> Reason | None:
        """Append the child's output to `out`. Returns at its end, or with the reason why the child is not usable."""
        reader, seen, silent = OggOpus(), self._at, True
        while True:
            chunk: bytes | bytearray | None = None
            with trio.move_on_after(STUCK_S):
                chunk = await stream.receive_some(_READ)
            if chunk is None:
                if self._audio_frames.end - seen > BEHIND:
                    return STUCK
                continue
            if not chunk:
                return None
            seen = self._audio_frames.end
            try:
                for at, packet in reader.feed(chunk):
                    told = self._began + at * CLOCK_RATE // OPUS.rate
                    pts = self._clock.stamp(told, samples_of(OPUS, packet))
                    self._out.append(AudioFrame(OPUS, packet, pts))
                    if silent:
                        silent = False
                        self._is_heard()
            except BitstreamError as error:
                return Reason("bad-data", f"its output is not usable audio: {error}")
