"""Changes of the journal's own files become events of the journal."""

from ..domain import commands as c
from ..domain.events import Recorded
from ..journal.recovery import Recovered
from ..journal.retention import Removal
from ..journal.store import End, SetAsideFile
from ..journal.writer import Journal, ThreadedStore
from ..runtime.kernel import Kernel
from .journal_reader import JournalReader


def report_journal(
    kernel: Kernel, journal: Journal, segments: ThreadedStore, reader: JournalReader, recovered: Recovered
) -> None:
    """Let the journal report through the kernel, and report what was found at the start, before any other event."""

    def begun() -> None:
        reader.reset()
        for aside in segments.asides():
            set_aside(aside)

    def set_aside(aside: SetAsideFile) -> None:
        kernel.emit(c.ReportSetAside(aside.file, aside.aside, aside.why))

    def chain(old: End | None, why: str) -> None:
        reader.reset()
        kernel.emit(c.ReportChain(old.seq if old else 0, old.digest.hex() if old else "", why))

    def removal(found: Removal) -> Recorded | None:
        return kernel.emit(c.ReportRemoval(found.segments, found.first, found.last, found.bytes, found.why)).last

    def not_removed(why: str) -> None:
        kernel.emit(c.ReportJournalFault(why, kernel.clock.wall_ns(), 0.0))

    def recovery(why: str, lasted_s: float) -> None:
        kernel.emit(c.ReportJournalFault(why, kernel.clock.wall_ns() - int(lasted_s * 1e9), lasted_s))

    journal.on_gap = lambda first, last: kernel.emit(c.ReportGap(first, last))
    journal.on_chain, journal.on_begun, journal.on_aside = chain, begun, set_aside
    journal.on_removal, journal.on_not_removed, journal.on_recovered = removal, not_removed, recovery
    if recovered.chain is not None:
        chain(recovered.chain.old, recovered.chain.why)
    elif recovered.start is not None:
        kernel.emit(c.ReportChain(recovered.start.last, recovered.start.digest, recovered.start.why))
        for each in recovered.start.asides:
            set_aside(SetAsideFile(*each))
    for aside in segments.asides():
        set_aside(aside)
