"""The events of one peer: each report of its actor follows from the one before."""

from supervisor.domain import commands as c
from supervisor.domain.events import PeerClosing
from supervisor.domain.ids import PeerId, peer_stream
from supervisor.domain.values import Fault, Reason
from supervisor.ports.decisions import Decider, why_cancelled
from supervisor.ports.statistics import PeerStatistics

ENDED = Reason("ended", "the camera is gone, or banken is stopping", Fault.NONE)


class PeerReports:
    """Reports for the actor of `peer`, which is created with the cause of its request."""

    def __init__(self, peer: PeerId, kernel: Decider) -> None:
        self._peer, self._kernel = peer, kernel
        self._last = kernel.carried()
        """Its last event: at first the one that opened it, which the request carries."""

    def find_closing(self) -> None:
        """Continue from the event that closes it. The caller found that in the state, so the event is looked up."""
        self._last = self._kernel.latest(peer_stream(self._peer), of=PeerClosing) or self._last

    def report(self, command: c.Command) -> None:
        self._last = self._kernel.emit(command, after=self._last).last or self._last

    async def report_closed(self, reason: Reason, statistics: PeerStatistics | None) -> None:
        """Report its end, with the bytes it was sent. With `ENDED`, the cause is that of the cancellation."""
        because = await why_cancelled() if reason is ENDED else None
        if because is not None:
            self._last = because.after(self._last)
        sent = 0 if statistics is None else statistics.bytes + statistics.audio_bytes
        self.report(c.ReportPeerClosed(self._peer, reason, sent))
