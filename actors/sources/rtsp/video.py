"""Depacketize RTP payloads into access units: what H.264 and H.265 have in common. Sans-I/O.

Rules of this file:
- An access unit with missing packets is discarded, and so are all that follow up to the next complete key frame.
- An access unit ends with the marker, or where the time stamp changes, or where a slice begins another picture. The
  marker is checked once for each connection: until then, an access unit waits for the next packet.
- Packets that the standards do not define cost themselves only, as long as no packet is missing.
- An access unit is bounded in bytes and in NAL units.

Source: RFC 6184, sections 5.2 and 5.6 to 5.8; RFC 7798, section 4.4.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from itertools import islice

from ...media.bitstream import (
    MAX_ACCESS_UNIT,
    MAX_SEARCHED,
    MAX_UNITS,
    has_start_code,
    split_joined,
    strip_zeros,
)
from ...media.media import SourceLoss, VideoCodec
from ...media.oddities import Oddity
from .good_sets import GoodSets

MAX_AGGREGATED = 128
"""Limit of NAL units in one packet: cameras aggregate some parameter sets, or the slices of a small picture."""
WEIGHT = 64
"""Bytes charged per packet besides its own, so that many small packets are bounded as well."""
SEARCHED = 1024
"""Bytes that are searched for start codes, for the charge of one packet."""
OF_HEADER = 4
"""Charge for comparing the headers of two slices, in packets."""
BEHAVED = 30
"""So many access units in a row with their only marker at the end: the camera sets it correctly again."""

FIRST, LAST = 0x80, 0x40
"""Bits in the header of a fragment. The first is also the bit of a slice that says that it begins a picture."""
HEAD = 48
"""Bytes of a slice that are enough to read its header up to the picture order count."""


class Markers(Enum):
    """How a camera sets the marker."""

    UNKNOWN = "not seen yet"
    RIGHT = "on the last packet of an access unit"
    EARLY = "on packets before the last one, too"


_UNKNOWN, _RIGHT, _EARLY = Markers
"""Faster than attributes of the class, which are looked up with each access unit."""


class VideoDepacketizer:
    """Takes payloads; passes complete access units to `publish(units, timestamp)`, and parameter sets alone to `tell`.

    `spend` receives the number of NAL units in one payload besides the first, and other work, in packets.
    """

    codec: VideoCodec
    pictures: frozenset[int]
    """NAL unit types of coded slices."""
    known: frozenset[int]
    """NAL unit types that the standard defines."""
    openings: frozenset[int]
    """Those with which only an access unit begins: delimiters and parameter sets."""
    endings: frozenset[int]
    """Those that have no payload: the end of a sequence and of a stream. Nobody needs them here."""

    def __init__(
        self,
        publish: Callable[[list[bytes], int], None],
        tell: Callable[[list[bytes]], None],
        loss: SourceLoss,
        spend: Callable[[int], None],
        markers: Markers = _RIGHT,
    ) -> None:
        self.markers = markers
        """With UNKNOWN, somebody has to `flush` when nothing comes for a while."""
        self._publish, self._tell, self._loss, self._spend = publish, tell, loss, spend
        self._plain = self.pictures - self.codec.key_types - {0}
        """Types of slices that are searched for start codes only after one was found elsewhere."""
        self._header = self.codec.header
        self._timestamp = self._done = -1
        """Time stamps of the current access unit, and of the last one that a marker has ended."""
        self._units: list[bytes] = []
        self._fragments: list[bytes] = []
        """Fragments of the NAL unit that is still incomplete."""
        self._size = 0
        self._sliced = 0
        """Number of units up to the last slice; 0 without a slice."""
        self._first = b""
        """The header of the slice that begins the current picture; read only when another one begins."""
        self._sps = b""
        """The sequence parameter set of that picture."""
        self._paired = False
        """Whether both fields of a frame have begun."""
        self._has_sets = self._broken = self._waits = False
        self._marked = False
        """Whether the current access unit may be complete, by a marker that is not trusted."""
        self._marks = self._behaved = 0
        self._codes = False
        """Whether the camera puts start codes into payloads."""
        self._endless = False
        """Whether the camera never marks the last fragment."""
        self._ends_all = False
        """Whether the camera marks each fragment as the last one."""
        self._reopens = 0
        """Number of units up to the last one that came in fragments, if it may go on; 0 otherwise."""
        self._lost = False
        """Whether packets are missing before the next one."""
        self._sets = GoodSets(self.codec, loss, spend)

    def learn(self, sets: Iterable[bytes]) -> None:
        """Take the parameter sets of the description. Corrupt ones are left out."""
        self._sets.accept(list(sets))

    @property
    def is_held(self) -> bool:
        """Whether an access unit waits for the next packet, because it is not known yet how the marker is set.

        Not while the rest of a NAL unit is on its way.
        """
        return self._marked and self.markers is _UNKNOWN and not self._fragments

    def flush(self) -> None:
        """Publish an access unit that waits: nothing came after its marker, so the marker was right."""
        if self.is_held:
            self.markers = _RIGHT
            self._mark()

    def gap(self) -> None:
        """The missing packets may belong to the current access unit, to the next one, or to both."""
        if self.is_held:
            self._end()
        if self._units or self._fragments:
            self._break()
        self._lost = True

    def restart(self) -> None:
        """Another source begins: an access unit that is incomplete is discarded, and the next one is a new one."""
        if self._marked and not self._fragments:
            self._end()
        if self._units or self._fragments:
            self._break()
        if self._broken:
            waits = self._waits
            self._end()
            self._waits = waits
        self._timestamp, self._lost = -1, False

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        if timestamp != self._timestamp:
            if self._units or self._fragments or self._broken:
                self._change_time(data, at, stop, timestamp)
            else:
                self._timestamp = timestamp
        if self._lost:
            self._lost = False
            if self._units or self._fragments or self._broken or not self._opens(self._head(data, at, stop)):
                self._break()
            else:
                self._waits = True  # only whole access units are missing
        self._size += stop - at + WEIGHT
        if self._size > MAX_ACCESS_UNIT or len(self._units) > MAX_UNITS:
            if not self._broken:
                self._loss.meet(Oddity.HUGE_PICTURE)
            self._break()
        if not self._broken:
            self._take(data, at, stop)
        elif self._marked and self._begins_picture(self._head(data, at, stop)):
            self._end()
            self._take(data, at, stop)
        if marker:
            self._mark()

    def _take(self, data: bytes, at: int, stop: int) -> None:
        raise NotImplementedError

    def _head(self, data: bytes, at: int, stop: int) -> bytes:
        """Return the first bytes of the NAL unit that begins in a payload; empty when it continues another one."""
        raise NotImplementedError

    # ── where an access unit ends ───────────────────────────────────────────────────────────────────────────────

    def _change_time(self, data: bytes, at: int, stop: int, timestamp: int) -> None:
        """Another time stamp ends the access unit, unless the packet continues its picture, or is no part of any."""
        head = self._head(data, at, stop)
        if not self._broken and not self._is_unit(head) and not (self._fragments and not head):
            return
        if not self._lost and self._continues(head):
            self._loss.meet(Oddity.MOVING_TIMESTAMP)
            return
        if self._fragments:
            self._cut_fragments()
        if self._marked and self.markers is _UNKNOWN:
            self.markers = _RIGHT
        self._end()
        self._timestamp = timestamp

    def _is_unit(self, head: bytes) -> bool:
        """Whether a NAL unit that is neither empty nor of an unknown type begins so."""
        return len(head) > self._header and self.codec.nal_type(head) in self.known

    def _continues(self, head: bytes) -> bool:
        """Whether a packet with another time stamp belongs to the current picture all the same."""
        if not head or self._fragments:
            return not head and bool(self._fragments)
        kind = self.codec.nal_type(head)
        if self._broken or not self._sliced or kind not in self.pictures or self._begins_picture(head):
            return False
        return self._is_same_picture(head, unsure=False)

    def _opens(self, head: bytes) -> bool:
        """Whether no slice of its access unit is in front of the NAL unit that begins so."""
        return self._begins_picture(head) or (self._is_unit(head) and self.codec.nal_type(head) in self.openings)

    def _mark(self) -> None:
        """Handle the marker of a packet that was taken."""
        if self._fragments:
            if not self._endless:
                self._marked = True
                return
            self._end_fragments()
        if not self._sliced and not self._broken:
            return  # on parameter sets alone, which are not a picture yet
        if self.markers is _RIGHT or (self._broken and self.markers is _UNKNOWN):
            self._end()
            self._done = self._timestamp
        else:
            self._marked = True
            self._marks += 1

    def _begins_picture(self, unit: bytes) -> bool:
        """Whether a NAL unit is a slice with `first_mb_in_slice` 0, or `first_slice_segment_in_pic_flag`."""
        return (
            len(unit) > self._header and self.codec.nal_type(unit) in self.pictures and bool(unit[self._header] & FIRST)
        )

    def _is_same_picture(self, unit: bytes, unsure: bool) -> bool:
        """Whether a slice belongs to the current picture, by its header; `unsure` if that cannot be read."""
        raise NotImplementedError

    def _add_further(self, unit: bytes) -> None:
        """Prepare for a slice that is not the first one with this time stamp, or not the first one of its picture."""
        begins = self._begins_picture(unit)
        if not self._sliced:  # a marker has ended an access unit with this time stamp
            if not begins:
                self._see_early_marker()
            return
        if begins and not self._is_same_picture(unit, unsure=not self._marked):
            following = self._units[self._sliced :]
            del self._units[self._sliced :]
            if self._marked and self.markers is _UNKNOWN:
                self.markers = _RIGHT
            self._end()
            self._units, self._size = following, sum(map(len, following)) + len(unit)
            self._has_sets = bool(following)
        elif self._marked:
            self._see_early_marker()
        elif self.markers is _UNKNOWN:
            self.markers = _RIGHT  # a picture of several slices, without a marker on each
        self._marked = False

    def _see_early_marker(self) -> None:
        self.markers, self._behaved = _EARLY, 0
        self._loss.meet(Oddity.EARLY_MARKER)

    def _check_behaviour(self) -> None:
        """Trust the markers again after `BEHAVED` access units of several slices with one marker each."""
        slices = sum(self.codec.nal_type(unit) in self.pictures for unit in self._units)
        if self._marks > 1:
            self._behaved = 0
        elif slices > 1 and self._marked:
            self._behaved += 1
            if self._behaved >= BEHAVED:
                self.markers = _RIGHT

    # ── NAL units ───────────────────────────────────────────────────────────────────────────────────────────────

    def _end_fragments(self) -> None:
        unit = b"".join(self._fragments)
        if not all(self._fragments):
            self._loss.meet(Oddity.ODD_FRAGMENTS)
        self._fragments = []
        self._complete(unit, self.codec.nal_type(unit))
        self._reopens = len(self._units)

    def _reopen(self) -> bool:
        """Go on with the last NAL unit if its fragments have ended it too early. Returns whether that is so."""
        if not self._reopens or self._reopens != len(self._units):
            return False
        self._loss.meet(Oddity.ODD_FRAGMENTS)
        self._ends_all = self._endless = True
        self._fragments = [self._units.pop()]
        slices = (at for at, unit in enumerate(self._units, 1) if self.codec.nal_type(unit) in self.pictures)
        self._sliced = max(slices, default=0)
        return True

    def _cut_fragments(self) -> None:
        """End fragments without a last one: complete where the camera sets the marker instead, else cut.

        Without a slice, nothing of the picture is missing.
        """
        if self._marked or self._ends_all:
            self._endless, self._marked = True, False
            self._end_fragments()
            self._marked = True
        elif self._sliced or self.codec.nal_type(self._fragments[0]) in self.pictures:
            self._discard_malformed()
        else:
            self._fragments = []
            self._skip(Oddity.ODD_FRAGMENTS)

    def _complete(self, unit: bytes, kind: int) -> None:
        """Add a NAL unit, or several that are joined by start codes."""
        if kind in self._plain and not self._codes and unit[-1] and len(unit) > self._header:
            self._add(unit, kind)
            return
        self._spend(min(len(unit), MAX_SEARCHED) // SEARCHED)
        if has_start_code(unit):
            self._codes = True
            self._loss.meet(Oddity.START_CODES)
            units = list(islice(split_joined(unit), MAX_AGGREGATED + 1))
            if len(units) > MAX_AGGREGATED:
                self._discard_malformed()
                return
            self._spend(len(units) - 1)
            units = [each for each in units if each]
        else:
            units = [strip_zeros(unit)]
        for part in units:
            if self._is_unit(part):
                self._add(part, self.codec.nal_type(part))
            elif len(part) != self._header or self.codec.nal_type(part) not in self.endings:
                self._skip(Oddity.UNKNOWN_UNITS)

    def _add(self, unit: bytes, kind: int) -> None:
        """Add one whole NAL unit of a known type."""
        if kind in self.pictures:
            if self._sliced:
                if unit[self._header] & FIRST or self.markers is not _RIGHT:
                    self._add_further(unit)
            elif self._timestamp == self._done:
                self._add_further(unit)
            self._units.append(unit)
            self._sliced = len(self._units)
        else:
            self._units.append(unit)
            if kind in self.codec.set_types:
                self._has_sets = True

    def _add_aggregated(self, data: bytes, at: int, stop: int) -> None:
        """Add units with length prefixes (RFC 6184, 5.7.1; RFC 7798, 4.4.2)."""
        count = 0
        while at < stop:
            end = at + 2 + (data[at] << 8) + (data[at + 1] if at + 1 < stop else 0)
            if end == at + 2 and not any(data[at:stop]):
                if not count:
                    break
                self._loss.meet(Oddity.PADDED_AGGREGATES)
                self._spend(count - 1)
                return
            if end > stop and count and not self._is_slice(data[at + 2 : stop]):
                self._loss.meet(Oddity.PADDED_AGGREGATES)
                break
            if end > stop or count >= MAX_AGGREGATED:
                self._spend(count)
                self._discard_malformed()
                return
            count += 1
            unit = data[at + 2 : end]
            if len(unit) >= self._header:
                self._complete(unit, self.codec.nal_type(unit))
            else:
                self._skip(Oddity.UNKNOWN_UNITS)
            at = end
        if not count:
            self._skip(Oddity.UNKNOWN_UNITS)
        self._spend(max(0, count - 1))

    def _is_slice(self, rest: bytes) -> bool:
        return bool(rest) and self.codec.nal_type(rest) in self.pictures

    def _skip(self, oddity: Oddity) -> None:
        """Count a payload, or a part of it, that the standard does not define, and leave it out."""
        self._loss.malformed += 1
        self._loss.meet(oddity)

    def _skip_fragment(self) -> None:
        """Leave out a fragment without a beginning."""
        self._endless = self._ends_all = False
        self._skip(Oddity.ODD_FRAGMENTS)

    def _discard_malformed(self) -> None:
        """Count a payload with a cut NAL unit, or with too many, and discard the access unit."""
        self._loss.malformed += 1
        self._break()

    def _break(self) -> None:
        """Mark the current access unit as incomplete; its parts are released at once."""
        self._broken = True
        self._units, self._fragments = [], []
        self._sliced = self._reopens = 0

    # ── complete access units ───────────────────────────────────────────────────────────────────────────────────

    def _end(self) -> None:
        """End an access unit: publish or discard it."""
        if self.markers is _EARLY:
            self._check_behaviour()
        units, sliced, broken, has_sets = self._units, self._sliced, self._broken, self._has_sets
        self._units, self._size, self._sliced, self._reopens = [], 0, 0, 0
        self._broken = self._has_sets = False
        if self._marked or self._marks or self._first:
            self._marked, self._marks, self._first, self._paired = False, 0, b"", False
        if 0 < sliced < len(units):
            units = self._keep_following(units, sliced)
        if has_sets and not broken and not self._sets.accept(units):
            units = [unit for unit in units if self.codec.nal_type(unit) not in self.codec.set_types]
            broken = sliced > 0 and not self._is_key(units)
        if broken:
            self._waits = True
            self._loss.skipped += 1
        elif not sliced:
            if units:
                self._tell(units)
        elif self._waits and not self._is_key(units):
            self._loss.skipped += 1
        else:
            self._waits = False
            self._publish(units, self._timestamp)

    def _keep_following(self, units: list[bytes], sliced: int) -> list[bytes]:
        """Return an access unit without the parameter sets behind its slices: they belong to the next one."""
        places = range(sliced, len(units))
        begin = next((at for at in places if self.codec.nal_type(units[at]) in self.codec.set_types), len(units))
        self._units = units[begin:]
        self._has_sets = bool(self._units)
        return units[:begin]

    def _is_key(self, units: list[bytes]) -> bool:
        return any(self.codec.nal_type(unit) in self.codec.key_types for unit in units)


def is_first(header: bytes) -> bool:
    """Whether the header of a fragment says that a NAL unit begins; false without a header."""
    return bool(header) and bool(header[0] & FIRST)


def uncoded(head: bytes) -> bytes:
    """Return the beginning of a NAL unit without a start code in front."""
    return head.lstrip(b"\x00")[1:] if head.startswith(b"\x00\x00") else head
