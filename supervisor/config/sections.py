"""Reads the sections of a configuration by the table: each value from an option, a variable, the file or its default.

An option comes before a variable, a variable before the file, and the file before the default.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

import yaml

from .parse_context import ParseContext, compose, place_of, scalar
from .problem_text import closest
from .table import NAME, OWN_ENVIRONMENT, OWN_VARIABLES, Setting, Table, label_of, variable_of

MAX_CANDIDATES = 1000
"""Names that a misspelled one is compared with: each takes 0.1 ms, and those of a thousand cameras come last."""
_OF_A_SERVICE = re.compile(
    rf"{OWN_ENVIRONMENT}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_ADDRESS = re.compile("(tcp|udp)://")
"""Variables that Docker and Kubernetes add for a service whose name begins with banken; nobody misspelled them."""
NOTHING = "tag:yaml.org,2002:null"
Path = tuple[str, ...]
"""The keys that lead to a setting or a section."""


class Sections:
    """The sections of one document."""

    def __init__(self, reading: ParseContext, table: Table, options: Mapping[str, str]) -> None:
        """`options`: texts by the name of their setting."""
        self.reading, self.table, self._options = reading, table, options
        self.nodes: dict[Path, yaml.Node] = {}
        """The node of each setting and section that is given."""
        self.found: dict[Path, tuple[str, ...]] = {}
        """For each setting, the values that it took from the environment by `${NAME}`."""
        self._used: dict[str, str] = {}
        """The options and variables that were read, each with its setting."""

    def read(self, section: str, node: yaml.Node | None, path: Path) -> dict[str, Any]:
        """The values of a section and of those in it, by the names of their settings.

        Sections whose keys the operator chooses are left out; their nodes are in `nodes`.
        """
        keys = self.table.sections[section]
        label = label_of(path)
        entries = self.reading.mapping(node, label, keys, self.table.renamed(section))
        values: dict[str, Any] = {}
        for key, setting in keys.items():
            at, below = (*path, key), entries.get(key)
            if setting is not None:
                values[setting.name] = self._value(setting, below, at)
                continue
            name = f"{section}.{key}".lstrip(".")
            if below is not None:
                self.nodes[at] = below
                below = _whole(below, self.table.short.get(name))
            if NAME not in self.table.sections[name]:
                values |= self.read(name, below, at)
        return values

    def _value(self, setting: Setting, node: yaml.Node | None, path: Path) -> Any:
        node = self._replaced(setting, path) or node
        self.reading.found = []
        value = None
        if node is not None:
            self.nodes[path] = node
            value = setting.type.take(self.reading, node, label_of(path))
        self.found[path] = tuple(self.reading.found)
        if value is None and setting.default is not None:
            value = setting.type.take(self.reading, _default(setting.default), label_of(path))
        return setting.type.absent if value is None else value

    def _replaced(self, setting: Setting, path: Path) -> yaml.Node | None:
        """The node of the option or variable for a setting."""
        for key in filter(None, (setting.key, setting.old)):
            name = ".".join((*path[:-1], key))
            for place, texts, shown in (
                (name, self._options, f"--set {name}"),
                (variable_of(name), self.reading.environ, variable_of(name)),
            ):
                if place in texts:
                    node = self._written(texts[place], shown, setting)
                    other = self._used.setdefault(shown, name)
                    if other != name:
                        self.reading.complain(scalar("", shown), f"may be {other} or {name}; set them in the file")
                    elif key == setting.old:
                        self.reading.warnings.append(f"{shown}: {name} is now called {'.'.join(path)}")
                    return node
        return None

    def _written(self, text: str, place: str, setting: Setting) -> yaml.Node | None:
        """A text of a variable or an option. Lists and mappings are written as in the file."""
        node: yaml.Node | None = scalar(text, place)
        if not text:
            self.reading.complain(node, "is empty; unset it, or give it a value")
            return None
        if setting.type.is_scalar:
            return node
        try:
            return compose(text, place)
        except yaml.YAMLError:
            self.reading.complain(node, f"is not YAML; {setting.type.word} must be written as in the file")
            return None

    def check_names(self) -> None:
        """Complain of options without a setting, and warn of variables that look like one and are not."""
        known = [".".join(path) for path in islice(self.found, MAX_CANDIDATES)]
        for name in self._options:
            if f"--set {name}" not in self._used:
                self.reading.complain(scalar("", f"--set {name}"), f"there is no such setting{_meant(name, known)}")
        unknown = [name for name, text in self.reading.environ.items() if self._is_unknown(name, text)]
        variables = [variable_of(name) for name in known] if unknown else []
        for name in unknown:
            self.reading.warnings.append(f"{name}: is the variable of no setting{_meant_variable(name, variables)}")

    def _is_unknown(self, name: str, text: str) -> bool:
        if not name.startswith(OWN_ENVIRONMENT) or name in self._used or name in OWN_VARIABLES:
            return False
        return not (_OF_A_SERVICE.fullmatch(name) or (name.endswith("_PORT") and _SERVICE_ADDRESS.match(text)))

    def replaced(self) -> Iterator[tuple[str, str]]:
        """The settings that an option or a variable has replaced, each with that option or variable."""
        for path, node in self.nodes.items():
            if place := place_of(node):
                yield ".".join(path), place


def _whole(node: yaml.Node, key: str | None) -> yaml.Node:
    """The node of a section; of one that is written as the value of `key` alone, the mapping that it stands for."""
    if key is None or not isinstance(node, yaml.ScalarNode) or node.tag == NOTHING:
        return node
    name = yaml.ScalarNode("tag:yaml.org,2002:str", key, node.start_mark, node.end_mark)
    return yaml.MappingNode("tag:yaml.org,2002:map", [(name, node)], node.start_mark, node.end_mark)


@cache
def _default(text: str) -> yaml.Node:
    """The node of a default, made once: a configuration may have a thousand cameras."""
    node = compose(text)
    assert node is not None
    return node


def _meant(name: str, known: list[str]) -> str:
    close = closest(name, known)
    return f"; did you mean {close}?" if close else ""


def _meant_variable(name: str, known: list[str]) -> str:
    """A section has no variable. Names are compared without their common beginning, which would make all alike."""
    inside = next((each for each in known if each.startswith(f"{name}_")), None)
    if inside:
        return f": each setting of a section has its own, like {inside}"
    every = [each.removeprefix(OWN_ENVIRONMENT) for each in (*known, *OWN_VARIABLES)]
    close = closest(name.removeprefix(OWN_ENVIRONMENT), every)
    return f"; did you mean {OWN_ENVIRONMENT}{close}?" if close else ""
