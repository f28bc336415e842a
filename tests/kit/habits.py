"""Correct and incorrect behavior of cameras, as literal values."""

from collections.abc import Mapping
from enum import StrEnum

import attrs

from .rtp import Codec

CONNECT = "CONNECT"
"""The step before the first request."""


class Then(StrEnum):
    """The later behavior of a stream."""

    GOES_ON = "goes on"
    STOPS = "sends nothing more, keeps the connection"
    STOPS_MIDWAY = "stops in the middle of a picture"
    PAUSES = "sends nothing for a while, then goes on"
    DRIPS = "sends a byte now and then"
    CLOSES = "closes the connection"
    RESETS = "resets the connection"
    UNASKED_MESSAGES = "sends bytes without any form"
    GARBLES = "sends well-formed packets of nonsense"
    RESIZES = "sends pictures of another size"


@attrs.frozen
class Behaviour:
    """The behavior of a camera; the defaults are those of a healthy one."""

    size: tuple[int, int] = (64, 64)
    fps: int = 25
    key_every: int = 25
    """Pictures from key frame to key frame; twice `fps` at the most."""
    codec: Codec = Codec.H264
    listens: bool = True
    """Without it, connections are refused."""
    hangs_at: str = ""
    """The request that is never answered, nor any after it."""
    refuses: Mapping[str, str] = attrs.field(factory=dict)
    """The status for a request, instead of 200."""
    sdp: str | None = None
    """Another description than the true one."""
    babbles: bytes = b""
    """Sent as the answer to every request."""
    drips: bool = False
    """From the first byte on."""
    key_frames: bool = True
    after_s: float = 1.0
    """How long the stream is good."""
    then: Then = Then.GOES_ON
    pause_s: float = 3.0
    max_sessions: int | None = None
    """More get 453; those that were never torn down count until their timeout."""
    session_timeout_s: int = 60
    stamps: bool = False
    """Each picture says when it was sent."""


HEALTHY = Behaviour()
