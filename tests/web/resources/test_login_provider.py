"""Logins by a login provider, from the button to the session, and what a provider or a stranger may do wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisor.domain import events as e
from supervisor.domain.ids import SessionId, UserId
from supervisor.domain.rights import Role, Scope
from supervisor.ports.login_provider import LOGIN_S
from supervisor.services import oidc as module
from supervisor.services.access_file import read_access
from supervisor.services.oidc import BEGINS, KEYS_EVERY_S, MOST_OF_NETWORK
from supervisor.services.passkeys import FRESH_S
from tests.kit.accounts import ANNA, BEN, ME, Browser
from tests.kit.certificates import write_pair
from tests.kit.domain import GATE
from tests.kit.http import request
from tests.kit.oidc_browser import CROSS, OWN, OidcBrowser, OidcSite, open_oidc_site
from tests.kit.oidc_provider import (
    CLIENT_SECRET,
    OidcProvider,
    Person,
    make_key,
    query_of,
    signed_with_the_public_key,
    target_of,
)
from tests.kit.site import open_site
from web.public_origin import public_origin as public_origin

CARLA = UserId("carla")


@pytest.fixture
def access(tmp_path: Path) -> Path:
    return tmp_path / "access.json"


async def failures(here: OidcSite) -> list[str]:
    """The texts of the refused logins in the journal."""
    return [row.event.reason.text for row in await here.site.core.stored() if isinstance(row.event, e.LoginFailed)]


async def test_person_logs_in_and_gets_an_account_with_the_role_of_the_groups(access: Path) -> None:
    """The session is one of banken's own, and ends after the time of the setting."""
    async with open_oidc_site(access) as here:
        browser = here.browser()
        assert await browser.log_in() == ""
        assert await browser.me() == ("carla", "admin")
        (session,) = here.site.gateway.state.sessions.values()
        assert (session.by, session.user) == ("oidc", CARLA)
        assert session.until_ns - session.opened_ns == pytest.approx(12 * 3600e9, abs=10e9)
        assert list(browser.cookies) == ["banken"]
        events = [row.type for row in await here.site.core.stored()][-3:]
        assert events == ["UserAdded", "IdentityLinked", "SessionOpened"]


async def test_cookie_of_a_login_is_for_its_browser_alone_and_ends_soon(access: Path) -> None:
    """No script reads it, no other site sends it, and it leaves the browser with the login."""
    async with open_oidc_site(access) as here:
        browser = here.browser()
        answer = await browser.call("GET", "/login/oidc")
        (cookie,) = answer.cookies
        parts = {part.strip() for part in cookie.split(";")}
        assert {"HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={LOGIN_S}"} <= parts
        assert cookie.startswith("banken-login=")
        assert answer.headers["Cache-Control"] == "no-store"
        query = query_of(answer.headers["Location"])
        assert query["redirect_uri"] == f"http://127.0.0.1:{here.site.port}/login/oidc/back"
        assert (query["response_type"], query["code_challenge_method"], query["scope"]) == (
            "code",
            "S256",
            "openid profile",
        )
        assert cookie.partition("=")[2].partition(";")[0] not in answer.headers["Location"]


