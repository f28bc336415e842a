"""Accounts: logins, the access file, and what holds when file and journal differ."""

import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import msgspec
import pytest
import trio
import trio.testing
from trio.abc import Instrument
from trio.testing import MockClock

from supervisor.base.clock import TrioClock
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, TokenId, UserId
from supervisor.domain.rights import ALL, Right, Role, Scope
from supervisor.domain.session import LOGGED_OUT
from supervisor.domain.values import Limits
from supervisor.ports.decisions import Origin
from supervisor.services.access_file import MOST_BYTES, AccessDamaged, AccessFile, Account, read_access, write_access
from supervisor.services.accounts import IDLE_S, SWEEP_S, Accounts, digest
from supervisor.services.attempts import TRIES, TRY_EVERY_S
from supervisor.services.passwords import MOST_WAITING
from tests.kit.accounts import PlainHasher
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, YARD, settings
from tests.kit.patience import give_up_after

ANNA, BEN = UserId("anna"), UserId("ben")
ME = Origin("local")
PASSWORD, CLIENT, AGENT = "correct horse", "192.0.2.9", "a browser"


@attrs.define
class Site:
    core: Core
    accounts: Accounts
    path: Path
    hasher: PlainHasher


@asynccontextmanager
async def open_site(path: Path) -> AsyncIterator[Site]:
    """Accounts over a journal, restored from the file at `path`."""
    hasher = PlainHasher()
    async with open_core() as opened:
        accounts = Accounts(opened.kernel, path, lambda: hasher)
        await accounts.restore()
        yield Site(opened, accounts, path, hasher)


async def with_users(here: Site) -> None:
    await here.accounts.add_user(ANNA, Role.ADMIN, ALL, PASSWORD, ME)
    await here.accounts.add_user(BEN, Role.WATCHER, ALL, "battery staple", ME)


async def test_user_logs_in_and_out(tmp_path: Path) -> None:
    """The secret of the session is the right, until it ends; the file and the journal know only its hash."""
    async with open_site(tmp_path / "access.json") as here:
        await with_users(here)
        session = await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)
        who = here.accounts.by_session(session.secret)
        assert who is not None
        assert (who.name, who.may(Right.ADMINISTER)) == (f"user:anna/{session.session.session}", True)
        assert here.accounts.by_session(f"{session.secret}x") is None
        stored = (tmp_path / "access.json").read_text() + "".join(map(str, await here.core.stored()))
        assert session.secret not in stored
        assert PASSWORD not in stored.replace(f"plain:{PASSWORD}", "")
        await here.accounts.end_session(session.session.session, LOGGED_OUT, ME)
        assert here.accounts.by_session(session.secret) is None


@pytest.mark.parametrize(("name", "password"), [("anna", "wrong horse"), ("nobody", PASSWORD), ("ben", PASSWORD)])
async def test_wrong_name_and_wrong_password_have_one_answer_and_cost_the_same(
    name: str, password: str, tmp_path: Path
) -> None:
    """Both look at one hash; the journal says which it was, and the name only of a user."""
    async with open_site(tmp_path / "access.json") as here:
        await with_users(here)
        with pytest.raises(Rejected) as refused:
            await here.accounts.log_in(name, password, CLIENT, AGENT)
        assert str(refused.value) == "the name or the password is wrong"
        assert here.hasher.asked == 1
        (failed,) = [row.event for row in await here.core.stored() if isinstance(row.event, e.LoginFailed)]
        assert (failed.user, failed.client) == ("" if name == "nobody" else name, CLIENT)


