"""Readers log in to the RTSP server with tokens: who reads, who is refused, and what the journal says."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.rtsp_server.digest import NONCE_S
from actors.sources.rtsp.auth import Authorization, Credentials, choose
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import CameraId, TokenId
from supervisor.domain.rights import ALL, Role, Scope
from supervisor.runtime.kernel import Kernel
from supervisor.services.accounts import Accounts
from supervisor.services.attempts import TRIES
from supervisor.services.reader_logins import TokenLogins
from tests.kit.accounts import ME, PlainHasher, add_users
from tests.kit.domain import GATE, settings
from tests.kit.patience import PATIENCE
from tests.kit.rtsp_site import MANY, Answered, Client, Site, open_site

NVR, HALL = TokenId("nvr"), CameraId("hall")


@pytest.fixture(autouse=True)
def _patient(autojump_clock: MockClock) -> None:
    """The access file is real, and nothing waits for a disk in virtual time: the clock jumps only when `jump` says."""
    autojump_clock.autojump_threshold, autojump_clock.rate = math.inf, 1.0


def jump(clock: MockClock) -> None:
    """Jump from now on. The sockets are real: before that, the kernel of the system has some time to deliver."""
    clock.autojump_threshold = 0.03 * PATIENCE


@attrs.define
class Here:
    """A site whose readers log in, with the cameras `gate` and `hall`."""

    site: Site
    accounts: Accounts
    secret: str = ""
    """That of the token `nvr`, for the camera `gate`."""


@asynccontextmanager
async def open_here(folder: Path, client: str = "") -> AsyncIterator[Here]:
    """With users, and a token for RTSP. `client`: the address from which all readers seem to come."""
    made: list[Accounts] = []

    def logins(kernel: Kernel) -> TokenLogins:
        made.append(Accounts(kernel, folder / "access.json", PlainHasher))
        return TokenLogins(kernel, made[0])

    async with open_site(make_logins=logins) as site:
        site.core.kernel.emit(c.Configure("test", (settings(GATE), settings(HALL)), MANY))
        await made[0].restore()
        await add_users(made[0])
        secret = await made[0].make_token(NVR, Role.WATCHER, Scope(cameras=(GATE,)), None, ME, rtsp=True)
        await site.play(0, 1)
        yield Here(site, made[0], secret)


@attrs.define
class Reader:
    """A client that answers challenges."""

    client: Client
    user: str
    password: str
    answers: Authorization | None = None

    async def ask(self, method: str, url: str, headers: dict[str, str] | None = None) -> Answered:
        """Ask; after a challenge once more."""
        answered = await self.once(method, url, headers)
        if answered.status == 401:
            self.learn(answered)
            answered = await self.once(method, url, headers)
        return answered

    async def once(self, method: str, url: str, headers: dict[str, str] | None = None) -> Answered:
        shown = {"Authorization": self.answers.header(method, url)} if self.answers else {}
        return await self.client.ask(method, url, {**shown, **(headers or {})})

    def learn(self, answered: Answered) -> None:
        challenge = choose([answered.headers["www-authenticate"]])
        assert challenge is not None
        self.answers = Authorization(Credentials(self.user, self.password), challenge)

    async def play(self, url: str) -> Answered:
        assert (await self.ask("DESCRIBE", url)).status == 200
        transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        assert (await self.ask("SETUP", f"{url}/trackID=0", transport)).status == 200
        return await self.ask("PLAY", url)


async def connect(here: Here, password: str = "", user: str = NVR) -> Reader:
    return Reader(await Client.connect(here.site), user, password or here.secret)


async def of(here: Here, kind: type[e.Event]) -> list[e.Event]:
    return [row.event for row in await here.site.core.stored() if isinstance(row.event, kind)]


async def test_reader_with_a_token_plays_and_the_journal_names_it(tmp_path: Path) -> None:
    """Its lease and its peer have the token as their principal; the answer does not say 401 twice."""
    async with open_here(tmp_path) as here:
        reader = await connect(here)
        assert (await reader.play(here.site.url)).status == 200
        assert len(await reader.client.pictures(1)) == 1
        rows = [row for row in await here.site.core.stored() if isinstance(row.event, e.LeaseGranted | e.PeerOpened)]
        assert [row.principal for row in rows] == ["token:nvr"] * 2
        assert not await of(here, e.LoginFailed)


async def test_requests_without_a_login_are_challenged_except_options(tmp_path: Path) -> None:
    """Nothing is opened for them."""
    async with open_here(tmp_path) as here:
        client = await Client.connect(here.site)
        assert (await client.ask("OPTIONS", here.site.url)).status == 200
        for method in ("DESCRIBE", "GET_PARAMETER", "SET_PARAMETER", "TEARDOWN"):
            answer = await client.ask(method, here.site.url)
            assert (answer.status, "log in" in answer.body) == (401, True), method
        basic = {"Authorization": "Basic bnZyOm52cg=="}
        assert (await client.ask("DESCRIBE", here.site.url, basic)).status == 401
        assert (await client.ask("SETUP", f"{here.site.url}/trackID=0", {"Transport": "RTP/AVP/TCP"})).status == 401
        assert not await of(here, e.LeaseGranted)


async def test_camera_outside_the_scope_is_answered_as_one_that_does_not_exist(tmp_path: Path) -> None:
    """The same bytes, apart from the name that was asked."""
    async with open_here(tmp_path) as here:
        base = here.site.url.removesuffix("gate")
        answers = []
        for name in ("hall", "nope"):
            reader = await connect(here)
            found = await reader.ask("DESCRIBE", base + name)
            answers.append((found.status, found.headers, found.body.replace(name, "NAME")))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404


async def test_wrong_token_is_journaled_and_costs_the_connection_after_some_tries(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """An unknown name has the same answers; the right token logs in all the same."""
    async with open_here(tmp_path) as here:
        jump(autojump_clock)
        for user in (NVR, "nobody"):
            statuses: list[int] = []
            reader = await connect(here, "nvr.wrong", user)
            reader.learn(await reader.once("DESCRIBE", here.site.url))
            with pytest.raises((EOFError, trio.BrokenResourceError)):  # noqa: PT012
                while len(statuses) < 20:
                    answered = await reader.once("DESCRIBE", here.site.url)
                    statuses.append(answered.status)
            assert statuses == ([401] * (TRIES - 1) if user == NVR else []) + [503], user
            await trio.sleep(2)
        failed = await of(here, e.LoginFailed)
        assert [event.reason.code for event in failed if isinstance(event, e.LoginFailed)][:2] == [
            "wrong-token",
            "too-often",
        ]
        assert "nvr.wrong" not in repr(failed)
        assert (await (await connect(here)).ask("DESCRIBE", here.site.url)).status == 200


async def test_token_for_other_programs_logs_no_reader_in(tmp_path: Path) -> None:
    """The file has no HA1 of it."""
    async with open_here(tmp_path) as here:
        secret = await here.accounts.make_token(TokenId("web"), Role.WATCHER, ALL, None, ME)
        assert (await (await connect(here, secret, "web")).ask("DESCRIBE", here.site.url)).status == 401


async def test_header_that_was_sent_before_is_refused(tmp_path: Path) -> None:
    """In its own connection and in another one; the right reader goes on with the nonce that it gets then."""
    async with open_here(tmp_path) as here:
        reader = await connect(here)
        await reader.ask("DESCRIBE", here.site.url)
        assert reader.answers is not None
        header = {"Authorization": reader.answers.header("DESCRIBE", here.site.url)}
        assert (await reader.client.ask("DESCRIBE", here.site.url, header)).status == 200
        for client in (reader.client, await Client.connect(here.site)):
            replayed = await client.ask("DESCRIBE", here.site.url, header)
            assert (replayed.status, "stale=true" in replayed.headers["www-authenticate"]) == (401, True)
        reader.learn(replayed := await reader.client.ask("DESCRIBE", here.site.url, header))
        assert replayed.status == 401
        assert (await reader.once("DESCRIBE", here.site.url)).status == 200


async def test_stale_nonce_is_renewed_and_keep_alive_of_a_reader_goes_on(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A reader that plays is not stopped by an old nonce, nor by requests without a header."""
    async with open_here(tmp_path) as here, trio.open_nursery() as nursery:
        jump(autojump_clock)
        reader = await connect(here)
        await reader.play(here.site.url)
        with trio.CancelScope() as feeding:
            nursery.start_soon(here.site.play, 1, 10)
            for _ in range(int(NONCE_S / 30) + 1):
                await trio.sleep(30)
                assert (await reader.client.ask("GET_PARAMETER", here.site.url)).status == 200
            assert (await reader.once("GET_PARAMETER", here.site.url)).status == 200
            feeding.cancel()
        other = await connect(here)
        await other.ask("DESCRIBE", here.site.url)
        other.client = await Client.connect(here.site)
        assert (await other.once("DESCRIBE", here.site.url)).status == 401
        assert (await other.ask("DESCRIBE", here.site.url)).status == 200


