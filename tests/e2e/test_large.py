"""The large view, the suggestion, the detections and the arranging of the page, in a real browser over a real daemon.

Leases, detections and suggestions are answered for in the page (`pretend.js`): this is about the page.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.processes import wait_until

pytestmark = pytest.mark.usefixtures("chromium_here")

TEST = "test:320x180@15"
CAMERAS = {"attic": {"source": TEST, "mode": "on_demand"}, "front": TEST, "yard": TEST}
PRETEND = Path(__file__).parents[1] / "kit" / "pretend.js"
LARGE = "banken.large()?.state().name"
LIVE = f"{LARGE} === 'live'"
LEASES = "[...pretend.leases.values()].map(({camera}) => camera).join()"


COVERED = """(() => {
  const pane = document.querySelector('.suggestions'), box = pane.getBoundingClientRect();
  const meets = (a, b) => a.left < b.right - 1 && a.right > b.left + 1 && a.top < b.bottom - 1 && a.bottom > b.top + 1;
  const others = [...document.querySelectorAll('.grid .tile, button, input, select')]
    .filter((node) => !pane.contains(node) && !node.closest('dialog, .rows') && node.checkVisibility());
  return others.filter((node) => meets(node.getBoundingClientRect(), box)).map((node) => node.outerHTML.slice(0, 80));
})()"""
"""Controls and tiles that the suggestion lies over."""


@asynccontextmanager
async def page_over(folder: Path, address: str = "") -> AsyncIterator[tuple[Daemon, Page]]:
    async with open_daemon(folder, CAMERAS) as daemon, open_chromium(size=(1440, 900)) as browser:
        async with browser.open_page("about:blank") as page:
            await page.command("Page.addScriptToEvaluateOnNewDocument", {"source": PRETEND.read_text()})
            await page.goto(daemon.url + address)
            await page.wait_for(f"document.querySelectorAll('.grid .tile').length === {len(CAMERAS)}")
            for camera, source in CAMERAS.items():
                if source == TEST:
                    await page.wait_for(f"banken.players.get({camera!r}).state().name === 'live'", 30)
            yield daemon, page
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


def tile(camera: str, part: str = "") -> str:
    return f".grid .tile[data-camera={camera}] {part}".strip()


def part(name: str) -> str:
    return f"[data-part={name}]"


def text_of(selector: str) -> str:
    return f"(document.querySelector({selector!r})?.innerText ?? '')"


async def peers(daemon: Daemon) -> list[str]:
    return sorted(peer["camera"] for peer in (await daemon.get("/api/peers"))["peers"])


async def hide(page: Page, hidden: bool) -> None:
    """Tell the page that its tab is hidden or shown."""
    value = str(hidden).lower()
    await page.evaluate(f"Object.defineProperty(document, 'hidden', {{value: {value}, configurable: true}})")
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


async def test_a_camera_is_watched_large_under_a_lease_and_left_without_a_trace(tmp_path: Path) -> None:
    """By mouse and by keys: all facts are shown, next and previous work; after closing, lease and peer are gone."""
    async with page_over(tmp_path) as (daemon, page):
        await page.click(tile("front", ".picture"))
        await page.wait_for(LIVE, 20)
        assert await page.evaluate(LEASES) == "front"
        assert await page.evaluate("location.hash") == "#camera=front"
        assert await peers(daemon) == ["front", "front", "yard"]
        for fact in ("codec", "resolution", "rate", "bits", "roundTrip", "loss", "delay"):
            await page.wait_for(f"/\\d/.test({text_of(part(f'fact-{fact}'))})")
        await page.wait_for(f"{text_of(part('large-history'))}.includes('front is live')")
        await page.wait_for(f"/: live \\d+\\.\\d\\d % of [\\d.]+ s/.test({text_of(part('large-availability'))})")
        await page.wait_for("pretend.log.some((asked) => asked.startsWith('PUT'))")

        for step, camera in (
            ("j", "yard"),
            ("k", "front"),
            ("click large-previous", "attic"),
            ("click large-next", "front"),
        ):
            await (page.click(part(step.split()[1])) if " " in step else page.press(step))
            await page.wait_for(
                f"{text_of(part('large-name'))} === {camera!r} && {LEASES} === {camera!r} && {LIVE}", 30
            )
        await page.press("Escape")
        await page.wait_for("pretend.leases.size === 0 && location.hash === ''")
        await wait_until_watched(page, daemon, "front", "yard")
        assert await page.evaluate("document.activeElement.closest('.tile')?.dataset.camera") == "front"

        await page.press("Enter")
        await page.wait_for(LIVE, 20)
        await page.press("Enter")
        await page.wait_for("!document.querySelector('dialog[open]')")
        await page.press("Enter")
        await page.wait_for(LIVE, 20)
        await page.click("dialog.large [data-part=enlarge]")
        await page.wait_for("!document.querySelector('dialog[open]')")


async def test_facts_about_a_camera_are_on_its_page(tmp_path: Path) -> None:
    """Of a camera that is open; of one that was never opened, that it is not connected yet. In every width."""
    facts, note = part("about-facts"), part("about-note")
    async with page_over(tmp_path) as (_, page):
        await page.click(tile("front", ".picture"))
        await page.wait_for(f"/H.264, Constrained Baseline profile/.test({text_of(facts)})", 20)
        await page.wait_for(f"/30 frames in [12][.0-9]* s, no B-frames/.test({text_of(facts)})", 20)
        for width in (375, 768, 1440, 2560):
            await page.set_viewport(width, 900)
            assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), width
        await page.evaluate("location.hash = 'camera=attic'")
        await page.wait_for(f"{text_of(part('large-name'))} === 'attic' && {text_of(note)} === 'Not connected yet.'")
        assert await page.evaluate(f"document.querySelector({facts!r}).hidden")


async def wait_until_watched(page: Page, daemon: Daemon, *cameras: str) -> None:
    """Until these are the cameras that have a viewer, one each."""
    asked = "fetch('/api/peers').then((r) => r.json()).then(({peers}) => peers.map(({camera}) => camera).sort().join())"
    await page.wait_for(f"{asked}.then((found) => found === {','.join(cameras)!r})", 20)


async def wait_states(page: Page, more: int) -> None:
    """Wait until the page has received `more` further states."""
    await page.wait_for(f"pretend.states >= {await page.evaluate('pretend.states') + more}")


async def test_controls_of_the_large_view(tmp_path: Path) -> None:
    """Pause and play, audio, a snapshot, full screen, reconnecting, the journal of this camera alone."""
    saved = tmp_path / "saved"
    saved.mkdir()
    async with page_over(tmp_path) as (daemon, page):
        await page.command("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(saved)})
        await page.click(tile("front", ".picture"))
        await page.wait_for(LIVE, 20)
        await page.press("s")
        await wait_until(lambda: [*saved.glob("front-*Z.jpg")], 20, what="the picture")
        await page.click("dialog.large [data-part=sound]")
        await page.wait_for("document.querySelector('dialog.large video').muted === false")
        await page.wait_for(LIVE, 20)
        peer = await page.evaluate("banken.large().peer()")
        await page.click(part("large-reconnect"))
        await page.wait_for(f"{LIVE} && banken.large().peer() !== {peer!r}", 20)
        await page.click(part("large-fullscreen"))
        await page.wait_for("document.fullscreenElement?.matches('.large-place')")
        await page.press("j")
        await page.wait_for(f"document.fullscreenElement && {text_of(part('large-name'))} === 'yard' && {LIVE}", 20)
        await page.press("k")
        await page.wait_for(f"document.fullscreenElement && {text_of(part('large-name'))} === 'front' && {LIVE}", 20)
        await page.press("f")
        await page.wait_for("!document.fullscreenElement")
        await page.click("dialog.large [data-part=play]")
        await page.wait_for("pretend.leases.size === 0 && banken.large().state().name === 'closed'")
        await page.wait_for(f"{text_of('dialog.large .overlay')}.includes('Picture of')")
        await page.click("dialog.large .start")
        await page.wait_for(LIVE, 20)
        await page.click("dialog.large [data-part=name]")
        await page.wait_for(f"{text_of(part('filter-camera'))} === 'front' && !document.querySelector('dialog[open]')")
        await wait_until_watched(page, daemon, "front", "yard")


async def test_hidden_or_idle_large_view_stops_and_the_wall_continues(tmp_path: Path) -> None:
    """Shown again it goes on by itself; ended for idleness it waits for a press, and says why."""
    async with page_over(tmp_path) as (daemon, page):
        await page.click(tile("front", ".picture"))
        await page.wait_for(LIVE, 20)
        await hide(page, True)
        await page.wait_for("pretend.leases.size === 0")
        await wait_until_watched(page, daemon, "front", "yard")
        await hide(page, False)
        await page.wait_for(f"{LIVE} && pretend.leases.size === 1", 20)

        await page.evaluate("pretend.ended = {code: 'idle', text: 'nobody touched the page'}; pretend.leases.clear()")
        await page.wait_for(f"{text_of('dialog.large .overlay')}.includes('Nobody touched the page')")
        await wait_until_watched(page, daemon, "front", "yard")
        await page.press("r")
        await page.wait_for(f"{LIVE} && pretend.leases.size === 1", 20)

        await page.evaluate("pretend.ended = null; pretend.leases.clear()")
        await page.wait_for("pretend.leases.size === 1", 20)
        await page.wait_for(LIVE, 20)


async def test_a_lease_that_is_refused_says_why_and_is_asked_for_again_where_that_helps(tmp_path: Path) -> None:
    """A 409 is final and shows its text; a 429 with `Retry-After` is tried again."""
    async with page_over(tmp_path) as (_, page):
        await page.evaluate("pretend.refuse = {status: 409, detail: 'the guard has it for himself'}")
        await page.click(tile("front", ".picture"))
        await page.wait_for(f"{text_of('dialog.large .overlay')}.includes('The guard has it for himself')")
        assert await page.evaluate(LARGE) == "refused"
        await page.evaluate("pretend.refuse = {status: 429, detail: 'all are taken', headers: {'Retry-After': '1'}}")
        await page.click(part("large-reconnect"))
        await page.wait_for(f"{LARGE} === 'retrying'")
        await page.evaluate("pretend.refuse = null")
        await page.wait_for(LIVE, 20)


async def test_the_address_of_a_camera_shows_its_page_and_plays_nothing(tmp_path: Path) -> None:
    """The address alone makes no POST; a link in the history leads to the past, without a lease."""
    async with page_over(tmp_path, address="#camera=attic") as (daemon, page):
        await page.wait_for(f"{text_of(part('large-history'))}.includes('attic added')")
        await page.reload()
        await page.wait_for(f"{text_of(part('large-history'))}.includes('attic added')")
        assert (await daemon.camera("attic"))["state"] == "idle"
        assert await page.evaluate("pretend.log.filter((asked) => asked.startsWith('POST')).length") == 0
        await page.click("dialog.large .start")
        await page.wait_for(LIVE, 30)
        await page.click("dialog.large [data-part=large-history] a")
        await page.wait_for("document.querySelector('[data-part=past]').dataset.past === 'yes'")
        assert not await page.evaluate("document.querySelector('dialog[open]') || pretend.leases.size")
        await page.click(tile("attic", ".picture"))
        await page.wait_for(f"{text_of('dialog.large')}.includes('attic')")
        assert await page.evaluate("document.querySelector('dialog.large video').srcObject") is None


async def test_large_view_closes_when_its_camera_leaves_the_address(tmp_path: Path) -> None:
    """As by the browser's way back, or by an address that is typed: the view that it names is shown."""
    async with page_over(tmp_path, address="#camera=attic") as (_, page):
        await page.wait_for("document.querySelector('dialog.large').open")
        await page.evaluate("location.hash = '#viewers'")
        await page.wait_for("!document.querySelector('dialog.large').open")
        assert await page.evaluate("location.hash") == "#viewers"
        await page.wait_for("document.querySelector('#view-viewers').checkVisibility()")


