"""A yard of real things: real actors over a real kernel, a real ffmpeg for every camera, a real clock.

The journal is a list, as in `core.py`; nothing else is pretended.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import attrs
import trio

from actors.decoder.actor import run_decoder
from actors.decoder.client import Decoder
from actors.ffmpeg import find_ffmpeg
from actors.hub import Hub
from actors.process import OpenProcess, RealProcess
from actors.process_table import RealProcessTable
from actors.registry import Registry
from actors.tools import StartGate, Tools, knock
from supervisor.config import Source
from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.restart import STARTS_PER_S
from supervisor.domain.state import Camera
from supervisor.domain.values import Limits
from supervisor.reconcile import run_reconcile
from supervisor.vault import Vault

from .core import Core, open_core
from .domain import ASKED

STOPPED_WITHIN_S = 6.0
"""What banken promises a stop takes, and a second for a busy machine."""


@attrs.define
class Yard:
    core: Core
    registry: Registry
    vault: Vault

    def camera(self, name: CameraId) -> Camera:
        return self.core.kernel.state.cameras[name]

    def hub(self, name: CameraId) -> Hub:
        return self.registry._cameras[name].hub

    def events(self, name: CameraId) -> list[Recorded]:
        """What has been decided of a camera and its children so far, as far as it is stored."""
        return [row for row in self.core.disk.rows if getattr(row.event, "camera", None) == name]

    async def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Wait for a change of state that makes a condition hold; whether it came in time."""
        with trio.move_on_after(within_s):
            while not holds():
                await self.core.kernel.wait_change(self.core.kernel.state.seq)
        return holds()


@asynccontextmanager
async def open_yard(
    sources: Mapping[CameraId, Source],
    jitter: float = 0.5,
    starts_per_s: int = STARTS_PER_S,
    open_process: OpenProcess = RealProcess,
) -> AsyncIterator[Yard]:
    """Cameras of these sources, running, and the decoder.

    At the end banken is asked to stop, and must have left no child behind.
    """
    async with open_core(*sources) as core:
        vault, decoder = Vault(), Decoder()
        await core.kernel.submit(c.Configure("test", vault.take(sources), Limits()))
        tools = Tools(
            kernel=core.kernel,
            sources=vault,
            open_process=open_process,
            processes=RealProcessTable(),
            ffmpeg=find_ffmpeg(),
            knock=knock,
            ice_servers=(),
            decoder=decoder,
            jitter=lambda: jitter,
            keep=core.nursery,
            starts=StartGate(starts_per_s),
        )
        registry = Registry(tools)
        async with trio.open_nursery() as decoding:
            decoding.start_soon(run_decoder, decoder, tools)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run_reconcile, core.kernel, registry, tools.jitter)
                yield Yard(core, registry, vault)
                core.kernel.emit(c.StopRun(ASKED))
                nursery.cancel_scope.deadline = trio.current_time() + STOPPED_WITHIN_S
            decoding.cancel_scope.cancel(reason="no camera wants a picture")
        assert not nursery.cancel_scope.cancelled_caught, f"not stopped within {STOPPED_WITHIN_S:g} s"
        assert not core.kernel.state.children, "a child was left"
