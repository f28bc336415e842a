"""The audio of one recorder: that of the camera, or what the transcoder makes of it.

Rules of this file:
- AAC and Opus are recorded as they come. Other audio is transcoded to Opus if the settings want it, or left out.
- The recorder counts as a listener only while it records, and while there is something to transcode.
- Nothing waits for the transcoder: without its output, the recording has a gap in its audio and none in its video.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from actors.media.audio import OPUS
from actors.media.hub import Hub
from actors.media.media import AudioFormat, AudioFrame
from supervisor.base.ring_buffer import RingBuffer

from .initialization import AUDIO

LATE_S = 0.3
"""How late the transcoder's output is, at most, while the machine is not overloaded."""


class RecordedAudio:
    """Made once for each recorder."""

    def __init__(self, hub: Hub, is_wished: Callable[[], bool]) -> None:
        """`is_wished`: whether audio is to be transcoded where it cannot be recorded as it comes."""
        self._hub, self._is_wished = hub, is_wished
        self._ring: RingBuffer[AudioFrame] | None = None
        self._at = 0
        """Position in `_ring` of the next frame."""
        self._listens = False

    @property
    def is_transcoded(self) -> bool:
        audio = self._hub.audio
        return audio is not None and audio.codec not in AUDIO and self._is_wished()

    @property
    def format(self) -> AudioFormat | None:
        """That of the recorded frames; None without audio that is recorded. They may still be missing."""
        return OPUS if self.is_transcoded else self._hub.audio

    @contextmanager
    def open(self) -> Iterator[None]:
        """Take audio inside the context, from now on."""
        self._ring = None
        self.take()
        try:
            yield
        finally:
            self.listen(records=False)

    def take(self) -> Sequence[AudioFrame]:
        """Return the frames that came since the last call; at first, and when the camera's audio has changed, none."""
        ring = self._ring_now()
        if ring is not self._ring:
            self._ring, self._at = ring, ring.end
        begin, self._at = max(self._at, ring.start), ring.end
        return ring.read_nowait(begin, ring.end - begin)

    def listen(self, *, records: bool) -> None:
        """Have the audio transcoded while it is recorded, if it must be."""
        wanted = records and self.is_transcoded
        if wanted == self._listens:
            return
        self._listens = wanted
        change = self._hub.listeners.join if wanted else self._hub.listeners.leave
        change(records=True)

    def _ring_now(self) -> RingBuffer[AudioFrame]:
        audio, hub = self._hub.audio, self._hub
        if audio is None or not self.is_transcoded:
            return hub.audio_frames
        return hub.recorded_opus if audio.is_passed else hub.opus
