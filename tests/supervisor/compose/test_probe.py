"""`banken probe`: one camera without a daemon, every way out of it, and no secret in its output."""

import json
import logging
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest
import trio
import trio.testing
from click.testing import CliRunner, Result
from trio.testing import MockClock

from actors.media.ffmpeg import explain
from actors.media.media import ENCODE_VIDEO
from actors.process.child import ChildExit
from actors.sources.rtsp.reasons import unsupported
from actors.sources.rtsp.transport import refusal
from actors.tools import Tools
from supervisor.__main__ import main
from supervisor.base.clock import TrioClock
from supervisor.base.printable import json_text
from supervisor.cli.terminal import timed
from supervisor.compose import probe as command
from supervisor.compose.probe import HELP, Found, as_lines, as_object, keys_of, run_probe, with_options
from supervisor.config.config import Source
from supervisor.config.load import parse
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Fault
from supervisor.ports.facts import CameraFacts
from tests.kit.daemon import ROOT
from tests.kit.gst import open_rtsp_server
from tests.kit.media import FPS, access_units
from tests.kit.packets import framed, packets
from tests.kit.patience import give_up_after
from tests.kit.processes import ProcessInfo, descendants, wait_until
from tests.kit.rtp import Codec, describe
from tests.kit.shared_memory import shared_ring

GATE = CameraId("gate")
ADDRESS = "rtsp://viewer:geheim77@192.0.2.1/main"
SECRET = "geheim77"
ALPHABET = "abcXYZ0189 !$%&*+-.,;:=?@^_~#/\\'\"<>|äß東´`{}[]"

Behave = Callable[[trio.abc.Stream], Awaitable[None]]


@attrs.define
class Scripted:
    """A camera over a stream in memory. `statuses` and `headers` replace those of the answers, by method."""

    statuses: dict[str, str] = attrs.field(factory=dict)
    headers: str = "Server: Hipcam RealServer/V1.0\r\n"
    title: str = "IPC"
    asked: list[str] = attrs.field(factory=list)
    is_closed: bool = False
    sending: trio.Lock = attrs.field(factory=trio.Lock)

    async def behave(self, stream: trio.abc.Stream) -> None:
        async with trio.open_nursery() as nursery:
            async for request in stream:
                method, _, rest = bytes(request).decode(errors="replace").partition(" ")
                self.asked.append(method)
                number = rest.partition("CSeq: ")[2].split("\r\n")[0]
                status = self.statuses.get(method, "200 OK")
                body = describe(Codec.H264, 64, 64, FPS).replace("s=", f"s={self.title} ", 1)
                body = body if method == "DESCRIBE" and status == "200 OK" else ""
                head = f"RTSP/1.0 {status}\r\nCSeq: {number}\r\nSession: 5\r\n{self.headers}"
                async with self.sending:
                    await stream.send_all(f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode())
                if method == "PLAY":
                    nursery.start_soon(self._stream, stream)
            nursery.cancel_scope.cancel()
        self.is_closed = True

    async def _stream(self, stream: trio.abc.Stream) -> None:
        for data in packets(access_units(count=8 * FPS)):
            try:
                async with self.sending:
                    await stream.send_all(framed(data))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if data[1] & 0x80:  # the marker: the last packet of an access unit
                await trio.sleep(1 / FPS)


async def until_left(behave: Behave, stream: trio.abc.Stream) -> None:
    try:
        await behave(stream)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return


async def probe(
    behave: Behave | OSError,
    limit_s: float = 10.0,
    source: Source | None = None,
    cancelled_after: float = 1e9,
    caught: list[int] | None = None,
) -> Found | None:
    """Probe a camera in memory. None if it was cancelled."""
    known = source or parse(f"cameras: {{gate: {ADDRESS!r}}}", "test", {}, {"rtsp": lambda _: None}).cameras[GATE]

    async def open_tcp(host: str, port: int, tls: bool) -> trio.abc.Stream:
        if isinstance(behave, OSError):
            raise behave
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(until_left, behave, theirs)
        return ours

    def change(tools: Tools) -> Tools:
        return attrs.evolve(tools, open_tcp=open_tcp)

    found = None
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(cancelled_after):
            found = await run_probe(GATE, known, limit_s, False, change, TrioClock(), caught)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    return found


def printed(found: Found) -> str:
    """Everything that the command prints of a result, in both forms."""
    return "\n".join([*as_lines(found), json_text(timed(as_object(found)))])


