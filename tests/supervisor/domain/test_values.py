"""Properties of all stored values: they may gain fields, and nobody outside sees that defaults are not written."""

import msgspec
import pytest
from msgspec.structs import replace
from rpds import HashTrieMap

from supervisor.domain import events as e
from supervisor.domain.ids import CameraId, DeviceId
from supervisor.domain.state import State, _canonical, canonical, state_hash
from supervisor.domain.values import Fault, Limits, Reason, Value, plain
from tests.kit.domain import GATE, live, settings


class Older(Value, frozen=True):
    text: str


class Newer(Value, frozen=True):
    text: str
    delay_s: float = 2.5
    tags: tuple[str, ...] = ()
    limits: Limits = Limits()


def test_a_field_that_was_added_changes_no_stored_byte_and_no_hash() -> None:
    """A default value is not written, so an old journal keeps its hashes after an upgrade."""
    old, new = Older("a"), Newer("a")
    assert msgspec.json.encode(new) == msgspec.json.encode(old)
    assert msgspec.json.decode(msgspec.json.encode(old), type=Newer) == new
    assert _canonical(new) == _canonical(old)
    assert _canonical(Newer("a", 3.5)) == {"text": "a", "delay_s": 3.5}


def test_equal_states_have_one_hash() -> None:
    """Whether a field has its default, or something equal that was read or worked out."""
    state = live().state
    again = replace(state, limits=Limits(peers=int("64"), linger_s=float("10.0")))
    assert again == state
    assert state_hash(again) == state_hash(state)
    assert state_hash(replace(State(), limits=Limits(linger_s=float("10.0")))) == state_hash(State())
    assert state_hash(replace(state, limits=Limits(linger_s=11.0))) != state_hash(state)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (600, 600.0),
        (0, -0.0),
        (2**53, float(2**53)),
        (10**22, 1e22),
        (True, 1),
        ((1, "a"), [1, "a"]),
        ({3, 1, 2}, {2, 3, 1}),
        (HashTrieMap({"b": 1, "a": 2.0}), HashTrieMap({"a": 2, "b": 1.0})),
        (HashTrieMap({"a": 1}), {"a": 1}),
        (Older("a"), Newer("a", 2.5, (), Limits(peers=64))),
        (Limits(idle_s=600), Limits(idle_s=600.0)),
        (Limits(idle_s=300), Limits()),
    ],
    ids=repr,
)
def test_equal_values_have_one_canonical_form(one: object, other: object) -> None:
    """For any types of numbers and sequences, and any insertion order of a map."""
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1"),
        (2**53 + 1, 2.0**53),
        (2**64, 2**64 + 1),
        (0.1, 0.1 + 2**-55),
        (None, 0),
        (None, "None"),
        ("\u00e9", "e\u0301"),
        ("\ud800", "\ud801"),
        (("ab", "c"), ("a", "bc")),
        ((("a",), "b"), ("a", ("b",))),
        ((), None),
        (HashTrieMap({"a": "b"}), HashTrieMap({"b": "a"})),
        (float("nan"), float("inf")),
        (Newer("a", 3), Newer("a", 4)),
    ],
    ids=ascii,
)
def test_other_values_have_another_canonical_form(one: object, other: object) -> None:
    """Text is taken as it is, and no value can look like two."""
    assert canonical(one) != canonical(other)


def test_state_hash_of_equal_states_is_equal_by_rule_2_only() -> None:
    """A limit of 600 s as a configuration has it, and as it is read from the journal."""
    one, other = replace(State(), limits=Limits(idle_s=600)), replace(State(), limits=Limits(idle_s=600.0))
    assert one == other
    assert state_hash(one) == state_hash(other)
    assert state_hash(one, 1) != state_hash(other, 1)
    with pytest.raises(ValueError, match="of a newer banken"):
        state_hash(one, 3)


def test_state_hash_does_not_depend_on_the_order_in_which_a_map_was_filled() -> None:
    """Equal maps have equal hashes by each rule."""
    names = [DeviceId(f"box-{number}") for number in range(50)]
    state = live().state
    known = state.cameras[GATE]
    forth = replace(state, cameras=HashTrieMap({CameraId(name): known for name in names}))
    back = replace(state, cameras=HashTrieMap({CameraId(name): known for name in reversed(names)}))
    for rule in (1, 2):
        assert state_hash(forth, rule) == state_hash(back, rule)


def test_clients_see_every_field() -> None:
    """Also those that are not written, in whatever holds them."""
    assert plain(Reason("lost", "gone")) == {"code": "lost", "text": "gone", "fault": Fault.TEMPORARY}
    assert plain(None) is None
    body = plain(e.CameraAdded(GATE, settings(group="")))
    assert body["settings"]["source"]["revision"] == 0
    assert (body["settings"]["device"], body["settings"]["mode"], body["settings"]["group"]) == (None, "always", "")
    applied = plain(e.ConfigurationApplied("test", 1, Limits()))
    assert (applied["devices"], applied["limits"]["peers"], applied["patrol"]["every_s"]) == ([], 64, 60.0)
