"""Passkeys on the page, with the virtual authenticator of Chromium (WebAuthn, section 11)."""

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from supervisor.domain import events as e
from supervisor.domain.rights import Role
from supervisor.services.challenges import MOST_OF_NETWORK
from tests.conftest import require
from tests.kit import axe
from tests.kit.accounts import ANNA, BEN, PASSWORDS, Browser
from tests.kit.authenticator import VERIFIED
from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.processes import wait_until

from .test_access import CAMERAS, LIVE, OUT, add_anna, add_ben, choose_from_menu, log_in, says_in, shows, type_into
from .test_large import part, text_of

pytestmark = pytest.mark.usefixtures("chromium_here")

LANGUAGES = {
    "en": {
        "none": "No passkey was used",
        "refused": "The passkey was not accepted.",
        "added": "a phone was added.",
        "renamed": "a watch was renamed.",
        "removed": "a watch was removed.",
        "unmade": "No passkey was made",
        "again": "This device has a passkey for you already.",
        "empty": "Enter a name.",
        "never": "never used",
        "used": "last used",
        "address": "Passkeys need a name",
        "insecure": "Passkeys need an encrypted connection",
        "many": "Too many tries.",
        "warns": "The passkeys of the user are removed, too.",
        "nothing": "ben has no passkey.",
        "of ben": "Passkeys of ben",
    },
    "ja": {
        "none": "パスキーは使われませんでした。",
        "refused": "パスキーは受け付けられませんでした。",
        "added": "a phone を追加しました。",
        "renamed": "a watch に名前を変更しました。",
        "removed": "a watch を削除しました。",
        "unmade": "パスキーは作成されませんでした。",
        "again": "この端末には、すでにあなたのパスキーがあります。",
        "empty": "名前を入力してください。",
        "never": "未使用",
        "used": "最終使用",
        "address": "パスキーには名前が必要です。",
        "insecure": "パスキーには暗号化された接続が必要です。",
        "many": "試行回数が多すぎます。",
        "warns": "この利用者のパスキーも削除されます。",
        "nothing": "ben のパスキーはありません。",
        "of ben": "ben のパスキー",
    },
}
SUGGESTS_NOTHING = "if (window.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = undefined;"
SIGN = """
(async (changed, times) => {
  const post = (path, body) => fetch(`api/session/passkey/${path}`, {
    method: "POST", headers: body ? {"Content-Type": "application/json"} : {}, body: body && JSON.stringify(body),
  });
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
  const {challenge, rp} = await (await post("begin")).json();
  const publicKey = {challenge: bytes(challenge), rpId: rp, userVerification: "required", ...changed};
  const found = await navigator.credentials.get({publicKey});
  const {clientDataJSON, authenticatorData, signature, userHandle} = found.response;
  const body = {
    credential: text(found.rawId), client_data: text(clientDataJSON), authenticator_data: text(authenticatorData),
    signature: text(signature), user_handle: text(userHandle),
  };
  const statuses = [];
  for (let time = 0; time < times; time += 1) statuses.push((await post("finish", body)).status);
  return {statuses, body};
})
"""
"""Answers a challenge as the page does, but for `changed`, and sends the answer so often."""


@attrs.define
class Device:
    """A virtual authenticator at a page."""

    page: Page
    authenticator: str

    @classmethod
    async def at(cls, page: Page) -> "Device":
        """Its user touches it whenever it is asked."""
        await page.command("WebAuthn.enable")
        options = {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
            "isUserVerified": True, "automaticPresenceSimulation": True,
        }  # fmt: skip
        added = await page.command("WebAuthn.addVirtualAuthenticator", {"options": options})
        return cls(page, added["authenticatorId"])

    async def command(self, name: str, **values: Any) -> Any:
        return await self.page.command(f"WebAuthn.{name}", {"authenticatorId": self.authenticator, **values})

    async def credential(self) -> dict[str, Any]:
        (found,) = (await self.command("getCredentials"))["credentials"]
        return dict(found)

    async def set_count(self, count: int) -> None:
        """The counter of the passkey, as a copy of it would have it."""
        credential = await self.credential()
        await self.command("removeCredential", credentialId=credential["credentialId"])
        await self.command("addCredential", credential={**credential, "signCount": count})


