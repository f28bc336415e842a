"""RTP payloads into frames of sound. Sans-I/O.

Source: RFC 3551, section 4.5.14 (PCMA, PCMU), RFC 7587, section 4.2 (Opus), RFC 3640, sections 3.2 and 3.3.6 (AAC).
"""

from collections.abc import Callable

from ...media import SourceLoss

MAX_SIZE_BITS = 16
"""Of the size of a frame of AAC: 64 KiB are ten times what the standard allows."""
MAX_FRAMES = 64
"""Of AAC in one packet."""
SAMPLES = 1024
"""Of one AAC frame."""

PublishFrame = Callable[[bytes, int], None]
"""`publish(frame, timestamp)`."""


class WholeFrames:
    """G.711 and Opus: a packet is a frame."""

    def __init__(self, publish: PublishFrame) -> None:
        self._publish = publish

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        self._publish(data[at:stop], timestamp)

    def gap(self) -> None:
        """What is missing is not heard; nothing else depends on it."""


class AacFrames:
    """AAC-hbr: several frames in a packet, or one frame in several packets, up to the one with the marker."""

    def __init__(
        self, publish: PublishFrame, loss: SourceLoss, size_bits: int, index_bits: int, delta_bits: int
    ) -> None:
        self._publish, self._loss = publish, loss
        self._size_bits, self._first_bits, self._next_bits = size_bits, size_bits + index_bits, size_bits + delta_bits
        self._pieces: list[bytes] = []
        self._missing = 0
        """Bytes of the frame that comes in pieces."""

    def gap(self) -> None:
        self._pieces, self._missing = [], 0

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        bits = int.from_bytes(data[at : at + 2]) if at + 2 <= stop else 0
        body = at + 2 + (bits + 7) // 8
        sizes = self._read_sizes(data[at + 2 : body], bits)
        if not sizes or body > stop:
            self._loss.malformed += 1
            self.gap()
        elif len(sizes) == 1 and (self._missing or sizes[0] > stop - body):
            self._collect(data[body:stop], sizes[0], timestamp)
        else:
            for index, size in enumerate(sizes):
                if size > stop - body:
                    self._loss.malformed += 1
                    return
                if size:
                    self._publish(data[body : body + size], timestamp + index * SAMPLES)
                body += size

    def _read_sizes(self, head: bytes, bits: int) -> list[int]:
        left, value, width = bits, int.from_bytes(head) >> (-bits % 8), self._first_bits
        sizes: list[int] = []
        while left >= width and len(sizes) < MAX_FRAMES:
            left -= width
            sizes.append(value >> (left + width - self._size_bits) & ((1 << self._size_bits) - 1))
            width = self._next_bits
        return sizes

    def _collect(self, piece: bytes, size: int, timestamp: int) -> None:
        if not self._missing:
            self._pieces, self._missing = [], size
        self._pieces.append(piece)
        self._missing -= len(piece)
        if not piece or self._missing < 0:
            self._loss.malformed += 1
            self.gap()
        elif not self._missing:
            self._publish(b"".join(self._pieces), timestamp)
            self.gap()
