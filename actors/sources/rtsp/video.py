"""RTP payloads into access units: H.264 and H.265. Sans-I/O.

Rules of this file:
- What misses a packet is no picture: it is dropped, and so is all that follows up to the next whole key frame.
- A picture ends with the marker, or where the time stamp changes: some cameras forget the marker, and some set it on
  parameter sets, which are no picture yet.
- An access unit is bounded in bytes and in NAL units.

Source: RFC 6184, sections 5.2 and 5.6 to 5.8; RFC 7798, section 4.4.
"""

from collections.abc import Callable

from ...bitstream import MAX_UNITS
from ...h264 import H264
from ...h265 import H265
from ...media import SourceLoss, VideoCodec

MAX_ACCESS_UNIT = 8 * 1024 * 1024
MAX_AGGREGATED = 128
"""NAL units of one packet: cameras pack some parameter sets, or the slices of a small picture."""
WEIGHT = 64
"""Bytes that are counted for each packet beside its own, so that many small ones are bounded as well."""

_FIRST, _LAST = 0x80, 0x40
"""In the head of a fragment."""


class VideoDepacketizer:
    """Payloads in; whole access units to `publish(units, timestamp)`; parameter sets that come alone to `tell`.

    `spend` gets the number of NAL units that one payload held beside the first.
    """

    codec: VideoCodec
    pictures: range
    """NAL unit types that are part of a picture."""

    def __init__(
        self,
        publish: Callable[[list[bytes], int], None],
        tell: Callable[[list[bytes]], None],
        loss: SourceLoss,
        spend: Callable[[int], None],
    ) -> None:
        self._publish, self._tell, self._loss, self._spend = publish, tell, loss, spend
        self._timestamp = -1
        self._units: list[bytes] = []
        self._fragments: list[bytes] = []
        """Of the NAL unit that is only just coming."""
        self._size = 0
        self._has_picture = self._broken = self._waits = False
        self._lost = False
        """Whether packets are missing in front of the next one."""

    def gap(self) -> None:
        """Nobody knows where the missing packets belonged: to what was coming, or to what comes next, or to both."""
        if self._units or self._fragments:
            self._break()
        self._lost = True

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        if timestamp != self._timestamp:
            if self._units or self._fragments or self._broken:
                self._end()
            self._timestamp = timestamp
        if self._lost:
            self._lost = False
            self._break()
        self._size += stop - at + WEIGHT
        if self._size > MAX_ACCESS_UNIT or len(self._units) > MAX_UNITS:
            self._break()
        if not self._broken:
            self._take(data, at, stop)
        if marker and (self._has_picture or self._broken):
            self._end()

    def _take(self, data: bytes, at: int, stop: int) -> None:
        raise NotImplementedError

    def _begin_fragments(self, head: bytes, kind: int) -> None:
        if self._fragments:
            self._end_fragments()
        self._fragments.append(head)
        if kind in self.pictures:
            self._has_picture = True

    def _end_fragments(self) -> None:
        self._units.append(b"".join(self._fragments))
        self._fragments = []

    def _add(self, unit: bytes, kind: int) -> None:
        self._units.append(unit)
        if kind in self.pictures:
            self._has_picture = True

    def _add_aggregated(self, data: bytes, at: int, stop: int, head: int) -> None:
        """Units with their sizes in front (RFC 6184, 5.7.1; RFC 7798, 4.4.2), each at least `head` bytes long."""
        before = len(self._units)
        while at < stop:
            end = at + 2 + (data[at] << 8) + (data[at + 1] if at + 1 < stop else 0)
            if end > stop or end - at < 2 + head or len(self._units) - before >= MAX_AGGREGATED:
                self._spend(len(self._units) - before)
                self._mistrust()
                return
            unit = data[at + 2 : end]
            self._add(unit, self.codec.nal_type(unit))
            at = end
        self._spend(len(self._units) - before - 1)

    def _mistrust(self) -> None:
        """A payload that the standard does not know."""
        self._loss.malformed += 1
        self._break()

    def _break(self) -> None:
        """What was coming is no whole picture any more; its remains are let go of at once."""
        self._broken = True
        self._units, self._fragments = [], []

    def _end(self) -> None:
        """The end of an access unit."""
        if self._fragments:
            self._end_fragments()
        units, shown, broken = self._units, self._has_picture, self._broken
        self._units, self._size = [], 0
        self._has_picture = self._broken = False
        if broken:
            self._waits = True
            self._loss.skipped += 1
        elif not shown:
            self._tell(units)
        elif self._waits and not any(self.codec.nal_type(unit) in self.codec.key_types for unit in units):
            self._loss.skipped += 1
        else:
            self._waits = False
            self._publish(units, self._timestamp)


class H264Depacketizer(VideoDepacketizer):
    """Single NAL units, STAP-A and FU-A: packetization modes 0 and 1."""

    codec = H264
    pictures = range(1, 6)

    def _take(self, data: bytes, at: int, stop: int) -> None:
        kind = data[at] & 0x1F
        if kind == 28 and at + 2 < stop:
            head = data[at + 1]
            if head & _FIRST:
                self._begin_fragments(bytes((data[at] & 0xE0 | head & 0x1F,)), head & 0x1F)
            elif not self._fragments:
                self._mistrust()
                return
            self._fragments.append(data[at + 2 : stop])
            if head & _LAST:
                self._end_fragments()
        elif 0 < kind < 24:
            self._add(data[at:stop], kind)
        elif kind == 24:
            self._add_aggregated(data, at + 1, stop, 1)
        else:
            self._mistrust()


class H265Depacketizer(VideoDepacketizer):
    """Single NAL units, aggregation packets and fragmentation units, without decoding order numbers."""

    codec = H265
    pictures = range(32)

    def _take(self, data: bytes, at: int, stop: int) -> None:
        kind = data[at] >> 1 & 0x3F
        if kind == 49 and at + 3 < stop:
            head = data[at + 2]
            if head & _FIRST:
                first = data[at] & 0x81 | (head & 0x3F) << 1
                self._begin_fragments(bytes((first, data[at + 1])), head & 0x3F)
            elif not self._fragments:
                self._mistrust()
                return
            self._fragments.append(data[at + 3 : stop])
            if head & _LAST:
                self._end_fragments()
        elif kind < 48 and at + 2 <= stop:
            self._add(data[at:stop], kind)
        elif kind == 48:
            self._add_aggregated(data, at + 2, stop, 2)
        else:
            self._mistrust()
