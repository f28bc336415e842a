"""Descriptions as cameras write them."""

import pytest

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
     b"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/0", b"m=video 0 RTP/AVP 96\na=rtpmap:96 <b>/90000",
     b"m=video 0 x 300 -1 96"],
)  # fmt: skip
def test_what_is_not_understood_is_left_out(text: bytes) -> None:
    assert [known for media in sdp.parse(text).media for known in media.formats()] == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"a=b\n" * (MAX_LINES + 1), "2001 lines"),
        (b"m=video 0 RTP/AVP 0\n" * (MAX_MEDIA + 1), "more than 32 media"),
        (TYPICAL + b"a=fmtp:96 " + b";a" * (MAX_BYTES // 2), "a description of 16"),
        (TYPICAL + b"a=control:" + b"\xff" * MAX_BYTES, "a description of 16"),
    ],
    ids=["lines", "media", "parameters", "an address"],
)
def test_too_much_is_an_error(text: bytes, what: str) -> None:
    with pytest.raises(DescriptionError, match=what):
        sdp.parse(text)
