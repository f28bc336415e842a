"""Logins on the page: who has to log in, what the page then shows, and how it ends."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from supervisor.domain.rights import Role
from tests.conftest import require
from tests.kit import axe
from tests.kit.accounts import ANNA, BEN, PASSWORDS, Browser
from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import Daemon, open_daemon

from .test_large import part, text_of

pytestmark = pytest.mark.usefixtures("chromium_here")

CAMERAS = {"cellar": "test:320x180@15", "gate": {"ffmpeg": ["-i", "http://127.0.0.1:9/none"]}}
LIVE = "banken.players.get('cellar')?.state().name === 'live'"
OUT = "document.documentElement.hasAttribute('data-out')"
ADMIN = {"user": ANNA, "password": PASSWORDS[ANNA], "role": "admin", "everything": True}
MENU = ("", "account-sessions", "account-password", "account-passkeys", "account-users", "account-tokens")
LANGUAGES = {
    "en": {
        "wrong": "The name or the password is wrong.",
        "many": "Too many tries.",
        "empty": "Enter your name and your password.",
        "ended": "Your session was ended, or your access has changed.",
        "short": "A password has at least 8 characters.",
        "old": "The old password is wrong.",
        "done": "The password was changed.",
        "left": "You have logged out.",
        "changed": "Your access has changed.",
        "first": "banken has users now",
        "warns": "From now on everybody has to log in",
        "name": "Enter a name.",
        "added": "ben can log in now.",
        "unknown": "Not configured now: group yard, group hall.",
        "edited": "ben was changed.",
        "fresh": "ben has a new password, and logs in again.",
        "removed": "ben was removed.",
        "revoked": "nas was revoked.",
        "rtsp": "for RTSP",
        "copied": "Copied.",
    },
    "ja": {
        "wrong": "名前またはパスワードが違います。",
        "many": "試行回数が多すぎます。",
        "empty": "名前とパスワードを入力してください。",
        "ended": "セッションが終了したか、権限が変更されました。",
        "short": "パスワードは 8 文字以上です。",
        "old": "現在のパスワードが違います。",
        "done": "パスワードを変更しました。",
        "left": "ログアウトしました。",
        "changed": "権限が変更されました。",
        "first": "banken に利用者が登録されました",
        "warns": "これからは、このマシンでも全員がログインする必要があります",
        "name": "名前を入力してください。",
        "added": "ben はログインできるようになりました。",
        "unknown": "現在の設定にありません：グループ yard, グループ hall。",
        "edited": "ben を変更しました。",
        "fresh": "ben のパスワードを変更しました。もう一度ログインが必要です。",
        "removed": "ben を削除しました。",
        "revoked": "nas を失効させました。",
        "rtsp": "RTSP 用",
        "copied": "コピーしました。",
    },
}


@asynccontextmanager
async def open_page_of(
    daemon: Daemon, language: str = "en", size: tuple[int, int] = (1440, 900)
) -> AsyncIterator[Page]:
    """A separate browser, whose language was chosen before."""
    async with open_chromium(size=size) as browser, browser.open_page("about:blank") as page:
        await page.goto(f"{daemon.url}favicon.ico")
        await page.evaluate(f"localStorage.setItem('banken.language', {language!r})")
        await page.goto(daemon.url)
        yield page


async def add_anna(daemon: Daemon) -> Browser:
    """The first user, who has logged in outside of the page."""
    browser = Browser(daemon.port)
    assert (await browser.post("/api/users", ADMIN)).status == 201
    assert (await browser.log_in(ANNA)).status == 201
    return browser


async def add_ben(chief: Browser, role: Role) -> None:
    body = {"user": BEN, "password": PASSWORDS[BEN], "role": role.value, "everything": True}
    assert (await chief.post("/api/users", body)).status == 201


async def type_into(page: Page, name: str, text: str) -> None:
    """As a person does: what was in the field is replaced."""
    await page.click(part(name))
    await page.evaluate(f"document.querySelector('{part(name)}').select?.()")
    await page.command("Input.insertText", {"text": text})


async def log_in(page: Page, user: str, password: str = "") -> None:
    """By the keyboard."""
    await page.wait_for(OUT)
    await type_into(page, "login-user", user)
    await type_into(page, "login-password", password or PASSWORDS[user])
    await page.press("Enter")


def shows(names: Sequence[str], *parts: str) -> str:
    """An expression: whether a person can see `names` of these parts, and no others."""
    seen = "[...document.querySelectorAll(`[data-part=${name}]`)].some((node) => node.checkVisibility())"
    return f"{list(parts)}.every((name) => {list(names)}.includes(name) === {seen})"


async def names_on(page: Page, *cameras: str) -> Sequence[Any]:
    """The cameras whose names are anywhere in the document, its title or its address."""
    text = "document.documentElement.outerHTML + document.title + location.href"
    return list(await page.evaluate(f"{list(cameras)}.filter((name) => ({text}).includes(name))"))


@pytest.mark.parametrize("language", LANGUAGES)
async def test_login_shows_the_wall_and_nothing_of_it_before(language: str, tmp_path: Path) -> None:
    """By the keyboard, with each error: no name, a wrong password, and too many of them. Then the wall is live."""
    says = LANGUAGES[language]
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        await add_anna(daemon)
        async with open_page_of(daemon, language) as page:
            await page.wait_for(f"{OUT} && document.activeElement.dataset.part === 'login-user'")
            await page.click(part("login-enter"))
            await page.wait_for(f"{text_of(part('login-problem'))} === {says['empty']!r}")
            await log_in(page, ANNA, "wrong horse")
            await page.wait_for(f"{text_of(part('login-problem'))} === {says['wrong']!r}")
            assert await page.evaluate("document.activeElement.dataset.part") == "login-password"
            await page.click(part("login-show"))
            assert await page.evaluate(f"document.querySelector('{part('login-password')}').type") == "text"
            assert await names_on(page, "cellar", "gate") == []
            await log_in(page, ANNA)
            await page.wait_for(f"!{OUT} && {LIVE}", 30)
            assert await page.evaluate(f"document.querySelector('{part('login-password')}').value") == ""
            assert await page.evaluate("performance.getEntriesByType('navigation')[0].type") == "navigate"
            await page.reload()
            await page.wait_for(f"!{OUT} && {LIVE}", 30)
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_too_many_tries_name_the_time_to_wait(language: str, tmp_path: Path) -> None:
    """The button counts down, and sends nothing before."""
    says = LANGUAGES[language]
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        chief = await add_anna(daemon)
        while (await chief.call("POST", "/api/session", {"user": ANNA, "password": "wrong horse"})).status != 429:
            pass
        async with open_page_of(daemon, language) as page:
            await log_in(page, ANNA)
            await page.wait_for(f"{text_of(part('login-problem'))}.startsWith({says['many']!r})")
            button = f"document.querySelector('{part('login-enter')}')"
            first = await page.wait_for(f"/\\d/.test({button}.innerText) && {button}.innerText")
            await page.wait_for(f"{button}.innerText !== {first!r}")
            failures = len(page.failures)
            await page.press("Enter")
            assert await page.evaluate(f"{button}.ariaDisabled") == "true"
            assert len(page.failures) == failures


@pytest.mark.parametrize("language", LANGUAGES)
async def test_revoked_viewer_sees_why_and_no_camera(language: str, tmp_path: Path) -> None:
    """An admin removes a session while the page plays: the login says why, and no name is left."""
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        chief = await add_anna(daemon)
        await add_ben(chief, Role.WATCHER)
        async with open_page_of(daemon, language) as page:
            await log_in(page, BEN)
            await page.wait_for(LIVE, 30)
            sessions = (await chief.get("/api/sessions")).json["sessions"]
            of_ben = next(each["session"] for each in sessions if each["user"] == BEN)
            assert (await chief.delete(f"/api/sessions/{of_ben}")).status == 204
            await page.wait_for(f"{OUT} && {text_of(part('login-why'))}.startsWith({LANGUAGES[language]['ended']!r})")
            assert await names_on(page, "cellar", "gate") == []


@pytest.mark.parametrize("role", [Role.WATCHER, Role.ANALYST, Role.OPERATOR])
async def test_page_shows_only_what_the_role_may_do(role: Role, tmp_path: Path) -> None:
    """Controls, views and keys; the server would refuse the others."""
    controls = {
        "watch": ["take", "play", "sound"],
        "read": ["rows", "filter", "open-timeline", "open-detections", "past-slider", "past-back", "past-now"],
        "room": ["open-rooms"],
        "operate": ["retry"],
    }
    rights = {Role.WATCHER: {"watch", "room"}, Role.ANALYST: {"read"}, Role.OPERATOR: set(controls)}[role]
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        chief = await add_anna(daemon)
        await add_ben(chief, role)
        async with open_page_of(daemon) as page:
            await log_in(page, BEN)
            await page.wait_for("document.querySelectorAll('.grid .tile').length === 2")
            await page.wait_for("document.querySelector('.tile[data-camera=gate]').dataset.state === 'waiting'", 30)
            if "watch" in rights:
                await page.wait_for(LIVE, 30)
            every = [name for names in controls.values() for name in names]
            mine = [name for right, names in controls.items() if right in rights for name in names]
            await page.wait_for(shows(mine, *every))
            await page.press("t")
            assert await page.evaluate("location.hash") == ("#timeline" if "read" in rights else "")
            assert [failure for failure in page.failures if "HTTP 403" in failure.error] == []
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


async def choose_from_menu(page: Page, name: str) -> None:
    """An entry of the account's menu in the header."""
    await page.click(part("account"))
    await page.click(part(name))


