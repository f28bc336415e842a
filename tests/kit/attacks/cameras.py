"""Hostile cameras: each is opened by a request for a snapshot."""

from collections.abc import Awaitable, Callable

import trio

from .target import Target

Serve = Callable[[trio.SocketStream], Awaitable[None]]


async def _huge_header(stream: trio.SocketStream) -> None:
    await stream.receive_some(4096)
    lie = b'Digest realm="x" ' + b" " * 60_000 + b";"
    await stream.send_all(b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: " + lie + b"\r\n\r\n")
    await trio.sleep(5)


async def _many_headers(stream: trio.SocketStream) -> None:
    await stream.receive_some(4096)
    while True:
        await stream.send_all(b"RTSP/1.0 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(2000)))
        await trio.sleep(0.05)


async def _drip(stream: trio.SocketStream) -> None:
    for byte in b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n" + b"X: " + b"y" * 1000:
        await stream.send_all(bytes([byte]))
        await trio.sleep(0.1)


async def _continue(stream: trio.SocketStream) -> None:
    while True:
        await stream.send_all(b"RTSP/1.0 100 Continue\r\nCSeq: 1\r\n\r\n" * 200)
        await trio.sleep(0.02)


async def _requests(stream: trio.SocketStream) -> None:
    while True:
        await stream.send_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\n" * 100)
        await trio.sleep(0.02)


async def _redirect(stream: trio.SocketStream) -> None:
    here = f"rtsp://127.0.0.1:{stream.socket.getsockname()[1]}/again"
    while data := await stream.receive_some(4096):
        number = data.lower().partition(b"cseq:")[2].split(b"\r\n")[0].strip() or b"1"
        await stream.send_all(b"RTSP/1.0 302 Moved\r\nCSeq: " + number + f"\r\nLocation: {here}\r\n\r\n".encode())


async def _noise(stream: trio.SocketStream) -> None:
    while True:
        await stream.send_all(b"$\x00\xff\xff" + bytes(65535))
        await trio.sleep(0.05)


SERVERS: tuple[Serve, ...] = (_huge_header, _many_headers, _drip, _continue, _requests, _redirect, _noise)


async def serve(serve_one: Serve, task_status: trio.TaskStatus[str]) -> None:
    """One hostile camera; `task_status` is given its URL."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def handle(stream: trio.SocketStream) -> None:
        with trio.move_on_after(60):
            try:
                await serve_one(stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

    task_status.started(f"rtsp://127.0.0.1:{listener.socket.getsockname()[1]}/main")
    await trio.serve_listeners(handle, [listener])


async def attack(target: Target) -> None:
    """Open each of them, again and again."""
    async with trio.open_nursery() as nursery:
        for trap in target.traps:
            nursery.start_soon(_one, target, trap)


async def _one(target: Target, trap: str) -> None:
    while True:
        await target.ask("GET", f"/cameras/{trap}/snapshot.jpg?max_age=0")
        await trio.sleep(1)
