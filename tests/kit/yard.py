"""A yard of real components: real actors over a real kernel, a real ffmpeg for every camera, a real clock.

The journal is a list, as in `core.py`; this is the only fake.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import attrs
import trio

from actors.addresses import tcp_probe
from actors.camera.start_gate import StartGate
from actors.media.decoder.actor import run_decoder
from actors.media.decoder.client import Decoder
from actors.media.ffmpeg import find_ffmpeg
from actors.media.hub import Hub
from actors.process.process import OpenProcess, RealProcess
from actors.registry import Registry
from supervisor.config.config import Source
from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.restart import STARTS_PER_S
from supervisor.domain.state import Camera
from supervisor.domain.values import Limits
from supervisor.runtime.reconcile import run_reconcile
from supervisor.runtime.vault import Vault
from tests.kit.tools import make_tools

from .core import Core, open_core
from .domain import ASKED

STOPPED_WITHIN_S = 6.0
"""The documented maximum duration of a stop in seconds, plus a second for a busy machine."""


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
        """Return the stored events of a camera and its child processes."""
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
        tools = make_tools(
            core.kernel,
            core.nursery,
            sources=vault,
            open_process=open_process,
            ffmpeg=find_ffmpeg(),
            tcp_probe=tcp_probe,
            jitter=lambda: jitter,
        )
        registry = Registry(tools, decoder=decoder, starts=StartGate(starts_per_s))
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
