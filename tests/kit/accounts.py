"""Accounts for tests: a hasher that takes no time, and the users of a site."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from supervisor.domain.ids import UserId
from supervisor.domain.rights import ALL, Role, Scope
from supervisor.ports.decisions import Origin
from supervisor.services.accounts import Accounts

from .http import Answer, request

ANNA, BEN = UserId("anna"), UserId("ben")
ME = Origin("local")
PASSWORDS: Mapping[str, str] = {ANNA: "correct horse", BEN: "battery staple"}


class PlainHasher:
    """Keeps passwords as they are. It counts those that it compares."""

    def __init__(self) -> None:
        self.asked = 0

    def hash(self, password: str) -> str:
        return f"plain:{password}"

    def matches(self, hashed: str, password: str) -> bool:
        self.asked += 1
        return hashed == f"plain:{password}"


async def add_users(accounts: Accounts, role: Role = Role.WATCHER, scope: Scope = ALL) -> None:
    """The admin anna, and ben with another role."""
    await accounts.add_user(ANNA, Role.ADMIN, ALL, PASSWORDS[ANNA], ME)
    await accounts.add_user(BEN, role, scope, PASSWORDS[BEN], ME)


class Browser:
    """A client with a cookie, which calls like our own page."""

    def __init__(self, port: int) -> None:
        self._port, self.cookie = port, ""

    @property
    def headers(self) -> dict[str, str]:
        origin = f"http://127.0.0.1:{self._port}"
        return {"Origin": origin, "Sec-Fetch-Site": "same-origin", **({"Cookie": self.cookie} if self.cookie else {})}

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        data = b"" if body is None else msgspec.json.encode(body)
        kind = {} if body is None else {"Content-Type": "application/json"}
        return await request(self._port, method, path, data, {**self.headers, **kind, **headers})

    async def log_in(self, user: str, password: str = "") -> Answer:
        answer = await self.call("POST", "/api/session", {"user": user, "password": password or PASSWORDS[user]})
        if answer.status == 201:
            self.cookie = answer.headers["Set-Cookie"].partition(";")[0]
        return answer

    def __getattr__(self, method: str) -> Any:
        return partial(self.call, method.upper())
