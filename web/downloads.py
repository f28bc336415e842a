"""Downloads that are journaled already. A player asks for many ranges of one clip; they are one download.

Rules of this file:
- A download is all requests of one principal at one address for the same bytes, each within `TOGETHER_S` of the last.
- The table is bounded. A download that it has forgotten is journaled again: too often, and never too rarely.
"""

from collections import OrderedDict
from collections.abc import Hashable

TOGETHER_S = 600.0
MOST = 1024


class CutOff(Exception):
    """An answer ends before its last byte. The connection is closed, so that its client sees it."""


class Downloads:
    """Made once for each application. Times are those of one clock, in seconds."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, float] = OrderedDict()

    def goes_on(self, key: Hashable, now: float) -> bool:
        """Whether a request belongs to a download that is journaled."""
        if now > self._known.get(key, float("-inf")) + TOGETHER_S:
            return False
        self.note(key, now)
        return True

    def note(self, key: Hashable, now: float) -> None:
        """The download is journaled."""
        self._known[key] = now
        self._known.move_to_end(key)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
