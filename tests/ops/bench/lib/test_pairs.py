"""The interval of a median ratio: exact, and as wide as the level says."""

from itertools import product
from random import Random

import pytest

from ops.bench.lib.pairs import _outside, interval


def test_too_few_pairs_have_no_interval() -> None:
    """Of five pairs, even the widest interval holds in less than 95 % of cases."""
    assert interval([1.0] * 5) is None
    assert interval([0.9, 0.95, 1.0, 1.05, 1.1, 1.2]) == pytest.approx((0.9, 1.2))


@pytest.mark.parametrize(("count", "largest"), [(6, 0), (8, 3), (10, 8), (12, 13), (20, 52)])
def test_cut_is_that_of_the_tables(count: int, largest: int) -> None:
    """The largest statistic that is significant at 5 %, on both sides, as printed tables of the test have it."""
    assert _outside(count) == largest + 1


def test_cut_is_that_of_counting_every_case() -> None:
    """For eight pairs, all 256 ways in which the signs can fall are counted."""
    sums = [sum(rank for rank, sign in enumerate(signs, 1) if sign) for signs in product((0, 1), repeat=8)]
    below = [sum(each <= value for each in sums) / len(sums) for value in range(36)]
    assert _outside(8) == sum(share <= 0.025 for share in below)


def test_interval_has_the_true_ratio_in_95_percent_of_cases() -> None:
    """Of 2000 series of 12 noisy pairs whose true ratio is 1.03."""
    chance = Random(5)
    held = 0
    for _ in range(2000):
        low, high = interval([1.03 * 2 ** chance.gauss(0, 0.1) for _ in range(12)]) or (0, 0)
        held += low <= 1.03 <= high
    assert 0.94 <= held / 2000 <= 0.97


def test_interval_does_not_depend_on_which_version_is_the_first() -> None:
    """Exchanging old and new inverts the ends."""
    ratios = [1.01, 1.04, 0.98, 1.10, 1.02, 1.03, 0.99, 1.05]
    low, high = interval(ratios) or (0, 0)
    assert interval([1 / ratio for ratio in ratios]) == pytest.approx((1 / high, 1 / low))
