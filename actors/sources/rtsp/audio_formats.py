"""The audio codecs of cameras: what a description says of them, and the depacketizer of each. Pure.

Rules of this file:
- Where a description leaves something out, the value that nearly all cameras use is taken.
- None means that the codec, or this form of it, cannot be read.

Source: RFC 3551, sections 4.5 and 6, RFC 3640, section 4.1, RFC 6416, section 7.3, RFC 7587, section 7.
"""

import re
from collections.abc import Callable

import attrs

from ...media.audio import OPUS, make_aac, make_speex, parse_aac, parse_latm
from ...media.bitstream import BitstreamError
from ...media.media import AudioFormat, SourceLoss
from ...media.oddities import Oddity
from .audio import (
    MAX_SIZE_BITS,
    SAMPLES,
    AacFrames,
    AmrFrames,
    G723Frames,
    LatmElements,
    LatmFrames,
    MpegFrames,
    PublishFrame,
    WholeFrames,
)
from .rtp import Depacketizer
from .sdp import Format

_PCM = {"PCMU": "pcmu", "ULAW": "pcmu", "G711U": "pcmu", "PCMA": "pcma", "ALAW": "pcma", "G711A": "pcma"}
_PCM |= {"L8": "l8", "L16": "l16", "L24": "l24", "PCM": "pcm"}
"""`PCM` is Hikvision's: 16 bits, the lower byte first."""
_MAX_CHANNELS, _MAX_RATE = 8, 192_000
_LBR = (6, 2, 2)
_AMR = {
    "AMR": (8000, (95, 103, 118, 134, 148, 159, 204, 244, 39)),
    "AMR-WB": (16_000, (132, 177, 253, 285, 317, 365, 397, 461, 477, 40)),
}
"""Samples per second, and bits of a frame by its type (RFC 4867, section 3.6)."""


@attrs.frozen
class AudioReader:
    """Reads one payload type of audio."""

    audio: AudioFormat
    clock_rate: int
    """Of the RTP time stamps, in Hz."""
    make: Callable[[PublishFrame, SourceLoss], Depacketizer]
    oddities: frozenset[Oddity] = frozenset()


def read_audio(known: Format) -> AudioReader | None:
    """Return how a payload type is read; None when it cannot be."""
    name, rate, channels = known.encoding, known.clock_rate, known.channels
    if name == "OPUS":  # its clock rate and channels are always the same (RFC 7587, section 7)
        return AudioReader(OPUS, OPUS.rate, _whole)
    if channels > _MAX_CHANNELS:
        return None
    if name in _PCM:
        return AudioReader(AudioFormat(_PCM[name], rate, channels), rate, _whole) if rate <= _MAX_RATE else None
    if name == "G722":  # of 16,000 samples per second, although its clock rate is 8000 (RFC 3551, section 4.5.2)
        return AudioReader(AudioFormat("g722", 16_000, channels), rate, _whole)
    if found := re.fullmatch(r"(AAL2-)?G726-(16|24|32|40)|G72[16]", name):
        codec, bits = "aal2-g726" if found[1] else "g726", int(found[2] or 32) // 8
        return AudioReader(AudioFormat(codec, 8000, channels, bits=bits), rate, _whole)
    if name in ("MPA", "MP2", "MP3", "X-MP3"):
        return AudioReader(AudioFormat("mpa", 48_000, 2), rate, lambda publish, loss: MpegFrames(publish, loss, rate))
    if name == "GSM":
        return AudioReader(AudioFormat("gsm", 8000, 1), rate, _whole)
    if name == "SPEEX":
        return AudioReader(AudioFormat("speex", rate, 1, make_speex(rate)), rate, _whole)
    if name in ("G723", "G7231"):
        return AudioReader(AudioFormat("g723", 8000, 1), rate, lambda publish, loss: G723Frames(publish))
    if name in _AMR:
        return _amr(known)
    if name == "MP4A-LATM":
        return _latm(known)
    if name in ("MPEG4-GENERIC", "AAC"):
        return _aac(known)
    return None


