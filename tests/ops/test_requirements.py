"""The table of requirements has every line once, and names nothing that is not there."""

import re
from pathlib import Path

import pytest

from tests.kit.named import missing

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "ops" / "docs" / "requirements.md").read_text()
LINES = {"S0": 21, "S1": 21, "S2": 22, "S3": 20, "S4": 21, "S5": 8}
"""How many numbered lines each source has."""
ROWS = re.findall(r"^\| (S\d\.\d+) \| ([^|]+) \| ([^|]+) \|$", TABLE, re.MULTILINE)
NAMED = [
    (line, named) for line, _, where in ROWS for named in re.findall(r"`([^`]+)`", where.partition("*not yet*")[0])
]


def test_every_line_stands_once_and_in_its_order() -> None:
    """The numbers run from 1 to the count of each section, and every row of the table is parsed."""
    assert [line for line, _, _ in ROWS] == [f"{s}.{n}" for s, count in LINES.items() for n in range(1, count + 1)]
    assert TABLE.count("\n| S") == len(ROWS), "a row that is no row"


@pytest.mark.parametrize(("line", "where"), [(line, where) for line, _, where in ROWS], ids=[row[0] for row in ROWS])
def test_a_line_is_shown_or_says_what_is_missing(line: str, where: str) -> None:
    """A row holds names in backticks, and perhaps `*not yet*: ` followed by words; nothing else."""
    shown, mark, missing = where.partition("*not yet*: ")
    assert mark or "`" in shown, line
    assert not mark or missing.strip(), f"{line}: what is not there yet?"
    assert re.fullmatch(r"(`[^`]+`(, )?)*(; )?", shown), f"{line}: {shown} is more than names"


@pytest.mark.parametrize(("line", "named"), NAMED, ids=[f"{line}-{named}" for line, named in NAMED])
def test_named_files_and_tests_exist(line: str, named: str) -> None:
    """A renamed or removed file or test must be renamed in the table too."""
    assert missing(named) is None, f"{line}: {missing(named)}"
