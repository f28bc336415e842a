"""`banken user`: who may log in, asked of a daemon that runs.

Rules of this file:
- A password is typed twice on a terminal without being shown, or is one line of standard input. It is never an
  argument or a variable, which other programs can read.
- Only the result is on stdout; questions and remarks are on stderr.
"""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ..domain.rights import Role
from .daemon_address import owner, place_of
from .journal_argument import JSON
from .remote import Body, ask, detail, refuse, unknown
from .terminal import UTC_OPTION, clean, fail, local, say, say_json

MOST_BYTES = 8192
"""Of a line with a password; the daemon refuses one of more than 1024 characters."""
PEOPLE = [role.value for role in Role if role is not Role.DETECTOR]
NAME = click.argument("name")


def roles(names: Sequence[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options `--role`, one of `names`, and `--all`, `--camera` and `--group`; see `access_of`."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        role = click.option("--role", type=click.Choice(names), required=True, help="The rights.")
        everything = click.option("--all", "everything", is_flag=True, help="All cameras, also those of later.")
        cameras = click.option("--camera", "cameras", multiple=True, metavar="CAMERA", help="This camera; repeatable.")
        groups = click.option(
            "--group", "groups", multiple=True, metavar="GROUP", help="The cameras of this group; repeatable."
        )
        return role(everything(cameras(groups(command))))

    return add


@click.command()
@NAME
@roles(PEOPLE)
@owner
@JSON
def add_user(
    name: str, role: str, everything: bool, cameras: tuple[str, ...], groups: tuple[str, ...], url: str | None,
    state: Path | None, config: Path, as_json: bool,
) -> None:  # fmt: skip
    """Add the user NAME, who may then log in.

    The password is asked twice on a terminal; otherwise it is one line of standard input. The first user is an admin;
    from then on everybody has to log in, also on this machine. Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    access = access_of(role, everything, cameras, groups)
    where = place_of(url, state, config)
    sent = {"user": name, "password": read_password(), **access}
    body = require(where, 201, "user", *ask(where, "POST", "api/users", config, sent))
    if as_json:
        say_json(body)
    else:
        say(f"user {clean(name)} added: {role}, {described(access)}")


@click.command()
@owner
@UTC_OPTION
@JSON
def list_users(url: str | None, state: Path | None, config: Path, as_json: bool) -> None:
    """List the users, with their roles and cameras.

    Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    where = place_of(url, state, config)
    body = require(where, 200, "users", *ask(where, "GET", "api/users", config))
    heads = ("user", "role", "cameras", "since", "logins")
    print_list(
        body, "users", as_json, heads,
        lambda each: (each["user"], each["role"], described(each["scope"]), when(each["since"]), each["sessions"]),
    )  # fmt: skip


def access_of(role: str, everything: bool, cameras: Sequence[str], groups: Sequence[str]) -> Body:
    """The fields of a role on cameras. An admin has all cameras. Raises `click.UsageError`."""
    is_some = bool(cameras or groups)
    if everything and is_some:
        raise click.UsageError("--all has every camera: leave out --camera and --group, or --all")
    if role == Role.ADMIN and not is_some:
        everything = True
    if not (everything or is_some):
        raise click.UsageError("name the cameras: --all, or --camera and --group, which can be repeated")
    return {"role": role, "everything": everything, "cameras": list(cameras), "groups": list(groups)}


def read_password() -> str:
    """A new password, typed twice on a terminal, or one line of standard input. Ends the command without one."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt="Again", err=True))
    line = sys.stdin.buffer.readline(MOST_BYTES)
    if len(line) == MOST_BYTES:
        fail("standard input: the line is too long for a password")
    try:
        found = line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        fail("standard input: the password is not UTF-8")
    if not found:
        fail("standard input has no password: give it as one line, or use a terminal")
    return found


def require(where: str | Path, expected: int, name: str, status: int, body: Body) -> Body:
    """The object of an answer with the `expected` status and the field `name`. Otherwise the command ends with 1."""
    if status != expected or (name and name not in body):
        refuse(detail(body) or unknown(where, status))
    return body


def print_list(
    body: Body, name: str, as_json: bool, heads: Sequence[str], cells: Callable[[Body], Sequence[object]]
) -> None:
    """Print the objects of a list as a table, or all of the answer as JSON."""
    if as_json:
        say_json(body)
        return
    try:
        rows = [[clean(str(cell)) for cell in cells(each)] for each in body[name]]
    except (KeyError, TypeError, ValueError, AttributeError):
        fail("the answer has another form; the daemon may be of another version than this command")
    if not rows:
        say(f"there are no {name}", err=True)
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in [heads, *rows]:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def described(scope: Any) -> str:
    """A scope in words."""
    if scope["everything"]:
        return "all cameras"
    return ", ".join([*map(clean, scope["cameras"]), *(f"group {clean(group)}" for group in scope["groups"])])


def when(time: str | None) -> str:
    """A time of an answer as the operator's clock shows it; empty for none."""
    return local(int(datetime.fromisoformat(time).timestamp() * 1e9)) if time else ""
