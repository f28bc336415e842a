"""Logins by OpenID Connect: discovery, the authorization code flow with PKCE, and the keys of the provider.

Rules of this file:
- Nothing that a browser brings is believed: its `state` is known once, for `LOGIN_S`, and only with the secret that the
  same browser has in a cookie. The ID token answers one login by its nonce, and comes from the provider by TLS.
- Every request to the provider is bounded in time and bytes, and at most `AT_ONCE` are on their way. While it does not
  answer, it is asked every `RETRY_S` and not by each login.
- Keys are read again when a token names an unknown one, at most once in `KEYS_EVERY_S`.
- No secret, code or token is logged, journaled, or part of an error.
"""

import base64
import hashlib
import logging
import secrets
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar
from urllib.parse import quote, urlencode

import attrs
import msgspec
import trio

from ..base.printable import brief
from ..base.threads import ThreadRefused, run_in_thread
from ..config.login_provider import LoginProvider, is_safe_url
from ..domain.bucket import Bucket
from ..domain.clients import network_of
from ..domain.ids import SessionId, UserId
from ..domain.monitors import Reading
from ..domain.values import Fault, Reason
from ..ports.accounts import LoggedIn
from ..ports.login_provider import LOGIN_S, Begun, LoginRefused, Returned
from ..runtime.kernel import Kernel
from .access_file import Link
from .accounts import Accounts, digest
from .bounded_http import HttpAnswer, HttpError, fetch, load_context
from .challenges import oldest_of_most
from .id_token import Claims, Expected, PublicKey, TokenRefused, UnknownKey, find_key, read_claims, read_keys, verify
from .identities import Identities

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

BACK = "login/oidc/back"
"""The path to which the provider sends the browser back."""
MOST_LOGINS, MOST_OF_NETWORK = 1024, 16
"""Logins that may be on their way at the provider: all, and those of one network. Beyond it the oldest is forgotten."""
BEGINS, BEGIN_EVERY_S = 10, 6.0
"""Logins that one network may begin at once, and the seconds until one more."""
AT_ONCE, MOST_WAITING = 4, 16
PATIENCE_S = 10.0
"""For one request; a whole login takes at most twice that."""
MOST_ANSWER, MOST_KEYS = 64 * 1024, 256 * 1024
"""Bytes of an answer, and of the keys."""
REFRESH_S, RETRY_S, KEYS_EVERY_S = 300.0, 30.0, 60.0
AGAIN_S = 10.0
"""For how long a failure answers further logins."""
MOST_CODE = 4096
MOST_ERROR = 200


class ProviderError(Exception):
    """The provider cannot be reached, or answers wrongly. The text is for people."""


