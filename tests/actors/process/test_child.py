"""Real child processes: on every path they end, are reaped, and are journaled."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from actors.process import stderr_tail
from actors.process.child import ChildExit, ChildSpec, Consume, run_child
from actors.process.process import OpenProcess, RealProcess, fault_of, start_ticks
from actors.tools import Tools
from supervisor.base.threads import ThreadRefused
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import NO_CAMERA
from supervisor.domain.values import Fault, Reason
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, child
from tests.kit.patience import give_up_after
from tests.kit.processes import descriptors, read_process, wait_until
from tests.kit.tools import make_tools


def tools(core: Core, open_process: OpenProcess = RealProcess) -> Tools:
    return make_tools(core.kernel, core.nursery, open_process=open_process)


def script(code: str, **more: bytes | tuple[str, ...]) -> ChildSpec:
    return ChildSpec(GATE, "source", (sys.executable, "-S", "-c", "import os, sys, time, signal\n" + code), **more)  # type: ignore[arg-type]


async def drain(stream: trio.abc.ReceiveStream) -> None:
    async for _ in stream:
        pass


def explain(ending: ChildExit) -> Reason:
    return Reason("explained", f"{ending.status} {' '.join(ending.stderr_tail)}".strip())


async def run(core: Core, spec: ChildSpec, consume: Consume = drain) -> Reason:
    return await run_child(spec, consume, explain, tools(core))


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
    """Intent, start and end are journaled, each the cause of the next, with the last stderr lines."""
    async with open_core() as core:
        reason = await run(core, script(code))
        rows = [recorded for recorded in await core.stored() if recorded.stream.startswith("child/")]
        assert [recorded.type for recorded in rows] == ["ChildStarting", "ChildStarted", "ChildEnded"]
        assert [recorded.cause for recorded in rows[1:]] == [rows[0].seq, rows[1].seq]
        assert ((await ended(core)).exit_code, (await ended(core)).signal, reason.text) == (exit_code, by, text)
        assert not core.kernel.state.children


@pytest.mark.parametrize("may_fork", [False, True], ids=["alone", "guarded"])
@pytest.mark.parametrize("gives_way", [False, True], ids=["as the daemon", "lower"])
async def test_child_that_gives_way_has_a_lower_priority(may_fork: bool, gives_way: bool) -> None:
    """Also as a group of processes, where Linux schedules each session as one: else the first has no effect."""
    output = bytearray()

    async def collect(stream: trio.abc.ReceiveStream) -> None:
        async for chunk in stream:
            output.extend(chunk)

    code = "print(os.getpriority(os.PRIO_PROCESS, 0))\n"
    code += "if os.path.exists('/proc/self/autogroup'): print(open('/proc/self/autogroup').read())"
    async with open_core() as core:
        await run(core, attrs.evolve(script(code), may_fork=may_fork, gives_way=gives_way), collect)
        starting = next(row.event for row in await core.stored() if isinstance(row.event, e.ChildStarting))
        assert starting.arguments[0] == sys.executable
    nice, *group = output.decode().split()
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert int(nice) == (min(19, own + 5) if gives_way else own)
    assert not group or group[-1] == ("5" if gives_way else "0")


@pytest.mark.parametrize("gives_way", [False, True])
async def test_a_program_that_is_not_there(gives_way: bool) -> None:
    """The fault is fatal and names it, and no child process is left in the state."""
    async with open_core() as core:
        reason = await run(core, ChildSpec(GATE, "source", ("/nowhere/ffmpeg",), gives_way=gives_way))
        assert (reason.code, reason.fault) == ("not-started", Fault.FATAL)
        assert reason.text.startswith("/nowhere/ffmpeg")
        assert not core.kernel.state.children


@pytest.mark.parametrize("broken", [False, True], ids=["the disk writes", "the disk is full"])
async def test_the_intent_comes_before_the_process(broken: bool) -> None:
    """The intent is stored before the start; if the disk cannot write, the child starts after the failed write."""
    asked = []

    async with open_core() as core:

        def open_process(
            arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes | None, guarded: bool
        ) -> RealProcess:
            asked.append((core.disk.rows[-1].type, core.journal.fault is not None))
            return RealProcess(arguments, environment, stdin, guarded)

        core.disk.broken = broken
        await run_child(script(""), drain, explain, tools(core, open_process))
        core.disk.broken = False
    assert asked == [("CameraAdded", True) if broken else ("ChildStarting", False)]


async def test_a_child_is_fed_while_it_runs() -> None:
    """The child may answer its input at once; when the feed ends, its standard input ends."""
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
        reason = await run_child(script(code), consume, explain, tools(core), feed)
        assert (reason.text, answers) == ("0", [b"ONE ", b"TWO"])
        assert set(descriptors(os.getpid())) == before


@pytest.mark.parametrize(
    ("code", "text"),
    [("os.close(0); os.write(1, b'.'); time.sleep(0.2)", "0"), ("sys.exit(3)", "3")],
    ids=["it reads no more", "it ends"],
)
async def test_a_child_that_does_not_eat(code: str, text: str) -> None:
    """A child that stops reading is not an error; its end explains the reason."""

    async def feed(stream: trio.abc.SendStream) -> None:
        while True:
            await stream.send_all(bytes(4096))

    async with open_core() as core:
        reason = await run_child(script(code), drain, explain, tools(core), feed)
        assert reason.text == text


async def test_a_crash_is_journaled_as_a_crash() -> None:
    """A bug in the reader of the output ends the child, and is journaled as a crash, not as a cancellation."""

    async def consume(stream: trio.abc.ReceiveStream) -> None:
        raise ZeroDivisionError("a bug")

    async with open_core() as core:
        with pytest.raises(BaseExceptionGroup):
            await run(core, script("time.sleep(60)"), consume)
        assert (await ended(core)).reason.fault is Fault.CRASH


async def test_memory_that_is_refused_to_its_reader_is_a_reason_and_no_crash() -> None:
    """Otherwise the actor that runs the child would be quarantined."""

    async def read(_stream: trio.abc.ReceiveStream) -> None:
        await trio.lowlevel.checkpoint()
        raise MemoryError

    async with open_core() as core:
        reason = await run(core, script("time.sleep(30)"), read)
        assert (reason.code, reason.fault) == ("no-memory", Fault.TEMPORARY)
    assert [row.event.reason for row in core.disk.rows if isinstance(row.event, e.ChildEnded)] == [reason]


async def test_cancelled_before_the_intent_is_durable() -> None:
    """Nothing is started, and the intent does not stay open and block the next child."""
    async with open_core() as core:
        with trio.CancelScope() as scope:
            scope.cancel()
            await run(core, script(""))
        assert [r.type for r in await core.stored()][-2:] == ["ChildStarting", "ChildEnded"]
        assert not core.kernel.state.children


async def test_a_cancellation_that_is_overtaken_keeps_its_reason() -> None:
    """The camera stalls, and in the same moment all is cancelled without a reason: the journal has the stall."""
    async with open_core() as core:
        stalled = core.kernel.because(Reason("stalled", "no packet for 5 s", Fault.TEMPORARY), core.disk.rows[-1])
        with trio.CancelScope() as outer:

            async def consume(stdout: trio.abc.ReceiveStream) -> None:
                with trio.CancelScope() as inner:
                    inner.cancel(reason=stalled)
                    try:
                        await trio.sleep_forever()
                    finally:
                        outer.cancel()

            await run(core, script("time.sleep(60)"), consume)
        assert (await ended(core)).reason == stalled.reason


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """On cancellation: SIGTERM, two seconds, SIGKILL, reaped; its descendants are ended as well."""
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


async def test_descendant_of_a_child_is_ended_with_it(tmp_path: Path) -> None:
    """A descendant that would hold the output open for a minute is ended with the child."""
    pid_file = tmp_path / "pid"
    code = f"""
