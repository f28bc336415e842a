"""Passkeys: logins by them, and those of users."""

from typing import Annotated

import msgspec
from quart import Response, request
from werkzeug.exceptions import Forbidden, NotFound

from supervisor.domain.ids import PasskeyId, SessionId, UserId
from supervisor.domain.rights import Right
from supervisor.domain.state import Passkey as KnownPasskey
from supervisor.ports.passkeys import Assertion, Attestation, PasskeysPort, RelyingParty

from .. import json
from ..access import principal
from ..bodies import Strict
from ..client import client
from ..json import Answer, Time, iso
from ..relying_party import relying_party_of
from ..routes import Route, Web
from .session import Session, accounts_of, asking, respond_logged_in, user_of

ALGORITHMS = (-8, -7, -257)
"""Signatures that are verified, by their number in COSE: Ed25519, ECDSA with P-256, RSA with SHA-256."""
Short = Annotated[bytes, msgspec.Meta(min_length=1, max_length=1024)]
Long = Annotated[bytes, msgspec.Meta(min_length=1, max_length=4096)]
Transports = Annotated[tuple[Annotated[str, msgspec.Meta(max_length=32)], ...], msgspec.Meta(max_length=8)]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]


class PasskeyAnswer(Strict, frozen=True):
    """The answer of an authenticator to a challenge, all of it in base64."""

    credential: Short
    client_data: Long
    authenticator_data: Short
    signature: Long
    user_handle: Short


class PasskeyWish(Strict, frozen=True):
    password: Annotated[str, msgspec.Meta(max_length=1024)] = ""


class MadePasskey(Strict, frozen=True):
    """A new passkey from an authenticator, its bytes in base64."""

    client_data: Long
    attestation: Annotated[bytes, msgspec.Meta(min_length=1, max_length=16384)]
    label: Label
    transports: Transports = ()


class PasskeyLabel(Strict, frozen=True):
    label: Label


class Challenge(Answer, frozen=True):
    """Data that a browser needs for a login by a passkey."""

    challenge: bytes
    """In base64. It is good once, for five minutes."""
    rp: str
    """The host to which passkeys are bound."""


class KnownCredential(Answer, frozen=True):
    """A passkey, as authenticators know it."""

    credential: bytes
    """In base64."""
    transports: tuple[str, ...]


class NewPasskey(Answer, frozen=True):
    """Data that a browser needs for a new passkey."""

    challenge: bytes
    """In base64. It is good once, for five minutes, and in this session."""
    rp: str
    """The host to which the passkey will be bound."""
    user: UserId
    user_handle: bytes
    """In base64: by which the authenticator knows the user."""
    algorithms: tuple[int, ...]
    """Signatures that are accepted, by their number in COSE; the best one first."""
    known: list[KnownCredential]
    """The passkeys that the user has at this host."""


class Passkey(Answer, frozen=True):
    """A passkey of a user."""

    passkey: PasskeyId
    user: UserId
    label: str
    since: Time
    used: Time | None
    """When it last opened a session; null: never."""


class Passkeys(Answer, frozen=True):
    passkeys: list[Passkey]
    """By user, the oldest first."""
    needs_password: bool
    """Whether one's password is needed to add one: the login was more than ten minutes ago."""


def passkeys_of(web: Web) -> tuple[PasskeysPort, RelyingParty]:
    """The passkeys, and the relying party of the page that asks. Raises as `accounts_of` and `relying_party_of`."""
    return accounts_of(web).passkeys, relying_party_of(request, web.settings.allow_origins)


async def begin_login(web: Web) -> Challenge:
    passkeys, party = passkeys_of(web)
    return Challenge(challenge=passkeys.begin_login(party, client()), rp=party.rp)


async def finish_login(web: Web, body: PasskeyAnswer) -> Response:
    passkeys, party = passkeys_of(web)
    assertion = Assertion(body.credential, body.client_data, body.authenticator_data, body.signature, body.user_handle)
    return respond_logged_in(await passkeys.log_in(party, assertion, client(), request.headers.get("User-Agent", "")))


def _own() -> tuple[UserId, SessionId]:
    """The user and the session that ask. Raises `Forbidden`."""
    found = user_of(principal().name)
    if found is None:
        raise Forbidden("only a user who has logged in has passkeys")
    return found


async def list_passkeys(web: Web) -> Passkeys:
    """List one's own passkeys; an admin gets those of all users."""
    found, is_admin = user_of(principal().name), principal().administers()
    own = found[0] if found else None
    users = [user for name, user in sorted(web.daemon.state.users.items()) if is_admin or name == own]
    shown = [_shown(user.user, each) for user in users for each in user.passkeys]
    accounts = web.gateway.accounts
    needs_password = found is not None and accounts is not None and accounts.passkeys.needs_password(found[1])
    return Passkeys(passkeys=shown, needs_password=needs_password)


