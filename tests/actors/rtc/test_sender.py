"""The sender of one viewer: what it sends can be read, what was lost it sends again, and not more than that."""

import socket
import struct
from collections.abc import Iterator

import attrs
import pytest
import trio
from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpRtpfbPacket, RtcpSrPacket
from trio.testing import MockClock

from actors.h264 import H264
from actors.media import AccessUnit, AudioFormat, AudioFrame
from actors.rtc.inside import MAX_PACKETS, buffer
from actors.rtc.offer import Offer, parse_offer
from actors.rtc.runs import Runs
from actors.rtc.sender import MAX_ASKED, MAX_PARTS, MAX_REPEATS, STALE_S, Sender
from tests.actors.rtc.test_offer import PLAIN

RTX = "a=rtpmap:103 rtx/90000\na=fmtp:103 apt=102\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\n"
SOUND = "m=audio 9 UDP/TLS/RTP/SAVPF 8\na=mid:s\na=recvonly\na=rtcp-mux\n"


@attrs.define
class PlainWire:
    """A wire that protects nothing, to a socket of this test."""

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


def offer(*, rtx: bool = True) -> Offer:
    text = PLAIN.replace("BUNDLE v", "BUNDLE v s")
    return parse_offer((text.replace("96 102", "96 102 103") + RTX if rtx else text) + SOUND)


@pytest.fixture
def line() -> Iterator[Line]:
    yield from open_line(offer())


def open_line(of: Offer) -> Iterator[Line]:
    with socket.socket(type=socket.SOCK_DGRAM) as inbox, socket.socket(type=socket.SOCK_DGRAM) as out:
        inbox.bind(("127.0.0.1", 0))
        inbox.setblocking(False)
        wire = PlainWire(out, inbox.getsockname())
        sender = Sender(of)
        sender.open(wire)  # type: ignore[arg-type]
        yield Line(sender, wire, inbox)


def send(line: Line, size: int = 5000, pts: int = 0) -> list[bytes]:
    """One picture; returns the payloads it was cut into."""
    unit = AccessUnit(H264, (b"\x65" + bytes(size),), pts, True, size + 1)
    runs = list(Runs(unit, *line.sender.shape))
    for run in runs:
        line.sender.send(unit, run, pts)
    return [run.payload(index) for run in runs for index in range(len(run.packets))]


@pytest.mark.parametrize("offload", [True, False], ids=["one call", "packet by packet"])
async def test_a_picture_arrives_in_order_and_marked(line: Line, offload: bool) -> None:
    line.sender._offload = offload
    payloads = send(line)
    packets = line.packets()
    assert [packet.payload for packet in packets] == payloads
    assert [packet.sequence - packets[0].sequence for packet in packets] == list(range(len(packets)))
    assert [packet.marker for packet in packets] == [False] * (len(packets) - 1) + [True]
    assert {(packet.ssrc, packet.payload_type) for packet in packets} == {(line.sender.video.ssrc, 102)}


