"""The command line as a person meets it: what is wrong is one clear line on stderr and exit 2, never a traceback."""

import json
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC
from pathlib import Path

import pytest

from supervisor.base.times import shown as time_text
from supervisor.domain.describe import describe
from supervisor.services.access_file import AccessFile, write_access
from tests.conftest import require
from tests.kit.certificates import write_pair
from tests.kit.daemon import ROOT, launch_daemon, open_daemon, write_config
from tests.kit.journals import change, lively, write_journal
from tests.kit.processes import wait_until


def banken(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "supervisor", *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **environ},
    )  # fmt: skip


def refuses(said: str, *arguments: str | Path) -> None:
    """Exit 2, and the last line on stderr says this; nothing on stdout, no traceback."""
    done = banken(*arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal", lively())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "banken.yaml"
    path.write_text('web: {listen: "127.0.0.1:0"}\ncameras: {bars: "test:64x64@5"}\n')
    return path


def test_check_says_what_a_good_file_holds(config: Path) -> None:
    """The number of cameras and each source, with exit code 0."""
    done = banken("check", config)
    assert (done.returncode, done.stdout) == (0, f"{config}: good; 1 camera\n  bars: test:64x64@5\n")


def test_check_warns_of_an_address_beyond_this_machine(config: Path) -> None:
    """The file is good, exit 0; the warning says what to do."""
    config.write_text('web: {listen: "0.0.0.0:8620"}\ncameras: {bars: "test:64x64@5"}\n')
    done = banken("check", config)
    assert done.returncode == 0
    assert "warning: web.listen: 0.0.0.0:8620 is beyond this machine" in done.stderr
    assert "until the first user is made" in done.stderr
    write_access(config.parent / "access.json", AccessFile(trust_ended=True))
    assert "warning" not in banken("check", config).stderr


@pytest.mark.parametrize(("listen", "warned"), [("0.0.0.0:8620", True), ("127.0.0.1:8620", False)])
def test_start_warns_of_an_address_beyond_this_machine(config: Path, listen: str, warned: bool) -> None:
    """In the log, before anything else. The daemon runs in a network namespace, so that nobody reaches it."""
    alone = ["unshare", "--map-root-user", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        require("no network namespaces (unshare --map-root-user --net)")
    config.write_text(f'web: {{listen: "{listen}"}}\ncameras: {{bars: "test:64x64@5"}}\n')
    run = [*alone, sys.executable, "-m", "supervisor", "run", str(config)]
    with subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        try:
            assert "1 camera at" in daemon.stdout.readline()
        finally:
            daemon.terminate()
            said = daemon.communicate(timeout=30)[1]
    assert (f"WARNING banken: web.listen: {listen} is beyond this machine" in said) == warned, said


async def test_check_and_start_warn_of_arguments_that_look_secret(tmp_path: Path) -> None:
    """On stderr and in the log, without the secret."""
    camera = {"mode": "on_demand", "ffmpeg": ["-re", "-i", "http://h/x?sid=geheim"]}
    warning = "ffmpeg of a: arguments that look secret can be read by every user of this machine"
    async with open_daemon(tmp_path, {"a": camera}) as daemon:
        done = banken("check", tmp_path / "banken.yaml")
    assert (done.returncode, f"warning: {warning}" in done.stderr) == (0, True)
    assert f"WARNING banken: {warning}" in daemon.output
    assert "geheim" not in done.stdout + done.stderr + daemon.output


async def test_log_of_a_daemon_is_json_if_it_is_configured(tmp_path: Path) -> None:
    """Each line is an object; a record about a camera names it; no secret is in any. The variable sets the format."""
    write_config(tmp_path, {"front": "rtsp://u:geheim-1@127.0.0.1:9/x"}, "secret: [geheim-2]\nlog: {level: debug}")
    async with launch_daemon(tmp_path, {"BANKEN_LOG_FORMAT": "json"}) as daemon:
        await daemon.wait_ready()
        await wait_until(lambda: '"camera":"front"' in daemon.output, 20)
    lines = [line for line in daemon.output.splitlines() if not line.startswith("banken: ")]
    records = [json.loads(line) for line in lines]
    assert all({"time", "level", "logger", "message"} <= {*record} for record in records)
    assert {"info", "warning"} <= {record["level"] for record in records}
    assert "geheim" not in daemon.output


def test_check_prints_a_schema_and_a_file_with_present_names(config: Path) -> None:
    """The schema needs no file. For a file, a complete file is printed."""
    schema = banken("check", "--schema")
    assert (schema.returncode, json.loads(schema.stdout)["properties"]["web"]["type"]) == (0, ["object", "null"])
    config.write_text("# ours\ncameras: {bars: 'test:64x64@5'}  # a test\n")
    assert banken("check", "--rewrite", config).stdout == config.read_text()


def test_check_reads_the_file_of_a_reload_or_standard_input(config: Path) -> None:
    """Without CONFIG it is ./banken.yaml, as for `reload`, or the variable of that; `-` is standard input."""
    command = [sys.executable, "-m", "supervisor", "check"]
    environ = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(Path(__file__).parents[2])}
    here = subprocess.run(command, cwd=config.parent, env=environ, capture_output=True, text=True, check=False)
    assert (here.returncode, here.stdout.splitlines()[0]) == (0, "banken.yaml: good; 1 camera")
    environ["BANKEN_CONFIG"] = "another.yaml"
    other = subprocess.run(command, cwd=config.parent, env=environ, capture_output=True, text=True, check=False)
    assert (other.returncode, "another.yaml: cannot be read" in other.stderr) == (2, True)
    for text, said in (("cameras: {}", "-: good; 0 cameras"), ("\nx: 1", "-:2: unknown key 'x'")):
        done = subprocess.run([*command, "-"], input=text, env=environ, capture_output=True, text=True, check=False)
        assert said in done.stdout + done.stderr


def test_option_sets_a_setting(config: Path) -> None:
    """`check` and `run` take the same; one without a value is wrong, and one without a setting as well."""
    done = banken("check", config, "--set", "limits.peers=7", "--set", "web.listen=127.0.0.1:1")
    assert "  limits.peers is set by --set limits.peers\n" in done.stdout
    refuses("--set limits.peers: limits.peers must be a whole number", "check", config, "--set", "limits.peers=0")
    refuses("it must be NAME=VALUE", "check", config, "--set", "limits.peers")
    unknown = "--set limit.peers: there is no such setting; did you mean limits.peers?"
    refuses(unknown, "run", config, "--set", "limit.peers=1")


def test_check_names_every_problem_with_its_line(config: Path) -> None:
    """Two problems on two lines are both printed."""
    config.write_text("cameras:\n  a: nonsense:x\nlimit: {}\n")
    refuses(f"{config}:3: unknown key 'limit'", "check", config)
    refuses(f"{config}:2: camera 'a': unknown kind of source 'nonsense'", "check", config)


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_file_that_is_not_there(tmp_path: Path, command: str) -> None:
    """`check` and `run` both name the file and the system's error."""
    refuses("nothing.yaml: cannot be read: No such file", command, tmp_path / "nothing.yaml")


def test_check_says_that_the_page_is_served_over_https(tmp_path: Path, config: Path) -> None:
    """With the certificate that it gets; nothing is made."""
    cert, key = write_pair(tmp_path, "cams.example")
    for tls, said in (("auto", "of the local CA (banken ca)"), (f"{{cert: {cert}, key: {key}}}", f"in {cert}")):
        config.write_text(f"web: {{listen: '0.0.0.0:8620', tls: {tls}}}\n")
        done = banken("check", config)
        assert done.stdout == f"{config}: good; 0 cameras\n  https, with the certificate {said}\n"
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_certificate_that_cannot_be_used(tmp_path: Path, config: Path, command: str) -> None:
    """The error names the setting, the file, and what to do; the journal has not even been made."""
    cert, _ = write_pair(tmp_path, "cams.example")
    config.write_text(f"web: {{listen: '127.0.0.1:0', tls: {{cert: {cert}, key: missing.key}}}}\n")
    refuses(
        f"web.tls: {tmp_path / 'missing.key'} cannot be read: No such file or directory; name a file", command, config
    )
    assert not (tmp_path / "journal").exists()


def test_a_damaged_ca(tmp_path: Path, config: Path) -> None:
    """It is never replaced; the error says what to put back or to remove."""
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.pem").write_text("nothing")
    refuses(
        f"web.tls: {tmp_path}/tls/ca.pem is damaged; put back copies of", "run", "--set", "web.listen=127.1:0", config
    )
    assert not (tmp_path / "journal").exists()


def test_an_address_in_use(config: Path) -> None:
    """Nothing is half-started: the journal has not even been made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(f'web: {{listen: "127.0.0.1:{port}"}}\n')
        refuses(f"cannot listen on 127.0.0.1:{port}: [Errno 98] Address already in use", "run", config)
    assert not (config.parent / "journal").exists()


async def test_a_journal_in_use(tmp_path: Path, config: Path) -> None:
    """The second daemon does not start; its message has the pid of the first."""
    async with open_daemon(tmp_path, {}) as daemon:
        apart = "--set", f"state.path={tmp_path / 'state'}"
        refuses(f"the journal is in use by another daemon, or another program has locked its folder "
                f"(the last daemon was pid {daemon.pid})", "run", *apart, config)  # fmt: skip


async def test_a_state_folder_in_use(tmp_path: Path, config: Path) -> None:
    """The second daemon does not start, and its journal has not even been made; its message has the pid of the first,
    which goes on."""
    async with open_daemon(tmp_path, {}) as daemon:
        said = f"{tmp_path}: the state folder is in use by another daemon (the last daemon was pid {daemon.pid}); "
        refuses(f"{said}stop that daemon, or give this one another folder by state.path",
                "run", "--set", f"journal.path={tmp_path / 'other'}", config)  # fmt: skip
        assert not (tmp_path / "other").exists()
        assert banken("reload", "--state", tmp_path).returncode == 0
        assert await daemon.end() == 0


async def test_a_life_leads_back_to_its_start_and_to_its_signal(tmp_path: Path) -> None:
    """The configuration follows from the start and the end from the stop; these two have no cause."""
    async with open_daemon(tmp_path, {}) as daemon:
        assert await daemon.end() == 0
    rows = daemon.journal()
    causes = {row.type: row.cause and rows[row.cause - 1].type for row in rows}
    assert (causes["ConfigurationApplied"], causes["RunEnded"]) == ("RunStarted", "RunStopping")
    assert (causes["RunStarted"], causes["RunStopping"]) == (None, None)


def test_events_are_printed_oldest_first(journal: Path) -> None:
    """One line for each event, with its number first and its sentence."""
    done = banken("events", journal)
    lines = done.stdout.splitlines()
    assert len(lines) == len(lively())
    for line, recorded in zip(lines, lively(), strict=True):
        assert line.split()[0] == str(recorded.seq)
        assert describe(recorded.event)[1] in line


def test_events_can_be_chosen(journal: Path) -> None:
    """Number, types with wildcard, position, time and camera; JSON has the same rows with all fields."""
    rows = lively()
    assert len(banken("events", journal, "-n", "3").stdout.splitlines()) == 3
    assert len(banken("events", journal, "--type", "CameraLive", "--type", "Run*").stdout.splitlines()) == sum(
        r.type in ("CameraLive", "RunStarted") for r in rows
    )
    assert len(banken("events", journal, "--after", "10").stdout.splitlines()) == len(rows) - 10
    span = f"#1 ({time_text(rows[0].wall_ns, UTC)}) to #{len(rows)} ({time_text(rows[-1].wall_ns, UTC)})"
    refuses(f"the journal spans {span}", "events", journal, "--since", "2100-01-01", "--utc")
    shown = [json.loads(line) for line in banken("events", journal, "--camera", "gate", "--json").stdout.splitlines()]
    assert [event["seq"] for event in shown] == [r.seq for r in rows if getattr(r.event, "camera", "") == "gate"]
    assert {"type", "text", "severity", "body", "cause", "correlation"} <= set(shown[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--camera", "nobody"], "the journal knows no camera 'nobody'"),
        (["--type", "Nothing"], "there is no type of event 'Nothing'; known: AccessRefused, AlertCleared"),
        (["--since", "soon"], "'soon' is not a time; write"),
        (["--since", "9" * 400 + "d"], "is not a time"),
        (["--after", "9" * 23], "is not in the range"),
        (["-n", "0"], "is not in the range"),
    ],
)
def test_wrong_questions(journal: Path, arguments: list[str], said: str) -> None:
    """Each has one line that names the wrong value, and the values known where there are few."""
    refuses(said, "events", journal, *arguments)


def test_no_journal_here(tmp_path: Path) -> None:
    """A folder without a journal is an error, not an empty list."""
    refuses("there is no journal here", "events", tmp_path)


async def test_following_goes_on_with_what_happens(tmp_path: Path) -> None:
    """New events appear as they come, from beside a running daemon, and Ctrl+C is a normal end."""
    async with open_daemon(tmp_path, {"bars": "test:64x64@5"}) as daemon:
        output = tmp_path / "followed"
        with output.open("wb") as out:
            follower = subprocess.Popen(  # noqa: ASYNC220 - a test may block for the millisecond it takes
                [sys.executable, "-m", "supervisor", "events", tmp_path / "journal", "--follow"], cwd=ROOT, stdout=out
            )
        try:
            await wait_until(lambda: "CameraLive" in output.read_text(), 60)
            await daemon.offer("bars", "not an offer")
            daemon.process.send_signal(signal.SIGHUP)
            await wait_until(lambda: output.read_text().count("ConfigurationApplied") == 2, 60)
            follower.send_signal(signal.SIGINT)
            await wait_until(lambda: follower.poll() is not None, 60)
            assert follower.returncode == 130
        finally:
            follower.kill()
            follower.wait()


async def test_sighup_takes_a_changed_file_and_keeps_the_old_one_when_it_is_bad(tmp_path: Path) -> None:
    """A bad or empty file changes no camera; a setting that needs a start is reported."""
    async with open_daemon(tmp_path, {"bars": "test:64x64@5"}) as daemon:
        path = tmp_path / "banken.yaml"
        good = path.read_text()
        path.write_text(good + "  more: test:64x64@5\n  worse: nonsense:x\n")
        daemon.process.send_signal(signal.SIGHUP)
        await wait_until(lambda: "kept as it was" in daemon.output, 10)
        path.write_text(good.replace("path: journal", "path: elsewhere") + "  more: test:64x64@5\n")
        daemon.process.send_signal(signal.SIGHUP)
        await wait_until(lambda: "read again: 2 cameras" in daemon.output, 10)
        await wait_until(lambda: "is taken at the next start" in daemon.output, 10)
        await daemon.wait_camera("more", "live")
        path.write_text("")  # as an editor leaves it for a moment
        daemon.process.send_signal(signal.SIGHUP)
        await wait_until(lambda: "names no camera any more" in daemon.output, 10)
        assert len((await daemon.get("/api/cameras"))["cameras"]) == 2
        assert await daemon.end() == 0


def test_replay_refuses_what_is_no_journal_or_a_damaged_one(tmp_path: Path, journal: Path) -> None:
    """A wrong address is refused too; each before the server listens."""
    refuses("there is no journal here", "replay", tmp_path)
    refuses("web.listen must be ADDRESS:PORT", "replay", journal, "--listen", "here")
    for beyond in ("0.0.0.0:0", "[::]:0", "192.0.2.7:8620", "cams.lan:8620"):
        refuses("a replay asks nobody who they are", "replay", journal, "--listen", beyond)
    change(journal, "UPDATE event SET body = '{}' WHERE seq = 3")
    refuses("event 3 is damaged", "replay", journal, "--listen", "127.0.0.1:0")


def test_two_demos_with_journals_in_one_folder_do_not_collide(tmp_path: Path) -> None:
    """Each has its own state folder beside its journal, and neither uses that of a daemon in the folder around it."""
    (tmp_path / "access.json").write_text("not of a demo")
    with ExitStack() as running:
        for name in ("one", "two"):
            command = [sys.executable, "-m", "supervisor", "demo", "--cameras", "1", "--listen", "127.0.0.1:0"]
            demo = running.enter_context(
                subprocess.Popen(
                    [*command, "--journal", str(tmp_path / name)], cwd=ROOT, stdout=subprocess.PIPE, text=True
                )
            )
            running.callback(demo.terminate)
            assert demo.stdout is not None
            assert "1 camera at" in demo.stdout.readline()
            assert (tmp_path / f"{name}.state" / "control").is_socket()
    assert (tmp_path / "access.json").read_text() == "not of a demo"
