"""RTSP conversations with cameras, message by message, and their results."""

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence

import attrs
import pytest

from actors.cpu_share import AT_ONCE, OF_AUDIO, OF_VIDEO
from actors.media.bitstream import BitstreamError
from actors.media.facts import SourceFacts
from actors.media.media import AUDIO_OFF, AudioFormat, SourceLoss, VideoCodec
from actors.media.oddities import Oddity
from actors.sources.rtsp import choice, sdp
from actors.sources.rtsp.address import parse_target
from actors.sources.rtsp.conversation import OPTIONS_SHARE
from actors.sources.rtsp.encrypted import Cipher, make_cipher
from actors.sources.rtsp.exchange import MAX_HANG_UPS, MAX_UNASKED
from actors.sources.rtsp.memory import OptionalStep, SourceMemory
from actors.sources.rtsp.messages import ProtocolError
from actors.sources.rtsp.reasons import ENDED, NO_PASSWORD, UNASKED_MESSAGES, Ended, Moved, no_answer, refusal
from actors.sources.rtsp.remote import Remote
from actors.sources.rtsp.reorder import WINDOW
from actors.sources.rtsp.session import RtspSession
from actors.sources.rtsp.tracks import HOLD_S, REPORT_S
from actors.sources.rtsp.transport import TransportRefused
from actors.sources.rtsp.transport_header import Transport
from supervisor.config.config import Timeouts
from supervisor.domain.restart import PASSWORD
from supervisor.domain.values import Fault, Reason
from tests.kit.media import access_units, h265_units
from tests.kit.packets import framed, packet, packets

URL = "rtsp://192.0.2.1/main"
VIDEO = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"
AUDIO = "m=audio 0 RTP/AVP 8\r\na=control:track2\r\n"
NONCE = 'WWW-Authenticate: Digest realm="camera", nonce="{}"{}'


@attrs.define
class Sink:
    """Records the calls that a hub would receive."""

    pictures: list[tuple[list[bytes], int]] = attrs.field(factory=list)
    audio_frames: list[tuple[bytes, int]] = attrs.field(factory=list)
    sets: list[list[bytes]] = attrs.field(factory=list)
    audio: AudioFormat | None = None
    mute: str = ""
    refuses_sets: bool = False
    transport: str = ""

    def set_parameter_sets(self, sets: list[bytes], codec: VideoCodec) -> None:
        self.sets.append(sets)
        if self.refuses_sets:
            raise BitstreamError("a picture of 0x0")

    def set_transport(self, transport: str, words: str) -> None:
        self.transport = f"{transport}: {words}"

    def set_audio(self, audio: AudioFormat | None, mute: str = "") -> None:
        self.audio, self.mute = audio, mute

    def publish(self, units: list[bytes], pts: int, codec: VideoCodec) -> None:
        self.pictures.append((units, pts))

    def publish_audio(self, data: bytes, pts: int) -> None:
        self.audio_frames.append((data, pts))


class Talk:
    """Both sides of a conversation. `says` is the camera's response, `asked` the last request to it."""

    def __init__(
        self,
        address: str = URL,
        ports: tuple[tuple[int, int], tuple[int, int]] | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (it is frozen)
        wants_audio: bool = True,
        learned: SourceMemory | None = None,
        digest_only: bool = False,
        over: Transport | None = None,
        cipher: Callable[[], Cipher] = lambda: make_cipher(0),
        played: Sequence[str] = (),
    ) -> None:
        self.sink, self.loss, self.now = Sink(), SourceLoss(), 0.0
        self.facts, self.learned = SourceFacts(), learned or SourceMemory()
        target = parse_target(address, digest_only)
        self.session = RtspSession(
            target,
            self.sink,
            self.loss,
            7,
            ports,
            timeouts,
            wants_audio,
            facts=self.facts,
            learned=self.learned,
            over=over,
            played=played,
            cipher=cipher,
        )
        self.asked = self.text = ""
        self.number = 0
        self.everything = b""
        self.session.begin(self.now)
        self.hear()

    def says(self, status: str = "200 OK", *headers: str, body: str = "", number: int | None = None) -> "Talk":
        number = self.number if number is None else number
        lines = (f"RTSP/1.0 {status}", f"CSeq: {number}", *headers, f"Content-Length: {len(body)}", "", body)
        return self.sends("\r\n".join(lines).encode())

    def sends(self, data: bytes) -> "Talk":
        self.session.feed(data, self.now)
        while self.session.step():
            pass
        self.hear()
        return self

    def waits(self, seconds: float) -> "Talk":
        self.now += seconds
        self.session.tick(self.now)
        self.hear()
        return self

    def hear(self) -> None:
        data = bytes(self.session.outgoing)
        self.session.outgoing.clear()
        self.everything += data
        self.text = data.decode(errors="replace")
        self.asked = self.text.partition("\r\n")[0]
        for line in self.text.split("\r\n"):
            if line.startswith("CSeq: ") and "RTSP/1.0 2" not in self.asked:
                self.number = int(line[6:])

    def describes(self, *media: str, headers: tuple[str, ...] = ()) -> "Talk":
        """Run the conversation up to the first SETUP."""
        self.says("200 OK", "Public: OPTIONS, GET_PARAMETER")
        return self.says("200 OK", *headers, body="v=0\r\n" + "".join(media or (VIDEO,)))

    def plays(self, *media: str, session: str = "5;timeout=30") -> "Talk":
        self.describes(*media)
        while self.asked.startswith("SETUP"):
            self.says("200 OK", f"Session: {session}")
        return self.says()


def test_a_conversation_from_beginning_to_end() -> None:
    """OPTIONS, DESCRIBE, two SETUP, PLAY, TEARDOWN; the camera chooses other channels and sets the session id."""
    talk = Talk()
    assert talk.asked == f"OPTIONS {URL} RTSP/1.0"
    talk.says("200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN")
    assert talk.asked == f"DESCRIBE {URL} RTSP/1.0"
    assert "Accept: application/sdp" in talk.text
    talk.says("200 OK", f"Content-Base: {URL}/", body="v=0\r\na=control:*\r\n" + VIDEO + AUDIO + VIDEO)
    assert talk.asked == f"SETUP {URL}/track1 RTSP/1.0"
    assert "Transport: RTP/AVP/TCP;unicast;interleaved=0-1" in talk.text
    talk.says("200 OK", "Session: abc;timeout=30", "Transport: RTP/AVP/TCP;unicast;interleaved=4-5")
    assert talk.asked == f"SETUP {URL}/track2 RTSP/1.0"
    assert "Session: abc\r\n" in talk.text
    talk.says("200 OK", "Session: abc;timeout=30")
    assert talk.asked == f"PLAY {URL}/ RTSP/1.0"
    talk.says()
    assert talk.session.playing
    assert talk.sink.audio == AudioFormat("pcma", 8000, 1)
    for data in packets(access_units(count=2)):
        talk.sends(framed(data, channel=4))
    assert [units for units, _ in talk.sink.pictures] == [list(units) for units in access_units()[:2]]
    talk.session.leave(talk.now)
    talk.hear()
    assert talk.asked == f"TEARDOWN {URL}/ RTSP/1.0"
    assert not talk.session.left
    assert talk.says().session.left


