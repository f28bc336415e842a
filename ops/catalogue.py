"""Write two files from the declarations of the events: `python3 ops/catalogue.py`. Tests compare them.

- `ops/docs/events.md`: the parts between `<!-- NAME -->` and `<!-- /NAME -->`.
- `web/dashboard/events.js`: the facts about each type of event by which the panels of the page choose their events.
"""

import ast
import inspect
import re
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

import bootstrap
from console import write

if __name__ == "__main__":
    bootstrap.enter()

from supervisor.domain import catalogue, commands, values
from supervisor.domain.core import ANY, OUTSIDE, Event
from supervisor.domain.values import Value

PAGE = Path(__file__).parent / "docs" / "events.md"
SCRIPT = Path(__file__).parents[1] / "web" / "dashboard" / "events.js"
SCRIPT_TEXT = """// Made by ops/catalogue.py from the declarations of the events.
// Panels choose events by these facts, and name no type: a new event needs no edit of a panel.

/**
 * @typedef {object} About
 * @property {string} [entity] the entity that declares it
 * @property {string} [phase] the phase of the entity after it, where that is always the same
 * @property {boolean} [begins] whether it creates the entity
 * @property {boolean} [last] whether it is the last event of its stream
 */

/** @type {Record<string, About>} */
const EVENTS = {
%s
};

const UNKNOWN = Object.freeze({});

// The facts about a type of event; none about one that this page does not know.
/** @type {(type: string) => About} */
export const about = (type) => EVENTS[type] ?? UNKNOWN;
"""
VALUES = (
    values.Reason, values.CameraSettings, values.SourceSummary, values.DeviceSettings, values.Limits,
    values.RefusedClient, values.Patrol, values.Policy, values.Picture,
)  # fmt: skip
"""The values in bodies whose fields the page lists."""


def page(text: str) -> str:
    """`text`, the page as it is, with the current content of its generated parts."""
    for name, content in {"events": events(), "values": values_table()}.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        text = re.sub(f"{begin}.*?{end}", lambda found: f"{begin}{content}{end}", text, flags=re.DOTALL)  # noqa: B023
    return text


def script() -> str:
    """The module of the page, without its former content."""
    return SCRIPT_TEXT % "\n".join(f"  {kind.__name__}: {{ {facts(kind)} }}," for kind in catalogue.EVENTS)


def facts(kind: type[Event]) -> str:
    """The facts about one type, as fields of a JavaScript object."""
    phases = {kind.begins} if kind.begins else set(kind.steps.values())
    found = [f'entity: "{catalogue.entity_of(kind)}"']
    found += [f'phase: "{phase.value}"' for phase in phases if len(phases) == 1]
    found += ["begins: true"] if kind.begins else []
    found += ["last: true"] if kind.ends_stream else []
    return ", ".join(found)


def events() -> str:
    return "".join(entity(each) for each in catalogue.ENTITIES)


def entity(module: ModuleType) -> str:
    """The section of one entity: its title and rules, and its events."""
    title, _, rest = inspect.getdoc(module).partition("\n")  # type: ignore[union-attr]
    name, _, about = title.partition(": ")
    about = about[:1].upper() + about[1:]
    rules = rest.strip().replace("Rules of this file:\n", "")
    parts = [f"## {name.rstrip('.')}\n", *([f"{about}\n"] if about else []), *([f"{rules}\n"] if rules else [])]
    own = [kind for kind in catalogue.EVENTS if kind.__module__ == module.__name__]
    return "\n".join([*parts, *map(event, own)]) + "\n" if own else ""


def event(kind: type[Event]) -> str:
    """The section of one event."""
    lines = [f"### {kind.__name__}", inspect.cleandoc(kind.__doc__ or ""), ""]
    lines += [f"- **emitted by**: {emitters(kind)}", f"- **when**: {kind.when}"]
    lines += [
        f"- **cause**: {causes(kind)}",
        *([f"- **choice of the cause**: {kind.cause_note}"] if kind.cause_note else []),
    ]
    lines += [f"- **severity**: {kind.severity.value}; **stream**: `{stream(kind)}`; **stored**: {kind.stored}"]
    lines += [f"- **life cycle**: {life_cycle(kind)}"] if kind.steps or kind.begins else []
    lines += [f"- **action**: {kind.action}"] if kind.action else []
    lines += [f"- **version**: {kind.version}; in version 1, `{new}` is `{old}`" for old, new in kind.renames.items()]
    fields = fields_of(kind)
    if fields:
        lines += ["", "| field | type | unit | default | meaning |", "|---|---|---|---|---|", *map(row, fields)]
    return "\n".join([*lines, ""])


