"""Sends bodies that are large, deep, or lie about their length."""

import trio

from .target import Target

JSON = b"Content-Type: application/json\r\n"


async def attack(target: Target) -> None:
    """Five bodies per second, to all routes that take one."""
    bodies = (
        b"[" * 60_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"kind":"viewer","camera":"' + b"x" * 60_000 + b'"}',
        b'{"kind":' + b"9" * 50_000 + b"}",
        b"\xff" * 65_000,
        b'{"x":"' + b"\\u0000" * 10_000 + b'"}',
        bytes(2_000_000),
    )
    while True:
        path = target.rng.choice(("/api/leases", "/api/detections", f"/whep/{target.cameras[0]}", "/api/cameras"))
        await target.ask("POST", path, target.rng.choice(bodies), JSON)
        await trio.sleep(0.2)
