"""The certificate that the web server shows: two files, which are read again when they change.

Rules of this file:
- New files are used only as a pair that is right. Until then the former pair stays, and the monitor `tls` says which
  file is wrong and what to do. To replace two files takes a moment, so a pair counts as wrong at the second look.
- Files are looked at in a thread: a disk may not answer.
"""

import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import attrs
import trio
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from ..base.threads import run_in_thread
from ..domain.monitors import Reading

LOOK_EVERY_S = 3.0
RENEW_EVERY_S = 30.0
"""The same for a certificate that banken renews: a new address of the machine may lack it for as long."""
PATIENCE_S = 5.0
"""Seconds that a look may take; longer, and the files count as unreadable."""
MOST_BYTES = 1024 * 1024
"""Maximum size of a file. A chain of certificates has a few kilobytes."""
SOON = timedelta(days=14)
"""A certificate that ends within this time is a warning."""

State = tuple[tuple[int, int, int], ...]
"""Inode, size and time of change of each file."""


class CertificateError(Exception):
    """A certificate cannot be used. The text names the file, and says what to do."""


@attrs.frozen
class Pair:
    """A certificate and its key that fit."""

    context: ssl.SSLContext
    ends: datetime
    state: State
    """That of the files from which it was read."""


def server_context() -> ssl.SSLContext:
    """Return a context for servers, still without a certificate.

    TLS 1.2 or newer, HTTP/1.1, without renegotiation and compression.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    return context


def state_of(*files: Path) -> State:
    """Raises `CertificateError`."""
    found = []
    for path in files:
        try:
            status = path.stat()
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from None
        if not stat.S_ISREG(status.st_mode):
            raise CertificateError(f"{path} is no file; name a file in PEM")
        found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def read_pair(cert: Path, key: Path) -> Pair:
    """Read a certificate with its chain, and its private key, from PEM. Raises `CertificateError`."""
    state = state_of(cert, key)
    try:
        leaf = x509.load_pem_x509_certificates(read_file(cert))[0]
    except ValueError:
        raise CertificateError(f"{cert} holds no certificate in PEM; name the file with the certificate") from None
    try:
        private = serialization.load_pem_private_key(read_file(key), None)
    except TypeError:
        raise CertificateError(f"{key} is encrypted; store the key without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"{key} holds no private key in PEM; name the file with the key") from None
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise CertificateError(f"{key} is not the key of {cert}; replace both files with a pair that fits")
    context = server_context()
    try:
        context.load_cert_chain(cert, key, password=lambda: "")  # else OpenSSL would ask at the terminal
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror
        raise CertificateError(f"{cert} and {key} cannot be used: {reason}; replace both files") from None
    return Pair(context, leaf.not_valid_after_utc, state)


def read_file(path: Path) -> bytes:
    """Raises `CertificateError`."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(data) > MOST_BYTES:
        raise CertificateError(f"{path} is larger than {MOST_BYTES} bytes; name a file in PEM")
    return data


def _unreadable(path: Path, error: OSError | ValueError) -> CertificateError:
    reason = getattr(error, "strerror", None) or error
    return CertificateError(f"{path} cannot be read: {reason}; name a file that the daemon may read (web.tls)")


def utc_now() -> datetime:
    return datetime.now(UTC)


class ServedCertificate:
    """The pair that new connections get."""

    def __init__(
        self,
        cert: Path,
        key: Path,
        clock: Callable[[], datetime] = utc_now,
        renew: Callable[[datetime], str] | None = None,
    ) -> None:
        """Read the files. Raises `CertificateError`.

        `renew` brings the files up to date at a time, and returns a problem. It may read and write files, and raise
        `CertificateError`.
        """
        self._cert, self._key, self._clock, self._renew = cert, key, clock, renew
        self._every_s = LOOK_EVERY_S if renew is None else RENEW_EVERY_S
        self._doubt = self._problem = "" if renew is None else renew(clock())
        """The problem at the last look, and the one that the last two had."""
        self._pair = read_pair(cert, key)
        self._limiter = trio.CapacityLimiter(1)

    def context(self) -> ssl.SSLContext:
        """Return the context for the next connection."""
        return self._pair.context

    def reading(self) -> Reading:
        """Return the state of the certificate, for the monitor `tls`."""
        ends, left = f"{self._pair.ends:%Y-%m-%d}", self._pair.ends - self._clock()
        remedy = self._problem or f"replace {self._cert} and {self._key}"
        if left <= timedelta():
            return Reading(2.0, f"the certificate in {self._cert} ended on {ends}; {remedy}")
        if self._problem:
            return Reading(1.0, f"{self._problem}; until then the former certificate is used")
        if left < SOON:
            return Reading(1.0, f"the certificate in {self._cert} ends on {ends}; {remedy}")
        return Reading(0.0, f"https with the certificate in {self._cert}, until {ends}")

    async def run(self) -> None:
        """Look at the files now and then.

        Cancellation: at any time. Cleanup: a thread that still reads or writes is abandoned; it replaces whole files.
        """
        while True:
            await trio.sleep(self._every_s)
            await self.look()

    async def look(self) -> None:
        """Use the files if they have changed, and note what is wrong with them. Cancellation, cleanup: as of `run`."""
        problem = f"{self._cert} or {self._key} cannot be read: no answer within {PATIENCE_S:g} s; look at the disk"
        with trio.move_on_after(PATIENCE_S):
            try:
                look = partial(self._look, self._clock())
                self._pair, problem = await run_in_thread(look, limiter=self._limiter, abandon="a disk may not answer")
            except OSError as error:  # the system refuses a thread
                problem = f"{self._cert} was not looked at: {error.strerror}; it is tried again"
        self._doubt, self._problem = problem, problem if problem == self._doubt else ""

    def _look(self, now: datetime) -> tuple[Pair, str]:
        """The newest pair that can be used, and a problem."""
        pair, problem = self._pair, ""
        try:
            problem = self._renew(now) if self._renew is not None else ""
            if state_of(self._cert, self._key) != pair.state:
                pair = read_pair(self._cert, self._key)
        except CertificateError as error:
            problem = str(error)
        return pair, problem
