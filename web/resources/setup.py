"""The setup link: somebody at another machine makes the first user."""

from typing import Annotated

import msgspec
from quart import Response, request
from werkzeug.exceptions import Conflict

from supervisor.domain.rights import Right
from supervisor.ports.setup import SetupPort

from ..bodies import Strict
from ..client import client
from ..json import Answer, Time, iso
from ..routes import Proof, Route, Web
from .session import Name, Password, Session, respond_logged_in

LOCAL_ONLY = (
    "this banken serves its own machine only, which needs no link: make the first user on its page, or by banken user "
    "add NAME --role admin"
)
NO_PAGE = "the part dashboard is off, so there is no page for a link: banken user add NAME --role admin makes the user"


class SetupLink(Answer, frozen=True):
    link: str
    """The page, with the secret behind `#`, where no server and no log sees it."""
    until: Time


class FirstUser(Strict, frozen=True):
    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    user: Name
    password: Password


def setup_of(web: Web) -> SetupPort:
    """Raises `Conflict` where no link can make the first user."""
    if web.daemon.setup is None:
        raise Conflict("a journal without a daemon has no users")
    if not web.settings.setup_url:
        raise Conflict(LOCAL_ONLY)
    return web.daemon.setup


async def renew_link(web: Web) -> SetupLink:
    """Make a link, which ends the one before."""
    if "dashboard" in web.settings.off:
        raise Conflict(NO_PAGE)
    made = setup_of(web).renew()
    return SetupLink(link=f"{web.settings.setup_url}setup#{made.text}", until=iso(made.until_ns))


async def make_first_user(web: Web, body: FirstUser) -> Response:
    """Make the first user, who is logged in by the answer."""
    agent = request.headers.get("User-Agent", "")
    opened = await setup_of(web).use(body.secret, body.user, body.password, client(), agent)
    return respond_logged_in(opened)


ROUTES = (
    Route(
        method="POST",
        path="/api/setup",
        right=Right.NONE,
        handler=make_first_user,
        summary="Make the first user by a setup link, and log in.",
        body=FirstUser,
        request="`secret` (the link's part behind `#`), `user` and `password`",
        status=201,
        answer=Session,
        response="the [session](#session), with a cookie that holds its secret",
        errors=(403, 409, 415, 422, 429, 503),
        before_users=True,
    ),
    Route(
        method="POST",
        path="/api/setup/link",
        right=Right.ADMINISTER,
        handler=renew_link,
        proof=Proof.CONTROL,
        summary="Make a setup link. It works once, for 15 minutes; the one before ends.",
        answer=SetupLink,
        response="the [link](#setuplink)",
        errors=(403, 409, 503),
    ),
)
