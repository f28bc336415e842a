"""Passkeys over HTTP: from the page of banken only, each for its user."""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from supervisor.domain.rights import Role
from supervisor.ports.passkeys import RelyingParty
from supervisor.services.accounts import Accounts
from tests.kit.accounts import ANNA, BEN, PASSWORDS, Browser, add_users
from tests.kit.authenticator import PRESENT, Authenticator
from tests.kit.domain import GATE
from tests.kit.http import Answer
from tests.kit.site import Site, open_site
from web.app import WebSettings


def text(data: bytes) -> str:
    return b64encode(data).decode()


@attrs.define
class Person:
    """Somebody at a browser, whose page has a name."""

    browser: Browser
    party: RelyingParty
    authenticator: Authenticator = attrs.field(factory=Authenticator)

    @classmethod
    def at(cls, site: Site, credential: bytes = b"a credential id") -> "Person":
        party = RelyingParty("localhost", f"http://localhost:{site.port}")
        return cls(Browser(site.port), party, Authenticator(credential, user_handle=b"unknown"))

    @property
    def headers(self) -> dict[str, str]:
        return {"Origin": self.party.origin, "Host": self.party.origin.partition("://")[2]}

    async def post(self, path: str, body: object = None, **headers: str) -> Answer:
        answer: Answer = await self.browser.post(path, body, **{**self.headers, **headers})
        return answer

    async def log_in(self, user: str) -> Answer:
        return await self.browser.log_in(user)

    async def add(self, label: str = "a phone", **changed: Any) -> Answer:
        new = (await self.post("/api/passkey/begin", {})).json
        handle = b64decode(new["user_handle"])
        made = self.authenticator.make(b64decode(new["challenge"]), self.party, handle, **changed)
        body = {"client_data": text(made.client_data), "attestation": text(made.attestation), "label": label}
        return await self.post("/api/passkey/finish", body)

    async def answer(self, **changed: Any) -> dict[str, str]:
        """The body of an answer to a new challenge."""
        begun = await self.post("/api/session/passkey/begin")
        assert begun.status == 200, begun.text
        signed = self.authenticator.sign(b64decode(begun.json["challenge"]), self.party, **changed)
        return {name: text(value) for name, value in attrs.asdict(signed).items()}

    async def enter(self, **changed: Any) -> Answer:
        answer = await self.post("/api/session/passkey/finish", await self.answer(**changed))
        if answer.status == 201:
            self.browser.cookie = answer.headers["Set-Cookie"].partition(";")[0]
        return answer


@asynccontextmanager
async def with_users(tmp_path: Path, settings: WebSettings | None = None) -> AsyncIterator[Site]:
    async with open_site(GATE, access=tmp_path / "access.json", settings=settings) as site:
        assert isinstance(site.gateway.accounts, Accounts)
        await add_users(site.gateway.accounts, Role.WATCHER)
        yield site


async def test_user_adds_a_passkey_and_logs_in_by_it(tmp_path: Path) -> None:
    """The answer of the login is that of a password's, with the cookie."""
    async with with_users(tmp_path) as site:
        ben = Person.at(site)
        await ben.log_in(BEN)
        added = await ben.add(" a phone ")
        assert (added.status, added.json["label"], added.json["used"]) == (201, "a phone", None)
        await ben.browser.delete("/api/session")
        entered = await ben.enter()
        assert (entered.status, entered.json["user"], entered.json["by"]) == (201, BEN, "passkey")
        assert (await ben.browser.get("/api/session")).json["user"] == BEN
        (known,) = (await ben.browser.get("/api/passkeys")).json["passkeys"]
        assert (known["passkey"], known["user"], known["used"] is None) == (added.json["passkey"], BEN, False)


