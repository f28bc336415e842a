"""Offers: parsing and answers; no hostile input is accepted."""

import random
import re
import sys
from pathlib import Path

import pytest

from actors.media.media import AudioFormat
from actors.webrtc.answer import Local, Ssrcs, write_answer
from actors.webrtc.offer import SdpOffer, parse_fragment, parse_offer
from supervisor.ports.viewing import OfferError

KIT = Path(__file__).parents[2] / "kit"
CHROMIUM = (KIT / "chromium.sdp").read_text().replace("\r\n", "\n").replace("\n", "\r\n")
PLAIN = (
    """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE v
m=video 9 UDP/TLS/RTP/SAVPF 96 102
c=IN IP4 0.0.0.0
a=mid:v
a=recvonly
a=rtcp-mux
a=setup:actpass
a=ice-ufrag:abcd
a=ice-pwd:0123456789abcdef012345
a=fingerprint:sha-256 """
    + ":".join(["AB"] * 32)
    + """
a=rtpmap:96 VP8/90000
a=rtpmap:102 H264/90000
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtcp-fb:102 nack
a=rtcp-fb:102 nack pli
a=rtcp-fb:102 goog-remb
a=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host
a=candidate:2 1 udp 2113937151 hidden.local 50001 typ host
a=candidate:3 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active
"""
)


def answer_to(offer: SdpOffer) -> str:
    local = Local("ours", "ours" * 6, "sha-256 AB", ("1 1 udp 1 192.0.2.1 40000 typ host",))
    return write_answer(offer, local, Ssrcs(1111, 2222, 3333))


def test_offer_is_parsed_to_its_payload_and_candidates() -> None:
    """The one H.264 payload with its feedback; candidates with a name or over TCP are skipped."""
    offer = parse_offer(PLAIN)
    assert (offer.video.mid, offer.ufrag, offer.setup, offer.bundled) == ("v", "abcd", "actpass", True)
    (codec,) = offer.video.payloads.values()
    assert (codec.number, codec.rtpmap, codec.fmtp[-6:], codec.rtx) == (102, "H264/90000", "42e01f", None)
    assert codec.feedback == ("nack", "nack pli", "goog-remb")
    assert offer.audio is None
    assert [candidate.ip for candidate in offer.candidates] == ["192.0.2.7"], "no names, no TCP"


@pytest.mark.parametrize("profile", ["42c01e", "4d401f", "640c1f"])
def test_every_profile_that_a_camera_may_have_is_taken(profile: str) -> None:
    """The answer repeats the offered profile: baseline, main or high."""
    assert f"profile-level-id={profile}" in answer_to(parse_offer(PLAIN.replace("42e01f", profile)))


def test_a_section_that_exists_in_a_bundle_alone_has_the_bundles_transport() -> None:
    """RFC 9143, section 7.1.3: it has no transport attributes itself."""
    lines = PLAIN.replace("BUNDLE v", "BUNDLE s v").split("\n")
    of_transport = ("a=rtcp-mux", "a=setup", "a=ice", "a=finger", "a=candidate")
    transport = [line for line in lines if line.startswith(of_transport)]
    rest = [line for line in lines if line not in transport]
    at = rest.index("m=video 9 UDP/TLS/RTP/SAVPF 96 102")
    sound = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:s", "a=sendrecv", "a=rtpmap:111 opus/48000/2", *transport]
    video = ["m=video 0 UDP/TLS/RTP/SAVPF 96 102", "a=bundle-only", *rest[at + 1 :]]
    offer = parse_offer("\n".join([*rest[:at], *sound, *video]))
    assert (offer.ufrag, offer.video.mid, len(offer.candidates)) == ("abcd", "v", 1)
    assert offer.audio is not None