async def test_nothing_secret_is_in_the_journal_and_only_the_subject_in_the_file(
    access: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the client's secret, nor a code, a token, a state or a verifier; not in the log either."""
    async with open_oidc_site(access) as here:
        browser = here.browser()
        address = await browser.begin()
        back = await browser.visit(address)
        assert await browser.come_back(back) == ""
        (form,) = here.provider.forms
        secrets = [
            CLIENT_SECRET,
            form["code"],
            form["code_verifier"],
            query_of(address)["state"],
            query_of(address)["nonce"],
        ]
        journal = "".join(map(str, await here.site.core.stored()))
        told = journal + await trio.Path(access).read_text() + caplog.text + repr(here.oidc.settings)
        assert [secret for secret in secrets if secret in told] == []
        assert Person().subject not in journal
        links = read_access(access)
        assert links is not None
        assert links.links[CARLA].subject == Person().subject


def claims(**changed: Any) -> Callable[[OidcProvider], None]:
    return lambda provider: provider.claims.update(changed)


def times(**offsets: float | None) -> Callable[[OidcProvider], None]:
    """Claims with a time, in seconds from now."""
    return lambda provider: provider.claims.update(
        {name: None if by is None else provider.now() + by for name, by in offsets.items()}
    )


def header(**changed: Any) -> Callable[[OidcProvider], None]:
    return lambda provider: provider.header.update(changed)


def answer(**changed: Any) -> Callable[[OidcProvider], None]:
    return lambda provider: provider.answer.update(changed)


def strange_key(provider: OidcProvider) -> None:
    provider.signer = make_key("first")


def public_key_as_secret(provider: OidcProvider) -> None:
    provider.keys = [make_key("first", "RS256")]
    provider.sign = signed_with_the_public_key(provider.keys[0])


def encryption_key(provider: OidcProvider) -> None:
    key = provider.keys[0]
    provider.replies["/keys"] = reply(200, json.dumps({"keys": [{**key.public, "use": "enc"}]}).encode())


def key_of_another_algorithm(provider: OidcProvider) -> None:
    provider.keys = [make_key("first", "RS256")]
    provider.header["alg"] = "PS256"


def reply(status: int, body: bytes, **headers: str) -> Callable[[], Any]:
    async def answer() -> tuple[int, dict[str, str], bytes]:
        await trio.lowlevel.checkpoint()
        return status, headers, body

    return answer


WRONG_TOKENS: dict[str, tuple[Callable[[OidcProvider], None], str]] = {
    "iss": (claims(iss="https://evil.example"), "another issuer"),
    "no iss": (claims(iss=None), "another issuer"),
    "aud": (claims(aud="another"), "another client"),
    "no aud": (claims(aud=None), "another client"),
    "aud of numbers": (claims(aud=["banken", 7]), "another client"),
    "two aud without azp": (claims(aud=["banken", "another"]), "to another client"),
    "azp": (claims(azp="another"), "to another client"),
    "nonce": (claims(nonce="another"), "another login"),
    "no nonce": (claims(nonce=None), "another login"),
    "alg none": (header(alg="none"), "signed by 'none'"),
    "HS256 with the public key": (public_key_as_secret, "signed by 'HS256'"),
    "expired": (times(exp=-61), "has expired"),
    "no exp": (times(exp=None), "has expired"),
    "exp as text": (claims(exp="tomorrow"), "has expired"),
    "not yet valid": (times(nbf=61), "not valid yet"),
    "iat in the future": (times(iat=62, exp=300), "in the future"),
    "no iat": (times(iat=None), "in the future"),
    "iat long ago": (times(iat=-661), "long ago"),
    "no sub": (claims(sub=None), "names no person"),
    "empty sub": (claims(sub=""), "names no person"),
    "sub as number": (claims(sub=7), "names no person"),
    "long sub": (claims(sub="x" * 256), "names no person"),
    "access token": (header(typ="at+jwt"), "another type"),
    "logout token": (header(typ="logout+jwt"), "another type"),
    "crit": (header(crit=["exp"]), "an extension"),
    "unknown kid": (header(kid="nobody"), "no key with the kid"),
    "key of somebody else": (strange_key, "signature"),
    "key for encryption": (encryption_key, "no single key"),
    "key of another algorithm": (key_of_another_algorithm, "no single key"),
    "token type": (answer(token_type="mac"), "another type of token"),
    "no ID token": (answer(id_token=None), "no ID token"),
    "no token": (answer(id_token="x.y"), "no signed token"),
    "huge token": (answer(id_token="x" * 40_000 + "..y"), "no signed token"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_TOKENS)
async def test_wrong_token_opens_nothing(wrong: str, access: Path) -> None:
    """The page says that the provider's answer is wrong; the journal says in which way."""
    change, text = WRONG_TOKENS[wrong]
    async with open_oidc_site(access) as here:
        change(here.provider)
        browser = here.browser()
        assert await browser.log_in() == "provider"
        assert (await browser.me())[0] is None
        assert not here.site.gateway.state.sessions
        assert CARLA not in here.site.gateway.state.users
        (said,) = await failures(here)
        assert text in said


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_each_algorithm_with_a_public_key_is_accepted(algorithm: str, access: Path) -> None:
    """Also beside keys of other kinds, and without a `kid` where one key fits."""
    async with open_oidc_site(access) as here:
        here.provider.keys = [
            make_key("own", algorithm),
            make_key("other", "ES256" if algorithm == "RS256" else "RS256"),
        ]
        assert await here.browser().log_in() == ""
        here.provider.header["kid"] = None
        assert await here.browser().log_in() == ""


async def test_clocks_may_differ_by_a_minute(access: Path) -> None:
    """Both ways."""
    async with open_oidc_site(access) as here:
        for offsets in ({"iat": 55, "nbf": 55, "exp": 300}, {"iat": -300, "exp": -55}):
            here.provider.claims.clear()
            times(**offsets)(here.provider)
            assert await here.browser().log_in() == ""


async def test_several_audiences_need_the_party_that_is_authorized(access: Path) -> None:
    """`azp` is banken."""
    async with open_oidc_site(access) as here:
        here.provider.claims = {"aud": ["another", "banken"], "azp": "banken"}
        assert await here.browser().log_in() == ""


async def test_rotated_key_is_read_at_most_once_a_minute(access: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The login after a rotation goes well, and tokens with unknown keys do not make banken ask for each."""
    async with open_oidc_site(access) as here:
        assert await here.browser().log_in() == ""
        here.provider.keys = [make_key("second")]
        assert await here.browser().log_in() == "provider"
        assert here.provider.asked.count("/keys") == 1
        monkeypatch.setattr(module, "KEYS_EVERY_S", 0.0)
        assert await here.browser().log_in() == ""
        monkeypatch.undo()
        assert KEYS_EVERY_S == 60
        here.provider.header["kid"] = "nobody"
        for _ in range(3):
            assert await here.browser().log_in() == "provider"
        assert here.provider.asked.count("/keys") == 2


async def test_state_is_bound_to_the_browser_that_began(access: Path) -> None:
    """Login CSRF: a stranger's answer opens nothing at another browser, also if that one has begun a login."""
    async with open_oidc_site(access) as here:
        stranger, victim = here.browser(), here.browser()
        back = await stranger.visit(await stranger.begin())
        assert await victim.come_back(back) == "stale"
        again = await stranger.visit(await stranger.begin())
        await victim.begin()
        assert await victim.come_back(again) == "stale"
        assert not here.provider.forms
        assert (await victim.me())[0] is None


async def test_mixed_up_state_opens_nothing(access: Path) -> None:
    """The code of one login with the state of another: the verifier and the nonce belong together."""
    async with open_oidc_site(access) as here:
        one, two = here.browser(), here.browser()
        first, second = await one.visit(await one.begin()), await two.visit(await two.begin())
        mixed = second.replace(query_of(second)["code"], query_of(first)["code"])
        assert await two.come_back(mixed) == "provider"
        assert any("invalid_grant" in text for text in await failures(here))


@pytest.mark.parametrize(
    "query", ["", "?state=", "?state=x", "?code=x", "?state=x&code=y&error=z", f"?state={'x' * 1900}"]
)
async def test_unknown_state_opens_nothing(query: str, access: Path) -> None:
    """Nobody is asked, and nothing is journaled: anybody may send this."""
    async with open_oidc_site(access) as here:
        assert await here.browser().come_back(f"http://x/login/oidc/back{query}") == "stale"
        assert here.provider.asked == []
        assert await failures(here) == []


async def test_answer_of_the_provider_counts_once(access: Path) -> None:
    """Code replay: the same address opens no second session, at the same browser or another."""
    async with open_oidc_site(access) as here:
        browser = here.browser()
        back = await browser.visit(await browser.begin())
        cookies = dict(browser.cookies)
        assert await browser.come_back(back) == ""
        for replay in (browser, OidcBrowser(here.site.port, here.provider.port, cookies)):
            assert await replay.come_back(back) == "stale"
        assert len(here.site.gateway.state.sessions) == 1


async def test_provider_refuses_a_code_that_was_used(access: Path) -> None:
    """Its refusal is the end of the login."""
    async with open_oidc_site(access) as here:
        browser = here.browser()
        back = await browser.visit(await browser.begin())
        here.provider.codes.clear()
        assert await browser.come_back(back) == "provider"


async def test_login_that_takes_too_long_is_over(access: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its state is forgotten."""
    async with open_oidc_site(access) as here:
        monkeypatch.setattr(module, "LOGIN_S", 0.0)
        assert await here.browser().log_in() == "stale"


async def test_answer_of_another_provider_is_refused(access: Path) -> None:
    """The mix-up attack (RFC 9207): `iss` is missing, or names another one."""
    async with open_oidc_site(access) as here:
        for issuer in (None, "https://evil.example"):
            here.provider.back = {"iss": issuer}  # type: ignore[dict-item]
            assert await here.browser().log_in() == "provider"
        assert not here.provider.forms


async def test_refusal_of_the_provider_is_not_quoted(access: Path) -> None:
    """Nothing that the provider, or a stranger, writes reaches the page or its address."""
    async with open_oidc_site(access) as here:
        here.provider.person = None
        browser = here.browser()
        assert await browser.log_in() == "denied"
        here.provider.back = {"error": "<script>alert(1)</script>\r\nX: y"}
        back = await browser.visit(await browser.begin())
        answer = await browser.call("GET", target_of(back), CROSS)
        assert (answer.headers["Location"], answer.body) == ("../../#login=provider", b"")
        assert "script" not in str(answer.headers)


async def test_redirects_lead_to_the_page_or_the_provider_only(access: Path) -> None:
    """Open redirects: no parameter and no header changes where they lead."""
    async with open_oidc_site(access) as here:
        for query in ("?next=https://evil.example", "?redirect_uri=https://evil.example/"):
            answer = await here.browser().call("GET", f"/login/oidc{query}", {"Referer": "https://evil.example/"})
            assert answer.headers["Location"].startswith(f"{here.provider.issuer}/authorize?")
            assert "evil" not in answer.headers["Location"]
        answer = await here.browser().call("GET", "/login/oidc", {"X-Forwarded-Host": "evil.example"})
        assert "evil" not in answer.headers["Location"]
        assert (await here.browser().call("GET", "/login/oidc", {"Host": "evil.example"})).status == 421


async def test_other_pages_cannot_begin_a_login(access: Path) -> None:
    """Neither by a link nor by an image."""
    async with open_oidc_site(access) as here:
        for headers in (
            CROSS,
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        ):
            assert (await here.browser().call("GET", "/login/oidc", headers)).status == 403
        assert here.provider.asked == []


async def test_name_of_a_local_account_opens_nothing(access: Path) -> None:
    """The choice of a name at the provider takes over no account; the refusal says how to link it."""
    async with open_oidc_site(access) as here:
        for name in ("anna", "ANNA", "ben"):
            here.provider.person = Person("666", name)
            browser = here.browser()
            assert await browser.log_in() == "taken"
            assert (await browser.me())[0] is None
        assert "its owner links it" in (await failures(here))[0]
        assert here.site.gateway.state.users[BEN].role is Role.WATCHER


@pytest.mark.parametrize("name", ["", "carla@example.org", "../x", "carla/1", "é", "x" * 64])
async def test_name_that_no_account_can_have_is_refused(name: str, access: Path) -> None:
    """A principal is named after it."""
    async with open_oidc_site(access) as here:
        here.provider.person = Person(name=name)
        assert await here.browser().log_in() == "name"


@pytest.mark.parametrize("groups", [(), ("strangers",), ("Admins",), ("admins ",)])
async def test_person_without_a_group_that_counts_gets_no_account(groups: tuple[str, ...], access: Path) -> None:
    """Groups are compared to the letter."""
    async with open_oidc_site(access) as here:
        here.provider.person = Person(groups=groups)
        assert await here.browser().log_in() == "group"
        assert CARLA not in here.site.gateway.state.users


@pytest.mark.parametrize("groups", [None, 7, {"admins": True}, [["admins"]], [None]])
async def test_groups_of_another_type_give_no_role(groups: object, access: Path) -> None:
    """And cause no error."""
    async with open_oidc_site(access) as here:
        here.provider.claims["groups"] = groups
        assert await here.browser().log_in() == "group"


async def test_role_follows_the_groups_at_each_login(access: Path) -> None:
    """The role with the most rights counts, and the account stays the same, also under another name."""
    async with open_oidc_site(access) as here:
        for groups, role in ((("family", "guards"), "operator"), (("family",), "watcher"), (("admins",), "admin")):
            here.provider.person = Person(name="renamed" if role == "admin" else "carla", groups=groups)
            browser = here.browser()
            assert await browser.log_in() == ""
            assert await browser.me() == ("carla", role)
        changed = [row.event for row in await here.site.core.stored() if isinstance(row.event, e.UserChanged)]
        assert [event.reason.text for event in changed] == ["the groups at the login provider changed it"] * 2
        assert list(here.site.gateway.state.users) != []


async def test_sessions_of_a_person_without_a_group_any_more_end(access: Path) -> None:
    """With the next try to log in; those that a password opened go on."""
    async with open_oidc_site(access) as here:
        browser = here.browser()
        assert await browser.log_in() == ""
        here.provider.person = Person(groups=())
        assert await here.browser().log_in() == "group"
        assert (await browser.me())[0] is None
        ended = [row.event for row in await here.site.core.stored() if isinstance(row.event, e.SessionEnded)]
        assert [(event.user, event.reason.code) for event in ended] == [(CARLA, "no-role")]


async def test_cameras_of_an_account_do_not_become_more(access: Path) -> None:
    """Ben has one camera and links; the groups would make him an admin, who has all."""
    async with open_oidc_site(access) as here:
        await here.accounts.change_user(BEN, Role.WATCHER, Scope(cameras=(GATE,)), ME)
        browser = await linked(here, "ben")
        assert await browser.log_in() == "role"
        assert here.site.gateway.state.users[BEN].scope == Scope(cameras=(GATE,))
        here.provider.person = Person(groups=("guards",))
        assert await browser.log_in() == ""
        user = here.site.gateway.state.users[BEN]
        assert (user.role, user.scope) == (Role.OPERATOR, Scope(cameras=(GATE,)))


async def test_last_admin_stays_one(access: Path) -> None:
    """Anna links; the groups would take the last admin's role away."""
    async with open_oidc_site(access) as here:
        browser = await linked(here, "anna")
        here.provider.person = Person(groups=("family",))
        assert await browser.log_in() == "role"
        assert here.site.gateway.state.users[ANNA].role is Role.ADMIN


async def linked(here: OidcSite, user: str) -> OidcBrowser:
    """A browser at which a user has logged in by password and linked the person of the provider."""
    own = Browser(here.site.port)
    await own.log_in(user)
    browser = here.browser()
    name, _, value = own.cookie.partition("=")
    browser.cookies[name] = value
    assert await browser.link() == "linked"
    return browser


async def test_user_links_the_own_account_and_unlinks_it(access: Path) -> None:
    """Afterwards the provider opens it, and then no more; its sessions end, but the one that asks."""
    async with open_oidc_site(access) as here:
        browser = await linked(here, "ben")
        assert (await browser.call("GET", "/api/session/provider")).json == {"provider": "Example", "linked": True}
        here.provider.person = Person(groups=("family",))
        other = here.browser()
        assert await other.log_in() == ""
        assert await other.me() == ("ben", "watcher")
        assert (await browser.call("DELETE", "/api/session/provider")).status == 204
        assert (await browser.me())[0] == "ben"
        assert (await other.me())[0] is None
        assert (await browser.call("GET", "/api/session/provider")).json == {"provider": "Example", "linked": False}
        stored = await here.site.core.stored()
        links = [
            (row.event.provider, row.principal.partition("/")[0])
            for row in stored
            if isinstance(row.event, e.IdentityLinked | e.IdentityUnlinked)
        ]
        assert links == [("Example", "user:ben")] * 2
        assert await here.browser().log_in() == ""
        assert CARLA in here.site.gateway.state.users, "the identity is free again"


async def test_identity_is_linked_once(access: Path) -> None:
    """Neither to a second account, nor an account to a second identity."""
    async with open_oidc_site(access) as here:
        await linked(here, "ben")
        own = Browser(here.site.port)
        await own.log_in("anna")
        browser = here.browser()
        browser.cookies["banken"] = own.cookie.partition("=")[2]
        assert await browser.link() == "linked-elsewhere"
        here.provider.person = Person(subject="another")
        assert await browser.link() == "linked"
        here.provider.person = Person(subject="a third")
        assert await browser.link() == "linked-elsewhere"


async def test_link_belongs_to_the_session_that_began_it(access: Path) -> None:
    """A stranger's identity is not linked to the account of somebody who is logged in at the same browser meanwhile."""
    async with open_oidc_site(access) as here:
        own, other = Browser(here.site.port), Browser(here.site.port)
        await own.log_in("ben")
        await other.log_in("anna")
        browser = here.browser()
        browser.cookies["banken"] = own.cookie.partition("=")[2]
        begun = (await browser.call("POST", "/api/session/provider")).json["location"]
        back = await browser.visit(begun)
        browser.cookies["banken"] = other.cookie.partition("=")[2]
        assert await browser.come_back(back) == "out"
        begun = (await browser.call("POST", "/api/session/provider")).json["location"]
        back = await browser.visit(begun)
        del browser.cookies["banken"]
        assert await browser.come_back(back) == "out"
        assert not here.site.gateway.state.identities


async def test_old_login_links_nothing(access: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a session that was stolen or left open becomes a login for ever, which outlives a new password."""
    async with open_oidc_site(access) as here:
        own = Browser(here.site.port)
        await own.log_in("ben")
        clock = here.site.core.kernel.clock
        later_ns = clock.wall_ns() + (FRESH_S + 1) * 10**9
        monkeypatch.setattr(type(clock), "wall_ns", lambda self: later_ns)
        refused = await own.post("/api/session/provider")
        assert (refused.status, "log in again" in refused.json["detail"]) == (409, True)
        await own.log_in("ben")
        assert (await own.post("/api/session/provider")).status == 201


async def test_page_of_another_site_cannot_link_or_unlink(access: Path) -> None:
    """A link is a change, so the request must come from our own page."""
    async with open_oidc_site(access) as here:
        browser = await linked(here, "ben")
        for method in ("POST", "DELETE"):
            for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example", "Sec-Fetch-Site": ""}):
                assert (await browser.call(method, "/api/session/provider", headers)).status == 403
        assert len(here.site.gateway.state.identities) == 1


async def test_account_of_the_provider_alone_is_not_unlinked(access: Path) -> None:
    """Nobody could log in to it any more."""
    async with open_oidc_site(access) as here:
        browser = here.browser()
        assert await browser.log_in() == ""
        refused = await browser.call("DELETE", "/api/session/provider")
        assert (refused.status, "no password" in refused.text) == (409, True)
        await here.accounts.set_password(CARLA, "a new password", ME)
        assert await browser.log_in() == ""
        assert (await browser.call("DELETE", "/api/session/provider")).status == 204


async def test_removed_user_comes_back_as_a_new_one_only(access: Path) -> None:
    """The link goes with the account; what the groups give now counts."""
    async with open_oidc_site(access) as here:
        assert await here.browser().log_in() == ""
        await here.accounts.remove_user(CARLA, ME)
        assert not here.site.gateway.state.identities
        found = read_access(access)
        assert found is not None
        assert not found.links
        here.provider.person = Person(groups=("family",))
        browser = here.browser()
        assert await browser.log_in() == ""
        assert await browser.me() == ("carla", "watcher")


DOCUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"issuer": "https://evil.example"}, "calls itself"),
    "an issuer with a slash": ({"issuer": "/"}, "calls itself"),
    "no issuer": ({"issuer": None}, "cannot be read"),
    "no keys": ({"jwks_uri": None}, "cannot be read"),
    "tokens without TLS": ({"token_endpoint": "http://192.0.2.1/token"}, "token_endpoint is no address"),
    "a login without TLS": ({"authorization_endpoint": "http://192.0.2.1/"}, "authorization_endpoint is no address"),
    "keys in a file": ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri is no address"),
    "a script": ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint is no address"),
    "a user in an address": ({"token_endpoint": "https://a:b@h/"}, "token_endpoint is no address"),
    "a line break": ({"authorization_endpoint": "https://h/\r\nX: y"}, "authorization_endpoint is no address"),
}


@pytest.mark.parametrize("wrong", DOCUMENTS)
async def test_wrong_discovery_document_leads_nowhere(wrong: str, access: Path) -> None:
    """The browser stays here, and health says what is wrong."""
    document, text = DOCUMENTS[wrong]
    async with open_oidc_site(access) as here:
        here.provider.document = document
        answer = await here.browser().call("GET", "/login/oidc")
        assert answer.headers["Location"] == "../#login=provider"
        assert text in here.oidc.reading().text


async def hang() -> Any:
    await trio.sleep_forever()


REPLIES: dict[str, tuple[Callable[[], Any], str]] = {
    "a redirect": (reply(302, b"", Location="http://127.0.0.1:1/"), "a redirect"),
    "an error": (reply(500, b"<b>oops</b>"), "status 500"),
    "no JSON": (reply(200, b"<html>"), "cannot be read|no JWK set|no ID token"),
    "nested JSON": (reply(200, b"[" * 20_000), "cannot be read|no JWK set|no ID token"),
    "a huge answer": (reply(200, b" " * 600_000), "more than any such answer"),
    "nothing": (hang, "did not answer within"),
}


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
@pytest.mark.parametrize("wrong", REPLIES)
async def test_wrong_answer_of_the_provider_is_bounded(
    wrong: str, path: str, access: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login ends with a text, health says it, and a login by password goes on."""
    replying, text = REPLIES[wrong]
    async with open_oidc_site(access) as here:
        if wrong == "nothing":
            if path == "/token":
                await here.oidc._refresh()
            monkeypatch.setattr(module, "PATIENCE_S", 0.2)
        here.provider.replies[path] = replying
        browser = here.browser()
        answer = await browser.call("GET", "/login/oidc")
        if path == "/token":
            assert await browser.come_back(await browser.visit(answer.headers["Location"])) == "provider"
            said = "".join(await failures(here))
        else:
            assert answer.headers["Location"] == "../#login=provider"
            said = here.oidc.reading().text
        assert any(each in said for each in text.split("|"))
        assert "oops" not in said
        assert (await Browser(here.site.port).log_in("anna")).status == 201


@pytest.mark.parametrize("status", [400, 403, 404, 429])
async def test_code_that_is_refused_costs_no_other_login(status: int, access: Path) -> None:
    """A browser can send any code: the provider is not away because it refuses one."""
    async with open_oidc_site(access) as here:
        here.provider.replies["/token"] = reply(status, b"<b>no</b>")
        assert await here.browser().log_in() == "provider"
        here.provider.replies.clear()
        assert here.oidc.reading().level == 0
        assert await here.browser().log_in() == ""


async def test_provider_that_is_away_is_asked_now_and_then_only(access: Path) -> None:
    """Many people press the button; health knows, also before that, and notices when it is back."""
    async with open_oidc_site(access) as here:
        here.provider.replies["/keys"] = reply(503, b"")
        for _ in range(5):
            assert (await here.browser().call("GET", "/login/oidc")).headers["Location"] == "../#login=provider"
        assert here.provider.asked.count("/keys") == 1
        assert here.oidc.reading().level == 1
        here.provider.replies.clear()
        await here.oidc._refresh()
        assert here.oidc.reading().level == 0
        assert await here.browser().log_in() == ""


async def test_one_network_begins_some_logins_only(access: Path) -> None:
    """The provider is not flooded by us, and the table of logins does not grow."""
    async with open_oidc_site(access) as here:
        codes = [(await here.browser().call("GET", "/login/oidc")).headers["Location"] for _ in range(BEGINS + 2)]
        assert [code == "../#login=busy" for code in codes] == [False] * BEGINS + [True, True]


async def test_logins_on_their_way_are_bounded(access: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network keeps its newest ones, and all together are bounded, too."""
    async with open_oidc_site(access) as here:
        monkeypatch.setattr(module, "BEGINS", 10_000)
        begun = [await here.oidc.begin("https://h", "192.0.2.1", None) for _ in range(MOST_OF_NETWORK + 5)]
        assert len(here.oidc._logins) == MOST_OF_NETWORK
        assert query_of(begun[-1].location)["state"] in here.oidc._logins
        monkeypatch.setattr(module, "MOST_LOGINS", 30)
        for number in range(100):
            await here.oidc.begin("https://h", f"192.0.2.{number}", None)
        assert len(here.oidc._logins) == 30


async def test_certificate_of_the_provider_is_checked(access: Path, tmp_path: Path) -> None:
    """With the CA of the setting one logs in; without it the provider is refused before anything is sent."""
    tls = write_pair(tmp_path, "127.0.0.1")
    async with open_oidc_site(access, tls) as here:
        await here.oidc._refresh()
        assert here.provider.asked == ["/.well-known/openid-configuration", "/keys"]
        object.__setattr__(here.oidc.settings, "ca", None)
        with pytest.raises(module.ProviderError, match="certificate is refused"):
            await here.oidc._refresh()
        assert len(here.provider.asked) == 2


async def test_without_a_provider_there_is_no_login_by_one(access: Path) -> None:
    """The page offers none, and the paths are not there."""
    async with open_site(GATE, access=access) as site:
        assert (await site.get("/api/session/provider")).json == {"provider": None, "linked": False}
        for path in ("/login/oidc", "/login/oidc/back?state=x"):
            assert (await request(site.port, "GET", path, headers=OWN)).status == 404


async def test_session_that_ended_during_a_link_links_nothing(access: Path) -> None:
    """The decision looks at the session, in the same step."""
    async with open_oidc_site(access) as here:
        assert await here.browser().log_in() == ""
        with pytest.raises(Exception, match="has ended"):
            await here.oidc.unlink(SessionId("0" * 16))
