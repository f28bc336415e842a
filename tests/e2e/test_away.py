"""While the daemon is away: the page keeps the pictures it has, and claims nothing that it cannot know."""

import signal
from functools import partial
from pathlib import Path

import pytest

from supervisor.domain.ids import CameraId
from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import launch_daemon, open_daemon
from tests.kit.processes import wait_until
from tests.kit.site import open_site

from .test_leases import fix_the_port
from .test_past import drag_to_the_beginning
from .test_time_bar import boxes
from .test_views import TEST, text_of

pytestmark = pytest.mark.usefixtures("chromium_here")

CAMERAS = {
    "yard": {"source": TEST, "device": "hall"},
    "front": TEST,
    "gate": {"ffmpeg": ["-i", "http://127.0.0.1:9/none"]},
}
DEVICES = "devices: {hall: {max_connections: 1}}"
ORDER = "[...document.querySelectorAll('.grid .tile')].map((tile) => tile.dataset.camera).join()"


def part(name: str) -> str:
    return text_of(f"[data-part={name}]")


async def known(page: Page) -> dict[str, str]:
    names = ("live-count", "viewer-count", "verdict-text", "follow-text")
    return {name: str(await page.evaluate(part(name))) for name in names}


async def test_nothing_claims_to_be_live_while_the_daemon_is_away(tmp_path: Path) -> None:
    """Counts, verdict, journal and tiles say that they do not know, and cover nothing; later all is well again."""
    async with open_daemon(tmp_path, CAMERAS) as daemon, open_chromium(size=(1440, 900)) as browser:
        async with browser.open_page(daemon.url) as page:
            await page.wait_for(f"{part('live-count')} === '2' && {part('viewer-count')} === '2'", 30)
            await page.wait_for(f"{text_of('.tile[data-camera=gate]')}.includes('Next try in')")
            before = await known(page)
            assert before["follow-text"] == "Following"
            for camera in ("yard", "front"):
                await page.wait_for(PLAYS.format(camera=camera), 30)
            await page.evaluate(LISTEN)
            places = boxes(".tile, .drawer, .past, .journal")
            stood = await page.evaluate(places)
            await daemon.end(signal.SIGKILL)
            await page.wait_for("document.documentElement.hasAttribute('data-stale')", 30)
            await page.wait_for(f"{text_of('.tile[data-camera=front] .badge')}.includes('was live')")
            assert await known(page) == {"live-count": "–", "viewer-count": "–", "verdict-text": "unknown",
                                         "follow-text": "Waiting"}  # fmt: skip
            assert await page.evaluate("document.title") == "–/3 live · banken"
            assert await page.evaluate(f"{part('lost')}.startsWith('No answer from banken since')")
            await page.wait_for(f"!/Next try|Trying now/.test({text_of('.tile[data-camera=gate]')})")
            await page.wait_for("window.said.some((text) => text.includes('o picture since'))", 30)
            assert await page.evaluate(places) == stood, "nothing moves"
            for width in (375, 768, 1440):
                await page.set_viewport(width, 900)
                assert await page.evaluate(COVERED) == []
            fix_the_port(tmp_path, daemon.port)
            async with launch_daemon(tmp_path) as again:
                await again.wait_ready()
                await page.wait_for("!document.documentElement.hasAttribute('data-stale')", 30)
                await page.wait_for(f"{part('live-count')} === '2'", 60)
                assert await page.evaluate(part("follow-text")) == "Following"


PLAYS = "banken.players.get('{camera}')?.state().name === 'live'"

LISTEN = """(() => {
  const overlay = document.querySelector('.tile[data-camera=front] .overlay');
  window.said = [];
  new MutationObserver(() => window.said.push(overlay.innerText))
    .observe(overlay, { attributes: true, childList: true, characterData: true, subtree: true });
})()"""
"""Keeps each text of one overlay: the page says why the picture is lost for some ten seconds only."""

COVERED = """[...document.querySelectorAll('button:not(:disabled), input, select')].filter((node) => {
  const { left, top, width, height } = node.getBoundingClientRect();
  const there = document.elementFromPoint(left + width / 2, top + height / 2);
  return width && there && there.closest('[data-part=lost]');
}).map((node) => node.dataset.part)"""
"""Controls that the words of the silence lie over."""


def has_failed(page: Page, path: str) -> bool:
    return any(path in failure.url for failure in page.failures)


async def test_looking_back_while_the_daemon_is_away_keeps_the_pictures(tmp_path: Path) -> None:
    """Two keys and the slider: each is answered in words, and the last pictures stay on the wall."""
    pictured = "[...document.querySelectorAll('.tile[data-picture=yes]')].map((tile) => tile.dataset.camera).join()"
    async with open_daemon(tmp_path, CAMERAS, DEVICES) as daemon, open_chromium(size=(1440, 900)) as browser:
        async with browser.open_page(daemon.url) as page:
            for camera in ("yard", "front"):
                await page.wait_for(PLAYS.format(camera=camera), 30)
            await page.wait_for(f"{pictured} === 'yard,front'")
            await daemon.end(signal.SIGKILL)
            await page.wait_for("document.documentElement.hasAttribute('data-stale')", 30)
            for look, asked in (
                (partial(page.press, "["), "/api/events?"),
                (partial(page.press, "{"), "/api/failures?"),
                (partial(drag_to_the_beginning, page), "/api/state?at="),
            ):
                await look()
                await wait_until(partial(has_failed, page, asked), 10)
                await page.wait_for(f"{part('past-note')} === 'It could not be read: banken does not answer'", 10)
                assert await page.evaluate(pictured) == "yard,front"
                assert await page.evaluate("document.querySelector('[data-part=past]').dataset.past") == "no"
            await page.press("p")
            await page.wait_for(f"{part('process-note')}.endsWith('banken does not answer')", 10)


