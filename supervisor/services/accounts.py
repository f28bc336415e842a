"""Accounts: users, their passwords and sessions, and tokens. The journal has the facts, the access file the hashes.

Rules of this file:
- A change is decided and durable first, and then written to the file. A crash in between denies: a user without a hash
  cannot log in, and who was removed in the journal is removed at the next start.
- An unknown name takes as long as a wrong password, and has the same answer.
- While the file cannot be read or written, nobody logs in and nothing changes; the control socket says why.
"""

import hashlib
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import trio

from ..base.shield import bounded_shield
from ..base.threads import ThreadRefused, run_in_thread
from ..domain import commands as c
from ..domain.access import Principal, of_token, principal_of, rights_of
from ..domain.clients import LOCAL
from ..domain.digest import ReaderKeys, reader_keys
from ..domain.errors import Refusal, Rejected
from ..domain.identity import identity_of
from ..domain.ids import CameraId, PasskeyId, SessionId, TokenId, UserId
from ..domain.rights import Role, Scope
from ..domain.session import NO_PASSKEY, OVER
from ..domain.state import Identity, User
from ..domain.values import Fault, Reason
from ..ports.accounts import LoggedIn
from ..ports.decisions import ACTOR, Origin
from ..runtime.kernel import Kernel
from .access_file import AccessDamaged, AccessFile, Account, Link, StoredPasskey, read_access, write_access
from .attempts import Attempts
from .passkeys import Passkeys
from .passwords import Argon2, Busy, Hasher, Passwords

logger = logging.getLogger(__name__)

