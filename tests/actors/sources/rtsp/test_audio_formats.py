"""The audio codecs of cameras, as descriptions announce them."""

import pytest

from actors.media.audio import OPUS, make_speex
from actors.media.matroska import CODECS
from actors.media.media import AudioFormat, SourceLoss
from actors.media.oddities import Oddity
from actors.sources.rtsp import sdp
from actors.sources.rtsp.audio_formats import AudioReader, read_audio

LC = bytes.fromhex("1408")
"""AAC-LC, 16 kHz, mono."""


def read(rtpmap: str, fmtp: str = "", number: int = 97) -> AudioReader | None:
    lines = [f"m=audio 0 RTP/AVP {number}", f"a=rtpmap:{number} {rtpmap}" if rtpmap else ""]
    lines += [f"a=fmtp:{number} {fmtp}"] if fmtp else []
    (known,) = sdp.parse("\n".join(lines).encode()).media[0].formats()
    return read_audio(known)


SIMPLE = [
    # rtpmap, number, format, clock rate
    ("", 0, AudioFormat("pcmu", 8000, 1), 8000),
    ("", 8, AudioFormat("pcma", 8000, 1), 8000),
    ("PCMU/16000", 97, AudioFormat("pcmu", 16_000, 1), 16_000),
    ("pcma/8000/2", 97, AudioFormat("pcma", 8000, 2), 8000),
    ("", 2, AudioFormat("g726", 8000, 1, bits=4), 8000),
    ("G721/8000", 97, AudioFormat("g726", 8000, 1, bits=4), 8000),
    ("G726-16/8000", 97, AudioFormat("g726", 8000, 1, bits=2), 8000),
    ("G726-24/8000", 97, AudioFormat("g726", 8000, 1, bits=3), 8000),
    ("g726-32/8000/1", 97, AudioFormat("g726", 8000, 1, bits=4), 8000),
    ("G726-40/8000", 97, AudioFormat("g726", 8000, 1, bits=5), 8000),
    ("AAL2-G726-32/8000", 97, AudioFormat("aal2-g726", 8000, 1, bits=4), 8000),
    ("", 9, AudioFormat("g722", 16_000, 1), 8000),
    ("G722/8000", 97, AudioFormat("g722", 16_000, 1), 8000),
    ("", 10, AudioFormat("l16", 44_100, 2), 44_100),
    ("", 11, AudioFormat("l16", 44_100, 1), 44_100),
    ("L16/48000/2", 97, AudioFormat("l16", 48_000, 2), 48_000),
    ("L24/48000/2", 97, AudioFormat("l24", 48_000, 2), 48_000),
    ("L8/8000", 97, AudioFormat("l8", 8000, 1), 8000),
    ("PCM/48000", 11, AudioFormat("pcm", 48_000, 1), 48_000),
    ("", 14, AudioFormat("mpa", 48_000, 2), 90_000),
    ("MP3/44100/2", 97, AudioFormat("mpa", 48_000, 2), 44_100),
    ("", 3, AudioFormat("gsm", 8000, 1), 8000),
    ("", 4, AudioFormat("g723", 8000, 1), 8000),
    ("speex/16000", 97, AudioFormat("speex", 16_000, 1, make_speex(16_000)), 16_000),
    ("AMR/8000", 97, AudioFormat("amr", 8000, 1), 8000),
    ("AMR-WB/16000", 97, AudioFormat("amr-wb", 16_000, 1), 16_000),
    ("opus/48000/2", 97, OPUS, 48_000),
    ("opus/16000", 97, OPUS, 48_000),
]


