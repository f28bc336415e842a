"""`banken footage`: the recordings of an archive, listed, verified and repaired, without a daemon."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import click

from actors.media.media import CLOCK_RATE
from actors.recorder.archive_writer import list_files, lock_archive, repair_file
from actors.recorder.disk import FOLDER_FLAGS, Disk
from actors.recorder.verify import verify_archive, verify_file

from ..cli.journal_argument import JSON, SALVAGE, open_reader, quietly
from ..cli.terminal import clean, fail, local, say, say_json, say_progress
from ..domain.events import Recorded, RecordingEvent
from ..domain.words import plural, seconds, size
from ..ports.questions import NEVER

DAMAGED = 1
ARCHIVE = click.argument("archive", type=click.Path(path_type=Path), default="recordings")


def require_archive(archive: Path) -> None:
    if not archive.is_dir():
        fail(f"{archive} is no folder: name the folder of the recordings (record.path)")


def _paths(archive: Path, camera: str | None) -> Iterator[str]:
    require_archive(archive)
    yield from (path for path in list_files(archive) if camera is None or path.startswith(f"{camera}/"))


@click.command("list")
@ARCHIVE
@click.option("--camera", metavar="NAME", help="Only this camera.")
@JSON
def list_footage(archive: Path, camera: str | None, as_json: bool) -> None:
    """List the recording files of ARCHIVE: when each begins, how long it is, and whether it is whole."""
    with quietly():
        count, length, total = 0, 0.0, 0
        for path in _paths(archive, camera):
            walked = verify_file(archive, path).walked
            duration_s = walked.duration / CLOCK_RATE
            began_ns = walked.fragments[0].place.wall_ns if walked.fragments else None
            state = "whole" if walked.is_sealed else walked.damage or "growing"
            if as_json:
                say_json(
                    {
                        "file": path,
                        "began_ns": began_ns,
                        "duration_s": round(duration_s, 3),
                        "bytes": walked.size,
                        "state": state,
                    }
                )
            else:
                since = "-" if began_ns is None else local(began_ns)
                say(f"{since}  {seconds(duration_s):>7}  {size(walked.size):>10}  {path}  {state}")
            count, length, total = count + 1, length + duration_s, total + walked.size
        if not as_json:
            say(f"{plural(count, 'recording file')}, {seconds(length)}, {size(total)}" if count else "no recordings")


@click.command()
@ARCHIVE
@click.argument("journal", type=click.Path(path_type=Path), envvar="BANKEN_JOURNAL", default="journal")
@click.option(
    "--also",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Another archive of the same journal. Name them all: else their files are missing.",
)
@SALVAGE
@JSON
def verify(archive: Path, journal: Path, also: tuple[Path, ...], salvage: bool, as_json: bool) -> None:
    """Verify the recordings of ARCHIVE: read each file, and compare it with the seals in JOURNAL.

    Exit 1: a file is damaged, is not the one that was sealed, or is of a recording that the journal does not know; or
    one is missing that retention did not remove. A file whose SHA-256 the journal has is exactly the
    file that was recorded. Somebody who can write both the archive and the journal can make others. That the
    journal is the one of then is shown by `banken verify --expect DIGEST`, with a digest that was noted elsewhere.
    """
    for folder in (archive, *also):
        require_archive(folder)
    with open_reader(journal, salvage) as reader:
        last = reader.bounds()[1]

        def rows(first: int, last: int) -> Iterator[Recorded]:
            return (row for row in reader.events(first, last) if isinstance(row.event, RecordingEvent))

        found = verify_archive(
            archive,
            rows(1, last),
            lambda: rows(last + 1, NEVER - 1),
            lambda path: say_progress(f"verifying {path}"),
            also,
        )
        say_progress("")
        if as_json:
            say_json(attrs.asdict(found))
        else:
            for finding in found.findings:
                say(f"{finding.kind}: {clean(finding.path)}: {clean(finding.text)}")
            say(
                f"{plural(found.files, 'recording file')}, {size(found.bytes)}: {found.proven} as they were sealed, "
                f"{found.unsealed} whole and not sealed yet, {found.removed} sealed and removed since"
            )
    if not found.is_whole:
        sys.exit(DAMAGED)


@click.command()
@ARCHIVE
@click.option("--yes", is_flag=True, help="Repair them; without it, they are only listed.")
@JSON
def repair(archive: Path, yes: bool, as_json: bool) -> None:
    """End files of ARCHIVE that were cut off behind their last whole second, as a daemon does at its start.

    No daemon may write to the archive meanwhile. A file without a whole second is removed.
    """
    with quietly():
        require_archive(archive)
        folder = os.open(archive, FOLDER_FLAGS)
        lock_archive(archive, folder)
        for path in _paths(archive, None):
            walked = verify_file(archive, path).walked
            if walked.is_sealed:
                continue
            repaired = repair_file(Disk(), folder, path) if yes else None
            left = walked.duration / CLOCK_RATE
            if as_json:
                say_json(
                    {"file": path, "damage": walked.damage, "left_s": round(left, 3), "repaired": repaired is not None}
                )
            else:
                did = "repaired" if repaired is not None else "removed or set aside" if yes else "to repair"
                say(f"{did}: {clean(path)}: {seconds(left)} are whole; {clean(walked.damage or 'it has no end')}")