def test_rtx_audio_h265_and_mid_are_answered_where_they_are_offered() -> None:
    """RTX, Opus and PCMA are answered; G.722 is not."""
    text = PLAIN.replace("BUNDLE v", "BUNDLE v s").replace("SAVPF 96 102", "SAVPF 96 102 103 104 105")
    text += "a=rtpmap:103 rtx/90000\na=fmtp:103 apt=102\na=rtpmap:104 H265/90000\na=fmtp:104 level-id=93\n"
    text += "a=rtpmap:105 rtx/90000\na=fmtp:105 apt=104;rtx-time=200\n"
    text += "a=extmap:4/recvonly urn:ietf:params:rtp-hdrext:sdes:mid\n"
    text += "m=audio 9 UDP/TLS/RTP/SAVPF 111 8 9\nc=IN IP4 0.0.0.0\na=mid:s\na=recvonly\na=rtcp-mux\n"
    text += "a=rtpmap:111 opus/48000/2\na=fmtp:111 minptime=10;useinbandfec=1\na=rtpmap:9 G722/8000\n"
    offer = parse_offer(text)
    h264, h265 = offer.video.payloads["h264"], offer.video.payloads["h265"]
    assert (h264.rtx, h265.rtx, h265.fmtp, offer.video.mid_extension) == (103, 105, "level-id=93", 4)
    assert offer.audio is not None
    assert {name: (p.number, p.rate) for name, p in offer.audio.payloads.items()} == {
        "opus": (111, 48000),
        "pcma": (8, 8000),
    }
    answer = answer_to(offer)
    assert "m=video 9 UDP/TLS/RTP/SAVPF 102 104 103 105\r\n" in answer
    assert "a=ssrc-group:FID 1111 2222\r\n" in answer
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111 8\r\n" in answer
    assert "G722" not in answer
    assert "a=group:BUNDLE v s\r\n" in answer


@pytest.mark.parametrize(
    "host", ["fe80::1%eth0", "fe80::1%12", "2001:db8::7%en0", "%", "1.2.3", "999.1.1.1", "a.local", "[::1]", "ü.local"]
)
def test_candidate_whose_address_cannot_be_used_is_left_out_and_the_offer_is_read(host: str) -> None:
    """The draft of WHEP: candidates that a server cannot use are discarded silently, in offers and in fragments."""
    assert_discarded(f"9 1 udp 1 {host} 5000 typ host")


@pytest.mark.parametrize(
    "line",
    [
        "x", "", "9 1 udp 1 192.0.2.9 fifty typ host", "9 1 udp -1 192.0.2.9 5000 typ host", "9 1 udp 1 192.0.2.9 5000",
        "9 1 udp 1 192.0.2.9 5000 typ magic", "9 1 tcp 1 192.0.2.9 9 typ host tcptype active",
        "9 2 udp 1 192.0.2.9 5000 typ host", "9 1 udp 1 192.0.2.9 70000 typ host",
    ],
)  # fmt: skip
def test_candidate_of_unknown_form_is_left_out_and_the_offer_is_read(line: str) -> None:
    """The same holds for any other form."""
    assert_discarded(line)


def assert_discarded(line: str) -> None:
    """Assert that the candidate is discarded in an offer and in a fragment."""
    text = f"a=candidate:{line}\n"
    assert [candidate.ip for candidate in parse_offer(PLAIN + text).candidates] == ["192.0.2.7"]
    assert parse_fragment(text, "abcd") == ()


def test_an_answer_has_one_codec_and_no_line_of_the_viewers() -> None:
    """No VP8 and no host name is repeated; the DTLS role is the opposite of the offered one."""
    answer = answer_to(parse_offer(PLAIN))
    assert "VP8" not in answer
    assert "hidden.local" not in answer
    assert answer.count("m=") == 1
    assert "a=setup:active\r\n" in answer
    assert "a=setup:passive\r\n" in answer_to(parse_offer(PLAIN.replace("actpass", "active")))


def test_audio_outside_the_bundle_is_refused() -> None:
    """Audio outside the bundle gets port 0, and the video is answered."""
    sound = "m=audio 9 UDP/TLS/RTP/SAVPF 8\na=mid:s\na=recvonly\na=rtcp-mux\n"
    offer = parse_offer(PLAIN + sound)
    assert offer.audio is None
    assert "m=audio 0 UDP/TLS/RTP/SAVPF 8\r\n" in answer_to(offer)


