"""ffmpeg as a child: which one, what to ask of it, how to read its output, and what its complaints mean."""

import re
import shutil
from collections.abc import Iterator
from functools import cache, partial

import trio

from supervisor.config import Source
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Fault, Reason

from .bitstream import BitstreamError
from .child import ChildSpec, Ending, run_child
from .flv import Announced, FlvDemuxer, Item, Sample, Sets, Sound, UnsupportedCodec
from .hub import Hub
from .media import CLOCK_RATE
from .share import AT_ONCE, OF_PICTURE, OF_SOUND, Share
from .sound import SampleClock, samples_of
from .tools import Tools

CARRIED = "H.264 and H.265"
"""The video codecs that reach a viewer."""
CARRIED_SOUND = "AAC, Opus and G.711"
PER_MS = CLOCK_RATE // 1000
SOUND_TOLERANCE = 10 * PER_MS
"""FLV counts in milliseconds. Sound that is this close to its time is counted on, sample by sample."""

QUIET = ("-hide_banner", "-nostats", "-loglevel", "warning")
OUTPUT = ("-max_interleave_delta", "1000000", "-flush_packets", "1", "-f", "flv", "pipe:1")
"""What leaves ffmpeg is ours: FLV on standard output, flushed frame by frame.

Pictures wait for sound that does not come, 1 s at most. With less, an encoder that begins before time zero (AAC) and
a late first picture make ffmpeg give up.
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
    (r"method \w+ failed: 5\d\d", "camera-error", Fault.TEMPORARY, "the camera has a fault of its own"),
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
        f"the stream's sound cannot be passed on; {CARRIED_SOUND} can: -c:a aac re-encodes it, -an leaves it out",
    ),
    (
        r"[Cc]odec not currently supported in container|not compatible with flv",
        "unsupported-codec",
        Fault.FATAL,
        f"the stream's video codec cannot be passed on; {CARRIED} can",
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
    """The ffmpeg on the PATH, or the one that the imageio-ffmpeg wheel carries."""
    found = shutil.which("ffmpeg")
    if found is None:
        import imageio_ffmpeg  # slow to import, and rarely needed

        found = str(imageio_ffmpeg.get_ffmpeg_exe())
    return found


@cache
def is_script(program: str) -> bool:
    """Whether a program is a script: it may start others, which ffmpeg itself does not. Looked at once."""
    try:
        with open(program, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False  # it will not start, either


def explain(ending: Ending) -> Reason:
    """What an ffmpeg's end means, from its status and its last words: the last complaint that is understood counts."""
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
    after: Recorded,
    stdin: bytes = b"",
) -> Reason:
    """Run ffmpeg with `arguments` as its input and coding options, and publish what it sends. Says why it ended.

    `stdin` is all that it can read from its standard input.

    Cancellation and cleanup: those of `run_child`.
    """
    command = (tools.ffmpeg, *QUIET, *arguments, *OUTPUT)
    spec = ChildSpec(camera, "source", command, source.secrets, stdin, is_script(tools.ffmpeg), source.env)
    return await run_child(spec, partial(publish_flv, hub=hub), explain, tools, after)


async def publish_flv(stream: trio.abc.ReceiveStream, hub: Hub) -> Reason | None:
    """Publish the pictures and sound of an FLV stream. Returns at its end, or with the reason why it cannot be used.

    It takes no more of the loop than a camera's share; ffmpeg waits meanwhile.
    """
    publisher, share = FlvPublisher(hub), Share(trio.current_time())
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
            "unsupported-codec", f"the stream is {codec}, which cannot be passed on; {CARRIED} can", Fault.FATAL
        )
    except BitstreamError as error:
        return Reason("bad-data", f"what came is no usable stream: {error}")
    return None


class FlvPublisher:
    """Publishes the pictures and sound of an FLV stream."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self._demuxer = hub, FlvDemuxer()
        self._clock: SampleClock | None = None

    def feed(self, data: bytes | bytearray) -> Iterator[int]:
        """Publish what came. Yields the work since the last turn, in packets; a turn ends where it is `AT_ONCE`.

        Raises as `FlvDemuxer.feed`.
        """
        work = 0
        for item in self._demuxer.feed(data):
            work = (0 if work >= AT_ONCE else work) + self._publish(item)
            yield work

    def _publish(self, item: Item) -> int:
        """Returns the work that it was."""
        hub = self._hub
        match item:
            case Sets():
                hub.set_parameter_sets(item.units, item.codec)
                return OF_PICTURE + len(item.units)
            case Sample():
                hub.publish(item.units, item.pts_ms * PER_MS, item.codec)
                return OF_PICTURE + len(item.units)
            case Announced():
                hub.set_audio(item.audio, item.mute)
                self._clock = SampleClock(item.audio.rate, SOUND_TOLERANCE) if item.audio else None
            case Sound() if hub.audio is not None and self._clock is not None:
                samples = samples_of(hub.audio, item.data)
                hub.publish_audio(item.data, self._clock.stamp(item.pts_ms * PER_MS, samples))
        return OF_SOUND