def test_announcements_and_round_trips_are_facts() -> None:
    """The `Server` header, the lines of the description, and the slowest answer; the loss as soon as packets come."""
    talk = Talk()
    talk.now = 0.25
    talk.says("200 OK", "Server: Hipcam RealServer/V1.0")
    talk.now = 0.5
    body = f"v=0\r\ns=RTSP stream\r\ni=IPC model 7\r\na=tool:LIVE555\r\n{VIDEO}"
    talk.says("200 OK", body=body)
    talk.says("200 OK", "Session: 5").says()
    found = talk.facts.current(**talk.session.figures())
    announced = found.server, found.title, found.information, found.tool
    assert announced == ("Hipcam RealServer/V1.0", "RTSP stream", "IPC model 7", "LIVE555")
    assert (found.slowest, found.slowest_s, found.round_trip_s) == ("OPTIONS", 0.25, 0.0)
    assert found.loss is None
    for data in packets(access_units(count=2)):
        talk.sends(framed(data))
    assert talk.session.figures()["loss"] == 0.0


def test_any_cut_of_the_stream_gives_the_same_pictures() -> None:
    """Frames, a request, invalid RTCP and a new count, in 40 random divisions."""
    stream = b"".join(framed(data) for data in packets(access_units(320, 240, count=4)))
    stream += b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" + framed(b"not rtcp", 1)
    stream += b"".join(framed(data) for data in packets(access_units(320, 240, count=2), sequence=60_000))
    rng = random.Random(2)
    whole = Talk().plays().sends(stream).sink.pictures
    assert len(whole) == 6, "over TCP, a new count is no loss"
    for _ in range(40):
        talk, at = Talk().plays(), 0
        while at < len(stream):
            size = rng.choice((1, 7, 100, 1500, 9000))
            talk.sends(stream[at : at + size])
            at += size
        assert talk.sink.pictures == whole


TINY = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\na=control:track2\r\na=fmtp:97 {}\r\n".format(
    "mode=aac-hbr;config=1408;sizelength=1;indexlength=0;indexdeltalength=0"
)
FLOODS = {
    "pictures of one byte": [packet(b"\x41\x9a", number, number, marker=True) for number in range(4000)],
    "pictures of many units": [packet(b"\x78" + b"\x00\x02\x41\x9a" * 100, n, n, marker=True) for n in range(200)],
    "parameter sets alone": [
        packet(b"\x78" + b"\x00\x03\x68\xce\x80" * 100, n, n // 2, n % 2 == 1) for n in range(200)
    ],
    "frames of sound of one byte": [
        packet(b"\x00\x40" + b"\xff" * 8 + b"x" * 64, number, number, marker=True, number=97) for number in range(600)
    ],
}
"""Each flood has at most 64 kB."""
PICTURE = packet(b"\x65\x88", 65_535, 0, marker=True)
"""An access unit in front of the floods: audio needs video."""


@pytest.mark.parametrize("flood", FLOODS)
def test_a_step_is_bounded_by_what_is_in_its_packets(flood: str) -> None:
    """Each access unit, NAL unit and audio frame costs work, however small it is; other tasks run in between."""
    talk = Talk().plays(VIDEO, TINY).sends(framed(PICTURE)).waits(HOLD_S)
    sink = talk.sink
    talk.session.feed(b"".join(framed(data, 2 if "sound" in flood else 0) for data in FLOODS[flood]), 0.0)
    more, steps, made = True, 0, 0
    while more:
        more = talk.session.step()
        before, made = made, len(sink.pictures) + len(sink.sets) + len(sink.audio_frames)
        assert made - before <= AT_ONCE // OF_AUDIO + 64
        steps += 1
    assert made >= 90
    assert steps >= made * (OF_AUDIO if "sound" in flood else OF_VIDEO) / (2 * AT_ONCE)


@pytest.mark.parametrize("flood", FLOODS)
def test_over_udp_packets_that_were_waited_for_are_bounded_in_work(flood: str) -> None:
    """The first packet comes last, so that all are available at once."""
    talk = Talk(ports=((1, 2), (3, 4))).plays(VIDEO, TINY)
    sink, track = talk.sink, int("sound" in flood)
    talk.session.receive(0, PICTURE, 0.0)
    talk.session.receive(0, packet(b"\x41\x9a", 0, 1, marker=True), 0.0)
    first, second, *rest = FLOODS[flood][:WINDOW]
    made = 0
    for data in (first, *rest, second, *FLOODS[flood][WINDOW : WINDOW + 60]):
        talk.session.receive(track, data, 0.0)
        before, made = made, len(sink.pictures) + len(sink.sets) + len(sink.audio_frames)
        assert made - before <= AT_ONCE // OF_AUDIO + 64
    assert made >= 50


@pytest.mark.parametrize(
    ("control", "asked"),
    [
        ("track1", f"{URL}/track1"),
        ("rtsp://u:p@192.0.2.9/x/track1", "rtsp://192.0.2.9/x/track1"),
        ("/track1", "rtsp://192.0.2.1/track1"),
        ("*", URL),
        ("", URL),
        ("track 1\x7fü", f"{URL}/track%201%7F%C3%BC"),
        ("rtsp://[half/", URL),
    ],
)
def test_where_a_medium_is_to_be_had(control: str, asked: str) -> None:
    """Relative, absolute and invalid controls; no credentials are left in the URL."""
    assert Talk().describes(VIDEO.replace("track1", control)).asked == f"SETUP {asked} RTSP/1.0"


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        (("Content-Location: rtsp://192.0.2.1/there",), "rtsp://192.0.2.1/there/track1"),
        (("Content-Base: rtsp://192.0.2.1/cam?channel=1&subtype=0",), "rtsp://192.0.2.1/cam?channel=1&subtype=0/track1"),
        (("Content-Base: rtsp://u:secret@192.0.2.1/a/",), "rtsp://192.0.2.1/a/track1"),
        (("Content-Base: 192.0.2.1/main/",), f"{URL}/track1"),
        (("Content-Base: rtsp://rtsp://192.0.2.1/main/",), f"{URL}/track1"),
        (("Content-Location: rtsp://RTSP://192.0.2.1:554/x",), "rtsp://192.0.2.1:554/x/track1"),
        (("Content-Base: /live/",), "rtsp://192.0.2.1/live/track1"),
        (("Content-Base: *", "Content-Location: rtsp://192.0.2.1/there"), "rtsp://192.0.2.1/there/track1"),
        (("Content-Base:",), f"{URL}/track1"),
        (("Content-Base: rtsp://[half/",), f"{URL}/track1"),
        ((f"Content-Base: {URL}", "Content-Location: rtsp://192.0.2.1/there"), f"{URL}/track1"),
    ],
)  # fmt: skip
def test_base_of_relative_control_addresses(headers: tuple[str, ...], base: str) -> None:
    """`Content-Base`, or else `Content-Location`, without credentials; a query string stays in front of the control."""
    assert Talk().describes(headers=headers).asked == f"SETUP {base} RTSP/1.0"


# ── authentication ──────────────────────────────────────────────────────────────────────────────────────────────────

WITH_PASSWORD = "rtsp://viewer:p%40ss@192.0.2.1/main"


