"""The RTSP actor around a session, over streams in memory: every way out of it sends TEARDOWN."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.addresses import open_tcp
from actors.cpu_share import BURST_S, MESSAGE_S, RATE
from actors.media.hub import Hub
from actors.media.media import SourceLoss
from actors.media.oddities import Oddity
from actors.sources.rtsp import encrypted, source
from actors.sources.rtsp.address import parse_target
from actors.sources.rtsp.memory import OptionalStep, SourceMemory
from actors.sources.rtsp.messages import ProtocolError
from actors.sources.rtsp.reasons import ENDED, Again, Ended, not_rtsp
from actors.sources.rtsp.session import RtspSession
from actors.sources.rtsp.source import AGAIN_S, TEARDOWN_S
from actors.sources.rtsp.tracks import HOLD_S
from actors.sources.rtsp.transport import TransportRefused
from actors.sources.rtsp.udp import Datagrams
from actors.tools import Tools
from supervisor.base.background_import import BackgroundImport
from supervisor.base.clock import TrioClock
from supervisor.config.config import Source, Timeouts
from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, DeviceId
from supervisor.domain.state import State
from supervisor.domain.values import Fault, Limits, Reason
from supervisor.runtime.vault import Vault
from tests.actors.test_tls import open_camera as open_tls_camera
from tests.kit.certificates import pin_of
from tests.kit.domain import NODE, PICTURE, RUN, Story, settings
from tests.kit.media import access_units
from tests.kit.packets import framed, packets
from tests.kit.rtp import Codec, describe

PLAYING = "Session: 5;timeout=60"


class Camera:
    """Answers, and sends two access units after PLAY. `mute` makes it silent from that request on."""

    def __init__(self, mute: str = "") -> None:
        self.asked: list[str] = []
        self.closed_at: float | None = None
        self._mute, self.ours = mute, trio.testing.memory_stream_pair()
        self._has_hung_up = False
        self.played = trio.Event()

    async def open_tcp(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        return self.ours[0]

    async def run(self) -> None:
        stream, silent = self.ours[1], False
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

    async def send_sighup(self) -> None:
        self._has_hung_up = True
        await self.ours[1].send_eof()


GATE = Source("rtsp", "rtsp://192.0.2.1/main", device=DeviceId("gate"), transport="tcp")


@attrs.define
class Seam:
    open_tcp: Callable[..., object]
    kernel: object = None
    sources: Vault = attrs.field(factory=Vault)


async def play(
    open_tcp: Callable[..., object],
    source_: Source = GATE,
    *,
    hub: Hub | None = None,
    state: State | None = None,
    **others: Source,
) -> Reason:
    """`state`: that of the kernel, which knows the other cameras of the device."""
    seam = Seam(open_tcp, SimpleNamespace(state=state or State(), clock=TrioClock()))
    seam.sources.take({CameraId(name): each for name, each in {"gate": source_, **others}.items()})
    return await source.run(CameraId("gate"), source_, hub or Hub(TrioClock()), cast(Tools, seam))


@pytest.mark.parametrize(("mute", "within_s"), [("", 0.0), ("TEARDOWN", TEARDOWN_S)])
async def test_a_source_that_is_cancelled_says_teardown(mute: str, within_s: float, autojump_clock: MockClock) -> None:
    """It waits for the response for at most a second."""
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


def test_answer_that_cannot_be_read_is_named() -> None:
    """The reason has the text of the error, instead of a guess."""
    reason = not_rtsp(ProtocolError("more than 128 headers"))
    assert (reason.code, reason.text) == ("no-answer", "the camera gives no usable answer: more than 128 headers")


async def test_a_camera_that_does_not_answer_is_left_after_a_while(autojump_clock: MockClock) -> None:
    """10 s for the answer to PLAY, and 1 s for TEARDOWN."""
    camera = Camera("PLAY")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)
        reason = await play(camera.open_tcp)
        assert trio.current_time() == pytest.approx(10 + TEARDOWN_S)
    assert reason.code == "no-answer"
    assert camera.asked[-1] == "TEARDOWN"


async def test_an_end_of_the_connection_is_the_end(autojump_clock: MockClock) -> None:
    """The reason is `ended`, after PLAY."""
    camera = Camera()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)

        async def leave() -> None:
            await camera.played.wait()
            await camera.send_sighup()

        nursery.start_soon(leave)
        assert (await play(camera.open_tcp)).code == "ended"


async def test_a_camera_that_floods_with_messages_is_read_with_pauses(autojump_clock: MockClock) -> None:
    """TCP slows it down: data beyond its share of the loop is read later."""
    camera, messages = Camera(), 180
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)

        async def flood() -> None:
            await camera.played.wait()
            await camera.ours[1].send_all(b"RTSP/1.0 200 OK\r\nCSeq: 999\r\n\r\n" * messages)
            await camera.send_sighup()

        nursery.start_soon(flood)
        assert (await play(camera.open_tcp)).code == "ended"
    assert trio.current_time() > 0.9 * (messages * MESSAGE_S - BURST_S) / RATE


@pytest.mark.parametrize("connect_s", [5.0, 10.0, 120.0])
async def test_connecting_is_bounded_in_time(connect_s: float, autojump_clock: MockClock) -> None:
    """After exactly `timeouts.connect` the camera is `unreachable`; the reason names the setting."""

    async def never(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    reason = await play(never, attrs.evolve(GATE, timeouts=Timeouts(connect_s=connect_s)))
    assert (reason.code, trio.current_time()) == ("unreachable", connect_s)
    assert reason.text.endswith(f"within {connect_s:g} s; timeouts: connect")


async def test_reason_names_the_error_of_the_operating_system(autojump_clock: MockClock) -> None:
    """The text for people contains the operating system's "refused"."""

    async def refuses(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise ConnectionRefusedError(111, "Connection refused")

    assert "refused" in (await play(refuses)).text


class Redirects:
    """Hosts and ports that each answer the first two requests with a status and a header."""

    def __init__(self, answers: dict[tuple[str, int], str]) -> None:
        self.answers = answers
        self.opened: list[tuple[str, int]] = []

    async def open_tcp(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        self.opened.append((host, port))
        for number in (1, 2):
            await theirs.send_all(f"RTSP/1.0 {self.answers[host, port]}\r\nCSeq: {number}\r\n\r\n".encode())
        await theirs.send_eof()
        return ours


def moved(location: str) -> str:
    return f"302 Found\r\nLocation: {location}"


HOME, OTHER_PORT, OTHER_HOST = ("192.0.2.1", 554), ("192.0.2.1", 8554), ("192.0.2.9", 554)


async def test_redirect_to_another_host_is_not_followed(autojump_clock: MockClock) -> None:
    """No connection is made to it; the reason names the address without our secrets, and the camera is probed again."""
    there = Redirects({HOME: moved("rtsp://me:x@192.0.2.9/pa%2Fss/t?token=a1b2c3d4")})
    login = Source("rtsp", "rtsp://u:pa%2Fss@192.0.2.1/main", secrets=("pa%2Fss", "pa/ss"))
    reason = await play(there.open_tcp, login)
    assert there.opened == [HOME]
    assert (reason.code, reason.fault) == ("redirected", Fault.FATAL)
    assert "rtsp://192.0.2.9/***/t?token=***;" in reason.text


async def test_redirect_within_the_host_is_followed(autojump_clock: MockClock) -> None:
    """This includes another port, and then another path."""
    there = Redirects({HOME: moved("rtsp://192.0.2.1:8554/x"), OTHER_PORT: "401 Unauthorized"})
    assert (await play(there.open_tcp)).code == "no-password"
    assert there.opened == [HOME, OTHER_PORT]


@pytest.mark.parametrize(("device", "follows"), [("gate", True), ("box", False)])
async def test_redirect_to_a_port_of_another_device_is_not_followed(
    device: str, follows: bool, autojump_clock: MockClock
) -> None:
    """Devices behind one host are distinguished by the addresses in the configuration."""
    there = Redirects({HOME: moved("rtsp://192.0.2.1:8554/x"), OTHER_PORT: "401 Unauthorized"})
    box = Source("rtsp", "rtsp://192.0.2.1:8554/main", device=DeviceId(device))
    reason = await play(there.open_tcp, box=box, film=Source("file", "[no address"))
    assert reason.code == ("no-password" if follows else "redirected")
    assert (OTHER_PORT in there.opened) is follows


@pytest.mark.parametrize(
    ("location", "other", "code"),
    [
        ("127.0.0.1", "192.0.2.9", "no-password"),
        ("127.0.0.2", "192.0.2.9", "redirected"),
        ("127.0.0.1", "cam.lan", "redirected"),
        ("127.0.0.1", "127.0.0.1", "redirected"),
    ],
)
async def test_redirect_to_the_number_of_the_peer_is_followed(location: str, other: str, code: str) -> None:
    """The redirect to the connected IP address is followed, but not to another one, and not to another device."""
    answers = [f"RTSP/1.0 {moved(f'rtsp://{location}:8554/x')}", "RTSP/1.0 401 Unauthorized"]
    opened = list[tuple[str, int]]()

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            for number in (1, 2):
                await stream.send_all(f"{answers[len(opened) - 1]}\r\nCSeq: {number}\r\n\r\n".encode())

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
    assert opened == [("cam.lan", 554), ("cam.lan", 8554)][: 2 if code == "no-password" else 1]


async def test_redirect_to_a_port_that_wants_the_password_says_why_it_has_none(autojump_clock: MockClock) -> None:
    """The operator is not asked for a password that is configured."""
    there = Redirects({HOME: moved("rtsp://192.0.2.1:8554/x"), OTHER_PORT: "401 Unauthorized"})
    reason = await play(there.open_tcp, Source("rtsp", "rtsp://u:pass@192.0.2.1/main"))
    assert (reason.code, "rtsp://192.0.2.1:8554/x" in reason.text) == ("redirected", True)


BASIC = 'WWW-Authenticate: Basic realm="c"\r\n\r\n'
CHALLENGED = f"HTTP/1.0 401 Unauthorized\r\n{BASIC}"
CHALLENGED_INSIDE = "HTTP/1.0 200 OK\r\n\r\n" + "".join(
    f"RTSP/1.0 401 Unauthorized\r\nCSeq: {number}\r\n{BASIC}" for number in (1, 2)
)


@pytest.mark.parametrize("answer", [CHALLENGED, CHALLENGED_INSIDE])
@pytest.mark.parametrize(("auth", "named"), [("any", "write port 80 in the address"), ("digest", "`auth: digest`")])
async def test_port_that_the_address_does_not_name_gets_no_readable_password(
    answer: str, auth: str, named: str, autojump_clock: MockClock
) -> None:
    """Neither for a tunnel at port 80 nor inside it. The reason names the port, or else the setting."""
    connections = list[trio.abc.Stream]()

    async def open_tcp(host: str, port: int, tls: bool) -> trio.abc.Stream:
        if port != 80:
            raise ConnectionRefusedError(111, "refused")
        ours, theirs = trio.testing.memory_stream_pair()
        connections.append(theirs)
        await theirs.send_all(answer.encode())
        return ours

    reason = await play(open_tcp, Source("rtsp", "rtsp://u:pass@192.0.2.1/main", transport="http", auth=auth))
    assert (reason.code, named in reason.text) == ("unsupported-auth", True)
    for stream in connections:
        assert b"Authorization" not in await stream.receive_some()


@pytest.mark.parametrize("transport", ["auto", "http"])
async def test_pinned_camera_is_not_asked_without_tls(transport: str, autojump_clock: MockClock) -> None:
    """A redirect to an address without TLS gets no request, of RTSP or HTTP, and the reason says why."""
    camera = Camera()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)
        reason = await play(
            camera.open_tcp, Source("rtsp", "rtsps://192.0.2.1/main", pin="ab" * 32, transport=transport)
        )
    assert (reason.code, reason.fault) == ("wrong-certificate", Fault.FATAL)
    assert "without TLS" in reason.text
    assert not camera.asked


async def test_old_tls_of_a_camera_is_an_oddity(tmp_path: Path) -> None:
    """It is counted once for each of two connections: the first ends at OPTIONS. The pinned certificate is accepted."""
    path, hub = tmp_path / "camera.pem", Hub(TrioClock())
    async with open_tls_camera(path, "rsa-1024-sha1", ssl.TLSVersion.TLSv1, "AES128-SHA") as (port, _):
        source_ = Source("rtsp", f"rtsps://127.0.0.1:{port}/main", pin=pin_of(path))
        assert (await play(open_tcp, source_, hub=hub)).code == "ended"
    assert hub.loss.oddities == {Oddity.OLD_TLS: 2}


# ── connections that show how the next one succeeds ─────────────────────────────────────────────────────────────────

HANG_UP, SILENCE = "hang up", "silence"
CHALLENGE = 'WWW-Authenticate: Digest realm="camera", nonce="1"'


@attrs.define
class Odd:
    """A camera with a video and an audio track. It plays two access units, and then ends the stream.

    `rules` maps the beginning of a request to `HANG_UP`, `SILENCE`, or a status with headers. The first that fits
    counts.
    """

    rules: dict[str, str]
    nursery: trio.Nursery
    connections: list[list[str]] = attrs.field(factory=list)
    """The methods and the last parts of the addresses of all requests of each connection."""
    ends_after: str = ""
    """The request, as in `rules`, after which the connection ends at the next PLAY."""
    sound: str = attrs.field(factory=lambda: SOUND)
    """The audio in its description."""
    opened: list[float] = attrs.field(factory=list)
    """When each connection was opened."""

    async def open_tcp(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        self.connections.append([])
        self.opened.append(trio.current_time())
        self.nursery.start_soon(self._serve, theirs, self.connections[-1])
        return ours

    async def _serve(self, stream: trio.abc.Stream, asked: list[str]) -> None:
        has_ended = False
        async with stream:
            while request := await stream.receive_some():
                text = bytes(request).decode()
                method, url, *_ = text.split()
                asked.append(f"{method} {url.rpartition('/')[2]}")
                rule = next(
                    (rule for start, rule in self.rules.items() if self._fits(start, asked[-1], text)), "200 OK"
                )
                if rule == HANG_UP or (has_ended and method == "PLAY"):
                    return
                has_ended = has_ended or self._fits(self.ends_after or "none", asked[-1], text)
                if rule == SILENCE:
                    continue
                number = text.partition("CSeq: ")[2].split("\r\n")[0]
                body = (
                    describe(Codec.H264, 64, 64, 10) + self.sound if method == "DESCRIBE" and rule == "200 OK" else ""
                )
                lines = (f"RTSP/1.0 {rule}", f"CSeq: {number}", PLAYING, f"Content-Length: {len(body)}", "", body)
                await stream.send_all("\r\n".join(lines).encode())
                if method == "PLAY" and rule == "200 OK":
                    await stream.send_all(b"".join(map(framed, packets(access_units(count=2)))))
                    return

    @staticmethod
    def _fits(start: str, asked: str, text: str) -> bool:
        """Whether a rule fits; `!` in front of it: a request without credentials; `Range`: one with that header."""
        if start == "Range":
            return "\r\nRange:" in text
        return asked.startswith(start.removeprefix("!")) and not (start[0] == "!" and "Authorization" in text)


SOUND = "m=audio 0 RTP/AVP 8\r\na=control:sound\r\n"


@pytest.mark.parametrize("how", [HANG_UP, SILENCE])
@pytest.mark.parametrize(
    ("at", "left_out", "ends"),
    [("OPTIONS", "OPTIONS main", 1), ("SETUP sound", "SETUP sound", 2)],
    ids=["options", "audio"],
)
async def test_step_that_fails_is_left_out_at_once_and_remembered(
    how: str, at: str, left_out: str, ends: int, autojump_clock: MockClock
) -> None:
    """The second connection of the same attempt plays within 11 s. Then one is enough; for audio after two attempts."""
    async with trio.open_nursery() as nursery:
        camera, hub = Odd({at: how}, nursery), Hub(TrioClock())
        for number in range(ends):
            began = trio.current_time()
            assert (await play(camera.open_tcp, hub=hub)).text == "the camera ended the connection"
            assert trio.current_time() - began < 11
            assert [left_out in asked for asked in camera.connections] == [True, False] * (number + 1)
            assert camera.connections[-1][-1].startswith("PLAY")
        await play(camera.open_tcp, hub=hub)
        assert [left_out in asked for asked in camera.connections] == [*[True, False] * ends, False]
        await play(camera.open_tcp, attrs.evolve(GATE, transport="tcp", auth="digest"), hub=hub)
        assert left_out in camera.connections[2 * ends + 1], "new settings begin without what was learned"


async def test_camera_that_fails_at_several_steps_plays_in_one_attempt(autojump_clock: MockClock) -> None:
    """OPTIONS, audio and the Range of PLAY each end a connection; the fourth one plays. The third attempt needs one."""
    async with trio.open_nursery() as nursery:
        camera, hub = Odd({"OPTIONS": HANG_UP, "SETUP sound": HANG_UP, "Range": HANG_UP}, nursery), Hub(TrioClock())
        for number in (4, 4 + 3, 4 + 3 + 1):
            await play(camera.open_tcp, hub=hub)
            assert len(camera.connections) == number
            assert [line.split()[0] for line in camera.connections[-1]] == ["DESCRIBE", "SETUP", "PLAY"]
        found = {oddity: hub.loss.oddities[oddity] for oddity in hub.loss.oddities}
        assert found == {Oddity.NO_OPTIONS: 1, Oddity.AUDIO_REFUSED: 2, Oddity.NO_RANGE: 2}


@pytest.mark.parametrize("at", ["SETUP sound", "Range"])
async def test_network_failure_at_a_step_does_not_leave_it_out_for_good(at: str, autojump_clock: MockClock) -> None:
    """The next attempt has audio, and the Range, again. Then one more failure counts as the first one."""
    async with trio.open_nursery() as nursery:
        camera, hub = Odd({}, nursery), Hub(TrioClock())
        for _ in range(2):
            camera.rules = {at: HANG_UP}
            await play(camera.open_tcp, hub=hub)
            camera.rules = {at: "200 OK"}
            await play(camera.open_tcp, hub=hub)
            assert "SETUP sound" in camera.connections[-1]
            assert isinstance(hub.memory, SourceMemory)
            assert (hub.memory.without, hub.memory.doubtful) == (frozenset(), frozenset())


@pytest.mark.parametrize("at", ["SETUP sound", "Range"])
async def test_camera_that_hangs_up_behind_a_refusal_is_not_asked_again(at: str, autojump_clock: MockClock) -> None:
    """It refuses audio, or the Range of PLAY, and then ends the connection at PLAY: the next one leaves it out."""
    async with trio.open_nursery() as nursery:
        camera, hub = Odd({at: "400 Bad Request"}, nursery), Hub(TrioClock())
        camera.ends_after = at
        await play(camera.open_tcp, hub=hub)
        assert isinstance(hub.memory, SourceMemory)
        assert len(hub.memory.without) == 1, "a refusal is no network failure"
        first, last = camera.connections
        assert first[-1].startswith("PLAY")
        assert last[-1].startswith("PLAY")
        assert ("SETUP sound" in last) is (at != "SETUP sound")


async def test_nothing_is_remembered_of_a_camera_that_never_plays(autojump_clock: MockClock) -> None:
    """It may have been the network: the next attempt begins with OPTIONS again."""
    async with trio.open_nursery() as nursery:
        camera, hub = Odd({"OPTIONS": HANG_UP, "DESCRIBE": HANG_UP}, nursery), Hub(TrioClock())
        for _ in range(2):
            assert (await play(camera.open_tcp, hub=hub)).code == "ended"
        assert camera.connections == [["OPTIONS main"], ["DESCRIBE main"]] * 2
        assert hub.loss.oddities == {}, "nothing is proved"


async def test_camera_that_hangs_up_after_a_challenge_gets_the_answer_by_a_new_connection(
    autojump_clock: MockClock,
) -> None:
    """Two connections, and the next attempt begins with the answer."""
    login = attrs.evolve(GATE, address="rtsp://u:pass@192.0.2.1/main")
    async with trio.open_nursery() as nursery:
        camera, hub = Odd({}, nursery), Hub(TrioClock())

        async def open_tcp(host: str, port: int, tls: bool) -> trio.abc.Stream:
            first = len(camera.connections) == 0
            camera.rules = {"!": f"401 Unauthorized\r\n{CHALLENGE}", **({"OPTIONS": HANG_UP} if first else {})}
            return await camera.open_tcp(host, port, tls)

        await play(open_tcp, login, hub=hub)
        assert camera.connections[0] == ["OPTIONS main", "OPTIONS main"]
        assert camera.connections[1][:2] == ["OPTIONS main", "DESCRIBE main"]
        assert camera.connections[1][-1].startswith("PLAY")
        await play(open_tcp, login, hub=hub)
        assert camera.connections[2][:2] == ["OPTIONS main", "DESCRIBE main"]


def device_with(*cameras: str, over: str = "") -> State:
    """The device `gate`, with a connection of each of `cameras`, which are live; `gate` as named, others over TCP."""
    known = tuple(settings(CameraId(name), device=DeviceId("gate")) for name in cameras)
    story = Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", known, Limits()))
    for name in map(CameraId, cameras):
        story.given(
            c.TakeSlot(name), c.ConnectCamera(name), c.ReportLive(name, PICTURE, "tcp" if name != "gate" else over)
        )
    return story.state


@pytest.mark.parametrize(
    ("at", "rule", "others", "code"),
    [
        ("SETUP track1", HANG_UP, ("gate", "yard"), "full"),
        ("SETUP track1", HANG_UP, ("gate",), "ended"),
        ("PLAY", HANG_UP, ("gate", "yard"), "full"),
        ("DESCRIBE", HANG_UP, ("gate", "yard"), "ended"),
        ("SETUP track1", "406 Not Acceptable", ("gate", "yard"), "full"),
        ("SETUP track1", "406 Not Acceptable", ("gate",), "unsupported-transport"),
        ("SETUP track1", "453 Not Enough Bandwidth", ("gate",), "full"),
        ("DESCRIBE", "503 Service Unavailable", ("gate",), "full"),
    ],
)
async def test_full_device_is_recognised(
    at: str, rule: str, others: tuple[str, ...], code: str, autojump_clock: MockClock
) -> None:
    """By the refusal, or by the end of the connection while other cameras have theirs."""
    async with trio.open_nursery() as nursery:
        camera = Odd({at: rule}, nursery)
        yard = Source("rtsp", "rtsp://192.0.2.1/yard", device=DeviceId("gate"))
        assert (await play(camera.open_tcp, state=device_with(*others), yard=yard)).code == code


async def test_406_means_full_where_the_transport_has_worked(autojump_clock: MockClock) -> None:
    """The same camera has played over TCP, so it does not refuse TCP."""
    async with trio.open_nursery() as nursery:
        camera, hub = Odd({}, nursery), Hub(TrioClock())
        await play(camera.open_tcp, hub=hub)
        camera.rules = {"SETUP": "406 Not Acceptable"}
        assert (await play(camera.open_tcp, hub=hub, state=device_with("gate", over="tcp"))).code == "full"


async def test_datagrams_are_expected_before_play_is_sent(autojump_clock: MockClock) -> None:
    """A group is joined, and a named sender is known, while PLAY still waits: its first datagrams come at once."""
    camera, waiting = Camera("PLAY"), list[bytes]()

    class Recorder:
        def send(self, session: RtspSession) -> None:
            if session.remotes:
                waiting.append(bytes(session.outgoing))

    session = RtspSession(parse_target(GATE.address), Hub(TrioClock()), SourceLoss(), ports=((2, 3), (4, 5)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)
        with trio.move_on_after(1):
            recorder = cast(Datagrams, Recorder())
            await source._read(camera.ours[0], session, Hub(TrioClock()), Timeouts(), recorder)
        nursery.cancel_scope.cancel()
    assert waiting[0].startswith(b"PLAY")


async def test_first_picture_over_udp_ends_the_wait_for_the_camera(autojump_clock: MockClock) -> None:
    """The connection waits for the next keep-alive or report: a picture that is held back makes it due earlier."""
    camera, hub = Camera(), Hub(TrioClock())
    ours, theirs = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with ours, theirs:
        ours.bind(("127.0.0.1", 0))
        ours.setblocking(False)
        datagrams = Datagrams("127.0.0.1", [ours])
        session = RtspSession(parse_target(GATE.address), hub, SourceLoss(), ports=((2, 3), (4, 5)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(camera.run)
            nursery.start_soon(source._converse, camera.ours[0], session, hub, Timeouts(), datagrams)
            await camera.played.wait()
            await trio.testing.wait_all_tasks_blocked()
            for data in packets(access_units(count=1)):
                theirs.sendto(data, ours.getsockname())
            assert await hub.wait_picture(60.0)
            assert trio.current_time() == pytest.approx(HOLD_S)
            nursery.cancel_scope.cancel()


async def test_connection_with_loaded_ciphers_follows_after_a_pause(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The camera needs `AGAIN_S` to free the first one, in which its media turned out to be encrypted."""
    monkeypatch.setattr(encrypted, "SRTP", BackgroundImport(["json"]))
    async with trio.open_nursery() as nursery:
        camera = Odd({}, nursery, sound=SOUND.replace("RTP/AVP", "RTP/SAVP"))
        await play(camera.open_tcp)
        first, second = camera.opened
        assert second - first == pytest.approx(AGAIN_S)


async def test_transport_that_banken_refuses_is_no_oddity_of_the_camera(autojump_clock: MockClock) -> None:
    """Beside TLS, datagrams must be encrypted. A camera without SRTP is not asked for UDP, so it has refused none."""
    async with trio.open_nursery() as nursery:
        camera, hub = Odd({}, nursery), Hub(TrioClock())
        ours, theirs = trio.testing.memory_stream_pair()
        session = RtspSession(parse_target("rtsps://192.0.2.1/main"), hub, hub.loss, ports=((2, 3), (4, 5)))
        nursery.start_soon(camera._serve, theirs, [])
        with pytest.raises(TransportRefused) as ended:
            await source._read(ours, session, hub, Timeouts())
        await ours.aclose()
    assert ended.value.status == 0


@pytest.mark.parametrize(("status", "expected"), [(0, set()), (461, {OptionalStep.UDP})])
async def test_refused_transport_counts_once_it_plays_over_another_and_only_if_the_camera_was_asked(
    status: int, expected: set[OptionalStep], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each further connection of the attempt knows it."""
    ends = iter([TransportRefused("udp", status), Again(ENDED), Again(ENDED), Ended(ENDED)])
    learned = list[frozenset[OptionalStep]]()

    async def end(*given: object) -> None:
        learned.extend(each.uncounted for each in given if isinstance(each, SourceMemory))
        raise next(ends)

    monkeypatch.setattr(source, "play_once", end)
    hub = Hub(TrioClock())
    await play(trio.open_tcp_stream, attrs.evolve(GATE, transport="udp"), hub=hub)
    assert hub.loss.oddities == {}
    assert learned == [frozenset(), *[frozenset(expected)] * 3]
