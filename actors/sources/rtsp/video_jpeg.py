"""Depacketize JPEG: its fragments, its quantization tables, and the header that RTP leaves out. Sans-I/O.

Rules of this file:
- A picture is complete if its fragments follow each other without a gap, from the first byte of its scan.
- Tables of the qualities 128 to 254 are kept, and used for packets without them. Those of 255 come with each picture.
- A stream that can never be shown ends with a reason: of another type, or larger than RTP can say.

Source: RFC 2435; ONVIF Streaming Specification, section 5.1.4.
"""

from collections.abc import Callable

from supervisor.domain.values import Fault, Reason

from ...media.jpeg import JPEG
from ...media.media import SourceLoss
from .jpeg_header import (
    MAX_EXTENSION,
    RESTARTS,
    SAMPLING,
    SCAN_END,
    JpegHeaderError,
    JpegParts,
    JpegTables,
    build_header,
    read_extension,
    read_tables,
    scaled_tables,
)
from .reasons import Ended
from .video_pictures import PictureDepacketizer

PATIENCE = 30
"""So many pictures in a row that can never be shown, before the stream ends with a reason."""
IN_PACKET, EACH_TIME = 128, 255
"""Qualities from here on have their tables in the packet; with the last one, in each picture."""
_HEADER, _RESTART_HEADER, _TABLES_HEADER = 8, 4, 4

NO_SIZE = Reason(
    "unsupported-codec",
    "the stream is JPEG of more than 2040 pixels, and nothing names its size; choose a smaller size or H.264 in the "
    "camera's settings",
    Fault.FATAL,
)


def no_such_type(kind: int) -> Reason:
    """Return the reason for JPEG of a type that RFC 2435 does not define."""
    text = f"the stream is JPEG of type {kind}, which no standard defines; choose H.264 in the camera's settings"
    return Reason("unsupported-codec", text, Fault.FATAL)


class JpegDepacketizer(PictureDepacketizer):
    """Types 0, 1, 64 and 65. `size` is that of the description, in pixels: for pictures that name none."""

    codec = JPEG
    _is_alone = True

    def __init__(
        self,
        publish: Callable[[list[bytes], int], None],
        tell: Callable[[list[bytes]], None],
        loss: SourceLoss,
        spend: Callable[[int], None],
        size: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(publish, tell, loss, spend)
        self._described = size
        self._tables: dict[int, JpegTables] = {}
        """Those of each quality from `IN_PACKET` on; the newest one of `EACH_TIME` is not kept."""
        self._extension = b""
        """The header extension of the next packet."""
        self._scan = 0
        """Bytes of the scan so far."""
        self._failures = 0
        """Pictures in a row that can never be shown."""

    def extend(self, data: bytes) -> None:
        self._extension = data[:MAX_EXTENSION]

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        super().take(data, at, stop, timestamp, marker)
        self._extension = b""

    def _begins(self, data: bytes, at: int, stop: int) -> bool:
        return stop - at >= _HEADER and not any(data[at + 1 : at + 4])

    def _take(self, data: bytes, at: int, stop: int) -> None:
        if stop - at < _HEADER:
            self._discard_malformed()
            return
        offset = int.from_bytes(data[at + 1 : at + 4])
        kind, quality, width, height = data[at + 4 : at + _HEADER]
        at += _HEADER
        interval = 0
        if kind & RESTARTS:
            interval = int.from_bytes(data[at : at + 2])
            at += _RESTART_HEADER
        if not offset:
            try:
                header, at = self._begin(data, at, stop, kind, quality, (8 * width, 8 * height), interval)
            except JpegHeaderError:
                self._discard_malformed()
                return
            self._parts, self._scan = [header], 0
        if offset != self._scan or at > stop or not self._parts:
            self._discard_malformed()
            return
        self._parts.append(data[at:stop])
        self._scan += stop - at

    def _begin(
        self, data: bytes, at: int, stop: int, kind: int, quality: int, size: tuple[int, int], interval: int
    ) -> tuple[bytes, int]:
        """Return the header of a picture, and where its scan begins. Raises `JpegHeaderError` and `Ended`."""
        parts = read_extension(self._extension) if self._extension else JpegParts()
        tables: JpegTables | None = scaled_tables(quality)
        if quality >= IN_PACKET:
            tables, at = self._read_tables(data, at, stop, quality)
        if not all(size):
            size = self._described
        if kind & ~RESTARTS not in SAMPLING:
            self._fail(no_such_type(kind))
        if not all(size) and not parts.frame:
            self._fail(NO_SIZE)
        header = build_header(kind & ~RESTARTS, *size, tables, interval, parts)
        self._failures = 0
        return header, at

    def _read_tables(self, data: bytes, at: int, stop: int, quality: int) -> tuple[JpegTables | None, int]:
        """Return the tables of a picture, None without any, and where its scan begins."""
        head = data[at : min(at + _TABLES_HEADER, stop)]
        at += _TABLES_HEADER
        end = at + int.from_bytes(head[2:])
        if len(head) < _TABLES_HEADER or end > stop:
            raise JpegHeaderError("quantization tables that end early")
        if end == at:
            return self._tables.get(quality), end
        tables = read_tables(head[1], data[at:end])
        if quality != EACH_TIME:
            self._tables[quality] = tables
        return tables, end

    def _fail(self, reason: Reason) -> None:
        """Count a picture that can never be shown. Raises `Ended` after `PATIENCE` of them, else `JpegHeaderError`."""
        self._failures += 1
        if self._failures >= PATIENCE:
            raise Ended(reason)
        raise JpegHeaderError(reason.text)

    def _complete(self, parts: list[bytes]) -> None:
        if len(parts) < 2 or not self._scan:
            self._loss.malformed += 1
            return
        tail = b"" if parts[-1].endswith(SCAN_END) else SCAN_END
        self._publish([b"".join((*parts, tail))], self._timestamp)
