"""The page about recordings: each invariant of the format names a test that exists."""

import re
from pathlib import Path

import pytest

from tests.kit.named import missing

PAGE = (Path(__file__).parents[2] / "ops" / "docs" / "recordings.md").read_text()
TABLE = PAGE.partition("| invariant | test |")[2].partition("\n\n")[0]
ROWS = [row for row in TABLE.splitlines()[2:] if row]
NAMED = re.findall(r"`([^`]+::[^`]+)`", TABLE)


def test_every_invariant_names_its_test() -> None:
    """None is only claimed."""
    assert len(ROWS) > 10
    assert [row for row in ROWS if "::" not in row] == []


@pytest.mark.parametrize("named", NAMED)
def test_named_test_of_an_invariant_exists(named: str) -> None:
    """It was not renamed or removed."""
    assert missing(named) is None
