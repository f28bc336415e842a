"""Conversations with cameras whose media is encrypted: where their keys are, and what happens without them."""

import base64
import struct
from collections.abc import Callable

import pytest

from actors.media.oddities import Oddity
from actors.sources.rtsp.encrypted import MAX_FAILED, Cipher, NeedsCipher, NoKeys
from actors.sources.rtsp.keys import key_in_header
from actors.sources.rtsp.mikey import MasterKey, build
from actors.sources.rtsp.reasons import WRONG_KEYS, Ended
from actors.sources.rtsp.srtp import Srtp
from actors.sources.rtsp.tracks import REPORT_S
from actors.sources.rtsp.transport import TransportRefused
from supervisor.domain.values import Fault
from tests.actors.sources.rtsp.test_session import NONCE, URL, WITH_PASSWORD, Talk
from tests.kit.media import access_units
from tests.kit.packets import framed, packet, packets
from tests.kit.srtp import encrypt

THEIRS = MasterKey(bytes(range(16)), bytes(range(14)))
ENTROPY = bytes(range(100, 154))
OURS = MasterKey(ENTROPY[:16], ENTROPY[16:30])
TRACK = "a=rtpmap:96 H264/90000\r\na=control:track1\r\n"
VIDEO = f"m=video 0 RTP/SAVP 96\r\n{TRACK}"
PICTURES = [list(units) for units in access_units(count=3)]


def text_of(key: MasterKey) -> str:
    return base64.b64encode(build(key, 1, 1 << 63, bytes(20))).decode()


KEY_MGMT = f"a=key-mgmt:mikey {text_of(THEIRS)}\r\n"
HEADER = f'KeyMgmt: prot=mikey; uri="{URL}/track1"; data="{text_of(THEIRS)}"'
CRYPTO = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(THEIRS.key + THEIRS.salt).decode()}|2^20\r\n"


class EncryptedTalk(Talk):
    """A conversation with a session that has a cipher."""

    def __init__(self, address: str = URL, ports: tuple[tuple[int, int], tuple[int, int]] | None = None) -> None:
        super().__init__(address, ports, cipher=lambda: Cipher(Srtp, ENTROPY, 1_800_000_000 * 10**9))


def shows(talk: Talk, encode: Callable[[bytes], bytes]) -> list[list[bytes]]:
    """Send three access units, and return those that arrived."""
    for data in packets(access_units(count=3)):
        talk.sends(framed(encode(data)))
    return [units for units, _ in talk.sink.pictures]


def with_key(key: MasterKey) -> Callable[[bytes], bytes]:
    return lambda data: encrypt(data, key)


@pytest.mark.parametrize(
    ("media", "header"),
    [
        (VIDEO + KEY_MGMT, ""),
        (KEY_MGMT + VIDEO, ""),
        (VIDEO, HEADER),
        (VIDEO + f"a=key-mgmt:mikey {text_of(OURS)}\r\n", HEADER),
        (VIDEO + "a=key-mgmt:mikey !\r\n" + CRYPTO, ""),
        (VIDEO + CRYPTO, "KeyMgmt: prot=mikey; data="),
        (VIDEO.replace("SAVP", "SAVPF") + CRYPTO, ""),
    ],
)
def test_key_is_in_the_description_or_in_the_answer(media: str, header: str) -> None:
    """Of the medium or of the session, MIKEY or `crypto`; that of the answer comes first."""
    talk = EncryptedTalk().describes(media)
    assert f"Transport: RTP/SAVP{'F' * ('SAVPF' in media)}/TCP;unicast;interleaved=0-1" in talk.text
    talk.says("200 OK", "Session: 5", "Transport: RTP/SAVP/TCP;unicast;interleaved=0-1", *filter(None, [header])).says()
    assert shows(talk, with_key(THEIRS)) == PICTURES
    assert not talk.loss.oddities
    assert talk.facts.current().encryption == "SRTP"


def test_our_key_is_in_setup_with_time_and_ssrc() -> None:
    """A camera checks the time and reads our reports with this key."""
    talk = EncryptedTalk().describes(VIDEO)
    key = key_in_header(talk.text.partition("KeyMgmt: ")[2].partition("\r\n")[0])
    assert (key.key, key.salt, key.rollovers) == (OURS.key, OURS.salt, {7: 0})
    message = base64.b64decode(talk.text.partition('data="')[2].partition('"')[0])
    (ntp,) = struct.unpack_from(">Q", message, message.index(b"\x0b\0", 10) + 2)
    assert ntp >> 32 == 1_800_000_000 + 2_208_988_800