DATA = """m=application 9 UDP/DTLS/SCTP webrtc-datachannel
a=mid:d
a=ice-ufrag:abcd
a=ice-pwd:0123456789abcdef012345
a=candidate:1 1 udp 2113937151 192.0.2.7 50008 typ host
"""


def test_candidates_of_a_refused_section_are_no_path_of_the_one_that_is_taken() -> None:
    """aiortc gathers for each section of a bundle, and all have one user fragment and password."""
    offer = parse_offer(PLAIN.replace("BUNDLE v", "BUNDLE v d") + DATA)
    assert [candidate.port for candidate in offer.candidates] == [50000]
    assert offer.strangers == {("192.0.2.7", 50008)}


def test_candidates_of_a_refused_section_are_taken_where_there_are_no_others() -> None:
    """pion lists its candidates in the first section only."""
    own = "a=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host\n"
    offer = parse_offer(PLAIN.replace(own, "") + DATA)
    assert [candidate.port for candidate in offer.candidates] == [50008]
    assert offer.strangers == frozenset()


def test_candidates_of_an_audio_section_are_no_path_where_the_camera_has_no_audio() -> None:
    """The answer rejects the section; aiortc still connects its transport, and nominates it."""
    audio = "m=audio 9 UDP/TLS/RTP/SAVPF 8\na=mid:d\na=recvonly\na=rtcp-mux\n" + DATA.split("a=mid:d\n")[1]
    offer = parse_offer(PLAIN.replace("BUNDLE v", "BUNDLE v d") + audio)
    assert {candidate.port for candidate in offer.candidates} == {50000, 50008}
    silent = offer.without_audio()
    assert [candidate.port for candidate in silent.candidates] == [50000]
    assert silent.strangers == {("192.0.2.7", 50008)}


@pytest.mark.parametrize("name", ["chromium.sdp", "chromium-maxbundle.sdp"])
def test_a_browsers_offer_with_audio_and_data(name: str) -> None:
    """Video and audio are accepted; data is rejected in its position."""
    offer = parse_offer((KIT / name).read_text())
    assert (offer.video.index, offer.carrier, offer.candidates) == (1, 0, ())
    answer = answer_to(offer)
    assert re.findall(r"^m=(\w+) (\d+) ", answer, re.MULTILINE) == [
        ("audio", "9"),
        ("video", "9"),
        ("application", "0"),
    ]
    assert "a=group:BUNDLE 0 1\r\n" in answer
    assert answer.count("a=inactive") == 1


def test_audio_section_that_carries_the_bundle_stays() -> None:
    """Without a supported codec it is inactive, but not rejected: Chromium's bundle may depend on it."""
    text = (KIT / "chromium.sdp").read_text()
    text = re.sub(r"^(m=audio \d+ \S+) .*?(\r?)$", r"\g<1> 9\2", text, flags=re.MULTILINE)
    offer = parse_offer(text)
    assert (offer.audio, offer.carrier) == (None, 0)
    answer = answer_to(offer)
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 9\r\n" in answer
    assert "a=rtpmap:9 G722/8000\r\n" in answer
    assert answer.count("a=inactive") == 2


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_first_section_of_the_bundle_carries_it_though_nothing_is_sent_in_it(kind: str) -> None:
    """For each kind of section: it has port 9, the transport and the first position in the bundle."""
    first = f"m={kind} 9 UDP/TLS/RTP/SAVPF 120 121\na=mid:x\na=inactive\na=rtpmap:120 {kind}/90000\na=rtcp-mux\n"
    offer = parse_offer(PLAIN.replace("BUNDLE v", "BUNDLE x v").replace("m=video", f"{first}m=video"))
    answer = answer_to(offer)
    assert (offer.video.index, offer.carrier) == (1, 0)
    assert "a=group:BUNDLE x v\r\n" in answer
    section = answer.split("\r\nm=")[1]
    assert section.startswith(f"{kind} 9 UDP/TLS/RTP/SAVPF 120\r\n")
    for line in ("a=inactive", f"a=rtpmap:120 {kind}/90000", "a=ice-ufrag:ours", "a=candidate:", "a=rtcp-mux"):
        assert f"\r\n{line}" in section


