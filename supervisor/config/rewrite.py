"""Renames settings in a configuration that have a former name. Everything else stays as it is, comments included."""

from collections.abc import Iterator

import yaml

from .load import compose_root
from .table import NAME, Table


def rewritten(text: str, origin: str, table: Table) -> str:
    """The text with present names. Raises `ConfigError` for a text that is not YAML."""
    found = {
        key.start_mark.index: (key.end_mark.index, name) for key, name in _former(compose_root(text, origin), table)
    }
    for begin, (end, name) in sorted(found.items(), reverse=True):
        text = f"{text[:begin]}{name}{text[end:]}"
    return text


def _former(node: yaml.Node | None, table: Table, section: str = "") -> Iterator[tuple[yaml.Node, str]]:
    """The keys with a former name, each with the present one. A section that is repeated by an alias is there twice."""
    if not isinstance(node, yaml.MappingNode) or section not in table.sections:
        return
    renamed, keys = table.renamed(section), table.sections[section]
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in renamed:
            yield key, renamed[key.value]
        name = NAME if NAME in keys else key.value
        yield from _former(value, table, f"{section}.{name}".lstrip("."))
