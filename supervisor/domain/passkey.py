"""Passkeys: keys with which users log in (WebAuthn). Public keys are in the access file (`services/passkeys.py`).

Rules of this file:
- A passkey counts only if both the journal and the access file have it.
- With a passkey, the sessions end that it has opened.
"""

from msgspec.structs import replace

from .common import Arms, Changes, Decisions, Events
from .core import FIRST, OUTSIDE, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import PasskeyId, SessionId, UserId, user_stream
from .rights import Right
from .session import ended_session
from .state import Passkey, State, User, UserSession
from .values import Fault, Reason

MOST_OF_USER = 20
LONGEST_LABEL = 60
OWN_PROOFS = frozenset({"password", "passkey", "setup-link"})
"""How the session was opened in which a passkey may be added. A login provider takes rights away by ending the sessions
that it has opened, so it opens no further way in."""
REMOVED = Reason("passkey-removed", "the passkey was removed", Fault.NONE)


class AddPasskey(Command, frozen=True):
    """The user of a session has proved to have a new passkey."""

    user: UserId
    passkey: PasskeyId
    label: str
    session: SessionId

    sender = "passkeys service"
    right = Right.NONE
    """The decision requires the session."""


class RenamePasskey(Command, frozen=True):
    user: UserId
    passkey: PasskeyId
    label: str

    sender = "passkeys service"
    right = Right.NONE
    """The service has checked whose passkey it is."""


class RemovePasskey(Command, frozen=True):
    """Remove a passkey. The sessions that it has opened end, except the session `keep`."""

    user: UserId
    passkey: PasskeyId
    reason: Reason = REMOVED
    keep: str = ""
    """Hash of the secret of a session."""

    sender = "passkeys service"
    right = Right.NONE
    """The service has checked whose passkey it is, or that an admin asks."""


class PasskeyEvent(Event, frozen=True):
    user: UserId
    """Whose it is."""
    passkey: PasskeyId
    """As in `/api/passkeys`. It may be shown."""

    @property
    def stream(self) -> str:
        return user_stream(self.user)


class PasskeyAdded(PasskeyEvent, frozen=True):
    """A user has a new passkey."""

    label: str
    """Its name, given by the user."""

    severity = Severity.NOTICE
    emitters = ("AddPasskey",)
    when = "before the access file holds its public key"
    stored = FIRST

    def sentence(self) -> str:
        return f"user {self.user} has a new passkey: {self.label}"


class PasskeyRenamed(PasskeyEvent, frozen=True):
    """A passkey has another name."""

    label: str
    """Its new name."""

    severity = Severity.INFO
    emitters = ("RenamePasskey",)
    when = "before the answer"
    stored = FIRST

    def sentence(self) -> str:
        return f"user {self.user} renamed a passkey: {self.label}"


class PasskeyRemoved(PasskeyEvent, frozen=True):
    """A passkey opens nothing any more. The sessions that it has opened end, except the one that removed it."""

    reason: Reason
    """Code `passkey-removed`, `new-password` or `restored`."""

    severity = Severity.NOTICE
    emitters = ("RemovePasskey", "SetPassword", "RestoreAccess")
    causes = (
        OUTSIDE,
        "PasswordSet",
        "UserAdded",
        "UserChanged",
        "UserRemoved",
        "TrustEnded",
        "PasskeyRemoved",
        "SessionEnded",
    )
    cause_note = (
        "none; a new password that an admin has set; at a start, the first difference between the access file and the "
        "journal"
    )
    when = "before the answer; sessions and viewers that depend on it end with it"
    stored = FIRST

    def sentence(self) -> str:
        return f"passkey {self.passkey} of user {self.user} removed: {self.reason.text}"


