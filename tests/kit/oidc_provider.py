"""A provider of OpenID Connect on loopback, which tests let do wrong. It asks nobody for a password: it has one person.

Its checks are those of a real one: the client, its secret, the redirect, PKCE with S256, and each code once.
"""

import base64
import hashlib
import hmac
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

import attrs
import h11
import trio
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "banken", "a-secret-of-the-client"
KINDS: Mapping[str, Callable[[], Any]] = {
    "RS256": lambda: RSAKey.generate_key(2048),
    "PS256": lambda: RSAKey.generate_key(2048),
    "ES256": lambda: ECKey.generate_key("P-256"),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519"),
}
MOST = 64 * 1024

Reply = tuple[int, dict[str, str], bytes]


@attrs.frozen
class Person:
    subject: str = "24400320"
    name: str = "carla"
    groups: tuple[str, ...] = ("admins",)


@attrs.define
class Key:
    kid: str
    algorithm: str
    private: Any

    @property
    def public(self) -> dict[str, Any]:
        return {**self.private.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": self.algorithm}


def make_key(kid: str = "first", algorithm: str = "ES256") -> Key:
    return Key(kid, algorithm, KINDS[algorithm]())


@attrs.define
class OidcProvider:
    """Its fields are what it does; a test changes them before or during a login."""

    issuer: str = ""
    person: Person | None = attrs.field(factory=Person)
    """None: it refuses the login."""
    keys: list[Key] = attrs.field(factory=lambda: [make_key()])
    """The first one signs, all are published."""
    signer: Key | None = None
    """A key that signs instead, and is not published."""
    now: Callable[[], float] = time.time
    claims: dict[str, Any] = attrs.field(factory=dict)
    """Claims of ID tokens that replace its own; one that is None is left out."""
    header: dict[str, Any] = attrs.field(factory=dict)
    """The same for their header."""
    sign: Callable[[dict[str, Any], dict[str, Any]], str] | None = None
    """Makes the ID token of header and claims, instead of signing it."""
    answer: dict[str, Any] = attrs.field(factory=dict)
    """Members of the answer with the tokens that replace its own."""
    document: dict[str, Any] = attrs.field(factory=dict)
    """The same for its discovery document."""
    back: dict[str, str] = attrs.field(factory=dict)
    """The same for the query with which the browser goes back."""
    replies: dict[str, Callable[[], Awaitable[Reply]]] = attrs.field(factory=dict)
    """Replaces the answers of whole paths."""
    asked: list[str] = attrs.field(factory=list)
    """The paths that were requested, in order."""
    forms: list[dict[str, str]] = attrs.field(factory=list)
    """The forms that were posted for tokens."""
    codes: dict[str, dict[str, str]] = attrs.field(factory=dict)
    """Codes that were not exchanged yet, each with what was authorized."""

    @property
    def port(self) -> int:
        return urlsplit(self.issuer).port or 0

    def discovery(self) -> dict[str, Any]:
        return _replaced(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": list(KINDS),
                "authorization_response_iss_parameter_supported": True,
            },
            self.document,
        )

    async def reply(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        path, _, query = target.partition("?")
        self.asked.append(path)
        if path in self.replies:
            return await self.replies[path]()
        match method, path:
            case "GET", "/.well-known/openid-configuration":
                return _json(self.discovery())
            case "GET", "/keys":
                return _json({"keys": [key.public for key in self.keys]})
            case "GET", "/authorize":
                return self._authorize({name: values[0] for name, values in parse_qs(query).items()})
            case "POST", "/token":
                form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
                self.forms.append(form)
                return self._exchange(form, headers.get("authorization", ""))
            case _:
                return 404, {}, b"there is nothing here"

    def _authorize(self, asked: dict[str, str]) -> Reply:
        if asked.get("client_id") != CLIENT_ID or asked.get("response_type") != "code":
            return 400, {}, b"an unknown client"
        if asked.get("code_challenge_method") != "S256" or "openid" not in asked.get("scope", "").split():
            return 400, {}, b"no PKCE, or not OpenID Connect"
        back = {"state": asked["state"], "iss": self.issuer}
        if self.person is None:
            back |= {"error": "access_denied", "error_description": "<b>no</b>"}
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked
            back["code"] = code
        query = urlencode(_replaced(back, self.back))
        return 303, {"Location": f"{asked['redirect_uri']}?{query}"}, b""

    def _exchange(self, form: dict[str, str], authorization: str) -> Reply:
        wanted = f"{quote(CLIENT_ID, safe='')}:{quote(CLIENT_SECRET, safe='')}"
        if authorization != f"Basic {base64.b64encode(wanted.encode()).decode()}":
            return _json({"error": "invalid_client"}, 401)
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != asked["redirect_uri"]
            or base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != asked["code_challenge"]
        ):
            return _json({"error": "invalid_grant"}, 400)
        tokens = {
            "access_token": secrets.token_urlsafe(8),
            "token_type": "Bearer",
            "id_token": self.token(asked["nonce"]),
        }
        return _json(_replaced(tokens, self.answer))

    def token(self, nonce: str) -> str:
        """An ID token of the person."""
        person, now = self.person or Person(), int(self.now())
        claims = _replaced(
            {
                "iss": self.issuer, "aud": CLIENT_ID, "sub": person.subject, "iat": now, "exp": now + 300,
                "nonce": nonce, "preferred_username": person.name, "groups": list(person.groups),
            },
            self.claims,
        )  # fmt: skip
        key = self.signer or self.keys[0]
        header = _replaced({"alg": key.algorithm, "kid": key.kid, "typ": "JWT"}, self.header)
        if self.sign is not None:
            return self.sign(header, claims)
        return signed(header, claims, key.private)


