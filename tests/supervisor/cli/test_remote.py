"""Commands to a daemon that runs, and their answers when none does."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from supervisor.__main__ import main
from supervisor.journal.lock import FolderLock


@contextmanager
def answering(status: int, body: object) -> Iterator[str]:
    """The address of a server that answers every request with this."""

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
        threads.submit(server.serve_forever, 0.01)
        yield f"http://127.0.0.1:{server.server_port}/"
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


def test_reload_after_an_edit_of_the_address_names_the_way_to_the_daemon(tmp_path: Path) -> None:
    """It still answers at the address that it was started with; who named an address is not spoken to of it."""
    with socket.socket() as bound:  # which does not listen
        bound.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{bound.getsockname()[1]}"
        (tmp_path / "banken.yaml").write_text(f"web: {{listen: '{where}'}}\n")
        asked = ["--config", str(tmp_path / "banken.yaml")], ["--url", f"http://{where}/"]
        said = [CliRunner().invoke(main, ["reload", *each]).stderr for each in asked]
    assert ["web.listen was changed" in text for text in said] == [True, False]
    assert all("no daemon answers there" in text for text in said)
