"""The actor of one peer: a position in the hub, a WebRTC connection, and their events in the journal."""

import logging
from collections.abc import Callable
from functools import partial

import attrs
import trio

from supervisor.base.supervision import describe_crash
from supervisor.domain import commands as c
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import PeerId
from supervisor.domain.values import Fault, Reason
from supervisor.ports.statistics import PeerStatistics

from ..peer_reports import ENDED, PeerReports
from ..tools import Tools
from .candidate_selection import reachable
from .deferred import Connect, run_connection
from .fanout import Joinable
from .fanout_peer import FanoutPeer
from .offer import Candidate, SdpOffer, parse_fragment

logger = logging.getLogger(__name__)

MAX_TRICKLED = 32
"""Each is paired with every local address."""


class PeerActor:
    """A running peer."""

    def __init__(self, peer: PeerId, offer: SdpOffer, tools: Tools, connect: Connect = run_connection) -> None:
        self.peer = peer
        self._tools, self._connect = tools, connect
        self._reports = PeerReports(peer, tools.kernel)
        opened = tools.kernel.state.peers.get(peer)
        self._client = opened.client if opened else ""
        self._offer = attrs.evolve(offer, candidates=reachable(offer.candidates, self._client))
        self._scope = trio.CancelScope()
        self._candidates, self._incoming = trio.open_memory_channel[Candidate](MAX_TRICKLED)
        self._trickled = 0
        self._answered: Callable[[str], None] | None = None
        self._viewer: FanoutPeer | None = None

    def statistics(self) -> PeerStatistics | None:
        """Return the counters of its connection; None until it is connected."""
        return self._viewer.statistics() if self._viewer else None

    def stop(self, reason: Reason) -> None:
        """Begin to close this peer. The caller found it closing in the state, so the event is looked up."""
        if not self._scope.cancel_called:
            self._reports.find_closing()
            self._scope.cancel(reason=reason.text)

    def add_candidates(self, fragment: str) -> None:
        """Add trickled candidates.

        Raises `OfferError` for text that is not a fragment, and `Rejected` for more than `MAX_TRICKLED` candidates.
        """
        candidates = parse_fragment(fragment, self._offer.ufrag)
        self._trickled += len(candidates)
        if self._trickled > MAX_TRICKLED:
            raise Rejected(Refusal.CAP_REACHED, f"more than {MAX_TRICKLED} candidates are not accepted", 60.0)
        for candidate in reachable(candidates, self._client):
            self._candidates.send_nowait(candidate)

    async def run(self, fanout: Joinable, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the viewer until it leaves, is lost or is stopped. `task_status` gets the SDP answer.

        Raises `Rejected` if there is no answer.
        Cancellation: closes the connection. Cleanup: the connection and its asyncio loop are closed, and `PeerClosed`
        is in the journal. A crash ends only this peer, and is the reason of its end.
        """
        tools, reason = self._tools, ENDED
        self._answered = task_status.started
        try:
            with self._scope:
                reason = await self._connect(
                    self._offer,
                    fanout,
                    self._incoming,
                    self,
                    disconnected_after_s=tools.kernel.state.limits.disconnected_after_s,
                )
        except* Exception as crash:
            logger.error("peer/%s crashed", self.peer, exc_info=crash)
            reason = Reason("crashed", describe_crash(crash), Fault.CRASH)
        finally:
            self._incoming.close()
            await self._reports.report_closed(reason, self.statistics())
        if self._answered is not None:
            raise Rejected(Refusal.UNAVAILABLE, f"the connection could not be made: {reason.text}", 1.0)

    # ── changes of the connection ───────────────────────────────────────────────────────────────────────────────

    def answered(self, answer: str) -> None:
        if self._answered is not None:
            self._answered(answer)
            self._answered = None

    def connected(self, viewer: FanoutPeer) -> None:
        self._viewer = viewer
        self._reports.report(c.ReportPeerConnected(self.peer))
        viewer.changed = partial(self._report_stream, viewer)
        if viewer.transcoded is not None:
            self._report_stream(viewer)

    def _report_stream(self, viewer: FanoutPeer) -> None:
        self._reports.report(c.ReportPeerStream(self.peer, viewer.transcoded))

    def silent(self, seconds: float) -> None:
        self._reports.report(c.ReportPeerSilent(self.peer, seconds))

    def heard(self, seconds: float) -> None:
        self._reports.report(c.ReportPeerHeard(self.peer, seconds))