def _whole(publish: PublishFrame, loss: SourceLoss) -> Depacketizer:
    return WholeFrames(publish)


def _amr(known: Format) -> AudioReader | None:
    fields = known.parameters
    if known.channels > 1 or any(fields.get(name, "0") != "0" for name in ("interleaving", "crc", "robust-sorting")):
        return None
    samples, sizes = _AMR[known.encoding]
    aligned = fields.get("octet-align", "0") == "1"

    def make(publish: PublishFrame, loss: SourceLoss) -> Depacketizer:
        return AmrFrames(publish, loss, sizes, known.clock_rate // 50, aligned)

    return AudioReader(AudioFormat(known.encoding.lower(), samples, 1), known.clock_rate, make)


def _aac(known: Format) -> AudioReader | None:
    mode = known.parameters.get("mode", "").lower().replace("_", "-")
    more = ("ctsdeltalength", "dtsdeltalength", "randomaccessindication", "streamstateindication",
            "auxiliarydatasizelength", "constantsize")  # fmt: skip
    if mode.startswith("celp") or any(known.parameters.get(name, "0") not in ("", "0") for name in more):
        return None
    usual = _LBR if mode == "aac-lbr" else (13, 3, 3)
    size, index, delta = (_bits(known, name) for name in ("sizelength", "indexlength", "indexdeltalength"))
    widths = usual if size is None else (size, index or 0, delta or 0)
    if not 1 <= widths[0] <= MAX_SIZE_BITS:
        return None
    config = _config(known)
    odd = {Oddity.AAC_DEFAULTS} if size is None or not config else set()
    config, ticks = _usable(known, config)

    def make(publish: PublishFrame, loss: SourceLoss) -> Depacketizer:
        return AacFrames(publish, loss, widths, ticks)

    audio = AudioFormat("aac", known.clock_rate, known.channels, config)
    return AudioReader(audio, known.clock_rate, make, frozenset(odd))


def _latm(known: Format) -> AudioReader | None:
    mux, present = _config(known), known.parameters.get("cpresent", "")
    rate = known.clock_rate if known.clock_rate <= 48_000 else 48_000
    if present == "1" or (not mux and present != "0"):
        return AudioReader(AudioFormat("latm", rate, known.channels), known.clock_rate, LatmElements)
    try:
        config, count = parse_latm(mux) if mux else (b"", 1)
    except BitstreamError:
        return None
    odd = frozenset[Oddity]() if config else frozenset({Oddity.AAC_DEFAULTS})
    config, ticks = _usable(known, config)

    def make(publish: PublishFrame, loss: SourceLoss) -> Depacketizer:
        return LatmFrames(publish, loss, count, ticks)

    return AudioReader(AudioFormat("aac", rate, known.channels, config), known.clock_rate, make, odd)


def _config(known: Format) -> bytes:
    """Return the configuration; empty when it is missing or not hexadecimal."""
    text = known.parameters.get("config", "")
    return bytes.fromhex(text) if re.fullmatch(r"(?:[0-9a-fA-F]{2}){2,64}", text) else b""


def _usable(known: Format, config: bytes) -> tuple[bytes, int]:
    """Return the configuration, made from rate and channels if it is missing, and the ticks of one frame."""
    if not config:
        return make_aac(known.clock_rate, known.channels), SAMPLES
    try:
        return config, SAMPLES * known.clock_rate // parse_aac(config).rate
    except BitstreamError:  # of a kind that the decoder may know
        return config, SAMPLES


def _bits(known: Format, name: str) -> int | None:
    """Return the width in bits of a field in front of each AAC frame; None when it is not announced."""
    text = known.parameters.get(name, "")
    return int(text) if re.fullmatch(r"[0-9]{1,2}", text) else None
