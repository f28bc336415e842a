"""`banken retry` and `banken reload`: commands to a daemon that runs, over its control socket or over HTTP."""

import base64
import http.client
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, unquote, urlsplit

import click

from ..base.redact import redact
from ..domain.words import plural
from ..journal.lock import PROCESSES, is_held_by
from .control import ControlConnection, trouble_at
from .daemon_address import journal_in, owner, place_of
from .journal_argument import JSON
from .terminal import clean, fail, say, say_json
from .token import REFUSED as TOKEN_REFUSED
from .token import WANTED, credentials_for
from .trust import context_for

REFUSED, UNAUTHORIZED = 1, 401
PATIENCE_S = 30.0
"""For an answer: a large configuration takes seconds to read."""
MOST = 16 * 1024 * 1024
"""Bytes of an answer that are read."""
LOCKOUT = "urn:banken:problem:lockout"
BEFORE = "; a daemon that was started before state.path or journal.path was changed is found by --state"

Body = dict[str, Any]


@click.command()
@click.argument("camera")
@click.option(
    "--yes", is_flag=True, help="Do not ask after a refused password, although the camera may lock the account."
)
@owner
@JSON
def retry(camera: str, yes: bool, url: str | None, state: Path | None, config: Path, as_json: bool) -> None:
    """Have the daemon open CAMERA now, instead of at its next attempt.

    After a refused password it asks first: many cameras lock an account after repeated attempts. Exit 1: the daemon
    refused; exit 2: no daemon answers.
    """
    where = place_of(url, state, config)
    path = f"api/cameras/{quote(camera, safe='')}/retry"
    status, body = ask(where, "POST", f"{path}?confirm=lockout" if yes else path, config)
    if body.get("type") == LOCKOUT and not yes:
        if not sys.stdin.isatty():
            refuse(f"{detail(body)}; --yes tries it all the same")
        click.confirm(clean(f"{detail(body)}. Try it all the same?"), abort=True)
        status, body = ask(where, "POST", f"{path}?confirm=lockout", config)
    if status != 202 or "id" not in body:
        refuse(detail(body) or unknown(where, status))
    if as_json:
        say_json(body)
    else:
        say(f"{clean(camera)} is tried now")


@click.command()
@click.argument("camera")
@click.argument("switch", type=click.Choice(["on", "off"]), metavar="on|off")
@owner
@JSON
def privacy(camera: str, switch: str, url: str | None, state: Path | None, config: Path, as_json: bool) -> None:
    """Make CAMERA private, or end that.

    A private camera is not opened, and nobody sees or hears it. The switch holds until the schedule of the camera next
    changes, or else until the next switch. Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    where = place_of(url, state, config)
    path = f"api/cameras/{quote(camera, safe='')}/privacy"
    status, body = ask(where, "PUT", path, config, {"on": switch == "on"})
    if status != 200 or "id" not in body:
        refuse(detail(body) or unknown(where, status))
    if as_json:
        say_json(body)
        return
    until = body["privacy"].get("until") if isinstance(body.get("privacy"), dict) else None
    if switch == "off":
        say(f"{clean(camera)} is no longer private")
    else:
        say(f"{clean(camera)} is private" + (f" until {clean(str(until))}" if until else ""))


@click.command()
@click.option(
    "--pid",
    type=click.IntRange(2),
    help="The daemon of this configuration: it gets SIGHUP if it cannot be asked.",
)
@owner
@JSON
def reload(pid: int | None, url: str | None, state: Path | None, config: Path, as_json: bool) -> None:
    """Have the daemon read its configuration again, and print the result.

    A file with mistakes changes nothing. Exit 1: it was refused, with the reasons on stderr; exit 2: no daemon answers,
    or the process of --pid is not the daemon of this configuration.
    """
    try:
        where = place_of(url, state, config)
        hint = BEFORE if isinstance(where, Path) and state is None else ""
        status, body = ask(where, "POST", "api/config/reload", config, hint=hint)
    except SystemExit:  # it has been said why
        if pid is None:
            raise
        where, status, body = "", 0, {}
    count = body.get("cameras")
    is_taken = isinstance(count, int) and status == 200
    if pid is not None and not is_taken and status != 422:
        send_sighup(pid, config)
        return
    if as_json and (is_taken or "type" in body):
        say_json(body)
    if not is_taken:
        for line in texts(body, "lines"):
            say(line, err=True)
        if more := body.get("more"):
            say(clean(f"and {more} more; banken check says them all"), err=True)
        refuse(detail(body) or unknown(where, status))
    for warning in texts(body, "warnings"):
        say(f"warning: {warning}", err=True)
    if not as_json:
        say(f"configuration taken: {plural(int(count or 0), 'camera')}")


def send_sighup(pid: int, config: Path) -> None:
    """Have the daemon of `config` read its configuration as at any SIGHUP, without an answer.

    SIGHUP ends most other programs, and the pid may have a new owner. So the process must hold the journal of `config`
    and have a handler for SIGHUP; otherwise the command ends with 2. The pidfd keeps all steps to one process.
    """
    journal = journal_in(config)
    try:
        process = os.pidfd_open(pid)
        try:
            if not is_held_by(pid, journal):
                fail(
                    f"process {pid} got no SIGHUP: it is not seen to hold {journal}, the journal of {config}; "
                    "--pid is the pid of that daemon, and --config its configuration"
                )
            if not handles_sighup(pid):
                fail(f"process {pid} got no SIGHUP, which would end it: it is not a daemon that is ready")
            signal.pidfd_send_signal(process, signal.SIGHUP)
        finally:
            os.close(process)
    except OSError as error:
        fail(f"process {pid}: {error.strerror}")
    say(f"process {pid} got SIGHUP instead; its log says what came of it", err=True)


def handles_sighup(pid: int) -> bool:
    """Whether the process has a handler for SIGHUP. Raises `OSError` for a process that has ended."""
    status = (PROCESSES / str(pid) / "status").read_text(errors="replace")
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) & 1 << signal.SIGHUP - 1)


def refuse(text: str) -> NoReturn:
    """Say what the daemon said, and exit with 1."""
    say(f"banken: {clean(text)}", err=True)
    sys.exit(REFUSED)


def detail(body: Body) -> str:
    return str(body.get("detail", ""))


def texts(body: Body, name: str) -> list[str]:
    found = body.get(name)
    return [clean(str(text)) for text in found] if isinstance(found, list) else []


def unknown(where: str | Path, status: int) -> str:
    """Of an answer that is not the daemon's: that of a proxy in front which sends to its login, for instance."""
    return f"{redact(str(where))}: the answer is {status}, and not one of banken"


