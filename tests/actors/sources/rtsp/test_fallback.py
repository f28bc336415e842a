"""Fall-backs from one transport to the next, with a scripted camera on real sockets; no socket stays open."""

import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest
import trio

from actors.addresses import open_tcp
from actors.media.hub import Hub
from actors.media.oddities import Oddity
from actors.sources.rtsp import source
from actors.sources.rtsp.reasons import ENDED, no_answer, refusal
from actors.tools import Tools
from supervisor.base.clock import TrioClock
from supervisor.config.config import Source, Timeouts
from supervisor.domain.ids import CameraId
from supervisor.domain.state import State
from supervisor.domain.values import Reason
from supervisor.runtime.vault import Vault
from tests.kit.descriptors import open_sockets
from tests.kit.media import access_units
from tests.kit.packets import framed, packets
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until
from tests.kit.rtp import Codec, describe

GATE = CameraId("gate")
OK = "200 OK"
TCP, UDP = "RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP;unicast;client_port={client};server_port={server}"


@attrs.define
class Camera:
    """Answers SETUP over each transport as `setups` says: a status, and the `Transport` header of a 200.

    It hangs up where the status is empty.

    Sends two access units after PLAY, over the requested transport.
    """

    setups: Mapping[str, tuple[str, str]]
    closes: bool = False
    """Whether it closes the connection after a status of 4xx."""
    silent: bool = False
    """Whether it never answers SETUP over UDP."""
    asked: list[str] = attrs.field(factory=list)
    """The methods, and for SETUP the transport."""
    open_now: int = 0
    most: int = 0
    """Connections at one time."""
    played: trio.Event = attrs.field(factory=trio.Event)

    async def serve(self, stream: trio.SocketStream) -> None:
        self.open_now += 1
        self.most = max(self.most, self.open_now)
        udp, client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0
        udp.bind(("127.0.0.1", 0))
        over = ""
        try:
            async with stream:
                async for data in stream:
                    request = bytes(data).decode()
                    method = request.partition(" ")[0]
                    number = request.partition("CSeq: ")[2].split("\r\n")[0]
                    status, headers, body = OK, "Session: 5\r\n", ""
                    if method == "DESCRIBE":
                        body = describe(Codec.H264, 64, 64, 10)
                    if method == "SETUP":
                        over = "udp" if "client_port" in request else "tcp"
                        if over == "udp" and self.silent:
                            self.asked.append("SETUP udp")
                            continue
                        status, header = self.setups[over]
                        if not status:
                            self.asked.append(f"SETUP {over}")
                            return
                        client = int((re.search(r"client_port=(\d+)", request) or "00")[1])
                        ports = {"client": f"{client}-{client + 1}", "server": f"{udp.getsockname()[1]}-1"}
                        headers += f"Transport: {header.format(**ports)}\r\n" if header else ""
                    self.asked.append(f"{method} {over}" if method == "SETUP" else method)
                    answer = (
                        f"RTSP/1.0 {status}\r\nCSeq: {number}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}"
                    )
                    await stream.send_all(answer.encode())
                    if status != OK and self.closes:
                        return
                    if method == "PLAY":
                        for packet in packets(access_units(count=2)):
                            if over == "udp":
                                udp.sendto(packet, ("127.0.0.1", client))
                            else:
                                await stream.send_all(framed(packet))
                        self.played.set()
        except trio.BrokenResourceError:
            return
        finally:
            udp.close()
            self.open_now -= 1


