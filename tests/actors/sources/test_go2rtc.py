"""A camera through go2rtc: its stream exists while it is used, and is removed after every kind of end."""

import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from urllib.parse import parse_qs, urlsplit

import attrs
import h11
import pytest
import trio

from actors.sources import go2rtc
from actors.sources.go2rtc import Go2rtcError, Upstream, _rtsp_port
from supervisor.config.config import Source
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.values import Fault, Limits, Mode
from tests.kit.cameras import open_camera
from tests.kit.domain import GATE
from tests.kit.processes import wait_until
from tests.kit.yard import open_yard

CAMERA = "rtsp://viewer:s3cr3t@192.0.2.1/main"


@attrs.define
class FakeGo2rtc:
    """A fake go2rtc: its API and its streams.

    `status` is its answer, `about` its description; `added` lists every stream it ever held. With `keeps` it refuses to
    remove streams.
    """

    port: int = 0
    streams: dict[str, str] = attrs.field(factory=dict)
    added: list[str] = attrs.field(factory=list)
    keeps: bool = False
    status: int = 200
    about: bytes = b'{"rtsp": {"listen": ":8555"}}'
    hangs: bool = False
    echoes: bool = False
    """Whether it answers with the request, and nothing else."""
    logins: list[str] = attrs.field(factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER)
        while not isinstance(event := connection.next_event(), h11.Request):
            assert event is h11.NEED_DATA
            connection.receive_data(await stream.receive_some())
        if self.hangs:
            await trio.sleep_forever()
        self.logins += [value.decode() for name, value in event.headers if name == b"authorization"]
        if self.echoes:
            await stream.send_all(event.method + b" " + event.target + b"\r\n\r\n")
            await stream.aclose()
            return
        parts = urlsplit(event.target.decode())
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        status = 500 if self.keeps and event.method == b"DELETE" else self.status
        if status == 200 and parts.path == "/api/streams":
            if event.method == b"PUT":
                self.added.append(query["name"])
                self.streams[query["name"]] = query["src"]
            elif event.method == b"DELETE":
                self.streams.pop(query["src"], None)
        body = self.about if parts.path == "/api" else b""
        answer = h11.Response(status_code=status, headers=[("Content-Length", str(len(body)))])
        parts_out = (connection.send(answer), connection.send(h11.Data(body)), connection.send(h11.EndOfMessage()))
        await stream.send_all(b"".join(part or b"" for part in parts_out))
        await stream.aclose()


@asynccontextmanager
async def open_go2rtc() -> AsyncIterator[FakeGo2rtc]:
    fake = FakeGo2rtc()
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, fake.serve, 0, host="127.0.0.1"))
        fake.port = listener.socket.getsockname()[1]
        yield fake
        nursery.cancel_scope.cancel()


async def test_a_stream_is_added_read_where_it_says_and_removed() -> None:
    """The RTSP port is the one that go2rtc reports."""
    async with open_go2rtc() as fake:
        upstream = Upstream(fake.url)
        assert await upstream.find_stream("banken-gate") == "rtsp://127.0.0.1:8555/banken-gate"
        await upstream.add("banken-gate", CAMERA)
        assert fake.streams == {"banken-gate": CAMERA}
        await upstream.remove("banken-gate")
        assert fake.streams == {}


@pytest.mark.parametrize("about", [b"", b"[]", b'{"rtsp": null}', b'{"rtsp": {"listen": "?"}}'])
async def test_without_a_word_of_its_port_the_usual_one_is_taken(about: bytes) -> None:
    """Empty, malformed or incomplete answers give 8554."""
    async with open_go2rtc() as fake:
        fake.about = about
        assert (await Upstream(fake.url).find_stream("banken-gate")).endswith(":8554/banken-gate")


@pytest.mark.parametrize("listen", [":99999999", ":0", ":-5", ":65536", ":" + "9" * 6000])
async def test_rtsp_port_that_no_port_can_be_is_an_error_of_the_upstream(listen: str) -> None:
    """The port is a number from 1 to 65535; the error does not quote another one."""
    async with open_go2rtc() as fake:
        fake.about = json.dumps({"rtsp": {"listen": listen}}).encode()
        with pytest.raises(Go2rtcError, match="no port can be") as raised:
            await Upstream(fake.url).find_stream("banken-gate")
        assert listen[1:] not in str(raised.value)


