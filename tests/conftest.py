"""What a machine lacks is said once, with its reason; with BANKEN_REQUIRE_ALL=1 it is a failure, not a skip."""

import os
import shutil

import pytest

from tests.kit import chromium, gst


@pytest.fixture
def rtsp_server_here() -> None:
    """For tests that need a real RTSP server."""
    require(gst.missing_reason())


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
