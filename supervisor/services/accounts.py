"""Accounts: users, their passwords and sessions, and tokens. The journal has the facts, the access file the hashes.

Rules of this file:
- A change is decided and durable first, and then written to the file. A crash in between denies: a user without a hash
  cannot log in, and who was removed in the journal is removed at the next start.
- Hashing takes 60 ms and 12 MiB, so it runs in a thread, one at a time, and at most `MOST_WAITING` wait for it.
- An unknown name takes as long as a wrong password, and has the same answer.
- While the file cannot be read or written, nobody logs in and nothing changes; the control socket says why.
"""

import hashlib
import logging
import secrets
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

import trio

from ..base.shield import bounded_shield
from ..base.threads import ThreadRefused, run_in_thread
from ..domain import commands as c
from ..domain.access import Principal, of_token, principal_of, rights_of
from ..domain.bucket import Bucket
from ..domain.clients import LOCAL, network_of
from ..domain.errors import Refusal, Rejected
from ..domain.ids import CameraId, SessionId, TokenId, UserId
from ..domain.rights import USER, Role, Scope
from ..domain.session import OVER
from ..domain.state import User
from ..domain.values import Fault, Reason
from ..ports.accounts import LoggedIn
from ..ports.decisions import ACTOR, Origin
from ..runtime.kernel import Kernel
from .access_file import AccessDamaged, AccessFile, Account, read_access, write_access

logger = logging.getLogger(__name__)

DAY_S = 86_400
SESSION_S, IDLE_S = 90 * DAY_S, 7 * DAY_S
"""A session ends after this time, and when it was not used for this time."""
SWEEP_S = 60.0
USED_EVERY_S = 3600.0
"""An open WebSocket is a use of its session: a page on a wall shows nothing else for weeks."""
MOST_WAITING = 8
AGAIN_S = 5.0
WRITE_S = 5.0
"""After which a disk that does not answer is a fault."""
LEAST, MOST = 8, 1024
"""Characters of a password."""
TRIES, TRY_EVERY_S = 5, 30.0
"""Wrong passwords that an account or a network may send at once, and the seconds until one more."""
MOST_BUCKETS = 4096
FAILURES_EVERY_S = 1.0
"""One failed login in each interval is journaled; those in between are counted."""
ALERT = "access"
WRONG = "the name or the password is wrong"
BUSY = Reason("busy", "too many logins at once", Fault.TEMPORARY)
TOO_OFTEN = Reason("too-often", "too many wrong passwords", Fault.NONE)
WRONG_PASSWORD = Reason("wrong-password", "the password is wrong", Fault.NONE)
UNKNOWN_USER = Reason("unknown-user", "there is no such user", Fault.NONE)
LOGGED_OUT = Reason("logged-out", "logged out", Fault.NONE)
IDLE = Reason("idle", "it was not used for long", Fault.NONE)


Result = TypeVar("Result")


class Hasher(Protocol):
    """Hashes passwords, and checks them. Both take long."""

    def hash(self, password: str) -> str: ...

    def matches(self, hashed: str, password: str) -> bool: ...


