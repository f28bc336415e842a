"""The page and a login provider: the button, the texts of refusals, and the link of one's own account."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from supervisor.domain.rights import Role
from tests.conftest import require
from tests.kit import axe
from tests.kit.accounts import BEN
from tests.kit.chromium import Page
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider, Person, open_provider

from .test_access import CAMERAS, LIVE, OUT, add_anna, add_ben, choose_from_menu, log_in, names_on, open_page_of
from .test_large import part, text_of

pytestmark = pytest.mark.usefixtures("chromium_here")

OPEN = f"document.querySelector('{part('provider-dialog')}').open"
LANGUAGES = {
    "en": {
        "button": "Log in with Example",
        "denied": "Example has refused the login.",
        "group": "None of your groups at Example may use this banken. Ask whoever runs it.",
        "taken": "There is an account of your name already. Log in with its password, and link it in the menu of the "
        "account.",
        "provider": "Example does not answer, or answers wrongly. The log of banken says more.",
        "menu": "Login with Example",
        "link": "Link with Example",
        "linked": "Your account is linked now.",
        "unlinked": "Your account is no longer linked.",
    },
    "ja": {
        "button": "Example でログイン",
        "denied": "Example がログインを拒否しました。",
        "group": "Example でのあなたのグループには、この banken を使う権限がありません。管理者に問い合わせてください。",
        "taken": "同じ名前のアカウントがすでにあります。そのパスワードでログインし、"
        "アカウントのメニューから連携してください。",
        "provider": "Example が応答しないか、応答が正しくありません。詳しくは banken のログを参照してください。",
        "menu": "Example によるログイン",
        "link": "Example と連携する",
        "linked": "アカウントを連携しました。",
        "unlinked": "アカウントの連携を解除しました。",
    },
}


@asynccontextmanager
async def open_both(folder: Path) -> AsyncIterator[tuple[Daemon, OidcProvider]]:
    """A daemon with anna and ben, and a provider that is another site for a browser."""
    async with open_provider() as provider:
        provider.issuer = provider.issuer.replace("127.0.0.1", "localhost")
        settings = (
            f"{{issuer: '{provider.issuer}', client_id: {CLIENT_ID}, client_secret: {CLIENT_SECRET}, name: Example"
        )
        roles = "roles: {admin: [admins], watcher: [family]}"
        async with open_daemon(folder, CAMERAS, f"access: {{oidc: {settings}, {roles}}}}}") as daemon:
            await add_ben(await add_anna(daemon), Role.WATCHER)
            yield daemon, provider


async def press_button(page: Page, says: dict[str, str]) -> None:
    await page.wait_for(f"{OUT} && {text_of(part('login-provider'))} === {says['button']!r}")
    await page.click(part("login-provider"))


@pytest.mark.parametrize("language", LANGUAGES)
async def test_login_by_the_provider_shows_the_wall(language: str, tmp_path: Path) -> None:
    """With each refusal before; then the wall is live, and the address has nothing of the login."""
    says = LANGUAGES[language]
    async with open_both(tmp_path) as (daemon, provider), open_page_of(daemon, language) as page:
        refusals = {
            "denied": None, "group": Person(groups=("strangers",)), "taken": Person("666", "anna"),
        }  # fmt: skip
        for code, person in refusals.items():
            provider.person = person
            await press_button(page, says)
            await page.wait_for(f"{OUT} && {text_of(part('login-problem'))} === {says[code]!r}")
            assert await page.evaluate("location.href") == daemon.url
            assert await names_on(page, "cellar", "gate") == []
        provider.person = Person()
        await press_button(page, says)
        await page.wait_for(f"!{OUT} && {LIVE}", 30)
        assert await page.evaluate("location.href") == daemon.url
        assert await page.evaluate(text_of(part("account-name"))) == "carla"
        assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_user_links_the_own_account_and_unlinks_it_on_the_page(language: str, tmp_path: Path) -> None:
    """Both by the keyboard; in between the provider opens the account."""
    says = LANGUAGES[language]
    async with open_both(tmp_path) as (daemon, provider), open_page_of(daemon, language) as page:
        provider.person = Person(groups=("family",))
        await log_in(page, BEN)
        await page.wait_for(LIVE, 30)
        await page.wait_for(f"{text_of(part('account-provider'))} === {says['menu']!r}")
        await choose_from_menu(page, "account-provider")
        await page.wait_for(f"{OPEN} && {text_of(part('provider-link'))} === {says['link']!r}")
        await page.evaluate(f"document.querySelector('{part('provider-link')}').focus()")
        await page.press("Enter")
        await page.wait_for(f"{OPEN} && {text_of(part('provider-done'))} === {says['linked']!r}", 30)
        await page.press("Escape")
        await choose_from_menu(page, "account-logout")
        await press_button(page, says)
        await page.wait_for(f"!{OUT} && {LIVE}", 30)
        assert await page.evaluate(text_of(part("account-name"))) == "ben"
        await choose_from_menu(page, "account-provider")
        await page.wait_for(f"{OPEN} && document.querySelector('{part('provider-unlink')}').checkVisibility()")
        await page.click(part("provider-unlink"))
        await page.wait_for(f"{text_of(part('provider-done'))} === {says['unlinked']!r}")
        assert await page.evaluate("document.activeElement.dataset.part") == "provider-close"
        await page.click(part("provider-close"))
        assert await page.evaluate(f"!{OPEN}")
        assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


async def test_provider_that_is_away_leaves_the_password(tmp_path: Path) -> None:
    """The button says so, and health does."""
    says = LANGUAGES["en"]
    async with open_both(tmp_path) as (daemon, provider), open_page_of(daemon) as page:
        provider.answer = {"id_token": "x.y.z"}
        await press_button(page, says)
        await page.wait_for(f"{OUT} && {text_of(part('login-problem'))} === {says['provider']!r}")
        await log_in(page, BEN)
        await page.wait_for(f"!{OUT} && {LIVE}", 30)


async def test_button_and_dialog_are_accessible(tmp_path: Path) -> None:
    """axe-core finds nothing, from 375 to 2560 pixels, in both themes; nothing is wider than the page."""
    require(axe.missing_reason())
    async with open_both(tmp_path) as (daemon, _), open_page_of(daemon) as page:
        await page.wait_for(f"{OUT} && document.querySelector('{part('login-provider')}').checkVisibility()")
        await axe.load_axe(page)
        await find_nothing(page)
        await log_in(page, BEN)
        await page.wait_for(LIVE, 30)
        await choose_from_menu(page, "account-provider")
        await page.wait_for(f"{OPEN} && document.querySelector('{part('provider-link')}').checkVisibility()")
        await find_nothing(page)


async def find_nothing(page: Page) -> None:
    for width in (375, 1440, 2560):
        await page.set_viewport(width, 800)
        for theme in ("dark", "light"):
            await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            await page.wait_for("document.getAnimations().length === 0")  # colors change gradually
            assert await axe.findings(page) == [], (width, theme)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
