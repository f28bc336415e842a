"""Opens WebRTC peers that it never completes, and closes them immediately."""

import re
from pathlib import Path

import trio

from .target import ANSWER_S, Target, read_all

OFFER = (Path(__file__).parents[1] / "chromium.sdp").read_text()
RATE = 20


async def attack(target: Target) -> None:
    """`201` counts offers that were answered."""
    body = "\r\n".join(line for line in OFFER.splitlines() if ".local" not in line).encode() + b"\r\n"
    while True:
        camera = target.rng.choice(target.cameras)
        with target.counting(), trio.move_on_after(ANSWER_S):
            async with await target.connect() as stream:
                head = f"POST /whep/{camera} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
                head += b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(body)
                await stream.send_all(head + body)
                answer = await read_all(stream)
            target.tally[answer[9:12].decode("ascii", "replace")] += 1
            found = re.search(rb"(?i)\r\nlocation: (\S+)", answer)
            if found and target.rng.random() < 0.8:  # the others end by their timeout
                path = found[1].decode()
                await target.ask("DELETE", path if path.startswith("/") else f"/whep/{path}")
        await trio.sleep(1 / RATE)
