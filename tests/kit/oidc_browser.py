"""A browser that logs in by a login provider, step by step; each step may be changed by a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from supervisor.config.login_provider import LoginProvider
from supervisor.domain.rights import Role
from supervisor.services.accounts import Accounts
from supervisor.services.oidc import Oidc

from .accounts import add_users
from .domain import GATE
from .http import Answer, request
from .oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider, open_provider, target_of
from .site import Site, open_site

ROLES = {Role.ADMIN: ("admins",), Role.WATCHER: ("family",), Role.OPERATOR: ("guards",)}
CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
OWN = {"Sec-Fetch-Site": "same-origin"}


@attrs.define
class OidcBrowser:
    """It has cookies, and shows them to banken only."""

    site: int
    provider: int
    cookies: dict[str, str] = attrs.field(factory=dict)

    async def call(self, method: str, path: str, headers: dict[str, str] | None = None) -> Answer:
        shown = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        own = {"Origin": f"http://127.0.0.1:{self.site}"} if method != "GET" else {}
        answer = await request(
            self.site, method, path, headers={**OWN, **own, **({"Cookie": shown} if shown else {}), **(headers or {})}
        )
        self._keep(answer)
        return answer

    def _keep(self, answer: Answer) -> None:
        """Of several cookies the client keeps the last: banken sets one, and forgets another one, in one answer."""
        for set_cookie in answer.cookies:
            name, _, rest = set_cookie.partition("=")
            value = rest.partition(";")[0]
            self.cookies[name] = value
            if not value or "Max-Age=0" in rest:
                del self.cookies[name]

    async def begin(self) -> str:
        """Press the button. → the address at the provider."""
        answer = await self.call("GET", "/login/oidc")
        assert answer.status == 303, answer.text
        return answer.headers["Location"]

    async def visit(self, address: str) -> str:
        """Go to the provider. → the address to which it sends back."""
        answer = await request(self.provider, "GET", target_of(address))
        assert answer.status == 303, answer.text
        return answer.headers["Location"]

    async def come_back(self, address: str) -> str:
        """Come back from the provider. → the code for the page; empty if it is the page itself."""
        answer = await self.call("GET", target_of(address), CROSS)
        assert answer.status == 303, answer.text
        home, _, code = answer.headers["Location"].partition("#login=")
        assert home == "../../"
        return code

    async def log_in(self) -> str:
        return await self.come_back(await self.visit(await self.begin()))

    async def link(self) -> str:
        answer = await self.call("POST", "/api/session/provider")
        assert answer.status == 201, answer.text
        return await self.come_back(await self.visit(answer.json["location"]))

    async def me(self) -> tuple[str | None, str | None]:
        """User and role."""
        me = (await self.call("GET", "/api/session")).json
        return me["user"], me["role"]


@attrs.frozen
class OidcSite:
    site: Site
    accounts: Accounts
    oidc: Oidc
    provider: OidcProvider

    def browser(self) -> OidcBrowser:
        return OidcBrowser(self.site.port, self.provider.port)


def settings_of(provider: OidcProvider, ca: Path | None = None) -> LoginProvider:
    return LoginProvider("Example", provider.issuer, CLIENT_ID, CLIENT_SECRET, roles=ROLES, ca=ca)


@asynccontextmanager
async def open_oidc_site(access: Path, tls: tuple[Path, Path] | None = None) -> AsyncIterator[OidcSite]:
    """A site with the admin anna and the watcher ben, and a login provider that knows carla."""
    async with open_provider(tls) as provider:
        settings = settings_of(provider, None if tls is None else tls[0])
        async with open_site(GATE, access=access, provider=settings) as site:
            provider.now = lambda: site.core.kernel.clock.wall_ns() / 1e9
            accounts, oidc = site.gateway.accounts, site.gateway.provider
            assert isinstance(accounts, Accounts)
            assert isinstance(oidc, Oidc)
            await add_users(accounts)
            yield OidcSite(site, accounts, oidc, provider)
