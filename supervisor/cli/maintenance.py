"""`banken verify`, `pin`, `unpin` and `pins`: whether a journal is whole, and what of it must stay."""

import sys
import time
from pathlib import Path

import attrs
import click
from msgspec.structs import asdict

from ..domain.words import plural, size
from ..journal.anchor import read_anchors
from ..journal.check import verify as check
from ..journal.expect import Expectations
from ..journal.files import list_segments
from ..journal.reader import Reader
from ..journal.retention import Pin, read_pins, write_pins
from ..ports.questions import At
from .daemon_address import journal_in, owner
from .footage_pins import daemon_of, is_default, pin_at, pins_in, release_at, sentence_of
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
@click.option(
    "--camera", "cameras", multiple=True, metavar="CAMERA", help="Only the footage of this camera; repeatable."
)
@click.option("--note", default="", help="The reason.")
@owner
@JSON
def pin(
    name: str,
    journal: Path,
    since: At | None,
    until: At | None,
    cameras: tuple[str, ...],
    note: str,
    url: str | None,
    state: Path | None,
    config: Path,
    as_json: bool,
) -> None:
    """Keep a stretch from retention: its events, all newer events, and its footage.

    The daemon of the configuration pins both. While none runs, or for another JOURNAL, the journal alone is kept. Exit
    1: the daemon refused, for instance because pins would hold more than half of the room.
    """
    daemon = daemon_of(journal, is_default=is_default("journal"), url=url, state=state, config=config)
    if daemon is None and cameras:
        fail("footage is pinned by the daemon, and none runs that writes to this journal; --state or --url can name it")
    if daemon is None:
        _pin_journal(name, journal, since, until, note)
        return
    if is_default("journal") and config.is_file():
        journal = journal_in(config)
    with quietly():
        body = pin_at(daemon, name, journal, since, until, cameras, note)
        if as_json:
            say_json(body)
        else:
            say(sentence_of(body))


def _pin_journal(name: str, journal: Path, since: At | None, until: At | None, note: str) -> None:
    with open_reader(journal) as reader:
        _require_folder(journal)
        part = stretch_of(reader, since, until)
        pins = read_pins(journal)
        if name in pins:
            fail(f"there is a pin {name!r} already, of events {pins[name].first} to {pins[name].last}; unpin it first")
        if name in pins_in(journal):
            fail(f"there is a pin {name!r} already, of events and footage; unpin it first")
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
@owner
def unpin(name: str, journal: Path, url: str | None, state: Path | None, config: Path) -> None:
    """Remove a pin; retention may then remove its stretch."""
    with quietly():
        daemon = daemon_of(journal, is_default=is_default("journal"), url=url, state=state, config=config)
        if daemon is not None and is_default("journal") and config.is_file():
            journal = journal_in(config)
        pins = read_pins(journal)
        if name not in pins and daemon is not None:
            release_at(daemon, name)
        else:
            _unpin_journal(name, journal, pins)
        say(f"{clean(name)}: no longer kept")


def _unpin_journal(name: str, journal: Path, pins: dict[str, Pin]) -> None:
    _require_folder(journal)
    if name not in pins:
        others = pins_in(journal)
        if name in others:
            fail(f"pin {name!r} keeps footage, so the daemon of this journal must run to release it")
        known = [*pins, *others]
        fail(f"there is no pin {name!r}{did_you_mean(name, known)}; pins: {', '.join(known) or 'none'}")
    write_pins(journal, {other: pinned for other, pinned in pins.items() if other != name})


@click.command()
@JOURNAL
@JSON
@UTC_OPTION
def pins(journal: Path, as_json: bool) -> None:
    """List the pins.

    Some keep events and footage. Those that were made without a daemon keep the journal alone.
    """
    with quietly():
        _require_folder(journal)
        found, others = read_pins(journal), pins_in(journal)
        if as_json:
            of_journal = {name: {**asdict(each), "keeps": "journal"} for name, each in found.items()}
            say_json(of_journal | {name: {**asdict(each), "keeps": "footage"} for name, each in others.items()})
            return
        for name, pinned in found.items():
            line = f"{clean(name)}: events {pinned.first} to {pinned.last}, pinned {local(pinned.made_ns)}"
            say(f"{line}, the journal alone  {clean(pinned.note)}".rstrip())
        for name, kept in others.items():
            footage = f"{size(kept.bytes)} of footage of {', '.join(map(clean, kept.cameras)) or 'no camera'}"
            line = f"{clean(name)}: {local(kept.from_ns)} to {local(kept.to_ns)}, {footage}"
            say(f"{line}, pinned {local(kept.made_ns)}  {clean(kept.note)}".rstrip())


def _require_folder(journal: Path) -> None:
    if journal.is_file():
        fail(f"{journal} is one segment; pins belong to the folder of a journal")
    if not list_segments(journal):
        fail(f"{journal}: there is no journal here")
