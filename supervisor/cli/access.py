"""`banken user`: who may log in, asked of a daemon that runs.

Rules of this file:
- A password is typed twice on a terminal without being shown, or is one line of standard input. It is never an
  argument or a variable, which other programs can read.
- Only the result is on stdout; questions and remarks are on stderr.
"""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import click

from ..domain.rights import OF_PROGRAMS, Role
from .daemon_address import owner, place_of
from .journal_argument import JSON
from .remote import Body, ask, detail, refuse, texts, unknown
from .terminal import UTC_OPTION, clean, fail, local, say, say_json

MOST_BYTES = 8192
"""Of a line with a password; the daemon refuses one of more than 1024 characters."""
PEOPLE = [role.value for role in Role if role not in OF_PROGRAMS]
NAME = click.argument("name")
YES = click.option("--yes", is_flag=True, help="Do not ask.")
Command = Callable[..., None]


@attrs.frozen
class RunningDaemon:
    """The daemon that a command means. The configuration helps to verify its certificate."""

    where: str | Path
    config: Path

    def ask(self, method: str, path: str, expected: int, field: str = "", sent: Body | None = None) -> Body:
        """The object of an answer with the `expected` status and with `field`. Otherwise the command ends with 1."""
        status, body = ask(self.where, method, f"api/{path}", self.config, sent)
        if status != expected or (field and field not in body):
            refuse(detail(body) or unknown(self.where, status))
        return body


def with_daemon(command: Command) -> Command:
    """The options that say which daemon is meant; `command` has it as its first argument."""

    @wraps(command)
    def run(*, url: str | None, state: Path | None, config: Path, **others: Any) -> None:
        command(RunningDaemon(place_of(url, state, config), config), **others)

    return owner(run)


def with_access(names: Sequence[str]) -> Callable[[Command], Command]:
    """The options `--role`, one of `names`, and `--all`, `--camera` and `--group`; `command` has them as `access`."""

    def add(command: Command) -> Command:
        @wraps(command)
        def run(
            *arguments: Any, role: str, everything: bool, cameras: Sequence[str], groups: Sequence[str], **others: Any
        ) -> None:
            command(*arguments, access=access_of(role, everything, cameras, groups), **others)

        role = click.option("--role", type=click.Choice(names), required=True, help="The rights.")
        everything = click.option("--all", "everything", is_flag=True, help="All cameras, also those of later.")
        camera = click.option("--camera", "cameras", multiple=True, metavar="CAMERA", help="This camera; repeatable.")
        group = click.option(
            "--group", "groups", multiple=True, metavar="GROUP", help="The cameras of this group; repeatable."
        )
        return role(everything(camera(group(run))))

    return add


@click.command()
@NAME
@with_daemon
@with_access(PEOPLE)
@JSON
def add_user(daemon: RunningDaemon, name: str, access: Body, as_json: bool) -> None:
    """Add the user NAME, who may then log in.

    The password is asked twice on a terminal; otherwise it is one line of standard input. The first user is an admin;
    from then on everybody has to log in, also on this machine. Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    sent = {"user": name, "password": read_password(), **access}
    body = daemon.ask("POST", "users", 201, "user", sent)
    if as_json:
        say_json(body)
    else:
        say(f"user {clean(name)} added: {access['role']}, {described(access)}")
    warn_of_unknown(body)


@click.command()
@with_daemon
@UTC_OPTION
@JSON
def list_users(daemon: RunningDaemon, as_json: bool) -> None:
    """List the users, with their roles and cameras.

    Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    heads = ("user", "role", "cameras", "since", "logins")
    print_list(
        daemon.ask("GET", "users", 200, "users"), "users", as_json, heads,
        lambda each: (each["user"], each["role"], described(each["scope"]), when(each["since"]), each["sessions"]),
    )  # fmt: skip


