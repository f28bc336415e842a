"""The section `access.oidc`: the login provider, and whom it gives which role."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from ..domain.clients import is_loopback
from ..domain.rights import PROXY_ROLES, Role
from .sections import Sections

AT = ("access", "oidc")
_HOST = re.compile(r"[A-Za-z0-9.:_\[\]-]+")


@attrs.frozen
class LoginProvider:
    """A provider of OpenID Connect. It may hold a secret, so it is never shown and never journaled."""

    name: str
    issuer: str
    """As the provider writes it in its ID tokens, to the last character."""
    client_id: str
    client_secret: str = attrs.field(default="", repr=False)
    """Empty for a public client."""
    scopes: tuple[str, ...] = ("openid", "profile")
    user_claim: str = "preferred_username"
    groups_claim: str = "groups"
    roles: Mapping[Role, Sequence[str]] = attrs.field(factory=dict)
    """The groups that have each role."""
    session_s: float = 12 * 3600.0
    ca: Path | None = None
    """Certificates of the CAs that are trusted, and no others; None: those of the system."""

    def role_of(self, groups: Sequence[str]) -> Role | None:
        """The role with the most rights that these groups give; None without one."""
        given = set(groups)
        return next((role for role in PROXY_ROLES if given & set(self.roles.get(role, ()))), None)


def is_safe_url(text: str, *, plain: bool = True) -> bool:
    """Whether `text` is an address without a user, with https; or, if `plain`, with http on loopback."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or _HOST.fullmatch(parts.netloc) is None or port == 0:
        return False
    if not text.isascii() or not text.isprintable() or set(text) & set(' "<>\\^`{|}#'):
        return False
    return parts.scheme == "https" or (plain and parts.scheme == "http" and is_loopback(host))


def read_provider(sections: Sections, values: Mapping[str, Any]) -> LoginProvider | None:
    """The login provider; None without one, and after a complaint."""
    nodes, reading = sections.nodes, sections.reading
    given = [node for path, node in nodes.items() if path[:2] == AT]
    if not given:
        return None
    known = {
        name.removeprefix("access.oidc."): value for name, value in values.items() if name.startswith("access.oidc.")
    }
    issuer, client_id = known["issuer"], known["client_id"]
    roles = {role: known[f"roles.{role}"] for role in PROXY_ROLES}
    whole = nodes.get(AT, given[0])
    for key, value in (("issuer", issuer), ("client_id", client_id)):
        if not value and (*AT, key) not in nodes:
            reading.complain(whole, f"access.oidc has no {key}, which the login provider names")
    if not any(roles.values()):
        text = "access.oidc.roles gives nobody a role, so nobody could log in by it; name groups, like admin: [admins]"
        reading.complain(nodes.get((*AT, "roles"), whole), text)
    if issuer and not _is_issuer(issuer):
        text = "access.oidc.issuer must be like https://HOST/PATH, without ? and #; http is for loopback only"
        reading.complain(nodes[*AT, "issuer"], text)
        return None
    if not _is_secret(known["client_secret"]):  # never shown, not even by its length
        text = "access.oidc.client_secret has characters that no such secret has: spaces, or others than ASCII"
        reading.complain(nodes[*AT, "client_secret"], text)
    if not issuer or not client_id:
        return None
    return LoginProvider(
        name=known["name"] or urlsplit(issuer).hostname or "",
        issuer=issuer,
        client_id=client_id,
        client_secret=known["client_secret"],
        scopes=tuple(dict.fromkeys(("openid", *known["scopes"]))),
        user_claim=known["user_claim"],
        groups_claim=known["groups_claim"],
        roles=roles,
        session_s=known["session"],
        ca=known["ca"],
    )


def _is_issuer(text: str) -> bool:
    return is_safe_url(text) and "?" not in text


def _is_secret(text: str) -> bool:
    return text.isascii() and " " not in text
