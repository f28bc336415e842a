"""Programs of the section `daemons`, as scripted processes in virtual time, and as real ones."""

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio
from trio.testing import MockClock

from actors.process.daemons import PROVED_S, Daemons
from actors.process.process import RealProcess
from supervisor.config.config import Daemon
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.restart import CRASHES, QUARANTINE_BASE_S
from supervisor.domain.values import Limits
from supervisor.runtime.vault import Vault
from tests.kit.core import Core, open_core
from tests.kit.patience import give_up_after
from tests.kit.shared_memory import SHM, SharedRing
from tests.kit.tools import make_tools
from tests.kit.world import FakeProcess, Script, hangs

NAME = f"/banken-daemon-{os.getpid()}"
SECRET = "very-secret-value"


async def fails(process: FakeProcess) -> int:
    await process.say("no camera found")
    return 3


async def runs_and_ends(process: FakeProcess) -> int:
    await trio.sleep(100)
    return 0


@attrs.define
class Yard:
    core: Core
    vault: Vault
    daemons: Daemons
    processes: list[FakeProcess]
    starts: list[float]

    def configure(self, *daemons: Daemon) -> None:
        """As at a reload."""
        configured = self.core.kernel.emit(c.Configure("test", (), Limits())).events[0]
        self.vault.take_daemons({daemon.name: daemon for daemon in daemons}, configured)

    @property
    def alerts(self) -> list[str]:
        return [alert.text for alert in self.core.kernel.state.alerts.values()]


@asynccontextmanager
async def running(*daemons: Daemon, script: Script = hangs, real: bool = False) -> AsyncIterator[Yard]:
    async with open_core() as core, trio.open_nursery() as nursery:
        vault, processes, starts = Vault(), list[FakeProcess](), list[float]()

        def open_process(
            arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes | None, guarded: bool
        ) -> FakeProcess:
            assert guarded, "its descendants would escape"
            processes.append(FakeProcess(1000 + len(processes), arguments, stdin))
            starts.append(trio.current_time())
            nursery.start_soon(processes[-1].run, script)
            return processes[-1]

        tools = make_tools(
            core.kernel,
            nursery,
            sources=vault,
            open_process=RealProcess if real else open_process,
            jitter=lambda: 0.999,
        )
        yard = Yard(core, vault, Daemons(tools), processes, starts)
        yard.configure(*daemons)
        nursery.start_soon(yard.daemons.run)
        yield yard
        nursery.cancel_scope.cancel()


def shell(text: str, name: str = "switcher", **more: str) -> Daemon:
    return Daemon(name, ("/bin/sh", "-c", text), **more)  # type: ignore[arg-type]


