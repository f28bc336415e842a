"""`{ffmpeg: [...]}`: any input and coding that ffmpeg supports; banken sets the output, which has to be H.264 or H.265.

The arguments determine the audio; without an audio codec among them, it is AAC.
"""

import re

from supervisor.base.ffmpeg_stdin import hand_over
from supervisor.base.redact import tell_secrets
from supervisor.config.config import Source
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Reason

from ..media.ffmpeg import run_ffmpeg
from ..media.hub import Hub
from ..tools import Tools

AUDIO = ("-c:a", "aac")
_ENCODES_AUDIO = re.compile(r"-an|-acodec|-(c|codec)(:a.*|:\d+)?")


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


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools) -> Reason:
    shown, stdin = hand_over(source.arguments, source.secrets)
    return await run_ffmpeg(camera, source, ("-nostdin", *shown, *audio_of(source)), hub, tools, stdin)


def audio_of(source: Source) -> tuple[str, ...]:
    """Return the arguments for audio: ffmpeg's default codec for FLV is one that no browser supports."""
    last_input = len(source.arguments) - source.arguments[::-1].index("-i")
    said = any(_ENCODES_AUDIO.fullmatch(argument) for argument in source.arguments[last_input:])
    return () if said else AUDIO
