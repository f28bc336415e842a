"""Write `ops/docs/states.md` from the tables of life cycles: `.venv/bin/python ops/diagrams.py`. A test compares."""

import re
from pathlib import Path

from supervisor.domain import lifecycle

PAGE = Path(__file__).parent / "docs" / "states.md"
PLAYER = Path(__file__).parents[1] / "web" / "dashboard" / "player" / "table.js"


def page() -> str:
    sources = "`supervisor/domain/lifecycle.py` and `web/dashboard/player/table.js`"
    parts = [f"# Life cycles\n\nMade from the tables in {sources} by `ops/diagrams.py`.\n"]
    parts += [diagram("Camera", lifecycle.CAMERA, "CameraAdded")]
    parts += [diagram("Child process", lifecycle.CHILD, "ChildStarting")]
    parts += [diagram("Viewer", lifecycle.PEER, "PeerOpened")]
    parts += [player_diagram(PLAYER.read_text())]
    return "\n".join(parts)


def diagram(title: str, table: lifecycle.Table[lifecycle.Phase], birth: str) -> str:
    first, last = next(iter(table)), next(phase for phase, row in table.items() if not row)
    lines = [f"    [*] --> {first.value}: {birth}"]
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
    told = "What a failure leaves to be tried tells `failed`, `spent` and `denied` apart.\n"
    told += "`fallback` and `probing` show still pictures.\n"
    return "\n".join(["## Player in the page\n", told, "```mermaid", "stateDiagram-v2", *lines, "```\n"])


if __name__ == "__main__":
    PAGE.write_text(page())
