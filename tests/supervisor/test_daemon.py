"""The order in which a life begins."""

import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.sources import KINDS
from supervisor.config import Config, Source, parse
from supervisor.daemon import (
    LOAD_LOOK_S,
    LOAD_LOOKS,
    Parts,
    _load,
    _reload,
    _run_reloads,
    _wait_for_stop,
    open_journal,
    run_daemon,
)
from supervisor.domain.ids import CameraId, ChildId, PeerId
from supervisor.domain.values import CameraSettings, Reason
from supervisor.gateway import Gateway, SocketStatistics
from supervisor.journal.reader import Query
from supervisor.kernel import Kernel
from supervisor.late import NotLoaded
from supervisor.printable import LogFormatter
from supervisor.vault import Vault
from tests.kit.core import open_core
from tests.kit.site import FakeHands

CONFIG = "cameras: {front: test:64x64@5}"


@attrs.define
class FakeActors(FakeHands):
    """Tell when a camera is opened, and do nothing else."""

    steps: list[str] = attrs.field(factory=list, kw_only=True)
    opened: trio.Event = attrs.field(factory=trio.Event, kw_only=True)
    waiting: int = 0
    """Cameras that wait to start."""
    errors: list[Exception] = attrs.field(factory=list, kw_only=True)
    """Raised by the next calls of `load`."""

    async def find_survivors(self) -> frozenset[ChildId]:
        self.steps.append("survivors")
        return frozenset()

    async def run_decoder(self) -> None:
        await trio.sleep_forever()

    async def run_sweep(self) -> None:
        await trio.sleep_forever()

    async def load(self) -> None:
        self.steps.append("load")
        if self.errors:
            raise self.errors.pop()

    def starts_waiting(self) -> tuple[int, float]:
        return self.waiting, 0.0

    async def run_camera(self, settings: CameraSettings) -> None:
        self.steps.append("camera")
        self.opened.set()
        await trio.sleep_forever()

    def reconfigure(self, settings: CameraSettings) -> None: ...

    def want(self, uses: Mapping[CameraId, str]) -> None: ...

    async def run_patrol(self, group: str) -> None: ...

    def stop_peer(self, peer: PeerId, reason: Reason) -> None: ...