async def test_camera_that_is_shown_is_described_and_left(autojump_clock: MockClock) -> None:
    """After a whole GOP and 3 s, before the limit; with TEARDOWN. Its announcements are in both forms of the output."""
    camera = Scripted()
    found = await probe(camera.behave)
    assert found is not None
    assert found.reason is None
    assert 3 <= found.took_s < 6
    assert (found.facts.server, found.facts.gop_frames, found.facts.width) == ("Hipcam RealServer/V1.0", 2 * FPS, 64)
    assert camera.asked[-2:] == ["PLAY", "TEARDOWN"]
    assert camera.is_closed
    text = printed(found)
    for words in ("192.0.2.1/main: shown", "Hipcam", "IPC", "64×64", "20 frames", "RTP over TCP", '"shown":true'):
        assert words in text, words
    assert SECRET not in text


async def endless_banner(stream: trio.abc.Stream) -> None:
    """Greets without end, and answers nothing."""
    while True:
        await stream.send_all(b"welcome " * 1000)
        await trio.sleep(0.01)


async def endless_messages(stream: trio.abc.Stream) -> None:
    while True:
        await stream.send_all(b"RTSP/1.0 200 OK\r\nCSeq: 999\r\n\r\n" * 50)
        await trio.sleep(0.01)


async def trickle(stream: trio.abc.Stream) -> None:
    """One byte of an answer in each second."""
    for byte in b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n" + b"X-Filler: 1\r\n" * 1000:
        await stream.send_all(bytes([byte]))
        await trio.sleep(1)


async def ssh(stream: trio.abc.Stream) -> None:
    await stream.send_all(b"SSH-2.0-OpenSSH_9.2\r\n")
    await trio.sleep_forever()


async def http(stream: trio.abc.Stream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await stream.aclose()


async def mute(stream: trio.abc.Stream) -> None:
    await trio.sleep_forever()


REFUSES = Scripted({"DESCRIBE": "401 Unauthorized"}, 'WWW-Authenticate: Basic realm="x"\r\n')


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        (REFUSES.behave, "unauthorized"),
        (Scripted({"DESCRIBE": "404 Not Found"}).behave, "not-found"),
        (Scripted({"PLAY": "453 Not Enough Bandwidth"}).behave, "full"),
        (ConnectionRefusedError(111, "Connection refused"), "unreachable"),
        (ssh, ""),
        (http, ""),
        (mute, "no-answer"),
        (trickle, ""),
        (endless_banner, ""),
        (endless_messages, ""),
    ],
    ids=["password", "path", "full", "nothing", "ssh", "http", "mute", "trickle", "banner", "messages"],
)
async def test_camera_that_is_not_shown_has_a_reason_in_time(
    behave: Behave | OSError, code: str, autojump_clock: MockClock
) -> None:
    """Within the limit and the bounded farewell; the reason is a known one, and has its help where there is one."""
    found = await probe(behave)
    assert found is not None
    assert found.reason is not None
    assert found.took_s <= 12
    assert not code or found.reason.code == code
    lines = as_lines(found)
    assert lines[0].endswith(f"not shown: {found.reason.text}")
    assert (found.reason.code in HELP) == any(line.startswith("  help") for line in lines)
    assert SECRET not in printed(found)


async def test_silent_stream_has_the_reason_of_the_missing_key_frame(autojump_clock: MockClock) -> None:
    """The camera plays and sends nothing: the limit of the probe ends it, with TEARDOWN."""

    class Silent(Scripted):
        async def _stream(self, stream: trio.abc.Stream) -> None:
            await trio.sleep_forever()

    camera = Silent()
    found = await probe(camera.behave, limit_s=4)
    assert found is not None
    assert found.reason is not None
    assert (found.reason.code, found.reason.fault) == ("stalled", Fault.TEMPORARY)
    assert found.took_s == pytest.approx(4, abs=1.1)
    assert camera.asked[-1] == "TEARDOWN"


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.05, 0.5, 2.0, 2.9])
async def test_probe_is_cancelled_at_any_time(after_s: float, autojump_clock: MockClock) -> None:
    """A session that was opened is ended by TEARDOWN, and the connection is closed."""
    camera = Scripted()
    assert await probe(camera.behave, cancelled_after=after_s) is None
    assert ("SETUP" in camera.asked) == ("TEARDOWN" in camera.asked)
    assert camera.is_closed or not camera.asked


