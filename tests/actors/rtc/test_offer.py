"""Offers: what is understood of them, what is answered, and that nothing hostile gets past."""

import random
import re
import sys
from pathlib import Path

import pytest

from actors.rtc.offer import canonical, parse_fragment, parse_offer, widen
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


def test_what_is_understood() -> None:
    offer = parse_offer(PLAIN)
    assert (offer.mid, offer.ufrag, offer.setup, offer.bundled) == ("v", "abcd", "actpass", True)
    assert (offer.codec.payload_type, offer.codec.profile) == (102, "42e01f")
    assert offer.codec.feedback == ("nack", "nack pli")
    assert [candidate.ip for candidate in offer.candidates] == ["192.0.2.7"], "no names, no TCP"


def test_aiortc_sees_one_codec_and_no_line_of_the_viewers() -> None:
    text = canonical(parse_offer(PLAIN))
    assert "VP8" not in text
    assert "hidden.local" not in text
    assert "end-of-candidates" not in text
    assert text.count("m=") == 1
    assert parse_offer(text).codec.payload_type == 102


@pytest.mark.parametrize("name", ["chromium.sdp", "chromium-maxbundle.sdp"])
def test_a_browsers_offer_with_audio_and_data(name: str) -> None:
    """Video is accepted; the audio section that carries the bundle stays, inactive; data is refused in its place."""
    offer = parse_offer((KIT / name).read_text())
    assert (offer.chosen, offer.carrier is not None, offer.candidates) == (1, True, ())
    answer = widen(offer, canonical(offer).replace("recvonly", "sendonly"))
    assert re.findall(r"^m=(\w+) (\d+) ", answer, re.MULTILINE) == [
        ("audio", "9"),
        ("video", "9"),
        ("application", "0"),
    ]
    assert "a=group:BUNDLE 0 1\r\n" in answer
    assert answer.count("a=inactive") == 2
    assert f"profile-level-id={offer.codec.profile}" in answer


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
        ("H264/90000", "H265/90000", 406, "no H.264"),
        ("packetization-mode=1", "packetization-mode=0", 406, "no H.264"),
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
    """Whatever is accepted is written anew in our own words, and those can be read again."""
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
        assert parse_offer(canonical(offer)).ufrag == offer.ufrag
        widen(offer, canonical(offer))
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
