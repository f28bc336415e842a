"""Passkeys: what opens a session, what does not, and what holds when file and journal differ."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
import trio
from trio.testing import MockClock

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import PasskeyId, UserId
from supervisor.domain.passkey import MOST_OF_USER
from supervisor.domain.session import LOGGED_OUT
from supervisor.ports.logged_in import LoggedIn
from supervisor.ports.passkeys import NewPasskey, RelyingParty
from supervisor.services.accounts import Accounts
from supervisor.services.attempts import TRIES
from supervisor.services.passkeys import FRESH_S, MOST_WAITING, NOT_ACCEPTED, NOT_ADDED, passkey_of
from tests.kit.accounts import ANNA, BEN, ME, PASSWORDS, PlainHasher, add_users
from tests.kit.authenticator import PRESENT, VERIFIED, Authenticator
from tests.kit.core import Core, open_core

PARTY, CLIENT, AGENT = RelyingParty("banken.example", "https://banken.example"), "192.0.2.9", "a browser"
ELSEWHERE = RelyingParty("other.example", "https://other.example")


@attrs.define
class Site:
    core: Core
    accounts: Accounts

    async def add(
        self, authenticator: Authenticator, user: UserId = ANNA, label: str = "a phone", **changed: Any
    ) -> tuple[PasskeyId, LoggedIn]:
        """A passkey of a user, who has logged in with the password. Returns it and that session."""
        opened = await self.accounts.log_in(user, PASSWORDS[user], "192.0.2.10", AGENT)
        session = opened.session.session
        new = await self.accounts.passkeys.begin_adding(user, session, PARTY, CLIENT)
        made = authenticator.make(new.challenge, PARTY, new.user_handle, **changed)
        return await self.accounts.passkeys.add(user, session, PARTY, made, label, ME), opened

    async def log_in(self, authenticator: Authenticator, party: RelyingParty = PARTY, **changed: Any) -> LoggedIn:
        challenge = self.accounts.passkeys.begin_login(party, CLIENT)
        return await self.accounts.passkeys.log_in(
            party, authenticator.sign(challenge, party, **changed), CLIENT, AGENT
        )

    async def failures(self) -> list[tuple[str, str]]:
        """The user and the code of each failed login."""
        rows = await self.core.stored()
        return [(row.event.user, row.event.reason.code) for row in rows if isinstance(row.event, e.LoginFailed)]


@asynccontextmanager
async def open_site(path: Path, users: bool = True) -> AsyncIterator[Site]:
    async with open_core() as opened:
        accounts = Accounts(opened.kernel, path, PlainHasher)
        await accounts.restore()
        if users:
            await add_users(accounts)
        yield Site(opened, accounts)


async def refused(work: Any) -> Rejected:
    with pytest.raises(Rejected) as found:
        await work
    return found.value


async def test_user_logs_in_by_a_passkey(tmp_path: Path) -> None:
    """Nobody names a user. The journal has who, how and with which passkey, and neither key nor credential."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        phone = Authenticator()
        passkey, _ = await here.add(phone)
        opened = await here.log_in(phone)
        assert (opened.session.user, opened.session.by, opened.session.passkey) == (ANNA, "passkey", passkey)
        assert here.accounts.by_session(opened.secret) is not None
        (known,) = here.core.kernel.state.users[ANNA].passkeys
        assert (known.passkey, known.label, known.used_ns) == (passkey, "a phone", opened.session.opened_ns)
        stored = b"".join(msgspec.json.encode(row) for row in await here.core.stored())
        for secret in (here.accounts.keys[passkey].key, phone.credential):
            encoded = msgspec.json.encode(secret).strip(b'"')
            assert encoded not in stored
            assert encoded in path.read_bytes()


