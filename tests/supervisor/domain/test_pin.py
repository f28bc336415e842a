"""Pins: stretches of time that are kept until a person releases them."""

import pytest
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.access import Principal, rights_of
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, TokenId
from supervisor.domain.pin import MOST_NOTE, MOST_PINS, require_budget, seen_of, visible_to
from supervisor.domain.rights import ALL, RIGHTS, Role, Scope
from supervisor.domain.state import StretchPin, Token
from tests.kit.domain import GATE, NODE, RUN, SECOND, YARD, Story, running

NOW = 1_800_000_000 * SECOND
DOOR = c.PinStretch("door", NOW - 600 * SECOND, NOW - 300 * SECOND, (GATE,), 1000, "a parcel", "local")


def site() -> Story:
    return running(GATE, YARD)


def principal(scope: Scope) -> Principal:
    return Principal("user:ben/1", RIGHTS[Role.ANALYST], scope)


def with_ben(story: Story, scope: Scope) -> str:
    """Give an analyst with this scope a token; returns the principal."""
    ben = Token(TokenId("ben"), Role.ANALYST, scope, "", 0)
    story.state = replace(story.state, tokens=story.state.tokens.insert(ben.token, ben))
    return "token:ben"


def test_pin_is_in_the_state_until_it_is_released() -> None:
    """With its maker and its time."""
    story = site()
    made = story.when(DOOR)
    assert made == (e.StretchPinned("door", DOOR.from_ns, DOOR.to_ns, (GATE,), 1000, "a parcel"),)
    assert made[0].sentence() == "pin door keeps 5 min of 1 camera (1000 B of footage)"
    assert story.state.pins["door"].made_ns == story.now_ns
    assert story.when(c.ReleaseStretch("door", "local")) == (e.StretchReleased("door"),)
    assert not story.state.pins
    with pytest.raises(Rejected, match="there is no pin 'door'"):
        story.when(c.ReleaseStretch("door", "local"))


@pytest.mark.parametrize(
    ("changed", "refusal", "said"),
    [
        ({"pin": "a/b"}, Refusal.INVALID, "letters, digits"),
        ({"pin": ""}, Refusal.INVALID, "letters, digits"),
        ({"to_ns": NOW + 1}, Refusal.INVALID, "in the future"),
        ({"from_ns": NOW - 300 * SECOND}, Refusal.INVALID, "must begin before it ends"),
        ({"from_ns": -1}, Refusal.INVALID, "must begin before it ends"),
        ({"note": "x" * (MOST_NOTE + 1)}, Refusal.INVALID, "at most 300 characters"),
        ({"note": "a\nb"}, Refusal.INVALID, "can be printed"),
        ({"cameras": (GATE,) * 1001}, Refusal.INVALID, "at most 1000 cameras"),
    ],
)
def test_bad_pin_is_refused(changed: dict[str, object], refusal: Refusal, said: str) -> None:
    """With what is wrong; nothing changes."""
    with pytest.raises(Rejected, match=said) as refused:
        site().when(replace(DOOR, **changed))
    assert refused.value.refusal is refusal


def test_name_is_taken_once_and_pins_are_bounded() -> None:
    """A pin that stands is not replaced."""
    story = site().given(DOOR)
    with pytest.raises(Rejected, match="there is a pin 'door' already"):
        story.when(replace(DOOR, cameras=(YARD,)))
    pins = story.state.pins
    for number in range(MOST_PINS):
        pins = pins.insert(str(number), pins["door"])
    story.state = replace(story.state, pins=pins)
    with pytest.raises(Rejected, match="1000 pins, which is the limit"):
        story.when(replace(DOOR, pin="more"))


def test_scope_limits_what_is_pinned_seen_and_released() -> None:
    """A camera outside it is refused as one that does not exist; a pin that has one is not released."""
    story = site().given(DOOR, replace(DOOR, pin="both", cameras=(GATE, YARD)))
    ben = with_ben(story, Scope(cameras=(YARD,)))
    for camera in (GATE, CameraId("nowhere")):
        with pytest.raises(Rejected, match=f"there is no camera '{camera}'") as refused:
            story.when(replace(DOOR, pin="own", cameras=(YARD, camera), by=ben))
        assert refused.value.refusal is Refusal.UNKNOWN
    with pytest.raises(Rejected, match="there is no pin 'door'"):
        story.when(c.ReleaseStretch("door", ben))
    with pytest.raises(Rejected, match="outside your scope") as refused:
        story.when(c.ReleaseStretch("both", ben))
    assert refused.value.refusal is Refusal.FORBIDDEN
    assert set(story.state.pins) == {"door", "both"}
    story.given(replace(DOOR, pin="own", cameras=(YARD,), by=ben), c.ReleaseStretch("own", ben))
    who = rights_of(story.state, ben, story.now_ns)
    seen = [seen_of(pin, visible_to(story.state, who)) for _, pin in sorted(story.state.pins.items())]
    assert [(each.pin, each.cameras, each.note, each.bytes) for each in seen if each] == [("both", (YARD,), "", 0)]
    pins = story.state.pins
    assert seen_of(pins["both"], visible_to(story.state, principal(ALL))) is pins["both"]


def test_pins_hold_half_of_the_budget() -> None:
    """More is refused with the numbers, and with the pins that hold the most."""
    require_budget("recordings", 100, 400, 1000, {})
    with pytest.raises(Rejected) as refused:
        require_budget("recordings", 101, 400, 1000, {"a": 100, "b": 300, **{f"c{n}": 0 for n in range(5)}})
    assert refused.value.refusal is Refusal.CONFLICT
    assert refused.value.reason.startswith(
        "this would pin 101 B more in archive recordings (101 bytes); pins may hold 500 B, half of its room, and hold "
        "400 B (b 300 B, a 100 B, c0 0 B"
    )


def test_pin_stays_over_a_restart() -> None:
    """Also one that follows a crash: only a person ends it."""
    story = site().given(DOOR, c.StartRun(RUN, NODE, "0", 2))
    assert isinstance(story.state.pins["door"], StretchPin)
