"""Muxes one track of coded audio or video into Matroska for ffmpeg's input. Pure.

Matroska carries every codec, rate and time, and ffmpeg returns each frame as soon as it has arrived. Each frame is
a cluster with one block. The codec of audio is described as in a WAV file.

Video is as the hub has it: H.264 and H.265 in Annex B, with parameter sets in front of each key frame. The times are
presentation times; ffmpeg finds the order of B-frames by their headers.

Sources: RFC 8794 (EBML), RFC 9559 (Matroska: elements, `A_MS/ACM`, `V_…`); RFC 2361 (numbers of codecs in WAV files).
"""

import struct

from .media import AudioFormat

CODECS = {
    "aac": ("aac", 0x00FF, 0), "latm": ("aac_latm", 0x1602, 0), "mpa": ("mp3", 0x0055, 0),
    "g722": ("g722", 0x028F, 4), "g726": ("g726le", 0x0045, 0), "aal2-g726": ("g726", 0x0045, 0),
    "gsm": ("gsm", 0x0031, 0), "g723": ("g723_1", 0x0111, 0), "speex": ("speex", 0xA109, 0),
    "amr": ("amrnb", 0x0057, 0), "amr-wb": ("amrwb", 0x0058, 0),
    "pcma": ("pcm_alaw", 0x0006, 8), "pcmu": ("pcm_mulaw", 0x0007, 8), "l8": ("pcm_u8", 0x0001, 8),
    "l16": ("pcm_s16be", 0x0001, 16), "l24": ("pcm_s24be", 0x0001, 24), "pcm": ("pcm_s16le", 0x0001, 16),
}  # fmt: skip
"""For each codec that can be transcoded: ffmpeg's decoder, the codec's number in WAV files, and bits per sample."""

VIDEO_CODECS = {
    "h264": ("h264", "V_MPEG4/ISO/AVC"), "h265": ("hevc", "V_MPEGH/ISO/HEVC"),
    "mjpeg": ("mjpeg", "V_MJPEG"), "mpeg4": ("mpeg4", "V_MPEG4/ISO/ASP"),
}  # fmt: skip
"""For each codec of video: ffmpeg's decoder, and the codec's name."""

_UNKNOWN_SIZE = b"\x01" + b"\xff" * 7


def begin_matroska(audio: AudioFormat) -> bytes:
    """Return the beginning of a stream. Raises `KeyError` for a codec that is not in `CODECS`."""
    _, number, bits = CODECS[audio.codec]
    bits = audio.bits or bits
    size = bits * audio.channels
    wave = struct.pack(
        "<HHIIHHH", number, audio.channels, audio.rate, audio.rate * size // 8, size // 8 or 1, bits, len(audio.config)
    )
    settings = _element(0xB5, struct.pack(">d", audio.rate)) + _element(0x9F, bytes((audio.channels,)))
    track = (
        _element(0xD7, b"\x01")  # number
        + _element(0x73C5, b"\x01")  # identifier
        + _element(0x83, b"\x02")  # audio
        + _element(0x86, b"A_MS/ACM")
        + _element(0x63A2, wave + audio.config)
        + _element(0xE1, settings)
    )
    return _begin(track)


def begin_video_matroska(codec: str, width: int, height: int, fps: float) -> bytes:
    """Return the beginning of a stream of video. `fps` need not be exact: it is the encoder's first guess.

    Raises `KeyError` for a codec that is not in `VIDEO_CODECS`.
    """
    return _begin(
        _element(0xD7, b"\x01")  # number
        + _element(0x73C5, b"\x01")  # identifier
        + _element(0x83, b"\x01")  # video
        + _element(0x86, VIDEO_CODECS[codec][1].encode())
        + _element(0x23E383, round(1e9 / fps).to_bytes(8))  # ns
        + _element(0xE0, _element(0xB0, width.to_bytes(4)) + _element(0xBA, height.to_bytes(4)))
    )


def _begin(track: bytes) -> bytes:
    head = _element(0x1A45DFA3, _element(0x4282, b"matroska"))
    scale = _element(0x1549A966, _element(0x2AD7B1, (1_000_000).to_bytes(3)))  # ms
    return head + b"\x18\x53\x80\x67" + _UNKNOWN_SIZE + scale + _element(0x1654AE6B, _element(0xAE, track))


def frame_matroska(time_ms: int, frame: bytes, *, key: bool = True) -> bytes:
    """Return one frame of that stream; `time_ms` is not negative. Each frame of audio is a key frame."""
    block = b"\x81\0\0\x80" if key else b"\x81\0\0\0"
    return _element(0x1F43B675, _element(0xE7, time_ms.to_bytes(8)) + _element(0xA3, block + frame))


def _element(number: int, body: bytes) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8) + (len(body) | 1 << 56).to_bytes(8) + body