@asynccontextmanager
async def open_named_page(daemon: Daemon, language: str = "en", suggests: bool = False) -> AsyncIterator[Page]:
    """A separate browser at the daemon, by a name. Without `suggests`, it has passkeys only where a button asks."""
    url = f"http://localhost:{daemon.port}/"
    async with open_chromium(size=(1440, 900)) as browser, browser.open_page("about:blank") as page:
        if not suggests:
            await page.command("Page.addScriptToEvaluateOnNewDocument", {"source": SUGGESTS_NOTHING})
        await page.goto(f"{url}favicon.ico")
        await page.evaluate(f"localStorage.setItem('banken.language', {language!r})")
        await page.goto(url)
        yield page


async def add_passkey(page: Page, says: dict[str, str]) -> None:
    """By the menu of the account, which must be closed."""
    await choose_from_menu(page, "account-passkeys")
    await page.click(part("passkeys-add"))
    await type_into(page, "passkeys-label", "a phone")
    await page.press("Enter")
    await says_in(page, "passkeys-done", says["added"])
    await page.click(part("passkeys-close"))


async def enter(page: Page) -> None:
    """Log in by the button."""
    await page.click(part("login-key"))
    await page.wait_for(f"!{OUT} && {LIVE}", 30)


async def log_out(page: Page) -> None:
    await choose_from_menu(page, "account-logout")
    await page.wait_for(OUT)


async def wait_failures(daemon: Daemon, *codes: str) -> None:
    """Wait until the journal has these failed logins."""

    def found() -> bool:
        return [row.event.reason.code for row in daemon.journal() if isinstance(row.event, e.LoginFailed)] == [*codes]

    await wait_until(found, 10, what=f"failed logins: {codes}")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_user_adds_a_passkey_logs_in_by_it_renames_and_removes_it(language: str, tmp_path: Path) -> None:
    """By the controls of the page; each cancel leads back. Once it is removed, the login refuses it."""
    says = LANGUAGES[language]
    rows = f"document.querySelectorAll('{part('passkeys-rows')} > li')"
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        await add_anna(daemon)
        async with open_named_page(daemon, language) as page:
            device = await Device.at(page)
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            await choose_from_menu(page, "account-passkeys")
            await page.click(part("passkeys-add"))
            assert "Chrome" in await page.evaluate(f"document.querySelector('{part('passkeys-label')}').value")
            await page.click(part("passkeys-cancel"))
            await page.click(part("passkeys-add"))
            await type_into(page, "passkeys-label", " ")
            await page.click(part("passkeys-save"))
            await says_in(page, "passkeys-form-problem", says["empty"])
            await type_into(page, "passkeys-label", "a phone")
            await page.click(part("passkeys-save"))
            await says_in(page, "passkeys-done", says["added"])
            await says_in(page, "passkey-facts", says["never"])
            assert (await device.credential())["rpId"] == "localhost"
            await page.click(part("passkeys-add"))
            await page.press("Enter")
            await says_in(page, "passkeys-form-problem", says["again"])
            await page.click(part("passkeys-close"))

            await log_out(page)
            await enter(page)
            opened = [row.event for row in daemon.journal() if isinstance(row.event, e.SessionOpened)]
            assert (opened[-1].user, opened[-1].by) == (ANNA, "passkey")
            await choose_from_menu(page, "account-passkeys")
            await says_in(page, "passkey-facts", says["used"])
            await page.click(part("passkey-rename"))
            await type_into(page, "passkeys-label", "a watch")
            await page.press("Enter")
            await says_in(page, "passkeys-done", says["renamed"])
            await page.click(part("passkey-remove"))
            await page.click(part("passkeys-keep"))
            assert await page.evaluate(f"{rows}.length") == 1
            await page.click(part("passkey-remove"))
            await page.click(part("passkeys-remove-confirm"))
            await says_in(page, "passkeys-done", says["removed"])
            await page.wait_for(f"{rows}.length === 0")
            assert not await page.evaluate(OUT)
            await page.click(part("passkeys-close"))

            await log_out(page)
            await page.click(part("login-key"))
            await says_in(page, "login-key-problem", says["refused"])
            assert await page.evaluate(OUT)
            await wait_failures(daemon, "unknown-passkey")
            assert [line for line in page.console if line.kind == "uncaught"] == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_page_says_why_no_passkey_was_used_or_made(language: str, tmp_path: Path) -> None:
    """The device has not verified the user; then it has no passkey for this host."""
    says = LANGUAGES[language]
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        await add_anna(daemon)
        async with open_named_page(daemon, language) as page:
            device = await Device.at(page)
            await page.wait_for(OUT)
            await page.click(part("login-key"))
            await says_in(page, "login-key-problem", says["none"])
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            await device.command("setUserVerified", isUserVerified=False)
            await choose_from_menu(page, "account-passkeys")
            await page.click(part("passkeys-add"))
            await page.press("Enter")
            await says_in(page, "passkeys-form-problem", says["unmade"])
            await page.click(part("passkeys-cancel"))
            await page.click(part("passkeys-close"))
            await device.command("setUserVerified", isUserVerified=True)
            await add_passkey(page, says)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("host", "why"), [("127.0.0.1", "address"), ("banken.local", "insecure")])
