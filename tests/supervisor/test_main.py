"""The command line as a person meets it: what is wrong is one clear line on stderr and exit 2, never a traceback."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.domain.describe import describe
from tests.conftest import require
from tests.kit.daemon import ROOT, open_daemon
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
    done = banken("check", config)
    assert (done.returncode, done.stdout) == (0, f"{config}: good; 1 camera\n  bars: test:64x64@5\n")


def test_check_warns_of_an_address_beyond_this_machine(config: Path) -> None:
    """The file is good, exit 0; the warning says what to do."""
    config.write_text('web: {listen: "0.0.0.0:8620"}\ncameras: {bars: "test:64x64@5"}\n')
    done = banken("check", config)
    assert done.returncode == 0
    assert "warning: web.listen: 0.0.0.0:8620 is beyond this machine" in done.stderr
    assert "put a proxy with a password in front" in done.stderr


@pytest.mark.parametrize(("listen", "warned"), [("0.0.0.0:8620", True), ("127.0.0.1:8620", False)])
def test_start_warns_of_an_address_beyond_this_machine(config: Path, listen: str, warned: bool) -> None:
    """In the log, before anything else; in a network of its own, so that nobody reaches it."""
    alone = ["unshare", "--map-root-user", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        require("no network namespaces (unshare --map-root-user --net)")
    config.write_text(f'web: {{listen: "{listen}"}}\ncameras: {{bars: "test:64x64@5"}}\n')
    run = [*alone, sys.executable, "-m", "supervisor", "run", str(config)]
    with subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        try:
            assert "1 cameras at" in daemon.stdout.readline()
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


def test_check_names_every_problem_with_its_line(config: Path) -> None:
    config.write_text("cameras:\n  a: nonsense:x\nlimit: {}\n")
    refuses(f"{config}:3: unknown key 'limit'", "check", config)
    refuses(f"{config}:2: camera 'a': no kind of source is called 'nonsense'", "check", config)


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_file_that_is_not_there(tmp_path: Path, command: str) -> None:
    refuses("nothing.yaml: cannot be read: No such file", command, tmp_path / "nothing.yaml")


def test_an_address_in_use(config: Path) -> None:
    """Nothing is half-started: the journal has not even been made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(f'web: {{listen: "127.0.0.1:{port}"}}\n')
        refuses(f"cannot listen on 127.0.0.1:{port}: [Errno 98] Address already in use", "run", config)
    assert not (config.parent / "journal").exists()


async def test_a_journal_in_use(tmp_path: Path, config: Path) -> None:
    async with open_daemon(tmp_path, {}) as daemon:
        refuses(f"(the last daemon was pid {daemon.pid})", "run", config)


async def test_a_life_leads_back_to_its_start_and_to_its_signal(tmp_path: Path) -> None:
    async with open_daemon(tmp_path, {}) as daemon:
        assert await daemon.end() == 0
    rows = daemon.journal()
    causes = {row.type: row.cause and rows[row.cause - 1].type for row in rows}
    assert (causes["ConfigurationApplied"], causes["RunEnded"]) == ("RunStarted", "RunStopping")
    assert (causes["RunStarted"], causes["RunStopping"]) == (None, None)


def test_events_are_printed_oldest_first(journal: Path) -> None:
    done = banken("events", journal)
    lines = done.stdout.splitlines()
    assert len(lines) == len(lively())
    for line, recorded in zip(lines, lively(), strict=True):
        assert line.split()[0] == str(recorded.seq)
        assert describe(recorded.event)[1] in line


def test_events_can_be_chosen(journal: Path) -> None:
    rows = lively()
    assert len(banken("events", journal, "-n", "3").stdout.splitlines()) == 3
    assert len(banken("events", journal, "--type", "CameraLive", "--type", "Run*").stdout.splitlines()) == sum(
        r.type in ("CameraLive", "RunStarted") for r in rows
    )
    assert len(banken("events", journal, "--after", "10").stdout.splitlines()) == len(rows) - 10
    assert banken("events", journal, "--since", "2100-01-01").stdout == ""
    shown = [json.loads(line) for line in banken("events", journal, "--camera", "gate", "--json").stdout.splitlines()]
    assert [event["seq"] for event in shown] == [r.seq for r in rows if getattr(r.event, "camera", "") == "gate"]
    assert {"type", "text", "severity", "body", "cause", "correlation"} <= set(shown[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--camera", "nobody"], "the journal knows no camera 'nobody'"),
        (["--type", "Nothing"], "there is no type of event 'Nothing'; known: AlertCleared"),
        (["--since", "yesterday"], "'yesterday' is no time; write"),
        (["--since", "9" * 400 + "d"], "is no time"),
        (["--after", "9" * 23], "is not in the range"),
        (["-n", "0"], "is not in the range"),
    ],
)
def test_wrong_questions(journal: Path, arguments: list[str], said: str) -> None:
    refuses(said, "events", journal, *arguments)


def test_no_journal_here(tmp_path: Path) -> None:
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
            await wait_until(lambda: "CameraLive" in output.read_text(), 20)
            await daemon.offer("bars", "not an offer")
            daemon.process.send_signal(signal.SIGHUP)
            await wait_until(lambda: output.read_text().count("ConfigurationApplied") == 2, 20)
            follower.send_signal(signal.SIGINT)
            await wait_until(lambda: follower.poll() is not None, 10)
            assert follower.returncode == 130
        finally:
            follower.kill()
            follower.wait()


async def test_sighup_takes_a_changed_file_and_keeps_the_old_one_when_it_is_bad(tmp_path: Path) -> None:
    async with open_daemon(tmp_path, {"bars": "test:64x64@5"}) as daemon:
        path = tmp_path / "banken.yaml"
        good = path.read_text()
        path.write_text(good + "  more: test:64x64@5\n  worse: nonsense:x\n")
        daemon.process.send_signal(signal.SIGHUP)
        await wait_until(lambda: "kept as it was" in daemon.output, 10)
        path.write_text(good.replace("path: journal", "path: elsewhere") + "  more: test:64x64@5\n")
        daemon.process.send_signal(signal.SIGHUP)
        await wait_until(lambda: "read anew: 2 cameras" in daemon.output, 10)
        await wait_until(lambda: "is taken at the next start" in daemon.output, 10)
        await daemon.wait_camera("more", "live")
        path.write_text("")  # as an editor leaves it for a moment
        daemon.process.send_signal(signal.SIGHUP)
        await wait_until(lambda: "names no camera any more" in daemon.output, 10)
        assert len((await daemon.get("/api/cameras"))["cameras"]) == 2
        assert await daemon.end() == 0


def test_replay_refuses_what_is_no_journal_or_a_damaged_one(tmp_path: Path, journal: Path) -> None:
    refuses("there is no journal here", "replay", tmp_path)
    refuses("web.listen must be ADDRESS:PORT", "replay", journal, "--listen", "here")
    change(journal, "UPDATE event SET body = '{}' WHERE seq = 3")
    refuses("event 3 is damaged", "replay", journal, "--listen", "127.0.0.1:0")
