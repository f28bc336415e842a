"""The table of the kinds of sources."""

import re
from pathlib import Path

from actors import sources
from actors.sources import KINDS
from supervisor.config.cameras import LISTS

PAGE = Path(__file__).parents[2] / "ops" / "docs" / "configuration.md"
READ_BY = {"rtsps": "rtsp", "via": "go2rtc"}
"""The kind, where the address begins with another word."""


def test_every_module_of_sources_is_a_kind() -> None:
    """A module that is missing in `KINDS` could not be configured."""
    folder = Path(sources.__file__).parent
    assert {path.stem for path in folder.iterdir() if not path.name.startswith("_")} == set(KINDS)
    assert set(LISTS) <= set(KINDS)


def test_every_kind_of_source_is_in_the_reference() -> None:
    """The table of sources has a row for each kind, and for no other."""
    table = PAGE.read_text().partition("### Sources\n\n")[2].partition("\n\n")[0]
    words = [word for line in table.splitlines()[2:] for word in re.findall(r"`(\w+):", line.split(" | ")[0])]
    assert {READ_BY.get(word, word) for word in words} == set(KINDS)
