"""The dependencies that all actors share. Tests replace them.

The registry gives the others to the actors that need them: the decoder, the start gate, the WebRTC connections.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

import attrs
import trio

from supervisor.config.config import Daemon, Detector, Source
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.ports.actors import DetectionsPort, LeasesPort
from supervisor.ports.decisions import Decider

from .addresses import open_tcp
from .process.process import OpenProcess
from .process.process_table import ProcessTable

TcpProbe = Callable[[str, int], Awaitable[bool]]
"""`await tcp_probe(host, port)`: a TCP probe. Returns whether the host accepts a TCP connection on that port."""
OpenTcp = Callable[[str, int, bool], Awaitable[trio.abc.Stream]]
"""`await open_tcp(host, port, tls)`: open a connection. Sets no time limit.

Raises `OSError` and `UnicodeError`; also `trio.BrokenResourceError` when the other side does not speak TLS.
"""


class Sources(Protocol):
    """The sources of all cameras, with their secrets."""

    def __getitem__(self, camera: CameraId) -> Source: ...

    def find(self, camera: CameraId) -> Source | None:
        """The source of `camera`; None if it has been removed."""
        ...

    def all(self) -> Collection[Source]: ...

    def detectors(self) -> Mapping[str, Detector]:
        """The detectors that banken runs, calls or reads, by name."""
        ...

    def daemons(self) -> Mapping[str, Daemon]:
        """The programs that banken runs beside its cameras, by name."""
        ...

    def configured(self) -> Recorded | None:
        """The event of the configuration that names them."""
        ...


@attrs.frozen
class Tools:
    kernel: Decider
    sources: Sources
    leases: LeasesPort
    detections: DetectionsPort | None
    """None if the part is off; then nothing looks for motion."""
    wait_after_crash: Callable[[str, str], Awaitable[None]]
    """`await wait_after_crash(name, error)`: wait before the restart of an actor that belongs to no camera."""
    wait_after_camera_crash: Callable[[CameraId, str], Awaitable[bool]]
    """`await wait_after_camera_crash(camera, error)`: report the crash, and wait for the backoff or quarantine.

    Returns whether a request for a probe ended the wait.
    """
    open_process: OpenProcess
    processes: ProcessTable
    owner: str
    """The first part of the mark of all children: `owner_of` of the journal's folder."""
    ffmpeg: str
    """Path of the ffmpeg program."""
    tcp_probe: TcpProbe
    jitter: Callable[[], float]
    """Uniform in [0, 1)."""
    keep: trio.Nursery
    """Outlives every actor: waits for child processes that SIGKILL does not end."""
    open_tcp: OpenTcp = open_tcp
    """Connects to an RTSP camera."""
