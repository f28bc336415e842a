"""Anchors: the end of the chain is noted in a file or at an address, in bounded time, and a failure is an alert."""

import json
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from supervisor.domain.events import AlertRaised
from supervisor.journal import check
from supervisor.journal.anchor import Anchor, AnchorSettings, append_anchor, read_anchors
from supervisor.journal.expect import Expectations
from supervisor.journal.retention import Pin, write_pins
from supervisor.services import anchors
from supervisor.services.anchors import AnchorError, Anchoring, post
from tests.kit.daemon import launch_daemon
from tests.kit.journals import TINY, lively, read_all, write_journal
from tests.kit.processes import wait_until
from tests.kit.proxies import write_certificate

TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


@asynccontextmanager
async def open_server(answers: Sequence[bytes], hang: bool = False) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that gives these answers, one to each connection; yields its port, and the questions."""
    asked: list[bytes] = []
    left = list(answers)

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            question = b""
            while b"\r\n\r\n" not in question or not question.endswith(b"}"):
                question += await stream.receive_some()
            asked.append(question)
            if hang:
                await trio.sleep_forever()
            await stream.send_all(left.pop(0))

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1], asked
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, "RETRY_S", (0.0, 0.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal", lively(2))


async def test_file_gets_the_end_of_the_chain_once(folder: Path, tmp_path: Path) -> None:
    """A line for its owner only, which verify takes; the same end is not written twice."""
    path = tmp_path / "anchors.jsonl"
    anchoring = Anchoring(AnchorSettings(path), folder)
    await anchoring.note()
    await anchoring.note()
    (anchor,) = read_anchors(path)
    assert (anchor.seq, anchor.digest) == (len(lively(2)), check.verify(folder).digest)
    assert path.stat().st_mode & 0o777 == 0o600
    assert anchoring.reading().level == 0
    assert not check.verify(folder, expected=Expectations((), [anchor])).damages


async def test_age_of_an_anchor_that_was_never_taken_counts_from_the_first_attempt(
    folder: Path, tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two waits of 2 s and 10 s have passed after three attempts."""
    monkeypatch.setattr(anchors, "RETRY_S", (2.0, 10.0))
    anchoring = Anchoring(AnchorSettings(tmp_path), folder)
    await anchoring.note()
    age = next(figure for figure in anchoring.reading().figures if figure.metric == "banken_anchor_age_seconds")
    assert age.value >= 12


async def test_address_gets_the_end_of_the_chain_as_json(folder: Path) -> None:
    """With the login of the URL in a header, and the path and the query in the request."""
    async with open_server([TAKEN]) as (port, asked):
        settings = AnchorSettings(url=f"http://me:pa%20ss@127.0.0.1:{port}/note?token=abc")
        anchoring = Anchoring(settings, folder)
        await anchoring.note()
        await anchoring.note()
    (question,) = asked
    head, _, body = question.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /note?token=abc HTTP/1.1\r\n")
    assert b"Authorization: Basic bWU6cGEgc3M=" in head
    assert f"Host: 127.0.0.1:{port}\r\n".encode() in head
    assert json.loads(body)["seq"] == len(lively(2))
    assert anchoring.reading().level == 0


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "a redirect, which is not followed"),
        (b"HTTP/1.1 500 No\r\n\r\n", "refuses with status 500"),
        (b"hello\r\n\r\n", "gives no valid answer"),
        (b"", "closed the connection|gives no valid answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "gives no valid answer"),
    ],
    ids=["redirect", "refusal", "no HTTP", "nothing", "endless head"],
)
async def test_answer_that_is_no_success_is_a_failure_with_its_reason(answer: bytes, why: str) -> None:
    """No redirect is followed, and a head is bounded."""
    async with open_server([answer]) as (port, _):
        with pytest.raises(AnchorError, match=why):
            await post(f"http://127.0.0.1:{port}/", b"{}")


