"""The API of the past, over a journal without a daemon: every moment is as the live page showed it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import trio
from werkzeug.exceptions import BadRequest

from supervisor.base.background_import import BackgroundImport
from supervisor.base.times import shown
from supervisor.domain import commands as c
from supervisor.domain.availability import Availability
from supervisor.domain.catalogue import TROUBLES
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Limits
from supervisor.forensics.statistics import statistics
from supervisor.journal.reader import Reader
from supervisor.ports.errors import JournalDamaged
from supervisor.ports.past import TooLong
from supervisor.services import answers, journal_reader
from supervisor.services.answers import look_back
from supervisor.services.journal_reader import JournalReader
from supervisor.services.past import PastGateway
from tests.kit.domain import ASKED, PICTURE, SECOND, live, settings
from tests.kit.http import Answer, request
from tests.kit.journals import TINY, lively, states, write_journal
from tests.kit.processes import wait_until
from tests.supervisor.forensics.stories import closing, night
from web import json
from web.app import WebSettings, create_app
from web.past import instant
from web.resources import availability, state
from web.searches import MOST_OF_CLIENT
from web.serve import listen, run_web
from web.sockets import Sockets

ROWS = lively(6)


END_NS = ROWS[-1].wall_ns


@asynccontextmanager
async def open_past(folder: Path, rows: list[Recorded] = ROWS) -> AsyncIterator[int]:
    """The port of a server over a journal of several segments."""
    write_journal(folder, rows, batch=10, rotation=TINY)
    whole, reader, sockets, stop = Reader(folder), JournalReader(folder), Sockets(), trio.Event()
    app = create_app(PastGateway(reader, look_back(whole)), WebSettings(local_only=True), sockets)
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
    return [{name: value for name, value in camera.items() if name not in state.UNKNOWN} for camera in cameras]


@pytest.mark.parametrize("headers", [{"Host": "cams.lan"}, {"Host": "192.0.2.7"}, {"X-Forwarded-For": "127.0.0.1"}])
async def test_replay_serves_this_machine_only(headers: dict[str, str], tmp_path: Path) -> None:
    """A replay has no users, so neither another machine nor a client of a proxy learns anything."""
    async with open_past(tmp_path / "journal") as port:
        assert (await get(port, "/api/state")).status == 200
        answer = await request(port, "GET", "/api/state", headers=headers)
        assert (answer.status, "own machine only" in answer.json["detail"]) == (401, True)


async def test_first_question_waits_until_the_modules_that_answer_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are imported by `BackgroundImport`, with the collector off, and not by the journal's thread."""
    late = BackgroundImport(["supervisor.services.answers"])
    monkeypatch.setattr(journal_reader, "ANSWERS", late)
    async with open_past(tmp_path / "journal") as port:
        assert not late.is_loaded
        assert (await get(port, "/api/state")).status == 200
        assert late.is_loaded


async def test_every_moment_is_what_the_events_until_then_add_up_to(tmp_path: Path) -> None:
    """Every seventh event, by number and by time; figures that only live actors know are null."""
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


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("state?time=now", "at, seq"),
        ("failures?after=1&camera=gate", "after, before"),
        ("timeline?since=now", "from, to, camera"),
        ("availability?cameras=gate", "from, to, camera"),
    ],
)
async def test_parameter_that_does_not_exist_is_refused(tmp_path: Path, path: str, known: str) -> None:
    """With the names of those that do: an answer about everything would be taken for one about what was asked for."""
    async with open_past(tmp_path / "journal") as port:
        answer = await get(port, f"/api/{path}")
        assert answer.status == 400
        assert f"known: {known}" in answer.json["detail"]