DAY_S = 86_400
SESSION_S, IDLE_S = 90 * DAY_S, 7 * DAY_S
"""A session ends after this time, and when it was not used for this time."""
SWEEP_S, LEAST_SWEEP_S = 60.0, 0.2
USED_EVERY_S = 3600.0
"""An open WebSocket is a use of its session: a page on a wall shows nothing else for weeks."""
AGAIN_S = 5.0
WRITE_S = 5.0
"""After which a disk that does not answer is a fault."""
ALERT = "access"
WRONG = "the name or the password is wrong"
BUSY = Reason("busy", "too many logins at once", Fault.TEMPORARY)
TOO_OFTEN = Reason("too-often", "too many wrong passwords", Fault.NONE)
WRONG_PASSWORD = Reason("wrong-password", "the password is wrong", Fault.NONE)
UNKNOWN_USER = Reason("unknown-user", "there is no such user", Fault.NONE)
IDLE = Reason("idle", "it was not used for long", Fault.NONE)


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
        self._hashing = Passwords(make_hasher)
        self.attempts = Attempts(kernel)
        self._changing = trio.Lock()
        self._writing = trio.CapacityLimiter(1)
        self._passwords: dict[UserId, str] = {}
        self.keys: dict[PasskeyId, StoredPasskey] = {}
        """The passkeys of the file. Each counts only while its user has it in the state."""
        self.passkeys = Passkeys(kernel, self)
        self._reader_keys: Mapping[str, ReaderKeys] = {}
        """By the hash of the token."""
        self.links: dict[UserId, Link] = {}
        """The users at the login provider; those count that the state has as well."""
        self._is_missing = False
        """The file was missing at the start, and the journal has users."""
        self.damage = "the access file has not been read yet"
        """Why nobody can log in; empty if the file is whole."""
        self._private: frozenset[CameraId] | None = frozenset()
        """The private cameras in the file; None if the last write failed."""
        self._used: dict[SessionId, float] = {}

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
        """The principal with the token `NAME.SECRET`; None if there is no such token now. A name may have dots."""
        name, _, _ = text.rpartition(".")
        known = self._kernel.state.tokens.get(TokenId(name))
        if self.damage or known is None or not secrets.compare_digest(known.hash, digest(text)):
            return None
        who = rights_of(self._kernel.state, of_token(known), self._kernel.clock.wall_ns())
        return who if len(who.rights) > 1 else None

    def reader_keys(self, name: TokenId) -> ReaderKeys | None:
        """The keys of a token for RTSP; None if there is no such token now."""
        known = self._kernel.state.tokens.get(name)
        if self.damage or known is None or not known.rtsp:
            return None
        return self._reader_keys.get(known.hash)

    async def wait_fewer_rights(self, principal: Principal) -> None:
        """Wait until the principal has fewer rights, or another scope, than it had. Cancellation: at any time."""
        while True:
            state = self._kernel.state
            now = rights_of(state, principal.name, self._kernel.clock.wall_ns())
            if self._is_less(now, principal):
                return
            self._use(principal.name)
            left_s = SESSION_S if now.until_ns is None else (now.until_ns - self._kernel.clock.wall_ns()) / 1e9
            with trio.move_on_after(min(max(0.0, left_s), USED_EVERY_S)):
                await self._kernel.wait_access(state.access_changes)

    def has_fewer_rights(self, principal: Principal) -> bool:
        """Whether the principal has fewer rights, or another scope, than it had."""
        return self._is_less(rights_of(self._kernel.state, principal.name, self._kernel.clock.wall_ns()), principal)

    def _is_less(self, now: Principal, before: Principal) -> bool:
        return bool(self.damage) or now.scope != before.scope or not set(before.rights) <= set(now.rights)

    def _use(self, principal: str) -> None:
        """Note that the session of a principal is in use."""
        session = SessionId(principal.rpartition("/")[2])
        if session in self._used:
            self._used[session] = self._kernel.clock.mono_ns() / 1e9

    # ── logins ──────────────────────────────────────────────────────────────────────────────────────────────────

    def require_login(self, client: str) -> None:
        """Raise `Rejected` if a login from this address is refused now, whatever its name and password."""
        self.require_whole()
        self._require_try("", client, self.attempts.wait_s("", client))

    async def log_in(self, name: str, password: str, client: str, agent: str) -> LoggedIn:
        """Open a session for who knows the password. Raises `Rejected`, with one text for a wrong name or password."""
        user = UserId(name)
        hashed = await self.require_password(user, password, client)
        return await self.open_session(user, "password", client, agent, lambda: self._passwords.get(user) == hashed)

    async def require_password(self, name: UserId, password: str, client: str) -> str:
        """Raise `Rejected` unless it is the user's password. Returns the hash that it matches."""
        self.require_whole()
        user = self._kernel.state.users.get(name)
        shown = name if user else ""
        known = self._passwords.get(name, "") if user else ""

        def charge() -> None:
            self._require_try(shown, client, self.attempts.wait_s(name, client))
            self.attempts.take(name, client)

        self._require_try(shown, client, self.attempts.wait_s(name, client))
        try:
            is_right = await self._hashing.matches(known, password, charge)
        except Busy:
            self.attempts.say_failed(shown, client, BUSY)
            raise
        if user is None or not is_right:
            self.attempts.say_failed(shown, client, WRONG_PASSWORD if user else UNKNOWN_USER)
            raise Rejected(Refusal.FORBIDDEN, WRONG)
        self.attempts.give_back(name, client)
        return known

    def _require_try(self, shown: str, client: str, wait_s: float) -> None:
        """Raise `Rejected` if somebody has to wait; `shown` is the name for the journal."""
        if wait_s > 0:
            self.attempts.say_failed(shown, client, TOO_OFTEN)
            raise Rejected(Refusal.RATE_LIMITED, f"too many wrong passwords; try again in {wait_s:.0f} s", wait_s)

    async def open_session(
        self,
        user: UserId,
        by: str,
        client: str,
        agent: str,
        is_proof: Callable[[], bool],
        longest_s: float = SESSION_S,
        passkey: PasskeyId = NO_PASSKEY,
    ) -> LoggedIn:
        """Open a session for a user who has proved who it is; `by` says how.

        Raises `Rejected` unless `is_proof` still holds when the session opens: a check may take long, and meanwhile the
        password may have been replaced.
        """
        secret = self._new_secret()
        hashed = digest(secret)
        until_ns = self._kernel.clock.wall_ns() + round(min(longest_s, SESSION_S) * 1e9)
        command = c.OpenSession(user, hashed, client, agent, until_ns, by, passkey)
        async with self._changing:
            if not is_proof():
                raise Rejected(Refusal.FORBIDDEN, WRONG)
            await self._submit(command, Origin(f"client:{client}"))
            await self._write()
        return LoggedIn(self._kernel.state.sessions[c.session_of(hashed)], secret)

    async def end_session(self, session: SessionId, reason: Reason, origin: Origin) -> None:
        """End a session, with its viewers. Nothing happens if it has ended. Raises `Rejected`."""
        await self.change(c.EndSession(session, reason), origin)

    async def run(self) -> None:
        """End sessions whose time is over, and those that nobody uses, until it is cancelled.

        Cancellation: at any time. Cleanup: nothing is held.
        """
        while True:
            await self._wait_sweep()
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
                        await self.change(c.EndToken(named, OVER), ACTOR)

    async def _wait_sweep(self) -> None:
        """Wait for `SWEEP_S`, or until the end of a token, with which its viewers end."""
        kernel = self._kernel
        with trio.move_on_after(SWEEP_S):
            while True:
                state = kernel.state
                ends = [token.until_ns for token in state.tokens.values() if token.until_ns is not None]
                left_s = (min(ends) - kernel.clock.wall_ns()) / 1e9 if ends else SWEEP_S
                with trio.move_on_after(max(left_s, LEAST_SWEEP_S)) as until_end:
                    await kernel.wait_access(state.access_changes)
                if until_end.cancelled_caught:
                    return

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

    async def change(
        self,
        command: c.Command,
        origin: Origin,
        then: Callable[[], object] = lambda: None,
        require: Callable[[], object] = lambda: None,
    ) -> None:
        """Decide a change of access, and write the file. Changes follow one another.

        `require` may raise what refuses the change, after the changes before it. `then` changes what only the file has,
        once the decision is durable. Raises `Rejected`.
        """
        async with self._changing:
            require()
            await self._submit(command, origin)
            then()
            await self._write()

    async def add_user(self, name: UserId, role: Role, scope: Scope, password: str, origin: Origin) -> None:
        """Add a user. Raises `Rejected`."""
        hashed = await self._hash(password)
        await self.change(c.AddUser(name, role, scope), origin, lambda: self._passwords.update({name: hashed}))

    async def change_user(self, name: UserId, role: Role, scope: Scope, origin: Origin) -> None:
        """Give a user another role and scope. Viewers that they may not have any more end. Raises `Rejected`."""
        await self.change(c.ChangeUser(name, role, scope), origin)

    async def remove_user(self, name: UserId, origin: Origin) -> None:
        """Remove a user, with sessions and viewers. Raises `Rejected`."""
        await self.change(c.RemoveUser(name), origin, lambda: self._passwords.pop(name, None))

    async def set_password(self, name: UserId, password: str, origin: Origin, *, end_passkeys: bool = False) -> None:
        """Set a password. All sessions of the user end. Raises `Rejected`.

        If the file was missing at the start, the owner of the machine makes it again with this; see `_make_again`.
        """
        if self._is_missing and origin.principal == LOCAL:
            await self._make_again(name, origin)
        hashed = await self._hash(password)
        command = c.SetPassword(name, end_passkeys=end_passkeys)
        await self.change(command, origin, lambda: self._passwords.update({name: hashed}))

    async def change_own_password(self, name: UserId, old: str, new: str, client: str, session: SessionId) -> None:
        """Set the password of a user who knows the old one, and asks in `session`, which goes on.

        Guesses count as at a login. Raises `Rejected`, also if the session has ended while the hashes were made: whom
        an admin locks out meanwhile must not come back in by it.
        """
        await self.require_password(name, old, client)
        hashed = await self._hash(new)
        async with self._changing:
            asks = self._kernel.state.sessions.get(session)
            if asks is None:
                raise Rejected(Refusal.FORBIDDEN, WRONG)
            await self._submit(c.SetPassword(name, asks.hash), Origin(principal_of(asks)))
            self._passwords[name] = hashed
            await self._write()

    async def make_token(
        self, name: TokenId, role: Role, scope: Scope, until_ns: int | None, origin: Origin, *, rtsp: bool = False
    ) -> str:
        """Make a token and return it: `NAME.SECRET`. It is not kept, only its hash. Raises `Rejected`.

        `rtsp`: readers log in with it, too, so the access file keeps what proves it.
        """
        text = f"{name}.{self._new_secret()}"

        def keep() -> None:
            if rtsp:
                self._reader_keys = {**self._reader_keys, digest(text): reader_keys(name, text)}

        await self.change(c.MakeToken(name, role, scope, digest(text), until_ns, rtsp), origin, keep)
        return text

    async def end_token(self, name: TokenId, origin: Origin) -> None:
        """Revoke a token, with its viewers. Raises `Rejected`."""
        await self.change(c.EndToken(name), origin)

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
        links = tuple(
            Identity(identity_of(link.issuer, link.subject), name, link.provider)
            for name, link in sorted(found.links.items())
        )
        keys = {(name, each): key for name, one in found.users.items() for each, key in one.passkeys.items()}
        command = c.RestoreAccess(
            users,
            found.sessions,
            found.tokens,
            found.trust_ended,
            found.changes,
            found.private,
            frozenset(keys),
            found.shares,
            links,
        )
        self._kernel.emit(command, origin=Origin("system"))
        state = self._kernel.state
        self._passwords = {name: one.password for name, one in found.users.items() if name in state.users}
        self.keys = {each: key for (_, each), key in keys.items()}
        self._reader_keys = found.rtsp
        self.links = dict(found.links)
        self.damage, self._private = "", found.private
        if self._content() != found:
            try:
                await self._write()
            except Rejected as error:  # the next start makes the same of the file as this one
                logger.warning("%s", error)

    async def _make_again(self, name: UserId, origin: Origin) -> None:
        """Have no damage any more, and no password, session, token or share; the users of the journal stay.

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
            name: Account(user.role, user.scope, self._passwords.get(name, ""), self._keys_of(user))
            for name, user in state.users.items()
        }
        hashes = {token.hash for token in state.tokens.values() if token.rtsp}
        return AccessFile(
            changes=state.access_changes,
            trust_ended=state.trust_ended,
            users=users,
            sessions=frozenset(session.hash for session in state.sessions.values()),
            tokens=frozenset(token.hash for token in state.tokens.values()),
            shares=frozenset(share.hash for share in state.shares.values()),
            rtsp={hashed: keys for hashed, keys in self._reader_keys.items() if hashed in hashes},
            private=self._private_now(),
            links={one.user: self.links[one.user] for one in state.identities.values() if one.user in self.links},
        )

    def _keys_of(self, user: User) -> dict[PasskeyId, StoredPasskey]:
        return {each.passkey: self.keys[each.passkey] for each in user.passkeys if each.passkey in self.keys}

    def _private_now(self) -> frozenset[CameraId]:
        """The cameras that a person has switched off. Those of a schedule are private without the file."""
        privacy = self._kernel.state.privacy.values()
        return frozenset(switched.camera for switched in privacy if switched.on and not switched.scheduled)

    async def _write(self) -> None:
        """Write the file. Raises `Rejected` if that fails; then the journal has a change that the file lacks."""
        content = self._content()
        self.keys = {each: key for one in content.users.values() for each, key in one.passkeys.items()}
        self._private, self._reader_keys = content.private, content.rtsp
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
        self.require_whole()  # the file would be replaced by one without passwords
        await self._record(command, origin)

    async def _record(self, command: c.Command, origin: Origin) -> None:
        receipt = await self._kernel.submit(command, origin=origin)
        if not receipt.durable:
            raise Rejected(Refusal.UNAVAILABLE, "the journal cannot write, so nothing about access can change", 5.0)

    def has_password(self, user: UserId) -> bool:
        return bool(self._passwords.get(user))

    def require_whole(self) -> None:
        """Raises `Rejected` while the file cannot be read."""
        if self.damage:
            text = "nobody can log in: the access file cannot be read; banken's health says why"
            raise Rejected(Refusal.UNAVAILABLE, text)

    async def _hash(self, password: str) -> str:
        self.require_whole()
        return await self._hashing.hash(password)
