"""Real RTSP cameras, in every way in which they speak, read by ourselves."""

import datetime
from pathlib import Path

import attrs
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actors.media import AudioFormat
from supervisor.config import Source
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import CameraPhase
from tests.kit.gst import RtspServer, open_rtsp_server
from tests.kit.media import follow
from tests.kit.processes import wait_until
from tests.kit.yard import Yard, open_yard

pytestmark = pytest.mark.usefixtures("rtsp_server_here")

GATE = CameraId("gate")
PASSWORD = "s3cr3t!/@"
WITHIN_S = 20.0
PICTURES = 30
APART_S = 0.3
"""Sound and pictures that were made together, by the time stamps; a server with an encoder in it buffers some."""


async def watch(yard: Yard) -> None:
    """Until so many pictures have come; their time stamps go forward by what lies between them."""
    assert await yard.until(lambda: yard.camera(GATE).phase is CameraPhase.LIVE, WITHIN_S), yard.camera(GATE).reason
    hub = yard.hub(GATE)
    place = hub.subscribe()
    with trio.fail_after(WITHIN_S):
        shown = [(await follow(hub, place))[0] for _ in range(PICTURES)]
    seconds = (shown[-1].pts - shown[0].pts) / 90_000
    assert 0.5 < seconds / ((PICTURES - 1) / 15) < 1.5
    assert hub.statistics().broken_pictures == hub.statistics().malformed_packets == 0


async def hear(yard: Yard, camera: RtspServer) -> AudioFormat:
    """Sound comes, in step with the pictures."""
    hub = yard.hub(GATE)
    with trio.fail_after(WITHIN_S):
        while hub.sounds.end < 20:
            await hub.sounds.wait_beyond(hub.sounds.end)
    assert hub.audio is not None
    newest = hub.sounds.read_nowait(hub.sounds.end - 1, 1)[0]
    assert abs(newest.pts - hub.pts_now()) / 90_000 < APART_S
    return hub.audio


async def wait_left(camera: RtspServer) -> None:
    """The server has been told that we leave, and holds nothing for us."""
    await wait_until(lambda: camera.requests["TEARDOWN"] and not camera.sessions, WITHIN_S, what="the end of sessions")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(("codec", "audio"), [("h264", "pcma"), ("h264", "opus"), ("h265", "pcmu"), ("h264", "aac")])
async def test_a_camera_is_seen_and_heard(codec: str, audio: str, transport: str) -> None:
    async with open_rtsp_server(size=(320, 180), fps=15, codec=codec, audio=audio) as camera:
        async with open_yard({GATE: Source("rtsp", camera.url, transport=transport)}) as yard:
            await watch(yard)
            picture, heard = yard.hub(GATE).picture, await hear(yard, camera)
        await wait_left(camera)
    assert picture is not None
    assert (picture.codec, picture.width, picture.height, picture.audio) == (codec, 320, 180, audio)
    rates = {"pcma": (8000, 1), "pcmu": (8000, 1), "opus": (48_000, 2), "aac": (48_000, 2)}
    assert attrs.astuple(heard)[:3] == (audio, *rates[audio])


@pytest.mark.parametrize("auth", ["both", "basic", "digest"])
async def test_a_camera_with_a_password(auth: str) -> None:
    async with open_rtsp_server(size=(320, 180), fps=15, password=PASSWORD, auth=auth) as camera:
        async with open_yard({GATE: Source("rtsp", camera.url_with(PASSWORD))}) as yard:
            await watch(yard)
        await wait_left(camera)
        async with open_yard({GATE: Source("rtsp", camera.url_with("wrong"))}) as yard:
            assert await yard.until(lambda: yard.camera(GATE).phase is CameraPhase.FAILED, WITHIN_S)
            reason = yard.camera(GATE).reason
    assert reason is not None
    assert reason.code == "unauthorized"


async def test_a_camera_by_tls(tmp_path: Path) -> None:
    """Its certificate is its own, as in all cameras: it encrypts, and nobody vouches for it."""
    certificate = write_certificate(tmp_path / "camera.pem")
    async with open_rtsp_server(size=(320, 180), fps=15, password=PASSWORD, certificate=certificate) as camera:
        async with open_yard({GATE: Source("rtsp", camera.url_with(PASSWORD))}) as yard:
            await watch(yard)
        await wait_left(camera)


async def test_rtsps_to_a_camera_without_tls_says_so() -> None:
    async with open_rtsp_server(size=(320, 180), fps=15) as camera:
        address = camera.url.replace("rtsp:", "rtsps:")
        async with open_yard({GATE: Source("rtsp", address)}) as yard:
            assert await yard.until(lambda: yard.camera(GATE).phase is CameraPhase.WAITING, WITHIN_S)
            reason = yard.camera(GATE).reason
    assert reason is not None
    assert "TLS" in reason.text


def write_certificate(path: Path) -> Path:
    """A certificate that nobody has signed but itself, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "camera")])
    began = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, began, began + datetime.timedelta(days=36_500))
    ).sign(key, hashes.SHA256())
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(encoding) + private)
    return path
