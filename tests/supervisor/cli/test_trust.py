"""How commands verify the daemon's certificate, against real handshakes."""

import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from socket import socket, socketpair

import pytest
from click.testing import CliRunner

from supervisor.__main__ import main
from supervisor.cli.trust import context_for
from supervisor.runtime.certificates import read_pair
from supervisor.runtime.local_ca import LocalAuthority
from supervisor.runtime.machine_names import Names, names_of
from tests.kit.certificates import write_pair

OWN = names_of(["localhost", "127.0.0.1"])


def config_in(folder: Path, web: str = "") -> Path:
    path = folder / "banken.yaml"
    path.write_text(f"web: {{listen: '0.0.0.0:8620'{web}}}\njournal: {{path: journal}}\n")
    return path


def local_ca(folder: Path) -> Path:
    """A CA in the state folder of the configuration in `folder`, and the pair that it has signed."""
    authority = LocalAuthority(folder / "tls")
    authority.renew(OWN, Names(), datetime.now(UTC))
    return authority.pair


@contextmanager
def serving(cert: Path, key: Path) -> Iterator[socket]:
    """A socket at whose other end a server with this pair answers a handshake."""
    ours, theirs = socketpair()

    def serve() -> None:
        try:
            read_pair(cert, key).context.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield ours
    finally:
        ours.close()
        thread.join()


def trusts(context: ssl.SSLContext, cert: Path, key: Path, name: str = "127.0.0.1") -> bool:
    with serving(cert, key) as connection:
        try:
            context.wrap_socket(connection, server_hostname=name).close()
        except ssl.SSLCertVerificationError:
            return False
    return True


def test_daemon_with_the_local_ca_is_trusted(tmp_path: Path) -> None:
    """At the address of the configuration and by --url; one of another CA, and a self-signed one, are refused."""
    pair, other = local_ca(tmp_path), tmp_path / "other"
    other.mkdir()
    foreign, own = local_ca(other), write_pair(tmp_path, "127.0.0.1")
    config = config_in(tmp_path)
    for url in (None, "https://127.0.0.1:8620/"):
        context = context_for(config, url)
        assert trusts(context, pair, pair)
        assert not trusts(context, pair, pair, "cams.example")
        assert not trusts(context, foreign, foreign)
        assert not trusts(context, *own)


def test_daemon_with_a_given_certificate_is_trusted_at_its_address_whatever_its_name(tmp_path: Path) -> None:
    """The certificate in the file is meant for browsers elsewhere. By --url the name counts."""
    pair, other = write_pair(tmp_path, "cams.example"), write_pair(tmp_path, "cams.example", name="other")
    config = config_in(tmp_path, f", tls: {{cert: {pair[0].name}, key: {pair[1].name}}}")
    assert trusts(context_for(config, None), *pair)
    assert not trusts(context_for(config, None), *other)
    assert not trusts(context_for(config, "https://127.0.0.1/"), *pair)
    assert trusts(context_for(config, "https://cams.example/"), *pair, "cams.example")


def test_authority_in_a_chain_of_a_given_certificate_is_not_trusted(tmp_path: Path) -> None:
    """A file with a chain names the authority that has signed, which signs for others as well."""
    folder = tmp_path / "tls"
    pair = local_ca(tmp_path)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(pair.read_bytes() + (folder / "ca.pem").read_bytes())
    (tmp_path / "tls" / "server.pem").rename(tmp_path / "mine.pem")
    another = local_ca(tmp_path)
    config = config_in(tmp_path, ", tls: {cert: chain.pem, key: chain.pem}")
    assert trusts(context_for(config, None), tmp_path / "mine.pem", tmp_path / "mine.pem")
    assert not trusts(context_for(config, None), another, another)


def test_variable_names_the_certificate_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the daemon."""
    pair, other = write_pair(tmp_path, "127.0.0.1"), write_pair(tmp_path, "127.0.0.1", name="other")
    config = config_in(tmp_path, f", tls: {{cert: {other[0]}, key: {other[1]}}}")
    monkeypatch.setenv("BANKEN_WEB_TLS", f"{{cert: {pair[0]}, key: {pair[1]}}}")
    assert trusts(context_for(config, None), *pair)
    assert not trusts(context_for(config, None), *other)


@pytest.mark.parametrize(("text", "says"), [(None, "cannot be read"), ("nothing", "holds no certificate in PEM")])
def test_certificate_that_cannot_be_read_ends_the_command(
    tmp_path: Path, text: str | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 with the file; at a named address, known authorities may do without it."""
    if text is not None:
        (tmp_path / "tls").mkdir()
        (tmp_path / "tls" / "ca.pem").write_text(text)
    config = config_in(tmp_path)
    with pytest.raises(SystemExit) as ended:
        context_for(config, None)
    assert ended.value.code == 2
    assert f"{tmp_path}/tls/ca.pem: {says}, so the daemon cannot be verified" in capsys.readouterr().err
    context_for(config, "https://cams.example/")
    context_for(tmp_path / "missing.yaml", "https://cams.example/")


def test_ca_is_printed_with_its_fingerprint(tmp_path: Path) -> None:
    """PEM alone on stdout, so that it can be saved; on stderr what openssl says, and how to install it."""
    local_ca(tmp_path)
    done = CliRunner().invoke(main, ["ca", "--config", str(config_in(tmp_path))])
    pem = (tmp_path / "tls" / "ca.pem").read_text()
    assert (done.exit_code, done.stdout) == (0, pem)
    assert "PRIVATE KEY" not in done.output
    fingerprint = ssl.PEM_cert_to_DER_cert(pem)
    assert hashlib.sha256(fingerprint).digest().hex(":").upper() in done.stderr
    for device in ("Android", "iPhone", "Windows", "macOS", "Firefox"):
        assert device in done.stderr
    assert CliRunner().invoke(main, ["ca", "--state", str(tmp_path)]).stdout == pem


def test_missing_ca_is_explained(tmp_path: Path) -> None:
    """Exit 2, with the folder and when the daemon makes one."""
    done = CliRunner().invoke(main, ["ca", "--state", str(tmp_path)])
    assert done.exit_code == 2
    assert f"there is no {tmp_path}/tls/ca.pem; the daemon makes it when" in done.stderr
