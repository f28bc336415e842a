"""The comparison itself: a missing answer is a difference, too."""

import shutil

import pytest

from tests.conftest import require
from tests.kit.journals import lively

from .answers import disagreement


def test_answers_about_a_small_journal_agree() -> None:
    """Differences in the report, the table, the page, the API and the metrics of a replay are found."""
    require(None if shutil.which("node") else "no node on the PATH (Debian package nodejs)")
    assert disagreement(lively()) is None


@pytest.mark.parametrize("said", [{"gate": "live 99.99 % of 1 min"}, {}], ids=["other words", "nothing"])
def test_page_that_says_something_else_disagrees(said: dict[str, str]) -> None:
    """About one camera, or nothing of any."""
    assert "\nthe page: " in str(disagreement(lively(), page=lambda _: said))


def test_metrics_that_are_empty_disagree() -> None:
    """A daemon without metrics is not skipped."""
    found = disagreement(lively(), exposed="")
    assert found is not None
    assert "/metrics: {}" in found