@pytest.mark.parametrize(
    ("changed", "party"),
    [
        ({"origin": "https://evil.example"}, PARTY),
        ({"origin": "https://banken.example:8443"}, PARTY),
        ({"rp": "other.example"}, PARTY),
        ({}, ELSEWHERE),
        ({"rp": "banken.example"}, ELSEWHERE),
        ({"flags": PRESENT}, PARTY),
        ({"flags": VERIFIED}, PARTY),
        ({"type": "webauthn.create"}, PARTY),
        ({"crossOrigin": True}, PARTY),
        ({"topOrigin": "https://evil.example"}, PARTY),
        ({"challenge": "AAAA"}, PARTY),
        ({"challenge": "-"}, PARTY),
        ({"challenge": 7}, PARTY),
    ],
    ids=str,
)
async def test_wrong_answer_to_a_challenge_opens_nothing(changed: Any, party: RelyingParty, tmp_path: Path) -> None:
    """Another origin, another host, a user whom the device has not verified, a page in a foreign frame."""
    async with open_site(tmp_path / "access.json") as here:
        phone = Authenticator()
        await here.add(phone)
        error = await refused(here.log_in(phone, party, **changed))
        assert (error.refusal, str(error)) == (Refusal.FORBIDDEN, NOT_ACCEPTED)
        assert await here.failures() == [(ANNA, "wrong-passkey")]
        assert [one.by for one in here.core.kernel.state.sessions.values()] == ["password"]


async def test_signature_of_another_key_opens_nothing(tmp_path: Path) -> None:
    """The right credential id, signed with another key; and the answer of another user's handle."""
    async with open_site(tmp_path / "access.json") as here:
        phone = Authenticator()
        await here.add(phone)
        forged = Authenticator(user_handle=phone.user_handle)
        assert str(await refused(here.log_in(forged))) == NOT_ACCEPTED
        phone.user_handle = b"somebody else"
        assert str(await refused(here.log_in(phone))) == NOT_ACCEPTED


async def test_unknown_passkey_has_the_answer_of_a_wrong_one(tmp_path: Path) -> None:
    """The journal has no name of a user."""
    async with open_site(tmp_path / "access.json") as here:
        error = await refused(here.log_in(Authenticator(user_handle=b"x")))
        assert (error.refusal, str(error)) == (Refusal.FORBIDDEN, NOT_ACCEPTED)
        assert await here.failures() == [("", "unknown-passkey")]


async def test_challenge_is_good_once(tmp_path: Path) -> None:
    """A right answer, sent again, opens nothing. A passkey without a counter would not notice."""
    async with open_site(tmp_path / "access.json") as here:
        tablet = Authenticator(count=None)
        await here.add(tablet)
        assertion = tablet.sign(here.accounts.passkeys.begin_login(PARTY, CLIENT), PARTY)
        await here.accounts.passkeys.log_in(PARTY, assertion, CLIENT, AGENT)
        error = await refused(here.accounts.passkeys.log_in(PARTY, assertion, CLIENT, AGENT))
        assert str(error) == NOT_ACCEPTED
        assert await here.failures() == [(ANNA, "wrong-passkey")]


async def test_challenge_expires(tmp_path: Path, mock_clock: MockClock) -> None:
    """After five minutes."""
    async with open_site(tmp_path / "access.json") as here:
        tablet = Authenticator(count=None)
        await here.add(tablet)
        for waited, is_late in ((299, False), (300, True)):
            assertion = tablet.sign(here.accounts.passkeys.begin_login(PARTY, CLIENT), PARTY)
            mock_clock.jump(waited)
            if is_late:
                assert (
                    str(await refused(here.accounts.passkeys.log_in(PARTY, assertion, CLIENT, AGENT))) == NOT_ACCEPTED
                )
            else:
                await here.accounts.passkeys.log_in(PARTY, assertion, CLIENT, AGENT)


