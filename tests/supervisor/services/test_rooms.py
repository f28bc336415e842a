"""Sessions: the messages from and to a client, without a socket. Nobody waits, and no message is stored."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest
import trio
from trio.testing import MockClock

from supervisor.domain import events as e
from supervisor.domain import signaling as s
from supervisor.domain.evolve import fold
from supervisor.domain.state import state_hash
from supervisor.journal.checkpoint import pack
from supervisor.services import rooms
from supervisor.services.rooms import Rooms, Session, run_idle_rooms
from tests.kit.core import Core, open_core
from tests.kit.patience import give_up_after

SECRET = "candidate-that-nobody-may-remember"


@pytest.fixture
async def core() -> AsyncIterator[Core]:
    async with open_core() as core:
        yield core


def say(session: Session, *requests: s.Request) -> None:
    for request in requests:
        session.take(s.write(request))


async def hear(session: Session) -> list[s.Told]:
    with give_up_after(10):
        return [s.read_message(text) for text in await session.wait_messages()]


async def meet(stack: ExitStack, hall: Rooms, count: int) -> list[Session]:
    """So many participants in a room, who have heard all there is to hear."""
    first, *others = [stack.enter_context(hall.open_session(f"192.0.2.{number}")) for number in range(count)]
    say(first, s.CreateRequest())
    (created, _) = await hear(first)
    assert isinstance(created, s.RoomCreated)
    for other in others:
        say(other, s.JoinRequest(created.room_id))
    for session in (first, *others):
        if session is not first or others:
            await hear(session)
    return [first, *others]


async def test_messages_come_in_the_order_in_which_they_were_sent_and_to_no_other(
    autojump_clock: MockClock, core: Core
) -> None:
    """Ten candidates to one participant: in order there, and only the sender's departure elsewhere."""
    hall = Rooms(core.kernel)
    with ExitStack() as stack:
        alice, bob, carol = await meet(stack, hall, 3)
        say(bob, s.LeaveRequest())
        await hear(carol)
        say(alice, *(s.IceCandidate(carol.participant, str(number)) for number in range(10)))
        assert await hear(carol) == [s.IceCandidateFrom(alice.participant, str(number)) for number in range(10)]
        assert [type(told) for told in await hear(bob)] == [s.ParticipantLeft]


