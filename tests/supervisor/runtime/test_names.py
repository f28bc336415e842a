"""supervisor/runtime/names.py: nobody else owns our package names."""

from pathlib import Path

import pytest

from supervisor.runtime.names import conflicting_distributions, installed_owners


def test_nothing_else_that_is_installed_owns_our_packages() -> None:
    """In this environment, now; the other distribution would hide ours or be hidden by it."""
    assert conflicting_distributions() == []


def test_foreign_owners_are_named_once_and_we_are_not() -> None:
    """A distribution that installs `supervisor`, `actors` or `web` is named; ours is found in any case of letters."""
    owners = {
        "supervisor": ["banken", "supervisor"],
        "actors": ["actors"],
        "web": ["web.py"],
        "trio": ["trio"],
    }
    assert conflicting_distributions(owners) == ["actors", "supervisor", "web.py"]
    assert conflicting_distributions({"supervisor": ["Banken"]}) == []


@pytest.mark.parametrize(
    ("listing", "text", "owned"),
    [
        ("web.py-0.62.dist-info/RECORD", "web/__init__.py,sha256=x,1\n", {"web": ["web.py"]}),
        ("supervisor-4.2.dist-info/RECORD", "../../bin/x,,\nsupervisor/a.py,,\n", {"supervisor": ["supervisor"]}),
        ("actors-1.dist-info/RECORD", "actors.py,sha256=x,1\n", {"actors": ["actors"]}),
        ("old-1.egg-info/top_level.txt", "web\n", {"web": ["old"]}),
        ("webs-1.dist-info/RECORD", "webs/web/a.py,,\nweb_tools/a.py,,\n", {}),
        ("gone-1.dist-info/METADATA", "web/a.py,,\n", {}),
    ],
)
def test_owner_of_a_package_is_found_in_what_its_installer_recorded(
    tmp_path: Path, listing: str, text: str, owned: dict[str, list[str]]
) -> None:
    """By the paths that it recorded, not by names that are alike."""
    (tmp_path / listing).parent.mkdir()
    (tmp_path / listing).write_text(text)
    assert installed_owners([str(tmp_path), str(tmp_path / "nowhere")]) == owned


def test_record_that_cannot_be_read_is_no_conflict(tmp_path: Path) -> None:
    """A folder in its place, or a file of another user, must not keep the daemon from starting."""
    (tmp_path / "odd-1.dist-info" / "RECORD").mkdir(parents=True)
    assert installed_owners([str(tmp_path)]) == {}
