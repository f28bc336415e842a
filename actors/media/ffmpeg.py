"""ffmpeg as a child process: the program, its arguments, its output, and the meaning of its error messages."""

import re
import shutil
from collections.abc import Iterable, Iterator
from functools import cache, partial
from typing import Protocol

import trio

from supervisor.config.config import Source
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Fault, Reason

from ..cpu_share import AT_ONCE, OF_AUDIO, OF_VIDEO, CpuShare
from ..process.child import ChildExit, ChildSpec, run_child
from ..tools import Tools
from .audio import SampleClock, samples_of
from .bitstream import BitstreamError
from .flv import Announced, AudioSample, FlvDemuxer, Item, Sample, Sets, UnsupportedCodec
from .hub import Hub
from .media import AUDIO_OFF, CLOCK_RATE, ENCODE_VIDEO, AudioFormat, VideoCodec

CARRIED_AUDIO = "AAC, Opus and G.711"
PER_MS = CLOCK_RATE // 1000
AUDIO_TOLERANCE = 10 * PER_MS
"""FLV counts in milliseconds. Audio within this distance of its time stamp continues sample by sample."""

QUIET = ("-hide_banner", "-nostats", "-loglevel", "warning")
OUTPUT = ("-max_interleave_delta", "1000000", "-flush_packets", "1", "-f", "flv", "pipe:1")
"""The output is always FLV on standard output, flushed after each frame.

Video waits at most 1 s for audio that does not come. With less, ffmpeg gives up when the encoder begins before time
zero (AAC) and the first video frame is late.
"""

_READ = 256 * 1024

_COMPLAINTS: tuple[tuple[str, str, Fault, str], ...] = (
    (r"401 Unauthorized|authorization failed", "unauthorized", Fault.FATAL, "the camera refuses the user or password"),
    (r"403 Forbidden", "forbidden", Fault.FATAL, "the camera forbids this stream to this user"),
    (r"404 (Stream )?Not Found", "not-found", Fault.FATAL, "the camera has no stream under this path"),
    (
        r"453 Not Enough Bandwidth|503 Service Unavailable|[Tt]oo many (connections|sessions|clients)",
        "full",
        Fault.TEMPORARY,
        "the camera serves as many connections as it can",
    ),
    (r"461 Unsupported [Tt]ransport", "unsupported-transport", Fault.FATAL, "the camera does not send over TCP"),
    (r"method \w+ failed: 4\d\d", "refused", Fault.TEMPORARY, "the camera refuses the request"),
    (r"method \w+ failed: 5\d\d", "camera-error", Fault.TEMPORARY, "the camera reports an internal error"),
    (
        r"Connection to .* failed: (Connection|Operation) timed out",
        "unreachable",
        Fault.TEMPORARY,
        "nothing answers there: no connection in time",
    ),
    (r"Connection refused", "unreachable", Fault.TEMPORARY, "nothing answers there: connection refused"),
    (
        r"No route to host|Network is unreachable|Host is unreachable",
        "unreachable",
        Fault.TEMPORARY,
        "there is no way to this address",
    ),
    (
        r"Failed to resolve hostname|Name or service not known|Temporary failure in name resolution",
        "unreachable",
        Fault.TEMPORARY,
        "the name of this host is not known",
    ),
    (r"timed out", "timeout", Fault.TEMPORARY, "the camera does not answer in time"),
    (
        r"Audio codec \S+ not compatible with flv|unsupported sample rate",
        "unsupported-sound",
        Fault.FATAL,
        f"the stream's audio codec cannot be passed on; {CARRIED_AUDIO} can: -c:a aac re-encodes it, audio: off leaves "
        "it out",
    ),
    (
        r"[Cc]odec not currently supported in container|not compatible with flv",
        "unsupported-codec",
        Fault.FATAL,
        f"this ffmpeg cannot pass on the stream's video codec: {ENCODE_VIDEO} encodes it, and H.265 needs ffmpeg 6.1",
    ),
    (
        r"does not contain any stream|matches no streams",
        "no-video",
        Fault.FATAL,
        "the stream has no video",
    ),
    (r"No such file or directory", "not-found", Fault.FATAL, "there is no such file"),
    (r"Permission denied", "forbidden", Fault.FATAL, "this may not be read"),
    (
        r"Unrecognized option|Option .* not found",
        "bad-settings",
        Fault.FATAL,
        "ffmpeg does not accept these arguments",
    ),
    (r"Connection reset|Broken pipe|End of file", "ended", Fault.TEMPORARY, "the camera ended the connection"),
    (r"Invalid data found", "bad-data", Fault.TEMPORARY, "what came is no stream"),
)


def find_ffmpeg() -> str:
    """Return the path of the ffmpeg on the PATH, or of the one in the imageio-ffmpeg wheel."""
    found = shutil.which("ffmpeg")
    if found is None:
        import imageio_ffmpeg  # slow to import, and rarely needed

        found = str(imageio_ffmpeg.get_ffmpeg_exe())
    return found