async def begin_adding(web: Web, body: PasskeyWish) -> NewPasskey:
    """Ask for a challenge, for a new passkey of one's own."""
    (passkeys, party), (user, session) = passkeys_of(web), _own()
    new = await passkeys.begin_adding(user, session, party, client(), body.password)
    known = [KnownCredential(credential=credential, transports=transports) for credential, transports in new.known]
    return NewPasskey(
        challenge=new.challenge,
        rp=party.rp,
        user=user,
        user_handle=new.user_handle,
        algorithms=ALGORITHMS,
        known=known,
    )


async def finish_adding(web: Web, body: MadePasskey) -> Response:
    """Add a passkey of one's own."""
    (passkeys, party), (user, session) = passkeys_of(web), _own()
    made = Attestation(body.client_data, body.attestation, body.transports)
    added = await passkeys.add(user, session, party, made, body.label.strip(), asking())
    response = json.respond(_shown(*_find(web, added)), 201)
    response.headers["Location"] = f"../passkeys/{added}"  # relative to `/api/passkey/finish`
    return response


async def rename_passkey(web: Web, passkey: str, body: PasskeyLabel) -> Response:
    """Rename a passkey of one's own."""
    accounts = accounts_of(web)
    user, _ = _find(web, PasskeyId(passkey))
    if user != _own()[0]:
        raise NotFound(NO_PASSKEY)
    await accounts.passkeys.rename(user, PasskeyId(passkey), body.label.strip(), asking())
    return Response("", status=204)


async def remove_passkey(web: Web, passkey: str) -> Response:
    """Remove a passkey of one's own; an admin may remove any. The session that asks stays."""
    accounts = accounts_of(web)
    user, known = _find(web, PasskeyId(passkey))
    found = user_of(principal().name)
    is_own = found is not None and found[0] == user
    if not (is_own or principal().administers()):
        raise NotFound(NO_PASSKEY)
    session = web.daemon.state.sessions.get(found[1]) if found is not None else None
    keep = session.hash if session is not None else ""
    await accounts.passkeys.remove(user, known.passkey, asking(), keep)
    return Response("", status=204)


NO_PASSKEY = "there is no such passkey"


def _find(web: Web, passkey: PasskeyId) -> tuple[UserId, KnownPasskey]:
    """Raises `NotFound`."""
    for user in web.daemon.state.users.values():
        for each in user.passkeys:
            if each.passkey == passkey:
                return user.user, each
    raise NotFound(NO_PASSKEY)


def _shown(user: UserId, known: KnownPasskey) -> Passkey:
    used = iso(known.used_ns) if known.used_ns else None
    return Passkey(passkey=known.passkey, user=user, label=known.label, since=iso(known.since_ns), used=used)


ROUTES = (
    Route(
        method="POST",
        path="/api/session/passkey/begin",
        right=Right.NONE,
        handler=begin_login,
        summary="Ask for a challenge, to log in by a passkey.",
        answer=Challenge,
        response="the [challenge](#challenge)",
        errors=(403, 409, 429, 503),
    ),
    Route(
        method="POST",
        path="/api/session/passkey/finish",
        right=Right.NONE,
        handler=finish_login,
        summary="Log in by a passkey.",
        body=PasskeyAnswer,
        request="the answer of an authenticator to the challenge: `credential`, `client_data`, `authenticator_data`, "
        "`signature`, `user_handle`, in base64",
        status=201,
        answer=Session,
        response="the [session](#session), with a cookie that holds its secret",
        errors=(403, 409, 415, 429, 503),
    ),
    Route(
        method="GET",
        path="/api/passkeys",
        right=Right.INSPECT,
        handler=list_passkeys,
        summary="List one's own passkeys; for an admin, all.",
        answer=Passkeys,
        response="`passkeys`: a list of [passkeys](#passkey), by user, the oldest first",
    ),
    Route(
        method="POST",
        path="/api/passkey/begin",
        right=Right.INSPECT,
        handler=begin_adding,
        summary="Ask for a challenge, for a new passkey of one's own.",
        body=PasskeyWish,
        request="`password`: one's own, if the login was more than ten minutes ago",
        answer=NewPasskey,
        response="what a browser needs to [make it](#newpasskey)",
        errors=(403, 409, 415, 429, 503),
    ),
    Route(
        method="POST",
        path="/api/passkey/finish",
        right=Right.INSPECT,
        handler=finish_adding,
        summary="Add a passkey of one's own.",
        body=MadePasskey,
        request="the new passkey from an authenticator: `client_data` and `attestation` in base64, `transports`; "
        "`label`",
        status=201,
        answer=Passkey,
        response="the [passkey](#passkey)",
        errors=(403, 409, 415, 422, 429, 503),
    ),
    Route(
        method="PUT",
        path="/api/passkeys/{passkey}",
        right=Right.INSPECT,
        handler=rename_passkey,
        summary="Rename a passkey of one's own.",
        body=PasskeyLabel,
        request="`label`",
        status=204,
        errors=(403, 404, 409, 415, 422, 503),
    ),
    Route(
        method="DELETE",
        path="/api/passkeys/{passkey}",
        right=Right.INSPECT,
        handler=remove_passkey,
        summary="Remove a passkey of one's own, or for an admin any. Sessions that it opened end, except the one that "
        "asks.",
        status=204,
        errors=(404, 409, 503),
    ),
)