async def test_guesses_are_slowed_down_for_the_account_and_for_the_network(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """Five, and then one in 30 s. The right password waits, too; another user at another place does not."""
    async with open_site(tmp_path / "access.json") as here:
        await with_users(here)
        for _ in range(TRIES):
            with pytest.raises(Rejected, match="wrong"):
                await here.accounts.log_in(ANNA, "wrong horse", CLIENT, AGENT)
        asked = here.hasher.asked
        for client in (CLIENT, "198.51.100.7"):
            with pytest.raises(Rejected) as refused:
                await here.accounts.log_in(ANNA, PASSWORD, client, AGENT)
            assert refused.value.refusal is Refusal.RATE_LIMITED
        with pytest.raises(Rejected, match="again in"):
            await here.accounts.log_in(BEN, "battery staple", CLIENT, AGENT)
        assert here.hasher.asked == asked
        await here.accounts.log_in(BEN, "battery staple", "198.51.100.7", AGENT)
        mock_clock.jump(30)
        await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)


async def test_unknown_names_are_slowed_down_as_those_of_users(tmp_path: Path, mock_clock: MockClock) -> None:
    """Else the answers to many guesses would say which names there are."""
    async with open_site(tmp_path / "access.json") as here:
        await with_users(here)
        found: dict[str, list[Refusal]] = {}
        for name in (ANNA, "nobody", "carl"):
            found[name] = []
            for number in range(TRIES + 2):
                with pytest.raises(Rejected) as refused:
                    await here.accounts.log_in(name, "wrong horse", f"192.0.2.{number}", AGENT)
                found[name].append(refused.value.refusal)
            mock_clock.jump(3600)
        assert found[ANNA] == found["nobody"] == found["carl"]


class Slow(PlainHasher):
    """Hashes until it may go on."""

    def __init__(self, go: Callable[[], object]) -> None:
        super().__init__()
        self._go = go

    def matches(self, hashed: str, password: str) -> bool:
        self._go()
        return super().matches(hashed, password)


async def test_logins_beyond_those_that_wait_are_refused_at_once(tmp_path: Path) -> None:
    """A flood of logins holds one thread and a bounded queue."""
    async with open_core() as core:
        arrived, release = trio.Event(), trio.Event()

        def wait() -> None:
            trio.from_thread.run_sync(arrived.set)
            trio.from_thread.run(release.wait)

        accounts = Accounts(core.kernel, tmp_path / "access.json", lambda: Slow(wait))
        await accounts.restore()
        await accounts.add_user(ANNA, Role.ADMIN, ALL, PASSWORD, ME)
        refused = []

        async def try_once(number: int) -> None:
            try:
                await accounts.log_in(ANNA, PASSWORD, f"192.0.2.{number}", AGENT)
            except Rejected as error:
                refused.append(error.refusal)

        async with trio.open_nursery() as nursery:
            for number in range(MOST_WAITING + 5):
                nursery.start_soon(try_once, number)
            await arrived.wait()
            while len(refused) < 5:
                await trio.lowlevel.checkpoint()
            release.set()
        assert refused == [Refusal.RATE_LIMITED] * 5
        assert len(core.kernel.state.sessions) == MOST_WAITING


@pytest.mark.parametrize("same", ["account", "network"])
async def test_guesses_at_once_are_no_more_than_those_in_turn(same: str, tmp_path: Path) -> None:
    """Those that wait while others are wrong are refused without a look, and the account owes nothing."""
    async with open_site(tmp_path / "access.json") as here:
        await with_users(here)
        refused = []

        async def guess(number: int) -> None:
            name, client = (ANNA, f"192.0.2.{number}") if same == "account" else (f"user{number}", CLIENT)
            with pytest.raises(Rejected) as error:
                await here.accounts.log_in(name, "wrong horse", client, AGENT)
            refused.append(error.value)

        async with trio.open_nursery() as nursery:
            for number in range(MOST_WAITING):
                nursery.start_soon(guess, number)
        assert here.hasher.asked == TRIES
        assert [one.refusal for one in refused].count(Refusal.RATE_LIMITED) == MOST_WAITING - TRIES
        assert max(one.retry_after_s or 0 for one in refused) <= TRY_EVERY_S


