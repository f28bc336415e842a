"""The JSON schema of a configuration, for editors and other programs that check YAML.

It states names, types and bounds. Rules between settings, and bounds with units, are those of `banken check` alone.
"""

from typing import Any

import yaml

from .table import NAME, Setting, Table
from .types import Schema

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(table: Table) -> Schema:
    """The schema of a whole file."""
    return {"$schema": DRAFT, "title": "Configuration of banken", **_section(table, "")}


def _section(table: Table, path: str) -> Schema:
    keys = table.sections[path]
    if NAME in keys:
        below = _section(table, f"{path}.{NAME}")
        entry: Schema = {"anyOf": [{"type": "string"}, below]} if path == "cameras" else below
        return {"type": ["object", "null"], "additionalProperties": entry}
    properties = {
        key: _section(table, f"{path}.{key}".lstrip(".")) if setting is None else _setting(setting)
        for key, setting in keys.items()
    }
    former = {
        old: {**properties[key], "deprecated": True, "description": f"The former name of {key}."}
        for old, key in table.renamed(path).items()
    }
    whole = {"type": ["object", "null"], "properties": {**properties, **former}, "additionalProperties": False}
    short = table.short.get(path)
    return whole if short is None else {"anyOf": [properties[short], whole]}


def _setting(setting: Setting) -> dict[str, Any]:
    default = {} if setting.default is None else {"default": yaml.safe_load(setting.default)}
    bounds = f" Bounds: {setting.type.bounds}." if setting.type.bounds else ""
    return {**setting.type.schema, "description": f"{setting.meaning}{bounds}", **default}
