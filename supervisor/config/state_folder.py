"""The state folder: what the daemon keeps beside its journal. One folder serves one daemon."""

import os
from pathlib import Path

CONTROL = "control"
"""The name of the control socket in the state folder."""
MAX_SOCKET_PATH = 100
"""Bytes in the path of a Unix socket. Linux takes 107, other systems 103."""


def folder_of(given: Path | None, journal: Path) -> Path:
    """The folder by the settings `state.path` and `journal.path`. A relative path stays one, and so stays short."""
    if given is not None:
        return given
    return (Path(os.path.abspath(journal)) if journal.name in ("", "..") else journal).parent


def control_in(folder: Path) -> Path:
    """The path of the control socket in a state folder."""
    return folder / CONTROL


def length_of(path: Path) -> int:
    """The length of a path in bytes, as the system counts it."""
    return len(str(path).encode(errors="surrogateescape"))