@pytest.mark.parametrize("language", LANGUAGES)
async def test_user_manages_sessions_and_password_and_logs_out(language: str, tmp_path: Path) -> None:
    """Another session is ended, the password is changed, and after the logout no camera is named."""
    says = LANGUAGES[language]
    rows = f"document.querySelectorAll('{part('sessions-rows')} > li')"
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        chief = await add_anna(daemon)
        async with open_page_of(daemon, language) as page:
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            await choose_from_menu(page, "account-sessions")
            await page.wait_for(f"{rows}.length === 2")
            own = f"{part('sessions-rows')} > li:has({part('session-own')}:not([hidden]))"
            assert "Chrome" in await page.evaluate(text_of(f"{own} {part('session-agent')}"))
            assert "127.0.0.1" in await page.evaluate(text_of(f"{own} {part('session-facts')}"))
            await page.click(f"{part('sessions-rows')} > li:has({part('session-own')}[hidden]) {part('session-end')}")
            await page.wait_for(f"{rows}.length === 1")
            assert (await chief.get("/api/cameras")).status == 401
            await page.click(part("sessions-close"))
            await choose_from_menu(page, "account-password")
            await type_into(page, "password-old", "wrong horse")
            await type_into(page, "password-new", "short")
            await page.click(part("password-save"))
            await page.wait_for(f"{text_of(part('password-problem'))} === {says['short']!r}")
            await type_into(page, "password-new", "another horse")
            await page.click(part("password-show"))
            await page.click(part("password-save"))
            await page.wait_for(f"{text_of(part('password-problem'))} === {says['old']!r}")
            await type_into(page, "password-old", PASSWORDS[ANNA])
            await page.press("Enter")
            await page.wait_for(f"{text_of(part('password-done'))}.startsWith({says['done']!r})")
            assert await page.evaluate(f"document.querySelector('{part('password-user')}').value") == ANNA
            await page.click(part("password-close"))
            await choose_from_menu(page, "account-logout")
            await page.wait_for(f"{OUT} && {text_of(part('login-why'))} === {says['left']!r}")
            assert await names_on(page, "cellar", "gate") == []
            await log_in(page, ANNA, "another horse")
            await page.wait_for(LIVE, 30)
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_changed_role_is_shown_on_the_page(language: str, tmp_path: Path) -> None:
    """The page is loaded again with the controls of the new role."""
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        chief = await add_anna(daemon)
        await add_ben(chief, Role.OPERATOR)
        async with open_page_of(daemon, language) as page:
            await log_in(page, BEN)
            await page.wait_for(LIVE, 30)
            assert (await chief.put("/api/users/ben", {"role": "watcher", "everything": True})).status == 200
            said = f"document.querySelector('{part('notice')}')"
            await page.wait_for(
                f"{said}.checkVisibility() && {said}.innerText.includes({LANGUAGES[language]['changed']!r})"
            )
            await page.wait_for(f"{shows(['take'], 'take', 'rows')} && {LIVE}", 30)
            await page.click(part("notice-close"))
            await page.wait_for(f"!{said}.checkVisibility()")


