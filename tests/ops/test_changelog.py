"""Fragments of the changelog are checked, and collected into the section of a version."""

from pathlib import Path

import pytest

import changelog

OLD = (
    "# Changelog\n\n## 0.2.0 (unreleased)\n\nText.\n\n### Added\n\n- One.\n\n### Upgrade\n\n- Two.\n\n"
    "## 0.1.0\n\n- Three.\n"
)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("Slots.fixed.md", "- A slot.\n", "the name must be"),
        ("slots.md", "- A slot.\n", "the name must be"),
        ("slots.removed.md", "- A slot.\n", "the name must be"),
        ("slots.fixed.md", "A slot.\n", "slots.fixed.md:1: each line begins an item"),
        ("slots.fixed.md", "", "slots.fixed.md:1: each line begins an item"),
        ("slots.fixed.md", "- A slot.\n\n- Two.\n", "slots.fixed.md:2: each line begins an item"),
        ("slots.fixed.md", f"- {'x' * 129}\n", "slots.fixed.md:1: 131 characters"),
    ],
)
def test_malformed_fragment_is_rejected_with_file_and_line(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    """A fragment that could not be collected fails the check, not the release."""
    (tmp_path / name).write_text(text)
    assert changelog.read_all(tmp_path)[0] == []
    (found,) = changelog.read_all(tmp_path)[1]
    assert complaint in found


def collected(folder: Path, version: str, **fragments: str) -> str:
    for name, text in fragments.items():
        (folder / f"{name.replace('_', '.')}.md").write_text(text)
    return changelog.collect(OLD, version, changelog.read_all(folder)[0])


def test_items_follow_those_of_their_kind_in_the_section_of_the_version(tmp_path: Path) -> None:
    """The text of the section stays; a kind that is missing gets its place before later parts."""
    text = collected(tmp_path, "0.2.0", b_added="- B.\n", a_added="- A\n  goes on.\n", c_fixed="- C.\n")
    assert text == OLD.replace("- One.\n", "- One.\n- A\n  goes on.\n- B.\n\n### Fixed\n\n- C.\n")


def test_section_of_a_new_version_comes_first(tmp_path: Path) -> None:
    """Its parts have the order added, changed, fixed."""
    text = collected(tmp_path, "0.3.0", c_fixed="- C.\n", b_changed="- B.\n", a_added="- A.\n")
    new = "## 0.3.0 (unreleased)\n\n### Added\n\n- A.\n\n### Changed\n\n- B.\n\n### Fixed\n\n- C.\n\n"
    assert text == OLD.replace("## 0.2.0", new + "## 0.2.0")


def test_collected_fragments_are_deleted_and_a_malformed_one_keeps_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written while one of the files cannot be read."""
    monkeypatch.setattr(changelog, "ROOT", tmp_path)
    folder = tmp_path / "ops" / "changes"
    folder.mkdir(parents=True)
    (tmp_path / "CHANGELOG.md").write_text(OLD)
    (folder / "a.added.md").write_text("- A.\n")
    (folder / "notes.txt").write_text("- B.\n")
    assert (changelog.main([]), changelog.main(["0.2.0"])) == (1, 1)
    assert (tmp_path / "CHANGELOG.md").read_text() == OLD
    (folder / "notes.txt").unlink()
    assert (changelog.main([]), len(list(folder.iterdir()))) == (0, 1)
    assert (changelog.main(["0.2.0"]), list(folder.iterdir())) == (0, [])
    assert "- One.\n- A.\n" in (tmp_path / "CHANGELOG.md").read_text()
