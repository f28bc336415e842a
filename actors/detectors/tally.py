"""The figures of one detector. They are not journaled, and begin again with its settings."""

from collections import Counter

import trio

from supervisor.ports.statistics import DetectorStatistics

WAITING, RUNNING, BACKOFF, QUARANTINED = "starting", "running", "backoff", "quarantined"
"""The states of a detector. It runs when it has proved that it works, and starts until then."""


class DetectorTally:
    """Counts for one detector."""

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind = name, kind
        self.state, self.reason = WAITING, ""
        self.pictures = self.detections = 0
        self.latency_s: float | None = None
        self._dropped: Counter[str] = Counter()

    def drop(self, reason: str, number: int = 1) -> None:
        """Count lines, answers or pictures that were not used. `reason` is one of few words."""
        if number:
            self._dropped[reason] += number

    def sent(self) -> float:
        """Count a picture. Returns the time, for `answered`."""
        self.pictures += 1
        return trio.current_time()

    def answered(self, sent_at: float) -> None:
        self.latency_s = trio.current_time() - sent_at

    def statistics(self) -> DetectorStatistics:
        return DetectorStatistics(
            self.name,
            self.kind,
            self.state,
            self.reason,
            self.pictures,
            self.detections,
            dict(self._dropped),
            self.latency_s,
        )
