"""A real, headless Chromium for tests, driven over the Chrome DevTools Protocol.

    async with open_chromium() as browser, browser.open_page("http://127.0.0.1:8620/") as page:
        await page.click("button.play")
        await page.wait_for("document.querySelector('video').videoWidth > 0")

Rules of this file:
1. A fresh profile for each browser, which is also its home and its folder for temporary files; removed afterwards.
2. Nothing of it survives the block: renderers, zygotes and crash handlers are ended, in or out of its process group.
3. It talks to nobody on the network but the page under test.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
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
    "chromium_missing_reason",
    "open_chromium",
]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
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


class ChromiumError(Exception):
    """Chromium did not start; the message has its last words."""


class Browser:
    """Made by `open_chromium`."""

    def __init__(self, group: ProcessGroup, devtools: DevTools, profile: Path, size: tuple[int, int]) -> None:
        self.profile = profile
        self._size = size
        self._group = group
        self._devtools = devtools

    @property
    def pid(self) -> int:
        return self._group.pid

    @property
    def running(self) -> bool:
        return self._group.running

    @asynccontextmanager
    async def open_page(self, url: str, until: Literal["dom", "load"] = "dom") -> AsyncIterator[Page]:
        """A page in a window of its own (a tab behind another would be hidden), at `url`.

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
        self._group.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._group.send(signal.SIGCONT)

    async def version(self) -> str:
        return str((await self._devtools.send("Browser.getVersion"))["product"])

    async def kill(self) -> None:
        """SIGKILL to every process at once, as when a viewer's machine vanishes; returns when all are gone."""
        await self._group.end(first=signal.SIGKILL)

    async def _new_page(self) -> Page:
        made = await self._devtools.send("Target.createTarget", {"url": "about:blank", "newWindow": True})
        target = made["targetId"]
        attached = await self._devtools.send("Target.attachToTarget", {"targetId": target, "flatten": True})
        return Page(self._devtools, target, attached["sessionId"])


@asynccontextmanager
async def open_chromium(*, size: tuple[int, int] = (1280, 800), flags: Sequence[str] = ()) -> AsyncIterator[Browser]:
    """A browser for the length of the block; `size` is the inside of every page, `flags` are added to the command line.

    Raises ChromiumError. Cleanup: killed (its profile is worth nothing) and reaped within 6 s, the profile removed; on
    error and cancellation too.
    """
    program = _find()
    if program is None:
        raise ChromiumError(chromium_missing_reason())
    with _temporary_profile() as profile:
        argv = [program, *FLAGS, *_flags_of_this_machine(), f"--window-size={size[0]},{size[1]}"]
        argv += [f"--user-data-dir={profile}", *flags, "about:blank"]
        async with open_process_group(argv, env=_environment(profile)) as group:
            try:
                address = await _wait_address(group, profile / "DevToolsActivePort")
                async with open_devtools(address) as devtools:
                    yield Browser(group, devtools, profile, size)
            finally:
                await group.end(first=signal.SIGKILL)


def chromium_missing_reason() -> str | None:
    """Why there is no browser on this machine and what would help, in words; None when there is one."""
    if _find() is None:
        return f"none of {', '.join(NAMES)} on PATH (apt install chromium)"
    return None


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
    """Ours, with a home of its own, and neither display, session bus, proxies nor Debian's flags of the user."""
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
