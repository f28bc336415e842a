"""Write `ops/docs/states.md` from the tables of life cycles: `python3 ops/diagrams.py`. A test compares."""

import re
from pathlib import Path

import bootstrap
from console import write

if __name__ == "__main__":
    bootstrap.enter()

from supervisor.domain.catalogue import CAMERA, CHILD, EVENTS, PEER
from supervisor.domain.lifecycle import Phase, Table

PAGE = Path(__file__).parent / "docs" / "states.md"
PLAYER = Path(__file__).parents[1] / "web" / "dashboard" / "player" / "table.js"


def page() -> str:
    sources = "the events below `supervisor/domain/` and the table in `web/dashboard/player/table.js`"
    parts = [f"# Life cycles\n\nMade from {sources} by `ops/diagrams.py`.\n"]
    parts += [diagram("Camera", CAMERA), diagram("Child process", CHILD), diagram("Peer", PEER)]
    parts += [player_diagram(PLAYER.read_text())]
    return "\n".join(parts)


def diagram(title: str, table: Table[Phase]) -> str:
    last = next(phase for phase, row in table.items() if not row)
    lines = [f"    [*] --> {kind.begins.value}: {kind.__name__}" for kind in EVENTS if kind.begins in table]
    for phase, row in table.items():
        for event, after in row.items():
            to = "[*]" if after is last else after.value
            if after is not phase:
                lines.append(f"    {phase.value} --> {to}: {event.__name__}")
    return "\n".join([f"## {title}\n", "```mermaid", "stateDiagram-v2", *lines, "```\n"])


def player_diagram(module: str) -> str:
    """The player in the page. Its table is read as it is written: one line for each state."""
    table = module.partition("export const TABLE = {\n")[2].partition("\n};")[0]
    rows = [row.groups() for row in re.finditer(r"^  (\w+): \{ (.*) \},$", table, re.MULTILINE)]
    lines = [f"    [*] --> {rows[0][0]}"]
    for state, edges in rows:
        lines += [f"    {state} --> {to}: {event}" for event, to in re.findall(r'(\w+): "(\w+)"', edges)]
    told = "`failed`, `spent` and `denied` differ in the attempts that are left.\n"
    told += "`fallback` and `probing` show snapshots.\n"
    return "\n".join(["## Player in the page\n", told, "```mermaid", "stateDiagram-v2", *lines, "```\n"])


if __name__ == "__main__":
    write(PAGE, page())
