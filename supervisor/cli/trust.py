"""How a command verifies the certificate of the daemon, by the files that its configuration names.

Rules of this file:
- At the address in the configuration, the daemon must have the certificate that it names, or one of the local CA. One
  of another authority is not taken. The name in a given certificate may be another one.
- At an address that the operator names (`--url`), certificates of known authorities are taken as well, and the name in
  the certificate must be that of the address.
"""

import os
import re
import ssl
from pathlib import Path

from ..config.table import variable_of
from .daemon_address import setting_in, state_in, text_of
from .terminal import fail

CA = Path("tls") / "ca.pem"
"""The certificate of the local CA, in the state folder."""
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
MOST_BYTES = 1024 * 1024


def context_for(config: Path, url: str | None) -> ssl.SSLContext:
    """Return the context for a connection to the daemon: at `url`, or at the address in the configuration at `config`.

    Ends the command if the file that verifies the certificate cannot be read.
    """
    context = ssl.create_default_context() if url else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if url and not config.exists():
        return context
    given = _given(config)
    if given is not None:
        context.check_hostname = bool(url)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate without its CA is enough
    path = given or state_in(config) / CA
    try:
        with path.open("rb") as file:
            first = _CERTIFICATE.search(file.read(MOST_BYTES).decode("ascii", "replace"))
        if first is not None:  # the others of a chain would verify whatever they have signed
            context.load_verify_locations(cadata=first[0])
        elif not url:
            fail(f"{path}: holds no certificate in PEM, so the daemon cannot be verified")
    except OSError as error:
        if not url:
            fail(f"{path}: cannot be read, so the daemon cannot be verified: {error.strerror}")
    except ssl.SSLError:
        fail(f"{path}: is damaged, so the daemon cannot be verified")
    return context


def _given(config: Path) -> Path | None:
    """The file of the certificate in a configuration."""
    variable = os.environ.get(variable_of("web.tls"))
    found = setting_in(variable, "cert") if variable else setting_in(text_of(config), "web", "tls", "cert")
    return config.parent / Path(found).expanduser() if found and "$" not in found else None
