"""Write the table of deviations into `ops/docs/cameras.md`: `python3 ops/oddities.py`. A test compares."""

import re
from pathlib import Path

import bootstrap
from console import write

if __name__ == "__main__":
    bootstrap.enter()

from actors.media.oddities import Oddity

PAGE = Path(__file__).parent / "docs" / "cameras.md"
BEGIN, END = "<!-- oddities -->\n", "<!-- /oddities -->"


def page(text: str) -> str:
    """The page with its current table."""
    rows = [f"| `{oddity.code}` | {oddity.does} | {oddity.handled} |" for oddity in Oddity]
    table = "\n".join(["", "| name | the camera | banken |", "|---|---|---|", *rows, "", ""])
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}{table}{END}", text, flags=re.DOTALL)


if __name__ == "__main__":
    write(PAGE, page(PAGE.read_text()))
