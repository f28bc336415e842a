"""Encrypted packets: against libsrtp, and beyond what it can do."""

import os
import struct

import pytest
from pylibsrtp import Policy, Session

from actors.sources.rtsp.mikey import MasterKey
from actors.sources.rtsp.srtp import MAX_STREAMS, WINDOW, Srtp, _Keys
from tests.kit import srtp as kit

SECRET = bytes(range(30))
MASTER = MasterKey(SECRET[:16], SECRET[16:])
OURS = MasterKey(bytes(16), bytes(14))


def rtp(sequence: int, ssrc: int = 7, content: bytes = b"content", first: int = 0x80, behind: bytes = b"") -> bytes:
    return struct.pack(">BBHII", first, 96, sequence & 0xFFFF, 1000, ssrc) + behind + content


def encrypt(packet: bytes, master: MasterKey = MASTER, rollover: int = 0) -> bytes:
    return kit.encrypt(packet, master, rollover)


def test_keys_are_those_of_the_standard() -> None:
    """The test vectors of RFC 3711, appendix B.3."""
    keys = _Keys(
        MasterKey(bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139"), bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")), 0
    )
    assert keys._key.hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert f"{keys._salt:028X}" == "30CBBC08863D8C85D49DB34A9AE1"
    assert keys._secret.hex().upper().startswith("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")


