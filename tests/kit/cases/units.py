"""RTP packets back into access units, as digests of their slices. Pure.

Only slices are compared: the daemon may leave out delimiters and filler, and it puts parameter sets in front of key
frames.

Source: RFC 3550, section 5.1; RFC 6184, section 5 (H.264); RFC 7798, section 4.4 (H.265, without DONL).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping

import attrs

MAX_UNITS = 100_000
"""Maximum number of access units in a case."""
_SINGLE_H264, _STAP_A, _FU_A = range(1, 24), 24, 28
_SINGLE_H265, _AP, _FU = range(48), 48, 49


class PayloadError(ValueError):
    """A payload that its RFC does not know."""


@attrs.frozen
class Unit:
    """One access unit: its codec (`h264` or `h265`) and the digest of its slices, 16 hexadecimal digits."""

    codec: str
    digest: str


def digest(codec: str, nals: Iterable[bytes]) -> str:
    """Of the slices among these NAL units: SHA-256 of each length in four bytes and each slice, in order."""
    slices = [nal for nal in nals if _is_slice(codec, nal)]
    return hashlib.sha256(b"".join(len(nal).to_bytes(4) + nal for nal in slices)).hexdigest()[:16]


class Units:
    """The access units of one stream, from its packets in the order in which they come.

    Args:
        codecs: the codec of each payload type.
    """

    def __init__(self, codecs: Mapping[int, str]) -> None:
        self.units: list[Unit] = []
        self.fault = ""
        """Why what was received is not what was sent; then nothing more is taken."""
        self.ssrc = self.highest = 0
        """Of the stream: for reports of the receiver. `highest` is the newest sequence number."""
        self.packets = 0
        self._codecs = codecs
        self._codec = ""
        self._timestamp = 0
        self._nals: list[bytes] = []
        self._fragments = bytearray()

    def add(self, packet: bytes) -> None:
        """Take the next packet. One that is malformed, or behind a gap, is the end, and becomes `fault`."""
        if self.fault:
            return
        try:
            self._take(packet)
        except PayloadError as error:
            self.fault = f"packet {self.packets} to the viewer: {error}"

    def _take(self, packet: bytes) -> None:
        start = 12 + 4 * (packet[0] & 0x0F) if packet else 0
        if packet and packet[0] & 0x10:
            start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4])
        if len(packet) <= start or packet[0] >> 6 != 2:
            raise PayloadError("no RTP packet with a payload")
        codec = self._codecs.get(packet[1] & 0x7F)
        if codec is None:
            return
        sequence, timestamp = int.from_bytes(packet[2:4]), int.from_bytes(packet[4:8])
        missing = (sequence - self.highest - 1) & 0xFFFF
        if self.packets and missing:
            raise PayloadError(f"sequence number {sequence} after {self.highest}; play the case once more")
        self.packets += 1
        self.highest, self.ssrc = sequence, int.from_bytes(packet[8:12])
        if self._nals and timestamp != self._timestamp:
            self._end()
        self._codec, self._timestamp = codec, timestamp
        payload = packet[start : len(packet) - (packet[-1] if packet[0] & 0x20 else 0)]
        if not payload:
            raise PayloadError("no payload but padding")
        _PAYLOADS[codec](payload, self._nals, self._fragments)
        if packet[1] & 0x80:
            self._end()

    def _end(self) -> None:
        if self._fragments:
            raise PayloadError("the access unit ends within a fragmented NAL unit")
        if len(self.units) == MAX_UNITS:
            raise PayloadError(f"more than {MAX_UNITS} access units")
        self.units.append(Unit(self._codec, digest(self._codec, self._nals)))
        self._nals.clear()


def _is_slice(codec: str, nal: bytes) -> bool:
    return 1 <= nal[0] & 0x1F <= 5 if codec == "h264" else nal[0] >> 1 & 0x3F < 32


def _h264(payload: bytes, nals: list[bytes], fragments: bytearray) -> None:
    """Add the NAL units of a payload to `nals`; one that is not whole grows in `fragments`."""
    kind = payload[0] & 0x1F
    if kind in _SINGLE_H264:
        nals.append(payload)
    elif kind == _STAP_A:
        nals.extend(_aggregated(payload[1:]))
    elif kind == _FU_A and len(payload) > 2:
        head = bytes([payload[0] & 0xE0 | payload[1] & 0x1F])
        _join(head, payload[1], payload[2:], nals, fragments)
    else:
        raise PayloadError(f"an H.264 payload of type {kind} and {len(payload)} bytes")


def _h265(payload: bytes, nals: list[bytes], fragments: bytearray) -> None:
    """As `_h264`."""
    kind = payload[0] >> 1 & 0x3F
    if kind in _SINGLE_H265 and len(payload) > 2:
        nals.append(payload)
    elif kind == _AP:
        nals.extend(_aggregated(payload[2:]))
    elif kind == _FU and len(payload) > 3:
        head = bytes([payload[0] & 0x81 | (payload[2] & 0x3F) << 1, payload[1]])
        _join(head, payload[2], payload[3:], nals, fragments)
    else:
        raise PayloadError(f"an H.265 payload of type {kind} and {len(payload)} bytes")


def _aggregated(data: bytes) -> Iterable[bytes]:
    while data:
        size = int.from_bytes(data[:2])
        if not 0 < size <= len(data) - 2:
            raise PayloadError("an aggregation packet with a NAL unit that is not whole")
        yield data[2 : 2 + size]
        data = data[2 + size :]


def _join(head: bytes, position: int, data: bytes, nals: list[bytes], fragments: bytearray) -> None:
    """`position`: the byte with the start and end bits."""
    if bool(position & 0x80) == bool(fragments):
        raise PayloadError("fragments of a NAL unit without their first one, or without their last one")
    fragments += (head if position & 0x80 else b"") + data
    if position & 0x40:
        nals.append(bytes(fragments))
        fragments.clear()


_PAYLOADS: dict[str, Callable[[bytes, list[bytes], bytearray], None]] = {"h264": _h264, "h265": _h265}
