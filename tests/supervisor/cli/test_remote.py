"""Commands to a daemon that runs, and their answers when none does."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from supervisor.__main__ import main
from supervisor.cli.control import ControlConnection
from supervisor.journal.lock import FolderLock
from supervisor.runtime.certificates import read_pair
from supervisor.runtime.local_ca import LocalAuthority
from supervisor.runtime.machine_names import Names, names_of
from tests.conftest import require


@contextmanager
def answering(status: int, body: object, pair: Path | None = None) -> Iterator[str]:
    """The address of a server that answers every request with this; over https with `pair`, a certificate and key."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Location", "/login")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor(1) as threads:
        if pair is not None:
            server.socket = read_pair(pair, pair).context.wrap_socket(server.socket, server_side=True)
        threads.submit(server.serve_forever, 0.01)
        yield f"{'http' if pair is None else 'https'}://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("command", [["retry", "gate"], ["reload"]], ids=["retry", "reload"])
@pytest.mark.parametrize(
    ("status", "body"), [(302, ""), (200, "a login"), (200, {}), (202, {}), (204, {"cameras": 1, "id": "gate"})]
)
def test_answer_that_is_not_of_banken_is_no_success(command: list[str], status: int, body: object) -> None:
    """A proxy that sends to its login page has tried no camera and read no file; systemd is to know."""
    with answering(status, body) as url:
        done = CliRunner().invoke(main, [*command, "--url", url])
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"the answer is {status}, and not one of banken" in done.stderr


def test_answer_of_the_daemon_is_printed() -> None:
    """The right status with the object that belongs to it; a refusal with its lines and how many more there are."""
    with answering(202, {"id": "gate"}) as url:
        done = CliRunner().invoke(main, ["retry", "gate", "--url", url])
    assert (done.exit_code, done.stdout) == (0, "gate is tried now\n")
    with answering(200, {"cameras": 1, "warnings": ["old"]}) as url:
        done = CliRunner().invoke(main, ["reload", "--url", url])
    assert (done.exit_code, done.stdout, done.stderr) == (0, "configuration taken: 1 camera\n", "warning: old\n")
    with answering(422, {"type": "x", "detail": "no", "lines": ["banken.yaml:3: no"], "more": 7}) as url:
        done = CliRunner().invoke(main, ["reload", "--url", url])
    assert (done.exit_code, done.stderr.splitlines()) == (
        1, ["banken.yaml:3: no", "and 7 more; banken check says them all", "banken: no"]
    )  # fmt: skip


class UnixServer(HTTPServer):
    """A server of the control socket."""

    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        return self.socket.accept()[0], ("local", 0)  # the handler wants an address


