"""Access by the word of a trusted proxy, which has let somebody in and may name the user.

Rules of this file:
- Only the TCP peers of `web.trusted_proxies` are believed. From anybody else the headers mean nothing.
- A request through a proxy without a role that `access.proxy` gives has no rights.
- A header that stands twice, or holds another text than a name, is no name.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from supervisor.domain.access import Principal, of_proxy
from supervisor.domain.rights import ALL, OF_USERS, PROXY_ROLES, RIGHTS, Role

EVERYBODY, GROUP = "*", "group:"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,62}", re.ASCII)


@attrs.frozen
class ProxyAccess:
    """The setting `access.proxy`. By default no proxy gives a role."""

    user_header: str = ""
    groups_header: str = ""
    roles: Mapping[Role, Sequence[str]] = attrs.field(factory=dict)
    """Users, groups behind `group:`, and `*`."""

    def principal(self, scope: Any, client: str) -> Principal | None:
        """The principal of a request that a trusted proxy has forwarded; None without a role.

        Without `user_header` it is named after the address `client`.
        """
        name = client
        if self.user_header:
            found = _values(scope, self.user_header)
            if len(found) != 1 or _NAME.fullmatch(found[0]) is None:
                return None
            name = found[0]
        groups = _values(scope, self.groups_header) if self.groups_header else []
        names = {EVERYBODY, *([name] if self.user_header else [])}
        if len(groups) == 1:
            names |= {f"{GROUP}{group.strip()}" for group in groups[0].split(",")}
        for role in PROXY_ROLES:  # the first one wins
            if names & set(self.roles.get(role, ())):
                return Principal(of_proxy(name, role), RIGHTS[role] - OF_USERS, ALL)
        return None


def _values(scope: Any, header: str) -> list[str]:
    wanted = header.lower().encode()
    return [value.decode("latin-1").strip() for name, value in scope["headers"] if name.lower() == wanted]
