"""Journals what an archive does: its faults, repaired files, and seals that prove its files unaltered."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice

import attrs
import trio

from actors.media.media import CLOCK_RATE
from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId, RecordingId
from supervisor.domain.values import Fault, Reason
from supervisor.ports.decisions import Decider, Receipt

from .archive_writer import SealedFile
from .index import IndexedFile

SEAL_EVERY_S = 600.0
SETTLE_S = 1.0
"""The longest wait for a seal to become durable when the archive is stopped."""
MOST_DIGESTS = 256
"""Files in one seal."""
SLOW = Reason("disk-slow", "the disk has not answered for 1 s")


CompleteFile = SealedFile | IndexedFile


class JournaledReports:
    """The news of one archive, as events."""

    def __init__(self, archive: str, kernel: Decider) -> None:
        self._archive, self._kernel = archive, kernel
        self._unsealed: dict[str, CompleteFile] = {}
        """Files that are complete, and not journaled yet, by their paths."""
        self._journaled: list[CompleteFile] = []
        """Files whose digests are durable in the journal. The index does not know it yet."""
        self._found = trio.Event()
        """Set if an earlier run has left files that were not journaled."""
        self._alert = f"archive/{archive}"
        self.trouble: Recorded | None = None
        """The last event of a fault: what follows from it names it."""
        self.reason: Reason | None = None
        """The reason of the last fault, also after its end."""

    def slow(self) -> None:
        self._report(SLOW)

    def failed(self, why: str, *, full: bool) -> None:
        self._report(Reason("no-room", why) if full else Reason("disk-failed", why))
        text = f"nothing is recorded into archive {self._archive}: {why}"
        self._kernel.emit(c.RaiseAlert(self._alert, text), after=self.trouble)

    def _report(self, reason: Reason) -> None:
        self.reason = reason
        receipt = self._kernel.emit(c.ReportArchive(self._archive, reason), origin=self._kernel.fault())
        self.trouble = receipt.last or self.trouble

    def recovered(self, after_s: float) -> None:
        receipt = self._kernel.emit(c.ReportArchive(self._archive, None), after=self.trouble)
        self.trouble = receipt.last or self.trouble
        self._kernel.emit(c.ClearAlert(self._alert), after=self.trouble)

    def repaired(self, file: SealedFile) -> None:
        duration_s = round(file.duration / CLOCK_RATE, 3)
        command = c.ReportRepairedFile(CameraId(file.camera), RecordingId(file.recording), file.path, duration_s)
        self._kernel.emit(command, after=self.trouble)
        self.sealed(file)

    def expired(self, files: Sequence[IndexedFile], code: str) -> None:
        reason = Reason("age", "older than record.keep", Fault.NONE)
        if code == "room":
            reason = Reason("room", "in the way of newer recordings", Fault.NONE)
        for camera in sorted({file.camera for file in files}):
            of_it = [file for file in files if file.camera == camera]
            first, last = of_it[0].began_ns, of_it[-1].ended_ns
            size = sum(file.size for file in of_it)
            self._kernel.emit(c.ReportExpired(CameraId(camera), len(of_it), size, first, last, reason))

    def sealed(self, file: SealedFile) -> None:
        self._unsealed[file.path] = attrs.evolve(file, fragments=())  # 16 KB of a file that a seal does not need

    def left(self, files: Sequence[IndexedFile]) -> None:
        for file in files:
            seal = self._kernel.state.seals.get(CameraId(file.camera))
            if not file.digest or (
                seal is not None and seal.recording == file.recording and file.ended_ns <= seal.ended_ns
            ):
                self._journaled.append(file)
            else:
                self._unsealed[file.path] = file
        if self._unsealed:
            self._found.set()

    def sealed_until(self) -> Mapping[str, int]:
        return {camera: seal.ended_ns for camera, seal in self._kernel.state.seals.items()}

    def take_journaled(self) -> Sequence[CompleteFile]:
        taken, self._journaled = self._journaled, []
        return taken

    async def run(self) -> None:
        """Journal the digests of complete files every `SEAL_EVERY_S`, until it is cancelled.

        Those that an earlier run has left are journaled at once. Cancellation: at any time. Cleanup: nothing is held;
        `settle` journals the rest.
        """
        while True:
            with trio.move_on_after(SEAL_EVERY_S):
                await self._found.wait()
            self._found = trio.Event()
            await self._seal()

    async def settle(self) -> None:
        with trio.move_on_after(SETTLE_S):
            await self._seal()

    async def _seal(self) -> None:
        """Journal the digests of all files that are complete, and wait until they are durable."""
        files = sorted(self._unsealed.values(), key=lambda file: (file.camera, file.began_ns))
        self._unsealed = {}
        for receipt, of_one in [(self._seal_files(of_one), of_one) for of_one in of_recordings(files)]:
            if (await self._kernel.wait_durable(receipt)).durable:
                self._journaled += of_one
            else:  # the journal has a gap: they are sealed again
                self._unsealed = {file.path: file for file in of_one} | self._unsealed

    def _seal_files(self, files: Sequence[CompleteFile]) -> Receipt:
        first, last = files[0], files[-1]
        command = c.SealRecording(
            CameraId(first.camera),
            RecordingId(first.recording),
            sum(file.size for file in files),
            first.began_ns,
            last.began_ns + last.duration * 1_000_000_000 // CLOCK_RATE,
            tuple(file.digest.hex() for file in files),
        )
        return self._kernel.emit(command)


def of_recordings(files: Iterable[CompleteFile]) -> Iterator[Sequence[CompleteFile]]:
    """Split files into those of one recording that follow each other, at most `MOST_DIGESTS` at once."""
    for _, group in groupby(files, key=lambda file: (file.camera, file.recording)):
        while of_one := list(islice(group, MOST_DIGESTS)):
            yield of_one
