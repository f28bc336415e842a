"""The sender of one peer: its output can be decoded, lost packets are retransmitted, and no more than that."""

import socket
import struct
from collections.abc import Iterator

import attrs
import pytest
import trio
from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpRtpfbPacket, RtcpSrPacket
from trio.testing import MockClock

from actors.media.h264 import H264
from actors.media.media import AccessUnit, AudioFormat, AudioFrame
from actors.webrtc.library_internals import MAX_PACKETS, buffer
from actors.webrtc.offer import SdpOffer, parse_offer
from actors.webrtc.runs import Runs
from actors.webrtc.sender import MAX_ASKED, MAX_PARTS, MAX_REPEATS, STALE_S, Sender
from tests.actors.webrtc.test_offer import PLAIN

RTX = "a=rtpmap:103 rtx/90000\na=fmtp:103 apt=102\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\n"
NO_OPTION = 9999
"""An option of sockets that no kernel has."""
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 8\na=mid:s\na=recvonly\na=rtcp-mux\n"


@attrs.define
class PlainWire:
    """A wire without encryption, to a socket of this test."""

    out: socket.socket
    address: tuple[str, int]
    tag: int = 0

    def protect(self, length: int) -> int:
        return length

    def protect_all(self, places: object, lengths: bytes) -> None:
        pass

    def protect_rtcp(self, packet: bytes) -> bytes:
        return packet

    def route(self) -> tuple[socket.socket, tuple[str, int]]:
        return self.out, self.address


@attrs.frozen
class Packet:
    payload_type: int
    marker: bool
    sequence: int
    stamp: int
    ssrc: int
    extension: bytes
    payload: bytes


@attrs.frozen
class Line:
    sender: Sender
    wire: PlainWire
    inbox: socket.socket

    def received(self) -> list[bytes]:
        datagrams = []
        try:
            while True:
                datagrams.append(self.inbox.recv(65536))
        except BlockingIOError:
            return datagrams

    def packets(self) -> list[Packet]:
        return [read(datagram) for datagram in self.received()]


def read(data: bytes) -> Packet:
    first, second, sequence, stamp, ssrc = struct.unpack_from("!BBHII", data)
    extension, at = b"", 12
    if first & 0x10:
        (words,) = struct.unpack_from("!H", data, 14)
        at = 16 + 4 * words
        extension = data[16:at]
    return Packet(second & 0x7F, bool(second & 0x80), sequence, stamp, ssrc, extension, data[at:])


def offer(*, rtx: bool = True) -> SdpOffer:
    text = PLAIN.replace("BUNDLE v", "BUNDLE v s")
    return parse_offer((text.replace("96 102", "96 102 103") + RTX if rtx else text) + AUDIO)


@pytest.fixture
def line() -> Iterator[Line]:
    yield from open_line(offer())


def open_line(of: SdpOffer) -> Iterator[Line]:
    with socket.socket(type=socket.SOCK_DGRAM) as inbox, socket.socket(type=socket.SOCK_DGRAM) as out:
        inbox.bind(("127.0.0.1", 0))
        inbox.setblocking(False)
        wire = PlainWire(out, inbox.getsockname())
        sender = Sender(of)
        sender.open(wire)  # type: ignore[arg-type]
        yield Line(sender, wire, inbox)


def send(line: Line, size: int = 5000, pts: int = 0) -> list[bytes]:
    """Send one access unit; returns the payloads into which it was packetized."""
    unit = AccessUnit(H264, (b"\x65" + bytes(size),), pts, True, size + 1, pts)
    runs = list(Runs(unit, *line.sender.shape))
    for run in runs:
        line.sender.send(unit, run, pts)
    return [run.payload(index) for run in runs for index in range(len(run.packets))]


@pytest.mark.parametrize("offload", [True, False], ids=["one call", "packet by packet"])
async def test_a_picture_arrives_in_order_and_marked(
    line: Line, monkeypatch: pytest.MonkeyPatch, offload: bool
) -> None:
    """Both ways of sending give the same packets: consecutive numbers and one marker."""
    if not offload:
        monkeypatch.setattr("actors.webrtc.runs.UDP_SEGMENT", NO_OPTION)
    payloads = send(line)
    packets = line.packets()
    assert [packet.payload for packet in packets] == payloads
    assert [packet.sequence - packets[0].sequence for packet in packets] == list(range(len(packets)))
    assert [packet.marker for packet in packets] == [False] * (len(packets) - 1) + [True]
    assert {(packet.ssrc, packet.payload_type) for packet in packets} == {(line.sender.video.ssrc, 102)}