def test_description_is_read_as_far_as_it_is_needed() -> None:
    """Other fields are skipped: parsing 230 kB of them into objects took 15 ms of the loop."""
    rest = b",".join(b'"%d":{"a":[1,{}]}' % index for index in range(10_000))
    for about in (b'{"rtsp":{"listen":":8999","x":{%s}}}' % rest, b'{%s,"rtsp":{"listen":":8999"}}' % rest):
        tracemalloc.start()
        try:
            assert _rtsp_port(about) == 8999
            assert tracemalloc.get_traced_memory()[1] < 10_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("about", [b'{"a":' * 40_000, b'{"rtsp":{"a":' + b"[" * 100_000])
async def test_deep_json_of_the_upstream_is_a_temporary_reason(about: bytes) -> None:
    """The camera waits with the reason `upstream`, and its actor does not crash."""
    async with open_go2rtc() as fake:
        fake.about = about
        async with open_yard({GATE: Source("go2rtc", CAMERA, via=fake.url)}) as yard:
            await yard.until(lambda: yard.camera(GATE).phase is CameraPhase.WAITING, 10)
            reason = yard.camera(GATE).reason
            assert reason is not None and (reason.code, reason.fault) == ("upstream", Fault.TEMPORARY)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "chunks of one byte": (CHUNKED, b"1\r\na\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": (b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 1000),
    "chunks": (CHUNKED, b"3e8\r\n" + b"a" * 1000 + b"\r\n"),
    "header lines": (b"HTTP/1.1 200 OK\r\n", b"X: a\r\n"),
    "a header line": (b"HTTP/1.1 200 OK\r\nX: ", b"\x01A" * 500),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_answer_without_an_end_is_read_in_small_turns_and_given_up(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two trio checkpoints h11 parses few parts and few bytes; the whole answer and the error are bounded."""
    begin, piece = ENDLESS[name]
    turn, turns = [0, 0], [(0, 0)]
    next_event, receive_data, checkpoint = (
        h11.Connection.next_event,
        h11.Connection.receive_data,
        trio.lowlevel.checkpoint,
    )

    def note_event(self: h11.Connection) -> object:
        turn[0] += self.our_role is h11.CLIENT
        return next_event(self)

    def note_data(self: h11.Connection, data: bytes) -> None:
        if self.our_role is h11.CLIENT:
            end_turn()
            turn[1] += len(data)
        receive_data(self, data)

    def end_turn() -> None:
        turns.append((turn[0], turn[1]))
        turn[:] = [0, 0]

    async def note_checkpoint() -> None:
        end_turn()
        await checkpoint()

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(begin)
                while True:
                    await stream.send_all(piece * 100)

    monkeypatch.setattr(h11.Connection, "next_event", note_event)
    monkeypatch.setattr(h11.Connection, "receive_data", note_data)
    monkeypatch.setattr(trio.lowlevel, "checkpoint", note_checkpoint)
    monkeypatch.setattr(go2rtc, "API_S", 60.0)
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        with pytest.raises(Go2rtcError, match=r"sends more than any answer has|gives no valid answer") as raised:
            await Upstream(f"http://127.0.0.1:{listener.socket.getsockname()[1]}").add("banken-gate", CAMERA)
        nursery.cancel_scope.cancel()
    assert max(parts for parts, _ in turns) <= go2rtc.AT_ONCE + 1 and max(size for _, size in turns) <= go2rtc.PIECE
    assert sum(size for _, size in turns) <= go2rtc.MAX_ANSWER + go2rtc.PIECE
    assert sum(parts for parts, _ in turns) <= go2rtc.MAX_PARTS + 1
    assert len(str(raised.value)) < 300 and str(raised.value).isprintable()


@pytest.mark.parametrize("call", [Upstream.add, Upstream.remove])
async def test_answer_that_holds_the_question_is_not_quoted(call: Callable[..., Awaitable[None]]) -> None:
    """go2rtc may answer with the address that it was asked to add, and the password in it."""
    async with open_go2rtc() as fake:
        fake.echoes = True
        with pytest.raises(Go2rtcError, match="gives no valid answer") as raised:
            await call(Upstream(fake.url), *([CAMERA] * (1 + (call is Upstream.add))))
    assert "s3cr3t" not in str(raised.value)


async def test_login_of_the_url_is_sent_as_basic_authorization() -> None:
    """The percent-encoded password is decoded first."""
    async with open_go2rtc() as fake:
        await Upstream(f"http://me:p%61ss@127.0.0.1:{fake.port}").add("banken-gate", CAMERA)
        assert set(fake.logins) == {"Basic bWU6cGFzcw=="}


@pytest.mark.parametrize("status", [302, 401])
async def test_refusal_of_go2rtc_is_reported_without_the_address_of_the_camera(status: int) -> None:
    """The message ends with the status; a redirect is not followed."""
    async with open_go2rtc() as fake:
        fake.status = status
        with pytest.raises(Go2rtcError, match=rf"refuses with status {status}$"):
            await Upstream(fake.url).add("banken-gate", CAMERA)


async def test_request_to_a_go2rtc_that_hangs_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the time limit."""
    monkeypatch.setattr(go2rtc, "API_S", 0.2)
    async with open_go2rtc() as fake:
        fake.hangs = True
        with pytest.raises(Go2rtcError, match="did not answer within"):
            await Upstream(fake.url).add("banken-gate", CAMERA)


async def test_refused_connection_to_go2rtc_is_an_error() -> None:
    """A refused connection is a `Go2rtcError` like every other failure."""
    with pytest.raises(Go2rtcError, match="cannot be reached"):
        await Upstream("http://127.0.0.1:1").add("banken-gate", CAMERA)


async def test_a_patrol_leaves_nothing_in_it() -> None:
    """A real ffmpeg reads the stream while it exists; after the patrol cycle it is removed."""
    source = Source("go2rtc", CAMERA, mode=Mode.PATROL, group="east")
    async with open_go2rtc() as fake, open_camera() as camera:
        fake.about = json.dumps({"rtsp": {"listen": f":{camera.port}"}}).encode()
        async with open_yard({GATE: attrs.evolve(source, via=fake.url)}) as yard:
            await wait_until(lambda: "banken-node-gate" in fake.added, 10)
            await wait_until(lambda: any(isinstance(r.event, e.PatrolEnded) for r in yard.core.disk.rows), 20)
            ended = next(r.event for r in yard.core.disk.rows if isinstance(r.event, e.PatrolEnded))
            assert (ended.snapshots, fake.streams) == (1, {})
            assert (await yard.registry.take_picture(GATE, "192.0.2.9", None)).data.startswith(b"\xff\xd8")
            await yard.core.kernel.submit(c.Configure("test", (), Limits()))
        assert fake.streams == {}


async def test_failed_removal_is_an_alert_until_the_next_success() -> None:
    """go2rtc would stay connected to the camera; the next successful removal clears the alert."""
    source = Source("go2rtc", CAMERA, mode=Mode.ON_DEMAND)
    async with open_go2rtc() as fake, open_camera() as camera:
        fake.about = json.dumps({"rtsp": {"listen": f":{camera.port}"}}).encode()
        async with open_yard({GATE: attrs.evolve(source, via=fake.url)}) as yard:
            await wait_until(lambda: GATE in yard.registry.statistics(), 10)
            fake.keeps = True
            await yard.registry.take_picture(GATE, "192.0.2.9", None)
            await yard.until(lambda: "go2rtc/gate" in yard.core.kernel.state.alerts, 10)
            assert fake.streams
            fake.keeps = False
            await yard.until(lambda: yard.camera(GATE).phase is CameraPhase.IDLE, 10)
            await yard.registry.take_picture(GATE, "192.0.2.9", 0.0)
            await yard.until(lambda: not yard.core.kernel.state.alerts, 10)
            assert fake.streams == {}
