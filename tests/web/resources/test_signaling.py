"""Rooms over their WebSocket, as any client meets them."""

import json
import logging
import signal
import sys
import uuid
from contextlib import AsyncExitStack
from subprocess import PIPE
from typing import TypeVar

import pytest
import trio

from supervisor.domain import commands as c
from supervisor.domain import rate
from supervisor.domain import signaling as s
from supervisor.domain.values import Limits
from supervisor.ports.statistics import SocketStatistics
from supervisor.services.past import PastGateway
from tests.kit.daemon import ROOT
from tests.kit.domain import ASKED
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until
from tests.kit.site import Site, open_site
from web import room_client, serve, sockets
from web.app import WebSettings
from web.room_client import RoomClient, RoomError, RoomsClosed, open_room_client

T = TypeVar("T")
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}


async def until(client: RoomClient, kind: type[T]) -> T:
    """The next message of a kind; others are passed over."""
    with give_up_after(5):
        while not isinstance(told := await client.receive(), kind):
            pass
    return told


async def refusal(client: RoomClient, data: str | bytes | s.Request) -> s.Code:
    """The code of the error that this is answered with."""
    await client.send_text(data if isinstance(data, str | bytes) else s.write(data))
    return (await until(client, s.Error)).code


async def test_an_offer_reaches_the_one_it_is_for() -> None:
    """Two real clients: create, join, the lists of participants, and the offer with its sender."""
    async with open_site() as site, open_room_client(site.url) as alice, open_room_client(site.url) as bob:
        room = await alice.create()
        assert await alice.receive() == s.RoomParticipants(room.room_id, (room.self_id,))
        present = await bob.join(room.room_id)
        assert present.participants == (room.self_id, bob.self_id)
        assert bob.self_id is not None
        assert await alice.receive() == s.ParticipantJoined(bob.self_id)
        await bob.send(s.Offer(room.self_id, "v=0"))
        assert await alice.receive() == present
        assert await alice.receive() == s.OfferFrom(bob.self_id, "v=0")


async def test_a_socket_that_is_lost_has_left_its_room() -> None:
    """Closed in good order, or cut."""
    async with open_site() as site, open_room_client(site.url) as alice:
        room = await alice.create()
        for cut in (False, True):
            async with open_room_client(site.url) as bob:
                await bob.join(room.room_id)
                if cut:
                    await bob.socket._stream.aclose()
            assert (await until(alice, s.ParticipantLeft)).participant_id == bob.self_id
            assert (await until(alice, s.RoomParticipants)).participants == (room.self_id,)


async def test_ninth_participant_gets_room_full() -> None:
    """`ROOM_FULL`; after one has left the ninth joins."""
    async with open_site() as site, AsyncExitStack() as stack:
        people = [await stack.enter_async_context(open_room_client(site.url)) for _ in range(9)]
        room = await people[0].create()
        for client in people[1:8]:
            await client.join(room.room_id)
        with pytest.raises(RoomError) as full:
            await people[8].join(room.room_id)
        assert full.value.code is s.Code.ROOM_FULL
        await people[3].leave()
        await until(people[0], s.ParticipantLeft)
        assert len((await people[8].join(room.room_id)).participants) == 8


async def test_rejected_message_gets_its_code_and_changes_nothing() -> None:
    """The state is the same object, and the connection works afterwards."""
    async with open_site() as site, AsyncExitStack() as stack:
        alice, bob, carol = [await stack.enter_async_context(open_room_client(site.url)) for _ in range(3)]
        assert await refusal(alice, s.Offer("x", "v=0")) is s.Code.PARTICIPANT_NOT_FOUND
        assert await refusal(alice, s.LeaveRequest()) is s.Code.INVALID_PAYLOAD
        assert await refusal(alice, s.JoinRequest("0f0f")) is s.Code.INVALID_PAYLOAD
        room = await alice.create()
        await bob.create()
        assert bob.self_id is not None
        before = site.core.kernel.state
        for data in (b"binary", b"", "", "{}", '{"type": "CreateRoom", "token": 1}', '{"type": "Offer", "sdp": ""}'):
            assert await refusal(alice, data) is s.Code.INVALID_PAYLOAD, data
        for again in (s.CreateRequest(), s.JoinRequest(room.room_id)):
            assert await refusal(alice, again) is s.Code.INVALID_PAYLOAD
        for stranger in (bob.self_id, "nobody"):
            assert await refusal(alice, s.IceCandidate(stranger, "c")) is s.Code.PARTICIPANT_NOT_FOUND
        assert site.core.kernel.state is before
        await carol.join(room.room_id)
        assert (await until(alice, s.ParticipantJoined)).participant_id == carol.self_id


