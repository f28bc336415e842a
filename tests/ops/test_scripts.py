"""`ops/scripts.py` rejects JavaScript that is mistyped, unformatted or unused."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import require

ROOT = Path(__file__).parents[2]
CLOCK = "export function createClock() {\n"


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (CLOCK, f"{CLOCK}  document.body.colour = 1;\n", "Property 'colour' does not exist"),
        (CLOCK, f"{CLOCK}  document.querySelector('.grid').remove();\n", "possibly 'null'"),
        (CLOCK, f"{CLOCK}    document.title='';\n", "Formatter would have printed"),
        (CLOCK, f'import {{ pack }} from "./panels/wall/pack.js";\n{CLOCK}', "noUnusedImports"),
    ],
    ids=["type", "null", "format", "unused"],
)
def test_scripts_with_a_mistake_are_rejected(tmp_path: Path, before: str, after: str, complaint: str) -> None:
    """In a copy of the dashboard, with one mistake in the module of the clock."""
    require(None if shutil.which("tsc") else "no tsc on the PATH (Debian package node-typescript)")
    require(None if (Path(sys.executable).parent / "biome").exists() else "no Biome for this machine")
    shutil.copytree(ROOT / "web" / "dashboard", tmp_path / "web" / "dashboard")
    (tmp_path / "ops").mkdir()
    for name in (
        "scripts.py",
        "scripts.biome.json",
        "scripts.tsconfig.json",
        "scripts.d.ts",
        "debian.py",
        "console.py",
    ):
        shutil.copy(ROOT / "ops" / name, tmp_path / "ops")
    clock = tmp_path / "web" / "dashboard" / "clock.js"
    assert before in clock.read_text()
    clock.write_text(clock.read_text().replace(before, after))
    done = subprocess.run(
        [sys.executable, tmp_path / "ops" / "scripts.py"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, complaint in done.stdout + done.stderr) == (1, True), done.stdout + done.stderr
