"""`rtsp://` and `rtsps://`: a camera, read by an ffmpeg child over TCP, never re-encoded.

The address goes to ffmpeg through a pipe, as a one-line playlist, and not as an argument: arguments can be read by
every user of the machine, and this one often holds a password.
"""

from urllib.parse import urlsplit

from supervisor.config import Source
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Reason

from ..ffmpeg import run_ffmpeg
from ..hub import Hub
from ..process import PIPE_ROOM
from ..tools import Tools

DEFAULT_PORT = {"rtsp": 554, "rtsps": 322}
SILENCE_US = 10_000_000
"""ffmpeg gives up a socket that has been silent for this long; more than the stall watch waits, since on giving up it
lets go of one more picture, which would look like life."""

_INPUT = (
    *("-fflags", "nobuffer", "-analyzeduration", "1000000", "-probesize", "1000000"),
    *("-protocol_whitelist", "pipe,rtp,rtsp,rtsps,tcp,tls,udp,crypto", "-safe", "0", "-f", "concat", "-i", "pipe:0"),
    *("-map", "0:v:0", "-c", "copy"),
)


def check(source: Source) -> str | None:
    try:
        parts = urlsplit(source.address)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        # An @ behind the host is the end of a password that was cut short by a character of its own.
        usable = usable and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:
        usable = False
    if not usable or any(character in source.address for character in "\r\n\0"):
        return (
            f"{source.address!r} is no RTSP address; it should look like rtsp://192.0.2.10:554/path, with "
            "user:password@ in front of the host if it wants them, and @ / # ? in a password written as %40 %2F %23 %3F"
        )
    if len(playlist(source.address)) > PIPE_ROOM:
        return f"an RTSP address of {len(source.address)} characters is too long"
    return None


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools, after: Recorded) -> Reason:
    return await run_ffmpeg(camera, source, _INPUT, hub, tools, after, stdin=playlist(source.address))


def playlist(address: str) -> bytes:
    """An ffconcat script that opens `address` over TCP."""
    quoted = address.replace("'", "'\\''")
    # To find out the frame rate, which nobody needs, ffmpeg would wait for twenty pictures.
    options = {"rtsp_transport": "tcp", "timeout": SILENCE_US, "fpsprobesize": 0}
    lines = ("ffconcat version 1.0", f"file '{quoted}'", *(f"option {name} {value}" for name, value in options.items()))
    return "\n".join((*lines, "")).encode()


def host_and_port(address: str) -> tuple[str, int]:
    """Where to knock for `address`."""
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or DEFAULT_PORT.get(parts.scheme.lower(), 554)
