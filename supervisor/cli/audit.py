"""`banken audit`: the watches of cameras, by which client, from when to when."""

import os
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path

import click

from ..domain.words import seconds
from ..forensics.audit import LEASES, Watch
from ..forensics.audit import audit as watches
from ..journal.files import PREFIX
from ..ports.questions import At
from .journal_argument import JSON, SALVAGE, between, open_reader, require_camera, stretch_of
from .terminal import clean, local, say, say_json

OPEN = "still open"
"""At the end of the journal, or now."""
HEADS = ("client", "camera", "how", "from", "to", "lasted", "lease", "ended")
LASTED = HEADS.index("lasted")
MEASURED = 1000
"""Lines by which the widths of the columns are chosen: those after them are printed as they are found."""


@click.command()
@click.argument("camera", required=False)
@click.argument("journal", type=click.Path(path_type=Path), required=False)
@click.option("--client", metavar="ADDRESS", help="Only this client.")
@between
@JSON
@SALVAGE
def audit(
    camera: str | None, journal: Path | None, client: str | None, since: At | None, until: At | None, as_json: bool,
    salvage: bool,
) -> None:  # fmt: skip
    """Print who watched CAMERA, or any camera: begin, end, duration, and reason of the end.

    One line for each WebRTC connection (video), MJPEG stream (pictures), snapshot for which a camera was opened, and
    lease of a page. A lease is of a tile (lease), of a large view, or of the camera that all pages suggest
    (suggestion). The lines are in the order in which they ended; open ones come last. --json prints one object per
    line. A page that shows a camera has a lease, and connections under it: these lines have the same `lease`, and their
    times overlap. A single argument that has a slash, or is a folder with a journal, is JOURNAL.

    The journal does not record everything. It has no snapshots of a camera that was open already, no images of a
    detection, and no visits of the page or of the past. `banken timeline` shows whether the camera was live meanwhile.
    A client is an address and not a person: behind a proxy that is not in `web.trusted_proxies`, all clients have the
    address of the proxy.
    """
    if journal is None and camera is not None and ("/" in camera or any(Path(camera).glob(f"{PREFIX}*"))):
        journal, camera = Path(camera), None
    with open_reader(journal or Path(os.environ.get("BANKEN_JOURNAL") or "journal"), salvage) as reader:
        part = stretch_of(reader, since, until)
        name = require_camera(reader, camera) if camera is not None else None
        found = watches(reader, part, name, client)
        if as_json:
            for watch in found:
                say_json(watch)
            return
        is_open = OPEN if until is None else f"open at {local(part.until_ns)}"
        rows = (_cells(watch, is_open) for watch in found)
        first = [*islice(rows, MEASURED)]
        if not first:
            whom = "nobody watched" if client is None else f"{clean(client)} did not watch"
            say(f"{whom} {clean(camera or 'any camera')} from {local(part.since_ns)} to {local(part.until_ns)}")
            return
        widths = [max(map(len, column)) for column in zip(HEADS, *first, strict=True)]
        for row in chain([HEADS], first, rows):
            _line(row, widths)


def _cells(watch: Watch, is_open: str) -> tuple[str, ...]:
    how = watch.how if watch.connected else f"{watch.how}, never connected"
    until = is_open if watch.until_ns is None else local(watch.until_ns)
    lease = watch.id if watch.how in LEASES.values() else watch.lease
    return (
        clean(watch.client), clean(watch.camera), how, local(watch.since_ns), until, seconds(watch.lasted_s),
        clean(lease), clean(watch.reason),
    )  # fmt: skip


def _line(cells: Sequence[str], widths: Sequence[int]) -> None:
    """The column with a length of time is on the right of its place."""
    placed = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    placed[LASTED] = cells[LASTED].rjust(widths[LASTED])
    say("  ".join(placed).rstrip())