async def test_login_of_a_network_that_has_to_wait_is_refused_whatever_it_says(tmp_path: Path) -> None:
    """So its body need not be read. Others, and a damaged file, are as they were."""
    async with open_site(tmp_path / "access.json") as here:
        await with_users(here)
        for number in range(TRIES):
            here.accounts.require_login(CLIENT)
            with pytest.raises(Rejected, match="wrong"):
                await here.accounts.log_in(f"user{number}", "wrong horse", CLIENT, AGENT)
        with pytest.raises(Rejected) as refused:
            here.accounts.require_login(CLIENT)
        assert refused.value.refusal is Refusal.RATE_LIMITED
        here.accounts.require_login("198.51.100.7")
        here.accounts.damage = "it is damaged"
        with pytest.raises(Rejected) as refused:
            here.accounts.require_login("198.51.100.7")
        assert refused.value.refusal is Refusal.UNAVAILABLE


async def test_right_password_is_not_charged(tmp_path: Path) -> None:
    """Else who logs in at many browsers waits for all of them."""
    async with open_site(tmp_path / "access.json") as here:
        await with_users(here)
        for _ in range(2 * TRIES):
            await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)


async def test_login_by_a_password_that_is_replaced_meanwhile_opens_nothing(tmp_path: Path) -> None:
    """Hashing takes 60 ms: the session would outlive the change that ends all others."""
    async with open_site(tmp_path / "access.json") as here:
        await with_users(here)
        with pytest.raises(Rejected, match="wrong"):
            await here.accounts.open_session(ANNA, "password", CLIENT, AGENT, lambda: False)
        assert not here.core.kernel.state.sessions
        await here.accounts.open_session(ANNA, "password", CLIENT, AGENT, lambda: True)


