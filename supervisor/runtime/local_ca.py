"""A certificate authority (CA) of this machine alone, and the certificate that it signs for the page.

Rules of this file:
- People install the CA on their devices, so it must be worth little to a thief. It may sign for this machine's names
  and for private networks only (RFC 5280, section 4.2.1.10), and for no further CA.
- It is made once, for ten years, and never replaced by us: each device would have to install the new one. It is valid
  since 2020, so a clock that is wrong at the first start does no harm.
- The certificate lasts 397 days, the most that browsers accept. It is renewed 30 days before its end, when the clock
  is outside of its time, and when the machine has a name or an address that it lacks.
- Keys are in files of mode 0600. Each file is replaced as a whole; the certificate and its key are one file.
"""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..journal.files import private_file, sync_folder
from .certificates import CertificateError, read_file
from .machine_names import PRIVATE, Address, Names

FOLDER = "tls"
"""The folder in the state folder."""
CA_BEGINS = datetime(2020, 1, 1, tzinfo=UTC)
CA_DAYS, DAYS = timedelta(days=3652), timedelta(days=397)
RENEWED_BEFORE = timedelta(days=30)
EARLIER = timedelta(days=1)
"""The certificate begins this long before now: the clock of a device may be late."""

Network = IPv4Network | IPv6Network
Key = ec.EllipticCurvePrivateKey


@attrs.frozen
class LocalAuthority:
    """The CA in a folder of the state folder."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """The certificate of the CA, which people install."""
        return self.folder / "ca.pem"

    @property
    def key(self) -> Path:
        return self.folder / "ca.key"

    @property
    def pair(self) -> Path:
        """The certificate of the page, and its key."""
        return self.folder / "server.pem"

    @property
    def renewal(self) -> str:
        """The remedy if it cannot be used any more."""
        files = f"{self.certificate} and {self.key}"
        return f"put back copies of {files}, or remove both and restart: each device must install the new CA then"

    def renew(self, own: Names, configured: Names, now: datetime) -> str:
        """Make what is missing, and sign a certificate if that is due; returns a problem, or nothing.

        Args:
            own: the names of the machine. Those that the CA may not sign for are left out.
            configured: the names in the configuration. To leave out one of these is a problem.

        Raises `CertificateError`.
        """
        try:
            ca = self._certificate(own | configured, now)
            names, signed, ends = permitted(ca, own | configured), self._signed(ca), ca.not_valid_after_utc
            if ends > now and is_due(signed, names, ca, now):
                self._write(self.pair, make_certificate(ca, self._key(ca), names, now))
        except OSError as error:
            raise CertificateError(f"{error.filename or self.folder} cannot be written: {error.strerror}") from None
        problem = ""
        if ends - now < RENEWED_BEFORE:
            problem = f"the CA in {self.certificate} ends on {ends:%Y-%m-%d}; {self.renewal}"
        elif missing := configured - names:
            problem = f"the CA in {self.certificate} may not sign for {missing}; {self.renewal}"
        return problem

    def _certificate(self, names: Names, now: datetime) -> x509.Certificate:
        """The certificate of the CA; a missing one is made."""
        is_missing = not self.certificate.exists()
        if is_missing and self.key.exists() and self.pair.exists():
            raise CertificateError(f"{self.certificate} is missing; {self.renewal}")
        if is_missing:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            ca, key = make_ca(names, now)
            self._write(self.key, key_to_pem(key))  # before the certificate: a key alone was never used
            self._write(self.certificate, ca.public_bytes(serialization.Encoding.PEM))
        try:
            return x509.load_pem_x509_certificate(read_file(self.certificate))
        except ValueError:
            raise CertificateError(f"{self.certificate} is damaged; {self.renewal}") from None

    def _key(self, ca: x509.Certificate) -> Key:
        try:
            key = serialization.load_pem_private_key(read_file(self.key), None)
        except (ValueError, TypeError):
            raise CertificateError(f"{self.key} is damaged; {self.renewal}") from None
        if not isinstance(key, Key) or key.public_key() != ca.public_key():
            raise CertificateError(f"{self.key} is not the key of {self.certificate}; {self.renewal}")
        return key

    def _signed(self, ca: x509.Certificate) -> x509.Certificate | None:
        """The certificate of the page, if it is there and of this CA, with a key."""
        try:
            data = read_file(self.pair)
            found = x509.load_pem_x509_certificate(data)
            found.verify_directly_issued_by(ca)
            key = serialization.load_pem_private_key(data, None)
        except (CertificateError, ValueError, TypeError, InvalidSignature):
            return None
        return found if key.public_key() == found.public_key() else None

    def _write(self, path: Path, data: bytes) -> None:
        beside = path.with_name(f"{path.name}.new")
        with private_file(beside) as file:
            file.write(data)
        beside.replace(path)
        sync_folder(self.folder)


def key_to_pem(key: Key) -> bytes:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form)


def make_ca(names: Names, now: datetime) -> tuple[x509.Certificate, Key]:
    """Return a CA that may sign for `names` and for private networks, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    label = min((name for name in names.hosts if name != "localhost"), key=len, default="this machine")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"banken CA of {label}"[:64])])
    networks: list[Network] = [*PRIVATE, *(ip_network(each) for each in names.addresses if not is_private(each))]
    subtrees = [*map(x509.DNSName, sorted(names.hosts)), *(x509.IPAddress(network) for network in networks)]
    ends = max(now, CA_BEGINS) + CA_DAYS
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), CA_BEGINS, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.NameConstraints(subtrees, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def make_certificate(ca: x509.Certificate, ca_key: Key, names: Names, now: datetime) -> bytes:
    """Return a certificate for `names` with a new key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "banken")])
    begins = now - EARLIER
    ends = min(begins + DAYS, ca.not_valid_after_utc)
    entries = [*map(x509.DNSName, sorted(names.hosts)), *map(x509.IPAddress, sorted(names.addresses, key=str))]
    certificate = (
        x509.CertificateBuilder(ca.subject, subject, key.public_key(), x509.random_serial_number(), begins, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(entries), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key_to_pem(key)


def is_due(signed: x509.Certificate | None, names: Names, ca: x509.Certificate, now: datetime) -> bool:
    """Whether a certificate is to be signed instead of `signed`."""
    if signed is None or now < signed.not_valid_before_utc or names - _names_in(signed):
        return True
    ends = signed.not_valid_after_utc
    return ends - now < RENEWED_BEFORE and ends < ca.not_valid_after_utc


def permitted(ca: x509.Certificate, names: Names) -> Names:
    """Return those of `names` that the CA may sign for."""
    subtrees = ca.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or ()
    domains = [each.value for each in subtrees if isinstance(each, x509.DNSName)]
    networks: list[Network] = [each.value for each in subtrees if isinstance(each.value, Network)]
    return Names(
        frozenset(name for name in names.hosts if any(f".{name}".endswith(f".{domain}") for domain in domains)),
        frozenset(each for each in names.addresses if any(each in network for network in networks)),
    )


def is_private(address: Address) -> bool:
    return any(address in network for network in PRIVATE)


def _names_in(certificate: x509.Certificate) -> Names:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = found.get_values_for_type(x509.IPAddress)
    return Names(
        frozenset(found.get_values_for_type(x509.DNSName)),
        frozenset(each for each in addresses if isinstance(each, Address)),
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip
