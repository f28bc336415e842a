"""Tokens: the access of programs. The state knows the hash of a token's secret, which is shown once."""

from .access import NAME, of_token, require_all_of_admin
from .common import Arms, Changes, Decisions, Events
from .core import FIRST, OUTSIDE, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import TokenId, token_stream
from .lease import end
from .rights import RIGHTS, Right, Role, Scope
from .session import HASH
from .state import State, Token
from .values import Fault, Reason

MOST_TOKENS = 1000
ENDED = Reason("token-ended", "the token was revoked", Fault.NONE)


class MakeToken(Command, frozen=True):
    token: TokenId
    role: Role
    scope: Scope
    hash: str
    until_ns: int | None = None
    rtsp: bool = False
    """Whether readers by RTSP log in with it."""

    sender = "accounts service"
    right = Right.ADMINISTER


class EndToken(Command, frozen=True):
    token: TokenId
    reason: Reason = ENDED

    sender = "accounts service"
    right = Right.ADMINISTER


class TokenEvent(Event, frozen=True):
    token: TokenId
    """Its name, which may be shown."""

    @property
    def stream(self) -> str:
        return token_stream(self.token)


class TokenMade(TokenEvent, frozen=True):
    """A program has access."""

    role: Role
    """`watcher`, `analyst`, `operator`, `admin`, `detector` or `monitor`."""
    scope: Scope
    """The cameras of which the program may know."""
    hash: str
    """SHA-256 of the token, in hex. The API does not show it."""
    until_ns: int | None = None
    """When it ends; null: it lasts until it is revoked."""
    rtsp: bool = False
    """Whether readers by RTSP log in with it. The access file then has what proves it."""

    severity = Severity.NOTICE
    emitters = ("MakeToken",)
    when = "before the answer, which is the only one with the token"
    stored = FIRST

    def sentence(self) -> str:
        return f"token {self.token} made{' for RTSP' if self.rtsp else ''}: {self.role.value}"


class TokenEnded(TokenEvent, frozen=True):
    """The token has no access any more. Viewers that were opened with it end."""

    reason: Reason
    """Code `token-ended`, `over` or `restored`."""

    ends_stream = True
    severity = Severity.NOTICE
    emitters = ("EndToken", "RestoreAccess")
    causes = (
        OUTSIDE,
        "UserChanged",
        "UserRemoved",
        "UserAdded",
        "TrustEnded",
        "PasskeyRemoved",
        "SessionEnded",
        "TokenEnded",
    )
    cause_note = "none; at a start, the first difference between the access file and the journal"
    when = "before the answer; viewers that depend on it end with it"
    stored = FIRST

    def sentence(self) -> str:
        return f"token {self.token} ended: {self.reason.text}"


def make_token(state: State, command: MakeToken, now_ns: int) -> Events:
    if NAME.fullmatch(command.token) is None:
        text = f"{command.token[:70]!r} is no name of a token: letters a to z, digits, and . _ - inside; at most 63"
        raise Rejected(Refusal.INVALID, text)
    if command.token in state.tokens:
        raise Rejected(Refusal.CONFLICT, f"there is a token {command.token} already")
    if len(state.tokens) >= MOST_TOKENS:
        raise Rejected(Refusal.CAP_REACHED, f"there are {MOST_TOKENS} tokens, which is the limit")
    require_all_of_admin(command.role, command.scope)
    if HASH.fullmatch(command.hash) is None:
        raise Rejected(Refusal.INVALID, "a token is known by the SHA-256 of its secret")
    if command.until_ns is not None and command.until_ns <= now_ns:
        raise Rejected(Refusal.INVALID, "the end of the token is in the past")
    if command.rtsp and Right.WATCH not in RIGHTS[command.role]:
        raise Rejected(Refusal.INVALID, "a token for RTSP needs a role that may watch: watcher, operator or admin")
    return (TokenMade(command.token, command.role, command.scope, command.hash, command.until_ns, command.rtsp),)


def end_token(state: State, command: EndToken, now_ns: int) -> Events:
    known = state.tokens.get(command.token)
    if known is None:
        raise Rejected(Refusal.UNKNOWN, f"there is no token {command.token!r}")
    leases = [lease for _, lease in sorted(state.leases.items()) if lease.by == of_token(known)]
    ended = [event for lease in leases for event in end(state, lease, command.reason, now_ns)]
    return (TokenEnded(known.token, command.reason), *ended)


def _token_made(state: State, event: TokenMade, at: Recorded) -> Changes:
    token = Token(
        event.token, event.role, event.scope, event.hash, at.wall_ns, event.until_ns, at.principal, event.rtsp
    )
    return {"tokens": state.tokens.insert(event.token, token), "access_changes": state.access_changes + 1}


def _token_ended(state: State, event: TokenEnded, at: Recorded) -> Changes:
    return {"tokens": state.tokens.remove(event.token), "access_changes": state.access_changes + 1}


DECISIONS: Decisions = {
    MakeToken: make_token,
    EndToken: end_token,
}


ARMS: Arms = {
    TokenMade: _token_made,
    TokenEnded: _token_ended,
}
