"""When what a monitor reads is worth a word: levels with hysteresis, and the alerts that say so. More is always worse.

Rules of this file:
- What stands is what the state's alerts say: there is no other memory, so the journal explains every change.
- A monitor has one alert at the most. It is raised at `raise_at` and stands until the level has come down to
  `clear_at`: a level that trembles about a threshold is said once.
- A monitor that could not be read changes nothing: not to know is not to be well.
"""

from collections.abc import Collection, Sequence

import attrs

from . import commands as c
from .verdict import Verdict

GRAVE = {Verdict.DEGRADED: "warning", Verdict.CRITICAL: "critical"}
"""What an alert of a monitor is called, behind the monitor's name: `memory-warning`."""


@attrs.frozen
class Threshold:
    """Raised at or above `raise_at`, cleared at or below `clear_at`, which is the lower one."""

    raise_at: float
    clear_at: float = attrs.field()

    @clear_at.validator
    def _is_below(self, attribute: object, clear_at: float) -> None:
        if not clear_at < self.raise_at:
            raise ValueError(f"cleared at {clear_at:g}, which is not below {self.raise_at:g}, where it is raised")

    def is_passed(self, level: float, stands: bool) -> bool:
        return level >= self.raise_at or (stands and level > self.clear_at)


@attrs.frozen
class Thresholds:
    warning: Threshold
    critical: Threshold | None = None
    """None where it is never more than a warning."""

    def grade(self, level: float, before: Verdict) -> Verdict:
        """The verdict over `level`, when `before` is what stood until now."""
        critical = self.critical
        if critical is not None and critical.is_passed(level, before is Verdict.CRITICAL):
            return Verdict.CRITICAL
        return Verdict.DEGRADED if self.warning.is_passed(level, before is not Verdict.OK) else Verdict.OK


@attrs.frozen
class Figure:
    """A number of a reading, as Prometheus has it."""

    metric: str
    """Its name, which begins with `banken_`."""
    help: str
    value: float


@attrs.frozen
class Reading:
    """What a monitor has found. `level` is what thresholds are compared with; none when it could not be read."""

    level: float | None
    text: str
    """For people, in one line; without a level, why there is none."""
    figures: Sequence[Figure] = ()


def alert_of(monitor: str, verdict: Verdict) -> str:
    """The name of the alert. It has no slash: what stands behind one may be a camera."""
    return f"{monitor}-{GRAVE[verdict]}"


def standing(alerts: Collection[str], monitor: str) -> Verdict:
    """What was last said of a monitor."""
    found = [verdict for verdict in GRAVE if alert_of(monitor, verdict) in alerts]
    return found[-1] if found else Verdict.OK


def verdict_of(alert: str) -> Verdict:
    """How grave an alert of any kind is: critical where a monitor says so."""
    return Verdict.CRITICAL if "/" not in alert and alert.endswith("-critical") else Verdict.DEGRADED


def words(
    monitor: str, reading: Reading, thresholds: Thresholds, before: Verdict
) -> Sequence[c.RaiseAlert | c.ClearAlert]:
    """What is to be said of a new reading, where `before` stands. A new alert comes before the old one goes."""
    after = before if reading.level is None else thresholds.grade(reading.level, before)
    if after is before:
        return ()
    raised = [c.RaiseAlert(alert_of(monitor, after), reading.text)] if after in GRAVE else []
    cleared = [c.ClearAlert(alert_of(monitor, before))] if before in GRAVE else []
    return (*raised, *cleared)
