"""Imports modules in a thread after the web server answers, while the loop continues.

Rules of this file:
- A task that needs such a module awaits `load` first. A plain `import` could block the loop until the thread has
  imported the module.
- During the imports, threads switch every `SWITCH_INTERVAL_S`, and the cyclic collector, whose run would stop all
  threads, is disabled.
- The C library opens shared libraries, without the interpreter's lock. `import` holds that lock for up to 30 ms for
  each library of FFmpeg and OpenSSL.
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

from .resource_errors import RESOURCE_ERRNOS
from .threads import ThreadRefused, run_in_thread

SWITCH_INTERVAL_S = 0.0005
"""How long one thread may run while another waits. CPython's default is ten times as long."""


class NotLoaded(OSError):
    """A module cannot be imported at the moment: no descriptor, no memory, no thread. `errno` is `EAGAIN`."""

    def __init__(self, why: object) -> None:
        super().__init__(errno.EAGAIN, f"not imported yet: {why}")


class BackgroundImport:
    """Imports `modules`, with everything that they import.

    The shared libraries of `packages` are opened first. `finish` is called in the thread after the imports, and may
    raise the errors that they may raise.
    """

    def __init__(
        self, modules: Sequence[str], packages: Sequence[str] = (), finish: Callable[[], None] = lambda: None
    ) -> None:
        self.modules, self._packages, self._finish = tuple(modules), packages, finish
        self._lock, self._limiter = trio.Lock(), trio.CapacityLimiter(1)
        self.is_loaded = False

    async def load(self) -> None:
        """Return when all modules are imported. After an error, the next call tries again.

        Raises `NotLoaded`, and `ImportError` for a module that is missing or broken.
        Cancellation: returns at once; the thread continues. Cleanup: restores the collector and the switch interval.
        """
        if self.is_loaded:
            return
        async with self._lock:
            if not self.is_loaded:
                try:
                    with _gently():
                        await run_in_thread(self._import, limiter=self._limiter, abandon="an import takes seconds")
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
        except Exception as error:  # an import runs foreign code, which may raise anything
            if _may_pass(error):
                raise NotLoaded(error) from error
            raise ImportError(f"{type(error).__name__}: {error}") from error


def _may_pass(error: Exception) -> bool:
    """Whether a later import may succeed.

    Without a descriptor or memory for a shared library, `import` raises `ImportError` with the system's message.
    """
    words = (os.strerror(number) for number in RESOURCE_ERRNOS)
    is_refused = isinstance(error, ImportError) and any(each in str(error) for each in words)
    return is_refused or isinstance(error, OSError | MemoryError)


_shortened: list[float] = []
"""The switch interval before each block of `short_switch_interval` that has not ended, in seconds."""


@contextmanager
def short_switch_interval() -> Iterator[None]:
    """While a thread computes, let the loop wait only `SWITCH_INTERVAL_S` for it each time the loop wakes, not 5 ms.

    Blocks may overlap, in the loop's thread. After the last block, the interval is the one before the first block.
    """
    _shortened.append(sys.getswitchinterval())
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        usual = _shortened[0]
        _shortened.pop()
        if not _shortened:
            sys.setswitchinterval(usual)


@contextmanager
def _gently() -> Iterator[None]:
    """Around a thread that imports. Hides the objects that it made, which stay, from the collector."""
    collects = gc.isenabled()
    gc.disable()
    try:
        with short_switch_interval():
            yield
    finally:
        if collects:
            gc.freeze()
            gc.enable()


def open_libraries(package: str) -> int:
    """Open the extension modules of a top-level package and the libraries they link to; return their number.

    If a module cannot be opened, the later `import` reports why.
    """
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else ()
    dlopen = getattr(ctypes.CDLL(None), "dlopen", None)
    if dlopen is None:
        return 0
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    paths = [path for folder in folders for path in sorted(Path(folder).rglob("*.so"))]
    return sum(dlopen(os.fsencode(path), os.RTLD_NOW) is not None for path in paths)
