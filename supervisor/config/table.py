"""A table of settings, and the names that follow from it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import attrs

from .types import Type

OWN_ENVIRONMENT = "BANKEN_"
OWN_VARIABLES = frozenset(
    OWN_ENVIRONMENT + name
    for name in ("CHILD", "CONFIG", "JOURNAL", "URL", "TOKEN", "PATIENCE", "REQUIRE_ALL", "TEST_KIT")
)
"""Variables that belong to no setting: the mark of a child process, those of commands, and the last three of tests."""
NAME = "NAME"
"""The part of a setting's name that the operator chooses."""


@attrs.frozen
class Setting:
    """One setting: everything that the parser, `check`, the reference and the schema know about it."""

    name: str
    """Its path, like `web.listen`. The sections of a configuration follow from these paths."""
    type: Type
    default: str | None
    """As written in a file; None if a file without it has no value."""
    help: str
    unit: str = ""
    reloadable: bool = True
    """Whether `banken reload` applies it. If not, a reload warns of the change."""
    field: str = ""
    """The attribute of `Config` that gets the value, like `limits.peers`. `Config.settings` has each value anyway."""
    per_camera: int = 0
    """The default is at least this number for each camera."""
    otherwise: str = "none"
    """The default in words, for the reference, if `default` is None."""
    short: bool = False
    """Whether its section may be written as this value alone: `record: always` for `record: {mode: always}`."""
    old: str = ""
    """The former key in the same section. It is read for good, with a warning."""
    sources: tuple[str, ...] = ()
    """Of a camera: the kinds of sources for which it counts, as their addresses begin; empty: for all. It is refused
    elsewhere."""

    @property
    def section(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def meaning(self) -> str:
        """The help, with the sources for which it counts."""
        return f"{self.help} Only for {sources_of(self, '`')}." if self.sources else self.help


@attrs.frozen
class Table:
    """Settings in the order of the reference."""

    settings: tuple[Setting, ...]

    def __iter__(self) -> Iterator[Setting]:
        return iter(self.settings)

    @cached_property
    def by_name(self) -> Mapping[str, Setting]:
        return {setting.name: setting for setting in self.settings}

    @cached_property
    def sections(self) -> Mapping[str, Mapping[str, Setting | None]]:
        """The keys of each section in order, each with its setting, or None if it is a section. The file is `""`."""
        found: dict[str, dict[str, Setting | None]] = {"": {}}
        for setting in self.settings:
            parts = setting.name.split(".")
            for at in range(len(parts)):
                path = ".".join(parts[:at])
                found.setdefault(path, {}).setdefault(parts[at], setting if at == len(parts) - 1 else None)
        return found

    @cached_property
    def short(self) -> Mapping[str, str]:
        """The key of each section that may be written as the value of that key alone."""
        return {setting.section: setting.key for setting in self.settings if setting.short}

    def renamed(self, section: str) -> Mapping[str, str]:
        """The former keys of a section, each with the present one."""
        return {each.old: each.key for each in self.sections[section].values() if each is not None and each.old}


def sources_of(setting: Setting, mark: str = "") -> str:
    """The sources for which a setting counts, in words, each between two `mark`: rtsp:// and rtsps://."""
    *others, last = (f"{mark}{shown_source(each)}{mark}" for each in setting.sources)
    return f"{', '.join(others)} and {last}" if others else last


def shown_source(kind: str) -> str:
    """A kind of source as its addresses begin: `rtsp://`, `test:`."""
    return f"{kind}://" if kind in ("rtsp", "rtsps") else f"{kind}:"


def variable_of(path: str) -> str:
    """The environment variable of a setting: `BANKEN_WEB_LISTEN` for `web.listen`."""
    return OWN_ENVIRONMENT + re.sub(r"[^A-Z0-9]", "_", path.upper())


def label_of(path: Sequence[str]) -> str:
    """A setting or a section in words: `limits.peers`, `mode of camera 'front'`."""
    match path:
        case ["cameras" | "devices" | "detectors" | "daemons" | "archives" as group, name]:
            return f"{group[:-1]} {name!r}"
        case ["cameras" | "devices" | "detectors" | "daemons" | "archives" as group, name, *keys]:
            return f"{'.'.join(keys)} of {group[:-1]} {name!r}"
        case _:
            return ".".join(path) or "the configuration"
