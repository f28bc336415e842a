"""30,800 hostile inputs for all code that strangers can reach: each gets a typed refusal or an answer.

The inputs are the same in every run. A failure prints how to repeat it; `ops/hostile.py` runs millions, with any seed.
"""

import gc
import os
import random

import pytest

from actors.media.audio import OPUS
from actors.media.flv import FlvDemuxer
from actors.webrtc import answer
from tests.kit.hostile import TARGETS, shares
from tests.kit.hostile.cameras import Player, conversations, descriptions, rtp_streams, take_description, take_rtp
from tests.kit.hostile.cameras import frames as interleaved
from tests.kit.hostile.judge import Target, input_of, run_target
from tests.kit.hostile.parsers import CONFIGS, tags
from tests.kit.hostile.readers import CONVERSATIONS as READERS
from tests.kit.hostile.readers import converse, publish, statuses
from tests.kit.hostile.web import frame, frames
from tests.kit.media import flv
from tests.kit.mutations import MUTATIONS, lines
from tests.kit.processes import descriptors, thread_names, wait_until
from tests.kit.rtsp_site import open_site

INPUTS, SEED = 30_800, 20
KNOWN = {"LocalProtocolError", "Error", "AttributeError", "UnicodeDecodeError", "KeyError", "ValueError"}
"""Exceptions that Hypercorn raises for damaged HTTP, which end that connection alone."""


def target_of(name: str) -> Target:
    return next(target for target in TARGETS if target.name == name)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
async def test_hostile_input_is_answered_or_refused(target: Target) -> None:
    """No other exception occurs, nothing hangs, refused inputs change no state, and no file descriptor leaks."""
    await run_target(target, SEED, range(1))  # what is opened once is opened now
    gc.collect()
    before, threads = len(descriptors(os.getpid())), len(thread_names(os.getpid()))
    tally = await run_target(target, SEED, range(shares(INPUTS)[target.name]))
    assert not tally.failures, "\n".join(str(failure) for failure in tally.failures[:3])
    assert set(tally.contained) <= KNOWN
    assert tally.accepted > 0
    gc.collect()
    await wait_until(lambda: len(descriptors(os.getpid())) <= before, what="the end of every descriptor")
    assert len(thread_names(os.getpid())) <= threads + 2, "idle threads of trio's cache, at most"


def test_an_input_is_made_of_its_seed_and_number_alone() -> None:
    """A failure can be repeated from these two; other numbers and seeds give other inputs."""
    for target in TARGETS:
        first, again = input_of(target, 1, 7), input_of(target, 1, 7)
        assert first == again
        assert len({input_of(target, 1, index) for index in range(20)}) > 10
        assert any(input_of(target, 2, index) != input_of(target, 1, index) for index in range(5))


def test_no_kind_of_damage_ever_fails_itself() -> None:
    """Not of nothing, either."""
    rng = random.Random(5)
    for mutation in MUTATIONS:
        for data in (b"", b"\x00", b"\xff" * 50, CONFIGS[0], b"".join(flv(count=2))):
            for split in (lines, tags, frames):
                assert isinstance(mutation(rng, data, (data, b""), split), bytes)


def test_undamaged_conversations_of_cameras_reach_video() -> None:
    """The undamaged inputs work: three conversations reach video, two of them audio."""
    players = [Player() for _ in conversations()]
    ends = [player.play([data]) for player, data in zip(players, conversations(), strict=True)]
    assert [player.hub.units.end > 0 for player in players] == [True, True, False, False, False]
    assert [type(end).__name__ for end in ends] == ["NoneType", "NoneType", "Ended", "TransportRefused", "Moved"]
    for data in descriptions():
        take_description(data)
    for stream in rtp_streams():
        take_rtp(stream)
        assert b"".join(interleaved(stream)) == stream


async def test_undamaged_conversations_of_readers_play() -> None:
    """The undamaged inputs work: tracks are set up in both ways and played, and the others get their refusals."""
    async with open_site() as site:
        site.hear(OPUS)
        publish(site, 0)
        found = [statuses(await converse(site.port, each)) for each in READERS]
    assert found == [
        [200, 200, 200, 200, 200, 454, 200, 200], [200] * 6, [200, 200, 454, 454, 454, 200],
        [200, 404, 200, 200, 200, 200], [405, 405, 405, 501], [551, 459], [400],
    ]  # fmt: skip


def test_sections_joined_are_the_input() -> None:
    """The mutator cuts FLV into tags and a WebSocket stream into frames, without a remainder."""
    stream, messages = b"".join(flv(count=3)), frame(1, b"one") + frame(9, b"two") + frame(8)
    assert b"".join(tags(stream)) == stream
    assert len(tags(stream)) == 5
    assert b"".join(frames(messages)) == messages
    assert len(frames(messages)) == 3


async def test_an_error_of_another_kind_is_noticed_and_can_be_had_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted `KeyError` is reported with its command line and the bytes of the input."""

    def careless(text: str) -> object:
        known: dict[str, object] = {}
        return known["a=mid"]

    monkeypatch.setattr("tests.kit.hostile.parsers.parse_offer", careless)
    tally = await run_target(target_of("offer"), 3, range(4, 6))
    assert [failure.index for failure in tally.failures] == [4, 5]
    text = str(tally.failures[0])
    assert "KeyError" in text
    assert "--target offer --seed 3 --index 4" in text
    assert input_of(target_of("offer"), 3, 4).hex() in text


async def test_a_reader_that_never_returns_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless loop in the FLV reader is interrupted and is a failure."""

    def spin(self: FlvDemuxer, data: bytes) -> list[object]:
        while True:
            pass

    monkeypatch.setattr("tests.kit.hostile.judge.ALARM_S", 0.1)
    monkeypatch.setattr(FlvDemuxer, "feed", spin)
    tally = await run_target(target_of("flv"), 1, range(1))
    assert "not answered within" in tally.failures[0].what


async def test_an_answer_that_lacks_a_section_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug in the answer is a failure, although nothing raises."""
    stock = answer.write_answer
    monkeypatch.setattr(
        "tests.kit.hostile.parsers.write_answer", lambda *given: stock(*given).replace("m=video", "x=video", 1)
    )
    tally = await run_target(target_of("offer"), 1, range(100))
    assert {failure.what.partition(" (")[0] for failure in tally.failures} == {
        "Wrong: the answer lacks a section, or has one too many"
    }
