"""A real, headless Chromium for tests, driven over the Chrome DevTools Protocol.

    async with open_chromium() as browser, browser.open_page("http://127.0.0.1:8620/") as page:
        await page.click("button.play")
        await page.wait_for("document.querySelector('video').videoWidth > 0")

Rules of this file:
1. A fresh profile for each browser; that of a separate process is also its home and its folder for temporary files.
2. Nothing of it survives the block: renderers, zygotes and crash handlers are ended, in or out of its process group.
3. It talks to nobody on the network but the page under test.
4. Within `share_chromium` one process serves all browsers that need no separate one. Each is a browser context:
   cookies, storage, cache and service workers are its own, and are gone with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Literal

import trio

from .devtools import DevTools, DevToolsError, PageGone, open_devtools
from .page import ConsoleLine, Failure, JavaScriptError, NavigationError, Page
from .process_group import ProcessGroup, open_process_group
from .processes import wait_until

__all__ = [
    "Browser",
    "ChromiumError",
    "ConsoleLine",
    "DevToolsError",
    "Failure",
    "JavaScriptError",
    "NavigationError",
    "Page",
    "PageGone",
    "certutil_missing_reason",
    "chromium_missing_reason",
    "open_chromium",
]

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
READY_SECONDS = 30.0  # a cold start on a busy machine of two cores takes up to 10 s
SMALL_SHM_BYTES = 512 * 1024 * 1024  # Docker gives 64 MiB, in which tabs crash
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-breakpad",
    "--metrics-recording-only",
    "--password-store=basic",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    # A test's second page must not slow the first one down, as a hidden tab would be.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
)

_shared: str | None = None
"""The address of the process that `share_chromium` runs."""


class ChromiumError(Exception):
    """Chromium did not start; the message has its last output."""


class Browser:
    """Made by `open_chromium`. `context` is the browser context of its pages; None: the only one of its process."""

    def __init__(
        self, devtools: DevTools, size: tuple[int, int], group: ProcessGroup | None, context: str | None
    ) -> None:
        self._size = size
        self._group = group
        self._context = {"browserContextId": context} if context else {}
        self._devtools = devtools

    @asynccontextmanager
    async def open_page(self, url: str, until: Literal["dom", "load"] = "dom") -> AsyncIterator[Page]:
        """Open a page in its own window (a tab behind another would be hidden), at `url`.

        `until` as in `Page.goto`. Raises NavigationError. Cleanup: closed as a user closes it, within 5 s.
        """
        page = await self._new_page()
        try:
            await page.enable()
            await page.set_viewport(*self._size)  # a window of that size has 87 pixels less for the page
            await page.goto(url, until)
            yield page
        finally:
            with trio.CancelScope(shield=True):  # bounded by `close` itself
                await page.close()

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """All its processes stand still, as on a phone that sleeps. Nothing may be asked of a page meanwhile."""
        group = self._own_group()
        group.send(signal.SIGSTOP)
        try:
            yield
        finally:
            group.send(signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL to every process at once, as when a viewer's machine vanishes; returns when all are gone."""
        await self._own_group().end(first=signal.SIGKILL)

    def _own_group(self) -> ProcessGroup:
        assert self._group is not None, "other blocks share its process: open it with `own=True`"
        return self._group

    async def _new_page(self) -> Page:
        width, height = self._size
        window = {"newWindow": True, "width": width, "height": height, **self._context}
        target = (await self._devtools.send("Target.createTarget", {"url": "about:blank", **window}))["targetId"]
        attached = await self._devtools.send("Target.attachToTarget", {"targetId": target, "flatten": True})
        return Page(self._devtools, target, attached["sessionId"])


@asynccontextmanager
async def open_chromium(
    *, size: tuple[int, int] = (1280, 800), flags: Sequence[str] = (), own: bool = False, authority: Path | None = None
) -> AsyncIterator[Browser]:
    """A browser for the length of the block; `size` is the inside of every page, `flags` are added to the command line.
    It trusts the CA in the file `authority`, as a device on which somebody has installed it.

    It has a separate process if it has `flags` or `authority`, if `own`, and outside of a block of `share_chromium`.
    Raises ChromiumError. Cleanup: killed (its profile is worth nothing) and reaped within 6 s, the profile removed; on
    error and cancellation too. Of a shared one, its context is closed.
    """
    if _shared is not None and not flags and not own and authority is None:
        async with open_devtools(_shared) as devtools:
            context = (await devtools.send("Target.createBrowserContext"))["browserContextId"]
            try:
                yield Browser(devtools, size, None, context)
            finally:
                with trio.CancelScope(shield=True):  # bounded by `send`
                    await devtools.send("Target.disposeBrowserContext", {"browserContextId": context})
        return
    async with _open_process(size, flags, authority) as (group, address), open_devtools(address) as devtools:
        yield Browser(devtools, size, group, None)


