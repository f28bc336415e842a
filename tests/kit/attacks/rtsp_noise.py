"""Sends to the port of RTSP what is no RTSP, or only a part of it, and opens more connections than it may have."""

import ssl

import trio

from .target import ANSWER_S, Target, read_all

SENDERS, EVERY_S, HELD_S = 10, 0.1, 15.0
CROWD = 300
"""Connections at once: more than one client may have."""
FRAME = b"$\x01\x05\xb4" + bytes(1460)
HALVES = (b"", b"OPT", b"OPTIONS * RTSP/1.0\r\nCSe", b"SETUP * RTSP/1.0\r\nContent-Length: 60000\r\n\r\nx", FRAME[:99])
WHOLE = (
    b"OPTIONS * RTSP/1.0\r\nX: " + b"x" * 100_000,
    b"OPTIONS * RTSP/1.0\r\n" + b"a:\r\n" * 30_000,
    b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 999999999\r\n\r\n",
    b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 65536\r\n\r\n" + bytes(65_536),
    b"SETUP rtsp://h/steady-0/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: " + b"," * 16_000 + b"\r\n\r\n",
    b"DESCRIBE rtsp://h/" + b"%41" * 5000 + b" RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    b"OPTIONS * RTSP/1.0\r\n\r\n",
    b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nRequire: play.scale\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n" * 1000,
    b"GET /dashboard/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /steady-0 HTTP/1.0\r\nx-sessioncookie: 1\r\nAccept: application/x-rtsp-tunnelled\r\n\r\n",
    b"POST /steady-0 HTTP/1.0\r\nx-sessioncookie: 1\r\nContent-Length: 32767\r\n\r\nT1BUSU9OUw==",
    FRAME * 1000,
    bytes(100),
)


def client_hello() -> bytes:
    """The first bytes of a TLS client."""
    sent = ssl.MemoryBIO()
    stranger = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    try:
        stranger.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return sent.read()


async def attack(target: Target) -> None:
    """`SENDERS` connections with one input each, again and again; beside them a crowd, and one byte a second."""
    kinds = (*WHOLE, client_hello())
    async with trio.open_nursery() as nursery:
        for _ in range(SENDERS):
            nursery.start_soon(_send, target, kinds)
        nursery.start_soon(_hold, target)
        nursery.start_soon(_drip, target)
        nursery.start_soon(_crowd, target)


async def _send(target: Target, kinds: tuple[bytes, ...]) -> None:
    while True:
        with target.counting(), trio.move_on_after(ANSWER_S):
            async with await target.connect(port=target.rtsp) as stream:
                try:
                    await stream.send_all(target.rng.choice(kinds))
                except trio.BrokenResourceError:
                    pass  # it may answer before it has read everything
                await stream.send_eof()
                answer = await read_all(stream)
            target.tally[answer[9:12].decode("ascii", "replace") or "no answer"] += 1
        await trio.sleep(EVERY_S)


async def _hold(target: Target) -> None:
    """Halves of requests, and silence."""
    while True:
        with target.counting(), trio.move_on_after(HELD_S):
            async with await target.connect(port=target.rtsp) as stream:
                await stream.send_all(target.rng.choice(HALVES))
                target.tally["halves"] += 1
                await read_all(stream)


async def _drip(target: Target) -> None:
    """A request at one byte a second."""
    while True:
        with target.counting():
            async with await target.connect(port=target.rtsp) as stream:
                for byte in WHOLE[2]:
                    await stream.send_all(bytes((byte,)))
                    target.tally["drops"] += 1
                    await trio.sleep(1)


async def _crowd(target: Target) -> None:
    """`CROWD` connections that ask for nothing, held for some seconds."""
    while True:
        async with trio.open_nursery() as nursery:
            for _ in range(CROWD):
                nursery.start_soon(_stand, target)
        await trio.sleep(1)


async def _stand(target: Target) -> None:
    with target.counting():
        async with await target.connect(port=target.rtsp) as stream:
            target.tally["crowd"] += 1
            with trio.move_on_after(ANSWER_S):
                await read_all(stream)