@pytest.mark.parametrize("profile", [Policy.SRTP_PROFILE_AES128_CM_SHA1_80, Policy.SRTP_PROFILE_AES128_CM_SHA1_32])
def test_packets_of_libsrtp_are_decrypted(profile: int) -> None:
    """Both sizes of the tag; the sequence number begins again in between."""
    sender = Session(Policy(SECRET, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
    tag = 10 if profile == Policy.SRTP_PROFILE_AES128_CM_SHA1_80 else 4
    srtp = Srtp(MasterKey(SECRET[:16], SECRET[16:], tag), OURS)
    for sequence in (*range(65_500, 65_536, 5), *range(0, 70_000, 30_000)):
        packet = rtp(sequence, content=os.urandom(sequence % 1200))
        assert srtp.unprotect(sender.protect(packet)) == packet
    report = struct.pack(">BBHI", 0x80, 200, 6, 7) + os.urandom(20)
    assert srtp.unprotect_rtcp(sender.protect_rtcp(report)) == report


def test_own_reports_can_be_read_by_libsrtp() -> None:
    """Each has another index: none is a repetition."""
    secret = bytes(range(50, 80))
    receiver = Session(Policy(secret, Policy.SSRC_ANY_INBOUND))
    srtp = Srtp(MASTER, MasterKey(secret[:16], secret[16:]))
    report = struct.pack(">BBHI", 0x80, 201, 1, 9) + b"rest"
    assert [receiver.unprotect_rtcp(srtp.protect_rtcp(report)) for _ in range(3)] == [report] * 3


def test_name_of_our_key_is_in_front_of_the_tag() -> None:
    """A camera that was given a name looks for it."""
    srtp = Srtp(MASTER, MasterKey(bytes(16), bytes(14), mki=b"name"))
    assert srtp.protect_rtcp(bytes(12))[-14:-10] == b"name"


@pytest.mark.parametrize(("named", "real"), [(3, 3), (3, 4), (0, 1), (9, 0)])
def test_stream_that_runs_for_a_while_is_decrypted_from_its_first_packet(named: int, real: int) -> None:
    """The counter is the one of the message, or has moved since. A camera that names it wrongly may begin at 0."""
    srtp = Srtp(MasterKey(SECRET[:16], SECRET[16:], rollovers={7: named}), OURS)
    assert srtp.unprotect(encrypt(rtp(5), rollover=real)) == rtp(5)
    assert srtp.unprotect(encrypt(rtp(6), rollover=real)) == rtp(6)


@pytest.mark.parametrize("size", [16, 24, 32])
def test_every_size_of_key_and_a_name_are_supported(size: int) -> None:
    """AES-192 and AES-256 (RFC 6188), with a name in front of each tag."""
    master = MasterKey(bytes(range(size)), SECRET[:14], mki=b"name")
    assert Srtp(master, OURS).unprotect(encrypt(rtp(1), master)) == rtp(1)


def test_contributors_and_extension_are_not_encrypted() -> None:
    """They are part of the header."""
    srtp, sender = Srtp(MASTER, OURS), Session(Policy(SECRET, Policy.SSRC_ANY_OUTBOUND))
    packet = rtp(1, first=0x92, behind=bytes(8) + b"\xbe\xde\0\1abcd")
    assert srtp.unprotect(sender.protect(packet)) == packet


def test_large_packet_is_decrypted() -> None:
    """Over TCP a packet may have 64 kB."""
    packet = rtp(1, content=bytes(60_000))
    assert Srtp(MASTER, OURS).unprotect(encrypt(packet)) == packet


def test_packet_that_is_not_authentic_yields_nothing_and_is_counted() -> None:
    """A changed byte anywhere, a wrong key, a short packet; an authentic one resets the count."""
    srtp, packet = Srtp(MASTER, OURS), encrypt(rtp(1))
    for at in range(len(packet)):
        changed = packet[:at] + bytes((packet[at] ^ 1,)) + packet[at + 1 :]
        assert srtp.unprotect(changed) is None
        assert srtp.unprotect(packet[:at]) is None
    assert (srtp.failed, srtp.has_begun) == (2 * len(packet), False)
    assert srtp.unprotect(encrypt(rtp(1), OURS)) is None
    assert srtp.unprotect(packet) == rtp(1)
    assert (srtp.failed, srtp.has_begun) == (0, True)


def test_report_that_is_not_authentic_yields_nothing() -> None:
    """Changed or cut short."""
    srtp = Srtp(MASTER, MASTER)
    packet = srtp.protect_rtcp(struct.pack(">BBHI", 0x80, 201, 1, 9))
    for at in range(len(packet)):
        assert srtp.unprotect_rtcp(packet[:at] + bytes((packet[at] ^ 1,)) + packet[at + 1 :]) is None
        assert srtp.unprotect_rtcp(packet[:at]) is None
    assert srtp.unprotect_rtcp(packet) is not None


def test_packet_that_came_before_yields_nothing_and_is_no_failure() -> None:
    """Packets out of order are accepted within the window, each once."""
    srtp = Srtp(MASTER, OURS)
    order = [WINDOW + 10, 20, 12, WINDOW + 9, WINDOW + 11, 12, WINDOW + 11, 5]
    came = [srtp.unprotect(encrypt(rtp(number))) is not None for number in order]
    assert came == [True, True, True, True, True, False, False, False]
    assert srtp.failed == 0


def test_late_packet_of_before_the_counter_moved_is_decrypted() -> None:
    """It has the former counter."""
    srtp = Srtp(MASTER, OURS)
    assert srtp.unprotect(encrypt(rtp(65_535)))
    assert srtp.unprotect(encrypt(rtp(1), rollover=1))
    assert srtp.unprotect(encrypt(rtp(65_534))) == rtp(65_534)


def test_counter_at_its_limit_raises_nothing() -> None:
    """A camera may name any counter."""
    srtp = Srtp(MasterKey(SECRET[:16], SECRET[16:], rollovers={7: 2**32 - 1}), OURS)
    assert srtp.unprotect(encrypt(rtp(65_535), rollover=2**32 - 1))
    assert srtp.unprotect(encrypt(rtp(0))) is None


def test_streams_are_bounded() -> None:
    """Beyond the limit the oldest is forgotten."""
    srtp = Srtp(MASTER, OURS)
    for ssrc in range(3 * MAX_STREAMS):
        assert srtp.unprotect(encrypt(rtp(1, ssrc)))
    assert len(srtp._streams) == MAX_STREAMS
