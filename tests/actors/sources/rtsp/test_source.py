"""The shell around a session, over streams in memory: every way out of it says TEARDOWN."""

from collections.abc import Callable
from typing import cast

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.hub import Hub
from actors.share import BURST_S, MESSAGE_S, RATE
from actors.sources.rtsp import source
from actors.sources.rtsp.source import CONNECT_S, TEARDOWN_S
from actors.tools import Tools
from supervisor.clock import TrioClock
from supervisor.config import Source
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId, DeviceId
from supervisor.domain.values import Fault, Reason
from supervisor.vault import Vault
from tests.kit.media import access_units
from tests.kit.packets import framed, packets
from tests.kit.rtp import Codec, describe

PLAYING = "Session: 5;timeout=60"


class Camera:
    """Answers, and sends two pictures after PLAY. `mute` makes it silent from a request on."""

    def __init__(self, mute: str = "") -> None:
        self.asked: list[str] = []
        self.closed_at: float | None = None
        self._mute, self._ours = mute, trio.testing.memory_stream_pair()
        self._has_hung_up = False
        self.played = trio.Event()

    async def open_tcp(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        return self._ours[0]

    async def run(self) -> None:
        stream, silent = self._ours[1], False
        async for request in stream:
            method, _, rest = bytes(request).decode().partition(" ")
            self.asked.append(method)
            silent = silent or method == self._mute or self._has_hung_up
            if silent:
                continue
            number = rest.partition("CSeq: ")[2].split("\r\n")[0]
            body = describe(Codec.H264, 64, 64, 10) if method == "DESCRIBE" else ""
            await stream.send_all(
                f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{PLAYING}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            if method == "PLAY":
                await stream.send_all(b"".join(map(framed, packets(access_units(count=2)))))
                self.played.set()
        self.closed_at = trio.current_time()

    async def hang_up(self) -> None:
        self._has_hung_up = True
        await self._ours[1].send_eof()


GATE = Source("rtsp", "rtsp://192.0.2.1/main", device=DeviceId("gate"))


async def play(open_tcp: Callable[..., object], source_: Source = GATE, **others: Source) -> Reason:
    class Seam:
        sources = Vault()

    seam = Seam()
    seam.open_tcp = open_tcp  # type: ignore[attr-defined]
    seam.sources.take({CameraId(name): each for name, each in {"gate": source_, **others}.items()})
    given = CameraId("gate"), source_, Hub(TrioClock())
    return await source.run(*given, cast(Tools, seam), cast(Recorded, None))


@pytest.mark.parametrize(("mute", "within_s"), [("", 0.0), ("TEARDOWN", TEARDOWN_S)])
async def test_a_source_that_is_cancelled_says_teardown(mute: str, within_s: float, autojump_clock: MockClock) -> None:
    """And waits for the answer, for a second at the most."""
    camera = Camera(mute)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)
        async with trio.open_nursery() as playing:
            playing.start_soon(play, camera.open_tcp)
            await camera.played.wait()
            await trio.testing.wait_all_tasks_blocked()
            began = trio.current_time()
            playing.cancel_scope.cancel()
        assert trio.current_time() - began == within_s
    assert camera.asked[-2:] == ["PLAY", "TEARDOWN"]
    assert camera.closed_at is not None


async def test_a_camera_that_does_not_answer_is_left_after_a_while(autojump_clock: MockClock) -> None:
    camera = Camera("PLAY")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)
        reason = await play(camera.open_tcp)
        assert trio.current_time() == pytest.approx(10 + TEARDOWN_S)
    assert reason.code == "no-answer"
    assert camera.asked[-1] == "TEARDOWN"


async def test_an_end_of_the_connection_is_the_end(autojump_clock: MockClock) -> None:
    camera = Camera()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)

        async def leave() -> None:
            await camera.played.wait()
            await camera.hang_up()

        nursery.start_soon(leave)
        assert (await play(camera.open_tcp)).code == "ended"


async def test_a_camera_that_floods_with_messages_is_read_with_pauses(autojump_clock: MockClock) -> None:
    """TCP slows it down: what it sends more is not read until its share of the loop is there again."""
    camera, messages = Camera(), 180
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)

        async def flood() -> None:
            await camera.played.wait()
            await camera._ours[1].send_all(b"RTSP/1.0 200 OK\r\nCSeq: 999\r\n\r\n" * messages)
            await camera.hang_up()

        nursery.start_soon(flood)
        assert (await play(camera.open_tcp)).code == "ended"
    assert trio.current_time() > 0.9 * (messages * MESSAGE_S - BURST_S) / RATE