LANE = """(share) => {
  const canvas = document.querySelector('[data-part=timeline-canvas]');
  const {data} = canvas.getContext('2d').getImageData(136 + share * (canvas.width - 136) - 3, 33, 1, 1);
  const live = getComputedStyle(document.documentElement).getPropertyValue('--live').trim();
  return `#${[...data].slice(0, 3).map((part) => part.toString(16).padStart(2, '0')).join('')}` === live;
}"""
"""Whether the lane of the first camera is that of a live one, at a share of the way from left to right."""


def drawn_live(share: float) -> str:
    return f"({LANE})({share})"


async def test_every_view_ends_at_the_last_word_while_the_daemon_is_away(tmp_path: Path) -> None:
    """Ages stand still, states are those that were, counts are not known, and open spans end; later all goes on."""
    column = "[...document.querySelectorAll('#view-{} [data-column={}]')].map((td) => td.innerText).join()"
    ages = {view: column.format(view, "age") for view in ("viewers", "processes")}
    ages["devices"] = "[...document.querySelectorAll('#view-devices time')].map((time) => time.innerText).join()"
    states = {view: column.format(view, "state") for view in ("viewers", "processes")}
    counts = ("viewer-total", "process-count", "device-count", "room-count")
    async with open_daemon(tmp_path, CAMERAS, DEVICES) as daemon, open_chromium(size=(1440, 900)) as browser:
        async with browser.open_page(daemon.url) as page:
            await page.wait_for(f"{part('live-count')} === '2' && {part('viewer-count')} === '2'", 30)
            await page.press("t")
            await page.wait_for(drawn_live(1), 20)
            await page.press("p")
            await page.wait_for(f"{states['processes']}.includes('running')")
            await page.press("d")
            await page.wait_for(f"{text_of('#view-devices')}.includes('holds a slot (live) for')")
            await page.press("v")
            await page.wait_for(f"{states['viewers']} === 'connected,connected'")
            for name in counts:
                await page.wait_for(f"/\\d/.test({part(name)})")
            await daemon.end(signal.SIGKILL)
            await page.wait_for("document.documentElement.hasAttribute('data-stale')", 30)
            stood = {name: await page.evaluate(text) for name, text in ages.items()}
            silent_ms = await page.evaluate("Date.now()")
            await page.wait_for(f"Date.now() - {silent_ms} > 3000")

            assert await page.evaluate(states["viewers"]) == "was connected,was connected"
            await page.press("p")
            await page.wait_for(f"{part('process-note')}.endsWith('banken does not answer')", 10)
            assert await page.evaluate(f"{states['processes']}.split(',').every((state) => state.startsWith('was '))")
            await page.press("d")
            await page.wait_for(f"{part('device-note')}.endsWith('banken does not answer')", 10)
            assert await page.evaluate(f"{text_of('#view-devices')}.includes('held a slot (live) for')")
            assert {name: await page.evaluate(text) for name, text in ages.items()} == stood, "ages stand still"
            assert all(stood.values())
            assert [await page.evaluate(part(name)) for name in counts] == ["–"] * len(counts)

            await page.press("t")
            await page.wait_for(f"!{drawn_live(1)} && [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8].some({LANE})")
            assert await page.evaluate(f"{part('timeline-legend')}.includes('no data')")
            await page.evaluate("document.querySelector('[data-part=timeline-table]').open = true")
            await page.wait_for(f"{text_of('[data-part=timeline-rows] tr')}.includes('no data')")
            await page.press("v")
            assert await page.evaluate(states["viewers"]) == "was connected,was connected"
            fix_the_port(tmp_path, daemon.port)
            async with launch_daemon(tmp_path) as again:
                await again.wait_ready()
                await page.wait_for(f"{part('live-count')} === '2' && {part('viewer-total')} === '2'", 60)
                await page.wait_for(f"{states['viewers']} === 'connected,connected'", 30)
                await page.press("t")
                await page.wait_for(drawn_live(1), 20)


@pytest.mark.parametrize("count", [14, 30])
async def test_wall_is_in_the_order_of_the_file_and_fits_a_large_screen(count: int) -> None:
    """No tile is cut off at the bottom of a page that does not scroll."""
    names = [CameraId(f"cam-{number}") for number in range(count, 0, -1)]
    async with open_site(*names) as site, open_chromium(size=(2560, 1440)) as browser:
        async with browser.open_page(site.url) as page:
            await page.wait_for(f"{ORDER} === {','.join(names)!r}")
            stage = "document.querySelector('.stage')"
            for height in (1440, 1600):
                await page.set_viewport(2560, height)
                await page.wait_for(f"{stage}.clientHeight > 0.8 * window.innerHeight")
                cut = await page.evaluate(f"{stage}.scrollHeight - {stage}.clientHeight")
                assert cut <= 0, f"{count} at {height}"
