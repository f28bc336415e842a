"""`banken replay JOURNAL`: the dashboard over a journal, without a daemon; also while one writes to it."""

import logging
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import trio

from .cli.opening import JOURNAL
from .cli.words import At, Moment, fail
from .config import DEFAULT_LISTEN, ConfigError, parse
from .domain.errors import Rejected
from .gateway import JournalReader
from .journal.errors import JournalError
from .journal.reader import Reader
from .output import announce, set_up_log
from .past import Moment as Instant
from .past import PastGateway, look_back


@click.command()
@JOURNAL
@click.option("--at", type=Moment(), metavar="TIME|SEQ", help="Begin there [default: at the end].")
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, metavar="ADDRESS:PORT")
@click.option("--browser/--no-browser", default=False, help="Open the page as well.")
def replay(journal: Path, at: At | None, listen: str, browser: bool) -> None:
    """Show the dashboard as it was, over JOURNAL: a journal's folder, or one of its files. Nothing can be changed.

    It may lie on another machine than its cameras, and a daemon may write to it meanwhile. Ctrl+C ends it.
    """
    show(journal, at, listen, browser)


def show(journal: Path, at: At | None, where: str, browser: bool) -> None:
    """Serve the dashboard over `journal`, beginning at `at`, until a signal. What cannot be is one line and exit 2."""
    from web.serve import address, listen

    set_up_log(logging.WARNING)
    try:
        config = parse(f"web: {{listen: {where!r}}}", "--listen", {}, {})
        listener = listen(config.host, config.port)
    except ConfigError as error:
        fail(error.complaints)
    except (OSError, TypeError, ValueError) as error:
        fail(f"cannot listen on {where}: {error}; --listen can name another address")
    if config.exposure:
        logging.getLogger("banken").warning("%s", config.exposure)
    with listener:
        url = address(listener)

        def ready(moment: Instant) -> None:
            count = moment.last.seq - moment.first.seq + 1
            announce(f"banken: {count} events of {journal} at {url}", url if browser else None)

        try:
            moment, reader = open_past(journal, at or At())
        except (JournalError, Rejected) as error:
            fail(str(error) if str(journal) in str(error) else f"{journal}: {error}")
        try:
            trio.run(run_replay, PastGateway(reader, moment), listener, partial(ready, moment), config.exposed)
        finally:
            reader.close()


def open_past(journal: Path, at: At) -> tuple[Instant, JournalReader]:
    """The moment to begin at. Raises `JournalError`, and `Rejected` for a journal without an event."""
    reader = Reader(journal)
    try:
        return look_back(reader, wall_ns=at.wall_ns, seq=at.seq), JournalReader(journal)
    finally:
        reader.close()


async def run_replay(
    gateway: PastGateway, listener: socket.socket, ready: Callable[[], None], exposed: str = ""
) -> None:
    """Serve until SIGTERM or SIGINT, then stop in good order; a second one does not wait for what is open.

    Cancellation: as a second signal. Cleanup: no socket and no thread is left.
    """
    from web.app import WebSettings, create_app
    from web.serve import run_web
    from web.sockets import Sockets

    stop, sockets = trio.Event(), Sockets()
    app = create_app(gateway, WebSettings(exposed=exposed), sockets)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:

            async def serve(task_status: trio.TaskStatus[None]) -> None:
                await run_web(app, sockets, listener, stop, task_status)
                nursery.cancel_scope.cancel(reason="it has ended")

            await nursery.start(serve)
            ready()
            async for _ in signals:
                if stop.is_set():
                    break
                stop.set()
            nursery.cancel_scope.cancel(reason="a second signal")
