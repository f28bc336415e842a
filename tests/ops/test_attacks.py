"""The table of attacks has every finding once, and names nothing that is not there."""

import re
from pathlib import Path

import pytest

from tests.kit.named import missing

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "ops" / "docs" / "attacks.md").read_text()
ROWS = re.findall(r"^\| (A\d+b?) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", TABLE, re.MULTILINE)
NAMED = [(line, named) for line, _, _, where in ROWS for named in re.findall(r"`([^`]+)`", where)]
COUNT = 24
"""The last number of the first round of attacks; A3b stands beside A3."""


def test_every_attack_stands_once_and_in_its_order() -> None:
    """No finding of the first round is forgotten; later rounds go on counting, and may leave numbers out."""
    numbers = [row[0] for row in ROWS]
    first = [f"A{n}{b}" for n in range(COUNT + 1) for b in ("", "b") if not b or n == 3]
    assert numbers[: len(first)] == first
    later = [int(number[1:]) for number in numbers[len(first) :]]
    assert later == sorted(set(later) - set(range(COUNT + 1)))
    assert TABLE.count("\n| A") == len(ROWS), "a row that is no row"


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_an_attack_names_its_test_or_says_why_it_stays(row: tuple[str, ...]) -> None:
    """Each row ends with a test, or with *stays* or *open* and a reason."""
    assert re.search(r"`[^`]+::[^`]+`", row[3]) or re.search(r"\*(stays|open)\*: \w", row[3]), row[0]


@pytest.mark.parametrize(("line", "named"), NAMED, ids=[f"{line}-{named}" for line, named in NAMED])
def test_a_named_test_exists(line: str, named: str) -> None:
    """A test or file that the table names is in the project."""
    assert missing(named) is None, f"{line}: {missing(named)}"
