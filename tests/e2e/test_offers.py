"""Offers of a real Chromium that lack something or are put together in another way, and what becomes of them."""

import re
from pathlib import Path

import pytest

from tests.kit.chromium import open_chromium
from tests.kit.daemon import open_daemon

WITHOUT_H264 = """{
  const plain = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (kind, init) {
    const added = plain.call(this, kind, init);
    const codecs = RTCRtpReceiver.getCapabilities(kind).codecs.filter(({mimeType}) => !/H26/.test(mimeType));
    added.setCodecPreferences(codecs);
    return added;
  };
}"""
"""As in a Firefox without its plugin, or a Chromium without proprietary codecs."""

PLAY = """(async () => {
  const pc = window.pc = new RTCPeerConnection({bundlePolicy: "max-bundle"});
  const video = window.video = document.createElement("video");
  video.muted = true;
  pc.ontrack = ({track}) => { video.srcObject = new MediaStream([track]); video.play(); };
  const add = (direction) => pc.addTransceiver("video", {direction});
  MAKE;
  await pc.setLocalDescription();
  const response = await fetch("/whep/bars", {
    method: "POST", headers: {"Content-Type": "application/sdp"}, body: pc.localDescription.sdp,
  });
  const sdp = await response.text();
  await pc.setRemoteDescription({type: "answer", sdp});
  return sdp;
})()"""
MODE_0 = """add("recvonly").setCodecPreferences(RTCRtpReceiver.getCapabilities("video").codecs
  .filter(({mimeType, sdpFmtpLine}) => mimeType === "video/H264" && /packetization-mode=0/.test(sdpFmtpLine)))"""

pytestmark = pytest.mark.usefixtures("chromium_here")


@pytest.mark.parametrize(
    ("make", "answered"),
    [
        (MODE_0, "a=fmtp:.*packetization-mode=0"),
        ("add('inactive'); add('recvonly')", "m=video 9 (?s:.*)a=inactive(?s:.*)m=video 9 "),
        ("add('sendonly'); add('recvonly')", "m=video 9 (?s:.*)a=inactive(?s:.*)m=video 9 "),
        ("add('recvonly'); add('recvonly')", "m=video 9 (?s:.*)m=video 0 (?s:.*)a=rtpmap"),
    ],
    ids=["mode 0", "inactive first", "sendonly first", "two videos"],
)
async def test_unusual_offer_of_chromium_plays(make: str, answered: str, tmp_path: Path) -> None:
    """H.264 of mode 0 alone; a bundle that hangs on a section in which nothing is sent; a refused section behind."""
    async with open_daemon(tmp_path, {"bars": "test:320x180@10"}) as daemon:
        await daemon.wait_camera("bars", "live")
        async with open_chromium() as browser, browser.open_page(daemon.url) as page:
            answer = await page.evaluate(PLAY.replace("MAKE", make))
            assert re.search(answered, answer)
            await page.wait_for("window.video.videoWidth === 320 && window.pc.connectionState === 'connected'", 20)


async def test_browser_without_a_supported_codec_is_shown_snapshots_with_the_reason(tmp_path: Path) -> None:
    """By the page, which asks for nothing of the kind again; the refusal has a link to them."""
    async with open_daemon(tmp_path, {"bars": "test:320x180@10"}) as daemon:
        await daemon.wait_camera("bars", "live")
        async with open_chromium() as browser, browser.open_page("about:blank") as page:
            await page.command("Page.addScriptToEvaluateOnNewDocument", {"source": WITHOUT_H264})
            await page.goto(daemon.url)
            tile = "document.querySelector('.tile[data-camera=bars]')"
            await page.wait_for(f"{tile}?.innerText.includes('this browser does not play H.264')", 20)
            await page.wait_for(f"{tile}.querySelector('.stills').naturalWidth === 320", 20)
            assert "Snapshots only" in await page.evaluate(f"{tile}.innerText")
        assert not [row for row in daemon.journal() if type(row.event).__name__ == "PeerOpened"]
