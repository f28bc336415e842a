"""Everybody can use the page: axe-core finds nothing in any view, dialog, theme or width, whether the daemon is alive,
away, or the past is shown; what is pressed is big enough, in reach, and covered by nothing.
"""

import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from supervisor.forensics.incident import bundle
from supervisor.forensics.incident.render import ReportScope, describe
from supervisor.journal.reader import Reader
from tests.conftest import require
from tests.kit import axe
from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.http import request
from tests.kit.journals import lively, write_journal

from .test_past import write_cut_off_run

pytestmark = pytest.mark.usefixtures("chromium_here")

TOKEN = "detector-in-a-test"
LONG = "the-camera-at-the-far-end-of-the-long-corridor-on-the-2nd-floor"
CAMERAS = {
    "front": {"source": "test:320x180@15", "device": "hall"},
    LONG: {"ffmpeg": ["-re", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=5", "-c:v", "libx264", "-bf", "0"]},
    "gate": {"ffmpeg": ["-i", "http://127.0.0.1:9/none"]},
    "attic": {"source": "test:320x180@15", "mode": "on_demand"},
}
MORE = f"detections: {{token: {TOKEN}, labels: [person], score: 0.1, quiet: 0s, shown: 600s}}"
AXIS, LANE = 24, 26
"""Pixels of the timeline: see `lanes.js`."""
WIDTHS = (375, 768, 1440)
AUDITED = {"alive": (375, 1440), "past": (1440,), "away": (1440,)}
"""Widths in which axe-core runs, by what the daemon does; states of the page are looked at in the last width alone."""
VIEWS = ("", "processes", "devices", "viewers", "detections", "timeline", "audit", "rooms")
DIALOGS = ("health", "help", "settings", "kick", "large")
GATE = "document.querySelector('.grid .tile[data-camera=gate]')"
LOCKED = """(() => {
  const stock = fetch;
  const problem = JSON.stringify({type: "urn:banken:problem:lockout"});
  const refuse = () => Promise.resolve(new Response(problem, {status: 409}));
  globalThis.fetch = (url, ...rest) => (/retry$/.test(url) ? refuse() : stock(url, ...rest));
})()"""
"""From now on each camera has refused its password."""
REACH = Path(__file__).parents[1] / "kit" / "reach.js"


@asynccontextmanager
async def open_everything(folder: Path) -> AsyncIterator[tuple[Daemon, Page]]:
    """A page over cameras that are live, fail and rest, with a device, a suggestion, and a name of 63 characters."""
    async with open_daemon(folder, CAMERAS, f"{MORE}\ndevices: {{hall: {{max_connections: 1}}}}") as daemon:
        async with open_chromium(size=(1440, 900)) as browser, browser.open_page("about:blank") as page:
            await page.goto(daemon.url, within=60)
            await page.wait_for("banken.players.get('front')?.state().name === 'live'", 30)
            seen = {"camera": "front", "time": datetime.now(UTC).isoformat(), "label": "person", "score": 0.9}
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
            answer = await request(daemon.port, "POST", "/api/detections", json.dumps(seen), headers)
            assert answer.json["suggested"], answer.text
            await page.wait_for("!document.querySelector('[data-part=suggestions]').hidden")
            motion = {"name": "prefers-reduced-motion", "value": "reduce"}
            await page.command("Emulation.setEmulatedMedia", {"features": [motion]})
            await page.evaluate(REACH.read_text())
            yield daemon, page


async def enter(page: Page, daemon: Daemon, state: str) -> None:
    """The page over a daemon that is `alive`, that is `away`, or on an event of the `past`."""
    if state == "past":
        await page.press("[")
        await page.wait_for("document.querySelector('[data-part=past]').dataset.past === 'yes'")
        await page.wait_for("document.querySelectorAll('.grid .tile').length > 0")
    if state == "away":
        await daemon.end(signal.SIGKILL)
        await page.wait_for("document.documentElement.hasAttribute('data-stale')")


async def show(page: Page, view: str) -> None:
    await page.evaluate(f"reach.show({view!r})")
    if view == "timeline":
        await page.evaluate("document.querySelector('[data-part=timeline-table]').open = true")


async def open_dialog(page: Page, name: str) -> None:
    press = {
        "health": "[data-part=verdict]",
        "help": "[data-part=help]",
        "settings": "[data-part=settings]",
        "kick": "#view-viewers .kick",
        "large": ".grid .tile[data-camera=front] .picture",
        "failed": ".grid .tile[data-camera=gate] .picture",
    }[name]
    await show(page, "viewers" if name == "kick" else "")
    opened = "Boolean(document.querySelector('dialog[open], :popover-open'))"
    await page.wait_for(f"(document.querySelector('{press}')?.click(), {opened})")


THEMES: tuple[tuple[Literal["dark", "light"], tuple[str, ...]], ...] = (
    ("dark", ()),
    ("light", ("color-contrast", "link-in-text-block")),
)
"""With the rules that axe-core looks for in each; none are all of them."""
Look = Callable[..., Awaitable[None]]


async def look_at_states(page: Page, daemon: Daemon, look: Look) -> None:
    """Each part of the page that shows only while something is wrong or being done."""
    await show_strip_and_more(page, daemon)
    await look("strip of a refused configuration, exposed address, arranging", "wide()")
    await page.click("[data-part=arrange]")
    await page.evaluate("document.querySelector('[data-part=exposed]').hidden = true")
    await configure(page, daemon, "camera:", "cameras:")

    await show(page, "timeline")
    await page.wait_for("document.querySelector('[data-part=timeline-legend]').innerText.includes('waiting')")
    await page.evaluate("document.querySelector('[data-part=timeline-canvas]').focus()")
    for key in (",", "Enter"):
        await page.press(key)
    await page.wait_for("document.querySelectorAll('[data-part=timeline-steps] li').length > 1")
    await look("causes beside the timeline")
    await page.evaluate("document.querySelector('[data-part=timeline-chain-close]').click()")

    await show(page, "rooms")
    await page.click("[data-part=room-create]")
    await page.wait_for("document.querySelectorAll('[data-part=room-people] li').length === 1", 20)
    await look("call in a room")
    await page.click("[data-part=room-leave]")

    await show(page, "")
    await page.evaluate(LOCKED)
    asks = "document.querySelector('[data-part=retry-dialog]').open"
    await page.wait_for(f"({GATE}.querySelector('[data-part=retry]').click(), {asks})", 20)
    await look("question before a refused password is tried")
    await close_dialog(page)

    await page.evaluate("localStorage.setItem('banken.language', 'ja')")
    await page.reload()
    await page.wait_for("document.documentElement.lang === 'ja' && document.querySelectorAll('.grid .tile').length > 0")
    await page.evaluate(REACH.read_text())
    await axe.load_axe(page)
    await show(page, "viewers")
    await look("Japanese", "wide()")


async def show_strip_and_more(page: Page, daemon: Daemon) -> None:
    await show(page, "")
    await configure(page, daemon, "cameras:", "camera:")
    await page.evaluate("document.querySelector('[data-part=exposed]').hidden = false")
    words = "Anyone who can reach 0.0.0.0:8620 can watch and control. banken asks for no password."
    await page.evaluate(f"document.querySelector('[data-part=exposed-text]').textContent = {words!r}")
    await page.click("[data-part=arrange]")


async def configure(page: Page, daemon: Daemon, old: str, new: str) -> None:
    """The configuration with other words, read again by the daemon: `cameras:` is right and `camera:` refused."""
    path = daemon.folder / "banken.yaml"
    path.write_text(path.read_text().replace(old, new))
    daemon.process.send_signal(signal.SIGHUP)
    await page.wait_for(
        f"document.querySelector('[data-part=alerts]').hidden === {'true' if new == 'cameras:' else 'false'}"
    )


async def look_at_the_past(page: Page, moment: datetime, look: Look) -> None:
    """Before there was a camera, and at a moment at which no daemon ran."""
    await show(page, "")
    for at, seen in (
        ("1", "!document.querySelector('[data-part=empty]').hidden"),
        (moment.isoformat().replace("+00:00", "Z"), f"{GATE}?.dataset.state === 'unknown'"),
    ):
        await page.evaluate(f"location.hash = '#at={at}'")
        await page.wait_for(seen)
        await look(f"at {at}")


async def close_dialog(page: Page) -> None:
    await page.evaluate("document.querySelector(':popover-open')?.hidePopover()")
    await page.evaluate("document.querySelector('dialog[open]')?.close()")
    await page.wait_for("!document.querySelector('dialog[open], :popover-open')")


@pytest.mark.parametrize("state", ["alive", "past", "away"])
async def test_every_view_and_dialog_is_accessible_in_each_theme_and_width(tmp_path: Path, state: str) -> None:
    """axe-core finds nothing of any impact: all its rules in the dark theme, in the light one those on colours, which
    alone can differ. Controls have 24 pixels; tabs stand within the page; the line that the daemon is away covers none.
    axe-core takes seconds for each look: the past and the daemon away are looked at with it in one width.
    """
    require(axe.missing_reason())
    found: dict[str, list[str]] = {}
    moment = write_cut_off_run(tmp_path)
    async with open_everything(tmp_path) as (daemon, page):
        await enter(page, daemon, state)
        await axe.load_axe(page)
        await page.evaluate("document.querySelector('.row-head')?.click()")

        async def look(where: str, *more: str) -> None:
            wrong = [f"{each}: {text}" for each in ("small()", *more) for text in await page.evaluate(f"reach.{each}")]
            for theme, rules in THEMES if width in AUDITED[state] else ():
                await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
                wrong += [f"{text} ({theme})" for text in await axe.findings(page, *rules)]
            for text in wrong:
                found.setdefault(text, []).append(where)

        for width in WIDTHS:
            await page.set_viewport(width, 900)
            for view in VIEWS:
                await show(page, view)
                await look(f"{view or 'wall'} at {width}", "unreached()", "wide()")
            if state == "away":
                await look(f"away at {width}", "coveredBy('lost')")
            for name in DIALOGS:
                if name != "kick" or state == "alive":  # nobody ends a connection otherwise
                    await open_dialog(page, name)
                    await look(f"{name} at {width}")
                    await close_dialog(page)
        if state == "past":
            await look_at_the_past(page, moment, look)
        if state == "alive":
            await open_dialog(page, "failed")
            await look("large view of a failed camera")
            await close_dialog(page)
            await look_at_states(page, daemon, look)
    assert found == {}


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Of a journal with some of everything."""
    path = tmp_path / "report.html"
    rows = lively()
    with closing(Reader(write_journal(tmp_path / "journal", rows))) as reader:
        about = ReportScope(rows[0].wall_ns, rows[-1].wall_ns, rows[0].seq, rows[-1].seq, None, "")
        path.write_bytes(describe(reader, about).files[bundle.REPORT])
    return path


async def test_report_of_an_incident_is_accessible_in_both_schemes(report: Path) -> None:
    """The file as a browser opens it: all rules in the dark scheme, those on colours in the light one."""
    require(axe.missing_reason())
    async with open_chromium(size=(1440, 900)) as browser, browser.open_page(report.as_uri()) as page:
        await axe.load_axe(page)
        for scheme, rules in THEMES:
            await page.set_color_scheme(scheme)
            assert await axe.findings(page, *rules) == [], scheme


async def test_label_too_long_ends_in_an_ellipsis_and_has_its_full_name_as_title(tmp_path: Path) -> None:
    """On the lane of the timeline nothing is squeezed; the pointer on the label, the tile and the table say it all."""
    canvas = "document.querySelector('[data-part=timeline-canvas]')"
    async with open_everything(tmp_path) as (_, page):
        await page.evaluate("globalThis.drawn = reach.drawn(); 0")
        await page.press("t")
        shortened = "drawn.find(({text}) => text.includes('the-camera') && text.endsWith('…'))?.text"
        label = (await page.wait_for(shortened)).strip(" ▸▾…")
        assert label == LONG[: len(label)]
        assert await page.evaluate("drawn.every(({given}) => given === 3)"), "squeezed by a width"
        left, top = await page.evaluate(f"(({{left, top}}) => [left, top])({canvas}.getBoundingClientRect())")
        row = list(await page.evaluate("[...banken.players.keys()]")).index(LONG)
        await page.command(
            "Input.dispatchMouseEvent", {"type": "mouseMoved", "x": left + 20, "y": top + AXIS + LANE * row + 13}
        )
        await page.wait_for(f"{canvas}.title === '{LONG}'")
        await page.evaluate("document.querySelector('[data-part=timeline-table]').open = true")
        await page.wait_for(f"document.querySelector('[data-part=timeline-rows]').innerText.includes('{LONG}')")
        name = f".grid .tile[data-camera={LONG}] .name"
        assert await page.evaluate(f"document.querySelector('{name}').title.startsWith('{LONG}: ')")
        style = f"getComputedStyle(document.querySelector('{name}'))"
        assert await page.evaluate(f"[{style}.textOverflow, {style}.whiteSpace]") == ["ellipsis", "nowrap"]


async def test_no_request_of_a_page_load_fails(tmp_path: Path) -> None:
    """Neither the picture of a camera that was never opened nor any other; the console of the browser stays empty."""
    async with open_daemon(tmp_path, CAMERAS, MORE) as daemon, open_chromium(size=(1440, 900)) as browser:
        async with browser.open_page(daemon.url, "load") as page:
            await page.wait_for("banken.players.get('front')?.state().name === 'live'", 30)
            await page.wait_for(
                "document.querySelector('.tile[data-camera=attic]').innerText.includes('No picture yet')"
            )
            await page.wait_for("performance.getEntriesByType('resource').some(({name}) => name.endsWith('?cached'))")
            assert [failure for failure in page.failures if not failure.canceled] == []
            assert [str(line) for line in page.console if line.kind in ("error", "uncaught", "browser")] == []
