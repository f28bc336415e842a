"""A real browser with an RSA certificate, which other stacks make by default, plays."""

from pathlib import Path

import pytest

from supervisor.domain import events as e
from tests.kit.chromium import open_chromium
from tests.kit.daemon import open_daemon

PLAY = """(async () => {
  const rsa = {
    name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256",
  };
  const pc = new RTCPeerConnection({certificates: [await RTCPeerConnection.generateCertificate(rsa)]});
  window.pc = pc;
  const video = document.createElement("video");
  video.muted = true;
  pc.ontrack = ({streams}) => { video.srcObject = streams[0]; video.play(); };
  pc.addTransceiver("video", {direction: "recvonly"});
  await pc.setLocalDescription();
  const sdp = pc.localDescription.sdp.replace("a=setup:actpass", "a=setup:SETUP");
  const response = await fetch("/whep/bars", {
    method: "POST", headers: {"Content-Type": "application/sdp"}, body: sdp,
  });
  await pc.setRemoteDescription({type: "answer", sdp: await response.text()});
  window.video = video;
})()"""


@pytest.mark.parametrize("setup", ["actpass", "active"])
async def test_chromium_with_an_rsa_certificate_plays_in_either_role(setup: str, tmp_path: Path) -> None:
    """`actpass` makes the browser the DTLS server, so that its RSA key signs the handshake; `active` its client."""
    async with open_daemon(tmp_path, {"bars": "test:320x180@10"}) as daemon:
        await daemon.wait_camera("bars", "live")
        async with open_chromium() as browser, browser.open_page(daemon.url) as page:
            await page.evaluate(PLAY.replace("SETUP", setup))
            await page.wait_for("window.video.videoWidth === 320 && window.pc.connectionState === 'connected'", 15)
        connected = [row for row in daemon.journal() if isinstance(row.event, e.PeerConnected)]
        assert connected
