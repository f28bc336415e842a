"""Before the first user: this machine is trusted, and nobody else. Proxies have the rights that the setting names."""

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest

from supervisor.domain.rights import OF_USERS, PROXY_ROLES, RIGHTS, Right, Role
from tests.kit.accounts import add_users
from tests.kit.domain import GATE
from tests.kit.http import Answer
from tests.kit.site import Site, message, open_site
from web.app import WebSettings
from web.client import Proxies
from web.proxy_access import ProxyAccess

BY_PROXY = Proxies((ip_network("127.0.0.0/8"),))
FORWARDED = {"X-Forwarded-For": "192.0.2.9"}


def settings(access: ProxyAccess) -> WebSettings:
    return WebSettings(proxies=BY_PROXY, proxy_access=access)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "camera.lan"},
        {"Host": "192.0.2.1"},
        {"Host": "[2001:db8::1]:8620"},
        {"Host": "127.0.0.1.nip.lan"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-For": ""},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"X-Real-IP": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
    ],
)
async def test_client_that_is_not_of_this_machine_has_no_rights(headers: dict[str, str], tmp_path: Path) -> None:
    """By its host or by what a proxy adds; the answer says what to do."""
    async with open_site(GATE, access=tmp_path / "access.json") as site:
        answer = await site.get("/api/cameras", **headers)
        assert answer.status == 401
        assert "no users" in answer.json["detail"]
        assert (await site.get("/", **headers)).status == 200
        assert (await site.get("/healthz", **headers)).status == 200
        assert (await site.handshake(**headers)).status == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:8620", "[::1]:8620", "127.9.9.9", "localhost."])
async def test_client_of_this_machine_has_all_rights(host: str, tmp_path: Path) -> None:
    """By every name that only this machine has."""
    async with open_site(GATE, access=tmp_path / "access.json") as site:
        assert (await site.get("/api/cameras", Host=host)).status == 200


async def test_request_through_a_proxy_names_the_setting_that_is_missing(tmp_path: Path) -> None:
    """Without `access.proxy`, also behind a proxy that adds no header: its address is that of a proxy."""
    async with open_site(GATE, access=tmp_path / "access.json", settings=settings(ProxyAccess())) as site:
        for headers in ({}, FORWARDED):
            answer = await site.get("/api/cameras", **headers)
            assert (answer.status, "access.proxy" in answer.json["detail"]) == (401, True)


async def rights(site: Site, **headers: str) -> list[str]:
    answer: Answer = await site.get("/api/session", **FORWARDED, **headers)
    found: list[str] = answer.json["rights"]
    return found


ROLES = {Role.ADMIN: ("anna",), Role.WATCHER: ("group:family", "ben"), Role.ANALYST: ("group:office",)}


@pytest.mark.parametrize(
    ("headers", "role"),
    [
        ({"X-User": "anna"}, Role.ADMIN),
        ({"X-User": "ben"}, Role.WATCHER),
        ({"X-User": "carl", "X-Groups": "guests, family"}, Role.WATCHER),
        ({"X-User": "carl", "X-Groups": "family,office"}, Role.ANALYST),
        ({"X-User": "carl"}, None),
        ({"X-User": "carl", "X-Groups": "families"}, None),
        ({"X-User": "group:family"}, None),
        ({"X-User": "anna/admin"}, None),
        ({"X-User": ""}, None),
        ({"X-Groups": "family"}, None),
        ({}, None),
    ],
)
async def test_proxy_names_user_and_groups(headers: dict[str, str], role: Role | None, tmp_path: Path) -> None:
    """Its word gives the role of the setting, the one with the most rights, and nothing without a name."""
    access = ProxyAccess("X-User", "X-Groups", ROLES)
    async with open_site(GATE, access=tmp_path / "access.json", settings=settings(access)) as site:
        assert await rights(site, **headers) == sorted(RIGHTS[role] - OF_USERS if role else [Right.NONE])


async def test_two_names_are_no_name(tmp_path: Path) -> None:
    """A client may have added one of them."""
    access = ProxyAccess("X-User", "", {Role.ADMIN: ("anna",)})
    async with open_site(GATE, access=tmp_path / "access.json", settings=settings(access)) as site:
        assert await rights(site, **{"X-User": "anna", "x-user": "ben"}) == [Right.NONE]


@pytest.mark.parametrize("roles", [{Role.OPERATOR: ("*",)}, {}], ids=["everybody", "nobody"])
async def test_all_clients_of_a_proxy_may_have_one_role(roles: Mapping[Role, tuple[str, ...]], tmp_path: Path) -> None:
    """Without a header for names: for a site without accounts."""
    access = ProxyAccess(roles=roles)
    async with open_site(GATE, access=tmp_path / "access.json", settings=settings(access)) as site:
        assert await rights(site) == sorted(RIGHTS[Role.OPERATOR] - OF_USERS if roles else [Right.NONE])


async def test_header_of_another_peer_gives_no_role(tmp_path: Path) -> None:
    """The same headers from a peer that is no trusted proxy, with users and without."""
    access = ProxyAccess("X-User", "", {Role.ADMIN: ("anna", "*")})
    strangers = WebSettings(proxies=Proxies((ip_network("192.0.2.0/24"),)), proxy_access=access)
    async with open_site(GATE, access=tmp_path / "access.json", settings=strangers) as site:
        assert await rights(site, **{"X-User": "anna"}) == [Right.NONE]
        assert site.gateway.accounts is not None
        await add_users(site.gateway.accounts)  # type: ignore[arg-type]
        assert await rights(site, **{"X-User": "anna"}) == [Right.NONE]


async def test_principal_of_a_proxys_user_is_in_the_journal(tmp_path: Path) -> None:
    """With the role that it had."""
    access = ProxyAccess("X-User", "", {Role.WATCHER: ("anna",)})
    async with open_site(GATE, access=tmp_path / "access.json", settings=settings(access)) as site:
        assert (await site.offer(**{"X-User": "anna"}, **FORWARDED)).status == 201
        rows = await site.core.stored()
        assert {row.principal for row in rows if row.type == "PeerOpened"} == {"proxy:anna/watcher"}
        assert (await site.get("/api/users", **{"X-User": "anna"}, **FORWARDED)).status == 403


@pytest.mark.parametrize("role", RIGHTS)
async def test_websocket_through_a_proxy_stays_open(role: Role, tmp_path: Path) -> None:
    """Nothing was taken away from its principal."""
    if role not in PROXY_ROLES:
        return
    access = ProxyAccess(roles={role: ("*",)})
    async with open_site(GATE, access=tmp_path / "access.json", settings=settings(access)) as site:
        async with site.socket(**FORWARDED) as socket:
            assert (await message(socket))["type"] == "hello"
            assert [(await message(socket))["type"] for _ in range(2)]
        assert (await site.get("/api/cameras", **FORWARDED)).status == 200
