"""The CA of this machine: made once, worth little to a thief, and what it signs is renewed in time."""

import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from supervisor.runtime.certificates import CertificateError, ServedCertificate, read_pair
from supervisor.runtime.local_ca import (
    CA_DAYS,
    DAYS,
    EARLIER,
    RENEWED_BEFORE,
    LocalAuthority,
    is_due,
    make_ca,
    make_certificate,
    permitted,
)
from supervisor.runtime.machine_names import Names, names_of

NOW = datetime(2027, 3, 1, tzinfo=UTC)
OWN = names_of(["localhost", "127.0.0.1", "::1", "nvr", "nvr.local", "192.168.1.7", "203.0.113.9"])
NONE = Names()
DAY = timedelta(days=1)


def pair_in(authority: LocalAuthority) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.pair.read_bytes())


def verify(authority: LocalAuthority, *options: str, pair: Path | None = None) -> str:
    """The words of OpenSSL about the certificate of the page, as strict as it can be."""
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-attime", f"{NOW.timestamp():.0f}"]
    command += ["-CAfile", str(authority.certificate), *options, str(pair or authority.pair)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_first_start_makes_a_ca_and_a_certificate(tmp_path: Path) -> None:
    """OpenSSL accepts the certificate for each name; all files have mode 0600, and a second start changes none."""
    authority = LocalAuthority(tmp_path / "tls")
    assert authority.renew(OWN, NONE, NOW) == ""
    for name in OWN.hosts:
        assert verify(authority, "-verify_hostname", name).endswith(": OK\n")
    for address in OWN.addresses:
        assert verify(authority, "-verify_ip", str(address)).endswith(": OK\n")
    files = {path: path.read_bytes() for path in (tmp_path / "tls").iterdir()}
    assert {path.name for path in files} == {"ca.pem", "ca.key", "server.pem"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700
    assert authority.renew(OWN, NONE, NOW + 30 * DAY) == ""
    assert {path: path.read_bytes() for path in (tmp_path / "tls").iterdir()} == files


def test_times_are_those_that_browsers_accept(tmp_path: Path) -> None:
    """397 days, since a day; ten years for the CA, also where the clock is wrong at the first start."""
    authority = LocalAuthority(tmp_path)
    authority.renew(OWN, NONE, NOW)
    found = pair_in(authority)
    assert (found.not_valid_before_utc, found.not_valid_after_utc) == (NOW - EARLIER, NOW - EARLIER + DAYS)
    assert timedelta(days=397) >= DAYS
    for now in (NOW, datetime(1970, 1, 1, tzinfo=UTC)):
        ca, _ = make_ca(OWN, now)
        assert ca.not_valid_before_utc < datetime(2026, 1, 1, tzinfo=UTC)
        assert ca.not_valid_after_utc >= max(now, datetime(2020, 1, 1, tzinfo=UTC)) + timedelta(days=3650)


@pytest.mark.parametrize("name", ["bank.example", "nvr.example", "local", "8.8.8.8", "203.0.113.8", "2001:db8::1"])
def test_stolen_ca_is_worth_nothing_for_other_names(tmp_path: Path, name: str) -> None:
    """A certificate for a foreign name or a public address that a thief signs with the key is refused by OpenSSL."""
    authority = LocalAuthority(tmp_path)
    authority.renew(OWN, NONE, NOW)
    ca = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    forged = tmp_path / "forged.pem"
    forged.write_bytes(make_certificate(ca, authority._key(ca), names_of([name, "localhost"]), NOW))
    assert "permitted subtree violation" in verify(authority, pair=forged)
    assert permitted(ca, names_of([name])) == NONE


def test_ca_signs_no_further_ca(tmp_path: Path) -> None:
    """Its path length is 0, and the certificate of the page is not a CA."""
    ca, _ = make_ca(OWN, NOW)
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 0)
    authority = LocalAuthority(tmp_path)
    authority.renew(OWN, NONE, NOW)
    assert not pair_in(authority).extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    ("now", "names", "due"),
    [
        (NOW, OWN, False),
        (NOW - EARLIER + DAYS - RENEWED_BEFORE - DAY, OWN, False),
        (NOW - EARLIER + DAYS - RENEWED_BEFORE + DAY, OWN, True),
        (NOW + 800 * DAY, OWN, True),
        (NOW - 2 * DAY, OWN, True),
        (NOW, OWN | names_of(["192.168.1.8"]), True),
        (NOW, OWN | names_of(["camera.local"]), True),
        (NOW, names_of(["localhost"]), False),
    ],
    ids=["new", "before", "in time", "late", "clock was ahead", "new address", "new name", "fewer names"],
)
def test_certificate_is_renewed_when_due(now: datetime, names: Names, due: bool) -> None:
    """Before its end, after its end, when it begins in the future, and when the machine has a further name."""
    ca, key = make_ca(OWN, NOW)
    signed = x509.load_pem_x509_certificate(make_certificate(ca, key, OWN, NOW))
    assert is_due(signed, names, ca, now) == due
    assert is_due(None, names, ca, now)


def test_renewed_certificate_is_of_the_same_ca(tmp_path: Path) -> None:
    """Devices that have installed the CA notice nothing; an address that went away is left out."""
    authority = LocalAuthority(tmp_path)
    authority.renew(OWN, NONE, NOW)
    before = authority.certificate.read_bytes()
    authority.renew(names_of(["localhost", "192.168.1.8"]), NONE, NOW)
    assert authority.certificate.read_bytes() == before
    assert verify(authority, "-verify_ip", "192.168.1.8").endswith(": OK\n")
    assert "mismatch" in verify(authority, "-verify_ip", "192.168.1.7")