def test_challenge_is_answered_with_digest_before_basic() -> None:
    """Digest is preferred to Basic, its nonce is used again, and the password is never sent."""
    talk = Talk(WITH_PASSWORD).says()
    assert talk.asked == f"DESCRIBE {URL} RTSP/1.0"
    talk.says("401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"', NONCE.format("one", ""))
    assert 'Authorization: Digest username="viewer"' in talk.text
    assert 'nonce="one"' in talk.text
    talk.says("200 OK", body="v=0\r\n" + VIDEO)
    assert talk.asked.startswith("SETUP")
    assert 'nonce="one"' in talk.text, "without being asked again"
    assert b"p@ss" not in talk.everything
    assert b"p%40ss" not in talk.everything


def test_a_stale_nonce_costs_one_more_question() -> None:
    """Each new nonce is answered once, also in the middle of the conversation."""
    talk = Talk(WITH_PASSWORD).says()
    talk.says("401 Unauthorized", NONCE.format("one", ""))
    talk.says("401 Unauthorized", NONCE.format("two", ", stale=true"))
    assert 'nonce="two"' in talk.text
    talk.says("200 OK", body="v=0\r\n" + VIDEO)
    talk.says("401 Unauthorized", NONCE.format("three", ""))
    assert 'nonce="three"' in talk.text, "a new nonce is a stale one, whatever the camera calls it"


@pytest.mark.parametrize(
    ("address", "challenges"),
    [
        (WITH_PASSWORD, [""]),
        (WITH_PASSWORD, [NONCE.format("one", ""), NONCE.format("one", "")]),
        (WITH_PASSWORD, [NONCE.format("one", ""), NONCE.format("two", "")]),
        (WITH_PASSWORD, [NONCE.format(name, ", stale=true") for name in ("one", "two", "three")]),
        (WITH_PASSWORD, ['WWW-Authenticate: Basic realm="camera"'] * 2),
    ],
)
def test_a_password_that_is_refused_is_not_tried_for_ever(address: str, challenges: list[str]) -> None:
    """It ends as `unauthorized`, a fatal fault, since many cameras lock an account."""
    talk = Talk(address).says()
    for challenge in challenges[:-1]:
        talk.says("401 Unauthorized", challenge)
    with pytest.raises(Ended) as ended:
        talk.says("401 Unauthorized", challenges[-1])
    assert (ended.value.reason.code, ended.value.reason.fault) == ("unauthorized", Fault.FATAL)
    assert "p@ss" not in repr(ended.value)


SHA = 'WWW-Authenticate: Digest realm="camera", nonce="{}", algorithm={}'


@pytest.mark.parametrize("again", ["one", "two"])
def test_md5_is_tried_once_where_a_stronger_algorithm_is_refused(again: str) -> None:
    """If the camera offers it; the next connection begins with it. A password that MD5 proves in vain is refused."""
    talk = Talk(WITH_PASSWORD).says()
    talk.says("401 Unauthorized", SHA.format("one", "SHA-256"), SHA.format("one", "MD5"))
    assert "algorithm=SHA-256" in talk.text
    talk.says("401 Unauthorized", SHA.format(again, "SHA-256"), SHA.format(again, "MD5"))
    assert "algorithm=MD5" in talk.text
    assert talk.loss.oddities[Oddity.DIGEST] == 1
    following = Talk(WITH_PASSWORD, learned=talk.learned).says()
    following.says("401 Unauthorized", SHA.format("four", "SHA-256"), SHA.format("four", "MD5"))
    assert "algorithm=MD5" in following.text
    with pytest.raises(Ended) as ended:
        talk.says("401 Unauthorized", SHA.format(again, "SHA-256"), SHA.format(again, "MD5"))
    assert ended.value.reason.code == PASSWORD


@pytest.mark.parametrize(
    ("challenge", "digest_only", "code"),
    [
        ('WWW-Authenticate: Basic realm="camera"', True, "unsupported-auth"),
        ('WWW-Authenticate: Digest realm="camera", nonce="1", algorithm=SHA-3', False, "unsupported-auth"),
        ("Server: x", False, "unauthorized"),
    ],
)
def test_password_that_is_not_sent_is_not_refused(challenge: str, digest_only: bool, code: str) -> None:
    """`auth: digest` never sends it readably, and the reason names the setting."""
    talk = Talk(WITH_PASSWORD, digest_only=digest_only).says()
    with pytest.raises(Ended) as ended:
        talk.says("401 Unauthorized", challenge)
    assert ended.value.reason.code == code
    assert ("`auth: digest`" in ended.value.reason.text) is digest_only
    assert b"Authorization" not in talk.everything


def test_answer_to_a_challenge_goes_to_a_new_connection_where_the_camera_hangs_up() -> None:
    """Its first request has it already; after two more such ends the password counts as refused."""
    talk = Talk(WITH_PASSWORD).says("401 Unauthorized", NONCE.format("one", ""))
    talk.session.learn(ENDED)
    for number in range(1, MAX_HANG_UPS):
        talk = Talk(WITH_PASSWORD, learned=talk.learned)
        assert "OPTIONS" in talk.asked
        assert "Authorization: Digest" in talk.text
        talk.says("401 Unauthorized", NONCE.format(f"n{number}", ""))
        talk.session.learn(ENDED)
    talk = Talk(WITH_PASSWORD, learned=talk.learned).says("401 Unauthorized", NONCE.format("last", ""))
    with pytest.raises(Ended) as ended:
        talk.session.learn(ENDED)
    assert ended.value.reason.code == PASSWORD
    assert "Authorization" not in Talk("rtsp://192.0.2.1/main", learned=talk.learned).text, "of other credentials"


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "code", "fault"),
    [
        ("401 Unauthorized", "no-password", Fault.FATAL),
        ("403 Forbidden", "forbidden", Fault.FATAL),
        ("404 Not Found", "not-found", Fault.FATAL),
        ("453 Not Enough Bandwidth", "full", Fault.TEMPORARY),
        ("503 Service Unavailable", "full", Fault.TEMPORARY),
        ("461 Unsupported Transport", "unsupported-transport", Fault.FATAL),
        ("454 Session Not Found", "refused", Fault.TEMPORARY),
        ("500 Internal Server Error", "camera-error", Fault.TEMPORARY),
        ("302 Found", "refused", Fault.TEMPORARY),
    ],
)
@pytest.mark.parametrize("at", ["DESCRIBE", "SETUP", "PLAY"])
def test_refusals_are_understood(status: str, code: str, fault: Fault, at: str) -> None:
    """The same status gives the same reason for DESCRIBE, SETUP and PLAY."""
    talk = Talk()
    talk.says()
    if at != "DESCRIBE":
        talk.says(body="v=0\r\n" + VIDEO)
    if at == "PLAY":
        talk.says("200 OK", "Session: 5")
    assert talk.asked.startswith(at)
    if at == "PLAY" and status.startswith("500"):
        assert "Range" not in talk.says(status).text
    with pytest.raises(Ended) as ended:
        talk.says(status)
    assert (ended.value.reason.code, ended.value.reason.fault) == (code, fault)


def test_camera_that_wants_a_password_where_none_is_configured_has_refused_none() -> None:
    """So it is probed like other faults, and a new attempt needs no confirmation."""
    talk = Talk().says()
    with pytest.raises(Ended) as ended:
        talk.says("401 Unauthorized", NONCE.format("1", ""))
    assert (ended.value.reason, NO_PASSWORD.code == PASSWORD) == (NO_PASSWORD, False)


def test_a_camera_that_does_not_know_options_is_asked_on() -> None:
    """A 501 for OPTIONS is followed by DESCRIBE."""
    assert Talk().says("501 Not Implemented").asked.startswith("DESCRIBE")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "no-answer"),
        ("v=0\r\n", "no-video"),
        (AUDIO, "no-video"),
        ("m=video 0 RTP/AVP 34\r\n", "unsupported-codec"),
        ("m=video 0 RTP/AVP 96\r\n", "unsupported-codec"),
    ],
)
def test_descriptions_without_a_usable_picture(body: str, code: str) -> None:
    """Without video it is `no-video`; another codec is `unsupported-codec`."""
    talk = Talk().says()
    with pytest.raises(Ended) as ended:
        talk.says(body=body)
    assert ended.value.reason.code == code