@pytest.mark.parametrize(
    "answer",
    [
        b"POST /geheim?sig=geheim HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nPOST /geheim\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: geheim\r\n\r\n",
        b"HTTP/1.1 geheim\r\n\r\n",
    ],
    ids=["status line", "header", "length", "status"],
)
async def test_answer_that_holds_the_question_is_not_quoted(folder: Path, answer: bytes) -> None:
    """A server may answer with the path and the query that it was asked for."""
    async with open_server([answer] * 3) as (port, asked):
        anchoring = Anchoring(AnchorSettings(url=f"http://127.0.0.1:{port}/geheim?sig=geheim"), folder)
        await anchoring.note()
    assert len(asked) == 3
    assert "this is not HTTP" in anchoring.reading().text
    assert "geheim" not in anchoring.reading().text


async def test_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `PATIENCE_S` in all."""
    monkeypatch.setattr(anchors, "PATIENCE_S", 0.2)
    async with open_server([], hang=True) as (port, asked):
        with pytest.raises(AnchorError, match=r"did not answer within 0\.2 s"):
            await post(f"http://127.0.0.1:{port}/", b"{}")
        assert len(asked) == 1


async def test_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    """An anchor that goes to anybody proves nothing, and its URL may hold a secret."""
    write_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    asked: list[bytes | bytearray] = []

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async with stream:
                asked.append(await stream.receive_some())

    async with trio.open_nursery() as nursery:
        listen = partial(trio.serve_ssl_over_tcp, serve, 0, context, host="127.0.0.1")
        listeners = await nursery.start(listen)
        port = listeners[0].transport_listener.socket.getsockname()[1]
        with pytest.raises(AnchorError, match="certificate"):
            await post(f"https://127.0.0.1:{port}/secret", b"{}")
        nursery.cancel_scope.cancel()
    assert asked == []


async def test_tls_context_is_made_once_in_a_thread_before_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 30 ms; where it cannot be made no connection is opened, and the next attempt tries again."""
    make, made_in, trouble = ssl.create_default_context, [], [OSError("no certificates")]

    def make_context() -> ssl.SSLContext:
        made_in.append(threading.current_thread())
        if trouble:
            raise trouble.pop()
        return make()

    connected = 0

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal connected
        async with stream:
            connected += 1

    monkeypatch.setattr(ssl, "create_default_context", make_context)
    anchors._tls_context.cache_clear()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        url = f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
        with pytest.raises(AnchorError, match="no certificates"):
            await post(url, b"{}")
        assert connected == 0
        for _ in range(3):
            with pytest.raises(AnchorError):
                await post(url, b"{}")
        nursery.cancel_scope.cancel()
    assert len(made_in) == 2
    assert threading.current_thread() not in made_in


@pytest.mark.parametrize("name", ["segment-0000000001.sqlite", "pins.json", "manifest.jsonl", "notes.json"])
async def test_file_of_something_else_is_left_as_it_is(folder: Path, tmp_path: Path, name: str) -> None:
    """Under any name: no anchor is added, and the reading says so."""
    other = write_journal(tmp_path / "other", lively(2), 5, TINY)
    write_pins(other, {"crash": Pin(1, 2, "", 0)})
    (other / "notes.json").write_bytes(b'{"notes":"' + b"x" * 9000 + b'"}')
    (tmp_path / "anchors.jsonl").hardlink_to(other / name)
    before = (other / name).read_bytes()
    anchoring = Anchoring(AnchorSettings(tmp_path / "anchors.jsonl"), folder)
    await anchoring.note()
    assert (other / name).read_bytes() == before
    assert "begins with something else than anchors" in anchoring.reading().text


@pytest.mark.parametrize(
    "begun", [b"", b"\n", b'{"jou', b'{"jou\n{"journal":"no', b'{ "seq": 1, "journal": "n", "digest": "", "at": ""}']
)
def test_file_of_anchors_that_a_crash_or_a_person_began_is_gone_on_with(tmp_path: Path, begun: bytes) -> None:
    """Also where nothing but a part of the first line was written, and where the first line is spelled otherwise."""
    path = tmp_path / "anchors.jsonl"
    path.write_bytes(begun)
    for _ in range(2):
        append_anchor(path, Anchor("node", 1, "aa", "2027-01-15T08:00:00Z"))
    assert len(read_anchors(path)) == 2 + begun.count(b"seq")


