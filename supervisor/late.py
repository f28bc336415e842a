"""Modules that are imported after the web answers, by a thread, while the loop goes on.

Rules of this file:
- A task that needs such a module awaits `load` first. An `import` alone could block the loop until the thread's import
  is done.
- Meanwhile threads take turns every `TURN_S`, and the cyclic collector, whose run would hold all of them, rests.
- Shared libraries are opened by the C library itself, without the interpreter's lock: opening those of FFmpeg and
  OpenSSL takes up to 30 ms each time that `import` does it.
"""

import ctypes
import errno
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import trio

from .shortage import REFUSALS
from .threads import ThreadRefused, run_in_thread

TURN_S = 0.0005
"""How long one thread may run while another waits; CPython's own value is ten times as much."""


class NotLoaded(OSError):
    """A module cannot be imported for the moment: no descriptor, no memory, no thread. `errno` is `EAGAIN`."""

    def __init__(self, why: object) -> None:
        super().__init__(errno.EAGAIN, f"not imported yet: {why}")


class Late:
    """`modules`, and what they import; `packages` have shared libraries that are worth opening first.

    `finish` is called in the thread behind the imports, and may fail as they may.
    """

    def __init__(
        self, modules: Sequence[str], packages: Sequence[str] = (), finish: Callable[[], None] = lambda: None
    ) -> None:
        self.modules, self._packages, self._finish = tuple(modules), packages, finish
        self._lock, self._limiter = trio.Lock(), trio.CapacityLimiter(1)
        self.is_loaded = False

    async def load(self) -> None:
        """Returns when all are imported. Raises `NotLoaded`, and `ImportError` for what is not there or does not work.

        After either the next call tries again.
        Cancellation: returns at once, and the thread goes on alone. Cleanup: the collector and the turns are as before.
        """
        if self.is_loaded:
            return
        async with self._lock:
            if not self.is_loaded:
                try:
                    with _gently():
                        await run_in_thread(self._import, limiter=self._limiter, abandon_on_cancel=True)
                except ThreadRefused as refused:
                    raise NotLoaded(refused.strerror) from None
                self.is_loaded = True

    def _import(self) -> None:
        try:
            for package in self._packages:
                open_libraries(package)
            for module in self.modules:
                import_module(module)
            self._finish()
        except Exception as error:  # an import runs what others wrote, and that may raise anything
            if _may_pass(error):
                raise NotLoaded(error) from error
            raise ImportError(f"{type(error).__name__}: {error}") from error


def _may_pass(error: Exception) -> bool:
    """A shared library for which there is no descriptor or memory is an `ImportError` with the words of the system."""
    words = (os.strerror(number) for number in REFUSALS)
    is_refused = isinstance(error, ImportError) and any(each in str(error) for each in words)
    return is_refused or isinstance(error, OSError | MemoryError)


_shortened: list[float] = []
"""The turns of threads before each block of `short_turns` that has not ended."""


@contextmanager
def short_turns() -> Iterator[None]:
    """While a thread computes for long: the loop waits `TURN_S` for it each time it wakes, not 5 ms.

    Blocks may overlap, in the loop's thread; after the last of them turns are as before the first.
    """
    _shortened.append(sys.getswitchinterval())
    sys.setswitchinterval(TURN_S)
    try:
        yield
    finally:
        usual = _shortened[0]
        _shortened.pop()
        if not _shortened:
            sys.setswitchinterval(usual)


@contextmanager
def _gently() -> Iterator[None]:
    """While a thread imports. What it has made by the end, which stays, is out of the collector's sight."""
    collects = gc.isenabled()
    gc.disable()
    try:
        with short_turns():
            yield
    finally:
        if collects:
            gc.freeze()
            gc.enable()


def open_libraries(package: str) -> int:
    """Open the extension modules of a top-level package, and what they link to. Returns how many that were.

    One that cannot be opened is left to `import`, which says why.
    """
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else ()
    dlopen = getattr(ctypes.CDLL(None), "dlopen", None)
    if dlopen is None:
        return 0
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    paths = [path for folder in folders for path in sorted(Path(folder).rglob("*.so"))]
    return sum(dlopen(os.fsencode(path), os.RTLD_NOW) is not None for path in paths)