async def test_challenge_for_a_new_passkey_opens_no_session(tmp_path: Path) -> None:
    """Neither is a challenge of a login good for a new passkey."""
    async with open_site(tmp_path / "access.json") as here:
        phone = Authenticator()
        _, opened = await here.add(phone)
        new = await here.accounts.passkeys.begin_adding(ANNA, opened.session.session, PARTY, CLIENT)
        assertion = phone.sign(new.challenge, PARTY)
        assert str(await refused(here.accounts.passkeys.log_in(PARTY, assertion, CLIENT, AGENT))) == NOT_ACCEPTED
        challenge = here.accounts.passkeys.begin_login(PARTY, CLIENT)
        made = Authenticator(b"another").make(challenge, PARTY, new.user_handle)
        adding = here.accounts.passkeys.add(ANNA, opened.session.session, PARTY, made, "x", ME)
        assert str(await refused(adding)) == NOT_ADDED


async def test_counter_that_goes_back_betrays_a_copy(tmp_path: Path) -> None:
    """The copy is refused as any wrong passkey; the journal has the reason. The next right one works."""
    async with open_site(tmp_path / "access.json") as here:
        phone = Authenticator(count=40)
        await here.add(phone)
        await here.log_in(phone)
        for count in (20, 40, -1):
            phone.count = count
            assert str(await refused(here.log_in(phone))) == NOT_ACCEPTED
        assert (await here.failures())[0] == (ANNA, "cloned-passkey")
        phone.count = 41
        await here.log_in(phone)
        assert here.accounts.keys[passkey_of(phone.credential)].count == 42


async def test_counter_is_checked_only_after_the_signature(tmp_path: Path) -> None:
    """Else anybody who knows a credential could accuse its owner of a copy."""
    async with open_site(tmp_path / "access.json") as here:
        phone = Authenticator(count=40)
        await here.add(phone)
        await refused(here.log_in(Authenticator(count=2, user_handle=phone.user_handle)))
        assert await here.failures() == [(ANNA, "wrong-passkey")]


