"""One reader in the fan-out: its phase, as a table of transitions, and its position in the ring buffers.

Rules of this file:
- The phase alone decides which task sends to the reader: the live one, its own, or none.
- A reader leaves `WAITING` with a key frame, never with another access unit.
- `ENDED` is final.
"""

from collections.abc import Mapping
from enum import Enum, auto

import trio

from supervisor.domain.values import Reason
from supervisor.ports.statistics import PeerStatistics

from ..media.media import AudioFormat, VideoCodec
from .description import VIDEO, MediaTrack
from .packets import Chunk
from .wire import Outlet, ReaderWire


class ReaderPhase(Enum):
    """The access units that a reader gets."""

    WAITING = auto()
    """Nothing until the camera's next key frame."""
    BEHIND = auto()
    """Those from its position on, from its own task."""
    LIVE = auto()
    """Each access unit as it arrives, from the live task."""
    ENDED = auto()
    """Nothing any more."""


class ReaderSignal(Enum):
    """An input of the transition table."""

    CACHED = auto()
    """It begins at a cached key frame."""
    NOT_CACHED = auto()
    """It should begin at a key frame, and none is cached; or datagrams were lost."""
    KEY_FRAME = auto()
    """A key frame arrived, and the connection has room for it."""
    HELD_UP = auto()
    """The connection has no room for what is next."""
    CAUGHT_UP = auto()
    """It has got everything that the live task has sent."""
    END = auto()


_W, _B, _L, _E = ReaderPhase
TRANSITIONS: Mapping[ReaderPhase, Mapping[ReaderSignal, ReaderPhase]] = {
    phase: dict(zip(ReaderSignal, row, strict=True))
    for phase, row in {
        #              CACHED  NOT_CACHED  KEY_FRAME  HELD_UP  CAUGHT_UP  END
        ReaderPhase.WAITING: (_B,     _W,         _L,        _B,      _W,        _E),
        ReaderPhase.BEHIND:  (_B,     _W,         _B,        _B,      _L,        _E),
        ReaderPhase.LIVE:    (_B,     _W,         _L,        _B,      _L,        _E),
        ReaderPhase.ENDED:   (_E,     _E,         _E,        _E,      _E,        _E),
    }.items()
}  # fmt: skip


class RtspReader:
    """One reader that plays. `codec`, `tracks` and `audio` are what its description announced, and it has set up."""

    def __init__(
        self,
        wire: ReaderWire,
        outlet: Outlet,
        codec: VideoCodec,
        tracks: Mapping[int, MediaTrack],
        audio: AudioFormat | None = None,
    ) -> None:
        self.wire, self.outlet, self.codec, self.tracks, self.audio = wire, outlet, codec, tracks, audio
        self.phase = ReaderPhase.WAITING
        self.at = 0
        """Position of the access unit that it gets next, in the hub's ring buffer."""
        self.chunk = 0
        """The chunk of it that is next."""
        self.audio_at = 0
        self.skipped = 0
        """Access units that it missed, and frames of audio that fit into no packet."""
        self.loss = 0.0
        """The share of lost packets in its newest report, 0 to 1."""
        self._packets = self._octets = self._audio_packets = self._audio_octets = 0
        self._work = trio.Event()
        self.reason: Reason | None = None
        """Why it has ended."""
        self.crashed: Exception | None = None

    def take(self, signal: ReaderSignal) -> None:
        """Apply a signal. Wakes the reader's task if it has to do something."""
        self.phase = TRANSITIONS[self.phase][signal]
        if self.phase in (ReaderPhase.BEHIND, ReaderPhase.ENDED):
            self._work.set()

    @property
    def is_live(self) -> bool:
        """Whether the live task may send to it now. A reader that is held up falls behind."""
        if self.phase is ReaderPhase.LIVE and self.wire.is_held_up:
            self.take(ReaderSignal.HELD_UP)
        return self.phase is ReaderPhase.LIVE

    def send(self, track: int, chunk: Chunk) -> None:
        """Send a chunk of a track. If datagrams are lost, it waits for the next key frame."""
        if not self.outlet.send(track, chunk):
            self.skipped += 1
            self.take(ReaderSignal.NOT_CACHED)
        elif self.wire.is_held_up:
            self.take(ReaderSignal.HELD_UP)
        if track == VIDEO:
            self._packets += len(chunk.starts)
            self._octets += chunk.octets
        else:
            self._audio_packets += len(chunk.starts)
            self._audio_octets += chunk.octets

    def end(self, reason: Reason) -> None:
        """Send nothing more. The reader's task ends with this reason."""
        if self.phase is not ReaderPhase.ENDED:
            self.reason = reason
            self.take(ReaderSignal.END)

    def crash(self, error: Exception) -> None:
        """Send nothing more. The reader's task raises this error."""
        self.crashed = error
        self.take(ReaderSignal.END)

    async def wait_work(self) -> None:
        """Wait until the reader's task has to do something. Cancellation: at any time."""
        await self._work.wait()
        self._work = trio.Event()

    def statistics(self) -> PeerStatistics:
        return PeerStatistics(
            packets=self._packets,
            bytes=self._octets,
            audio_packets=self._audio_packets,
            audio_bytes=self._audio_octets,
            repeated=0,
            nacks=0,
            plis=0,
            skipped=self.skipped,
            refused=self.outlet.refused,
            loss=round(self.loss, 3),
            rtt_s=None,
            remb=None,
            key_frames_only=False,
        )
