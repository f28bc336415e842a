"""`banken rooms`: join a room from a terminal."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from supervisor.base.printable import printable_json
from supervisor.base.redact import redact
from supervisor.cli.daemon_address import address_in, daemon
from supervisor.cli.terminal import clean, fail, say
from supervisor.cli.token import REFUSED, WANTED, credentials_for
from supervisor.cli.trust import context_for

if TYPE_CHECKING:
    import ssl

    from supervisor.domain import signaling as s

UNAUTHORIZED = 401


@click.command()
@click.argument("where", nargs=-1, required=True, metavar="[URL] ROOM")
@daemon
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, for scripts.")
def join(where: tuple[str, ...], url: str | None, config: Path, as_json: bool) -> None:
    """Join ROOM of the daemon, and print its messages until Ctrl+C. `new` as ROOM creates one.

    URL is the address of its page; --url means the same.

    The others see it as a participant; it sends nothing. Exit 1: the server refused; exit 2: no daemon answers, or it
    ended the connection.
    """
    import trio
    from trio_websocket import ConnectionRejected, HandshakeError

    from supervisor.base.groups import first_of

    from .room_client import RoomsClosed

    if len(where) > 2:
        raise click.UsageError("there is one ROOM, with an optional URL before it")
    *given, room = where
    named = given[0] if given else url
    url = named or address_in(config)
    context = context_for(config, named) if url.startswith(("https:", "wss:")) else None
    credentials = credentials_for(url)
    refused, trouble = False, ""
    try:
        refused = trio.run(_show, url, room, as_json, context, credentials)
    except* KeyboardInterrupt:  # in a group if it is raised while a nursery is open
        pass
    except* (OSError, ValueError, HandshakeError, RoomsClosed, trio.TooSlowError) as errors:
        error = first_of(errors)
        if isinstance(error, ConnectionRejected):
            fail(f"{redact(url)}: {why_rejected(error.status_code, error.body, bool(credentials))}")
        trouble = str(error) or type(error).__name__
    if trouble:
        fail(f"{url}: {trouble}")
    if refused:
        sys.exit(1)


def why_rejected(status: int, body: bytes | None, has_token: bool) -> str:
    """The reason of an answer that is no WebSocket."""
    try:
        said = str(json.loads(body or b"")["detail"])
    except (ValueError, LookupError, TypeError):
        return f"the answer is {status}, and not one of banken"
    return f"{said}; {REFUSED if has_token else WANTED}" if status == UNAUTHORIZED else said


async def _show(
    url: str, room: str, as_json: bool, context: "ssl.SSLContext | None", credentials: dict[str, str]
) -> bool:
    """Print the messages; returns true when the server rejects a request."""
    from supervisor.domain import signaling as s

    from .room_client import open_room_client

    async with open_room_client(url, context, **credentials) as client:
        await client.send(s.CreateRequest() if room == "new" else s.JoinRequest(room))
        while True:
            told = await client.receive()
            say(printable_json(s.write(told)) if as_json else clean(describe(told)))
            if isinstance(told, s.Error):
                return True


def describe(told: "s.Told") -> str:
    """Describe a message as a sentence, without its machine-readable fields."""
    from supervisor.domain import signaling as s

    match told:
        case s.RoomCreated(room_id=room, self_id=me):
            return f"room {room} is yours; here you are {me}"
        case s.RoomParticipants(participants=participants):
            return f"{len(participants)} in the room: {', '.join(participants)}"
        case s.ParticipantJoined(participant_id=who):
            return f"{who} came"
        case s.ParticipantLeft(participant_id=who):
            return f"{who} left"
        case s.Error(code=code, message=message):
            return f"{code.value}: {message}"
        case _:
            return f"{told.tag()} from {told.sender}"
