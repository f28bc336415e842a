"""Folding many events at once leads to the state that one event after the other leads to."""

from pathlib import Path

import pytest
from rpds import HashTrieMap

from supervisor.domain.errors import IllegalTransition
from supervisor.domain.evolve import evolve, fold
from supervisor.domain.state import State
from tests.kit.journals import lively, read_all

JOURNALS = Path(__file__).parents[2] / "journals"


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_fold_is_evolve_one_event_after_the_other(name: str) -> None:
    """Over all kinds of events of a simulated half hour, from the start and from within."""
    rows = read_all(JOURNALS / name)
    state, states = State(), [State()]
    for row in rows:
        state = evolve(state, row)
        states.append(state)
    for begin in range(0, len(rows), 97):
        assert fold(rows[begin : begin + 300], states[begin]) == states[min(begin + 300, len(rows))]


def test_fold_changes_nothing_that_it_was_given() -> None:
    """A state that was folded on is what it was, also when an event cannot follow."""
    rows = lively()
    state = fold(rows[:20])
    before = {name: getattr(state, name) for name in State.__struct_fields__}
    fold(rows[20:], state)
    with pytest.raises((IllegalTransition, KeyError)):
        fold([*rows[20:], *rows[20:]], state)
    assert {name: getattr(state, name) for name in State.__struct_fields__} == before
    assert all(isinstance(one, HashTrieMap) for one in (state.cameras, state.versions, state.devices))
