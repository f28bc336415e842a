"""Fixtures and markers of all tests.

A missing program skips a test with the reason; with BANKEN_REQUIRE_ALL=1 it fails. A test has the marker `quick` unless
it is `slow`, or starts programs: it is in one of the folders `REAL_FOLDERS`, or its module uses one of `REAL_MODULES`.
"""

import os
import shutil
import signal
import subprocess
from types import ModuleType

import pytest

from actors.process import process
from tests.kit import chromium, daemon, gst, process_group, stage, yard

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""Jobs in the background of a shell ignore SIGINT, those of nohup(1) SIGHUP; programs under test would inherit that."""
REAL_FOLDERS = ("e2e", "faults", "sim", "ops")
REAL_MODULES = {each.__name__ for each in (subprocess, process, chromium, daemon, gst, process_group, stage, yard)}
REAL_MODULES.add("tests.actors.process.test_child")  # its `tools` open real processes


def pytest_itemcollected(item: pytest.Item) -> None:
    if not item.get_closest_marker("slow") and not starts_programs(item):
        item.add_marker(pytest.mark.quick)


def starts_programs(item: pytest.Item) -> bool:
    """Whether the test is in a folder of real programs, or its module uses code that starts programs."""
    if item.nodeid.split("/")[1] in REAL_FOLDERS or any(map(item.get_closest_marker, ("alone", "paired"))):
        return True
    used = vars(item.module).values() if isinstance(item, pytest.Function) else ()
    names = {value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) for value in used}
    return bool(names & REAL_MODULES)


@pytest.fixture
def rtsp_server_here() -> None:
    """For tests that need a real RTSP server."""
    require(gst.missing_reason())


@pytest.fixture
def webrtcbin_here() -> None:
    """For tests that need GStreamer's WebRTC."""
    require(gst.webrtcbin_missing_reason())


@pytest.fixture
def chromium_here() -> None:
    """For tests that need a real browser."""
    require(chromium.chromium_missing_reason())


@pytest.fixture
def systemd_here() -> None:
    """For tests that let systemd read our units."""
    require(None if shutil.which("systemd-analyze") else "there is no systemd-analyze (Debian's package systemd)")


def require(missing: str | None) -> None:
    if missing is None:
        return
    if os.environ.get("BANKEN_REQUIRE_ALL") == "1":
        pytest.fail(f"this machine cannot run the test: {missing}")
    pytest.skip(missing)