@click.command()
@NAME
@with_daemon
@with_access(PEOPLE)
def change_user(daemon: RunningDaemon, name: str, access: Body) -> None:
    """Give the user NAME another role and other cameras.

    Viewers that the user may not have any more end. Exit 1: the daemon refused, as for the last admin; exit 2: no
    daemon answers.
    """
    body = daemon.ask("PUT", f"users/{quote(name, safe='')}", 200, "user", access)
    say(f"user {clean(name)} changed: {access['role']}, {described(access)}")
    warn_of_unknown(body)


@click.command()
@NAME
@click.option("--keep-keys", is_flag=True, help="Leave the passkeys of the user as they are.")
@with_daemon
def set_password(daemon: RunningDaemon, name: str, keep_keys: bool) -> None:
    """Set the password of the user NAME, also a forgotten one.

    All logins of the user end, and the passkeys are removed: somebody else may have added one. The password is asked
    twice on a terminal; otherwise it is one line of standard input. Exit 1: the daemon refused; exit 2: no daemon
    answers.
    """
    sent = {"password": read_password(), **({"keep_passkeys": True} if keep_keys else {})}
    daemon.ask("PUT", f"users/{quote(name, safe='')}/password", 204, sent=sent)
    ended = "all logins of the user have ended" if keep_keys else "all logins and passkeys of the user have ended"
    say(f"the password of {clean(name)} is set, and {ended}")


@click.command()
@NAME
@click.option("--remove", "removed", metavar="PASSKEY", help="Remove this passkey, with the logins that it has opened.")
@with_daemon
@UTC_OPTION
@JSON
def list_passkeys(daemon: RunningDaemon, name: str, removed: str | None, as_json: bool) -> None:
    """List the passkeys of the user NAME, or remove one.

    Exit 1: the daemon refused, or NAME has no such passkey; exit 2: no daemon answers.
    """
    found = daemon.ask("GET", "passkeys", 200, "passkeys")["passkeys"]
    own = [each for each in found if each.get("user") == name]
    if removed is None:
        print_list(
            {"passkeys": own}, "passkeys", as_json, ("passkey", "label", "since", "used"),
            lambda each: (each["passkey"], each["label"], when(each["since"]), when(each["used"])),
        )  # fmt: skip
        return
    if removed not in [each.get("passkey") for each in own]:
        refuse(f"{clean(name)} has no passkey {clean(removed)}; banken user passkeys {clean(name)} lists them")
    daemon.ask("DELETE", f"passkeys/{quote(removed, safe='')}", 204)
    say(f"passkey {clean(removed)} of {clean(name)} removed")


@click.command()
@NAME
@YES
@with_daemon
def remove_user(daemon: RunningDaemon, name: str, yes: bool) -> None:
    """Remove the user NAME, with all logins and viewers.

    It asks first. Exit 1: the daemon refused, as for the last admin; exit 2: no daemon answers.
    """
    confirm(f"Remove the user {name}, with all logins and viewers?", yes)
    daemon.ask("DELETE", f"users/{quote(name, safe='')}", 204)
    say(f"user {clean(name)} removed")


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


def confirm(question: str, yes: bool) -> None:
    """Ask, unless the answer is `yes` already. Ends the command for another answer, and without a terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail("this cannot be undone, and nobody can be asked: --yes does it")
    click.confirm(clean(question), abort=True, err=True)


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


def warn_of_unknown(body: Body) -> None:
    """Say which cameras and groups of an answer's scope are not configured. They may be later."""
    found = body.get("unknown")
    for kind, what in (("cameras", "camera"), ("groups", "group")):
        for name in texts(found, kind) if isinstance(found, dict) else []:
            say(f"warning: no {what} {name} is configured now", err=True)


def described(scope: Any) -> str:
    """A scope in words."""
    if scope["everything"]:
        return "all cameras"
    return ", ".join([*map(clean, scope["cameras"]), *(f"group {clean(group)}" for group in scope["groups"])])


def when(time: str | None) -> str:
    """A time of an answer as the operator's clock shows it; empty for none."""
    return local(int(datetime.fromisoformat(time).timestamp() * 1e9)) if time else ""
