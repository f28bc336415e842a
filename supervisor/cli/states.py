"""`banken state`, `diff` and `bisect`: the state at an instant, between two, and since when something holds."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
import msgspec

from ..forensics.bisect import ExpressionError, first_holding, parse
from ..forensics.diff import Change, as_plain, changes
from ..forensics.replay import state_at
from ..ports.questions import At
from .journal_argument import JOURNAL, JSON, SALVAGE, between, open_reader, require_order, seq_of, stretch_of
from .terminal import COLOURS, UTC_OPTION, TimeOrSeq, clean, fail, local, say, say_json, say_progress

NEVER_HELD = 1
ITEMS_SHOWN = 10
"""Items of a list that are printed as removed, and as added."""
LONGEST_ITEM = 200
"""Letters of an item that are printed."""


@click.command()
@JOURNAL
@click.option("--at", type=TimeOrSeq(), metavar="TIME|SEQ", help="The instant [default: the last event].")
@JSON
@UTC_OPTION
@SALVAGE
def state(journal: Path, at: At | None, as_json: bool, salvage: bool) -> None:
    """Print the state at an instant."""
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
    """Print the changes between two instants: + added, - removed, ~ changed."""
    with open_reader(journal, salvage) as reader:
        part = stretch_of(reader, since, until)
        begin = part.first - 1 if since is None else seq_of(reader, since)
        end = part.last if until is None else seq_of(reader, At(seq=part.last))
        found = changes(state_at(reader, begin), state_at(reader, end))
        if as_json:
            say_json({"from": begin, "to": end, "changes": found})
            return
        if not found:
            say(f"nothing changed between #{begin} and #{end}")
        for change in found:
            _change(change, "")


@click.command()
@click.argument("expression")
@JOURNAL
@between
@JSON
@SALVAGE
def bisect(expression: str, journal: Path, since: At | None, until: At | None, as_json: bool, salvage: bool) -> None:
    """Find the first event after which EXPRESSION holds. Exit 1: it never holds.

    EXPRESSION uses the fields of `banken state`, like 'cameras["gate"].phase == "waiting"' or 'len(children) > 30'.
    """
    require_order(expression, journal, "EXPRESSION")
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
    elif isinstance(change.before, list) and isinstance(change.after, list):
        say(head)
        _items(change.before, change.after, indent + "  ")
    elif change.how == "changed":
        say(f"{head}: {_shown(change.name, change.before)} → {_shown(change.name, change.after)}")
    elif isinstance(value, dict):
        say(head)
        _tree({name: held for name, held in value.items() if held not in (None, [], {}, "")}, indent + "    ")
    else:
        say(f"{head}: {_shown(change.name, value)}")


def _items(before: list[Any], after: list[Any], indent: str) -> None:
    """The items of a list that came or went, and no others: a list may be long."""
    texts = [Counter(clean(msgspec.json.encode(item).decode()) for item in items) for items in (before, after)]
    removed, added = (list((one - other).elements()) for one, other in (texts, texts[::-1]))
    for mark, colour, items in (("-", "red", removed), ("+", "green", added)):
        for item in items[:ITEMS_SHOWN]:
            text = item if len(item) <= LONGEST_ITEM else f"{item[:LONGEST_ITEM]}…"
            say(f"{indent}{click.style(mark, fg=colour)} {text}")
        if len(items) > ITEMS_SHOWN:
            say(f"{indent}{click.style(mark, fg=colour)} … {len(items) - ITEMS_SHOWN} more")
    if not removed and not added:
        say(f"{indent}in another order")
