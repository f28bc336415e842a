"""Searches by clients: few may wait, and a pattern is cheap to match."""

import pytest
import trio
from werkzeug.exceptions import TooManyRequests

from supervisor.domain.events import Recorded
from supervisor.journal.reader import Query
from tests.kit.core import MemoryReader
from tests.kit.processes import wait_until
from tests.kit.site import open_site
from web.searches import MAX_PATTERN, MOST, MOST_OF_CLIENT, Searches, why_costly


def test_places_are_bounded_for_each_client_and_for_all() -> None:
    """A client has two, a /64 is one client, and all together have sixteen; a place that is left is free again."""
    searches, held = Searches(), []
    for number in range(MOST_OF_CLIENT):
        held.append(searches.place(f"2001:db8::{number + 1}"))
        held[-1].__enter__()
    with pytest.raises(TooManyRequests), searches.place("2001:db8::ff"):
        pass
    for number in range(MOST - MOST_OF_CLIENT):
        held.append(searches.place(f"192.0.2.{number}"))
        held[-1].__enter__()
    with pytest.raises(TooManyRequests), searches.place("198.51.100.1"):
        pass
    for place in held:
        place.__exit__(None, None, None)
    with searches.place("2001:db8::1"), searches.place("2001:db8::2"):
        pass


@pytest.mark.parametrize("pattern", ["child/*", "Camera*", "*", "a" * MAX_PATTERN, "camera/*-[ab]?", ""])
def test_pattern_that_people_write_is_cheap(pattern: str) -> None:
    """A prefix, a suffix, and a class or two."""
    assert why_costly(pattern) is None


@pytest.mark.parametrize(
    "pattern", ["*[" + "z" * 7900 + "]", "*a*a*a*a*a", "?" * 5, "[a]" * 5, "a" * (MAX_PATTERN + 1)]
)
async def test_costly_pattern_is_refused(pattern: str) -> None:
    """400 with the reason, whichever filter it is."""
    assert why_costly(pattern)
    async with open_site() as site:
        for name in ("stream", "type"):
            answer = await site.get(f"/api/events?{name}={pattern.replace('[', '%5B').replace('?', '%3F')}*")
            assert (answer.status, "a pattern has at most" in answer.json["detail"]) == (400, True)


async def test_third_search_of_a_client_gets_429(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wait; the next one is refused until one of them is answered."""
    waiting, released = [0], trio.Event()

    async def wait(self: MemoryReader, query: Query, limit: int, *, newest: bool = False) -> list[Recorded]:
        waiting[0] += 1
        await released.wait()
        return []

    monkeypatch.setattr(MemoryReader, "search", wait)
    async with open_site() as site, trio.open_nursery() as nursery:
        for _ in range(MOST_OF_CLIENT):
            nursery.start_soon(site.get, "/api/events?stream=system")
        await wait_until(lambda: waiting[0] == MOST_OF_CLIENT, 30)
        answer = await site.get("/api/events?stream=system")
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        released.set()
    async with open_site() as site:
        assert (await site.get("/api/events?stream=system")).status == 200
