"""Hostile clients of a port that speaks TLS. Each kind has its own loopback address.

Plain HTTP is redirected there, so the other attacks do not reach the application of such a daemon.
"""

import ssl
from collections.abc import Awaitable, Callable

import trio
from OpenSSL import SSL

from .target import Target

SLOW_BYTE_S, PAUSE_S = 0.2, 0.5
SLOW, HALF, GARBAGE, PLAIN = 40, 40, 8, 8
SILENT, SILENT_PAUSE_S = 500, 5.0
"""Nearly all connections that the daemon has for all clients. Those that it closes come again after a pause."""
RENEGOTIATIONS = 200


def hello() -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    """A client's side, and what it receives and sends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(into, out, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return client, into, out


async def _many(target: Target, count: int, one: Callable[[Target], Awaitable[None]], pause_s: float = PAUSE_S) -> None:
    async def repeat() -> None:
        while True:
            with target.counting():
                await one(target)
            await trio.sleep(pause_s * (1 + target.rng.random()))

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(repeat)


async def slow(target: Target) -> None:
    """A ClientHello, byte by byte."""

    async def one(target: Target) -> None:
        data = hello()[2].read()
        async with await target.connect() as stream:
            for at in range(len(data)):
                await stream.send_all(data[at : at + 1])
                target.tally["bytes"] += 1
                await trio.sleep(SLOW_BYTE_S)

    await _many(target, SLOW, one)


async def half(target: Target) -> None:
    """A whole ClientHello, whose answer costs the daemon a signature; then nothing."""

    async def one(target: Target) -> None:
        async with await target.connect() as stream:
            await stream.send_all(hello()[2].read())
            while await stream.receive_some(4096):
                target.tally["answers"] += 1

    await _many(target, HALF, one)


async def handshakes(target: Target) -> None:
    """Whole handshakes, as fast as they go, and nothing after them."""

    async def one(target: Target) -> None:
        async with await target.connect() as plain:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            await trio.SSLStream(plain, context, server_hostname="localhost").do_handshake()
            target.tally["handshakes"] += 1

    await _many(target, HALF, one)


async def renegotiate(target: Target) -> None:
    """A client of TLS 1.2 that asks for a new handshake inside of its connection, again and again."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)

    async def shake(client: SSL.Connection, stream: trio.SocketStream) -> None:
        while True:
            try:
                return client.do_handshake()
            except SSL.WantReadError:
                await stream.send_all(client.bio_read(65_536))
                client.bio_write(bytes(await stream.receive_some(65_536)) or b"\0")

    async def one(target: Target) -> None:
        client = SSL.Connection(context, None)
        client.set_connect_state()
        async with await target.connect() as stream:
            try:
                await shake(client, stream)
                for _ in range(RENEGOTIATIONS):
                    target.tally["asked"] += 1
                    client.renegotiate()
                    await shake(client, stream)
                    target.tally["done"] += 1
            except SSL.Error:
                target.tally["refused"] += 1

    await _many(target, PLAIN, one)


async def garbage(target: Target) -> None:
    """Random bytes behind the first byte of a handshake, and inside of one."""

    async def one(target: Target) -> None:
        async with await target.connect() as stream:
            begin = hello()[2].read() if target.rng.random() < 0.5 else b"\x16\x03\x01"
            await stream.send_all(begin + target.rng.randbytes(16_000))
            target.tally["sent"] += 1
            while await stream.receive_some(4096):
                target.tally["answers"] += 1

    await _many(target, GARBAGE, one)


async def plain(target: Target) -> None:
    """Plain HTTP, of which the redirect is not read."""

    async def one(target: Target) -> None:
        async with await target.connect(room=4096) as stream:
            while True:
                await stream.send_all(b"GET /" + b"x" * 4000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
                target.tally["requests"] += 1

    await _many(target, PLAIN, one)


async def silent(target: Target) -> None:
    """Connections that say nothing; those that are closed are opened again."""

    async def one(target: Target) -> None:
        async with await target.connect() as stream:
            target.tally["held"] += 1
            await stream.receive_some(100)

    await _many(target, SILENT, one, SILENT_PAUSE_S)


TLS_ATTACKS: dict[str, Callable[[Target], Awaitable[None]]] = {
    "tls-slow": slow,
    "tls-half": half,
    "tls-handshakes": handshakes,
    "tls-renegotiation": renegotiate,
    "tls-garbage": garbage,
    "tls-plain": plain,
    "tls-silent": silent,
}
