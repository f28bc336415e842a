"""The wheel has the three packages of the daemon. Benches, tests and scripts stay in the checkout."""

import ast
import re
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from tests.kit.daemon import ROOT

PACKAGES = {"supervisor", "actors", "web"}


def files() -> list[Path]:
    """The files that a wheel would have, as paths of the checkout."""
    return [Path(file.path).relative_to(ROOT) for file in WheelBuilder(str(ROOT)).recurse_included_files()]


def test_wheel_has_no_bench() -> None:
    """Every file is in a package of the daemon, and none is a bench or is named as one."""
    found = files()
    assert {file.parts[0] for file in found} == PACKAGES
    assert [file for file in found if re.search(r"bench|receivers", str(file))] == []


def test_shipped_module_imports_nothing_that_is_not_shipped() -> None:
    """An import of `ops` or `tests` would work in the checkout only."""
    for file in files():
        if file.suffix != ".py":
            continue
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert not {name.partition(".")[0] for name in names} & {"ops", "tests"}, f"{file}:{names}"


def test_wheel_has_every_file_that_a_module_reads_beside_itself() -> None:
    """The report needs its template and style, the dashboard its page."""
    folders = ("supervisor/forensics/incident", "web/dashboard")
    kinds = {".html", ".css", ".js"}
    expected = {path.relative_to(ROOT) for name in folders for path in (ROOT / name).rglob("*") if path.suffix in kinds}
    assert Path("supervisor/forensics/incident/report.html") in expected
    assert expected <= set(files())