def is_alive(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_daemon_that_ends_is_started_again_with_growing_waits_and_then_rests(autojump_clock: MockClock) -> None:
    """Its exit code does not matter. One alert stands for all of it, and health with it."""
    async with running(shell("x"), script=fails) as yard:
        await trio.sleep(60)
        gaps = [round(later - earlier) for earlier, later in zip(yard.starts, yard.starts[1:], strict=False)]
        assert gaps[:4] == [2, 3, 5, 9]
        assert yard.alerts == ["the daemon switcher does not run: switcher exited with 3: no camera found"]
        (known,) = yard.daemons.statistics()
        assert (known.name, known.state, known.starts) == ("switcher", "backoff", len(yard.starts))


async def test_daemon_that_ends_six_times_in_30_s_rests(autojump_clock: MockClock) -> None:
    """With short waits in between, as the random number may have it."""
    async with open_core() as core, trio.open_nursery() as nursery:
        vault, starts = Vault(), list[float]()

        def open_process(*_: object) -> FakeProcess:
            starts.append(trio.current_time())
            process = FakeProcess(1, ("x",), b"")
            nursery.start_soon(process.run, fails)
            return process

        daemons = Daemons(
            make_tools(core.kernel, nursery, sources=vault, open_process=open_process, jitter=lambda: 0.0)
        )
        vault.take_daemons({"switcher": shell("x")})
        nursery.start_soon(daemons.run)
        await trio.sleep(30)
        assert len(starts) == CRASHES + 1
        assert daemons.statistics()[0].state == "quarantined"
        await trio.sleep(QUARANTINE_BASE_S)
        assert len(starts) == 2 * (CRASHES + 1)
        nursery.cancel_scope.cancel()


async def test_alert_is_cleared_when_the_daemon_has_run_for_a_while(autojump_clock: MockClock) -> None:
    """A daemon that flaps stays named."""
    async with running(shell("x"), script=runs_and_ends) as yard:
        await trio.sleep(101.5)
        assert len(yard.alerts) == 1
        await trio.sleep(PROVED_S - 1)
        assert len(yard.alerts) == 1
        await trio.sleep(4)
        assert yard.alerts == []
        assert len(yard.starts) == 2


async def test_reload_starts_restarts_and_ends_daemons(autojump_clock: MockClock) -> None:
    """Only those whose settings have changed; each end names the configuration as its cause."""
    one, two = shell("one", "one"), shell("two", "two")
    async with running(one, two) as yard:
        await trio.sleep(1)
        assert sorted(process.arguments[-1] for process in yard.processes) == ["one", "two"]
        yard.configure(one, attrs.evolve(two, env={"DAY": "1"}), shell("three", "three"))
        await trio.sleep(1)
        assert sorted(process.arguments[-1] for process in yard.processes[2:]) == ["three", "two"]
        ended = [process.arguments[-1] for process in yard.processes if process.status is not None]
        assert (ended, len(yard.processes)) == (["two"], 4)
        yard.configure(two)
        await trio.sleep(1)
        assert [each.name for each in yard.daemons.statistics()] == ["two"]
        rows = await yard.core.stored()
        reasons = {row.event.reason.code for row in rows if isinstance(row.event, e.ChildStopping)}
        causes = {rows[(row.cause or 0) - 1].type for row in rows if isinstance(row.event, e.ChildStopping)}
        assert (reasons, causes) == ({"settings-changed"}, {"ConfigurationApplied"})
        purposes = [row.event.purpose for row in rows if isinstance(row.event, e.ChildStarting)]
        assert sorted(set(purposes)) == ["daemon/one", "daemon/three", "daemon/two"]


async def test_missing_program_is_tried_again_slowly() -> None:
    """It does not appear by itself within a second."""
    async with running(Daemon("switcher", ("/no/such/program",)), real=True) as yard:
        with give_up_after(10):
            while not yard.alerts:
                await yard.core.kernel.wait_change(yard.core.kernel.state.seq)
        assert yard.alerts == ["the daemon switcher does not run: /no/such/program cannot be started: no such program"]
        assert yard.daemons.statistics()[0].starts == 1


async def test_end_of_a_daemon_leaves_neither_descendants_nor_its_shared_memory() -> None:
    """It is killed by SIGKILL, so it cannot clean up itself."""
    write = f"import time; open('{SHM}{NAME}', 'wb').write(b'x'); print('made', flush=True); time.sleep(1000)"
    text = f"trap '' TERM; {sys.executable} -c \"{write}\" & echo $! >&2; wait; exit 1"
    path = SHM / NAME[1:]
    async with running(shell(text, provides=NAME), real=True) as yard:
        with give_up_after(20):
            while not path.exists():  # noqa: ASYNC110 - a program makes it
                await trio.sleep(0.02)
        assert yard.daemons.statistics()[0].is_there
    assert not path.exists()
    ended = [row.event for row in await yard.core.stored() if isinstance(row.event, e.ChildEnded)]
    assert len(ended) == 1
    assert not is_alive(ended[0].stderr_tail[0])


async def test_shared_memory_that_was_there_before_stays(autojump_clock: MockClock) -> None:
    """Another program may have made it: a daemon that fails to start removes nothing."""
    ring = SharedRing(NAME)
    try:
        async with running(shell("x", provides=NAME), script=fails):
            await trio.sleep(30)
        assert ring.path.exists()
    finally:
        ring.unlink()
        ring.close()


async def test_daemon_that_floods_or_closes_its_output_goes_on() -> None:
    """It is not read faster than `PACE`, and it is wanted although it prints nothing."""
    async with running(shell("exec >&-; sleep 1000"), shell("exec yes", "flood"), real=True) as yard:
        with give_up_after(10):
            while len(yard.core.kernel.state.children) < 2:
                await yard.core.kernel.wait_change(yard.core.kernel.state.seq)
        await trio.sleep(2)
        assert [each.starts for each in yard.daemons.statistics()] == [1, 1]


async def test_values_of_its_environment_are_hidden_in_the_journal() -> None:
    """A program that fails may print them."""
    daemon = Daemon(
        "switcher", ("/bin/sh", "-c", 'echo "bad token $TOKEN" >&2; exit 1'), "", {"TOKEN": SECRET}, (SECRET,)
    )
    async with running(daemon, real=True) as yard:
        with give_up_after(10):
            while not yard.alerts:
                await yard.core.kernel.wait_change(yard.core.kernel.state.seq)
        assert SECRET not in repr(await yard.core.stored())
        assert "bad token" in yard.alerts[0]