@cache
def is_script(program: str) -> bool:
    """Return whether a program is a script. A script may start other processes; ffmpeg itself does not. Cached."""
    try:
        with open(program, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False  # it will not start, either


def explain(ending: ChildExit) -> Reason:
    """Explain why ffmpeg ended, from its exit status and its standard error. The last known message decides."""
    for line in reversed(ending.stderr_tail):
        for pattern, code, fault, text in _COMPLAINTS:
            if re.search(pattern, line):
                return Reason(code, text, fault)
    if ending.signal is not None:
        return Reason("killed", f"ffmpeg was ended by {ending.signal}")
    if ending.status == 0:
        return Reason("ended", "the stream ended")
    last = ending.stderr_tail[-1] if ending.stderr_tail else "it said nothing"
    return Reason("ended", f"ffmpeg ended with {ending.status}: {last}")


async def run_ffmpeg(
    camera: CameraId,
    source: Source,
    arguments: tuple[str, ...],
    hub: Hub,
    tools: Tools,
    stdin: bytes = b"",
) -> Reason:
    """Run ffmpeg with `arguments` as its input and coding options, publish its output, and return why it ended.

    `stdin` is the complete content of its standard input.

    Cancellation: as in `run_child`. Cleanup: as of `run_child`.
    """
    hub.is_connected = True
    hub.set_transport("", "ffmpeg")
    if not source.audio:
        hub.set_audio(None, AUDIO_OFF)
    command = (tools.ffmpeg, *QUIET, *arguments, *(() if source.audio else ("-an",)), *OUTPUT)
    spec = ChildSpec(camera, "source", command, source.secrets, stdin, is_script(tools.ffmpeg), source.env)
    return await run_child(spec, partial(publish_flv, hub=hub), explain, tools)


class Publishes(Protocol):
    """The part of `Hub` that takes the items of an FLV stream."""

    @property
    def audio(self) -> AudioFormat | None: ...

    def set_parameter_sets(self, sets: Iterable[bytes], codec: VideoCodec = ...) -> None: ...

    def publish(self, units: Iterable[bytes], pts: int, codec: VideoCodec = ..., dts: int | None = None) -> None: ...

    def set_audio(self, audio: AudioFormat | None, mute: str = "") -> None: ...

    def publish_audio(self, data: bytes, pts: int) -> None: ...


async def publish_flv(stream: trio.abc.ReceiveStream, hub: Publishes) -> Reason | None:
    """Publish the video and audio of an FLV stream. Returns at its end, or with the reason why it is not usable.

    It takes at most a camera's share of the event loop. Meanwhile, ffmpeg waits.

    Cancellation: at any time. Cleanup: nothing is held.
    """
    publisher, share = FlvPublisher(hub), CpuShare(trio.current_time())
    try:
        while chunk := await stream.receive_some(_READ):
            share.begin()
            for work in publisher.feed(chunk):
                if work >= AT_ONCE:
                    share.pause(trio.current_time())
                    await trio.lowlevel.checkpoint()
                    share.begin()
            if (wait_s := share.pause(trio.current_time())) > 0:
                await trio.sleep(wait_s)
    except UnsupportedCodec as codec:
        return Reason(
            "unsupported-codec",
            f"the stream is {codec}, which cannot be passed on; {ENCODE_VIDEO} encodes it",
            Fault.FATAL,
        )
    except BitstreamError as error:
        return Reason("bad-data", f"the received stream is not usable: {error}")
    return None


class FlvPublisher:
    """Publishes the video and audio of an FLV stream."""

    def __init__(self, hub: Publishes) -> None:
        self._hub, self._demuxer = hub, FlvDemuxer()
        self._clock: SampleClock | None = None

    def feed(self, data: bytes | bytearray) -> Iterator[int]:
        """Publish the items of `data`. Yields the work of the current slice, in packets; a slice ends at `AT_ONCE`.

        Raises the errors of `FlvDemuxer.feed`.
        """
        work = 0
        for item in self._demuxer.feed(data):
            work = (0 if work >= AT_ONCE else work) + self._publish(item)
            yield work

    def _publish(self, item: Item) -> int:
        """Publish one item and return its work, in packets."""
        hub = self._hub
        match item:
            case Sets():
                hub.set_parameter_sets(item.units, item.codec)
                return OF_VIDEO + len(item.units)
            case Sample():
                hub.publish(item.units, item.pts_ms * PER_MS, item.codec, item.dts_ms * PER_MS)
                return OF_VIDEO + len(item.units)
            case Announced():
                hub.set_audio(item.audio, item.mute)
                self._clock = SampleClock(item.audio.rate, AUDIO_TOLERANCE) if item.audio else None
            case AudioSample() if hub.audio is not None and self._clock is not None:
                samples = samples_of(hub.audio, item.data)
                hub.publish_audio(item.data, self._clock.stamp(item.pts_ms * PER_MS, samples))
        return OF_AUDIO
