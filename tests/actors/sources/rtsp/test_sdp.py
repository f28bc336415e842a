"""SDP descriptions as cameras write them."""

import pytest

from actors.media.oddities import Oddity
from actors.sources.rtsp import sdp
from actors.sources.rtsp.sdp import MAX_BYTES, MAX_LINES, MAX_MEDIA, DescriptionError, Format

TYPICAL = b"""v=0
o=- 1 1 IN IP4 192.0.2.1
s=Media
a=control:rtsp://192.0.2.1/main/
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 profile-level-id=42E01F; packetization-mode=1;sprop-parameter-sets=Z0LgH9kB,aM48gA==
a=control:trackID=1
m=audio 0 RTP/AVP 0 97
a=rtpmap:97 MPEG4-GENERIC/16000/2
a=recvonly
a=control:trackID=2
"""


def test_a_typical_one() -> None:
    """Controls, formats and parameter sets; payload type 0 is PCMU even without an `rtpmap`."""
    description = sdp.parse(TYPICAL)
    video, audio = description.media
    assert (description.control, video.control, audio.control) == ("rtsp://192.0.2.1/main/", "trackID=1", "trackID=2")
    (known,) = video.formats()
    assert (known.number, known.encoding, known.clock_rate) == (96, "H264", 90_000)
    assert known.parameters["sprop-parameter-sets"] == "Z0LgH9kB,aM48gA=="
    assert audio.formats() == [Format(0, "PCMU", 8000, 1), Format(97, "MPEG4-GENERIC", 16_000, 2)]
    assert audio.direction == "recvonly"


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff\xfe", b"m=", b"m=video", b"a=rtpmap:96 H264/90000", b"m=video 0 RTP/AVP 96\na=rtpmap:x y\na=fmtp:",
     b"m=audio 0 RTP/AVP 96\na=rtpmap:96 OPUS/48000/0", b"m=video 0 RTP/AVP 96\na=rtpmap:96 <b>/90000",
     b"m=video 0 x 300 -1 96"],
)  # fmt: skip
def test_malformed_lines_of_sdp_are_skipped(text: bytes) -> None:
    """Malformed lines, and formats with an impossible number, name or number of channels, give no format."""
    assert [known for media in sdp.parse(b"v=0\n" + text).media for known in media.formats()] == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"a=b\n" * (MAX_LINES + 1), "2001 lines"),
        (b"<html>a=b</html>", "no description"),
        (b"m=video 0 RTP/AVP 0\n" * (MAX_MEDIA + 1), "more than 32 media"),
        (TYPICAL + b"a=fmtp:96 " + b";a" * (MAX_BYTES // 2), "a description of 16"),
        (TYPICAL + b"a=control:" + b"\xff" * MAX_BYTES, "a description of 16"),
    ],
    ids=["lines", "HTML", "media", "parameters", "an address"],
)
def test_too_much_is_an_error(text: bytes, what: str) -> None:
    """The limits are 2000 lines, 32 media and 16 KiB, whatever the bytes are."""
    with pytest.raises(DescriptionError, match=what):
        sdp.parse(text)


