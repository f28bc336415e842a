"""Running actors by name: the reconciler starts and stops them, and the gateway reaches them here."""

import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import trio

from supervisor.base.background_import import BackgroundImport, NotLoaded
from supervisor.base.context import in_empty_context
from supervisor.base.log import log_about
from supervisor.base.supervision import run_supervised
from supervisor.config.config import ArchiveSettings
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, PeerId
from supervisor.domain.state import VIDEO, Privacy
from supervisor.domain.values import CameraSettings, Reason, RecordMode
from supervisor.ports.archives import ArchiveRoom, CameraTime
from supervisor.ports.decisions import why_cancelled
from supervisor.ports.facts import CameraFacts
from supervisor.ports.footage import FootagePort
from supervisor.ports.hls import HlsRequest
from supervisor.ports.reader_logins import ReaderLogins
from supervisor.ports.statistics import ArchiveStatistics, CameraStatistics, DetectorStatistics, PeerStatistics
from supervisor.ports.viewing import Jpeg

from .camera.camera import CameraActor
from .camera.motion import run_motion
from .camera.patrol import run_patrol
from .camera.snapshots import Snapshots
from .camera.start_gate import StartGate
from .media.decoder.actor import run_decoder
from .media.decoder.client import Decoder, Decodes
from .media.transcoder import run_transcoder
from .media.video_transcoder import run_video_transcoder
from .process.daemons import Daemons
from .process.sweep import Sweep
from .tools import Tools
from .webrtc.deferred import VIEWERS, Connect, run_connection
from .webrtc.offer import SdpOffer, parse_offer
from .webrtc.peer import PeerActor

if TYPE_CHECKING:  # imported only if they are on
    from .detectors.crew import DetectorCrew
    from .hls.live import LiveHls
    from .recorder.crew import RecorderCrew
    from .recorder.review import Review
    from .rtsp_server.actor import ReaderActor
    from .rtsp_server.readers import Readers

PICTURE_S = 15.0
"""The longest wait for a snapshot."""
MJPEG_INTERVAL_S = 0.5
LOAD_AGAIN_S = 5.0
"""Delay before an import is retried if the system is short of resources."""
CREW = BackgroundImport(["actors.detectors.crew"])
READERS = BackgroundImport(["actors.rtsp_server.readers", "actors.rtsp_server.server"])
RECORDERS = BackgroundImport(["actors.recorder.crew"])
HLS = BackgroundImport(["actors.hls.live"])
REVIEW = BackgroundImport(["actors.recorder.review"])
"""They are imported only if they are on, and in a thread: each takes 20 to 50 ms."""
logger = logging.getLogger("banken")