@pytest.mark.parametrize(("media", "key"), [(VIDEO + KEY_MGMT, THEIRS), (VIDEO, OURS)])
def test_reports_are_encrypted_with_the_key_that_was_named(media: str, key: MasterKey) -> None:
    """It is the camera's if the description has one: some cameras know no other."""
    talk = EncryptedTalk().describes(media).says("200 OK", "Session: 5", HEADER).says()
    shows(talk, with_key(THEIRS))
    talk.session.tick(talk.now + REPORT_S)
    data = bytes(talk.session.outgoing)
    report = Srtp(key, key).unprotect_rtcp(data[data.index(b"$\1") + 4 :])
    assert report is not None
    assert report[1] == 201
    assert int.from_bytes(report[4:8]) == 7


def test_key_of_the_answer_comes_before_a_named_key_of_the_description() -> None:
    """A name of the key in the description (MKI) does not mean that we named it."""
    first, second = (MasterKey(bytes([number] * 16), bytes(14), mki=b"name") for number in (1, 2))
    talk = EncryptedTalk().describes(VIDEO + f"a=key-mgmt:mikey {text_of(first)}\r\n")
    header = f'KeyMgmt: prot=mikey; uri="{URL}/track1"; data="{text_of(second)}"'
    talk.says("200 OK", "Session: 5", header).says()
    assert shows(talk, with_key(second)) == PICTURES


def test_reports_of_both_tracks_have_their_own_keystream() -> None:
    """With one key of the session for both, each track has another SSRC; SETUP names that of its reports."""
    audio = "m=audio 0 RTP/SAVP 8\r\na=control:track2\r\n"
    talk = EncryptedTalk(ports=((1, 2), (3, 4))).describes(KEY_MGMT + VIDEO + audio)
    named = [key_in_header(talk.text.partition("KeyMgmt: ")[2].partition("\r\n")[0]).rollovers]
    talk.says("200 OK", "Session: 5", "Transport: RTP/SAVP;unicast;client_port=1-2;server_port=8-9")
    named += [key_in_header(talk.text.partition("KeyMgmt: ")[2].partition("\r\n")[0]).rollovers]
    talk.says("200 OK", "Session: 5", "Transport: RTP/SAVP;unicast;client_port=3-4;server_port=10-11").says()
    talk.session.tick(talk.now + REPORT_S)
    sent = [int.from_bytes(report[4:8]) for _, report in talk.session.datagrams]
    assert (named, sent) == ([{7: 0}, {8: 0}], [7, 8])


def test_report_of_the_camera_is_decrypted() -> None:
    """Our next report has its time."""
    talk = EncryptedTalk().describes(VIDEO + KEY_MGMT).says("200 OK", "Session: 5").says()
    shows(talk, with_key(THEIRS))
    talk.sends(framed(Srtp(THEIRS, THEIRS).protect_rtcp(struct.pack(">BBHIIIIII", 0x80, 200, 6, 1, 2, 3, 4, 0, 0)), 1))
    talk.session.tick(talk.now + REPORT_S)
    data = bytes(talk.session.outgoing)
    report = Srtp(THEIRS, THEIRS).unprotect_rtcp(data[data.index(b"$\1") + 4 :])
    assert report is not None
    assert report[24:28] == struct.pack(">HH", 2, 0)


def test_camera_that_wants_a_named_key_gets_one() -> None:
    """After status 463 our key has a name, and it is the camera's key as well; another one in the answer is not."""
    talk = EncryptedTalk().describes(VIDEO).says("463 Key management failure")
    assert talk.asked == f"SETUP {URL}/track1 RTSP/1.0"
    key = key_in_header(talk.text.partition("KeyMgmt: ")[2].partition("\r\n")[0])
    assert (key.key, key.mki) == (OURS.key, ENTROPY[50:54])
    talk.says("200 OK", "Session: 5", HEADER).says()
    assert shows(talk, with_key(key)) == PICTURES


def test_camera_that_wants_another_key_each_time_is_refused() -> None:
    """There is one more request, and no loop."""
    talk = EncryptedTalk().describes(VIDEO).says("463 Key management failure")
    with pytest.raises(Ended) as ended:
        talk.says("463 Key management failure")
    assert ended.value.reason.code == "refused"


