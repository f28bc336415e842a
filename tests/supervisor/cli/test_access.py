"""Users, logins and tokens from the command line: secrets stay private, mistakes are named before anything is sent."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import attrs
import click
import pytest
from click.testing import CliRunner, Result

from supervisor.__main__ import main
from tests.kit.daemon import ROOT

SECRET = "correct horse"
ALL = {"everything": True, "cameras": [], "groups": []}
SOME = {"everything": False, "cameras": ["gate", "yard"], "groups": ["shop"]}
ANNA = {"user": "anna", "role": "admin", "scope": ALL, "since": "2027-01-31T03:10:00+00:00", "sessions": 2}
BEN = {"user": "ben", "role": "watcher", "scope": SOME, "since": "2027-01-31T03:10:00+00:00", "sessions": 0}
ADD = ["user", "add", "anna", "--role", "admin"]


@attrs.frozen
class Fake:
    """A daemon that gives each request its fixed answer."""

    url: str
    asked: list[tuple[str, object]]
    """The request line up to the version, and the body."""

    def run(self, *arguments: str, text: str | bytes = f"{SECRET}\n") -> Result:
        return CliRunner().invoke(main, [*arguments, "--url", self.url], text)


@contextmanager
def open_fake(answers: Mapping[str, tuple[int, object]]) -> Iterator[Fake]:
    asked: list[tuple[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            line = self.requestline.removesuffix(" HTTP/1.1")
            asked.append((line, json.loads(data) if data else None))
            status, body = answers[line]
            self.send_response(status)
            content = b"" if body is None else json.dumps(body).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    for method in ("GET", "PUT", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.do_POST)
    with HTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor(1) as threads:
        threads.submit(server.serve_forever, 0.01)
        try:
            yield Fake(f"http://127.0.0.1:{server.server_port}/", asked)
        finally:
            server.shutdown()


def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """A command, or the commands of a group."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    with click.Context(command) as context:
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from leaves(found, f"{name} {each}")


def test_no_command_takes_a_password_or_a_secret_as_an_argument() -> None:
    """Other programs read arguments and variables of a process; a shell keeps them in its history."""
    for name, command in leaves(main, "banken"):
        for parameter in command.params:
            named = [str(parameter.name), *parameter.opts, str(parameter.envvar)]
            assert not [each for each in named if "pass" in each.lower() or "secret" in each.lower()], name
    with open_fake({}) as fake:
        done = fake.run(*ADD, SECRET)
        assert (done.exit_code, fake.asked) == (2, [])


@pytest.mark.parametrize("end", ["\n", "\r\n", "", "\nnot read\n"])
def test_password_is_one_line_of_standard_input(end: str) -> None:
    """Whole, with its spaces. It is in the body of the request, and in nothing that is printed."""
    with open_fake({"POST /api/users": (201, ANNA)}) as fake:
        done = fake.run(*ADD, text=f" {SECRET}é {end}".encode())
        assert fake.asked == [
            ("POST /api/users", {"user": "anna", "password": f" {SECRET}é ", "role": "admin", **ALL})
        ]  # fmt: skip
    assert (done.exit_code, done.stdout, done.stderr) == (0, "user anna added: admin, all cameras\n", "")


@pytest.mark.parametrize(
    ("text", "said"), [(b"", "has no password"), (b"\n", "has no password"), (b"\xff\n", "not UTF-8"),
                       (b"x" * 9000, "too long")],
)  # fmt: skip
def test_bad_password_on_standard_input_sends_nothing(text: bytes, said: str) -> None:
    """Exit 2, and the reason. A long line is not cut to another password."""
    with open_fake({}) as fake:
        done = fake.run(*ADD, text=text)
        assert (done.exit_code, said in done.stderr, fake.asked) == (2, True, [])


def typed(terminal: int, *lines: str) -> str:
    """Type a line after each question, which ends with a space once nothing is shown any more; all that was shown."""
    seen = ""
    for line in lines:
        while not seen.endswith(": "):
            seen += os.read(terminal, 1000).decode()
        os.write(terminal, f"{line}\n".encode())
        seen += os.read(terminal, 1000).decode()
    return seen