async def test_connecting_is_bounded_in_time(autojump_clock: MockClock) -> None:
    async def never(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    assert (await play(never)).code == "unreachable"
    assert trio.current_time() == CONNECT_S


async def test_what_the_system_refuses_is_named(autojump_clock: MockClock) -> None:
    async def refuses(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise ConnectionRefusedError(111, "Connection refused")

    assert "refused" in (await play(refuses)).text


class Redirects:
    """Hosts and ports that each answer the first request with a status and a header."""

    def __init__(self, answers: dict[tuple[str, int], str]) -> None:
        self.answers = answers
        self.opened: list[tuple[str, int]] = []

    async def open_tcp(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        self.opened.append((host, port))
        await theirs.send_all(f"RTSP/1.0 {self.answers[host, port]}\r\nCSeq: 1\r\n\r\n".encode())
        await theirs.send_eof()
        return ours


def moved(location: str) -> str:
    return f"302 Found\r\nLocation: {location}"


HOME, OTHER_PORT, OTHER_HOST = ("192.0.2.1", 554), ("192.0.2.1", 8554), ("192.0.2.9", 554)


async def test_redirect_to_another_host_is_not_followed(autojump_clock: MockClock) -> None:
    """No connection to it; the reason names the address without our secrets, and the camera is probed again."""
    there = Redirects({HOME: moved("rtsp://me:x@192.0.2.9/pa%2Fss/t?token=a1b2c3d4")})
    login = Source("rtsp", "rtsp://u:pa%2Fss@192.0.2.1/main", secrets=("pa%2Fss", "pa/ss"))
    reason = await play(there.open_tcp, login)
    assert there.opened == [HOME]
    assert (reason.code, reason.fault) == ("redirected", Fault.FATAL)
    assert "rtsp://192.0.2.9/***/t?token=***;" in reason.text


async def test_redirect_within_the_host_is_followed(autojump_clock: MockClock) -> None:
    """Also to another port, and then to another path."""
    there = Redirects({HOME: moved("rtsp://192.0.2.1:8554/x"), OTHER_PORT: "401 Unauthorized"})
    assert (await play(there.open_tcp)).code == "unauthorized"
    assert there.opened == [HOME, OTHER_PORT]


@pytest.mark.parametrize(("device", "follows"), [("gate", True), ("box", False)])
async def test_redirect_to_a_port_of_another_device_is_not_followed(
    device: str, follows: bool, autojump_clock: MockClock
) -> None:
    """Devices behind one host are told apart by the addresses in the configuration."""
    there = Redirects({HOME: moved("rtsp://192.0.2.1:8554/x"), OTHER_PORT: "401 Unauthorized"})
    box = Source("rtsp", "rtsp://192.0.2.1:8554/main", device=DeviceId(device))
    reason = await play(there.open_tcp, box=box, film=Source("file", "[no address"))
    assert reason.code == ("unauthorized" if follows else "redirected")
    assert (OTHER_PORT in there.opened) is follows


@pytest.mark.parametrize(
    ("location", "other", "code"),
    [
        ("127.0.0.1", "192.0.2.9", "unauthorized"),
        ("127.0.0.2", "192.0.2.9", "redirected"),
        ("127.0.0.1", "cam.lan", "redirected"),
        ("127.0.0.1", "127.0.0.1", "redirected"),
    ],
)
async def test_redirect_to_the_number_of_the_peer_is_followed(location: str, other: str, code: str) -> None:
    """Where the connection leads, not to another number, and not to another device, whichever way its host is named."""
    answers = [f"RTSP/1.0 {moved(f'rtsp://{location}:8554/x')}", "RTSP/1.0 401 Unauthorized"]
    opened = list[tuple[str, int]]()

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(f"{answers[len(opened) - 1]}\r\nCSeq: 1\r\n\r\n".encode())

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer, [listener])

        async def open_tcp(host: str, port: int, tls: bool) -> trio.abc.Stream:
            opened.append((host, port))
            return await trio.open_tcp_stream(*listener.socket.getsockname())

        box = Source("rtsp", f"rtsp://{other}:8554/main", device=DeviceId("box"))
        reason = await play(open_tcp, Source("rtsp", "rtsp://cam.lan/main", device=DeviceId("gate")), box=box)
        nursery.cancel_scope.cancel()
    assert reason.code == code
    assert opened == [("cam.lan", 554), ("cam.lan", 8554)][: 2 if code == "unauthorized" else 1]


async def test_redirect_to_a_port_that_wants_the_password_says_why_it_has_none(autojump_clock: MockClock) -> None:
    """The operator is not asked for a password that is configured."""
    there = Redirects({HOME: moved("rtsp://192.0.2.1:8554/x"), OTHER_PORT: "401 Unauthorized"})
    reason = await play(there.open_tcp, Source("rtsp", "rtsp://u:pass@192.0.2.1/main"))
    assert (reason.code, "rtsp://192.0.2.1:8554/x" in reason.text) == ("redirected", True)
