"""Many fake cameras with many fake viewers, to measure the cost of statistics and pages."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import Random

import attrs

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, PeerId
from supervisor.domain.values import Limits
from supervisor.ports.statistics import CameraStatistics, PeerStatistics
from supervisor.runtime.kernel import Kernel

from .domain import PICTURE
from .site import FakeActors, Site, open_site


@attrs.define
class CrowdActors(FakeActors):
    """Each camera sends, a little more or less from one question to the next, and each viewer is sent it."""

    chance: Random = attrs.field(factory=lambda: Random(1))
    frames: int = 0

    def statistics(self) -> Mapping[CameraId, CameraStatistics]:
        self.frames += 25
        return {name: self._camera() for name in self.kernel.state.cameras}

    def _camera(self) -> CameraStatistics:
        rate = int(self.chance.gauss(2_500_000, 60_000))
        return CameraStatistics(
            round(self.chance.gauss(25, 0.1), 1), rate, self.frames, 12345, 0, self.chance.random() / 25
        )

    def peer_statistics(self) -> Mapping[PeerId, PeerStatistics]:
        return {name: self._peer() for name in self.kernel.state.peers}

    def _peer(self) -> PeerStatistics:
        loss, thin = self.chance.choice((0.0, 0.0, 0.25)), self.chance.random() < 0.1
        return PeerStatistics(self.frames, self.frames * 1000, 0, 3, 2, 1, 0, 0, loss, 0.012, 4_000_000, thin)


@asynccontextmanager
async def open_crowd(cameras: int = 30, viewers: int = 300) -> AsyncIterator[Site]:
    """A site whose cameras are live and have `viewers` connections in all, each of a client with thirty."""
    names = [CameraId(f"camera-{number:02}") for number in range(cameras)]
    limits = Limits(
        peers=viewers + 1, peers_per_camera=viewers + 1, peers_per_client=64, leases=viewers + 9, leases_per_client=64
    )
    async with open_site(*names, limits=limits, make_actors=CrowdActors) as site:
        fill(site.core.kernel, names, viewers)
        await site.core.stored()
        yield site


def fill(kernel: Kernel, names: list[CameraId], viewers: int) -> None:
    for name in names:
        kernel.emit(c.ConnectCamera(name))
        kernel.emit(c.ReportLive(name, PICTURE))
    for number in range(viewers):
        peer, client = PeerId(kernel.new_id()), f"192.0.2.{number // 30}"
        kernel.emit(c.OpenPeer(peer, names[number % len(names)], client, "owner"))
        kernel.emit(c.ReportPeerConnected(peer))
