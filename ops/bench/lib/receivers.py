"""Hundreds of viewers for the benchmarks: `python -m ops.bench.lib.receivers`, with a `Plan` as JSON on stdin.

Rules of this file:
- Each viewer is real to the server: it answers ICE's checks, completes DTLS, verifies and decrypts every packet, and
  reports about once a second. It omits aiortc's machinery, so that the server reaches its limit first.
- One thread, one epoll. The work for a packet is in `Viewer.read` and `Viewer._media` only.

Output: a line when all possible viewers have joined, and a `Result` as JSON.
"""

import os
import secrets
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import attrs
import msgspec
from aioice import stun
from aiortc.rtcdtlstransport import SRTP_PROFILES, certificate_digest, generate_certificate
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from .meter import cpu_s, pss_mb
from .plan import Plan, Result, Seen
from .signalling import Local, Remote, Signalling, signalling
from .stream import FPS, KEY_EVERY, stamped_at

JOIN_S, JOIN_ALL_S = 10.0, 60.0
"""Seconds after which a viewer without a packet is given up, and after which no further viewer joins."""
AT_ONCE = 4
"""Viewers that join at the same time: the server works for one while another computes."""
SETTLE_S = 2.0
TICK_S = 0.05
GOLDEN = 0.6180339887
"""The fractional parts of its multiples are evenly spread. So are the joins, between one key frame and the next."""
PAUSE_S = 0.005
"""Seconds between two polls of a crowd. Packets are then read by the dozen, at a fraction of the cost."""
REPORT_S = 1.0
CHECK_S = 2.5
ROOM = 2048
"""Bytes of one datagram at most; 65536 if the kernel merges several datagrams."""
BUFFER = 4 * 1024 * 1024

UDP_GRO = 104
"""linux/udp.h: datagrams of one sender arrive merged, with their size as ancillary data."""
SO_RCVBUFFORCE = 33
"""asm-generic/socket.h: SO_RCVBUF without the system's limit, for privileged processes."""
SO_TIMESTAMPNS = 35
"""asm-generic/socket.h: the kernel's arrival time of the datagram, by CLOCK_REALTIME."""

_HEADER = struct.Struct("!BHII")
"""From the second byte on: marker and payload type, sequence number, time stamp, SSRC."""
_REPORT = struct.Struct("!BBHIIIIIII")


@attrs.define
class Stream:
    """The counts of one SSRC. `last` is the highest sequence number, extended beyond 65535."""

    last: int
    packets: int = 0
    pictures: int = 0


