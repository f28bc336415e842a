"""Depacketize RTP payloads into audio frames. Sans-I/O.

Rules of this file:
- A frame in several packets ends with the marker, or where the time stamp changes: some cameras never set the marker.
- Lengths, numbers of frames and waiting bytes are bounded.

Source: RFC 3551, section 4.5 (one packet, one frame), RFC 7587, section 4.2 (Opus), RFC 3640, sections 3.2 and 3.3.6
(AAC), RFC 6416, section 6 (LATM), RFC 2250, section 3.5 (MPEG audio), RFC 4867, section 4 (AMR).
"""

from collections.abc import Callable

from ...media.audio import is_adts, parse_mpeg, split_adts
from ...media.media import SourceLoss
from ...media.oddities import Oddity

MAX_SIZE_BITS = 32
"""Limit for the width of the size field of an AAC frame. Its value is bounded by `MAX_JOINED`."""
MAX_FRAMES = 64
"""Limit of frames in one packet."""
MAX_JOINED, WEIGHT = 64 * 1024, 64
"""Limit of the bytes of a frame in several packets, and bytes charged for each packet besides its own."""
SAMPLES = 1024
"""Samples in one AAC frame."""
_HBR = (13, 3, 3)
"""Widths of the fields in front of AAC frames that nearly all cameras use (RFC 3640, section 3.3.6)."""

PublishFrame = Callable[[bytes, int], None]
"""`publish(frame, timestamp)`: the timestamp is in ticks of the RTP clock."""


class WholeFrames:
    """Depacketizer for PCM, G.711, G.722, G.726, GSM, Speex and Opus: each packet is one frame."""

    def __init__(self, publish: PublishFrame) -> None:
        self._publish = publish

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        self._publish(data[at:stop], timestamp)

    def gap(self) -> None:
        """Nothing to do: no other frame depends on the missing ones."""

    restart = gap


class JoinedFrames:
    """Joins the packets of one frame: up to the marker, or as long as the time stamp stays."""

    def __init__(self, publish: PublishFrame, loss: SourceLoss, oddity: Oddity | None = None) -> None:
        self._publish, self._loss, self._oddity = publish, loss, oddity
        self._pieces: list[bytes] = []
        self._size = self._timestamp = 0
        self._marks = True
        """Whether the camera sets markers: nothing waits for one that never comes."""

    def gap(self) -> None:
        self._pieces, self._size = [], 0

    restart = gap

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        if marker and not self._pieces:  # as nearly all packets are
            self._marks = True
            self._publish(data[at:stop], timestamp)
            return
        self.settle(timestamp)
        self._marks |= marker
        self._pieces.append(data[at:stop])
        self._size += stop - at + WEIGHT
        self._timestamp = timestamp
        if self._size > MAX_JOINED:
            self._loss.malformed += 1
            self.gap()
        elif marker or not self._marks:
            self._end()

    def settle(self, timestamp: int) -> None:
        """Publish what has waited, if a packet with this time stamp cannot belong to it."""
        if self._pieces and timestamp != self._timestamp:
            self._marks = False
            self._end()

    def _end(self) -> None:
        if self._oddity is not None and len(self._pieces) > 1:
            self._loss.meet(self._oddity)
        frame = b"".join(self._pieces)
        self.gap()
        self._publish(frame, self._timestamp)


