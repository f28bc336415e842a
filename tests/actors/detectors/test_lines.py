"""Lines of detectors: a detection, or the reason for dropping it; never more work or memory than a line is worth."""

import pytest

from actors.detectors.lines import FIELD, MOST_LINE, NOT_JSON, TIME, Splitter, WrongLine, read_line
from tests.kit.detectors import line


def test_line_gives_its_detection() -> None:
    """With its box, and without one; further fields are ignored."""
    seen = read_line(line(box=[0.1, 0.2, 0.3, 0.4], track=17))
    assert (seen.camera, seen.label, seen.score, seen.box) == ("gate", "person", 0.9, (0.1, 0.2, 0.3, 0.4))
    assert seen.at_ns == 1_796_040_000_000_000_000
    assert read_line(line(at="2026-11-30T13:00:00+01:00")).at_ns == seen.at_ns
    assert read_line(line(box=None)).box == ()
    assert read_line(line(at="0001-01-01T00:00:00+14:00")).at_ns < 0, "it is refused later, by its age"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (b"hello", NOT_JSON),
        (b"\x00\xff\xfe", NOT_JSON),
        (b'{"camera": "g\xff"}', NOT_JSON),
        (b"[" * 10_000, FIELD),
        (b'{"x": ' * 2000 + b"1" + b"}" * 2000, NOT_JSON),
        (line() + b"{}", NOT_JSON),
        (b"[]", FIELD),
        (b"{}", FIELD),
        (line(score=1.5), FIELD),
        (line(score="0.9"), FIELD),
        (line(score=float("nan")), NOT_JSON),
        (line(score=float("inf")), NOT_JSON),
        (line().replace(b"0.9", b"1e999"), FIELD),
        (line(box=[0, 0, 1]), FIELD),
        (line(box=[0.5, 0, 0.6, 1]), FIELD),
        (line(box=[-0.1, 0, 0.5, 1]), FIELD),
        (line(label=""), FIELD),
        (line(label="x" * 65), FIELD),
        (line(label="a\nb"), FIELD),
        (line(camera="c" * 65), FIELD),
        (line(at="yesterday"), TIME),
        (line(at="2026-11-30T12:00:00"), TIME),
    ],
)
def test_wrong_line_has_a_reason(wrong: bytes, code: str) -> None:
    """Binary, other JSON, deep JSON, numbers out of range, and texts that are not times."""
    with pytest.raises(WrongLine) as raised:
        read_line(wrong)
    assert raised.value.code == code


def test_splitter_cuts_lines_wherever_the_chunks_end() -> None:
    """Empty lines are left out; `\\r` before the end stays, and JSON ignores it."""
    text = b"one\n\ntwo\r\n   \nthree\n"
    for size in range(1, len(text) + 1):
        splitter = Splitter()
        found = [each for at in range(0, len(text), size) for each in splitter.feed(text[at : at + size])]
        assert found == [b"one", b"two\r", b"three"], size


def test_line_without_an_end_is_counted_again_and_again_and_not_kept() -> None:
    """A long line counts once for each 16 KiB of it; the next line is read."""
    splitter = Splitter()
    found = [each for _ in range(40) for each in splitter.feed(b"x" * 4096)]
    assert found == [None] * len(found)
    assert 9 <= len(found) <= 10
    assert splitter.feed(b"x\nnext\n") == [b"next"]
    assert splitter.feed(b"y" * MOST_LINE + b"\n") == [b"y" * MOST_LINE]
    assert splitter.feed(b"y" * (MOST_LINE + 1) + b"\nnext\n") == [None, b"next"]