async def test_password_that_a_camera_repeats_everywhere_is_hidden(autojump_clock: MockClock) -> None:
    """Forty odd passwords: in the header, in the description and in the text of a refusal, plain and quoted."""
    chance = random.Random(77)
    for number in range(40):
        password = odd_password(chance)
        address = f"rtsp://viewer:{quote(password, safe='')}@192.0.2.1/main"
        source = parse(json.dumps({"cameras": {"gate": address}}), "test", {}, {"rtsp": lambda _: None}).cameras[GATE]
        spoken = (password, quote(password, safe=""))[number % 2].encode().decode("latin-1")
        statuses = {"PLAY": f"500 {spoken}"} if number % 3 == 0 else {}
        camera = Scripted(statuses, f"Server: {spoken} {password.upper().encode().decode('latin-1')}\r\n", spoken)
        found = await probe(camera.behave, limit_s=4, source=source)
        assert found is not None
        text = printed(found).lower()
        for secret in source.secrets:
            assert len(secret) < 3 or secret.lower() not in text, (password, text)


def odd_password(chance: random.Random) -> str:
    while True:
        password = "".join(chance.choices(ALPHABET, k=chance.randint(6, 24))).strip()
        if len(password) >= 6 and "${" not in password:
            return password


@pytest.fixture(autouse=True)
def restored_log() -> Iterator[None]:
    """The command sets up the log of its process, which is that of all tests here."""
    root = logging.getLogger()
    level, hooks = root.level, (sys.excepthook, sys.unraisablehook, threading.excepthook)
    yield
    root.setLevel(level)
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────


def run(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner(env=env).invoke(main, ["probe", *words])


def test_odd_passwords_are_in_no_output_of_the_command() -> None:
    """Well and badly written addresses, to a closed port or refused at once: exit 1 or 2, without the password."""
    chance = random.Random(5)
    for _ in range(25):
        password = odd_password(chance)
        for written in (quote(password, safe=""), password):
            for address in (
                f"rtsp://viewer:{written}@127.0.0.1:1/main",
                f"rtsp://viewer:{written}@127.0.0.1:x/main",
                f"rtps://viewer:{written}@127.0.0.1/main",
                f"ffmpeg:-rtsp_transport tcp -i rtsp://viewer:{quote(password, safe='')}@127.0.0.1:1/main",
            ):
                done = run(address, *chance.choice([(), ("--json",)]), "--timeout", "2")
                assert done.exit_code in (1, 2), (address, done.output)
                assert password not in done.output, address
                assert quote(password, safe="") not in done.output, address


def test_address_in_pieces_is_not_repeated() -> None:
    """An address with a space that is not quoted has two words; the second may be the rest of the password."""
    done = run("rtsp://viewer:top", "secret77@127.0.0.1/main")
    assert done.exit_code == 2
    assert "secret77" not in done.output
    assert "one SOURCE" in done.output


def test_password_comes_from_the_environment() -> None:
    """`${NAME}` in an address is replaced, and its value is hidden."""
    done = run("rtsp://viewer:${GATE_PASSWORD}@127.0.0.1:1/main", env={"GATE_PASSWORD": "geheim77"})
    assert done.exit_code == 1
    assert "connection refused" in done.output
    assert SECRET not in done.output
    assert run("rtsp://viewer:${NOT_THERE_77}@127.0.0.1:1/main").exit_code == 2


def test_camera_of_a_configuration_is_probed_by_its_name(tmp_path: Path) -> None:
    """A wrong name gets a suggestion; an address in its place is not repeated."""
    file = tmp_path / "banken.yaml"
    file.write_text("cameras: {gate: 'rtsp://viewer:geheim77@127.0.0.1:1/main'}")
    done = run("gate", "--config", str(file), "--json")
    assert (done.exit_code, json.loads(done.stdout)["reason"]["code"]) == (1, "unreachable")
    assert "did you mean gate?" in run("gat", "--config", str(file)).output
    for wrong in (run("rtsp://v:geheim78@127.0.0.1/", "--config", str(file)), run("gate", "--config", "/nowhere")):
        assert wrong.exit_code == 2
        assert "geheim78" not in wrong.output
    assert run("gate", "--config", str(file), "--set", "transport=udp").exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("rtsp://127.0.0.1:1/", "--set", "transport=pigeon"),
        ("rtsp://127.0.0.1:1/", "--set", "nonsense=1"),
        ("rtsp://127.0.0.1:1/", "--timeout", "0"),
        ("rtsp://127.0.0.1:1/", "--picture", "/nowhere/x.jpg"),
        ("gopher://127.0.0.1/",),
        ("ffmpeg:'unclosed",),
        (),
    ],
)
def test_wrong_usage_exits_with_2(words: tuple[str, ...]) -> None:
    """Before anything is opened, with a line that says what is wrong."""
    done = run(*words)
    assert done.exit_code == 2
    assert done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gate",), "needs --config"),
        (("rtsp://127.0.0.1:1/", "--set", "transport"), "like transport=udp"),
        (("rtsp://127.0.0.1:1/", "--picture", "gate.png"), "ends in .jpg, not .png"),
        (
            ("rtsp://127.0.0.1:1/", "--set", "tls.pin=" + "0" * 64),
            "`tls.pin` counts only for rtsps://, not for rtsp://",
        ),
        (("rtsp://127.0.0.1:1/", "--set", "transport=pigeon"), "transport must be auto"),
    ],
)
def test_wrong_usage_names_what_was_written(words: tuple[str, ...], said: str) -> None:
    """A name without a configuration, an assignment without a value, and no place in a file that nobody wrote."""
    done = run(*words)
    assert done.exit_code == 2
    assert said in done.output
    assert "SOURCE:1:" not in done.output
    assert "'probe'" not in done.output


