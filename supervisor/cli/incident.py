"""`banken incident`: a stretch of the journal in one file, for whoever can help; and back, with proof."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from ..incident.bundle import JOURNAL, REPORT, Damaged, NoBundle
from ..incident.export import MAX_NOTE, Wanted, export
from ..incident.verify import Proven, unpack, verify
from ..journal.errors import JournalError
from .opening import open_reader, require_camera, stretch_of
from .words import At, Digest, Moment, clean, fail, say, spoken

DAMAGED = 1
Progress = Callable[[int, int], None]


_FILE = click.argument("file", type=click.Path(path_type=Path))
_DIGEST = click.option("--digest", type=Digest(), metavar="HEX", help="The digest that the maker told you.")


@click.group()
def incident() -> None:
    """Send a stretch of the journal to somebody, and prove that it is what was written."""


@incident.command("export")
@click.argument("journal", type=click.Path(path_type=Path), envvar="BANKEN_JOURNAL", default="journal")
@click.option(
    "--from", "since", type=Moment(), required=True, metavar="TIME|SEQ", help="ISO 8601, or 2h for two hours ago."
)
@click.option("--to", "until", type=Moment(), required=True, metavar="TIME|SEQ", help="The same; both ends are in it.")
@click.option("--camera", metavar="NAME", help="What report, health and last words are about; the journal stays whole.")
@click.option("--note", default="", metavar="TEXT", help="Goes into the bundle and on top of the report.")
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The zip to make.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
def export_command(
    journal: Path, since: At, until: At, camera: str | None, note: str, output: Path, force: bool
) -> None:
    """Write all that happened between two times into one file: journal, health, last words, and a report to read.

    JOURNAL is the journal's folder: ./journal, or $BANKEN_JOURNAL; a daemon may be writing to it.
    """
    if len(note) > MAX_NOTE:
        fail(f"--note takes {MAX_NOTE} letters at most, not {len(note)}")
    if output.is_dir():
        fail(f"{output} is a folder; name the file to make, like {output / 'incident.zip'}")
    _require_folder(output.parent)
    if output.exists() and not force:
        fail(f"{output} is there already; --force replaces it")
    with open_reader(journal) as reader:
        part = stretch_of(reader, since, until)
        name = require_camera(reader, camera) if camera else None
    wanted = Wanted(part.since_ns, part.until_ns, name, note.encode(errors="replace").decode())
    with _trouble(output), _progress("Exporting") as progress:
        done = export(journal, wanted, output, time.time_ns(), progress)
    stretch = done.stretch
    say(f"{clean(str(output))}: events {stretch.first} to {stretch.last} ({done.events}), {_size(done.bytes)}")
    say(f"digest: {spoken(done.digest)}")


@incident.command("import")
@_FILE
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="FOLDER", help="[default: FILE without .zip]")
@_DIGEST
def import_command(file: Path, output: Path | None, digest: str | None) -> None:
    """Verify a bundle and unpack it into a folder of its own, to look into with the other commands.

    Report, health, configuration and last words are made of its journal here; the bundle's own are not unpacked.
    Without --digest nobody knows who made it: the digest has to come from somebody you trust, on another way.
    """
    folder = output or Path(file.stem)
    if folder.exists():
        fail(f"{folder} is there already; -o names another folder")
    _require_folder(folder.parent)
    with _trouble(file), _progress("Verifying") as progress:
        proven = unpack(file, folder, digest, progress)
    _tell(file, proven)
    say("Now look into it:")
    journal = clean(str(folder / JOURNAL))
    say(f"  {clean(str(folder / REPORT))}  (in a browser)")
    say(f"  banken replay {journal}")
    say(f"  banken why {proven.manifest.last} {journal}")


@incident.command("verify")
@_FILE
@_DIGEST
def verify_command(file: Path, digest: str | None) -> None:
    """Prove that a bundle is what was exported. Exit 0: it is; exit 1: it is not, and where; exit 2: it is none."""
    with _trouble(file), _progress("Verifying") as progress:
        proven = verify(file, digest, progress)
    _tell(file, proven)


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        fail(f"there is no folder {str(folder)!r}")


def _tell(file: Path, proven: Proven) -> None:
    said = proven.manifest
    span = f"{clean(said.since)} to {clean(said.until)}"
    name = clean(str(file))
    say(f"{name}: unaltered since it was made, by whom: unknown; {said.events} events ({said.first} to {said.last})")
    say(f"  from {span}")
    say(f"  chain: {said.batches} batches, {proven.hashes} states, {proven.seals} sealed segments met")
    for first, last in proven.gaps:
        say(f"  events {first} to {last} were never stored, as the journal itself says")
    by = f"made {clean(said.exported)} by banken {clean(said.banken)}, node {clean(said.node or '?')}"
    say(f"  it says of itself: {by}")
    if said.camera:
        say(f"  about: {clean(said.camera)}")
    if said.note:
        say(f"  note: {clean(said.note)}")
    if proven.differing:
        say(
            f"  not what its journal gives here: {clean(', '.join(proven.differing))}; import makes them of the journal"
        )
    say(f"digest: {spoken(proven.digest)}")


@contextmanager
def _trouble(file: Path) -> Iterator[None]:
    """What goes wrong in the block, as one line and the exit code that it has."""
    try:
        yield
    except Damaged as damage:
        _damaged(f"{file}: {damage}")
    except NoBundle as error:
        fail(f"{file}: {error}")
    except JournalError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{file}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(130)


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


def _size(count: int) -> str:
    return f"{count / 1024:.0f} kB" if count < 1024**2 else f"{count / 1024**2:.1f} MB"
