"""A journal folder, read in threads."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from ..base.background_import import BackgroundImport
from ..base.threads import run_in_thread
from ..domain.errors import Refusal, Rejected
from ..domain.events import Recorded
from ..journal.errors import SearchTooLong
from ..journal.guard import search_limit
from ..journal.reader import Reader
from ..ports.gateway import Answer
from ..ports.past import Past
from ..ports.questions import Query

ANSWERS = BackgroundImport(["supervisor.services.answers"])
"""The module that answers questions about the past. A daemon starts without it, and without what it imports."""


class JournalReader:
    """A journal folder read without blocking the loop, and without a thread while idle.

    Long queries have a separate reader and thread, so that a client that follows the events does not wait for them.
    Each of the three readers is used by one thread at a time, which its limiter guarantees.

    Args:
        running: whether this process writes to the journal.
    """

    def __init__(self, path: Path, *, running: bool = False) -> None:
        self._path, self._running = path, running
        self._reader: Reader | None = None
        self._limiter = trio.CapacityLimiter(1)
        self._past: Reader | None = None
        self._asking = trio.CapacityLimiter(1)
        self._searcher: Reader | None = None
        self._searching = trio.CapacityLimiter(1)

    async def page(self, query: Query, limit: int, *, newest: bool = False) -> list[Recorded]:
        """As `Reader.page`. Raises `JournalError` for damage, and where there is no journal yet."""
        return await run_in_thread(partial(self._page, query, limit, newest), limiter=self._limiter)

    def _page(self, query: Query, limit: int, newest: bool) -> list[Recorded]:
        reader = self._reader = self._reader or Reader(self._path)
        return reader.page(query, limit, newest=newest)

    async def search(self, query: Query, limit: int, *, newest: bool = False) -> list[Recorded]:
        """As `page`, for a client's query: in a separate thread, and for `SEARCH_S` at most.

        Raises `Rejected` (503) for a search that takes longer, and as `page`.
        """
        return await run_in_thread(partial(self._search, query, limit, newest), limiter=self._searching)

    def _search(self, query: Query, limit: int, newest: bool) -> list[Recorded]:
        try:
            with search_limit():
                searcher = self._searcher = self._searcher or Reader(self._path)
                return searcher.page(query, limit, newest=newest)
        except SearchTooLong as error:
            raise Rejected(Refusal.UNAVAILABLE, str(error), 5.0) from None

    async def first(self) -> Recorded | None:
        """The oldest event that is kept."""
        found = await self.page(Query(), 1)
        return found[0] if found else None

    async def ask(self, question: Callable[[Past], Answer]) -> Answer:
        """The result of `question`, in a thread; one question at a time. Raises the errors of `question`."""
        await ANSWERS.load()
        return await run_in_thread(partial(self._answer, question), limiter=self._asking)

    def _answer(self, question: Callable[[Past], Answer]) -> Answer:
        from .answers import JournalPast

        reader = self._past = self._past or Reader(self._path)
        return question(JournalPast(reader, running=self._running))

    def reset(self) -> None:
        """Other files are the journal now: open them at the next question."""
        self._reader = self._past = self._searcher = None

    def close(self) -> None:
        for reader in (self._reader, self._past, self._searcher):
            if reader is not None:
                reader.close()