def test_options_of_a_camera_are_keys_of_its_section() -> None:
    """A dot leads into a section; `ffmpeg:` is a list of arguments."""
    assert keys_of("ffmpeg:-i 'a b' -an") == {"ffmpeg": ["-i", "a b", "-an"]}
    assert with_options({"source": "x"}, [("transport", "udp"), ("timeouts.answer", "20")]) == {
        "source": "x", "transport": "udp", "timeouts": {"answer": "20"},
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [["-i", "http://h/x?a=1&b=2"], ["-vf", "drawtext=text='a b'", "-i", "*.$x"]])
def test_arguments_of_ffmpeg_are_printed_as_a_shell_reads_them(arguments: list[str]) -> None:
    """The first line can be pasted behind `banken probe`, and opens the same source."""
    (source,) = shlex.split(command.written(Source("ffmpeg", "ffmpeg", tuple(arguments))))
    assert keys_of(source) == {"ffmpeg": arguments}


def test_secret_in_arguments_of_ffmpeg_is_not_quoted_past_its_hiding() -> None:
    """Quoting changes a secret with quotes, so it is hidden before."""
    shown = command.written(Source("ffmpeg", "ffmpeg", ("-i", "http://h/it's"), ("it's",)))
    assert "it" not in shown.replace("http", "")


def test_recommended_encoding_has_no_b_frames_and_no_password() -> None:
    """Every text that recommends it has all of its arguments, and the way for a camera with a password."""
    manual = (ROOT / "ops" / "docs" / "cameras.md").read_text()
    for text in (HELP["unsupported-codec"], unsupported("JPEG", 26).text, manual):
        assert ENCODE_VIDEO in text
        assert "go2rtc" in text
    assert "-tune zerolatency" in ENCODE_VIDEO
    assert ENCODE_VIDEO in explain(ChildExit(1, ("codec not currently supported in container",))).text


@pytest.mark.parametrize(
    ("code", "words"),
    [("ended", "rtsps://"), ("unsupported-auth", "auth: digest"), ("wrong-certificate", "SHA-256")],
)
def test_help_of_tls_and_authentication_names_its_setting(code: str, words: str) -> None:
    """A port with TLS, a camera without Digest, and another certificate each have a next step."""
    assert words in HELP[code]


def test_codes_with_help_are_reason_codes() -> None:
    """Each is in the reference of events."""
    text = (ROOT / "ops" / "docs" / "events.md").read_text()
    assert [code for code in HELP if f"`{code}`" not in text] == []


def test_reason_that_names_its_setting_has_no_other_help() -> None:
    """A camera that refuses UDP and TCP is not to be asked over UDP or TCP again."""
    reason = refusal(("udp", "tcp"))
    lines = as_lines(Found(CameraId("probe"), Source("rtsp", "rtsp://192.0.2.1/main"), CameraFacts(), reason, 0.0))
    assert "try `transport: http`" in lines[0]
    assert not [line for line in lines if line.startswith("  help")]


# ── real cameras ────────────────────────────────────────────────────────────────────────────────────────────────────


