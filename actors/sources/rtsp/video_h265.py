"""Depacketize H.265: single NAL units, aggregation packets and fragmentation units. Sans-I/O.

Source: RFC 7798, section 4.4.
"""

from ...media.h265 import H265
from .video import FIRST, HEAD, LAST, VideoDepacketizer, is_first, uncoded


class H265Depacketizer(VideoDepacketizer):
    """Single NAL units, aggregation packets and fragmentation units, without decoding order numbers."""

    codec = H265
    pictures = frozenset((*range(10), *range(16, 22)))
    known = pictures | frozenset(range(32, 41))
    openings = frozenset(range(32, 36))
    endings = frozenset((36, 37))

    def _take(self, data: bytes, at: int, stop: int) -> None:
        kind = data[at] >> 1 & 0x3F
        if kind == 49 and at + 2 < stop:
            head = data[at + 2]
            if head & FIRST:
                if self._fragments:
                    self._end_fragments()
                first = data[at] & 0x81 | (head & 0x3F) << 1
                self._fragments.append(bytes((first, data[at + 1])))
            elif not self._fragments and not self._reopen():
                self._skip_fragment()
                return
            self._fragments.append(data[at + 3 : stop])
            if head & LAST and not self._ends_all:
                self._end_fragments()
            return
        if self._fragments and kind in self.known:
            self._end_fragments()
        if kind == 48:
            self._add_aggregated(data, at + 2, stop)
        else:
            self._complete(data[at:stop], kind)

    def _head(self, data: bytes, at: int, stop: int) -> bytes:
        kind, head = data[at] >> 1 & 0x3F, data[at : min(stop, at + HEAD)]
        if kind == 49:
            first = bytes((head[0] & 0x81 | (head[2] & 0x3F) << 1, head[1])) if is_first(head[2:3]) else b""
            return uncoded(first + head[3:]) if first else b""
        return head[4:] if kind == 48 else uncoded(head)

    def _is_same_picture(self, unit: bytes, unsure: bool) -> bool:
        """A first slice segment begins another picture, except in a higher layer of the same access unit."""
        return not unit[2] & FIRST or bool(unit[0] & 1 or unit[1] >> 3)
