"""The token bucket: burst, rate, debt, and tokens that come back."""

import pytest

from supervisor.domain.bucket import Bucket


def test_bucket_gives_its_burst_and_then_its_rate() -> None:
    """It is full at first, and never more than full; the wait is exact."""
    bucket = Bucket(2.0, 3.0, 100.0)
    for _ in range(3):
        assert bucket.ready_in(100.0) == 0
        bucket.take(100.0)
    assert bucket.ready_in(100.0) == pytest.approx(0.5)
    assert bucket.ready_in(100.25) == pytest.approx(0.25)
    assert bucket.ready_in(100.5) == 0
    assert not bucket.is_full(101.0)
    assert bucket.is_full(101.5)
    bucket.take(10_000.0, 3)
    assert bucket.ready_in(10_000.0) == pytest.approx(0.5)


def test_bucket_owes_what_was_taken_too_much_and_takes_tokens_back() -> None:
    """Work whose cost is known afterwards is a debt; a token that was not used costs nothing."""
    bucket = Bucket(1.0, 2.0)
    bucket.take(0.0, 5.0)
    assert bucket.ready_in(0.0, 0.0) == pytest.approx(3.0)
    bucket.take(0.0, -4.0)
    assert bucket.ready_in(0.0) == 0


def test_bucket_is_ready_when_it_lacks_only_what_rounding_took() -> None:
    """A client that waits exactly the stated time is not rejected again."""
    for rate in (0.1, 0.3, 3.0, 7.0):
        now, bucket = 1e6, Bucket(rate, 1.0, 1e6)
        for _ in range(1000):
            bucket.take(now)
            now += bucket.ready_in(now)
            assert bucket.ready_in(now) == 0


def test_time_that_goes_back_gives_no_tokens() -> None:
    """And takes none."""
    bucket = Bucket(1.0, 1.0, 10.0)
    bucket.take(10.0)
    assert bucket.ready_in(5.0) == pytest.approx(1.0)


def test_rate_and_burst_that_change_count_from_then_on() -> None:
    """A client that is slowed has no burst any more."""
    bucket = Bucket(2.0, 40.0)
    bucket.rate, bucket.burst = 0.1, 1.0
    bucket.take(0.0)
    assert bucket.ready_in(0.0) == pytest.approx(10.0)
