"""The one grammar of SDP: sections, attributes and formats of any text, in linear time."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.media.sdp import DIRECTIONS, SdpSection, SdpTooLong, parameters, parse_sdp

LINES = [
    "v=0",
    "c=IN IP4 192.0.2.1",
    "a=recvonly",
    "m=video 0 RTP/AVP 96 0",
    "a=rtpmap:96 H264/90000",
    "a=fmtp:96 a=1;B=2",
]


def parse(text: str) -> tuple[SdpSection, list[SdpSection]]:
    return parse_sdp(text, max_lines=1000, max_media=8)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n", "\n\n", " \t\r\n"])
def test_lines_of_any_end_are_the_same_description(end: str) -> None:
    """CRLF, LF, CR, mixtures and space in front of them: session and section have what their lines say."""
    session, (media,) = parse(end + end.join(LINES) + end)
    assert (session.lines["c"], session.direction, session.media) == (["IN IP4 192.0.2.1"], "recvonly", "")
    assert (media.media, media.kind, media.port) == ("video 0 RTP/AVP 96 0", "video", "0")
    assert (media.protocol, media.formats, media.direction) == ("RTP/AVP", ("96", "0"), "")
    assert media.rtpmaps() == {"0": "PCMU/8000", "96": "H264/90000"}
    assert parameters(media.by_format("fmtp")["96"]) == {"a": "1", "b": "2"}


def test_last_value_of_a_format_and_last_direction_count() -> None:
    """Also over a static payload type. All values of an attribute stay in order; a format without a value has none."""
    text = "m=audio 0 RTP/AVP 0\na=sendonly\na=rtpmap:0 X/1\na=rtpmap:0\tY/2/2 \na=rtpmap:9\na=inactive\na=rtcp-mux"
    _, (media,) = parse(text)
    assert (media.rtpmaps(), media.direction) == ({"0": "Y/2/2"}, "inactive")
    assert media.all("rtpmap") == ["0 X/1", "0\tY/2/2", "9"]
    assert (media.has("rtcp-mux"), media.all("rtcp-mux"), media.has("mid"), media.all("mid")) == (True, [""], False, [])


@pytest.mark.parametrize("line", ["", "=", "a", "a=", "a=:", "m=", "m=video", "玄関", "a=rtpmap:", "a=fmtp:96", "\0"])
def test_line_of_unknown_form_is_no_error(line: str) -> None:
    """It gives no format and no direction, and the lines around it are read."""
    session, media = parse(f"a=x:1\n{line}\na=y:2")
    last = media[-1] if media else session
    assert (session.all("x"), last.all("y")) == (["1"], ["2"])
    assert (last.rtpmaps(), last.by_format("fmtp"), last.direction) == ({}, {}, "")


def test_line_or_section_too_many_is_an_error() -> None:
    """At the limit a text is read; one more is named."""
    parse_sdp("a=b\n" * 20, 20, 0)
    parse_sdp("m=video\n" * 2, 2, 2)
    with pytest.raises(SdpTooLong, match="21 lines; at most 20 can be read"):
        parse_sdp("a=b\n" * 21, 20, 0)
    with pytest.raises(SdpTooLong, match="more than 2 media sections"):
        parse_sdp("m=video\n" * 3, 20, 2)


PIECES = [*"\r\n =:;/", "a=", "m=", "c=", "a=rtpmap:96 ", "a=fmtp:96 ", "a=sendonly", "video 0 ", "96"]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=60).map("".join))
def test_any_text_is_parsed_into_its_lines(text: str) -> None:
    """There is no other error than the limits, and each line with content is in one section, once."""
    try:
        session, media = parse(text)
    except SdpTooLong:
        return
    lines = [line for line in text.replace("\r", "\n").split("\n") if line.strip().partition("=")[0]]
    parts = [part for section in (session, *media) for part in (section.lines, section.attributes)]
    assert len(lines) == len(media) + sum(len(values) for part in parts for values in part.values())
    for section in (session, *media):
        assert section.direction in {"", *DIRECTIONS}
        assert all("\n" not in value and value == value.strip() for value in section.all("rtpmap"))
        for value in (section.rtpmaps() | section.by_format("fmtp")).values():
            parameters(value)


@pytest.mark.parametrize("piece", [*PIECES, "a=b:c\n", "a=fmtp:96 a=b\n", "m=video 0 RTP/AVP 96\n", "x;", "96 0 "])
def test_work_is_linear_in_the_text(piece: str) -> None:
    """Four times the text takes at most four times the calls, and a few more."""

    def calls(text: str) -> int:
        count = 0

        def profile(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(profile)
        try:
            session, media = parse_sdp(text, 10**6, 10**6)
            for section in (session, *media):
                for value in (section.rtpmaps() | section.by_format("fmtp")).values():
                    parameters(value)
        finally:
            sys.setprofile(None)
        return count

    assert calls(piece * 400) <= 4 * calls(piece * 100) + 40