@pytest.mark.parametrize(("rtpmap", "number", "audio", "clock_rate"), SIMPLE)
def test_codecs_by_name_and_number(rtpmap: str, number: int, audio: AudioFormat, clock_rate: int) -> None:
    """Each has its format and RTP clock rate; each that is not passed unchanged has a decoder."""
    reader = read(rtpmap, number=number)
    assert reader is not None
    assert (reader.audio, reader.clock_rate) == (audio, clock_rate)
    assert audio.is_passed == (audio.codec not in CODECS or (audio.codec[:3] == "pcm" and audio.rate == 8000 and
                               audio.channels == 1 and audio.codec != "pcm"))  # fmt: skip


AAC = [
    # rtpmap, fmtp, configuration, oddity
    ("MPEG4-GENERIC/16000/1", "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408", "1408", False),
    ("mpeg4-generic/16000", 'mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config="1408"', "1408", False),
    ("MPEG4-GENERIC/16000/1", "mode=AAC-hbr;config=1408", "1408", True),
    ("MPEG4-GENERIC/16000/1", "config=1408", "1408", True),
    ("MPEG4-GENERIC/16000/1", "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3", "1408", True),
    ("MPEG4-GENERIC/8000", "", "1588", True),
    ("MPEG4-GENERIC/48000/2", "", "1190", True),
    ("MPEG4-GENERIC/44100/2", "config=xyz", "1210", True),
    ("MPEG4-GENERIC/13000/1", "", "17801964" "08", True),
    ("AAC/16000/1", "", "1408", True),
    ("MPEG4-GENERIC/16000/1", "mode=AAC-lbr;sizelength=6;indexlength=2;indexdeltalength=2;config=1408", "1408", False),
    ("MPEG4-GENERIC/16000/1", "mode=AAC_hbr;SizeLength=13;config=1408;CTSDeltaLength=0", "1408", False),
]  # fmt: skip


@pytest.mark.parametrize(("rtpmap", "fmtp", "config", "is_odd"), AAC)
def test_aac_of_any_form(rtpmap: str, fmtp: str, config: str, is_odd: bool) -> None:
    """Missing sizes and a missing configuration are the usual ones, and that is reported."""
    reader = read(rtpmap, fmtp)
    assert reader is not None
    assert (reader.audio.codec, reader.audio.config.hex()) == ("aac", config)
    assert (Oddity.AAC_DEFAULTS in reader.oddities) == is_odd


def frames(reader: AudioReader | None, *payloads: bytes) -> list[tuple[bytes, int]]:
    assert reader is not None
    found: list[tuple[bytes, int]] = []
    depacketizer = reader.make(lambda frame, at: found.append((frame, at)), SourceLoss())
    for payload in payloads:
        depacketizer.take(payload, 0, len(payload), 0, True)
    return found


def test_widths_of_the_fields_in_front_of_aac() -> None:
    """AAC-lbr has 6 and 2 bits, hbr 13 and 3, and a camera that announces no index may send one."""
    lbr = bytes.fromhex("0010") + bytes([2 << 2, 3 << 2]) + b"aabbb"
    for fmtp in ("mode=AAC-lbr", "mode=AAC-lbr;sizelength=6;indexlength=2;indexdeltalength=2"):
        assert frames(read("MPEG4-GENERIC/16000", fmtp), lbr) == [(b"aa", 0), (b"bbb", 1024)]
    hbr = bytes.fromhex("0020") + (2 << 3).to_bytes(2) + (3 << 3).to_bytes(2) + b"aabbb"
    for fmtp in ("mode=AAC-hbr", "", "sizelength=13"):
        assert frames(read("MPEG4-GENERIC/16000", fmtp), hbr) == [(b"aa", 0), (b"bbb", 1024)]
    bare = bytes.fromhex("001a") + (2 << 19 | 3 << 6).to_bytes(4) + b"aabbb"
    assert frames(read("MPEG4-GENERIC/16000", "sizelength=13"), bare) == [(b"aa", 0), (b"bbb", 1024)]


