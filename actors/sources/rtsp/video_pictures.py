"""Depacketize codecs whose pictures are one piece of data: what JPEG and MPEG-4 part 2 have in common. Sans-I/O.

Rules of this file:
- A picture with missing packets is discarded and counted, once.
- A picture ends with the marker, or where the time stamp changes. A marker before its last packet costs one picture:
  from then on, this camera's markers are ignored.
- A picture is bounded in bytes, and so is the number of its packets.
"""

from collections.abc import Callable, Iterable

from ...media.bitstream import MAX_ACCESS_UNIT
from ...media.media import SourceLoss, VideoCodec
from ...media.oddities import Oddity
from .video import WEIGHT, Markers


class PictureDepacketizer:
    """Takes payloads; passes complete pictures to `publish(units, timestamp)`, and parameter sets alone to `tell`.

    `spend` receives work besides that of the packets, in packets.
    """

    codec: VideoCodec

    def __init__(
        self,
        publish: Callable[[list[bytes], int], None],
        tell: Callable[[list[bytes]], None],
        loss: SourceLoss,
        spend: Callable[[int], None],
    ) -> None:
        self.markers = Markers.RIGHT
        self._publish, self._tell, self._loss, self._spend = publish, tell, loss, spend
        self._timestamp = self._done = -1
        """Time stamps of the current picture, and of the last one that a marker has ended."""
        self._parts: list[bytes] = []
        self._size = 0
        self._broken = False
        """Whether the current picture is incomplete."""
        self._lost = True
        """Whether packets are missing before the next one: also before the first one."""

    def learn(self, sets: Iterable[bytes]) -> None:
        """Take the parameter sets of the description."""

    @property
    def is_held(self) -> bool:
        """Never: a picture waits for nothing."""
        return False

    def flush(self) -> None:
        """Nothing is held."""

    def gap(self) -> None:
        """The missing packets may belong to the current picture, to the next one, or to both."""
        if self._parts:
            self._break()
        self._lost = True

    def restart(self) -> None:
        """Another source begins: a picture that is incomplete is discarded."""
        if self._parts:
            self._break()
        self._end()
        self._timestamp = self._done = -1
        self._lost = False

    def extend(self, data: bytes) -> None:
        """Take the header extension of the next packet: its identifier, its length and its content."""

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        begins = self._begins(data, at, stop)
        if timestamp != self._timestamp or (begins and self._parts and self._is_alone):
            self._end()
            self._timestamp = timestamp
        elif not begins and not self._parts and not self._broken and timestamp == self._done:
            if self.markers is Markers.RIGHT:
                self.markers = Markers.EARLY
                self._loss.meet(Oddity.EARLY_MARKER)
            self._break()
        if self._lost:
            self._lost = False
            self._miss()
            if not begins:
                self._break()
        self._size += stop - at + WEIGHT
        if self._size > MAX_ACCESS_UNIT:
            if not self._broken:
                self._loss.meet(Oddity.HUGE_PICTURE)
            self._break()
        if not self._broken:
            self._take(data, at, stop)
        if marker and self.markers is Markers.RIGHT:
            self._end()
            self._done = timestamp

    _is_alone = False
    """Whether a packet that begins a picture ends the one before, also with the same time stamp."""

    def _begins(self, data: bytes, at: int, stop: int) -> bool:
        """Whether a picture begins with this payload."""
        raise NotImplementedError

    def _take(self, data: bytes, at: int, stop: int) -> None:
        """Add one payload to `_parts`, or `_discard_malformed`."""
        raise NotImplementedError

    def _complete(self, parts: list[bytes]) -> None:
        """Publish a complete picture."""
        raise NotImplementedError

    def _miss(self) -> None:
        """Packets are missing: perhaps a whole picture."""

    def _discard_malformed(self) -> None:
        """Count a payload that does not follow the standard, and discard its picture."""
        self._loss.malformed += 1
        self._break()

    def _break(self) -> None:
        """Mark the current picture as incomplete; its parts are released at once."""
        self._broken, self._parts = True, []

    def _end(self) -> None:
        """End the current picture: publish or discard it."""
        parts, broken = self._parts, self._broken
        self._parts, self._size, self._broken = [], 0, False
        if broken:
            self._loss.skipped += 1
            self._miss()
        elif parts:
            self._complete(parts)
