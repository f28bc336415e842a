"""The fan-out benchmark against a whole daemon."""

import subprocess
import sys
from pathlib import Path

import msgspec

from ops.bench.lib.stream import FPS
from tests.kit.daemon import ROOT


def test_viewers_decrypt_every_packet(tmp_path: Path) -> None:
    """ICE and DTLS complete, each packet is authenticated, none is missing, and the report has the same figures."""
    options = [
        "--alone",
        "--shape",
        "1x2",
        "--shape",
        "2x1",
        "--seconds",
        "1",
        "--rounds",
        "1",
        "--json",
        "--write",
        str(tmp_path),
    ]
    bench = [sys.executable, str(ROOT / "ops" / "bench" / "fanout.py"), *options]
    done = subprocess.run(bench, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode(done.stdout)
    assert report["calibration"]["aes_gcm_us"] > 0
    assert [row["shape"] for row in report["rows"]] == ["1x2", "2x1"]
    for row in report["rows"]:
        assert (row["server"], row["viewers"], row["lost %"]) == ("banken", 2, 0)
        assert row["pictures/s, least"] > FPS / 2
        assert row["packets/s a viewer"] > FPS
        assert row["PSS MB"] > 10
        assert row["loop lag p99 ms"] is not None
    page = (tmp_path / "fanout.md").read_text()
    assert "| 2x1   | banken | " in page
    assert "Made by `python ops/bench/fanout.py --alone" in page