@contextmanager
def listening(path: Path) -> Iterator[list[str]]:
    """A control socket whose server takes every request; the heads of the requests."""
    heads: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heads.append(f"{self.requestline}\n{self.headers}")
            body = b'{"cameras": 1, "warnings": []}' if "reload" in self.path else b'{"id": "gate"}'
            self.send_response(200 if "reload" in self.path else 202)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self) -> None:
            heads.append(f"{self.requestline}\n{self.headers}")
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = {"id": "gate", "privacy": {"until": "tomorrow"} if sent["on"] else None}
            is_known = "gate" in self.path
            body = json.dumps(known if is_known else {"detail": "there is no camera 'attic'"}).encode()
            self.send_response(200 if is_known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with UnixServer(str(path), Handler) as server, ThreadPoolExecutor(1) as threads:  # type: ignore[arg-type]
        threads.submit(server.serve_forever, 0.01)
        yield heads
        server.shutdown()


def test_daemon_is_asked_over_its_control_socket(tmp_path: Path) -> None:
    """Found by the configuration or by --state; no address is needed, and none is used."""
    config = tmp_path / "banken.yaml"
    config.write_text("web: {listen: '127.0.0.1:1'}\nstate: {path: here}\n")
    (tmp_path / "here").mkdir()
    with listening(tmp_path / "here" / "control") as heads:
        for where in (["--config", str(config)], ["--state", str(tmp_path / "here"), "--config", "absent.yaml"]):
            tried = CliRunner().invoke(main, ["retry", "ga te", *where])
            taken = CliRunner().invoke(main, ["reload", *where])
            assert (tried.exit_code, tried.stdout) == (0, "ga te is tried now\n")
            assert (taken.exit_code, taken.stdout) == (0, "configuration taken: 1 camera\n")
    assert heads[0].startswith("POST /api/cameras/ga%20te/retry HTTP/1.1\nHost: localhost\n")
    assert len(heads) == 4 and "Authorization" not in heads[0]


def test_camera_is_made_private_and_shown_again(tmp_path: Path) -> None:
    """One request each, with the switch as JSON; a refusal is printed, with exit 1."""
    with listening(tmp_path / "control") as heads:
        for switch, says in (("on", "gate is private until tomorrow\n"), ("off", "gate is no longer private\n")):
            done = CliRunner().invoke(main, ["privacy", "gate", switch, "--state", str(tmp_path)])
            assert (done.exit_code, done.stdout) == (0, says)
        refused = CliRunner().invoke(main, ["privacy", "attic", "on", "--state", str(tmp_path)])
        assert (refused.exit_code, refused.stderr) == (1, "banken: there is no camera 'attic'\n")
    assert heads[0].startswith("PUT /api/cameras/gate/privacy HTTP/1.1\n")
    assert CliRunner().invoke(main, ["privacy", "gate", "maybe", "--state", str(tmp_path)]).exit_code == 2


def test_connection_waits_for_a_daemon_that_accepts_nothing_for_a_moment(tmp_path: Path) -> None:
    """Its queue of connections is full. A daemon that goes on accepting nothing is an error after the time limit."""
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(1) as threads:
        listener.bind(str(path))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first, closing(ControlConnection(path, 60.0)) as second:
            first.connect(str(path))
            began = time.monotonic()
            with closing(ControlConnection(path, 1.0)) as hasty, pytest.raises(BlockingIOError):
                hasty.connect()
            assert time.monotonic() - began > 0.9
            connected = threads.submit(second.connect)
            listener.accept()[0].close()
            connected.result(60)


def test_url_is_asked_instead_of_the_control_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the option or the variable. A given state folder comes before the variable."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "banken.yaml").touch()
    with listening(tmp_path / "control") as heads, answering(202, {"id": "gate"}) as url:
        assert CliRunner().invoke(main, ["retry", "gate", "--url", url]).exit_code == 0
        monkeypatch.setenv("BANKEN_URL", url)
        assert CliRunner().invoke(main, ["retry", "gate"]).exit_code == 0
        assert heads == []
        assert CliRunner().invoke(main, ["retry", "gate", "--state", "."]).exit_code == 0
        assert len(heads) == 1


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("absent", "no daemon runs on this state folder, or its log says why it has no control socket"),
        ("folder that is absent", "no daemon runs on this state folder"),
        ("killed", "no daemon runs on this state folder, the last one was killed"),
        ("file", "this is no control socket"),
        ("below a file", "no daemon answers there: Not a directory"),
        ("too long", "no daemon answers there: AF_UNIX path too long"),
    ],
)
def test_control_socket_without_a_daemon_is_one_line_of_error(tmp_path: Path, place: str, said: str) -> None:
    """It names the path, the reason and the options; exit 2."""
    folder = tmp_path / {"folder that is absent": "no", "below a file": "file", "too long": "x" * 100}.get(place, "")
    if place == "killed":
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(folder / "control"))
    elif place == "file":
        (folder / "control").touch()
    elif place == "below a file":
        folder.touch()
    done = CliRunner().invoke(main, ["retry", "gate", "--state", str(folder)])
    assert (done.exit_code, done.stdout) == (2, "")
    otherwise = "--state can name another state folder, and --url can name the daemon by its address"
    assert done.stderr.startswith(f"banken: {folder}/control: {said}")
    assert done.stderr.endswith(f"; {otherwise}\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("hidden", ["folder", "socket", "nothing"])
def test_control_socket_of_another_user_names_that_user(hidden: str) -> None:
    """Also if the folder cannot be searched. Nothing is sent to another user's process, even if it may be."""
    if os.geteuid() != 0:
        require("only root can start a process of another user")
    with (
        tempfile.TemporaryDirectory() as killed,
        tempfile.TemporaryDirectory() as name,
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as ended,
    ):
        ended.bind(f"{killed}/control")
        path = Path(name) / "control"
        listener.bind(str(path))
        listener.listen()
        Path(name).chmod(0o700 if hidden == "folder" else 0o755)
        path.chmod(0o600 if hidden == "socket" else 0o666)
        run = [sys.executable, "-c", AS_NOBODY, name, killed]
        done = subprocess.run(run, check=False, capture_output=True, text=True)
        said = f"banken: {path}: belongs to root; run the command as that user or as root\n"
        assert (done.returncode, done.stderr.partition("\n\n")[2]) == (2, said)
        listener.setblocking(False)
        if hidden == "nothing":
            with listener.accept()[0] as accepted:
                assert accepted.recv(1) == b""


AS_NOBODY = """
import os, sys
from contextlib import suppress
from supervisor.__main__ import main
from supervisor.cli.control import ControlConnection
for path in ("/absent", sys.argv[2]):  # imports everything: another user may not read the modules
    with suppress(SystemExit):
        main(["retry", "gate", "--state", path])
print(file=sys.stderr)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
main(["retry", "gate", "--state", sys.argv[1]])
"""


def test_daemon_over_https_is_verified_by_the_local_ca(tmp_path: Path) -> None:
    """At a URL that was given. A certificate of another CA is refused, with exit 2."""
    config = tmp_path / "banken.yaml"
    config.touch()
    pairs = [LocalAuthority(tmp_path / name / "tls") for name in (".", "other")]
    for each in pairs:
        each.renew(names_of(["127.0.0.1"]), Names(), datetime.now(UTC))
    own, other = pairs
    with answering(202, {"id": "gate"}, own.pair) as url:
        done = CliRunner().invoke(main, ["retry", "gate", "--url", url, "--config", str(config)])
    assert (done.exit_code, done.stdout) == (0, "gate is tried now\n")
    with answering(202, {"id": "gate"}, other.pair) as url:
        done = CliRunner().invoke(main, ["retry", "gate", "--url", url, "--config", str(config)])
    assert (done.exit_code, "CERTIFICATE_VERIFY_FAILED" in done.stderr) == (2, True)


@contextmanager
def on_sighup(handler: Callable[[int, object], None] | signal.Handlers) -> Iterator[None]:
    """A handler for SIGHUP in this process."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """This process holds `folder` as its journal, like a daemon."""
    lock = FolderLock(folder, make=True)
    try:
        yield
    finally:
        lock.close()


@pytest.mark.parametrize(("status", "signals"), [(200, 0), (302, 1), (422, 0), (429, 1), (503, 1), (None, 1)])
def test_daemon_that_cannot_be_asked_gets_the_signal(tmp_path: Path, status: int | None, signals: int) -> None:
    """With `--pid`: behind a proxy that wants a login, after too many requests, or without a fixed address."""
    config = tmp_path / "banken.yaml"
    config.write_text("web: {listen: '127.0.0.1:0'}\njournal: {path: kept}\n")
    came: list[int] = []
    with (
        holding(tmp_path / "kept"),
        on_sighup(lambda number, _: came.append(number)),
        answering(status or 200, {"cameras": 1} if status == 200 else {"detail": "no"}) as url,
    ):
        where = ["--config", str(config), *(["--url", url] if status else [])]
        done = CliRunner().invoke(main, ["reload", "--pid", str(os.getpid()), *where])
    assert (len(came), done.exit_code) == (signals, 1 if status == 422 else 0)
    assert ("got SIGHUP" in done.stderr) is bool(signals)


@pytest.mark.parametrize("text", ["web: {listen: '127.0.0.1:0'}\n", "web: {listen: '127.0.0.1:0'\njournal: {path: 'j"])
def test_process_that_is_not_the_daemon_of_the_configuration_gets_no_signal(tmp_path: Path, text: str) -> None:
    """Not a program that got the pid later, and not the daemon of another journal; the command says so with exit 2."""
    config = tmp_path / "banken.yaml"
    config.write_text(text)
    asked = ["reload", "--config", str(config), "--pid"]
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            done = CliRunner().invoke(main, [*asked, str(stranger.pid)])
            assert stranger.poll() is None
        finally:
            stranger.kill()
    came: list[int] = []
    with holding(tmp_path / "another"), on_sighup(lambda number, _: came.append(number)):
        other = CliRunner().invoke(main, [*asked, str(os.getpid())])
    assert (done.exit_code, other.exit_code, came) == (2, 2, [])
    assert all(f"got no SIGHUP: it is not seen to hold {tmp_path}/j" in each.stderr for each in (done, other))
    ended = CliRunner().invoke(main, [*asked, str(stranger.pid)])
    assert (ended.exit_code, "No such process" in ended.stderr) == (2, True)


def test_holder_of_the_journal_that_sighup_would_end_gets_none(tmp_path: Path) -> None:
    """`banken repair` holds the journal as well, and a daemon that still starts has no handler yet."""
    config = tmp_path / "banken.yaml"
    config.write_text("web: {listen: '127.0.0.1:0'}\n")
    with holding(tmp_path / "journal"), on_sighup(signal.SIG_IGN):
        done = CliRunner().invoke(main, ["reload", "--config", str(config), "--pid", str(os.getpid())])
    assert (done.exit_code, "got no SIGHUP, which would end it" in done.stderr) == (2, True)


def test_signal_needs_a_configuration_whose_journal_is_known(tmp_path: Path) -> None:
    """Without a file, or with a variable in `journal.path`, no process can be compared; a variable of banken can."""
    config = tmp_path / "banken.yaml"
    asked = ["reload", "--config", str(config), "--pid", str(os.getpid())]
    missing = CliRunner().invoke(main, asked)
    config.write_text("web: {listen: '127.0.0.1:0'}\njournal: {path: '${X}/j'}\n")
    unknown = CliRunner().invoke(main, asked)
    assert (missing.exit_code, unknown.exit_code) == (2, 2)
    assert f"there is no {config}" in missing.stderr
    assert "no fixed journal" in unknown.stderr
    came: list[int] = []
    with holding(tmp_path / "kept"), on_sighup(lambda number, _: came.append(number)):
        done = CliRunner().invoke(main, asked, env={"BANKEN_JOURNAL_PATH": "kept"})
    assert (done.exit_code, len(came)) == (0, 1)


def test_command_without_a_daemon_says_where_it_looked() -> None:
    """Exit 2 for no answer, no file and no address; a password in the address is not said."""
    with socket.socket() as bound:  # which does not listen
        bound.bind(("127.0.0.1", 0))
        url = f"http://me:geheim@127.0.0.1:{bound.getsockname()[1]}/"
        done = CliRunner().invoke(main, ["retry", "gate", "--url", url])
    assert (done.exit_code, "no daemon answers there" in done.stderr) == (2, True)
    assert "geheim" not in done.output
    for url in ("ftp://x/", "http://[::1", "http://h:99999/"):
        assert isinstance(CliRunner().invoke(main, ["retry", "gate", "--url", url]).exception, SystemExit)
        assert CliRunner().invoke(main, ["retry", "gate", "--url", url]).exit_code == 2
    done = CliRunner().invoke(main, ["reload", "--config", "/nowhere/banken.yaml"])
    assert (done.exit_code, "--url" in done.stderr) == (2, True)


def test_reload_after_an_edit_of_the_state_folder_names_the_way_to_the_daemon(tmp_path: Path) -> None:
    """It still has the socket that it was started with. An error about a given folder or address has no such
    hint."""
    config = tmp_path / "banken.yaml"
    config.write_text(f"state: {{path: {tmp_path}}}\n")
    asked = ["--config", str(config)], ["--state", str(tmp_path)], ["--url", "http://127.0.0.1:1/"]
    said = [CliRunner().invoke(main, ["reload", *each]).stderr for each in asked]
    hint = "a daemon that was started before state.path or journal.path was changed is found by --state"
    assert [hint in text for text in said] == [True, False, False]


@pytest.fixture
def heard() -> Iterator[tuple[str, list[str | None]]]:
    """The address of a daemon that wants a token, and the `Authorization` of each request."""
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers.get("Authorization"))
            is_right = seen[-1] == "Bearer robot.right"
            data = b'{"id": "gate"}' if is_right else b'{"type": "about:blank", "detail": "log in first"}'
            self.send_response(202 if is_right else 401)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor(1) as threads:
        threads.submit(server.serve_forever, 0.01)
        yield f"http://127.0.0.1:{server.server_port}/", seen
        server.shutdown()


Heard = tuple[str, list[str | None]]


def test_token_comes_from_a_file_or_a_variable(heard: Heard, tmp_path: Path) -> None:
    """The file goes first. The token is in the header, and in nothing that is printed."""
    url, seen = heard
    file = tmp_path / "token"
    file.write_text("robot.right\n")
    runner = CliRunner()
    done = runner.invoke(
        main, ["retry", "gate", "--url", url, "--token-file", str(file)], env={"BANKEN_TOKEN": "other"}
    )
    assert (done.exit_code, done.output) == (0, "gate is tried now\n")
    done = runner.invoke(main, ["retry", "gate", "--url", url], env={"BANKEN_TOKEN": "robot.right"})
    assert (done.exit_code, seen) == (0, ["Bearer robot.right"] * 2)


def test_answer_401_says_what_to_do_about_the_token(heard: Heard) -> None:
    """Without a token, where one comes from; with one, that it is not right."""
    url, _ = heard
    done = CliRunner().invoke(main, ["retry", "gate", "--url", url])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "log in first; --token-file or $BANKEN_TOKEN gives a token" in done.stderr
    done = CliRunner().invoke(main, ["retry", "gate", "--url", url], env={"BANKEN_TOKEN": "robot.wrong"})
    assert (done.exit_code, "the token is wrong, was revoked, or is over" in done.stderr) == (1, True)
    assert "robot.wrong" not in done.output


@pytest.mark.parametrize(
    ("url", "content", "said"),
    [
        ("http://192.0.2.7:8620/", "robot.right", "readable on the way"),
        ("http://u:p@127.0.0.1:9/", "robot.right", "a token and a user"),
        ("http://127.0.0.1:9/", "", "has no token"),
        ("http://127.0.0.1:9/", "two words", "has no token"),
        ("http://127.0.0.1:9/", "x\nBanken-Lease: y", "has no token"),
        ("http://127.0.0.1:9/", None, "cannot be read"),
    ],
)
@pytest.mark.parametrize(
    "command", [["retry", "gate"], ["rooms", "join", "new"], ["user", "list"]], ids=lambda it: it[0]
)
def test_token_that_cannot_be_sent_safely_is_not_sent(
    command: list[str], url: str, content: str | None, said: str, tmp_path: Path
) -> None:
    """Exit 2, without its text."""
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    done = CliRunner().invoke(main, [*command, "--url", url, "--token-file", str(file)])
    assert (done.exit_code, said in done.stderr) == (2, True), done.output
    assert not content or content not in done.output