class Viewer:
    """One viewer. `inspect`, if set, gets each decrypted packet and its arrival time in the kernel (ns)."""

    def __init__(self, way: Signalling, context: SSL.Context, fingerprint: str, gro: bool, stamps: bool) -> None:
        self.inspect: Callable[[bytes, int], None] | None = None
        self.streams: dict[int, Stream] = {}
        self.broken = 0
        """Packets that failed authentication."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        with suppress(PermissionError):
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        self.socket.bind(("0.0.0.0", 0))
        self._room, self._space = ROOM, 0
        if gro:
            self.socket.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
            self._room, self._space = 65536, socket.CMSG_SPACE(4)
        if stamps:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._space += socket.CMSG_SPACE(16)
        self._way = way
        address = (_own_address(), self.socket.getsockname()[1])
        self._local = Local(secrets.token_hex(4), secrets.token_hex(16), fingerprint, address)
        self._remote: Remote | None = None
        self._path: tuple[str, int] | None = None
        self._ssl = SSL.Connection(context, None)
        self._unprotect: Callable[[bytes], bytes] | None = None
        self._outgoing: Session | None = None
        self._ssrc = secrets.randbits(32)
        self._check_at = self._report_at = 0.0

    def join(self) -> None:
        """Exchange offer and answer with the server. Blocks until the server answers. Raises `OSError`."""
        self._remote = self._way.join(self._local)
        if self._remote.active:
            self._ssl.set_accept_state()
        else:
            self._ssl.set_connect_state()
        self.tick(time.monotonic())

    def leave(self) -> None:
        with suppress(OSError):
            self._way.leave()
        self.socket.close()

    def tick(self, now: float) -> None:
        """Do the periodic work: checks, handshake, reports. To be called every `TICK_S`."""
        if self._remote is None:
            return
        if now >= self._check_at:
            self._check_at = now + (CHECK_S if self._path else TICK_S)
            for address in [self._path] if self._path else self._remote.addresses:
                self._send(self._check(self._remote), address)
        if self._outgoing is None:
            if self._path is not None:
                self._handshake(self._path)
        elif now >= self._report_at:
            self._report_at = now + REPORT_S
            for ssrc, stream in self.streams.items():
                self._send(self._outgoing.protect_rtcp(self._report(ssrc, stream)), self._path)

    def read(self) -> None:
        """Read all datagrams that have arrived."""
        receive, room, space = self.socket.recvmsg, self._room, self._space
        while True:
            try:
                data, ancillary, _, source = receive(room, space)
            except (BlockingIOError, ConnectionError):
                return
            size, arrived_ns = len(data), 0
            for level, _, value in ancillary:
                if level == socket.IPPROTO_UDP:
                    size = int.from_bytes(value[:4], sys.byteorder)
                else:
                    second, nano = struct.unpack("qq", value)
                    arrived_ns = second * 10**9 + nano
            for at in range(0, len(data), size):
                packet = data[at : at + size]
                first = packet[0]
                if first >> 6 == 2:
                    if not 192 <= packet[1] < 224:  # RFC 5761, section 4: those are RTCP
                        self._media(packet, arrived_ns)
                elif first < 4:
                    self._connectivity(packet, source)
                elif 20 <= first < 64:
                    self._ssl.bio_write(packet)
                    self._handshake(source)

    def _media(self, data: bytes, arrived_ns: int) -> None:
        if self._unprotect is None:
            return
        try:
            packet = self._unprotect(data)
        except SrtpError:
            self.broken += 1
            return
        marked, sequence, _, ssrc = _HEADER.unpack_from(packet, 1)
        stream = self.streams.get(ssrc)
        if stream is None:
            stream = self.streams[ssrc] = Stream(sequence - 1)
        ahead = (sequence - stream.last) & 0xFFFF
        if ahead < 0x8000:
            stream.last += ahead
        stream.packets += 1
        if marked & 0x80:
            stream.pictures += 1
        if self.inspect is not None:
            self.inspect(packet, arrived_ns)

    def _connectivity(self, data: bytes, source: tuple[str, int]) -> None:
        """ICE (RFC 8445): answer the server's checks. The first answer to a check from here selects the path."""
        try:
            message = stun.parse_message(data)
        except ValueError:
            return
        if message.message_class == stun.Class.REQUEST:
            answer = stun.Message(message.message_method, stun.Class.RESPONSE, message.transaction_id)
            answer.attributes["XOR-MAPPED-ADDRESS"] = source
            answer.add_message_integrity(self._local.pwd.encode())
            answer.add_fingerprint()
            self._send(bytes(answer), source)
        elif message.message_class == stun.Class.RESPONSE and self._path is None:
            self._path = source
            self._handshake(source)

    def _check(self, remote: Remote) -> bytes:
        check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        check.attributes["USERNAME"] = f"{remote.ufrag}:{self._local.ufrag}"
        check.attributes["PRIORITY"] = 1862270975
        if self._way.controlling:
            check.attributes["ICE-CONTROLLING"] = self._ssrc
            check.attributes["USE-CANDIDATE"] = None
        else:
            check.attributes["ICE-CONTROLLED"] = self._ssrc
        check.add_message_integrity(remote.pwd.encode())
        check.add_fingerprint()
        return bytes(check)

    def _handshake(self, address: tuple[str, int]) -> None:
        """Continue DTLS as far as the received datagrams allow (RFC 5764)."""
        if self._remote is None or self._outgoing is not None:
            return
        done = False
        try:
            self._ssl.DTLSv1_handle_timeout()
            self._ssl.do_handshake()
            done = True
        except SSL.Error:
            pass
        try:
            while True:
                self._send(self._ssl.bio_read(ROOM), address)
        except SSL.Error:
            pass
        if done:
            self._protect()

    def _protect(self) -> None:
        chosen = self._ssl.get_selected_srtp_profile()
        profile = next(profile for profile in SRTP_PROFILES if profile.openssl_profile == chosen)
        size = 2 * (profile.key_length + profile.salt_length)
        keys = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        server = self._remote is not None and self._remote.active
        theirs, ours = (profile.get_key_and_salt(keys, int(side)) for side in (not server, server))
        incoming = Session(Policy(theirs, Policy.SSRC_ANY_INBOUND, srtp_profile=profile.libsrtp_profile))
        self._unprotect = incoming.unprotect
        self._outgoing = Session(Policy(ours, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile.libsrtp_profile))

    def _report(self, ssrc: int, stream: Stream) -> bytes:
        """Return a receiver report (RFC 3550, section 6.4.2) without any loss."""
        return _REPORT.pack(0x81, 201, 7, self._ssrc, ssrc, 0, stream.last & 0xFFFFFFFF, 0, 0, 0)

    def _send(self, data: bytes, address: tuple[str, int] | None) -> None:
        with suppress(OSError):  # a lost datagram is repeated
            if address is not None:
                self.socket.sendto(data, address)


