"""Times in which something was detected, until the rows of an archive's index have them.

Rules of this file:
- A file gets its mark when it is sealed, or at once if it is. A time waits until no file can overlap it any more.
- It is bounded: `MOST` times of each camera. Beyond that, neighbours become one, which marks too much and never too
  little.
- `note` is called in the loop, and `apply` in the archive's thread.
"""

from threading import Lock

from .index import Index

MOST = 64
"""Times of one camera that wait."""
OLDEST_NS = 7200 * 10**9
"""No file grows for two hours, so an older time waits for nothing."""
Span = tuple[int, int]


class EventMarks:
    """Made once for each archive."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: dict[str, list[Span]] = {}
        """For each camera, times that do not overlap, the oldest first; in ns."""
        self._is_new = False

    def note(self, camera: str, from_ns: int, to_ns: int) -> None:
        """Something was detected: files of the camera that overlap this time are eventful."""
        with self._lock:
            self._waiting[camera] = joined([*self._waiting.get(camera, ()), (from_ns, to_ns)])
            self._is_new = True

    def apply(self, index: Index, now_ns: int, *, is_sealed: bool) -> None:
        """Mark the rows. `is_sealed`: whether rows were added since the last call. Raises `apsw.Error`."""
        with self._lock:
            if not (self._is_new or (is_sealed and self._waiting)):
                return
            waiting = {camera: list(spans) for camera, spans in self._waiting.items()}
            self._is_new = False
        for camera, spans in waiting.items():
            newest_ns = index.newest_ns(camera)
            for from_ns, to_ns in spans:
                index.mark_eventful(camera, from_ns, to_ns)
            over = {span for span in spans if span[1] < max(newest_ns, now_ns - OLDEST_NS)}
            with self._lock:
                left = [span for span in self._waiting.pop(camera, ()) if span not in over]
                if left:
                    self._waiting[camera] = left


def joined(spans: list[Span]) -> list[Span]:
    """The same times, the oldest first, with those that touch as one; at most `MOST`."""
    found: list[Span] = []
    for from_ns, to_ns in sorted(spans):
        if found and from_ns <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], to_ns)
        else:
            found.append((from_ns, to_ns))
    if len(found) > MOST:
        found[:2] = [(found[0][0], found[1][1])]
    return found
