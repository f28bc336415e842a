"""Conversations with cameras, word for word, and what comes of them."""

import random
from collections.abc import Callable

import attrs
import pytest

from actors.bitstream import BitstreamError
from actors.media import AudioFormat, SourceLoss, VideoCodec
from actors.share import AT_ONCE, OF_PICTURE, OF_SOUND
from actors.sources.rtsp import choice, sdp
from actors.sources.rtsp.address import parse_target
from actors.sources.rtsp.reasons import BABBLES, NO_ANSWER, NO_PASSWORD, Ended, Moved
from actors.sources.rtsp.rtp import WINDOW
from actors.sources.rtsp.session import ANSWER_S, MAX_UNASKED, REPORT_S, Session
from supervisor.domain.values import Fault
from tests.kit.media import access_units, h265_units
from tests.kit.packets import framed, packet, packets

URL = "rtsp://192.0.2.1/main"
VIDEO = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"
AUDIO = "m=audio 0 RTP/AVP 8\r\na=control:track2\r\n"
NONCE = 'WWW-Authenticate: Digest realm="camera", nonce="{}"{}'


@attrs.define
class Sink:
    """Writes down what a hub would be told."""

    pictures: list[tuple[list[bytes], int]] = attrs.field(factory=list)
    sounds: list[tuple[bytes, int]] = attrs.field(factory=list)
    sets: list[list[bytes]] = attrs.field(factory=list)
    audio: AudioFormat | None = None
    mute: str = ""
    refuses_sets: bool = False

    def set_parameter_sets(self, sets: list[bytes], codec: VideoCodec) -> None:
        self.sets.append(sets)
        if self.refuses_sets:
            raise BitstreamError("a picture of 0x0")

    def set_audio(self, audio: AudioFormat | None, mute: str = "") -> None:
        self.audio, self.mute = audio, mute

    def publish(self, units: list[bytes], pts: int, codec: VideoCodec) -> None:
        self.pictures.append((units, pts))

    def publish_audio(self, data: bytes, pts: int) -> None:
        self.sounds.append((data, pts))


class Talk:
    """Both sides of a conversation. `says` is what the camera answers, `asked` what it was asked last."""

    def __init__(self, address: str = URL, ports: tuple[tuple[int, int], tuple[int, int]] | None = None) -> None:
        self.sink, self.loss, self.now = Sink(), SourceLoss(), 0.0
        self.session = Session(parse_target(address), self.sink, self.loss, 7, ports)
        self.asked = self.text = ""
        self.number = 0
        self.everything = b""
        self.session.begin(self.now)
        self._hear()

    def says(self, status: str = "200 OK", *headers: str, body: str = "", number: int | None = None) -> "Talk":
        number = self.number if number is None else number
        lines = (f"RTSP/1.0 {status}", f"CSeq: {number}", *headers, f"Content-Length: {len(body)}", "", body)
        return self.sends("\r\n".join(lines).encode())

    def sends(self, data: bytes) -> "Talk":
        self.session.feed(data, self.now)
        while self.session.step():
            pass
        self._hear()
        return self

    def waits(self, seconds: float) -> "Talk":
        self.now += seconds
        self.session.tick(self.now)
        self._hear()
        return self

    def _hear(self) -> None:
        data = bytes(self.session.outgoing)
        self.session.outgoing.clear()
        self.everything += data
        self.text = data.decode(errors="replace")
        self.asked = self.text.partition("\r\n")[0]
        for line in self.text.split("\r\n"):
            if line.startswith("CSeq: ") and "RTSP/1.0 2" not in self.asked:
                self.number = int(line[6:])

    def describes(self, *media: str, headers: tuple[str, ...] = ()) -> "Talk":
        """Up to the first SETUP."""
        self.says("200 OK", "Public: OPTIONS, GET_PARAMETER")
        return self.says("200 OK", *headers, body="v=0\r\n" + "".join(media or (VIDEO,)))

    def plays(self, *media: str, session: str = "5;timeout=30") -> "Talk":
        self.describes(*media)
        while self.asked.startswith("SETUP"):
            self.says("200 OK", f"Session: {session}")
        return self.says()