async def test_page_hides_passkeys_where_there_can_be_none_and_says_why(
    host: str, why: str, language: str, tmp_path: Path
) -> None:
    """At an address, and without encryption; at the login and in the list."""
    says = LANGUAGES[language]
    rule = f"--host-resolver-rules=MAP {host} 127.0.0.1"
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        await add_anna(daemon)
        url = f"http://{host}:{daemon.port}/"
        async with open_chromium(flags=(rule,)) as browser, browser.open_page(f"{url}favicon.ico") as page:
            await page.evaluate(f"localStorage.setItem('banken.language', {language!r})")
            await page.goto(url)
            await page.wait_for(OUT)
            await says_in(page, "login-none", says[why])
            assert await page.evaluate(shows([], "login-key"))
            await log_in(page, ANNA)
            await page.wait_for(f"!{OUT}")
            await choose_from_menu(page, "account-passkeys")
            await says_in(page, "passkeys-none", says[why])
            assert await page.evaluate(shows([], "passkeys-add"))


OLD_LOGIN = """
const fetched = fetch;
window.fetch = async (url, options) => {
  if (String(url).endsWith("/passkey/begin")) window.sent = JSON.parse(options.body);
  const answer = await fetched(url, options);
  if (!String(url).endsWith("/api/passkeys")) return answer;
  return new Response(JSON.stringify({...(await answer.json()), needs_password: true}));
};
"""


async def test_page_asks_for_the_password_if_the_login_was_long_ago(tmp_path: Path) -> None:
    """It is sent with the request for a challenge, and leaves the page; a new name needs none."""
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        await add_anna(daemon)
        async with open_named_page(daemon) as page:
            await Device.at(page)
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            await page.evaluate(OLD_LOGIN)
            await choose_from_menu(page, "account-passkeys")
            await page.click(part("passkeys-add"))
            await type_into(page, "passkeys-label", "a phone")
            await type_into(page, "passkeys-password", PASSWORDS[ANNA])
            await page.press("Enter")
            await says_in(page, "passkeys-done", LANGUAGES["en"]["added"])
            assert await page.evaluate("window.sent") == {"password": PASSWORDS[ANNA]}
            assert await page.evaluate(f"document.querySelector('{part('passkeys-password')}').value") == ""
            await page.click(part("passkey-rename"))
            assert await page.evaluate(shows([], "passkeys-password"))


@asynccontextmanager
async def open_page_with_passkey(tmp_path: Path) -> AsyncIterator[tuple[Daemon, Page, Device]]:
    """Somebody with a passkey has logged out."""
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        await add_anna(daemon)
        async with open_named_page(daemon) as page:
            device = await Device.at(page)
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            await add_passkey(page, LANGUAGES["en"])
            await log_out(page)
            yield daemon, page, device


async def refuses(page: Page) -> None:
    """The login refuses the passkey."""
    await page.click(part("login-key"))
    await says_in(page, "login-key-problem", LANGUAGES["en"]["refused"])
    assert await page.evaluate(OUT)


