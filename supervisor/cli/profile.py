"""`banken profile`: which functions of a daemon that runs use its time."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from .daemon_address import owner, place_of
from .journal_argument import JSON
from .remote import ask, detail, refuse, unknown
from .terminal import clean, exit_on_signals, say, say_json, say_progress

PATIENCE_S = 15.0
"""For the answer, after the time of the profile."""
ROWS = 30


@click.command()
@click.option(
    "--seconds", type=click.FloatRange(0.1, 60), default=10, show_default=True, metavar="N", help="For how long, to 60."
)
@click.option("--collapsed", is_flag=True, help="Print one stack a line with its samples, as flame graphs are made of.")
@owner
@JSON
def profile(seconds: float, collapsed: bool, url: str | None, state: Path | None, config: Path, as_json: bool) -> None:
    """Print which functions of the daemon use its time.

    The event loop is sampled at 100 Hz. Self: the time in the function itself; total: with all that it calls; both in
    percent of the whole time. Samples in which the loop waited for events are idle, and only counted. The profile names
    functions, and no data. It is in the audit. One at a time. Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    where = place_of(url, state, config)
    say_progress(f"sampling for {seconds:g} s …")
    with exit_on_signals():
        status, body = ask(
            where, "POST", "api/profile", config, {"seconds": seconds}, patience_s=seconds + PATIENCE_S
        )  # fmt: skip
    say_progress("")
    if status != 200 or "stacks" not in body:
        refuse(detail(body) or unknown(where, status))
    if as_json:
        say_json(body)
        return
    say(summary(body), err=collapsed)
    if body["others"]:
        say(f"samples of further stacks, which are not shown: {body['others']}", err=collapsed)
    for line in collapsed_lines(body) if collapsed else table_lines(body):
        say(clean(line))


def summary(body: dict[str, Any]) -> str:
    idle = share(body["idle"], body["samples"])
    used = f"the loop used {body['cpu']:.1%} of a core, {body['cost']:.1%} of it to take samples"
    return f"{body['samples']} samples in {body['seconds']:.1f} s, {idle} of them idle; {used}"


def collapsed_lines(body: dict[str, Any]) -> list[str]:
    """`FUNCTION;FUNCTION… SAMPLES`, the outermost function first: the format of flame graphs."""
    names = [named(each).replace(";", ",") for each in body["functions"]]
    return [f"{';'.join(names[each] for each in stack['functions'])} {stack['samples']}" for stack in body["stacks"]]


def table_lines(body: dict[str, Any]) -> list[str]:
    """A row for each of `ROWS` functions, that with the most own samples first."""
    own: Counter[int] = Counter()
    total: Counter[int] = Counter()
    for stack in body["stacks"]:
        own[stack["functions"][-1]] += stack["samples"]
        for each in set(stack["functions"]):
            total[each] += stack["samples"]
    rows = [f"{'self':>7} {'total':>7}  function"]
    for each in sorted(total, key=lambda each: (-own[each], -total[each]))[:ROWS]:
        parts = share(own[each], body["samples"]), share(total[each], body["samples"])
        rows.append(f"{parts[0]:>7} {parts[1]:>7}  {named(body['functions'][each])}")
    return rows


def named(function: dict[str, Any]) -> str:
    return f"{function['name']} ({function['file']}:{function['line']})"


def share(part: int, of: int) -> str:
    return f"{part / max(1, of):.1%}"
