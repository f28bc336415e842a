"""Logins by a login provider (OpenID Connect), and the link of one's own account to it."""

import logging
import re

from quart import Response, request
from werkzeug.exceptions import Conflict, Forbidden, NotFound

from supervisor.domain.ids import SessionId
from supervisor.ports.login_provider import LOGIN_S, Begun, LoginProviderPort, LoginRefused, Returned

from .. import json
from ..access import is_secure, principal
from ..client import client
from ..json import Answer
from ..public_origin import public_origin
from ..queries import Query
from ..routes import Right, Route, Web
from .session import accounts_of, give_session, user_of

logger = logging.getLogger(__name__)

SECURE_COOKIE, COOKIE = "__Host-banken-login", "banken-login"
"""The cookie with the secret of a login that is on its way; over TLS, and over plain HTTP on loopback."""
PLAIN = "plain"
"""The code of a refusal that only the web layer knows: the page is not served by https."""
OLD_LOGIN = "the login was more than ten minutes ago, so somebody else may be here: log in again, and then link"
HOME = "../"
"""From `/login/oidc` to the page, below any prefix of a proxy."""
HOME_OF_BACK = "../../"
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class Back(Query, frozen=True, forbid_unknown_fields=False):
    """The answer of the login provider. All of it may be forged."""

    state: str = ""
    code: str = ""
    error: str = ""
    iss: str = ""


class OwnProvider(Answer, frozen=True):
    """The login provider, and one's own account there."""

    provider: str | None
    """Its name; null without one."""
    linked: bool
    """Whether one's own account is linked to it."""


class LinkBegun(Answer, frozen=True):
    location: str
    """Where the browser goes on."""


def provider_of(web: Web) -> LoginProviderPort:
    """Raises `NotFound` without a login provider, and `Conflict` over a journal without a daemon."""
    accounts_of(web)
    if web.daemon.provider is None:
        raise NotFound("the configuration names no login provider: access.oidc")
    return web.daemon.provider


def _own_session() -> SessionId | None:
    found = user_of(principal().name)
    return None if found is None else found[1]


async def show(web: Web) -> OwnProvider:
    provider, found = web.daemon.provider, user_of(principal().name)
    if provider is None:
        return OwnProvider(provider=None, linked=False)
    return OwnProvider(provider=provider.name, linked=found is not None and provider.is_linked(found[0]))


async def begin(web: Web) -> Response:
    provider = provider_of(web)
    try:
        begun = await _begin(web, provider, None)
    except LoginRefused as refused:
        return _to_page(HOME, refused.code)
    response = _redirect(begun.location)
    _remember(response, begun)
    return response


async def finish(web: Web, query: Back) -> Response:
    provider, secure = provider_of(web), is_secure(request)
    browser = request.cookies.get(SECURE_COOKIE if secure else COOKIE, "")
    returned = Returned(query.state, query.code, query.error, query.iss, browser if _SECRET.fullmatch(browser) else "")
    try:
        agent = request.headers.get("User-Agent", "")
        opened = await provider.finish(returned, client(), agent, _own_session())
    except LoginRefused as refused:
        response = _to_page(HOME_OF_BACK, refused.code)
    else:
        response = _to_page(HOME_OF_BACK, "linked" if opened is None else "")
        if opened is not None:
            give_session(response, opened)
    response.delete_cookie(SECURE_COOKIE if secure else COOKIE, path="/", secure=secure, httponly=True, samesite="Lax")
    return response


async def link(web: Web) -> Response:
    """Begin to link one's own account: the browser goes on at `location`."""
    provider, session = provider_of(web), _own_session()
    if session is None:
        raise Forbidden("only a user who has logged in has an account to link")
    if accounts_of(web).passkeys.needs_password(session):
        raise Conflict(OLD_LOGIN)
    try:
        begun = await _begin(web, provider, session)
    except LoginRefused as refused:
        raise Conflict(str(refused)) from None
    response = json.respond(LinkBegun(location=begun.location), 201)
    _remember(response, begun)
    return response


async def unlink(web: Web) -> Response:
    provider, session = provider_of(web), _own_session()
    if session is None:
        raise Forbidden("only a user who has logged in has an account to unlink")
    await provider.unlink(session)
    return Response("", status=204)


async def _begin(web: Web, provider: LoginProviderPort, session: SessionId | None) -> Begun:
    origin = public_origin(request, web.settings.allow_origins)
    if origin is None:
        text = "a login provider needs https: open the page by https, or list its origin in web.allow_origins"
        logger.warning("%s", text)
        raise LoginRefused(PLAIN, text)
    return await provider.begin(origin, client(), session)


def _remember(response: Response, begun: Begun) -> None:
    """Give the browser the secret of its login: only the same browser can end it."""
    secure = is_secure(request)
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE, begun.browser, max_age=LOGIN_S, path="/",
        secure=secure, httponly=True, samesite="Lax",
    )  # fmt: skip


def _to_page(home: str, code: str) -> Response:
    """Back to the page, which has a text for `code`: nothing of an answer of the provider is part of the address."""
    return _redirect(f"{home}#login={code}" if code else home)


def _redirect(location: str) -> Response:
    response = Response("", status=303)
    response.headers["Location"] = location
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


ROUTES = (
    Route(
        method="GET",
        path="/api/session/provider",
        right=Right.NONE,
        handler=show,
        summary="The login provider, and whether one's own account is linked to it.",
        answer=OwnProvider,
        response="the [provider](#ownprovider)",
    ),
    Route(
        method="POST",
        path="/api/session/provider",
        right=Right.INSPECT,
        handler=link,
        summary="Begin to link one's own account to the login provider.",
        status=201,
        answer=LinkBegun,
        response="the [address](#linkbegun) where the browser goes on",
        errors=(403, 404, 409),
    ),
    Route(
        method="DELETE",
        path="/api/session/provider",
        right=Right.INSPECT,
        handler=unlink,
        summary="Unlink one's own account from the login provider; the other sessions end that it opened.",
        status=204,
        errors=(403, 404, 409, 503),
    ),
    Route(
        method="GET",
        path="/login/oidc",
        right=Right.NONE,
        handler=begin,
        summary="Log in by the login provider.",
        status=303,
        response="a redirect to the provider, or to the page with `#login=CODE`",
        errors=(404, 409),
    ),
    Route(
        method="GET",
        path="/login/oidc/back",
        right=Right.NONE,
        handler=finish,
        query=Back,
        summary="Come back from the login provider.",
        request="what the provider adds",
        status=303,
        response="a redirect to the page, with a session; or with `#login=CODE`",
        errors=(404, 409),
        takes_visits=True,
    ),
)
