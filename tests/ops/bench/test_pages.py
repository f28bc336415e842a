"""Each page of a bench names a command that works, and states a calibration."""

import re
import shlex
from pathlib import Path

import pytest

from tests.kit.daemon import ROOT

BENCH = ROOT / "ops" / "bench"
COMMON = (BENCH / "lib" / "commands.py").read_text()
PAGES = sorted(BENCH.glob("*.md"))
NO_TIMES = {"scopes.md", "stacks.md"}
"""Pages without figures that depend on the speed of a machine."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_names_a_command_that_works(page: Path) -> None:
    """The program exists, and has every option that the page gives it."""
    commands = re.findall(r"`python (ops/\S+\.py[^`]*)`", page.read_text())
    assert commands
    for program, *arguments in map(shlex.split, commands):
        source = (ROOT / program).read_text()
        options = [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]
        assert [option for option in options if f'"{option}' not in source + COMMON] == [], program


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in NO_TIMES], ids=lambda page: page.name)
def test_page_states_a_calibration(page: Path) -> None:
    """Its lines follow the machine's; a page from before says that it has none."""
    assert re.search(r"^Machine: .+\nCalibration( \(CPU time\): .+ µs|: none\. )", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize("program", sorted(BENCH.glob("*.py")), ids=lambda program: program.name)
def test_bench_states_a_calibration(program: Path) -> None:
    """A bench that writes a page gets the lines about the machine from the one place that measures them."""
    source = program.read_text()
    assert "platform." not in source
    assert re.search(r"\bstated\(\)|commands\.(report|show)\(", source)