@contextmanager
def share_chromium() -> Iterator[None]:
    """For the length of the block, one process serves each `open_chromium` that needs no separate one.

    It is run by a thread, since each test has its own trio loop. Without a Chromium on this machine nothing happens.
    Raises ChromiumError.
    """
    global _shared
    if _find() is None:
        yield
        return
    said, failures = SimpleQueue[tuple[str, Callable[[], None]] | None](), list[Exception]()

    async def hold() -> None:
        token, over = trio.lowlevel.current_trio_token(), trio.Event()
        try:
            async with _open_process((1280, 800), ()) as (_, address):
                said.put((address, lambda: token.run_sync_soon(over.set)))
                await over.wait()
        except Exception as error:
            failures.append(error)
            said.put(None)

    thread = Thread(target=trio.run, args=(hold,))
    thread.start()
    begun = said.get()
    if begun is None:
        raise failures[0]
    _shared, end = begun
    try:
        yield
    finally:
        _shared = None
        end()
        thread.join()
    if failures:
        raise failures[0]


@asynccontextmanager
async def _open_process(
    size: tuple[int, int], flags: Sequence[str], authority: Path | None = None
) -> AsyncIterator[tuple[ProcessGroup, str]]:
    """Chromium in a new process group, and the address of its DevTools."""
    program = _find()
    if program is None:
        raise ChromiumError(chromium_missing_reason())
    with _temporary_profile() as profile:
        if authority is not None:
            await _install(authority, profile)
        argv = [program, *FLAGS, *_flags_of_this_machine(), f"--window-size={size[0]},{size[1]}"]
        argv += [f"--user-data-dir={profile}", *flags, "about:blank"]
        async with open_process_group(argv, env=_environment(profile)) as group:
            try:
                yield group, await _wait_address(group, profile / "DevToolsActivePort")
            finally:
                await group.end(first=signal.SIGKILL)


def chromium_missing_reason() -> str | None:
    """Why there is no browser on this machine and what would help, in words; None when there is one."""
    if _find() is None:
        return f"none of {', '.join(NAMES)} on PATH (apt install chromium-headless-shell)"
    return None


def certutil_missing_reason() -> str | None:
    """Why a browser cannot be made to trust a CA, and what would help, in words; None when it can."""
    return None if shutil.which("certutil") else "there is no certutil (apt install libnss3-tools)"


def _find() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def _temporary_profile() -> Iterator[Path]:
    # Short, and not below pytest's tmp_path: Chromium puts a socket there, whose path may have 107 bytes.
    profile = Path(tempfile.mkdtemp(prefix="banken-chromium-"))
    try:
        yield profile
    finally:
        shutil.rmtree(profile)


async def _install(authority: Path, home: Path) -> None:
    """Trust a CA for servers, in the store of the user whose home this is."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for options in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "a test", "-i", str(authority)]):
        await trio.run_process(["certutil", "-d", f"sql:{store}", *options])


def _flags_of_this_machine() -> list[str]:
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    try:
        room = os.statvfs("/dev/shm")
        if room.f_bavail * room.f_frsize < SMALL_SHM_BYTES:
            flags.append("--disable-dev-shm-usage")
    except OSError:
        flags.append("--disable-dev-shm-usage")
    return flags


def _environment(profile: Path) -> dict[str, str]:
    """Our environment with a separate home, without display, session bus, proxies and the user's Debian flags."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "TZ")}
    return kept | {"HOME": str(profile), "TMPDIR": str(profile)}


async def _wait_address(group: ProcessGroup, file: Path) -> str:
    """The WebSocket of the browser, from the file that Chromium writes when it listens: port, newline, path."""

    def read() -> list[str]:
        try:
            lines = file.read_text().splitlines()
        except FileNotFoundError:
            return []
        return lines if len(lines) == 2 else []

    try:
        await wait_until(lambda: read() or not group.running, READY_SECONDS, what="Chromium to listen")
    except TimeoutError as error:
        raise ChromiumError(f"{error}: {await group.describe_exit()}") from None
    if not group.running:
        raise ChromiumError(f"Chromium ended at once: {await group.describe_exit()}")
    port, path = read()
    return f"ws://127.0.0.1:{port}{path}"
