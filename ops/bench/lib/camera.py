"""Test cameras: `python -m ops.bench.lib.camera FILE (--rtsp | --rtp=PORT …) [--stamps]`.

With `--rtsp`, an RTSP server on which every path is a camera that plays the file (RTP inside the connection only, RFC
2326, section 10.12); it prints its port. With `--rtp`, the file is sent to UDP ports of this machine. Cameras start at
different instants, as real ones do. With `--stamps`, a slice of each access unit carries the time at which it was sent.
"""

import argparse
import base64
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from random import random

import trio

from actors.media.h264 import PPS, SPS, nal_type

from .stream import CLOCK_RATE, FPS, PAYLOAD_TYPE, Picture, packets, read_pictures

SSRC = 0x0BA2CE2
SESSION = "Session: 1;timeout=60"


Clock = Callable[[], int | None]
"""Returns the time for the stamp, in nanoseconds of CLOCK_REALTIME like the kernel's time stamps; None for no stamp."""


async def play(pictures: Sequence[Picture], clock: Clock, send: Callable[[list[bytes]], Awaitable[None]]) -> None:
    """Pass the packets of each access unit to `send` at its time, in an endless loop.

    Cancellation: at any time. Cleanup: holds nothing.
    """
    began, index, sequence = trio.current_time() + random() / FPS, 0, 0
    while True:
        await trio.sleep_until(began + index / FPS)
        batch = packets(pictures, index, sequence, SSRC, clock())
        await send(batch)
        index, sequence = index + 1, sequence + len(batch)


async def serve(pictures: Sequence[Picture], clock: Clock, stream: trio.SocketStream) -> None:
    """Serve one RTSP connection until its reader leaves.

    Cancellation: at any time. Cleanup: the connection is closed.
    """
    turn = trio.Lock()

    async def say(data: bytes) -> None:
        async with turn:
            await stream.send_all(data)

    async def send(batch: list[bytes]) -> None:
        await say(b"".join(b"$\x00" + len(packet).to_bytes(2) + packet for packet in batch))

    try:
        async with stream, trio.open_nursery() as nursery:
            async for request in _requests(stream):
                method, answer = _answer(request, pictures)
                await say(answer)
                if method == "PLAY":
                    nursery.start_soon(play, pictures, clock, send)
                elif method == "TEARDOWN":
                    break
            nursery.cancel_scope.cancel()
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the reader has closed the connection


async def _requests(stream: trio.SocketStream) -> AsyncGenerator[str, None]:
    """Yield the reader's requests; receiver reports in between are skipped."""
    buffer = b""
    async for data in stream:
        buffer += data
        while buffer:
            if buffer.startswith(b"$"):
                end = 4 + int.from_bytes(buffer[2:4])
                if len(buffer) < max(4, end):
                    break
                buffer = buffer[end:]
            else:
                request, found, rest = buffer.partition(b"\r\n\r\n")
                if not found:
                    break
                yield request.decode()
                buffer = rest


def _answer(request: str, pictures: Sequence[Picture]) -> tuple[str, bytes]:
    first, *headers = request.split("\r\n")
    method, url, _ = first.split()
    count = next(line.partition(":")[2].strip() for line in headers if line.lower().startswith("cseq:"))
    lines, body = ["RTSP/1.0 200 OK", f"CSeq: {count}"], ""
    if method == "OPTIONS":
        lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN")
    elif method == "DESCRIBE":
        body = describe(pictures)
        lines += ["Content-Type: application/sdp", f"Content-Base: {url}/", f"Content-Length: {len(body)}"]
    elif method == "SETUP":
        lines += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", SESSION]
    else:
        lines.append(SESSION)
    return method, "\r\n".join([*lines, "", body]).encode()


def describe(pictures: Sequence[Picture]) -> str:
    """Return the SDP of a camera."""
    units = pictures[0].units
    sets = [next(unit for unit in units if nal_type(unit) == wanted) for wanted in (SPS, PPS)]
    encoded = ",".join(base64.b64encode(unit).decode() for unit in sets)
    format_ = f"packetization-mode=1;profile-level-id={sets[0][1:4].hex()};sprop-parameter-sets={encoded}"
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=bench", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*"]
    lines += [f"m=video 0 RTP/AVP {PAYLOAD_TYPE}", f"a=rtpmap:{PAYLOAD_TYPE} H264/{CLOCK_RATE}"]
    lines += [f"a=fmtp:{PAYLOAD_TYPE} {format_}", f"a=framerate:{FPS}", "a=control:track1"]
    return "\r\n".join([*lines, ""])


async def feed(pictures: Sequence[Picture], clock: Clock, port: int) -> None:
    """Send the file as RTP to a UDP port of this machine."""
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        async def send(batch: list[bytes]) -> None:
            for packet in batch:
                await sender.sendto(packet, ("127.0.0.1", port))

        await play(pictures, clock, send)


async def run(pictures: Sequence[Picture], options: argparse.Namespace) -> None:
    clock = time.time_ns if options.stamps else lambda: None
    async with trio.open_nursery() as nursery:
        for port in options.rtp:
            nursery.start_soon(feed, pictures, clock, port)
        if options.rtsp:
            listeners = await nursery.start(trio.serve_tcp, partial(serve, pictures, clock), 0)
            print(listeners[0].socket.getsockname()[1], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rtsp", action="store_true")
    parser.add_argument("--rtp", type=int, action="append", default=[])
    parser.add_argument("--stamps", action="store_true")
    options = parser.parse_args()
    trio.run(run, read_pictures(options.file), options)


if __name__ == "__main__":
    main()
