"""Services that detect: they are called with pictures, one at a time, and no answer does harm."""

import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from actors.detectors import service
from supervisor.config.config import Detector
from supervisor.domain import events as e
from tests.kit.detectors import Detecting, open_detectors
from tests.kit.domain import GATE
from tests.kit.processes import wait_until
from tests.kit.proxies import write_certificate

SECRET = "token-of-the-service"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
Answers = Callable[[bytes], bytes]


@attrs.define
class FakeService:
    """Answers each request with `answer(request)`; hangs for an empty answer."""

    port: int
    answer: Answers
    asked: list[bytes] = attrs.field(factory=list)
    open: int = 0
    most: int = 0
    """The most requests at a time."""

    def detector(self, **more: object) -> Detector:
        usual = {"address": f"http://127.0.0.1:{self.port}/detect", "every_s": 0.1, "token": SECRET}
        return Detector("lab", "url", **{**usual, **more})  # type: ignore[arg-type]


@asynccontextmanager
async def open_service(answer: Answers, context: ssl.SSLContext | None = None) -> AsyncIterator[FakeService]:
    fake: FakeService

    async def serve(stream: trio.abc.Stream) -> None:
        fake.open += 1
        fake.most = max(fake.most, fake.open)
        try:
            question = b""
            while not question.endswith(b"--\r\n"):
                part = bytes(await stream.receive_some())
                if not part:
                    return
                question += part
            fake.asked.append(question)
            reply = fake.answer(question)
            if not reply:
                await trio.sleep_forever()
            await stream.send_all(reply)
        except trio.BrokenResourceError:
            pass
        finally:
            fake.open -= 1
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        if context is None:
            listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            port = listeners[0].socket.getsockname()[1]
        else:
            secure = partial(trio.serve_ssl_over_tcp, serve, 0, context, host="127.0.0.1")
            listeners = await nursery.start(secure)
            port = listeners[0].transport_listener.socket.getsockname()[1]
        fake = FakeService(port, answer)
        yield fake
        nursery.cancel_scope.cancel()


def reply(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


def camera_of(question: bytes) -> tuple[str, str]:
    """Camera and time of a request in the format `banken`."""
    texts = [part.split(b"\r\n\r\n", 1)[1].split(b"\r\n")[0].decode() for part in question.split(b'name="')[1:3]]
    return texts[0], texts[1]


def seen(question: bytes) -> bytes:
    camera, at = camera_of(question)
    return reply(json.dumps({"camera": camera, "at": at, "label": "car", "score": 0.8}).encode())


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "RETRY_S", 0.01)


async def failing(here: Detecting) -> str:
    return await here.wait_alert("lab")


async def test_service_gets_pictures_and_its_answer_is_a_detection() -> None:
    """With the token, one request at a time; from the second one on with the picture before."""
    async with open_service(seen) as fake, open_detectors(fake.detector()) as here:
        made = await here.wait_made(4)
        assert {(each.by, each.label, each.score) for each in made} == {("lab", "car", 0.8)}
        assert all(each.pictured for each in made)
        assert fake.asked[0].startswith(b"POST /detect HTTP/1.1\r\n")
        assert f"\r\nAuthorization: Bearer {SECRET}\r\n".encode() in fake.asked[0]
        assert b'name="previous"' not in fake.asked[0]
        assert any(b'name="previous"' in each for each in fake.asked)
        assert fake.most == 1
        found = here.of("lab")
        assert (found.state, found.kind, found.dropped) == ("running", "url", {})
        row = next(row for row in here.events() if isinstance(row.event, e.DetectionMade))
        assert (row.principal, row.cause) == ("actor", None)
        assert SECRET not in repr(here.events())


async def test_service_without_a_path_is_called_at_that_of_its_format() -> None:
    """`analyze-v1` has `/v1/analyze`; hints belong to their camera."""
    answer = {"detected": True, "primary_event": "intrusion", "confidence": 0.9}
    async with open_service(lambda _: reply(json.dumps(answer).encode())) as fake:
        address = f"http://127.0.0.1:{fake.port}"
        chosen = fake.detector(address=address, format="analyze-v1", hints={GATE: "the gate"}, cameras=(GATE,))
        async with open_detectors(chosen) as here:
            (made, *_) = await here.wait_made(1)
            assert (made.label, made.camera) == ("intrusion", GATE)
            assert fake.asked[0].startswith(b"POST /v1/analyze HTTP/1.1\r\n")
            assert b'name="hints_json"\r\n\r\n"the gate"\r\n' in fake.asked[0]