async def test_a_suggestion_plays_for_its_time_and_no_longer(tmp_path: Path) -> None:
    """It comes and goes by itself, moves and covers nothing, is put away, is enlarged, and stops in a hidden tab."""
    suggested = "banken.suggest()?.state().name === 'live'"
    place = f"JSON.stringify(document.querySelector('{tile('yard')}').getBoundingClientRect())"
    async with page_over(tmp_path) as (daemon, page):
        before = await page.evaluate(place)
        await page.evaluate("pretend.suggest('attic', 4)")
        await page.wait_for(f"{text_of('.suggest')}.includes('person at attic, 87 %')")
        await page.wait_for(suggested, 20)
        assert await page.evaluate(place) == before
        await page.wait_for("document.querySelector('.suggestions').hidden", 10)
        await wait_until_watched(page, daemon, "front", "yard")

        await page.evaluate("pretend.suggest('front', 60)")
        await page.wait_for(suggested, 20)
        await page.evaluate("pretend.suggest('yard', 60)")
        await page.wait_for(f"{text_of('.suggest')}.includes('yard') && {suggested}", 20)
        for width, height in ((1440, 900), (2560, 1300), (768, 1024), (375, 812)):
            await page.set_viewport(width, height)
            await wait_states(page, 1)
            assert await page.evaluate(COVERED) == [], width
        wall = "document.querySelector('main').clientWidth === document.documentElement.clientWidth"
        assert await page.evaluate(wall), "on a phone it takes nothing from the wall's width"
        await page.set_viewport(1440, 900)
        await hide(page, True)
        await wait_states(page, 2)
        assert await page.evaluate(suggested), "it goes on where nobody sees it, unless that is chosen"
        await hide(page, False)
        await page.press(",")
        await page.click(part("suggest-hidden"))
        await page.press("Escape")
        await hide(page, True)
        await page.wait_for("banken.suggest().state().name === 'closed'")
        await hide(page, False)
        await page.wait_for(suggested, 20)

        await page.click(".suggest .picture")
        await page.wait_for(f"{text_of(part('large-name'))} === 'yard' && {LIVE}", 20)
        await page.press("Escape")
        await page.click(part("suggest-away"))
        await page.wait_for("document.querySelector('.suggestions').hidden")
        await wait_until_watched(page, daemon, "front", "yard")
        await wait_states(page, 2)
        assert await page.evaluate("document.querySelector('.suggestions').hidden"), "what was put away stays away"
        await page.reload()
        await page.wait_for("document.querySelectorAll('.grid .tile').length === 3")
        assert await page.evaluate("document.querySelector('.suggestions').hidden")


