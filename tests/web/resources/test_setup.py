"""A server beyond loopback before its first user: the page of the setup link, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import attrs
import pytest

from supervisor.domain.ids import TokenId
from supervisor.domain.rights import ALL, Role
from supervisor.runtime.control_socket import ControlSocket
from supervisor.services.access_file import AccessFile, write_access
from supervisor.services.accounts import Accounts
from tests.kit.accounts import ANNA, BEN, ME, PASSWORDS, Browser, add_users
from tests.kit.domain import GATE
from tests.kit.http import Answer, request
from tests.kit.site import Site, open_site
from tests.web.test_access import concrete
from web.access import FIRST_RUN
from web.app import WebSettings
from web.client import Proxies
from web.proxy_access import ProxyAccess
from web.resources.setup import LOCAL_ONLY
from web.router import load

URL = "https://192.0.2.7:8620/"
BEYOND = WebSettings(setup_url=URL)
ROUTES = [route for resource in load() for route in resource.routes]
OPEN = {"/setup", "/setup/{name:path}", "/api/setup", "/healthz", "/readyz"}
FROM_PROXY = {"X-Forwarded-For": "192.0.2.9"}


@attrs.frozen
class Beyond:
    site: Site
    control: Path

    @property
    def accounts(self) -> Accounts:
        assert isinstance(self.site.gateway.accounts, Accounts)
        return self.site.gateway.accounts

    async def owner(self, method: str, path: str) -> Answer:
        return await request(self.control, method, path)

    async def secret(self) -> str:
        answer = await self.owner("POST", "/api/setup/link")
        assert answer.status == 200, answer.text
        page, _, secret = answer.json["link"].partition("#")
        assert page == f"{URL}setup"
        return str(secret)


@asynccontextmanager
async def open_beyond(tmp_path: Path, settings: WebSettings = BEYOND) -> AsyncIterator[Beyond]:
    """A site that takes itself for one beyond loopback, with its control socket."""
    socket = ControlSocket(tmp_path / "state")
    socket.open()
    try:
        async with open_site(GATE, access=tmp_path / "access.json", settings=settings, control=socket) as site:
            yield Beyond(site, socket.path)
    finally:
        socket.close()


async def post(site: Site, secret: str, user: str = ANNA, password: str = PASSWORDS[ANNA]) -> Answer:
    body = {"secret": secret, "user": user, "password": password}
    answer: Answer = await Browser(site.port).post("/api/setup", body)
    return answer


def test_routes_before_the_first_user_are_these() -> None:
    """A new route is not among them by default."""
    assert {route.path for route in ROUTES if route.before_users} == OPEN


async def test_everything_else_is_refused_with_one_text(tmp_path: Path) -> None:
    """Walks the tables, also from this machine, with a forged cookie, and to paths that do not exist."""
    async with open_beyond(tmp_path) as here:
        site = here.site
        for route in ROUTES:
            if route.path in OPEN:
                continue
            if route.is_websocket:
                answer = await site.handshake(path=route.path)
            else:
                answer = await request(site.port, route.method, concrete(route), b"", {"Cookie": "banken=x"})
            assert answer.status == 401, (route.method, route.path, answer.status)
            assert answer.json["detail"] == FIRST_RUN or route.method == "HEAD"
        assert (await site.get("/nothing")).json["detail"] == FIRST_RUN
        for path in ("/healthz", "/setup"):
            assert (await site.get(path)).status == 200


@pytest.mark.parametrize("headers", [{}, FROM_PROXY, {"Host": "camera.lan"}])
async def test_refusal_is_plain_text_for_a_browser(headers: dict[str, str], tmp_path: Path) -> None:
    """It names the command, and nothing of the site."""
    async with open_beyond(tmp_path) as here:
        answer = await here.site.get("/", Accept="text/html,*/*;q=0.8", **headers)
        assert (answer.status, answer.headers["Content-Type"]) == (401, "text/plain; charset=utf-8")
        assert answer.text == f"{FIRST_RUN}\n"
        assert "banken setup-link" in FIRST_RUN


async def test_setup_page_has_all_its_files_below_setup(tmp_path: Path) -> None:
    """Each file that it names, and each module of these, although nothing else is served."""
    async with open_beyond(tmp_path) as here:
        page = await here.site.get("/setup")
        assert (page.status, page.headers["Cache-Control"]) == (200, "no-store")
        names = {part.partition('"')[0] for part in page.text.replace('href="', 'src="').split('src="')[1:]} - {"./"}
        assert len(names) >= 6
        for name in names:
            assert name.startswith("setup/")
            assert (await here.site.get(f"/{name}")).status == 200, name
        version = next(iter(names)).split("/")[1]
        for name in ("forms.js", "lang/ja.js", "setup/strength.js"):
            assert (await here.site.get(f"/setup/{version}/{name}")).status == 200


async def test_link_makes_the_first_user_and_logs_in(tmp_path: Path) -> None:
    """Then the site is as any other: it asks for a login, and no link works."""
    async with open_beyond(tmp_path) as here:
        secret = await here.secret()
        answer = await post(here.site, secret)
        assert (answer.status, answer.json["user"], answer.json["by"]) == (201, ANNA, "setup-link")
        assert secret not in answer.text
        cookie = answer.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
        browser = Browser(here.site.port)
        browser.cookie = cookie.partition(";")[0]
        assert (await browser.get("/api/users")).status == 200
        assert (await here.site.get("/api/cameras")).json["detail"] == "log in first"
        assert (await here.site.get("/")).status == 200
        again = await post(here.site, secret, BEN)
        assert (again.status, "log in" in again.json["detail"]) == (409, True)
        moved = await here.site.get("/setup")
        assert (moved.status, moved.location) == (303, "/")
        assert (await here.owner("POST", "/api/setup/link")).status == 409
        assert (await Browser(here.site.port).log_in(ANNA)).status == 201


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"secret": "x", "user": "anna", "password": "correct horse"}, 403),
        ({"secret": "", "user": "anna", "password": "correct horse"}, 400),
        ({"user": "anna", "password": "correct horse"}, 400),
        ({"secret": "x" * 129, "user": "anna", "password": "correct horse"}, 400),
        ({"secret": 1, "user": "anna", "password": "correct horse"}, 400),
    ],
)
async def test_wrong_link_makes_no_user(body: dict[str, Any], status: int, tmp_path: Path) -> None:
    """With an answer that does not say what was wrong with the secret."""
    async with open_beyond(tmp_path) as here:
        await here.secret()
        answer = await Browser(here.site.port).post("/api/setup", body)
        assert answer.status == status
        assert not here.site.gateway.state.users
        assert here.site.gateway.setup is not None
        assert here.site.gateway.setup.is_open


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
async def test_page_of_another_site_makes_no_user(headers: dict[str, str], tmp_path: Path) -> None:
    """Even with the secret. A link on another site leads to the page."""
    async with open_beyond(tmp_path) as here:
        body = f'{{"secret": "{await here.secret()}", "user": "eve", "password": "correct horse"}}'
        fields = {"Content-Type": "application/json", **headers}
        assert (await request(here.site.port, "POST", "/api/setup", body, fields)).status == 403
        visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert (await here.site.get("/setup", **visit)).status == 200


async def test_only_the_owner_of_the_machine_gets_a_link(tmp_path: Path) -> None:
    """Not even an admin by the word of a proxy, or a token. Both are served otherwise."""
    proxy = Proxies((ip_network("127.0.0.0/8"),))
    access = ProxyAccess("X-User", "", {Role.ADMIN: ("anna",)})
    settings = WebSettings(setup_url=URL, proxies=proxy, proxy_access=access)
    async with open_beyond(tmp_path, settings) as here:
        token = await here.accounts.make_token(TokenId("robot"), Role.ADMIN, ALL, None, ME)
        named = FROM_PROXY | {"X-User": "anna"}
        for headers in (named, {"Authorization": f"Bearer {token}"}):
            assert (await here.site.get("/api/cameras", **headers)).status == 200
            answer = await request(here.site.port, "POST", "/api/setup/link", b"", headers)
            assert (answer.status, "control socket" in answer.json["detail"]) == (403, True)
        assert (await here.site.get("/api/cameras", **FROM_PROXY)).json["detail"] == FIRST_RUN


async def test_there_is_no_link_on_loopback_or_without_the_page(tmp_path: Path) -> None:
    """The refusal says how the first user is made."""
    for settings, said in (
        (WebSettings(), LOCAL_ONLY),
        (WebSettings(setup_url=URL, off=frozenset({"dashboard"})), "user add"),
    ):
        async with open_beyond(tmp_path, settings) as here:
            answer = await here.owner("POST", "/api/setup/link")
            assert (answer.status, said in answer.json["detail"]) == (409, True)
            if not settings.off:
                assert (await post(here.site, "x")).status == 409
                assert (await here.site.get("/setup")).status == 303
                assert (await here.site.get("/api/cameras")).status == 200


@pytest.mark.parametrize("file", ["whole", "damaged"])
async def test_lost_journal_opens_no_setup(file: str, tmp_path: Path) -> None:
    """The access file says that trust has ended, or cannot be read: nobody is trusted, and no link is made."""
    path = tmp_path / "access.json"
    write_access(path, AccessFile(trust_ended=True))
    if file == "damaged":
        path.write_text("{")
    async with open_beyond(tmp_path) as here:
        assert (await here.site.get("/api/cameras")).status == 401
        assert (await here.site.get("/setup")).status == 303
        assert (await post(here.site, "x")).status == (503 if file == "damaged" else 409)
        assert (await here.owner("POST", "/api/setup/link")).status == (503 if file == "damaged" else 409)


async def test_users_of_the_journal_close_the_setup(tmp_path: Path) -> None:
    """However they were made."""
    async with open_beyond(tmp_path) as here:
        secret = await here.secret()
        await add_users(here.accounts)
        assert (await post(here.site, secret, "eve")).status == 409