ODD = [
    # the description, the expected number, encoding, clock rate and number of parameters, and the oddity
    ("m=video 0 RTP/AVP 96\na=rtpmap:97 H264/90000", (96, "H264", 90_000, 0), Oddity.OTHER_NUMBER),
    ("m=video 0 RTP/AVP 26\na=rtpmap:97 H264/90000", (97, "H264", 90_000, 0), Oddity.OTHER_NUMBER),
    ("m=video 0 RTP/AVP smart/1/90000\na=rtpmap:95 H264/90000", (95, "H264", 90_000, 0), Oddity.OTHER_NUMBER),
    ("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:97 packetization-mode=1", (96, "H264", 90_000, 1),
     Oddity.OTHER_NUMBER),
    ("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\nm=audio 0 RTP/AVP 8\na=fmtp:96 sprop-parameter-sets=Z00=",
     (96, "H264", 90_000, 1), Oddity.OTHER_NUMBER),
    ("a=fmtp:96 sprop-parameter-sets=Z00=\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000", (96, "H264", 90_000, 1),
     Oddity.OTHER_NUMBER),
    ("m=video 0 RTP/AVP 96\na=fmtp:96 packetization-mode=1;x=1", (96, "H264", 90_000, 2), Oddity.NO_NAME),
    ("m=video 0 RTP/AVP 96\na=fmtp:96 sprop-vps=QAE=", (96, "H265", 90_000, 1), Oddity.NO_NAME),
    ("m=audio 0 RTP/AVP 97\na=fmtp:97 sizelength=13", (97, "MPEG4-GENERIC", 16_000, 1), Oddity.NO_NAME),
    ("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/0", (96, "H264", 90_000, 0), Oddity.CLOCK_RATE),
    ("m=video 0 RTP/AVP 96\na=rtpmap:96 H264", (96, "H264", 90_000, 0), Oddity.CLOCK_RATE),
    ("m=audio 0 RTP/AVP 96\na=rtpmap:96 PCMA", (96, "PCMA", 8000, 0), Oddity.CLOCK_RATE),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected", "oddity"), ODD)
def test_missing_lines_are_read_from_other_numbers(
    text: str, expected: tuple[int, str, int, int], oddity: Oddity
) -> None:
    """Names, parameters and clock rates that the payload type itself lacks are found, and the oddity is named."""
    formats = [known for media in sdp.parse(text.encode()).media for known in media.formats()]
    (known,) = [known for known in formats if oddity in known.oddities]
    assert (known.number, known.encoding, known.clock_rate, len(known.parameters)) == expected


def test_own_lines_are_preferred() -> None:
    """A static payload type and its own parameters count, although other numbers announce more."""
    text = "m=audio 0 RTP/AVP 8\na=rtpmap:0 PCMU/8000\na=fmtp:97 config=1210\na=fmtp:8 config=1410"
    first = sdp.parse(text.encode()).media[0].formats()[0]
    assert (first.encoding, first.parameters, first.oddities) == ("PCMA", {"config": "1410"}, frozenset())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1;b=2", {"a": "1", "b": "2"}),
        (" A = 1 ; b=2; ", {"a": "1", "b": "2"}),
        ("a=1 b=2 c=3", {"a": "1", "b": "2", "c": "3"}),
        ("a=\"1 2\";b='3'", {"a": "1 2", "b": "3"}),
        ("s=Z0L kB==,aM4= aM4==;b=2", {"s": "Z0L kB==,aM4= aM4==", "b": "2"}),
        ("a;;=;b=", {"a": "", "b": ""}),
    ],
)
def test_parameters_of_any_form_are_read(text: str, expected: dict[str, str]) -> None:
    """Spaces, quotes and missing semicolons do not matter; padding of base64 begins no parameter."""
    (media,) = sdp.parse(f"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 {text}".encode()).media
    assert media.formats()[0].parameters == expected


@pytest.mark.parametrize(
    ("protocol", "is_odd", "is_encrypted"),
    [
        ("RTP/AVP", False, False), ("RTP/AVPF", False, False), ("rtp/avp", False, False), ("TCP/RTP/AVP", True, False),
        ("RTP/AVP/TCP", True, False), ("RTP/AVP/UDP", True, False), ("UDP", True, False), ("RTP/SAVP", False, True),
        ("RTP/SAVPF", False, True), ("UDP/TLS/RTP/SAVPF", True, True),
    ],
)  # fmt: skip
def test_names_of_protocols(protocol: str, is_odd: bool, is_encrypted: bool) -> None:
    """Any name is read as RTP/AVP, but for those with SAVP: their media is encrypted."""
    (media,) = sdp.parse(f"m=video 0 {protocol} 96".encode()).media
    assert (media.is_odd, media.is_encrypted) == (is_odd, is_encrypted)


def test_parameters_on_several_lines_count_together() -> None:
    """Of a repeated one, the last counts."""
    lines = "a=fmtp:96 packetization-mode=0;x=1\na=fmtp:96 sprop-parameter-sets=Z00=\na=fmtp:96 packetization-mode=1"
    (media,) = sdp.parse(f"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n{lines}".encode()).media
    (known,) = media.formats()
    assert known.parameters == {"packetization-mode": "1", "x": "1", "sprop-parameter-sets": "Z00="}
