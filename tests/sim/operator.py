"""The operator: removes cameras and adds them again, changes and retries them, and disconnects viewers."""

import random
from collections.abc import Mapping

import trio
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import LOST
from supervisor.domain.values import CameraSettings, Fault, Mode, Reason, RecordMode
from supervisor.ports.decisions import Origin
from supervisor.services.gateway import Gateway

from .viewers import refusals

KICKED = Reason("kicked", "the operator ended it", Fault.NONE)
OPERATOR = Origin("client:192.0.2.1")


async def run_operator(configured: c.Configure, gateway: Gateway, chance: random.Random) -> None:
    """Act every few minutes, until cancelled."""
    whole = {settings.camera: settings for settings in configured.cameras}
    now: dict[CameraId, CameraSettings] = dict(whole)
    while True:
        await trio.sleep(chance.expovariate(1 / 120))
        if chance.random() < 0.3:
            await kick(gateway, chance)
            continue
        now = change(whole, now, chance)
        async with refusals():
            await gateway.submit(replace(configured, cameras=tuple(now.values())), OPERATOR)


def change(
    whole: Mapping[CameraId, CameraSettings], now: Mapping[CameraId, CameraSettings], chance: random.Random
) -> dict[CameraId, CameraSettings]:
    """Remove one camera, add it again, or change its settings."""
    name = chance.choice(list(whole))
    if name not in now:
        return {**now, name: whole[name]}
    kind = chance.random()
    if kind < 0.3:
        return {other: settings for other, settings in now.items() if other != name}
    if kind < 0.6:
        modes = [mode for mode in Mode if mode is not Mode.PATROL or now[name].record is RecordMode.OFF]
        return {**now, name: replace(now[name], mode=chance.choice(modes))}
    if kind < 0.75 and whole[name].record is not RecordMode.OFF and now[name].mode is not Mode.PATROL:
        other = RecordMode.OFF if now[name].record is RecordMode.ALWAYS else RecordMode.ALWAYS
        return {**now, name: replace(now[name], record=other)}
    source = replace(now[name].source, revision=now[name].source.revision + 1)
    return {**now, name: replace(now[name], source=source)}


async def kick(gateway: Gateway, chance: random.Random) -> None:
    """Close a random peer, if there is one."""
    peers = sorted(gateway.snapshot().state.peers)
    if peers:
        async with refusals():
            await gateway.submit(c.ClosePeer(chance.choice(peers), KICKED), OPERATOR)


async def run_retries(gateway: Gateway, chance: random.Random) -> None:
    """Request a retry of a random lost camera from time to time, until cancelled."""
    while True:
        await trio.sleep(chance.expovariate(1 / 30))
        cameras = gateway.state.cameras.values()
        lost = sorted(camera.settings.camera for camera in cameras if camera.phase in LOST)
        if lost:
            retry = c.RetryCamera(chance.choice(lost), "192.0.2.1", confirmed=chance.random() < 0.5)
            async with refusals():
                await gateway.submit(retry, OPERATOR)
