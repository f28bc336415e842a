"""Passkeys: logins by a key of the user's device, and the keys of users. The access file has the public keys.

Rules of this file:
- A login names no user: the answer of an authenticator does, by its key. So no answer says which users there are.
- Every failed login has the same answer; the journal has the reason.
- A passkey counts only if the journal and the access file have it, and only at the host for which it was made.
- A counter that does not grow betrays a copy of the key. That is judged under the lock that all changes take.
- The user was verified by the device (fingerprint, face, PIN): a passkey is more than a thing that was found.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeVar

import trio
from msgspec.structs import replace

from ..base.threads import ThreadRefused, run_in_thread
from ..domain import commands as c
from ..domain.clients import network_of
from ..domain.errors import Refusal, Rejected
from ..domain.ids import PasskeyId, SessionId, UserId
from ..domain.values import Fault, Reason
from ..ports.decisions import Origin
from ..ports.logged_in import LoggedIn
from ..ports.passkeys import Assertion, Attestation, NewPasskey, RelyingParty
from ..runtime.kernel import Kernel
from .access_file import StoredPasskey
from .challenges import Challenges, For
from .passwords import Busy
from .proofs import NotProved, challenge_in, count_of, made_by

if TYPE_CHECKING:
    from .accounts import Accounts

MOST_WAITING = 8
FRESH_S = 600
"""Seconds after a login in which a passkey is added without the password."""
NOT_ACCEPTED = "the passkey was not accepted"
NOT_ADDED = "the passkey was not added: what the browser sent proves nothing; try again"
BUSY = Reason("busy", "too many logins at once", Fault.TEMPORARY)
TOO_OFTEN = Reason("too-often", "too many failed logins", Fault.NONE)
STALE = Reason("wrong-passkey", "the answer to its challenge came twice, too late, or from elsewhere", Fault.NONE)
WRONG = Reason("wrong-passkey", "the answer to its challenge is not right", Fault.NONE)
UNKNOWN = Reason("unknown-passkey", "there is no such passkey", Fault.NONE)
CLONED = Reason("cloned-passkey", "its counter went back: there may be a copy of the passkey", Fault.NONE)

Result = TypeVar("Result")


def passkey_of(credential: bytes) -> PasskeyId:
    """The id of the passkey that authenticators know by `credential`."""
    return PasskeyId(hashlib.sha256(credential).hexdigest()[:16])


class Passkeys:
    """Made once by the accounts. Every method may be called by any number of tasks."""

    def __init__(self, kernel: Kernel, accounts: "Accounts") -> None:
        self._kernel, self._accounts = kernel, accounts
        self.challenges = Challenges()
        self._checking, self._queue = trio.CapacityLimiter(1), trio.Lock()
        self._waiting = 0

    # ── logins ──────────────────────────────────────────────────────────────────────────────────────────────────

    def begin_login(self, party: RelyingParty, client: str) -> bytes:
        """A challenge for a login. Raises `Rejected`."""
        self._accounts.require_whole()
        self._require_patience(client)
        return self.challenges.make(For("login", party.origin), network_of(client), self._now())

    async def log_in(self, party: RelyingParty, assertion: Assertion, client: str, agent: str) -> LoggedIn:
        """Open a session for who has a passkey. Raises `Rejected`, with one text whatever is wrong."""
        self._accounts.require_whole()
        self._require_patience(client)
        try:
            is_open = self.challenges.take(challenge_in(assertion.client_data), For("login", party.origin), self._now())
        except NotProved:
            is_open = False
        passkey = passkey_of(assertion.credential)
        user, stored = self._find(passkey)
        if user is None or stored is None or stored.credential != assertion.credential:
            self._refuse("", client, UNKNOWN)
        if not is_open or stored.rp != party.rp:
            self._refuse(user, client, STALE)
        if assertion.user_handle != self._handle(user):
            self._refuse(user, client, WRONG)

        def charge() -> None:
            self._require_patience(client)
            self._accounts.attempts.take("", client)

        def is_proof() -> bool:
            owner, known = self._find(passkey)
            if owner != user or known is None or known.key != stored.key:
                self._refuse(user, client, UNKNOWN)
            if (count or known.count) and count <= known.count:
                self._refuse(user, client, CLONED)
            self._accounts.keys[passkey] = replace(known, count=count)
            return True

        try:
            count = await self._check(partial(count_of, assertion, stored.key, party), charge)
        except NotProved:
            self._refuse(user, client, WRONG, charged=True)
        except Busy:
            self._accounts.attempts.say_failed(user, client, BUSY)
            raise
        self._accounts.attempts.give_back("", client)
        return await self._accounts.open_session(user, "passkey", client, agent, is_proof, passkey=passkey)

    def _find(self, passkey: PasskeyId) -> tuple[UserId, StoredPasskey] | tuple[None, None]:
        """The user and the key of a passkey that counts."""
        stored = self._accounts.keys.get(passkey)
        users = self._kernel.state.users.values()
        found = [user.user for user in users for each in user.passkeys if each.passkey == passkey]
        return (None, None) if stored is None or not found else (found[0], stored)

    def _require_patience(self, client: str) -> None:
        wait_s = self._accounts.attempts.wait_s("", client)
        if wait_s > 0:
            self._accounts.attempts.say_failed("", client, TOO_OFTEN)
            raise Rejected(Refusal.RATE_LIMITED, f"too many failed logins; try again in {wait_s:.0f} s", wait_s)

    def _refuse(self, user: str, client: str, why: Reason, *, charged: bool = False) -> NoReturn:
        if not charged:
            self._accounts.attempts.take("", client)
        self._accounts.attempts.say_failed(user, client, why)
        raise Rejected(Refusal.FORBIDDEN, NOT_ACCEPTED)

    # ── passkeys of users ───────────────────────────────────────────────────────────────────────────────────────

    def needs_password(self, session: SessionId) -> bool:
        """Whether an addition in this session needs the password again: the login was long ago, so somebody else may
        be at the browser. A login in the future says that the clock was set, and not how long ago it was."""
        opened = self._kernel.state.sessions.get(session)
        return opened is None or not 0 <= self._kernel.clock.wall_ns() - opened.opened_ns <= FRESH_S * 10**9

    async def begin_adding(
        self, user: UserId, session: SessionId, party: RelyingParty, client: str, password: str = ""
    ) -> NewPasskey:
        """Begin the addition of a passkey of the user, who asks in `session`. Raises `Rejected`."""
        self._accounts.require_whole()
        opened = self._kernel.state.sessions.get(session)
        if opened is not None:
            c.require_own_proof(opened)
        if self.needs_password(session):
            await self._accounts.require_password(user, password, client)
        known = self._kernel.state.users.get(user)
        held = [self._accounts.keys.get(each.passkey) for each in known.passkeys] if known is not None else []
        there = [key for key in held if key is not None and key.rp == party.rp]
        challenge = self.challenges.make(For("add", party.origin, session), network_of(client), self._now())
        return NewPasskey(challenge, self._handle(user), tuple((key.credential, key.transports) for key in there))

    async def add(
        self, user: UserId, session: SessionId, party: RelyingParty, made: Attestation, label: str, origin: Origin
    ) -> PasskeyId:
        """Add a passkey of the user, who asks in `session`. Raises `Rejected`."""
        try:
            challenge = challenge_in(made.client_data)
            if not self.challenges.take(challenge, For("add", party.origin, session), self._now()):
                raise NotProved("there is no such challenge")
            new = await self._check(partial(made_by, made, party))
        except NotProved:
            raise Rejected(Refusal.INVALID, NOT_ADDED) from None
        passkey = passkey_of(new.credential)
        stored = StoredPasskey(new.credential, new.key, new.count, party.rp, made.transports)
        command = c.AddPasskey(user, passkey, label, session)
        await self._accounts.change(command, origin, lambda: self._accounts.keys.update({passkey: stored}))
        return passkey

    async def rename(self, user: UserId, passkey: PasskeyId, label: str, origin: Origin) -> None:
        """Give a passkey another name. Raises `Rejected`."""
        await self._accounts.change(c.RenamePasskey(user, passkey, label), origin)

    async def remove(self, user: UserId, passkey: PasskeyId, origin: Origin, keep: str = "") -> None:
        """Remove a passkey, with the sessions that it opened but the one with the hash `keep`. Raises `Rejected`."""
        await self._accounts.change(c.RemovePasskey(user, passkey, keep=keep), origin)

    def _handle(self, user: UserId) -> bytes:
        """As in `NewPasskey`. A removed passkey of the user is replaced in its authenticator; one of another daemon is
        not."""
        return hashlib.sha256(f"{self._kernel.state.node}/{user}".encode()).digest()

    async def _check(self, work: Callable[[], Result], begin: Callable[[], None] = lambda: None) -> Result:
        """Do `work` in a thread, one after another; `begin` is called right before. Raises `NotProved` and `Busy`."""
        if self._waiting >= MOST_WAITING:
            raise Busy(Refusal.RATE_LIMITED, "many people log in just now; try again in a second", 1.0)
        self._waiting += 1
        try:
            async with self._queue:
                begin()
                return await run_in_thread(work, limiter=self._checking)
        except (ThreadRefused, MemoryError):
            raise Busy(Refusal.UNAVAILABLE, "the system has no thread or memory to check a passkey", 5.0) from None
        finally:
            self._waiting -= 1

    def _now(self) -> float:
        return self._kernel.clock.mono_ns() / 1e9
