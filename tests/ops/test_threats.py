"""The table of threats: each has an answer, and names the tests of it."""

import re
from pathlib import Path

import pytest

from tests.kit.named import missing

TABLE = (Path(__file__).parents[2] / "ops" / "docs" / "threats.md").read_text()
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", TABLE, re.MULTILINE)
THREATS = [row for row in ROWS if row[0] not in ("threat",) and not row[0].startswith("---")]
NAMED = [named for _, _, tests in THREATS for named in re.findall(r"`([^`]+::[^`]+)`", tests)]


@pytest.mark.parametrize("row", THREATS, ids=[row[0][:60] for row in THREATS])
def test_threat_names_its_test_or_its_limit(row: tuple[str, str, str]) -> None:
    """No answer is only claimed."""
    assert "::" in row[2] or row[2].startswith("*limit*: ")


@pytest.mark.parametrize("named", NAMED)
def test_named_test_of_a_threat_exists(named: str) -> None:
    """It was not renamed or removed."""
    assert missing(named) is None


def test_every_row_of_the_table_is_read() -> None:
    """A row of another form would be checked by nobody."""
    assert len(THREATS) == sum(line.startswith("| ") for line in TABLE.splitlines()) - 3
