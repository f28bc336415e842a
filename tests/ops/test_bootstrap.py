"""ops/bootstrap.py: what a start does to the environment it finds."""

import fcntl
import json
import os
import tempfile
from pathlib import Path

import pytest

import bootstrap
from bootstrap import ROOT, ensure_environment, locked, pinned, plan

RUNTIME = {"root": "/clone", "python": "/usr/bin/python3.11", "runtime": "r1", "project": "p1"}
DEV = {"root": "/clone", "python": "/usr/bin/python3.11", "runtime": "r1", "dev": "d1", "project": "p1"}


@pytest.mark.parametrize(
    ("wanted", "stamp", "steps"),
    [
        (RUNTIME, None, ["venv", "runtime", "project"]),
        (DEV, None, ["venv", "runtime", "dev", "project"]),
        (DEV, RUNTIME, ["dev"]),
        (RUNTIME, DEV, []),
        (DEV, {**DEV, "project": "p0"}, ["project"]),
        (RUNTIME, {**DEV, "runtime": "r0"}, ["runtime"]),
        (RUNTIME, {**DEV, "root": "/moved"}, ["venv", "runtime", "project"]),
        (DEV, {**DEV, "python": "/usr/bin/python3.13"}, ["venv", "runtime", "dev", "project"]),
        (RUNTIME, {}, ["venv", "runtime", "project"]),
    ],
)
def test_bootstrap_does_only_the_steps_that_differ_and_rebuilds_a_moved_venv(
    wanted: dict[str, str], stamp: dict[str, str] | None, steps: list[str]
) -> None:
    """A moved folder, another Python or an unreadable stamp needs a new venv; changed pins need one step."""
    assert plan(wanted, stamp) == steps


def test_pins_are_counted_not_their_hashes_and_comments() -> None:
    """Five lines with two pins give 2, although a comment contains `a==b`."""
    assert pinned("#\n# by a==b\n#\nattrs==26.1.0 \\\n    --hash=sha256:00\n    # via trio==1\nav==18.1.0 \\\n") == 2


def test_an_environment_that_fits_is_only_read(tmp_path: Path) -> None:
    """No lock file appears, nothing is written: it works in a read-only clone."""
    (tmp_path / "ops").mkdir()
    for name in ("pyproject.toml", "ops/requirements.txt", "ops/requirements-dev.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".venv").mkdir()
    stamp = bootstrap.wanted_stamp(tmp_path, tmp_path / ".venv", dev=True)
    (tmp_path / ".venv" / bootstrap.STAMP).write_text(json.dumps(stamp))
    before = sorted(tmp_path.rglob("*"))
    assert ensure_environment(dev=False, root=tmp_path) == tmp_path / ".venv"
    assert ensure_environment(dev=True, root=tmp_path) == tmp_path / ".venv"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("prefix", "started"), [("/usr", [("python", "ops/chart.py", "-x")]), (f"{ROOT}/.venv", [])])
def test_script_starts_again_in_the_environment_unless_it_runs_there(
    prefix: str, started: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its arguments, so that any Python can run a script that imports the project."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(bootstrap, "become", lambda *arguments, dev: calls.append(arguments))
    monkeypatch.setattr("sys.prefix", prefix)
    monkeypatch.setattr("sys.argv", ["ops/chart.py", "-x"])
    bootstrap.enter()
    assert calls == started


def test_a_clone_that_cannot_be_written_is_refused_in_one_line() -> None:
    """Also where the tests run as root, who may write anywhere: root becomes nobody for the moment."""
    with tempfile.TemporaryDirectory() as folder:  # not tmp_path: only its owner may look inside
        root = Path(folder)
        (root / "ops").mkdir(0o755)
        for name in ("pyproject.toml", "ops/requirements.txt"):
            (root / name).touch(0o644)
        root.chmod(0o555)
        before = os.geteuid()
        try:
            if before == 0:
                os.seteuid(65534)
            with pytest.raises(SystemExit, match=r"^banken: cannot write .*\.venv\.lock \(Permission denied\)"):
                ensure_environment(dev=False, root=root)
        finally:
            os.seteuid(before)
            root.chmod(0o755)


def test_the_lock_is_held_until_the_last_holder_of_its_descriptor_ends(tmp_path: Path) -> None:
    """A pip that outlives an interrupted start keeps the next start waiting."""
    with locked(tmp_path / "lock") as fd:
        heir = os.dup(fd)
    probe = os.open(tmp_path / "lock", os.O_RDWR)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(heir)
        fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(probe)
