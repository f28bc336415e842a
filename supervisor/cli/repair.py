"""`banken repair`: show what of a journal is damaged, and set it aside as a start of the daemon does."""

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from ..journal import manifest
from ..journal.codec import GENESIS
from ..journal.files import list_segments, list_strangers
from ..journal.recovery import Recoverable, find
from ..journal.store import Chain, End, SetAsideFile, Store
from ..ports.errors import JournalError
from .journal_argument import JOURNAL, quietly
from .terminal import clean, fail, say

DAMAGED = 1


@click.command()
@JOURNAL
@click.option("--yes", is_flag=True, help="Do it. Nothing is deleted: damaged files are renamed.")
def repair(journal: Path, yes: bool) -> None:
    """Show damaged and foreign files of JOURNAL; with --yes, set them aside and begin a new chain.

    A daemon does the same when it starts. Exit 1: something is damaged, and --yes was not given.
    """
    with quietly():
        if not journal.is_dir():
            fail(f"{journal}: there is no folder here")
        strangers = list_strangers(journal)
        if not list_segments(journal) and not strangers:
            fail(f"{journal}: there is no journal here")
        if strangers:
            _clear(journal, strangers, yes)
        found = find(journal)
        if found.fault is not None:
            fail(f"this cannot be repaired by setting files aside: {found.fault}")
        broken = _broken_manifest(journal)
        for damaged in found.damaged:
            say(clean(f"{damaged.file}: {damaged.why}"))
        if broken is not None:
            say(clean(f"{manifest.NAME}: {broken}"))
        if not found.damaged and broken is None:
            say("nothing to repair: the newest segment can be read and written to; banken verify looks at all of it")
            return
        if not yes:
            say("--yes sets these files aside, and begins a new chain where a segment is among them")
            sys.exit(DAMAGED)
        _do(journal, found)


def _clear(journal: Path, strangers: Sequence[tuple[str, str]], yes: bool) -> None:
    """Set aside what keeps segments from being read, before they are. Raises as `_do`."""
    for name, why in strangers:
        say(clean(f"{name}: {why}"))
    if not yes:
        say("--yes sets these files aside, and looks at the segments then")
        sys.exit(DAMAGED)
    store = Store(journal, expect=End(0, GENESIS))
    try:
        store.clear()
        _say_asides(store.asides)
    finally:
        store.close()


def _say_asides(asides: Iterable[SetAsideFile]) -> None:
    for aside in dict.fromkeys(asides):
        say(clean(f"{aside.file} is now {aside.aside}"))


def _broken_manifest(journal: Path) -> str | None:
    try:
        manifest.read(journal)
    except JournalError as error:
        return str(error)
    return None


def _do(journal: Path, found: Recoverable) -> None:
    """Raises `JournalError`, also when a daemon uses the journal."""
    store = Store(journal, expect=found.end)
    try:
        if found.damaged:
            why = found.damaged[0].why
            start = store.begin_chain(Chain(found.state, found.end, why, found.damaged))
            say(f"a new chain begins with event {found.state.seq + 1}; the old one ended with event {start.last}")
        else:
            store.reconnect()
        _say_asides((*store.asides, *store.keep(time.time_ns()).asides))
    finally:
        store.close()