async def test_a_kernel_that_cannot_cut_is_sent_packet_by_packet(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without UDP_SEGMENT no packet is lost, and the option is not tried again."""
    monkeypatch.setattr("actors.webrtc.runs.UDP_SEGMENT", NO_OPTION)
    payloads = send(line)
    assert [packet.payload for packet in line.packets()] == payloads
    assert not line.sender._offload


async def test_every_packet_has_the_mid_until_the_first_receiver_report(line: Line) -> None:
    """The first receiver report about the SSRC ends the header extension."""
    send(line)
    assert {packet.extension for packet in line.packets()} == {b"\x40v\x00\x00"}
    line.sender.receive_rtcp(report(line, lost=0))
    send(line)
    assert {packet.extension for packet in line.packets()} == {b""}


async def test_access_unit_packetized_with_room_for_the_mid_is_sent_with_it(line: Line) -> None:
    """A viewer's first report may arrive while access units wait that were packetized before."""
    unit = AccessUnit(H264, (b"\x65" + bytes(range(1, 256)) * 20,), 0, True, 5101, 0)
    runs = list(Runs(unit, *line.sender.shape))
    line.sender.receive_rtcp(report(line, lost=0))
    for run in runs:
        line.sender.send(unit, run, 0)
    packets = line.packets()
    assert {packet.extension for packet in packets} == {b"\x40v\x00\x00"}
    assert [packet.payload for packet in packets] == [run.payload(n) for run in runs for n in range(len(run.packets))]


def report(line: Line, lost: float, lsr: int = 0) -> bytes:
    info = RtcpReceiverInfo(line.sender.video.ssrc, int(lost * 256), 0, 0, 0, lsr, 0)
    return bytes(RtcpRrPacket(1, [info]))


def nack(line: Line, lost: list[int]) -> None:
    line.sender.receive_rtcp(bytes(RtcpRtpfbPacket(1, 1, line.sender.video.ssrc, lost)))


async def test_lost_packet_is_sent_again_on_the_rtx_stream(line: Line) -> None:
    """RTX puts the old number in front of the payload; a number that was never sent gets no answer."""
    send(line)
    packets = line.packets()
    nack(line, [packets[1].sequence, packets[-1].sequence])
    one, last = line.packets()
    assert (one.payload_type, one.ssrc, one.stamp) == (103, line.sender.rtx.ssrc, packets[1].stamp)
    assert one.payload == packets[1].sequence.to_bytes(2) + packets[1].payload
    assert (last.sequence, last.marker) == (one.sequence + 1, True)
    nack(line, [(packets[0].sequence - 1) & 0xFFFF])
    assert line.packets() == []


async def test_packet_older_than_0_8_s_is_not_sent_again(line: Line, mock_clock: MockClock) -> None:
    """The limit is 0.8 s after sending."""
    send(line)
    lost = [packet.sequence for packet in line.packets()]
    mock_clock.jump(STALE_S / 2)
    nack(line, lost[:1])
    assert len(line.packets()) == 1
    mock_clock.jump(STALE_S)
    nack(line, lost)
    assert line.packets() == []


async def test_without_a_stream_of_repeats_the_packet_comes_as_it_was() -> None:
    """The same sequence number and SSRC, if RTX is not in the offer."""
    for line in open_line(offer(rtx=False)):
        send(line)
        packets = line.packets()
        nack(line, [packets[2].sequence])
        assert line.packets() == [packets[2]]
        assert send(line) == [packet.payload for packet in line.packets()]


async def test_no_report_asks_for_more_than_can_be_looked_for_in_a_moment(line: Line) -> None:
    """At most 128 packets are retransmitted, and a longer report is ignored."""
    for _ in range(60):
        send(line)
    following = line.sender.video.sequence
    nack(line, list(range(following - MAX_ASKED - 20, following)))
    before = line.sender.statistics(0)
    assert before.repeated == MAX_ASKED
    line.sender.receive_rtcp(bytes(RtcpRtpfbPacket(1, 1, line.sender.video.ssrc, list(range(0, 0x10000, 17)))))
    after = line.sender.statistics(0)
    assert (after.nacks, after.repeated) == (before.nacks, before.repeated), "longer than any datagram of a report"


async def test_compound_asks_for_no_more_than_one_request_does(line: Line) -> None:
    """This holds for any split of its bytes into requests: 93 of them in one datagram took 26 ms."""
    for _ in range(60):
        send(line)
    line.packets()
    following, ssrc = line.sender.video.sequence, line.sender.video.ssrc
    parts = [
        bytes(RtcpRtpfbPacket(1, 1, ssrc, list(range(at, at + 17)))) for at in range(following - 272, following, 17)
    ]
    assert len(parts) == MAX_PARTS
    line.sender.receive_rtcp(b"".join(parts))
    assert (line.sender.statistics(0).repeated, line.sender._malformed) == (MAX_ASKED, 0)
    line.sender.receive_rtcp(b"".join([*parts, parts[0]]))
    assert (line.sender.statistics(0).repeated, line.sender._malformed) == (MAX_ASKED, 1)


def measure_round_trip(line: Line, clock: MockClock, round_trip_s: float) -> None:
    """Let a receiver report answer a sender report after this time."""
    wall_s = 1_700_000_000 + round(trio.current_time() * 1000)
    line.sender.send_report(0, wall_s * 10**9)
    line.received()
    clock.jump(round_trip_s)
    line.sender.receive_rtcp(report(line, lost=0.0, lsr=lsr_of(wall_s)))


def lsr_of(wall_s: int) -> int:
    """The middle 32 bits of the NTP time of a sender report."""
    return ((wall_s + 2_208_988_800) << 32 >> 16) & 0xFFFFFFFF


async def test_packet_is_repeated_at_most_once_in_a_round_trip(line: Line, mock_clock: MockClock) -> None:
    """A lost repeat is repeated, but no more often than that; an unknown round trip counts as 100 ms."""
    send(line)
    first, second, *_ = [packet.sequence for packet in line.packets()]

    def repeats(sequences: list[int], after_s: float) -> int:
        mock_clock.jump(after_s)
        nack(line, sequences)
        return len(line.packets())

    assert [repeats([first], after_s) for after_s in (0, 0.04, 0.04, 0.03)] == [1, 0, 0, 1]
    assert repeats([first, second], 0.05) == 1
    measure_round_trip(line, mock_clock, 0.2)
    assert [repeats([first, second], after_s) for after_s in (0, 0.1, 0.11)] == [2, 0, 2]
    measure_round_trip(line, mock_clock, 0.001)
    assert [repeats([first], after_s) for after_s in (0.025, 0.015, 0.015)] == [1, 0, 1]
    send(line)
    (last, *_) = [packet.sequence for packet in line.packets()]
    assert repeats([last], STALE_S + 0.1) == 0
    assert not line.sender._again, "what is not repeated any more is forgotten"


async def test_numbers_that_were_never_sent_are_passed_over(line: Line) -> None:
    """Known numbers are found on both sides of the wrap; the oldest comes first."""
    line.sender.video.sequence = 65_530
    for _ in range(4):
        send(line)
    sent = [packet.sequence for packet in line.packets()]
    assert {65_535, 0} <= set(sent)
    never = [(sent[-1] + 1 + index) & 0xFFFF for index in range(40)] + [
        (sent[0] - 1 - index) & 0xFFFF for index in range(20)
    ]
    nack(line, sorted([*never, *sent[::3]]))
    assert [int.from_bytes(packet.payload[:2]) for packet in line.packets()] == sent[::3]


@pytest.mark.parametrize(
    "data", [b"", b"\x81", b"\x81\xcd\x00\x05only", b"\x01\xcd\x00\x00", b"\x81\xcd\x00\x00", bytes(1600)]
)
async def test_stumps_of_reports_change_nothing(line: Line, data: bytes) -> None:
    """Truncated RTCP, a wrong version, and zeros leave the statistics as they were."""
    before = line.sender.statistics(0)
    line.sender.receive_rtcp(data)
    assert line.sender.statistics(0) == before


async def test_repeats_stay_within_their_budget(line: Line) -> None:
    """200 times the same NACK: no more than the budget of about 256 KiB."""
    send(line)
    lost = [packet.sequence for packet in line.packets()]
    got = 0
    for _ in range(200):
        nack(line, lost)
        got += sum(len(packet.payload) for packet in line.packets())
    assert got <= MAX_REPEATS + 20_000


async def test_a_key_frame_is_asked_for_once_however_often_it_is_asked_for(line: Line) -> None:
    """Five PLI in a moment call `restart` once."""
    asked = []
    line.sender.restart = lambda: asked.append(True)
    for _ in range(5):
        line.sender.receive_rtcp(bytes(RtcpPsfbPacket(1, 1, line.sender.video.ssrc)))
    assert asked == [True]


async def test_sender_reports_of_audio_and_video_have_one_ntp_time(line: Line) -> None:
    """Both sender reports have one NTP time, and each has its own RTP time for that instant."""
    send(line, pts=90_000)
    sound = AudioFrame(AudioFormat("pcma", 8000, 1), b"sound", 90_000)
    line.sender.send_audio(sound)
    *pictures, heard = line.packets()
    assert heard.payload == b"sound"
    line.sender.send_report(180_000, 1_700_000_000_500_000_000)
    (compound,) = line.received()
    sent = sum(len(picture.payload) for picture in pictures)
    video, audio = (packet for packet in RtcpPacket.parse(compound) if isinstance(packet, RtcpSrPacket))
    assert video.sender_info.octet_count == sent
    assert video.sender_info.ntp_timestamp == audio.sender_info.ntp_timestamp
    assert (video.sender_info.ntp_timestamp >> 32) - 2_208_988_800 == 1_700_000_000
    assert (video.sender_info.rtp_timestamp - pictures[0].stamp) & 0xFFFFFFFF == 90_000
    assert (audio.sender_info.rtp_timestamp - heard.stamp) & 0xFFFFFFFF == 8_000
    line.sender.send_audio(attrs.evolve(sound, format=AudioFormat("pcma", 16000, 1)))
    assert line.packets() == [], "G.711 at another rate is not what was negotiated"


async def test_the_round_trip_is_measured(line: Line, autojump_clock: object) -> None:
    """The receiver's report names the sender report of 0.25 s before."""
    send(line)
    line.sender.send_report(0, 1_700_000_000_000_000_000)
    await trio.sleep(0.25)
    line.sender.receive_rtcp(report(line, lost=0.5, lsr=lsr_of(1_700_000_000)))
    statistics = line.sender.statistics(0)
    assert statistics.rtt_s == 0.25


async def test_garbage_is_counted_and_changes_nothing(line: Line) -> None:
    """A REMB without content and malformed RTCP: the next access unit is sent as usual."""
    remb = bytes(RtcpPsfbPacket(15, 1, 0, b"REMB" + bytes([9, 0, 0, 0])))
    for data in (b"", remb, b"\x80", b"\x80\xc8\x00\x01\x00\x00\x00\x01", bytes(100), b"\x81\xc9" + bytes(40)):
        line.sender.receive_rtcp(data)
    send(line)
    assert len(line.packets()) == 5


async def test_a_socket_that_takes_no_more_is_noticed(line: Line) -> None:
    """`BlockingIOError` sets `full` and counts one refusal."""

    class Full:
        def sendto(self, *_: object) -> int:
            raise BlockingIOError(11, "full")

        def sendmsg(self, *_: object) -> int:
            raise BlockingIOError(11, "full")

    line.wire.out = Full()  # type: ignore[assignment]
    line.sender.find_route()
    send(line)
    assert line.sender.full
    assert line.sender.statistics(0).refused == 1


def test_the_largest_run_fits_into_what_it_is_sent_from(line: Line) -> None:
    """A key frame of 1 MB stays within the shared buffer and the limit of packets."""
    unit = AccessUnit(H264, (b"\x65" + bytes(1_000_000),), 0, True, 1_000_001, 0)
    runs = list(Runs(unit, 12 + 20, 16))
    assert max(len(run.template) for run in runs) <= len(buffer)
    assert max(len(run.packets) for run in runs) <= MAX_PACKETS
