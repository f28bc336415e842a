"""The API of the past, over a journal without a daemon: every moment is as the live page was told it."""

import ast
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisor.domain.describe import TROUBLES
from supervisor.domain.events import Recorded
from supervisor.gateway import JournalReader
from supervisor.journal.reader import Reader
from supervisor.late import Late
from supervisor.past import PastGateway, look_back
from tests.kit.http import Answer, request
from tests.kit.journals import TINY, lively, states, write_journal
from web import json, past
from web.app import WebSettings, create_app
from web.serve import listen, run_web
from web.sockets import Sockets

ROWS = lively(6)


@asynccontextmanager
async def open_past(folder: Path, rows: list[Recorded] = ROWS) -> AsyncIterator[int]:
    """The port of a server over a journal of several segments."""
    write_journal(folder, rows, batch=10, rotation=TINY)
    whole, reader, sockets, stop = Reader(folder), JournalReader(folder), Sockets(), trio.Event()
    app = create_app(PastGateway(reader, look_back(whole)), WebSettings(), sockets)
    listener = listen("127.0.0.1", 0)
    whole.close()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_web, app, sockets, listener, stop))
        yield int(listener.getsockname()[1])
        stop.set()
    reader.close()


async def get(port: int, path: str) -> Answer:
    return await request(port, "GET", path)


def untimed(cameras: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in camera.items() if name not in json.UNKNOWN} for camera in cameras]


async def test_first_question_waits_until_the_modules_that_answer_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are imported by `Late`, with the collector at rest and short turns, and not by the journal's thread."""
    late = Late(["supervisor.past"])
    monkeypatch.setattr(past, "ANSWERS", late)
    async with open_past(tmp_path / "journal") as port:
        assert not late.is_loaded
        assert (await get(port, "/api/state")).status == 200
        assert late.is_loaded


def test_every_module_that_a_question_imports_is_imported_before_it() -> None:
    """No function of the API of the past imports a module that is not in the list."""
    tree = ast.parse(Path(past.__file__).read_text())
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {
        each.module
        for found in functions
        for each in ast.walk(found)
        if isinstance(each, ast.ImportFrom) and each.module
    }
    assert inside == set(past.ANSWERS.modules)


async def test_every_moment_is_what_the_events_until_then_add_up_to(tmp_path: Path) -> None:
    known = states(ROWS)
    async with open_past(tmp_path / "journal") as port:
        for row in ROWS[::7]:
            then = (await get(port, f"/api/state?seq={row.seq}")).json
            at = (await get(port, f"/api/state?at={json.iso(row.wall_ns, 'microseconds')}")).json
            assert (then["type"], then["seq"], then["event"]["seq"]) == ("state", row.seq, row.seq)
            assert then["now"] == json.iso(row.wall_ns)
            assert at["now"] == then["now"]
            assert at["seq"] == max(each.seq for each in ROWS if each.wall_ns <= row.wall_ns)
            state = known[row.seq]
            assert {c["id"]: c["state"] for c in then["cameras"]} == {
                n: c.phase.value for n, c in state.cameras.items()
            }
            assert {p["id"] for p in then["peers"]} == set(state.peers)
            assert {p["id"] for p in then["processes"]} == set(state.children)
            assert all(camera["fps"] is None for camera in then["cameras"])
            assert then["first"]["seq"] == 1
            assert then["last"] == {"seq": ROWS[-1].seq, "time": json.iso(ROWS[-1].wall_ns, "microseconds")}


async def test_the_moment_has_the_shape_of_the_present(tmp_path: Path) -> None:
    async with open_past(tmp_path / "journal") as port:
        then = (await get(port, "/api/state")).json
        for name in ("cameras", "peers", "devices", "processes"):
            now = (await get(port, f"/api/{name}")).json[name]
            shown, expected = (then[name], now) if name != "cameras" else (untimed(then[name]), untimed(now))
            if name == "processes":
                expected = [{**process, "parent": None} for process in expected]
            assert shown == expected, name
        assert then["health"] == (await get(port, "/api/health")).json


async def test_a_time_outside_of_the_journal_is_its_nearest_end(tmp_path: Path) -> None:
    async with open_past(tmp_path / "journal") as port:
        assert (await get(port, "/api/state?at=1999-01-01T00:00:00Z")).json["seq"] == 1
        late = (await get(port, "/api/state?at=2100-01-01T00:00:00Z")).json
        assert (late["seq"], late["now"]) == (ROWS[-1].seq, json.iso(ROWS[-1].wall_ns))