def test_first_usable_video_and_audio_are_set_up() -> None:
    """JPEG and a back channel come first and are skipped; the second usable audio is not set up."""
    aac = (
        "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/2\r\na=control:aac\r\n"
        "a=fmtp:97 mode=AAC-hbr;config=1410;sizelength=13;indexlength=3;indexdeltalength=3\r\n"
    )
    back = AUDIO.replace("track2", "back") + "a=sendonly\r\n"
    jpeg = "m=video 0 RTP/AVP 26\r\na=control:jpeg\r\n"
    talk = Talk().plays(jpeg, back, aac, VIDEO, AUDIO)
    asked = [line for line in talk.everything.decode().split("\r\n") if line.startswith("SETUP")]
    assert asked == [f"SETUP {URL}/track1 RTSP/1.0", f"SETUP {URL}/aac RTSP/1.0"]
    assert talk.sink.audio == AudioFormat("aac", 16_000, 2, bytes.fromhex("1410"))


def test_unsupported_audio_is_named_to_the_sink() -> None:
    """The video plays, and the sink gets the name QCELP."""
    talk = Talk().plays(VIDEO, "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 QCELP/8000\r\n")
    assert (talk.sink.audio, talk.sink.mute) == (None, "its audio is QCELP, which cannot be passed on")


def test_audio_that_is_off_is_not_set_up() -> None:
    """PLAY follows the SETUP of the video, and the sink learns why there is no audio."""
    talk = Talk(wants_audio=False).plays(VIDEO, AUDIO)
    assert talk.everything.count(b"SETUP") == 1
    assert (talk.session.playing, talk.sink.audio, talk.sink.mute) == (True, None, AUDIO_OFF)


def test_refused_audio_does_not_stop_the_video() -> None:
    """A 500 for the second SETUP is followed by PLAY."""
    talk = Talk().describes(VIDEO, AUDIO).says("200 OK", "Session: 5").says("500 x").says()
    assert talk.session.playing
    assert "refuses its audio" in talk.sink.mute


