"""The owner of a WHEP session: the login that has opened it, or without a login the client with its secret."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from supervisor.domain.ids import TokenId
from supervisor.domain.rights import ALL, Role
from supervisor.services.accounts import Accounts
from tests.kit.accounts import ANNA, BEN, ME, Browser, add_users
from tests.kit.domain import GATE, YARD
from tests.kit.http import Answer, request
from tests.kit.site import OFFER, Site, open_site
from web.app import WebSettings
from web.client import Proxies
from web.proxy_access import ProxyAccess

SDP, FRAGMENT = {"Content-Type": "application/sdp"}, {"Content-Type": "application/trickle-ice-sdpfrag"}
PROXIED = WebSettings(
    proxies=Proxies((ip_network("127.0.0.1"),)),
    proxy_access=ProxyAccess("X-Remote-User", "", {Role.WATCHER: ("carl", "dora")}),
)


async def ask(site: Site, method: str, path: str, body: str = "", **headers: str) -> Answer:
    return await request(site.port, method, path, body, {name.replace("_", "-"): it for name, it in headers.items()})


async def add_token(site: Site, name: str) -> dict[str, str]:
    accounts = site.gateway.accounts
    assert isinstance(accounts, Accounts)
    token = await accounts.make_token(TokenId(name), Role.WATCHER, ALL, None, ME)
    return {"Authorization": f"Bearer {token}"}


async def test_login_owns_its_session_by_an_address_without_a_secret(tmp_path: Path) -> None:
    """A user, and a stock client with a token, repeat the address. Another login, also of the same user, is refused."""
    async with open_site(GATE, YARD, access=tmp_path / "access.json") as site:
        assert isinstance(site.gateway.accounts, Accounts)
        await add_users(site.gateway.accounts)
        anna, ben, again = Browser(site.port), Browser(site.port), Browser(site.port)
        for browser, user in ((anna, ANNA), (ben, BEN), (again, BEN)):
            assert (await browser.log_in(user)).status == 201
        robot, other = await add_token(site, "robot"), await add_token(site, "other")
        owners = {
            "ben": ben.headers,
            "robot": robot,
        }
        for name, owner in owners.items():
            opened = await ask(site, "POST", f"/whep/{GATE}", OFFER, **owner, **SDP)
            assert opened.status == 201, opened.text
            (peer,) = [each for each in site.core.kernel.state.peers.values() if each.by.split("/")[0].endswith(name)]
            assert opened.location == f"/whep/{GATE}/{peer.peer}"
            strangers = (
                [each.headers for each in (anna, again)] + [other] + [it for it in owners.values() if it != owner]
            )
            for stranger in strangers:
                assert (await ask(site, "DELETE", opened.location, **stranger)).status == 403
                changed = await ask(site, "PATCH", opened.location, "a=x", **stranger, **FRAGMENT)
                assert changed.status == 403
            assert (await ask(site, "DELETE", opened.location)).status == 401
            elsewhere = opened.location.replace(GATE, YARD)
            assert (await ask(site, "DELETE", elsewhere, **owner)).status == 404
            assert (await ask(site, "PATCH", opened.location, "a=x", **owner, **FRAGMENT)).status == 204
            assert (await ask(site, "DELETE", opened.location, **owner)).status == 200


async def test_user_of_a_proxy_owns_its_session(tmp_path: Path) -> None:
    """The proxy names the user in each request; its log has no secret."""
    async with open_site(GATE, settings=PROXIED, access=tmp_path / "access.json") as site:
        carl, dora = {"X-Remote-User": "carl"}, {"X-Remote-User": "dora"}
        opened = await ask(site, "POST", f"/whep/{GATE}", OFFER, **carl, **SDP)
        assert opened.status == 201, opened.text
        (peer,) = site.core.kernel.state.peers
        assert opened.location == f"/whep/{GATE}/{peer}"
        assert (await ask(site, "DELETE", opened.location, **dora)).status == 403
        assert (await ask(site, "DELETE", opened.location, **carl)).status == 200


@pytest.mark.parametrize("form", ["address", "header"])
async def test_secret_of_a_client_without_a_login_works_in_the_address_and_as_a_header(form: str) -> None:
    """The header goes to the address without the secret. One of another session is a mistake of the client."""
    async with open_site(GATE, YARD) as site:
        location = (await site.offer()).location
        address, _, secret = location.rpartition(".")
        name = address.rpartition("/")[2]
        for shown in ("", "x", f"{name}.", f"{name}.x", f".{secret}", secret):
            assert (await ask(site, "DELETE", address, Banken_Peer=shown)).status in (400, 403)
        assert (await ask(site, "DELETE", address, Banken_Peer=f"other.{secret}")).status == 400
        key = {} if form == "address" else {"Banken-Peer": f"{name}.{secret}"}
        place = location if form == "address" else address
        assert (await ask(site, "PATCH", place, "a=x", **key, **FRAGMENT)).status == 204
        assert (await ask(site, "DELETE", place, **key)).status == 200