async def test_failures_are_found_both_ways(tmp_path: Path) -> None:
    troubles = [row.seq for row in ROWS if row.type in TROUBLES]
    async with open_past(tmp_path / "journal") as port:

        async def walk(way: str, seq: int) -> list[int]:
            found = []
            while (event := (await get(port, f"/api/failures?{way}={seq}")).json["event"]) is not None:
                seq = event["seq"]
                found.append(seq)
            return found

        assert await walk("after", 0) == troubles
        assert await walk("before", 2**40) == troubles[::-1]
        assert troubles


async def test_events_page_backwards_and_by_stream(tmp_path: Path) -> None:
    async with open_past(tmp_path / "journal") as port:
        seen: list[int] = []
        before = ROWS[-1].seq + 1
        while page := (await get(port, f"/api/events?before={before}&limit=17")).json["events"]:
            seen = [event["seq"] for event in page] + seen
            before = page[0]["seq"]
        assert seen == [row.seq for row in ROWS]
        for name in ("stream", "correlation", "principal"):
            value = getattr(ROWS[9], name)
            page = (await get(port, f"/api/events?{name}={value}&limit=1000")).json["events"]
            assert [event["seq"] for event in page] == [row.seq for row in ROWS if getattr(row, name) == value]
        between = (await get(port, "/api/events?after=3&before=6")).json["events"]
        assert [event["seq"] for event in between] == [4, 5]


async def test_a_chain_of_causes_ends_with_what_was_asked_for(tmp_path: Path) -> None:
    async with open_past(tmp_path / "journal") as port:
        answer = (await get(port, "/api/why/9")).json
        assert [step["seq"] for step in answer["steps"]] == [9]
        assert answer["steps"][0]["time"] == json.iso(ROWS[8].wall_ns, "microseconds")
        assert {"type", "text", "severity", "after_s", "stderr"} <= answer["steps"][0].keys()


async def test_the_timeline_of_a_stretch(tmp_path: Path) -> None:
    begin, end = (json.iso(ns, "microseconds") for ns in (ROWS[0].wall_ns, ROWS[-1].wall_ns))
    async with open_past(tmp_path / "journal") as port:
        drawn = (await get(port, f"/api/timeline?from={begin}&to={end}")).json
        gate = drawn["lanes"][0]
        assert (gate["kind"], gate["name"]) == ("camera", "gate")
        assert all(span["begin"] < span["end"] for lane in drawn["lanes"] for span in lane["spans"])
        assert all(drawn["from"] <= mark["at"] <= drawn["to"] for mark in drawn["marks"])
        assert {mark["kind"] for mark in drawn["marks"]} >= {"start", "loss"}
        assert (await get(port, f"/api/timeline?from={begin}&camera=nobody")).json["lanes"] == []
        assert (await get(port, "/api/timeline")).json["lanes"]


async def test_a_stretch_with_too_many_events_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "MAX_EVENTS", 3)
    async with open_past(tmp_path / "journal") as port:
        answer = await get(port, "/api/timeline?from=2000-01-01T00:00:00Z")
        assert (answer.status, "choose a shorter one" in answer.json["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/api/state?at=yesterday", 400, "at must be a time"),
        ("/api/state?seq=0", 400, "whole number"),
        ("/api/state?seq=1&at=2026-01-01T00:00:00Z", 400, "not both"),
        ("/api/state?seq=999999", 404, "the journal holds events 1 to"),
        ("/api/failures", 400, "one of them"),
        ("/api/failures?after=1&before=2", 400, "one of them"),
        ("/api/why/999999", 404, "holds no event"),
        ("/api/why/99999999999999999999999", 404, "holds no event"),
        ("/api/timeline?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 400, "from must be before to"),
        ("/api/timeline?from=x", 400, "from must be a time"),
        ("/api/events?before=x", 400, "whole number"),
        ("/cameras/gate/snapshot.jpg", 409, "this is the past"),
        ("/cameras/gate/stream.mjpeg", 409, "this is the past"),
    ],
)
async def test_wrong_questions(tmp_path: Path, path: str, status: int, word: str) -> None:
    async with open_past(tmp_path / "journal", ROWS[:20]) as port:
        answer = await get(port, path)
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
        assert word in answer.json["detail"]


async def test_nothing_can_be_done_to_the_past(tmp_path: Path) -> None:
    async with open_past(tmp_path / "journal") as port:
        for method, path in (("DELETE", "/api/peers/peer-1"), ("POST", "/whep/gate")):
            answer = await request(port, method, path, "v=0", {"Content-Type": "application/sdp"})
            assert (answer.status, answer.json["type"]) == (409, "urn:banken:problem:conflict"), path