async def says_in(page: Page, name: str, text: str) -> None:
    """Wait until a part says this."""
    await page.wait_for(f"{text_of(part(name))}.includes({text!r})")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_first_user_is_made_on_the_page(language: str, tmp_path: Path) -> None:
    """It warns that from then on everybody logs in; then this page, too, shows the login."""
    says = LANGUAGES[language]
    async with open_daemon(tmp_path, CAMERAS) as daemon, open_page_of(daemon, language) as page:
        await page.wait_for(LIVE, 30)
        await choose_from_menu(page, "account-users")
        await says_in(page, "users-first", says["warns"])
        await page.wait_for(shows(["users-name"], "users-name", "field-role", "account-logout"))
        await page.click(part("users-save"))
        await says_in(page, "users-form-problem", says["name"])
        await type_into(page, "users-name", ANNA)
        await type_into(page, "users-password", "short")
        await page.press("Enter")
        await says_in(page, "users-form-problem", says["short"])
        await page.click(part("users-show"))
        await type_into(page, "users-password", PASSWORDS[ANNA])
        await page.press("Enter")
        await page.wait_for(f"{OUT} && {text_of(part('login-why'))}.startsWith({says['first']!r})")
        assert await names_on(page, "cellar", "gate") == []
        await log_in(page, ANNA)
        await page.wait_for(LIVE, 30)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_admin_manages_users_on_the_page(language: str, tmp_path: Path) -> None:
    """Add with some cameras and groups, change, set a password, remove; cancel leads back."""
    says = LANGUAGES[language]
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        chief = await add_anna(daemon)

        async def of_ben() -> Any:
            users = (await chief.get("/api/users")).json["users"]
            return next((each for each in users if each["user"] == BEN), None)

        async with open_page_of(daemon, language) as page:
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            await choose_from_menu(page, "account-users")
            await page.click(part("users-add"))
            await page.click(part("users-cancel"))
            await page.click(part("users-add"))
            await type_into(page, "users-name", BEN)
            await type_into(page, "users-password", PASSWORDS[BEN])
            form = f"{part('users-form')} "
            await page.click(form + part("field-some"))
            await page.click(f"{form}{part('field-cameras')} input[value=gate]")
            await page.evaluate(f"document.querySelector('{form}{part('field-groups')}').value = 'yard, hall,'")
            await page.click(part("users-save"))
            await says_in(page, "users-done", says["added"])
            await says_in(page, "users-done", says["unknown"])
            scope = {"everything": False, "cameras": ["gate"], "groups": ["yard", "hall"]}
            assert ((await of_ben())["role"], (await of_ben())["scope"]) == ("watcher", scope)

            ben = f"{part('users-rows')} > li:nth-child(2) "
            await page.click(ben + part("user-change"))
            assert await page.evaluate(f"document.querySelector('{form}{part('field-groups')}').value") == "yard, hall"
            await page.evaluate(f"document.querySelector('{form}{part('field-role')}').value = 'operator'")
            await page.click(form + part("field-all"))
            await page.click(part("users-save"))
            await says_in(page, "users-done", says["edited"])
            assert ((await of_ben())["role"], (await of_ben())["scope"]["everything"]) == ("operator", True)

            await page.click(ben + part("user-password"))
            await type_into(page, "users-password", "another staple")
            await page.press("Enter")
            await says_in(page, "users-done", says["fresh"])
            assert (await Browser(daemon.port).log_in(BEN, "another staple")).status == 201

            await page.click(ben + part("user-remove"))
            await page.click(part("users-keep"))
            assert await of_ben() is not None
            await page.click(ben + part("user-remove"))
            await page.click(part("users-remove-confirm"))
            await says_in(page, "users-done", says["removed"])
            assert await of_ben() is None
            await page.click(part("users-close"))
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_admin_manages_tokens_on_the_page(language: str, tmp_path: Path) -> None:
    """A token is shown once, copied, works, and is refused once it was revoked."""
    says = LANGUAGES[language]
    secret = f"document.querySelector('{part('tokens-secret')}').value"
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        chief = await add_anna(daemon)
        async with open_page_of(daemon, language) as page:
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            await choose_from_menu(page, "account-tokens")
            await page.click(part("tokens-add"))
            await page.click(part("tokens-cancel"))
            await page.click(part("tokens-add"))
            await page.click(part("tokens-save"))
            await says_in(page, "tokens-form-problem", says["name"])
            await type_into(page, "tokens-name", "nas")
            await page.evaluate(f"document.querySelector('{part('tokens-until')}').value = '30'")
            await page.click(part("tokens-rtsp"))
            for _ in range(2):
                await page.press(" ")
            assert await page.evaluate(f"document.querySelector('{part('tokens-rtsp')}').checked")
            await page.click(part("tokens-save"))
            token = await page.wait_for(secret)
            await page.wait_for(f"{text_of(part('tokens-unknown'))} === ''")
            await page.click(part("tokens-copy"))
            await says_in(page, "tokens-copied", says["copied"])
            assert (await Browser(daemon.port).get("/api/cameras", Authorization=f"Bearer {token}")).status == 200
            await page.click(part("tokens-ready"))
            assert await page.evaluate(secret) == ""
            await says_in(page, "tokens-rows", "nas")
            (known,) = (await chief.get("/api/tokens")).json["tokens"]
            assert (known["role"], known["until"] is not None, known["rtsp"]) == ("watcher", True, True)
            await says_in(page, "tokens-rows", says["rtsp"])
            await page.click(part("token-revoke"))
            await page.click(part("tokens-keep"))
            await page.click(part("token-revoke"))
            await page.click(part("tokens-end-confirm"))
            await says_in(page, "tokens-done", says["revoked"])
            assert (await Browser(daemon.port).get("/api/cameras", Authorization=f"Bearer {token}")).status == 401
            await page.click(part("tokens-close"))
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