@asynccontextmanager
async def open_camera(camera: Camera) -> AsyncIterator[str]:
    """Serve; yields the address."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, camera.serve, [listener])
        yield f"rtsp://127.0.0.1:{listener.socket.getsockname()[1]}/main"
        nursery.cancel_scope.cancel()


def tools(played: tuple[str, ...] = ()) -> Tools:
    """Only what the source uses; cameras of the device were last live over `played`."""
    state: Any = SimpleNamespace(transports_of=lambda camera: list(played)) if played else State()
    return cast(Tools, SimpleNamespace(kernel=SimpleNamespace(state=state), sources=Vault(), open_tcp=open_tcp))


async def play(camera: Camera, transport: str = "auto", played: tuple[str, ...] = ()) -> tuple[Hub, Reason | None]:
    """Play until the first picture, or the end; no socket may then be open that was not before. None: it plays."""
    before, hub = open_sockets(), Hub(TrioClock())
    async with open_camera(camera) as url:
        reason = await play_at(url, hub, transport, played)
    assert open_sockets() == before
    assert camera.most == 1, "one connection at a time"
    return hub, reason


async def play_at(url: str, hub: Hub, transport: str = "auto", played: tuple[str, ...] = ()) -> Reason | None:
    """As `play`, with a hub that may know the camera."""
    reasons = list[Reason]()

    async def run() -> None:
        reasons.append(await source.run(GATE, Source("rtsp", url, transport=transport), hub, tools(played)))
        nursery.cancel_scope.cancel()

    hub.begin()
    with give_up_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await hub.wait_picture(10.0)
            nursery.cancel_scope.cancel()
    return reasons[0] if reasons else None


REFUSED, ODD, HANG_UP = ("461 Unsupported Transport", ""), ("406 Not Acceptable", ""), ("", "")
UNCERTAIN = [(status, "") for status in ("400 x", "404 x", "415 x", "451 x", "500 x", "501 x", "551 x")]


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("refused", [REFUSED, ODD, *UNCERTAIN, HANG_UP, (OK, UDP)], ids=lambda each: each[0][:3] or "-")
async def test_auto_falls_back_to_udp_when_tcp_is_refused(refused: tuple[str, str], closes: bool) -> None:
    """Also if the camera closes the connection, or accepts it and names UDP ports; the hub names the transport."""
    camera = Camera({"tcp": refused, "udp": (OK, UDP)}, closes=closes)
    hub, reason = await play(camera)
    assert reason is None
    assert list(dict.fromkeys(each for each in camera.asked if each.startswith("SETUP"))) == ["SETUP tcp", "SETUP udp"]
    assert hub.transport == "udp"
    assert hub.loss.oddities == {Oddity.UDP_ONLY: 1}


async def test_auto_begins_with_the_transport_of_the_last_connection() -> None:
    """A device that was last live over UDP is not asked for TCP first."""
    camera = Camera({"tcp": REFUSED, "udp": (OK, UDP)})
    hub, reason = await play(camera, played=("udp",))
    assert (reason, hub.transport, hub.loss.oddities) == (None, "udp", {})
    assert "SETUP tcp" not in camera.asked


async def test_auto_returns_to_tcp_when_udp_is_refused() -> None:
    """The camera has other settings now."""
    camera = Camera({"tcp": (OK, TCP), "udp": REFUSED})
    hub, reason = await play(camera, played=("udp",))
    assert (reason, hub.transport) == (None, "tcp")


@pytest.mark.parametrize("refused", [REFUSED, *UNCERTAIN, HANG_UP, (OK, TCP)], ids=lambda each: each[0][:3] or "-")
async def test_udp_falls_back_to_tcp_and_names_it(refused: tuple[str, str]) -> None:
    """By the oddity, and by the transport that the journal gets."""
    camera = Camera({"tcp": (OK, TCP), "udp": refused})
    hub, reason = await play(camera, "udp")
    assert (reason, hub.transport, hub.loss.oddities) == (None, "tcp", {Oddity.TCP_ONLY: 1})


async def test_explicit_tcp_stays_tcp() -> None:
    """The reason names the line to type, and nothing else is asked."""
    camera = Camera({"tcp": REFUSED, "udp": (OK, UDP)})
    _, reason = await play(camera, "tcp")
    assert reason is not None
    assert (reason.code, "`transport: udp`" in reason.text) == ("unsupported-transport", True)
    assert "SETUP udp" not in camera.asked


async def test_camera_that_refuses_every_transport_says_so() -> None:
    """The reason names both, and the setting that is left."""
    _, reason = await play(Camera({"tcp": REFUSED, "udp": REFUSED}))
    assert reason is not None
    assert "neither over TCP nor over UDP; try `transport: http`" in reason.text


async def test_status_406_of_a_device_that_played_over_tcp_is_no_fall_back() -> None:
    """It may be full; nothing is asked over UDP."""
    camera = Camera({"tcp": ODD, "udp": (OK, UDP)})
    _, reason = await play(camera, played=("tcp",))
    assert reason is not None
    assert reason.code == "full"
    assert "SETUP udp" not in camera.asked


@pytest.mark.parametrize("refused", [*UNCERTAIN, HANG_UP], ids=lambda each: each[0][:3] or "-")
async def test_first_refusal_is_the_reason_if_both_transports_fail(refused: tuple[str, str]) -> None:
    """The second camera would say 461 for a transport that it does not have."""
    camera = Camera({"tcp": refused, "udp": REFUSED})
    _, reason = await play(camera)
    status = int(refused[0][:3] or 0)
    expected = refusal(status) if status else ENDED
    assert reason is not None
    assert (reason.code, reason.fault) == (expected.code, expected.fault)
    assert reason.text.startswith(expected.text)
    assert "SETUP udp" in camera.asked


@pytest.mark.parametrize(
    ("status", "played", "expected"),
    [("401 x", (), False), *[(status, (), True) for status in ("403 x", "453 x", "503 x")],
     *[(status, ("tcp",), False) for status in ("403 x", "453 x", "503 x")]],
)  # fmt: skip
async def test_refusal_for_access_or_capacity_asks_for_no_other_transport(
    status: str, played: tuple[str, ...], expected: bool
) -> None:
    """Unless nothing has ever played over it: some cameras refuse a transport so."""
    camera = Camera({"tcp": (status, ""), "udp": (OK, UDP)})
    _, reason = await play(camera, played=played)
    assert (reason is None) is expected
    assert ("SETUP udp" in camera.asked) is expected


@pytest.mark.parametrize("status", ["403 x", "453 x", "503 x"])
async def test_refusal_of_both_for_access_or_capacity_is_the_reason_alone(status: str) -> None:
    """No other transport helps."""
    _, reason = await play(Camera({"tcp": (status, ""), "udp": (status, "")}))
    assert reason == refusal(int(status[:3]))


async def test_tcp_is_asked_once_more_after_one_hang_up_and_never_after_two() -> None:
    """The network may have failed. The device was last live over UDP."""
    camera, hub = Camera({"tcp": HANG_UP, "udp": (OK, UDP)}), Hub(TrioClock())
    async with open_camera(camera) as url:
        asked = []
        for played in ((), ("udp",), ("udp",)):
            camera.asked.clear()
            assert await play_at(url, hub, played=played) is None
            asked.append([each for each in camera.asked if each.startswith("SETUP")])
    assert asked == [["SETUP tcp", "SETUP udp"], ["SETUP tcp", "SETUP udp"], ["SETUP udp"]]


async def test_tcp_that_failed_once_is_used_again() -> None:
    """A camera restarted in the midst of SETUP, for example."""
    camera, hub = Camera({"tcp": HANG_UP, "udp": (OK, UDP)}), Hub(TrioClock())
    async with open_camera(camera) as url:
        assert await play_at(url, hub) is None
        camera.setups = {"tcp": (OK, TCP), "udp": (OK, UDP)}
        assert await play_at(url, hub, played=("udp",)) is None
    assert hub.transport == "tcp"


async def test_transport_without_an_answer_is_asked_for_last_by_the_next_attempt() -> None:
    """No attempt waits twice; when the camera plays, the oddity is counted."""
    camera, hub = Camera({"tcp": (OK, TCP), "udp": (OK, UDP)}, silent=True), Hub(TrioClock())
    limits = Timeouts(answer_s=0.3)
    async with open_camera(camera) as url:
        place = Source("rtsp", url, transport="udp", timeouts=limits)
        reason = await source.run(GATE, place, hub, tools())
        assert reason == no_answer(limits)
        assert camera.asked.count("SETUP udp") == 1
        assert "SETUP tcp" not in camera.asked
        hub.begin()
        with give_up_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(source.run, GATE, place, hub, tools())
                await hub.wait_picture(10.0)
                nursery.cancel_scope.cancel()
    assert camera.asked.count("SETUP udp") == 1
    assert hub.loss.oddities == {Oddity.TCP_ONLY: 1}


async def test_fall_back_that_is_cancelled_leaves_no_socket_open() -> None:
    """In the second connection, after its UDP ports are open and while SETUP has no answer."""
    camera, before = Camera({"tcp": REFUSED, "udp": (OK, UDP)}, silent=True), open_sockets()
    async with open_camera(camera) as url:
        beside = open_sockets()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(source.run, GATE, Source("rtsp", url), Hub(TrioClock()), tools())
            await wait_until(lambda: "SETUP udp" in camera.asked, 10)
            assert len(open_sockets() - beside) >= 4 + 1
            nursery.cancel_scope.cancel()
        await wait_until(lambda: open_sockets() == beside, 5)
    assert open_sockets() == before
