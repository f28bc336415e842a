"""Real RTSP servers that serve one transport alone, read by each setting; no session and no socket is left."""

from pathlib import Path

import pytest

from supervisor.config.config import Source
from supervisor.domain.events import CameraLive
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import CameraPhase
from tests.conftest import require
from tests.kit import multicast
from tests.kit.certificates import write_certificate
from tests.kit.descriptors import open_sockets
from tests.kit.gst import Transport, open_rtsp_server
from tests.kit.yard import open_yard

from .test_rtsp import PASSWORD, WITHIN_S, wait_left, watch

pytestmark = pytest.mark.usefixtures("rtsp_server_here")

GATE = CameraId("gate")


@pytest.mark.parametrize(
    ("serves", "setting", "over"),
    [
        ("tcp", "auto", "tcp"),
        ("udp", "auto", "udp"),
        ("udp", "udp", "udp"),
        ("tcp", "udp", "tcp"),
        ("tcp", "http", "http"),
    ],
)
async def test_camera_with_one_transport_is_live(serves: Transport, setting: str, over: str) -> None:
    """`CameraLive` names the transport of the connection, whatever was asked first."""
    async with open_rtsp_server(size=(320, 180), fps=15, audio="pcma", transports=(serves,)) as camera:
        before = open_sockets()
        async with open_yard({GATE: Source("rtsp", camera.url, transport=setting)}) as yard:
            await watch(yard)
            live = [row.event for row in yard.events(GATE) if isinstance(row.event, CameraLive)]
            assert yard.camera(GATE).transport == over
        await wait_left(camera)
        assert open_sockets() <= before
    assert {event.transport for event in live} == {over}


@pytest.mark.parametrize("setting", ["tcp", "http", "multicast"])
async def test_transport_that_is_set_is_not_replaced(setting: str) -> None:
    """Only UDP is served: the camera fails, and the reason names a setting to try."""
    async with open_rtsp_server(size=(320, 180), fps=15, transports=("udp",)) as camera:
        async with open_yard({GATE: Source("rtsp", camera.url, transport=setting)}) as yard:
            assert await yard.until(lambda: yard.camera(GATE).phase is CameraPhase.FAILED, WITHIN_S)
            reason = yard.camera(GATE).reason
    assert reason is not None
    assert reason.code == "unsupported-transport"
    assert "try `transport: " in reason.text


async def test_http_carries_a_camera_with_a_password_and_tls(tmp_path: Path) -> None:
    """The tunnel is HTTPS, and the session in it answers the challenge."""
    certificate = write_certificate(tmp_path / "camera.pem")
    async with open_rtsp_server(size=(320, 180), fps=15, password=PASSWORD, certificate=certificate) as camera:
        source = Source("rtsp", camera.url_with(PASSWORD), transport="http", secrets=(PASSWORD,))
        async with open_yard({GATE: source}) as yard:
            await watch(yard)
            assert yard.camera(GATE).transport == "http"
        await wait_left(camera)


async def test_multicast_group_is_joined_and_left() -> None:
    """Two groups, or ports of one, with RTP and RTCP each; afterwards no membership and no socket is left."""
    try:
        played = await multicast.run_in_namespace()
    except (RuntimeError, OSError) as error:
        require(str(error))
        raise
    assert set(played.transports) == {"multicast"}
    assert played.pictures == multicast.PICTURES
    assert played.bound == 4
    assert played.joined > 0
    assert (played.joined_after, played.leaked) == (0, 0)
    assert played.teardowns == 1
