"""RTCP of the RTSP server: sender reports, and what receivers report. Pure.

Rules of this file:
- The network only delays. Of the access units of some seconds, the least delayed one tells which instant a time stamp
  means. So jitter on the camera's path does not move the reports.

Source: RFC 3550, sections 6.4.1 (sender report), 6.4.2 (receiver report) and 6.5 (SDES).
"""

import struct

import attrs

from ..media.media import CLOCK_RATE, AccessUnit
from .packets import RtpStream

SR, RR, SDES = 200, 201, 202
CNAME = b"banken"
MAX_RTCP = 1500
"""Bytes of one compound packet; a longer one is not read."""
WINDOW_NS = 10_000_000_000
"""The least delay of the last one or two of these windows counts. A camera's clock drifts by less than 1 ms in it."""
_NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900 to 1970."""


@attrs.define
class ReportClock:
    """Maps the hub's time stamps to the monotonic clock."""

    _connection: int = 0
    _began_ns: int = 0
    _before_ns: int | None = None
    _least_ns: int | None = None
    """The least difference of arrival and decode time in this window, and in the one before."""

    def see(self, unit: AccessUnit) -> None:
        offset_ns = unit.arrived_ns - unit.dts * 1_000_000_000 // CLOCK_RATE
        if unit.connection != self._connection:
            self._connection, self._began_ns, self._before_ns, self._least_ns = (
                unit.connection,
                unit.arrived_ns,
                None,
                None,
            )
        elif unit.arrived_ns - self._began_ns > WINDOW_NS:
            self._began_ns, self._before_ns, self._least_ns = unit.arrived_ns, self._least_ns, None
        self._least_ns = offset_ns if self._least_ns is None else min(self._least_ns, offset_ns)

    def pts_at(self, mono_ns: int) -> int | None:
        """Return the time stamp that means the instant `mono_ns`; None before the first access unit."""
        known = [offset for offset in (self._before_ns, self._least_ns) if offset is not None]
        return (mono_ns - min(known)) * CLOCK_RATE // 1_000_000_000 if known else None


def sender_report(stream: RtpStream, pts: int, wall_ns: int) -> bytes:
    """Return a compound packet: at the instant `wall_ns` (since 1970), the time stamp is that of `pts`."""
    seconds, rest = divmod(wall_ns, 1_000_000_000)
    fraction = (rest << 32) // 1_000_000_000
    counts = stream.packets & 0xFFFFFFFF, stream.octets & 0xFFFFFFFF
    ntp = (seconds + _NTP_EPOCH_S) & 0xFFFFFFFF
    report = struct.pack(">BBHIIIIII", 0x80, SR, 6, stream.ssrc, ntp, fraction, stream.stamp(pts), *counts)
    item = struct.pack(">IBB", stream.ssrc, 1, len(CNAME)) + CNAME
    item = item.ljust(-(-(len(item) + 1) // 4) * 4, b"\x00")  # at least one zero ends the list
    return report + struct.pack(">BBH", 0x81, SDES, len(item) // 4) + item


@attrs.frozen
class Heard:
    """A compound packet of a receiver."""

    loss: float | None
    """The share of packets lost since its last report, 0 to 1; None if it reports of nothing."""


def read_report(data: bytes) -> Heard | None:
    """Read a receiver's compound packet; None for anything that is no RTCP."""
    if not 8 <= len(data) <= MAX_RTCP or data[0] >> 6 != 2 or data[1] not in (SR, RR):
        return None
    size = 4 + 4 * int.from_bytes(data[2:4])
    block = 8 if data[1] == RR else 28
    if size > len(data):
        return None
    return Heard(data[block + 4] / 256 if data[0] & 0x1F and size >= block + 24 else None)
