"""Clients for images: they request snapshots and give up after a timeout, or watch MJPEG for a while."""

import random
from collections.abc import Sequence

import trio

from supervisor.domain.ids import CameraId
from supervisor.services.gateway import Gateway

from .viewers import refusals


async def run_caller(client: str, cameras: Sequence[CameraId], gateway: Gateway, chance: random.Random) -> None:
    """Requests snapshots of one camera after the other, until it is cancelled."""
    while True:
        await trio.sleep(chance.expovariate(1 / 60))
        camera = chance.choice(cameras)
        patience_s = chance.choice((0.0, 0.05, 1, 5, 30))
        with trio.move_on_after(patience_s):
            async with refusals():
                await gateway.take_picture(camera, client, chance.choice((None, 0.5, 30.0)))


async def run_watcher(client: str, cameras: Sequence[CameraId], gateway: Gateway, chance: random.Random) -> None:
    """Watches the MJPEG stream of one camera after the other."""
    while True:
        await trio.sleep(chance.expovariate(1 / 60))
        async with refusals():
            row = gateway.watch_pictures(chance.choice(cameras), client)
            try:
                with trio.move_on_after(chance.expovariate(1 / 20)):
                    async for _ in row:
                        await trio.sleep(chance.uniform(0, 5))
            finally:
                await row.aclose()