@pytest.mark.parametrize("meanwhile", ["password", "session", "removed"])
async def test_own_password_is_not_set_in_a_session_that_ends_meanwhile(
    meanwhile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing takes 60 ms: else who knows the old password replaces the one by which an admin locks them out."""
    async with open_site(tmp_path / "access.json") as here:
        await with_users(here)
        opened = await here.accounts.log_in(BEN, "battery staple", CLIENT, AGENT)
        session, kernel = opened.session.session, here.core.kernel

        async def lock_out() -> None:
            commands = {
                "password": (c.SetPassword(BEN),),
                "session": (c.EndSession(session, LOGGED_OUT),),
                "removed": (c.RemoveUser(BEN), c.AddUser(BEN, Role.WATCHER, ALL)),
            }
            for command in commands[meanwhile]:
                await kernel.submit(command, origin=ME)

        def hash_slowly(password: str) -> str:
            trio.from_thread.run(lock_out)
            return f"plain:{password}"

        monkeypatch.setattr(here.hasher, "hash", hash_slowly)
        with pytest.raises(Rejected, match="wrong"):
            await here.accounts.change_own_password(BEN, "battery staple", "the new one", CLIENT, session)
        with pytest.raises(Rejected, match="wrong"):
            await here.accounts.log_in(BEN, "the new one", CLIENT, AGENT)


async def test_admin_demoted_meanwhile_sets_no_password(tmp_path: Path) -> None:
    """Else the last request of a removed admin is the key to the account of another one."""
    async with open_site(tmp_path / "access.json") as here:
        await with_users(here)
        await here.accounts.change_user(BEN, Role.ADMIN, ALL, ME)
        opened = await here.accounts.log_in(BEN, "battery staple", CLIENT, AGENT)
        ben = Origin(f"user:ben/{opened.session.session}")
        await here.accounts.change_user(BEN, Role.OPERATOR, ALL, ME)
        with pytest.raises(Rejected, match="administer"):
            await here.accounts.set_password(ANNA, "known to ben", ben)
        await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)


async def test_unused_sessions_end(tmp_path: Path, mock_clock: MockClock) -> None:
    """A used one stays."""
    async with open_site(tmp_path / "access.json") as here, trio.open_nursery() as nursery:
        await with_users(here)
        used = await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)
        left = await here.accounts.log_in(BEN, "battery staple", CLIENT, AGENT)
        nursery.start_soon(here.accounts.run)
        for _ in range(8):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(IDLE_S / 7)
            assert here.accounts.by_session(used.secret) is not None
        mock_clock.jump(SWEEP_S)
        while left.session.session in here.core.kernel.state.sessions:
            await trio.lowlevel.checkpoint()
        assert here.accounts.by_session(left.secret) is None
        assert [known.user for known in here.core.kernel.state.sessions.values()] == [ANNA]
        nursery.cancel_scope.cancel(reason="seen")


async def test_open_websocket_is_a_use_of_its_session(tmp_path: Path, mock_clock: MockClock) -> None:
    """A page on a wall shows pictures for weeks, and asks for nothing else."""
    async with open_site(tmp_path / "access.json") as here, trio.open_nursery() as nursery:
        await with_users(here)
        session = await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)
        who = here.accounts.by_session(session.secret)
        assert who is not None
        nursery.start_soon(here.accounts.run)
        nursery.start_soon(here.accounts.wait_fewer_rights, who)
        for _ in range(40):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(IDLE_S / 10)
        await trio.testing.wait_all_tasks_blocked()
        assert list(here.core.kernel.state.sessions) == [session.session.session]
        nursery.cancel_scope.cancel(reason="seen")


class Steps(Instrument):
    """Counts how often one task runs."""

    def __init__(self) -> None:
        self.task: trio.lowlevel.Task | None = None
        self.taken = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.taken += task is self.task


@pytest.mark.parametrize(
    "revoke",
    [
        lambda accounts, who: accounts.remove_user(BEN, ME),
        lambda accounts, who: accounts.change_user(BEN, Role.ANALYST, ALL, ME),
        lambda accounts, who: accounts.change_user(BEN, Role.WATCHER, Scope(groups=("east",)), ME),
        lambda accounts, who: accounts.set_password(BEN, "another password", ME),
        lambda accounts, who: accounts.end_session(c.session_of(digest(who)), LOGGED_OUT, ME),
    ],
    ids=["removed", "role", "scope", "password", "logged out"],
)
async def test_open_websocket_is_woken_by_lost_rights_alone(
    revoke: Callable[[Accounts, str], Awaitable[None]], tmp_path: Path
) -> None:
    """There may be hundreds, and an event of a camera or a login each second."""
    steps = Steps()
    async with open_site(tmp_path / "access.json") as here, trio.open_nursery() as nursery:
        await with_users(here)
        opened = await here.accounts.log_in(BEN, "battery staple", CLIENT, AGENT)
        who = here.accounts.by_session(opened.secret)
        assert who is not None
        ended = trio.Event()

        async def wait() -> None:
            steps.task = trio.lowlevel.current_task()
            await here.accounts.wait_fewer_rights(who)
            ended.set()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        trio.lowlevel.add_instrument(steps)
        here.core.kernel.emit(c.ConnectCamera(GATE))
        here.core.kernel.emit(c.Configure("test", (settings(GATE), settings(YARD)), Limits()))
        await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)
        await trio.testing.wait_all_tasks_blocked()
        trio.lowlevel.remove_instrument(steps)
        assert (steps.taken, ended.is_set()) == (0, False)
        await revoke(here.accounts, opened.secret)
        await ended.wait()


async def test_token_with_a_dot_in_its_name_is_right(tmp_path: Path) -> None:
    """The secret has none, so it is what follows the last dot."""
    async with open_site(tmp_path / "access.json") as here:
        text = await here.accounts.make_token(TokenId("nvr.hall"), Role.WATCHER, ALL, None, ME)
        who = here.accounts.by_token(text)
        assert who is not None and who.name == "token:nvr.hall"


async def test_token_ends_at_its_time(tmp_path: Path) -> None:
    """Not at the next sweep; also one that is made while the service waits."""
    async with open_site(tmp_path / "access.json") as here, trio.open_nursery() as nursery:
        nursery.start_soon(here.accounts.run)
        until_ns = here.core.kernel.clock.wall_ns() + 2_000_000_000
        await here.accounts.make_token(TokenId("short"), Role.WATCHER, ALL, until_ns, ME)
        with give_up_after(30):
            while here.core.kernel.state.tokens:
                await here.core.kernel.wait_change(here.core.kernel.state.seq)
        (ended,) = [row.event for row in await here.core.stored() if isinstance(row.event, e.TokenEnded)]
        assert ended.reason.code == "over"
        nursery.cancel_scope.cancel()


YEARS_NS = 10 * 365 * 86_400 * 10**9


async def test_clock_that_jumps_forward_ends_sessions_and_tokens_for_ever(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """Nothing comes back when the clock is right again. A token without an end stays."""
    async with open_site(tmp_path / "access.json") as here, trio.open_nursery() as nursery:
        await with_users(here)
        kernel = here.core.kernel
        session = (await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)).secret
        until_ns = kernel.clock.wall_ns() + YEARS_NS // 2
        ends = await here.accounts.make_token(TokenId("ends"), Role.WATCHER, ALL, until_ns, ME)
        stays = await here.accounts.make_token(TokenId("stays"), Role.WATCHER, ALL, None, ME)
        who = here.accounts.by_session(session)
        assert who is not None
        nursery.start_soon(here.accounts.run)
        right = kernel.clock
        kernel.clock = TrioClock(TrioClock().epoch_ns + YEARS_NS)
        assert here.accounts.by_session(session) is None and here.accounts.by_token(ends) is None
        await here.accounts.wait_fewer_rights(who)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(SWEEP_S)
        while kernel.state.sessions or TokenId("ends") in kernel.state.tokens:
            await trio.lowlevel.checkpoint()
        kernel.clock = right
        assert here.accounts.by_session(session) is None and here.accounts.by_token(ends) is None
        assert here.accounts.by_token(stays) is not None
        await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)
        nursery.cancel_scope.cancel(reason="seen")


async def test_clock_that_was_set_back_gives_no_session_more_than_its_idle_time(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """That time is measured by a clock that nobody sets. A session of the wrong time is over in the right one."""
    async with open_site(tmp_path / "access.json") as here, trio.open_nursery() as nursery:
        await with_users(here)
        kernel = here.core.kernel
        left = (await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)).secret
        right = kernel.clock
        kernel.clock = TrioClock(TrioClock().epoch_ns - YEARS_NS)
        assert here.accounts.by_session(left) is not None
        wrong = (await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)).secret
        kernel.clock = right
        assert here.accounts.by_session(wrong) is None
        kernel.clock = TrioClock(TrioClock().epoch_ns - YEARS_NS)
        nursery.start_soon(here.accounts.run)
        for step_s in (SWEEP_S, IDLE_S):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(step_s)
        while kernel.state.sessions:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel(reason="seen")


async def test_changes_of_one_user_by_two_admins_at_once_leave_one_of_them(tmp_path: Path) -> None:
    """Journal, state and file agree on which."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        await with_users(here)
        one, other = Scope(cameras=(GATE,)), Scope(cameras=(YARD,))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.accounts.change_user, BEN, Role.OPERATOR, one, ME)
            nursery.start_soon(here.accounts.change_user, BEN, Role.ANALYST, other, ME)
            nursery.start_soon(here.accounts.set_password, BEN, "another horse", ME)
        ben, file = here.core.kernel.state.users[BEN], read_access(path)
        assert (ben.role, ben.scope) in ((Role.OPERATOR, one), (Role.ANALYST, other))
        assert file is not None
        assert file.users[BEN] == Account(ben.role, ben.scope, "plain:another horse")
        assert file.changes == here.core.kernel.state.access_changes


