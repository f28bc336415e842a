"""Chooses among a camera's media, and their depacketizers: the usable videos in order, and the first usable audio."""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Protocol

import attrs

from ...media.bitstream import split_annexb
from ...media.h264 import H264
from ...media.h265 import H265
from ...media.jpeg import JPEG
from ...media.media import CLOCK_RATE, AudioFormat, SourceLoss, VideoCodec
from ...media.mpeg4 import CONFIGURATION, MPEG4, split_picture, unit_kind
from ...media.oddities import Oddity
from .audio import PublishFrame
from .audio_formats import AudioReader, read_audio
from .reasons import NO_VIDEO, OUT_OF_ORDER, Ended, named, unsupported
from .rtp import Depacketizer
from .sdp import Description, Format, Media
from .video import Markers, VideoDepacketizer
from .video_h264 import H264Depacketizer
from .video_h265 import H265Depacketizer
from .video_jpeg import JpegDepacketizer
from .video_mpeg4 import Mpeg4Depacketizer
from .video_pictures import PictureDepacketizer

MAX_SPROP = 64
"""Limit of parameter sets in a description."""
MAX_VIDEOS = 4
"""Limit of videos that are asked for, one after the other, while the camera knows none."""

_SPROP = ("sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_CODE = b"\0\0\1"
_CODECS = {"H264": H264, "AVC": H264, "AVC1": H264, "H264SVC": H264}
_CODECS |= {"H265": H265, "HEVC": H265, "HVC1": H265, "HEV1": H265}
_CODECS |= {"JPEG": JPEG, "MJPEG": JPEG, "MP4VES": MPEG4, "MP4V": MPEG4}
"""Video codecs by their names, without punctuation."""
_TRANSCODED = (JPEG, MPEG4)
"""Those that browsers do not show: they come last."""
_DIGITS = re.compile(r"(?:[0-9A-Fa-f]{2}){1,1024}")


class Sink(Protocol):
    """The receiver of all media: a `Hub`."""

    def set_parameter_sets(self, sets: list[bytes], codec: VideoCodec) -> None: ...
    def set_transport(self, transport: str, words: str) -> None: ...
    def set_audio(self, audio: AudioFormat | None, mute: str = "") -> None: ...
    def publish(self, units: list[bytes], pts: int, codec: VideoCodec) -> None: ...
    def publish_audio(self, data: bytes, pts: int) -> None: ...


@attrs.frozen
class Video:
    media: Media
    format: Format
    codec: VideoCodec

    def parameter_sets(self) -> list[bytes]:
        """Return the readable parameter sets of the description; cameras send them in band as well."""
        return self._sets()[0]

    def oddities(self) -> frozenset[Oddity]:
        """Return the repairs that were needed to read its description."""
        odd = set(self.format.oddities)
        if self.media.is_odd:
            odd.add(Oddity.ODD_PROTOCOL)
        if self._sets()[1]:
            odd.add(Oddity.ODD_PARAMETER_SETS)
        if self.format.clock_rate != CLOCK_RATE:
            odd.add(Oddity.CLOCK_RATE)
        if self.codec is H264 and self.format.parameters.get("packetization-mode", "0") not in ("", "0", "1"):
            odd.add(Oddity.OTHER_MODE)
        return frozenset(odd)

    def _sets(self) -> tuple[list[bytes], bool]:
        """Return the parameter sets, and whether they were repaired."""
        if self.codec in _TRANSCODED:
            return self._configuration(), False
        texts = ",".join(self.format.parameters.get(name, "") for name in _SPROP).split(",")[:MAX_SPROP]
        units, is_odd = [], False
        for text in texts:
            found = split_sprop(text, self.codec)
            units += found
            is_odd |= len(found) != bool(text) or any(b64encode(unit).decode() != text for unit in found)
        return units[:MAX_SPROP], is_odd

    def _configuration(self) -> list[bytes]:
        """Return the configuration of MPEG-4, in hexadecimal digits (RFC 6416, section 7.1); JPEG has none."""
        digits = _DIGITS.fullmatch(self.format.parameters.get("config", ""))
        units = split_picture(bytes.fromhex(digits[0])) if digits else ()
        return [unit for unit in units if unit_kind(unit) == CONFIGURATION]

    def depacketizer(
        self,
        publish: Callable[[list[bytes], int], None],
        tell: Callable[[list[bytes]], None],
        loss: SourceLoss,
        spend: Callable[[int], None],
    ) -> VideoDepacketizer | PictureDepacketizer:
        if self.codec is JPEG:
            return JpegDepacketizer(publish, tell, loss, spend, self.media.size)
        if self.codec is MPEG4:
            pictures = Mpeg4Depacketizer(publish, tell, loss, spend)
            pictures.learn(self.parameter_sets())
            return pictures
        kind = H264Depacketizer if self.codec is H264 else H265Depacketizer
        depacketizer = kind(publish, tell, loss, spend, Markers.UNKNOWN)
        depacketizer.learn(self.parameter_sets())
        return depacketizer


def split_sprop(text: str, codec: VideoCodec) -> list[bytes]:
    """Return the parameter sets in one text of base64: usually one; with start codes or padding between them, several.

    Characters that base64 does not have, and units of other types, are left out.
    """
    texts = [found[0] for found in islice(_BASE64.finditer(text), MAX_SPROP)]
    pieces = [_decode(piece) for piece in texts]
    units = [unit for piece in pieces for unit in _units(piece)]
    known = [unit for unit in units if len(unit) > 2 and codec.nal_type(unit) in codec.set_types]
    if len(known) < len(pieces) and (whole := _decode("".join(texts))):  # a space may be inside one
        joined = [unit for unit in _units(whole) if len(unit) > 2 and codec.nal_type(unit) in codec.set_types]
        known = joined or known
    return known


def _units(data: bytes) -> list[bytes]:
    return list(split_annexb(_CODE + data)) if _CODE in data else [data]


def _decode(text: str) -> bytes:
    """Decode base64, also the alphabet for URLs and without padding; empty when that is impossible."""
    text = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""


@attrs.frozen
class Audio:
    media: Media
    format: Format
    reader: AudioReader

    @property
    def audio(self) -> AudioFormat:
        return self.reader.audio

    def oddities(self) -> frozenset[Oddity]:
        """Return the repairs that were needed to read its description."""
        protocol = {Oddity.ODD_PROTOCOL} if self.media.is_odd else set()
        return self.format.oddities | self.reader.oddities | protocol

    def depacketizer(self, publish: PublishFrame, loss: SourceLoss) -> Depacketizer:
        return self.reader.make(publish, loss)


def choose_videos(description: Description) -> list[Video]:
    """Return the usable videos, the best first, one for each media. Raises `Ended` when none can be read."""
    all_media = [media for media in description.media if media.kind == "video"]
    others: list[Format] = []
    usable: list[Video] = []
    layers: list[Video] = []
    transcoded: list[Video] = []
    is_out_of_order = False
    for media, known in _offered(description, "video"):
        codec = _CODECS.get(re.sub(r"[^A-Z0-9]|^X-", "", known.encoding))
        if codec is None:
            others.append(known)
        elif codec is H265 and known.parameters.get("sprop-max-don-diff", "0") not in ("", "0"):
            is_out_of_order = True
        elif known.encoding.endswith("SVC"):  # decodable alone, if it has the base layer
            layers.append(Video(media, known, codec))
        else:
            (transcoded if codec in _TRANSCODED else usable).append(Video(media, known, codec))
    if usable or layers or transcoded:
        best: dict[int, Video] = {}
        for video in (*usable, *layers, *transcoded):
            best.setdefault(id(video.media), video)
        return list(best.values())[:MAX_VIDEOS]
    if not all_media:
        raise Ended(NO_VIDEO)
    if is_out_of_order:
        raise Ended(OUT_OF_ORDER)
    numbers = [number for media in all_media for number in media.numbers]
    raise Ended(unsupported(others[0].encoding if others else "", others[0].number if others else (numbers or [-1])[0]))


def choose_audio(description: Description) -> tuple[Audio | None, str]:
    """Return the first usable audio, or None and the reason for people; the reason is empty when there is no audio."""
    others: list[Format] = []
    # Media marked sendonly are for talkback, unless there is nothing else.
    for media, known in sorted(_offered(description, "audio"), key=lambda one: one[0].direction == "sendonly"):
        reader = read_audio(known)
        if reader is not None:
            return Audio(media, known, reader), ""
        others.append(known)
    all_media = [media for media in description.media if media.kind == "audio"]
    if others:
        return None, f"its audio is {named(others[0].encoding, others[0].number)}, which cannot be passed on"
    numbers = [number for media in all_media for number in media.numbers]
    return None, f"its audio is {named('', numbers[0])}, which cannot be passed on" if numbers else ""


def _offered(description: Description, kind: str) -> Iterator[tuple[Media, Format]]:
    """Yield the readable formats of this kind; those of encrypted media and of inactive ones last."""
    for media in sorted(description.media, key=lambda one: (one.is_encrypted, one.direction == "inactive")):
        if media.kind == kind:
            for known in media.formats():
                yield media, known
