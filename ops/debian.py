"""Debian packages and Go modules that the set-up and the tests need: installed or fetched, else named."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from console import refuse, run, say

# For the tests; beside each package the command that may stand in for it, installed by whatever means.
TEST_PACKAGES = {
    "chromium-headless-shell": "chromium-headless-shell",  # Chromium without the window: a third less of the processor
    "systemd": "systemd-analyze",
    "ffmpeg": "ffmpeg",
    "nodejs": "node",
    "nginx-light": "nginx",
    "caddy": "caddy",
    "openssl": "openssl",
    "linux-libc-dev": None,  # numbers of system calls
    "gir1.2-gst-rtsp-server-1.0": None,  # the tests' RTSP server, run by /usr/bin/python3
    "python3-gst-1.0": None,
    "gstreamer1.0-plugins-base": None,
    "gstreamer1.0-plugins-good": None,  # rtph264pay
    "gstreamer1.0-plugins-bad": None,  # h264parse
    "gstreamer1.0-plugins-ugly": None,  # x264enc
    "gstreamer1.0-nice": None,  # ICE of webrtcbin
    "gir1.2-gst-plugins-bad-1.0": None,  # webrtcbin for /usr/bin/python3
    "gstreamer1.0-x": None,  # clockoverlay (pango)
    "python3-opencv": None,  # ops/examples/people.py
}

# For `ops/stacks/pion`, under BANKEN_REQUIRE_ALL=1 only: it is large.
GO_PACKAGES = {"golang-go": "go"}
PION = Path(__file__).resolve().parent / "stacks" / "pion"

# For `ops/check scripts`.
CHECK_PACKAGES = {"node-typescript": "tsc"}


def ensure_test_packages() -> None:
    """Without them tests are skipped; under BANKEN_REQUIRE_ALL=1 this refuses to go on."""
    missing = install_packages(missing_packages(TEST_PACKAGES))
    if missing:
        line = f"{len(missing)} Debian packages are missing; to run every test, type: {apt_line(missing)}"
        if os.environ.get("BANKEN_REQUIRE_ALL") == "1":
            refuse(line)
        say(line)
    ensure_go_modules()


def ensure_go_modules() -> None:
    """Under BANKEN_REQUIRE_ALL=1, fetch the modules that `go.mod` of the pion viewer pins, or refuse to go on.

    Modules that are there are not fetched again, and a missing Go is installed as a Debian package.
    """
    if os.environ.get("BANKEN_REQUIRE_ALL") != "1":
        return
    missing = install_packages(missing_packages(GO_PACKAGES))
    if missing:
        refuse(f"Go is missing, which builds the pion viewer of the tests; type: {apt_line(missing)}")
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    done = subprocess.run(
        ["go", "mod", "download"], cwd=PION, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        refuse(f"the Go modules in {PION / 'go.mod'} are missing, and cannot be fetched: {reason}")


def missing_packages(packages: dict[str, str | None]) -> list[str]:
    """Those neither installed nor replaced by their command. Without dpkg, only commands are seen."""
    unseen = [name for name, command in packages.items() if command is None or shutil.which(command) is None]
    if not unseen or shutil.which("dpkg-query") is None:
        return unseen
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *unseen]
    answer = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    return [name for name in unseen if f"{name} installed" not in answer]


def install_packages(packages: list[str]) -> list[str]:
    """Install if we are root and have apt-get, and return []; else return what somebody has to install."""
    if not packages or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return packages
    say(f"installing Debian packages: {' '.join(packages)}")
    os.environ.setdefault("DEBIAN_FRONTEND", "noninteractive")
    with tempfile.TemporaryDirectory(prefix="banken-apt-") as folder:
        run(["apt-get", "update", "-q"], Path(folder, "log"))
        run(apt_line(packages).split(), Path(folder, "log"))
    return []


def apt_line(packages: list[str]) -> str:
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    return " ".join([*sudo, "apt-get", "install", "-y", "--no-install-recommends", *packages])
