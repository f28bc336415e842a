"""Acquires and releases leases as fast as it gets answers: each of them is journaled."""

import json

import trio

from .target import Target

RATE = 50
"""Leases per second; honest holders need one an hour."""


async def attack(target: Target) -> None:
    """`201` counts grants."""
    json_head = b"Content-Type: application/json\r\n"
    while True:
        wish = {"kind": "viewer", "camera": target.rng.choice(target.cameras), "purpose": "x" * 60}
        status, body = await target.ask("POST", "/api/leases", json.dumps(wish).encode(), json_head)
        if status == 201:
            granted = json.loads(body)
            await target.ask(
                "DELETE",
                f"/api/leases/{granted['lease']}",
                head=f"Authorization: Bearer {granted['secret']}\r\n".encode(),
            )
        await trio.sleep(1 / RATE)
