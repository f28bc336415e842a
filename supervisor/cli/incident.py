"""`banken incident`: a stretch of the journal in one file, for whoever can help; and back, with proof."""

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from ..config.state_folder import control_in
from ..domain.words import plural, size
from ..forensics.incident.bundle import JOURNAL, REPORT, Damaged, NoBundle
from ..forensics.incident.export import MAX_NOTE, Exported, Wanted, export
from ..forensics.incident.verify import VerifiedBundle, unpack, verify
from ..forensics.incident.words import PROVES
from ..ports.errors import JournalError
from ..ports.questions import At
from .control import ControlConnection, trouble_at
from .journal_argument import open_reader, require_camera, stretch_of
from .terminal import UTC_OPTION, Digest, TimeOrSeq, clean, exit_on_signals, fail, say, spoken

DAMAGED = 1
NOTE_S, NOTED = 5.0, 204
"""How long the daemon is asked to journal an export, and its answer."""
Progress = Callable[[int, int], None]


_FILE = click.argument("file", type=click.Path(path_type=Path))
_DIGEST = click.option("--digest", type=Digest(), metavar="HEX", help="The digest that you got from its author.")


@click.group()
def incident() -> None:
    """Export, import and verify a stretch of the journal as one file."""


@incident.command("export")
@click.argument("journal", type=click.Path(path_type=Path), envvar="BANKEN_JOURNAL", default="journal")
@click.option(
    "--from",
    "--since",
    "since",
    type=TimeOrSeq(),
    required=True,
    metavar="TIME|SEQ",
    help="ISO 8601, 03:10 on the day of the journal's end, yesterday 03:10, 2h for two hours ago, or #123.",
)
@click.option(
    "--to",
    "--until",
    "until",
    type=TimeOrSeq(),
    required=True,
    metavar="TIME|SEQ",
    help="The same; both ends are included.",
)
@click.option("--camera", metavar="NAME", help="Limits report, health and last output; the journal stays complete.")
@click.option("--note", default="", metavar="TEXT", help="A note for the bundle, at the top of its report.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The zip file to write."
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("--anonymous", is_flag=True, help="Replace names of users and tokens, addresses, browsers and labels.")
@UTC_OPTION
def export_command(
    journal: Path, since: At, until: At, camera: str | None, note: str, output: Path, force: bool, anonymous: bool
) -> None:
    """Write the journal between two times into one file, with health, last output, and a report.

    JOURNAL is the journal's folder: ./journal, or $BANKEN_JOURNAL; a daemon may be writing to it. A daemon with the
    default state folder journals the export, for `banken audit`. With --anonymous, the same name has the same pseudonym
    in the whole bundle. Such a bundle proves that nothing was changed since its export, and not what the daemon wrote.
    Names of cameras, and addresses and texts of devices stay: read its report before you pass it on.
    """
    if len(note) > MAX_NOTE:
        fail(f"--note takes {MAX_NOTE} letters at most, not {len(note)}")
    if output.is_dir():
        fail(f"{output} is a folder; name the file to make, like {output / 'incident.zip'}")
    _require_folder(output.parent)
    if output.exists() and not force:
        fail(f"{output} exists already; --force replaces it")
    with open_reader(journal) as reader:
        part = stretch_of(reader, since, until)
        name = require_camera(reader, camera) if camera else None
    wanted = Wanted(part.since_ns, part.until_ns, name, note.encode(errors="replace").decode(), part.events, anonymous)
    with _trouble(output), _progress("Exporting") as progress:
        done = export(journal, wanted, output, time.time_ns(), progress)
    stretch = done.stretch
    say(f"{clean(str(output))}: events {stretch.first} to {stretch.last} ({done.events}), {size(done.bytes)}")
    if anonymous:
        say(f"anonymized: {PROVES}")
    say(f"digest: {spoken(done.digest)}")
    _note(journal, done, anonymous)


def _note(journal: Path, done: Exported, anonymous: bool) -> None:
    """Tell the daemon of the journal, if one runs, so that the audit has the export."""
    control = control_in(journal.resolve().parent)
    if not control.exists():
        return
    body = {"first": done.stretch.first, "last": done.stretch.last, "digest": done.digest, "anonymous": anonymous}
    try:
        connection = ControlConnection(control, NOTE_S)
        try:
            connection.request("POST", "/api/exports", json.dumps(body), {"Content-Type": "application/json"})
            status = connection.getresponse().status
        finally:
            connection.close()
        wrong = "" if status == NOTED else f"the answer is {status}"
    except (OSError, http.client.HTTPException) as error:
        wrong = trouble_at(control, error)
    if wrong:
        say(f"banken: the audit does not have this export: {clean(wrong)}", err=True)


@incident.command("import")
@_FILE
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="FOLDER", help="[default: FILE without .zip]")
@_DIGEST
def import_command(file: Path, output: Path | None, digest: str | None) -> None:
    """Verify a bundle and unpack it into a new folder, for the other commands.

    Report, health, configuration and last output are made from its journal; those in the bundle are not unpacked. Only
    --digest proves its origin: the digest must come from somebody you trust, on another channel.
    """
    folder = output or Path(file.stem)
    if folder.exists():
        fail(f"{folder} exists already; -o names another folder")
    _require_folder(folder.parent)
    with _trouble(file), _progress("Verifying") as progress:
        proven = unpack(file, folder, digest, progress)
    _tell(file, proven)
    say("Now look into it:")
    journal = clean(str(folder / JOURNAL))
    _, last = proven.manifest.asked or (proven.manifest.first, proven.manifest.last)
    say(f"  {clean(str(folder / REPORT))}  (in a browser)")
    say(f"  banken replay {journal}")
    say(f"  banken why {last} {journal}")


