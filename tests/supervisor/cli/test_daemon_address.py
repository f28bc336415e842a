"""Which daemon a command is for."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from supervisor.__main__ import main
from supervisor.cli.daemon_address import address_in, place_of


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


@pytest.mark.parametrize(
    ("text", "socket"),
    [
        ("cameras: {}\n", "control"),
        ("journal: {path: deep/j}\n", "deep/control"),
        ("journal: {path: /var/lib/banken/journal}\n", "/var/lib/banken/control"),
        ("journal: {path: deep/j}\nstate: {path: other}\n", "other/control"),
        ("state:\n  # path: no\n  path: other  # the best\n", "other/control"),
        ("journal: {path: deep/j}\nstate: {path: other}\ncameras: [unfinished\n", "other/control"),
        ("journal:\n  retention: 1d\n  path: deep/j\nstate:\n  retries: 1\ncameras: [unfinished\n", "deep/control"),
        ("# state: {path: no}\njournal: {path: 'deep/j'", "deep/control"),
        ('{"journal": {"path": "deep/j"}, "state": {"path": "other"}', "other/control"),
        ("cameras: {state: {path: no}}\n", "control"),
    ],
)
def test_control_socket_is_found_in_any_configuration(tmp_path: Path, text: str, socket: str) -> None:
    """Also in one that is no YAML. A given folder comes first, then a URL."""
    config = tmp_path / "banken.yaml"
    config.write_text(text)
    assert place_of(None, None, config) == tmp_path / socket
    assert place_of("http://h/", None, config) == "http://h/"
    assert place_of("http://h/", Path("given"), tmp_path / "absent.yaml") == Path("given/control")


def test_state_folder_may_be_named_by_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the daemon, they come before the file."""
    config = tmp_path / "banken.yaml"
    config.write_text("journal: {path: '${X}/j'}\n")
    done = CliRunner().invoke(main, ["retry", "gate", "--config", str(config)])
    assert (done.exit_code, "names no fixed state folder" in done.stderr) == (2, True)
    monkeypatch.setenv("BANKEN_JOURNAL_PATH", "one/j")
    assert place_of(None, None, config) == tmp_path / "one/control"
    monkeypatch.setenv("BANKEN_STATE_PATH", "/two")
    assert place_of(None, None, config) == Path("/two/control")


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


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("0.0.0.0:9000", "https://192.0.2.9:9000/"),
        ("[::]:9000", "https://192.0.2.9:9000/"),
        ("192.0.2.7:9000", "https://192.0.2.7:9000/"),
        ("127.0.0.1:9000", "http://127.0.0.1:9000/"),
    ],
)
def test_address_for_others_is_one_that_they_reach(tmp_path: Path, listen: str, url: str) -> None:
    """As that of a setup link, where the daemon listens at every address."""
    (tmp_path / "banken.yaml").write_text(f"web: {{listen: '{listen}'}}")
    assert address_in(tmp_path / "banken.yaml", lambda: "192.0.2.9") == url


@pytest.mark.parametrize(
    ("command", "more", "options"),
    [
        (["setup-link"], [], ["--config", "--state"]),
        (["ca"], [], ["--config", "--state"]),
        (["user", "list"], [], ["--config", "--state", "--url"]),
        (["rooms", "join"], ["lobby"], ["--config", "--url"]),
        (["share", "add"], ["gate", "--for", "2h", "--state", "."], ["--config", "--page"]),
    ],
)
def test_hint_names_options_that_the_command_has(
    tmp_path: Path, command: list[str], more: list[str], options: list[str]
) -> None:
    """Without a configuration."""
    runner = CliRunner()
    done = runner.invoke(main, [*command, *more, "--config", str(tmp_path / "none.yaml")])
    assert (done.exit_code, [word for word in done.stderr.split() if word.startswith("--")]) == (2, options)
    shown = runner.invoke(main, [*command, "--help"]).output
    assert all(option in shown for option in options)
