"""`banken events`: the journal in the terminal, with or without a daemon beside it."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import click
import msgspec
import trio

from ..domain.describe import Severity, describe
from ..domain.events import EVENTS, Recorded
from ..domain.ids import CameraId
from ..domain.values import plain
from ..journal.errors import JournalError
from ..journal.reader import PAGE, Query, Reader
from .words import Moment, fail

LOOK_EVERY_S = 0.25
COLOURS = {Severity.NOTICE: "green", Severity.WARNING: "yellow", Severity.ERROR: "red"}


@click.command()
@click.argument("journal", type=click.Path(path_type=Path), envvar="BANKEN_JOURNAL", default="journal")
@click.option("--follow", "-f", is_flag=True, help="Go on with new events as they come; Ctrl+C ends it.")
@click.option("--camera", metavar="NAME", help="Only this camera, its children and its viewers.")
@click.option("--type", "types", metavar="GLOB", multiple=True, help="Only these types, like CameraLive or Peer*.")
@click.option("--since", type=Moment(), metavar="TIME", help="From then on: ISO 8601, or 10m for ten minutes ago.")
@click.option("--after", type=click.IntRange(0, 2**62), default=0, metavar="SEQ", help="Only events after this number.")
@click.option("--limit", "-n", type=click.IntRange(1, 2**31), metavar="N", help="Only the last N.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")
def events(
    journal: Path,
    follow: bool,
    camera: str | None,
    types: tuple[str, ...],
    since: int | None,
    after: int,
    limit: int | None,
    as_json: bool,
) -> None:
    """Print what happened, oldest first. JOURNAL is the journal's folder: ./journal, or $BANKEN_JOURNAL."""
    known = {event.__name__ for event in EVENTS}
    for kind in types:
        if not any(mark in kind for mark in "*?[") and kind not in known:
            fail(f"there is no type of event {kind!r}; known: {', '.join(sorted(known))}")
    show = _as_json if as_json else _as_line
    try:
        reader = Reader(journal)
        try:
            _require_camera(reader, camera)
            query = Query(after, camera=CameraId(camera) if camera else None, types=types, since_ns=since or 0)
            end = reader.bounds()[1]
            page = reader.page(query, limit, newest=True) if limit else reader.page(query)
            while page:
                _print(page, show)
                query = attrs.evolve(query, after=page[-1].seq)
                page = [] if limit else reader.page(query)
            if follow:
                trio.run(_follow, reader, attrs.evolve(query, after=max(query.after, end)), show)
        finally:
            reader.close()
    except JournalError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
    except (OSError, UnicodeError) as error:
        fail(f"cannot go on: {error}")


async def _follow(reader: Reader, query: Query, show: Any) -> None:
    while True:
        end = reader.bounds()[1]
        page = reader.page(query)
        _print(page, show)
        seen = [recorded.seq for recorded in page[-1:]]
        query = attrs.evolve(query, after=max(query.after, *seen, *([end] if len(page) < PAGE else [])))
        if len(page) < PAGE:
            await trio.sleep(LOOK_EVERY_S)


def _require_camera(reader: Reader, camera: str | None) -> None:
    if camera is not None and not reader.page(Query(camera=CameraId(camera)), 1):
        fail(f"the journal knows no camera {camera!r}")


def _print(page: list[Recorded], show: Any) -> None:
    for recorded in page:
        click.echo(show(recorded))
    sys.stdout.flush()


def _as_line(recorded: Recorded) -> str:
    severity, text = describe(recorded.event)
    moment = (
        datetime.fromtimestamp(recorded.wall_ns / 1e9, UTC)
        .astimezone()
        .replace(tzinfo=None)
        .isoformat(sep=" ", timespec="milliseconds")
    )
    kind = click.style(f"{recorded.type:<20}", fg=COLOURS.get(severity))
    cause = f" (from {recorded.cause})" if recorded.cause else ""
    return f"{recorded.seq:>7}  {moment}  {kind} {text}{click.style(cause, dim=True)}"


def _as_json(recorded: Recorded) -> str:
    severity, text = describe(recorded.event)
    row = plain(recorded)
    row |= {"type": recorded.type, "version": recorded.event.version, "body": row.pop("event")}
    return msgspec.json.encode({**row, "severity": severity.value, "text": text}).decode()
