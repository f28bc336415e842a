"""The comparison of two versions, against whole daemons."""

import subprocess
import sys

import msgspec
import pytest

from tests.kit.daemon import ROOT


@pytest.mark.paired
def test_a_version_is_compared_with_itself() -> None:
    """Every bench runs in both, and no ratio is far from 1: the right figures are divided."""
    few = ["--pairs", "1", "--seconds", "4", "--viewers", "2", "--cameras", "3"]
    bench = [sys.executable, str(ROOT / "ops" / "bench" / "pairs.py"), str(ROOT), *few, "--json"]
    done = subprocess.run(bench, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = msgspec.json.decode(done.stdout)["rows"]
    assert [row["measurement"].split(",")[0] for row in rows] == [
        "fan-out to 2 viewers of 1", "fan-out to 12 viewers of 3", "ingest of 3 cameras", "journal", "journal",
    ]  # fmt: skip
    for row in rows:
        assert row["pairs"] == 1
        assert row["95 % from"] is None
        assert 0.1 < float(row["new / old"]) < 10
        assert row["old"] > 0


def test_unknown_version_is_refused() -> None:
    """A word that is neither a folder nor a commit is named."""
    bench = [sys.executable, str(ROOT / "ops" / "bench" / "pairs.py"), "no-such-version"]
    done = subprocess.run(bench, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no-such-version is neither a folder nor a commit" in done.stderr
