"""Names in a document's table: `PATH::TEST`, with PATH from `tests/` on, or the path of a file of the project."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def missing(named: str) -> str | None:
    """Say what is wrong with a name, or nothing if the file, and the test in it, exist."""
    path, _, name = named.partition("::")
    if not name:
        exists = (ROOT / path).exists() or (ROOT / "tests" / path).exists()
        return None if exists else f"there is no {path}"
    file = ROOT / "tests" / path
    if not file.exists():
        return f"there is no tests/{path}"
    text = file.read_text()
    if path.endswith(".mjs"):
        return None if f'test("{name}"' in text else f"{path} has no such test"
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {node.name for node in ast.parse(text).body if isinstance(node, functions)}
    return None if name in found else f"{path} has no {name}"