async def test_the_moment_has_the_shape_of_the_present(tmp_path: Path) -> None:
    """The dashboard reads both with one code, so lists and health are equal."""
    async with open_past(tmp_path / "journal") as port:
        then = (await get(port, "/api/state")).json
        for name in ("cameras", "peers", "devices", "processes"):
            now = (await get(port, f"/api/{name}")).json[name]
            shown, expected = (then[name], now) if name != "cameras" else (untimed(then[name]), untimed(now))
            assert shown == expected, name
        assert {process["parent"] for process in then["processes"]} == {None}
        assert then["health"] == (await get(port, "/api/health")).json


@pytest.mark.parametrize(
    "path",
    [
        "state?at=1999-01-01T00:00:00Z",
        "state?at=2100-01-01T00:00:00Z",
        "timeline?from=2100-01-01T00:00:00Z",
        "timeline?to=1999-01-01T00:00:00Z",
        "timeline?from=0001-01-01&to=0001-01-02",
        "availability?from=2100-01-01T00:00:00Z",
        "availability?from=1999-01-01T00:00:00Z&to=1999-01-01T01:00:00Z",
    ],
)
async def test_time_outside_of_the_journal_is_refused_with_its_span(tmp_path: Path, path: str) -> None:
    """Nothing is answered with the nearest end of the journal."""
    async with open_past(tmp_path / "journal") as port:
        answer = await get(port, f"/api/{path}")
        assert (answer.status, "there is no data for" in answer.json["detail"]) == (404, True)
        assert f"the journal spans #1 ({shown(ROWS[0].wall_ns, UTC)}) to #" in answer.json["detail"]


async def test_bare_time_is_on_the_day_of_the_end_of_the_journal(tmp_path: Path) -> None:
    """In UTC, the zone of the API."""
    async with open_past(tmp_path / "journal") as port:
        then = (await get(port, f"/api/state?at={json.iso(ROWS[9].wall_ns)[11:-1]}")).json
        assert then["seq"] == max(row.seq for row in ROWS if row.wall_ns == ROWS[9].wall_ns)
        assert then["unknown"] is None


async def test_moment_without_a_daemon_says_that_nothing_is_known(tmp_path: Path) -> None:
    """With the ends of the stretch."""
    rows = night()
    cut = next(row for row in rows if row.run == "run-2")
    async with open_past(tmp_path / "journal", rows) as port:
        then = (await get(port, f"/api/state?at={json.iso(cut.wall_ns - 10**9)}")).json
        assert then["seq"] == cut.seq - 1
        assert then["unknown"]["to"] == json.iso(cut.wall_ns, "microseconds")
        assert "the daemon was cut off" in then["unknown"]["text"]


async def test_moment_between_the_events_that_close_a_dead_run_says_that_nothing_is_known(tmp_path: Path) -> None:
    """From the first of them until the start of the next run; before and after, and at their time, all is known."""
    rows, batch = closing()
    *left, start = batch
    async with open_past(tmp_path / "journal", rows) as port:
        for row in left:
            then = (await get(port, f"/api/state?seq={row.seq}")).json
            begin, end = (json.iso(each.wall_ns, "microseconds") for each in (rows[left[0].seq - 2], start))
            assert (then["seq"], then["unknown"]["from"], then["unknown"]["to"]) == (row.seq, begin, end)
            assert "the daemon had ended; what it left open is being closed" in then["unknown"]["text"]
        at = json.iso(start.wall_ns, "microseconds")
        for known in (f"seq={left[0].seq - 1}", f"seq={start.seq}", f"at={at}"):
            assert (await get(port, f"/api/state?{known}")).json["unknown"] is None
        then = (await get(port, f"/api/state?seq={start.seq}")).json
        assert {camera["state"] for camera in then["cameras"]} == {"idle"}


async def test_failures_are_found_both_ways(tmp_path: Path) -> None:
    """Steps forwards and backwards meet the same events, which are those of the catalogue."""
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
    """Pages of 17 give every event once; the filters agree with the rows."""
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
    """An event without a cause is a chain of one step, with its time and stderr."""
    async with open_past(tmp_path / "journal") as port:
        answer = (await get(port, "/api/why/9")).json
        assert [step["seq"] for step in answer["steps"]] == [9]
        assert answer["steps"][0]["time"] == json.iso(ROWS[8].wall_ns, "microseconds")
        assert {"type", "text", "severity", "after_s", "stderr"} <= answer["steps"][0].keys()


