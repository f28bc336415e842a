"""What every actor is handed. The seams to the world are here and nowhere else, so that a test can be the world."""

import ssl
from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs
import trio

from supervisor.detections import Detections
from supervisor.domain.values import Reason
from supervisor.kernel import Kernel
from supervisor.leases import Leases
from supervisor.vault import Vault

from .addresses import open_stream
from .decoder.client import Decoder, Decodes
from .process import OpenProcess
from .process_table import ProcessTable
from .rtc.fanout import Fanout
from .rtc.late import Witness, run_connection
from .rtc.offer import Candidate, Offer
from .start_gate import StartGate

Knock = Callable[[str, int], Awaitable[bool]]
"""`await knock(host, port)`: whether something accepts TCP connections there."""
OpenTcp = Callable[[str, int, bool], Awaitable[trio.abc.Stream]]
"""`await open_tcp(host, port, tls)`: a connection. Raises `OSError`, `UnicodeError` and, without TLS on the other side,
`trio.BrokenResourceError`. Does not bound the time."""


class Connect(Protocol):
    async def __call__(
        self,
        offer: Offer,
        fanout: Fanout,
        candidates: trio.MemoryReceiveChannel[Candidate],
        witness: Witness,
        *,
        ice_servers: tuple[str, ...],
        disconnected_after_s: float,
    ) -> Reason:
        """Serve one viewer until its connection ends, and say why: as `run_connection` does."""
        ...


@attrs.frozen
class Tools:
    kernel: Kernel
    sources: Vault
    """Where the pictures really come from, secrets included."""
    open_process: OpenProcess
    processes: ProcessTable
    ffmpeg: str
    """Path of the ffmpeg program."""
    knock: Knock
    ice_servers: tuple[str, ...]
    """`stun:` URLs; none on a LAN."""
    jitter: Callable[[], float]
    """Uniform in [0, 1)."""
    keep: trio.Nursery
    """Outlives every actor: for children that do not die when they are told to."""
    leases: Leases = attrs.field(default=attrs.Factory(lambda tools: Leases(tools.kernel), takes_self=True))
    detections: Detections = attrs.field(default=attrs.Factory(lambda tools: Detections(tools.kernel), takes_self=True))
    decoder: Decodes = attrs.field(factory=Decoder)
    """Makes pictures of key frames, and looks for motion in them."""
    starts: StartGate = attrs.field(factory=StartGate)
    connect: Connect = run_connection
    open_tcp: OpenTcp = attrs.field(factory=lambda: open_tcp)
    """To a camera that speaks RTSP."""


async def knock(host: str, port: int) -> bool:
    """The real one: one TCP connection, closed at once. Bounded by 2 s."""
    with trio.move_on_after(2):
        try:
            stream = await open_stream(host, port)
        except (OSError, UnicodeError):
            return False
        await stream.aclose()
        return True
    return False


async def open_tcp(host: str, port: int, tls: bool) -> trio.abc.Stream:
    """The real one. TLS encrypts, and does not ask who the other side is: the certificates of cameras are their own."""
    stream = await open_stream(host, port)
    if not tls:
        return stream
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    secured = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    try:
        await secured.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(secured)
        raise
    return secured
