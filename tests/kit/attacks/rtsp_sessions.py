"""Asks for sessions of RTSP without end and in any order, with channels and ports that are not its own."""

import socket

import trio

from .rtsp_readers import TCP, encode
from .target import ANSWER_S, Target, drain, read_all

ASKERS, EVERY_S = 5, 0.2
MANY = 10_000
CHANNELS = ("0-1", "254-255", "255-256", "999-1000", "-1-0", "1-1", "x", "1-0", "0")
METHODS = (
    "OPTIONS",
    "DESCRIBE",
    "SETUP",
    "PLAY",
    "PAUSE",
    "TEARDOWN",
    "GET_PARAMETER",
    "ANNOUNCE",
    "RECORD",
    "FROBNICATE",
)


async def attack(target: Target) -> None:
    """`ASKERS` with random conversations, one with ten thousand sessions, and one with ports of others.

    `elsewhere` counts datagrams to an address that is not that of the connection.
    """
    async with trio.open_nursery() as nursery:
        for _ in range(ASKERS):
            nursery.start_soon(_converse, target)
        nursery.start_soon(_flood, target)
        nursery.start_soon(_aim, target)


def _request(target: Target, number: int) -> bytes:
    """One request of any kind, about either track of some camera."""
    chance = target.rng
    url = target.url if chance.random() < 0.8 else target.url.rpartition("/")[0] + f"/{chance.choice(target.cameras)}"
    method = chance.choice(METHODS)
    port = chance.choice((22, 1023, 1024, target.rtsp, chance.randrange(1024, 65536), 65_535, 99_999))
    udp = f"RTP/AVP;unicast;client_port={port}-{port + 1}"
    transport = chance.choice((f"RTP/AVP/TCP;unicast;interleaved={chance.choice(CHANNELS)}", udp, "RTP/AVP;multicast"))
    headers = f"Transport: {transport}\r\n" if method == "SETUP" else ""
    if chance.random() < 0.2:
        headers += f"Session: {chance.randbytes(8).hex()}\r\n"
    return encode(method, url + chance.choice(("", "/trackID=0", "/trackID=1", "/trackID=2")), headers, number)


async def _converse(target: Target) -> None:
    """Requests in any order, in one piece. The answers are counted, as far as they come."""
    while True:
        with target.counting(), trio.move_on_after(ANSWER_S):
            async with await target.connect(port=target.rtsp) as stream:
                await stream.send_all(b"".join(_request(target, number) for number in range(20)))
                await stream.send_eof()
                answer = await read_all(stream)
            for part in answer.split(b"RTSP/1.0 ")[1:]:
                target.tally[part[:3].decode("ascii", "replace")] += 1
        await trio.sleep(EVERY_S)


async def _flood(target: Target) -> None:
    """`MANY` sessions in one connection."""
    url = target.url
    set_up = encode("SETUP", f"{url}/trackID=0", f"Transport: {TCP}\r\n") + encode("PLAY", url)
    while True:
        session = target.rng.choice((set_up, set_up + encode("TEARDOWN", url)))
        with target.counting():
            async with await target.connect(port=target.rtsp) as stream:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(drain, stream)
                    with target.counting():
                        await stream.send_all(session * MANY)
                        target.tally["sessions"] += MANY
                    nursery.cancel_scope.cancel()
        await trio.sleep(1)


async def _aim(target: Target) -> None:
    """Video to another address of this machine, and to the daemon's own ports."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.bind(("127.0.0.1", 0))
        victim.setblocking(False)
        while True:
            ports = [victim.getsockname()[1], *(port for _, port in target.udp_ports())]
            for port in ports[:8]:
                other = f"destination=127.0.0.1;source=127.0.0.1;client_port={port}-{port + 1}"
                with target.counting(), trio.move_on_after(ANSWER_S):
                    async with await target.connect(port=target.rtsp) as stream:
                        transport = f"Transport: RTP/AVP;unicast;{other}\r\n"
                        set_up = encode("SETUP", f"{target.url}/trackID=0", transport)
                        await stream.send_all(set_up + encode("PLAY", target.url))
                        target.tally["aimed"] += 1
                        await read_all(stream)
                try:
                    while victim.recv(2048):
                        target.tally["elsewhere"] += 1
                except BlockingIOError:
                    pass
            await trio.sleep(EVERY_S)
