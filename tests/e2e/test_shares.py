"""Share links on the page: a user makes one, somebody opens it, and it ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from supervisor.domain.rights import Role
from tests.conftest import require
from tests.kit import axe
from tests.kit.accounts import ANNA, BEN, Browser
from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import Daemon, open_daemon

from .test_access import add_anna, add_ben, choose_from_menu, log_in, names_on, open_page_of, says_in, shows, type_into
from .test_large import part, text_of

pytestmark = pytest.mark.usefixtures("chromium_here")

CAMERAS = {"cellar": "test:320x180@15", "gate": "test:320x180@15"}
LIVE = "banken.players.get('cellar')?.state().name === 'live'"
OUT = "document.documentElement.hasAttribute('data-out')"
LARGE = "banken.large()?.state().name === 'live'"
LANGUAGES = {
    "en": {
        "camera": "Choose at least one camera.",
        "number": "Enter a number of viewers from 1 to 50.",
        "copied": "Copied.",
        "none": "0 of 2 watching",
        "one": "1 of 2 watching",
        "gone": "The link the plumber was revoked.",
        "until": "Shared with you until",
        "revoked": "This link does not open: the link was revoked.",
        "full": "As many people as this link permits are watching.",
        "wrong": "This link does not open: this link is not valid",
        "user": "You are logged in.",
    },
    "ja": {
        "camera": "カメラを 1 台以上選んでください。",
        "number": "人数は 1 から 50 までの数で入力してください。",
        "copied": "コピーしました。",
        "none": "2 人中 0 人が視聴中",
        "one": "2 人中 1 人が視聴中",
        "gone": "リンク the plumber を失効させました。",
        "until": "まで共有されています。",
        "revoked": "このリンクは開けません：リンクは失効しました。",
        "full": "このリンクで視聴できる人数に達しています。",
        "wrong": "このリンクは開けません：リンクが正しくありません",
        "user": "ログイン中です。",
    },
}


@asynccontextmanager
async def open_link(daemon: Daemon, link: str, language: str = "en") -> AsyncIterator[Page]:
    """A separate browser, whose language was chosen before, that opens a link."""
    async with open_chromium() as browser, browser.open_page("about:blank") as page:
        await page.goto(f"{daemon.url}favicon.ico")
        await page.evaluate(f"localStorage.setItem('banken.language', {language!r})")
        await page.goto(link)
        yield page


async def share(browser: Browser, viewers: int = 1, **body: Any) -> Any:
    """A link of the cellar, made outside of the page."""
    wish = {"cameras": ["cellar"], "for_s": 3600, "viewers": viewers, **body}
    answer = await browser.post("/api/shares", wish)
    assert answer.status == 201, answer.text
    return answer.json


@pytest.mark.parametrize("language", LANGUAGES)
async def test_user_makes_and_revokes_a_link_on_the_page(language: str, tmp_path: Path) -> None:
    """From the large view and from the menu: each control, each error, the QR code, the viewers, the confirmation."""
    says = LANGUAGES[language]
    link = f"document.querySelector('{part('shares-link')}').value"
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        await add_ben(await add_anna(daemon), Role.WATCHER)
        async with open_page_of(daemon, language) as page:
            await log_in(page, BEN)
            await page.wait_for(LIVE, 30)
            await page.evaluate("location.hash = 'camera=cellar'")
            await page.wait_for(LARGE, 30)
            await page.click(part("large-share"))
            assert await page.evaluate("document.activeElement.value") == "cellar"
            await page.click(part("shares-cancel"))
            await page.click(part("shares-add"))
            await page.click(part("shares-save"))
            await says_in(page, "shares-form-problem", says["camera"])
            await page.click(f"{part('shares-cameras')} input[value=cellar]")
            await type_into(page, "shares-viewers", "51")
            await page.click(part("shares-save"))
            await says_in(page, "shares-form-problem", says["number"])
            await type_into(page, "shares-viewers", "2")
            await type_into(page, "shares-label", "the plumber")
            await page.evaluate(f"document.querySelector('{part('shares-for')}').value = '24'")
            await page.press("Enter")
            address = str(await page.wait_for(link))
            assert address.startswith(f"{daemon.url}s#")
            await page.wait_for(f"document.querySelector('{part('shares-code')}').naturalWidth > 100")
            await page.click(part("shares-copy"))
            await says_in(page, "shares-copied", says["copied"])
            await page.click(part("shares-ready"))
            assert await page.evaluate(link) == ""
            await says_in(page, "shares-rows", says["none"])
            async with open_link(daemon, address, language) as visitor:
                await visitor.wait_for(LIVE, 30)
                await page.click(part("shares-close"))
                await page.click(part("large-close"))
                await choose_from_menu(page, "account-shares")
                await says_in(page, "shares-rows", says["one"])
                await page.click(part("share-revoke"))
                await page.click(part("shares-keep"))
                await page.click(part("share-revoke"))
                await page.click(part("shares-end-confirm"))
                await says_in(page, "shares-done", says["gone"])
                await visitor.wait_for(f"{OUT} && {text_of(part('visit-why'))} === {says['revoked']!r}")
                assert await names_on(visitor, "cellar", "gate") == []
            await page.click(part("shares-close"))
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_visitor_sees_the_shared_camera_and_nothing_else(language: str, tmp_path: Path) -> None:
    """Its picture, also large; neither names nor views of anything else; the secret is not in the address."""
    says = LANGUAGES[language]
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        made = await share(await add_anna(daemon))
        async with open_link(daemon, made["link"], language) as page:
            await page.wait_for(LIVE, 30)
            await says_in(page, "visit-until", says["until"])
            assert made["secret"] not in str(await page.evaluate("location.href + document.documentElement.outerHTML"))
            assert await names_on(page, "gate", ANNA) == []
            hidden = ("account", "viewer-count", "large-share", "login-enter", "visit-again", "large-history")
            assert await page.evaluate(shows(["visit-until"], "visit-until", *hidden))
            assert await page.evaluate(
                "[...document.querySelectorAll('.opener')].every((one) => !one.checkVisibility())"
            )
            await page.evaluate("location.hash = 'camera=cellar'")
            await page.wait_for(LARGE, 30)
            await page.evaluate("location.reload()")
            await page.wait_for(LARGE, 30)
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_link_that_does_not_open_says_why(language: str, tmp_path: Path) -> None:
    """Forwarded to one more than its viewers, and opened once one has left; incomplete; opened by a user."""
    says = LANGUAGES[language]
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        made = await share(await add_anna(daemon))
        async with open_link(daemon, made["link"], language) as first:
            await first.wait_for(LIVE, 30)
            async with open_link(daemon, made["link"], language) as page:
                await page.wait_for(f"{OUT} && {text_of(part('visit-why'))}.startsWith({says['full']!r})")
                assert await page.evaluate(
                    f"document.activeElement === document.querySelector('{part('visit-again')}')"
                )
                assert await page.evaluate(shows(["visit-again"], "visit-again", "visit-own", "login-enter"))
                await first.evaluate("fetch('api/session', { method: 'DELETE' }).then(() => true)")
                await first.goto("about:blank")
                await page.click(part("visit-again"))
                await page.wait_for(LIVE, 30)
        async with open_link(daemon, made["link"][:-9], language) as page:
            await page.wait_for(f"{OUT} && {text_of(part('visit-why'))}.startsWith({says['wrong']!r})")
        async with open_page_of(daemon, language) as page:
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            other = await share(await logged_in(daemon))
            await page.goto("about:blank")
            await page.goto(other["link"])
            await page.wait_for(f"{OUT} && {text_of(part('visit-why'))}.startsWith({says['user']!r})")
            await page.click(part("visit-own"))
            await page.wait_for(f"!{OUT} && {LIVE}", 30)
            await page.goto(other["link"])
            await page.wait_for(f"{OUT} && {text_of(part('visit-why'))}.startsWith({says['user']!r})")
            await page.click(part("visit-again"))
            await page.wait_for(f"!{OUT} && {LIVE}", 30)
            await says_in(page, "visit-until", says["until"])
            assert await names_on(page, "gate") == []


async def logged_in(daemon: Daemon) -> Browser:
    browser = Browser(daemon.port)
    assert (await browser.log_in(ANNA)).status == 201
    return browser


async def test_pages_of_links_are_accessible(tmp_path: Path) -> None:
    """axe-core finds nothing in the dialog, on the page of a visitor, and where a link does not open."""
    require(axe.missing_reason())
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        anna = await add_anna(daemon)
        made = await share(anna, label="the plumber")
        async with open_page_of(daemon) as page:
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            await axe.load_axe(page)
            await choose_from_menu(page, "account-shares")
            await says_in(page, "shares-rows", "the plumber")
            await look(page)
            await page.click(part("shares-add"))
            await look(page)
            await page.click(f"{part('shares-cameras')} input[value=cellar]")
            await page.click(part("shares-save"))
            await page.wait_for(f"document.querySelector('{part('shares-link')}').value")
            await look(page)
            await page.click(part("shares-ready"))
            await page.click(part("share-revoke"))
            await look(page)
        async with open_link(daemon, made["link"]) as page:
            await page.wait_for(LIVE, 30)
            await axe.load_axe(page)
            await look(page)
            assert (await anna.delete(f"/api/shares/{made['share']}")).status == 204
            await page.wait_for(f"{OUT} && {text_of(part('visit-why'))}.length > 0")
            await axe.load_axe(page)
            await look(page)


async def look(page: Page) -> None:
    """Narrow and wide, in both themes."""
    for width in (375, 2560):
        await page.set_viewport(width, 800)
        for theme in ("dark", "light"):
            await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            await page.wait_for("document.getAnimations().length === 0")  # colors change gradually
            assert await axe.findings(page) == [], (width, theme)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