async def test_connection_with_something_open_is_not_for_another_token(tmp_path: Path) -> None:
    """Nor does another connection reach its session."""
    async with open_here(tmp_path) as here:
        secret = await here.accounts.make_token(TokenId("two"), Role.ADMIN, ALL, None, ME, rtsp=True)
        reader = await connect(here)
        assert (await reader.play(here.site.url)).status == 200
        other = await connect(here, secret, "two")
        stolen = {"Session": reader.client.session}
        assert (await other.ask("TEARDOWN", here.site.url, stolen)).status == 454
        assert (await other.ask("GET_PARAMETER", here.site.url)).status == 200
        reader.user, reader.password = "two", secret
        reader.learn(
            await Client(reader.client.stream, reader.client.data).ask(
                "TEARDOWN", here.site.url, {"Authorization": "Basic YTpi"}
            )
        )
        assert (await reader.once("TEARDOWN", here.site.url)).status == 403
        assert len(here.site.core.kernel.state.peers) == 1


async def test_revoked_or_expired_token_opens_nothing_any_more(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Also in a connection that is logged in, without a header."""
    async with open_here(tmp_path) as here:
        until_ns = here.site.core.kernel.clock.wall_ns() + 10**10
        short = await here.accounts.make_token(TokenId("short"), Role.WATCHER, ALL, until_ns, ME, rtsp=True)
        readers = [await connect(here), await connect(here, short, "short")]
        for reader in readers:
            assert (await reader.ask("GET_PARAMETER", here.site.url)).status == 200
        await here.accounts.end_token(NVR, ME)
        jump(autojump_clock)
        await trio.sleep(11)
        for reader in readers:
            assert (await reader.client.ask("DESCRIBE", here.site.url)).status == 401
            assert (await reader.ask("DESCRIBE", here.site.url)).status == 401


async def test_new_token_of_the_same_name_logs_no_older_connection_in(tmp_path: Path) -> None:
    """A token that leaked is revoked and made again: who is connected with the old one is not logged in by the new."""
    async with open_here(tmp_path) as here:
        reader = await connect(here)
        assert (await reader.ask("GET_PARAMETER", here.site.url)).status == 200
        await here.accounts.end_token(NVR, ME)
        here.secret = await here.accounts.make_token(NVR, Role.WATCHER, ALL, None, ME, rtsp=True)
        assert (await reader.client.ask("DESCRIBE", here.site.url)).status == 401
        assert (await reader.ask("DESCRIBE", here.site.url)).status == 401
        renewed = await connect(here)
        assert (await renewed.ask("DESCRIBE", here.site.url)).status == 200
        assert (await renewed.client.ask("GET_PARAMETER", here.site.url)).status == 200


async def test_reader_without_users_is_trusted_on_this_machine_only(tmp_path: Path) -> None:
    """Beyond it the answer says what to do; a damaged access file denies it everywhere."""
    made: list[Accounts] = []

    def logins(kernel: Kernel) -> TokenLogins:
        made.append(Accounts(kernel, tmp_path / "access.json", PlainHasher))
        return TokenLogins(kernel, made[0])

    async with open_site(make_logins=logins) as site:
        assert not TokenLogins(site.core.kernel, made[0]).trusts("127.0.0.1")  # the file has not been read
        await made[0].restore()
        here = TokenLogins(site.core.kernel, made[0])
        assert here.trusts("127.0.0.1") and here.trusts("::1")
        assert not here.trusts("192.0.2.1") and "no users" in here.advice()
        await site.play(0, 1)
        assert (await (await Client.connect(site)).ask("DESCRIBE", site.url)).status == 200


async def test_restart_keeps_tokens_for_readers_and_a_lost_file_ends_them(tmp_path: Path) -> None:
    """HA1 is in the access file alone, which only its owner reads."""
    async with open_here(tmp_path) as here:
        path = tmp_path / "access.json"
        assert path.stat().st_mode & 0o777 == 0o600
        again = Accounts(here.site.core.kernel, path, PlainHasher)
        await again.restore()
        keys = here.accounts.reader_keys(NVR)
        assert keys is not None and again.reader_keys(NVR) == keys
        assert not any(key in str(row) for row in await here.site.core.stored() for key in (*keys.md5, *keys.sha256))
        await again.end_token(NVR, ME)
        assert keys.md5[0] not in path.read_text()
        await here.accounts.make_token(NVR, Role.WATCHER, ALL, None, ME)
        assert here.accounts.reader_keys(NVR) is None