async def test_copy_of_a_passkey_is_refused_by_its_counter(tmp_path: Path) -> None:
    """The journal says so; the page does not, for the copy may be at this page."""
    async with open_page_with_passkey(tmp_path) as (daemon, page, device):
        await device.set_count(20)
        await enter(page)
        await log_out(page)
        await device.set_count(5)
        await refuses(page)
        await wait_failures(daemon, "cloned-passkey")
        await device.set_count(30)
        await enter(page)


async def test_passkey_is_suggested_in_the_field_for_the_name(tmp_path: Path) -> None:
    """Without a press of the button. The device takes it at once, so the logout leads to the next login."""
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        await add_anna(daemon)
        async with open_named_page(daemon, suggests=True) as page:
            device = await Device.at(page)
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            await add_passkey(page, LANGUAGES["en"])
            await choose_from_menu(page, "account-logout")
            await wait_until(lambda: ways(daemon)[1:] == ["password", "passkey"], 30, what="a login by the passkey")
            await page.wait_for(f"!{OUT} && {LIVE}", 30)
            await device.set_count(0)
            await choose_from_menu(page, "account-logout")
            await says_in(page, "login-key-problem", LANGUAGES["en"]["refused"])
            await wait_failures(daemon, "cloned-passkey")


def ways(daemon: Daemon) -> list[str]:
    """How each session was opened."""
    return [row.event.by for row in daemon.journal() if isinstance(row.event, e.SessionOpened)]


@asynccontextmanager
async def open_bare_page_with_passkey(tmp_path: Path) -> AsyncIterator[tuple[Daemon, Page, Device]]:
    """A document of banken that asks for no passkey itself."""
    async with open_page_with_passkey(tmp_path) as (daemon, page, device):
        await page.goto(f"http://localhost:{daemon.port}/favicon.ico")
        yield daemon, page, device


async def test_answer_opens_one_session_and_none_when_it_is_sent_again(tmp_path: Path) -> None:
    """The answer of a real browser, sent twice by a script of its page."""
    async with open_bare_page_with_passkey(tmp_path) as (daemon, page, _):
        assert (await page.evaluate(f"{SIGN}({{}}, 2)"))["statuses"] == [201, 403]
        await wait_failures(daemon, "wrong-passkey")


async def test_device_that_has_not_verified_its_user_opens_nothing(tmp_path: Path) -> None:
    """A script can ask the browser for less; the server does not accept it."""
    async with open_bare_page_with_passkey(tmp_path) as (daemon, page, device):
        await device.command("setUserVerified", isUserVerified=False)
        found = await page.evaluate(f"{SIGN}({{userVerification: 'discouraged'}}, 1)")
        assert (is_verified(found["body"]), found["statuses"]) == (False, [403])
        await wait_failures(daemon, "wrong-passkey")


async def test_passkey_opens_nothing_at_another_name_of_the_same_daemon(tmp_path: Path) -> None:
    """The browser gives the passkey to its own host only. A copy that is bound to the other name is refused, too."""
    async with open_bare_page_with_passkey(tmp_path) as (daemon, page, device):
        found = await page.evaluate(f"{SIGN}({{rpId: 'other.example'}}, 1).catch((error) => error.name)")
        assert found == "SecurityError"
        credential = await device.credential()
        await page.goto(f"http://banken.localhost:{daemon.port}/favicon.ico")
        assert await page.evaluate(f"{SIGN}({{}}, 1).catch((error) => error.name)") == "NotAllowedError"
        await device.command("removeCredential", credentialId=credential["credentialId"])
        await device.command("addCredential", credential={**credential, "rpId": "banken.localhost"})
        assert (await page.evaluate(f"{SIGN}({{}}, 1)"))["statuses"] == [403]
        await wait_failures(daemon, "wrong-passkey")


async def test_answer_of_one_origin_opens_nothing_at_another(tmp_path: Path) -> None:
    """A page that passes on an answer, as one of a phisher does, has another origin than the browser has signed."""
    async with open_bare_page_with_passkey(tmp_path) as (daemon, page, _):
        for sent, status in ((f"http://localhost:{daemon.port}", 201), (f"http://banken.localhost:{daemon.port}", 403)):
            found = await page.evaluate(f"{SIGN}({{}}, 0)")
            headers = {"Origin": sent, "Host": sent.removeprefix("http://")}
            answer = await Browser(daemon.port).post("/api/session/passkey/finish", found["body"], **headers)
            assert answer.status == status, answer.text
        await wait_failures(daemon, "wrong-passkey")