def served(found: Availability) -> Any:
    return msgspec.json.decode(json.encode(availability.availability(found)))


async def test_availability_of_a_stretch_and_of_the_whole(tmp_path: Path) -> None:
    """As `statistics` has it, cut to the journal; without a stretch of all of it, which `/metrics` has, too."""
    async with open_past(tmp_path / "journal") as port:
        reader = Reader(tmp_path / "journal")
        begin_ns, whole = ROWS[20].wall_ns, statistics(reader, ROWS[0].wall_ns, END_NS)
        part = statistics(reader, begin_ns, END_NS)
        reader.close()
        begin, later = (quote(json.iso(wall_ns, "microseconds")) for wall_ns in (begin_ns, END_NS + 10**12))
        assert part.cameras != whole.cameras
        found = (await get(port, f"/api/availability?from={begin}&to={later}")).json
        assert found == served(part)
        assert (await get(port, "/api/availability")).json == served(whole)
        hour = (await get(port, f"/api/availability?to={later}")).json
        assert hour["cameras"] == served(whole)["cameras"]
        line = f'banken_camera_losses_total{{camera="gate"}} {whole.cameras[0].losses}.0'
        assert line in (await get(port, "/metrics")).text
        answer = await get(port, "/api/availability?from=2100-01-01T00:00:00Z")
        assert (answer.status, "there is no data for that time" in answer.text) == (404, True)


async def test_journal_that_is_too_long_is_not_added_up_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question is refused, and `/metrics` answers without these figures."""
    monkeypatch.setattr("supervisor.services.past.MOST_ADDED", len(ROWS) - 1)
    async with open_past(tmp_path / "journal") as port:
        answer = await get(port, "/api/availability")
        assert (answer.status, "choose from and to" in answer.text) == (400, True)
        answer = await get(port, "/metrics")
        assert (answer.status, "banken_camera_losses_total" in answer.text) == (200, False)


async def test_whole_journal_is_added_up_once_however_many_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that come meanwhile wait for the first one's sum."""
    times, answers = list[int](), list[Answer]()

    def count(reader: Reader, since_ns: int, until_ns: int) -> Availability:
        times.append(until_ns)
        return statistics(reader, since_ns, until_ns)

    monkeypatch.setattr("supervisor.services.answers.statistics", count)
    async with open_past(tmp_path / "journal") as port:

        async def ask(path: str) -> None:
            answers.append(await get(port, path))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask, "/metrics")
                nursery.start_soon(ask, "/api/availability")
    assert ([answer.status for answer in answers], len(times)) == ([200] * 6, 1)


async def test_client_that_asks_for_figures_too_often_at_once_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has as many places as for any other question about the past."""
    released, statuses = trio.Event(), list[int]()

    async def wait(self: PastGateway, cameras: object = None) -> None:
        await released.wait()
        raise TooLong("the journal is too long")

    monkeypatch.setattr(PastGateway, "availability", wait)
    async with open_past(tmp_path / "journal") as port, trio.open_nursery() as nursery:

        async def ask() -> None:
            statuses.append((await get(port, "/api/availability")).status)

        for _ in range(MOST_OF_CLIENT + 2):
            nursery.start_soon(ask)
        await wait_until(lambda: statuses == [429, 429], 30)
        released.set()
    assert statuses == [429, 429, *[400] * MOST_OF_CLIENT]


async def test_metrics_of_a_damaged_journal_are_without_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else is known; only the figures are missing, with the reason."""

    def fail(*_: object) -> Availability:
        raise JournalDamaged("segment: damaged")

    monkeypatch.setattr("supervisor.services.answers.statistics", fail)
    async with open_past(tmp_path / "journal") as port:
        answer = await get(port, "/metrics")
        assert (answer.status, "banken_camera_losses_total" in answer.text) == (200, False)
        answer = await get(port, "/api/availability")
        assert (answer.status, answer.json["detail"]) == (503, "segment: damaged")


