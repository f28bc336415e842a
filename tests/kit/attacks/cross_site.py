"""Acts as a page of another site in the operator's browser."""

import trio

from .target import Target

SITES = (b"cross-site", b"same-site")


async def attack(target: Target) -> None:
    """`opened` counts requests that were not refused as foreign: another refusal comes after a camera was opened."""
    while True:
        head = b"Origin: https://evil.example\r\nReferer: https://evil.example/\r\nSec-Fetch-Mode: no-cors\r\n"
        head += b"Sec-Fetch-Dest: image\r\nSec-Fetch-Site: " + target.rng.choice(SITES) + b"\r\n"
        camera = target.rng.choice(target.cameras)
        path = target.rng.choice(
            (f"/cameras/{camera}/snapshot.jpg?max_age=0", f"/cameras/{camera}/stream.mjpeg", "/api/cameras", "/metrics")
        )
        status, _ = await target.ask("GET", path, head=head)
        target.tally["opened"] += status not in (0, 403)
        await trio.sleep(0.2)
