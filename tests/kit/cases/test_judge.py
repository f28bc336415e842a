"""The first difference is named, and a case goes on until nothing can change the verdict."""

from typing import Any

import attrs
import msgspec
import pytest

from .form import Audio, Case, Expect
from .judge import GRACE_S, SETTLE_S, SILENT_S, Seen, find_difference, is_settled
from .units import Unit

WANTED = ("aa", "bb", "cc")
CALM = SETTLE_S + 0.1


def case(**more: Any) -> Case:
    given = {"expect": Expect(pictures=WANTED, nothing_else=True)} | more
    return Case("h264", (), ("",) * len(WANTED), **given)


def seen(*digests: str, codec: str = "h264", **more: Any) -> Seen:
    known: dict[str, Any] = {"elapsed_s": 2.0, "quiet_s": CALM, "state": "live"} | more
    return Seen(tuple(Unit(codec, each) for each in digests), **known)


@pytest.mark.parametrize(
    ("what", "difference"),
    [
        (seen(*WANTED), ""),
        (seen("aa", "bb"), ""),  # the last one waits for a next one to end it
        (seen("aa"), "1 of 3 access units came, expected bb next; the camera is live"),
        (seen(), "0 of 3 access units came, expected aa next; the camera is live"),
        (seen("aa", "cc"), "access unit 2 of 3 is cc, which is that of access unit 3, expected bb"),
        (seen("aa", "xx", "cc"), "access unit 2 of 3 is xx, expected bb"),
        (seen(*WANTED, "dd"), "access unit 4 came, expected 3 and no more"),
        (seen("aa", codec="h265"), "access unit 1 is h265, expected h264"),
        (
            seen("aa", state="waiting", reasons=("it hangs",), losses=1),
            "1 of 3 access units came, expected bb next; the camera is waiting: it hangs",
        ),
        (seen(*WANTED, losses=1, reasons=("x",)), "the pictures came after 1 lost tries of 1; the camera is live: x"),
        (seen(*WANTED, fault="a packet is missing"), "a packet is missing"),
    ],
)
def test_first_difference_of_pictures_is_named(what: Seen, difference: str) -> None:
    """Where it is, and what was expected there."""
    assert find_difference(case(), what) == difference


def test_others_may_come_between_without_nothing_else() -> None:
    """The order still counts."""
    loose = case(expect=Expect(pictures=WANTED))
    assert find_difference(loose, seen("xx", "aa", "yy", "bb", "cc")) == ""
    assert "access unit 2 of 3 did not come" in find_difference(loose, seen("bb", "aa", "cc"))
    assert find_difference(loose, seen("aa", "bb")) == ""
    assert "access unit 3 of 3 did not come" in find_difference(loose, seen("aa", "bb", "yy"))


def test_pictures_after_allowed_losses_pass() -> None:
    """`tries` counts the one that succeeds."""
    assert find_difference(case(tries=3), seen(*WANTED, losses=2)) == ""


@pytest.mark.parametrize(
    ("what", "settled"),
    [
        (seen(), False),
        (seen("aa"), False),
        (seen(*WANTED, quiet_s=0.5), False),
        (seen(*WANTED), True),
        (seen("aa", "xx", quiet_s=0.0), True),
        (seen(*WANTED, "dd", quiet_s=0.0), True),
        (seen("aa", state="failed", losses=1), True),
        (seen("aa", state="connecting", losses=1), False),
        (seen("aa", elapsed_s=3.0 + GRACE_S), True),
        (seen(quiet_s=0.0, fault="x"), True),
    ],
)
def test_case_is_settled_when_nothing_can_change_the_verdict(what: Seen, settled: bool) -> None:
    """A difference at once; success after a while in which nothing else came; otherwise when the time is over."""
    assert is_settled(case(), what) == settled


def test_case_that_expects_no_pictures_is_settled_when_its_time_is_over() -> None:
    """They might still come."""
    empty = case(expect=Expect(pictures=(), nothing_else=True))
    assert not is_settled(empty, seen())
    assert find_difference(empty, seen()) == ""
    assert find_difference(empty, seen("aa")) == "access unit 1 came, expected 0 and no more"


def test_reason_or_pictures_satisfy_a_case_that_wants_a_reason() -> None:
    """One of the words is enough."""
    wants = case(expect=Expect(reason_mentions_any=("SRTP", "encrypt")))
    assert find_difference(wants, seen("aa")) == ""
    assert find_difference(wants, seen(state="failed", reasons=("it is encrypted",), losses=1)) == ""
    other = seen(state="failed", reasons=("unknown codec",), losses=1)
    expected = "neither pictures nor a reason that mentions SRTP or encrypt; the camera is failed: unknown codec"
    assert find_difference(wants, other) == expected
    assert is_settled(wants, other)
    assert not is_settled(wants, attrs.evolve(other, state="connecting", losses=0))


def test_connection_that_ends_is_not_alive() -> None:
    """A second connection, a closed one and a lost camera are the same; neither is one without pictures."""
    lives = case(within_s=13.0, expect=Expect(alive_after_s=12.0))
    good = seen("aa", elapsed_s=12.1)
    assert find_difference(lives, good) == ""
    assert is_settled(lives, good)
    assert not is_settled(lives, attrs.evolve(good, elapsed_s=11.0))
    silent = attrs.evolve(good, quiet_s=SILENT_S + 0.1)
    assert find_difference(lives, silent) == ""
    loops = msgspec.structs.replace(lives, loop=True)
    assert find_difference(loops, silent) == "no access unit came for 2.1 s; the camera is live"
    for ended in ({"dialogues": 2}, {"held": 0}, {"state": "waiting"}):
        what = attrs.evolve(good, elapsed_s=5.0, **ended)
        assert "the connection ended within 5.0 s, expected one that is open for 12 s" in find_difference(lives, what)
        assert is_settled(lives, what)
    assert "no access unit came" in find_difference(lives, attrs.evolve(good, units=()))


def test_audio_is_compared_by_its_codec() -> None:
    """Missing audio is reported with the reason from the daemon."""
    wants = case(expect=Expect(audio=Audio("aac", 16_000, 1, "1408")))
    assert find_difference(wants, seen(audio="aac")) == ""
    mute = seen(mute="its sound is MP3")
    assert find_difference(wants, mute) == "audio is none (its sound is MP3), expected aac; the camera is live"
    assert is_settled(wants, mute)
