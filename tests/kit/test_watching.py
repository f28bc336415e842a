"""Comparison of the displayed frames of two pages."""

from tests.kit.numbered import SECONDS
from tests.kit.watching import Late, Report, Shown, compare


def shown(*pairs: tuple[float, int]) -> list[Shown]:
    return [Shown(at, number) for at, number in pairs]


def late(behind: list[Shown], ahead: list[Shown]) -> list[float]:
    return [round(each.by_s, 3) for each in compare(behind, ahead)]


def test_a_picture_is_as_late_as_it_comes_after_the_same_one() -> None:
    """Frames are compared by number, 0.5 s and 1.5 s after the other page."""
    ahead = shown((1.0, 7), (1.033, 8), (1.066, 9))
    assert list(compare(shown((1.5, 7)), ahead)) == [Late(1.5, 0.5)]
    assert late(shown((1.533, 8), (2.566, 9)), ahead) == [0.5, 1.5]


def test_it_may_be_painted_a_little_sooner() -> None:
    """A lateness of -0.05 s is not an error: painting has its jitter on both pages."""
    assert late(shown((0.95, 7)), shown((1.0, 7))) == [-0.05]


def test_frame_that_the_other_page_has_not_shown_is_left_out() -> None:
    """Without the same number there is nothing to compare with."""
    assert late(shown((1.5, 3)), shown((1.0, 7))) == []


def test_the_latest_of_the_same_number_is_meant() -> None:
    """And when that was missed, nothing is known."""
    turns = [(1.0, 7), (1.0 + SECONDS, 7), (1.0 + 2 * SECONDS, 7)]
    assert late(shown((1.0 + SECONDS + 2, 7)), shown(*turns)) == [2]
    assert late(shown((1.0 + SECONDS + 2, 7), (1.0 + 2 * SECONDS - 0.5, 7)), shown(turns[0], turns[2])) == []


def test_standing_still_until_the_end_is_a_freeze() -> None:
    """The last interval has no frame after it, and still counts with its 2.5 s."""
    report = Report(0.0, 3.0, (), (0.25, 0.25, 2.5), 0, 0, {})
    assert (report.longest_s, report.freezes, report.frozen_s) == (2.5, 1, 2.5)
