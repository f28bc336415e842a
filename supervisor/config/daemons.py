"""The section `daemons`: programs that banken runs beside its cameras."""

import re
from collections.abc import Iterator

import yaml

from ..base.redact import forms_of, tell_secrets
from .config import Daemon
from .sections import Sections
from .table import NAME

MOST = 32
"""Daemons."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class DaemonReader:
    """Reads all daemons."""

    def __init__(self, sections: Sections) -> None:
        self._sections, self._reading = sections, sections.reading

    def read(self) -> dict[str, Daemon]:
        """Each daemon without an error."""
        section = self._sections.nodes.get(("daemons",))
        entries = self._reading.mapping(section, "daemons")
        if len(entries) > MOST:
            self._reading.complain(section, f"daemons has {len(entries)} entries; at most {MOST} are allowed")
            return {}
        found = {daemon.name: daemon for daemon in self._read_each(entries)}
        providers: dict[str, str] = {}
        for name, daemon in found.items():
            first = providers.setdefault(daemon.provides, name) if daemon.provides else name
            if first != name:
                node = self._sections.nodes["daemons", name, "provides"]
                self._reading.complain(node, f"daemon {name!r} provides the shared memory that {first!r} provides")
        return found

    def _read_each(self, entries: dict[str, yaml.Node]) -> Iterator[Daemon]:
        complain = self._reading.complain
        for name, node in entries.items():
            if not _NAME.fullmatch(name):
                text = "must be of a-z, 0-9, - and _, at most 32, and begin with a letter"
                complain(node, f"daemon name {name!r} {text}")
            path, prefix = ("daemons", name), f"daemons.{NAME}."
            read = self._sections.read(prefix.rstrip("."), node, path)
            values = {key.removeprefix(prefix): value for key, value in read.items()}
            at = self._sections.nodes.get((*path, "command"))
            secrets = tuple(text for key in ("command", "env") for text in self._sections.found[*path, key])
            if not values["command"]:
                if at is not None or isinstance(node, yaml.MappingNode):
                    complain(at or node, f"daemon {name!r} needs `command`, a list of a program and its arguments")
                continue
            if tell_secrets(values["command"], secrets):
                text = "can be read by every user of this machine; hand it over by `env`"
                complain(at, f"a password in the command of daemon {name!r}, or a value from the environment, {text}")
                continue
            hidden = dict.fromkeys((*forms_of(secrets), *self._reading.hidden))
            yield Daemon(name, values["command"], values["provides"], values["env"], tuple(hidden))