async def test_the_timeline_of_a_stretch(tmp_path: Path) -> None:
    """Spans and marks lie inside, each time is given as number and as text, and a stretch may be an instant."""
    begin, end = (json.iso(ns, "microseconds") for ns in (ROWS[0].wall_ns, ROWS[-1].wall_ns))
    async with open_past(tmp_path / "journal") as port:
        drawn = (await get(port, f"/api/timeline?from={begin}&to={end}")).json
        gate = drawn["lanes"][0]
        assert (gate["kind"], gate["name"]) == ("camera", "gate")
        assert all(span["begin"] < span["end"] for lane in drawn["lanes"] for span in lane["spans"])
        assert all(drawn["from"] <= mark["at"] <= drawn["to"] for mark in drawn["marks"])
        assert (drawn["from_time"], drawn["to_time"]) == tuple(
            json.iso(round(drawn[end] * 10**6)) for end in ("from", "to")
        )
        assert all(mark["time"] == json.iso(mark["wall_ns"]) for mark in drawn["marks"])
        spans = [span for lane in drawn["lanes"] for span in lane["spans"]]
        assert all(span[f"{end}_time"] == json.iso(span[f"{end}_ns"]) for span in spans for end in ("begin", "end"))
        assert {mark["kind"] for mark in drawn["marks"]} >= {"start", "loss"}
        known = json.iso(END_NS, "microseconds")
        instant = (await get(port, f"/api/timeline?from={known}&to={known}&camera=gate")).json
        assert instant["from"] == instant["to"]
        assert (await get(port, "/api/timeline")).json["lanes"]


@pytest.mark.parametrize("since", ["0001-01-01", "1999-01-01T00:00:00Z"])
async def test_stretch_beyond_the_journal_is_cut_to_it_and_the_answer_says_so(tmp_path: Path, since: str) -> None:
    """`from` and `to` of the answer are the part that is covered, in a timeline and in the figures."""
    first, last = (json.iso(row.wall_ns, "microseconds") for row in (ROWS[0], ROWS[-1]))
    async with open_past(tmp_path / "journal") as port:
        drawn = (await get(port, f"/api/timeline?from={since}&to=2100-01-01T00:00:00Z")).json
        assert (drawn["from"], drawn["to"]) == (ROWS[0].wall_ns / 1e6, ROWS[-1].wall_ns / 1e6)
        figures = (await get(port, f"/api/availability?from={since}&to=2100-01-01T00:00:00Z")).json
        assert (figures["from"], figures["to"]) == (first, last)


