"""The setup link: who makes the first user, once, and what never opens it again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from supervisor.domain import events as e
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import UserId
from supervisor.domain.rights import ALL, Role
from supervisor.ports.decisions import Origin
from supervisor.services.access_file import AccessFile, write_access
from supervisor.services.accounts import Accounts
from supervisor.services.attempts import TRIES
from supervisor.services.setup import LINK_S, OVER, TAKEN, WRONG, Setup
from tests.kit.accounts import ANNA, BEN, PASSWORDS, PlainHasher, add_users
from tests.kit.core import Core, open_core

CLIENT, AGENT = "192.0.2.9", "a browser"
STRANGER = Origin(f"client:{CLIENT}")


@attrs.frozen
class Site:
    core: Core
    accounts: Accounts
    setup: Setup

    async def use(self, secret: str, name: str = ANNA, password: str = PASSWORDS[ANNA], client: str = CLIENT) -> str:
        """Use a link. Returns the name of the user who is logged in, or the reason of the refusal."""
        try:
            return str((await self.setup.use(secret, name, password, client, AGENT)).session.user)
        except Rejected as refused:
            return refused.reason


@asynccontextmanager
async def open_site(path: Path) -> AsyncIterator[Site]:
    async with open_core() as core:
        accounts = Accounts(core.kernel, path, PlainHasher)
        await accounts.restore()
        yield Site(core, accounts, Setup(core.kernel, accounts))


async def test_link_makes_the_first_user_and_a_session(tmp_path: Path) -> None:
    """An admin of all cameras. The link is over then, and neither file nor journal has it."""
    async with open_site(tmp_path / "access.json") as here:
        secret = here.setup.renew().text
        session = await here.setup.use(secret, ANNA, PASSWORDS[ANNA], CLIENT, AGENT)
        assert here.accounts.by_session(session.secret) is not None
        user = here.core.kernel.state.users[ANNA]
        assert (user.role, user.scope, here.core.kernel.state.trust_ended) == (Role.ADMIN, ALL, True)
        assert await here.use(secret, BEN) == OVER
        stored = (tmp_path / "access.json").read_text() + "".join(map(str, await here.core.stored()))
        assert secret not in stored
        assert session.secret not in stored


async def test_link_ends_after_15_minutes_and_with_a_new_one(tmp_path: Path, mock_clock: MockClock) -> None:
    """Both are refused like any other secret."""
    async with open_site(tmp_path / "access.json") as here:
        old = here.setup.renew().text
        new = here.setup.renew().text
        assert await here.use(old) == WRONG
        mock_clock.jump(LINK_S)
        assert await here.use(new) == WRONG
        last = here.setup.renew()
        assert last.until_ns - here.core.kernel.clock.wall_ns() == LINK_S * 10**9
        mock_clock.jump(LINK_S - 1)
        assert await here.use(last.text) == ANNA


@pytest.mark.parametrize("secret", ["", "x", "\udcff"])
async def test_without_a_link_no_secret_is_right(secret: str, tmp_path: Path) -> None:
    """Also the empty one, after a start and after a link."""
    async with open_site(tmp_path / "access.json") as here:
        assert await here.use(secret) == WRONG
        here.setup.renew()
        assert await here.use(secret) == WRONG


@pytest.mark.parametrize(("name", "password"), [("Anna B", PASSWORDS[ANNA]), (ANNA, "short"), ("", PASSWORDS[ANNA])])
async def test_name_or_password_that_cannot_be_used_leaves_the_link(name: str, password: str, tmp_path: Path) -> None:
    """The person tries again with the same link."""
    async with open_site(tmp_path / "access.json") as here:
        secret = here.setup.renew().text
        with pytest.raises(Rejected) as refused:
            await here.setup.use(secret, name, password, CLIENT, AGENT)
        assert (refused.value.refusal, here.setup.is_open) == (Refusal.INVALID, True)
        assert await here.use(secret) == ANNA


@pytest.mark.parametrize("names", [(ANNA, BEN), (ANNA, ANNA)])
async def test_of_two_people_with_one_link_one_wins(names: tuple[str, str], tmp_path: Path) -> None:
    """Both passwords are being hashed when the first user is made; the answer to the other person says so."""
    async with open_site(tmp_path / "access.json") as here:
        secret, said = here.setup.renew().text, list[str]()

        async def use(name: str) -> None:
            said.append(await here.use(secret, name))

        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(use, name)
        assert sorted(said) == sorted([TAKEN, *here.core.kernel.state.users])
        assert len(here.core.kernel.state.users) == 1


async def test_wrong_secrets_are_slowed_down_for_their_network_and_journaled(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """As wrong passwords are. Another network may go on."""
    async with open_site(tmp_path / "access.json") as here:
        secret = here.setup.renew().text
        for _ in range(TRIES):
            assert await here.use("wrong") == WRONG
        with pytest.raises(Rejected) as refused:
            await here.setup.use(secret, ANNA, PASSWORDS[ANNA], CLIENT, AGENT)
        assert refused.value.refusal is Refusal.RATE_LIMITED
        mock_clock.jump(1)
        assert await here.use("wrong", client="198.51.100.7") == WRONG
        failed = [row.event for row in await here.core.stored() if isinstance(row.event, e.LoginFailed)]
        assert [(each.user, each.reason.code, each.suppressed) for each in failed] == [
            ("", "wrong-link", 0), ("", "wrong-link", TRIES)
        ]  # fmt: skip
        assert await here.use(secret, client="198.51.100.7") == ANNA


async def test_no_link_is_made_once_there_has_been_a_user(tmp_path: Path) -> None:
    """Also when all users are gone, by a file that says so."""
    async with open_site(tmp_path / "access.json") as here:
        await add_users(here.accounts)
        with pytest.raises(Rejected, match="log in"):
            here.setup.renew()


@pytest.mark.parametrize("file", ["says that trust has ended", "is damaged", "has users"])
async def test_lost_journal_opens_no_setup(file: str, tmp_path: Path) -> None:
    """An empty journal: the access file denies, whatever it has, and when it cannot be read."""
    path = tmp_path / "access.json"
    if file == "has users":
        async with open_site(path) as before:
            await add_users(before.accounts)
    else:
        write_access(path, AccessFile(trust_ended=True))
        if file == "is damaged":
            path.write_bytes(path.read_bytes()[:-9])
    async with open_site(path) as here:
        assert not here.setup.is_open
        with pytest.raises(Rejected) as refused:
            here.setup.renew()
        expected = Refusal.UNAVAILABLE if file == "is damaged" else Refusal.CONFLICT
        assert refused.value.refusal is expected
        with pytest.raises(Rejected):
            await here.setup.use("wrong", UserId("eve"), PASSWORDS[ANNA], CLIENT, AGENT)
        assert UserId("eve") not in here.core.kernel.state.users
        with pytest.raises(Rejected):  # the kernel refuses a stranger, too
            await here.accounts.add_user(UserId("eve"), Role.ADMIN, ALL, PASSWORDS[ANNA], STRANGER)
