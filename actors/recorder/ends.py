"""When the recorded video of each camera ends: where a gap begins. Pure.

Rules of this file:
- A fragment that was taken counts as recorded while the disk has no fault. After a fault, only what was synced counts.
- A file is sealed, and so synced, before the next one of its camera gets its first fragment.
"""

import attrs

from .archive_writer import SealedFile
from .cutter import Fragment, NewFile


@attrs.define
class Ends:
    """All in nanoseconds since 1970, by camera."""

    _taken: dict[str, int] = attrs.field(factory=dict)
    _written: dict[str, int] = attrs.field(factory=dict)
    _synced: dict[str, int] = attrs.field(factory=dict)
    _fresh: set[str] = attrs.field(factory=set)
    """Cameras with a file that has no fragment yet."""

    def last_ns(self, camera: str) -> int:
        """When the video of a camera ends; 0 if that is not known."""
        return self._taken.get(camera, 0)

    def take(self, camera: str, step: object) -> None:
        """A step was taken, and will be written unless there is a fault."""
        if isinstance(step, Fragment):
            self._taken[camera] = step.ended_ns

    def write(self, camera: str, step: object) -> None:
        """A step was written."""
        if isinstance(step, NewFile):
            self._fresh.add(camera)
        elif isinstance(step, Fragment):
            self._written[camera] = step.ended_ns
            if camera in self._fresh:
                self._fresh.discard(camera)
                self._synced[camera] = step.wall_ns

    def sync(self) -> None:
        """All that was written is on the disk."""
        self._synced.update(self._written)

    def seal(self, file: SealedFile) -> None:
        """A file is complete and on the disk."""
        self._synced[file.camera] = file.ended_ns

    def repair(self, file: SealedFile) -> None:
        """A file was cut behind its last synced fragment."""
        self._taken[file.camera] = self._synced[file.camera] = file.ended_ns

    def fail(self) -> None:
        """The disk has a fault."""
        self._taken, self._written = self._synced.copy(), self._synced.copy()

    def find(self, ends: dict[str, int]) -> None:
        """The newest files of an earlier run end so."""
        self._taken, self._synced = ends.copy(), ends.copy()
