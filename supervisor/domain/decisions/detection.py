"""Decisions about detections: which of them all pages are to show, for how long, and for which one another gives way.

Rules of this file:
- There is at most one suggestion, and it is a lease: it opens its camera, and ends.
- Only this starts playback that nobody asked for. What is old news is remembered and shown to nobody.
- The same detection told twice is one.
"""

from .. import commands as c
from .. import events as e
from ..errors import Refusal, Rejected
from ..lifecycle import CameraPhase
from ..state import Detected, State
from ..values import Fault, LeaseKind, Policy, Reason
from .common import Events, elapsed_s, require_camera, require_running
from .lease import RETRY_WHEN_FULL_S, end

AHEAD_S = 5.0
"""The clock of a detector may go before ours by so much."""
OLDEST_S = 30 * 86400.0
"""What is said to be older is the word of a wrong clock."""
STALE_S = 10.0
"""What was seen longer ago is not suggested."""
SHOWS_NOTHING = (CameraPhase.FAILED, CameraPhase.QUARANTINED)
REPLACED = Reason("replaced", "another detection is more important", Fault.NONE)


def report_detection(state: State, command: c.ReportDetection, now_ns: int) -> Events:
    require_running(state, retry_after_s=RETRY_WHEN_FULL_S)
    require_camera(state, command.camera)
    ahead_s = elapsed_s(now_ns, command.at_ns)
    if ahead_s > AHEAD_S:
        raise Rejected(Refusal.INVALID, f"its time lies {ahead_s:g} s in the future; is the detector's clock right?")
    if -ahead_s > OLDEST_S:
        raise Rejected(Refusal.INVALID, f"it is {-ahead_s:g} s old; is the detector's clock right?")
    if known(state, command.key) is not None:
        return ()
    why_not = _why_not(state, command, now_ns)
    shown_s = state.policy.shown_s
    made = e.DetectionMade(
        command.detection,
        command.camera,
        command.at_ns,
        command.label,
        command.score,
        command.by,
        suggested=why_not is None,
        why=why_not or f"all pages show it for {shown_s:g} s",
        box=command.box,
        key=command.key,
    )
    if why_not is not None:
        return (made,)
    before, until_ns = state.suggestion, now_ns + int(shown_s * 1e9)
    ending = () if before is None else end(state, state.leases[before.lease], REPLACED, now_ns)
    granted = e.LeaseGranted(
        command.lease, command.camera, LeaseKind.SUGGEST, "banken", until_ns=until_ns, purpose=command.label
    )
    suggestion = e.SuggestionMade(
        command.lease, command.camera, command.detection, command.label, command.score, until_ns
    )
    return (made, *ending, granted, suggestion)


def known(state: State, key: str) -> Detected | None:
    """What came of the detection that was told with this key; none if there was none, or too long ago."""
    return next((each for each in reversed(state.detected) if each.key == key), None) if key else None


def _why_not(state: State, command: c.ReportDetection, now_ns: int) -> str | None:
    """Why a detection is not suggested; none if it is."""
    policy, shown = state.policy, state.suggestion
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
    if shown is not None:
        if shown.camera == command.camera:
            return f"{shown.camera} is shown already"
        if _rank(policy, command.label) >= _rank(policy, shown.label):
            return f"{shown.camera} is shown, which is as important"
    ago_s = elapsed_s(camera.suggested_ns, now_ns)
    if ago_s < policy.quiet_s:
        return f"{command.camera} was shown {ago_s:.0f} s ago"
    return None


def _rank(policy: Policy, label: str) -> int:
    """0 for the most important label."""
    return policy.labels.index(label) if label in policy.labels else len(policy.labels)
