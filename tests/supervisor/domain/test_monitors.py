"""When a monitor raises its voice, and when it is quiet again."""

from collections.abc import Sequence

import pytest

from supervisor.domain import commands as c
from supervisor.domain.health import health
from supervisor.domain.monitors import Reading, Threshold, Thresholds, standing, verdict_of, words
from supervisor.domain.state import State
from supervisor.domain.verdict import Verdict
from tests.kit.domain import running

SHARE = Thresholds(Threshold(0.8, 0.75), Threshold(0.9, 0.85))
WARNING, CRITICAL = "memory-warning", "memory-critical"


def verdicts(levels: Sequence[float], thresholds: Thresholds = SHARE) -> str:
    """The verdicts over a row of levels, by their first letters."""
    row, before = "", Verdict.OK
    for level in levels:
        before = thresholds.grade(level, before)
        row += before.value[0]
    return row


@pytest.mark.parametrize(
    ("levels", "row"),
    [
        ((0.79, 0.80, 0.79, 0.76, 0.75), "odddo"),
        ((0.79, 0.78, 0.79), "ooo"),
        ((0.80, 0.89, 0.90, 0.86, 0.85, 0.76, 0.75), "ddccddo"),
        ((0.95, 0.80, 0.95, 0.10), "cdco"),
        ((0.74, 0.99, 0.76), "ocd"),
    ],
    ids=["a warning", "not enough for one", "up and down", "in leaps", "down to what the warning still covers"],
)
def test_a_level_is_raised_at_one_mark_and_cleared_at_a_lower(levels: tuple[float, ...], row: str) -> None:
    """Verdict by verdict (o, d, c): raised at 0.80 and 0.90, cleared at 0.75 and 0.85."""
    assert verdicts(levels) == row


def test_level_around_a_threshold_raises_one_warning() -> None:
    """A level of 0.80 and 0.79 in turn, fifty times, stays one warning."""
    assert verdicts([0.80, 0.79] * 50) == "d" * 100


def test_without_a_critical_threshold_it_is_never_more_than_a_warning() -> None:
    """Even a level of 1e9 is only degraded."""
    assert verdicts([0.5, 2, 1e9, 0.4], Thresholds(Threshold(1, 0.5))) == "oddo"


@pytest.mark.parametrize("clear_at", [0.8, 0.9, float("nan")])
def test_thresholds_without_hysteresis_cannot_be_made(clear_at: float) -> None:
    """A clearing level that is equal, higher or NaN is a ValueError."""
    with pytest.raises(ValueError, match=r"not below 0\.8, where it is raised"):
        Threshold(0.8, clear_at)


def follow(*levels: float | None) -> tuple[list[str], State]:
    """The alerts of a monitor that reads these levels one after the other, and the state at the end."""
    story, said = running(), []
    for level in levels:
        for word in words("memory", Reading(level, f"{level} in use"), SHARE, standing(story.state.alerts, "memory")):
            story.when(word)
            said.append(f"{'raise' if isinstance(word, c.RaiseAlert) else 'clear'} {word.alert}")
    return said, story.state


def test_one_alert_stands_at_a_time_and_the_new_one_comes_first() -> None:
    """The alert of the new level is raised before the old one is cleared, so that there is always one."""
    said, state = follow(0.5, 0.8, 0.85, 0.95, 0.92, 0.84, 0.5, 0.5)
    assert said == [
        f"raise {WARNING}",
        f"raise {CRITICAL}", f"clear {WARNING}",
        f"raise {WARNING}", f"clear {CRITICAL}",
        f"clear {WARNING}",
    ]  # fmt: skip
    assert not state.alerts


def test_reading_without_a_level_changes_no_alert() -> None:
    """A reading without a level neither clears the critical alert nor changes its text."""
    said, state = follow(0.95, None, None)
    assert said == [f"raise {CRITICAL}"]
    assert state.alerts[CRITICAL].text == "0.95 in use"


def test_end_of_a_run_clears_its_alerts_and_the_next_raises_them_again() -> None:
    """Nothing is remembered beside the alerts that stand."""
    assert words("memory", Reading(0.78, ""), SHARE, Verdict.DEGRADED) == ()
    assert words("memory", Reading(0.78, ""), SHARE, Verdict.OK) == ()
    assert words("memory", Reading(0.88, ""), SHARE, Verdict.OK) == (c.RaiseAlert(WARNING, ""),)


def test_health_has_each_monitor_with_its_newest_words_and_the_verdict_of_its_alert() -> None:
    """At 88 % memory is still critical, since it was 95 % and has not fallen to 85 %."""
    _, state = follow(0.95)
    found = health(state, None, {"memory": Reading(0.88, "88 % in use"), "disk": Reading(0.1, "room")})
    parts = {part.part: (part.verdict.value, part.reason) for part in found.parts}
    assert parts["monitor/memory"] == ("critical", "88 % in use")
    assert parts["monitor/disk"] == ("ok", "room")
    assert parts[f"alert/{CRITICAL}"] == ("critical", "0.95 in use")
    assert found.verdict is Verdict.CRITICAL


def test_not_to_know_is_not_to_be_well() -> None:
    """A monitor that cannot be read is at least degraded, and never hides a critical alert."""
    unread = {"memory": Reading(None, "cannot be read: no answer")}
    for level, verdict in ((0.5, Verdict.DEGRADED), (0.8, Verdict.DEGRADED), (0.95, Verdict.CRITICAL)):
        assert health(follow(level)[1], None, unread).verdict is verdict


def test_alerts_of_cameras_are_never_taken_for_those_of_monitors() -> None:
    """For any camera name."""
    assert verdict_of(CRITICAL) is Verdict.CRITICAL
    for alert in (WARNING, "children/front-critical", "sound/memory-critical", "crash/audio/x-critical"):
        assert verdict_of(alert) is Verdict.DEGRADED
