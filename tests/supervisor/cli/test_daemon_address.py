"""Which daemon a command is for."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from supervisor.__main__ import main
from supervisor.cli.daemon_address import address_in


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("cameras: {}\n", "http://127.0.0.1:8620/"),
        ('web: {listen: "127.0.0.1:9000"}\n', "http://127.0.0.1:9000/"),
        ("web:\n  listen: 192.0.2.7:9000  # the office\n", "https://192.0.2.7:9000/"),
        ("# listen: 192.0.2.1:1\nweb: {listen: '0.0.0.0:9000', allow_origins: []}\n", "https://127.0.0.1:9000/"),
        ('web: {listen: "[::]:9000"}\n', "https://[::1]:9000/"),
        ('web: {listen: "[::]:9000", tls: off}\n', "http://[::1]:9000/"),
        ('web: {listen: "[::1]:9000", tls: auto}\n', "http://[::1]:9000/"),
        ('web: {listen: "[::1]:9000", tls: {cert: a, key: b}}\n', "https://[::1]:9000/"),
        ("web:\n  listen: 127.0.0.1:9000\n  tls: {cert: a, key: b}\ncameras: [\n", "https://127.0.0.1:9000/"),
        ('# listen: 192.0.2.1:1\nweb: {listen: "127.0.0.1:9000"\ncameras: [unfinished\n', "http://127.0.0.1:9000/"),
        ('{"web": {"listen": 192.0.2.7:9000}}', "https://192.0.2.7:9000/"),
        ("web:\n  listen:\n    192.0.2.7:9000\n", "https://192.0.2.7:9000/"),
        ("cameras: {listen: 'test:1'}\nweb: {listen: '127.0.0.1:9000'}\n", "http://127.0.0.1:9000/"),
        ("cameras: {listen: 'test:1'}\n", "http://127.0.0.1:8620/"),
    ],
)
def test_address_of_the_daemon_is_found_in_any_configuration(tmp_path: Path, text: str, url: str) -> None:
    """Also in one that is no YAML: its mistake is what the daemon is to report."""
    (tmp_path / "banken.yaml").write_text(text)
    assert address_in(tmp_path / "banken.yaml") == url


def test_address_of_the_daemon_may_be_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the daemon, it comes before the file."""
    (tmp_path / "banken.yaml").write_text("web: {listen: '127.0.0.1:9000'}")
    monkeypatch.setenv("BANKEN_WEB_LISTEN", "127.0.0.1:9001")
    assert address_in(tmp_path / "banken.yaml") == "http://127.0.0.1:9001/"


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "${HOST}:8620", "8620"])
def test_address_that_is_not_fixed_has_to_be_named(tmp_path: Path, listen: str) -> None:
    """Exit 2, with the option that names it."""
    (tmp_path / "banken.yaml").write_text(f'web: {{listen: "{listen}"}}\n')
    done = CliRunner().invoke(main, ["reload", "--config", str(tmp_path / "banken.yaml")])
    assert done.exit_code == 2
    assert "--url can name the daemon" in done.stderr
