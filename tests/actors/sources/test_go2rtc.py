"""A camera through a go2rtc: its stream is there while it is used, and gone after, however the use ends."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import parse_qs, urlsplit

import attrs
import h11
import pytest
import trio

from actors.sources import go2rtc
from actors.sources.go2rtc import Go2rtcError, Upstream
from supervisor.config import Source
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.values import Limits, Mode
from tests.kit.cameras import open_camera
from tests.kit.domain import GATE
from tests.kit.processes import wait_until
from tests.kit.yard import open_yard

CAMERA = "rtsp://viewer:s3cr3t@192.0.2.1/main"


@attrs.define
class FakeGo2rtc:
    """Its API, and the streams it holds. `status` is what it answers, `about` what it says of itself; `added` names
    every stream it ever held, and one that `keeps` them refuses to let any go."""

    port: int = 0
    streams: dict[str, str] = attrs.field(factory=dict)
    added: list[str] = attrs.field(factory=list)
    keeps: bool = False
    status: int = 200
    about: bytes = b'{"rtsp": {"listen": ":8555"}}'
    hangs: bool = False
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
    async with open_go2rtc() as fake:
        upstream = Upstream(fake.url)
        assert await upstream.find_stream("banken-gate") == "rtsp://127.0.0.1:8555/banken-gate"
        await upstream.add("banken-gate", CAMERA)
        assert fake.streams == {"banken-gate": CAMERA}
        await upstream.remove("banken-gate")
        assert fake.streams == {}


@pytest.mark.parametrize("about", [b"", b"[]", b'{"rtsp": null}', b'{"rtsp": {"listen": "?"}}'])
async def test_without_a_word_of_its_port_the_usual_one_is_taken(about: bytes) -> None:
    async with open_go2rtc() as fake:
        fake.about = about
        assert (await Upstream(fake.url).find_stream("banken-gate")).endswith(":8554/banken-gate")


async def test_login_of_the_url_is_sent_as_basic_authorization() -> None:
    async with open_go2rtc() as fake:
        await Upstream(f"http://me:p%61ss@127.0.0.1:{fake.port}").add("banken-gate", CAMERA)
        assert set(fake.logins) == {"Basic bWU6cGFzcw=="}


async def test_what_it_refuses_is_said_without_the_address_of_the_camera() -> None:
    async with open_go2rtc() as fake:
        fake.status = 401
        with pytest.raises(Go2rtcError, match=r"refuses with status 401$"):
            await Upstream(fake.url).add("banken-gate", CAMERA)


async def test_one_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go2rtc, "API_S", 0.2)
    async with open_go2rtc() as fake:
        fake.hangs = True
        with pytest.raises(Go2rtcError, match="did not answer within"):
            await Upstream(fake.url).add("banken-gate", CAMERA)


async def test_one_that_is_not_there_is_said() -> None:
    with pytest.raises(Go2rtcError, match="cannot be reached"):
        await Upstream("http://127.0.0.1:1").add("banken-gate", CAMERA)


async def test_a_patrol_leaves_nothing_in_it() -> None:
    """A real ffmpeg reads the stream while it is there; after the round, and with the camera, it is gone."""
    source = Source("go2rtc", CAMERA, mode=Mode.PATROL, group="east")
    async with open_go2rtc() as fake, open_camera() as camera:
        fake.about = json.dumps({"rtsp": {"listen": f":{camera.port}"}}).encode()
        async with open_yard({GATE: attrs.evolve(source, via=fake.url)}) as yard:
            await wait_until(lambda: "banken-node-gate" in fake.added, 10)
            await wait_until(lambda: any(isinstance(r.event, e.PatrolEnded) for r in yard.core.disk.rows), 20)
            ended = next(r.event for r in yard.core.disk.rows if isinstance(r.event, e.PatrolEnded))
            assert (ended.pictures, fake.streams) == (1, {})
            assert (await yard.registry.take_picture(GATE, "192.0.2.9", None)).data.startswith(b"\xff\xd8")
            await yard.core.kernel.submit(c.Configure("test", (), Limits()))
        assert fake.streams == {}


async def test_what_could_not_be_removed_is_an_alert_until_it_could() -> None:
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
