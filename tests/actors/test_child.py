"""Child processes, real ones: whatever they do, they end, are reaped, and the journal tells it."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
import trio

from actors.child import ChildSpec, Ending, run_child
from actors.process import OpenProcess, RealProcess, fault_of, start_ticks
from actors.process_table import RealProcessTable
from actors.tools import Tools
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.values import Fault, Reason
from supervisor.threads import ThreadRefused
from supervisor.vault import Vault
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, child
from tests.kit.processes import descriptors, read_process, wait_until


def tools(core: Core, open_process: OpenProcess = RealProcess) -> Tools:
    async def never(host: str, port: int) -> bool:
        raise AssertionError("nobody knocks here")

    return Tools(
        core.kernel,
        Vault(),
        open_process,
        RealProcessTable(),
        "ffmpeg",
        never,
        (),
        lambda: 0.5,
        core.nursery,
    )


def script(code: str, **more: bytes | tuple[str, ...]) -> ChildSpec:
    return ChildSpec(GATE, "source", (sys.executable, "-S", "-c", "import os, sys, time, signal\n" + code), **more)  # type: ignore[arg-type]


async def drain(stream: trio.abc.ReceiveStream) -> None:
    async for _ in stream:
        pass


def explain(ending: Ending) -> Reason:
    return Reason("explained", f"{ending.status} {' '.join(ending.stderr_tail)}".strip())


async def run(core: Core, spec: ChildSpec, consume=drain) -> Reason:  # type: ignore[no-untyped-def]
    return await run_child(spec, consume, explain, tools(core), core.disk.rows[-1])


async def ended(core: Core) -> e.ChildEnded:
    event = (await core.stored())[-1].event
    assert isinstance(event, e.ChildEnded)
    return event


@pytest.mark.parametrize(
    ("code", "exit_code", "by", "text"),
    [
        ("", 0, None, "0"),
        ("sys.exit(3)", 3, None, "3"),
        ("print('wrong', file=sys.stderr); sys.exit(1)", 1, None, "1 wrong"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", None, "SIGSEGV", "-11"),
        ("os.kill(os.getpid(), signal.SIGKILL)", None, "SIGKILL", "-9"),
        ("os.kill(os.getpid(), 40)", None, "SIG40", "-40"),
    ],
)
async def test_every_way_to_end_is_journaled(code: str, exit_code: int | None, by: str | None, text: str) -> None:
    """The intent, the start and the end, each the cause of the next, with what the child said last."""
    async with open_core() as core:
        reason = await run(core, script(code))
        rows = [recorded for recorded in await core.stored() if recorded.stream.startswith("child/")]
        assert [recorded.type for recorded in rows] == ["ChildStarting", "ChildStarted", "ChildEnded"]
        assert [recorded.cause for recorded in rows[1:]] == [rows[0].seq, rows[1].seq]
        assert ((await ended(core)).exit_code, (await ended(core)).signal, reason.text) == (exit_code, by, text)
        assert not core.kernel.state.children


async def test_a_program_that_is_not_there() -> None:
    async with open_core() as core:
        reason = await run(core, ChildSpec(GATE, "source", ("/nowhere/ffmpeg",)))
        assert (reason.code, reason.fault) == ("not-started", Fault.FATAL)
        assert not core.kernel.state.children


@pytest.mark.parametrize("broken", [False, True], ids=["the disk writes", "the disk is full"])
async def test_the_intent_comes_before_the_process(broken: bool) -> None:
    """It is stored before anything is started; a disk that cannot write stops no picture, and has been asked first."""
    asked = []

    async with open_core() as core:

        def open_process(
            arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes | None, guarded: bool
        ) -> RealProcess:
            asked.append((core.disk.rows[-1].type, core.journal.fault is not None))
            return RealProcess(arguments, environment, stdin, guarded)

        after = core.disk.rows[-1]
        core.disk.broken = broken
        await run_child(script(""), drain, explain, tools(core, open_process), after)
        core.disk.broken = False
    assert asked == [("CameraAdded", True) if broken else ("ChildStarting", False)]


async def test_a_child_is_fed_while_it_runs() -> None:
    """What it is given it may answer at once; when there is no more, its standard input ends."""
    answers: list[bytes] = []
    answered = trio.Event()

    async def feed(stream: trio.abc.SendStream) -> None:
        await stream.send_all(b"one ")
        await answered.wait()
        await stream.send_all(b"two")

    async def consume(stream: trio.abc.ReceiveStream) -> None:
        async for chunk in stream:
            answers.append(bytes(chunk))
            answered.set()

    code = "while data := os.read(0, 4096): os.write(1, data.upper())"
    async with open_core() as core:
        before = set(descriptors(os.getpid()))
        reason = await run_child(script(code), consume, explain, tools(core), core.disk.rows[-1], feed)
        assert (reason.text, answers) == ("0", [b"ONE ", b"TWO"])
        assert set(descriptors(os.getpid())) == before


@pytest.mark.parametrize(
    ("code", "text"),
    [("os.close(0); os.write(1, b'.'); time.sleep(0.2)", "0"), ("sys.exit(3)", "3")],
    ids=["it reads no more", "it ends"],
)
async def test_a_child_that_does_not_eat(code: str, text: str) -> None:
    """It is no error of ours: what it means, its end says."""

    async def feed(stream: trio.abc.SendStream) -> None:
        while True:
            await stream.send_all(bytes(4096))

    async with open_core() as core:
        reason = await run_child(script(code), drain, explain, tools(core), core.disk.rows[-1], feed)
        assert reason.text == text


async def test_a_crash_is_journaled_as_a_crash() -> None:
    """A bug in whoever reads the child's output ends the child, and the journal does not call it a wish."""

    async def consume(stream: trio.abc.ReceiveStream) -> None:
        raise ZeroDivisionError("a bug")

    async with open_core() as core:
        with pytest.raises(BaseExceptionGroup):
            await run(core, script("time.sleep(60)"), consume)
        assert (await ended(core)).reason.fault is Fault.CRASH


