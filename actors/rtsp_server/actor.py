"""The actor of one reader: its place among the readers of a camera, and its events in the journal."""

import logging

import trio

from supervisor.base.supervision import describe_crash
from supervisor.domain import commands as c
from supervisor.domain.ids import PeerId
from supervisor.domain.values import Fault, Reason
from supervisor.ports.statistics import PeerStatistics

from ..media.listeners import Listeners
from ..peer_reports import ENDED, PeerReports
from ..tools import Tools
from .reader import RtspReader
from .readers import Readers
from .wire import ReaderWire

logger = logging.getLogger(__name__)


class ReaderActor:
    """A reader from its first request for a camera on."""

    def __init__(self, peer: PeerId, wire: ReaderWire, tools: Tools) -> None:
        self.peer = peer
        self._wire = wire
        self._reports = PeerReports(peer, tools.kernel)
        self._scope = trio.CancelScope()
        self._playing = trio.Event()
        self._reader: RtspReader | None = None
        self._readers: Readers | None = None
        self._needs: Listeners | None = None
        self._transcoded: Reason | None = None
        self._left: Reason | None = None
        self.ended = trio.Event()

    def statistics(self) -> PeerStatistics | None:
        """Return the counters of its connection; None until it plays."""
        return self._reader.statistics() if self._reader else None

    def stop(self, reason: Reason) -> None:
        """Begin to close this reader, with its connection. The caller found its peer closing in the state."""
        if not self._scope.cancel_called:
            self._reports.find_closing()
            self._scope.cancel(reason=reason.text)

    def leave(self, reason: Reason) -> None:
        """Begin to close this reader; its connection is the caller's."""
        if not self._scope.cancel_called:
            self._left = reason
            self._scope.cancel(reason=reason.text)

    def need(self, needs: Listeners) -> None:
        """Count as one who needs the transcoded video, until the end: not at all if it has ended."""
        if not self.ended.is_set():
            self._needs = needs
            needs.join()

    def play(self, reader: RtspReader, readers: Readers, transcoded: Reason | None) -> None:
        """Serve `reader` from now on. It was added to `readers`: of the camera's rendition if `transcoded` says why."""
        self._reader, self._readers, self._transcoded = reader, readers, transcoded
        self._playing.set()

    async def run(self, readers: Readers, task_status: trio.TaskStatus[Readers] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the reader until it leaves, is stuck or is stopped. `task_status` gets `readers`.

        Cancellation: ends it. Cleanup: it has left `readers`; its connection is closed unless the caller keeps it;
        `PeerClosed` is in the journal. A crash ends only this reader, and is the reason of its end.
        """
        reason = ENDED
        try:
            with self._scope:
                task_status.started(readers)
                await self._playing.wait()
                assert self._reader is not None
                assert self._readers is not None
                self._reports.report(c.ReportPeerConnected(self.peer, self._reader.outlet.transport))
                self._reports.report(c.ReportPeerStream(self.peer, self._transcoded))
                reason = await self._readers.serve(self._reader)
        except* Exception as crash:
            logger.error("peer/%s crashed", self.peer, exc_info=crash)
            reason = Reason("crashed", describe_crash(crash), Fault.CRASH)
        finally:
            if self._reader is not None and self._readers is not None:
                self._readers.remove(self._reader)
            if self._needs is not None:
                self._needs.leave()
            if self._left is None:
                self._wire.close()
            self.ended.set()
            await self._reports.report_closed(self._left or reason, self.statistics())
