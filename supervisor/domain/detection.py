"""Detections: which are suggested to all pages, for how long, and which one replaces another.

Rules of this file:
- There are at most `Policy.at_once` suggestions, one for each camera. Each is a lease: it opens its camera, and ends.
- A detection at a camera that is shown extends its suggestion, and does not move it: not with each detection, but by
  steps. A camera that moves all the time would fill the journal otherwise.
- Only suggestions start playback without a request. An old detection is journaled, but not suggested.
- A repeated report of a detection is ignored.
"""

from msgspec.structs import replace

from .common import (
    RETRY_WHEN_FULL_S,
    Arms,
    Changes,
    Decisions,
    Events,
    elapsed_s,
    require_camera,
    require_not_private,
    require_running,
)
from .core import FIRST, OUTSIDE, SOON, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import CameraId, DetectionId, LeaseId, detection_stream
from .lease import LeaseEvent, LeaseGranted, end, suggested
from .lifecycle import CameraPhase
from .state import KEYS, Detected, State, Suggestion
from .values import Fault, LeaseKind, Policy, Reason
from .words import seconds


class ReportDetection(Command, frozen=True):
    """A detector reports a detection. `lease` is a new id for a suggestion that may follow."""

    detection: DetectionId
    lease: LeaseId
    camera: CameraId
    at_ns: int
    label: str
    score: float
    by: str
    box: tuple[float, ...] = ()
    key: str = ""
    pictured: bool = False

    sender = "gateway, motion detector, detectors"


class DetectionMade(Event, frozen=True):
    """A detector reported a detection. It was also decided whether it is suggested to all pages."""

    detection: DetectionId
    """As in `/api/detections`."""
    camera: CameraId
    """Its name in the configuration."""
    at_ns: int
    """When it was seen, according to the detector."""
    label: str
    """The kind of object or condition."""
    score: float
    """The detector's confidence, from 0 to 1."""
    by: str
    """Name of the detector in the configuration, or the address of one that reports, without its port; `motion` for
    banken's own detector."""
    suggested: bool
    """Whether it became a suggestion, or extended one."""
    why: str
    """Why it is or is not suggested."""
    box: tuple[float, ...] = ()
    """Left, top, width and height, as shares of the frame."""
    key: str = ""
    """The detector's name for it. A repeated key is not a new detection."""
    pictured: bool = False
    """Whether a picture came with it. It is kept in memory only."""

    severity = Severity.INFO
    emitters = ("ReportDetection",)
    causes = (OUTSIDE, "ChildStarted")
    cause_note = "none, a request from outside or motion; `ChildStarted` of the program that reported it"
    when = (
        "before the answer. A repeated key, a time in the future, an unknown camera and a report beyond a limit lead "
        "to no event"
    )
    stored = f"{FIRST}; {SOON} for motion and the detectors of the configuration"

    @property
    def stream(self) -> str:
        return detection_stream(self.camera)

    def sentence(self) -> str:
        return f"{self.label} seen by {self.by} at {self.camera}, score {self.score:.2f}: {self.why}"


class SuggestionEvent(LeaseEvent, frozen=True):
    detection: DetectionId
    """The detection that is shown."""
    label: str
    """As in `DetectionMade`."""
    score: float
    """As in `DetectionMade`."""
    until_ns: int
    """When it ends, unless it is extended."""
    at_ns: int = 0
    """As in `DetectionMade`; 0 in older journals."""
    by: str = ""
    """As in `DetectionMade`; empty in older journals."""
    box: tuple[float, ...] = ()
    """As in `DetectionMade`."""
    pictured: bool = False
    """As in `DetectionMade`."""

    emitters = ("ReportDetection",)
    causes = ("DetectionMade",)
    stored = f"{FIRST}; {SOON} for motion and the detectors of the configuration"


class SuggestionMade(SuggestionEvent, frozen=True):
    """All pages show this camera until `until_ns`, above those that they show already."""

    severity = Severity.NOTICE
    when = (
        "directly after the `LeaseGranted` of kind `suggest`, if the policy of `detections:` selects it; a replaced "
        "one has `LeaseEnded` (`replaced`) just before"
    )

    def sentence(self) -> str:
        return f"all pages show {self.camera}: {self.label}, score {self.score:.2f}"


