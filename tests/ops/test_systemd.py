"""The units under ops/systemd: what systemd thinks of them, and what must stand in them."""

import re
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "ops" / "systemd"


def settings(unit: str) -> dict[str, str]:
    """Every setting of a unit; those that stand twice by their last value."""
    lines = (UNITS / unit).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_the_service_restarts_stops_and_is_confined_as_it_should() -> None:
    """A wrong configuration (exit 2) is not retried, and stopping may take more than 12 s."""
    unit = settings("banken.service")
    wanted = {
        "Type": "notify", "Restart": "always", "RestartPreventExitStatus": "2", "KillMode": "mixed",
        "StateDirectory": "banken", "ProtectSystem": "strict", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "",
        "DynamicUser": "yes", "LogNamespace": "banken", "OOMPolicy": "continue",
    }  # fmt: skip
    assert wanted.items() <= unit.items()
    assert int(unit["TimeoutStopSec"]) > 12, "with children that do not die it takes so long"
    assert unit["ExecStart"].split()[1] == "run"
    assert unit["ExecReload"].endswith(" --pid $MAINPID"), "a daemon that cannot be asked over HTTP gets SIGHUP"


def test_it_is_restarted_every_night_at_three_also_when_that_was_missed() -> None:
    """`Persistent=true`, and `try-restart`, which does not start a service that is stopped."""
    timer = settings("banken-restart.timer")
    assert (timer["OnCalendar"], timer["Persistent"]) == ("*-*-* 03:00:00", "true")
    assert settings("banken-restart.service")["ExecStart"].endswith("systemctl try-restart banken.service")


def test_its_log_is_rotated() -> None:
    """The log namespace limits its size, the age of a file and the time that a file is kept."""
    log = settings(f"journald@{settings('banken.service')['LogNamespace']}.conf")
    assert {"SystemMaxUse", "MaxFileSec", "MaxRetentionSec"} <= log.keys()


@pytest.mark.usefixtures("systemd_here")
def test_systemd_has_no_complaint(tmp_path: Path) -> None:
    """With a program that is there in the place of the one that is to be installed."""
    for unit in UNITS.glob("banken*"):
        (tmp_path / unit.name).write_text(re.sub(r"/opt/banken\S*|/bin/systemctl", "/bin/true", unit.read_text()))
    names = [str(tmp_path / name) for name in ("banken.service", "banken-restart.service", "banken-restart.timer")]
    done = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "banken" in line]
    assert (done.returncode, ours) == (0, [])
