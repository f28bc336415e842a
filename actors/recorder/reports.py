"""Journals what an archive does: its faults, repaired files, and seals that prove its files unaltered."""

from collections.abc import Sequence

import attrs
import trio

from actors.media.media import CLOCK_RATE
from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId, RecordingId
from supervisor.domain.values import Fault, Reason
from supervisor.ports.decisions import Decider

from .archive_writer import SealedFile
from .index import IndexedFile

SEAL_EVERY_S = 600.0
SLOW = Reason("disk-slow", "the disk has not answered for 1 s")


@attrs.define
class Unsealed:
    """Files of one recording that are complete, and not journaled yet."""

    camera: str
    recording: str
    files: list[SealedFile] = attrs.field(factory=list)


class JournaledReports:
    """The news of one archive, as events."""

    def __init__(self, archive: str, kernel: Decider) -> None:
        self._archive, self._kernel = archive, kernel
        self._unsealed: dict[tuple[str, str], Unsealed] = {}
        self.trouble: Recorded | None = None
        """The last event of a fault: what follows from it names it."""
        self.reason: Reason | None = None
        """The reason of the last fault, also after its end."""

    def slow(self) -> None:
        self._report(SLOW)

    def failed(self, why: str, *, full: bool) -> None:
        self._report(Reason("no-room", why) if full else Reason("disk-failed", why))

    def _report(self, reason: Reason) -> None:
        self.reason = reason
        receipt = self._kernel.emit(c.ReportArchive(self._archive, reason), origin=self._kernel.fault())
        self.trouble = receipt.last or self.trouble

    def recovered(self, after_s: float) -> None:
        receipt = self._kernel.emit(c.ReportArchive(self._archive, None), after=self.trouble)
        self.trouble = receipt.last or self.trouble

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
        key = file.camera, file.recording
        self._unsealed.setdefault(key, Unsealed(*key)).files.append(file)

    async def run(self) -> None:
        """Journal the digests of complete files every `SEAL_EVERY_S`, until it is cancelled.

        Cancellation: at any time. Cleanup: nothing is held; `seal` journals the rest.
        """
        while True:
            await trio.sleep(SEAL_EVERY_S)
            self.seal()

    def seal(self) -> None:
        """Journal the digests of all files that are complete."""
        unsealed, self._unsealed = self._unsealed, {}
        for each in unsealed.values():
            first, last = each.files[0], each.files[-1]
            command = c.SealRecording(
                CameraId(each.camera),
                RecordingId(each.recording),
                sum(file.size for file in each.files),
                first.began_ns,
                last.began_ns + last.duration * 1_000_000_000 // CLOCK_RATE,
                tuple(file.digest.hex() for file in each.files),
            )
            self._kernel.emit(command)
