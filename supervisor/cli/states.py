"""`banken state`, `diff` and `bisect`: the state at an instant, between two, and since when something holds."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from ..analysis.bisect import ExpressionError, first_holding, parse
from ..analysis.diff import Change, as_plain, changes
from ..analysis.replay import state_at
from .opening import JOURNAL, JSON, SALVAGE, between, open_reader, seq_of, stretch_of
from .words import COLOURS, At, Moment, clean, fail, local, say, say_json, say_progress

NEVER_HELD = 1


@click.command()
@JOURNAL
@click.option("--at", type=Moment(), metavar="TIME|SEQ", help="The state after that [default: the last event].")
@JSON
@SALVAGE
def state(journal: Path, at: At | None, as_json: bool, salvage: bool) -> None:
    """Print everything that was known at an instant."""
    with open_reader(journal, salvage) as reader:
        found = as_plain(state_at(reader, seq_of(reader, at)))
        if as_json:
            say_json(found)
        else:
            _tree(found, "")


@click.command()
@JOURNAL
@between
@JSON
@SALVAGE
def diff(journal: Path, since: At | None, until: At | None, as_json: bool, salvage: bool) -> None:
    """Print what changed between two instants: + came, - went, ~ is another."""
    with open_reader(journal, salvage) as reader:
        part = stretch_of(reader, since, until)
        begin = part.first - 1 if since is None else seq_of(reader, since)
        found = changes(state_at(reader, begin), state_at(reader, part.last))
        if as_json:
            say_json({"from": begin, "to": part.last, "changes": found})
            return
        if not found:
            say(f"nothing changed between #{begin} and #{part.last}")
        for change in found:
            _change(change, "")


@click.command()
@click.argument("expression")
@JOURNAL
@between
@JSON
@SALVAGE
def bisect(expression: str, journal: Path, since: At | None, until: At | None, as_json: bool, salvage: bool) -> None:
    """Find the first event after which EXPRESSION holds. Exit 1: it never does.

    EXPRESSION is over the fields of `banken state`, like 'cameras["gate"].phase == "waiting"' or 'len(children) > 30'.
    """
    try:
        parse(expression)
        with open_reader(journal, salvage) as reader:
            part = stretch_of(reader, since, until)

            def progress(seq: int) -> None:
                say_progress(f"{seq} of {part.last}")

            found = first_holding(reader, expression, part.first, part.last, progress)
            if as_json:
                say_json(found)
            elif found is None:
                say(f"it holds nowhere from #{part.first} to #{part.last}")
            elif found.step is None:
                say(f"it holds already before #{part.first}")
            else:
                kind = click.style(found.step.type, fg=COLOURS.get(found.step.severity))
                say(f"#{found.seq}  {local(found.step.wall_ns)}  {kind} {clean(found.step.text)}")
    except ExpressionError as error:
        fail(str(error))
    if found is None:
        sys.exit(NEVER_HELD)


def _shown(name: str, value: Any) -> str:
    if name.endswith("_ns") and isinstance(value, int) and value:
        return local(value)
    return clean(msgspec.json.encode(value).decode())


def _label(name: str) -> str:
    return clean(name.removesuffix("_ns").replace("_", " ") if name.endswith("_ns") else name)


def _tree(held: dict[str, Any], indent: str) -> None:
    for name, value in held.items():
        if isinstance(value, dict) and value:
            say(f"{indent}{_label(name)}:")
            _tree(value, indent + "  ")
        else:
            say(f"{indent}{_label(name)}: {_shown(name, value)}")


def _change(change: Change, indent: str) -> None:
    mark, colour = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}[change.how]
    head = f"{indent}{click.style(mark, fg=colour)} {_label(change.name)}"
    value = change.after if change.how == "added" else change.before
    if change.inside:
        say(head)
        for inside in change.inside:
            _change(inside, indent + "  ")
    elif change.how == "changed":
        say(f"{head}: {_shown(change.name, change.before)} → {_shown(change.name, change.after)}")
    elif isinstance(value, dict):
        say(head)
        _tree({name: held for name, held in value.items() if held not in (None, [], {}, "")}, indent + "    ")
    else:
        say(f"{head}: {_shown(change.name, value)}")