async def test_three_suggestions_are_shown_newest_first_each_with_its_end(tmp_path: Path) -> None:
    """Each is dismissed alone, by mouse or keyboard; the other two play on. They cover nothing, and on a wide page all
    three are seen without scrolling.
    """
    cameras = "[...document.querySelectorAll('.suggestions .tile')].map((tile) => tile.dataset.camera).join()"
    playing = "[...document.querySelectorAll('.suggestions .tile')].every((tile) => tile.dataset.player === 'live')"
    async with page_over(tmp_path) as (_, page):
        for camera in CAMERAS:
            await page.evaluate(f"pretend.suggest({camera!r}, 60, 'person', 3)")
        await page.wait_for(f"{cameras} === 'yard,front,attic' && {playing}", 30)
        for width, height in ((1440, 900), (2560, 1300), (768, 1024), (375, 812)):
            await page.set_viewport(width, height)
            await wait_states(page, 1)
            assert await page.evaluate(COVERED) == [], width
            wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            assert await page.evaluate(wide), f"{width}: the page scrolls sideways"
            if width >= 1440:
                pane = "document.querySelector('.suggestions')"
                assert await page.evaluate(f"{pane}.scrollHeight <= {pane}.clientHeight"), f"{width}: they scroll"
        await page.set_viewport(1440, 900)
        buttons = "document.querySelectorAll('[data-part=suggest-away]')"
        assert await page.evaluate(f"{buttons}[1].ariaLabel") == "Dismiss the suggestion of front"
        await page.evaluate(f"{buttons}[1].focus()")
        await page.press("Enter")
        await page.wait_for(f"{cameras} === 'yard,attic' && {playing}")
        focused = "document.activeElement.closest('.suggest')?.querySelector('.tile').dataset.camera"
        assert await page.evaluate(focused) == "attic", "the focus is on the next one"
        await wait_states(page, 2)
        assert await page.evaluate(cameras) == "yard,attic"
        longer = "pretend.suggestions[2].until = new Date(Date.now() + 300_000).toISOString()"
        await page.evaluate(longer)
        left = "[...document.querySelectorAll('[data-part=suggest-left]')].at(-1).innerText"
        await page.wait_for(f"{left} === '5 min'", 10)


