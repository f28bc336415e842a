"""`{ffmpeg: [...]}`: any input and coding that ffmpeg knows; the output is ours and has to be H.264."""

from supervisor.config import Source
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Reason
from supervisor.redact import tell_secrets

from ..ffmpeg import run_ffmpeg
from ..hub import Hub
from ..tools import Tools


def check(source: Source) -> str | None:
    if "-i" not in source.arguments:
        return 'ffmpeg needs a list of arguments with an input, like ["-i", "http://host/video"]; the output is ours'
    if tell_secrets(source.arguments, source.secrets):
        return (
            "a password among the arguments of ffmpeg, or a value from the environment, can be read by every user of "
            "this machine; rtsp:// addresses are handed over in secret"
        )
    return None


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools, after: Recorded) -> Reason:
    return await run_ffmpeg(camera, source, ("-nostdin", *source.arguments), hub, tools, after)
