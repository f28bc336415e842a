"""Waits before a supervised program is started again."""

from supervisor.domain.restart import (
    CRASH_WINDOW_S,
    CRASHES,
    HEALTHY_AFTER_S,
    PROBE_BASE_S,
    QUARANTINE_BASE_S,
    Restarts,
)
from supervisor.domain.values import Fault, Reason

ENDED = Reason("ended", "it exited with 1", Fault.TEMPORARY)
MISSING = Reason("not-started", "no such program", Fault.FATAL)
S = 1_000_000_000


def after_ends(number: int, every_s: float, before: Restarts | None = None) -> Restarts:
    restarts = before or Restarts()
    for index in range(number):
        restarts = restarts.after(ENDED, 0, int((1000 + index * every_s) * S), 0.5)
    return restarts


def test_waits_grow_with_each_end() -> None:
    """As for a camera: half of 1, 2, 4, 8 s with this random number."""
    assert [after_ends(number, 100).delay_s for number in (1, 2, 3, 4)] == [0.5, 1, 2, 4]


def test_too_many_ends_within_the_window_are_a_quarantine_that_doubles() -> None:
    """Afterwards ends are counted afresh, and the next quarantine is longer."""
    once = after_ends(CRASHES + 1, 1)
    assert (once.is_quarantined, once.delay_s) == (True, QUARANTINE_BASE_S)
    assert not after_ends(CRASHES, 1, once).is_quarantined
    again = after_ends(CRASHES + 1, 1, once)
    assert (again.is_quarantined, again.delay_s) == (True, 2 * QUARANTINE_BASE_S)


def test_ends_that_are_far_apart_are_no_quarantine() -> None:
    """Only those within the window count together."""
    assert not after_ends(100, CRASH_WINDOW_S / CRASHES + 1).is_quarantined


def test_program_that_ran_for_long_begins_with_short_waits() -> None:
    """Its earlier failures and quarantines are forgotten."""
    known = after_ends(CRASHES + 1, 1).after(ENDED, HEALTHY_AFTER_S, 9000 * S, 0.5)
    assert (known.failures, known.quarantines, known.delay_s) == (1, 0, 0.5)


def test_fatal_fault_is_tried_again_with_doubled_waits_and_without_quarantine() -> None:
    """Another kind of end in between begins with the first wait."""
    restarts, waits = Restarts(), []
    for second in range(8):
        restarts = restarts.after(MISSING, 0, second * S, 0.5)
        waits.append(restarts.delay_s)
    assert waits[:3] == [PROBE_BASE_S, 2 * PROBE_BASE_S, 4 * PROBE_BASE_S]
    assert not restarts.is_quarantined
    assert restarts.after(ENDED, 0, 900 * S, 0.5).after(MISSING, 0, 901 * S, 0.5).delay_s == PROBE_BASE_S
