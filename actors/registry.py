"""Which actors run, by name: what reconciling starts and stops, and what the gateway reaches them by."""

from collections.abc import AsyncGenerator, Mapping
from functools import partial

import trio

from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, PeerId
from supervisor.domain.values import CameraSettings, Reason
from supervisor.gateway import CameraStatistics, Jpeg, PeerStatistics, Understood
from supervisor.reconcile import wait_after_crash_of
from supervisor.supervision import run_supervised

from .camera import Camera
from .decoder.actor import run_decoder
from .decoder.client import Decoder
from .motion import run_motion
from .patrol import run_patrol
from .peer import Peer
from .pictures import Pictures
from .rtc.late import VIEWERS
from .rtc.offer import Offer, parse_offer
from .sweep import Sweep
from .tools import Tools
from .transcoder import run_transcoder

PICTURE_S = 15.0
"""Whoever asks for a picture waits no longer."""
MJPEG_INTERVAL_S = 0.5


class Registry:
    """The crew that reconciling directs, and the hands of the gateway."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._cameras: dict[CameraId, Camera] = {}
        self._uses: Mapping[CameraId, str] = {}
        """What each camera is to be open for, as `want` last had it."""
        self._peers: dict[PeerId, Peer] = {}
        self._pictures = Pictures(tools)
        self.leases, self.detections = tools.leases, tools.detections
        self._sweep = Sweep(tools, self._cameras.keys)
        self.find_survivors = self._sweep.find_survivors
        self.run_sweep = self._sweep.run
        self.load = VIEWERS.load

    async def run_camera(self, settings: CameraSettings) -> None:
        """Run one camera with its viewers.

        Cancellation: ends its source and its viewers. Cleanup: theirs; nothing of the camera is left.
        """
        name = settings.camera
        async with trio.open_nursery() as viewers:
            camera = self._cameras[name] = Camera(settings, self._tools, viewers)
            camera.want(self._uses.get(name))
            self._tools.kernel.wake()
            wait = partial(wait_after_crash_of, self._tools.kernel, f"fan-out of {name}")
            viewers.start_soon(run_supervised, f"fan-out of {name}", camera.fanout.run, wait)
            viewers.start_soon(self._transcode, camera, name=f"audio/{name}")
            viewers.start_soon(self._look_for_motion, camera, name=f"motion/{name}")
            try:
                await run_supervised(f"source of {name}", camera.run_source, camera.wait_after_crash)
            finally:
                del self._cameras[name]
                camera.hub.close()

    async def _transcode(self, camera: Camera) -> None:
        name, hub = f"audio/{camera.name}", camera.hub
        work = partial(run_transcoder, camera.name, hub.sounds, hub.opus, hub.listeners, self._tools)
        await run_supervised(name, work, partial(wait_after_crash_of, self._tools.kernel, name))

    async def _look_for_motion(self, camera: Camera) -> None:
        name, work = f"motion/{camera.name}", partial(run_motion, camera.name, camera.hub, self._tools)
        await run_supervised(name, work, partial(wait_after_crash_of, self._tools.kernel, name))

    def reconfigure(self, settings: CameraSettings) -> None:
        if settings.camera in self._cameras:
            self._cameras[settings.camera].reconfigure(settings)

    def want(self, uses: Mapping[CameraId, str]) -> None:
        self._uses = uses
        for name, camera in self._cameras.items():
            camera.want(uses.get(name))

    async def run_decoder(self) -> None:
        """Decode what is wanted as a picture, in a child, until cancelled."""
        decoder = self._tools.decoder
        assert isinstance(decoder, Decoder)
        await run_decoder(decoder, self._tools)

    async def run_patrol(self, group: str) -> None:
        await run_patrol(group, self._cameras, self._pictures, self._tools)

    def stop_peer(self, peer: PeerId, reason: Reason) -> None:
        if peer in self._peers:
            self._peers[peer].stop(reason)

    def read_offer(self, text: str) -> Offer:
        return parse_offer(text)

    async def open_peer(self, camera: CameraId, peer: PeerId, offer: Understood) -> str:
        """Start a peer in its camera's nursery; returns the SDP answer."""
        assert isinstance(offer, Offer)
        running = self._running(camera)
        actor = Peer(peer, offer, self._tools)

        async def run(task_status: trio.TaskStatus[str]) -> None:
            self._peers[peer] = actor
            self._tools.kernel.wake()  # its lease may have ended since it was given a place
            try:
                await actor.run(running.fanout, task_status)
            finally:
                del self._peers[peer]

        answer: str = await running.viewers.start(run, name=f"peer/{peer}")
        return answer

    async def take_picture(
        self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
    ) -> Jpeg:
        if not open_it:
            return await self._pictures.recall(self._running(camera), max_age_s)
        return await self._pictures.take(self._running(camera), client, max_age_s, PICTURE_S)

    def watch_pictures(self, camera: CameraId, client: str) -> AsyncGenerator[Jpeg, None]:
        return self._pictures.watch(self._running(camera), client, MJPEG_INTERVAL_S, PICTURE_S)

    async def add_candidates(self, peer: PeerId, fragment: str) -> None:
        if peer not in self._peers:
            raise Rejected(Refusal.UNKNOWN, "there is no such viewer, or it has left")
        self._peers[peer].add_candidates(fragment)

    def _running(self, camera: CameraId) -> Camera:
        """Raises `Rejected` when there is no such camera, or not yet."""
        if camera in self._cameras:
            return self._cameras[camera]
        if camera in self._tools.kernel.state.cameras:
            raise Rejected(Refusal.UNAVAILABLE, f"{camera} is only just starting, or stopping", 1.0)
        raise Rejected(Refusal.UNKNOWN, f"there is no camera {camera!r}")

    def statistics(self) -> Mapping[CameraId, CameraStatistics]:
        return {name: camera.hub.statistics() for name, camera in self._cameras.items()}

    def starts_waiting(self) -> tuple[int, float]:
        """How many cameras wait for their turn to start, and for how many seconds the first of them has."""
        return self._tools.starts.waiting(trio.current_time())

    def peer_statistics(self) -> Mapping[PeerId, PeerStatistics]:
        found = ((peer, actor.statistics()) for peer, actor in self._peers.items())
        return {peer: statistics for peer, statistics in found if statistics is not None}
