"""Users and tokens: an admin adds, changes and removes them."""

from datetime import datetime
from typing import Annotated

import msgspec
from quart import Response

from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, TokenId, UserId
from supervisor.domain.rights import Right, Role, Scope
from supervisor.domain.state import Token as KnownToken
from supervisor.domain.state import User as KnownUser

from .. import json
from ..bodies import Strict
from ..json import Answer, Time, iso
from ..routes import Route, Web
from .session import CameraScope, Name, Password, accounts_of, asking

Names = Annotated[tuple[Annotated[str, msgspec.Meta(max_length=63)], ...], msgspec.Meta(max_length=1000)]


class Access(Strict, frozen=True):
    """A role on all cameras, or on those that `cameras` and `groups` name."""

    role: Role
    everything: bool = False
    cameras: Names = ()
    groups: Names = ()

    @property
    def scope(self) -> Scope:
        if self.everything:
            return Scope(everything=True)
        return Scope(cameras=tuple(map(CameraId, self.cameras)), groups=self.groups)


class NewUser(Access, frozen=True, kw_only=True):
    user: Name
    password: Password


class PasswordOfUser(Strict, frozen=True):
    password: Password
    keep_passkeys: bool = False


class NewToken(Access, frozen=True, kw_only=True):
    token: Name
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    rtsp: bool = False


class User(Answer, frozen=True):
    """A person who may log in."""

    user: UserId
    role: Role
    scope: CameraScope
    since: Time
    sessions: int
    """The number of logins that have not ended."""
    passkeys: int
    """The number of passkeys; [a list](#passkeys) has them."""


class UnknownNames(Answer, frozen=True):
    """The part of a scope that is not configured now: misspelled, or for later."""

    cameras: list[str]
    groups: list[str]


class StoredUser(User, frozen=True):
    """A user as it was stored."""

    unknown: UnknownNames


class Users(Answer, frozen=True):
    users: list[User]
    """By name."""


class Token(Answer, frozen=True):
    """The access of a program."""

    token: TokenId
    role: Role
    scope: CameraScope
    since: Time
    until: Time | None
    by: str
    """The principal that made it."""
    rtsp: bool
    """Whether readers by RTSP log in with it."""


class Tokens(Answer, frozen=True):
    tokens: list[Token]
    """By name."""


class MadeToken(Answer, frozen=True):
    token: TokenId
    secret: str
    """The program sends it as `Authorization: Bearer`; for RTSP it is the password. It is not shown again."""
    unknown: UnknownNames


async def list_users(web: Web) -> Users:
    state = web.gateway.state
    logins = [session.user for session in state.sessions.values()]
    return Users(users=[user(known, logins.count(name)) for name, known in sorted(state.users.items())])


async def add_user(web: Web, body: NewUser) -> Response:
    await accounts_of(web).add_user(UserId(body.user), body.role, body.scope, body.password, asking())
    response = json.respond(stored_user(web, UserId(body.user), body.scope), 201)
    response.headers["Location"] = f"users/{body.user}"  # relative to `/api/users`: below any prefix of a proxy
    return response


async def change_user(web: Web, user: str, body: Access) -> StoredUser:
    """Give a user another role and scope; viewers that they may not have any more end."""
    await accounts_of(web).change_user(UserId(user), body.role, body.scope, asking())
    return stored_user(web, UserId(user), body.scope)


async def set_password(web: Web, user: str, body: PasswordOfUser) -> Response:
    """Set the password of a user, whose sessions end. The passkeys are removed, unless the admin keeps them."""
    end_passkeys = not body.keep_passkeys
    await accounts_of(web).set_password(UserId(user), body.password, asking(), end_passkeys=end_passkeys)
    return Response("", status=204)


async def remove_user(web: Web, user: str) -> Response:
    await accounts_of(web).remove_user(UserId(user), asking())
    return Response("", status=204)


async def list_tokens(web: Web) -> Tokens:
    return Tokens(tokens=[token(known) for _, known in sorted(web.gateway.state.tokens.items())])


async def make_token(web: Web, body: NewToken) -> Response:
    until_ns = None if body.until is None else int(body.until.timestamp() * 1e9)
    name = TokenId(body.token)
    secret = await accounts_of(web).make_token(name, body.role, body.scope, until_ns, asking(), rtsp=body.rtsp)
    return json.respond(MadeToken(token=name, secret=secret, unknown=unknown_in(web, body.scope)), 201)