@pytest.mark.parametrize("how", ["remove", "demote"])
async def test_admins_that_end_each_other_at_once_leave_one(how: str, tmp_path: Path) -> None:
    """The last admin is never lost: who comes second has no right any more."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        await here.accounts.add_user(ANNA, Role.ADMIN, ALL, PASSWORD, ME)
        await here.accounts.add_user(BEN, Role.ADMIN, ALL, PASSWORD, ME)
        refused = []

        async def end(other: UserId, origin: Origin) -> None:
            try:
                if how == "remove":
                    await here.accounts.remove_user(other, origin)
                else:
                    await here.accounts.change_user(other, Role.WATCHER, ALL, origin)
            except Rejected as error:
                refused.append(error.refusal)

        opened = [await here.accounts.log_in(name, PASSWORD, CLIENT, AGENT) for name in (ANNA, BEN)]
        async with trio.open_nursery() as nursery:
            for one, other in zip(opened, (BEN, ANNA), strict=True):
                nursery.start_soon(end, other, Origin(f"user:{one.session.user}/{one.session.session}"))
        assert refused == [Refusal.FORBIDDEN]
        assert [user.role for user in here.core.kernel.state.users.values()].count(Role.ADMIN) == 1
        file = read_access(path)
        assert file is not None and [one.role for one in file.users.values()].count(Role.ADMIN) == 1


async def test_where_file_and_journal_leave_no_admin_the_owner_of_the_machine_makes_one(tmp_path: Path) -> None:
    """Whichever denies more decides; nobody else gets anything by it."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        await with_users(here)
        file = read_access(path)
        assert file is not None
        users = {**file.users, ANNA: Account(Role.WATCHER, ALL, file.users[ANNA].password)}
        write_access(path, msgspec.structs.replace(file, users=users))
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        assert here.core.kernel.state.users[ANNA].role is Role.WATCHER
        carl = UserId("carl")
        for role, origin in ((Role.WATCHER, ME), (Role.ADMIN, Origin("client:127.0.0.1"))):
            with pytest.raises(Rejected):
                await again.add_user(carl, role, ALL, PASSWORD, origin)
        await again.change_user(ANNA, Role.ADMIN, ALL, ME)
        with pytest.raises(Rejected, match="last admin"):
            await again.remove_user(ANNA, ME)


