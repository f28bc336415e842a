"""`banken rooms`: be in a room from a terminal."""

import sys
from typing import TYPE_CHECKING

import click

from supervisor.cli.words import clean, fail, say
from supervisor.printable import printable_json

if TYPE_CHECKING:
    from supervisor.domain import signaling as s


@click.command()
@click.argument("url")
@click.argument("room")
@click.option("--json", "as_json", is_flag=True, help="Each message as it comes, on a line.")
def join(url: str, room: str, as_json: bool) -> None:
    """Be in ROOM of the banken at URL, and show what is said there, until Ctrl+C. With `new` for ROOM, make one.

    It is seen by the others, and answers none of them: for whoever wants to know what goes on. Exit 1: the server said
    no; exit 2: there is none, or it ended the connection.
    """
    import trio
    from trio_websocket import HandshakeError

    from .room_client import RoomsClosed

    refused, trouble = False, ""
    try:
        refused = trio.run(_show, url, room, as_json)
    except* KeyboardInterrupt:  # in a group, when it comes while a nursery is open
        pass
    except* (OSError, ValueError, HandshakeError, RoomsClosed, trio.TooSlowError) as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        trouble = str(error) or type(error).__name__
    if trouble:
        fail(f"{url}: {trouble}")
    if refused:
        sys.exit(1)


async def _show(url: str, room: str, as_json: bool) -> bool:
    """Say what comes; true when the server says no."""
    from supervisor.domain import signaling as s

    from .room_client import open_room_client

    async with open_room_client(url) as client:
        await client.send(s.CreateRoom() if room == "new" else s.JoinRoom(room))
        while True:
            told = await client.receive()
            say(printable_json(s.write(told)) if as_json else clean(describe(told)))
            if isinstance(told, s.Error):
                return True


def describe(told: "s.Told") -> str:
    """A message as a sentence, without what only machines read."""
    from supervisor.domain import signaling as s

    match told:
        case s.RoomCreated(room_id=room, self_id=me):
            return f"room {room} is yours; here you are {me}"
        case s.RoomParticipants(participants=participants):
            return f"{len(participants)} in the room: {', '.join(participants)}"
        case s.PeerConnected(participant_id=who):
            return f"{who} came"
        case s.PeerDisconnected(participant_id=who):
            return f"{who} left"
        case s.Error(code=code, message=message):
            return f"{code.value}: {message}"
        case _:
            return f"{told.__struct_config__.tag} from {told.sender}"