def test_a_conversation_from_beginning_to_end() -> None:
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
    talk._hear()
    assert talk.asked == f"TEARDOWN {URL}/ RTSP/1.0"
    assert not talk.session.left
    assert talk.says().session.left


def test_any_cut_of_the_stream_gives_the_same_pictures() -> None:
    stream = b"".join(framed(data) for data in packets(access_units(320, 240, count=4)))
    stream += b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" + framed(b"not rtcp", 1)
    stream += b"".join(framed(data) for data in packets(access_units(320, 240, count=2), sequence=60_000))
    rng = random.Random(2)
    whole = Talk().plays().sends(stream).sink.pictures
    assert len(whole) == 4, "the new count's key frame is not whole: its first packet might have been a late one"
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
    "pictures of one byte": [packet(b"\x41", number, number, marker=True) for number in range(4000)],
    "pictures of many units": [packet(b"\x78" + b"\x00\x01\x41" * 100, n, n, marker=True) for n in range(200)],
    "parameter sets alone": [packet(b"\x78" + b"\x00\x01\x68" * 100, n, n // 2, n % 2 == 1) for n in range(200)],
    "frames of sound of one byte": [
        packet(b"\x00\x40" + b"\xff" * 8 + b"x" * 64, number, number, marker=True, number=97) for number in range(600)
    ],
}
"""Each is 64 kB, or less."""
PICTURE = packet(b"\x65x", 65_535, 0, marker=True)
"""In front of them: sound belongs to pictures."""


@pytest.mark.parametrize("flood", FLOODS)
def test_a_step_is_bounded_by_what_is_in_its_packets(flood: str) -> None:
    """However small it is: each picture, unit and frame of sound costs, and others have their turn in between."""
    talk = Talk().plays(VIDEO, TINY).sends(framed(PICTURE))
    sink = talk.sink
    talk.session.feed(b"".join(framed(data, 2 if "sound" in flood else 0) for data in FLOODS[flood]), 0.0)
    more, steps, made = True, 0, 0
    while more:
        more = talk.session.step()
        before, made = made, len(sink.pictures) + len(sink.sets) + len(sink.sounds)
        assert made - before <= AT_ONCE // OF_SOUND + 64
        steps += 1
    assert made >= 90
    assert steps >= made * (OF_SOUND if "sound" in flood else OF_PICTURE) / (2 * AT_ONCE)


@pytest.mark.parametrize("flood", FLOODS)
def test_over_udp_packets_that_were_waited_for_are_bounded_in_work(flood: str) -> None:
    """The first of them comes last, so that all are there at once."""
    talk = Talk(ports=((1, 2), (3, 4))).plays(VIDEO, TINY)
    sink, track = talk.sink, int("sound" in flood)
    talk.session.receive(0, PICTURE, 0.0)
    first, second, *rest = FLOODS[flood][:WINDOW]
    made = 0
    for data in (first, *rest, second, *FLOODS[flood][WINDOW : WINDOW + 60]):
        talk.session.receive(track, data, 0.0)
        before, made = made, len(sink.pictures) + len(sink.sets) + len(sink.sounds)
        assert made - before <= AT_ONCE // OF_SOUND + 64
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
    assert Talk().describes(VIDEO.replace("track1", control)).asked == f"SETUP {asked} RTSP/1.0"


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        (("Content-Location: rtsp://192.0.2.1/there",), "rtsp://192.0.2.1/there/track1"),
        (("Content-Base: rtsp://192.0.2.1/cam?channel=1&subtype=0",), "rtsp://192.0.2.1/cam?channel=1&subtype=0/track1"),
        (("Content-Base: rtsp://u:secret@192.0.2.1/a/",), "rtsp://192.0.2.1/a/track1"),
    ],
)  # fmt: skip
def test_what_addresses_are_relative_to(headers: tuple[str, ...], base: str) -> None:
    assert Talk().describes(headers=headers).asked == f"SETUP {base} RTSP/1.0"


