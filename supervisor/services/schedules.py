"""Schedules: switches cameras to private and back, at the times that their settings name.

Rules of this file:
- A person's switch holds until the schedule next changes. A schedule that is new may only add privacy until then.
- The clock and the time zone may change at any time: both are read again at each look.
"""

import time
from datetime import tzinfo

import attrs
import trio

from ..domain import commands as c
from ..domain.ids import CameraId
from ..domain.schedule import ScheduleAnswer, standing
from ..domain.state import Privacy
from ..ports.decisions import Origin
from ..runtime.kernel import Kernel

LOOK_S = 10.0
"""The longest time between two looks."""
LEAST_S = 0.05
SYSTEM = Origin("system")
ALWAYS_SEEN = ScheduleAnswer(False, None, None, None)
"""Without a schedule."""


@attrs.frozen
class _Seen:
    """A camera as the last look saw it."""

    texts: tuple[str, ...]
    switched_ns: int
    """When its privacy was last switched."""
    held_ns: int
    """Since when that holds: earlier than `switched_ns` after the clock was set back."""


class Schedules:
    """Made once by the daemon. `zone` stands for the machine's in tests."""

    def __init__(self, kernel: Kernel, zone: tzinfo | None = None) -> None:
        self._kernel, self._zone = kernel, zone
        self._seen: dict[CameraId, _Seen] = {}

    async def run(self) -> None:
        """Look at each change of a schedule, and at least every `LOOK_S`, until cancelled.

        Cancellation: at any time. Cleanup: nothing is held.
        """
        while True:
            next_ns = self.look()
            wait_s = LOOK_S
            if next_ns is not None:
                wait_s = min(LOOK_S, (next_ns - self._kernel.clock.wall_ns()) / 1e9)
            await trio.sleep(max(LEAST_S, wait_s))

    def look(self) -> int | None:
        """Switch each camera whose time it is. Returns when a schedule next changes anything, if one does."""
        time.tzset()  # the zone of the machine may be another one now
        now_ns = self._kernel.clock.wall_ns()
        before, self._seen = self._seen, {}
        coming = []
        for name, camera in self._kernel.state.cameras.items():
            texts, switched = camera.settings.privacy, self._kernel.state.privacy.get(name)
            if not texts and switched is None:
                continue
            says = standing(texts, now_ns, self._zone) if texts else ALWAYS_SEEN
            coming += [at_ns for at_ns in (says.begins_ns, says.ends_ns) if at_ns is not None]
            self._seen[name] = seen = _see(before.get(name), texts, switched, now_ns)
            is_new = name in before and before[name].texts != texts
            self._switch(name, switched, says, seen.held_ns, is_new=is_new)
        return min(coming, default=None)

    def _switch(
        self, name: CameraId, switched: Privacy | None, says: ScheduleAnswer, held_ns: int, *, is_new: bool
    ) -> None:
        is_on = switched is not None and switched.on
        wanted = is_on if _holds(switched, says, held_ns, is_new=is_new) else says.private
        until_ns = says.ends_ns if wanted else says.begins_ns
        if wanted != is_on or (is_on and switched is not None and switched.until_ns != until_ns):
            self._kernel.emit(c.SetPrivacy(name, wanted, until_ns=until_ns), origin=SYSTEM)


def _see(before: _Seen | None, texts: tuple[str, ...], switched: Privacy | None, now_ns: int) -> _Seen:
    if switched is None:
        return _Seen(texts, 0, 0)
    held_ns = switched.since_ns
    if before is not None and before.switched_ns == switched.since_ns:
        held_ns = before.held_ns
    is_known = before.texts == texts if before is not None else switched.until_ns is not None
    if switched.on and not is_known:
        held_ns = now_ns  # what a person has switched off, a new schedule does not switch on at once
    return _Seen(texts, switched.since_ns, min(held_ns, now_ns))


def _holds(switched: Privacy | None, says: ScheduleAnswer, held_ns: int, *, is_new: bool) -> bool:
    """Whether a person's switch still holds against the schedule."""
    if switched is None or switched.scheduled:
        return False
    if is_new and says.private:
        return switched.on
    return says.since_ns is None or held_ns >= says.since_ns
