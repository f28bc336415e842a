"""Two minutes of normal work leak no resource; `ops/soak.py --minutes 1440` is the long measurement."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.kit.slopes import COUNTS, Sample, judge
from tests.kit.soak import run_soak

MINUTES, CAMERAS, VIEWERS, SEED = 2.0, 16, 20, 1


async def test_two_minutes_of_restarts_and_viewers_grow_nothing(tmp_path: Path) -> None:
    """Sixteen cameras, a child killed every four seconds, twenty viewers who come and go, a graceful end."""
    samples: list[Sample] = []
    soaked = await run_soak(tmp_path, MINUTES, CAMERAS, VIEWERS, SEED, samples.append)
    verdict = judge(samples, soaked.seconds)
    assert verdict.leaks == (), f"ops/soak.py --minutes {MINUTES} --seed {SEED}"
    assert soaked.code == 0
    # A run without load would prove nothing.
    assert soaked.kills >= CAMERAS
    assert soaked.viewers >= 2 * VIEWERS
    assert max(sample.viewers for sample in samples) >= VIEWERS // 2
    assert {sample.processes for sample in samples if sample.quiet} == {1 + CAMERAS}


def soaking(
    descriptors: Callable[[int], int],
    seed: int = 1,
    moments: int = 12,
    seconds: float = 120,
    grown_mb: float = 1,
    threads: Callable[[int], int] | None = None,
) -> Iterator[Sample]:
    """Return samples over the given time: quiet moments with these descriptors, and a crowd between them."""
    random = Random(seed)
    for number in range(moments):
        at_s = seconds * number / moments
        memory = 60 + number * grown_mb
        working = threads(number) if threads else 2 + random.randrange(3)
        yield Sample(at_s, True, 0, descriptors(number), 17, working, memory, memory)
        yield Sample(at_s + 3, False, 20, 63 + random.randrange(60), 17, 2, memory, memory)


@pytest.mark.parametrize("seed", range(20))
def test_a_crowd_between_quiet_moments_is_no_leak(seed: int) -> None:
    """Neither are threads that come and go, growth while warming up, nor a count that falls."""
    assert judge(list(soaking(lambda _: 63, seed)), 120).leaks == ()
    assert judge(list(soaking(lambda number: min(60 + number, 63), seed)), 120).leaks == ()
    assert judge(list(soaking(lambda number: 90 - number, seed)), 120).leaks == ()


@pytest.mark.parametrize("each", [1, 2, 3])
def test_a_descriptor_that_is_kept_now_and_then_is_a_leak(each: int) -> None:
    """One for each quiet moment, or one for every few."""
    verdict = judge(list(soaking(lambda number: 63 + number // each)), 120)
    assert [leak.partition(":")[0] for leak in verdict.leaks] == ["descriptors"]
    assert verdict.slopes["descriptors"] > 0


def test_growing_number_of_threads_is_a_leak_and_idle_threads_are_not() -> None:
    """Between two and five threads of a pool are expected."""
    verdict = judge(list(soaking(lambda _: 63, threads=lambda number: 2 + number)), 120)
    assert [leak.partition(":")[0] for leak in verdict.leaks] == ["threads"]
    idle = (2, 2, 2, 4, 3, 3, 5, 4, 4, 5, 4, 4)
    assert judge(list(soaking(lambda _: 63, threads=lambda number: idle[number])), 120).leaks == ()


def test_one_odd_reading_neither_makes_nor_hides_a_leak() -> None:
    """The slope is a median, so one outlier does not move it."""
    assert judge(list(soaking(lambda number: 80 if number == 11 else 63)), 120).leaks == ()
    assert judge(list(soaking(lambda number: 200 if number == 4 else 63 + number)), 120).leaks != ()


@pytest.mark.parametrize(("grown_mb", "leaks"), [(0.1, []), (1.6, []), (1.7, ["memory"])])
def test_after_two_hours_more_than_ten_megabytes_an_hour_are_a_leak(grown_mb: float, leaks: list[str]) -> None:
    """1.6 MB in ten minutes is still accepted, and 1.7 MB is not."""
    verdict = judge(list(soaking(lambda _: 63, seconds=7200, grown_mb=grown_mb)), 7200)
    assert [leak.partition(":")[0] for leak in verdict.leaks] == leaks


def test_memory_growth_over_minutes_is_reported_and_not_judged() -> None:
    """360 MB an hour over 120 s is in the slopes, but is not a leak: caches still fill."""
    verdict = judge(list(soaking(lambda _: 63)), 120)
    assert verdict.leaks == ()
    assert verdict.slopes["pss_mb"] == pytest.approx(360)
    assert {*COUNTS, "rss_mb", "pss_mb"} == set(verdict.slopes)


def test_too_few_quiet_moments_are_no_success() -> None:
    """Five quiet moments prove nothing, so the verdict is not empty."""
    assert judge(list(soaking(lambda _: 63, moments=5)), 120).leaks != ()