@incident.command("verify")
@_FILE
@_DIGEST
def verify_command(file: Path, digest: str | None) -> None:
    """Verify that a bundle is unchanged since its export. Exit 0: unchanged; exit 1: changed, with the place; exit 2:
    not a bundle."""
    with _trouble(file), _progress("Verifying") as progress:
        proven = verify(file, digest, progress)
    _tell(file, proven)


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        fail(f"there is no folder {str(folder)!r}")


def _tell(file: Path, proven: VerifiedBundle) -> None:
    said = proven.manifest
    span = f"{clean(said.since)} to {clean(said.until)}"
    name = clean(str(file))
    events = f"{plural(said.events, 'event')} ({said.first} to {said.last})"
    say(f"{name}: unaltered since it was made, by whom: unknown; {events}")
    say(f"  from {span}")
    seals = plural(proven.seals, "sealed segment")
    say(f"  chain: {plural(said.batches, 'batch', 'batches')}, {plural(proven.hashes, 'state')}, {seals} met")
    for first, last in proven.gaps:
        say(f"  events {first} to {last} were never stored, as the journal itself says")
    by = f"made {clean(said.exported)} by banken {clean(said.banken)}, node {clean(said.node or '?')}"
    say(f"  it says of itself: {by}")
    if said.camera:
        say(f"  about: {clean(said.camera)}")
    if said.anonymous is not None:
        counts = ", ".join(plural(count, clean(kind)) for kind, count in said.anonymous.items()) or "no name was found"
        say(f"  anonymized: {counts}. {PROVES}")
    if said.note:
        say(f"  note: {clean(said.note)}")
    if proven.differing:
        say(
            f"  not what its journal gives here: {clean(', '.join(proven.differing))}; import makes them of the journal"
        )
    say(f"digest: {spoken(proven.digest)}")


@contextmanager
def _trouble(file: Path) -> Iterator[None]:
    """Errors of the block, as one line and the exit code that each has; a signal ends it in good order."""
    try:
        with exit_on_signals():
            yield
    except Damaged as damage:
        _damaged(f"{file}: {damage}")
    except NoBundle as error:
        fail(f"{file}: {error}")
    except JournalError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{file}: {error.strerror or error}")


def _damaged(line: str) -> NoReturn:
    say(f"banken: {clean(line)}", err=True)
    sys.exit(DAMAGED)


@contextmanager
def _progress(label: str) -> Iterator[Progress]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    with click.progressbar(length=1000, label=label, file=sys.stderr, show_eta=False) as bar:

        def tell(done: int, of: int) -> None:
            bar.update(max(0, min(1000, done * 1000 // max(1, of)) - bar.pos))

        yield tell
