"""`banken events`: the journal in the terminal, with or without a daemon beside it."""

import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import attrs
import click

from ..base.printable import json_text
from ..domain.catalogue import EVENTS, types_from
from ..domain.core import Severity
from ..domain.describe import describe
from ..domain.events import Recorded
from ..domain.values import plain
from ..journal.reader import PAGE, Reader
from ..ports.questions import At, Query
from .journal_argument import JOURNAL, SALVAGE, open_reader, require_camera, stretch_of
from .terminal import COLOURS, UTC_OPTION, TimeOrSeq, clean, did_you_mean, fail, local, say, timed

LOOK_EVERY_S = 0.25


@click.command()
@JOURNAL
@click.option("--follow", "-f", is_flag=True, help="Print new events as they arrive, until Ctrl+C.")
@click.option("--camera", metavar="NAME", help="Only this camera, its children and its viewers.")
@click.option(
    "--type", "types", metavar="GLOB", multiple=True, help="Only this type, like CameraLive or Peer*; may be repeated."
)
@click.option(
    "--level", type=click.Choice([each.value for each in Severity]), help="Only events of this level and above."
)
@click.option("--stream", metavar="GLOB", help="Only these streams, like system or child/*.")
@click.option("--correlation", metavar="ID", help="Only events that follow from one request or one fault.")
@click.option(
    "--principal", metavar="WHO", help="Only events of this principal: system, actor, local or client:ADDRESS."
)
@click.option(
    "--since", "--from", "since", type=TimeOrSeq(), metavar="TIME|SEQ",
    help="Begin: ISO 8601, 03:10 on the day of the journal's end, yesterday 03:10, 10m ago, or #123.",
)  # fmt: skip
@click.option("--until", "--to", "until", type=TimeOrSeq(), metavar="TIME|SEQ", help="End, in the same forms.")
@click.option(
    "--after", type=click.IntRange(0, 2**62), default=0, metavar="SEQ",
    help="Only events after this number, to continue after a known `seq`.",
)  # fmt: skip
@click.option(
    "--limit", "-n", type=click.IntRange(1, 2**31), metavar="N", help="Only the last N; with --after, the first."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, for scripts.")
@UTC_OPTION
@SALVAGE
def events(
    journal: Path,
    follow: bool,
    camera: str | None,
    types: tuple[str, ...],
    level: str | None,
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
    """Print the events, oldest first. JOURNAL is the journal's folder: ./journal, or $BANKEN_JOURNAL."""
    known = {event.__name__ for event in EVENTS}
    for kind in types:
        if not any(mark in kind for mark in "*?[") and kind not in known:
            like = did_you_mean(kind, known)
            fail(f"there is no type of event {kind!r}{like}; known: {', '.join(sorted(known))}")
    if level is not None:
        types = _of_level(Severity(level), types)
    show = _as_json if as_json else _as_line
    with open_reader(journal, salvage) as reader:
        query = Query(after, types=types, stream=stream, correlation=correlation, principal=principal)
        if camera is not None:
            query = attrs.evolve(query, camera=require_camera(reader, camera))
        if since or until:
            query = _within(reader, query, since, until, follow)
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


def _of_level(level: Severity, globs: tuple[str, ...]) -> tuple[str, ...]:
    """The types of this level and above that match one of the globs, if there are any. Exits where there is no type."""
    found = tuple(kind for kind in types_from(level) if not globs or any(fnmatchcase(kind, glob) for glob in globs))
    if not found:
        fail(f"no type of event that --type names has the level {level.value} or a higher one")
    return found


def _within(reader: Reader, query: Query, since: At | None, until: At | None, follow: bool) -> Query:
    if follow and until is not None:
        fail("--follow and --until exclude each other")
    if follow and reader.bounds()[1] == 0:
        return query
    part = stretch_of(reader, since, until, running=follow)
    if since is not None and since.seq is not None:
        query = attrs.evolve(query, after=max(query.after, since.seq - 1))
    elif since is not None:
        query = attrs.evolve(query, since_ns=part.since_ns)
    if until is not None and until.seq is not None:
        query = attrs.evolve(query, before=until.seq + 1)
    elif until is not None:
        query = attrs.evolve(query, until_ns=part.until_ns)
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
    body = row.pop("event")
    row |= {"type": recorded.type, "version": recorded.event.version}
    return json_text({**timed(row), "body": body, "severity": severity.value, "text": text})