def test_media_over_udp_is_decrypted_and_sorted() -> None:
    """The order is restored after decryption; our reports are encrypted."""
    talk = EncryptedTalk(ports=((1, 2), (3, 4))).describes(VIDEO + KEY_MGMT)
    assert "Transport: RTP/SAVP;unicast;client_port=1-2" in talk.text
    talk.says("200 OK", "Session: 5", "Transport: RTP/SAVP;unicast;client_port=1-2;server_port=8-9").says()
    data = [encrypt(each, THEIRS) for each in packets(access_units(count=3))]
    data[-2], data[-1] = data[-1], data[-2]
    for each in data:
        talk.session.receive(0, each, 0.0)
    assert [units for units, _ in talk.sink.pictures] == PICTURES
    talk.session.receive_report(0, b"not authentic", 0.0)
    talk.session.tick(REPORT_S)
    ((_, report),) = talk.session.datagrams
    assert Srtp(THEIRS, THEIRS).unprotect_rtcp(report) is not None


TLS_URL, PORTS = URL.replace("rtsp:", "rtsps:"), ((1, 2), (3, 4))
OVER_UDP = "Transport: RTP/{}AVP;unicast;client_port=1-2;server_port=8-9"


def test_datagrams_beside_tls_are_encrypted() -> None:
    """A camera with SRTP sends over UDP, although its address is rtsps://."""
    talk = EncryptedTalk(TLS_URL, PORTS).describes(VIDEO + KEY_MGMT)
    assert "Transport: RTP/SAVP;unicast;client_port=1-2" in talk.text
    talk.says("200 OK", "Session: 5", OVER_UDP.format("S")).says()
    for each in packets(access_units(count=3)):
        talk.session.receive(0, encrypt(each, THEIRS), 0.0)
    assert [units for units, _ in talk.sink.pictures] == PICTURES


def test_plain_datagrams_beside_tls_are_not_requested() -> None:
    """The next connection uses TCP, which TLS encrypts."""
    with pytest.raises(TransportRefused):
        EncryptedTalk(TLS_URL, PORTS).describes("m=video 0 RTP/AVP 96\r\n" + TRACK)


def test_plain_datagrams_beside_tls_are_not_shown() -> None:
    """The camera answers RTP/AVP, and what comes is plain: everybody on the way could have sent it."""
    talk = EncryptedTalk(TLS_URL, PORTS).describes(VIDEO + KEY_MGMT)
    talk.says("200 OK", "Session: 5", OVER_UDP.format("")).says()
    for each in packets(access_units(count=3)):
        talk.session.receive(0, each, 0.0)
    assert (talk.sink.pictures, talk.loss.oddities[Oddity.UNAUTHENTIC] > 0) == ([], True)
    talk = EncryptedTalk(TLS_URL, PORTS).describes(VIDEO)
    with pytest.raises(NoKeys):
        talk.says("200 OK", "Session: 5", OVER_UDP.format(""))