class SuggestionExtended(SuggestionEvent, frozen=True):
    """A camera that all pages show has another detection, and is shown until `until_ns`."""

    severity = Severity.INFO
    when = (
        "directly after the `DetectionMade`, if the policy of `detections:` selects it, and it adds 10 s (or a quarter "
        "of `detections.shown`) or has a more important label"
    )

    def sentence(self) -> str:
        return f"all pages show {self.camera} for longer: {self.label}, score {self.score:.2f}"


AHEAD_S = 5.0
"""The clock of a detector may be ahead of the daemon's by this time."""


OLDEST_S = 30 * 86400.0
"""A detection that seems to be older comes from a wrong clock."""


STALE_S = 10.0
"""An older detection is not suggested."""


STEADY_S = 20.0
"""Only a more important detection replaces a suggestion that is younger."""


STEP_S = 10.0
"""A suggestion is extended by at least this time, or by a quarter of the time for which one is shown."""


SHOWS_NOTHING = (CameraPhase.FAILED, CameraPhase.QUARANTINED)


REPLACED = Reason("replaced", "another detection has taken its place", Fault.NONE)


def report_detection(state: State, command: ReportDetection, now_ns: int) -> Events:
    require_running(state, retry_after_s=RETRY_WHEN_FULL_S)
    require_camera(state, command.camera)
    require_not_private(state, command.camera)
    switched = state.privacy.get(command.camera)
    if switched is not None and switched.began_ns <= command.at_ns < switched.since_ns:
        raise Rejected(Refusal.PRIVATE, f"{command.camera} was private at that time")
    ahead_s = elapsed_s(now_ns, command.at_ns)
    if ahead_s > AHEAD_S:
        raise Rejected(Refusal.INVALID, f"its time is {seconds(ahead_s)} in the future; check the detector's clock")
    if -ahead_s > OLDEST_S:
        raise Rejected(Refusal.INVALID, f"it is {seconds(-ahead_s)} old; check the detector's clock")
    if known(state, command.key) is not None:
        return ()
    shown = next((each for each in state.suggestions if each.camera == command.camera), None)
    why_not = _why_not(state, command, now_ns)
    replaced = None
    if why_not is None and shown is None and len(state.suggestions) >= state.policy.at_once:
        replaced = _replaced(state, command.label, now_ns)
        why_not = None if replaced else _all_as_important(state)
    shown_s = state.policy.shown_s
    until_ns = now_ns + int(shown_s * 1e9)
    if why_not is None and shown is not None and not _extends(state.policy, shown, command.label, until_ns):
        why_not = "all pages show its camera already"
    made = DetectionMade(
        command.detection,
        command.camera,
        command.at_ns,
        command.label,
        command.score,
        command.by,
        suggested=why_not is None,
        why=why_not or f"all pages show it for {shown_s:g} s{' more' if shown else ''}",
        box=command.box,
        key=command.key,
        pictured=command.pictured,
    )
    if why_not is not None:
        return (made,)
    if shown is not None:
        return (made, _suggestion(SuggestionExtended, shown.lease, command, max(until_ns, shown.until_ns)))
    ending = () if replaced is None else end(state, state.leases[replaced.lease], REPLACED, now_ns)
    granted = LeaseGranted(
        command.lease, command.camera, LeaseKind.SUGGEST, "banken", until_ns=until_ns, purpose=command.label
    )
    return (made, *ending, granted, _suggestion(SuggestionMade, command.lease, command, until_ns))


def _suggestion(
    kind: type[SuggestionMade | SuggestionExtended], lease: LeaseId, command: ReportDetection, until_ns: int
) -> SuggestionMade | SuggestionExtended:
    return kind(
        lease,
        command.camera,
        command.detection,
        command.label,
        command.score,
        until_ns,
        at_ns=command.at_ns,
        by=command.by,
        box=command.box,
        pictured=command.pictured,
    )