@pytest.mark.parametrize("text", [True, False], ids=["no audio of the camera", "audio of the camera"])
def test_audio_that_is_not_sent_is_inactive_in_front_and_refused_behind(text: bool) -> None:
    """`without_audio` states that the camera has no audio: the bundle's first section stays."""
    browser = parse_offer((KIT / "chromium.sdp").read_text())
    behind = parse_offer(
        PLAIN.replace("BUNDLE v", "BUNDLE v s") + "m=audio 9 UDP/TLS/RTP/SAVPF 8\na=mid:s\na=rtcp-mux\n"
    )
    for offer, port in ((browser, 9), (behind, 0)):
        assert offer.audio is not None
        answer = answer_to(offer.without_audio() if text else offer)
        (section,) = (part for part in answer.split("\r\nm=") if part.startswith("audio"))
        assert section.split()[1] == (str(port) if text else "9")
        assert ("a=inactive" in section) is text
        assert "a=fingerprint:" in section
        assert "a=rtpmap:" in section or offer is behind


def test_refused_section_keeps_what_stacks_want_of_every_section() -> None:
    """pion needs an rtpmap for each format, GStreamer a fingerprint, aiortc user fragment and password.

    Without a bundle, pion uses the candidates of the first section.
    """
    second = "m=video 9 UDP/TLS/RTP/SAVPF 96 97\na=mid:2\na=recvonly\na=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\n"
    second += "a=rtpmap:98 H264/90000\na=rtpmap:97 rtx/90000 and more\n"
    apart = "m=audio 9 UDP/TLS/RTP/SAVPF 111\na=mid:3\na=recvonly\na=rtpmap:111 opus/48000/2\na=rtcp-mux\n"
    data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:4\na=sctp-port:5000\n"
    _, chosen, *refused = answer_to(parse_offer(PLAIN + second + apart + data)).split("\r\nm=")
    assert chosen.startswith("video 9 ")
    rtpmaps = [["a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000"], ["a=rtpmap:111 opus/48000/2"], []]
    assert [[line for line in part.split("\r\n") if "rtpmap" in line] for part in refused] == rtpmaps
    assert ["a=rtcp-mux" in part for part in refused] == [True, True, False]
    for part in refused:
        assert part.split()[1] == "0"
        for name in ("ice-ufrag", "ice-pwd", "fingerprint", "setup", "inactive", "candidate", "end-of-candidates"):
            assert f"\r\na={name}" in part


def test_text_of_a_session_may_be_utf_8() -> None:
    """RFC 8866, section 4: UTF-8 is accepted in `s=` and `i=`, and unused; Unicode control characters are rejected."""
    named = PLAIN.replace("s=-\n", "s=Überwachung 玄関\u3000ドア\ni=\u2028Kamera\n")
    assert answer_to(parse_offer(named)).isascii()
    assert parse_fragment("s=玄関\r\na=candidate:1 1 udp 1 192.0.2.8 50000 typ host\r\n")[0].ip == "192.0.2.8"
    with pytest.raises(OfferError, match="control characters"):
        parse_offer(PLAIN.replace("s=-", "s=\x85"))


@pytest.mark.parametrize(
    ("fmtp", "answered"),
    [
        ("", None),
        ("profile-level-id=42e01f", "packetization-mode=0;profile-level-id=42e01f"),
        ("packetization-mode=0;profile-level-id=42e01f", "packetization-mode=0;profile-level-id=42e01f"),
        ("packetization-mode=1", "packetization-mode=1;profile-level-id=42e01f"),
    ],
)
def test_h264_is_answered_in_the_mode_that_was_offered(fmtp: str, answered: str | None) -> None:
    """Without parameters, the answer has none either."""
    line = "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\n"
    offer = parse_offer(PLAIN.replace(line, f"a=fmtp:102 {fmtp}\n" if fmtp else ""))
    answer = answer_to(offer)
    assert "a=rtpmap:102 H264/90000\r\n" in answer
    assert re.findall("a=fmtp:102 level-asymmetry-allowed=1;(.*)\r\n", answer) == ([answered] if answered else [])
    assert ("a=fmtp" in answer) is (answered is not None)


