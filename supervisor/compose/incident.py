"""`banken incident`: a stretch of the journal in one file, for whoever can help; and back, with proof."""

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

import attrs
import click

from ..base.times import iso
from ..cli.control import ControlConnection, trouble_at
from ..cli.journal_argument import open_reader, require_camera, stretch_of
from ..cli.terminal import UTC_OPTION, Digest, TimeOrSeq, clean, exit_on_signals, fail, say, spoken
from ..config.state_folder import control_in
from ..domain.words import plural, seconds, size
from ..forensics.incident.bundle import JOURNAL, MAX_VIDEO, REPORT, VIDEO, Damaged, NoBundle
from ..forensics.incident.export import MAX_NOTE, Exported, Wanted, export
from ..forensics.incident.verify import NotedDigests, VerifiedBundle, unpack, verify
from ..forensics.incident.video import CameraVideo, WantedVideo, sentence_of
from ..forensics.incident.words import PROVES
from ..ports.errors import JournalError
from ..ports.questions import At
from .bundled_video import find_video, walk_video

DAMAGED = 1
NOTE_S, NOTED = 5.0, 204
"""How long the daemon is asked to journal an export, and its answer."""
Progress = Callable[[int, int], None]


_FILE = click.argument("file", type=click.Path(path_type=Path))
_DIGEST = click.option("--digest", type=Digest(), metavar="HEX", help="The digest that you got from its author.")
_EXPECT = click.option(
    "--expect", type=Digest(), metavar="HEX", help="A digest of the journal's chain that was noted elsewhere."
)


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
@click.option("--video", metavar="CAMERA[,CAMERA]", default="", help="Recordings of these cameras, as whole files.")
@click.option("--video-from", type=TimeOrSeq(), metavar="TIME|SEQ", help="Begin of the video [default: --from].")
@click.option("--video-to", type=TimeOrSeq(), metavar="TIME|SEQ", help="End of the video [default: --to].")
@click.option("--archive", type=click.Path(path_type=Path), default="recordings", show_default=True, metavar="FOLDER")
@click.option(
    "--max-video",
    type=click.IntRange(1, MAX_VIDEO >> 20),
    default=512,
    show_default=True,
    metavar="MIB",
    help="The largest size of the video.",
)
@click.option(
    "--expect",
    type=Digest(),
    metavar="HEX",
    help="A digest of the chain that was noted elsewhere: the bundle goes on to its event, for verify --expect.",
)
@UTC_OPTION
def export_command(
    journal: Path,
    since: At,
    until: At,
    camera: str | None,
    note: str,
    output: Path,
    force: bool,
    anonymous: bool,
    video: str,
    video_from: At | None,
    video_to: At | None,
    archive: Path,
    max_video: int,
    expect: str | None,
) -> None:
    """Write the journal between two times into one file, with health, last output, a report, and recordings.

    JOURNAL is the journal's folder: ./journal, or $BANKEN_JOURNAL; a daemon may be writing to it. A daemon with the
    default state folder journals the export, for `banken audit`. With --anonymous, the same name has the same pseudonym
    in the whole bundle. Such a bundle proves that nothing was changed since its export, and not what the daemon wrote.
    Names of cameras, and addresses and texts of devices stay: read its report before you pass it on.

    Video is taken from the archive FOLDER in whole files, since the journal has sealed whole files. The journal in the
    bundle goes on to their seals. A file that the journal has sealed and that was changed since is left out, and named.
    """
    if len(note) > MAX_NOTE:
        fail(f"--note takes {MAX_NOTE} letters at most, not {len(note)}")
    if output.is_dir():
        fail(f"{output} is a folder; name the file to make, like {output / 'incident.zip'}")
    if anonymous and (video or expect):
        fail("--anonymous goes with neither --video nor --expect: pictures show people, and its journal is another one")
    if video:
        _require_folder(archive)
    _require_folder(output.parent)
    if output.exists() and not force:
        fail(f"{output} exists already; --force replaces it")
    with open_reader(journal) as reader:
        part = stretch_of(reader, since, until)
        name = require_camera(reader, camera) if camera else None
        shown = stretch_of(reader, video_from or since, video_to or until) if video else part
        names = dict.fromkeys(require_camera(reader, each.strip()) for each in video.split(",")) if video else {}
    text = note.encode(errors="replace").decode()
    wanted = Wanted(part.since_ns, part.until_ns, name, text, part.events, anonymous, expect=expect)
    if video:
        chosen = (*names,), shown.since_ns, shown.until_ns
        find = partial(find_video, archive, *chosen, max_video << 20, _say_video)
        wanted = attrs.evolve(wanted, video=WantedVideo(*chosen, find, walk_video))
    with _trouble(output), _progress("Exporting") as progress:
        done = export(journal, wanted, output, time.time_ns(), progress)
    stretch = done.stretch
    say(f"{clean(str(output))}: events {stretch.first} to {stretch.last} ({done.events}), {size(done.bytes)}")
    if anonymous:
        say(f"anonymized: {PROVES}")
    for text in done.left_out:
        say(f"left out: {clean(text)}")
    say(f"digest: {spoken(done.digest)}")
    _note(journal, done, anonymous)