async def test_a_full_room_with_fifty_messages_a_second_loses_none(autojump_clock: MockClock, core: Core) -> None:
    """As many for each as the limit allows, for a minute, spread over all pairs."""
    hall = Rooms(core.kernel)
    with ExitStack() as stack:
        people = await meet(stack, hall, 8)
        heard: dict[str, list[str]] = {}
        for number in range(3000):
            sender, to = people[number % 8], people[(number + 1 + number // 8 % 7) % 8]
            say(sender, s.Offer(to.participant, str(number)))
            (told,) = await hear(to)
            assert isinstance(told, s.OfferFrom)
            heard.setdefault(told.sender, []).append(told.sdp)
            await trio.sleep(1 / 50)
        for place, session in enumerate(people):
            assert heard[session.participant] == [str(number) for number in range(place, 3000, 8)]


async def test_the_rate_is_limited_for_each_session_by_itself(
    autojump_clock: MockClock, core: Core, caplog: pytest.LogCaptureFixture
) -> None:
    """The twenty-first and all messages of the next second; the others go on; then it may send again."""
    hall = Rooms(core.kernel)
    with ExitStack() as stack:
        alice, bob = await meet(stack, hall, 2)
        await trio.sleep(1)
        say(alice, *(s.Offer(bob.participant, str(number)) for number in range(21)))
        alice.take("no JSON at all")
        say(bob, s.Answer(alice.participant, "v=0"))
        errors = [told for told in await hear(alice) if isinstance(told, s.Error)]
        assert [error.code for error in errors] == [s.Code.RATE_LIMITED] * 2
        assert len(await hear(bob)) == 20
        await trio.sleep(0.999)
        say(alice, s.LeaveRequest())
        assert [getattr(told, "code", None) for told in await hear(alice)] == [s.Code.RATE_LIMITED]
        await trio.sleep(0.001)
        say(alice, *(s.Offer(bob.participant, str(number)) for number in range(20)))
        assert len(await hear(bob)) == 20
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert vars(warning)["participant_id"] == alice.participant
    assert "RateLimited" in warning.getMessage()


@pytest.mark.parametrize("size", [10, 60_000])
async def test_client_that_does_not_read_is_disconnected_and_the_others_continue(
    autojump_clock: MockClock, core: Core, size: int
) -> None:
    """By messages and by bytes; the others get the news that it has left, after all earlier messages."""
    hall = Rooms(core.kernel)
    with ExitStack() as stack:
        alice, sleeper, carol = await meet(stack, hall, 3)
        sent = 0
        while not sleeper.unread:
            say(alice, s.Offer(sleeper.participant, "x" * size))
            sent += 1
            await trio.sleep(0.06)
        assert sent <= rooms.LINE + 1
        assert sent * size <= rooms.LINE_BYTES + 2 * size
        room = core.kernel.state.participants[alice.participant].room
        both = s.RoomParticipants(room, (alice.participant, carol.participant))
        for session in (alice, carol):
            assert await hear(session) == [s.ParticipantLeft(sleeper.participant), both]
        assert await sleeper.wait_messages() == []
        await sleeper.wait_unread()
        say(sleeper, s.JoinRequest(room))
        say(alice, s.Offer(carol.participant, "still here"), s.Offer(sleeper.participant, "gone"))
        assert await hear(carol) == [s.OfferFrom(alice.participant, "still here")]
        assert [getattr(told, "code", None) for told in await hear(alice)] == [s.Code.PARTICIPANT_NOT_FOUND]
    assert hall.statistics().unread == 1
    reasons = [row.event.reason.code for row in await core.stored() if isinstance(row.event, e.RoomLeft)]
    assert reasons == ["unread", "lost", "lost"]


async def test_broadcast_that_overflows_queues_ends_with_the_correct_list(
    autojump_clock: MockClock, core: Core
) -> None:
    """Two queues overflow while a newcomer is announced: the last list that the others get is correct."""
    hall = Rooms(core.kernel)
    with ExitStack() as stack:
        alice, one, two = await meet(stack, hall, 3)
        newcomer = stack.enter_context(hall.open_session("192.0.2.99"))
        for session in (one, two):
            while len(session._line) < rooms.LINE:
                session.put("{}")
        say(newcomer, s.JoinRequest(core.kernel.state.participants[alice.participant].room))
        for session in (alice, newcomer):
            last = [told for told in await hear(session) if isinstance(told, s.RoomParticipants)][-1]
            assert last.participants == (alice.participant, newcomer.participant)


async def test_contents_of_messages_are_stored_nowhere(
    autojump_clock: MockClock, core: Core, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the journal, the state or the log; and every record names the participant, and the room it is in."""
    caplog.set_level(logging.DEBUG)
    hall = Rooms(core.kernel)
    with ExitStack() as stack:
        alice, bob = await meet(stack, hall, 2)
        room = core.kernel.state.participants[alice.participant].room
        to = bob.participant
        say(alice, s.Offer(to, SECRET), s.Answer(to, SECRET), s.IceCandidate(to, SECRET), s.Offer("nobody", SECRET))
        alice.take(json.dumps({"type": "Offer", "to": to, "sdp": SECRET, "token": SECRET}))
        assert SECRET.encode() not in pack(core.kernel.state)
        assert SECRET not in repr(core.kernel.state)
    assert SECRET not in repr(await core.stored())
    assert SECRET not in caplog.text
    records = [vars(record) for record in caplog.records if record.name == "banken.rooms"]
    assert {record["participant_id"] for record in records} == {alice.participant, bob.participant}
    assert [record["room_id"] for record in records] == ["", "", *[room] * 6, "", room, ""][: len(records)]


async def test_leaving_is_announced_once_with_its_cause(autojump_clock: MockClock, core: Core) -> None:
    """A second `LeaveRoom` is invalid; the departure by a lost connection names the event of the room before it."""
    hall = Rooms(core.kernel)
    with ExitStack() as stack:
        alice, _ = await meet(stack, hall, 2)
        say(alice, s.LeaveRequest(), s.LeaveRequest())
        assert [getattr(told, "code", None) for told in await hear(alice)] == [None, s.Code.INVALID_PAYLOAD]
    rows = await core.stored()
    (opened, joined, left, lost) = [row for row in rows if isinstance(row.event, e.RoomEvent)]
    assert (left.cause, left.principal) == (None, "client:192.0.2.0")
    assert (lost.cause, lost.type) == (left.seq, "RoomLeft")
    assert (opened.cause, joined.cause) == (None, None)


async def test_an_empty_room_ends_after_a_minute_and_says_what_it_followed_from(
    autojump_clock: MockClock, core: Core
) -> None:
    """An occupied room stays for 300 s; an empty one ends at 60 s, with the last `RoomLeft` as its cause."""
    hall = Rooms(core.kernel)
    with ExitStack() as stack:
        await meet(stack, hall, 2)
        core.nursery.start_soon(run_idle_rooms, core.kernel)
        await trio.sleep(300)
        assert len(core.kernel.state.rooms) == 1
    await trio.sleep(59)
    assert len(core.kernel.state.rooms) == 1
    await trio.sleep(2)
    assert len(core.kernel.state.rooms) == 0
    *_, left, closed = await core.stored()
    assert (left.type, closed.type, closed.cause) == ("RoomLeft", "RoomClosed", left.seq)


async def test_many_visits_of_rooms_leave_nothing(autojump_clock: MockClock, core: Core) -> None:
    """In the state, among the sessions, and in what the kernel remembers; the journal leads to the same state."""
    hall = Rooms(core.kernel)
    core.nursery.start_soon(run_idle_rooms, core.kernel)
    before, remembered = state_hash(core.kernel.state), len(core.kernel._latest)
    for _ in range(40):
        with ExitStack() as stack:
            await meet(stack, hall, 5)
    await trio.sleep(62)
    rows = await core.stored()
    assert fold(rows) == core.kernel.state
    assert (len(hall._sessions), len(core.kernel._latest)) == (0, remembered)
    assert state_hash(fold(rows[:3])) == before
    assert {len(core.kernel.state.rooms), len(core.kernel.state.participants)} == {0}
    assert len([row for row in rows if isinstance(row.event, e.RoomEvent)]) == 40 * (5 + 5 + 1)
