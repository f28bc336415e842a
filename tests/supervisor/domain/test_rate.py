"""Twenty messages in any second; after the twenty-first, nothing for a second; then twenty again."""

from supervisor.domain.rate import RateLimit


def test_the_twenty_first_within_a_second_is_one_too_many() -> None:
    """Twenty-one messages 40 ms apart: only the last exceeds the limit."""
    limit = RateLimit()
    assert [limit.exceeds(0.04 * number) for number in range(21)] == [False] * 20 + [True]


def test_the_second_rolls() -> None:
    """Twenty late in one second count still in the next; they need not stand in the same second of any clock."""
    limit = RateLimit()
    assert not any(limit.exceeds(0.9) for _ in range(20))
    assert limit.exceeds(1.85)


def test_twenty_a_second_for_ever_are_taken() -> None:
    """Twenty messages at once, each second for 50 s, never exceed the limit."""
    limit = RateLimit()
    assert not any(limit.exceeds(number // 20) for number in range(1000))


def test_limit_is_closed_for_a_second_and_restarts_its_count() -> None:
    """Of what came before, and while it was closed, nothing counts then."""
    limit = RateLimit()
    for _ in range(21):
        limit.exceeds(5.0)
    assert [limit.closed(at) for at in (5.0, 5.5, 5.999, 6.0)] == [True, True, True, False]
    assert [limit.exceeds(6.0) for _ in range(21)] == [False] * 20 + [True]