def emitters(kind: type[Event]) -> str:
    """The commands whose decisions emit it, each group of them with its senders."""
    groups: dict[str, list[str]] = {}
    for name in kind.emitters:
        groups.setdefault(getattr(commands, name).sender, []).append(f"`{name}`")
    return "; ".join(f"{', '.join(names)} ({sender})" for sender, names in groups.items())


def causes(kind: type[Event]) -> str:
    """The possible causes, in words."""
    special = {OUTSIDE: "none (an external input or a timer)", ANY: "an event of any type"}
    names = [special.get(name, f"`{name}`") for name in kind.causes]
    if "StartRun" in kind.emitters and kind.begins is None and not kind.__name__.startswith("Run"):
        names.append("at a start the first event of `StartRun`")
    return ", ".join(names)


def stream(kind: type[Event]) -> str:
    """The stream, with the names of fields in capitals instead of their values."""
    named = SimpleNamespace(**{name: name.upper() for name in kind.__struct_fields__})
    return str(kind.stream.fget(named))  # type: ignore[attr-defined]


def life_cycle(kind: type[Event]) -> str:
    if kind.begins:
        return f"begins as {kind.begins.value}"
    phases = list(type(next(iter(kind.steps))))
    after: dict[str, list[str]] = {}
    for phase in phases:
        if phase in kind.steps:
            to = kind.steps[phase]
            after.setdefault("unchanged" if to is phase else to.value, []).append(phase.value)
    return "; ".join(f"{', '.join(before)} → {to}" for to, before in after.items())


def values_table() -> str:
    rows = [f"| `{kind.__name__}` {row(field)}" for kind in VALUES for field in fields_of(kind)]
    head = ["| value | field | type | unit | default | meaning |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def row(field: tuple[str, str, str, str]) -> str:
    name, kind, default, meaning = field
    unit = {"ns": "ns since the epoch", "s": "s"}.get(name.rpartition("_")[2], "") if "_" in name else ""
    return f"| `{name}` | `{kind}` | {unit} | {default} | {meaning} |".replace(" | None", r" \| None")


def fields_of(kind: type[Value]) -> list[tuple[str, str, str, str]]:
    """Name, type, default and meaning of each field, those of the bases first."""
    hints = {name: hint for name, hint in get_type_hints(kind).items() if get_origin(hint) is not ClassVar}
    missing = len(kind.__struct_fields__) - len(kind.__struct_defaults__)
    defaults = dict(zip(kind.__struct_fields__[missing:], kind.__struct_defaults__, strict=True))
    documents = described(kind)
    return [
        (name, spelled(hints[name]), shown(defaults[name]) if name in defaults else "", documents.get(name, ""))
        for name in kind.__struct_fields__
    ]


def described(kind: type) -> dict[str, str]:
    """The text below each field, of the class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        module = sys.modules[base.__module__]
        if issubclass(base, Value) and base is not Value:
            tree = ast.parse(inspect.getsource(module))
            body = next(
                node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == base.__name__
            )
            for node, after in pairwise(body):
                if (
                    isinstance(node, ast.AnnAssign)
                    and isinstance(node.target, ast.Name)
                    and isinstance(after, ast.Expr)
                ):
                    found[node.target.id] = " ".join(str(ast.literal_eval(after.value)).split())
    return found


def spelled(hint: object) -> str:
    """A type without modules, the same in every release of Python."""
    text = re.sub(r"\b(?:[A-Za-z_]\w*\.)+", "", repr(hint) if get_args(hint) else getattr(hint, "__name__", repr(hint)))
    return re.sub(r"Optional\[(.*)\]", r"\1 | None", text)


def shown(default: Any) -> str:
    """A default, for people."""
    if isinstance(default, Value):
        return f"that of `{type(default).__name__}`"
    if isinstance(default, bool):
        return str(default).lower()
    return "empty" if default == "" else "none" if default in ((), None) else f"{default}"


if __name__ == "__main__":
    write(PAGE, page(PAGE.read_text()))
    write(SCRIPT, script())