def test_mode_1_of_h264_is_preferred_whatever_the_profile() -> None:
    """Mode 0 does not allow fragments; of two with mode 1, the first is taken."""
    offer = parse_offer(
        PLAIN.replace("SAVPF 96 102", "SAVPF 96 102 104")
        + "a=rtpmap:104 H264/90000\na=fmtp:104 packetization-mode=1;profile-level-id=640c1f\n"
    )
    assert offer.video.payloads["h264"].number == 102
    zero = PLAIN.replace("packetization-mode=1", "packetization-mode=0").replace("SAVPF 96 102", "SAVPF 96 102 104")
    offer = parse_offer(zero + "a=rtpmap:104 H264/90000\na=fmtp:104 packetization-mode=1;profile-level-id=640c1f\n")
    assert offer.video.payloads["h264"].number == 104


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("H264/90000", "AV1/90000"),
        ("42e01f", "f4001f"),
        ("42e01f", "none"),
        ("packetization-mode=1", "packetization-mode=2"),
    ],
)
def test_offer_without_a_supported_codec_is_parsed(old: str, new: str) -> None:
    """The codec of the camera belongs to the rejection, and is not known here."""
    assert parse_offer(PLAIN.replace(old, new)).codecs == set()


def test_viewer_hears_what_it_takes_as_it_is_or_as_opus() -> None:
    """G.711 passes at 8,000 Hz, in one channel; all other audio becomes Opus."""
    text = PLAIN.replace("BUNDLE v", "BUNDLE v s") + "m=audio 9 UDP/TLS/RTP/SAVPF 8\na=mid:s\na=rtcp-mux\n"
    offer = parse_offer(text.replace("SAVPF 8\n", "SAVPF 8 111\n") + "a=rtpmap:111 opus/48000/2\n")
    heard = {"pcma": 8_000, "opus": 48_000, "aac": 44_100, "g722": 16_000}
    assert all(offer.hears(AudioFormat(codec, rate, 1)) for codec, rate in heard.items())
    assert not offer.hears(AudioFormat("pcmu", 8_000, 1))
    assert offer.hears(AudioFormat("pcma", 16_000, 1))
    assert not parse_offer(text).hears(AudioFormat("pcma", 16_000, 1))
    assert not offer.hears(None)
    assert not parse_offer(PLAIN).hears(AudioFormat("pcma", 8_000, 1))


@pytest.mark.parametrize(
    ("old", "new", "status", "what"),
    [
        ("v=0\n", "", 400, "does not begin with v=0"),
        ("a=ice-ufrag:abcd\n", "", 400, "no a=ice-ufrag"),
        ("abcd", "ab", 400, "malformed"),
        ("a=ice-pwd:0123456789abcdef012345", "a=ice-pwd:short", 400, "malformed"),
        ("a=fingerprint", "a=finger", 400, "0 fingerprints"),
        (":AB\n", ":A\n", 400, "fingerprint is malformed"),
        ("actpass", "holdconn", 400, "DTLS role"),
        ("a=mid:v\n", "", 400, "no a=mid"),
        ("m=video 9", "m=video x", 400, "malformed"),
        ("t=0 0", "t=0 0\x00", 400, "control characters"),
        ("a=recvonly", "a=sendonly", 406, "no video section that receives"),
        ("m=video", "m=audio", 406, "no video section that receives"),
        ("a=rtcp-mux\n", "", 406, "rtcp-mux"),
    ],
)
def test_offer_that_cannot_be_answered_is_refused_with_its_reason(old: str, new: str, status: int, what: str) -> None:
    """400 for a malformed offer, 406 for one that we cannot serve."""
    assert old in PLAIN
    with pytest.raises(OfferError) as refused:
        parse_offer(PLAIN.replace(old, new, 1))
    assert refused.value.status == status
    assert what in refused.value.reason


