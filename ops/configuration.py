"""Writes the tables of `ops/docs/configuration.md` from the table of settings: `python3 ops/configuration.py`.

The text between the tables is written by hand.
"""

import re
from pathlib import Path

import bootstrap
from console import write

if __name__ == "__main__":
    bootstrap.enter()

from supervisor.config.settings import SETTINGS
from supervisor.config.table import Setting, Table

PAGE = Path(__file__).parent / "docs" / "configuration.md"
HEAD = "| name | type | default | bounds | unit | meaning | reloadable |\n|---|---|---|---|---|---|---|\n"
_PART = re.compile(rf"^## (?P<section>[a-z]+)\n(?P<text>(?:(?!^## ).*\n)*?){re.escape(HEAD)}(?:\|.*\n)*", re.MULTILINE)


def page(text: str, table: Table = SETTINGS) -> str:
    """The page with its tables made new. Raises `ValueError` if it has not one table for each section."""
    found = [part["section"] for part in _PART.finditer(text)]
    if sorted(found) != sorted(table.sections[""]):
        raise ValueError(f"sections with a table: {', '.join(found)}; settings: {', '.join(table.sections[''])}")
    return _PART.sub(
        lambda part: f"## {part['section']}\n{part['text']}{HEAD}{rows(table, part['section'])}",
        text,
    )


def rows(table: Table, section: str) -> str:
    """The rows of one section, and of those in it."""
    return "".join(row(each) for each in table if each.name.partition(".")[0] == section)


def row(setting: Setting) -> str:
    default = setting.otherwise if setting.default is None else f"`{setting.default}`"
    if setting.per_camera:
        default += f", or {setting.per_camera} for each camera if that is more"
    cells = [f"`{setting.name}`", setting.type.word, default, setting.type.bounds, setting.unit, setting.meaning]
    text = " | ".join(cells)
    return re.sub(r"\| +(?=\|)", "| ", f"| {text} | {'yes' if setting.reloadable else 'no'} |\n")


if __name__ == "__main__":
    write(PAGE, page(PAGE.read_text()))