class AacFrames:
    """Depacketizer for AAC: several frames in one packet, or one frame in several packets.

    `widths` are those of the size, of the first index and of the other ones, in bits; `ticks` is the duration of a
    frame in ticks of the RTP clock. The size in front of a fragment is that of the frame; some cameras write its own.
    """

    def __init__(
        self, publish: PublishFrame, loss: SourceLoss, widths: tuple[int, int, int] = _HBR, ticks: int = SAMPLES
    ) -> None:
        self._publish, self._loss, self._widths, self._ticks = publish, loss, widths, ticks
        self._joined = JoinedFrames(self._pass_on, loss, Oddity.AAC_FRAGMENTS)
        self._pieces: list[bytes] = []
        self._missing = self._whole = self._timestamp = 0
        """Bytes that are still missing from a fragmented frame, its size, and its time stamp."""
        self._marked = False
        """Whether the marker has come although bytes are missing."""

    def gap(self) -> None:
        self._joined.gap()
        self._pieces, self._missing = [], 0

    restart = gap

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        if at < stop and data[at] == 0xFF and is_adts(data, at):  # no field in front can have this value
            self._pass_on(data[at:stop], timestamp)
            return
        bits = int.from_bytes(data[at : at + 2]) if at + 2 <= stop else 0
        body = at + 2 + (bits + 7) // 8
        sizes = self._read_sizes(data[at + 2 : body], bits) if body <= stop else []
        if self._missing and not self._continues(sizes, timestamp):
            self._loss.malformed += 1
            self.gap()
        if not sizes:
            self._loss.malformed += 1
            self.gap()
        elif len(sizes) == 1 and (self._missing or sizes[0] > stop - body):
            self._collect(data[body:stop], sizes[0], timestamp, marker)
        elif len(sizes) == 1:
            if sizes[0]:
                self._joined.take(data, body, body + sizes[0], timestamp, marker)
        else:
            self._joined.settle(timestamp)
            for index, size in enumerate(sizes):
                if size > stop - body:
                    self._loss.malformed += 1
                    return
                if size:
                    self._pass_on(data[body : body + size], timestamp + index * self._ticks)
                body += size

    def _pass_on(self, frame: bytes, timestamp: int) -> None:
        """Publish a frame without the header that files have in front of it."""
        if frame[0] != 0xFF or not is_adts(frame):
            self._publish(frame, timestamp)
            return
        self._loss.meet(Oddity.ADTS)
        for index, each in zip(range(MAX_FRAMES), split_adts(frame), strict=False):
            self._publish(each, timestamp + index * self._ticks)

    def _read_sizes(self, head: bytes, bits: int) -> list[int]:
        size_bits, index_bits, delta_bits = self._widths
        if (bits - index_bits + delta_bits) % (size_bits + delta_bits) and not bits % 16:
            self._widths = size_bits, index_bits, delta_bits = _HBR  # others than announced
            self._loss.meet(Oddity.AAC_DEFAULTS)
        left, value, width = bits, int.from_bytes(head) >> (-bits % 8), size_bits + index_bits
        sizes: list[int] = []
        while left >= width and len(sizes) < MAX_FRAMES:
            left -= width
            sizes.append(value >> (left + width - size_bits) & ((1 << size_bits) - 1))
            width = size_bits + delta_bits
        return sizes

    def _continues(self, sizes: list[int], timestamp: int) -> bool:
        """Whether a packet may have more of the fragmented frame. Some cameras set the marker on each fragment."""
        same = len(sizes) == 1 and timestamp == self._timestamp
        return same and (not self._marked or sizes[0] == self._whole)

    def _collect(self, piece: bytes, size: int, timestamp: int, marker: bool) -> None:
        if not self._missing:
            self._pieces, self._missing = [], size
            self._whole, self._timestamp, self._marked = size, timestamp, False
        self._pieces.append(piece)
        self._missing -= len(piece)
        self._marked |= marker
        if not piece or self._missing < 0 or self._whole > MAX_JOINED:
            self._loss.malformed += 1
            self.gap()
        elif not self._missing:
            self._pass_on(b"".join(self._pieces), timestamp)
            self.gap()


class LatmFrames(JoinedFrames):
    """Depacketizer for LATM whose configuration is in the description: elements of `count` frames of AAC."""

    def __init__(self, publish: PublishFrame, loss: SourceLoss, count: int, ticks: int) -> None:
        super().__init__(self._split, loss)
        self._pass_on, self._count, self._ticks = publish, count, ticks

    def _split(self, element: bytes, timestamp: int) -> None:
        at = 0
        for index in range(self._count):
            size = 0
            while at < len(element):
                at += 1
                size += element[at - 1]
                if element[at - 1] < 255 or size > len(element):
                    break
            if not 0 < size <= len(element) - at:
                self._loss.malformed += 1
                return
            self._pass_on(element[at : at + size], timestamp + index * self._ticks)
            at += size