class Registry:
    """Starts and stops actors for the reconciler, and implements the gateway's port to cameras and peers."""

    def __init__(
        self,
        tools: Tools,
        *,
        decoder: Decodes | None = None,
        starts: StartGate | None = None,
        connect: Connect = run_connection,
        rtsp: tuple[socket.socket, ReaderLogins] | None = None,
        archives: Mapping[str, ArchiveSettings] | None = None,
    ) -> None:
        """`rtsp`: the listening socket for readers, and their logins; None if the RTSP server is off.

        `archives`: None to record nothing.
        """
        self._tools, self._connect = tools, connect
        self._rtsp, self._archives = rtsp, archives
        self._recorders: RecorderCrew | None = None
        self._review: Review | None = None
        self._recording = trio.Event()
        """Set when there are recorders."""
        self._readers: dict[CameraId, Readers] = {}
        self._hls: dict[CameraId, LiveHls] = {}
        self._decoder = decoder or Decoder()
        self._starts = starts or StartGate()
        self._cameras: dict[CameraId, CameraActor] = {}
        self._uses: Mapping[CameraId, str] = {}
        """The use of each camera, as last passed to `want`."""
        self._private: Mapping[CameraId, Privacy] = {}
        self._peers: dict[PeerId, PeerActor | ReaderActor] = {}
        self._pictures = Snapshots(tools, self._decoder)
        self._crew: DetectorCrew | None = None
        self._daemons = Daemons(tools)
        self.run_daemons, self.daemon_statistics = self._daemons.run, self._daemons.statistics
        self._sweep = Sweep(tools, self._cameras.keys)
        self.find_survivors = self._sweep.find_survivors
        self.run_sweep = self._sweep.run
        self.load = VIEWERS.load

    async def run_camera(self, settings: CameraSettings) -> None:
        """Run one camera with its peers.

        Cancellation: ends its source and its peers. Cleanup: that of the source and the peers; the camera leaves the
        registry and its hub is closed.
        """
        name = settings.camera
        with log_about(camera=name):
            await self._run_camera(settings)

    async def _run_camera(self, settings: CameraSettings) -> None:
        name = settings.camera
        if self._rtsp is not None:
            await _load(READERS)
        async with trio.open_nursery() as viewers:
            camera = self._cameras[name] = CameraActor(settings, self._tools, self._starts, viewers)
            camera.hide(self._private.get(name))
            camera.want(self._uses.get(name))
            self._tools.kernel.wake()
            wait = partial(self._tools.wait_after_crash, f"fan-out of {name}")
            viewers.start_soon(run_supervised, f"fan-out of {name}", camera.streams.own.run, wait)
            viewers.start_soon(run_supervised, f"streams of {name}", camera.streams.run, wait)
            if self._rtsp is not None:
                self._start_readers(camera)
            viewers.start_soon(self._transcode, camera, name=f"audio/{name}")
            viewers.start_soon(self._transcode_video, camera, name=f"video/{name}")
            if self._archives is not None:
                viewers.start_soon(self._record, camera, name=f"recorder/{name}")
            if self._tools.detections is not None:
                viewers.start_soon(self._look_for_motion, camera, name=f"motion/{name}")
            try:
                await run_supervised(f"source of {name}", camera.run_source, camera.wait_after_crash)
            finally:
                del self._cameras[name]
                self._readers.pop(name, None)
                self._hls.pop(name, None)
                camera.ended = await why_cancelled()
                camera.hub.close()

    def _start_readers(self, camera: CameraActor) -> None:
        from .rtsp_server.readers import Readers

        name = f"readers of {camera.name}"
        clock, rendition = self._tools.kernel.clock, camera.rendition
        rendered = Readers(rendition.hub, clock, made=rendition)
        own = self._readers[camera.name] = Readers(camera.hub, clock, rendered)
        for readers in (own, rendered):
            camera.viewers.start_soon(run_supervised, name, readers.run, partial(self._tools.wait_after_crash, name))

    async def _transcode(self, camera: CameraActor) -> None:
        name, hub = f"audio/{camera.name}", camera.hub
        rings = hub.audio_frames, hub.opus, hub.recorded_opus
        work = partial(run_transcoder, camera.name, *rings, hub.listeners, self._tools)
        await run_supervised(name, work, partial(self._tools.wait_after_crash, name))

    async def _transcode_video(self, camera: CameraActor) -> None:
        name, serve = f"video/{camera.name}", camera.streams.made.run
        work = partial(run_video_transcoder, camera.name, camera.hub, camera.rendition, serve, self._tools)
        await run_supervised(name, work, partial(self._tools.wait_after_crash, name))

    async def _record(self, camera: CameraActor) -> None:
        await self._recording.wait()
        assert self._recorders is not None
        name = f"recorder/{camera.name}"
        work = partial(self._recorders.record, camera.name, camera.hub)
        await run_supervised(name, work, partial(self._tools.wait_after_crash, name))

    async def _look_for_motion(self, camera: CameraActor) -> None:
        name, work = f"motion/{camera.name}", partial(run_motion, camera.name, camera.hub, self._decoder, self._tools)
        await run_supervised(name, work, partial(self._tools.wait_after_crash, name))

    def reconfigure(self, settings: CameraSettings) -> None:
        if settings.camera in self._cameras:
            self._cameras[settings.camera].reconfigure(settings)

    def want(self, uses: Mapping[CameraId, str], private: Mapping[CameraId, Privacy]) -> None:
        self._uses, self._private = uses, private
        for name, camera in self._cameras.items():
            camera.hide(private.get(name))
            camera.want(uses.get(name))

    async def run_decoder(self) -> None:
        """Decode key frames for snapshots and motion in a child process.

        Cancellation: ends the child process. Cleanup: that of `run_decoder`.
        """
        assert isinstance(self._decoder, Decoder)
        await run_decoder(self._decoder, self._tools)

    async def run_detectors(self) -> None:
        """Run the detectors of the configuration. Their module is imported with the first one.

        Cancellation: ends them. Cleanup: that of `DetectorCrew.run`.
        """
        kernel = self._tools.kernel
        while not self._tools.sources.detectors():
            await kernel.wait_change(kernel.state.seq)
        await _load(CREW)
        from .detectors.crew import DetectorCrew

        self._crew = DetectorCrew(self._cameras, self._pictures, self._decoder, self._tools)
        await self._crew.run()

    def detector_statistics(self) -> Sequence[DetectorStatistics]:
        return () if self._crew is None else self._crew.statistics()

    def archive_statistics(self) -> Mapping[str, ArchiveStatistics]:
        """By the name of the archive; empty before the first camera is recorded."""
        return {} if self._recorders is None else self._recorders.statistics()

    def archive_rooms(self) -> Sequence[ArchiveRoom]:
        return () if self._recorders is None else self._recorders.rooms()

    async def footage_bytes(
        self, stretches: Sequence[CameraTime], *, of_all: tuple[int, int] | None = None
    ) -> Mapping[str, Mapping[CameraId, int]]:
        if self._archives is None:
            return {}
        crew = await self._recorder_crew()
        return await crew.footage_bytes(stretches, of_all)

    async def _recorder_crew(self) -> "RecorderCrew":
        """The recorders, which are imported with the first call."""
        assert self._archives is not None
        await _load(RECORDERS)
        from .recorder.crew import RecorderCrew

        self._recorders = self._recorders or RecorderCrew(self._archives, self._tools)
        return self._recorders

    async def run_recordings(self) -> None:
        """Keep the recordings of the cameras that are recorded. The module is imported with the first one.

        Cancellation: ends the writing. Cleanup: all files are sealed.
        """
        assert self._archives is not None
        kernel = self._tools.kernel
        while not any(known.settings.record is not RecordMode.OFF for known in kernel.state.cameras.values()):
            await kernel.wait_change(kernel.state.seq)
        crew = await self._recorder_crew()
        self._recording.set()
        await crew.run()

    async def footage(self) -> FootagePort:
        """The footage of the archive. Its module is imported with the first question."""
        await _load(REVIEW)
        from .recorder.review import Review

        assert self._archives is not None
        if self._review is None:
            kernel, folders = self._tools.kernel, tuple(archive.path for archive in self._archives.values())
            self._review = Review(folders, self._decoder, lambda name: name in kernel.state.cameras)
        return self._review

    async def run_patrol(self, group: str) -> None:
        await run_patrol(group, self._cameras, self._pictures, self._tools)

    def stop_peer(self, peer: PeerId, reason: Reason) -> None:
        if peer in self._peers:
            self._peers[peer].stop(reason)

    def read_offer(self, text: str) -> SdpOffer:
        return parse_offer(text)

    async def open_peer(self, camera: CameraId, peer: PeerId, offer: SdpOffer) -> str:
        """Start a peer in its camera's nursery. Returns the SDP answer.

        It starts without the caller's cause. Raises `Rejected` when the camera does not run.
        """
        running = self._running(camera)
        source = self._tools.sources.find(camera)
        is_silent = source is not None and not source.audio
        if is_silent or (running.hub.picture is not None and not offer.hears(running.hub.audio)):
            offer = offer.without_audio()
        actor = PeerActor(peer, offer, self._tools, self._connect)
        answer: str = await self._start_peer(running, actor, partial(actor.run, running.streams))
        return answer

    async def open_reader(self, camera: CameraId, actor: "ReaderActor") -> "Readers":
        """Start a reader in its camera's nursery, and return the readers of the camera.

        It starts without the caller's cause. Raises `Rejected` when the camera does not run.
        """
        running = self._running(camera)
        readers: Readers = await self._start_peer(running, actor, partial(actor.run, self._readers[camera]))
        return readers

    async def _start_peer(
        self, camera: CameraActor, actor: "PeerActor | ReaderActor", serve: Callable[..., Awaitable[None]]
    ) -> Any:
        """Start the actor of a peer. Returns what it starts with; raises what it fails with before that."""
        peer = actor.peer

        async def run(task_status: trio.TaskStatus[Any]) -> None:
            self._peers[peer] = actor
            self._tools.kernel.wake()  # its lease may have ended since the slot was granted
            try:
                known = self._tools.kernel.state.peers.get(peer)
                with log_about(camera=camera.name, peer=peer, lease=known.lease if known else ""):
                    await serve(task_status=task_status)
            finally:
                del self._peers[peer]

        return await camera.viewers.start(in_empty_context, run, name=f"peer/{peer}")

    async def run_rtsp(self) -> None:
        """Serve readers by RTSP.

        Cancellation: ends all of them. Cleanup: their connections are closed; the listening socket is not.
        """
        await _load(READERS)
        from .rtsp_server.server import RtspServer

        assert self._rtsp is not None
        listener, logins = self._rtsp
        await RtspServer(listener, self._tools, self, logins).run()

    async def take_picture(
        self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
    ) -> Jpeg:
        if not open_it:
            return await self._pictures.recall(self._running(camera), max_age_s)
        return await self._pictures.take(self._running(camera), client, max_age_s, PICTURE_S)

    def watch_pictures(self, camera: CameraId, client: str) -> AsyncGenerator[Jpeg, None]:
        return self._pictures.watch(self._running(camera), client, MJPEG_INTERVAL_S, PICTURE_S)

    async def hls(self, camera: CameraId, client: str, request: HlsRequest) -> bytes:
        await _load(HLS)
        from .hls.live import LiveHls

        running = self._running(camera)
        if camera not in self._hls:
            self._hls[camera] = LiveHls(camera, running.hub, self._tools, running.viewers)
        return await self._hls[camera].answer(client, request, PICTURE_S)

    async def add_candidates(self, peer: PeerId, fragment: str) -> None:
        actor = self._peers.get(peer)
        if not isinstance(actor, PeerActor):
            raise Rejected(Refusal.UNKNOWN, "there is no such viewer, or it has left")
        actor.add_candidates(fragment)

    def _running(self, camera: CameraId) -> CameraActor:
        """Return the running camera. Raises `Rejected` when it does not exist or does not run yet."""
        if camera in self._cameras:
            return self._cameras[camera]
        if camera in self._tools.kernel.state.cameras:
            raise Rejected(Refusal.UNAVAILABLE, f"{camera} is starting or stopping", 1.0)
        raise Rejected(Refusal.UNKNOWN, f"there is no camera {camera!r}")

    def statistics(self) -> Mapping[CameraId, CameraStatistics]:
        pids = {
            child.camera: child.pid for child in self._tools.kernel.state.children.values() if child.purpose == VIDEO
        }
        return {name: self._measured(camera, pids.get(name)) for name, camera in self._cameras.items()}

    def _measured(self, camera: CameraActor, transcoder: int | None) -> CameraStatistics:
        """Return the measurements of a camera, with those of its rendition while `transcoder`, a pid, makes it."""
        measured, rendition = camera.hub.statistics(), camera.rendition
        if transcoder is None and not rendition.meter.total_s:
            return measured
        made = rendition.statistics(transcoder)
        return attrs.evolve(measured, rendition=made, transcoder_cpu_s=round(rendition.meter.total_s, 2))

    def about(self, camera: CameraId) -> CameraFacts | None:
        return self._cameras[camera].hub.about() if camera in self._cameras else None

    def starts_waiting(self) -> tuple[int, float]:
        """Return the number of cameras that wait at the start gate, and the longest wait so far in seconds."""
        return self._starts.waiting(trio.current_time())

    def peer_statistics(self) -> Mapping[PeerId, PeerStatistics]:
        found = ((peer, actor.statistics()) for peer, actor in self._peers.items())
        return {peer: statistics for peer, statistics in found if statistics is not None}


async def _load(modules: BackgroundImport) -> None:
    """Import modules in a thread. While the system is short of resources, the import is retried."""
    while True:
        try:
            return await modules.load()
        except NotLoaded as error:
            logger.warning("%s; it is imported again in %g s", error.strerror, LOAD_AGAIN_S)
            await trio.sleep(LOAD_AGAIN_S)