async def test_token_is_shown_once_and_revoked(tmp_path: Path) -> None:
    """`NAME.SECRET`; another secret under the same name is nobody's."""
    async with open_site(tmp_path / "access.json") as here:
        await with_users(here)
        text = await here.accounts.make_token(TokenId("nas"), Role.DETECTOR, ALL, None, ME)
        who = here.accounts.by_token(text)
        assert who is not None
        assert (who.name, sorted(who.rights)) == ("token:nas", [Right.NONE, Right.REPORT])
        assert here.accounts.by_token("nas.other") is None
        assert text not in (tmp_path / "access.json").read_text()
        await here.accounts.end_token(TokenId("nas"), ME)
        assert here.accounts.by_token(text) is None


async def test_lost_journal_keeps_users_and_opens_nothing(tmp_path: Path) -> None:
    """A new journal beside the file: the password still opens, sessions do not, local trust is over."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        await with_users(here)
        session = await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)
    async with open_site(path) as here:
        assert here.core.kernel.state.trust_ended
        assert here.accounts.by_session(session.secret) is None
        await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"{"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-10]),
        lambda path: path.write_bytes(path.read_bytes() + b" " * MOST_BYTES),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"version"', b'"users": {}, "version"')),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"role"', b'"role": "admin", "role"')),
        lambda path: path.write_bytes(b"null"),
        lambda path: path.write_bytes(b'{"version": 2}'),
        lambda path: path.write_bytes(b'{"version": 1, "more": 1}'),
        lambda path: path.write_bytes(b"[" * 100_000),
        lambda path: path.chmod(0o666),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
        lambda path: subprocess.run(["sh", "-c", f"rm {path} && mkfifo {path}"], check=True),
    ],
    ids=[
        "cut",
        "empty",
        "without its end",
        "huge",
        "doubled",
        "doubled inside",
        "null",
        "newer",
        "unknown",
        "deep",
        "open",
        "folder",
        "link",
        "fifo",
    ],
)
async def test_damaged_file_denies_everything_and_stays(damage: Callable[[Path], object], tmp_path: Path) -> None:
    """It starts, says so, lets nobody in, and does not replace the file."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        await with_users(here)
        session = await here.accounts.log_in(ANNA, PASSWORD, CLIENT, AGENT)
        damage(path)
        before = path.lstat()
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        assert str(path) in again.damage
        with pytest.raises(Rejected, match="nobody can log in"):
            await again.log_in(ANNA, PASSWORD, CLIENT, AGENT)
        for change in (
            again.add_user(UserId("carl"), Role.WATCHER, ALL, PASSWORD, ME),
            again.set_password(ANNA, PASSWORD, ME),
            again.change_user(BEN, Role.OPERATOR, ALL, ME),
            again.remove_user(BEN, ME),
            again.make_token(TokenId("ha"), Role.OPERATOR, ALL, None, ME),
            again.end_token(TokenId("ha"), ME),
            again.end_session(session.session.session, LOGGED_OUT, ME),
        ):
            with pytest.raises(Rejected, match="nobody can log in"):
                await change
        assert path.lstat() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to somebody else")
