"""The sending side of one peer: RTP headers, SRTP in place, one system call per run, and the answers to its RTCP.

Rules of this file:
- Nothing in this file waits. A packet that the socket does not take is dropped, for this peer only, and counted.
- The shared work is already done (`runs`). Here, a packet costs a header, its protection and a share of a system call.
- A viewer that requests more than it was sent is an attacker: the budget for retransmissions grows with the bytes sent.

Source: RFC 3550 (RTP, RTCP), RFC 4585 and 5104 (NACK, PLI, FIR), RFC 4588 (RTX), RFC 9143 (mid).
"""

import errno
import secrets
import socket
import struct
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice
from struct import Struct

import attrs
import trio
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    unpack_remb_fci,
)

from supervisor.ports.statistics import PeerStatistics

from ..media.media import CLOCK_RATE, AccessUnit, AudioFrame, VideoCodec
from .congestion import Congestion
from .library_internals import Wire, buffer
from .offer import Payload, SdpOffer, Stream
from .runs import RTP_HEADER, Run

HISTORY = 128
"""Runs that can be retransmitted: about four seconds."""
MAX_AGE = 1000
"""The age of a packet, in packets: libsrtp does not protect an older one again."""
STALE_S = 0.8
"""Seconds. An older packet is not retransmitted: on a full path it would arrive seconds late, and lengthen the queue
that delays it. The viewer resumes at the next key frame."""
MAX_RTCP = 1500
"""Bytes of one compound RTCP packet. Parsing a longer one would delay all cameras."""
MAX_PARTS = 16
"""Packets of one compound: WebRTC stacks send four or five."""
MAX_ASKED = 128
"""Packets that one report may request. Beyond, only the first ones count."""
MAX_REPEATS = 256 * 1024
"""Bytes that may be retransmitted at once; the budget grows again with the bytes sent."""
REPEAT_S = (0.02, 0.1)
"""Seconds in which a retransmitted packet is not retransmitted again: the round-trip time, but at least the first
value. The second value applies while the round-trip time is unknown."""
KEY_EVERY_S = 0.5
"""Seconds. Viewers repeat the request for a key frame until one arrives; one answer in this time is enough."""
KEY_EVERY_NARROW_S = 4.0
CNAME = b"banken"

