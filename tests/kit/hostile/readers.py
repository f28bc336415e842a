"""The server of readers as a target: what one connection sends, damaged, beside a reader that must not notice it."""

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from actors.media.audio import OPUS
from actors.media.media import CLOCK_RATE
from actors.rtsp_server import connection
from actors.rtsp_server.requests import PHRASES

from ..media import FPS, access_units
from ..rtsp_site import Client, Site, open_site
from .judge import Take, Wrong

HOST = "127.0.0.77"
"""The address of the hostile client, and so of all datagrams that it asks for."""
BUSY = 1000.0
"""Seconds of work that a connection may have in a second: here it is not slowed down."""
TURNS = 1000
"""Steps of the loop within which a reader that has gone is closed in the state."""
_HEAD = re.compile(rb"RTSP/1\.0 (\d{3}) [A-Za-z ]+\r\n((?:[A-Za-z-]+: [^\r\n]+\r\n)+)\r\n")


def _request(method: str, path: str = "gate", *headers: str, number: int = 1) -> bytes:
    lines = (f"{method} rtsp://127.0.0.1:8554/{path} RTSP/1.0", f"CSeq: {number}", *headers, "", "")
    return "\r\n".join(lines).encode()


OPTIONS, DESCRIBE, PLAY = _request("OPTIONS"), _request("DESCRIBE", "gate", "Accept: application/sdp"), _request("PLAY")
VIDEO = _request("SETUP", "gate/trackID=0", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
AUDIO = _request("SETUP", "gate/trackID=1", "Transport: RTP/AVP/TCP;unicast;interleaved=2-3")
DATAGRAMS = _request("SETUP", "gate/trackID=0", "Transport: RTP/AVP;unicast;client_port=50000-50001")
OTHERS = _request("SETUP", "gate/trackID=1", "Transport: RTP/AVP;multicast,RTP/AVP/UDP;unicast;client_port=50002")
KEEP, TEARDOWN = _request("GET_PARAMETER", "gate", "Session: 1;timeout=60"), _request("TEARDOWN")
REPORT = b"$\x01\x00\x20" + b"\x81\xc9\x00\x07" + bytes(28)
CONVERSATIONS = (
    OPTIONS + DESCRIBE + VIDEO + AUDIO + PLAY + REPORT + KEEP + PLAY + TEARDOWN,
    OPTIONS + DESCRIBE + DATAGRAMS + OTHERS + PLAY + _request("SET_PARAMETER", "gate", "Content-Length: 2") + b"\r\n",
    VIDEO + PLAY + REPORT * 5 + b"$\x00\x00\x00" + KEEP * 3 + TEARDOWN + OPTIONS,
    DESCRIBE + _request("DESCRIBE", "yard") + VIDEO + DATAGRAMS + VIDEO + TEARDOWN + PLAY,
    _request("ANNOUNCE") + _request("RECORD") + _request("PAUSE", "gate", "Range: npt=0-") + _request("X_Y"),
    _request("OPTIONS", "gate", "Require: play.scale")
    + _request("SETUP", "gate", 'Transport: "RTP/AVP/TCP";mode="PLAY"'),
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
)


@asynccontextmanager
async def open_readers() -> AsyncIterator[Take]:
    """Each input is one connection. An honest reader must stay there, alone."""
    share, connection.RATE, connection.BURST_S = (connection.RATE, connection.BURST_S), BUSY, BUSY
    try:
        async with open_site() as site, trio.open_nursery() as nursery:
            site.hear(OPUS)
            publish(site, 0)
            honest = await Client.connect(site)
            await honest.play(site)
            nursery.start_soon(_read, honest)
            alone, number = set(site.core.kernel.state.peers), 0

            async def take(data: bytes) -> bool:
                nonlocal number
                number += 1
                answers = statuses(await converse(site.port, data))
                publish(site, number)
                for _ in range(TURNS):
                    if set(site.core.kernel.state.peers) == alone:
                        return 200 in answers
                    await trio.lowlevel.checkpoint()
                raise Wrong("a reader is left behind, or the honest one is gone")

            yield take
            nursery.cancel_scope.cancel()
    finally:
        connection.RATE, connection.BURST_S = share


def publish(site: Site, number: int) -> None:
    site.hub.publish(access_units()[number % 40], number * CLOCK_RATE // FPS)


async def _read(client: Client) -> None:
    while True:
        await client.frame()


async def converse(port: int, data: bytes) -> bytes:
    """Send everything at once and half-close the connection. Returns what comes back until it is closed."""
    answer = bytearray()
    with trio.socket.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await client.bind((HOST, 0))
        await client.connect(("127.0.0.1", port))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send, client, data)
            try:
                while chunk := await client.recv(65_536):
                    answer += chunk
            except ConnectionResetError:  # it has closed before it had read everything
                pass
            nursery.cancel_scope.cancel()
    return bytes(answer)


async def _send(client: trio.socket.SocketType, data: bytes) -> None:
    try:
        view = memoryview(data)
        while view:
            view = view[await client.send(view) :]
        client.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def statuses(answer: bytes) -> list[int]:
    """The statuses in what a connection got, without its frames. An answer that was cut off by the end is left out."""
    found, at = [], 0
    while at < len(answer):
        if answer[at] == 0x24:
            at += 4 + int.from_bytes(answer[at + 2 : at + 4])
            continue
        head = _HEAD.match(answer, at)
        if head is None:
            if b"\r\n\r\n" in answer[at:]:
                raise Wrong(f"no answer of RTSP: {answer[at : at + 200]!r}")
            break
        status, length = int(head[1]), re.search(rb"Content-Length: (\d+)\r\n", head[2])
        if status not in PHRASES or (status >= 500 and status not in (501, 503, 551)):
            raise Wrong(f"the answer {status}")
        found.append(status)
        at = head.end() + (int(length[1]) if length else 0)
    return found