async def test_counter_survives_a_restart(tmp_path: Path) -> None:
    """It is in the access file with the session that it opened."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        phone = Authenticator()
        passkey, _ = await here.add(phone)
        await here.log_in(phone)
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        assert again.keys[passkey].count == 1


async def test_failures_slow_down_the_network_and_no_user(tmp_path: Path, mock_clock: MockClock) -> None:
    """Five, and then one in 30 s, as with passwords; also the challenge is refused. Others still log in."""
    async with open_site(tmp_path / "access.json") as here:
        phone = Authenticator()
        await here.add(phone)
        for _ in range(TRIES):
            await refused(here.log_in(phone, flags=PRESENT))
        with pytest.raises(Rejected) as found:
            here.accounts.passkeys.begin_login(PARTY, CLIENT)
        assert found.value.refusal is Refusal.RATE_LIMITED
        assertion = phone.sign(here.accounts.passkeys.begin_login(PARTY, "198.51.100.7"), PARTY)
        error = await refused(here.accounts.passkeys.log_in(PARTY, assertion, CLIENT, AGENT))
        assert error.refusal is Refusal.RATE_LIMITED
        await here.accounts.passkeys.log_in(PARTY, assertion, "198.51.100.7", AGENT)
        mock_clock.jump(30)
        await here.log_in(phone)


async def test_checks_beyond_those_that_wait_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of answers holds one thread and a bounded queue."""
    arrived, release = trio.Event(), trio.Event()

    def wait(*_: object) -> int:
        trio.from_thread.run_sync(arrived.set)
        trio.from_thread.run(release.wait)
        return 1

    async with open_site(tmp_path / "access.json") as here:
        tablet = Authenticator(count=None)
        await here.add(tablet)
        monkeypatch.setattr("supervisor.services.passkeys.count_of", wait)
        found: list[Refusal] = []

        async def try_once(number: int) -> None:
            client = f"192.0.2.{number}"
            assertion = tablet.sign(here.accounts.passkeys.begin_login(PARTY, client), PARTY)
            try:
                await here.accounts.passkeys.log_in(PARTY, assertion, client, AGENT)
            except Rejected as error:
                found.append(error.refusal)

        async with trio.open_nursery() as nursery:
            for number in range(MOST_WAITING + 5):
                nursery.start_soon(try_once, number)
            await arrived.wait()
            while len(found) < 5:
                await trio.lowlevel.checkpoint()
            assert found == [Refusal.RATE_LIMITED] * 5
            release.set()


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "https://evil.example"},
        {"rp": "other.example"},
        {"flags": PRESENT},
        {"type": "webauthn.get"},
        {"crossOrigin": True},
        {"challenge": "AAAA"},
        {"attestation": {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x", "x5c": [b"a certificate"]}}},
        {"attestation": {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x"}}},
        {"attestation": {"fmt": "tpm", "attStmt": {}}},
        {"attestation": {"fmt": "none", "attStmt": {"sig": b"x"}}},
        {"attestation": {}},
    ],
    ids=str,
)
async def test_wrong_answer_adds_no_passkey(changed: Any, tmp_path: Path) -> None:
    """As for a login; and no statement of a maker is read."""
    async with open_site(tmp_path / "access.json") as here:
        error = await refused(here.add(Authenticator(), **changed))
        assert (error.refusal, str(error)) == (Refusal.INVALID, NOT_ADDED)
        assert here.core.kernel.state.users[ANNA].passkeys == ()
        assert here.accounts.keys == {}


async def test_challenge_of_another_session_adds_no_passkey(tmp_path: Path) -> None:
    """Also not of the same user."""
    async with open_site(tmp_path / "access.json") as here:
        one, other = [await here.accounts.log_in(ANNA, PASSWORDS[ANNA], CLIENT, AGENT) for _ in range(2)]
        new = await here.accounts.passkeys.begin_adding(ANNA, one.session.session, PARTY, CLIENT)
        made = Authenticator().make(new.challenge, PARTY, new.user_handle)
        adding = here.accounts.passkeys.add(ANNA, other.session.session, PARTY, made, "x", ME)
        assert str(await refused(adding)) == NOT_ADDED


async def test_session_that_ends_meanwhile_adds_no_passkey(tmp_path: Path) -> None:
    """The decision requires it, so a revoked session leaves nothing behind."""
    async with open_site(tmp_path / "access.json") as here:
        opened = await here.accounts.log_in(ANNA, PASSWORDS[ANNA], CLIENT, AGENT)
        session = opened.session.session
        new = await here.accounts.passkeys.begin_adding(ANNA, session, PARTY, CLIENT)
        made = Authenticator().make(new.challenge, PARTY, new.user_handle)
        await here.accounts.end_session(session, LOGGED_OUT, ME)
        adding = here.accounts.passkeys.add(ANNA, session, PARTY, made, "x", ME)
        assert (await refused(adding)).refusal is Refusal.FORBIDDEN
        assert here.accounts.keys == {}


async def test_session_of_a_login_provider_adds_no_passkey(tmp_path: Path) -> None:
    """The provider ends its sessions when it takes rights away, and knows nothing of a passkey."""
    async with open_site(tmp_path / "access.json") as here:
        opened = await here.accounts.open_session(BEN, "oidc", CLIENT, AGENT, lambda: True)
        session = opened.session.session
        error = await refused(here.accounts.passkeys.begin_adding(BEN, session, PARTY, CLIENT))
        assert (error.refusal, "password" in str(error)) == (Refusal.FORBIDDEN, True)
        command = c.AddPasskey(BEN, PasskeyId("0123456789abcdef"), "x", session)
        with pytest.raises(Rejected, match="password"):
            await here.core.kernel.submit(command, origin=ME)
        assert here.accounts.keys == {}


async def test_old_login_adds_a_passkey_only_with_the_password(tmp_path: Path, mock_clock: MockClock) -> None:
    """Else a session that was stolen or left open becomes a key for ever. Guesses count as at a login."""
    async with open_site(tmp_path / "access.json") as here:
        opened = await here.accounts.log_in(ANNA, PASSWORDS[ANNA], CLIENT, AGENT)
        session, passkeys = opened.session.session, here.accounts.passkeys
        mock_clock.jump(FRESH_S)
        assert not passkeys.needs_password(session)
        await passkeys.begin_adding(ANNA, session, PARTY, CLIENT)
        mock_clock.jump(1)
        assert passkeys.needs_password(session)
        for _ in range(TRIES):
            error = await refused(passkeys.begin_adding(ANNA, session, PARTY, CLIENT, "wrong horse"))
            assert error.refusal is Refusal.FORBIDDEN
        error = await refused(passkeys.begin_adding(ANNA, session, PARTY, CLIENT, PASSWORDS[ANNA]))
        assert error.refusal is Refusal.RATE_LIMITED
        mock_clock.jump(30)
        await passkeys.begin_adding(ANNA, session, PARTY, CLIENT, PASSWORDS[ANNA])


async def test_login_in_the_future_is_not_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the clock was set back nobody knows how long ago it was."""
    async with open_site(tmp_path / "access.json") as here:
        opened = await here.accounts.log_in(ANNA, PASSWORDS[ANNA], CLIENT, AGENT)
        clock = here.core.kernel.clock
        before_ns = clock.wall_ns() - 10**9
        monkeypatch.setattr(type(clock), "wall_ns", lambda self: before_ns)
        assert here.accounts.passkeys.needs_password(opened.session.session)


@pytest.mark.parametrize("label", ["", " ", "x" * 61, "two\nlines", " before"])
async def test_label_is_a_line_of_bounded_length(label: str, tmp_path: Path) -> None:
    """At an addition and at a renaming."""
    async with open_site(tmp_path / "access.json") as here:
        assert (await refused(here.add(Authenticator(), label=label))).refusal is Refusal.INVALID
        passkey, _ = await here.add(Authenticator())
        renaming = here.accounts.passkeys.rename(ANNA, passkey, label, ME)
        assert (await refused(renaming)).refusal is Refusal.INVALID
        await here.accounts.passkeys.rename(ANNA, passkey, "a key", ME)
        assert here.core.kernel.state.users[ANNA].passkeys[0].label == "a key"


async def test_passkeys_of_a_user_are_bounded_and_each_is_of_one_user(tmp_path: Path) -> None:
    """The same credential again is refused, also for another user."""
    async with open_site(tmp_path / "access.json") as here:
        for number in range(MOST_OF_USER):
            await here.add(Authenticator(b"%d" % number))
        assert (await refused(here.add(Authenticator(b"one more")))).refusal is Refusal.CAP_REACHED
        assert (await refused(here.add(Authenticator(b"3"), BEN))).refusal is Refusal.CONFLICT


async def test_removed_passkey_opens_nothing_and_ends_its_sessions(tmp_path: Path) -> None:
    """But not the one that removes it, and not those of a password."""
    async with open_site(tmp_path / "access.json") as here:
        phone = Authenticator()
        passkey, by_password = await here.add(phone)
        kept, other = await here.log_in(phone), await here.log_in(phone)
        await here.accounts.passkeys.remove(ANNA, passkey, ME, kept.session.hash)
        left = set(here.core.kernel.state.sessions)
        assert left == {by_password.session.session, kept.session.session}
        assert here.accounts.by_session(other.secret) is None
        assert str(await refused(here.log_in(phone))) == NOT_ACCEPTED
        assert here.accounts.keys == {}
        ended = [row.event.reason.code for row in await here.core.stored() if isinstance(row.event, e.SessionEnded)]
        assert ended == ["passkey-removed"]


@pytest.mark.parametrize("end", [True, False])
async def test_new_password_ends_the_passkeys_or_leaves_them(end: bool, tmp_path: Path) -> None:
    """As the admin has said."""
    async with open_site(tmp_path / "access.json") as here:
        phone = Authenticator()
        await here.add(phone)
        await here.accounts.set_password(ANNA, "another horse", ME, end_passkeys=end)
        if end:
            assert str(await refused(here.log_in(phone))) == NOT_ACCEPTED
        else:
            await here.log_in(phone)
        assert len(here.accounts.keys) == (not end)


async def test_removed_user_has_no_passkey_also_not_under_the_same_name_again(tmp_path: Path) -> None:
    """The key does not wait for the next one of that name."""
    async with open_site(tmp_path / "access.json") as here:
        phone = Authenticator()
        await here.add(phone, BEN)
        user = here.core.kernel.state.users[BEN]
        await here.accounts.remove_user(BEN, ME)
        assert str(await refused(here.log_in(phone))) == NOT_ACCEPTED
        await here.accounts.add_user(BEN, user.role, user.scope, PASSWORDS[BEN], ME)
        assert str(await refused(here.log_in(phone))) == NOT_ACCEPTED
        assert here.accounts.keys == {}


async def test_passkey_that_only_the_file_has_opens_nothing(tmp_path: Path) -> None:
    """A journal that is lost, or was rolled back before the addition."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        phone = Authenticator()
        await here.add(phone)
    async with open_site(path, users=False) as here:
        assert set(here.core.kernel.state.users) == {ANNA, BEN}
        assert str(await refused(here.log_in(phone))) == NOT_ACCEPTED
        assert b"a credential id" not in path.read_bytes()
        assert here.accounts.keys == {}


async def test_passkey_that_only_the_journal_has_is_removed_with_its_sessions(tmp_path: Path) -> None:
    """An older file, from before the addition."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        phone = Authenticator()
        before = path.read_bytes()
        passkey, _ = await here.add(phone)
        await here.log_in(phone)
        path.write_bytes(before)
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        removed = [row.event for row in await here.core.stored() if isinstance(row.event, e.PasskeyRemoved)]
        assert [(event.passkey, event.reason.code) for event in removed] == [(passkey, "restored")]
        assert here.core.kernel.state.users[ANNA].passkeys == ()
        assert not here.core.kernel.state.sessions


async def test_passkey_of_another_user_in_the_file_opens_nothing(tmp_path: Path) -> None:
    """File and journal must agree on the user, too."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        phone = Authenticator()
        await here.add(phone, BEN)
        file = msgspec.json.decode(path.read_bytes())
        file["users"][ANNA]["passkeys"], file["users"][BEN]["passkeys"] = file["users"][BEN]["passkeys"], {}
        path.write_bytes(msgspec.json.encode(file))
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        here.accounts = again
        assert str(await refused(here.log_in(phone))) == NOT_ACCEPTED


async def test_damaged_file_lets_no_passkey_in(tmp_path: Path) -> None:
    """As no password."""
    path = tmp_path / "access.json"
    async with open_site(path) as here:
        await here.add(Authenticator())
        path.write_bytes(b"{")
        again = Accounts(here.core.kernel, path, PlainHasher)
        await again.restore()
        with pytest.raises(Rejected) as found:
            again.passkeys.begin_login(PARTY, CLIENT)
        assert found.value.refusal is Refusal.UNAVAILABLE


async def test_known_passkeys_are_named_only_for_their_host(tmp_path: Path) -> None:
    """So that an authenticator that has one makes no second one; the handle of a user is the same each time."""
    async with open_site(tmp_path / "access.json") as here:
        _, opened = await here.add(Authenticator())
        session = opened.session.session

        async def asked(party: RelyingParty) -> NewPasskey:
            return await here.accounts.passkeys.begin_adding(ANNA, session, party, CLIENT)

        assert (await asked(PARTY)).known == ((b"a credential id", ("internal",)),)
        assert (await asked(ELSEWHERE)).known == ()
        handle = (await asked(PARTY)).user_handle
        assert handle == (await asked(ELSEWHERE)).user_handle
        _, by_ben = await here.add(Authenticator(b"ben's"), BEN)
        other = await here.accounts.passkeys.begin_adding(BEN, by_ben.session.session, PARTY, CLIENT)
        assert other.user_handle != handle