class Argon2:
    """argon2id with 12 MiB and three passes: 58 ms on the machine where it was measured."""

    def __init__(self) -> None:
        from argon2 import PasswordHasher

        self._hasher = PasswordHasher(time_cost=3, memory_cost=12 * 1024, parallelism=1)

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def matches(self, hashed: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False


def digest(secret: str) -> str:
    """The form in which a secret of 128 random bits or more may be kept."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


class Accounts:
    """Made once by the daemon; `path` is the access file. Every method may be called by any number of tasks."""

    def __init__(
        self,
        kernel: Kernel,
        path: Path,
        make_hasher: Callable[[], Hasher] = Argon2,
        new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        self._kernel, self._path, self._new_secret = kernel, path, new_secret
        self._make_hasher = make_hasher
        self._hasher: Hasher | None = None
        self._nobody = ""
        """A hash that no password has, for names that nobody has."""
        self._hashing = trio.CapacityLimiter(1)
        self._waiting = 0
        self._changing = trio.Lock()
        self._writing = trio.CapacityLimiter(1)
        self._passwords: dict[UserId, str] = {}
        self._is_missing = False
        """The file was missing at the start, and the journal has users."""
        self.damage = "the access file has not been read yet"
        """Why nobody can log in; empty if the file is whole."""
        self._private: frozenset[CameraId] | None = frozenset()
        """The private cameras in the file; None if the last write failed."""
        self._used: dict[SessionId, float] = {}
        self._buckets: dict[str, Bucket] = {}
        self._said_at = -FAILURES_EVERY_S
        self._suppressed = 0

    # ── who asks ────────────────────────────────────────────────────────────────────────────────────────────────

    def by_session(self, secret: str) -> Principal | None:
        """The principal with this session; None if there is no such session now. Takes some microseconds."""
        hashed = digest(secret)
        known = self._kernel.state.sessions.get(c.session_of(hashed))
        if self.damage or known is None or not secrets.compare_digest(known.hash, hashed):
            return None
        now_ns = self._kernel.clock.wall_ns()
        self._used[known.session] = self._kernel.clock.mono_ns() / 1e9
        who = rights_of(self._kernel.state, principal_of(known), now_ns)
        return who if len(who.rights) > 1 else None

    def by_token(self, text: str) -> Principal | None:
        """The principal with the token `NAME.SECRET`; None if there is no such token now."""
        name, _, _ = text.partition(".")
        known = self._kernel.state.tokens.get(TokenId(name))
        if self.damage or known is None or not secrets.compare_digest(known.hash, digest(text)):
            return None
        who = rights_of(self._kernel.state, of_token(known), self._kernel.clock.wall_ns())
        return who if len(who.rights) > 1 else None

    async def wait_fewer_rights(self, principal: Principal) -> None:
        """Wait until the principal has fewer rights, or another scope, than it had. Cancellation: at any time."""
        while True:
            state = self._kernel.state
            now = rights_of(state, principal.name, self._kernel.clock.wall_ns())
            if self.damage or now.scope != principal.scope or not set(principal.rights) <= set(now.rights):
                return
            self._use(principal.name)
            left_s = SESSION_S if now.until_ns is None else (now.until_ns - self._kernel.clock.wall_ns()) / 1e9
            with trio.move_on_after(min(max(0.0, left_s), USED_EVERY_S)):
                await self._kernel.wait_change(state.seq)

    def _use(self, principal: str) -> None:
        """Note that the session of a principal is in use."""
        session = SessionId(principal.rpartition("/")[2])
        if session in self._used:
            self._used[session] = self._kernel.clock.mono_ns() / 1e9

    # ── logins ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def log_in(self, name: str, password: str, client: str, agent: str) -> LoggedIn:
        """Open a session for who knows the password. Raises `Rejected`, with one text for a wrong name or password."""
        hashed = await self._require_password(UserId(name), password, client)
        return await self._open(UserId(name), hashed, client, agent)

    async def _require_password(self, name: UserId, password: str, client: str) -> str:
        """Raise `Rejected` unless it is the user's password. Returns the hash that it matches."""
        self._require_whole()
        now = self._kernel.clock.mono_ns() / 1e9
        user = self._kernel.state.users.get(name)
        buckets = [self._bucket(f"user {name}", now), self._bucket(f"net {network_of(client)}", now)]
        wait_s = max(bucket.ready_in(now) for bucket in buckets)
        if wait_s > 0:
            self._say_failed(name if user else "", client, TOO_OFTEN)
            raise Rejected(Refusal.RATE_LIMITED, f"too many wrong passwords; try again in {wait_s:.0f} s", wait_s)
        known = self._passwords.get(name, "") if user else ""
        try:
            is_right = await self._matches(known, password)
        except Rejected:
            self._say_failed(name if user else "", client, BUSY)
            raise
        if user is None or not is_right:
            for bucket in buckets:
                bucket.take(now)
            self._say_failed(name if user else "", client, WRONG_PASSWORD if user else UNKNOWN_USER)
            raise Rejected(Refusal.FORBIDDEN, WRONG)
        return known

    async def _open(self, user: UserId, password: str, client: str, agent: str) -> LoggedIn:
        """Open a session. Raises `Rejected` if the hash `password` is not the user's any more: hashing takes long."""
        secret = self._new_secret()
        hashed, until_ns = digest(secret), self._kernel.clock.wall_ns() + SESSION_S * 10**9
        command = c.OpenSession(user, hashed, client, agent, until_ns, "password")
        async with self._changing:
            if self._passwords.get(user) != password:
                raise Rejected(Refusal.FORBIDDEN, WRONG)
            await self._submit(command, Origin(f"client:{client}"))
            await self._write()
        return LoggedIn(self._kernel.state.sessions[c.session_of(hashed)], secret)

    async def end_session(self, session: SessionId, reason: Reason, origin: Origin) -> None:
        """End a session, with its viewers. Nothing happens if it has ended. Raises `Rejected`."""
        async with self._changing:
            await self._submit(c.EndSession(session, reason), origin)
            await self._write()

    async def run(self) -> None:
        """End sessions whose time is over, and those that nobody uses, until it is cancelled.

        Cancellation: at any time. Cleanup: nothing is held.
        """
        while True:
            await trio.sleep(SWEEP_S)
            now, now_ns = self._kernel.clock.mono_ns() / 1e9, self._kernel.clock.wall_ns()
            state = self._kernel.state
            self._used = {name: self._used.get(name, now) for name in state.sessions}
            for name, session in list(state.sessions.items()):
                is_idle = now - self._used[name] >= IDLE_S
                if is_idle or now_ns >= session.until_ns:
                    with suppress(Rejected):  # the journal cannot write: they are ended by the next sweep
                        await self.end_session(name, IDLE if is_idle else OVER, ACTOR)
            for named, token in list(state.tokens.items()):
                if token.until_ns is not None and now_ns >= token.until_ns:
                    with suppress(Rejected):
                        await self._end_token(c.EndToken(named, OVER), ACTOR)

    async def run_privacy(self) -> None:
        """Write the file when other cameras are private than it says, until it is cancelled.

        Cancellation: at any time. Cleanup: nothing is held.
        """
        kernel = self._kernel
        while True:
            privacy = kernel.state.privacy
            if not self.damage and self._private_now() != self._private:
                async with self._changing:
                    try:
                        await self._write()
                    except Rejected as refused:
                        self._private = None
                        logger.warning("%s; it is written again in %g s", refused, AGAIN_S)
                        await trio.sleep(AGAIN_S)
                        continue
            while kernel.state.privacy is privacy:
                await kernel.wait_change(kernel.state.seq)

    # ── changes ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def add_user(self, name: UserId, role: Role, scope: Scope, password: str, origin: Origin) -> None:
        """Add a user. Raises `Rejected`."""
        hashed = await self._hashed(password)
        async with self._changing:
            await self._submit(c.AddUser(name, role, scope), origin)
            self._passwords[name] = hashed
            await self._write()

    async def change_user(self, name: UserId, role: Role, scope: Scope, origin: Origin) -> None:
        """Give a user another role and scope. Viewers that they may not have any more end. Raises `Rejected`."""
        async with self._changing:
            await self._submit(c.ChangeUser(name, role, scope), origin)
            await self._write()

    async def remove_user(self, name: UserId, origin: Origin) -> None:
        """Remove a user, with sessions and viewers. Raises `Rejected`."""
        async with self._changing:
            await self._submit(c.RemoveUser(name), origin)
            self._passwords.pop(name, None)
            await self._write()

    async def set_password(self, name: UserId, password: str, origin: Origin, keep: str = "") -> None:
        """Set a password. All sessions of the user end but the one with the hash `keep`. Raises `Rejected`.

        If the file was missing at the start, the owner of the machine makes it again with this; see `_make_again`.
        """
        if self._is_missing and origin.principal == LOCAL:
            await self._make_again(name, origin)
        hashed = await self._hashed(password)
        async with self._changing:
            await self._submit(c.SetPassword(name, keep), origin)
            self._passwords[name] = hashed
            await self._write()

    async def change_own_password(self, name: UserId, old: str, new: str, client: str, keep: str) -> None:
        """Set the password of a user who knows the old one. Guesses count as at a login. Raises `Rejected`."""
        await self._require_password(name, old, client)
        await self.set_password(name, new, Origin(f"{USER}{name}"), keep)

    async def make_token(self, name: TokenId, role: Role, scope: Scope, until_ns: int | None, origin: Origin) -> str:
        """Make a token and return it: `NAME.SECRET`. It is not kept, only its hash. Raises `Rejected`."""
        text = f"{name}.{self._new_secret()}"
        async with self._changing:
            await self._submit(c.MakeToken(name, role, scope, digest(text), until_ns), origin)
            await self._write()
        return text

    async def end_token(self, name: TokenId, origin: Origin) -> None:
        """Revoke a token, with its viewers. Raises `Rejected`."""
        await self._end_token(c.EndToken(name), origin)

    async def _end_token(self, command: c.EndToken, origin: Origin) -> None:
        async with self._changing:
            await self._submit(command, origin)
            await self._write()

    # ── the file ────────────────────────────────────────────────────────────────────────────────────────────────

    async def restore(self) -> None:
        """Read the file and make the state agree with it; once, before anybody is let in.

        A missing file is damage if the journal has users: then nobody can log in.
        """
        try:
            found = await run_in_thread(lambda: read_access(self._path), limiter=self._writing)
        except (AccessDamaged, ThreadRefused) as error:
            self._deny(str(error))
            return
        state = self._kernel.state
        if found is None:
            if state.trust_ended:
                self._is_missing = True
                self._deny(
                    f"{self._path} is missing, and the journal has users: put back a copy and restart; or set "
                    "the passwords again with banken user password, which ends all sessions and tokens"
                )
                return
            self.damage = ""
            return
        at_ns = self._kernel.clock.wall_ns()
        users = tuple(User(name, one.role, one.scope, at_ns) for name, one in sorted(found.users.items()))
        command = c.RestoreAccess(users, found.sessions, found.tokens, found.trust_ended, found.changes, found.private)
        self._kernel.emit(command, origin=Origin("system"))
        state = self._kernel.state
        self._passwords = {name: one.password for name, one in found.users.items() if name in state.users}
        self.damage, self._private = "", found.private
        if self._content() != found:
            try:
                await self._write()
            except Rejected as error:  # the next start makes the same of the file as this one
                logger.warning("%s", error)

    async def _make_again(self, name: UserId, origin: Origin) -> None:
        """Have no damage any more, and no password, session or token; the users of the journal stay.

        Raises `Rejected`, also for an unknown user, and then nothing has changed.
        """
        async with self._changing:
            state = self._kernel.state
            if name not in state.users:
                raise Rejected(Refusal.UNKNOWN, f"there is no user {name!r}")
            users = tuple(state.users.values())
            command = c.RestoreAccess(users, frozenset(), frozenset(), state.trust_ended, state.access_changes)
            await self._record(command, origin)
            await self._write()
            self.damage, self._is_missing = "", False
            self._kernel.emit(c.ClearAlert(ALERT), origin=origin)

    def _deny(self, why: str) -> None:
        self.damage = why
        self._kernel.emit(c.RaiseAlert(ALERT, f"nobody can log in: {why}"), origin=self._kernel.fault())

    def _content(self) -> AccessFile:
        state = self._kernel.state
        users = {
            name: Account(user.role, user.scope, self._passwords.get(name, "")) for name, user in state.users.items()
        }
        return AccessFile(
            changes=state.access_changes,
            trust_ended=state.trust_ended,
            users=users,
            sessions=frozenset(session.hash for session in state.sessions.values()),
            tokens=frozenset(token.hash for token in state.tokens.values()),
            private=self._private_now(),
        )

    def _private_now(self) -> frozenset[CameraId]:
        """The cameras that a person has switched off. Those of a schedule are private without the file."""
        privacy = self._kernel.state.privacy.values()
        return frozenset(switched.camera for switched in privacy if switched.on and not switched.scheduled)

    async def _write(self) -> None:
        """Write the file. Raises `Rejected` if that fails; then the journal has a change that the file lacks."""
        content = self._content()
        self._private = content.private
        with bounded_shield(WRITE_S):
            try:
                await run_in_thread(
                    lambda: write_access(self._path, content),
                    limiter=self._writing,
                    abandon="a disk that does not answer; the next write waits for it",
                )
                return
            except (OSError, MemoryError) as error:
                text = f"{self._path} cannot be written: {error}"
                raise Rejected(Refusal.UNAVAILABLE, text, 5.0) from None
        raise Rejected(Refusal.UNAVAILABLE, f"{self._path} was not written within {WRITE_S:g} s", 5.0)

    async def _submit(self, command: c.Command, origin: Origin) -> None:
        self._require_whole()  # the file would be replaced by one without passwords
        await self._record(command, origin)

    async def _record(self, command: c.Command, origin: Origin) -> None:
        receipt = await self._kernel.submit(command, origin=origin)
        if not receipt.durable:
            raise Rejected(Refusal.UNAVAILABLE, "the journal cannot write, so nothing about access can change", 5.0)

    # ── passwords ───────────────────────────────────────────────────────────────────────────────────────────────

    def _require_whole(self) -> None:
        if self.damage:
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise Rejected(
            Refusal.UNAVAILABLE, "nobody can log in: the access file cannot be read; banken's health says why"
        )

    async def _hashed(self, password: str) -> str:
        """Raises `Rejected` for a password that is too short or too long."""
        self._require_whole()
        if not LEAST <= len(password) <= MOST:
            raise Rejected(Refusal.INVALID, f"a password has {LEAST} to {MOST} characters")
        return await self._hash(lambda hasher: hasher.hash(normal(password)))

    async def _matches(self, hashed: str, password: str) -> bool:
        """Whether the password is right. An empty hash takes as long as any other."""
        if len(password) > MOST:
            return False

        def matches(hasher: Hasher) -> bool:
            self._nobody = self._nobody or hasher.hash(secrets.token_urlsafe(16))
            return hasher.matches(hashed or self._nobody, normal(password)) and bool(hashed)

        return await self._hash(matches)

    async def _hash(self, work: Callable[[Hasher], Result]) -> Result:
        if self._waiting >= MOST_WAITING:
            raise Rejected(Refusal.RATE_LIMITED, "many people log in just now; try again in a second", 1.0)
        self._waiting += 1
        try:
            return await run_in_thread(lambda: work(self._hasher_once()), limiter=self._hashing)
        except (ThreadRefused, MemoryError):
            raise Rejected(Refusal.UNAVAILABLE, "the system has no thread or memory to check a password", 5.0) from None
        finally:
            self._waiting -= 1

    def _hasher_once(self) -> Hasher:
        self._hasher = self._hasher or self._make_hasher()
        return self._hasher

    def _bucket(self, name: str, now: float) -> Bucket:
        """The bucket of an account or a network; one for all where the table is full."""
        found = self._buckets.get(name)
        if found is None:
            if len(self._buckets) >= MOST_BUCKETS:
                self._buckets = {each: one for each, one in self._buckets.items() if not one.is_full(now)}
            name = name if len(self._buckets) < MOST_BUCKETS else ""
            found = self._buckets.setdefault(name, Bucket(1 / TRY_EVERY_S, TRIES, now))
        return found

    def _say_failed(self, user: str, client: str, reason: Reason) -> None:
        now = self._kernel.clock.mono_ns() / 1e9
        if now - self._said_at < FAILURES_EVERY_S:
            self._suppressed += 1
            return
        self._kernel.emit(
            c.ReportLoginFailed(user, client, reason, self._suppressed), origin=Origin(f"client:{client}")
        )
        self._said_at, self._suppressed = now, 0


def normal(password: str) -> str:
    """The same password however a keyboard composes its characters (RFC 8265: NFC)."""
    return unicodedata.normalize("NFC", password)