def signed(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    """A token with exactly this header, whatever its algorithm."""
    text = f"{_encoded(header)}.{_encoded(claims)}"
    if header["alg"] == "none":
        return f"{text}."
    signature = jws.JWSRegistry.algorithms[header["alg"]].sign(text.encode(), key)
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def signed_with_the_public_key(key: Key) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    """The old attack: HS256, with what everybody knows as the secret."""
    secret = key.private.as_pem(private=False)

    def sign(header: dict[str, Any], claims: dict[str, Any]) -> str:
        text = f"{_encoded({**header, 'alg': 'HS256'})}.{_encoded(claims)}"
        signature = hmac.digest(secret, text.encode(), "sha256")
        return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    return sign


@asynccontextmanager
async def open_provider(tls: tuple[Any, Any] | None = None) -> AsyncIterator[OidcProvider]:
    """A provider that runs on loopback. `tls`: the files of its certificate and key."""
    provider = OidcProvider()
    async with trio.open_nursery() as nursery:
        serve = partial(_serve, provider)
        if tls is None:
            opened = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            provider.issuer = f"http://127.0.0.1:{opened[0].socket.getsockname()[1]}"
        else:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*tls)
            listeners = await nursery.start(
                partial(trio.serve_ssl_over_tcp, serve, 0, context, host="127.0.0.1", https_compatible=True)
            )
            listener = listeners[0].transport_listener
            provider.issuer = f"https://127.0.0.1:{listener.socket.getsockname()[1]}"
        yield provider
        nursery.cancel_scope.cancel()


async def _serve(provider: OidcProvider, stream: trio.abc.Stream) -> None:
    """Answer one request."""
    connection, body = h11.Connection(h11.SERVER), b""
    asked: h11.Request | None = None
    try:
        async with stream:
            while True:
                match connection.next_event():
                    case h11.NEED_DATA:
                        connection.receive_data(bytes(await stream.receive_some(MOST)))
                    case h11.Request() as asked:
                        pass
                    case h11.Data(data=data):
                        body += data
                    case _:
                        break
            if asked is None:
                return
            headers = {name.decode(): value.decode() for name, value in asked.headers}
            target = asked.target.decode()
            status, more, data = await provider.reply(asked.method.decode(), target, headers, body)
            fields = {"Content-Length": str(len(data)), "Connection": "close", **more}
            await stream.send_all(
                connection.send(h11.Response(status_code=status, headers=list(fields.items()))) or b""
            )
            await stream.send_all(connection.send(h11.Data(data=data)) or b"")
            await stream.send_all(connection.send(h11.EndOfMessage()) or b"")
    except (trio.BrokenResourceError, h11.ProtocolError):
        return  # the client has left


def _json(value: object, status: int = 200) -> Reply:
    return status, {"Content-Type": "application/json", "Cache-Control": "no-store"}, json.dumps(value).encode()


def _replaced(own: dict[str, Any], by: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**own, **by}.items() if value is not None}


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def query_of(address: str) -> dict[str, str]:
    """The query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def target_of(address: str) -> str:
    """The path and the query of an address."""
    parts = urlsplit(address)
    return unquote(parts.path) + (f"?{parts.query}" if parts.query else "")
