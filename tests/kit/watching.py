"""The view of a real viewer: the dashboard in a real browser, with a record of every displayed frame."""

import math
import statistics
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs

from .chromium import Browser, Page
from .detour import open_detour
from .numbered import BITS, CELL, SECONDS
from .relay import Relay

SCRIPT = Path(__file__).with_name("watching.js")
FIRST_PICTURE_S = 30.0
SETTLED_PICTURES = 30
EARLY_S = 0.2
"""So much sooner than on the other page a picture may be seen: two windows are not painted at the same time."""
UNKNOWN_S = SECONDS - 2.0
"""Maximum lateness in seconds; above it the other page has missed the frame or is late itself."""
FREEZE_S = 0.5


@attrs.frozen
class Shown:
    """A picture on the screen: since when (seconds of the wall clock), and its number."""

    at: float
    number: int


@attrs.frozen
class Report:
    """Displayed frames and counters of the browser in a period; gaps in seconds."""

    began_at: float
    seconds: float
    pictures: tuple[Shown, ...]
    gaps: tuple[float, ...]
    """Between one picture and the next; the first from the beginning of the stretch, the last to its end."""
    skipped: int
    """Pictures that were presented, but passed before the page could look."""
    connections: int
    """Those that were opened during the stretch: more than none, and the page had given one up."""
    counted: dict[str, float]

    @property
    def longest_s(self) -> float:
        return max(self.gaps)

    @property
    def freezes(self) -> int:
        return sum(gap > FREEZE_S for gap in self.gaps)

    @property
    def frozen_s(self) -> float:
        return sum(gap for gap in self.gaps if gap > FREEZE_S)

    @property
    def rate(self) -> float:
        """Pictures decoded in a second; more than are seen, where a machine is slow to paint."""
        return self.counted["framesDecoded"] / self.seconds

    @property
    def buffered_s(self) -> float:
        """The mean time of a picture in the jitter buffer."""
        return self.counted["jitterBufferDelay"] / max(1.0, self.counted["jitterBufferEmittedCount"])

    def describe(self) -> str:
        """For a message: the gaps that matter, and all that was counted."""
        longest = ", ".join(f"{gap:.2f}" for gap in sorted(self.gaps, reverse=True)[:10])
        counted = ", ".join(f"{name} {value:g}" for name, value in self.counted.items())
        return f"{len(self.pictures)} pictures in {self.seconds:.1f} s; longest gaps {longest} s; {counted}"


COUNTED = (
    "packetsReceived",
    "packetsLost",
    "retransmittedPacketsReceived",
    "nackCount",
    "pliCount",
    "firCount",
    "framesDecoded",
    "keyFramesDecoded",
    "framesDropped",
    "freezeCount",
    "totalFreezesDuration",
    "jitterBufferDelay",
    "jitterBufferEmittedCount",
)


class Watcher:
    """Made by `open_watcher`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._began: dict[str, Any] = {}

    async def statistics(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.page.evaluate("watching.statistics()")
        return found

    async def wait_connected(self, within: float = FIRST_PICTURE_S) -> None:
        """Wait until there is a connection, whether it shows anything or not."""
        await self.page.wait_for("watching.connected()", within)

    async def wait_pictures(self, count: int = SETTLED_PICTURES, within: float = FIRST_PICTURE_S) -> None:
        """Wait until the given total number of frames has been shown."""
        await self.page.wait_for(f"watching.shown.length >= {count}", within)

    async def pictures(self) -> list[Shown]:
        """All that were shown, since the page was opened."""
        return [Shown(at / 1000, number) for at, _, number in await self.page.evaluate("watching.shown")]

    async def begin(self) -> None:
        """Start a new period."""
        self._began = await self.statistics()

    async def report(self) -> Report:
        """Return the record since the start of the period."""
        before, after = self._began, await self.statistics()
        rows = await self.page.evaluate("watching.shown")
        inside = [row for row in rows if before["at"] < row[0] <= after["at"]]
        ends = [before["at"], *(row[0] for row in inside), after["at"]]
        same = before["connections"] == after["connections"]
        return Report(
            began_at=before["at"] / 1000,
            seconds=(after["at"] - before["at"]) / 1000,
            pictures=tuple(Shown(at / 1000, number) for at, _, number in inside),
            gaps=tuple((later - sooner) / 1000 for sooner, later in pairwise(ends)),
            skipped=sum(max(0, later[1] - sooner[1] - 1) for sooner, later in pairwise(inside)),
            connections=after["connections"] - before["connections"],
            counted={name: after["received"].get(name, 0) - same * before["received"].get(name, 0) for name in COUNTED},
        )


@asynccontextmanager
async def open_watcher(browser: Browser, url: str, relay: Relay | None = None) -> AsyncIterator[Watcher]:
    """Open the dashboard at `url` in its own window, with its media through `relay`, if given."""
    async with browser.open_page("about:blank") as page:
        script = f"const CELL = {CELL}, BITS = {BITS};\n{SCRIPT.read_text()}"
        await page.command("Page.addScriptToEvaluateOnNewDocument", {"source": f"{{{script}}}"})
        if relay is None:
            await page.goto(url)
            yield Watcher(page)
        else:
            async with open_detour(page, relay):
                await page.goto(url)
                yield Watcher(page)


@attrs.frozen
class Late:
    """A picture that was seen `by_s` seconds later than the same one on a page with a good line."""

    at: float
    by_s: float


def compare(behind: Sequence[Shown], ahead: Sequence[Shown]) -> Iterator[Late]:
    """Return the lateness of each frame; frames that were not seen on the other page are omitted.

    Numbers come again with each turn of the video: the latest that was seen by then is meant.
    """
    newest: dict[int, float] = {}
    sooner = iter(ahead)
    following = next(sooner, None)
    for picture in behind:
        while following is not None and following.at <= picture.at + EARLY_S:
            newest[following.number] = following.at
            following = next(sooner, None)
        late_s = picture.at - newest.get(picture.number, -math.inf)
        if late_s < UNKNOWN_S:
            yield Late(picture.at, late_s)


def percentile(values: Sequence[float], share: int) -> float:
    """Return the given percentile of the values."""
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1] if len(values) > 1 else max(values)