async def test_a_kernel_that_cannot_cut_is_sent_packet_by_packet(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.rtc.runs.UDP_SEGMENT", 9999)
    payloads = send(line)
    assert [packet.payload for packet in line.packets()] == payloads
    assert not line.sender._offload


async def test_the_mid_stands_in_every_packet_until_the_viewer_knows_the_ssrc(line: Line) -> None:
    send(line)
    assert {packet.extension for packet in line.packets()} == {b"\x40v\x00\x00"}
    line.sender.receive_rtcp(report(line, lost=0))
    send(line)
    assert {packet.extension for packet in line.packets()} == {b""}


async def test_what_was_cut_with_room_for_the_mid_is_sent_with_it(line: Line) -> None:
    """A viewer's first report may come while pictures wait that were cut before."""
    unit = AccessUnit(H264, (b"\x65" + bytes(range(1, 256)) * 20,), 0, True, 5101)
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


async def test_what_was_lost_is_sent_again_on_the_stream_of_repeats(line: Line) -> None:
    send(line)
    packets = line.packets()
    nack(line, [packets[1].sequence, packets[-1].sequence])
    one, last = line.packets()
    assert (one.payload_type, one.ssrc, one.stamp) == (103, line.sender.rtx.ssrc, packets[1].stamp)
    assert one.payload == packets[1].sequence.to_bytes(2) + packets[1].payload
    assert (last.sequence, last.marker) == (one.sequence + 1, True)
    nack(line, [(packets[0].sequence - 1) & 0xFFFF])
    assert line.packets() == []


async def test_what_would_come_too_late_is_not_sent_again(line: Line, mock_clock: MockClock) -> None:
    send(line)
    lost = [packet.sequence for packet in line.packets()]
    mock_clock.jump(STALE_S / 2)
    nack(line, lost[:1])
    assert len(line.packets()) == 1
    mock_clock.jump(STALE_S)
    nack(line, lost)
    assert line.packets() == []


async def test_without_a_stream_of_repeats_the_packet_comes_as_it_was() -> None:
    for line in open_line(offer(rtx=False)):
        send(line)
        packets = line.packets()
        nack(line, [packets[2].sequence])
        assert line.packets() == [packets[2]]
        assert send(line) == [packet.payload for packet in line.packets()]


async def test_no_report_asks_for_more_than_can_be_looked_for_in_a_moment(line: Line) -> None:
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
    """However its bytes are parted into requests: 93 of them in one datagram took 26 ms."""
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


async def test_numbers_that_were_never_sent_are_passed_over(line: Line) -> None:
    """And what is found is found on both sides of the number's wrap; the oldest comes first."""
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
    before = line.sender.statistics(0)
    line.sender.receive_rtcp(data)
    assert line.sender.statistics(0) == before


async def test_who_asks_for_more_than_was_sent_does_not_get_it(line: Line) -> None:
    send(line)
    lost = [packet.sequence for packet in line.packets()]
    got = 0
    for _ in range(200):
        nack(line, lost)
        got += sum(len(packet.payload) for packet in line.packets())
    assert got <= MAX_REPEATS + 20_000


async def test_a_key_frame_is_asked_for_once_however_often_it_is_asked_for(line: Line) -> None:
    asked = []
    line.sender.restart = lambda: asked.append(True)
    for _ in range(5):
        line.sender.receive_rtcp(bytes(RtcpPsfbPacket(1, 1, line.sender.video.ssrc)))
    assert asked == [True]


async def test_sound_and_pictures_are_told_by_one_instant(line: Line) -> None:
    send(line, pts=90_000)
    sound = AudioFrame(AudioFormat("pcma", 8000, 1), b"sound", 90_000)
    line.sender.send_sound(sound)
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
    line.sender.send_sound(attrs.evolve(sound, format=AudioFormat("pcma", 16000, 1)))
    assert line.packets() == [], "G.711 at another rate is not what was negotiated"


async def test_the_round_trip_is_measured(line: Line, autojump_clock: object) -> None:
    send(line)
    line.sender.send_report(0, 1_700_000_000_000_000_000)
    lsr = ((1_700_000_000 + 2_208_988_800) << 32 >> 16) & 0xFFFFFFFF
    await trio.sleep(0.25)
    line.sender.receive_rtcp(report(line, lost=0.5, lsr=lsr))
    statistics = line.sender.statistics(0)
    assert statistics.rtt_s == 0.25


async def test_garbage_is_counted_and_changes_nothing(line: Line) -> None:
    remb = bytes(RtcpPsfbPacket(15, 1, 0, b"REMB" + bytes([9, 0, 0, 0])))
    for data in (b"", remb, b"\x80", b"\x80\xc8\x00\x01\x00\x00\x00\x01", bytes(100), b"\x81\xc9" + bytes(40)):
        line.sender.receive_rtcp(data)
    send(line)
    assert len(line.packets()) == 5


async def test_a_socket_that_takes_no_more_is_noticed(line: Line) -> None:
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
    unit = AccessUnit(H264, (b"\x65" + bytes(1_000_000),), 0, True, 1_000_001)
    runs = list(Runs(unit, 12 + 20, 16))
    assert max(len(run.template) for run in runs) <= len(buffer)
    assert max(len(run.packets) for run in runs) <= MAX_PACKETS