async def test_twenty_one_within_a_second_are_one_too_many_and_a_second_later_all_is_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`RATE_LIMITED` for the 21st message of the client, which counts `CreateRoom`."""
    monkeypatch.setattr(rate, "WINDOW_S", 60.0)  # however slow the machine
    async with open_site() as site, open_room_client(site.url) as alice:
        room = await alice.create()
        await until(alice, s.RoomParticipants)
        for _ in range(40):
            await alice.send(s.Offer(room.self_id, "v=0"))
        told = [await alice.receive() for _ in range(40)]
        assert [type(each) for each in told[:19]] == [s.OfferFrom] * 19
        assert isinstance(told[19], s.Error)
        assert told[19].code is s.Code.RATE_LIMITED
        with give_up_after(5):
            while True:
                await alice.send(s.Offer(room.self_id, "again"))
                if await alice.receive() == s.OfferFrom(room.self_id, "again"):
                    break
                await trio.sleep(0.1)


async def test_a_message_that_is_too_long_closes_with_1009() -> None:
    """One of exactly 64 KiB goes through."""
    async with open_site() as site, open_room_client(site.url) as alice, open_room_client(site.url) as bob:
        room = await alice.create()
        present = await bob.join(room.room_id)
        bare = len(s.write(s.Offer(present.participants[0], "")))
        await bob.send(s.Offer(present.participants[0], "x" * (s.MAX_MESSAGE - bare)))
        assert len((await until(alice, s.OfferFrom)).sdp) == s.MAX_MESSAGE - bare
        await bob.send(s.Offer(present.participants[0], "x" * (s.MAX_MESSAGE - bare + 1)))
        with pytest.raises(RoomsClosed) as closed:
            await until(bob, s.Error)
        assert closed.value.code == 1009
        assert (await until(alice, s.ParticipantLeft)).participant_id == bob.self_id


async def handshake(site: Site, **headers: str) -> int:
    return (await site.handshake(path="/ws/signaling", **headers)).status


async def test_version_is_a_sub_protocol_and_the_first_is_the_default() -> None:
    """An unknown version alone is refused with 400; ours among others is accepted."""
    async with open_site() as site, open_room_client(site.url) as client:
        assert client.socket.subprotocol == s.PROTOCOL
        assert await handshake(site) == 101
        assert await handshake(site, **{"Sec-WebSocket-Protocol": f"other, {s.PROTOCOL}"}) == 101
        assert await handshake(site, **{"Sec-WebSocket-Protocol": "banken.signaling.v9"}) == 400


async def test_pages_of_strangers_may_not_connect_and_a_token_may_be_sent(caplog: pytest.LogCaptureFixture) -> None:
    """A foreign Origin gets 403, a listed one connects; the token is in no log and no event."""
    caplog.set_level(logging.DEBUG, "banken")
    settings = WebSettings(allow_origins=("https://wall.example",))
    async with open_site(settings=settings) as site:
        assert await handshake(site, Origin="http://evil.example") == 403
        assert await handshake(site, Origin="https://wall.example") == 101
        async with open_room_client(site.url, Authorization="Bearer s3cr3t") as client:
            await client.create()
        assert "s3cr3t" not in caplog.text + repr(await site.core.stored())


async def test_too_many_are_refused_without_taking_the_place_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rooms and pages have separate limits: 503 for the second client of rooms, and a page connects."""
    monkeypatch.setattr(sockets, "MAX_SOCKETS", 1)
    async with open_site() as site, open_room_client(site.url):
        assert await handshake(site) == 503
        async with site.socket():
            assert site.sockets.statistics() == SocketStatistics(open=1, most=1)


async def test_stopping_says_goodbye_with_1001_and_no_room_is_left() -> None:
    """The departures and the end of the room follow from the stop, in the journal."""
    async with open_site() as site, open_room_client(site.url) as alice, open_room_client(site.url) as bob:
        room = await alice.create()
        await bob.join(room.room_id)
        stopping = site.core.kernel.emit(c.StopRun(ASKED)).last
        assert stopping is not None
        assert await refusal(alice, s.CreateRequest()) is s.Code.INTERNAL
        site.stop.set()
        for client in (alice, bob):
            with pytest.raises(RoomsClosed) as closed:
                await until(client, s.Error)
            assert closed.value.code == 1001
        await wait_until(site.stopped.is_set, 5)
        *_, first, second, end = await site.core.stored()
        assert [row.type for row in (first, second, end)] == ["RoomLeft", "RoomLeft", "RoomClosed"]
        assert (first.cause, end.cause) == (stopping.seq, second.seq)


