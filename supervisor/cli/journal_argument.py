"""Shared by every command over a journal: its argument, how it is opened, and positions in it."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ..domain.errors import Rejected
from ..domain.ids import CameraId
from ..forensics.renames import note
from ..forensics.replay import state_at
from ..journal import times
from ..journal.errors import FOREIGN
from ..journal.files import PREFIX, SUFFIX
from ..journal.reader import Damage, Reader
from ..ports.errors import JournalError
from ..ports.questions import At, Query
from .terminal import UTC_OPTION, TimeOrSeq, clean, did_you_mean, fail, local, say, zone

INTERRUPTED = 130

JOURNAL = click.argument("journal", type=click.Path(path_type=Path), envvar="BANKEN_JOURNAL", default="journal")
SALVAGE = click.option("--salvage", is_flag=True, help="Skip damaged parts with a warning, instead of stopping there.")
JSON = click.option("--json", "as_json", is_flag=True, help="JSON, for scripts.")


def between(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options `--from` and `--to`, which are also called `--since` and `--until`, and `--utc` for both."""
    until = click.option(
        "--to", "--until", "until", type=TimeOrSeq(), metavar="TIME|SEQ", help="End [default: now, or the end]."
    )
    since = click.option(
        "--from", "--since", "since", type=TimeOrSeq(), metavar="TIME|SEQ", help="Begin [default: the start]."
    )
    return since(until(UTC_OPTION(function)))


@contextmanager
def quietly() -> Iterator[None]:
    """Errors of any command: a bad journal is one line and exit 2; Ctrl+C and a closed pipe are not errors."""
    try:
        yield
        sys.stdout.flush()
    except (JournalError, Rejected) as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, UnicodeError) as error:
        fail(f"cannot go on: {error}")
    except FOREIGN as error:
        fail(f"the journal has content that banken does not write: {type(error).__name__}: {str(error)[:200]}")


@contextmanager
def open_reader(journal: Path, salvage: bool = False) -> Iterator[Reader]:
    """A reader for the length of the block. Damage is reported on stderr, or ends the command."""

    def tell(damage: Damage) -> None:
        say(f"banken: damaged, left out: {clean(str(damage))}", err=True)

    with quietly():
        reader = Reader(journal, tell if salvage else None)
        try:
            yield reader
        finally:
            reader.close()


def require_order(first: str, journal: Path, name: str) -> None:
    """Exit with the right order where the arguments were exchanged: `first` is a journal, and `journal` is not."""
    if not journal.exists() and (Path(first).is_file() or any(Path(first).glob(f"{PREFIX}*{SUFFIX}"))):
        command = click.get_current_context().info_name
        fail(
            f"{first} is a journal: name it last, as in `banken {command} {name} {first}`, with {str(journal)!r} first"
        )


def spans(reader: Reader) -> str:
    """The span of a journal, in words."""
    return str(times.span_of(reader, zone()))


def seq_of(reader: Reader, at: At | None) -> int:
    """The last event at a place; the last of all for none. Raises `Rejected` where nothing is known."""
    return place_of(reader, at).seq


def place_of(reader: Reader, at: At | None) -> times.Place:
    """The last event at a place, and its instant. Raises `Rejected` where nothing is known."""
    return times.find(reader, at, zone())


def stretch_of(reader: Reader, since: At | None, until: At | None, *, running: bool = False) -> times.Stretch:
    """The part between two places. Raises `Rejected` where nothing is known."""
    return times.find_stretch(reader, since, until, zone(), running=running)


def require_camera(reader: Reader, camera: str) -> CameraId:
    """The camera, if the journal knows it. One that is gone by now, or had another name, is answered with that, too."""
    name = CameraId(camera)
    if not name or not reader.page(Query(camera=name), 1):
        state = state_at(reader, reader.bounds()[1])
        known = {str(name) for name in state.cameras}
        for part in reader.parts():
            found = part.rows("SELECT DISTINCT body ->> 'camera' FROM event WHERE body ->> 'camera' <> ''")
            known |= {name for (name,) in found}
        named = ", ".join(sorted(known)[:30]) or "none"
        fail(f"the journal knows no camera {camera!r}{did_you_mean(camera, known)}; cameras known: {named}")
    if said := note(reader, name, local):
        say(f"banken: note: {clean(said)}", err=True)
    return name
