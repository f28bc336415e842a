"""Other distributions on the registry own our package names too: `supervisor`, `actors`, and `web` of web.py.

Beside ours, files of the one silently replace or hide files of the other. Standard library only.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions

OURS = "banken"
PACKAGES = ("supervisor", "actors", "web")


def conflicting_distributions(owners: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """Other installed distributions that own one of our packages, sorted, each once.

    `owners` (package → distributions) is for tests; by default, what is installed is asked. An editable
    install of ours owns nothing there, an ordinary one is listed as itself: neither is a conflict.
    """
    owners = packages_distributions() if owners is None else owners
    return sorted({name for package in PACKAGES for name in owners.get(package, ()) if name.lower() != OURS})
