"""Changes: whoever applies them has what is, from wherever he begins; and their text is made once."""

import json
from random import Random
from typing import Any

import pytest

from web.changes import KEPT, Topic, difference

NOW = "2026-01-05T06:00:00.000Z"


def apply(known: dict[str, Any], text: str) -> None:
    """As a page does."""
    message = json.loads(text)
    for name, part in message.items():
        if name in ("type", "now"):
            continue
        if message["type"] == "state":
            known[name] = part
            continue
        for entity, fields in part.items():
            if fields is None:
                del known[name][entity]
            else:
                known[name][entity] = {**known[name].get(entity, {}), **fields}


def story(chance: Random, length: int) -> list[dict[str, dict[str, dict[str, Any]]]]:
    """The content of a topic from one moment to the next."""
    parts: dict[str, dict[str, dict[str, Any]]] = {"cameras": {}, "rooms": {}}
    told = []
    for _ in range(length):
        part = parts[chance.choice(list(parts))]
        name = f"entity-{chance.randrange(6)}"
        if chance.random() < 0.3:
            part.pop(name, None)
        else:
            part[name] = {"id": name, "fps": chance.randrange(3), "why": chance.choice([None, {"code": "x"}])}
        told.append({name: {key: dict(fields) for key, fields in each.items()} for name, each in parts.items()})
    return told


@pytest.mark.parametrize("seed", range(8))
def test_client_that_applies_changes_has_what_is(seed: int) -> None:
    """However often it asks, and however long it was away, it ends with the same state as one that gets everything."""
    chance, topic = Random(seed), Topic()
    known: dict[str, Any] = {}
    version = 0
    for parts in story(chance, 300):
        topic.update(parts)
        if chance.random() < chance.choice([0.05, 0.9]):
            for text in topic.since(version, NOW):
                apply(known, text)
            version = topic.version
            assert known == parts


def test_client_that_is_too_far_behind_gets_the_whole_state() -> None:
    """So many changes are kept and no more, whatever a client does not read."""
    topic = Topic()
    for number in range(KEPT + 3):
        topic.update({"cameras": {"a": {"fps": number}}})
    types = [json.loads(text)["type"] for text in topic.since(2, NOW)]
    assert types == ["state"]
    assert [json.loads(text)["cameras"] for text in topic.since(3, NOW)] == [
        {"a": {"fps": n}} for n in range(3, KEPT + 3)
    ]


def test_client_that_knows_the_newest_gets_nothing() -> None:
    """And what is as it was makes no new version."""
    topic = Topic()
    topic.update({"cameras": {"a": {"fps": 1}}})
    topic.update({"cameras": {"a": {"fps": 1}}})
    assert topic.version == 1
    assert list(topic.since(1, NOW)) == []


def test_difference_names_what_came_changed_and_went() -> None:
    """A field that became null is not an entity that is gone."""
    before: dict[str, dict[str, Any]] = {
        "a": {"fps": 1, "why": "x"},
        "b": {"fps": 2, "why": None},
        "c": {"fps": 3, "why": None},
    }
    now: dict[str, dict[str, Any]] = {
        "a": {"fps": 1, "why": None},
        "c": {"fps": 3, "why": None},
        "d": {"fps": 4, "why": None},
    }
    assert difference(before, now) == {"a": {"why": None}, "b": None, "d": {"fps": 4, "why": None}}