def test_file_of_another_user_is_damaged(tmp_path: Path) -> None:
    """Its owner could make himself an admin."""
    path = tmp_path / "access.json"
    write_access(path, AccessFile())
    os.chown(path, 12345, -1)
    with pytest.raises(AccessDamaged, match="others"):
        read_access(path)


async def test_missing_file_beside_a_journal_with_users_denies(tmp_path: Path) -> None:
    """Somebody who deletes the file gets no `/setup`."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        await with_users(here)
        path.unlink()
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        assert "missing" in again.damage
        assert here.core.kernel.state.trust_ended


async def test_owner_makes_a_missing_file_again_by_setting_a_password(tmp_path: Path) -> None:
    """Nobody else does. No session, token or other password comes back; logins are possible again, also after a
    restart."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        await with_users(here)
        session = await here.accounts.log_in(BEN, "battery staple", CLIENT, AGENT)
        token = await here.accounts.make_token(TokenId("ha"), Role.OPERATOR, ALL, None, ME)
        path.unlink()
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        for name, origin in ((ANNA, Origin("user:anna/0")), (UserId("carl"), ME)):
            with pytest.raises(Rejected):
                await again.set_password(name, "another horse", origin)
            assert again.damage and not path.exists()
        await again.set_password(ANNA, "another horse", ME)
        for accounts in (again, Accounts(here.core.kernel, path, PlainHasher)):
            if accounts is not again:
                await accounts.restore()
            assert accounts.damage == ""
            assert accounts.by_session(session.secret) is None and accounts.by_token(token) is None
            with pytest.raises(Rejected, match="wrong"):
                await accounts.log_in(BEN, "battery staple", CLIENT, AGENT)
            assert (await accounts.log_in(ANNA, "another horse", CLIENT, AGENT)).session.user == ANNA
        assert here.core.kernel.state.trust_ended and "access" not in here.core.kernel.state.alerts


async def test_file_that_cannot_be_written_is_an_error_and_denies(tmp_path: Path) -> None:
    """The journal has the user; without a hash nobody logs in as that user after a restart."""
    path = tmp_path / "state" / "access.json"
    async with open_site(path) as here:
        with pytest.raises(Rejected, match="cannot be written"):
            await here.accounts.add_user(ANNA, Role.ADMIN, ALL, PASSWORD, ME)
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        assert again.damage


@pytest.mark.parametrize("password", ["short", "x" * 1025])
async def test_password_of_another_length_is_refused(password: str, tmp_path: Path) -> None:
    """Before anything is decided."""
    async with open_site(tmp_path / "access.json") as here:
        with pytest.raises(Rejected, match="8 to 1024"):
            await here.accounts.add_user(ANNA, Role.ADMIN, ALL, password, ME)
        assert not here.core.kernel.state.users