@pytest.mark.parametrize("text", ["", "\n", "v=0", "{}", "GET / HTTP/1.1", "v=0\n" * 5000, "m=" * 9999])
def test_body_that_is_not_sdp_is_a_400(text: str) -> None:
    """Empty, JSON, HTTP, and far too many lines: always 400."""
    with pytest.raises(OfferError) as refused:
        parse_offer(text)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v=0\n", "\ufeffv=0\n"),
        ("v=0\n", "\r\n\nv=0\n"),
        ("a=mid:v\n", "b=AS:512\nb=TIAS:512000\na=mid:v\n"),
        ("t=0 0\n", "c=IN IP6 ::\nb=CT:9\nt=0 0\nr=7d 1h 0\n"),
        ("level-asymmetry-allowed=1;packetization-mode=1;", "LEVEL-asymmetry-ALLOWED=1; Packetization-Mode=1; "),
        ("packetization-mode=1;profile-level-id=42e01f", "packetization-mode = 1 ; profile-level-id = 42E01F;"),
        ("a=rtpmap:102 H264", "a=rtpmap:102  h264"),
        ("a=rtcp-mux\n", "a=rtcp:9 IN IP4 0.0.0.0\na=rtcp-mux\na=rtcp-mux-only\na=rtcp-rsize\n"),
        ("t=0 0\n", "t=0 0\na=ice-options:trickle ice2 renomination\na=msid-semantic: WMS *\n"),
        ("a=mid:v\n", "a=mid:v\na=ice-options:trickle\na=ice-pacing:20\na=remote-candidates:1 192.0.2.1 1\n"),
        ("a=mid:v\n", "a=mid:v\n" + "".join(f"a=ssrc:{n} cname:x\n" for n in range(9)) + "a=ssrc-group:FID 1 2\n"),
        ("a=mid:v\n", "a=mid:v\na=rid:h recv\na=rid:l recv pt=102\na=simulcast:recv h;~l\n"),
        ("a=recvonly\n", ""),
        ("t=0 0\na=group:BUNDLE v\n", "t=0 0\na=recvonly\na=group:BUNDLE v\n"),
        ("a=setup:actpass\n", "a=setup:passive\na=connection:new\na=tls-id:abcdefghijklmnopqrst\n"),
        ("a=group:BUNDLE v\n", "a=group:LS v\na=group:BUNDLE v\na=extmap-allow-mixed\n"),
        ("m=video 9", "m=video 50000/1"),
    ],
)
def test_offer_of_unusual_form_is_answered_like_the_plain_one(old: str, new: str) -> None:
    """Unused parts change nothing: the answer equals that of the same offer without them."""
    assert old in PLAIN
    assert answer_to(parse_offer(PLAIN.replace(old, new, 1))) == answer_to(parse_offer(PLAIN))


def test_direction_of_the_session_holds_for_each_section_without_one() -> None:
    """RFC 8866, section 6.7: a section's own direction takes precedence."""
    with pytest.raises(OfferError, match="no video section that receives"):
        parse_offer(PLAIN.replace("a=recvonly\n", "").replace("t=0 0", "t=0 0\na=sendonly"))
    assert parse_offer(PLAIN.replace("t=0 0", "t=0 0\na=sendonly")).video.mid == "v"


@pytest.mark.parametrize("fmtp", ["apt=102;rtx-time=200", "rtx-time=200; apt=102", "RTX-Time=200;APT=102"])
def test_repeats_are_understood_wherever_their_payload_type_is_named(fmtp: str) -> None:
    """The order of parameters does not matter."""
    text = PLAIN.replace("SAVPF 96 102", "SAVPF 96 102 103") + f"a=rtpmap:103 rtx/90000\na=fmtp:103 {fmtp}\n"
    assert parse_offer(text).video.payloads["h264"].rtx == 103