# ── who we are ──────────────────────────────────────────────────────────────────────────────────────────────────────

WITH_PASSWORD = "rtsp://viewer:p%40ss@192.0.2.1/main"


def test_a_camera_that_wants_to_know_who_we_are_is_told() -> None:
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
        (URL, [NONCE.format("one", "")]),
        (WITH_PASSWORD, [""]),
        (WITH_PASSWORD, [NONCE.format("one", ""), NONCE.format("one", "")]),
        (WITH_PASSWORD, [NONCE.format("one", ""), NONCE.format("two", "")]),
        (WITH_PASSWORD, [NONCE.format(name, ", stale=true") for name in ("one", "two", "three")]),
        (WITH_PASSWORD, ['WWW-Authenticate: Basic realm="camera"'] * 2),
    ],
)
def test_a_password_that_is_refused_is_not_tried_for_ever(address: str, challenges: list[str]) -> None:
    talk = Talk(address).says()
    for challenge in challenges[:-1]:
        talk.says("401 Unauthorized", challenge)
    with pytest.raises(Ended) as ended:
        talk.says("401 Unauthorized", challenges[-1])
    assert (ended.value.reason.code, ended.value.reason.fault) == ("unauthorized", Fault.FATAL)
    assert "p@ss" not in repr(ended.value)


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "code", "fault"),
    [
        ("401 Unauthorized", "unauthorized", Fault.FATAL),
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
    talk = Talk()
    talk.says()
    if at != "DESCRIBE":
        talk.says(body="v=0\r\n" + VIDEO)
    if at == "PLAY":
        talk.says("200 OK", "Session: 5")
    assert talk.asked.startswith(at)
    with pytest.raises(Ended) as ended:
        talk.says(status)
    assert (ended.value.reason.code, ended.value.reason.fault) == (code, fault)


def test_who_gives_no_password_is_told_that_one_is_wanted() -> None:
    talk = Talk().says()
    with pytest.raises(Ended) as ended:
        talk.says("401 Unauthorized", NONCE.format("1", ""))
    assert ended.value.reason == NO_PASSWORD


def test_a_camera_that_does_not_know_options_is_asked_on() -> None:
    assert Talk().says("501 Not Implemented").asked.startswith("DESCRIBE")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "no-answer"),
        ("this is no description\r\n", "no-video"),
        (AUDIO, "no-video"),
        ("m=video 0 RTP/AVP 26\r\n", "unsupported-codec"),
        ("m=video 0 RTP/AVP 96\r\n", "unsupported-codec"),
        ("m=video 0 RTP/SAVP 96\r\na=rtpmap:96 H264/90000\r\n", "unsupported-codec"),
        (VIDEO + "a=fmtp:96 packetization-mode=2\r\n", "unsupported-codec"),
    ],
)
def test_descriptions_without_a_usable_picture(body: str, code: str) -> None:
    talk = Talk().says()
    with pytest.raises(Ended) as ended:
        talk.says(body=body)
    assert ended.value.reason.code == code


def test_the_first_usable_picture_and_sound_are_taken() -> None:
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


def test_a_sound_that_cannot_be_passed_on_says_so() -> None:
    talk = Talk().plays(VIDEO, "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 G726-32/8000\r\n")
    assert (talk.sink.audio, talk.sink.mute) == (None, "its sound is G726-32, which cannot be passed on")


def test_a_sound_that_is_refused_does_not_stop_the_picture() -> None:
    talk = Talk().describes(VIDEO, AUDIO).says("200 OK", "Session: 5").says("500 x").says()
    assert talk.session.playing
    assert "refuses its sound" in talk.sink.mute


