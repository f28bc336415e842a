"""Searches by clients: few may wait, and a pattern is cheap to match."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from supervisor.domain.events import Recorded
from supervisor.ports.past import Past
from supervisor.ports.questions import Query
from supervisor.services import journal_reader
from supervisor.services.journal_reader import JournalReader
from tests.kit.core import MemoryReader
from tests.kit.http import request
from tests.kit.processes import wait_until
from tests.kit.site import open_site
from tests.web.test_past import open_past
from web.client import client
from web.searches import MAX_PATTERN, MOST_OF_CLIENT, Searches, why_costly


async def test_clients_that_wait_are_served_in_turn() -> None:
    """One search of each, whoever came first; one that goes away while it waits takes no turn."""
    searches, order, released = Searches(), list[str](), trio.Event()

    async def search(name: str) -> None:
        async with searches.place(name):
            order.append(name)
            await released.wait()

    async with trio.open_nursery() as nursery, trio.open_nursery() as gone:
        for name in ("a", "a", "a", "b", "b", "c"):
            (gone if name == "b" and not gone.child_tasks else nursery).start_soon(search, name)
            await trio.testing.wait_all_tasks_blocked()
        gone.cancel_scope.cancel()
        released.set()
    assert order == ["a", "b", "c", "a", "a"]
    assert not searches.limit.taken and not searches._waiting


async def test_search_whose_client_leaves_while_waiting_passes_the_reader_on() -> None:
    """The turn goes on to the next client, and the reader is free at the end."""
    searches, order, leaving = Searches(), list[str](), trio.CancelScope()

    async def search(name: str, scope: trio.CancelScope) -> None:
        with scope:
            async with searches.place(name):
                order.append(name)

    async with trio.open_nursery() as nursery:
        async with searches.place("a"):
            nursery.start_soon(search, "b", leaving)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(search, "c", trio.CancelScope())
            await trio.testing.wait_all_tasks_blocked()
            leaving.cancel()
    async with searches.place("a"):
        assert order == ["c"]


@pytest.mark.parametrize("pattern", ["child/*", "Camera*", "*", "a" * MAX_PATTERN, "camera/*-[ab]?", ""])
def test_pattern_that_people_write_is_cheap(pattern: str) -> None:
    """A prefix, a suffix, and a class or two."""
    assert why_costly(pattern) is None


@pytest.mark.parametrize(
    "pattern", ["*[" + "z" * 1900 + "]", "*a*a*a*a*a", "?" * 5, "[a]" * 5, "a" * (MAX_PATTERN + 1)]
)
async def test_costly_pattern_is_refused(pattern: str) -> None:
    """400 with the reason, whichever filter it is."""
    assert why_costly(pattern)
    async with open_site() as site:
        for name in ("stream", "type"):
            answer = await site.get(f"/api/events?{name}={pattern.replace('[', '%5B').replace('?', '%3F')}*")
            assert (answer.status, "a pattern has at most" in answer.json["detail"]) == (400, True)


async def test_search_beyond_the_places_of_a_client_gets_429(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events and detections count alike: the next one is refused until one of those that wait is answered."""
    running, released = trio.Event(), trio.Event()
    searches = fix(monkeypatch, "web.routes.Searches")

    async def wait(self: MemoryReader, query: Query, limit: int, *, newest: bool = False) -> list[Recorded]:
        running.set()
        await released.wait()
        return []

    monkeypatch.setattr(MemoryReader, "search", wait)
    async with open_site() as site, trio.open_nursery() as nursery:
        for number in range(MOST_OF_CLIENT):
            nursery.start_soon(site.get, "/api/detections" if number % 2 else "/api/events?stream=system")
        await wait_until(lambda: searches.limit.taken == MOST_OF_CLIENT, 30)
        for path in ("/api/events?stream=system", "/api/detections"):
            answer = await site.get(path)
            assert (answer.status, answer.headers.get("Retry-After")) == (429, "1")
        assert running.is_set()
        released.set()
    async with open_site() as site:
        assert (await site.get("/api/events?stream=system")).status == 200


async def test_client_with_sixty_questions_delays_another_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Causes, timelines and states of one client have its places; another client's is next after the one that runs."""
    order, released, statuses = list[str](), trio.Event(), Counter[tuple[str, int]]()
    questions, ask = fix(monkeypatch, "web.past.Searches"), JournalReader.ask

    async def wait(self: JournalReader, question: Callable[[Past], bytes]) -> bytes:
        order.append(client())
        await released.wait()
        return await ask(self, question)

    async def put(path: str, source: str) -> None:
        answer = await request(port, "GET", path, source=source, within=60)
        statuses[source, answer.status] += 1
        assert answer.status == 200 or answer.headers["Retry-After"] == "1"

    monkeypatch.setattr(JournalReader, "ask", wait)
    await journal_reader.ANSWERS.load()
    async with open_past(tmp_path / "journal") as port, trio.open_nursery() as nursery:
        for _ in range(15):
            for path in ("/api/timeline", "/api/why/3", "/api/state", "/api/failures?after=0"):
                nursery.start_soon(put, path, "127.0.0.2")
        await wait_until(lambda: statuses["127.0.0.2", 429] == 60 - MOST_OF_CLIENT, 30)
        nursery.start_soon(put, "/api/timeline", "127.0.0.3")
        await wait_until(lambda: questions.limit.taken == MOST_OF_CLIENT + 1, 30)
        assert order == ["127.0.0.2"]
        released.set()
    assert order == ["127.0.0.2", "127.0.0.3", *["127.0.0.2"] * (MOST_OF_CLIENT - 1)]
    assert statuses == {
        ("127.0.0.2", 200): MOST_OF_CLIENT,
        ("127.0.0.2", 429): 60 - MOST_OF_CLIENT,
        ("127.0.0.3", 200): 1,
    }


def fix(monkeypatch: pytest.MonkeyPatch, place: str) -> Searches:
    """The searches that the application will use there."""
    searches = Searches()
    monkeypatch.setattr(place, lambda: searches)
    return searches