class _Metadata(msgspec.Struct, frozen=True):
    """The fields of the discovery document that are read."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Tokens(msgspec.Struct, frozen=True):
    token_type: str
    id_token: str


class _Failed(msgspec.Struct, frozen=True):
    error: str


@attrs.define
class _Known:
    """The discovery document of the provider, and its keys."""

    metadata: _Metadata
    keys: tuple[PublicKey, ...]
    keys_at: float
    context: ssl.SSLContext | None


@attrs.frozen
class _Login:
    """A login that is on its way at the provider."""

    browser: str
    """SHA-256 of the secret in the cookie."""
    nonce: str
    verifier: str
    redirect: str
    session: SessionId | None
    network: str
    until: float


class Oidc:
    """One login provider. Made once by the daemon."""

    def __init__(
        self, settings: LoginProvider, kernel: Kernel, accounts: Accounts, clock_s: Callable[[], float] | None = None
    ) -> None:
        self.settings, self._kernel, self._accounts = settings, kernel, accounts
        self._identities = Identities(kernel, accounts)
        self._wall_s = clock_s or (lambda: kernel.clock.wall_ns() / 1e9)
        self._known: _Known | None = None
        self._reading = trio.Lock()
        self._asking, self._waiting = trio.CapacityLimiter(AT_ONCE), 0
        self._checking = trio.CapacityLimiter(1)
        self._logins: OrderedDict[str, _Login] = OrderedDict()
        self._buckets: dict[str, Bucket] = {}
        self._problem, self._failures, self._failed_at = "", 0, -AGAIN_S

    @property
    def name(self) -> str:
        return self.settings.name

    def is_linked(self, user: UserId) -> bool:
        return self._identities.is_linked(user)

    async def unlink(self, session: SessionId) -> None:
        await self._identities.unlink(session)

    # ── the provider ────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Read again what the provider says of itself, now and then, so that health knows before somebody logs in.

        Cancellation: at any time. Cleanup: a connection is closed.
        """
        while True:
            try:
                await self._refresh()
            except ProviderError as error:
                logger.warning("the login provider %s: %s", self.name, error)
            await trio.sleep(RETRY_S if self._failures else REFRESH_S)

    def reading(self) -> Reading:
        """Whether one can log in by the provider, for the monitors."""
        if self._failures:
            return Reading(float(self._failures), f"nobody can log in by {self.name}: {self._problem}")
        return Reading(0.0, f"one can log in by {self.name}")

    async def _refresh(self) -> _Known:
        async with self._reading:
            try:
                self._known = await self._discover()
            except ProviderError as error:
                self._fail(error)
                raise
            self._failures, self._problem = 0, ""
            return self._known

    def _fail(self, error: ProviderError) -> None:
        self._problem, self._failed_at = str(error), trio.current_time()
        self._failures += 1

    async def _discover(self) -> _Known:
        issuer = self.settings.issuer
        context = None
        if issuer.startswith("https:"):
            try:
                context = await load_context(self.settings.ca)
            except HttpError as error:
                raise ProviderError(f"access.oidc.ca: {error}") from None
            except OSError as error:
                raise ProviderError(f"the certificates of the CAs cannot be read: {error.strerror or error}") from None
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        answer = await self._ask(url, context, MOST_ANSWER)
        try:
            found = msgspec.json.decode(answer.body, type=_Metadata)
        except (msgspec.MsgspecError, RecursionError):
            raise ProviderError("its discovery document cannot be read; access.oidc.issuer may be wrong") from None
        if found.issuer != issuer:
            shown = brief(found.issuer, 100)
            raise ProviderError(f"it calls itself {shown}, and access.oidc.issuer is another name")
        plain = context is None
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not is_safe_url(getattr(found, name), plain=plain):
                raise ProviderError(f"its {name} is no address with https")
        return _Known(found, await self._read_keys(found, context), trio.current_time(), context)

    async def _read_keys(self, metadata: _Metadata, context: ssl.SSLContext | None) -> tuple[PublicKey, ...]:
        answer = await self._ask(metadata.jwks_uri, context, MOST_KEYS)
        try:
            return await run_in_thread(partial(read_keys, answer.body), limiter=self._checking)
        except TokenRefused as error:
            raise ProviderError(str(error)) from None
        except ThreadRefused as error:
            raise ProviderError(f"the system refuses a thread: {error.strerror}") from None

    async def _ask(
        self,
        url: str,
        context: ssl.SSLContext | None,
        most: int,
        body: bytes | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> HttpAnswer:
        """Raises `ProviderError` for any status but 200, and 4xx to a form: that concerns one login."""
        try:
            answer = await fetch(url, context, patience_s=PATIENCE_S, most=most, body=body, headers=headers)
        except HttpError as error:
            raise ProviderError(str(error)) from None
        if 300 <= answer.status < 400:
            raise ProviderError(f"it answers with status {answer.status}, a redirect, which is not followed")
        if answer.status != 200 and (body is None or not 400 <= answer.status < 500):
            raise ProviderError(f"it refuses with status {answer.status}")
        return answer

    async def _provider(self) -> _Known:
        """The provider as it describes itself. Raises `LoginRefused`."""
        if self._known is not None and not self._failures:
            return self._known
        if trio.current_time() < self._failed_at + AGAIN_S:
            raise LoginRefused("provider", f"{self.name}: {self._problem}")
        try:
            return await self._refresh()
        except ProviderError as error:
            raise LoginRefused("provider", f"{self.name}: {error}") from None

    # ── the login ───────────────────────────────────────────────────────────────────────────────────────────────

    async def begin(self, origin: str, client: str, session: SessionId | None) -> Begun:
        """Begin a login of a browser that came to `origin`; with `session`, to link its user. Raises `LoginRefused`."""
        self._charge(client)
        known = await self._bounded(self._provider)
        state, nonce, verifier, browser = (secrets.token_urlsafe(32) for _ in range(4))
        redirect = f"{origin}/{BACK}"
        until = trio.current_time() + LOGIN_S
        network = network_of(client)
        self._make_room(network)
        self._logins[state] = _Login(digest(browser), nonce, verifier, redirect, session, network, until)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code", "client_id": self.settings.client_id, "redirect_uri": redirect,
            "scope": " ".join(self.settings.scopes), "state": state, "nonce": nonce,
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        address = known.metadata.authorization_endpoint
        return Begun(f"{address}{'&' if '?' in address else '?'}{urlencode(query)}", browser)

    async def finish(self, returned: Returned, client: str, agent: str, session: SessionId | None) -> LoggedIn | None:
        """End a login: a new session, or None after a link. Raises `LoginRefused`."""
        login = self._take(returned)
        try:
            return await self._finish(login, returned, client, agent, session)
        except LoginRefused as refused:
            logger.warning("a login by %s from %s was refused: %s", self.name, client, refused)
            self._accounts.attempts.say_failed("", client, Reason("login-provider", str(refused), Fault.NONE))
            raise

    async def _finish(
        self, login: _Login, returned: Returned, client: str, agent: str, session: SessionId | None
    ) -> LoggedIn | None:
        if returned.error:
            code = "denied" if returned.error == "access_denied" else "provider"
            raise LoginRefused(code, f"{self.name} answers {brief(returned.error, MOST_ERROR)!r}")
        if not 0 < len(returned.code) <= MOST_CODE:
            raise LoginRefused("provider", f"{self.name} gave no code")
        if login.session is not None and login.session != session:
            raise LoginRefused("out", "a link was requested by a session that this browser does not have any more")
        claims = await self._bounded(partial(self._claims, login, returned))
        link = Link(self.settings.issuer, claims.subject, self.name)
        if login.session is not None:
            await self._identities.link(link, login.session)
            return None
        role = self.settings.role_of(claims.groups)
        if role is None:
            await self._identities.refuse(link)
            raise LoginRefused(
                "group", f"none of the groups of {brief(claims.user, 70)!r} has a role in access.oidc.roles"
            )
        longest_s = self.settings.session_s
        return await self._identities.admit(link, claims.user, role, client, agent, longest_s)

    async def _claims(self, login: _Login, returned: Returned) -> Claims:
        """Exchange the code for an ID token, and check it. Raises `LoginRefused`."""
        known = await self._provider()
        is_named = known.metadata.authorization_response_iss_parameter_supported
        if (returned.issuer or is_named) and returned.issuer != self.settings.issuer:
            raise LoginRefused("provider", f"the answer is not of {self.name}, but of another provider")
        try:
            tokens = await self._exchange(known, login, returned.code)
            return await self._check(known, tokens.id_token, login.nonce)
        except (ProviderError, TokenRefused) as error:
            if isinstance(error, ProviderError):
                self._fail(error)
            raise LoginRefused("provider", f"{self.name}: {error}") from None

    async def _exchange(self, known: _Known, login: _Login, code: str) -> _Tokens:
        settings, secret = self.settings, self.settings.client_secret
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": login.redirect,
            "code_verifier": login.verifier,
        }  # fmt: skip
        headers: tuple[tuple[str, str], ...] = ()
        if secret and "client_secret_basic" in known.metadata.token_endpoint_auth_methods_supported:
            login_text = f"{quote(settings.client_id, safe='')}:{quote(secret, safe='')}"
            headers = (("Authorization", f"Basic {base64.b64encode(login_text.encode()).decode()}"),)
        else:
            form |= {"client_id": settings.client_id, **({"client_secret": secret} if secret else {})}
        answer = await self._ask(
            known.metadata.token_endpoint, known.context, MOST_ANSWER, urlencode(form).encode(), headers
        )
        try:
            if answer.status != 200:
                found = msgspec.json.decode(answer.body, type=_Failed)
                raise TokenRefused(f"it refuses the code: {brief(found.error, 60)}")
            tokens = msgspec.json.decode(answer.body, type=_Tokens)
        except (msgspec.MsgspecError, RecursionError):
            raise TokenRefused("its answer has no ID token that can be read") from None
        if tokens.token_type.lower() != "bearer":
            raise TokenRefused("its answer has another type of token than Bearer")
        return tokens

    async def _check(self, known: _Known, token: str, nonce: str) -> Claims:
        try:
            key, algorithm = find_key(token, known.keys)
        except UnknownKey:
            key, algorithm = find_key(token, await self._newer_keys(known))
        settings = self.settings
        expected = Expected(settings.issuer, settings.client_id, nonce, settings.user_claim, settings.groups_claim)
        try:
            found = await run_in_thread(partial(verify, token, key, algorithm), limiter=self._checking)
        except (ThreadRefused, MemoryError):
            raise TokenRefused("the system has no thread or memory to check its answer") from None
        return read_claims(found, expected, self._wall_s())

    async def _newer_keys(self, known: _Known) -> tuple[PublicKey, ...]:
        """The keys, read again if that was not done in the last minute. Raises `ProviderError`."""
        async with self._reading:
            if trio.current_time() >= known.keys_at + KEYS_EVERY_S:
                known.keys_at = trio.current_time()
                known.keys = await self._read_keys(known.metadata, known.context)
            return known.keys

    # ── bounds ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _bounded(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Wait for one of `AT_ONCE`, and not for longer than a login may take. Raises `LoginRefused`."""
        if self._waiting >= MOST_WAITING:
            raise LoginRefused("busy", "many people log in just now")
        self._waiting += 1
        try:
            with trio.move_on_after(2 * PATIENCE_S):
                async with self._asking:
                    return await work()
        finally:
            self._waiting -= 1
        raise LoginRefused("provider", f"{self.name} did not answer within {2 * PATIENCE_S:g} s")

    def _charge(self, client: str) -> None:
        """Take one of the logins that the network of the client may begin. Raises `LoginRefused`."""
        now, network = trio.current_time(), network_of(client)
        if len(self._buckets) >= MOST_LOGINS:
            self._buckets = {name: one for name, one in self._buckets.items() if not one.is_full(now)}
        network = network if network in self._buckets or len(self._buckets) < MOST_LOGINS else ""
        bucket = self._buckets.setdefault(network, Bucket(1 / BEGIN_EVERY_S, BEGINS, now))
        if bucket.ready_in(now) > 0:
            raise LoginRefused("busy", f"{client} begins too many logins")
        bucket.take(now)

    def _make_room(self, network: str) -> None:
        now = trio.current_time()
        while self._logins and next(iter(self._logins.values())).until <= now:
            self._logins.popitem(last=False)
        own = [state for state, login in self._logins.items() if login.network == network]
        for state in own[: max(0, len(own) - MOST_OF_NETWORK + 1)]:
            del self._logins[state]
        if len(self._logins) >= MOST_LOGINS:
            del self._logins[oldest_of_most({state: login.network for state, login in self._logins.items()})]

    def _take(self, returned: Returned) -> _Login:
        """The login to which a browser comes back, once. Raises `LoginRefused`."""
        login = self._logins.pop(returned.state, None)
        if login is None or trio.current_time() >= login.until:
            raise LoginRefused("stale", "the login was not begun here, is over, or took too long")
        if not secrets.compare_digest(login.browser, digest(returned.browser)):
            raise LoginRefused("stale", "the login was begun by another browser")
        return login