async def end_token(web: Web, token: str) -> Response:
    await accounts_of(web).end_token(TokenId(token), asking())
    return Response("", status=204)


def unknown_in(web: Web, scope: Scope) -> UnknownNames:
    """The cameras and groups of a scope that are not configured."""
    cameras = web.daemon.state.cameras
    groups = {camera.settings.group for camera in cameras.values()}
    return UnknownNames(
        cameras=[name for name in scope.cameras if name not in cameras],
        groups=[name for name in scope.groups if name not in groups],
    )


def stored_user(web: Web, name: UserId, scope: Scope) -> StoredUser:
    """Raises `Rejected` if the user is removed already."""
    state = web.daemon.state
    known = state.users.get(name)
    if known is None:
        raise Rejected(Refusal.UNKNOWN, f"there is no user {name!r}")
    logins = sum(session.user == name for session in state.sessions.values())
    return StoredUser(**msgspec.structs.asdict(user(known, logins)), unknown=unknown_in(web, scope))


def user(known: KnownUser, sessions: int) -> User:
    scope = CameraScope.of(known.scope)
    since, passkeys = iso(known.since_ns), len(known.passkeys)
    return User(user=known.user, role=known.role, scope=scope, since=since, sessions=sessions, passkeys=passkeys)


def token(known: KnownToken) -> Token:
    until = None if known.until_ns is None else iso(known.until_ns)
    scope = CameraScope.of(known.scope)
    return Token(
        token=known.token,
        role=known.role,
        scope=scope,
        since=iso(known.since_ns),
        until=until,
        by=known.by,
        rtsp=known.rtsp,
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/users",
        right=Right.ADMINISTER,
        handler=list_users,
        summary="List the users.",
        answer=Users,
        response="`users`: a list of [users](#user), by name",
    ),
    Route(
        method="POST",
        path="/api/users",
        right=Right.ADMINISTER,
        handler=add_user,
        summary="Add a user. The first one is an admin of all cameras, and ends the trust in clients of this machine.",
        body=NewUser,
        request="`user`, `password`, `role`; `everything`, or lists of `cameras` and `groups`",
        status=201,
        answer=StoredUser,
        response="the [user](#storeduser)",
        errors=(409, 415, 422, 429, 503),
    ),
    Route(
        method="PUT",
        path="/api/users/{user}",
        right=Right.ADMINISTER,
        handler=change_user,
        summary="Give a user another role and other cameras. Viewers that they may not have any more end.",
        body=Access,
        request="`role`; `everything`, or lists of `cameras` and `groups`",
        answer=StoredUser,
        response="the [user](#storeduser)",
        errors=(404, 409, 415, 422, 503),
    ),
    Route(
        method="PUT",
        path="/api/users/{user}/password",
        right=Right.ADMINISTER,
        handler=set_password,
        summary="Set the password of a user, whose sessions end. The passkeys of the user are removed.",
        body=PasswordOfUser,
        request="`password`; `keep_passkeys`: leave the passkeys as they are",
        status=204,
        errors=(404, 409, 415, 422, 429, 503),
    ),
    Route(
        method="DELETE",
        path="/api/users/{user}",
        right=Right.ADMINISTER,
        handler=remove_user,
        summary="Remove a user, with sessions and viewers.",
        status=204,
        errors=(404, 409, 503),
    ),
    Route(
        method="GET",
        path="/api/tokens",
        right=Right.ADMINISTER,
        handler=list_tokens,
        summary="List the tokens.",
        answer=Tokens,
        response="`tokens`: a list of [tokens](#token), by name",
    ),
    Route(
        method="POST",
        path="/api/tokens",
        right=Right.ADMINISTER,
        handler=make_token,
        summary="Make a token, for a program.",
        body=NewToken,
        request="`token` (its name), `role`; `everything`, or lists of `cameras` and `groups`; `until`; "
        "`rtsp`, with which readers by RTSP log in",
        status=201,
        answer=MadeToken,
        response="the [token](#madetoken), which is not shown again",
        errors=(409, 415, 422, 503),
    ),
    Route(
        method="DELETE",
        path="/api/tokens/{token}",
        right=Right.ADMINISTER,
        handler=end_token,
        summary="Revoke a token; its viewers end within a second.",
        status=204,
        errors=(404, 409, 503),
    ),
)