async def test_suggestion_of_a_camera_that_the_page_does_not_list_is_shown(tmp_path: Path) -> None:
    """It is shown by what it says itself, until the list of cameras has the camera."""
    async with page_over(tmp_path) as (_, page):
        await page.evaluate("pretend.suggest('newcomer', 60)")
        await page.wait_for(f"{text_of('.suggest')}.includes('person at newcomer, 87 %')")
        assert await page.evaluate("document.querySelector('.suggest .tile').dataset.camera") == "newcomer"


async def test_detections_are_listed_narrowed_and_lead_to_their_camera(tmp_path: Path) -> None:
    """On their view, with camera and label chosen, and on the page of a camera."""
    async with page_over(tmp_path) as (_, page):
        for number, (camera, label) in enumerate([("front", "cat"), ("yard", "cat"), ("yard", "dog")]):
            seen = {"detection": f"D{number}", "camera": camera, "label": label, "score": 0.5, "image": False}
            await page.evaluate(f"pretend.detections.push({{...{json.dumps(seen)}, time: new Date().toISOString()}})")
        shown = "[...document.querySelectorAll('#view-detections .detection b')].map((b) => b.innerText).join()"
        await page.press("x")
        await page.wait_for(f"{shown} === 'cat 50 %,cat 50 %,dog 50 %'")
        assert await page.evaluate("document.querySelector('.suggestions').hidden"), "what HTTP lists is no suggestion"
        await page.evaluate(
            "document.querySelector('[data-part=detection-camera]').value = 'yard';"
            "document.querySelector('[data-part=detection-camera]').dispatchEvent(new Event('change'))"
        )
        await page.wait_for(f"{shown} === 'cat 50 %,dog 50 %'")
        await page.click(part("detection-label"))
        for key in "dog":
            await page.press(key)
        await page.wait_for(f"{shown} === 'dog 50 %'")
        await page.press("x")
        await page.wait_for(f"{text_of(part('detection-note'))} === 'No detection matches.'")
        await page.press("Backspace")
        await page.click("#view-detections .detection")
        await page.wait_for(f"{text_of(part('large-name'))} === 'yard'")
        await page.wait_for("document.querySelectorAll('[data-part=large-seen-rows] .detection').length === 2")


