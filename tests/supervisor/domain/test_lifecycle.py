"""The tables of life cycles: every pair of phase and event is either in the table or refused by both sides."""

import itertools
from enum import StrEnum
from typing import Any

import pytest

from supervisor.domain import catalogue, lifecycle
from supervisor.domain import events as e
from supervisor.domain.catalogue import EVENTS
from supervisor.domain.errors import IllegalTransition

TABLES = [
    pytest.param(catalogue.CAMERA, lifecycle.CameraPhase, e.CameraEvent, {e.CameraAdded}, id="camera"),
    pytest.param(catalogue.CHILD, lifecycle.ChildPhase, e.ChildEvent, {e.ChildStarting, e.ChildFound}, id="child"),
    pytest.param(catalogue.PEER, lifecycle.PeerPhase, e.PeerEvent, {e.PeerOpened}, id="peer"),
]


@pytest.mark.parametrize(("table", "phases", "base", "births"), TABLES)
def test_all_pairs(table: Any, phases: type[StrEnum], base: type[e.Event], births: set[type[e.Event]]) -> None:
    """`allows` and `step` agree on every pair, and only the table's pairs are allowed."""
    kinds = [kind for kind in EVENTS if issubclass(kind, base) and kind not in births]
    assert set(table) == set(phases)
    for phase, kind in itertools.product(phases, kinds):
        if kind in table[phase]:
            assert lifecycle.allows(phase, kind)
            assert lifecycle.step(phase, kind) is table[phase][kind]
        else:
            assert not lifecycle.allows(phase, kind)
            with pytest.raises(IllegalTransition):
                lifecycle.step(phase, kind)


@pytest.mark.parametrize(("table", "phases", "base", "births"), TABLES)
def test_every_event_has_a_place(
    table: Any, phases: type[StrEnum], base: type[e.Event], births: set[type[e.Event]]
) -> None:
    """No event of an entity is left out of its table, and none of another's is in it."""
    used = set(itertools.chain.from_iterable(row for row in table.values()))
    assert used == {kind for kind in EVENTS if issubclass(kind, base)} - births


@pytest.mark.parametrize(("table", "phases", "base", "births"), TABLES)
def test_every_life_can_end(table: Any, phases: type[StrEnum], base: type[e.Event], births: set[type[e.Event]]) -> None:
    """From every phase there is a way to an end: nothing can stay in the state for ever by mistake."""
    ends = {phase for phase in phases if not table[phase]}
    assert len(ends) == 1
    reaching = set(ends)
    while more := {p for p in phases if p not in reaching and reaching & set(table[p].values())}:
        reaching |= more
    assert reaching == set(phases)
