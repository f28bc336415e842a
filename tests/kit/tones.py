"""A tone in every codec that cameras send, as the frames that a depacketizer publishes."""

import io
import subprocess
from functools import cache

import av
import imageio_ffmpeg

from actors.media.audio import make_aac, split_adts
from actors.media.media import AudioFormat

MS = 20
"""Duration of a frame of codecs without frames."""
_ENCODERS = {
    "aac": ("aac", "adts"), "latm": ("aac", "latm"), "mpa": ("mp2", "mp2"), "g722": ("g722", "g722"),
    "g726": ("g726le", "g726le"), "aal2-g726": ("g726", "g726"), "pcma": ("pcm_alaw", "alaw"),
    "pcmu": ("pcm_mulaw", "mulaw"), "l8": ("pcm_u8", "u8"), "l16": ("pcm_s16be", "s16be"),
    "l24": ("pcm_s24be", "s24be"), "pcm": ("pcm_s16le", "s16le"),
}  # fmt: skip
_BITS = {"g722": 4, "pcma": 8, "pcmu": 8, "l8": 8, "l16": 16, "l24": 24, "pcm": 16}


def tone_input(rate: int, channels: int, seconds: float, frequency: int = 440) -> list[str]:
    """Return the arguments with which ffmpeg makes a loud tone."""
    source = f"sine=frequency={frequency}:sample_rate={rate}:duration={seconds}"
    return ["-f", "lavfi", "-i", source, "-af", "volume=4", "-ac", str(channels)]


@cache
def coded_tone(audio: AudioFormat, seconds: int = 2, frequency: int = 440) -> tuple[tuple[bytes, float], ...]:
    """The frames of a tone, each with its time in seconds. Blocking."""
    encoder, container = _ENCODERS[audio.codec]
    options = ["-code_size", str(audio.bits)] if audio.bits else []
    options += ["-smc-interval", "1"] if audio.codec == "latm" else []
    tone = tone_input(audio.rate, audio.channels, seconds, frequency)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *tone, "-c:a", encoder, *options, "-f", container]
    data = subprocess.run([*command, "pipe:1"], capture_output=True, check=True, timeout=60).stdout
    if audio.codec == "aac":
        frames, duration = list(split_adts(data)), 1024 / audio.rate
    elif audio.codec == "latm":
        frames, duration = list(_split_loas(data)), 1024 / audio.rate
    elif audio.codec == "mpa":
        with av.open(io.BytesIO(data), "r", format="mp3") as container_:
            frames = [bytes(each) for each in container_.demux(audio=0) if each.size]
        duration = 1152 / audio.rate
    else:
        size = audio.rate * audio.channels * (audio.bits or _BITS[audio.codec]) * MS // 8000
        frames, duration = [data[at : at + size] for at in range(0, len(data), size)], MS / 1000
    return tuple((frame, index * duration) for index, frame in enumerate(frames))


def _split_loas(data: bytes) -> list[bytes]:
    frames, at = list[bytes](), 0
    while at < len(data):
        end = at + 3 + ((data[at + 1] & 0x1F) << 8 | data[at + 2])
        frames.append(data[at:end])
        at = end
    return frames


FORMATS = [
    *(AudioFormat("g726", 8000, 1, bits=bits) for bits in (2, 3, 4, 5)),
    *(AudioFormat("aal2-g726", 8000, 1, bits=bits) for bits in (2, 3, 4, 5)),
    AudioFormat("g722", 16_000, 1),
    AudioFormat("pcma", 16_000, 1), AudioFormat("pcmu", 8000, 2),
    AudioFormat("l8", 16_000, 1), AudioFormat("l16", 8000, 1), AudioFormat("l16", 44_100, 2),
    AudioFormat("l24", 48_000, 2), AudioFormat("pcm", 48_000, 1),
    AudioFormat("mpa", 48_000, 2), AudioFormat("mpa", 16_000, 1), AudioFormat("latm", 16_000, 1),
    AudioFormat("aac", 16_000, 1, make_aac(16_000, 1)), AudioFormat("aac", 44_100, 2, make_aac(44_100, 2)),
]  # fmt: skip
"""Each form of each codec that is transcoded."""
