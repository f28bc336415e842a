"""`banken events`: the journal in the terminal, with or without a daemon beside it."""

import sys
from pathlib import Path
from typing import Any

import attrs
import click

from ..domain.describe import describe
from ..domain.events import EVENTS, Recorded
from ..domain.values import plain
from ..journal.reader import PAGE, Query, Reader
from ..printable import json_text
from .opening import JOURNAL, SALVAGE, open_reader, require_camera, seq_of
from .words import COLOURS, At, Moment, clean, did_you_mean, fail, local, say

LOOK_EVERY_S = 0.25


@click.command()
@JOURNAL
@click.option("--follow", "-f", is_flag=True, help="Go on with new events as they come; Ctrl+C ends it.")
@click.option("--camera", metavar="NAME", help="Only this camera, its children and its viewers.")
@click.option("--type", "types", metavar="GLOB", multiple=True, help="Only these types, like CameraLive or Peer*.")
@click.option("--stream", metavar="GLOB", help="Only these streams, like system or child/*.")
@click.option("--correlation", metavar="ID", help="Only what follows from one request or one fault.")
@click.option("--principal", metavar="WHO", help="Only what was asked for by system, actor or client:ADDRESS.")
@click.option(
    "--since", "--from", "since", type=Moment(), metavar="TIME|SEQ",
    help="From then on: ISO 8601, 03:10 for today, 10m for ten minutes ago, or #123.",
)  # fmt: skip
@click.option("--until", "--to", "until", type=Moment(), metavar="TIME|SEQ", help="Until then.")
@click.option(
    "--after", type=click.IntRange(0, 2**62), default=0, metavar="SEQ",
    help="Only events after this number: the last `seq` that was seen, to go on from there.",
)  # fmt: skip
@click.option(
    "--limit", "-n", type=click.IntRange(1, 2**31), metavar="N", help="Only the last N; with --after, the first."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")
@SALVAGE
def events(
    journal: Path,
    follow: bool,
    camera: str | None,
    types: tuple[str, ...],
    stream: str | None,
    correlation: str | None,
    principal: str | None,
    since: At | None,
    until: At | None,
    after: int,
    limit: int | None,
    as_json: bool,
    salvage: bool,
) -> None:
    """Print what happened, oldest first. JOURNAL is the journal's folder: ./journal, or $BANKEN_JOURNAL."""
    known = {event.__name__ for event in EVENTS}
    for kind in types:
        if not any(mark in kind for mark in "*?[") and kind not in known:
            like = did_you_mean(kind, known)
            fail(f"there is no type of event {kind!r}{like}; known: {', '.join(sorted(known))}")
    show = _as_json if as_json else _as_line
    with open_reader(journal, salvage) as reader:
        query = Query(after, types=types, stream=stream, correlation=correlation, principal=principal)
        if camera is not None:
            query = attrs.evolve(query, camera=require_camera(reader, camera))
        query = _within(reader, query, since, until)
        end = reader.bounds()[1]
        newest = limit is not None and not after
        page = reader.page(query, limit or PAGE, newest=newest)
        while page:
            _print(page, show)
            query = attrs.evolve(query, after=page[-1].seq)
            page = [] if limit else reader.page(query)
        if follow:
            import trio  # half of the time that it takes to begin, and only needed here

            trio.run(_follow, reader, attrs.evolve(query, after=max(query.after, end)), show)


def _within(reader: Reader, query: Query, since: At | None, until: At | None) -> Query:
    ends = [at.wall_ns for at in (since, until) if at is not None and at.wall_ns is not None]
    seqs = [seq_of(reader, at) for at in (since, until) if at is not None and at.seq is not None]
    if ends != sorted(ends) or seqs != sorted(seqs):
        fail("--from is after --to")
    if since is not None:
        if since.seq is not None:
            query = attrs.evolve(query, after=max(query.after, since.seq - 1))
        query = attrs.evolve(query, since_ns=since.wall_ns or 0)
    if until is not None and until.seq is not None:
        query = attrs.evolve(query, before=until.seq + 1)
    elif until is not None and until.wall_ns is not None:
        query = attrs.evolve(query, until_ns=until.wall_ns)
    return query


async def _follow(reader: Reader, query: Query, show: Any) -> None:
    import trio

    while True:
        end = reader.bounds()[1]
        page = reader.page(query)
        _print(page, show)
        seen = [recorded.seq for recorded in page[-1:]]
        query = attrs.evolve(query, after=max(query.after, *seen, *([end] if len(page) < PAGE else [])))
        if len(page) < PAGE:
            await trio.sleep(LOOK_EVERY_S)


def _print(page: list[Recorded], show: Any) -> None:
    for recorded in page:
        say(show(recorded))
    sys.stdout.flush()


def _as_line(recorded: Recorded) -> str:
    severity, text = describe(recorded.event)
    kind = click.style(f"{recorded.type:<20}", fg=COLOURS.get(severity))
    cause = f" (from {recorded.cause})" if recorded.cause else ""
    return f"{recorded.seq:>7}  {local(recorded.wall_ns)}  {kind} {clean(text)}{click.style(cause, dim=True)}"


def _as_json(recorded: Recorded) -> str:
    severity, text = describe(recorded.event)
    row = plain(recorded)
    row |= {"type": recorded.type, "version": recorded.event.version, "body": row.pop("event")}
    return json_text({**row, "severity": severity.value, "text": text})