_NO_OFFLOAD = {errno.EIO, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOPROTOOPT, errno.EMSGSIZE}
_FULL = {errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM}
_NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900 to 1970."""
_CNAME_ITEM = 1
_FEEDBACK = 205
"""The type of generic feedback; only its NACK is read (RFC 4585, section 6.2)."""
_EXTENDED, _ONE_BYTE_EXTENSIONS = 0x90000000, 0xBEDE

_write_head = Struct("!III").pack_into
_view = memoryview(buffer)


@attrs.define
class Flow:
    """One RTP stream: its identity and its counters."""

    ssrc: int = attrs.field(factory=lambda: secrets.randbelow(0xFFFFFFFE) + 1)
    sequence: int = attrs.field(factory=lambda: secrets.randbelow(1 << 15))
    base: int = attrs.field(factory=lambda: secrets.randbelow(1 << 31))
    """Added to all time stamps, as required by RFC 3550, section 5.1."""
    mid: bytes = b""
    """The header extension that names the section, until the viewer has shown that it knows the SSRC."""
    rate: int = CLOCK_RATE
    packets: int = 0
    octets: int = 0


_Sent = tuple[Run, int, int, Payload, float]
"""A run, the sequence number of its first packet, its time stamp, its payload description, and when it was sent."""


class Sender:
    """The streams of one viewer. Constructed for the SDP answer; sends from `open` on."""

    def __init__(self, offer: SdpOffer) -> None:
        self.video, self.rtx = Flow(mid=_mid(offer.video)), Flow()
        self.audio = Flow(mid=_mid(offer.audio)) if offer.audio else None
        self._payloads = offer.video.payloads
        self._audio_payloads = offer.audio.payloads if offer.audio else {}
        self.restart: Callable[[], None] = lambda: None
        """Called when the viewer needs a key frame."""
        self.full = False
        """The socket took no more: this viewer resumes at the next key frame."""
        self.congestion = Congestion()
        self.shape = (RTP_HEADER, 0)
        """The shape of the viewer's runs: bytes of a packet's header, and of its tag."""
        self._wire: Wire | None = None
        self._socket: socket.socket | None = None
        self._address = ("", 0)
        self._offload = True
        self._sent: deque[_Sent] = deque(maxlen=HISTORY)
        self._may_repeat = MAX_REPEATS
        self._again: dict[int, float] = {}
        """When each packet was last retransmitted, by sequence number; the oldest first, none older than `STALE_S`."""
        self._key_asked = -KEY_EVERY_S
        self._reported: deque[tuple[int, float]] = deque(maxlen=8)
        """For the newest sender reports: the middle 32 bits of the NTP time, and when the report was sent."""
        self._repeated = self._nacks = self._plis = self._refused = self._malformed = 0
        self._remb: int | None = None
        self._rtt_s: float | None = None

    def open(self, wire: Wire) -> None:
        """Begin to send with the keys and the route of `wire`."""
        self._wire = wire
        self.shape = RTP_HEADER + len(self.video.mid), wire.tag
        self.find_route()

    def close(self) -> None:
        """Stop sending, and release the sent runs, which would stay until the connection is collected."""
        self._wire = self._socket = None
        self._sent.clear()
        self._again.clear()
        self.restart = lambda: None

    def find_route(self) -> None:
        """Use the address that ICE has selected."""
        route = self._wire.route() if self._wire else None
        if route is not None:
            self._socket, self._address = route

    def takes(self, codec: VideoCodec) -> bool:
        """Return whether the viewer has offered this codec."""
        return codec.name in self._payloads

    @property
    def codecs(self) -> Collection[str]:
        """The video codecs that the viewer has offered."""
        return self._payloads.keys()

    @property
    def takes_opus(self) -> bool:
        """Whether the viewer listens to Opus, to which most audio is transcoded."""
        return "opus" in self._audio_payloads

    # ── out ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, unit: AccessUnit, run: Run, pts: int) -> None:
        """Send one run of an access unit with the presentation time `pts`, in 1/90000 s."""
        wire, flow, payload = self._wire, self.video, self._payloads[unit.codec.name]
        assert wire is not None
        stamp, first = (pts + flow.base) & 0xFFFFFFFF, flow.sequence
        self._sent.append((run, first, stamp, payload, trio.current_time()))
        size = len(run.template)
        _view[:size] = run.template
        ssrc, mid = flow.ssrc, flow.mid if run.header > RTP_HEADER else b""
        word = (_EXTENDED if mid else 0x80000000) | payload.number << 16
        sequence = first
        for at, _, marker in run.packets:
            _write_head(buffer, at, word | marker | sequence, stamp, ssrc)
            if mid:
                buffer[at + RTP_HEADER : at + run.header] = mid
            sequence = (sequence + 1) & 0xFFFF
        wire.protect_all(run.places, run.lengths)
        flow.sequence = sequence
        flow.packets += len(run.packets)
        flow.octets += run.octets
        self._may_repeat = min(MAX_REPEATS, self._may_repeat + size // 2)
        self._transmit(size, run)

    def send_audio(self, frame: AudioFrame) -> None:
        """Send one frame of audio, if the viewer takes its codec."""
        payload, flow = self._audio_payloads.get(frame.format.codec), self.audio
        if payload is None or payload.rate != frame.format.rate or not frame.format.is_passed:
            return
        if flow is not None and self._wire is not None:
            flow.rate = payload.rate
            stamp = self._stamp(flow, frame.pts)
            self._send_one(flow, payload.number, stamp, frame.data)

    def _send_one(self, flow: Flow, payload_type: int, stamp: int, data: bytes, marker: int = 0) -> None:
        """Send one packet that only this viewer gets."""
        assert self._wire is not None
        header = RTP_HEADER + len(flow.mid)
        length = header + len(data)
        if length + self._wire.tag > len(buffer):
            return
        word = (_EXTENDED if flow.mid else 0x80000000) | payload_type << 16 | marker | flow.sequence
        _write_head(buffer, 0, word, stamp, flow.ssrc)
        buffer[RTP_HEADER:header] = flow.mid
        buffer[header:length] = data
        flow.sequence = (flow.sequence + 1) & 0xFFFF
        flow.packets += 1
        flow.octets += len(data)
        self._transmit(self._wire.protect(length))

    def _transmit(self, size: int, run: Run | None = None) -> None:
        """Pass the buffer to the kernel: in one call if it supports that, otherwise packet by packet."""
        if self._socket is None:
            return
        try:
            if run is None or not run.ancillary:
                self._socket.sendto(_view[:size], self._address)
            elif self._offload:
                self._socket.sendmsg((_view[:size],), run.ancillary, 0, self._address)
            else:
                for at, end in zip(run.starts, [*run.starts[1:], size], strict=True):
                    self._socket.sendto(_view[at:end], self._address)
        except OSError as error:
            if run is not None and self._offload and error.errno in _NO_OFFLOAD:
                self._offload = False
                self._transmit(size, run)
            else:  # no route for now, or no longer: ICE decides whether the viewer is lost
                self._refused += 1
                self.full = self.full or error.errno in _FULL

    def send_report(self, pts: int, wall_ns: int) -> None:
        """Send reports for all active streams, for the instant `wall_ns` at which `pts` is now (RFC 3550, 6.4.1).

        The reports of video and audio name the same instant, which keeps them in sync.
        """
        self.find_route()
        if self._wire is None or self._socket is None:
            return
        now = trio.current_time()
        seconds, rest = divmod(wall_ns, 1_000_000_000)
        ntp = (seconds + _NTP_EPOCH_S) << 32 | (rest << 32) // 1_000_000_000
        compound = b""
        for flow in (self.video, self.audio):
            if flow is not None and flow.packets:
                info = RtcpSenderInfo(ntp, self._stamp(flow, pts), flow.packets & 0xFFFFFFFF, flow.octets & 0xFFFFFFFF)
                source = RtcpSourceInfo(flow.ssrc, [(_CNAME_ITEM, CNAME)])
                compound += bytes(RtcpSrPacket(flow.ssrc, info)) + bytes(RtcpSdesPacket([source]))
        if compound:
            self._reported.append(((ntp >> 16) & 0xFFFFFFFF, now))
            packet = self._wire.protect_rtcp(compound)
            try:
                self._socket.sendto(packet, self._address)
            except OSError:
                self._refused += 1
        self.congestion.look(now)

    def _stamp(self, flow: Flow, pts: int) -> int:
        return ((pts * flow.rate + CLOCK_RATE // 2) // CLOCK_RATE + flow.base) & 0xFFFFFFFF

    # ── in ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def receive_rtcp(self, data: bytes) -> None:
        """Handle the viewer's reports and requests. Malformed packets are counted and change nothing."""
        try:
            parts = _split(data)
            packets = [packet for part in parts if part[1] != _FEEDBACK for packet in RtcpPacket.parse(part)]
        except ValueError:
            self._malformed += 1
            return
        asked = [part for part in parts if _is_nack(part) and int.from_bytes(part[8:12]) == self.video.ssrc]
        self._nacks += len(asked)
        self._repeat(list(islice(chain.from_iterable(map(_asked_for, asked)), MAX_ASKED)))
        for packet in packets:
            match packet:
                case RtcpRrPacket() | RtcpSrPacket():
                    self._take_reports(packet.reports)
                case RtcpPsfbPacket(fmt=fmt) if fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
                    self._answer_pli()
                case RtcpPsfbPacket(fmt=fmt) if fmt == RTCP_PSFB_APP:
                    try:
                        self._remb = unpack_remb_fci(packet.fci)[0]
                    except (ValueError, struct.error):
                        self._malformed += 1

    def _take_reports(self, reports: Iterable[RtcpReceiverInfo]) -> None:
        now = trio.current_time()
        for report in reports:
            flow = self.audio if self.audio and report.ssrc == self.audio.ssrc else self.video
            if report.ssrc != flow.ssrc:
                continue
            if flow is not self.video:
                flow.mid = b""
            else:  # waiting runs have room for the mid, and carry it
                self.shape = RTP_HEADER, self.shape[1]
                self.congestion.count(report.highest_sequence, report.packets_lost, now)
            sent = next((at for middle, at in self._reported if report.lsr and middle == report.lsr), None)
            if sent is not None:
                self._rtt_s = max(0.0, now - sent - report.dlsr / 65536)

    def _answer_pli(self) -> None:
        self._plis += 1
        now = trio.current_time()
        if now - self._key_asked >= (KEY_EVERY_NARROW_S if self.congestion.narrow else KEY_EVERY_S):
            self._key_asked = now
            self.restart()

    def _repeat(self, lost: Iterable[int]) -> None:
        """Retransmit lost packets, the oldest first: as RTX if that was negotiated, otherwise as they were."""
        now, following = trio.current_time(), self.video.sequence
        while self._again and now - self._again[oldest := next(iter(self._again))] > STALE_S:
            del self._again[oldest]
        least, unknown = REPEAT_S
        since = now - (unknown if self._rtt_s is None else max(least, self._rtt_s))
        ages = {(following - sequence) & 0xFFFF for sequence in lost if self._again.get(sequence, since) <= since}
        runs = iter(self._sent)
        sent = next(runs, None)
        for age in sorted((age for age in ages if 0 < age <= MAX_AGE), reverse=True):
            sequence = (following - age) & 0xFFFF
            while sent is not None and age <= (following - sent[1] - len(sent[0].packets)) & 0xFFFF:
                sent = next(runs, None)  # all packets of this run were sent before
            if sent is None or (sequence - sent[1]) & 0xFFFF >= len(sent[0].packets):
                continue
            run, first, stamp, payload, at = sent
            if now - at > STALE_S:
                continue
            index = (sequence - first) & 0xFFFF
            data = run.payload(index)
            if self._may_repeat < len(data):
                return
            self._may_repeat -= len(data)
            self._repeated += 1
            self._again.pop(sequence, None)
            self._again[sequence] = now
            marker = run.packets[index][2]
            if payload.rtx is not None:
                self._send_one(self.rtx, payload.rtx, stamp, sequence.to_bytes(2) + data, marker)
            else:
                self._send_one(attrs.evolve(self.video, sequence=sequence), payload.number, stamp, data, marker)

    def statistics(self, skipped: int) -> PeerStatistics:
        """Return the counters; `skipped` is the number of access units that the fan-out did not send."""
        return PeerStatistics(
            packets=self.video.packets,
            bytes=self.video.octets,
            audio_packets=self.audio.packets if self.audio else 0,
            audio_bytes=self.audio.octets if self.audio else 0,
            repeated=self._repeated,
            nacks=self._nacks,
            plis=self._plis,
            skipped=skipped,
            refused=self._refused,
            loss=round(self.congestion.loss, 3),
            rtt_s=None if self._rtt_s is None else round(self._rtt_s, 4),
            remb=self._remb,
            key_frames_only=self.congestion.narrow,
        )


