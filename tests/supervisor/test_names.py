"""supervisor/names.py: nobody else owns our package names."""

from supervisor.names import conflicting_distributions


def test_nothing_else_that_is_installed_owns_our_packages() -> None:
    """In this environment, now; the other distribution would hide ours or be hidden by it."""
    assert conflicting_distributions() == []


def test_foreign_owners_are_named_once_and_we_are_not() -> None:
    owners = {
        "supervisor": ["banken", "supervisor"],
        "actors": ["actors"],
        "web": ["web.py"],
        "trio": ["trio"],
    }
    assert conflicting_distributions(owners) == ["actors", "supervisor", "web.py"]
    assert conflicting_distributions({"supervisor": ["Banken"]}) == []
