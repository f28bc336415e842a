"""Opus in Ogg, as ffmpeg writes it to a pipe, taken apart. Sans-I/O: bytes in, packets with their time out.

Sources: RFC 3533, section 6 (pages); RFC 7845, sections 4 and 5 (granule positions, the two headers).
"""

from collections.abc import Iterator

from .bitstream import BitstreamError
from .sound import OPUS, samples_of

MAX_PACKET = 64 * 1024
_HEADER = 27
_CONTINUED = 1
_HEADERS = 2
"""Packets that are none of sound: OpusHead, OpusTags."""


class OggOpus:
    """Feed it what came; it gives back the packets that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = _HEADER
        """So many bytes are needed before it is worth looking again."""
        self._partial = bytearray()
        self._seen = 0
        self._skip = 0
        """Samples that the encoder puts in front."""

    def feed(self, data: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
        """Packets, each with the sample of the input, 48,000 a second, at which it begins; before 0 for the first.

        Raises `BitstreamError` for what is not Opus in Ogg.
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
        """The packets that end on this page."""
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
        """`end` is that of the page's last packet, with the skipped samples."""
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