def test_password_on_a_terminal_is_asked_twice_and_not_shown() -> None:
    """Another one at the second time is asked for again. Questions are not on stdout."""
    terminal, inner = pty.openpty()
    with open_fake({"POST /api/users": (201, ANNA)}) as fake, open(terminal, "r+b", 0):
        command = [sys.executable, "-m", "supervisor", *ADD, "--url", fake.url, "--json"]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=inner, stdout=subprocess.PIPE, stderr=inner, start_new_session=True
        ) as process:
            os.close(inner)
            seen = typed(terminal, SECRET, "other", SECRET, SECRET)
            output, _ = process.communicate(timeout=60)
        assert (process.returncode, json.loads(output)) == (0, ANNA)
        assert "do not match" in seen
        assert SECRET not in seen and "other" not in seen
        assert [sent["password"] for _, sent in fake.asked if isinstance(sent, dict)] == [SECRET]


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (["--role", "watcher", "--camera", "gate", "--camera", "yard", "--group", "shop"], {"role": "watcher", **SOME}),
        (["--role", "watcher", "--all"], {"role": "watcher", **ALL}),
        (["--role", "admin"], {"role": "admin", **ALL}),
        (["--role", "watcher"], "name the cameras"),
        (["--role", "watcher", "--all", "--camera", "gate"], "leave out"),
        (["--role", "detector", "--all"], "'detector' is not one of"),
        (["--all"], "Missing option '--role'"),
    ],
)
def test_role_names_its_cameras(options: list[str], sent: object) -> None:
    """All, some, or for an admin all without an option. Anything else is exit 2 before a password is read."""
    with open_fake({"POST /api/users": (201, BEN)}) as fake:
        done = fake.run("user", "add", "ben", *options)
        if isinstance(sent, dict):
            assert fake.asked == [("POST /api/users", {"user": "ben", "password": SECRET, **sent})]
        else:
            assert (done.exit_code, fake.asked) == (2, [])
            assert str(sent) in done.stderr


def test_users_are_listed_as_a_table_or_as_the_answer() -> None:
    """One line each, with the cameras in words."""
    with open_fake({"GET /api/users": (200, {"users": [ANNA, BEN]})}) as fake:
        lines = fake.run("user", "list", "--utc").stdout.splitlines()
        assert lines == [
            "user  role     cameras                 since                     logins",
            "anna  admin    all cameras             2027-01-31 03:10:00.000Z  2",
            "ben   watcher  gate, yard, group shop  2027-01-31 03:10:00.000Z  0",
        ]
        assert json.loads(fake.run("user", "list", "--json").stdout) == {"users": [ANNA, BEN]}
    with open_fake({"GET /api/users": (200, {"users": []})}) as fake:
        done = fake.run("user", "list")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "there are no users\n")


@pytest.mark.parametrize(
    "body", [{"users": 1}, {"users": [1]}, {"users": [{"user": "anna"}]}, {"users": [{**ANNA, "scope": 1}]}]
)
def test_answer_of_another_form_is_an_error(body: object) -> None:
    """One line, and exit 2; no traceback."""
    with open_fake({"GET /api/users": (200, body)}) as fake:
        done = fake.run("user", "list")
        assert (done.exit_code, done.stdout) == (2, "")
        assert "another form" in done.stderr


CHANGES = {
    "PUT /api/users/be%2Fn/password": (["user", "password", "be/n"], {"password": SECRET}),
    "DELETE /api/users/be%2Fn": (["user", "remove", "be/n", "--yes"], None),
    "DELETE /api/sessions/be%2Fn": (["session", "end", "be/n"], None),
    "DELETE /api/tokens/be%2Fn": (["token", "end", "be/n", "--yes"], None),
}


@pytest.mark.parametrize("line", CHANGES)
def test_change_is_one_request_and_one_line(line: str) -> None:
    """A name may have any characters. An answer without content is a success."""
    arguments, body = CHANGES[line]
    with open_fake({line: (204, None)}) as fake:
        done = fake.run(*arguments)
        assert (done.exit_code, fake.asked, done.stderr) == (0, [(line, body)], "")
        assert "be/n" in done.stdout and done.stdout.count("\n") == 1
        assert SECRET not in done.stdout


UNKNOWN = {"cameras": ["gaet"], "groups": ["yrad"]}
TOKEN = {"token": "nas", "secret": "nas.geheim"}


