"""The slider over the journal: it keeps its place in every mode, and follows the hand, in a real browser."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from supervisor.domain import commands as c
from supervisor.domain.values import Limits
from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import open_daemon
from tests.kit.domain import ASKED, GATE, NODE, RUN, Story, settings
from tests.kit.journals import write_journal

from .test_views import TEST, text_of

pytestmark = pytest.mark.usefixtures("chromium_here")

SLIDER = "document.querySelector('[data-part=past-slider]')"
PAST = "document.querySelector('[data-part=past]').dataset.past"
BOX = f"(({{x, y, width, height}}) => [x, y, width, height])({SLIDER}.getBoundingClientRect())"
THUMB = "parseFloat(getComputedStyle(document.documentElement).fontSize)"
SECOND = 1000


def boxes(selector: str) -> str:
    """An expression: where all of these stand, as text."""
    return f"JSON.stringify([...document.querySelectorAll({selector!r})].map((node) => node.getBoundingClientRect()))"


@asynccontextmanager
async def open_bar(folder: Path, size: tuple[int, int]) -> AsyncIterator[Page]:
    """A page over a journal that began three hours ago."""
    story = Story(now_ns=time.time_ns() - 3 * 3600 * 10**9)
    story.given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", (settings(GATE),), Limits()), c.StopRun(ASKED))
    write_journal(folder / "journal", story.given(c.EndRun()).recorded)
    async with open_daemon(folder, {"front": TEST}) as daemon, open_chromium(size=size) as browser:
        async with browser.open_page(daemon.url) as page:
            await page.wait_for("banken.players.get('front')?.state().name === 'live'", 30)
            await page.wait_for(f"{SLIDER}.max - {SLIDER}.min >= 3_600_000")
            yield page


class Hand:
    """The mouse on the slider; places are shares of the way that the thumb can go, from 0 to 1."""

    def __init__(self, page: Page, box: list[float], thumb: float) -> None:
        self._page, self._box, self._thumb = page, box, thumb

    def place(self, x: float) -> float:
        left, width = self._box[0] + self._thumb / 2, self._box[2] - self._thumb
        return min(1.0, max(0.0, (x - left) / width))

    def x(self, place: float) -> float:
        return self._box[0] + self._thumb / 2 + place * (self._box[2] - self._thumb)

    async def do(self, kind: str, x: float) -> None:
        mouse = {"x": x, "y": self._box[1] + self._box[3] / 2, "button": "left", "clickCount": 1}
        await self._page.command(
            "Input.dispatchMouseEvent", {"type": kind, "buttons": int(kind != "mouseReleased"), **mouse}
        )


@pytest.mark.parametrize("size", [(375, 800), (768, 900), (1440, 900), (2560, 1440)], ids=lambda size: str(size[0]))
async def test_drag_maps_the_pointer_to_the_time_wherever_it_begins(tmp_path: Path, size: tuple[int, int]) -> None:
    """A drag begins in the present or in the past; the slider stays where it is, while it leads to other moments."""
    async with open_bar(tmp_path, size) as page:
        box = await page.evaluate(BOX)
        hand = Hand(page, box, await page.evaluate(THUMB))
        for begin in (0.9, 0.05, 0.5, 0.97):
            assert await page.evaluate(f"{PAST} === 'no'")
            for again in (False, True):
                await drag(page, hand, box, hand.x(0.4) if again else hand.x(begin))
            assert await page.evaluate(BOX) == box
            await page.press("n")
            await page.wait_for(f"{PAST} === 'no'")
            assert await page.evaluate(BOX) == box


async def drag(page: Page, hand: Hand, box: list[float], begin: float) -> None:
    await hand.do("mousePressed", begin)
    low, value, high = map(float, await page.evaluate(f"[{SLIDER}.min, {SLIDER}.value, {SLIDER}.max]"))
    grip = begin - hand.x((value - low) / (high - low))
    for far in (-3, -30, -200, 60, 0):
        x = begin + far
        await hand.do("mouseMoved", x)
        wanted = low + hand.place(x - grip) * (high - low)
        slack = SECOND + 2 * (high - low) / box[2]
        assert abs(float(await page.evaluate(f"{SLIDER}.value")) - wanted) < slack, f"{far} px from {begin}"
        assert await page.evaluate(BOX) == box
    held = await page.evaluate(f"[{SLIDER}.min, {SLIDER}.value, {SLIDER}.max]")
    await page.wait_for(f"{PAST} === 'yes' && {text_of('[data-part=past-text]')}.startsWith('This is the past')")
    assert await page.evaluate(f"[{SLIDER}.min, {SLIDER}.value, {SLIDER}.max]") == held
    await hand.do("mouseReleased", begin)


async def test_keys_move_the_slider_by_their_steps_and_lead_back_to_now(tmp_path: Path) -> None:
    """Each arrow is a second; it stays in its place and keeps the focus. End is now."""
    async with open_bar(tmp_path, (1440, 900)) as page:
        box = await page.evaluate(BOX)
        await page.evaluate(f"{SLIDER}.focus()")
        for key, step in (("PageDown", None), ("ArrowLeft", -SECOND), ("ArrowLeft", -SECOND), ("ArrowRight", SECOND)):
            before = float(await page.evaluate(f"{SLIDER}.value"))
            await page.press(key)
            after = float(await page.evaluate(f"{SLIDER}.value"))
            assert after < before if step is None else after - before == step
            await page.wait_for(f"{PAST} === 'yes' && location.hash.startsWith('#at=')")
            assert await page.evaluate(f"Math.abs({SLIDER}.value - {after}) <= {SECOND}")
            assert await page.evaluate(BOX) == box
        await page.press("End")
        await page.wait_for(f"{PAST} === 'no'")
        assert await page.evaluate(f"document.activeElement === {SLIDER}")
        assert await page.evaluate(BOX) == box


async def test_both_choices_stand_in_one_line_on_a_phone(tmp_path: Path) -> None:
    """The time range and the speed stand beside each other, and nothing of the bar is wider than the page."""
    async with open_bar(tmp_path, (375, 812)) as page:
        tops = "[...document.querySelectorAll('.past-choice')].map((node) => node.getBoundingClientRect().top)"
        found = await page.evaluate(tops)
        assert len(found) == 2 and len(set(found)) == 1, found
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_words_of_any_length_move_nothing_in_the_bar(tmp_path: Path) -> None:
    """Also in Japanese; and the bar is no wider than the window."""
    places = boxes("[data-part=past] > :not(.past-said, [role=status])")
    async with open_bar(tmp_path, (1440, 900)) as page:
        for language in ("en", "ja"):
            await page.evaluate(f"localStorage.setItem('banken.language', '{language}'); location.reload()")
            await page.wait_for(f"document.documentElement.lang === '{language}' && {SLIDER}.max > 1000", 20)
            # A journal that grows makes the page longer than the window, and its scroll bar narrows all of it.
            await page.evaluate("document.documentElement.style.scrollbarWidth = 'none'")
            for width in (375, 768, 1440, 2560):
                await page.set_viewport(width, 900)
                seen: list[Any] = [await page.evaluate(places)]
                await page.evaluate("document.querySelector('[data-part=past-note]').textContent = 'x'.repeat(400)")
                seen.append(await page.evaluate(places))
                await page.evaluate("document.querySelector('[data-part=past-back]').click()")
                await page.wait_for(f"{PAST} === 'yes'")
                seen.append(await page.evaluate(places))
                assert seen.count(seen[0]) == 3, f"{language} {width}"
                assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
                await page.evaluate("document.querySelector('[data-part=past-now]').click()")
                await page.wait_for(f"{PAST} === 'no'")
