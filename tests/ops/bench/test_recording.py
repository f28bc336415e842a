"""The cost of recording, against whole daemons."""

import subprocess
import sys

import msgspec
import pytest

from tests.kit.daemon import ROOT


@pytest.mark.paired
def test_recording_is_compared_with_none() -> None:
    """Both daemons run, and the difference is that of one camera."""
    few = ["--pairs", "1", "--seconds", "2", "--cameras", "2", "--alone"]
    bench = [sys.executable, str(ROOT / "ops" / "bench" / "recording.py"), *few, "--json"]
    done = subprocess.run(bench, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (row,) = msgspec.json.decode(done.stdout)["rows"]
    assert (row["server"], row["cameras"]) == ("banken", 2)
    assert row["% a camera"] == f"{(row['recording'] - row['CPU % of a core: off']) / 2:.3f}"
