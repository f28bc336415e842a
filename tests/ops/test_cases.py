"""`ops/test --cases`: what it prints, its exit codes, and that other arguments remain pytest's."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cases
from tests.kit.cases.run import Result

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "kit" / "cases" / "examples"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(ROOT / "ops" / "cases.py"), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("arguments", "started"),
    [
        (["--cases", "folder", "name"], ("python", str(ROOT / "ops" / "cases.py"), "--cases", "folder", "name")),
        (["--json", "--cases=folder"], ("python", str(ROOT / "ops" / "cases.py"), "--json", "--cases=folder")),
        (["tests/web", "-k", "lease"], ("python", "-m", "pytest", "tests/web", "-k", "lease")),
    ],
)
def test_option_cases_starts_the_program_for_cases(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], started: tuple[str, ...]
) -> None:
    """Everything else goes to pytest as it is."""
    calls: list[tuple[Any, ...]] = []
    become = SimpleNamespace(ROOT=ROOT, become=lambda *argv, dev: calls.append(argv))
    monkeypatch.setitem(sys.modules, "bootstrap", become)
    monkeypatch.setitem(sys.modules, "debian", SimpleNamespace(ensure_test_packages=lambda: None))
    monkeypatch.setattr(sys, "argv", ["ops/test", *arguments])
    runpy.run_path(str(ROOT / "ops" / "test"))
    assert calls == [started]


def test_result_is_one_line() -> None:
    """With the first difference where there is one."""
    assert cases.line(Result("plain", "", 8, 1.0)) == "✓ plain"
    assert cases.line(Result("odd", "access unit 2 is x", 1, 1.0)) == "✗ odd: access unit 2 is x"


def test_bad_folder_and_bad_case_are_named_and_exit_with_2(tmp_path: Path) -> None:
    """Nothing is started."""
    nowhere = run("--cases", str(tmp_path / "nowhere"))
    assert (nowhere.returncode, nowhere.stdout) == (2, "")
    assert "there is no such folder" in nowhere.stderr
    (tmp_path / "odd.json").write_text(json.dumps({"codec": "h264", "dialog": []}))
    bad = run("--cases", str(tmp_path))
    assert (bad.returncode, bad.stderr) == (
        2,
        f"{tmp_path / 'odd.json'}: dialog: unknown key; did you mean dialogue?\n",
    )


def test_failed_case_exits_with_1_and_is_in_the_json(tmp_path: Path) -> None:
    """The others are played all the same."""
    plain = json.loads((EXAMPLES / "plain.json").read_text())
    for name, pictures in (("right", plain["expect"]["pictures"]), ("wrong", ["0" * 16])):
        case = plain | {"name": name, "expect": {"pictures": pictures, "nothing_else": True}}
        (tmp_path / f"{name}.json").write_text(json.dumps(case))
    done = run("--cases", str(tmp_path), "--json")
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert (said["passed"], said["failed"]) == (1, 1)
    assert {case["name"]: case["passed"] for case in said["cases"]} == {"right": True, "wrong": False}
    assert said["cases"][1]["difference"].startswith("access unit 1 of 1 is ")
