"""The guardian: it ends as its program ends, and no descendant of the program outlives it."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from actors.media.ffmpeg import is_script
from actors.process.process import RealProcess
from tests.kit.patience import give_up_after
from tests.kit.process_group import end_marked
from tests.kit.processes import descriptors, marked, wait_until
from tests.kit.stage import stand_in_environment, write_stand_in


@contextmanager
def guarded(folder: Path, part: str) -> Iterator[tuple[RealProcess, str]]:
    """Run the fake program under a guardian; yields it with the mark in the environment of all that it starts."""
    mark = uuid.uuid4().hex
    environment = {**os.environ, "BANKEN_CHILD": mark, **stand_in_environment(folder, part)}
    process = RealProcess([str(write_stand_in(folder))], environment, b"", guarded=True)
    try:
        yield process, f"BANKEN_CHILD={mark}"
    finally:
        process.close()
        end_marked(f"BANKEN_CHILD={mark}")


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    return b"".join([bytes(chunk) async for chunk in stream])


@pytest.mark.parametrize(
    ("part", "status"),
    [
        ("exits-0", 0),
        ("exits-69", 69),
        ("dies-of-segv", -signal.SIGSEGV),
        ("dies-of-kill", -signal.SIGKILL),
        ("dies-of-a-nameless-signal", -40),
    ],
)
async def test_it_ends_as_its_program_ended(tmp_path: Path, part: str, status: int) -> None:
    """Exit codes and signals are passed on, a real-time signal without a name among them."""
    with guarded(tmp_path, part) as (process, _), give_up_after(5):
        assert await process.wait() == status


async def test_nothing_is_inherited_and_nothing_is_left(tmp_path: Path) -> None:
    """The program has descriptors 0 to 2 only, and the parent has as many as before."""
    with guarded(tmp_path, "exits-0") as (process, _):
        await process.wait()
    before = descriptors(os.getpid())
    with guarded(tmp_path, "lists-descriptors") as (process, _), give_up_after(5):
        assert await read_all(process.stderr) == b"descriptors 0 1 2\n"
        await process.wait()
    assert descriptors(os.getpid()) == before


async def test_it_keeps_no_stream_of_its_program(tmp_path: Path) -> None:
    """Closed output ends for its reader although the program continues."""
    with guarded(tmp_path, "closes-output") as (process, _), give_up_after(5):
        assert await read_all(process.stdout) == b""
        assert process.status is None
        process.signal_group(signal.SIGTERM)
        assert await process.wait() == -signal.SIGTERM


async def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    """Its interpreter does not exist: exit code 127, and stderr names the program."""
    program = tmp_path / "program"
    program.write_bytes(b"#!/nowhere/sh\n")
    program.chmod(0o755)
    process = RealProcess([str(program)], os.environ, b"", guarded=True)
    try:
        with give_up_after(5):
            assert await process.wait() == 127
            assert b"/program" in await read_all(process.stderr)
    finally:
        process.close()


async def test_descendant_in_another_session_is_ended_with_the_program(tmp_path: Path) -> None:
    """A descendant in another session that holds the output open and ignores SIGTERM is ended at once."""
    with guarded(tmp_path, "leaves-a-grandchild") as (process, mark), give_up_after(5):
        assert await read_all(process.stdout) == b""
        assert await process.wait() == 3
        assert marked(mark) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_daemon_that_forked_twice_ends_with_the_program(tmp_path: Path, number: signal.Signals) -> None:
    """No process with the mark is left when the guardian has ended."""
    with guarded(tmp_path, "streams-beside-a-daemon") as (process, mark), give_up_after(5):
        await process.stdout.receive_some()
        assert len(marked(mark)) == 3, "the guardian, the program and its daemon"
        process.signal_group(number)
        assert await process.wait() == -number
        assert marked(mark) == []


async def test_a_program_that_ignores_sigterm_is_killed_in_the_end(tmp_path: Path) -> None:
    """The guardian's alarm ends the program although the lifeline stays open."""
    with guarded(tmp_path, "ignores-term") as (process, mark), give_up_after(10):
        await process.stdout.receive_some()
        process.signal_group(signal.SIGTERM)
        assert await process.wait() == -signal.SIGKILL
        assert marked(mark) == []


async def test_a_child_that_is_given_up_does_not_stay(tmp_path: Path) -> None:
    """Closing the descriptors is enough, as the daemon does with a child that it no longer waits for."""
    with guarded(tmp_path, "streams-beside-a-daemon") as (process, mark), give_up_after(5):
        await process.stdout.receive_some()
        process.close()
        await wait_until(lambda: marked(mark) == [])
        process._popen.wait()  # killed by the guardian, or by itself: nothing reads its output any more


async def test_a_guardian_that_was_stopped_still_does_its_duty(tmp_path: Path) -> None:
    """SIGSTOP, then SIGKILL to its group: the daemon beside the program has ended as well."""
    with guarded(tmp_path, "streams-beside-a-daemon") as (process, mark), give_up_after(5):
        await process.stdout.receive_some()
        os.kill(process.pid, signal.SIGSTOP)
        process.signal_group(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
        assert marked(mark) == []


async def test_a_guardian_that_is_killed_takes_the_program_along(tmp_path: Path) -> None:
    """SIGKILL to the guardian alone also ends the program."""
    with guarded(tmp_path, "hangs") as (process, mark), give_up_after(5):
        await wait_until(lambda: len(marked(mark)) == 2)
        os.kill(process.pid, signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
        await wait_until(lambda: marked(mark) == [])


PARENT = """
import os, sys, trio
from actors.process.process import RealProcess
async def main():
    process = RealProcess([sys.argv[1]], os.environ, b"", guarded=True)
    print(len(await process.stdout.receive_some()), flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


async def test_a_killed_daemon_takes_all_along(tmp_path: Path) -> None:
    """After SIGKILL of the daemon the lifeline closes; the program's own daemon is ended as well."""
    mark = uuid.uuid4().hex
    environment = {**os.environ, "BANKEN_CHILD": mark, **stand_in_environment(tmp_path, "streams-beside-a-daemon")}
    with subprocess.Popen(  # noqa: ASYNC220 - a test may block for the millisecond it takes
        [sys.executable, "-c", PARENT, write_stand_in(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env=environment,
    ) as parent:
        assert parent.stdout is not None
        try:
            assert int(await trio.to_thread.run_sync(parent.stdout.readline)) > 0
            assert len(marked(f"BANKEN_CHILD={mark}")) == 4, "the parent, the guardian, the program and its daemon"
        finally:
            parent.kill()
    try:
        await wait_until(lambda: marked(f"BANKEN_CHILD={mark}") == [], 2)
    finally:
        end_marked(f"BANKEN_CHILD={mark}")


def test_only_a_script_is_taken_for_one(tmp_path: Path) -> None:
    """A program with a `#!` line is one; a binary and a missing file are not."""
    assert [is_script(program) for program in (str(write_stand_in(tmp_path)), sys.executable, "/nowhere")] == [
        True,
        False,
        False,
    ]
