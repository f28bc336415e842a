"""The benchmark as it is run: the viewers' counts are those of a whole daemon."""

from pathlib import Path

import msgspec
from click.testing import CliRunner

from actors.bench.stream import FPS
from supervisor.__main__ import main


def test_viewers_decrypt_every_packet(tmp_path: Path) -> None:
    """A path is found, keys are agreed, each packet is verified, and none is missing; the page says the same."""
    options = ["--alone", "--viewers", "2", "--seconds", "1", "--rounds", "1", "--json", "--write", str(tmp_path)]
    result = CliRunner().invoke(main, ["bench", "fanout", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (row,) = msgspec.json.decode(result.stdout)["rows"]
    assert (row["server"], row["viewers"], row["lost %"]) == ("banken", 2, 0)
    assert row["pictures/s, least"] > FPS / 2
    assert row["packets/s a viewer"] > FPS
    assert row["PSS MB"] > 10
    assert row["loop lag p99 ms"] is not None
    assert "| banken | " in (tmp_path / "fanout-2.md").read_text()
