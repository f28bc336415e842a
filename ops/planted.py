"""Plant a bug behind each guard, one after the other, and see its tests fail: `python3 ops/planted.py WORD`, or `--all`.

A guard whose bug survives is not tested. The bugs are defined in `planted.toml`; `ops/docs/planted.md` lists the guards
(`--list` writes it). Works on a copy; a bug takes some seconds, all of them hours; exit 1 if a bug survives.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

import bootstrap
from console import write

if __name__ == "__main__":
    bootstrap.enter()

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "ops" / "docs" / "planted.md"
PATIENCE_S = 90
"""Timeout of the tests: a bug that makes them hang counts as detected."""


class Bug(NamedTuple):
    """`old` in `file` becomes `new`; `tests` are pytest's arguments, with `_or_` between the words after `-k`."""

    guard: str
    file: str
    old: str
    new: str
    tests: str


BUGS = [Bug(**bug) for bug in tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["bug"]]


def page() -> str:
    rows = [f"| {bug.guard} | `{bug.file}` | `{bug.tests}` |" for bug in BUGS]
    head = [
        "# Bugs that the tests were seen to catch\n",
        "Each was planted by `ops/planted.py`, and the tests named beside it failed. The list is `ops/planted.toml`.\n",
        "| what was broken | where | what failed |\n|---|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def is_there(bug: Bug, root: Path = ROOT) -> bool:
    """Whether the code that the bug replaces is still unchanged."""
    return bug.old in (root / bug.file).read_text()


def survives(bug: Bug, copy: Path) -> bool:
    path = copy / bug.file
    whole = path.read_text()
    if not is_there(bug, copy):
        sys.exit(f"{bug.file} no longer has the code of {bug.guard!r}; bring the list up to date")
    path.write_text(whole.replace(bug.old, bug.new, 1))
    where, _, which = bug.tests.partition(" -k ")
    choose = ["-k", which.replace("_or_", " or ")] if which else []
    command = [sys.executable, "-m", "pytest", "-q", "-x", *where.split(), *choose]
    quiet = subprocess.DEVNULL
    started = subprocess.Popen(command, cwd=copy, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        status = started.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        return False
    finally:
        path.write_text(whole)
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
    if status > 1:
        sys.exit(f"the tests of {bug.guard!r} could not be run: {' '.join(command)}")
    return status == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("word", nargs="?", help="only guards with this word")
    what.add_argument("--all", action="store_true", help="every guard")
    what.add_argument("--list", action="store_true", help=f"write {PAGE.relative_to(ROOT)} and plant nothing")
    options = parser.parse_args()
    if options.list:
        write(PAGE, page())
        return
    bugs = [bug for bug in BUGS if options.all or options.word in bug.guard]
    if not bugs:
        parser.error(f"no guard has the word {options.word!r}")
    alive = []
    with tempfile.TemporaryDirectory(prefix="banken-planted-") as folder:
        copy = Path(folder) / "banken"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        for number, bug in enumerate(bugs, 1):
            print(f"{number}/{len(bugs)} {bug.guard}: ", end="", flush=True)
            if survives(bug, copy):
                alive.append(bug)
            print("SURVIVES" if alive and alive[-1] is bug else "caught", flush=True)
    sys.exit(1 if alive else 0)


if __name__ == "__main__":
    main()
