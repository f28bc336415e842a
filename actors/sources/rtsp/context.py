"""Shared by all parts of one RTSP session: its camera, its transport, and the receivers of media and facts."""

from collections.abc import Callable, Collection

import attrs

from supervisor.config.config import Timeouts

from ...media.facts import SourceFacts
from ...media.media import SourceLoss
from .address import Target
from .choice import Sink
from .encrypted import Cipher
from .memory import SourceMemory
from .transport_header import Pair, Transport


@attrs.frozen
class SessionContext:
    target: Target
    sink: Sink
    loss: SourceLoss
    facts: SourceFacts
    learned: SourceMemory
    timeouts: Timeouts
    over: Transport
    ports: tuple[Pair, Pair] | None
    """Our UDP ports of both tracks, for the transport `udp`."""
    played: Collection[str]
    """The transports over which cameras of the device were last live."""
    cipher: Callable[[], Cipher]
    """Called for encrypted media."""
    ssrc: int
    """Of our reports about the first track."""

    @property
    def is_interleaved(self) -> bool:
        return self.over in ("tcp", "http")

    def ssrc_of(self, index: int) -> int:
        """Return our SSRC for a track. Both may have one key: with one SSRC, their reports would share a keystream."""
        return (self.ssrc + index) & 0xFFFFFFFF
