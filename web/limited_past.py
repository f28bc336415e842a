"""The past, without the cameras outside a scope. Blocking; for the journal's thread.

Rules of this file:
- A camera outside the scope is asked for under a name that no camera can have. So the answer, its bytes and its time
  are those for one that does not exist.
- Nothing but the cameras that are visible now is shown, whatever the scope had when an event happened.
"""

from typing import Any

import attrs
from msgspec.structs import replace

from supervisor.domain.availability import Availability
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.scoped import NOBODY, Visible, part_with, redacted
from supervisor.domain.scoped_events import shown, shown_or_hidden, step_is_shown
from supervisor.ports.audit import AuditFilter, AuditPage, Live
from supervisor.ports.past import Instant, Past, Step, Timeline, TooLong, Why, no_such_camera
from supervisor.ports.questions import At

MOST_TROUBLES = 1000
"""Warnings and errors of other cameras that are passed over: some 0.1 s."""


@attrs.frozen
class LimitedPast:
    """Answers about the cameras `visible`."""

    _past: Past
    _visible: Visible
    outside: set[CameraId] = attrs.field(factory=set)
    """Other cameras that were asked for."""

    def moment(self, at: At | None) -> Instant:
        then = self._past.moment(at)
        silence = then.silence
        if silence is not None:
            silence = type(silence)(*(shown_or_hidden(each, self._visible) for each in silence))
        return attrs.evolve(
            then,
            event=shown_or_hidden(then.event, self._visible),
            first=shown_or_hidden(then.first, self._visible),
            last=shown_or_hidden(then.last, self._visible),
            state=part_with(then.state, self._visible),
            silence=silence,
        )

    def trouble(self, after: int | None, before: int | None) -> Recorded | None:
        for _ in range(MOST_TROUBLES):
            found = self._past.trouble(after, before)
            if found is None or (event := shown(found, self._visible)) is not None:
                return None if found is None else event
            after, before = (found.seq, None) if before is None else (None, found.seq)
        raise TooLong(f"none of {MOST_TROUBLES} warnings and errors there is of your cameras: ask for their events")

    def why(self, seq: int) -> Why:
        found = self._past.why(seq)
        steps = tuple(self._step(each) for each in found.steps if self._is_shown(each))
        if not steps or steps[-1].seq != seq:
            raise Rejected(Refusal.UNKNOWN, f"the journal holds no event {seq}")
        cut = found.cut if steps[0].seq == found.steps[0].seq else None
        return Why(seq, steps, cut)

    def timeline(self, since: At | None, until: At | None, camera: CameraId | None) -> Timeline:
        self._require(camera, lambda nobody: self._past.timeline(since, until, nobody))
        drawn = self._past.timeline(since, until, camera)
        lanes = [
            replace(each, spans=self._texts(each.spans), below=self._texts(each.below))
            for each in drawn.lanes
            if each.camera in self._visible
        ]
        marks = [each for each in drawn.marks if each.camera in self._visible]
        return replace(drawn, lanes=tuple(lanes), marks=self._texts(marks))

    def availability(self, since: At | None, until: At | None, camera: CameraId | None) -> Availability:
        self._require(camera, lambda nobody: self._past.availability(since, until, nobody))
        return self._of_visible(self._past.availability(since, until, camera))

    def audit(
        self, since: At | None, until: At | None, wanted: AuditFilter, limit: int, before: int | None, live: Live | None
    ) -> AuditPage:
        if wanted.camera is not None and wanted.camera not in self._visible:
            self.outside.add(wanted.camera)
            wanted = attrs.evolve(wanted, camera=NOBODY)
        wanted = attrs.evolve(wanted, visible=self._visible, people=False)
        return self._past.audit(since, until, wanted, limit, before, live)

    def whole(self, since_ns: int, until_ns: int) -> Availability:
        return self._of_visible(self._past.whole(since_ns, until_ns))

    def _require(self, camera: CameraId | None, ask: Any) -> None:
        """Raise what `ask` raises about a camera that does not exist, unless `camera` is visible, or None."""
        if camera is None or camera in self._visible:
            return
        self.outside.add(camera)
        try:
            ask(NOBODY)
        except Rejected as error:
            raise as_asked(error, camera) from None
        raise no_such_camera(camera)

    def _of_visible(self, found: Availability) -> Availability:
        return replace(found, cameras=tuple(one for one in found.cameras if one.camera in self._visible))

    def _is_shown(self, step: Step) -> bool:
        return step_is_shown(step.type, step.camera, step.stream, self._visible)

    def _step(self, step: Step) -> Step:
        return replace(step, text=redacted(step.text, self._visible))

    def _texts(self, found: Any) -> tuple[Any, ...]:
        return tuple(replace(each, text=redacted(each.text, self._visible)) for each in found)


def as_asked(error: Rejected, name: str) -> Rejected:
    """An error about `NOBODY`, as one about the camera that was asked for."""
    return attrs.evolve(error, reason=error.reason.replace(repr(NOBODY), repr(CameraId(name[:80]))))
