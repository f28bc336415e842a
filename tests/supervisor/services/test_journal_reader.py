"""Searches of the journal by clients: bounded in time, and in no other reader's way."""

import ast
import sqlite3
import threading
from pathlib import Path

import pytest
import trio

from supervisor.domain.errors import Refusal, Rejected
from supervisor.journal import guard
from supervisor.journal.reader import Reader
from supervisor.ports.errors import JournalDamaged
from supervisor.ports.questions import Query
from supervisor.services import answers, journal_reader
from supervisor.services.journal_reader import JournalReader
from tests.kit.journals import lively, write_journal
from tests.kit.patience import give_up_after

COSTLY = "*[" + "z" * 7900 + "]"


async def test_pages_do_not_wait_for_searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first event, which each page of the dashboard begins with, is read while a search is running."""
    reader, running, released = JournalReader(write_journal(tmp_path, lively(2))), trio.Event(), threading.Event()
    token, page = trio.lowlevel.current_trio_token(), Reader.page

    def slow(self: Reader, query: Query, limit: int, *, newest: bool = False) -> object:
        if query.stream is not None:
            token.run_sync_soon(running.set)
            released.wait(60)
        return page(self, query, limit, newest=newest)

    monkeypatch.setattr(Reader, "page", slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.search, Query(stream="system"), 1)
        try:
            await running.wait()
            with give_up_after(30):
                first = await reader.first()
            assert first is not None and first.seq == 1
        finally:
            released.set()
    reader.close()


async def test_search_that_takes_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite is interrupted also where each instruction is slow; the next search finds a reader that works."""
    reader = JournalReader(write_journal(tmp_path, lively(60)))
    assert await reader.search(Query(stream="system"), 1)
    for limit_s in (0.02, -1.0):
        monkeypatch.setattr(guard, "SEARCH_S", limit_s)
        with pytest.raises(Rejected, match="the search took longer") as raised:
            await reader.search(Query(stream=COSTLY), 1)
        assert raised.value.refusal is Refusal.UNAVAILABLE
        assert await reader.page(Query(), 1) and await reader.first()
    monkeypatch.setattr(guard, "SEARCH_S", 60.0)
    assert await reader.search(Query(stream="system"), 1)
    reader.close()


@pytest.mark.parametrize("value", ["zeroblob(20)", "zeroblob(15000000)", "1.5"])
def test_value_of_a_foreign_type_is_damage_in_plain_words(tmp_path: Path, value: str) -> None:
    """A hostile journal is refused with a sentence, and not with the words of an error of Python."""
    folder = write_journal(tmp_path, lively(1))
    (segment,) = folder.glob("*.sqlite")
    with sqlite3.connect(segment) as db:
        db.execute(f"UPDATE event SET correlation = {value} WHERE seq = 3")
    with pytest.raises(JournalDamaged) as raised:
        Reader(folder).page()
    assert "converted" not in str(raised.value) and "TypeError" not in str(raised.value)


def test_answers_import_no_module_in_the_journal_thread() -> None:
    """A function imports only a module that `BackgroundImport` has imported, and the answers import nothing late."""
    assert inner_imports(journal_reader.__file__) == {"answers"}
    assert journal_reader.ANSWERS.modules == ("supervisor.services.answers",)
    assert inner_imports(answers.__file__) == set()


def inner_imports(path: str) -> set[str | None]:
    """The modules that the functions of a module import."""
    tree = ast.parse(Path(path).read_text())
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {each.module for found in functions for each in ast.walk(found) if isinstance(each, ast.ImportFrom)}