class LatmElements(JoinedFrames):
    """Depacketizer for LATM whose configuration comes in band: elements with the header that decoders expect (LOAS)."""

    def __init__(self, publish: PublishFrame, loss: SourceLoss) -> None:
        super().__init__(self._wrap, loss)
        self._pass_on = publish

    def _wrap(self, element: bytes, timestamp: int) -> None:
        if len(element) < 1 << 13:
            self._pass_on((0x56E000 | len(element)).to_bytes(3) + element, timestamp)
        else:
            self._loss.malformed += 1


class G723Frames:
    """Depacketizer for G.723: frames whose first two bits name their length."""

    def __init__(self, publish: PublishFrame) -> None:
        self._publish = publish

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        for index in range(MAX_FRAMES):
            size = (24, 20, 4, 1)[data[at] & 3] if at < stop else 0
            if not 0 < size <= stop - at:
                return
            self._publish(data[at : at + size], timestamp + index * 240)
            at += size

    def gap(self) -> None:
        """Nothing to do: no other frame depends on the missing ones."""

    restart = gap


class AmrFrames:
    """Depacketizer for AMR and AMR-WB: a table of frames, and then the frames, with or without padding to bytes.

    `sizes` are the bits of a frame by its type, and `ticks` is the duration of a frame.
    """

    def __init__(
        self, publish: PublishFrame, loss: SourceLoss, sizes: tuple[int, ...], ticks: int, aligned: bool
    ) -> None:
        self._publish, self._loss, self._sizes, self._ticks = publish, loss, sizes, ticks
        self._unit, self._entry = (8, 8) if aligned else (1, 6)

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        value, left = int.from_bytes(data[at:stop]), 8 * (stop - at) - (8 if self._unit == 8 else 4)
        kinds: list[int] = []
        more = 1
        while more and left >= self._entry and len(kinds) < MAX_FRAMES:
            left -= self._entry
            entry = (value >> left & ((1 << self._entry) - 1)) << (8 - self._entry)
            more = entry >> 7
            kinds.append(entry & 0x7C)
        for index, kind in enumerate(kinds):
            bits = self._sizes[kind >> 3] if kind >> 3 < len(self._sizes) else 0
            taken = bits + -bits % self._unit
            if taken > left:
                self._loss.malformed += 1
                return
            left -= taken
            if bits:
                coded = (value >> left & ((1 << taken) - 1)) << (-taken % 8)
                self._publish(bytes((kind,)) + coded.to_bytes((bits + 7) // 8), timestamp + index * self._ticks)

    def gap(self) -> None:
        """Nothing to do: no other frame depends on the missing ones."""

    restart = gap


class MpegFrames:
    """Depacketizer for MPEG audio: several frames in one packet, or one frame in several packets.

    `clock_rate` is that of the RTP time stamps, in Hz.
    """

    def __init__(self, publish: PublishFrame, loss: SourceLoss, clock_rate: int) -> None:
        self._publish, self._loss, self._clock_rate = publish, loss, clock_rate
        self._begun = b""
        """The part of a frame that has arrived."""

    def gap(self) -> None:
        self._begun = b""

    restart = gap

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        if data[at : at + 2] == b"\0\0":  # some cameras leave this header out
            at += 4
        if self._begun and parse_mpeg(data, at) is None:
            data = self._begun + data[at:stop]
            at, stop = 0, len(data)
        self._begun = b""
        for _ in range(MAX_FRAMES):
            frame = parse_mpeg(data, at)
            if frame is None:
                self._loss.malformed += 1
                return
            if frame.size > stop - at:
                self._begun = data[at:stop]
                return
            self._publish(data[at : at + frame.size], timestamp)
            timestamp += frame.samples * self._clock_rate // frame.rate
            at += frame.size
            if at >= stop:
                return
