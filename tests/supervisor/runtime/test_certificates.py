"""The certificate of the page: a pair of files that is read again when it changes, and stays when it is wrong."""

import shutil
import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from supervisor.runtime import certificates
from supervisor.runtime.certificates import CertificateError, ServedCertificate, read_pair
from tests.kit.certificates import write_pair


def test_right_pair_is_read(tmp_path: Path) -> None:
    """With its end, in a context for TLS 1.2 and newer without renegotiation."""
    pair = read_pair(*write_pair(tmp_path, "cams.example", days=100))
    assert timedelta(days=99) < pair.ends - datetime.now(UTC) <= timedelta(days=100)
    assert pair.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert pair.context.options & ssl.OP_NO_RENEGOTIATION


def encrypt(cert: Path, key: Path) -> None:
    text = subprocess.run(
        ["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:secret"], check=True, capture_output=True
    )
    key.write_bytes(text.stdout)


@pytest.mark.parametrize(
    ("spoil", "file", "says"),
    [
        (lambda cert, key: cert.unlink(), "server.pem", "cannot be read: No such file or directory; name a file"),
        (lambda cert, key: key.unlink(), "server.key", "cannot be read: No such file"),
        (lambda cert, key: cert.write_text("nothing"), "server.pem", "holds no certificate in PEM; name the file"),
        (lambda cert, key: cert.write_bytes(key.read_bytes()), "server.pem", "holds no certificate in PEM"),
        (lambda cert, key: cert.write_bytes(cert.read_bytes()[:200]), "server.pem", "holds no certificate in PEM"),
        (lambda cert, key: key.write_bytes(cert.read_bytes()), "server.key", "holds no private key in PEM"),
        (encrypt, "server.key", "is encrypted; store the key without a passphrase"),
        (lambda cert, key: write_pair(cert.parent, "x", name="y")[1].replace(key), "server.key", "is not the key of"),
        (lambda cert, key: cert.write_bytes(bytes(2 << 20)), "server.pem", "is larger than"),
        (lambda cert, key: (cert.unlink(), cert.mkdir()), "server.pem", "is no file"),
    ],
    ids=["no cert", "no key", "text", "key as cert", "half", "cert as key", "encrypted", "other", "large", "folder"],
)
def test_wrong_pair_is_refused_with_its_file(
    tmp_path: Path, spoil: Callable[[Path, Path], object], file: str, says: str
) -> None:
    """The error names the file, what is wrong with it, and what to do. Nothing asks for a passphrase at a terminal."""
    cert, key = write_pair(tmp_path, "cams.example")
    spoil(cert, key)
    with pytest.raises(CertificateError) as caught:
        read_pair(cert, key)
    assert str(caught.value).startswith(f"{tmp_path / file} {says}")


def test_weak_key_is_refused(tmp_path: Path) -> None:
    """OpenSSL takes no RSA key of 512 bits; the error names both files."""
    cert, key = tmp_path / "server.pem", tmp_path / "server.key"
    make: list[str | Path] = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:512",
        "-nodes",
        "-subj",
        "/CN=x",
        "-keyout",
        key,
        "-out",
        cert,
    ]
    subprocess.run(make, check=True, capture_output=True)
    with pytest.raises(CertificateError, match="cannot be used: EE_KEY_TOO_SMALL; replace both files"):
        read_pair(cert, key)


async def test_new_pair_is_used_for_new_connections(tmp_path: Path) -> None:
    """After both files were replaced, the next look takes them."""
    served = ServedCertificate(*write_pair(tmp_path, "cams.example"))
    before = served.context()
    await served.look()
    assert served.context() is before
    write_pair(tmp_path, "cams.example", days=50)
    await served.look()
    assert served.context() is not before
    assert f"until {datetime.now(UTC) + timedelta(days=50):%Y-%m-%d}" in served.reading().text


async def test_wrong_new_pair_keeps_the_former_one_and_is_reported(tmp_path: Path) -> None:
    """At the second look, since replacing two files takes a moment. A right pair ends the warning."""
    cert, key = write_pair(tmp_path, "cams.example")
    served = ServedCertificate(cert, key)
    before = served.context()
    write_pair(tmp_path, "cams.example", name="other")
    shutil.copy(tmp_path / "other.pem", cert)
    await served.look()
    assert served.reading().level == 0.0
    await served.look()
    reading = served.reading()
    assert (served.context(), reading.level) == (before, 1.0)
    assert reading.text == (
        f"{key} is not the key of {cert}; replace both files with a pair that fits; until then the former certificate "
        "is used"
    )
    shutil.copy(tmp_path / "other.key", key)
    await served.look()
    assert (served.context() is before, served.reading().level) == (False, 0.0)


async def test_files_that_go_away_keep_the_former_pair(tmp_path: Path) -> None:
    """A disk that is not mounted, for instance; when the same files are back, the warning ends."""
    cert, key = write_pair(tmp_path, "cams.example")
    served = ServedCertificate(cert, key)
    key.rename(tmp_path / "away")
    for _ in range(2):
        await served.look()
    assert served.reading().level == 1.0
    assert served.reading().text.startswith(f"{key} cannot be read: No such file")
    (tmp_path / "away").rename(key)
    await served.look()
    assert served.reading().level == 0.0


@pytest.mark.parametrize(
    ("days", "level", "says"),
    [(15, 0.0, "until"), (13, 1.0, "ends on"), (-1, 2.0, "ended on")],
    ids=["well", "soon", "ended"],
)
def test_end_of_the_certificate_is_reported_before(tmp_path: Path, days: float, level: float, says: str) -> None:
    """A warning two weeks before, critical afterwards; the text names the files to replace."""
    served = ServedCertificate(*write_pair(tmp_path, "cams.example", days=days))
    reading = served.reading()
    assert (reading.level, says in reading.text, str(tmp_path / "server.pem") in reading.text) == (level, True, True)


async def test_disk_that_does_not_answer_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look ends after PATIENCE_S, and the former pair stays."""
    served = ServedCertificate(*write_pair(tmp_path, "cams.example"))
    monkeypatch.setattr(certificates, "PATIENCE_S", 0.0)
    for _ in range(2):
        await served.look()
    assert served.reading().level == 1.0
    assert "no answer within 0 s; look at the disk" in served.reading().text
