"""Offers: what is understood of them, what is answered, and that nothing hostile gets past."""

import random
import re
import sys
from pathlib import Path

import pytest

from actors.rtc.answer import Local, Sources, write_answer
from actors.rtc.offer import Offer, parse_fragment, parse_offer
from supervisor.gateway import OfferError

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


def answer_to(offer: Offer) -> str:
    local = Local("ours", "ours" * 6, "sha-256 AB", ("1 1 udp 1 192.0.2.1 40000 typ host",))
    return write_answer(offer, local, Sources(1111, 2222, 3333))


def test_what_is_understood() -> None:
    offer = parse_offer(PLAIN)
    assert (offer.video.mid, offer.ufrag, offer.setup, offer.bundled) == ("v", "abcd", "actpass", True)
    (codec,) = offer.video.payloads.values()
    assert (codec.number, codec.rtpmap, codec.fmtp[-6:], codec.rtx) == (102, "H264/90000", "42e01f", None)
    assert codec.feedback == ("nack", "nack pli", "goog-remb")
    assert offer.audio is None
    assert [candidate.ip for candidate in offer.candidates] == ["192.0.2.7"], "no names, no TCP"


@pytest.mark.parametrize("profile", ["42c01e", "4d401f", "640c1f"])
def test_every_profile_that_a_camera_may_have_is_taken(profile: str) -> None:
    assert f"profile-level-id={profile}" in answer_to(parse_offer(PLAIN.replace("42e01f", profile)))


def test_a_section_that_exists_in_a_bundle_alone_has_the_bundles_transport() -> None:
    """RFC 9143, section 7.1.3: it has no transport attributes of its own."""
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


def test_repeats_sound_h265_and_the_mid_are_understood_where_they_are_offered() -> None:
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
    "host", ["fe80::1%eth0", "fe80::1%12", "2001:db8::7%en0", "%", "1.2.3", "999.1.1.1", "a.local"]
)
def test_candidate_whose_address_cannot_be_used_is_left_out_and_the_offer_is_read(host: str) -> None:
    """The draft of WHEP: candidates that a server cannot use are discarded silently, in offers and in fragments."""
    line = f"a=candidate:9 1 udp 1 {host} 5000 typ host\n"
    assert [candidate.ip for candidate in parse_offer(PLAIN + line).candidates] == ["192.0.2.7"]
    assert tuple(parse_fragment(line, "abcd")) == ()


def test_an_answer_has_one_codec_and_no_line_of_the_viewers() -> None:
    answer = answer_to(parse_offer(PLAIN))
    assert "VP8" not in answer
    assert "hidden.local" not in answer
    assert answer.count("m=") == 1
    assert "a=setup:active\r\n" in answer
    assert "a=setup:passive\r\n" in answer_to(parse_offer(PLAIN.replace("actpass", "active")))


def test_sound_on_a_transport_of_its_own_is_refused() -> None:
    sound = "m=audio 9 UDP/TLS/RTP/SAVPF 8\na=mid:s\na=recvonly\na=rtcp-mux\n"
    offer = parse_offer(PLAIN + sound)
    assert offer.audio is None
    assert "m=audio 0 UDP/TLS/RTP/SAVPF 8\r\n" in answer_to(offer)


@pytest.mark.parametrize("name", ["chromium.sdp", "chromium-maxbundle.sdp"])
def test_a_browsers_offer_with_audio_and_data(name: str) -> None:
    """Video and sound are accepted; data is refused in its place."""
    offer = parse_offer((KIT / name).read_text())
    assert (offer.video.index, offer.carrier, offer.candidates) == (1, None, ())
    answer = answer_to(offer)
    assert re.findall(r"^m=(\w+) (\d+) ", answer, re.MULTILINE) == [
        ("audio", "9"),
        ("video", "9"),
        ("application", "0"),
    ]
    assert "a=group:BUNDLE 0 1\r\n" in answer
    assert answer.count("a=inactive") == 1


def test_a_section_of_sound_that_carries_the_bundle_stays() -> None:
    """Without a codec of ours in it, it is inactive, but not refused: Chromium's bundle may hang on it."""
    text = (KIT / "chromium.sdp").read_text()
    text = re.sub(r"^(m=audio \d+ \S+) .*?(\r?)$", r"\g<1> 9\2", text, flags=re.MULTILINE)
    offer = parse_offer(text)
    assert (offer.audio, offer.carrier) == (None, (0, "9 G722/8000"))
    assert answer_to(offer).count("a=inactive") == 2


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
        ("s=-", "s=ü", 400, "not ASCII"),
        ("a=recvonly", "a=sendonly", 406, "no video section that receives"),
        ("m=video", "m=audio", 406, "no video section that receives"),
        ("a=rtcp-mux\n", "", 406, "rtcp-mux"),
        ("H264/90000", "AV1/90000", 406, "neither H.264"),
        ("packetization-mode=1", "packetization-mode=0", 406, "neither H.264"),
        ("42e01f", "f4001f", 406, "a profile up to High"),
        ("192.0.2.7 50000", "192.0.2.7 fifty", 400, "candidate"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_reason(old: str, new: str, status: int, what: str) -> None:
    assert old in PLAIN
    with pytest.raises(OfferError) as refused:
        parse_offer(PLAIN.replace(old, new, 1))
    assert refused.value.status == status
    assert what in refused.value.reason


@pytest.mark.parametrize("text", ["", "\n", "v=0", "{}", "GET / HTTP/1.1", "v=0\n" * 5000, "m=" * 9999])
def test_what_is_no_sdp_at_all(text: str) -> None:
    with pytest.raises(OfferError) as refused:
        parse_offer(text)
    assert refused.value.status == 400


def test_candidates_are_bounded() -> None:
    """Each would be paired with every address of ours; and no stranger's multicast is pinged."""
    many = "".join(f"a=candidate:{n} 1 udp 1 192.0.2.{n % 250 + 1} {5000 + n} typ host\n" for n in range(500))
    assert len(parse_offer(PLAIN + many).candidates) == 16
    assert parse_offer(PLAIN + "a=candidate:9 1 udp 1 224.0.0.1 5000 typ host\n").candidates[-1].ip == "192.0.2.7"


def test_twenty_thousand_damaged_offers_end_in_an_answer_or_a_refusal() -> None:
    """Whatever is accepted can be answered, a section for each section."""
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
    fragment = "a=ice-ufrag:abcd\r\na=mid:v\r\na=candidate:1 1 udp 1 192.0.2.8 50000 typ host\r\n"
    assert [candidate.ip for candidate in parse_fragment(fragment, "abcd")] == ["192.0.2.8"]
    assert parse_fragment("a=end-of-candidates\r\n", "abcd") == ()
    for text, status in [("garbage", 400), ("", 400), (fragment.replace("abcd", "else"), 422), ("a=candidate:x", 400)]:
        with pytest.raises(OfferError) as refused:
            parse_fragment(text, "abcd")
        assert refused.value.status == status


def test_the_worst_offers_cost_little() -> None:
    """Thousands of repetitions are read once, not once for each other: the loop has pictures to pass on."""
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
