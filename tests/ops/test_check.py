"""`ops/check`: tests that failed beside other steps count as passed only if they pass alone, each time."""

import json
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
ONE, TWO, THREE = "tests/test_a.py::test_one", "tests/test_a.py::test_two", "tests/test_b.py::test_three"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The program as a module, in a folder without any result."""
    monkeypatch.chdir(tmp_path)
    loader = SourceFileLoader("check", str(ROOT / "ops" / "check"))
    spec = spec_from_loader("check", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def fake_programs(folder: Path, fails_at: int) -> Path:
    """A folder with a `pytest` that writes down its arguments, and fails the `fails_at`-th time."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "pytest"
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/runs\ntest $(wc -l < {folder}/runs) -ne {fails_at}\n')
    program.chmod(0o755)
    return programs


def fail(check: ModuleType, *tests: str) -> None:
    folder = Path(check.cache_of("whole"), "v", "cache")
    folder.mkdir(parents=True)
    (folder / "lastfailed").write_text(json.dumps(dict.fromkeys(tests, True)))


@pytest.mark.parametrize(
    ("failed", "fails_at", "passed", "runs"),
    [
        ([ONE], 0, [ONE], 3),
        ([TWO, ONE], 0, [ONE, TWO], 3),
        ([ONE], 1, [], 1),
        ([ONE], 3, [], 3),
        ([ONE, TWO, THREE], 0, [], 0),
        ([], 0, [], 0),
    ],
)
def test_failed_tests_run_again_alone(
    check: ModuleType, tmp_path: Path, failed: list[str], fails_at: int, passed: list[str], runs: int
) -> None:
    """One or two failed tests run three times more, alone; they are named if they pass each time."""
    fail(check, *failed)
    assert check.tests_that_pass_alone("whole", fake_programs(tmp_path, fails_at)) == passed
    written = tmp_path / "runs"
    lines = written.read_text().splitlines() if written.exists() else []
    assert lines == [" ".join(["-q", *sorted(failed)])] * runs


def test_a_step_that_ended_before_its_tests_has_not_passed(check: ModuleType, tmp_path: Path) -> None:
    """pytest writes no result when it cannot collect, or when it is killed."""
    assert check.tests_that_pass_alone("whole", fake_programs(tmp_path, 0)) == []


def test_a_step_that_does_not_end_is_aborted(
    check: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has not passed, and its name is said."""
    monkeypatch.setattr(check, "DEADLINE_S", 0)
    programs = fake_programs(tmp_path, 0)
    (programs / "pytest").write_text("#!/bin/sh\nexec sleep 600\n")
    assert not check.run_step("whole", programs)
    assert "whole has not ended" in capfd.readouterr().err
