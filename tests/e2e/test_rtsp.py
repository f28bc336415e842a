"""Real RTSP cameras, in every way in which they speak, read by ourselves."""

from pathlib import Path

import attrs
import pytest

from actors.media.media import AudioFormat
from supervisor.config.config import Source
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import CameraPhase
from tests.kit.certificates import pin_of, write_certificate
from tests.kit.gst import Audio, Auth, Codec, RtspServer, open_rtsp_server
from tests.kit.media import follow
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until
from tests.kit.yard import Yard, open_yard

pytestmark = pytest.mark.usefixtures("rtsp_server_here")

GATE = CameraId("gate")
PASSWORD = "s3cr3t!/@"
WITHIN_S = 20.0
PICTURES = 30
APART_S = 0.3
"""Offset between audio and pictures made at the same time, by their time stamps; a server that encodes buffers some."""


async def watch(yard: Yard) -> None:
    """Wait until enough pictures have come; their time stamps advance by the interval between them."""
    assert await yard.until(lambda: yard.camera(GATE).phase is CameraPhase.LIVE, WITHIN_S), yard.camera(GATE).reason
    hub = yard.hub(GATE)
    place = hub.subscribe()
    with give_up_after(WITHIN_S):
        shown = [(await follow(hub, place))[0] for _ in range(PICTURES)]
    seconds = (shown[-1].pts - shown[0].pts) / 90_000
    assert 0.5 < seconds / ((PICTURES - 1) / 15) < 1.5
    assert hub.statistics().discarded_frames == hub.statistics().malformed_packets == 0


async def hear(yard: Yard, camera: RtspServer) -> AudioFormat:
    """Audio arrives, in step with the pictures."""
    hub = yard.hub(GATE)
    with give_up_after(WITHIN_S):
        while hub.audio_frames.end < 20:
            await hub.audio_frames.wait_beyond(hub.audio_frames.end)
    assert hub.audio is not None
    newest = hub.audio_frames.read_nowait(hub.audio_frames.end - 1, 1)[0]
    assert abs(newest.pts - hub.pts_now()) / 90_000 < APART_S
    return hub.audio


async def wait_left(camera: RtspServer) -> None:
    """The server has received TEARDOWN and holds no session."""
    await wait_until(lambda: camera.requests["TEARDOWN"] and not camera.sessions, WITHIN_S, what="the end of sessions")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(("codec", "audio"), [("h264", "pcma"), ("h264", "opus"), ("h265", "pcmu"), ("h264", "aac")])
async def test_a_camera_is_seen_and_heard(codec: Codec, audio: Audio, transport: str) -> None:
    """Four pairs of codecs over TCP and UDP; afterwards the camera has no connection."""
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
async def test_a_camera_with_a_password(auth: Auth) -> None:
    """With Basic, Digest or both; a wrong password is `unauthorized` and the camera fails."""
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


async def test_camera_with_another_certificate_than_the_pinned_one_is_not_asked(tmp_path: Path) -> None:
    """Its reason has the SHA-256 that was seen; with that one as the pin, the camera is live."""
    certificate = write_certificate(tmp_path / "camera.pem")
    async with open_rtsp_server(size=(320, 180), fps=15, password=PASSWORD, certificate=certificate) as camera:
        async with open_yard({GATE: Source("rtsp", camera.url_with(PASSWORD), pin="ab" * 32)}) as yard:
            assert await yard.until(lambda: yard.camera(GATE).phase is CameraPhase.FAILED, WITHIN_S)
            reason = yard.camera(GATE).reason
        assert not camera.requests
        async with open_yard({GATE: Source("rtsp", camera.url_with(PASSWORD), pin=pin_of(certificate))}) as yard:
            await watch(yard)
        await wait_left(camera)
    assert reason is not None
    assert (reason.code, pin_of(certificate) in reason.text) == ("wrong-certificate", True)


async def test_camera_by_tls_sends_encrypted_datagrams(tmp_path: Path) -> None:
    """SRTP over UDP beside TLS; the camera without SRTP is read over TCP."""
    certificate = write_certificate(tmp_path / "camera.pem")
    for encrypted, transport in (True, "udp"), (False, "tcp"):
        async with open_rtsp_server(
            size=(320, 180), fps=15, encrypted=encrypted, password=PASSWORD, certificate=certificate
        ) as camera:
            async with open_yard({GATE: Source("rtsp", camera.url_with(PASSWORD), transport="udp")}) as yard:
                await watch(yard)
                assert yard.hub(GATE).transport == transport
            await wait_left(camera)


async def test_rtsps_to_a_camera_without_tls_says_so() -> None:
    """The camera waits for another attempt, and the text names TLS."""
    async with open_rtsp_server(size=(320, 180), fps=15) as camera:
        address = camera.url.replace("rtsp:", "rtsps:")
        async with open_yard({GATE: Source("rtsp", address)}) as yard:
            assert await yard.until(lambda: yard.camera(GATE).phase is CameraPhase.WAITING, WITHIN_S)
            reason = yard.camera(GATE).reason
    assert reason is not None
    assert "TLS" in reason.text


@pytest.mark.parametrize(("transport", "codec"), [("tcp", "h264"), ("udp", "h264"), ("tcp", "h265")])
async def test_camera_with_encrypted_media_is_seen_and_heard(transport: str, codec: Codec) -> None:
    """SRTP with MIKEY: the keys are in the description, and all packets are authentic."""
    async with open_rtsp_server(size=(320, 180), fps=15, codec=codec, audio="pcma", encrypted=True) as camera:
        async with open_yard({GATE: Source("rtsp", camera.url, transport=transport)}) as yard:
            await watch(yard)
            heard, loss = await hear(yard, camera), yard.hub(GATE).loss
        await wait_left(camera)
    assert heard.codec == "pcma"
    assert (loss.malformed, loss.lost, dict(loss.oddities)) == (0, 0, {})