async def test_the_page_is_arranged_and_stays_so(tmp_path: Path) -> None:
    """By keys, by buttons, by drawing, over a reload; and everything goes back to its place. Pictures play on."""
    order = "[...document.querySelectorAll('.grid .tile')].map((tile) => tile.dataset.camera).join()"
    width = "Math.round(document.querySelector('.journal').getBoundingClientRect().width)"
    playing = "banken.players.get('front').state().name === 'live'"
    playing += " && !document.querySelector('video[data-camera=front]').paused"
    async with page_over(tmp_path) as (daemon, page):
        await page.evaluate(f"document.querySelector('{tile('front')}').focus()")
        await page.press(">")
        await page.wait_for(f"{order} === 'attic,yard,front'")
        await page.press("<")
        await page.wait_for(f"{order} === 'attic,front,yard'")
        await page.click(part("arrange"))
        await page.click(tile("front", part("earlier")))
        await page.wait_for(f"{order} === 'front,attic,yard'")
        await page.click(tile("front", part("later")))
        await page.click(tile("front", part("later")))
        await page.wait_for(f"{order} === 'attic,yard,front'")
        await drag(page, tile("front", ".picture"), tile("attic", ".picture"))
        await page.wait_for(f"{order} === 'front,attic,yard'")
        assert not await page.evaluate("document.querySelector('dialog[open]')")
        await page.press("Escape")
        await page.wait_for("!document.documentElement.hasAttribute('data-arranging')")
        assert await page.evaluate(playing)
        assert await peers(daemon) == ["front", "yard"]

        before = await page.evaluate(width)
        await page.evaluate(f"document.querySelector('{part('split-journal')}').focus()")
        await page.press("ArrowLeft")
        await page.wait_for(f"{width} > {before}")
        wide = await page.evaluate(width)
        await page.press("d")
        await page.evaluate(f"document.querySelector('{part('split-drawer')}').focus()")
        height = "document.querySelector('#view-devices').getBoundingClientRect().height"
        low = await page.evaluate(height)
        await page.press("ArrowUp")
        await page.wait_for(f"{height} > {low}")

        await page.reload()
        await page.wait_for(f"{order} === 'front,attic,yard' && {width} === {wide}")
        await page.wait_for(playing, 20)
        await page.evaluate(f"document.querySelector('{part('split-journal')}').focus()")
        for _ in range(30):
            await page.press("ArrowRight")
        await page.wait_for(f"{width} === 0")
        await page.click(part("settings"))
        await page.click(part("layout-reset"))
        await page.wait_for(f"{order} === 'attic,front,yard' && {width} === {before}")
        assert await page.evaluate("localStorage.getItem('banken.layout')") is None


