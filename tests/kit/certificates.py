"""Certificates of cameras: self-signed, with the keys and signatures of old and of new firmware."""

import base64
import hashlib
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from subprocess import PIPE
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

Kind = Literal["ecdsa", "ed25519", "rsa-2048", "rsa-1024-sha1"]


def write_certificate(path: Path, kind: Kind = "ecdsa") -> Path:
    """Write a certificate that nobody has signed but itself, and its key, as PEM; returns `path`.

    The openssl program makes the one with SHA-1: cryptography signs with it no longer.
    """
    if kind == "rsa-1024-sha1":
        options = [
            "-x509",
            "-newkey",
            "rsa:1024",
            "-sha1",
            "-nodes",
            "-days",
            "36500",
            "-subj",
            "/CN=camera",
            "-keyout",
        ]
        subprocess.run(["openssl", "req", *options, path, "-out", path.with_suffix(".crt")], check=True, stderr=PIPE)
        path.write_bytes(path.with_suffix(".crt").read_bytes() + path.read_bytes())
        return path
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
    match kind:
        case "ecdsa":
            key = ec.generate_private_key(ec.SECP256R1())
        case "ed25519":
            key = ed25519.Ed25519PrivateKey.generate()
        case "rsa-2048":
            key = rsa.generate_private_key(65_537, 2048)
    name, began = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "camera")]), datetime(2020, 1, 1, tzinfo=UTC)
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, began, began + timedelta(days=36_500)).sign(
        key, None if kind == "ed25519" else hashes.SHA256()
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(encoding) + private)
    return path


def write_pair(folder: Path, *names: str, name: str = "server", days: float = 100) -> tuple[Path, Path]:
    """Write a self-signed certificate for host names and addresses, and its key; returns both files.

    It began a day ago and ends in `days`, which may be negative.
    """
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    entries = [x509.IPAddress(ip_address(each)) if each[0].isdigit() else x509.DNSName(each) for each in names]
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1) + min(timedelta(), timedelta(days=days)))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(entries), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, cert, private = serialization.Encoding.PEM, folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(certificate.public_bytes(encoding))
    private.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return cert, private


def spki_of(path: Path) -> str:
    """Return the SHA-256 of the public key of a certificate in Base64, as Chromium's command line takes it."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(hashlib.sha256(certificate.public_key().public_bytes(*form)).digest()).decode()


def pin_of(path: Path) -> str:
    """Return the SHA-256 of the certificate in a file of `write_certificate`, in hexadecimal digits."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