def known(state: State, key: str) -> Detected | None:
    """The outcome of the detection with this key; None if it is unknown or too long ago."""
    return next((each for each in reversed(state.detected) if each.key == key), None) if key else None


def _why_not(state: State, command: ReportDetection, now_ns: int) -> str | None:
    """Why a detection is not suggested; None if it is."""
    policy = state.policy
    if policy.labels and command.label not in policy.labels:
        return f"{command.label} is not among the labels that are suggested"
    if command.score < policy.score:
        return f"its score is below {policy.score:g}"
    age_s = elapsed_s(command.at_ns, now_ns)
    if age_s > STALE_S:
        return f"it is {age_s:.0f} s old"
    camera = state.cameras[command.camera]
    if camera.phase in SHOWS_NOTHING:
        return f"{command.camera} is {camera.phase.value} and shows nothing"
    ago_s = elapsed_s(camera.suggested_ns, now_ns)
    if ago_s < policy.quiet_s and all(shown.camera != command.camera for shown in state.suggestions):
        return f"{command.camera} was shown {ago_s:.0f} s ago"
    return None


def _extends(policy: Policy, shown: Suggestion, label: str, until_ns: int) -> bool:
    """Whether a detection changes the suggestion of its camera: by a step of time, or a more important label."""
    step_s = min(STEP_S, policy.shown_s / 4)
    return elapsed_s(shown.until_ns, until_ns) >= step_s or _rank(policy, label) < _rank(policy, shown.label)


def _replaced(state: State, label: str, now_ns: int) -> Suggestion | None:
    """The suggestion that one with `label` replaces: the least important, of these the one seen longest ago.

    One that is as important is replaced after `STEADY_S`. None if all are more important or too young.
    """
    policy, rank = state.policy, _rank(state.policy, label)

    def may_end(shown: Suggestion) -> bool:
        its = _rank(policy, shown.label)
        return its > rank or (its == rank and elapsed_s(shown.since_ns, now_ns) >= STEADY_S)

    free = [shown for shown in state.suggestions if may_end(shown)]
    return max(free, key=lambda shown: (_rank(policy, shown.label), -shown.until_ns), default=None)


def _all_as_important(state: State) -> str:
    names = [shown.camera for shown in state.suggestions]
    if len(names) == 1:
        return f"{names[0]} is shown, which is as important"
    return f"{', '.join(names[:-1])} and {names[-1]} are shown, which are as important"


def _rank(policy: Policy, label: str) -> int:
    """The rank of a label, 0 for the most important one."""
    return policy.labels.index(label) if label in policy.labels else len(policy.labels)


def _suggestion_made(state: State, event: SuggestionMade, at: Recorded) -> Changes:
    return suggested((_of(event, at.wall_ns), *state.suggestions))


def _suggestion_extended(state: State, event: SuggestionExtended, at: Recorded) -> Changes:
    lease = replace(state.leases[event.lease], until_ns=event.until_ns)
    shown = tuple(_of(event, each.since_ns) if each.lease == event.lease else each for each in state.suggestions)
    return {**suggested(shown), "leases": state.leases.insert(event.lease, lease)}


def _of(event: SuggestionEvent, since_ns: int) -> Suggestion:
    return Suggestion(
        event.lease,
        event.camera,
        event.detection,
        event.label,
        event.score,
        since_ns=since_ns,
        until_ns=event.until_ns,
        at_ns=event.at_ns,
        by=event.by,
        box=event.box,
        pictured=event.pictured,
    )


def _detection_made(state: State, event: DetectionMade, at: Recorded) -> Changes:
    if not event.key:
        return {}
    detected = Detected(event.key, event.detection, event.suggested, event.why)
    return {"detected": (*state.detected, detected)[-KEYS:]}


DECISIONS: Decisions = {
    ReportDetection: report_detection,
}


ARMS: Arms = {
    DetectionMade: _detection_made,
    SuggestionMade: _suggestion_made,
    SuggestionExtended: _suggestion_extended,
}
