"""Pins that a daemon makes: of a stretch of time, with its events and its footage.

Rules of this file:
- Without a daemon that runs, a pin keeps the journal alone, as in 0.1.0 (`maintenance.py`).
- The daemon decides what is in the future, and whether there is footage: its clock and its archives count.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import click

from ..base.times import iso
from ..config.table import variable_of
from ..domain.state import StretchPin
from ..domain.words import plural, size
from ..forensics.replay import state_at
from ..journal import times
from ..journal.files import list_segments
from ..journal.reader import Reader
from ..ports.errors import JournalError
from ..ports.questions import At
from .access import RunningDaemon
from .control import ControlConnection
from .daemon_address import journal_in, place_of, setting_in, text_of
from .journal_argument import stretch_of
from .remote import Body
from .terminal import clean, fail, say, zone

PATIENCE_S = 5.0


def daemon_of(
    journal: Path, *, is_default: bool, url: str | None, state: Path | None, config: Path
) -> RunningDaemon | None:
    """The daemon that is meant, or the one that writes to this journal; None if none runs."""
    if url is not None or state is not None:
        return RunningDaemon(place_of(url, state, config), config)
    if not config.is_file():
        return None
    text = text_of(config)
    for names in (("state", "path"), ("journal", "path")):
        if "${" in (os.environ.get(variable_of(".".join(names))) or setting_in(text, *names)):
            return None
    if not is_default and journal.resolve() != journal_in(config).resolve():
        return None
    where = place_of(None, None, config)
    assert isinstance(where, Path)
    connection = ControlConnection(where, PATIENCE_S)
    try:
        connection.connect()
    except OSError:
        return None
    finally:
        connection.close()
    return RunningDaemon(where, config)


def pin_at(
    daemon: RunningDaemon,
    name: str,
    journal: Path,
    since: At | None,
    until: At | None,
    cameras: Sequence[str],
    note: str,
) -> Body:
    """Have the daemon pin a stretch. Ends the command with 1 if it refuses."""
    begin_ns = _begin_of(since, journal)
    sent: Body = {
        "pin": name,
        "from": iso(begin_ns, timespec="microseconds"),
        "cameras": list(cameras) or None,
        "note": note,
    }
    end_ns = _end_of(until, journal)
    if end_ns is not None:
        sent["to"] = iso(end_ns, timespec="microseconds")
    return daemon.ask("POST", "pins", 201, "pin", sent)


def sentence_of(body: Body) -> str:
    """The answer of the daemon in words."""
    span = f"{clean(str(body['pin']))}: {clean(str(body.get('from')))} to {clean(str(body.get('to')))} is kept"
    cameras, bytes_of = body.get("cameras", []), int(body.get("bytes") or 0)
    if not bytes_of:
        return f"{span}: the events, and footage that is being recorded; there is no complete file of that time"
    return f"{span}: the events, and {size(bytes_of)} of footage of {plural(len(cameras), 'camera')}"


def release_at(daemon: RunningDaemon, name: str) -> None:
    """Have the daemon release a pin. Ends the command with 1 if it refuses."""
    daemon.ask("DELETE", f"pins/{quote(name, safe='')}", 204)


def pins_in(journal: Path) -> dict[str, StretchPin]:
    """The pins of a daemon, as its journal has them."""
    reader = Reader(journal)
    try:
        return dict(state_at(reader, reader.bounds()[1]).pins.items())
    except JournalError as error:
        say(f"banken: pins of footage are not listed: {clean(str(error))}", err=True)
        return {}
    finally:
        reader.close()


def _begin_of(at: At | None, journal: Path) -> int:
    if at is not None and at.seq is None:
        now_ns = time.time_ns()
        return times.interval(at, zone(), now_ns, now_ns).begin_ns
    return _stretch(at, None, journal).since_ns


def _end_of(at: At | None, journal: Path) -> int | None:
    """The end of a stretch; None for now, also for a day that has not passed yet."""
    if at is None:
        return None
    if at.seq is not None:
        return _stretch(None, at, journal).until_ns
    now_ns = time.time_ns()
    asked = times.interval(at, zone(), now_ns, now_ns)
    return None if asked.is_day and asked.begin_ns <= now_ns < asked.end_ns else asked.end_ns


def _stretch(since: At | None, until: At | None, journal: Path) -> times.Stretch:
    if not journal.is_dir() or not list_segments(journal):
        fail(f"--from must be a time, since the journal is not here ({journal})")
    reader = Reader(journal)
    try:
        return stretch_of(reader, since, until, running=True)
    finally:
        reader.close()


def is_default(name: str) -> bool:
    """Whether a parameter of this command was not given."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.DEFAULT
