"""Comparison of the observations with the expectations of a case: the first difference. Pure.

`audio` can be compared by its codec alone: a viewer is sent Opus, and `/api/cameras` names the codec and nothing else.
`tries` are counted by the losses that `/api/cameras` shows. Everything else is seen by the viewer or by the camera.
"""

from collections.abc import Sequence

import attrs

from .form import Case, Video
from .units import Unit

SETTLE_S = 1.0
"""So long after the last expected access unit another one would be noticed."""
SILENT_S = 2.0
"""So long may no access unit come where the pictures are sent again and again."""
GRACE_S = 2.0
"""Beyond `within_s`: a daemon needs it for the way from the camera to the viewer on a machine with other work."""
LOST = ("waiting", "failed", "quarantined")
"""States of a camera whose source was lost."""


@attrs.frozen
class Seen:
    """The observations so far. Times are in seconds."""

    units: Sequence[Unit]
    """The access units that the viewer received."""
    elapsed_s: float
    """Since the camera was released."""
    quiet_s: float
    """Since the last access unit, or since the release."""
    state: str
    """The camera's, by `/api/cameras`."""
    reasons: Sequence[str] = ()
    """Why the camera was lost, each text once."""
    losses: int = 0
    audio: str = ""
    video: Video | None = None
    """As `/api/cameras` names it; None before the first key frame."""
    mute: str = ""
    """Why it has no audio."""
    dialogues: int = 1
    """Connections that the daemon has opened to the camera, and those of them that are open."""
    held: int = 1
    fault: str = ""
    """Why the case cannot be judged."""


def is_settled(case: Case, seen: Seen) -> bool:
    """Whether no later event can change the verdict, or the time is over."""
    if seen.fault or seen.elapsed_s >= case.within_s + GRACE_S:
        return True
    expect, lost = case.expect, seen.state in LOST and seen.losses >= case.tries
    if expect.alive_after_s is not None:
        return _has_ended(seen) or seen.elapsed_s >= expect.alive_after_s
    if expect.audio is not None or expect.video is not None:
        return seen.state == "live" or lost
    if expect.reason_mentions_any is not None:
        return not find_difference(case, seen) or lost
    wanted = expect.pictures or ()
    calm = seen.quiet_s >= SETTLE_S
    if expect.nothing_else and _first_difference(wanted, seen.units) < len(seen.units):
        return True
    return calm and (lost or (len(wanted) > 0 and not find_difference(case, seen)))


def find_difference(case: Case, seen: Seen) -> str:
    """Return the first difference between expectation and observation; empty if there is no difference."""
    if seen.fault:
        return seen.fault
    expect = case.expect
    if expect.reason_mentions_any is not None:
        return _miss_reason(expect.reason_mentions_any, seen)
    if expect.alive_after_s is not None:
        return _miss_life(case, expect.alive_after_s, seen)
    if expect.audio is not None:
        return _miss_audio(expect.audio.codec, seen)
    if expect.video is not None:
        return "" if seen.video == expect.video else f"video is {seen.video}, expected {expect.video}; {_why(seen)}"
    difference = _miss_pictures(case, expect.pictures or (), seen)
    if not difference and seen.losses >= case.tries:
        return f"the pictures came after {seen.losses} lost tries of {case.tries}; {_why(seen)}"
    return difference


def _miss_reason(words: Sequence[str], seen: Seen) -> str:
    if seen.units or any(word in reason for word in words for reason in seen.reasons):
        return ""
    return f"neither pictures nor a reason that mentions {' or '.join(words)}; {_why(seen)}"


def _miss_life(case: Case, after_s: float, seen: Seen) -> str:
    if _has_ended(seen):
        wanted = f"expected one that is open for {after_s:g} s"
        return f"the connection ended within {seen.elapsed_s:.1f} s, {wanted}; {_why(seen)}"
    if not seen.units or (case.loop and seen.quiet_s > SILENT_S):
        return f"no access unit came for {seen.quiet_s:.1f} s; {_why(seen)}"
    return ""


def _miss_audio(codec: str, seen: Seen) -> str:
    if seen.audio == codec:
        return ""
    why = f" ({seen.mute})" if seen.mute else ""
    return f"audio is {seen.audio or 'none'}{why}, expected {codec}; {_why(seen)}"


def _miss_pictures(case: Case, wanted: Sequence[str], seen: Seen) -> str:
    """The last picture that the camera sends may be missing: it may still wait for a next one to end it."""
    units = seen.units
    last = 0 if case.loop or len(units) >= len(case.pictures_hex_interleaved) else 1
    strange = next((index for index, unit in enumerate(units) if unit.codec != case.codec), None)
    if strange is not None:
        return f"access unit {strange + 1} is {units[strange].codec}, expected {case.codec}"
    if not case.expect.nothing_else:
        found = iter(unit.digest for unit in units)
        missed = next((index for index, each in enumerate(wanted) if each not in found), len(wanted))
        if missed >= len(wanted) - last and missed:
            return ""
        return f"access unit {missed + 1} of {len(wanted)} did not come; {_why(seen)}"
    at = _first_difference(wanted, units)
    if at >= len(wanted):
        return "" if len(units) == len(wanted) else f"access unit {at + 1} came, expected {len(wanted)} and no more"
    if at < len(units):
        came = units[at].digest
        known = f", which is that of access unit {wanted.index(came) + 1}" if came in wanted else ""
        why = f"; {_why(seen)}" if seen.reasons else ""
        return f"access unit {at + 1} of {len(wanted)} is {came}{known}, expected {wanted[at]}{why}"
    if at >= len(wanted) - last and at:
        return ""
    return f"{at} of {len(wanted)} access units came, expected {wanted[at]} next; {_why(seen)}"


def _first_difference(wanted: Sequence[str], units: Sequence[Unit]) -> int:
    """The index of the first access unit that differs, or where the shorter of both ends."""
    both = zip(wanted, units, strict=False)
    return next((at for at, (each, unit) in enumerate(both) if each != unit.digest), min(len(wanted), len(units)))


def _has_ended(seen: Seen) -> bool:
    return seen.dialogues > 1 or seen.held < seen.dialogues or seen.state in LOST


def _why(seen: Seen) -> str:
    """How the camera is."""
    reasons = f": {'; '.join(seen.reasons)}" if seen.reasons else ""
    return f"the camera is {seen.state or 'unknown'}{reasons}"