class Crowd:
    """All viewers of this process, and the loop that serves them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.refusal = ""
        self.viewers: dict[int, Viewer] = {}
        self._poll = select.epoll()
        self._tick_at = 0.0
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = generate_certificate(key)
        self._fingerprint = f"sha-256 {certificate_digest(certificate, 'sha-256')}"
        self._context = SSL.Context(SSL.DTLS_METHOD)
        self._context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        self._context.use_certificate(certificate)
        self._context.use_privatekey(key)
        self._context.set_tlsext_use_srtp(b":".join(profile.openssl_profile for profile in SRTP_PROFILES))

    def add(self, way: str | Signalling) -> Viewer:
        """Add one viewer, which has not joined yet; `way` is a URL, or the signalling with one."""
        way = signalling(way) if isinstance(way, str) else way
        viewer = Viewer(way, self._context, self._fingerprint, self.plan.gro, self.plan.stamps)
        self.viewers[viewer.socket.fileno()] = viewer
        self._poll.register(viewer.socket, select.EPOLLIN)
        return viewer

    def remove(self, viewer: Viewer) -> None:
        del self.viewers[viewer.socket.fileno()]
        self._poll.unregister(viewer.socket)
        viewer.leave()

    def join_all(self, urls: Sequence[str]) -> None:
        """Join a viewer to each URL, a few at a time. One that is given up is removed; `refusal` has the reason."""
        until = time.monotonic() + JOIN_ALL_S
        for url in urls:
            if time.monotonic() > until:
                self.refusal = f"not all had their turn within {JOIN_ALL_S:g} s"
                break
            viewer = self.add(url)
            try:
                viewer.join()
            except OSError as error:
                self.refusal = str(error)
                self.remove(viewer)
            self._wait_joined(AT_ONCE - 1)
        self._wait_joined(0)

    def _wait_joined(self, but: int) -> None:
        """Wait until at most `but` viewers have no packet yet. Viewers still without one after `JOIN_S` are removed."""

        def waiting() -> list[Viewer]:
            return [viewer for viewer in self.viewers.values() if not viewer.streams]

        if not self.run(JOIN_S, lambda: len(waiting()) <= but):
            self.refusal = f"no packet within {JOIN_S:g} s"
            for viewer in waiting():
                self.remove(viewer)

    def run(self, seconds: float, done: Callable[[], bool] = lambda: False, pause_s: float = 0.0) -> bool:
        """Serve all viewers for `seconds`, or until `done`. Returns the final value of `done`."""
        now = time.monotonic()
        end = now + seconds
        while now < end and not done():
            if pause_s:
                time.sleep(pause_s)
            for descriptor, _ in self._poll.poll(max(0.0, min(end, self._tick_at) - now)):
                self.viewers[descriptor].read()
            now = time.monotonic()
            if now >= self._tick_at:
                self._tick_at = now + TICK_S
                for viewer in self.viewers.values():
                    viewer.tick(now)
        return done()

    def seen(self) -> list[Seen]:
        return [_seen(viewer) for viewer in self.viewers.values()]


class FirstPicture:
    """Waits for the first complete key frame."""

    def __init__(self) -> None:
        self.complete = False
        self._ticks = self._last = -1
        self._key = self._whole = False

    def take(self, packet: bytes, _arrived_ns: int) -> None:
        marked, sequence, ticks, _ = _HEADER.unpack_from(packet, 1)
        follows = sequence == (self._last + 1) & 0xFFFF
        if ticks != self._ticks:
            self._key, self._whole = False, self._last < 0 or follows
        self._whole = self._whole and (follows or self._last < 0)
        self._ticks, self._last = ticks, sequence
        self._key = self._key or _has_key_slice(_payload(packet))
        self.complete = self.complete or bool(marked & 0x80 and self._key and self._whole)


class Ages:
    """Ages of access units at the arrival of their first slice and of their last packet (ms); also of key frames."""

    def __init__(self) -> None:
        self.first = list[float]()
        self.last = list[float]()
        self.key_first = list[float]()
        self.key_last = list[float]()

    def clear(self) -> None:
        for ages in (self.first, self.last, self.key_first, self.key_last):
            ages.clear()

    def inspector(self) -> Callable[[bytes, int], None]:
        """Return a function that one viewer calls with each packet."""
        sent_ns: int | None = None
        key = False

        def inspect(packet: bytes, arrived_ns: int) -> None:
            nonlocal sent_ns, key
            stamped_ns = stamped_at(packet)
            if stamped_ns is not None:
                sent_ns, key = stamped_ns, _has_key_slice(_payload(packet))
                age_ms = (arrived_ns - stamped_ns) / 1e6
                self.first.append(age_ms)
                self.key_first += [age_ms] if key else []
            if sent_ns is not None and packet[1] & 0x80:
                age_ms = (arrived_ns - sent_ns) / 1e6
                self.last.append(age_ms)
                self.key_last += [age_ms] if key else []
                sent_ns = None

        return inspect


def watch(plan: Plan) -> Result:
    """Run all viewers at once, and measure for `plan.seconds` after they have settled."""
    before_mb = pss_mb(plan.server)
    crowd, ages = Crowd(plan), Ages()
    crowd.join_all([plan.urls[number % len(plan.urls)] for number in range(plan.viewers)])
    if plan.stamps:
        for viewer in crowd.viewers.values():
            viewer.inspect = ages.inspector()
    print(len(crowd.viewers), "joined", flush=True)
    crowd.run(SETTLE_S, pause_s=PAUSE_S)
    ages.clear()
    seen, server_s, own_s, began = crowd.seen(), cpu_s(plan.server), cpu_s(os.getpid()), time.monotonic()
    crowd.run(plan.seconds, pause_s=PAUSE_S)
    seconds = time.monotonic() - began
    return Result(
        seconds=seconds,
        refusal=crowd.refusal,
        cpu_s=cpu_s(plan.server) - server_s,
        receivers_cpu_s=cpu_s(os.getpid()) - own_s,
        pss_before_mb=before_mb,
        pss_mb=pss_mb(plan.server),
        viewers=tuple(now.since(before) for now, before in zip(crowd.seen(), seen, strict=True)),
        first_ms=_sorted(ages.first),
        last_ms=_sorted(ages.last),
        key_first_ms=_sorted(ages.key_first),
        key_last_ms=_sorted(ages.key_last),
    )


def _sorted(ages: list[float]) -> tuple[float, ...]:
    return tuple(round(age, 3) for age in sorted(ages))


def join_again(plan: Plan) -> Result:
    """Run `plan.joins` viewers one after the other. Measures the time from offer to complete key frame of each (ms)."""
    crowd, taken = Crowd(plan), list[float]()
    print("begun", flush=True)
    for number in range(plan.joins):
        viewer, first = crowd.add(plan.urls[number % len(plan.urls)]), FirstPicture()
        viewer.inspect = first.take
        began = time.monotonic()
        try:
            viewer.join()
            if crowd.run(JOIN_S, lambda first=first: first.complete):  # type: ignore[misc]
                taken.append((time.monotonic() - began) * 1000)
            else:
                crowd.refusal = f"no whole key frame within {JOIN_S:g} s"
        except OSError as error:
            crowd.refusal = str(error)
        crowd.remove(viewer)
        crowd.run(number * GOLDEN % 1 * KEY_EVERY / FPS)
    return Result(refusal=crowd.refusal, joins_ms=tuple(taken))


def _seen(viewer: Viewer) -> Seen:
    streams = viewer.streams.values()
    return Seen(
        packets=sum(stream.packets for stream in streams),
        sent=sum(stream.last for stream in streams),
        pictures=max((stream.pictures for stream in streams), default=0),
        broken=viewer.broken,
    )


def _payload(packet: bytes) -> bytes:
    at = 12 + (packet[0] & 0x0F) * 4
    if packet[0] & 0x10:
        at += 4 + int.from_bytes(packet[at + 2 : at + 4]) * 4
    return packet[at:]


def _has_key_slice(payload: bytes) -> bool:
    """Return whether an RTP payload has a part of an IDR slice: alone, in a STAP-A or in an FU-A (RFC 6184)."""
    kind = payload[0] & 0x1F
    if kind == 28:
        return payload[1] & 0x1F == 5
    at = 1
    while kind == 24 and at + 2 < len(payload):
        if payload[at + 2] & 0x1F == 5:
            return True
        at += 2 + int.from_bytes(payload[at : at + 2])
    return kind == 5


def _own_address() -> str:
    """Return the address at which local processes reach this one. Connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    result = join_again(plan) if plan.joins else watch(plan)
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
