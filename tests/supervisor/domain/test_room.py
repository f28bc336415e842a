"""Rooms: members, the end of a room, and the messages that each participant gets."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain import room as rooms
from supervisor.domain import signaling as s
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.evolve import fold
from supervisor.domain.ids import ParticipantId, RoomId, RunId
from supervisor.domain.state import state_hash
from supervisor.journal.checkpoint import pack, unpack
from tests.kit.domain import ASKED, NODE, Story, running

HALL, ATTIC = RoomId("hall"), RoomId("attic")
ALICE, BOB, CAROL = ParticipantId("alice"), ParticipantId("bob"), ParticipantId("carol")
AWAY = "192.0.2.9"
WHO = st.sampled_from([ParticipantId(f"guest-{number}") for number in range(10)])


def opened(room: RoomId = HALL, participant: ParticipantId = ALICE) -> c.OpenRoom:
    return c.OpenRoom(room, participant, AWAY)


def join(participant: ParticipantId, room: RoomId = HALL) -> c.JoinRoom:
    return c.JoinRoom(room, participant, AWAY)


def leave(participant: ParticipantId) -> c.LeaveRoom:
    return c.LeaveRoom(participant, ASKED)


def messages_for(story: Story, *events: e.Event) -> list[tuple[str, s.Told]]:
    return [each for event in events for each in s.notifications(event, story.state)]


def test_creator_of_a_room_is_in_it_and_gets_both_ids() -> None:
    """`RoomCreated` has the room's id and the participant's, and comes before the list of participants."""
    story = running()
    events = story.when(opened())
    assert events == (e.RoomOpened(HALL, ALICE, AWAY),)
    assert story.state.rooms[HALL].participants == (ALICE,)
    assert messages_for(story, *events) == [
        (ALICE, s.RoomCreated(HALL, ALICE)),
        (ALICE, s.RoomParticipants(HALL, (ALICE,))),
    ]


def test_participant_joined_precedes_the_list_for_all_in_the_room() -> None:
    """`PeerConnected` reaches everybody, the newcomer too, before anybody gets the list of both."""
    story = running().given(opened())
    events = story.when(join(BOB))
    both = s.RoomParticipants(HALL, (ALICE, BOB))
    assert messages_for(story, *events) == [
        (ALICE, s.ParticipantJoined(BOB)), (BOB, s.ParticipantJoined(BOB)), (ALICE, both), (BOB, both),
    ]  # fmt: skip


def test_participant_left_reaches_all_and_the_list_the_others() -> None:
    """The one who leaves gets the news but not the list of those who stay."""
    story = running().given(opened(), join(BOB), join(CAROL)).after(3)
    events = story.when(leave(BOB))
    assert events == (e.RoomLeft(HALL, BOB, ASKED, 3.0),)
    left, stay = s.ParticipantLeft(BOB), s.RoomParticipants(HALL, (ALICE, CAROL))
    assert messages_for(story, *events) == [(BOB, left), (ALICE, left), (CAROL, left), (ALICE, stay), (CAROL, stay)]


def test_the_ninth_is_refused_and_comes_in_when_another_has_left() -> None:
    """Eight participants fill a room."""
    story = running().given(opened(), *(join(ParticipantId(f"guest-{number}")) for number in range(7)))
    assert story.refuses(join(BOB)).refusal is Refusal.CAP_REACHED
    story.given(leave(ALICE), join(BOB))
    assert len(story.state.rooms[HALL].participants) == 8


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (join(ALICE), Refusal.CONFLICT),
        (join(ALICE, ATTIC), Refusal.CONFLICT),
        (opened(RoomId("third")), Refusal.CONFLICT),
        (join(CAROL, RoomId("nowhere")), Refusal.UNKNOWN),
    ],
)
def test_one_is_in_one_room_and_it_must_exist(command: c.Command, refusal: Refusal) -> None:
    """A second room, one's own or another, is a conflict; an unknown room is refused as unknown."""
    assert running().given(opened(), opened(ATTIC, BOB)).refuses(command).refusal is refusal


def test_empty_room_can_be_joined_for_a_minute() -> None:
    """The minute counts from the last departure; a visit at 59 s starts it from zero."""
    story = running().given(opened(), leave(ALICE)).after(59)
    assert story.when(c.CloseRoom(HALL)) == ()
    story.given(join(BOB), leave(BOB)).after(59)
    assert story.when(c.CloseRoom(HALL)) == ()
    story.after(1)
    (closed,) = story.when(c.CloseRoom(HALL))
    assert isinstance(closed, e.RoomClosed)
    assert (closed.reason.code, closed.lasted_s) == ("idle", 119.0)
    assert (HALL in story.state.rooms, story.state.participants) == (False, running().state.participants)
    assert story.when(c.CloseRoom(HALL)) == ()


def test_room_with_a_participant_does_not_end() -> None:
    """Those who talk to each other have nothing to tell us."""
    story = running().given(opened()).after(86400)
    assert story.when(c.CloseRoom(HALL)) == ()


def test_room_that_was_empty_longest_is_closed_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """So nobody can keep others from making rooms by making many."""
    monkeypatch.setattr(rooms, "ROOMS", 3)
    story = running().given(opened(), leave(ALICE)).after(1)
    story.given(opened(ATTIC), leave(ALICE), opened(RoomId("third")))
    closed, made = story.when(opened(RoomId("fourth"), BOB))
    assert (closed.stream, made.stream) == ("room/hall", "room/fourth")
    story.given(join(CAROL, ATTIC))
    assert story.refuses(opened(RoomId("fifth"), ParticipantId("dave"))).refusal is Refusal.CAP_REACHED