async def run_command(*words: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "supervisor", "probe", *words, "--json"]
    with give_up_after(40):
        done = await trio.run_process(command, cwd=ROOT, capture_stdout=True, capture_stderr=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else {"stderr": done.stderr.decode()}


def start(source: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "supervisor", "probe", source, "--timeout", "60"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def left_of(children: list[ProcessInfo]) -> list[ProcessInfo]:
    """Those that still exist."""
    return [child for child in children if Path(f"/proc/{child.pid}").exists()]


@pytest.mark.usefixtures("rtsp_server_here")
async def test_real_camera_is_shown_with_its_picture_and_left(tmp_path: Path) -> None:
    """Its stream, its audio and its software; a JPEG; a wrong password and a wrong path have their codes."""
    picture = tmp_path / "gate.jpg"
    async with open_rtsp_server(size=(320, 180), fps=15, password=SECRET, audio="pcma") as camera:
        code, found = await run_command(camera.url_with(SECRET), "--picture", str(picture))
        about = found["about"]
        assert (code, found["shown"], found["picture"]) == (0, True, str(picture)), found
        assert picture.read_bytes().startswith(b"\xff\xd8")
        assert (about["codec"], about["width"], about["gop_frames"], about["audio"]) == ("h264", 320, 15, "pcma")
        assert "GStreamer" in about["server"]
        assert about["profile"] == "Constrained Baseline"
        assert about["round_trip_s"] < 1
        await wait_until(lambda: not camera.sessions, 5, what="the end of the session")
        assert camera.requests["TEARDOWN"] == 1
        code, found = await run_command(camera.url_with("wrong"))
        assert (code, found["reason"]["code"]) == (1, "unauthorized")
        code, found = await run_command(camera.url_with(SECRET).replace("/main", "/other"))
        assert (code, found["reason"]["code"]) == (1, "not-found")


@pytest.mark.usefixtures("rtsp_server_here")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_ends_the_probe_at_once(number: signal.Signals) -> None:
    """Exit code 128 and the number of the signal; the camera gets TEARDOWN."""
    async with open_rtsp_server(size=(320, 180), fps=15, key_frames=150) as camera:
        process = start(camera.url)
        try:
            await wait_until(lambda: camera.requests["PLAY"], 20, what="PLAY")
            began = trio.current_time()
            process.send_signal(number)
            await wait_until(lambda: process.poll() is not None, 10, what="the end of the probe")
            assert trio.current_time() - began < 3
            await wait_until(lambda: not camera.sessions, 5, what="the end of the session")
            assert (process.returncode, camera.requests["TEARDOWN"]) == (128 + number, 1)
        finally:
            process.kill()
            process.communicate()


INTERRUPTED = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["banken", "probe", "test:64x64@5"]
from supervisor.__main__ import main
main()
"""


@pytest.mark.parametrize("module", ["click", "supervisor.compose.probe", "trio", "actors.media.hub"])
def test_ctrl_c_ends_the_probe_while_it_imports(module: str) -> None:
    """Exit code 130, and not a word."""
    program = [sys.executable, "-c", INTERRUPTED.format(module=module)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


async def test_signal_before_the_event_loop_opens_no_camera(autojump_clock: MockClock) -> None:
    """It is noted, and ends the probe as it begins."""
    camera, caught = Scripted(), list[int]()
    with command.noted_signals(caught):
        signal.raise_signal(signal.SIGINT)
    assert caught == [signal.SIGINT]
    found = await probe(camera.behave, caught=caught)
    assert found is not None
    assert (camera.asked, found.took_s) == ([], 0)


async def test_children_end_with_the_probe() -> None:
    """A signal ends it before it has seen a second key frame, and no process is left."""
    process = start("ffmpeg:-f lavfi -re -i testsrc2=s=320x180:r=10 -c:v libx264 -g 900")
    try:
        children = await wait_until(lambda: descendants(process.pid), 20, what="a child")
        os.kill(process.pid, signal.SIGINT)
        await wait_until(lambda: process.poll() is not None, 10, what="the end of the probe")
        assert process.returncode == 130
        assert not left_of(children)
    finally:
        process.kill()
        process.communicate()


async def test_shared_memory_without_a_writer_counts_as_connected(autojump_clock: MockClock) -> None:
    """It is open, and it answers no requests: there is no advice about a TCP port."""
    name = f"/banken-probe-{os.getpid()}"
    with shared_ring(name):
        found = await probe(mute, 4, Source("shm", f"shm:{name}"))
    assert found is not None
    assert found.reason is not None
    assert (found.reason.code, found.facts.transport) == ("stalled", "shared memory")
    assert "no picture came" in found.reason.text
    assert not any("TCP port" in line for line in as_lines(found))


@pytest.mark.parametrize(
    "source", ["test:320x180@10", "ffmpeg:-f lavfi -re -i testsrc2=s=320x180:r=10 -c:v libx264 -g 10"]
)
async def test_kinds_with_a_child_are_shown(source: str) -> None:
    """A test pattern, and any arguments of ffmpeg."""
    code, found = await run_command(source)
    assert (code, found["shown"], found["about"]["width"]) == (0, True, 320), found