def ask(
    where: str | Path,
    method: str,
    path: str,
    config: Path,
    sent: Body | None = None,
    *,
    hint: str = "",
    patience_s: float = PATIENCE_S,
) -> tuple[int, Body]:
    """Send a request, with `sent` as its JSON; the status and the object in the answer. Ends the command where nothing
    answers within `patience_s`, and says `hint` then. A 401 of the daemon says what to do about the token.

    `where` is a URL, or the path of a control socket. The configuration at `config` helps to verify a certificate. A
    user and a password in a URL are sent as Basic credentials, for a proxy in front of the daemon.
    """
    headers = {"Accept": "application/json"}
    if sent is not None:
        headers["Content-Type"] = "application/json"
    try:
        connection, prefix = _connection(where, headers, config, patience_s)
        try:
            content = None if sent is None else json.dumps(sent).encode()
            connection.request(method, f"{prefix}/{path}", content, headers)
            response = connection.getresponse()
            data = response.read(MOST)
        finally:
            connection.close()
    except KeyError:
        fail(f"{redact(str(where))}: must begin with http:// or https://")
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(where, Path):
            fail(f"{where}: {trouble_at(where, error)}{hint}")
        fail(f"{redact(where)}: no daemon answers there: {str(error) or type(error).__name__}{hint}")
    try:
        body = json.loads(data)
    except ValueError:
        body = {}
    found = body if isinstance(body, dict) else {}
    if response.status == UNAUTHORIZED and isinstance(where, str) and detail(found):
        found["detail"] = f"{detail(found)}; {TOKEN_REFUSED if 'Authorization' in headers else WANTED}"
    return response.status, found


def _connection(
    where: str | Path, headers: dict[str, str], config: Path, patience_s: float
) -> tuple[http.client.HTTPConnection, str]:
    """A connection, and what comes before each path. Adds credentials to `headers`. Raises `KeyError`, `ValueError`."""
    if isinstance(where, Path):
        return ControlConnection(where, patience_s), ""
    headers |= credentials_for(where)
    parts = urlsplit(where)
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    host, prefix = parts.hostname or "", parts.path.rstrip("/")
    match parts.scheme:
        case "http":
            return http.client.HTTPConnection(host, parts.port, timeout=patience_s), prefix
        case "https":
            context = context_for(config, where)
            return http.client.HTTPSConnection(host, parts.port, timeout=patience_s, context=context), prefix
        case other:
            raise KeyError(other)
