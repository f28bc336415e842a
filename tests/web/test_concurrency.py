"""Concurrent work of clients: limited for each, and in total."""

from contextlib import ExitStack

import pytest
from werkzeug.exceptions import TooManyRequests

from web.concurrency import ConcurrencyLimit
from web.searches import MOST, MOST_OF_CLIENT, TOO_MANY


def test_places_are_bounded_for_each_client_and_for_all() -> None:
    """A client has its share, a /64 is one client, and all together have a bound; who leaves frees a place."""
    limit = ConcurrencyLimit(MOST, MOST_OF_CLIENT, TOO_MANY)
    with ExitStack() as held:
        for number in range(MOST_OF_CLIENT):
            held.enter_context(limit.hold(f"2001:db8::{number + 1}"))
        with pytest.raises(TooManyRequests), limit.hold("2001:db8::ff"):
            pass
        for number in range(MOST - MOST_OF_CLIENT):
            held.enter_context(limit.hold(f"192.0.2.{number}"))
        with pytest.raises(TooManyRequests), limit.hold("198.51.100.1"):
            pass
    assert limit.taken == 0
    with limit.hold("2001:db8::1"), limit.hold("2001:db8::2"):
        pass
