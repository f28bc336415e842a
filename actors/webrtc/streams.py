"""The two streams of one camera for its peers: its own video, and its rendition. Each peer gets one of them.

Rules of this file:
- The domain chooses (`domain/rendition.py`). This file moves a peer when the choice changes: with the format of the
  video, with the settings, and while there is no transcoder.
- A peer that needs the rendition counts as a need, also while it gets the camera's own video for want of a transcoder.
- A peer that can show nothing else waits in the rendition for its transcoder.
"""

from typing import TYPE_CHECKING

import attrs

from supervisor.domain.ids import CameraId
from supervisor.domain.rendition import Choice, Consumer, ServedStream, choose
from supervisor.domain.values import Picture, Transcode
from supervisor.ports.decisions import Decider

from ..media.hub import Hub
from ..media.rendition import Rendition
from .fanout import Fanout
from .fanout_peer import FanoutPeer

if TYPE_CHECKING:  # it needs aiortc, which is imported after the start
    from .sender import Sender


@attrs.define
class _Place:
    fanout: Fanout
    is_need: bool = False


class Streams:
    """The peers of one camera, each in one of two fan-outs. A task has to `run` it, and others both fan-outs."""

    def __init__(self, camera: CameraId, hub: Hub, rendition: Rendition, kernel: Decider) -> None:
        self._camera, self.hub, self._rendition, self._kernel = camera, hub, rendition, kernel
        self.own, self.made = Fanout(hub, kernel.clock), Fanout(rendition.hub, kernel.clock)
        self._places: dict[FanoutPeer, _Place] = {}
        self.own.spares = self._is_made
        rendition.changed = self.refresh

    def add(self, sender: "Sender") -> FanoutPeer:
        """Add a connected peer. It starts at a cached key frame of its stream, or at the next one."""
        peer = self.own.add(sender)
        self._places[peer] = _Place(self.own)
        self._place(peer)
        return peer

    def remove(self, peer: FanoutPeer) -> None:
        """Remove a peer and close its sender."""
        place = self._places.pop(peer)
        place.fanout.remove(peer)
        if place.is_need:
            self._rendition.needs.leave()

    def refresh(self) -> None:
        """Move the peers whose choice has changed. Must be called when the settings have changed."""
        for peer in list(self._places):
            self._place(peer)

    async def run(self) -> None:
        """Move peers when the format of the video changes, until cancelled. Cleanup: nothing is held."""
        while True:
            known = self.hub.picture
            self.refresh()
            await self.hub.wait_format(known)

    def _is_made(self, sender: "Sender") -> bool:
        """Whether a peer gets the rendition as soon as it is moved."""
        return self._choose(sender).stream is ServedStream.RENDITION

    def _choose(self, sender: "Sender", *, possible: bool = True) -> Choice:
        known = self._kernel.state.cameras.get(self._camera)
        picture: Picture | None = self.hub.picture or (known.picture if known else None)
        transcode = known.settings.transcode if known else Transcode.NEVER
        return choose(Consumer.PEER, transcode, picture, sender.codecs, possible=possible)

    def _place(self, peer: FanoutPeer) -> None:
        """Move a peer to the stream that it gets now, and count it as a need of the rendition if it is one."""
        place, choice = self._places[peer], self._choose(peer.sender)
        is_need = choice.stream is ServedStream.RENDITION
        if is_need and self._rendition.failure is not None:
            other = self._choose(peer.sender, possible=False)
            choice = other if other.stream is ServedStream.OWN else choice
        if is_need != place.is_need:
            place.is_need = is_need
            (self._rendition.needs.join if is_need else self._rendition.needs.leave)()
        fanout = self.made if choice.stream is ServedStream.RENDITION else self.own
        if fanout is not place.fanout and not peer.has_ended:
            place.fanout.hand_over(peer, fanout)
            place.fanout = fanout
        if choice.why != peer.transcoded:
            peer.transcoded = choice.why
            peer.changed()
