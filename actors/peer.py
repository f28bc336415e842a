"""The actor of one viewer: a place on the hub's tape, a WebRTC connection, and the truth about both in the journal."""

import logging
from collections.abc import Callable

import attrs
import trio

from supervisor.domain import commands as c
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import PeerId, peer_stream
from supervisor.domain.values import Fault, Reason
from supervisor.gateway import PeerStatistics
from supervisor.kernel import Because, why_cancelled
from supervisor.supervision import describe_crash

from .rtc.fanout import Fanout, Viewer
from .rtc.offer import Candidate, Offer, parse_fragment
from .rtc.reach import reachable
from .tools import Tools

logger = logging.getLogger(__name__)

ENDED = Reason("ended", "the camera is gone, or banken is stopping", Fault.NONE)
MAX_TRICKLED = 32
"""Each is paired with every address of ours."""


class Peer:
    """A running peer, for those who need something of it."""

    def __init__(self, peer: PeerId, offer: Offer, tools: Tools) -> None:
        self.peer = peer
        self._tools = tools
        opened = tools.kernel.state.peers.get(peer)
        self._client = opened.client if opened else ""
        self._offer = attrs.evolve(offer, candidates=reachable(offer.candidates, self._client))
        self._scope = trio.CancelScope()
        self._candidates, self._incoming = trio.open_memory_channel[Candidate](MAX_TRICKLED)
        self._trickled = 0
        self._answered: Callable[[str], None] | None = None
        self._viewer: Viewer | None = None

    def statistics(self) -> PeerStatistics | None:
        """What it has been sent; none until it is connected."""
        return self._viewer.statistics() if self._viewer else None

    def stop(self, reason: Reason) -> None:
        """Begin the end of this peer."""
        self._scope.cancel(reason=reason.text)

    def add_candidates(self, fragment: str) -> None:
        """Raises `OfferError` for what is no fragment and `Rejected` for more candidates than one viewer can need."""
        candidates = parse_fragment(fragment, self._offer.ufrag)
        self._trickled += len(candidates)
        if self._trickled > MAX_TRICKLED:
            raise Rejected(Refusal.CAP_REACHED, f"more than {MAX_TRICKLED} candidates are not taken", 60.0)
        for candidate in reachable(candidates, self._client):
            self._candidates.send_nowait(candidate)

    async def run(self, fanout: Fanout, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the viewer until it leaves, is lost or is stopped. `task_status` is given the SDP answer.

        Raises `Rejected` when it came to no answer.
        Cancellation: closes the connection. Cleanup: it is gone, with its asyncio loop, and `PeerClosed` stands in
        the journal. A crash ends this peer alone, and is its reason.
        """
        tools, reason = self._tools, ENDED
        self._answered = task_status.started
        try:
            with self._scope:
                reason = await tools.connect(
                    self._offer,
                    fanout,
                    self._incoming,
                    self,
                    ice_servers=tools.ice_servers,
                    disconnected_after_s=tools.kernel.state.limits.disconnected_after_s,
                )
        except* Exception as crash:
            logger.error("peer/%s crashed", self.peer, exc_info=crash)
            reason = Reason("crashed", describe_crash(crash), Fault.CRASH)
        finally:
            self._incoming.close()
            because = await why_cancelled() if reason is ENDED else None
            self._report(c.ReportPeerClosed(self.peer, reason), because)
        if self._answered is not None:
            raise Rejected(Refusal.UNAVAILABLE, f"the connection could not be made: {reason.text}", 1.0)

    # ── what the connection witnesses ───────────────────────────────────────────────────────────────────────────

    def answered(self, answer: str) -> None:
        if self._answered is not None:
            self._answered(answer)
            self._answered = None

    def connected(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._report(c.ReportPeerConnected(self.peer))

    def silent(self, seconds: float) -> None:
        self._report(c.ReportPeerSilent(self.peer, seconds))

    def heard(self, seconds: float) -> None:
        self._report(c.ReportPeerHeard(self.peer, seconds))

    def _report(self, command: c.Command, because: Because | None = None) -> None:
        kernel = self._tools.kernel
        kernel.emit(command, after=kernel.latest(peer_stream(self.peer), because=because))
