"""Exception groups: the first leaf, the remaining crash, and a group that only wraps."""

import pytest

from supervisor.base.groups import crash_in, first_of, holds_only

PLAIN, OTHER = ValueError("plain"), OSError("other")


def test_first_leaf_is_that_of_nested_groups_or_the_error_itself() -> None:
    """Groups without their own message hide the error that people need."""
    assert first_of(PLAIN) is PLAIN
    assert first_of(ExceptionGroup("", [ExceptionGroup("", [PLAIN]), OTHER])) is PLAIN


@pytest.mark.parametrize("error", [OTHER, ExceptionGroup("", [OTHER])])
def test_nothing_remains_of_exceptions_that_may_pass(error: Exception) -> None:
    """Alone and in a group."""
    assert crash_in(error, OSError) is None


def test_other_exceptions_remain() -> None:
    """Alone and beside one that may pass."""
    assert crash_in(PLAIN, OSError) is PLAIN
    rest = crash_in(ExceptionGroup("", [OTHER, PLAIN]), OSError)
    assert rest is not None
    assert first_of(rest) is PLAIN


def test_group_that_only_wraps_differs_from_one_that_holds_more() -> None:
    """A second error must not be lost."""
    assert holds_only(ExceptionGroup("", [PLAIN]), PLAIN)
    assert not holds_only(ExceptionGroup("", [PLAIN, OTHER]), PLAIN)
