"""Which of a camera's media are taken, and what reads them: the first usable picture, the first usable sound."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import Protocol

import attrs

from ...h264 import H264
from ...h265 import H265
from ...media import AudioFormat, SourceLoss, VideoCodec
from .audio import MAX_SIZE_BITS, AacFrames, PublishFrame, WholeFrames
from .reasons import NO_VIDEO, Ended, named, unsupported
from .rtp import Depacketizer
from .sdp import Description, Format, Media
from .video import H264Depacketizer, H265Depacketizer

MAX_SPROP = 64
"""Parameter sets in a description."""


class Sink(Protocol):
    """Where everything goes: a `Hub`."""

    def set_parameter_sets(self, sets: list[bytes], codec: VideoCodec) -> None: ...
    def set_audio(self, audio: AudioFormat | None, mute: str = "") -> None: ...
    def publish(self, units: list[bytes], pts: int, codec: VideoCodec) -> None: ...
    def publish_audio(self, data: bytes, pts: int) -> None: ...


@attrs.frozen
class Video:
    media: Media
    format: Format
    codec: VideoCodec

    def parameter_sets(self) -> list[bytes]:
        """Those in the description that can be read; cameras send them in band as well."""
        names = ("sprop-parameter-sets",) if self.codec is H264 else ("sprop-vps", "sprop-sps", "sprop-pps")
        texts = ",".join(self.format.parameters.get(name, "") for name in names).split(",")[:MAX_SPROP]
        return [unit for unit in map(_decode, texts) if len(unit) > 2]

    def depacketizer(
        self,
        publish: Callable[[list[bytes], int], None],
        tell: Callable[[list[bytes]], None],
        loss: SourceLoss,
        spend: Callable[[int], None],
    ) -> Depacketizer:
        kind = H264Depacketizer if self.codec is H264 else H265Depacketizer
        return kind(publish, tell, loss, spend)


@attrs.frozen
class Audio:
    media: Media
    format: Format
    audio: AudioFormat

    def depacketizer(self, publish: PublishFrame, loss: SourceLoss) -> Depacketizer:
        if self.audio.codec != "aac":
            return WholeFrames(publish)
        bits = (_bits(self.format, name) for name in ("sizelength", "indexlength", "indexdeltalength"))
        return AacFrames(publish, loss, *bits)


def choose_video(description: Description) -> Video:
    """Raises `Ended` when there is none that can be passed on."""
    names: list[str] = []
    for media, known in _offered(description, "video"):
        codec = {"H264": H264, "H265": H265, "HEVC": H265}.get(known.encoding)
        if codec is not None and known.clock_rate == 90_000 and _is_in_order(known):
            return Video(media, known, codec)
        names.append(known.encoding)
    if not names and all(media.kind != "video" for media in description.media):
        raise Ended(NO_VIDEO)
    raise Ended(unsupported(names[0] if names else ""))


def choose_audio(description: Description) -> tuple[Audio | None, str]:
    """The sound, or none and why, for people; no reason where there is no sound."""
    names: list[str] = []
    # What says that we should send is for talking back, unless there is nothing else.
    for media, known in sorted(_offered(description, "audio"), key=lambda one: one[0].direction == "sendonly"):
        audio = _audio_format(known)
        if audio is not None:
            return Audio(media, known, audio), ""
        names.append(known.encoding)
    return None, f"its sound is {named(names[0])}, which cannot be passed on" if names else ""


def _offered(description: Description, kind: str) -> Iterator[tuple[Media, Format]]:
    for media in description.media:
        if media.kind == kind and media.protocol.startswith("RTP/AVP") and media.direction != "inactive":
            for known in media.formats():
                yield media, known


def _is_in_order(known: Format) -> bool:
    """Whether NAL units come in the order in which they are decoded: all that cameras do."""
    mode, distance = known.parameters.get("packetization-mode"), known.parameters.get("sprop-max-don-diff")
    return mode in (None, "", "0", "1") and distance in (None, "", "0")


def _audio_format(known: Format) -> AudioFormat | None:
    match known.encoding, known.clock_rate:
        case (("PCMU" | "PCMA"), 8000) if known.channels == 1:
            return AudioFormat(known.encoding.lower(), 8000, 1)
        case "OPUS", 48_000:
            return AudioFormat("opus", 48_000, 2)
        case "MPEG4-GENERIC", rate if known.parameters.get("mode", "").lower() == "aac-hbr":
            config = known.parameters.get("config", "")
            width = _bits(known, "sizelength")
            if re.fullmatch(r"(?:[0-9a-fA-F]{2}){2,64}", config) and 1 <= width <= MAX_SIZE_BITS:
                return AudioFormat("aac", rate, known.channels, bytes.fromhex(config))
    return None


def _bits(known: Format, name: str) -> int:
    """The width of a field in front of each frame of AAC: at most 16 bits."""
    text = known.parameters.get(name, "")
    return int(text) if re.fullmatch(r"[0-9]|1[0-6]", text) else 0


def _decode(text: str) -> bytes:
    """Nothing for what is no base64."""
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        return b""
