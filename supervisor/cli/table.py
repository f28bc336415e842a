"""A group of commands as a table: a command is imported when it runs, not when it is listed.

`banken --help` and one command cost the import of click, and of what that command needs.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from ..base.interrupts import exit_on_ctrl_c
from ..runtime.collector import starting


class LazyCommand(NamedTuple):
    """A command that is not imported yet."""

    help: str
    """The first sentence of its help, as the list shows it."""
    load: Callable[[], click.Command]


def at(place: str, help: str) -> LazyCommand:  # noqa: A002 - click's word for it
    """The command at `package.module:name`."""
    module, _, name = place.partition(":")

    def load() -> click.Command:
        with exit_on_ctrl_c(), starting():
            found = getattr(import_module(module), name)
        assert isinstance(found, click.Command)
        return found

    return LazyCommand(help, load)


class TableGroup(click.Group):
    """`table` names the commands. Listing them imports none."""

    def __init__(self, *args: Any, table: Mapping[str, LazyCommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.table.get(cmd_name)
        return entry.load() if entry else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, which can suggest only names of imported commands."""
        if args[0] not in self.table and args[0][:1].isalnum() and not ctx.resilient_parsing:
            raise click.NoSuchCommand(args[0], possibilities=self.table, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click's, from the table."""
        width = formatter.width - 6 - max(map(len, self.table))
        rows = [
            (name, click.Command(name, help=self.table[name].help).get_short_help_str(width))
            for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def table(name: str, help: str, commands: Mapping[str, LazyCommand]) -> LazyCommand:  # noqa: A002 - click's word for it
    """A group with its own `commands`."""
    return LazyCommand(help, lambda: TableGroup(name, table=commands, help=help))
