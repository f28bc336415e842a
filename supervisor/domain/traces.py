"""Counts for the audit what is not journaled yet: pictures by client and camera, and refusals. Pure.

Rules of this file:
- A client and a camera have one event a minute, however many pictures there are. So have all refusals one a second.
- The tables are bounded, and so are the events of a second. The row that was reported longest ago makes room for a new
  one, and is reported first. Beyond `MOST` of these, pictures are in no report.
- To note something takes the same time for a camera that exists as for one that does not.
"""

import attrs

from .audit import ReportAccessRefused, ReportPictures
from .core import Command
from .ids import CameraId

PICTURES_EVERY_S = 60.0
REFUSALS_EVERY_S = 1.0
MOST = 1024
"""Clients and cameras that are counted apart."""
AT_ONCE = 20
"""Events for pictures in one call of `take`: with a call a second, this many a second."""
MOST_NAME = 63
"""Characters of a camera's name."""


@attrs.define
class _Sent:
    pictures: int = 0
    bytes: int = 0
    since: float = 0.0
    """When the first picture since the last report was sent."""
    reported: float = -PICTURES_EVERY_S


@attrs.define
class _Refused:
    principal: str
    client: str
    what: str
    camera: CameraId | None


@attrs.define
class Traces:
    """All times are seconds of one clock. Reports are pairs of a principal and a command."""

    _sent: dict[tuple[str, str, CameraId], _Sent] = attrs.field(factory=dict)
    """By principal, client and camera; the one that was reported longest ago first."""
    _over: list[tuple[str, Command]] = attrs.field(factory=list)
    _refused: _Refused | None = None
    _suppressed: int = 0
    _refused_at: float = -REFUSALS_EVERY_S

    def picture(self, principal: str, client: str, camera: CameraId, size: int, now: float, count: int = 1) -> None:
        """Count pictures that were sent, with `size` bytes in all."""
        key = principal, client, camera
        sent = self._sent.get(key)
        if sent is None:
            if len(self._sent) >= MOST:
                self._evict(now)
            sent = self._sent[key] = _Sent()
        if not sent.pictures:
            sent.since = now
        sent.pictures += count
        sent.bytes += size

    def refused(self, principal: str, client: str, what: str, camera: CameraId | None) -> None:
        """Count a refusal. `camera` is the name that was asked for, whether or not there is such a camera."""
        if self._refused is None:
            name = None if camera is None else CameraId(camera[:MOST_NAME])
            self._refused = _Refused(principal, client, what, name)
        else:
            self._suppressed += 1

    def take(self, now: float, *, everything: bool = False) -> list[tuple[str, Command]]:
        """The reports that are due now. `everything`: also those that are due later, since banken stops."""
        most = len(self._over) if everything else AT_ONCE
        found, self._over = self._over[:most], self._over[most:]
        for key, sent in list(self._sent.items()):
            if len(found) >= AT_ONCE and not everything:
                break
            if now - sent.reported < PICTURES_EVERY_S and not everything:
                continue
            del self._sent[key]
            if not sent.pictures:
                continue
            found.append(self._report(key, sent, now))
            self._sent[key] = _Sent(reported=now)
        refused = self._refused
        if refused is not None and (now - self._refused_at >= REFUSALS_EVERY_S or everything):
            report = ReportAccessRefused(refused.what, refused.client, refused.camera, self._suppressed)
            found.append((refused.principal, report))
            self._refused, self._suppressed, self._refused_at = None, 0, now
        return found

    def _report(self, key: tuple[str, str, CameraId], sent: _Sent, now: float) -> tuple[str, Command]:
        principal, client, camera = key
        return principal, ReportPictures(
            camera, client, sent.pictures, sent.bytes, round(max(0.0, now - sent.since), 3)
        )

    def _evict(self, now: float) -> None:
        """Make room for one more row; that of the oldest report is reported at the next call of `take`."""
        key = next(iter(self._sent))
        sent = self._sent.pop(key)
        if sent.pictures and len(self._over) < MOST:
            self._over.append(self._report(key, sent, now))
