"""Shares: links are made, opened and ended; and what holds when file and journal differ."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from supervisor.base.clock import TrioClock
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.access import Principal
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.rights import ALL, Right, Role, Scope
from supervisor.domain.values import Limits
from supervisor.ports.decisions import Origin
from supervisor.ports.shares import NewLink
from supervisor.services.access_file import read_access
from supervisor.services.accounts import Accounts
from supervisor.services.attempts import TRIES
from supervisor.services.shares import AWAY_S, Shares
from tests.kit.accounts import ANNA, BEN, ME, PlainHasher, add_users
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, YARD, lease, settings

CLIENT, AGENT, HOUR_S = "192.0.2.9", "a browser", 3600.0
SCOPE = Scope(cameras=(GATE,))
OF_BEN = Origin("user:ben")


@attrs.define
class Site:
    core: Core
    accounts: Accounts
    shares: Shares

    async def make(self, viewers: int = 1, for_s: float = HOUR_S) -> NewLink:
        """As ben, who need not be logged in here."""
        return await self.shares.make(SCOPE, for_s, viewers, "", Origin("local"))

    async def enter(self, secret: str, visit: str = "", client: str = CLIENT) -> str:
        """The secret of a visit."""
        return (await self.shares.enter(secret, client, AGENT, visit)).secret

    def principal(self, visit: str) -> Principal:
        found = self.shares.by_visit(visit)
        assert found is not None
        return found

    async def told(self, kind: type[e.Event]) -> list[e.Event]:
        return [row.event for row in await self.core.stored() if type(row.event) is kind]


@asynccontextmanager
async def open_site(path: Path) -> AsyncIterator[Site]:
    """Anna and ben, and shares over a journal, restored from the file at `path`."""
    cameras = c.Configure("test", (settings(GATE), settings(YARD)), Limits())
    async with open_core(configuration=cameras) as core:
        accounts = Accounts(core.kernel, path, PlainHasher)
        await accounts.restore()
        if not core.kernel.state.users:
            await add_users(accounts, Role.WATCHER, ALL)
        yield Site(core, accounts, Shares(core.kernel, accounts))


async def test_link_opens_its_cameras_and_nothing_has_its_secrets(tmp_path: Path) -> None:
    """The file and the journal know only hashes; another secret opens nothing."""
    async with open_site(tmp_path / "access.json") as here:
        made = await here.make()
        visit = await here.enter(made.secret)
        who = here.principal(visit)
        assert (who.scope, who.may(Right.WATCH), who.may(Right.READ)) == (SCOPE, True, False)
        for wrong in ("", made.secret, f"{visit}x", made.share.hash, visit[:-1]):
            assert here.shares.by_visit(wrong) is None
        stored = (tmp_path / "access.json").read_text() + "".join(map(str, await here.core.stored()))
        assert made.secret not in stored
        assert visit not in stored


async def test_same_browser_stays_one_viewer_and_another_one_is_refused(tmp_path: Path) -> None:
    """A page that is loaded again shows its visit; the forwarded link has none. The refusal is journaled."""
    async with open_site(tmp_path / "access.json") as here:
        made = await here.make()
        visit = await here.enter(made.secret)
        assert await here.enter(made.secret, visit) == visit
        with pytest.raises(Rejected, match="1 viewer has this link open already") as refused:
            await here.enter(made.secret)
        assert refused.value.status == 403
        (failed,) = await here.told(e.LoginFailed)
        assert isinstance(failed, e.LoginFailed)
        assert (failed.reason.code, failed.client, failed.user) == ("link-full", CLIENT, "")
        here.shares.leave(here.principal(visit).name)
        await here.enter(made.secret)


async def test_browser_that_opens_another_link_leaves_the_first(tmp_path: Path) -> None:
    """It shows one cookie."""
    async with open_site(tmp_path / "access.json") as here:
        first, second = await here.make(), await here.make()
        visit = await here.enter(first.secret)
        other = await here.enter(second.secret, visit)
        assert here.shares.by_visit(visit) is None
        assert here.principal(other).name.startswith(f"share:{second.share.share}/")


async def test_forwarded_link_is_refused_after_its_end_with_the_reason(tmp_path: Path) -> None:
    """Revoked; also for the browser that had it open. It counts as no guess."""
    async with open_site(tmp_path / "access.json") as here:
        made = await here.make()
        visit = await here.enter(made.secret)
        await here.shares.end(made.share.share, ME)
        assert here.shares.by_visit(visit) is None
        for _ in range(TRIES + 1):
            with pytest.raises(Rejected, match="the link was revoked") as refused:
                await here.enter(made.secret, visit)
            assert refused.value.refusal is Refusal.FORBIDDEN


async def test_guessed_secrets_are_slowed_down_and_journaled(tmp_path: Path) -> None:
    """For the network of the guesser; the others, and a link that is right, are served."""
    async with open_site(tmp_path / "access.json") as here:
        made = await here.make(viewers=9)
        for number in range(TRIES):
            with pytest.raises(Rejected, match="not valid"):
                await here.enter(f"guess {number}", client=CLIENT)
        with pytest.raises(Rejected, match="too many wrong links") as refused:
            await here.enter("guess")
        assert (refused.value.status, refused.value.retry_after_s is None) == (429, False)
        with pytest.raises(Rejected, match="not valid"):
            await here.enter("guess", client="198.51.100.1")
        await here.enter(made.secret)
        (failed,) = await here.told(e.LoginFailed)
        assert isinstance(failed, e.LoginFailed)
        assert (failed.reason.code, failed.user) == ("wrong-link", "")


async def test_viewers_end_at_the_time_of_the_share(tmp_path: Path, mock_clock: MockClock) -> None:
    """Within a second, without a request of anybody, and also while the access file cannot be written."""
    async with open_site(tmp_path / "access.json") as here, trio.open_nursery() as nursery:
        made = await here.make(for_s=90.0)
        visit = await here.enter(made.secret)
        here.core.kernel.emit(lease("lease-1"), origin=Origin(here.principal(visit).name))
        nursery.start_soon(here.shares.run)
        await trio.testing.wait_all_tasks_blocked()
        (tmp_path / "access.json.new").mkdir()
        mock_clock.jump(89.5)
        await trio.testing.wait_all_tasks_blocked()
        assert here.core.kernel.state.leases
        mock_clock.jump(0.6)
        await trio.testing.wait_all_tasks_blocked()
        state = here.core.kernel.state
        assert (len(state.leases), len(state.shares), len(state.visits)) == (0, 0, 0)
        assert here.shares.by_visit(visit) is None
        with pytest.raises(Rejected, match="the time of the link is over"):
            await here.enter(made.secret)
        nursery.cancel_scope.cancel(reason="seen")


async def test_clock_that_is_set_ends_the_viewers_within_a_second(tmp_path: Path, mock_clock: MockClock) -> None:
    """The end is a time of the wall clock."""
    async with open_site(tmp_path / "access.json") as here, trio.open_nursery() as nursery:
        made = await here.make(for_s=5000.0)
        await here.enter(made.secret)
        nursery.start_soon(here.shares.run)
        await trio.testing.wait_all_tasks_blocked()
        here.core.kernel.clock = TrioClock(TrioClock().epoch_ns + 6000 * 10**9)
        mock_clock.jump(1.0)
        await trio.testing.wait_all_tasks_blocked()
        assert not here.core.kernel.state.shares
        nursery.cancel_scope.cancel(reason="seen")


async def test_viewer_that_is_gone_makes_room_and_one_that_watches_stays(tmp_path: Path, mock_clock: MockClock) -> None:
    """A connection, a lease, or a request now and then keeps a visit."""
    async with open_site(tmp_path / "access.json") as here, trio.open_nursery() as nursery:
        made = await here.make(viewers=4)
        gone, asks, connected, watches = [await here.enter(made.secret) for _ in range(4)]
        here.core.kernel.emit(lease("lease-1"), origin=Origin(here.principal(watches).name))
        nursery.start_soon(here.shares.run)
        with here.shares.staying(here.principal(connected).name):
            for _ in range(4):
                await trio.testing.wait_all_tasks_blocked()
                mock_clock.jump(AWAY_S / 3)
                here.principal(asks)
            await trio.testing.wait_all_tasks_blocked()
            assert here.shares.by_visit(gone) is None
            for visit in (asks, connected, watches):
                here.principal(visit)
        await here.enter(made.secret)
        mock_clock.jump(AWAY_S)
        await trio.testing.wait_all_tasks_blocked()
        assert here.shares.by_visit(connected) is None
        here.principal(watches)
        nursery.cancel_scope.cancel(reason="seen")


async def test_lost_journal_restores_no_share(tmp_path: Path) -> None:
    """The file keeps hashes only to deny."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        made = await here.make()
        visit = await here.enter(made.secret)
        found = read_access(path)
        assert found is not None
        assert found.shares == {made.share.hash}
    async with open_site(path) as here:
        assert here.shares.by_visit(visit) is None
        with pytest.raises(Rejected, match="not valid"):
            await here.enter(made.secret)
        found = read_access(path)
        assert found is not None
        assert not found.shares


