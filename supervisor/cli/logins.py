"""`banken session` and `banken token`: logins that are open, and the access of programs.

Only the result is on stdout. The secret of a token is printed once, when it is made.
"""

from datetime import datetime
from urllib.parse import quote

import click

from ..domain.rights import Role
from .access import (
    NAME,
    YES,
    RunningDaemon,
    confirm,
    described,
    print_list,
    warn_of_unknown,
    when,
    with_access,
    with_daemon,
)
from .journal_argument import JSON
from .remote import Body
from .terminal import UTC_OPTION, clean, say, say_json, zone


class UntilTime(click.ParamType[str]):
    """A time as ISO 8601, in the zone of the command if it names none."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            time = datetime.fromisoformat(str(value))
            return (time.replace(tzinfo=zone()) if time.tzinfo is None else time).astimezone(zone()).isoformat()
        except (ValueError, OverflowError, OSError):
            self.fail(f"{str(value)[:40]!r} is not a time; write 2026-01-31 or 2026-01-31T03:10", param, ctx)


@click.command()
@with_daemon
@UTC_OPTION
@JSON
def list_sessions(daemon: RunningDaemon, as_json: bool) -> None:
    """List the logins that are open, the newest first.

    Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    heads = ("session", "user", "client", "since", "until", "by", "browser")
    print_list(
        daemon.ask("GET", "sessions", 200, "sessions"), "sessions", as_json, heads,
        lambda each: (
            each["session"], each["user"], each["client"], when(each["since"]), when(each["until"]), each["by"],
            each["agent"],
        ),
    )  # fmt: skip


@click.command()
@click.argument("session")
@with_daemon
def end_session(daemon: RunningDaemon, session: str) -> None:
    """End the login SESSION, with its viewers; its user may log in again.

    `banken session list` has the names. Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    daemon.ask("DELETE", f"sessions/{quote(session, safe='')}", 204)
    say(f"session {clean(session)} ended")


@click.command()
@NAME
@with_daemon
@with_access([role.value for role in Role])
@click.option("--until", type=UntilTime(), metavar="TIME", help="When it ends; a day means its begin [default: never].")
@click.option("--rtsp", is_flag=True, help="Readers by RTSP log in with it: user NAME, and the secret as password.")
@UTC_OPTION
@JSON
def make_token(daemon: RunningDaemon, name: str, access: Body, until: str | None, rtsp: bool, as_json: bool) -> None:
    """Make the token NAME, for a program, and print its secret.

    The program sends the secret as `Authorization: Bearer SECRET`. It is not shown again, and is alone on stdout.
    Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    sent = {"token": name, "until": until, **({"rtsp": True} if rtsp else {}), **access}
    body = daemon.ask("POST", "tokens", 201, "secret", sent)
    if as_json:
        say_json(body)
    else:
        say(str(body["secret"]))
    kind = f"token {clean(name)} made{' for RTSP' if rtsp else ''}"
    end = f"until {when(until)}" if until else "without an end"
    say(f"{kind}: {access['role']}, {described(access)}, {end}; keep it, it is not shown again", err=True)
    warn_of_unknown(body)


@click.command()
@with_daemon
@UTC_OPTION
@JSON
def list_tokens(daemon: RunningDaemon, as_json: bool) -> None:
    """List the tokens, without their secrets.

    Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    heads = ("token", "role", "cameras", "since", "until", "RTSP", "made by")
    print_list(
        daemon.ask("GET", "tokens", 200, "tokens"), "tokens", as_json, heads,
        lambda each: (
            each["token"], each["role"], described(each["scope"]), when(each["since"]), when(each["until"]) or "-",
            "yes" if each.get("rtsp") else "-", each["by"],
        ),
    )  # fmt: skip


@click.command()
@NAME
@YES
@with_daemon
def end_token(daemon: RunningDaemon, name: str, yes: bool) -> None:
    """Revoke the token NAME; its viewers end.

    It asks first. Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    confirm(f"Revoke the token {name}? Its program has no access any more.", yes)
    daemon.ask("DELETE", f"tokens/{quote(name, safe='')}", 204)
    say(f"token {clean(name)} revoked")