def test_media_of_a_camera_that_answers_without_encryption_is_plain() -> None:
    """It has no key, and chooses RTP/AVP."""
    talk = EncryptedTalk().describes(VIDEO)
    talk.says("200 OK", "Session: 5", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1").says()
    assert shows(talk, bytes) == PICTURES


@pytest.mark.parametrize("encode", [bytes, with_key(THEIRS)])
def test_packets_decide_where_key_and_answer_disagree(encode: Callable[[bytes], bytes]) -> None:
    """The camera names a key and answers RTP/AVP."""
    talk = EncryptedTalk().describes(VIDEO + KEY_MGMT)
    talk.says("200 OK", "Session: 5", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1").says()
    assert shows(talk, encode) == PICTURES
    assert talk.loss.malformed == 0


@pytest.mark.parametrize(
    ("media", "text"),
    [
        (VIDEO, "names no key"),
        (VIDEO + "a=key-mgmt:mikey AQAA\r\n", "cut short"),
        (VIDEO + "a=key-mgmt:other AQAA\r\n", "not MIKEY"),
        (VIDEO + "a=crypto:1 F8_128_HMAC_SHA1_80 inline:AAAA\r\n", "another cipher"),
        (VIDEO.replace("RTP/SAVP", "UDP/TLS/RTP/SAVPF"), "names no key"),
    ],
)
def test_reason_without_a_key_names_encryption_and_what_helps(media: str, text: str) -> None:
    """It is fatal until the camera is changed."""
    with pytest.raises(Ended) as ended:
        EncryptedTalk().describes(media).says("200 OK", "Session: 5")
    reason = ended.value.reason
    assert (reason.code, reason.fault) == ("encrypted", Fault.FATAL)
    assert "encrypted (SRTP)" in reason.text
    assert text in reason.text
    assert "rtsps:// encrypts the media as well" in reason.text


def test_packets_that_do_not_fit_the_keys_are_counted_and_end_the_connection() -> None:
    """The next connection gets the keys again."""
    talk = EncryptedTalk().describes(VIDEO + KEY_MGMT).says("200 OK", "Session: 5").says()
    data = packets(access_units(count=1))[0]
    for _ in range(MAX_FAILED - 1):
        talk.sends(framed(encrypt(data, OURS)))
    assert talk.loss.oddities == {Oddity.UNAUTHENTIC: MAX_FAILED - 1}
    assert talk.loss.malformed == MAX_FAILED - 1
    assert talk.sink.pictures == []
    with pytest.raises(Ended) as ended:
        talk.sends(framed(encrypt(data, OURS)))
    assert ended.value.reason is WRONG_KEYS


AUDIO = "m=audio 0 RTP/SAVP 8\r\na=control:track2\r\n"


def test_audio_without_a_key_is_left_out_with_its_reason() -> None:
    """The video has one, and is shown."""
    talk = EncryptedTalk().describes(VIDEO + KEY_MGMT, AUDIO).says("200 OK", "Session: 5")
    assert talk.asked == f"SETUP {URL}/track2 RTSP/1.0"
    talk.says().says()
    assert shows(talk, with_key(THEIRS)) == PICTURES
    assert (talk.sink.audio, talk.sink.mute) == (None, "there is no key for the camera's encrypted audio")


def test_audio_that_does_not_fit_its_key_becomes_mute() -> None:
    """The connection and the video go on."""
    talk = EncryptedTalk().describes(VIDEO + KEY_MGMT, AUDIO + KEY_MGMT).says("200 OK", "Session: 5").says().says()
    assert talk.sink.mute == ""
    for number in range(MAX_FAILED + 9):
        talk.sends(framed(encrypt(packet(b"audio", number, 0, False, 8), OURS), 2))
    assert (talk.sink.audio, talk.sink.mute) == (None, "the camera's audio is encrypted, and its keys do not fit")
    assert shows(talk, with_key(THEIRS)) == PICTURES
    assert talk.loss.oddities == {Oddity.UNAUTHENTIC: MAX_FAILED + 9}


def test_repeated_packet_is_late_and_not_odd() -> None:
    """As it is without encryption."""
    talk = EncryptedTalk().describes(VIDEO + KEY_MGMT).says("200 OK", "Session: 5").says()
    for _ in range(2):
        talk.sends(framed(encrypt(packets(access_units(count=1))[0], THEIRS)))
    assert (talk.loss.late, talk.loss.malformed, dict(talk.loss.oddities)) == (1, 0, {})


def test_plain_medium_is_preferred_to_the_same_one_encrypted() -> None:
    """A server may offer both; SETUP has no key then."""
    talk = EncryptedTalk().describes(VIDEO + KEY_MGMT, "m=video 0 RTP/AVP 96\r\n" + TRACK)
    assert "RTP/AVP/TCP" in talk.text
    assert "KeyMgmt" not in talk.text


def test_session_without_ciphers_asks_for_them() -> None:
    """They are imported at the first encrypted camera, in a thread."""

    def not_loaded() -> Cipher:
        raise NeedsCipher

    talk = Talk(cipher=not_loaded)
    with pytest.raises(NeedsCipher):
        talk.describes(VIDEO + KEY_MGMT)


def test_setup_that_is_repeated_with_a_password_has_the_same_key() -> None:
    """The challenge comes with SETUP."""
    talk = EncryptedTalk(WITH_PASSWORD).describes(VIDEO)
    header = talk.text.partition("KeyMgmt: ")[2].partition("\r\n")[0]
    talk.says("401 Unauthorized", NONCE.format("one", ""))
    assert f"KeyMgmt: {header}\r\n" in talk.text
    assert "Authorization: " in talk.text