def test_a_daemon_that_stops_ends_its_rooms_and_opens_none() -> None:
    """Empty ones at once, the others with the last who is in them."""
    story = running().given(opened(), join(BOB), opened(ATTIC, CAROL), leave(CAROL))
    stopping, closed = story.when(c.StopRun(ASKED))
    assert (stopping, closed.stream) == (e.RunStopping(ASKED), "room/attic")
    assert story.refuses(join(CAROL)).refusal is Refusal.UNAVAILABLE
    assert story.refuses(opened(ATTIC, CAROL)).refusal is Refusal.UNAVAILABLE
    story.given(leave(ALICE))
    left, closed = story.when(leave(BOB))
    assert (left.stream, closed.stream, len(story.state.rooms)) == ("room/hall", "room/hall", 0)
    assert messages_for(story, left, closed) == [(BOB, s.ParticipantLeft(BOB))]


def test_rooms_of_a_killed_run_are_closed_with_their_participants() -> None:
    """The next start closes them as `abandoned`, in the order of their ids."""
    story = running().given(opened(), join(BOB), opened(ATTIC, CAROL))
    events = story.when(c.StartRun(running().state.run, NODE, "0", 2))  # type: ignore[arg-type]
    closed = [event for event in events if isinstance(event, e.RoomClosed)]
    assert [(event.room, event.reason.code) for event in closed] == [(ATTIC, "abandoned"), (HALL, "abandoned")]
    assert (len(story.state.rooms), len(story.state.participants)) == (0, 0)


def test_relayed_message_has_the_sender_in_place_of_the_recipient() -> None:
    """Offer, answer and candidate: `to` is replaced by the sender's id."""
    state = running().given(opened(), join(BOB)).state
    assert s.relay(state, ALICE, s.Offer(BOB, "v=0")) == (BOB, s.OfferFrom(ALICE, "v=0"))
    assert s.relay(state, BOB, s.Answer(ALICE, "v=0")) == (ALICE, s.AnswerFrom(BOB, "v=0"))
    assert s.relay(state, BOB, s.IceCandidate(ALICE, "c")) == (ALICE, s.IceCandidateFrom(BOB, "c"))


@pytest.mark.parametrize(("sender", "to"), [(ALICE, "dave"), (ALICE, CAROL), (ParticipantId("dave"), ALICE)])
def test_participant_outside_the_senders_room_is_not_found(sender: ParticipantId, to: str) -> None:
    """Neither one who is in no room, nor one in another; nor does one in no room find anybody."""
    state = running().given(opened(), join(BOB), opened(ATTIC, CAROL)).state
    with pytest.raises(s.MessageRejected) as refused:
        s.relay(state, sender, s.Offer(to, "v=0"))
    assert refused.value.error.code is s.Code.PARTICIPANT_NOT_FOUND


class Meetings(RuleBasedStateMachine):
    """Coming and going in any order: what is refused changes nothing, and what is true of rooms stays true."""

    def __init__(self) -> None:
        super().__init__()
        self.story = running()
        self.rooms = 0

    def ask(self, command: c.Command) -> None:
        try:
            self.story.when(command)
        except Rejected:
            return

    @rule(who=WHO)
    def open(self, who: ParticipantId) -> None:
        self.rooms += 1
        self.ask(c.OpenRoom(RoomId(f"room-{self.rooms}"), who, AWAY))

    @precondition(lambda self: self.rooms)
    @rule(who=WHO, data=st.data())
    def join(self, who: ParticipantId, data: st.DataObject) -> None:
        self.ask(c.JoinRoom(RoomId(f"room-{data.draw(st.integers(1, self.rooms))}"), who, AWAY))

    @rule(who=WHO)
    def leave(self, who: ParticipantId) -> None:
        self.ask(c.LeaveRoom(who, ASKED))
        assert who not in self.story.state.participants

    @rule(seconds=st.sampled_from([1, 59, 60]))
    def wait(self, seconds: float) -> None:
        self.story.after(seconds)
        for room in self.story.state.rooms:
            self.ask(c.CloseRoom(room))

    @rule()
    def stop(self) -> None:
        self.ask(c.StopRun(ASKED))

    @rule()
    def start(self) -> None:
        self.ask(c.StartRun(RunId("run-next"), NODE, "0", 1))
        assert not self.story.state.rooms

    @invariant()
    def everybody_is_in_one_room_and_no_room_is_too_full(self) -> None:
        state = self.story.state
        inside = [(who, room.room) for room in state.rooms.values() for who in room.participants]
        assert sorted(inside) == sorted((who, known.room) for who, known in state.participants.items())
        for room in state.rooms.values():
            assert len(room.participants) <= rooms.PLACES
            assert bool(room.participants) is not bool(room.empty_since_ns)
        assert not state.stopping or all(room.participants for room in state.rooms.values())

    @invariant()
    def replay_is_truth(self) -> None:
        assert state_hash(fold(self.story.recorded)) == state_hash(self.story.state)
        assert unpack(pack(self.story.state)) == self.story.state


TestMeetings = Meetings.TestCase
TestMeetings.settings = settings(max_examples=50, stateful_step_count=60, deadline=None)