async def test_client_that_never_reads_is_ended_and_the_others_continue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although what is being sent to it can neither be delivered nor called back."""
    monkeypatch.setattr(rate, "MOST", 100_000)
    monkeypatch.setattr(serve, "UNREAD_MS", 500)
    async with open_site() as site, AsyncExitStack() as stack:
        alice, bob, sleeper = [await stack.enter_async_context(open_room_client(site.url)) for _ in range(3)]
        room = await alice.create()
        await bob.join(room.room_id)
        await sleeper.join(room.room_id)
        assert sleeper.self_id is not None
        await until(bob, s.ParticipantJoined)
        with give_up_after(60):
            while sleeper.self_id in site.core.kernel.state.participants:
                await alice.send(s.Offer(sleeper.self_id, "x" * 60_000))
        assert (await until(bob, s.ParticipantLeft)).participant_id == sleeper.self_id
        await alice.send(s.Offer(bob.self_id or "", "still here"))
        assert (await until(bob, s.OfferFrom)).sdp == "still here"
        await wait_until(lambda: site.gateway.snapshot().rooms.sessions == 2, 15, what="the end of its connection")


async def test_rooms_are_listed_and_counted() -> None:
    """In `/api/rooms`, in the metrics, and in the state of a page's WebSocket."""
    settings = WebSettings(ice_servers=("stun:192.0.2.1:3478",))
    async with open_site(settings=settings) as site, open_room_client(site.url) as alice:
        room = await alice.create()
        await refusal(alice, "{}")
        listed = (await site.get("/api/rooms")).json
        assert listed["ice_servers"] == ["stun:192.0.2.1:3478"]
        (shown,) = listed["rooms"]
        (participant,) = shown["participants"]
        assert (shown["id"], shown["empty_since"]) == (room.room_id, None)
        assert (participant["id"], participant["client"]) == (room.self_id, "127.0.0.1")
        text = (await site.get("/metrics")).text
        for line in (
            "banken_rooms 1.0", "banken_room_participants 1.0", "banken_signaling_sessions 1.0",
            'banken_signaling_messages_total{type="CreateRoom"} 1.0',
            'banken_signaling_errors_total{code="InvalidPayload"} 1.0', "banken_signaling_unread_total 0.0",
        ):  # fmt: skip
            assert f"\n{line}\n" in text
        async with site.socket() as page:
            while (news := json.loads(await page.get_message()))["type"] != "state":
                pass
            assert [each["id"] for each in news["rooms"]] == [room.room_id]


def test_the_past_has_no_rooms_to_enter() -> None:
    """A replay refuses a session before it reads the journal."""
    with pytest.raises(Exception, match="this is the past"):
        PastGateway.open_session(object.__new__(PastGateway), "192.0.2.1")


async def test_room_command_makes_a_room_and_prints_participants_and_errors() -> None:
    """Ctrl-C ends it with 0, an unknown room with 1 and an error in JSON. The address is an argument or `--url`."""
    async with open_site() as site:

        async def banken(*arguments: str) -> trio.Process:
            command = [sys.executable, "-m", "supervisor", "rooms", "join", *arguments]
            return await trio.lowlevel.open_process(command, cwd=ROOT, stdout=PIPE, stderr=PIPE)

        process = await banken(site.url, "new")
        assert process.stdout is not None
        with give_up_after(120):
            said = (await process.stdout.receive_some()).decode()
            while "in the room" not in said:
                said += (await process.stdout.receive_some()).decode()
            room = said.split()[1]
            async with open_room_client(site.url) as bob:
                await bob.join(room)
                while f"{bob.self_id} came" not in said:
                    said += (await process.stdout.receive_some()).decode()
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
            refused = await banken("--url", site.url, "no-such-room", "--json")
            assert await refused.wait() == 1
            assert refused.stdout is not None
            error = s.read_message((await refused.stdout.receive_some()).decode())
            assert isinstance(error, s.Error)
            assert "no-such-room" in error.message


async def test_ids_are_uuids() -> None:
    """Version 4, in the canonical form, for room and participant."""
    async with open_site() as site, open_room_client(site.url) as client:
        room = await client.create()
        for name in (room.room_id, room.self_id):
            assert str(uuid.UUID(name)) == name
            assert uuid.UUID(name).version == 4


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://127.0.0.1:8620/", ("127.0.0.1", 8620, False, "/ws/signaling")),
        ("https://cameras.example/banken", ("cameras.example", 443, True, "/banken/ws/signaling")),
        ("wss://[2001:db8::1]:8443/ws/signaling", ("2001:db8::1", 8443, True, "/ws/signaling")),
        ("ws://cameras.example", ("cameras.example", 80, False, "/ws/signaling")),
    ],
)
def test_an_address_says_whether_it_is_over_tls(url: str, parts: tuple[str, int, bool, str]) -> None:
    """Host, TCP port, TLS and path, with the default ports 80 and 443, and a path of a proxy."""
    assert room_client.parse_address(url) == parts


@pytest.mark.parametrize("url", ["cameras.example", "rtsp://192.0.2.1/", "", "http://"])
def test_malformed_address_of_a_room_is_refused_with_a_message(url: str) -> None:
    """No scheme, another scheme, an empty text, and no host are a ValueError."""
    with pytest.raises(ValueError, match="is not the address of a daemon"):
        room_client.parse_address(url)


async def test_client_that_makes_rooms_too_fast_gets_rate_limited_and_may_leave() -> None:
    """A room costs, whoever makes or joins it; leaving is free, and the refusal has the protocol's own code."""
    limits = Limits(journaled_burst=2, journaled_rate=0.1)
    async with open_site(limits=limits) as site, open_room_client(site.url) as alice:
        for _ in range(2):
            await alice.create()
            await alice.leave()
        assert await refusal(alice, s.CreateRequest()) == s.Code.RATE_LIMITED
        assert site.gateway.snapshot().rooms.errors["RateLimited"] == 1
        assert [row.type for row in await site.core.stored()][-4:] == ["RoomOpened", "RoomLeft"] * 2
