"""`banken replay JOURNAL`: the dashboard over a journal, without a daemon. A daemon may write to it meanwhile."""

import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import trio

from ..base.times import Zone
from ..cli.journal_argument import JOURNAL
from ..cli.terminal import UTC_OPTION, TimeOrSeq, fail, zone
from ..config.load import parse
from ..config.problem_text import ConfigError
from ..config.settings import DEFAULT_LISTEN
from ..domain.errors import Rejected
from ..domain.words import plural
from ..journal.reader import Reader
from ..ports.errors import JournalError
from ..ports.past import Instant
from ..ports.questions import At
from ..runtime.output import announce, set_up_log
from ..services.answers import look_back
from ..services.journal_reader import JournalReader
from ..services.past import PastGateway

BEYOND = (
    "a replay asks nobody who they are, so it serves this machine only: listen on 127.0.0.1; from another machine, "
    "ssh -L 8620:127.0.0.1:8620 reaches it"
)


@click.command()
@JOURNAL
@click.option("--at", type=TimeOrSeq(), metavar="TIME|SEQ", help="The instant to begin at [default: the end].")
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, metavar="ADDRESS:PORT")
@click.option("--browser/--no-browser", default=False, help="Open the page in a browser.")
@UTC_OPTION
def replay(journal: Path, at: At | None, listen: str, browser: bool) -> None:
    """Show the dashboard as it was, from JOURNAL: a journal's folder, or one of its files. Nothing can be changed.

    The journal may be a copy on another machine, or in use by a daemon. Only this machine is served, since nobody is
    asked for a login. Ctrl+C ends it.
    """
    show(journal, at, listen, browser)


def show(journal: Path, at: At | None, where: str, browser: bool) -> None:
    """Serve the dashboard over `journal` from `at` on, until a signal. On an error, print one line and exit with 2."""
    from web.serve import address, listen

    set_up_log("warning")
    try:
        config = parse(f"web: {{listen: {where!r}}}", "--listen", {}, {})
        if config.exposed:
            fail(f"--listen {where}: {BEYOND}")
        listener = listen(config.host, config.port)
    except ConfigError as error:
        fail(error.complaints)
    except (OSError, TypeError, ValueError) as error:
        fail(f"cannot listen on {where}: {error}; --listen can name another address")
    with listener:
        url = address(listener)

        def ready(moment: Instant) -> None:
            count = moment.last.seq - moment.first.seq + 1
            announce(f"banken: {plural(count, 'event')} of {journal} at {url}", url if browser else None)

        try:
            moment, reader = open_past(journal, at, zone())
        except (JournalError, Rejected) as error:
            fail(str(error) if str(journal) in str(error) else f"{journal}: {error}")
        try:
            trio.run(run_replay, PastGateway(reader, moment), listener, partial(ready, moment))
        finally:
            reader.close()


def open_past(journal: Path, at: At | None, where: Zone = None) -> tuple[Instant, JournalReader]:
    """The moment to begin at, and a reader. Raises `JournalError`, and `Rejected` if the journal has no such moment."""
    reader = Reader(journal)
    try:
        return look_back(reader, at, where), JournalReader(journal)
    finally:
        reader.close()


async def run_replay(gateway: PastGateway, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully. A second signal ends open connections at once.

    Cancellation: as a second signal. Cleanup: no socket and no thread is left.
    """
    from web.app import WebSettings, create_app
    from web.serve import run_web
    from web.sockets import Sockets

    stop, sockets = trio.Event(), Sockets()
    app = create_app(gateway, WebSettings(local_only=True), sockets)
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
