"""What the receiving process is told, and what it tells."""

import attrs


@attrs.frozen
class Plan:
    urls: tuple[str, ...]
    """Where viewers go, in turns: WHEP, or `janus+http://HOST:PORT/janus#MOUNT`."""
    server: int
    """Process id of what is measured."""
    viewers: int = 0
    seconds: float = 0.0
    joins: int = 0
    """If any: so many viewers one after the other, instead of all at once."""
    stamps: bool = False
    """Whether to look how long each picture was under way."""
    gro: bool = False
    """Whether the kernel may hand over many datagrams in one piece (UDP_GRO)."""


@attrs.frozen
class Seen:
    """What one viewer has got."""

    packets: int
    sent: int
    """As many as the sequence numbers say there were."""
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
    """Times in seconds of the measuring window, memory in MB; of the server with all that it has started."""

    seconds: float = 0.0
    refusal: str = ""
    """What the last viewer was told that could not join; empty when all could."""
    cpu_s: float = 0.0
    receivers_cpu_s: float = 0.0
    pss_before_mb: float = 0.0
    pss_mb: float = 0.0
    viewers: tuple[Seen, ...] = ()
    delays_ms: tuple[float, ...] = ()
    """From the camera to the viewer's socket, of each stamped picture of each viewer, in order of size."""
    key_first_ms: tuple[float, ...] = ()
    key_last_ms: tuple[float, ...] = ()
    """The same, of each stamped key frame: to the first packet with a slice, and to the last packet."""
    joins_ms: tuple[float, ...] = ()
    """From the offer to the first whole key frame."""

    @property
    def packets(self) -> int:
        return sum(viewer.packets for viewer in self.viewers)

    @property
    def lost(self) -> int:
        return sum(max(0, viewer.sent - viewer.packets) for viewer in self.viewers)