async def test_the_run_is_stored_then_the_web_answers_then_cameras_are_opened(tmp_path: Path) -> None:
    """However long the web takes to be there, no camera is opened before it is."""
    steps: list[str] = []
    made: list[FakeActors] = []

    def make_actors(kernel: Kernel, vault: Vault, nursery: trio.Nursery) -> FakeActors:
        made.append(FakeActors(kernel, steps=steps))
        return made[0]

    async def run_web(gateway: Gateway, stop: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        stored = [row.type for row in await gateway.read(Query(), 100)]
        steps.extend(kind for kind in stored if kind.startswith(("Run", "Config")))
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        steps.append("web")
        task_status.started()
        await stop.wait()

    parts = Parts(make_actors, run_web, None, lambda: SocketStatistics(0, 1))
    config = parse(CONFIG, "banken.yaml", {}, {name: kind.check for name, kind in KINDS.items()})

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            ready = trio.Event()
            nursery.start_soon(run_daemon, config, open_journal(tmp_path), parts, ready.set)
            await ready.wait()
            await made[0].opened.wait()
            os.kill(os.getpid(), signal.SIGTERM)
    assert steps == ["survivors", "RunStarted", "ConfigurationApplied", "web", "camera"]


async def test_modules_for_viewers_are_imported_when_the_first_cameras_have_started(autojump_clock: MockClock) -> None:
    """Or after 2 s, when cameras still wait: those that failed may wait for long."""
    async with open_core() as core:
        actors, stop, began = FakeActors(core.kernel), trio.Event(), trio.current_time()

        async def start() -> None:
            actors.waiting = 30
            await trio.sleep(0.6)
            actors.waiting = 0
            assert actors.steps == []

        async with trio.open_nursery() as nursery:
            nursery.start_soon(start)
            await _load(actors, stop)
        assert (actors.steps, trio.current_time() - began) == (["load"], 0.75)
        actors.waiting, began = 30, trio.current_time()
        await _load(actors, stop)
        assert (actors.steps, trio.current_time() - began) == (["load", "load"], LOAD_LOOKS * LOAD_LOOK_S)
        stop.set()
        await _load(actors, stop)
        assert actors.steps == ["load", "load"]


async def test_modules_for_viewers_are_imported_again_while_the_system_refuses_it(autojump_clock: MockClock) -> None:
    """Twice it does; what is broken is not tried again, and ends nothing."""
    async with open_core() as core:
        refused = FakeActors(core.kernel, errors=[NotLoaded("no descriptor"), NotLoaded("no memory")])
        await _load(refused, trio.Event())
        assert refused.steps == ["load"] * 3
        broken = FakeActors(core.kernel, errors=[ImportError("odd"), ImportError("odd")])
        await _load(broken, trio.Event())
        assert broken.steps == ["load"]


def read(text: str) -> Config:
    return parse(text, "banken.yaml", {}, {name: kind.check for name, kind in KINDS.items()})


async def test_reload_hides_the_new_list_of_secrets_in_the_log_at_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that leaked is hidden from the next line on; and the list is not said to wait for the next start."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter("%(message)s", ["streamkey1"]))
    monkeypatch.setattr(logging.getLogger(), "handlers", [*logging.getLogger().handlers, handler])
    running, changed = read(f"{CONFIG}\nsecret: [streamkey1]"), read(f"{CONFIG}\nsecret: [streamkey2]")
    record = logging.LogRecord("x", logging.ERROR, "", 1, "streamkey1 streamkey2", (), None)
    async with open_core() as core:
        assert handler.format(record) == "*** streamkey2"
        with caplog.at_level(logging.INFO):
            await _reload(core.kernel, Vault(), running, lambda: changed)
        assert handler.format(record) == "streamkey1 ***"
    assert "1 cameras" in caplog.text
    assert "next start" not in caplog.text


async def test_reload_warns_of_arguments_that_look_secret(caplog: pytest.LogCaptureFixture) -> None:
    """As a start does."""
    changed = read("cameras: {front: {ffmpeg: [-re, -i, 'http://h/x?sid=geheim']}}")
    async with open_core() as core:
        await _reload(core.kernel, Vault(), read(CONFIG), lambda: changed)
    assert "ffmpeg of front: arguments that look secret" in caplog.text
    assert "geheim" not in caplog.text


async def test_reload_reads_and_redacts_in_a_thread() -> None:
    """A thousand sources take a tenth of a second to redact; the loop only takes the result, and once."""
    threads: list[threading.Thread] = []

    class NotedVault(Vault):
        def settings_of(self, sources: Mapping[CameraId, Source]) -> tuple[CameraSettings, ...]:
            threads.append(threading.current_thread())
            return super().settings_of(sources)

    async with open_core() as core:
        vault = NotedVault()
        await _reload(core.kernel, vault, read(CONFIG), lambda: read(CONFIG))
        assert vault.find(CameraId("front")) is not None
        assert [*core.kernel.state.cameras] == ["front"]
    assert len(threads) == 1
    assert threading.current_thread() not in threads


async def test_reload_that_is_asked_for_while_a_file_is_read_comes_after_it_once() -> None:
    """The newest file is taken last; a hundred signals meanwhile are one more reload, and none is lost."""
    files, reading, go_on = [CONFIG], threading.Event(), threading.Event()
    taken: list[str] = []

    def reload() -> Config:
        taken.append(files[-1])
        reading.set()
        go_on.wait(20)
        return read(taken[-1])

    async with open_core() as core, trio.open_nursery() as nursery:
        asked, asks = trio.open_memory_channel[None](1)
        nursery.start_soon(_run_reloads, asks, partial(_reload, core.kernel, Vault(), read(CONFIG), reload))
        asked.send_nowait(None)
        await trio.to_thread.run_sync(reading.wait, 20)
        files.append(CONFIG.replace("front", "back"))
        with pytest.raises(AssertionError, match="signals never end"):
            await _wait_for_stop(signals_of(100), asked)
        go_on.set()
        asked.close()
    assert taken == files
    assert [*core.kernel.state.cameras] == ["back"]


async def signals_of(count: int) -> AsyncIterator[int]:
    """So many SIGHUPs, one after the other."""
    for _ in range(count):
        await trio.lowlevel.checkpoint()
        yield signal.SIGHUP
