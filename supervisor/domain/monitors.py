"""Decides which readings of monitors raise or clear alerts, by levels with hysteresis. A higher level is always worse.

Rules of this file:
- The alerts in the state are the only memory, so the journal explains every change.
- A monitor has at most one alert. It is raised at `raise_at` and stays until the level has fallen to `clear_at`. So a
  level that oscillates around a threshold raises one alert.
- A monitor that could not be read changes nothing: unknown does not mean well.
"""

from collections.abc import Collection, Sequence

import attrs

from . import commands as c
from .verdict import Verdict

ALERT_SUFFIXES = {Verdict.DEGRADED: "warning", Verdict.CRITICAL: "critical"}
"""The suffix of an alert's name, after the monitor's name: `memory-warning`."""


@attrs.frozen
class Threshold:
    """Raised at or above `raise_at`, cleared at or below `clear_at`, which is lower."""

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
    """The thresholds of a monitor."""

    warning: Threshold
    critical: Threshold | None = None
    """None if the alert is never more than a warning."""

    def grade(self, level: float, before: Verdict) -> Verdict:
        """The verdict on `level`, if `before` was the verdict until now."""
        critical = self.critical
        if critical is not None and critical.is_passed(level, before is Verdict.CRITICAL):
            return Verdict.CRITICAL
        return Verdict.DEGRADED if self.warning.is_passed(level, before is not Verdict.OK) else Verdict.OK


@attrs.frozen
class Figure:
    """A number of a reading, as a Prometheus metric."""

    metric: str
    """The name of the metric, which begins with `banken_`."""
    help: str
    value: float
    is_counter: bool = False
    """The value only grows; the suffix `_total` is added."""


@attrs.frozen
class Reading:
    """The result of a monitor. Thresholds are compared with `level`; it is missing if the monitor could not be read."""

    level: float | None
    text: str
    """One line for people; without a level, the reason."""
    figures: Sequence[Figure] = ()


def alert_of(monitor: str, verdict: Verdict) -> str:
    """The name of the alert. It has no slash: the text after a slash may be a camera."""
    return f"{monitor}-{ALERT_SUFFIXES[verdict]}"


def standing(alerts: Collection[str], monitor: str) -> Verdict:
    """The verdict of a monitor's current alert; OK without an alert."""
    found = [verdict for verdict in ALERT_SUFFIXES if alert_of(monitor, verdict) in alerts]
    return found[-1] if found else Verdict.OK


def verdict_of(alert: str) -> Verdict:
    """The verdict of an alert of any kind. Only alerts of monitors can be critical."""
    return Verdict.CRITICAL if "/" not in alert and alert.endswith("-critical") else Verdict.DEGRADED


def words(
    monitor: str, reading: Reading, thresholds: Thresholds, before: Verdict
) -> Sequence[c.RaiseAlert | c.ClearAlert]:
    """The alerts to raise and clear for a new reading after the verdict `before`. A new alert precedes the clearing."""
    after = before if reading.level is None else thresholds.grade(reading.level, before)
    if after is before:
        return ()
    raised = [c.RaiseAlert(alert_of(monitor, after), reading.text)] if after in ALERT_SUFFIXES else []
    cleared = [c.ClearAlert(alert_of(monitor, before))] if before in ALERT_SUFFIXES else []
    return (*raised, *cleared)
