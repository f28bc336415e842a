"""Adding an event means one class and one line in each table; these tests fail when a line is forgotten."""

import pytest

from supervisor.domain import events as e
from supervisor.domain.describe import _SENTENCES, seconds
from supervisor.domain.evolve import _ARMS


def concrete(base: type[e.Event]) -> set[type[e.Event]]:
    found = set()
    for kind in base.__subclasses__():
        below = concrete(kind)
        found |= below or {kind}
    return found


def test_every_event_is_in_the_catalogue() -> None:
    assert set(e.EVENTS) == concrete(e.Event)
    assert len(e.EVENTS) == len(set(e.EVENTS))


def test_every_event_can_be_said() -> None:
    assert set(_SENTENCES) == set(e.EVENTS)


def test_every_event_changes_the_state_or_says_that_it_does_not() -> None:
    assert set(_ARMS) == set(e.EVENTS)


@pytest.mark.parametrize(("value", "said"), [(0.31, "0.3 s"), (12, "12 s"), (300, "5 min"), (7800, "2 h 10 min")])
def test_durations_are_said_as_people_say_them(value: float, said: str) -> None:
    assert seconds(value) == said