async def test_memory_that_is_refused_to_its_reader_is_a_reason_and_no_crash() -> None:
    """Else the actor that runs it would be quarantined."""

    async def read(_stream: trio.abc.ReceiveStream) -> None:
        await trio.lowlevel.checkpoint()
        raise MemoryError

    async with open_core() as core:
        reason = await run(core, script("time.sleep(30)"), read)
        assert (reason.code, reason.fault) == ("no-memory", Fault.TEMPORARY)
    assert [row.event.reason for row in core.disk.rows if isinstance(row.event, e.ChildEnded)] == [reason]


async def test_cancelled_before_the_intent_is_durable() -> None:
    """Nothing was started, and the intent does not stay open to block the next child."""
    async with open_core() as core:
        with trio.CancelScope() as scope:
            scope.cancel()
            await run(core, script(""))
        assert [r.type for r in await core.stored()][-2:] == ["ChildStarting", "ChildEnded"]
        assert not core.kernel.state.children


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """Cancelled: SIGTERM, two seconds, SIGKILL, reaped; and with it whatever it had started itself."""
    pids = tmp_path / "pids"
    code = f"""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child}}')
time.sleep(60)
"""
    async with open_core() as core:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, core, script(code))
            await wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2, 10)
            nursery.cancel_scope.cancel()
        rows = await core.stored()
        assert [r.type for r in rows[-4:]] == ["ChildStarted", "ChildStopping", "ChildStopping", "ChildEnded"]
        assert (await ended(core)).signal == "SIGKILL"
        assert (await ended(core)).reason.fault is Fault.NONE
        main, grandchild = (int(pid) for pid in pids.read_text().split())
        assert read_process(main) is None
        await wait_until(lambda: (left := read_process(grandchild)) is None or left.zombie, 5)


async def test_what_a_child_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    """It forks, and ends; the other one holds the output open, and would for a minute."""
    pid_file = tmp_path / "pid"
    code = f"""
child = os.fork()
if child == 0:
    time.sleep(60)
open({str(pid_file)!r}, 'w').write(str(child))
os._exit(7)
"""
    async with open_core() as core:
        with trio.fail_after(10):
            await run(core, script(code))
        assert (await ended(core)).exit_code == 7
    await wait_until(partial(_gone, int(pid_file.read_text())), 5)


async def test_a_stranger_that_holds_the_output_is_not_waited_for(tmp_path: Path) -> None:
    """It has left the child's session, so it is not ended with it; the child's end is told all the same."""
    pid_file = tmp_path / "pid"
    code = f"""
read_end, write_end = os.pipe()
child = os.fork()
if child == 0:
    os.setsid()
    os.close(write_end)
    time.sleep(60)
open({str(pid_file)!r}, 'w').write(str(child))
os.close(write_end)
os.read(read_end, 1)
os._exit(7)
"""
    try:
        async with open_core() as core:
            with trio.fail_after(10):
                await run(core, script(code))
            assert (await ended(core)).exit_code == 7
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


async def test_half_a_password_is_one_too() -> None:
    """A secret that stands where a long line is cut does not leave its first half behind."""
    code = "sys.stderr.write('x' * 285 + ' rtsp://viewer:supersecret@camera/ and more\\n')"
    async with open_core() as core:
        await run(core, script(code))
        assert "supers" not in str(await core.stored())


