"""The check of the layers finds every kind of forbidden import: each is planted in a copy of the tree."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLANTED = {
    "supervisor/base/planted.py": "import web.app",
    "supervisor/domain/restart.py": "import supervisor.base.clock",
    "supervisor/domain/plan.py": "import time",
    "supervisor/journal/codec.py": "import supervisor.runtime.kernel",
    "supervisor/config/config.py": "import supervisor.runtime.vault",
    "supervisor/runtime/feed.py": "import supervisor.services.gateway",
    "supervisor/forensics/incident/facts.py": "import supervisor.cli.terminal",
    "supervisor/services/thumbnails.py": "import supervisor.cli.terminal",
    "web/concurrency.py": "import actors.registry",
    "web/bodies.py": "import supervisor.runtime.kernel",
    "web/queries.py": "import supervisor.services.gateway",
    "web/json.py": "import supervisor.forensics.timeline",
    "web/searches.py": "import supervisor.journal.reader",
    "web/hosts.py": "import supervisor.cli.journal_argument",
    "actors/process/process.py": "import actors.media.hub",
    "actors/sources/test.py": "import actors.webrtc.offer",
    "actors/media/hub.py": "import actors.camera.camera",
    "actors/addresses.py": "import actors.tools",
    "actors/registry.py": "import supervisor.runtime.reconcile",
    "actors/tools.py": "import supervisor.services.leases",
    "actors/camera/camera.py": "import supervisor.journal.reader",
    "supervisor/ports/errors.py": "import supervisor.journal.errors",
    "actors/cpu_share.py": "import web.app",
    "actors/media/ogg.py": "import asyncio",
    "supervisor/services/leases.py": "import sqlite3",
}
"""A forbidden import for each file: upward, sideways, through a third module, and of a library that only one place
may know."""
STRAYS = ("supervisor/planted.py", "actors/planted.py")
"""Modules that are in no layer."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of the check over a copy in which all of them are planted."""
    copy = tmp_path_factory.mktemp("planted")
    for package in ("supervisor", "actors", "web"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for name, line in PLANTED.items():
        with (copy / name).open("a") as file:
            file.write(f"\n{line}\n")
    for name in STRAYS:
        (copy / name).write_text('"""In no layer."""\n')
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache", "--verbose"]
    done = subprocess.run(command, cwd=copy, env={"PYTHONPATH": str(copy)}, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PLANTED)
def test_planted_import_is_found(report: str, name: str) -> None:
    """The report names the importing module and the imported one."""
    module, imported = name.removesuffix(".py").replace("/", "."), PLANTED[name].removeprefix("import ")
    assert re.search(rf"{re.escape(module)} -> {re.escape(imported)}\b", report), report


@pytest.mark.parametrize("name", STRAYS)
def test_module_without_a_layer_is_found(report: str, name: str) -> None:
    """A new module has to be given its layer before it can land."""
    module = re.escape(name.removesuffix(".py").replace("/", "."))
    assert re.search(rf"not listed as layers:\s+- {module}\b", report), report
