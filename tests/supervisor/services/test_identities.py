"""The links to a login provider in the access file, and what holds when file and journal differ."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from msgspec.structs import replace

from supervisor.domain.identity import identity_of
from supervisor.domain.ids import UserId
from supervisor.domain.rights import ALL, Role
from supervisor.ports.decisions import Origin
from supervisor.ports.login_provider import LoginRefused
from supervisor.services.access_file import Link, read_access, write_access
from supervisor.services.accounts import SESSION_S, Accounts
from supervisor.services.identities import Identities
from tests.kit.accounts import PlainHasher
from tests.kit.core import Core, open_core
from tests.kit.memory import MemorySegment

ANNA, CARLA = UserId("anna"), UserId("carla")
ME = Origin("local")
CLIENT, AGENT = "192.0.2.9", "a browser"
LINK = Link("https://login.example", "24400320", "Example")
HERS = identity_of(LINK.issuer, LINK.subject)


@attrs.frozen
class Place:
    core: Core
    accounts: Accounts
    identities: Identities


@asynccontextmanager
async def open_place(path: Path, disk: MemorySegment | None = None) -> AsyncIterator[Place]:
    """Accounts over a journal, restored from the file at `path`."""
    async with open_core(disk=disk) as core:
        accounts = Accounts(core.kernel, path, PlainHasher)
        await accounts.restore()
        yield Place(core, accounts, Identities(core.kernel, accounts))


async def log_in(here: Place, role: Role = Role.WATCHER, longest_s: float = 3600.0) -> str:
    """Carla logs in by the provider; the secret of the session."""
    return (await here.identities.admit(LINK, "carla", role, CLIENT, AGENT, longest_s)).secret


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.json"


async def test_link_survives_the_loss_of_the_journal(path: Path) -> None:
    """The account and its link come from the file; a session needs both, so it has ended."""
    async with open_place(path) as here:
        await here.accounts.add_user(ANNA, Role.ADMIN, ALL, "correct horse", ME)
        secret = await log_in(here)
    async with open_place(path) as here:
        assert here.core.kernel.state.identities[HERS].user == CARLA
        found = read_access(path)
        assert found is not None
        assert found.links == {CARLA: LINK}
        assert here.accounts.by_session(secret) is None
        assert here.accounts.by_session(await log_in(here)) is not None
        assert set(here.core.kernel.state.users) == {ANNA, CARLA}


async def test_link_that_the_file_has_lost_opens_nothing(path: Path) -> None:
    """A crash between the journal and the file, or an older copy of the file: the smaller right holds."""
    async with open_place(path) as here:
        await here.accounts.add_user(ANNA, Role.ADMIN, ALL, "correct horse", ME)
        secret = await log_in(here)
        found = read_access(path)
        assert found is not None
        write_access(path, replace(found, links={}))
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        assert not here.core.kernel.state.identities
        assert again.by_session(secret) is None
        with pytest.raises(LoginRefused) as refused:
            await log_in(Place(here.core, again, Identities(here.core.kernel, again)))
        assert refused.value.code == "taken"


async def test_link_of_another_subject_is_no_link(path: Path) -> None:
    """Somebody who edits the file links nobody while the journal is as new."""
    async with open_place(path) as here:
        await here.accounts.add_user(ANNA, Role.ADMIN, ALL, "correct horse", ME)
        await log_in(here)
        found = read_access(path)
        assert found is not None
        write_access(path, replace(found, links={CARLA: replace(LINK, subject="666")}))
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        assert not here.core.kernel.state.identities


async def test_session_ends_after_ninety_days_at_the_latest(path: Path) -> None:
    """The setting may be longer."""
    async with open_place(path) as here:
        await log_in(here, Role.ADMIN, longest_s=10 * SESSION_S)
        (session,) = here.core.kernel.state.sessions.values()
        assert session.until_ns - session.opened_ns == pytest.approx(SESSION_S * 1e9, abs=10e9)


async def test_login_is_refused_while_the_file_is_damaged(path: Path) -> None:
    """Neither an account nor a session is made."""
    await trio.Path(path).write_text("{")
    async with open_place(path) as here:
        with pytest.raises(LoginRefused) as refused:
            await log_in(here, Role.ADMIN)
        assert refused.value.code == "unavailable"
        assert not here.core.kernel.state.users
