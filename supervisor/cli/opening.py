"""What every command over a journal shares: its argument, how it is opened, and places in it that are asked for."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import click

from ..analysis.replay import event, state_at
from ..domain.ids import CameraId
from ..journal.errors import FOREIGN, JournalError
from ..journal.reader import Damage, Query, Reader
from .words import At, Moment, clean, did_you_mean, fail, local, say

INTERRUPTED = 130

JOURNAL = click.argument("journal", type=click.Path(path_type=Path), envvar="BANKEN_JOURNAL", default="journal")
SALVAGE = click.option("--salvage", is_flag=True, help="Leave out what is damaged, and say so, rather than stop there.")
JSON = click.option("--json", "as_json", is_flag=True, help="JSON, for scripts.")


def between(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options `--from` and `--to`."""
    until = click.option("--to", "until", type=Moment(), metavar="TIME|SEQ", help="Until then [default: the end].")
    since = click.option(
        "--from", "since", type=Moment(), metavar="TIME|SEQ", help="From then on [default: the start]."
    )
    return since(until(function))


@contextmanager
def quietly() -> Iterator[None]:
    """What can happen to any command: bad journals are one line and exit 2; Ctrl+C and a closed pipe are no error."""
    try:
        yield
        sys.stdout.flush()
    except JournalError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, UnicodeError) as error:
        fail(f"cannot go on: {error}")
    except FOREIGN as error:
        fail(f"the journal holds what no banken writes: {type(error).__name__}: {str(error)[:200]}")


@contextmanager
def open_reader(journal: Path, salvage: bool = False) -> Iterator[Reader]:
    """A reader for the length of the block. What is damaged is said on stderr, or ends the command."""

    def tell(damage: Damage) -> None:
        say(f"banken: damaged, left out: {clean(str(damage))}", err=True)

    with quietly():
        reader = Reader(journal, tell if salvage else None)
        try:
            yield reader
        finally:
            reader.close()


@attrs.frozen
class Stretch:
    """A part of a journal, by numbers of events and by times; both ends are in it."""

    first: int
    last: int
    since_ns: int
    until_ns: int


def spans(reader: Reader) -> str:
    """What there is of a journal, in words."""
    first, last = reader.bounds()
    if last < first:
        return "the journal is empty"
    ends = [event(reader, seq) for seq in (first, last)]
    whens = [
        f"#{seq} ({local(one.wall_ns) if one else 'damaged'})" for seq, one in zip((first, last), ends, strict=True)
    ]
    return f"the journal spans {whens[0]} to {whens[1]}"


def seq_of(reader: Reader, at: At | None) -> int:
    """The last event at a place; the last of all for none. Fails where the journal does not reach."""
    first, last = reader.bounds()
    if last < first:
        fail("the journal is empty")
    if at is None:
        return last
    if at.seq is not None:
        if not first - 1 <= at.seq <= last:
            fail(f"there is no event #{at.seq}; {spans(reader)}")
        return at.seq
    seq = reader.seq_at(at.wall_ns or 0)
    if seq < first:
        fail(f"nothing is known of {local(at.wall_ns or 0)}; {spans(reader)}")
    return seq


def stretch_of(reader: Reader, since: At | None, until: At | None) -> Stretch:
    """The part between two places. Fails where there is none."""
    first, last = reader.bounds()
    if last < first:
        fail("the journal is empty")
    begin_ns, until_ns = (_wall(reader, at, end) for at, end in ((since, first), (until, last)))
    if begin_ns > until_ns or (since and until and (since.seq or 0) > (until.seq or 2**62)):
        if until is None or since is None:
            fail(f"nothing is known of that time; {spans(reader)}")
        fail(f"--from ({local(begin_ns)}) is after --to ({local(until_ns)})")
    first_seq = since.seq if since and since.seq is not None else reader.seq_at(begin_ns - 1) + 1
    last_seq = until.seq if until and until.seq is not None else reader.seq_at(until_ns)
    if last_seq < first or first_seq > last:
        fail(f"nothing is known of that time; {spans(reader)}")
    return Stretch(max(first, first_seq), last_seq, begin_ns, until_ns)


def _wall(reader: Reader, at: At | None, otherwise: int) -> int:
    if at is not None and at.wall_ns is not None:
        return at.wall_ns
    seq = otherwise if at is None or at.seq is None else at.seq
    first, last = reader.bounds()
    if not first <= seq <= last:
        fail(f"there is no event #{seq}; {spans(reader)}")
    found = event(reader, seq)
    if found is None and at is None:
        rows = reader.page(limit=1, newest=seq == last)
        found = rows[0] if rows else None
    if found is None:
        fail(f"event #{seq} is not in the journal: it was lost, or is damaged")
    return found.wall_ns


def require_camera(reader: Reader, camera: str) -> CameraId:
    """The camera, if the journal knows it, also if it is gone by now."""
    name = CameraId(camera)
    if not reader.page(Query(camera=name), 1):
        state = state_at(reader, reader.bounds()[1])
        known = {str(name) for name in state.cameras}
        for part in reader.parts():
            found = part.rows("SELECT DISTINCT body ->> 'camera' FROM event WHERE body ->> 'camera' IS NOT NULL")
            known |= {name for (name,) in found}
        named = ", ".join(sorted(known)[:30]) or "none"
        fail(f"the journal knows no camera {camera!r}{did_you_mean(camera, known)}; cameras known: {named}")
    return name
