"""Write `ops/docs/states.md` from the life-cycle tables: `.venv/bin/python ops/diagrams.py`. A test compares them."""

from pathlib import Path

from supervisor.domain import lifecycle

PAGE = Path(__file__).parent / "docs" / "states.md"


def page() -> str:
    parts = ["# Life cycles\n\nMade from the tables in `supervisor/domain/lifecycle.py` by `ops/diagrams.py`.\n"]
    parts += [diagram("Camera", lifecycle.CAMERA, "CameraAdded")]
    parts += [diagram("Child process", lifecycle.CHILD, "ChildStarting")]
    parts += [diagram("Viewer", lifecycle.PEER, "PeerOpened")]
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


if __name__ == "__main__":
    PAGE.write_text(page())