BAD = {
    "refuses": (reply(b"", "503 Busy"), "refuses with status 503"),
    "redirects": (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "a redirect"),
    "is no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "this is not HTTP"),
    "quotes the token": (b"HTTP/1.1 20x " + SECRET.encode() + b"\r\n\r\n", "this is not HTTP"),
    "ends too soon": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "this is not HTTP"),
    "shows a page": (reply(b"<html>Please log in.</html>"), "this is not JSON"),
    "sends too much": (reply(b"x" * 300_000), "more than any answer has"),
    "sends endless headers": (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 90_000, "this is not HTTP"),
    "sends endless chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 9000,
                             "more than any answer has"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "reason"), BAD.values(), ids=BAD)
async def test_bad_answer_is_tried_three_times_and_is_an_alert(answer: bytes, reason: str) -> None:
    """The reason quotes nothing; when the service answers again, the alert is cleared."""
    async with open_service(lambda _: answer) as fake, open_detectors(fake.detector(cameras=(GATE,))) as here:
        text = await failing(here)
        assert "the detector lab does not work: it " in text
        assert reason in text
        assert SECRET not in text
        assert len(fake.asked) % 3 == 0
        assert here.of("lab").state == "backoff"
        fake.answer = lambda _: EMPTY

        def is_well() -> bool:
            here.cameras[GATE].publish()
            return not here.alert("lab")

        await wait_until(is_well, 30, what="the end of the alert")
        assert here.of("lab").state == "running"


async def test_wrong_detections_of_an_answer_are_counted() -> None:
    """The service works; what it says does not. Those beyond the limit of an answer are counted at once."""
    async with open_service(lambda _: reply(b'[{"camera": "nobody"}' + b", {}" * 40 + b"]")) as fake:
        async with open_detectors(fake.detector()) as here:

            def counted() -> bool:
                here.cameras[GATE].publish()
                return here.of("lab").dropped.get("wrong-field", 0) >= 2

            await wait_until(counted, 30, what="wrong detections")
            assert (here.alert("lab"), here.made()) == ("", [])
            assert here.of("lab").dropped["too-many"] * 32 == here.of("lab").dropped["wrong-field"] * 9


async def test_service_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of three attempts has its time limit."""
    monkeypatch.setattr(service, "PATIENCE_S", 0.2)
    async with open_service(lambda _: b"") as fake, open_detectors(fake.detector()) as here:
        assert "did not answer within" in await failing(here)
        assert len(fake.asked) % 3 == 0


async def test_service_that_is_not_there_is_an_alert() -> None:
    """A refused connection names the reason of the system, and not the address with its secrets."""
    gone = Detector("lab", "url", address="http://user:hidden-word@127.0.0.1:1/x", every_s=0.1)
    async with open_detectors(gone) as here:
        text = await failing(here)
        assert text.endswith("it cannot be reached: Connection refused")
        assert "hidden-word" not in text


async def test_picture_that_failed_is_not_sent_as_the_previous_one() -> None:
    """A service that has refused a picture may not know it."""
    async with open_service(lambda _: reply(b"", "503 Busy")) as fake:
        async with open_detectors(fake.detector(cameras=(GATE,))) as here:

            def asked(count: int) -> bool:
                here.cameras[GATE].publish()
                return len(fake.asked) >= count

            await wait_until(lambda: asked(6), 30, what="two pictures")
            fake.answer = lambda _: EMPTY
            before = len(fake.asked)
            await wait_until(lambda: asked(before + 3), 30, what="answers")
        assert not any(b'name="previous"' in each for each in fake.asked[: before + 1])
        assert any(b'name="previous"' in each for each in fake.asked[before + 1 :])


async def test_certificates_that_cannot_be_read_take_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """While their directory hangs, the further attempts wait for the first one's thread, and give up."""
    go_on, begun, real = threading.Event(), list[int](), ssl.create_default_context

    def hangs() -> ssl.SSLContext:
        begun.append(1)
        go_on.wait(60)
        return real()

    monkeypatch.setattr(ssl, "create_default_context", hangs)
    monkeypatch.setattr(service, "PATIENCE_S", 0.2)
    service.tls_context.cache_clear()
    try:
        lab = Detector("lab", "url", address="https://127.0.0.1:1/", every_s=0.1)
        async with open_detectors(lab, attrs.evolve(lab, name="other")) as here:
            assert "did not answer within" in await failing(here)
            assert "did not answer within" in await here.wait_alert("other")
            assert begun == [1]
            go_on.set()
            await wait_until(lambda: tried(here), 30, what="attempts to connect")
    finally:
        go_on.set()
        service.tls_context.cache_clear()


def tried(here: Detecting) -> bool:
    for camera in here.cameras.values():
        camera.publish()
    return all("cannot be reached" in each.reason for each in here.crew.statistics())


async def test_certificate_of_a_service_is_verified(tmp_path: Path) -> None:
    """A certificate that nobody signed is refused before anything is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    write_certificate(tmp_path)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with open_service(seen, context) as fake:
        async with open_detectors(fake.detector(address=f"https://127.0.0.1:{fake.port}/")) as here:
            assert "certificate" in await failing(here)
            assert fake.asked == []
