"""Actions of an operator during a fault, on a real daemon with a real RTSP camera, from the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import trio

from supervisor.domain.restart import RETRY_AFTER_S
from tests.kit.cameras import open_camera
from tests.kit.daemon import ROOT, Daemon, open_daemon
from tests.kit.habits import HEALTHY, Behaviour
from tests.kit.processes import wait_until

AGAIN_S = 3.0
"""From the request to the picture; the next attempt of the daemon itself comes after 10 s at the earliest."""
LOCKED = Behaviour(refuses={"DESCRIBE": "401 Unauthorized"})


async def banken(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """A command to this daemon, without a terminal."""
    return await trio.run_process(
        [sys.executable, "-m", "supervisor", *arguments, "--url", daemon.url],
        capture_stdout=True, capture_stderr=True, cwd=ROOT, check=False, env=dict(os.environ),
    )  # fmt: skip


async def wait_pause(daemon: Daemon) -> None:
    """Until the daemon takes a request for an attempt: a second after the one before."""
    since = datetime.fromisoformat((await daemon.camera("gate"))["since"]).timestamp()
    await wait_until(lambda: time.time() - since > RETRY_AFTER_S, 5)


async def test_failed_camera_that_is_well_again_is_live_within_seconds_of_a_retry(tmp_path: Path) -> None:
    """404 twice, so that the next probe is 20 s away; a retry of the live camera is refused with its reason."""
    missing = Behaviour(refuses={"DESCRIBE": "404 Not Found"})
    async with open_camera(missing) as camera, open_daemon(tmp_path, {"gate": camera.url}) as daemon:
        await daemon.wait_camera("gate", "failed")
        await wait_until(lambda: camera.refusals["404 Not Found"] == 2, 15)
        await daemon.wait_camera("gate", "failed")
        camera.behaviour = HEALTHY
        await wait_pause(daemon)
        done = await banken(daemon, "retry", "gate")
        assert (done.returncode, done.stdout) == (0, b"gate is tried now\n"), done.stderr
        await daemon.wait_camera("gate", "live", AGAIN_S)
        done = await banken(daemon, "retry", "gate")
        assert (done.returncode, done.stderr) == (1, b"banken: gate is not tried again: it is live\n")
        assert (await banken(daemon, "retry", "nobody")).returncode == 1
        rows = daemon.journal()
    asked = next(row for row in rows if row.type == "CameraRetried")
    assert asked.principal == "client:127.0.0.1"
    assert [row.type for row in rows if row.cause == asked.seq][:1] in (["SlotTaken"], ["CameraConnecting"])


async def test_retry_after_a_refused_password_needs_yes(tmp_path: Path) -> None:
    """Without a terminal nobody can be asked: exit 1, and the camera has heard nothing."""
    async with open_camera(LOCKED) as camera:
        url = camera.url.replace("rtsp://", "rtsp://viewer:geheim@")
        async with open_daemon(tmp_path, {"gate": url}) as daemon:
            await daemon.wait_camera("gate", "failed")
            tried = camera.refusals["401 Unauthorized"]
            await wait_pause(daemon)
            done = await banken(daemon, "retry", "gate")
            assert done.returncode == 1
            assert b"may lock the account at the camera" in done.stderr
            assert b"--yes" in done.stderr
            assert camera.refusals["401 Unauthorized"] == tried
            camera.behaviour = HEALTHY
            assert (await banken(daemon, "retry", "gate", "--yes")).returncode == 0
            await daemon.wait_camera("gate", "live", AGAIN_S)


async def test_refused_reload_is_in_journal_and_health_until_a_good_one(tmp_path: Path) -> None:
    """The command says the lines, as `check` does, and so does a SIGHUP to the journal; the cure clears it."""
    async with open_daemon(tmp_path, {"bars": "test:64x64@5"}) as daemon:
        path = tmp_path / "banken.yaml"
        good = path.read_text()
        path.write_text(good.replace("cameras:", "camera:"))
        done = await banken(daemon, "reload")
        assert done.returncode == 1
        assert b"banken.yaml:5: unknown key" in done.stderr.replace(bytes(tmp_path) + b"/", b"")
        assert b"the one before stays in use" in done.stderr
        health = await daemon.get("/api/health")
        (part,) = [part for part in health["parts"] if part["part"] == "configuration"]
        assert "unknown key" in part["reason"]
        path.write_text("web: {")  # the address of the daemon cannot be read from it, by YAML at least
        daemon.process.send_signal(signal.SIGHUP)
        await wait_until(lambda: sum(row.type == "ConfigurationRefused" for row in daemon.journal()) == 2, 10)
        path.write_text(good + "  more: test:64x64@5\n")
        done = await banken(daemon, "reload", "--json")
        assert (done.returncode, json.loads(done.stdout)["cameras"]) == (0, 2)
        health = await daemon.get("/api/health")
        assert not [part for part in health["parts"] if part["part"] == "configuration"]
        refused = [row for row in daemon.journal() if row.type == "ConfigurationRefused"]
        assert [row.principal for row in refused] == ["client:127.0.0.1", "system"]