async def test_answer_to_a_challenge_that_is_gone_opens_nothing(tmp_path: Path) -> None:
    """The challenge is displaced by others before the answer comes."""
    async with open_bare_page_with_passkey(tmp_path) as (daemon, page, _):
        url = f"http://localhost:{daemon.port}"
        headers = {"Origin": url, "Host": url.removeprefix("http://")}
        found = await page.evaluate(f"{SIGN}({{}}, 0)")
        for _ in range(MOST_OF_NETWORK):
            begun = await Browser(daemon.port).post("/api/session/passkey/begin", **headers)
            assert begun.status == 200
        answer = await Browser(daemon.port).post("/api/session/passkey/finish", found["body"], **headers)
        assert answer.status == 403
        await wait_failures(daemon, "wrong-passkey")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_admin_sees_and_removes_the_passkeys_of_a_user(language: str, tmp_path: Path) -> None:
    """In the list of users; a new password says that it removes them, unless they are kept."""
    says = LANGUAGES[language]
    async with open_daemon(tmp_path, CAMERAS) as daemon:
        chief = await add_anna(daemon)
        await add_ben(chief, Role.WATCHER)

        async def count() -> int:
            return len((await chief.get("/api/passkeys")).json["passkeys"])

        async with open_named_page(daemon, language) as page:
            await Device.at(page)
            await log_in(page, BEN)
            await page.wait_for(LIVE, 30)
            await add_passkey(page, says)
            await log_out(page)
            await log_in(page, ANNA)
            await page.wait_for(LIVE, 30)
            await choose_from_menu(page, "account-users")
            ben = f"{part('users-rows')} > li:nth-child(2) "
            for keep in (True, False):
                await page.click(ben + part("user-password"))
                await says_in(page, "users-passkeys", says["warns"])
                await type_into(page, "users-password", PASSWORDS[BEN])
                if keep:
                    await page.click(part("users-keep-passkeys"))
                    await page.click(part("users-save"))
                    await page.wait_for(f"!document.querySelector('{part('users-list')}').hidden")
                    assert await count() == 1
                    await page.click(ben + part("user-passkeys"))
                    await page.wait_for(f"{text_of(part('passkeys-title'))} === {says['of ben']!r}")
                    await says_in(page, "passkeys-rows", "a phone")
                    assert await page.evaluate(shows([], "passkeys-add", "passkey-rename"))
                    await page.click(part("passkeys-close"))
                else:
                    await page.click(part("users-cancel"))
            await page.click(ben + part("user-passkeys"))
            await page.click(part("passkey-remove"))
            await page.click(part("passkeys-remove-confirm"))
            await says_in(page, "passkeys-intro", says["nothing"])
            assert await count() == 0
            await page.click(part("passkeys-close"))
            await page.wait_for(f"!document.querySelector('{ben}{part('user-passkeys')}').checkVisibility()")
            await page.click(ben + part("user-password"))
            assert await page.evaluate(shows([], "users-keep-passkeys"))


async def test_passkeys_are_accessible(tmp_path: Path) -> None:
    """axe-core finds nothing at the login and in the dialog, in both themes, narrow and wide."""
    require(axe.missing_reason())
    async with open_page_with_passkey(tmp_path) as (_, page, _):
        await axe.load_axe(page)
        await check_themes(page, "login")
        await enter(page)
        await choose_from_menu(page, "account-passkeys")
        await says_in(page, "passkeys-rows", "a phone")
        await check_themes(page, "list")
        await page.click(part("passkey-rename"))
        await check_themes(page, "rename")
        await page.click(part("passkeys-cancel"))
        await page.click(part("passkey-remove"))
        await check_themes(page, "remove")


async def check_themes(page: Page, what: str) -> None:
    for width in (375, 2560):
        await page.set_viewport(width, 800)
        for theme in ("dark", "light"):
            await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            await page.wait_for("document.getAnimations().length === 0")  # colors change gradually
            assert await axe.findings(page) == [], (what, width, theme)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def is_verified(body: dict[str, str]) -> bool:
    """Whether the flags of an answer say that the user was verified."""
    return bool(b64decode(body["authenticator_data"])[32] & VERIFIED)