async def test_file_that_cannot_be_written_does_not_keep_the_url_from_its_anchor(folder: Path, tmp_path: Path) -> None:
    """Both places are tried; the reasons of all that fail are shown together."""
    async with open_server([TAKEN]) as (port, asked):
        anchoring = Anchoring(AnchorSettings(tmp_path, f"http://127.0.0.1:{port}/"), folder)
        await anchoring.note()
    assert len(asked) == 1
    assert "cannot be written" in anchoring.reading().text
    both = Anchoring(AnchorSettings(tmp_path, f"http://127.0.0.1:{port}/"), folder)
    await both.note()
    assert "cannot be written" in both.reading().text
    assert "cannot be reached" in both.reading().text


async def test_failure_is_tried_again_then_counted_and_shown_without_secrets(folder: Path, tmp_path: Path) -> None:
    """Three attempts are a round; a success ends the count. Neither path, query nor login is shown."""
    refusal = b"HTTP/1.1 503 No\r\n\r\n"
    async with open_server([refusal] * 3 + [TAKEN]) as (port, asked):
        settings = AnchorSettings(url=f"http://me:geheim@127.0.0.1:{port}/geheim?geheim=geheim")
        anchoring = Anchoring(settings, folder)
        await anchoring.note()
        assert len(asked) == 3
        failed = anchoring.reading()
        await anchoring.note()
    assert failed.level == 1
    assert "503" in failed.text
    assert f"http://127.0.0.1:{port}" in failed.text
    assert "geheim" not in f"{failed} {settings} {settings.shown}"
    assert anchoring.reading().level == 0


@pytest.mark.parametrize("harm", ["folder", "journal"])
async def test_place_or_journal_that_cannot_be_used_is_a_failure(folder: Path, tmp_path: Path, harm: str) -> None:
    """A folder in the place of the file, or a journal that is gone; both are words, and no crash."""
    path = tmp_path / "anchors.jsonl"
    if harm == "folder":
        path.mkdir()
    else:
        folder = tmp_path / "gone"
    anchoring = Anchoring(AnchorSettings(path), folder)
    await anchoring.note()
    assert anchoring.reading().level == 1


async def test_daemon_notes_its_chain_and_raises_an_alert_where_it_cannot(tmp_path: Path) -> None:
    """A file that is noted to, and an address that refuses: the alert names the address, and nothing waits."""
    (tmp_path / "banken.yaml").write_text(
        """
        web: {listen: "127.0.0.1:0"}
        journal: {path: journal, anchor: {file: anchors.jsonl, url: "http://127.0.0.1:9/geheim", every: 10s}}
        cameras: {a: "test:64x64@5"}
        """
    )

    async with launch_daemon(tmp_path) as daemon:
        await daemon.wait_ready()
        raised = await wait_until(lambda: alerts(tmp_path / "journal"), 60, what="the alert")
    assert "http://127.0.0.1:9 " in raised[0].text
    assert "geheim" not in raised[0].text + daemon.output
    assert any(row.type == "CameraLive" for row in read_all(tmp_path / "journal"))
    noted = read_anchors(tmp_path / "anchors.jsonl")
    assert noted
    assert not check.verify(tmp_path / "journal", expected=Expectations((), noted)).damages


def alerts(folder: Path) -> list[AlertRaised]:
    found = [row.event for row in read_all(folder) if isinstance(row.event, AlertRaised)]
    return [event for event in found if event.alert == "anchor-warning"]


async def test_bad_answer_is_quoted_briefly() -> None:
    """The reason of a failure holds at most 200 characters of what the server sent, none of them a control."""
    async with open_server([b"HTTP/1.1 200 OK\r\nX: " + b"A" * 3000 + b"\x01\0\r\n\r\n"]) as (port, _):
        with pytest.raises(AnchorError, match="gives no valid answer") as raised:
            await post(f"http://127.0.0.1:{port}/", b"{}")
    assert len(str(raised.value)) < 250 and str(raised.value).isprintable()