@pytest.mark.parametrize(
    ("line", "arguments", "status", "body"),
    [
        ("POST /api/users", ["user", "add", "ben"], 201, BEN),
        ("PUT /api/users/be%2Fn", ["user", "role", "be/n"], 200, BEN),
        ("POST /api/tokens", ["token", "make", "nas"], 201, TOKEN),
    ],
)
def test_name_that_is_not_configured_is_a_warning(
    line: str, arguments: list[str], status: int, body: Mapping[str, object]
) -> None:
    """It is on stderr, and the change is made: the camera may be configured later."""
    options = ["--role", "watcher", "--camera", "gaet", "--group", "yrad"]
    for unknown, expected in (
        (UNKNOWN, ["no camera gaet is", "no group yrad is"]),
        ({"cameras": [], "groups": []}, []),
    ):
        with open_fake({line: (status, {**body, "unknown": unknown})}) as fake:
            done = fake.run(*arguments, *options)
            assert done.exit_code == 0
            warnings = [each for each in done.stderr.splitlines() if each.startswith("warning: ")]
            assert warnings == [f"warning: {each} configured now" for each in expected]
            assert "warning" not in done.stdout


@pytest.mark.parametrize("arguments", [["user", "remove", "ben"], ["token", "end", "ben"]])
def test_removal_without_a_terminal_needs_yes(arguments: list[str]) -> None:
    """Exit 2, and nothing is sent; a `y` on standard input is no answer."""
    with open_fake({}) as fake:
        done = fake.run(*arguments, text="y\n")
        assert (done.exit_code, "--yes does it" in done.stderr, fake.asked) == (2, True, [])


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_removal_on_a_terminal_is_asked_first(answer: str, code: int) -> None:
    """Return alone is a no."""
    terminal, inner = pty.openpty()
    line = "DELETE /api/users/ben"
    with open_fake({line: (204, None)}) as fake, open(terminal, "r+b", 0):
        command = [sys.executable, "-m", "supervisor", "user", "remove", "ben", "--url", fake.url]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=inner, stdout=subprocess.PIPE, stderr=inner, start_new_session=True
        ) as process:
            os.close(inner)
            seen = typed(terminal, answer)
            output, _ = process.communicate(timeout=60)
        assert "Remove the user ben" in seen
        assert (process.returncode, output) == ((0, b"user ben removed\n") if code == 0 else (1, b""))
        assert fake.asked == ([(line, None)] if code == 0 else [])


KEYS = {
    "passkeys": [
        {"passkey": "a1", "user": "anna", "label": "a phone", "since": "2027-01-31T03:10:00+00:00", "used": None},
        {"passkey": "b2", "user": "ben", "label": "a key", "since": "2027-01-31T03:10:00+00:00", "used": None},
    ]
}


def test_passkeys_of_a_user_are_listed_and_removed() -> None:
    """Only those of this user; one of somebody else is not removed under the wrong name."""
    with open_fake({"GET /api/passkeys": (200, KEYS), "DELETE /api/passkeys/b2": (204, None)}) as fake:
        done = fake.run("user", "passkeys", "ben", "--utc")
        assert done.stdout.splitlines() == [
            "passkey  label  since                     used",
            "b2       a key  2027-01-31 03:10:00.000Z",
        ]
        assert json.loads(fake.run("user", "passkeys", "ben", "--json").stdout)["passkeys"] == KEYS["passkeys"][1:]
        refused = fake.run("user", "passkeys", "ben", "--remove", "a1")
        assert (refused.exit_code, "no passkey a1" in refused.stderr) == (1, True)
        done = fake.run("user", "passkeys", "ben", "--remove", "b2")
        assert (done.exit_code, done.stdout) == (0, "passkey b2 of ben removed\n")
        assert [line for line, _ in fake.asked if line.startswith("DELETE")] == ["DELETE /api/passkeys/b2"]


def test_new_password_keeps_the_passkeys_only_on_request() -> None:
    """The line says what has ended."""
    line = "PUT /api/users/ben/password"
    with open_fake({line: (204, None)}) as fake:
        assert "passkeys" in fake.run("user", "password", "ben").stdout
        assert "passkeys" not in fake.run("user", "password", "ben", "--keep-keys").stdout
        assert fake.asked == [(line, {"password": SECRET}), (line, {"password": SECRET, "keep_passkeys": True})]


