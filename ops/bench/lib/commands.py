"""The options that several benches have, and how each prints and writes its report."""

import shutil
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import click
import trio

from supervisor.base.printable import json_text
from supervisor.cli.terminal import say

from .calibrate import stated
from .processes import BenchError
from .report import Report, Say
from .servers import BUILT, At, Open

JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
WRITE = click.option(
    "--write", "folder", type=click.Path(path_type=Path, file_okay=False), help="Put a page into FOLDER, too."
)
COUNT = click.IntRange(1, 1000)
SECONDS = click.FloatRange(0.1, 600)
_PROGRAM = click.Path(path_type=Path, exists=True, dir_okay=False)


def other_servers(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the option `alone`, and for each of these servers one that names its program."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for name in reversed(names):
            help_ = f"Program of {name} [default: the installed or built one]."
            command = click.option(f"--{name.lower()}", type=_PROGRAM, help=help_)(command)
        return click.option("--alone", is_flag=True, help="Only banken.")(command)

    return add


def found(servers: Mapping[str, At], alone: bool, named: Mapping[str, Path | None]) -> dict[str, Open]:
    """Return openers of the servers that are named, installed, or built by `ops/other_servers.py`."""
    opened = {}
    for name, at in servers.items() if not alone else ():
        program = Path(named[name.lower()] or shutil.which(name.lower()) or BUILT / name)
        if program.exists():
            opened[name] = at(program)
        else:
            say(f"· {name} is not here; ops/README.md says how to get it", err=True)
    return opened


def report(
    name: str, measure: Callable[[Say], Coroutine[Any, Any, Report]], as_json: bool, folder: Path | None
) -> None:
    """Run a benchmark, print its report, and write it to `folder` if any."""
    try:
        result = trio.run(measure, lambda text: say(f"· {text}", err=True))
    except* BenchError as errors:
        raise click.ClickException("; ".join(map(str, _leaves(errors)))) from None
    show(result, as_json)
    if folder:
        result.write(folder, name)


def show(result: Report, as_json: bool) -> None:
    """Print a report, with the machine and its calibration."""
    if as_json:
        say(json_text(result.values()))
        return
    say(f"{stated()}\n\n{result.table()}")
    for note in result.notes:
        say(f"- {note}")


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
