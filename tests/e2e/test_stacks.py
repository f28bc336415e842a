"""Stock WebRTC stacks, with the offers that they make by themselves, play what a real daemon sends.

Tests fetch nothing: where a Debian package or a Go module is missing, they are skipped with its name. With
BANKEN_REQUIRE_ALL=1 they fail instead, and `ops/test` and `ops/check` fetch both before (`ops/debian.py`).
"""

from pathlib import Path

import pytest

import stacks
from tests.conftest import require
from tests.kit.daemon import open_daemon


def orders(stack: str) -> list[object]:
    """Of the viewer of this stack: its command and the arguments behind the URL, as parameters."""
    found = [(command, order) for name, command, order in stacks.viewers() if name == stack]
    return [pytest.param(command, order, id=" ".join(order)) for command, order in found]


async def assert_plays(folder: Path, command: list[str], order: tuple[str, ...]) -> None:
    async with open_daemon(folder, {"bars": "test:320x180@25"}) as daemon:
        await daemon.wait_camera("bars", "live")
        assert await stacks.watch([*command, f"{daemon.url}whep/bars", *order]) == "plays"


@pytest.mark.parametrize(("command", "order"), orders("aiortc"))
async def test_aiortc_with_a_data_channel_plays(tmp_path: Path, command: list[str], order: tuple[str, ...]) -> None:
    """It wants user fragment and password of each section, the refused one of the data channel included."""
    await assert_plays(tmp_path, command, order)


@pytest.mark.usefixtures("webrtcbin_here")
@pytest.mark.parametrize(("command", "order"), orders("GStreamer"))
async def test_gstreamer_with_its_defaults_plays(tmp_path: Path, command: list[str], order: tuple[str, ...]) -> None:
    """No bundle, no parameters of H.264, an RSA certificate, and a fingerprint wanted of each section."""
    await assert_plays(tmp_path, command, order)


@pytest.fixture(scope="module")
def pion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pion viewer, built offline. The build may take a minute, at the lowest priority."""
    try:
        return stacks.build_pion(tmp_path_factory.mktemp("pion"), fetch=False)
    except stacks.CannotBuild as error:
        require(f"no pion viewer (BANKEN_REQUIRE_ALL=1 ops/setup fetches its Go modules): {error}")
        raise


@pytest.mark.parametrize("order", stacks.PION, ids=" ".join)
async def test_pion_with_its_defaults_plays(tmp_path: Path, pion: Path, order: tuple[str, ...]) -> None:
    """Two videos, audio outside of the bundle, a data channel in front: it wants an rtpmap of each refused section."""
    await assert_plays(tmp_path, [str(pion)], order)