def test_audio_on_the_channels_of_the_video_is_left_out() -> None:
    """Both SETUP answers name channels 0-1: the audio is left out."""
    talk = Talk().describes(VIDEO, AUDIO)
    for _ in range(2):
        talk.says("200 OK", "Session: 5", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
    talk.says()
    assert talk.session.playing
    assert talk.sink.mute == "the camera sends its audio on the channels of the video"


@pytest.mark.parametrize(
    "sprop", ["", "a=fmtp:96 sprop-parameter-sets=%%%,\r\n", "a=fmtp:96 sprop-parameter-sets=Z0LgH9kB\r\n"]
)
def test_parameter_sets_of_the_description_are_a_help_and_no_condition(sprop: str) -> None:
    """Missing, invalid or incomplete ones are ignored; those in the stream suffice."""
    talk = Talk()
    talk.sink.refuses_sets = True
    talk.plays(VIDEO + sprop)
    talk.sink.refuses_sets = False
    for data in packets(access_units(count=1)):
        talk.sends(framed(data))
    talk.waits(HOLD_S)
    assert len(talk.sink.pictures) == 1


def test_first_picture_waits_a_moment_for_the_packet_that_shows_whether_it_is_complete() -> None:
    """A picture whose marker is on each slice is whole; without another packet it is published after `HOLD_S`."""
    talk = Talk().plays()
    first, *others = packets(access_units(count=3), size=100_000)[-3:]
    assert talk.session.due() > HOLD_S
    talk.sends(framed(first))
    assert talk.session.due() == HOLD_S
    talk.waits(HOLD_S / 2)
    assert talk.sink.pictures == []
    talk.waits(HOLD_S / 2)
    assert len(talk.sink.pictures) == 1
    assert talk.session.due() > HOLD_S
    for number, data in enumerate(others):
        talk.sends(framed(data))
        assert len(talk.sink.pictures) == 2 + number
    whole = Talk().plays().sends(framed(packet(b"\x65\x88key", 1, 1, marker=True)))
    whole.sends(framed(packet(b"\x65\x40key", 2, 1, marker=True))).sends(
        framed(packet(b"\x41\x88x", 3, 2, marker=True))
    )
    assert whole.sink.pictures == [([b"\x65\x88key", b"\x65\x40key"], 1)]
    assert whole.session.due() > HOLD_S


def test_h265_is_taken() -> None:
    """Every access unit of a stream arrives complete."""
    from actors.media.h265 import H265

    units = h265_units(64, 64)
    talk = Talk().plays(VIDEO.replace("H264", "H265"))
    for data in packets(units, codec=H265):
        talk.sends(framed(data))
    assert [shown for shown, _ in talk.sink.pictures] == [list(picture) for picture in units]


@pytest.mark.parametrize(
    ("setup", "play"),
    [
        ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=000000AB", "Server: x"),
        ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1; SSRC=0xab ;mode=play", "Server: x"),
        ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1", f"RTP-Info: url={URL}/track1;seq=1;rtptime=0;ssrc=ab"),
        ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=ab", f"RTP-Info: url={URL}/track1;seq=1;ssrc=cd"),
    ],
)
def test_ssrc_that_setup_or_play_names_is_the_one_that_is_shown(setup: str, play: str) -> None:
    """Another source is there first, and its pictures between those of the camera are left out. SETUP comes first."""
    talk = Talk().describes()
    talk.says("200 OK", "Session: 5", setup).says("200 OK", play)
    foreign = packets(access_units(count=40)[1:], sequence=40_000)
    for one, other in zip(packets(access_units(320, 240, count=8)), foreign, strict=False):
        talk.sends(framed(other) + framed(one[:8] + b"\0\0\0\xab" + one[12:]))
    shown = [tuple(units) for units, _ in talk.sink.pictures]
    assert shown[-8:] == list(access_units(320, 240, count=8))
    assert len(shown) <= 9
    assert talk.loss.oddities[Oddity.FOREIGN_SSRC] > 0


@pytest.mark.parametrize("named", ["ssrc=77", "ssrc=", "ssrc=4294967296", "ssrc=zz", "ssrc=1,ssrc=2"])
def test_ssrc_that_is_named_but_does_not_come_does_no_harm(named: str) -> None:
    """All pictures are there."""
    talk = Talk().describes()
    talk.says("200 OK", "Session: 5", f"Transport: RTP/AVP/TCP;interleaved=0-1;{named}")
    talk.says("200 OK", f"RTP-Info: url={URL}/track1;{named},url=x;{named},url=y;{named}")
    for data in packets(access_units(count=4)):
        talk.sends(framed(data))
    assert len(talk.sink.pictures) == 4


def test_payload_type_of_another_coding_in_the_description_is_left_out() -> None:
    """96 is H.264 and 97 is JPEG; the packets have 97. As H.264 they would be wrong pictures."""
    both = VIDEO.replace("96\r\n", "96 97\r\n", 1) + "a=rtpmap:97 JPEG/90000\r\n"
    for media, expected in ((both, 0), (VIDEO, 4)):
        talk = Talk().plays(media)
        for data in packets(access_units(count=4)):
            talk.sends(framed(bytes([data[0], data[1] + 1]) + data[2:]))
        assert len(talk.sink.pictures) == expected


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("answer_s", [5.0, 10.0, 120.0])
@pytest.mark.parametrize("step", range(4))
def test_an_answer_that_does_not_come_is_the_end(step: int, answer_s: float) -> None:
    """After `timeouts.answer` at each of the four requests, and not before; the reason names the setting.

    OPTIONS, which can be left out, has a part of that.
    """
    talk = Talk(timeouts=Timeouts(answer_s=answer_s))
    steps: list[Callable[[], Talk]] = [
        talk.says, lambda: talk.says(body="v=0\r\n" + VIDEO), lambda: talk.says("200 OK", "Session: 5")
    ]  # fmt: skip
    for go in steps[:step]:
        go()
    talk.waits((1 if step else OPTIONS_SHARE) * answer_s - 0.1)
    with pytest.raises(Ended) as ended:
        talk.waits(0.2)
    assert ended.value.reason.code == "no-answer"
    assert ended.value.reason.text.endswith(f"within {answer_s:g} s; timeouts: answer")


@pytest.fixture
def no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receiver reports are never due, so that only the keep-alive of the session is."""
    monkeypatch.setattr("actors.sources.rtsp.tracks.REPORT_S", math.inf)


@pytest.mark.parametrize(
    ("session", "every_s"),
    [
        ("5;timeout=30", 15),
        ("5", 30),
        ("5;timeout=0", 30),
        ("5;timeout=1", 1),
        ("5;name=1 ; Timeout = 30", 15),
        ("5;timeout=999999", 30),
    ],
)
def test_a_session_is_kept_alive_at_half_its_timeout(no_reports: None, session: str, every_s: float) -> None:
    """A missing, zero or enormous timeout counts as 60 s; the interval is 1 s to 30 s."""
    talk = Talk().plays(session=session)
    for _ in range(3):
        assert talk.session.due() == talk.now + every_s
        assert talk.waits(every_s).asked == f"GET_PARAMETER {URL} RTSP/1.0"
        talk.says()


def test_camera_that_answers_501_to_get_parameter_is_kept_alive_by_options(no_reports: None) -> None:
    """It lists GET_PARAMETER as public and answers 501."""
    talk = Talk().plays()
    assert talk.waits(15).asked.startswith("GET_PARAMETER")
    talk.says("501 Not Implemented")
    assert talk.waits(15).asked.startswith("OPTIONS")


def test_a_reminder_that_is_not_answered_does_no_harm() -> None:
    """Fifty seconds without an answer to GET_PARAMETER: requests continue, and nothing ends."""
    talk = Talk().plays()
    for _ in range(10):
        talk.waits(5)
    assert talk.everything.count(b"GET_PARAMETER") > 2


def test_session_unknown_to_the_camera_ends(no_reports: None) -> None:
    """A 454 to GET_PARAMETER ends it, and the reason names the status."""
    talk = Talk().plays()
    talk.waits(15)
    with pytest.raises(Ended, match="454"):
        talk.says("454 Session Not Found")


def test_session_unknown_to_the_camera_goes_on_while_its_media_comes(no_reports: None) -> None:
    """A 454 changes the method of the keep-alive; only one in a time without any packet ends the session."""
    talk = Talk().plays()
    for data, method in zip(packets(access_units(count=2)), ("GET_PARAMETER", "OPTIONS"), strict=False):
        talk.sends(framed(data))
        assert talk.waits(15).asked.startswith(method)
        talk.says("454 Session Not Found")
    talk.waits(15)
    with pytest.raises(Ended, match="454"):
        talk.says("454 Session Not Found")


def test_keep_alive_at_which_the_camera_hangs_up_is_replaced_in_the_next_connection(no_reports: None) -> None:
    """The next one sends OPTIONS. An end at another time changes nothing."""
    talk = Talk().plays()
    talk.session.learn(ENDED)
    assert not talk.learned.hangs_up_at
    talk.waits(15)
    talk.session.learn(ENDED)
    assert Talk(learned=talk.learned).plays().waits(15).asked.startswith("OPTIONS")


def test_receiver_report_is_sent_after_10_s() -> None:
    """After 10 s a receiver report goes out on channel 1, with the camera's SSRC and no loss."""
    talk = Talk().plays()
    for data in packets(access_units(count=2)):
        talk.sends(framed(data))
    talk.now += REPORT_S
    talk.session.tick(talk.now)
    report = bytes(talk.session.outgoing)
    assert report[:4] == b"$\x01\x00\x34"
    assert report[4:6] == b"\x81\xc9"
    assert int.from_bytes(report[8:12]) == 7
    assert int.from_bytes(report[12:16]) == 1


# ── requests of the camera ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE"])
def test_a_camera_that_asks_is_answered(method: str) -> None:
    """200 with the camera's CSeq, after the body is skipped; RECORD gets 501."""
    talk = Talk().plays()
    talk.sends(f"{method} {URL} RTSP/1.0\r\nCSeq: 77\r\nContent-Length: 3\r\n\r\nabc".encode())
    assert talk.text.startswith("RTSP/1.0 200 OK\r\nCSeq: 77\r\n")
    talk.sends(f"RECORD {URL} RTSP/1.0\r\nCSeq: 78\r\n\r\n".encode())
    assert talk.text.startswith("RTSP/1.0 501 Not Implemented\r\nCSeq: 78\r\n")


def test_redirect_and_teardown_of_the_camera_are_followed() -> None:
    """REDIRECT raises `Moved`; after the camera's TEARDOWN none is sent back."""
    talk = Talk().plays()
    with pytest.raises(Moved) as moved:
        talk.sends(b"REDIRECT * RTSP/1.0\r\nCSeq: 1\r\nLocation: rtsp://192.0.2.2/\r\n\r\n")
    assert moved.value.location == "rtsp://192.0.2.2/"
    talk = Talk().plays()
    with pytest.raises(Ended, match="ended the stream"):
        talk.sends(b"TEARDOWN * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    talk.session.leave(talk.now)
    assert talk.session.left, "there is nothing left to tear down"
    assert b"TEARDOWN" not in talk.session.outgoing


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other", "305 Use Proxy"])
def test_redirects_say_where_to(status: str) -> None:
    """Four status codes, and the `Location` as the camera wrote it."""
    talk = Talk().says()
    with pytest.raises(Moved) as moved:
        talk.says(status, "Location: rtsp://192.0.2.2/other")
    assert moved.value.location == "rtsp://192.0.2.2/other"


def test_interim_and_repeated_answers_are_left_out() -> None:
    """A 100, and an answer that comes twice, change nothing; the next answer continues the conversation."""
    talk = Talk().says("100 Continue")
    assert talk.asked == ""
    talk.says("200 OK", "Public: PLAY", number=1).says("200 OK", "Public: PLAY", number=1)
    assert talk.says("200 OK", body="v=0\r\n" + VIDEO, number=2).asked.startswith("SETUP")
    assert not talk.loss.oddities


def test_next_video_is_set_up_if_the_camera_does_not_have_the_first() -> None:
    """On the channels of the first; its pictures are shown, and it is counted."""
    other = VIDEO.replace("track1", "track9")
    talk = Talk().describes(other, VIDEO, other)
    while "track9" in talk.asked or "track1" not in talk.asked:
        talk.says("404 Not Found")
    assert talk.asked == f"SETUP {URL}/track1 RTSP/1.0"
    assert "interleaved=0-1" in talk.text
    talk.says("200 OK", "Session: 5").says()
    for data in packets(access_units(count=2)):
        talk.sends(framed(data))
    assert len(talk.sink.pictures) == 2
    assert talk.loss.oddities == {Oddity.OTHER_TRACK: 1}


@pytest.mark.parametrize("line", ["HTTP/1.1 200 OK", "HTTP/1.0 200 OK"])
def test_answers_with_the_first_line_of_http_are_read_by_their_number(line: str) -> None:
    """Up to the picture, and again as answers to a keep-alive; each is counted as odd."""
    talk = Talk()

    def says(*headers: str, body: str = "") -> None:
        head = (line, f"CSeq: {talk.number}", *headers, f"Content-Length: {len(body)}", "", body)
        talk.sends("\r\n".join(head).encode())

    says("Public: OPTIONS")
    says(body="v=0\r\n" + VIDEO)
    says("Session: 5")
    says()
    assert talk.session.playing
    talk.waits(31)
    assert talk.session.asks == "OPTIONS"
    says()
    assert talk.session.asks == ""
    for data in packets(access_units(count=2)):
        talk.sends(framed(data))
    assert len(talk.sink.pictures) == 2
    assert talk.loss.oddities[Oddity.HTTP_STATUS] == 5


@pytest.mark.parametrize("number", ["", "CSeq: 0\r\n", "CSeq: 99\r\n", "CSeq: x\r\n"])
def test_web_server_is_not_taken_for_a_camera(number: str) -> None:
    """Its answers have no CSeq, or not ours."""
    for body in ("", "<html>"):
        with pytest.raises(ProtocolError, match="not RTSP"):
            Talk().sends(f"HTTP/1.1 200 OK\r\n{number}Content-Length: {len(body)}\r\n\r\n{body}".encode())


@pytest.mark.parametrize("over", ["tcp", "udp"])
def test_rtp_on_the_channel_of_rtcp_is_taken(over: Transport) -> None:
    """Each packet is counted; reports on the same channel are heard as before, and those of others are no media."""
    talk = Talk(over=over, ports=((9000, 9001), (9002, 9003)) if over == "udp" else None).plays(VIDEO)
    sent = packets(access_units(count=3))
    report = b"\x80\xc8\0\6" + sent[0][8:12] + bytes(20)
    for data in (*sent, report):
        if over == "tcp":
            talk.sends(framed(data, channel=1))
        else:
            assert talk.session.receive_report(0, data, talk.now) >= 1
    assert [units for units, _ in talk.sink.pictures] == [list(units) for units in access_units()[:3]]
    assert talk.loss == SourceLoss(oddities=Counter({Oddity.RTCP_CHANNEL: len(sent)}))


def test_report_on_its_own_channel_is_no_media() -> None:
    """A sender report, a BYE and feedback on the channel of RTCP count as nothing else."""
    talk = Talk().plays(VIDEO)
    for kind in (192, 200, 203, 206, 223):
        talk.sends(framed(bytes([0x80, kind, 0, 6]) + bytes(24), channel=1))
    assert talk.loss == SourceLoss()


@pytest.mark.parametrize("cseq", ["{before}", "0", "1", "7", "99999", "none", "", "000{number}"])
def test_answers_are_taken_in_order_whatever_their_number(cseq: str) -> None:
    """One behind, constant, not a number, missing, or padded: the conversation goes on, and interim ones stay apart."""
    talk = Talk()

    def says(*headers: str, body: str = "") -> None:
        number = cseq.format(before=talk.number - 1, number=talk.number)
        line = f"CSeq: {number}\r\n" if cseq else ""
        lines = "".join(f"{header}\r\n" for header in headers)
        talk.sends(f"RTSP/1.0 100 Continue\r\n{line}\r\n".encode())
        talk.sends(b"OPTIONS * RTSP/1.0\r\nCSeq: 5\r\n\r\n")
        talk.sends(f"RTSP/1.0 200 OK\r\n{line}{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    says("Public: OPTIONS, GET_PARAMETER")
    says(body="v=0\r\n" + VIDEO + AUDIO)
    says("Session: 5")
    says("Session: 5", "Transport: RTP/AVP/TCP;interleaved=2-3")
    says("Session: 5", "Range: npt=0-")
    assert talk.session.playing
    assert (talk.loss.oddities[Oddity.CSEQ] > 0) is (cseq not in ("", "000{number}"))


def test_late_answer_to_a_keep_alive_is_not_taken_for_the_next_one(no_reports: None) -> None:
    """The 454 belongs to the first, which was given up; the second waits for its own answer."""
    talk = Talk().plays()
    talk.waits(15)
    first = talk.number
    talk.waits(Timeouts().answer_s).waits(15 - Timeouts().answer_s)
    assert talk.number == first + 1
    talk.says("454 Session Not Found", number=first)
    assert talk.session.asks == "GET_PARAMETER"
    assert talk.says().session.asks == ""


# ── cameras that need another request ───────────────────────────────────────────────────────────────────────────────

WHOLE = "v=0\r\na=control:*\r\n"


@pytest.mark.parametrize("refusal", ["302 Found", "401 Unauthorized", "404 Not Found", "500 x", "501 x", "551 x"])
@pytest.mark.parametrize("address", [URL, "rtsp://viewer:p%40ss@192.0.2.1/main"])
def test_options_may_fail(refusal: str, address: str) -> None:
    """DESCRIBE follows, has the challenge, and OPTIONS is left out from then on, also to keep the session alive."""
    talk = Talk(address).says(refusal)
    assert talk.asked.startswith("DESCRIBE")
    assert OptionalStep.OPTIONS in talk.learned.without
    talk.says(body=WHOLE + VIDEO).says("200 OK", "Session: 5").says().waits(30)
    assert talk.asked.startswith("GET_PARAMETER")
    talk.says("400 Bad Request").waits(30)
    assert talk.asked.startswith("GET_PARAMETER")
    assert Talk(address, learned=talk.learned).asked.startswith("DESCRIBE")


def test_a_password_refused_by_options_is_not_tried_again() -> None:
    """A challenge of OPTIONS that was answered in vain ends the conversation."""
    talk = Talk(WITH_PASSWORD).says("401 Unauthorized", NONCE.format("one", ""))
    with pytest.raises(Ended) as ended:
        talk.says("401 Unauthorized", NONCE.format("one", ""))
    assert ended.value.reason.code == PASSWORD


@pytest.mark.parametrize("reason", [ENDED, no_answer(Timeouts())])
@pytest.mark.parametrize(
    ("step", "count"),
    [(OptionalStep.OPTIONS, 0), (OptionalStep.AUDIO, 3), (OptionalStep.RANGE, 4)],
)
def test_step_at_which_the_connection_ends_is_left_out_of_the_next_one(
    step: OptionalStep, count: int, reason: Reason
) -> None:
    """OPTIONS, the SETUP of audio, and the Range of PLAY; without an answer to PLAY, only by the next attempt."""
    talk = Talk()
    for _ in range(count):
        talk.says("200 OK", "Session: 5", body=WHOLE + VIDEO + AUDIO if talk.asked.startswith("DESCRIBE") else "")
    talk.session.learn(reason)
    expected = {step} - {OptionalStep.RANGE if reason is not ENDED else None}
    assert talk.learned.without == expected
    assert talk.learned.unanswered is (None if expected else OptionalStep.RANGE)
    following = Talk(learned=talk.learned)
    following.plays(VIDEO, AUDIO) if step is not OptionalStep.OPTIONS else following.says(body=WHOLE + VIDEO)
    text = following.everything.decode()
    assert ("OPTIONS" in text, "track2" in text) == (
        OptionalStep.OPTIONS not in expected,
        step not in (OptionalStep.AUDIO, OptionalStep.OPTIONS),
    )
    assert ("Range" in text) is (step is OptionalStep.AUDIO)


@pytest.mark.parametrize("reason", [ENDED, no_answer(Timeouts())])
@pytest.mark.parametrize("head", [b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 4"])
def test_web_server_that_ends_within_its_header_is_no_camera(head: bytes, reason: Reason) -> None:
    """An unfinished message of RTSP, or of HTTP with a CSeq, may be that of a camera."""
    others = head.replace(b"HTTP", b"RTSP"), head.rstrip() + b"\r\nCSeq: 1\r\n"
    for data, is_web in ((head, True), *((other, False) for other in others)):
        talk = Talk()
        talk.session.feed(data, 0.0)
        assert not talk.session.step()
        if is_web:
            with pytest.raises(Ended, match="not RTSP") as ended:
                talk.session.learn(reason)
            assert ended.value.reason.code == "no-answer"
        else:
            talk.session.learn(reason)
            assert talk.learned.without == {OptionalStep.OPTIONS}


def test_session_that_only_the_description_names_is_played() -> None:
    """SETUP has the last word."""
    for named, session in (("", "Session: 7"), ("Session: 5", "Session: 5")):
        talk = Talk().says("200 OK").says("200 OK", "Session: 7", body=WHOLE + VIDEO)
        assert "Session" not in talk.text
        talk.says("200 OK", "Transport: RTP/AVP/TCP;interleaved=0-1", *([named] if named else []))
        assert session in talk.text


def test_other_transport_is_asked_for_when_the_camera_knows_no_video() -> None:
    """404 for the first video leads to the next one; for the last one, it may be the transport."""
    talk = Talk().describes(VIDEO, VIDEO.replace("track1", "track9"))
    while "track9" not in talk.asked:
        talk.says("404 Not Found")
    with pytest.raises(TransportRefused) as ended:
        talk.says("404 Not Found")
    assert ended.value.reason == refusal(404)


def test_transport_is_known_from_the_setup_of_video_on() -> None:
    """Not before: the camera may refuse it. Media may come before PLAY is answered."""
    talk = Talk().describes()
    assert talk.sink.transport == ""
    assert talk.says("200 OK", "Session: 5").sink.transport == "tcp: RTP over TCP"


def test_hang_up_at_the_setup_of_video_refuses_a_transport_that_never_played() -> None:
    """Not one that has played, and not if the camera is only silent: then it may be full, or hang."""
    with pytest.raises(TransportRefused) as ended:
        Talk().describes().session.learn(ENDED)
    assert (ended.value.reason, ended.value.at, ended.value.transport) == (ENDED, "SETUP", "tcp")
    for talk, reason in ((Talk(played=["tcp"]), ENDED), (Talk(), no_answer(Timeouts()))):
        talk.describes().session.learn(reason)
        assert talk.learned == SourceMemory()


@pytest.mark.parametrize(("reason", "expected"), [(ENDED, {OptionalStep.OPTIONS}), (no_answer(Timeouts()), set())])
def test_connection_that_ends_behind_options_begins_with_describe(reason: Reason, expected: set[OptionalStep]) -> None:
    """The camera answers OPTIONS, and then hangs up. If it is only silent at DESCRIBE, OPTIONS is not the cause."""
    talk = Talk().says()
    assert talk.asked.startswith("DESCRIBE")
    talk.session.learn(reason)
    assert talk.learned.without == expected


@pytest.mark.parametrize("refusal", ["457 Invalid Range", "400 Bad Request", "501 Not Implemented", "456 x", "500 x"])
def test_play_is_repeated_without_range(refusal: str) -> None:
    """Once; the next connection begins so."""
    talk = Talk().describes().says("200 OK", "Session: 5")
    assert "Range: npt=0.000-" in talk.text
    talk.says(refusal)
    assert talk.asked.startswith("PLAY")
    assert "Range" not in talk.text
    assert talk.says().session.playing
    again = Talk(learned=talk.learned).describes().says("200 OK", "Session: 5")
    assert "Range" not in again.text
    talk = Talk().describes().says("200 OK", "Session: 5").says(refusal)
    with pytest.raises(Ended):
        talk.says(refusal)


@pytest.mark.parametrize("has_media", [True, False])
def test_media_is_an_answer_to_play(has_media: bool) -> None:
    """After 10 s the session goes on if media comes, and the late answer changes nothing; otherwise it ends."""
    talk = Talk().describes().says("200 OK", "Session: 5")
    play = talk.number
    if not has_media:
        with pytest.raises(Ended):
            talk.waits(Timeouts().answer_s)
        return
    for data in packets(access_units(count=2)):
        talk.sends(framed(data))
    talk.waits(Timeouts().answer_s)
    assert talk.session.playing
    assert talk.loss.oddities[Oddity.SILENT_PLAY] == 1
    talk.waits(30)
    talk.says("454 Session Not Found", number=play)
    assert talk.session.asks == "GET_PARAMETER"


def test_media_is_an_answer_to_play_over_udp() -> None:
    """Datagrams of the first track count as the media of TCP does."""
    talk = Talk(ports=((1, 2), (3, 4))).describes().says("200 OK", "Session: 5", "Transport: RTP/AVP;server_port=6-7")
    talk.session.receive(0, packets(access_units(count=1))[0], talk.now)
    assert talk.waits(Timeouts().answer_s).session.playing


def test_first_session_is_kept() -> None:
    """The second SETUP names another one: PLAY and TEARDOWN name the first."""
    talk = Talk().describes(VIDEO, AUDIO).says("200 OK", "Session: 4711;timeout=60").says("200 OK", "Session: 4712")
    assert "Session: 4711\r\n" in talk.text
    assert talk.loss.oddities[Oddity.OTHER_SESSION] == 1


@pytest.mark.parametrize(
    "status", ["404 Not Found", "400 Bad Request", "454 Session Not Found", "500 Internal Server Error"]
)
def test_medium_that_is_not_known_below_its_base_is_looked_for_below_the_configured_address(status: str) -> None:
    """The base names an inner host and path; PLAY follows the one that was found."""
    talk = Talk().describes(headers=("Content-Base: rtsp://10.0.0.9/inner/",))
    assert talk.asked == "SETUP rtsp://10.0.0.9/inner/track1 RTSP/1.0"
    assert talk.says(status).asked == f"SETUP {URL}/track1 RTSP/1.0"
    assert talk.says("200 OK", "Session: 5").asked == f"PLAY {URL} RTSP/1.0"
    assert talk.loss.oddities[Oddity.ODD_BASE] == 1
    talk = Talk().describes(headers=("Content-Base: rtsp://10.0.0.9/inner/",))
    talk.says(status).says(status)
    with pytest.raises(Ended) as ended:
        talk.says("404 Not Found")
    assert ended.value.reason.code == "not-found"


@pytest.mark.parametrize("status", ["403 Forbidden", "453 Not Enough Bandwidth"])
def test_refusal_for_another_cause_than_the_address_tries_no_other_address(status: str) -> None:
    """The camera is asked once: another address would not help."""
    talk = Talk().describes(headers=("Content-Base: rtsp://10.0.0.9/inner/",))
    with pytest.raises(Ended):
        talk.says(status)


def test_whole_that_is_not_known_is_played_by_its_configured_address() -> None:
    """The control address of the whole is wrong, that of the video is not."""
    video = VIDEO.replace("track1", f"{URL}/track1")
    talk = Talk().describes("a=control:rtsp://10.0.0.9/inner/\r\n" + video).says("200 OK", "Session: 5")
    assert talk.asked == "PLAY rtsp://10.0.0.9/inner/ RTSP/1.0"
    assert talk.says("404 Not Found").asked == f"PLAY {URL} RTSP/1.0"
    assert talk.says().session.playing


def test_406_to_setup_refuses_the_transport() -> None:
    """To DESCRIBE it means something else."""
    talk = Talk().describes()
    with pytest.raises(Ended) as ended:
        talk.says("406 Not Acceptable")
    assert (ended.value.reason.code, ended.value.status) == ("unsupported-transport", 406)
    talk = Talk().says()
    with pytest.raises(Ended) as ended:
        talk.says("406 Not Acceptable")
    assert (ended.value.reason.code, ended.value.status) == ("refused", 0)


# ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_leaving_while_a_session_is_being_opened_waits_for_its_name() -> None:
    """Without the session id a TEARDOWN would not release the camera's connection."""
    talk = Talk().describes()
    talk.session.leave(talk.now)
    talk.hear()
    assert talk.asked == ""
    talk.says("200 OK", "Session: late")
    assert talk.asked == f"TEARDOWN {URL} RTSP/1.0"
    assert "Session: late" in talk.text
    assert talk.says().session.left


def test_leaving_before_there_is_a_session_is_done_at_once() -> None:
    """There is nothing to tear down, so no answer is awaited."""
    talk = Talk()
    talk.session.leave(talk.now)
    assert talk.session.left


def test_access_units_after_the_end_do_not_reach_the_sink() -> None:
    """Between TEARDOWN and its answer the sink gets nothing more."""
    talk = Talk().plays()
    talk.session.leave(talk.now)
    talk.hear()
    for data in packets(access_units(count=2)):
        talk.sends(framed(data))
    assert talk.sink.pictures == []
    assert talk.says().session.left


# ── over UDP ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_over_udp_the_ports_are_exchanged() -> None:
    """Two swapped packets do no harm, and both tracks get their report."""
    talk = Talk(ports=((5000, 5001), (5002, 5003))).describes(VIDEO, AUDIO)
    assert "Transport: RTP/AVP;unicast;client_port=5000-5001" in talk.text
    talk.says("200 OK", "Session: 5", "Transport: RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001")
    assert "client_port=5002-5003" in talk.text
    talk.says("200 OK", "Session: 5", "Transport: RTP/AVP;unicast").says()
    assert talk.session.remotes == [Remote((6000, 6001)), Remote((0, 0))]
    sent = packets(access_units(count=2))
    sent[0:2] = sent[1::-1]
    for data in sent:
        talk.session.receive(0, data, 1.0)
    assert len(talk.sink.pictures) == 2
    talk.session.receive(1, packet(b"\xd5" * 160, 1, 0, False, number=8), 1.0)
    assert len(talk.sink.audio_frames) == 1
    talk.session.receive_report(0, b"\x80\xc8", 1.0)
    talk.waits(REPORT_S)
    assert [index for index, _ in talk.session.datagrams] == [0, 1]


def test_first_picture_over_udp_waits_no_longer_than_over_tcp() -> None:
    """Without a second one it is published after `HOLD_S`: some cameras send a frame every few seconds."""
    talk = Talk(ports=((5000, 5001), (5002, 5003))).plays()
    talk.session.receive(0, packets(access_units(count=1), size=100_000)[-1], talk.now)
    assert talk.session.due() == HOLD_S
    assert talk.sink.pictures == []
    assert len(talk.waits(HOLD_S).sink.pictures) == 1


def test_audio_that_is_refused_over_the_transport_of_the_video_is_left_out() -> None:
    """461 for the second track alone ends nothing, and neither does an answer with another transport."""
    for answer in (("461 Unsupported Transport",), ("200 OK", "Transport: RTP/AVP;unicast;server_port=6000-6001")):
        talk = Talk().describes(VIDEO, AUDIO).says("200 OK", "Session: 5").says(*answer)
        assert talk.asked.startswith("PLAY")
        assert talk.sink.audio is None
        assert talk.sink.mute


def test_packets_lost_over_multicast_are_a_gap_from_the_first_one_on() -> None:
    """The picture that is not whole is left out, and so is the one that depends on it: nothing is in order there."""
    talk = Talk(over="multicast").describes()
    talk.says("200 OK", "Session: 5", "Transport: RTP/AVP;multicast;destination=239.1.1.1;port=5000-5001").says()
    first, _, *others = packets(access_units(count=2))
    for index, data in enumerate((first, *others)):
        talk.session.receive(0, data, index * 0.2)
    assert talk.sink.pictures == []
    assert (talk.loss.lost, talk.loss.oddities[Oddity.SEQUENCE]) == (1, 0)


def test_multicast_group_comes_from_the_answer_to_setup() -> None:
    """Both tracks have their own; no report is sent to the RTSP connection."""
    talk = Talk(over="multicast").describes(VIDEO, AUDIO)
    assert "Transport: RTP/AVP;multicast\r\n" in talk.text
    told = "Transport: RTP/AVP;multicast;destination=239.1.1.{0};port=500{0}-5009;ttl=16"
    talk.says("200 OK", "Session: 5", told.format(1)).says("200 OK", "Session: 5", told.format(2)).says()
    assert talk.session.remotes == [Remote((5001, 5009), (), "239.1.1.1"), Remote((5002, 5009), (), "239.1.1.2")]
    talk.waits(REPORT_S)
    assert b"$" not in talk.text.encode()
    talk = Talk(over="multicast").describes()
    with pytest.raises(TransportRefused, match="multicast"):
        talk.says("200 OK", "Session: 5", "Transport: RTP/AVP;multicast;destination=192.0.2.9;port=5000-5001")


def test_a_refused_transport_is_named() -> None:
    """A 461 gives a reason with UDP or TCP, whichever was requested."""
    for ports, name in ((((2, 3), (4, 5)), "UDP"), (None, "TCP")):
        talk = Talk(ports=ports).describes()
        with pytest.raises(TransportRefused, match=f"does not send RTP over {name}"):
            talk.says("461 Unsupported Transport")


@pytest.mark.parametrize(
    "message",
    [
        b"RTSP/1.0 100 Continue\r\nCSeq: 1\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        b"NONSENSE * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    ],
)
def test_camera_that_sends_unasked_messages_without_end_is_left(message: bytes) -> None:
    """`MAX_UNASKED` of them are accepted between two of our requests; the next one ends the connection."""
    talk = Talk()
    talk.sends(message * MAX_UNASKED)
    with pytest.raises(Ended) as ended:
        talk.sends(message)
    assert ended.value.reason == UNASKED_MESSAGES
    talk = Talk()
    talk.sends(message * MAX_UNASKED).says().sends(message * MAX_UNASKED)


@pytest.mark.parametrize("name", ["Hunter2Secret", "HUNTER2SECRET", "rtsp://u:Hunter2Secret@h"])
def test_name_of_an_unknown_codec_is_not_repeated(name: str) -> None:
    """A camera may write the password there, and the reason is shown and journaled."""
    video = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 {}/90000\r\n"
    sound = f"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 {name}/8000\r\n"
    with pytest.raises(Ended) as ended:
        choice.choose_videos(sdp.parse(video.format(name).encode()))
    assert "hunter" not in ended.value.reason.text.lower()
    assert "of an unknown codec (payload type 96)" in ended.value.reason.text
    assert "hunter" not in choice.choose_audio(sdp.parse((video.format("H264") + sound).encode()))[1].lower()