async def test_a_stretch_with_too_many_events_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400 that advises a shorter stretch, before the events are read into memory."""
    monkeypatch.setattr(answers, "MAX_EVENTS", 3)
    async with open_past(tmp_path / "journal") as port:
        answer = await get(port, "/api/timeline?from=2000-01-01T00:00:00Z")
        assert (answer.status, "choose a shorter one" in answer.json["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/api/state?at=soon", 400, "at must be a time"),
        ("/api/state?at=%23123", 400, "at must be a time"),
        ("/api/state?at=yesterday", 404, "there is no data for"),
        ("/api/state?seq=0", 400, "whole number"),
        ("/api/state?seq=1&at=2026-01-01T00:00:00Z", 400, "not both"),
        ("/api/state?seq=999999", 404, "there is no event #999999; the journal spans #1 ("),
        ("/api/failures", 400, "give either"),
        ("/api/failures?after=1&before=2", 400, "give either"),
        ("/api/why/999999", 404, "holds no event"),
        ("/api/why/99999999999999999999999", 404, "holds no event"),
        ("/api/timeline?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "the beginning (2026-01-02"),
        ("/api/timeline?from=x", 400, "from must be a time"),
        ("/api/timeline?camera=nobody", 404, "there is no camera 'nobody'"),
        ("/api/availability?camera=nobody", 404, "there is no camera 'nobody'"),
        ("/api/availability?from=2020-01-01T00:00:00Z&camera=nobody", 404, "there is no camera 'nobody'"),
        ("/api/events?before=x", 400, "whole number"),
        ("/cameras/gate/snapshot.jpg", 409, "this is the past"),
        ("/cameras/gate/stream.mjpeg", 409, "this is the past"),
        ("/hls/gate/live.m3u8", 409, "this is the past"),
    ],
)
async def test_wrong_questions(tmp_path: Path, path: str, status: int, word: str) -> None:
    """Each gets its status and a problem document with the word that helps."""
    async with open_past(tmp_path / "journal", ROWS[:20]) as port:
        answer = await get(port, path)
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
        assert word in answer.json["detail"]


async def test_camera_with_another_name_is_answered_with_it(tmp_path: Path) -> None:
    """Where it is not in the stretch that was asked for, whichever the question is."""
    porch = CameraId("porch")
    story = live().after(60).given(c.Configure("test", (settings(porch),), Limits()))
    moved = next(row for row in story.recorded if row.type == "CameraRemoved")
    story.after(60).given(c.ConnectCamera(porch), c.ReportLive(porch, PICTURE)).after(60).given(c.StopRun(ASKED))
    late = f"from={json.iso(moved.wall_ns + 30 * SECOND)}&camera=gate"
    early = f"from={json.iso(moved.wall_ns - 30 * SECOND)}&to={json.iso(moved.wall_ns - 20 * SECOND)}&camera=porch"
    async with open_past(tmp_path / "journal", story.recorded) as port:
        for path, said in ((late, "porch, which was added then, has its source"), (early, "with the source of gate")):
            for question in ("timeline", "availability"):
                answer = await get(port, f"/api/{question}?{path}")
                assert (answer.status, said in answer.json["detail"]) == (404, True), answer.json
                assert f"at {shown(moved.wall_ns, UTC)} (#" in answer.json["detail"]


async def test_nothing_can_be_done_to_the_past(tmp_path: Path) -> None:
    """Watching, retry, reload and closing a peer get 409."""
    async with open_past(tmp_path / "journal") as port:
        acts = ("/whep/gate", "/api/cameras/gate/retry", "/api/config/reload")
        for method, path in (("DELETE", "/api/peers/peer-1"), *(("POST", act) for act in acts)):
            answer = await request(port, method, path, "v=0", {"Content-Type": "application/sdp"})
            assert (answer.status, answer.json["type"]) == (409, "urn:banken:problem:conflict"), path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-12-01T14:00:00Z", 1_796_133_600_000_000_000),
        ("2026-12-01T14:00Z", 1_796_133_600_000_000_000),
        ("2026-12-01T15:00:00.5+01:00", 1_796_133_600_500_000_000),
        ("2026-12-01T15:00:00 01:00", 1_796_133_600_000_000_000),  # a plus that was not quoted
        ("2026-12-01 14:00", 1_796_133_600_000_000_000),
        ("1796133600000000001", 1_796_133_600_000_000_001),
        ("10m", 400 * 10**9),
    ],
)
def test_instant_is_read_to_the_nanosecond(text: str, found: int) -> None:
    """In UTC without an offset; `10m` is ten minutes before now."""
    assert instant("at", text, 1000 * 10**9) == found


@pytest.mark.parametrize(
    "text", ["", "x", "#5", "123", "14:00", "2026-12-01", "9999999999999999999", "1960-01-01T00:00Z"]
)
def test_instant_that_is_no_time_is_refused_by_name(text: str) -> None:
    """Among them a whole day, and the number of an event."""
    with pytest.raises(BadRequest, match="at must be a time"):
        instant("at", text, 1000 * 10**9)