async def test_dialogs_of_the_account_are_accessible(tmp_path: Path) -> None:
    """axe-core finds nothing in the menu and its dialogs, in both themes, narrow and wide."""
    require(axe.missing_reason())
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        await add_anna(daemon)
        async with open_page_of(daemon) as page:
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            await axe.load_axe(page)
            for width in (375, 2560):
                await page.set_viewport(width, 800)
                for name in MENU:
                    await page.click(part("account"))
                    if name:
                        await page.click(part(name))
                    await page.wait_for("Boolean(document.querySelector('dialog[open], :popover-open'))")
                    for theme in ("dark", "light"):
                        await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
                        await page.wait_for("document.getAnimations().length === 0")  # colors change gradually
                        assert await axe.findings(page) == [], (width, name, theme)
                    await page.press("Escape")
                    await page.wait_for("!document.querySelector('dialog[open], :popover-open')")


async def test_login_is_accessible_in_both_themes(tmp_path: Path) -> None:
    """axe-core finds nothing, from 375 to 2560 pixels, also with an error."""
    require(axe.missing_reason())
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        await add_anna(daemon)
        async with open_page_of(daemon) as page:
            await page.wait_for(OUT)
            await page.click(part("login-enter"))
            await axe.load_axe(page)
            for width in (375, 1440, 2560):
                await page.set_viewport(width, 800)
                for theme in ("dark", "light"):
                    await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
                    assert await axe.findings(page) == [], (width, theme)
                    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
