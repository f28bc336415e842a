"""`banken verify`, `pin`, `unpin` and `pins`: whether a journal is whole, and what of it must stay."""

import sys
import time
from pathlib import Path

import attrs
import click

from ..domain.words import plural
from ..journal.anchor import read_anchors
from ..journal.check import verify as check
from ..journal.expect import Expectations
from ..journal.files import list_segments
from ..journal.reader import Reader
from ..journal.retention import Pin, read_pins, write_pins
from ..ports.questions import At
from .journal_argument import JOURNAL, JSON, between, open_reader, quietly, stretch_of
from .terminal import UTC_OPTION, Digest, clean, did_you_mean, fail, local, say, say_json, say_progress, spoken

DAMAGED = 1


@click.command()
@JOURNAL
@click.option(
    "--expect", "digests", type=Digest(), multiple=True, metavar="DIGEST",
    help="A digest of the chain that was noted elsewhere; 16 hex digits are enough. May be repeated.",
)  # fmt: skip
@click.option(
    "--anchors", type=click.Path(path_type=Path), metavar="FILE",
    help="A file of anchors (`journal.anchor`); all of them are compared.",
)  # fmt: skip
@JSON
def verify(journal: Path, digests: tuple[str, ...], anchors: Path | None, as_json: bool) -> None:
    """Verify the journal: read everything and compare it with its digests. Exit 1: something is damaged.

    Without an option it finds bit rot, lost or replaced segments, and each event that was changed, dropped or inserted
    while the digests stayed. Someone who can write the folder can still cut off the end with its digests, restore an
    older copy, or write a new journal with a new chain. The options --expect and --anchors find these changes, for all
    events before the digest was noted. Keep the digest, or the file, elsewhere.
    """
    with quietly():
        expected = Expectations(digests, None if anchors is None else read_anchors(anchors))

        def progress(seq: int) -> None:
            say_progress(f"verified up to event {seq}")

        found = check(journal, progress, expected)
        say_progress("")
        if as_json:
            say_json(attrs.asdict(found))
        else:
            for first, last in found.gaps:
                say(f"gap: events {first} to {last} were never stored, as the journal itself says")
            for damage in found.damages:
                say(f"damaged: {clean(str(damage))}")
            if found.damages:
                say(f"{plural(_readable(journal), 'event')} can still be read: --salvage leaves out the rest")
            else:
                segments, states = plural(found.segments, "segment"), plural(found.hashes, "state")
                say(f"whole: {plural(found.events, 'event')} in {segments}, {states} compared")
            for text in found.met:
                say(f"note: {clean(text)}")
            if found.digest:
                say(f"end of the chain: event {found.last}, digest {spoken(found.digest)}")
    if found.damages:
        sys.exit(DAMAGED)


def _readable(journal: Path) -> int:
    reader = Reader(journal, salvage=lambda damage: None)
    try:
        return sum(1 for _ in reader.events())
    finally:
        reader.close()


@click.command()
@click.argument("name")
@JOURNAL
@between
@click.option("--note", default="", help="The reason.")
def pin(name: str, journal: Path, since: At | None, until: At | None, note: str) -> None:
    """Protect a stretch of the journal, and all that is newer, from retention."""
    with open_reader(journal) as reader:
        _require_folder(journal)
        part = stretch_of(reader, since, until)
        pins = read_pins(journal)
        if name in pins:
            fail(f"there is a pin {name!r} already, of events {pins[name].first} to {pins[name].last}; unpin it first")
        write_pins(journal, {**pins, name: Pin(part.first, part.last, note, time.time_ns())})
        left, _ = reader.bounds()
        if left > part.first:
            fail(
                f"{name}: events {part.first} to {left - 1} were removed meanwhile; what is left of the stretch is kept"
            )
        say(f"{name}: events {part.first} to {part.last} are kept")


@click.command()
@click.argument("name")
@JOURNAL
def unpin(name: str, journal: Path) -> None:
    """Remove a pin; retention may then remove its stretch."""
    with quietly():
        _require_folder(journal)
        pins = read_pins(journal)
        if name not in pins:
            fail(f"there is no pin {name!r}{did_you_mean(name, pins)}; pins: {', '.join(pins) or 'none'}")
        write_pins(journal, {other: pinned for other, pinned in pins.items() if other != name})
        say(f"{clean(name)}: no longer kept")


@click.command()
@JOURNAL
@JSON
@UTC_OPTION
def pins(journal: Path, as_json: bool) -> None:
    """List the pins."""
    with quietly():
        _require_folder(journal)
        found = read_pins(journal)
        if as_json:
            say_json(found)
            return
        for name, pinned in found.items():
            line = f"{clean(name)}: events {pinned.first} to {pinned.last}, pinned {local(pinned.made_ns)}"
            say(f"{line}  {clean(pinned.note)}".rstrip())


def _require_folder(journal: Path) -> None:
    if journal.is_file():
        fail(f"{journal} is one segment; pins belong to the folder of a journal")
    if not list_segments(journal):
        fail(f"{journal}: there is no journal here")
