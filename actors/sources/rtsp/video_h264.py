"""Depacketize H.264: single NAL units, STAP-A and FU-A; where its pictures begin. Sans-I/O.

Source: RFC 6184, sections 5.2 and 5.6 to 5.8.
"""

from ...media.bitstream import BitstreamError
from ...media.h264 import H264, SPS, picture_of
from .video import FIRST, HEAD, LAST, OF_HEADER, VideoDepacketizer, is_first, uncoded


class H264Depacketizer(VideoDepacketizer):
    """Single NAL units, STAP-A and FU-A: packetization modes 0 and 1."""

    codec = H264
    pictures = frozenset(range(1, 6))
    known = frozenset(range(1, 24))
    openings = frozenset((7, 8, 9))
    endings = frozenset((10, 11))

    def _take(self, data: bytes, at: int, stop: int) -> None:
        kind = data[at] & 0x1F
        if kind == 28 and at + 1 < stop:
            head = data[at + 1]
            if head & FIRST:
                if self._fragments:
                    self._end_fragments()
                self._fragments.append(bytes((data[at] & 0xE0 | head & 0x1F,)))
            elif not self._fragments and not self._reopen():
                self._skip_fragment()
                return
            self._fragments.append(data[at + 2 : stop])
            if head & LAST and not self._ends_all:
                self._end_fragments()
            return
        if self._fragments and kind in self.known:
            self._end_fragments()
        if kind == 24:
            self._add_aggregated(data, at + 1, stop)
        else:
            self._complete(data[at:stop], kind)

    def _head(self, data: bytes, at: int, stop: int) -> bytes:
        kind, head = data[at] & 0x1F, data[at : min(stop, at + HEAD)]
        if kind == 28:
            return uncoded(bytes((head[0] & 0xE0 | head[1] & 0x1F,)) + head[2:]) if is_first(head[1:2]) else b""
        return head[3:] if kind == 24 else uncoded(head)

    def _is_same_picture(self, unit: bytes, unsure: bool) -> bool:
        self._spend(OF_HEADER)
        if not self._first:
            self._first = next(each for each in self._units if self.codec.nal_type(each) in self.pictures)
            known = self._sets.of(SPS) or (b"",)
            self._sps = next((each for each in self._units if self.codec.nal_type(each) == SPS), known[0])
        try:
            before, following = picture_of(self._first[:HEAD], self._sps), picture_of(unit[:HEAD], self._sps)
        except BitstreamError:
            return unsure
        if before == following:
            return True
        if self._paired or not before.is_field_of(following):
            return False
        self._first, self._paired = unit[:HEAD], True
        return True
