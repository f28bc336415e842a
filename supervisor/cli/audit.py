"""`banken audit`: who watched which camera, and who exported, changed, logged in or was refused."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import get_args

import attrs
import click
from msgspec.structs import asdict

from ..base.printable import printable
from ..domain.words import seconds, size
from ..forensics.audit import audit as audit_rows
from ..journal.files import PREFIX
from ..ports.audit import AuditFilter, Kind, Row
from ..ports.questions import At
from .journal_argument import JSON, SALVAGE, between, open_reader, require_camera, stretch_of
from .terminal import clean, fail, local, say, say_json, timed

OPEN = "still open"
"""At the end of the journal, or now."""
HEADS = ("user", "client", "camera", "how", "from", "to", "lasted", "bytes", "lease", "ended")
RIGHT = frozenset({HEADS.index("lasted"), HEADS.index("bytes")})
TOTALS = ("user", "camera", "times", "watched", "bytes")
MEASURED = 1000
"""Lines by which the widths of the columns are chosen: those after them are printed as they are found."""
MOST_TOTALS = 10_000
"""Users and cameras that are added up apart."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet takes for a formula."""


@click.command()
@click.argument("camera", required=False)
@click.argument("journal", type=click.Path(path_type=Path), required=False)
@click.option("--user", default="", metavar="NAME", help="Only this user, token, share or address; or token:NAME.")
@click.option("--camera", "of_camera", metavar="NAME", help="Only this camera.")
@click.option("--client", metavar="ADDRESS", help="Only this client.")
@click.option(
    "--kind", "kinds", type=click.Choice(get_args(Kind)), multiple=True, help="Only these rows; may be repeated."
)
@between
@JSON
@click.option("--csv", "as_csv", is_flag=True, help="CSV, for spreadsheets.")
@SALVAGE
def audit(
    camera: str | None, journal: Path | None, user: str, of_camera: str | None, client: str | None,
    kinds: Sequence[Kind], since: At | None, until: At | None, as_json: bool, as_csv: bool, salvage: bool,
) -> None:  # fmt: skip
    """Print who watched CAMERA, or any camera, and who exported, changed, logged in or was refused.

    `watched` is a WebRTC connection, under a lease of a page (webrtc) or without one (whep: a tile of the page, or
    another program). It is also a reader by RTSP (rtsp), a player of HLS (hls), or an MJPEG stream (mjpeg). So are
    snapshots of a minute (snapshot), and a camera that was opened for one (opened).
    `leased` is the right of a page to watch: for a tile (lease), a large view, or the camera that all pages suggest
    (suggestion); connections under it have the same `lease`, and their times overlap. The lines are in the order in
    which they ended; open ones come last. The totals count what was watched. --json prints one object per line. A
    single argument that has a slash, or is a folder with a journal, is JOURNAL; a daemon may be writing to it.

    The journal does not record everything. It has no images of a detection, and no visits of the page or of the past.
    Before version 0.2.0 it had no bytes, and no snapshots of a camera that was open already. `banken timeline` shows
    whether the camera was live meanwhile. Without a login, a client is an address and not a person: behind a proxy that
    is not in `web.trusted_proxies`, all clients have the address of the proxy.
    """
    if journal is None and camera is not None and ("/" in camera or any(Path(camera).glob(f"{PREFIX}*"))):
        journal, camera = Path(camera), None
    if camera is not None and of_camera is not None and camera != of_camera:
        fail(f"two cameras are named, {camera!r} and {of_camera!r}: name one")
    if as_json and as_csv:
        fail("--json and --csv exclude each other")
    camera = of_camera if camera is None else camera
    with open_reader(journal or Path(os.environ.get("BANKEN_JOURNAL") or "journal"), salvage) as reader:
        part = stretch_of(reader, since, until)
        name = require_camera(reader, camera) if camera is not None else None
        found = audit_rows(reader, part, AuditFilter(user, name, client, frozenset(kinds)))
        if as_json:
            for row in found:
                say_json(row)
            return
        if as_csv:
            _print_csv(found)
            return
        totals = Totals()
        is_open = OPEN if until is None else f"open at {local(part.until_ns)}"
        is_empty = _print_table(HEADS, (_cells(row, is_open) for row in totals.count(found)), RIGHT)
        if is_empty:
            whom = client or user
            who = "nobody watched" if not whom else f"{clean(whom)} did not watch"
            say(f"{who} {clean(camera or 'any camera')} from {local(part.since_ns)} to {local(part.until_ns)}")
        elif totals.sums:
            say("")
            _print_table(TOTALS, totals.lines(), frozenset({2, 3, 4}))


@attrs.define
class Totals:
    """The sums for each user and camera of all that was watched: times, seconds, and the bytes that are known."""

    sums: dict[tuple[str, str], tuple[int, float, int | None]] = attrs.field(factory=dict)

    def count(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, which are counted."""
        for row in rows:
            key = row.user, row.camera or ""
            if row.kind == "watched" and row.connected and (key in self.sums or len(self.sums) < MOST_TOTALS):
                times, lasted_s, sent = self.sums.get(key, (0, 0.0, None))
                both = sent if row.bytes is None else (sent or 0) + row.bytes
                self.sums[key] = times + 1, lasted_s + row.lasted_s, both
            yield row

    def lines(self) -> Iterator[tuple[str, ...]]:
        for (user, camera), (times, lasted_s, sent) in sorted(self.sums.items()):
            yield clean(user), clean(camera), str(times), seconds(lasted_s), "?" if sent is None else size(sent)


def _cells(row: Row, is_open: str) -> tuple[str, ...]:
    how = f"{row.how or row.kind}{'' if row.connected else ', never connected'}"
    how = f"{how}, {row.count} times" if row.count > 1 else how
    until = is_open if row.until_ns is None else local(row.until_ns)
    lease = row.id if row.kind == "leased" else row.lease
    sent = "" if row.bytes is None else size(row.bytes)
    lasted = "" if row.since_ns == row.until_ns else seconds(row.lasted_s)
    return (
        "-" if row.by == "client" else clean(row.user), clean(row.client), clean(row.camera or ""), how,
        local(row.since_ns), until, lasted, sent, clean(lease), clean(row.reason),
    )  # fmt: skip


def _print_table(heads: Sequence[str], rows: Iterator[tuple[str, ...]], right: frozenset[int]) -> bool:
    """Print a head and lines. Returns whether it is empty."""
    first = [*islice(rows, MEASURED)]
    if not first:
        return True
    widths = [max(map(len, column)) for column in zip(heads, *first, strict=True)]
    for row in chain([heads], first, rows):
        placed = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        say("  ".join(placed).rstrip())
    return False


def _print_csv(found: Iterable[Row]) -> None:
    """A head and lines, with times as ISO 8601. No cell begins as a formula does."""
    names = [name.removesuffix("_ns") for name in Row.__struct_fields__]
    for values in chain([names], ([timed(asdict(row))[name] for name in names] for row in found)):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([_cell(value) for value in values])
        say(line.getvalue())


def _cell(value: object) -> object:
    text = "" if value is None else printable(str(value))
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text