def _split(data: bytes) -> list[bytes]:
    """Return the packets of a compound (RFC 3550, section 6.1). Raises `ValueError` if empty, malformed, too large."""
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4])
        if len(data) > MAX_RTCP or end > len(data) or data[at] >> 6 != 2 or len(parts) == MAX_PARTS:
            raise ValueError("no RTCP, or too much of it")
        parts.append(data[at:end])
        at = end
    if not parts:
        raise ValueError("no RTCP")
    return parts


def _is_nack(part: bytes) -> bool:
    return part[1] == _FEEDBACK and part[0] & 0x1F == RTCP_RTPFB_NACK


def _asked_for(nack: bytes) -> Iterator[int]:
    """Yield the sequence numbers that a generic NACK names (RFC 4585, section 6.2.1)."""
    for at in range(12, len(nack) - 3, 4):
        first, mask = int.from_bytes(nack[at : at + 2]), int.from_bytes(nack[at + 2 : at + 4])
        yield first
        for index in range(16 if mask else 0):
            if mask >> index & 1:
                yield (first + 1 + index) & 0xFFFF


def _mid(stream: Stream) -> bytes:
    """Return the mid as a header extension of RFC 8285, padded; empty if it was not negotiated or does not fit."""
    value = stream.mid.encode()
    if stream.mid_extension is None or len(value) > 16:
        return b""
    element = bytes([stream.mid_extension << 4 | len(value) - 1]) + value
    words = -(-len(element) // 4)
    return _ONE_BYTE_EXTENSIONS.to_bytes(2) + words.to_bytes(2) + element.ljust(4 * words, b"\x00")
