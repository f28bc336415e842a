"""Logins: one's own session, and the sessions of all users."""

from typing import Annotated

import msgspec
from quart import Response, request
from werkzeug.exceptions import Conflict, Forbidden, NotFound

from supervisor.domain.ids import SessionId, ShareId, UserId
from supervisor.domain.rights import OF_USERS, SHARE, USER, Right, Role, Scope
from supervisor.domain.session import LOGGED_OUT
from supervisor.domain.state import UserSession
from supervisor.domain.values import Fault, Reason
from supervisor.ports.accounts import AccountsPort, LoggedIn
from supervisor.ports.decisions import Origin

from .. import json
from ..access import forget_session, principal, set_session
from ..bodies import Strict
from ..client import client
from ..json import Answer, Time, iso
from ..routes import Route, Web

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
ENDED = Reason("ended-by-admin", "an admin ended the session", Fault.NONE)


class LogIn(Strict, frozen=True):
    user: Name
    password: Password


class NewPassword(Strict, frozen=True):
    old: Password
    new: Password


class CameraScope(Answer, frozen=True):
    """The cameras that somebody may know of."""

    everything: bool
    cameras: tuple[str, ...]
    groups: tuple[str, ...]

    @classmethod
    def of(cls, scope: Scope) -> "CameraScope":
        return cls(everything=scope.everything, cameras=scope.cameras, groups=scope.groups)


class Session(Answer, frozen=True):
    """One login of a user."""

    session: SessionId
    user: UserId
    client: str
    """The address from which it was opened."""
    agent: str
    """The browser, as it calls itself."""
    by: str
    """How the user proved who it is."""
    since: Time
    until: Time
    """When it ends, used or not."""
    own: bool
    """Whether this request belongs to it."""


class Me(Answer, frozen=True):
    """The principal of this request, and what it may do."""

    user: UserId | None
    """Null for a client that has not logged in, and for a program with a token."""
    role: Role | None
    rights: list[Right]
    scope: CameraScope
    until: Time | None
    login: bool
    """Whether there are users, so that one can log in."""
    share: ShareId | None
    """The share whose link this browser has opened; null for anybody else."""


class Sessions(Answer, frozen=True):
    sessions: list[Session]
    """The newest first."""


def accounts_of(web: Web) -> AccountsPort:
    """Raises `Conflict` over a journal without a daemon."""
    if web.gateway.accounts is None:
        raise Conflict("a journal without a daemon has no users")
    return web.gateway.accounts


def asking() -> Origin:
    return Origin(principal().name)


def user_of(name: str) -> tuple[UserId, SessionId] | None:
    """The user and the session of a principal; None for another kind of principal."""
    if not name.startswith(USER):
        return None
    user, _, session = name.removeprefix(USER).partition("/")
    return UserId(user), SessionId(session)


def share_in(name: str) -> ShareId | None:
    """The share of a principal that has opened its link."""
    return ShareId(name.removeprefix(SHARE).partition("/")[0]) if name.startswith(SHARE) else None


async def show_me(web: Web) -> Me:
    asks, state = principal(), web.daemon.state
    found = user_of(asks.name)
    user = state.users.get(found[0]) if found else None
    return Me(
        user=user.user if user else None,
        role=user.role if user else None,
        rights=sorted(asks.rights if state.trust_ended else set(asks.rights) - OF_USERS),
        scope=CameraScope.of(asks.scope),
        until=None if asks.until_ns is None else iso(asks.until_ns),
        login=state.trust_ended,
        share=share_in(asks.name),
    )


def may_log_in(web: Web) -> None:
    if web.gateway.accounts is not None:
        web.gateway.accounts.require_login(client())


async def log_in(web: Web, body: LogIn) -> Response:
    agent = request.headers.get("User-Agent", "")
    return respond_logged_in(await accounts_of(web).log_in(body.user, body.password, client(), agent))