async def drag(page: Page, start: str, end: str) -> None:
    """With the mouse, from the middle of one to the middle of another."""
    middle = (
        "(box => [box.x + box.width / 2, box.y + box.height / 2])(document.querySelector({!r}).getBoundingClientRect())"
    )
    points = [await page.evaluate(middle.format(each)) for each in (start, end)]
    mouse = {"button": "left", "clickCount": 1}
    await page.command(
        "Input.dispatchMouseEvent",
        {"type": "mousePressed", "x": points[0][0], "y": points[0][1], "buttons": 1, **mouse},
    )
    for share in (0.2, 0.6, 1.0):
        x, y = (a + (b - a) * share for a, b in zip(*points, strict=True))
        await page.command("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y, "buttons": 1, **mouse})
    await page.command(
        "Input.dispatchMouseEvent", {"type": "mouseReleased", "x": points[1][0], "y": points[1][1], **mouse}
    )


async def test_page_is_japanese_when_that_is_chosen(tmp_path: Path) -> None:
    """Chosen in the settings, kept over a reload, in every size, and back; the words of the server stay as they are."""
    async with page_over(tmp_path) as (_, page):
        await page.command("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
        await page.wait_for(f"{text_of(part('clock-zone'))} === 'UTC+5:30'")
        await page.click(tile("front", ".picture"))
        await page.wait_for(f"/to \\d+ \\w+ [0-9:]+ UTC.5:30: live/.test({text_of(part('large-availability'))})")
        assert await page.evaluate(text_of(part("large-zone"))) == "UTC+5:30"
        await page.press("Escape")
        await page.click(part("settings"))
        await page.evaluate(
            "document.querySelector('[data-part=language]').value = 'ja';"
            "document.querySelector('[data-part=language]').dispatchEvent(new Event('change'))"
        )
        await page.wait_for(f"document.documentElement.lang === 'ja' && {text_of('#journal-title')} === '記録'")
        await page.wait_for(f"{text_of(tile('front', part('state')))} === 'ライブ'", 20)
        await page.wait_for(f"{text_of(part('rows'))}.includes('front is live')")
        await page.reload()
        await page.wait_for("document.querySelector('[data-part=settings]')?.title === '設定 (,)'")
        await page.wait_for(f"{text_of(part('clock-zone'))} === 'UTC+5:30'")
        assert await page.evaluate("document.querySelector('[data-part=clock]').title.endsWith(' UTC+5:30')")
        for width in (375, 1440, 2560):
            await page.set_viewport(width, 900)
            for key in ("x", "v", "Enter", "Escape"):
                await page.press(key)
                assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (width, key)
        await page.press(",")
        await page.evaluate(
            "document.querySelector('[data-part=language]').value = 'en';"
            "document.querySelector('[data-part=language]').dispatchEvent(new Event('change'))"
        )
        await page.wait_for(f"document.documentElement.lang === 'en' && {text_of('#journal-title')} === 'Journal'")
