"""Hundreds of readers by RTSP for the benchmarks: `python -m ops.bench.lib.rtsp_receivers`, with a `ReadPlan` on stdin.

Rules of this file:
- Each reader is real to the server: it sends DESCRIBE, SETUP and PLAY, and reports about every five seconds.
- One thread, one selector. Packets are counted and discarded.

Output: a `ReadResult` as JSON.
"""

import re
import selectors
import socket
import struct
import sys
import time
from contextlib import suppress

import attrs
import msgspec

from .meter import cpu_s, pss_mb

SETTLE_S = 2.0
REPORT_S = 5.0
BUFFER = 4 * 1024 * 1024
SO_RCVBUFFORCE = 33
_REPORT = struct.pack(">BBHI", 0x80, 201, 1, 1)


@attrs.frozen
class ReadPlan:
    url: str
    transport: str
    """`tcp` or `udp`."""
    readers: int
    seconds: float
    server: int
    """Process id of the measured server."""
    stalled: int = 0
    """Readers among them that stop to read after PLAY."""


@attrs.frozen
class ReadResult:
    """CPU times in seconds during the window; memory in MB."""

    seconds: float
    cpu_s: float
    receivers_cpu_s: float
    pss_before_mb: float
    pss_mb: float
    packets: tuple[int, ...]
    """In the window, of each reader that reads."""
    lost: tuple[int, ...]
    pictures: tuple[int, ...]


class BenchReader:
    """One reader. `last` is the highest sequence number, extended beyond 65535."""

    def __init__(self, plan: ReadPlan) -> None:
        host, port = re.fullmatch(r"rtsp://([^:/]+):(\d+)/.*", plan.url).groups()  # type: ignore[union-attr]
        self._tcp, self._address = socket.create_connection((host, int(port))), (host, 0)
        self._rest, self._sequence = b"", 0
        self.packets = self.pictures = self.first = self.last = 0
        self.media: socket.socket = self._tcp
        transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
        self._rtcp: socket.socket | None = None
        if plan.transport == "udp":
            self.media, self._rtcp = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
            for each in (self.media, self._rtcp):
                each.bind((host, 0))
            with suppress(PermissionError):
                self.media.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
            ports = self.media.getsockname()[1], self._rtcp.getsockname()[1]
            transport = "RTP/AVP;unicast;client_port={}-{}".format(*ports)
        self._ask("DESCRIBE", plan.url)
        answer = self._ask("SETUP", f"{plan.url}/trackID=0", f"Transport: {transport}\r\n")
        if found := re.search(r"server_port=\d+-(\d+)", answer):
            self._address = host, int(found[1])
        session = re.search(r"Session: (\w+)", answer)
        self._ask("PLAY", plan.url, f"Session: {session[1]}\r\n" if session else "")
        self.media.setblocking(False)

    def _ask(self, method: str, url: str, more: str = "") -> str:
        self._sequence += 1
        self._tcp.sendall(f"{method} {url} RTSP/1.0\r\nCSeq: {self._sequence}\r\n{more}\r\n".encode())
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        text = head.decode()
        size = int(found[1]) if (found := re.search(r"Content-Length: (\d+)", text)) else 0
        while len(self._rest) < size:
            self._rest += self._more()
        self._rest = self._rest[size:]
        if not text.startswith("RTSP/1.0 200"):
            raise OSError(text.splitlines()[0])
        return text

    def _more(self) -> bytes:
        data = self._tcp.recv(65_536)
        if not data:
            raise OSError("the server has closed the connection")
        return data

    def read(self) -> None:
        """Read all that is there."""
        with suppress(BlockingIOError):
            while True:
                if self._rtcp is not None:
                    self._count(self.media.recv(2048))
                    continue
                data = self._rest + self._more()
                at, size = 0, len(data)
                while at + 4 <= size:
                    end = at + 4 + (data[at + 2] << 8 | data[at + 3])
                    if end > size:
                        break
                    if data[at + 1] == 0:
                        self._count(data[at + 4 : at + 16])
                    at = end
                self._rest = data[at:]

    def _count(self, head: bytes) -> None:
        sequence = head[2] << 8 | head[3]
        self.last = sequence if not self.packets else self.last + ((sequence - self.last + 0x8000) & 0xFFFF) - 0x8000
        self.first = self.first if self.packets else sequence
        self.packets += 1
        self.pictures += head[1] >> 7

    def report(self) -> None:
        with suppress(OSError):
            if self._rtcp is not None:
                self._rtcp.sendto(_REPORT, self._address)
            else:
                self._tcp.send(b"$\x01" + len(_REPORT).to_bytes(2) + _REPORT)

    def close(self) -> None:
        for each in (self.media, self._tcp, self._rtcp):
            if each is not None:
                each.close()


def run(plan: ReadPlan) -> ReadResult:
    before_mb = pss_mb(plan.server)
    readers = [BenchReader(plan) for _ in range(plan.readers)]
    reading = readers[plan.stalled :]
    selector = selectors.DefaultSelector()
    for each in reading:
        selector.register(each.media, selectors.EVENT_READ, each)
    _read(selector, reading, SETTLE_S)
    counts = [(each.packets, each.last, each.pictures) for each in reading]
    spent, own, began = cpu_s(plan.server), time.process_time(), time.monotonic()
    _read(selector, reading, plan.seconds)
    seconds = time.monotonic() - began
    spent, own = cpu_s(plan.server) - spent, time.process_time() - own
    pairs = list(zip(reading, counts, strict=True))
    result = ReadResult(
        seconds,
        spent,
        own,
        before_mb,
        pss_mb(plan.server),
        tuple(each.packets - packets for each, (packets, _, _) in pairs),
        tuple(each.last - last - (each.packets - packets) for each, (packets, last, _) in pairs),
        tuple(each.pictures - pictures for each, (_, _, pictures) in pairs),
    )
    for each in readers:
        each.close()
    return result


def _read(selector: selectors.BaseSelector, readers: list[BenchReader], seconds: float) -> None:
    until = time.monotonic() + seconds
    report_at = time.monotonic() + REPORT_S
    while (now := time.monotonic()) < until:
        for key, _ in selector.select(min(0.05, until - now)):
            key.data.read()
        if now >= report_at:
            report_at = now + REPORT_S
            for each in readers:
                each.report()
        time.sleep(0.005)  # packets are then read by the dozen


if __name__ == "__main__":
    made = run(msgspec.json.decode(sys.stdin.buffer.read(), type=ReadPlan))
    sys.stdout.buffer.write(msgspec.json.encode(made) + b"\n")