def test_frames_of_he_aac_last_twice_as_long() -> None:
    """With 24 kHz inside and an RTP clock of 48 kHz, a frame lasts 2048 ticks."""
    two = bytes.fromhex("0020") + (1 << 3).to_bytes(2) * 2 + b"ab"
    assert frames(read("MPEG4-GENERIC/48000/2", "config=2b118800"), two) == [(b"a", 0), (b"b", 2048)]


def test_latm_of_both_kinds() -> None:
    """With its configuration in the description it is plain AAC; else each element gets the header of LOAS."""
    outside = read("MP4A-LATM/24000/2", "cpresent=0;object=2;config=400026203fc0")
    assert outside is not None
    assert outside.audio.codec == "aac"
    assert outside.audio.config[:2].hex() == "1310", "AAC-LC, 24 kHz, stereo"
    assert frames(outside, b"\x03abc") == [(b"abc", 0)]
    assert frames(outside, b"\xff\x01" + b"x" * 256) == [(b"x" * 256, 0)]
    two = read("MP4A-LATM/24000/2", "config=410026203fc0")
    assert frames(two, b"\x01a\x02bb") == [(b"a", 0), (b"bb", 1024)]
    inside = read("MP4A-LATM/90000", "cpresent=1")
    assert inside is not None
    assert (inside.audio.codec, inside.clock_rate) == ("latm", 90_000)
    assert frames(inside, b"abc") == [(b"\x56\xe0\x03abc", 0)]
    assert frames(read("MP4A-LATM/16000/1", "cpresent=0"), b"\x01a") == [(b"a", 0)]


def test_frames_of_g723_are_separated() -> None:
    """Their first bits name the length; a cut frame is left out."""
    long, short = bytes((0x40, *range(23))), bytes((0x41, *range(19)))
    assert frames(read("G723/8000"), long + short + long[:9]) == [(long, 0), (short, 240)]


@pytest.mark.parametrize("aligned", [False, True])
def test_frames_of_amr_are_separated(aligned: bool) -> None:
    """With and without padding to bytes, one and two frames; a frame without data is left out."""
    reader = read("AMR/8000", "octet-align=1" if aligned else "")
    first, second = (1 << 95) - 5, (1 << 244) - 9
    width = 8 if aligned else 6
    head = [(15, 8 if aligned else 4), ((1 << 7 | 4) >> (8 - width), width), ((7 << 3 | 4) >> (8 - width), width)]
    bits = "".join(f"{value:0{size}b}" for value, size in (*head, (first, 95)))
    bits += ("0" if aligned else "") + f"{second:0244b}"
    bits += "0" * (-len(bits) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8)
    expected = [b"\x04" + (first << 1).to_bytes(12), b"\x3c" + (second << 4).to_bytes(31)]
    assert frames(reader, payload) == [(expected[0], 0), (expected[1], 160)]
    assert frames(reader, payload[:20]) == [(expected[0], 0)]
    assert frames(reader, b"\xf0", b"\xf0\x7c" if aligned else b"\xf7\xc0") == []


@pytest.mark.parametrize(
    ("rtpmap", "fmtp"),
    [
        ("QCELP/8000", ""),
        ("L16/1000000", ""),
        ("L16/48000/200", ""),
        ("AMR/8000/2", "octet-align=1"),
        ("AMR/8000", "octet-align=1;interleaving=30"),
        ("MPEG4-GENERIC/16000", "mode=CELP-cbr"),
        ("MPEG4-GENERIC/16000", "sizelength=13;ctsdeltalength=16"),
        ("MPEG4-GENERIC/16000", "sizelength=0;config=1408"),
        ("MPEG4-GENERIC/16000", "sizelength=33;config=1408"),
        ("MP4A-LATM/16000", "cpresent=0;config=c00026203fc0"),
        ("MP4A-LATM/16000", "cpresent=0;config=400226203fc0"),
    ],
)
def test_other_forms_are_not_read(rtpmap: str, fmtp: str) -> None:
    """Impossible rates, channels and widths, other modes, and LATM with several layers."""
    assert read(rtpmap, fmtp) is None