def test_file_is_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    """A new mode and content; a rest of an interrupted write does no harm."""
    path = tmp_path / "access.json"
    (tmp_path / "access.json.new").write_text("rest")
    write_access(path, AccessFile(changes=1))
    write_access(path, AccessFile(changes=2, sessions=frozenset({"a"})))
    assert read_access(path) == AccessFile(changes=2, sessions=frozenset({"a"}))
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["access.json"]
    with pytest.raises(AccessDamaged):
        read_access(tmp_path)


def test_scope_of_a_user_survives_the_file(tmp_path: Path) -> None:
    """With cameras and groups."""
    scope = Scope(cameras=("gate",), groups=("west",))  # type: ignore[arg-type]
    content = AccessFile(users={BEN: Account(Role.WATCHER, scope, "hash")})
    write_access(tmp_path / "access.json", content)
    assert read_access(tmp_path / "access.json") == content


async def file_has(path: Path, *private: CameraId) -> None:
    """Wait until the file at `path` has these cameras as private."""
    with give_up_after(10):
        while (found := read_access(path)) is None or found.private != set(private):  # noqa: ASYNC110 - a file
            await trio.sleep(0.01)


@pytest.mark.parametrize("lost", [False, True], ids=["kept", "lost"])
async def test_private_cameras_are_in_the_file_and_outlive_the_journal(lost: bool, tmp_path: Path) -> None:
    """Those that a person has switched off; those of a schedule are private without it. The end is written, too."""
    path = tmp_path / "access.json"
    async with open_site(path) as here, trio.open_nursery() as nursery:
        nursery.start_soon(here.accounts.run_privacy)
        kernel = here.core.kernel
        kernel.emit(c.Configure("test", (settings(GATE), settings(YARD)), Limits()))
        kernel.emit(c.SetPrivacy(YARD, True))
        kernel.emit(c.SetPrivacy(GATE, True, "anna"))
        await file_has(path, GATE)
        if not lost:
            kernel.emit(c.SetPrivacy(GATE, False, "anna"))
            await file_has(path)
        nursery.cancel_scope.cancel()
    async with open_site(path) as here:
        assert set(here.core.kernel.state.private_cameras()) == ({GATE} if lost else set())


async def test_camera_that_is_hidden_while_the_journal_cannot_write_stays_hidden_after_a_crash(tmp_path: Path) -> None:
    """The access file has it, and the journal of before the crash does not."""
    path = tmp_path / "access.json"
    async with open_site(path) as here, trio.open_nursery() as nursery:
        nursery.start_soon(here.accounts.run_privacy)
        here.core.kernel.emit(c.Configure("test", (settings(GATE), settings(YARD)), Limits()))
        await here.core.stored()
        here.core.disk.broken = True
        here.core.kernel.emit(c.SetPrivacy(GATE, True, "anna"))
        await file_has(path, GATE)
        assert not [row for row in here.core.disk.rows if isinstance(row.event, e.PrivacyBegan)]
        nursery.cancel_scope.cancel()
    async with open_site(path) as here:
        assert set(here.core.kernel.state.private_cameras()) == {GATE}


async def test_private_cameras_are_written_again_after_a_disk_that_was_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to switch anything."""
    monkeypatch.setattr("supervisor.services.accounts.AGAIN_S", 0.01)
    folder = tmp_path / "gone"
    async with open_site(folder / "access.json") as here, trio.open_nursery() as nursery:
        nursery.start_soon(here.accounts.run_privacy)
        here.core.kernel.emit(c.Configure("test", (settings(GATE),), Limits()))
        here.core.kernel.emit(c.SetPrivacy(GATE, True, "anna"))
        with give_up_after(10):
            while here.accounts._private is not None:  # noqa: ASYNC110 - of another task
                await trio.sleep(0.01)
        folder.mkdir()
        await file_has(folder / "access.json", GATE)
        nursery.cancel_scope.cancel()
