"""The section `archives`: folders for recordings, beside that of `record.path`."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from .config import ARCHIVE, ArchiveSettings
from .sections import Sections
from .table import NAME

MOST = 16
"""Archives."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class ArchivesReader:
    """Reads all archives."""

    def __init__(self, sections: Sections, common: Mapping[str, Any]) -> None:
        """`common`: the values of the section `record`, by the names of their settings."""
        self._sections, self._reading, self._common = sections, sections.reading, common

    def read(self) -> dict[str, ArchiveSettings]:
        """Each archive without an error, by name; first that of `record.path`."""
        section = self._sections.nodes.get(("archives",))
        entries = self._reading.mapping(section, "archives")
        if len(entries) > MOST:
            self._reading.complain(section, f"archives has {len(entries)} entries; at most {MOST} are allowed")
            entries = {}
        found = {ARCHIVE: self._archive("record", self._common)}
        for name, node in entries.items():
            archive = self._read(name, node)
            if archive is not None:
                self._check_folder(name, archive.path, found)
                found[name] = archive
        return found

    def _read(self, name: str, node: yaml.Node) -> ArchiveSettings | None:
        if not _NAME.fullmatch(name):
            text = "must be of a-z, 0-9, - and _, at most 32, and begin with a letter"
            self._reading.complain(node, f"archive name {name!r} {text}")
        if name == ARCHIVE:
            self._reading.complain(node, f"archive {name!r} is the one of record.path; give this one another name")
        prefix = f"archives.{NAME}"
        values = self._sections.read(prefix, node, ("archives", name))
        if values[f"{prefix}.path"] is None:
            if isinstance(node, yaml.MappingNode) and ("archives", name, "path") not in self._sections.nodes:
                self._reading.complain(node, f"archive {name!r} needs `path`, the folder of its recordings")
            return None
        return self._archive(prefix, values)

    def _archive(self, prefix: str, values: Mapping[str, Any]) -> ArchiveSettings:
        path, sync_s, reserve, keep_s, most = (
            values[f"{prefix}.{key}"] for key in ("path", "sync", "reserve", "keep", "max_size")
        )
        keep_s = self._common["record.keep"] if keep_s is None else keep_s
        return ArchiveSettings(path, sync_s, reserve, keep_s, max(keep_s, self._common["record.events.keep"]), most)

    def _check_folder(self, name: str, path: Path, found: Mapping[str, ArchiveSettings]) -> None:
        for other, settings in found.items():
            relation = _relation(path, settings.path)
            if relation:
                node = self._sections.nodes["archives", name, "path"]
                text = "one archive cannot be within another; give each its own folder"
                self._reading.complain(node, f"the folder of archive {name!r} {relation} that of {other!r}; {text}")


def _relation(path: Path, other: Path) -> str:
    """How two folders are one, or one within the other, through any links; empty if they are not."""
    try:
        path, other = Path(os.path.realpath(path)), Path(os.path.realpath(other))
    except (OSError, ValueError):  # for a name that no file can have
        return ""
    if path == other:
        return "is"
    return "is within" if path.is_relative_to(other) else "contains" if other.is_relative_to(path) else ""
