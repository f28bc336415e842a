"""Files of earlier releases: a configuration and a bundle of each stay usable."""

from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from actors.sources import KINDS
from supervisor.__main__ import main
from supervisor.config.load import parse
from supervisor.config.rewrite import rewritten
from supervisor.config.settings import SETTINGS
from supervisor.forensics.incident.verify import unpack, verify
from supervisor.journal import check

TESTS = Path(__file__).parents[1]
CONFIGURATIONS = sorted((TESTS / "releases").glob("*/*.yaml"))
BUNDLES = sorted((TESTS / "releases").glob("*/*.zip"))
RELEASES = ["0.1.0"]


def test_each_release_has_a_configuration_and_a_bundle() -> None:
    """Made with the code of that release."""
    assert sorted({path.parent.name for path in CONFIGURATIONS}) == RELEASES
    assert sorted({path.parent.name for path in BUNDLES}) == RELEASES


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_configuration_of_an_earlier_release_is_taken(path: Path, tmp_path: Path) -> None:
    """`banken check` finds nothing wrong with it; what later releases hide is hidden, and not refused."""
    clip = tmp_path / "clip.mp4"
    clip.touch()
    environ = {"FRONT_PASSWORD": "geheim-1", "DETECTOR_TOKEN": "geheim-0123456789", "CLIP": str(clip)}
    there = tmp_path / path.name
    there.write_text(path.read_text().replace("/srv/clip.mp4", str(clip)))
    done = CliRunner().invoke(main, ["check", str(there)], env=environ)
    assert done.exit_code == 0, done.output
    assert "geheim" not in done.output
    assert "word" not in done.output


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_rewritten_configuration_of_an_earlier_release_means_the_same(path: Path) -> None:
    """It has the same settings and cameras, and no former name."""
    environ = {"FRONT_PASSWORD": "geheim-1", "DETECTOR_TOKEN": "geheim-0123456789", "CLIP": "/c.mp4", "WORD": "geheim"}
    kinds = {name: lambda source: None for name in KINDS}
    text = path.read_text()
    new = rewritten(text, path.name, SETTINGS)
    before, after = (parse(each, path.name, environ, kinds) for each in (text, new))
    assert any("now called" in note for note in before.notes) == ("keep:" in text)
    assert attrs.evolve(before, notes=()) == after


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_bundle_of_an_earlier_release_is_imported(path: Path, tmp_path: Path) -> None:
    """It verifies, and the journal in it is whole and answers."""
    proven = verify(path)
    assert proven.manifest.banken == path.parent.name
    assert unpack(path, tmp_path / "there").digest == proven.digest
    assert not check.verify(tmp_path / "there" / "journal").damages
    done = CliRunner().invoke(main, ["events", str(tmp_path / "there" / "journal")])
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == proven.manifest.events
    assert "stderr.txt" not in proven.differing, "health and configuration are made by the code of today"