async def test_journal_that_was_rolled_back_restores_no_share(tmp_path: Path) -> None:
    """The share was revoked, and the journal has forgotten that: the file lacks it."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        made, kept = await here.make(), await here.make()
        whole = read_access(path)
        assert whole is not None
        path.write_bytes(path.read_bytes().replace(made.share.hash.encode(), b"0" * 64))
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        assert list(here.core.kernel.state.shares) == [kept.share.share]
        ended = await here.told(e.ShareEnded)
        assert [event.reason.code for event in ended if isinstance(event, e.ShareEnded)] == ["restored"]


async def test_damaged_access_file_opens_no_link(tmp_path: Path) -> None:
    """As it lets nobody log in."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        made = await here.make()
        visit = await here.enter(made.secret)
        path.write_bytes(b"{")
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        shares = Shares(here.core.kernel, again)
        assert shares.by_visit(visit) is None
        for change in (
            shares.enter(made.secret, CLIENT, AGENT, ""),
            shares.make(SCOPE, HOUR_S, 1, "", ME),
            shares.end(made.share.share, ME),
        ):
            with pytest.raises(Rejected, match="nobody can log in"):
                await change


async def test_share_ends_when_its_maker_loses_the_camera(tmp_path: Path) -> None:
    """The share of a user; that of anna stays. The file forgets it, too."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        session = await here.accounts.log_in(BEN, "battery staple", CLIENT, AGENT)
        ben = here.accounts.by_session(session.secret)
        assert ben is not None
        made = await here.shares.make(SCOPE, HOUR_S, 1, "", Origin(ben.name))
        kept = await here.shares.make(SCOPE, HOUR_S, 1, "", Origin("local"))
        assert made.share.by == "user:ben"
        visit = await here.enter(made.secret)
        await here.accounts.change_user(BEN, Role.WATCHER, Scope(cameras=(YARD,)), ME)
        assert here.shares.by_visit(visit) is None
        with pytest.raises(Rejected, match="may not share this any more"):
            await here.enter(made.secret)
        found = read_access(path)
        assert found is not None
        assert found.shares == {kept.share.hash}
        await here.enter(kept.secret)
        assert ANNA in here.core.kernel.state.users