def add_passkey(state: State, command: AddPasskey, now_ns: int) -> Events:
    user, session = state.users.get(command.user), state.sessions.get(command.session)
    if user is None or session is None or session.user != user.user or now_ns >= session.until_ns:
        raise Rejected(Refusal.FORBIDDEN, "the session has ended: log in again")
    require_own_proof(session)
    _require_label(command.label)
    if any(command.passkey == each.passkey for known in state.users.values() for each in known.passkeys):
        raise Rejected(Refusal.CONFLICT, "this passkey was added before")
    if len(user.passkeys) >= MOST_OF_USER:
        raise Rejected(Refusal.CAP_REACHED, f"there are {MOST_OF_USER} passkeys, which is the limit: remove one first")
    return (PasskeyAdded(command.user, command.passkey, command.label),)


def require_own_proof(session: UserSession) -> None:
    """Raise `Rejected` for a session in which no passkey may be added."""
    if session.by not in OWN_PROOFS:
        raise Rejected(Refusal.FORBIDDEN, "log in by your password to add a passkey; an admin can set one")


def _require_label(label: str) -> None:
    if not 1 <= len(label) <= LONGEST_LABEL or not label.isprintable() or label != label.strip():
        raise Rejected(Refusal.INVALID, f"a passkey's name has 1 to {LONGEST_LABEL} characters, all of them printable")


def _require_passkey(state: State, user: UserId, passkey: PasskeyId) -> Passkey:
    known = state.users.get(user)
    found = [each for each in known.passkeys if each.passkey == passkey] if known is not None else []
    if not found:
        raise Rejected(Refusal.UNKNOWN, "there is no such passkey")
    return found[0]


def rename_passkey(state: State, command: RenamePasskey, now_ns: int) -> Events:
    known = _require_passkey(state, command.user, command.passkey)
    _require_label(command.label)
    return () if known.label == command.label else (PasskeyRenamed(command.user, command.passkey, command.label),)


def remove_passkey(state: State, command: RemovePasskey, now_ns: int) -> Events:
    _require_passkey(state, command.user, command.passkey)
    return removed_passkey(state, command.user, command.passkey, command.reason, now_ns, command.keep)


def removed_passkey(
    state: State, user: UserId, passkey: PasskeyId, reason: Reason, now_ns: int, keep: str = ""
) -> Events:
    """Remove a passkey, with the sessions that it has opened but the one with the hash `keep`."""
    opened = [one for one in state.sessions.values() if (one.user, one.passkey) == (user, passkey) and one.hash != keep]
    opened.sort(key=lambda one: one.session)
    ended = [event for one in opened for event in ended_session(state, one, reason, now_ns)]
    return (PasskeyRemoved(user, passkey, reason), *ended)


def _passkey_added(state: State, event: PasskeyAdded, at: Recorded) -> Changes:
    user = state.users[event.user]
    added = (*user.passkeys, Passkey(event.passkey, event.label, at.wall_ns))
    return {**_with(state, user, added), "access_changes": state.access_changes + 1}


def _passkey_renamed(state: State, event: PasskeyRenamed, at: Recorded) -> Changes:
    user = state.users[event.user]
    renamed = (replace(one, label=event.label) if one.passkey == event.passkey else one for one in user.passkeys)
    return _with(state, user, tuple(renamed))


def _passkey_removed(state: State, event: PasskeyRemoved, at: Recorded) -> Changes:
    user = state.users[event.user]
    left = tuple(one for one in user.passkeys if one.passkey != event.passkey)
    return {**_with(state, user, left), "access_changes": state.access_changes + 1}


def _with(state: State, user: User, passkeys: tuple[Passkey, ...]) -> Changes:
    return {"users": state.users.insert(user.user, replace(user, passkeys=passkeys))}


DECISIONS: Decisions = {
    AddPasskey: add_passkey,
    RenamePasskey: rename_passkey,
    RemovePasskey: remove_passkey,
}


ARMS: Arms = {
    PasskeyAdded: _passkey_added,
    PasskeyRenamed: _passkey_renamed,
    PasskeyRemoved: _passkey_removed,
}