def _say_video(text: str) -> None:
    say(f"video: {clean(text)}")


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
@_EXPECT
def import_command(file: Path, output: Path | None, digest: str | None, expect: str | None) -> None:
    """Verify a bundle and unpack it into a new folder, for the other commands.

    Report, health, configuration and last output are made from its journal; those in the bundle are not unpacked. Only
    --digest proves its origin: the digest must come from somebody you trust, on another channel.
    """
    folder = output or Path(file.stem)
    if folder.exists():
        fail(f"{folder} exists already; -o names another folder")
    _require_folder(folder.parent)
    with _trouble(file), _progress("Verifying") as progress:
        proven = unpack(file, folder, NotedDigests(digest, expect), walk_video, progress)
    _tell(file, proven)
    say("Now look into it:")
    journal = clean(str(folder / JOURNAL))
    for video in proven.video:
        say(f"  {clean(str(folder / VIDEO / video.camera))}  (in a player)")
    _, last = proven.manifest.asked or (proven.manifest.first, proven.manifest.last)
    say(f"  {clean(str(folder / REPORT))}  (in a browser)")
    say(f"  banken replay {journal}")
    say(f"  banken why {last} {journal}")


@incident.command("verify")
@_FILE
@_DIGEST
@_EXPECT
def verify_command(file: Path, digest: str | None, expect: str | None) -> None:
    """Verify that a bundle is unchanged since its export. Exit 0: unchanged; exit 1: changed, with the place; exit 2:
    not a bundle.

    Video is compared with the seals in the journal of the bundle. That shows that the video is the one that this
    journal has sealed. With --expect, the end of a batch of this journal must have a digest that was noted elsewhere:
    that shows that nobody has made the journal again, up to that event.
    """
    with _trouble(file), _progress("Verifying") as progress:
        proven = verify(file, NotedDigests(digest, expect), walk_video, progress)
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
    for video in proven.video:
        _tell_video(video)
    if proven.expected is not None:
        say(f"  expected digest: met after event {proven.expected}: up to there, nobody has made the journal again")
    if proven.video:
        _tell_proof(proven)
    say(f"digest: {spoken(proven.digest)}")


def _tell_video(video: CameraVideo) -> None:
    count = len(video.seals) + len(video.unsealed)
    span = f"{iso(video.since_ns)} to {iso(video.until_ns)}"
    say(f"  video of {clean(video.camera)}, {span}: {plural(count, 'file')}, {size(video.bytes)}")
    if video.seals:
        say(f"    sealed: {plural(len(video.seals), 'file is', 'files are')} byte for byte as the journal has sealed")
    for name, why in video.unsealed.items():
        say(f"    not sealed: {clean(name)}: {clean(why)}; nothing shows that it is as it was recorded")
    for gap in video.gaps:
        lasted = seconds((gap.until_ns - gap.since_ns) / 1e9)
        text = clean(sentence_of(gap))
        say(f"    no video: {iso(gap.since_ns)} to {iso(gap.until_ns)} ({lasted}): {text}")


def _tell_proof(proven: VerifiedBundle) -> None:
    """Say what is shown, and what is not."""
    seals = [seq for video in proven.video for seq in video.seals.values()]
    if proven.expected is None:
        if seals:
            say("  shown: the sealed video is the video that the journal in this bundle has sealed")
        say("  not shown: that nobody made journal and video again; --expect with a digest noted elsewhere shows it")
        return
    later = sum(seq > proven.expected for seq in seals)
    if later < len(seals):
        files = plural(len(seals) - later, "sealed file")
        say(f"  shown: the journal had the SHA-256 of {files}, as here, when the expected digest was noted")
    if later:
        say(f"  not shown: the same of {plural(later, 'sealed file')}, sealed after event {proven.expected}")
    gaps = sum((gap.seq or 0) > proven.expected for video in proven.video for gap in video.gaps)
    if gaps:
        say(f"  not shown: the reason of {plural(gaps, 'time')} without video, noted after event {proven.expected}")


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
