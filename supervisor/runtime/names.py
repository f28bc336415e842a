"""Finds other distributions that own our package names: `supervisor`, `actors`, and `web` of web.py.

If both are installed, files of one silently replace or hide files of the other. Standard library only:
`importlib.metadata` takes 40 ms for the same question, this module 10 ms.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

OURS = "banken"
PACKAGES = ("supervisor", "actors", "web")


def conflicting_distributions(owners: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """Other installed distributions that own one of our packages, sorted, each once.

    `owners` (package → distributions) is for tests; by default, the installed distributions are read. An editable
    install of banken owns nothing there, and an ordinary one is listed as banken: neither is a conflict.
    """
    owners = installed_owners(sys.path) if owners is None else owners
    return sorted({name for package in PACKAGES for name in owners.get(package, ()) if name.lower() != OURS})


def installed_owners(folders: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """The distributions installed in these folders that own our packages, by package.

    Source: PyPA, "Recording installed projects" (`RECORD`), and setuptools' `top_level.txt` if there is no `RECORD`.
    """
    owners: dict[str, list[str]] = {}
    for folder in folders:
        for listing in (*Path(folder).glob("*.dist-info/RECORD"), *Path(folder).glob("*.egg-info/top_level.txt")):
            name = listing.parent.name.partition("-")[0]
            lines = _text(listing)
            for package in PACKAGES:
                if f"\n{package}/" in lines or f"\n{package}\n" in lines or f"\n{package}.py," in lines:
                    owners.setdefault(package, []).append(name)
    return owners


def _text(listing: Path) -> str:
    """The text of a listing; empty if it cannot be read, because that is not our error to report."""
    try:
        return f"\n{listing.read_text(errors='replace')}\n"
    except OSError:
        return ""
