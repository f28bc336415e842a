"""`{ffmpeg: [...]}`: any input and coding that ffmpeg knows; the output is ours and has to be H.264 or H.265.

Its sound is what the arguments make of it; where they say nothing of how to code sound, it is AAC.
"""

import re

from supervisor.config import Source
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Reason
from supervisor.handover import hand_over
from supervisor.redact import tell_secrets

from ..ffmpeg import run_ffmpeg
from ..hub import Hub
from ..tools import Tools

SOUND = ("-c:a", "aac")
_CODES_SOUND = re.compile(r"-an|-acodec|-(c|codec)(:a.*|:\d+)?")


def check(source: Source) -> str | None:
    if "-i" not in source.arguments:
        return 'ffmpeg needs a list of arguments with an input, like ["-i", "http://host/video"]; the output is ours'
    if tell_secrets(hand_over(source.arguments, source.secrets)[0], source.secrets):
        return (
            "a password among the arguments of ffmpeg, or a value from the environment, can be read by every user of "
            "this machine; `source: rtsp://…` is handed over in secret, and so is an http:// or https:// address if "
            "the list begins with -i and the address"
        )
    return None


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools, after: Recorded) -> Reason:
    shown, stdin = hand_over(source.arguments, source.secrets)
    return await run_ffmpeg(camera, source, ("-nostdin", *shown, *sound_of(source)), hub, tools, after, stdin)


def sound_of(source: Source) -> tuple[str, ...]:
    """What has to be said of the sound; ffmpeg's own choice for FLV would be one that no viewer understands."""
    last_input = len(source.arguments) - source.arguments[::-1].index("-i")
    said = any(_CODES_SOUND.fullmatch(argument) for argument in source.arguments[last_input:])
    return () if said else SOUND
