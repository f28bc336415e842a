"""The input of the receiving process, and its result."""

import attrs


@attrs.frozen
class Plan:
    urls: tuple[str, ...]
    """Addresses for the viewers, in rotation: WHEP, or `janus+http://HOST:PORT/janus#MOUNT`."""
    server: int
    """Process id of the measured server."""
    viewers: int = 0
    seconds: float = 0.0
    joins: int = 0
    """If not 0: the number of viewers that join one after the other, instead of all at once."""
    stamps: bool = False
    """Whether to measure the latency of each access unit."""
    gro: bool = False
    """Whether the kernel may coalesce datagrams (UDP_GRO)."""


@attrs.frozen
class Seen:
    """The packets and access units that one viewer has received."""

    packets: int
    sent: int
    """The number of packets sent, by the sequence numbers."""
    pictures: int
    broken: int

    def since(self, earlier: "Seen") -> "Seen":
        return Seen(
            self.packets - earlier.packets,
            self.sent - earlier.sent,
            self.pictures - earlier.pictures,
            self.broken - earlier.broken,
        )


@attrs.frozen
class Result:
    """Times in seconds during the measuring window, memory in MB; of the server with its descendants."""

    seconds: float = 0.0
    refusal: str = ""
    """The error of the last viewer that could not join; empty when all joined."""
    cpu_s: float = 0.0
    receivers_cpu_s: float = 0.0
    pss_before_mb: float = 0.0
    pss_mb: float = 0.0
    viewers: tuple[Seen, ...] = ()
    first_ms: tuple[float, ...] = ()
    last_ms: tuple[float, ...] = ()
    """Latency from the camera to the viewer's socket, of each access unit of all viewers, ascending.

    To the first packet with a slice, and to the last packet.
    """
    key_first_ms: tuple[float, ...] = ()
    key_last_ms: tuple[float, ...] = ()
    """The same for key frames only."""
    joins_ms: tuple[float, ...] = ()
    """From the offer to the first complete key frame."""

    @property
    def packets(self) -> int:
        return sum(viewer.packets for viewer in self.viewers)

    @property
    def lost(self) -> int:
        return sum(max(0, viewer.sent - viewer.packets) for viewer in self.viewers)