def test_names_that_the_ca_may_not_sign_for_are_left_out(tmp_path: Path) -> None:
    """Those of a machine that was renamed, without a report. A configured one is a problem, with a remedy."""
    authority = LocalAuthority(tmp_path)
    authority.renew(OWN, names_of(["cams.example"]), NOW)
    assert authority.renew(OWN | names_of(["other"]), names_of(["cams.example"]), NOW) == ""
    problem = authority.renew(OWN, names_of(["cams.example", "new.example"]), NOW)
    assert problem.startswith(f"the CA in {tmp_path}/ca.pem may not sign for new.example; put back copies of")
    assert verify(authority, "-verify_hostname", "cams.example").endswith(": OK\n")


def test_end_of_the_ca_is_reported_and_nothing_is_replaced(tmp_path: Path) -> None:
    """30 days before; after it, the last certificate stays until a person makes a new CA."""
    authority = LocalAuthority(tmp_path)
    authority.renew(OWN, NONE, NOW)
    ca = authority.certificate.read_bytes()
    for now in (NOW + CA_DAYS - 29 * DAY, NOW + CA_DAYS - 28 * DAY, NOW + CA_DAYS + DAY):
        assert f"ends on {NOW + CA_DAYS:%Y-%m-%d}; put back copies" in authority.renew(OWN, NONE, now)
    assert authority.certificate.read_bytes() == ca
    assert pair_in(authority).not_valid_after_utc == NOW + CA_DAYS
    served = ServedCertificate(
        authority.pair, authority.pair, lambda: NOW + CA_DAYS + DAY, lambda now: authority.renew(OWN, NONE, now)
    )
    assert served.reading().level == 2.0


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("ca.pem", b"nothing", "ca.pem is damaged; put back copies of"),
        ("ca.pem", None, "ca.pem is missing; put back copies of"),
        ("ca.key", b"nothing", "ca.key is damaged; put back copies of"),
        ("ca.key", None, "ca.key cannot be read: No such file"),
        ("ca.key", "other", "ca.key is not the key of"),
    ],
    ids=["damaged", "missing", "damaged key", "missing key", "other key"],
)
def test_damaged_ca_is_an_error_and_is_not_replaced(
    tmp_path: Path, file: str, text: bytes | str | None, says: str
) -> None:
    """A new CA would have to be installed on each device, so a person decides."""
    authority = LocalAuthority(tmp_path / "tls")
    authority.renew(OWN, NONE, NOW)
    LocalAuthority(tmp_path / "other").renew(OWN, NONE, NOW)
    path = tmp_path / "tls" / file
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text if isinstance(text, bytes) else (tmp_path / text / file).read_bytes())
    with pytest.raises(CertificateError) as caught:
        authority.renew(OWN, NONE, NOW + 380 * DAY)
    assert str(caught.value).startswith(f"{tmp_path}/tls/{says}")


def test_missing_key_is_no_error_before_it_is_needed(tmp_path: Path) -> None:
    """The certificate of the page lasts for months without the key of the CA."""
    authority = LocalAuthority(tmp_path)
    authority.renew(OWN, NONE, NOW)
    authority.key.unlink()
    assert authority.renew(OWN, NONE, NOW + 30 * DAY) == ""


@pytest.mark.parametrize("data", [b"", b"nothing", None], ids=["empty", "text", "of another CA"])
def test_damaged_certificate_is_signed_again(tmp_path: Path, data: bytes | None) -> None:
    """It is worth nothing by itself: the CA signs another one."""
    authority, other = LocalAuthority(tmp_path / "tls"), LocalAuthority(tmp_path / "other")
    for each in (authority, other):
        each.renew(OWN, NONE, NOW)
    authority.pair.write_bytes(other.pair.read_bytes() if data is None else data)
    authority.renew(OWN, NONE, NOW)
    assert verify(authority).endswith(": OK\n")
    read_pair(authority.pair, authority.pair)


def test_crash_between_the_files_of_a_new_ca_leaves_nothing_half_made(tmp_path: Path) -> None:
    """A key without a certificate was never used, so both are made again; a file that was not renamed is replaced."""
    authority = LocalAuthority(tmp_path)
    (tmp_path / "ca.key").write_bytes(b"the key of a CA that was never written")
    (tmp_path / "ca.pem.new").write_bytes(b"half")
    assert authority.renew(OWN, NONE, NOW) == ""
    assert verify(authority).endswith(": OK\n")
    assert not (tmp_path / "ca.pem.new").exists()


def test_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """With its path and the reason."""
    (tmp_path / "tls").write_text("a file")
    with pytest.raises(CertificateError, match=r"tls.* cannot be written: (File exists|Not a directory)"):
        LocalAuthority(tmp_path / "tls").renew(OWN, NONE, NOW)


async def test_certificate_is_renewed_while_the_daemon_runs(tmp_path: Path) -> None:
    """When the machine has a new address, new connections get a certificate for it; a problem is reported meanwhile."""
    authority, own = LocalAuthority(tmp_path), [names_of(["localhost"])]
    served = ServedCertificate(
        authority.pair, authority.pair, lambda: NOW, lambda now: authority.renew(own[0], NONE, now)
    )
    before = served.context()
    await served.look()
    assert served.context() is before
    own[0] = names_of(["localhost", "192.168.1.8"])
    await served.look()
    assert served.context() is not before
    assert isinstance(served.context(), ssl.SSLContext)
    authority.certificate.write_text("nothing")
    for _ in range(2):
        await served.look()
    assert served.reading().level == 1.0
    assert served.reading().text.startswith(f"{authority.certificate} is damaged; put back copies")
