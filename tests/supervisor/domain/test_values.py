"""What all stored values have in common: they may gain fields, and nobody outside sees that defaults go unwritten."""

import msgspec
from msgspec.structs import replace

from supervisor.domain import events as e
from supervisor.domain.state import State, _canonical, state_hash
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


def test_clients_see_every_field() -> None:
    """Also those that are not written, in whatever holds them."""
    assert plain(Reason("lost", "gone")) == {"code": "lost", "text": "gone", "fault": Fault.TEMPORARY}
    assert plain(None) is None
    body = plain(e.CameraAdded(GATE, settings(group="")))
    assert body["settings"]["source"]["revision"] == 0
    assert (body["settings"]["device"], body["settings"]["mode"], body["settings"]["group"]) == (None, "always", "")
    applied = plain(e.ConfigurationApplied("test", 1, Limits()))
    assert (applied["devices"], applied["limits"]["peers"], applied["patrol"]["every_s"]) == ([], 64, 60.0)