child = os.fork()
if child == 0:
    time.sleep(60)
open({str(pid_file)!r}, 'w').write(str(child))
os._exit(7)
"""
    async with open_core() as core:
        with give_up_after(10):
            await run(core, script(code))
        assert (await ended(core)).exit_code == 7
    await wait_until(partial(_gone, int(pid_file.read_text())), 5)


async def test_a_stranger_that_holds_the_output_is_not_waited_for(tmp_path: Path) -> None:
    """A process that has left the session is not ended; the child's end is reported nevertheless."""
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
            with give_up_after(10):
                await run(core, script(code))
            assert (await ended(core)).exit_code == 7
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


async def test_half_a_password_is_one_too() -> None:
    """A secret at the position where a long line is cut does not leave its first half."""
    code = "sys.stderr.write('x' * 285 + ' rtsp://viewer:supersecret@camera/ and more\\n')"
    async with open_core() as core:
        await run(core, script(code))
        assert "supers" not in str(await core.stored())


async def test_a_flood_of_words_is_bounded_and_hides_secrets() -> None:
    """Megabytes of stderr block nothing and leave twenty short lines without the password."""
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


async def test_a_flood_names_the_purpose_of_a_child_without_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector, or a daemon."""
    monkeypatch.setattr(stderr_tail, "FLOOD", 1000)
    code = "os.write(2, b'x' * 3000)"
    async with open_core() as core:
        await run(core, attrs.evolve(script(code), camera=NO_CAMERA, purpose="detector/yolo"))
        alerts = [row.event.text for row in await core.stored() if isinstance(row.event, e.AlertRaised)]
        assert alerts == ["the child of detector/yolo writes more than 1 MiB a second of complaints"]


async def test_a_child_that_closes_its_output_and_stays_is_ended() -> None:
    """The reason is `stayed`, not the signal that we then sent."""
    async with open_core() as core:
        reason = await run(core, script("os.close(1); time.sleep(60)"))
        assert reason.code == "stayed", reason
        assert (await ended(core)).signal == "SIGTERM"
        assert "ChildStopping" in core.types("child/")


async def test_reason_of_the_consumer_ends_the_child_and_is_recorded() -> None:
    """The reason that the consumer returns is the result, and it is in `ChildEnded`."""
    enough = Reason("enough", "seen enough")

    async def consume(stream: trio.abc.ReceiveStream) -> Reason:
        await stream.receive_some(1)
        return enough

    async with open_core() as core:
        assert await run(core, script("print('x', flush=True); time.sleep(60)"), consume) == enough
        assert (await ended(core)).reason == enough


async def test_a_second_child_is_refused_while_the_first_lives() -> None:
    """A camera has at most one child process for each purpose."""
    async with open_core() as core:
        await core.kernel.submit(child())
        with pytest.raises(Rejected, match="still has a child for source"):
            await run(core, script(""))


async def test_nothing_is_inherited_and_nothing_is_left(tmp_path: Path) -> None:
    """The child has only its three streams; afterwards the daemon has the same descriptors as before."""
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
    """An address with a password is given this way, since arguments are public."""

    async def consume(stream: trio.abc.ReceiveStream) -> Reason:
        return Reason("read", bytes(await stream.receive_some()).decode())

    async with open_core() as core:
        spec = script("sys.stdout.write(sys.stdin.read().upper())", stdin=b"a secret address")
        assert (await run(core, spec, consume)).text == "A SECRET ADDRESS"


PARENT = """
import sys, signal, trio
from actors.process.process import RealProcess
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
    """The parent-death signal follows the main thread: the child lives exactly as long as the daemon.

    Idle worker threads of trio end after 10 s; a child started from one of them would die with it.
    """
    with subprocess.Popen(  # noqa: ASYNC220 - a test may block for the millisecond it takes
        [sys.executable, "-c", PARENT, str(idle_s)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
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
    """A lack of resources is temporary; a program that is missing, or may not be run, is fatal."""
    assert fault_of(OSError(number, "no")) is Fault.TEMPORARY
    assert fault_of(ThreadRefused()) is Fault.TEMPORARY
    assert fault_of(MemoryError()) is Fault.TEMPORARY
    assert fault_of(FileNotFoundError(errno.ENOENT, "no")) is Fault.FATAL
    assert fault_of(PermissionError(errno.EACCES, "no")) is Fault.FATAL
