"""Real browsers on bad lines: one with packet loss, and one that is too narrow, next to a viewer with a good line.

The visible frames in the dashboard are measured, with the normal player; nothing is judged here.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import attrs
import trio

from .chromium import Browser, open_chromium
from .daemon import Daemon, open_daemon
from .link import Link
from .numbered import KEY_EVERY_S, write_numbered
from .relay import Relayed, open_relay
from .watching import Late, Report, compare, open_watcher

CAMERA = "front"
WINDOW = (640, 480)
"""Small, since painting is the slowest step on a machine without a graphics card."""
GOOD = Link()
LOSSY = Link(loss=0.03, delay_s=0.02, jitter_s=0.005)
SETTLED_S = 2.0 * KEY_EVERY_S
NARROW = Link(bit_rate=1e6, queue_bytes=128 * 1024)
"""The downlink; the uplink carries little. A full queue is a delay of 1.05 s."""


@attrs.frozen
class Through:
    """Proof that nothing went round the relay."""

    relayed: Relayed
    """Counted after the browser has counted."""
    received: int
    """RTP packets, by the browser, in the newest connection."""
    only: bool
    """Whether the browser knows no other port of banken's than the relay's."""


@attrs.frozen
class Lossy:
    seen: Report
    through: Through


@attrs.frozen
class Narrow:
    """`quiet`: the viewer with a good line, while its neighbour's is good too; `beside`: while it is narrow."""

    quiet: Report
    beside: Report
    slow: Report
    """The neighbour with the narrow line, from the moment of its connection."""
    late: tuple[Late, ...]
    """How much later than the other viewer it saw each of its pictures."""
    through: Through

    @property
    def settled(self) -> list[float]:
        """How late its pictures were after the beginning, when a kept key frame is shown, however old that is."""
        return [late.by_s for late in self.late if late.at > self.slow.began_at + SETTLED_S]


async def run_lossy(folder: Path, seconds: float, seed: int = 1, link: Link = LOSSY) -> Lossy:
    """One viewer behind `link`, both ways. Its first second of pictures is not looked at."""
    async with _open_site(folder) as (daemon, browser), open_relay(link, link, seed) as relay:
        async with open_watcher(browser, daemon.url, relay) as viewer:
            await viewer.wait_pictures()
            await viewer.begin()
            await trio.sleep(seconds)
            seen, counted = await viewer.report(), await viewer.statistics()
            known = set(counted["ports"]) <= relay.ports
            return Lossy(seen, Through(await relay.statistics(), counted["received"]["packetsReceived"], known))


async def run_narrow(folder: Path, seconds: float, seed: int = 1, link: Link = NARROW) -> Narrow:
    """Two viewers, both with good lines; then the second comes again behind `link`. So many seconds each."""
    async with _open_site(folder) as (daemon, browser), open_watcher(browser, daemon.url) as clean:
        async with open_relay(GOOD, GOOD, seed) as relay, open_watcher(browser, daemon.url, relay) as neighbour:
            await clean.wait_pictures()
            await neighbour.wait_pictures()
            await clean.begin()
            await trio.sleep(seconds)
            quiet = await clean.report()
        async with open_relay(GOOD, link, seed) as relay, open_watcher(browser, daemon.url, relay) as neighbour:
            await neighbour.wait_connected()
            await clean.begin()
            await neighbour.begin()
            await trio.sleep(seconds)
            slow, beside, counted = await neighbour.report(), await clean.report(), await neighbour.statistics()
            known = set(counted["ports"]) <= relay.ports
            through = Through(await relay.statistics(), counted["received"].get("packetsReceived", 0), known)
            return Narrow(quiet, beside, slow, tuple(compare(slow.pictures, await clean.pictures())), through)


@asynccontextmanager
async def _open_site(folder: Path) -> AsyncIterator[tuple[Daemon, Browser]]:
    """A camera of 720p30 with 2.5 Mbit/s and a key frame every 2 s, live, and a browser."""
    video = write_numbered(folder / "numbered.mp4")
    async with AsyncExitStack() as stack:
        daemon = await stack.enter_async_context(open_daemon(folder, {CAMERA: f"file://{video}"}))
        browser = await stack.enter_async_context(open_chromium(size=WINDOW))
        await daemon.wait_camera(CAMERA, "live")
        yield daemon, browser