MADE = {"token": "ha", "secret": "ha.0123456789"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([], None),
        (["--until", "2027-01-31T03:10", "--utc"], "2027-01-31T03:10:00+00:00"),
        (["--until", "2027-01-31", "--utc"], "2027-01-31T00:00:00+00:00"),
        (["--until", "2027-01-31T03:10+09:00", "--utc"], "2027-01-30T18:10:00+00:00"),
    ],
)
def test_token_is_alone_on_standard_output(given: list[str], sent: str | None) -> None:
    """A script can take it from there; all else is on stderr, without the token."""
    with open_fake({"POST /api/tokens": (201, MADE)}) as fake:
        done = fake.run("token", "make", "ha", "--role", "detector", "--all", *given)
        assert (done.exit_code, done.stdout) == (0, "ha.0123456789\n")
        assert "it is not shown again" in done.stderr and "0123456789" not in done.stderr
        assert fake.asked == [("POST /api/tokens", {"token": "ha", "role": "detector", "until": sent, **ALL})]
        done = fake.run("token", "make", "ha", "--role", "detector", "--all", *given, "--json")
        assert json.loads(done.stdout) == MADE


def test_token_for_rtsp_is_asked_for_and_listed() -> None:
    """A recorder reads with it; a daemon of before has no such field."""
    with open_fake({"POST /api/tokens": (201, MADE)}) as fake:
        done = fake.run("token", "make", "nvr", "--role", "watcher", "--all", "--rtsp")
        assert done.exit_code == 0 and "token nvr made for RTSP: watcher" in done.stderr
        assert fake.asked == [
            ("POST /api/tokens", {"token": "nvr", "role": "watcher", "until": None, "rtsp": True, **ALL})
        ]


@pytest.mark.parametrize("time", ["tomorrow", "", "2027-13-01", "0001-01-01T00:00+14:00", "10m"])
def test_end_that_is_not_a_time_sends_nothing(time: str) -> None:
    """Exit 2 with the forms that a time may have."""
    with open_fake({}) as fake:
        done = fake.run("token", "make", "ha", "--role", "watcher", "--all", "--utc", "--until", time)
        assert (done.exit_code, "is not a time; write" in done.stderr, fake.asked) == (2, True, [])


def test_sessions_and_tokens_are_listed() -> None:
    """One line each. The name of a browser cannot control the terminal."""
    since, until = "2027-01-31T03:10:00Z", "2027-05-01T03:10:00Z"
    session = {"session": "0123", "user": "anna", "client": "10.0.0.7", "agent": "Fire\x1b[2Jfox", "by": "password"}
    sessions = {"sessions": [{**session, "since": since, "until": until, "own": False}]}
    token = {"token": "ha", "role": "detector", "scope": SOME, "since": since, "until": None, "by": "local"}
    with open_fake({"GET /api/sessions": (200, sessions), "GET /api/tokens": (200, {"tokens": [token]})}) as fake:
        heads, line = fake.run("session", "list", "--utc").stdout.splitlines()
        assert heads.split() == ["session", "user", "client", "since", "until", "by", "browser"]
        assert line.startswith("0123     anna  10.0.0.7  2027-01-31 03:10:00.000Z  2027-05-01 03:10:00.000Z  password")
        assert "\x1b" not in line
        _, line = fake.run("token", "list", "--utc").stdout.splitlines()
        assert line.endswith("gate, yard, group shop  2027-01-31 03:10:00.000Z  -      -     local")
        assert json.loads(fake.run("session", "list", "--json").stdout) == sessions
        assert json.loads(fake.run("token", "list", "--json").stdout) == {"tokens": [token]}


@pytest.mark.parametrize("arguments", [ADD, ["user", "list"], ["user", "remove", "ben", "--yes"]])
def test_refusal_is_one_line_and_exit_1(arguments: list[str]) -> None:
    """With the daemon's reason, or that the answer is not one of banken."""
    for body, said in (({"type": "x", "detail": "no, because"}, "no, because"), ("a login", "not one of banken")):
        lines = ("POST /api/users", "GET /api/users", "DELETE /api/users/ben")
        with open_fake(dict.fromkeys(lines, (409, body))) as fake:
            done = fake.run(*arguments)
            assert (done.exit_code, done.stdout, said in done.stderr, done.stderr.count("\n")) == (1, "", True, 1)