async def test_challenge_of_a_login_has_no_name(tmp_path: Path) -> None:
    """It has a challenge and the host, whoever asks, and whether or not somebody has a passkey."""
    async with with_users(tmp_path) as site:
        before = await Person.at(site).post("/api/session/passkey/begin")
        ben = Person.at(site)
        await ben.log_in(BEN)
        await ben.add()
        after = await Person.at(site).post("/api/session/passkey/begin")
        for answer in (before, after):
            assert answer.status == 200
            assert sorted(answer.json) == ["challenge", "rp"]
            assert (answer.json["rp"], len(b64decode(answer.json["challenge"]))) == ("localhost", 32)


async def test_every_wrong_answer_is_refused_in_the_same_words(tmp_path: Path) -> None:
    """Unknown, removed, replayed, not verified, of another origin: as long as the answer is well-formed."""
    async with with_users(tmp_path) as site:
        ben = Person.at(site)
        await ben.log_in(BEN)
        await ben.add()
        answers = [await ben.enter(flags=PRESENT), await ben.enter(origin="https://evil.example")]
        used = await ben.answer()
        assert (await ben.post("/api/session/passkey/finish", used)).status == 201
        answers.append(await ben.post("/api/session/passkey/finish", used))
        answers.append(await Person.at(site, b"another").post("/api/session/passkey/finish", await ben.answer(rp="x")))
        assert {(answer.status, answer.body) for answer in answers} == {(403, answers[0].body)}
        assert all("Set-Cookie" not in answer.headers for answer in answers)


@pytest.mark.parametrize(
    ("party", "status", "says"),
    [
        ("http://127.0.0.1:{port}", 409, "by a name"),
        ("https://[::1]:{port}", 409, "by a name"),
        ("http://banken.local:{port}", 409, "https"),
        ("https://banken.local", 200, ""),
        ("http://banken.localhost:{port}", 200, ""),
    ],
)
async def test_passkeys_need_a_name_and_a_secure_context(party: str, status: int, says: str, tmp_path: Path) -> None:
    """As browsers do; the answer says what to do."""
    async with with_users(tmp_path) as site:
        person = Person(Browser(site.port), RelyingParty("", party.format(port=site.port)))
        for path in ("/api/session/passkey/begin", "/api/session/passkey/finish"):
            body = dict.fromkeys(
                ("credential", "client_data", "authenticator_data", "signature", "user_handle"), "AAAA"
            )
            answer = await person.post(path, body if path.endswith("finish") else None)
            if status == 200 and path.endswith("finish"):
                assert answer.status == 403
            else:
                assert (answer.status, says in answer.text) == (status, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://listed.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": ""},
    ],
    ids=str,
)
async def test_page_of_another_origin_gets_no_challenge(headers: dict[str, str], tmp_path: Path) -> None:
    """Also a listed one: passkeys of its host are not ours."""
    settings = WebSettings(allow_origins=("https://listed.example",))
    async with with_users(tmp_path, settings) as site:
        person = Person.at(site)
        answer = await person.post("/api/session/passkey/begin", **{"Sec-Fetch-Site": "same-origin", **headers})
        assert (answer.status, "page of banken" in answer.text) == (409, True)


async def test_origin_behind_a_proxy_that_rewrites_the_host_must_be_listed(tmp_path: Path) -> None:
    """Then the browser's word that it is the page of this address is enough."""
    settings = WebSettings(allow_origins=("https://listed.example",))
    async with with_users(tmp_path, settings) as site:
        answer = await Person.at(site).post("/api/session/passkey/begin", Origin="https://listed.example")
        assert (answer.status, answer.json["rp"]) == (200, "listed.example")