def test_bundle_whose_transport_is_in_a_data_section_is_answered() -> None:
    """RFC 9143, section 7.1.3: attributes of RTP only, like rtcp-mux, are then in the video section."""
    lines = PLAIN.replace("BUNDLE v", "BUNDLE d v").replace("m=video 9", "m=video 0").split("\n")
    transport = [line for line in lines if line.startswith(("a=setup", "a=ice", "a=finger", "a=candidate"))]
    rest = [line for line in lines if line not in transport]
    at = rest.index("m=video 0 UDP/TLS/RTP/SAVPF 96 102")
    data = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:d", "a=sctp-port:5000", *transport]
    offer = parse_offer("\n".join([*rest[:at], *data, rest[at], "a=bundle-only", *rest[at + 1 :]]))
    answer = answer_to(offer)
    assert re.findall(r"^m=(\w+) (\d+) ", answer, re.MULTILINE) == [("application", "0"), ("video", "9")]
    assert "a=group:BUNDLE v\r\n" in answer


def test_candidates_are_bounded() -> None:
    """Each candidate would be paired with every local address; multicast addresses of a stranger get no checks."""
    many = "".join(f"a=candidate:{n} 1 udp 1 192.0.2.{n % 250 + 1} {5000 + n} typ host\n" for n in range(500))
    assert len(parse_offer(PLAIN + many).candidates) == 16
    assert parse_offer(PLAIN + "a=candidate:9 1 udp 1 224.0.0.1 5000 typ host\n").candidates[-1].ip == "192.0.2.7"


@pytest.mark.slow
def test_twenty_thousand_damaged_offers_end_in_an_answer_or_a_refusal() -> None:
    """Each accepted offer can be answered, a section for each section."""
    rng = random.Random(3)
    alphabet = "\r\n\t :=/+0aZ\x00ü\u2028"
    accepted = 0
    for round_ in range(20_000):
        text = list(PLAIN if round_ % 8 else CHROMIUM)
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(text))
            match rng.randrange(4):
                case 0:
                    del text[at : at + rng.randrange(1, 80)]
                case 1:
                    text[at] = rng.choice(alphabet)
                case 2:
                    text[at:at] = text[rng.randrange(len(text)) :][: rng.randrange(1, 200)]
                case _:
                    text[at] = chr(ord(text[at]) ^ (1 << rng.randrange(7)))
        try:
            offer = parse_offer("".join(text))
        except OfferError:
            continue
        accepted += 1
        answer = answer_to(offer)
        assert answer.count("\r\nm=") == len(offer.sections)
        assert answer.isprintable() or set(answer) - set(answer.strip()) <= {"\r", "\n"}
    assert accepted > 100


def test_fragments() -> None:
    """Candidates of a later PATCH; another ufrag is 422, and text that is not a fragment is 400."""
    fragment = "a=ice-ufrag:abcd\r\na=mid:v\r\na=candidate:1 1 udp 1 192.0.2.8 50000 typ host\r\n"
    assert [candidate.ip for candidate in parse_fragment(fragment, "abcd")] == ["192.0.2.8"]
    assert parse_fragment("a=end-of-candidates\r\n", "abcd") == ()
    for text, status in [("garbage", 400), ("", 400), (fragment.replace("abcd", "else"), 422), ("a=b\n" * 2000, 400)]:
        with pytest.raises(OfferError) as refused:
            parse_fragment(text, "abcd")
        assert refused.value.status == status


def test_the_worst_offers_cost_little() -> None:
    """Thousands of repetitions are parsed once, not once for each other: the loop has media to deliver."""
    lines = "".join(f"a=rtpmap:102 H264/90000\na=rtcp-fb:102 nack\na=x:{n}\n" for n in range(320))
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        parse_offer(PLAIN + lines)
    finally:
        sys.setprofile(None)
    assert calls < 50_000
