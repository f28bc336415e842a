"""Modules that are imported after the start: once, by a thread, and nothing of the interpreter is left changed."""

import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trio

from supervisor.base.background_import import (
    SWITCH_INTERVAL_S,
    BackgroundImport,
    NotLoaded,
    open_libraries,
    short_switch_interval,
)
from supervisor.base.threads import is_refusal
from tests.kit.daemon import ROOT, open_daemon
from tests.kit.processes import wait_until


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that notes the thread that imports it, and how often."""
    name = "late_for_this_test"
    (tmp_path / f"{name}.py").write_text(
        "import gc, threading\nTHREAD = threading.current_thread()\nGC = gc.isenabled()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


async def test_module_is_imported_once_by_a_thread_for_all_waiting_tasks(module: str) -> None:
    """Ten who need it at the same time wait for one import, which is not done in the loop."""
    late = BackgroundImport([module])
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(late.load)
    assert late.is_loaded
    assert sys.modules[module].THREAD is not threading.main_thread()


async def test_collector_and_turns_of_threads_are_as_before_an_import(module: str) -> None:
    """The collector rests while the thread imports; afterwards it works, and threads take turns as before."""
    before = sys.getswitchinterval()
    await BackgroundImport([module]).load()
    assert not sys.modules[module].GC
    assert (gc.isenabled(), sys.getswitchinterval()) == (True, before)


def test_turns_of_threads_are_as_before_after_blocks_that_overlap() -> None:
    """Whichever block ends first."""
    before = sys.getswitchinterval()
    first, second = short_switch_interval(), short_switch_interval()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == before


async def test_missing_module_is_an_import_error_and_is_tried_again(module: str) -> None:
    """A module that is missing is an ImportError for its caller, and the collector goes on."""
    late = BackgroundImport([module, "no_such_module_anywhere"])
    for _ in range(2):
        with pytest.raises(ImportError):
            await late.load()
    assert not late.is_loaded
    assert gc.isenabled()


ERRORS = {
    "descriptors": "OSError(24, 'Too many open files')",
    "descriptors for a library": "ImportError('x.so: cannot open shared object file: Too many open files')",
    "memory": "MemoryError()",
    "disk": "OSError(5, 'Input/output error')",
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
async def test_module_that_cannot_be_imported_for_the_moment_is_refused_and_tried_again(
    module: str, tmp_path: Path, error: str
) -> None:
    """Whichever resource the system refuses: one error, which the web answers with 503; and the next call succeeds."""
    file = tmp_path / f"{module}.py"
    works = file.read_text()
    file.write_text(f"raise {error}")
    late = BackgroundImport([module])
    with pytest.raises(NotLoaded) as raised:
        await late.load()
    assert is_refusal(raised.value)
    file.write_text(works)
    await late.load()
    assert late.is_loaded


async def test_module_that_raises_anything_is_an_import_error(module: str, tmp_path: Path) -> None:
    """The module is not there, whatever its code raises."""
    (tmp_path / f"{module}.py").write_text("raise LookupError('odd')")
    with pytest.raises(ImportError, match="LookupError: odd"):
        await BackgroundImport([module]).load()


def test_shared_libraries_of_a_package_are_opened() -> None:
    """Those of FFmpeg's package are many; a package without any has none."""
    assert open_libraries("av") > 10
    assert open_libraries("click") == 0
    assert open_libraries("no_such_package_anywhere") == 0


BEFORE_LISTENING = """
import os, signal, sys

from supervisor.__main__ import main

def settle():
    print("imported:", *sys.modules)
    os.kill(os.getpid(), signal.SIGTERM)

from supervisor.runtime import collector
collector.settle = settle
sys.argv = ["banken", "run", sys.argv[1]]
main()
"""


def test_heavy_modules_are_not_imported_before_the_web_answers(tmp_path: Path) -> None:
    """`banken run` listens before it has imported what its table of heavy modules names."""
    from supervisor.compose.commands import HEAVY

    (tmp_path / "banken.yaml").write_text('web: {listen: "127.0.0.1:0"}\ncameras: {a: "rtsp://127.0.0.1:9/x"}\n')
    program = [sys.executable, "-c", BEFORE_LISTENING, str(tmp_path / "banken.yaml")]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    imported = next(line for line in done.stdout.splitlines() if line.startswith("imported:")).split()
    assert [module for module in HEAVY if module in imported] == []
    assert "web.app" in imported


async def test_modules_for_viewers_are_imported_soon_after_the_web_answers(tmp_path: Path) -> None:
    """Nobody has to watch for it: the daemon maps OpenSSL's library into its memory by itself."""
    async with open_daemon(tmp_path, {}) as daemon:
        maps = Path(f"/proc/{daemon.pid}/maps")
        await wait_until(lambda: "pylibsrtp" in maps.read_text(), 30, what="the library of SRTP")


async def test_last_step_that_is_refused_is_a_refusal_and_is_tried_again(module: str) -> None:
    """Also for the work after the imports: refused memory does not end the daemon."""
    errors: list[Exception] = [MemoryError(), ValueError("a bug")]

    def finish() -> None:
        if errors:
            raise errors.pop()

    late = BackgroundImport([module], finish=finish)
    with pytest.raises(ImportError, match="a bug"):
        await late.load()
    with pytest.raises(NotLoaded):
        await late.load()
    await late.load()
    assert late.is_loaded