async def test_user_renames_and_removes_only_own_passkeys(tmp_path: Path) -> None:
    """That of somebody else does not exist; an admin sees and removes any, and renames none."""
    async with with_users(tmp_path) as site:
        anna, ben = Person.at(site, b"anna's"), Person.at(site, b"ben's")
        await anna.log_in(ANNA)
        await ben.log_in(BEN)
        of_anna = (await anna.add("a key")).json["passkey"]
        of_ben = (await ben.add()).json["passkey"]
        assert [each["user"] for each in (await anna.browser.get("/api/passkeys")).json["passkeys"]] == [ANNA, BEN]
        assert [each["user"] for each in (await ben.browser.get("/api/passkeys")).json["passkeys"]] == [BEN]
        for method, body in (("PUT", {"label": "x"}), ("DELETE", None)):
            refused = await ben.browser.call(method, f"/api/passkeys/{of_anna}", body)
            missing = await ben.browser.call(method, "/api/passkeys/0000000000000000", body)
            assert (refused.status, refused.body) == (404, missing.body)
        assert (await anna.browser.put(f"/api/passkeys/{of_ben}", {"label": "x"})).status == 404
        assert (await ben.browser.put(f"/api/passkeys/{of_ben}", {"label": "a watch"})).status == 204
        (known,) = (await ben.browser.get("/api/passkeys")).json["passkeys"]
        assert known["label"] == "a watch"
        assert (await anna.browser.delete(f"/api/passkeys/{of_ben}")).status == 204
        assert (await ben.enter()).status == 403


async def test_session_that_removes_its_own_passkey_stays(tmp_path: Path) -> None:
    """Another one that this passkey has opened ends."""
    async with with_users(tmp_path) as site:
        ben = Person.at(site)
        await ben.log_in(BEN)
        passkey = (await ben.add()).json["passkey"]
        await ben.enter()
        other = Person.at(site)
        other.authenticator = ben.authenticator
        await other.enter()
        assert (await ben.browser.delete(f"/api/passkeys/{passkey}")).status == 204
        assert (await ben.browser.get("/api/cameras")).status == 200
        assert (await other.browser.get("/api/cameras")).status == 401


@pytest.mark.parametrize("keep", [None, False, True])
async def test_password_that_an_admin_sets_removes_the_passkeys_unless_kept(keep: bool | None, tmp_path: Path) -> None:
    """A passkey that somebody else has added would open what the new password closes."""
    async with with_users(tmp_path) as site:
        anna, ben = Person.at(site), Person.at(site)
        await anna.log_in(ANNA)
        await ben.log_in(BEN)
        await ben.add()
        users = (await anna.browser.get("/api/users")).json["users"]
        assert [(each["user"], each["passkeys"]) for each in users] == [(ANNA, 0), (BEN, 1)]
        body = {"password": "another staple", **({} if keep is None else {"keep_passkeys": keep})}
        assert (await anna.browser.put("/api/users/ben/password", body)).status == 204
        assert (await ben.enter()).status == (201 if keep else 403)


async def test_own_new_password_keeps_the_passkeys(tmp_path: Path) -> None:
    """The user knows them, and sees them on the page."""
    async with with_users(tmp_path) as site:
        ben = Person.at(site)
        await ben.log_in(BEN)
        await ben.add()
        body = {"old": PASSWORDS[BEN], "new": "another staple"}
        assert (await ben.browser.put("/api/session/password", body)).status == 204
        assert (await ben.enter()).status == 201


async def test_only_a_user_adds_passkeys(tmp_path: Path) -> None:
    """Not the owner of the machine without a login, and not a program."""
    async with open_site(GATE, access=tmp_path / "access.json") as site:
        answer = await Person.at(site).post("/api/passkey/begin", {})
        assert (answer.status, "only a user" in answer.text) == (403, True)


@pytest.mark.parametrize(
    "changed",
    [
        {"credential": ""},
        {"credential": "not base64!"},
        {"signature": "A" * 8192},
        {"client_data": 7},
        {"more": "AAAA"},
    ],
    ids=lambda each: next(iter(each)),
)
async def test_malformed_answer_is_refused_by_name(changed: dict[str, Any], tmp_path: Path) -> None:
    """It counts as no failed login."""
    async with with_users(tmp_path) as site:
        body = {**await Person.at(site).answer(), **changed}
        answer = await Person.at(site).post("/api/session/passkey/finish", body)
        assert (answer.status, next(iter(changed)) in answer.text) == (400, True)
