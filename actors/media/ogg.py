"""Demuxes Opus in Ogg from ffmpeg's pipe. Sans-I/O: bytes in, packets with their times out.

Sources: RFC 3533, section 6 (pages); RFC 7845, sections 4 and 5 (granule positions, the two headers).
"""

from collections.abc import Iterator

from .audio import OPUS, samples_of
from .bitstream import BitstreamError

MAX_PACKET = 64 * 1024
_HEADER = 27
_CONTINUED = 1
_HEADERS = 2
"""Packets without audio: OpusHead, OpusTags."""


class OggOpus:
    """Takes bytes in chunks of any size and yields complete packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = _HEADER
        """Bytes that the buffer needs before another attempt is useful."""
        self._partial = bytearray()
        self._seen = 0
        self._skip = 0
        """Samples of the encoder's pre-skip."""

    def feed(self, data: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
        """Yield packets, each with the input sample (48,000 per second) at which it begins; below 0 for the first one.

        Raises `BitstreamError` for bytes that are not Opus in Ogg.
        """
        self._buffer += data
        while len(self._buffer) >= self._wanted:
            if self._buffer[:5] != b"OggS\0":
                raise BitstreamError("not Ogg")
            body = _HEADER + self._buffer[26]
            whole = body + sum(self._buffer[_HEADER:body])
            if len(self._buffer) < body or len(self._buffer) < whole:
                self._wanted = body if len(self._buffer) < body else whole
                return
            self._wanted = _HEADER
            page = bytes(self._buffer[:whole])
            del self._buffer[:whole]
            yield from self._timed(int.from_bytes(page[6:14], "little", signed=True), self._packets(page))

    def _packets(self, page: bytes) -> list[bytes]:
        """Return the packets that end on this page."""
        if not page[5] & _CONTINUED:
            self._partial = bytearray()
        at = _HEADER + page[26]
        found = []
        for lace in page[_HEADER:at]:
            self._partial += page[at : at + lace]
            at += lace
            if len(self._partial) > MAX_PACKET:
                raise BitstreamError(f"a packet of more than {MAX_PACKET} bytes")
            if lace < 255:
                found.append(bytes(self._partial))
                self._partial = bytearray()
        return found

    def _timed(self, end: int, packets: list[bytes]) -> Iterator[tuple[int, bytes]]:
        """Add times to packets. `end` is the end of the page's last packet, including the pre-skip samples."""
        sound = [packet for index, packet in enumerate(packets, self._seen) if index >= _HEADERS]
        if self._seen == 0 and packets:
            if packets[0][:8] != b"OpusHead" or len(packets[0]) < 19:
                raise BitstreamError("not Opus")
            self._skip = int.from_bytes(packets[0][10:12], "little")
        self._seen += len(packets)
        at = end - self._skip - sum(samples_of(OPUS, packet) for packet in sound)
        for packet in sound:
            yield at, packet
            at += samples_of(OPUS, packet)