def test_a_sound_in_the_pictures_channels_does_not_stop_the_picture() -> None:
    talk = Talk().describes(VIDEO, AUDIO)
    for _ in range(2):
        talk.says("200 OK", "Session: 5", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
    talk.says()
    assert talk.session.playing
    assert talk.sink.mute == "the camera sends its sound in the picture's channels"


@pytest.mark.parametrize(
    "sprop", ["", "a=fmtp:96 sprop-parameter-sets=%%%,\r\n", "a=fmtp:96 sprop-parameter-sets=Z0LgH9kB\r\n"]
)
def test_parameter_sets_of_the_description_are_a_help_and_no_condition(sprop: str) -> None:
    talk = Talk()
    talk.sink.refuses_sets = True
    talk.plays(VIDEO + sprop)
    talk.sink.refuses_sets = False
    for data in packets(access_units(count=1)):
        talk.sends(framed(data))
    assert len(talk.sink.pictures) == 1


def test_h265_is_taken() -> None:
    from actors.h265 import H265

    units = h265_units(64, 64)
    talk = Talk().plays(VIDEO.replace("H264", "H265"))
    for data in packets(units, codec=H265):
        talk.sends(framed(data))
    assert [shown for shown, _ in talk.sink.pictures] == [list(picture) for picture in units]


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("step", range(4))
def test_an_answer_that_does_not_come_is_the_end(step: int) -> None:
    talk = Talk()
    steps: list[Callable[[], Talk]] = [
        talk.says, lambda: talk.says(body="v=0\r\n" + VIDEO), lambda: talk.says("200 OK", "Session: 5")
    ]  # fmt: skip
    for go in steps[:step]:
        go()
    talk.waits(ANSWER_S - 0.1)
    with pytest.raises(Ended) as ended:
        talk.waits(0.2)
    assert ended.value.reason == NO_ANSWER


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
def test_a_session_is_kept_alive_at_half_its_timeout(session: str, every_s: float) -> None:
    talk = Talk().plays(session=session)
    for _ in range(3):
        talk.session._report_at = float("inf")
        assert talk.session.due() == talk.now + every_s
        assert talk.waits(every_s).asked == f"GET_PARAMETER {URL} RTSP/1.0"
        talk.says()


def test_a_camera_that_promised_too_much_is_kept_alive_by_options() -> None:
    talk = Talk().plays()
    talk.session._report_at = float("inf")
    assert talk.waits(15).asked.startswith("GET_PARAMETER")
    talk.says("501 Not Implemented")
    assert talk.waits(15).asked.startswith("OPTIONS")


def test_a_reminder_that_is_not_answered_does_no_harm() -> None:
    talk = Talk().plays()
    for _ in range(10):
        talk.waits(5)
    assert talk.everything.count(b"GET_PARAMETER") > 2


def test_a_session_that_the_camera_forgot_is_over() -> None:
    talk = Talk().plays()
    talk.session._report_at = float("inf")
    talk.waits(15)
    with pytest.raises(Ended, match="454"):
        talk.says("454 Session Not Found")


def test_the_camera_is_told_how_we_receive() -> None:
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


# ── what the camera asks ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE"])
def test_a_camera_that_asks_is_answered(method: str) -> None:
    talk = Talk().plays()
    talk.sends(f"{method} {URL} RTSP/1.0\r\nCSeq: 77\r\nContent-Length: 3\r\n\r\nabc".encode())
    assert talk.text.startswith("RTSP/1.0 200 OK\r\nCSeq: 77\r\n")
    talk.sends(f"RECORD {URL} RTSP/1.0\r\nCSeq: 78\r\n\r\n".encode())
    assert talk.text.startswith("RTSP/1.0 501 Not Implemented\r\nCSeq: 78\r\n")


def test_a_camera_that_sends_us_elsewhere_or_away_is_obeyed() -> None:
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
    talk = Talk().says()
    with pytest.raises(Moved) as moved:
        talk.says(status, "Location: rtsp://192.0.2.2/other")
    assert moved.value.location == "rtsp://192.0.2.2/other"


def test_answers_to_nothing_are_left_out() -> None:
    talk = Talk()
    talk.says(number=99).says("100 Continue")
    assert talk.session._number == 1
    assert talk.says().asked.startswith("DESCRIBE")


# ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_leaving_while_a_session_is_being_opened_waits_for_its_name() -> None:
    talk = Talk().describes()
    talk.session.leave(talk.now)
    talk._hear()
    assert talk.asked == ""
    talk.says("200 OK", "Session: late")
    assert talk.asked == f"TEARDOWN {URL} RTSP/1.0"
    assert "Session: late" in talk.text
    assert talk.says().session.left


def test_leaving_before_there_is_a_session_is_done_at_once() -> None:
    talk = Talk()
    talk.session.leave(talk.now)
    assert talk.session.left


def test_pictures_that_come_after_the_end_are_nobodys() -> None:
    talk = Talk().plays()
    talk.session.leave(talk.now)
    talk._hear()
    for data in packets(access_units(count=2)):
        talk.sends(framed(data))
    assert talk.sink.pictures == []
    assert talk.says().session.left


# ── over UDP ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_over_udp_the_ports_are_exchanged() -> None:
    talk = Talk(ports=((5000, 5001), (5002, 5003))).describes(VIDEO, AUDIO)
    assert "Transport: RTP/AVP;unicast;client_port=5000-5001" in talk.text
    talk.says("200 OK", "Session: 5", "Transport: RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001")
    assert "client_port=5002-5003" in talk.text
    talk.says("200 OK", "Session: 5", "Transport: RTP/AVP;unicast").says()
    assert talk.session.servers == [(6000, 6001), (0, 0)]
    sent = packets(access_units(count=2))
    sent[0:2] = sent[1::-1]
    for data in sent:
        talk.session.receive(0, data, 1.0)
    assert len(talk.sink.pictures) == 2
    talk.session.receive(1, packet(b"\xd5" * 160, 1, 0, False, number=8), 1.0)
    assert len(talk.sink.sounds) == 1
    talk.session.hear(0, b"\x80\xc8", 1.0)
    talk.waits(REPORT_S)
    assert [index for index, _ in talk.session.datagrams] == [0, 1]


def test_a_refused_transport_is_named() -> None:
    for ports, name in ((((2, 3), (4, 5)), "UDP"), (None, "TCP")):
        talk = Talk(ports=ports).describes()
        with pytest.raises(Ended, match=f"does not send over {name}"):
            talk.says("461 Unsupported Transport")


@pytest.mark.parametrize(
    "message",
    [
        b"RTSP/1.0 100 Continue\r\nCSeq: 1\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nCSeq: 99\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        b"NONSENSE * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    ],
)
def test_camera_that_sends_unasked_messages_without_end_is_left(message: bytes) -> None:
    """So many pass between two requests of ours; the next one ends the connection."""
    talk = Talk()
    talk.sends(message * MAX_UNASKED)
    with pytest.raises(Ended) as ended:
        talk.sends(message)
    assert ended.value.reason == BABBLES
    talk = Talk()
    talk.sends(message * MAX_UNASKED).says().sends(message * MAX_UNASKED)


@pytest.mark.parametrize("name", ["Hunter2Secret", "HUNTER2SECRET", "rtsp://u:Hunter2Secret@h"])
def test_codec_that_nobody_knows_is_not_named(name: str) -> None:
    """A camera may write the password there, and the reason is shown and journaled."""
    video = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 {}/90000\r\n"
    sound = f"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 {name}/8000\r\n"
    with pytest.raises(Ended) as ended:
        choice.choose_video(sdp.parse(video.format(name).encode()))
    assert "hunter" not in ended.value.reason.text.lower()
    assert "of a kind that nobody knows" in ended.value.reason.text
    assert "hunter" not in choice.choose_audio(sdp.parse((video.format("H264") + sound).encode()))[1].lower()