def respond_logged_in(opened: LoggedIn) -> Response:
    """The new session, whose secret is in the cookie."""
    known = opened.session
    response = json.respond(session(known, known.session), 201)
    give_session(response, opened)
    return response


def give_session(response: Response, opened: LoggedIn) -> None:
    """Set the cookie of a new session, for as long as it lasts."""
    known = opened.session
    set_session(response, opened.secret, request, max(1, (known.until_ns - known.opened_ns) // 10**9))


async def log_out(web: Web) -> Response:
    accounts, found = accounts_of(web), user_of(principal().name)
    if found is not None:
        await accounts.end_session(found[1], LOGGED_OUT, asking())
    elif web.gateway.shares is not None:
        web.gateway.shares.leave(principal().name)
    response = Response("", status=204)
    forget_session(response, request)
    return response


async def change_password(web: Web, body: NewPassword) -> Response:
    """Set one's own password; one's other sessions end."""
    accounts, found = accounts_of(web), user_of(principal().name)
    if found is None:
        raise Forbidden("only a user who has logged in has a password")
    user, name = found
    await accounts.change_own_password(user, body.old, body.new, client(), name)
    return Response("", status=204)


async def list_sessions(web: Web) -> Sessions:
    """List one's own sessions; an admin gets those of all users."""
    found, is_admin = user_of(principal().name), principal().administers()
    user, own = found or (None, SessionId(""))
    shown = [each for each in web.daemon.state.sessions.values() if is_admin or each.user == user]
    shown.sort(key=lambda each: (-each.opened_ns, each.session))
    return Sessions(sessions=[session(each, own) for each in shown])


async def end_session(web: Web, session: str) -> Response:
    """End a session of one's own; an admin may end any."""
    accounts, known = accounts_of(web), web.daemon.state.sessions.get(SessionId(session))
    found, is_admin = user_of(principal().name), principal().administers()
    is_own = known is not None and found is not None and known.user == found[0]
    if known is None or not (is_own or is_admin):
        raise NotFound("there is no such session, or it has ended")
    await accounts.end_session(known.session, LOGGED_OUT if is_own else ENDED, asking())
    return Response("", status=204)


def session(known: UserSession, own: SessionId) -> Session:
    return Session(
        session=known.session,
        user=known.user,
        client=known.client,
        agent=known.agent,
        by=known.by,
        since=iso(known.opened_ns),
        until=iso(known.until_ns),
        own=known.session == own,
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/session",
        right=Right.NONE,
        handler=show_me,
        summary="The principal of the request, and its rights.",
        answer=Me,
        response="the [principal](#me)",
    ),
    Route(
        method="POST",
        path="/api/session",
        right=Right.NONE,
        handler=log_in,
        admit=may_log_in,
        summary="Log in.",
        body=LogIn,
        request="`user` and `password`",
        status=201,
        answer=Session,
        response="the [session](#session), with a cookie that holds its secret",
        errors=(403, 409, 415, 429, 503),
    ),
    Route(
        method="DELETE",
        path="/api/session",
        right=Right.NONE,
        handler=log_out,
        summary="Log out: the session ends, with its viewers.",
        status=204,
        errors=(409, 503),
    ),
    Route(
        method="PUT",
        path="/api/session/password",
        right=Right.NONE,
        handler=change_password,
        summary="Change one's own password; one's other sessions end.",
        body=NewPassword,
        request="`old` and `new`",
        status=204,
        errors=(403, 409, 415, 422, 429, 503),
    ),
    Route(
        method="GET",
        path="/api/sessions",
        right=Right.INSPECT,
        handler=list_sessions,
        summary="List one's own sessions; for an admin, all.",
        answer=Sessions,
        response="`sessions`: a list of [sessions](#session), the newest first",
    ),
    Route(
        method="DELETE",
        path="/api/sessions/{session}",
        right=Right.INSPECT,
        handler=end_session,
        summary="End a session of one's own, or for an admin any; its viewers end within a second.",
        status=204,
        errors=(404, 409, 503),
    ),
)