async def test_a_flood_of_words_is_bounded_and_hides_secrets() -> None:
    """Megabytes of stderr block nobody and leave twenty short lines, without the password."""
    code = """
for number in range(20000):
    sys.stderr.write(f'{number} rtsp://viewer:pa55@camera/ hunter2 ' + 'x' * 500 + '\\n')
"""
    async with open_core() as core:
        await run(core, script(code, secrets=("hunter2",)))
        tail = (await ended(core)).stderr_tail
        assert len(tail) == 20
        assert tail[-1].startswith("19999 rtsp://viewer:***@camera/ *** x")
        assert max(len(line) for line in tail) <= 310
        assert "pa55" not in str(core.disk.rows)
        assert "hunter2" not in str(core.disk.rows)


async def test_a_child_that_closes_its_output_and_stays_is_ended() -> None:
    """For the reason that it stayed; the signal that then ended it was ours."""
    async with open_core() as core:
        assert (await run(core, script("os.close(1); time.sleep(60)"))).code == "stayed"
        assert (await ended(core)).signal == "SIGTERM"
        assert "ChildStopping" in core.types("child/")


async def test_whoever_has_had_enough_ends_it_with_a_reason() -> None:
    enough = Reason("enough", "seen enough")

    async def consume(stream: trio.abc.ReceiveStream) -> Reason:
        await stream.receive_some(1)
        return enough

    async with open_core() as core:
        assert await run(core, script("print('x', flush=True); time.sleep(60)"), consume) == enough
        assert (await ended(core)).reason == enough


async def test_a_second_child_is_refused_while_the_first_lives() -> None:
    async with open_core() as core:
        await core.kernel.submit(child())
        with pytest.raises(Rejected, match="still has a child for source"):
            await run(core, script(""))


async def test_nothing_is_inherited_and_nothing_is_left(tmp_path: Path) -> None:
    """The child has its three streams and no more; afterwards we have the descriptors we had before."""
    listing = tmp_path / "fds"
    code = f"open({str(listing)!r}, 'w').write(' '.join(sorted(os.listdir('/proc/self/fd'))))"
    async with open_core() as core:
        await run(core, script(""))
        before = descriptors(os.getpid())
        read_end, write_end = os.pipe()
        os.set_inheritable(write_end, True)
        await run(core, script(code))
        os.close(read_end)
        os.close(write_end)
        assert descriptors(os.getpid()) == before
    assert set(listing.read_text().split()) <= {"0", "1", "2", "3", "4"}, (
        "3 and 4 are the two files of the listing itself"
    )


async def test_standard_input_is_what_was_given() -> None:
    async def consume(stream: trio.abc.ReceiveStream) -> Reason:
        return Reason("read", bytes(await stream.receive_some()).decode())

    async with open_core() as core:
        spec = script("sys.stdout.write(sys.stdin.read().upper())", stdin=b"a secret address")
        assert (await run(core, spec, consume)).text == "A SECRET ADDRESS"


PARENT = """
import sys, signal, trio
from actors.process import RealProcess
async def main():
    process = RealProcess([sys.executable, "-S", "-c", "import time; time.sleep(60)"], {}, b"")
    print(process.pid, flush=True)
    await trio.sleep(float(sys.argv[1]))
    print("alive" if process.status is None and process.start_ticks else "dead", flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


@pytest.mark.parametrize("idle_s", [0, 25], ids=["at once", "after the idle time of a thread"])
async def test_a_killed_parent_takes_its_child_along_and_an_idle_one_does_not(idle_s: int) -> None:
    """The parent-death signal follows the main thread: the child lives as long as the daemon, and not a second longer.

    Trio's idle worker threads end after 10 s; a child started from one of those would die with it.
    """
    with subprocess.Popen(  # noqa: ASYNC220 - a test may block for the millisecond it takes
        [sys.executable, "-c", PARENT, str(idle_s)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as parent:
        assert parent.stdout is not None
        try:
            pid, alive = [await trio.to_thread.run_sync(parent.stdout.readline) for _ in range(2)]
            assert (alive, start_ticks(int(pid)) > 0) == (b"alive\n", True)
        finally:
            parent.kill()
        await wait_until(partial(_gone, int(pid)), 1)


def _gone(pid: int) -> bool:
    left = read_process(pid)
    return left is None or left.zombie


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EINTR])
def test_start_that_fails_because_the_system_is_short_of_something_may_go_better(number: int) -> None:
    """The fault is temporary; a program that is not there, or may not be run, is fatal."""
    assert fault_of(OSError(number, "no")) is Fault.TEMPORARY
    assert fault_of(ThreadRefused()) is Fault.TEMPORARY
    assert fault_of(MemoryError()) is Fault.TEMPORARY
    assert fault_of(FileNotFoundError(errno.ENOENT, "no")) is Fault.FATAL
    assert fault_of(PermissionError(errno.EACCES, "no")) is Fault.FATAL
