"""A real RTSP camera that sends B-frames, in a real browser: transcoded, or named where it is not."""

from pathlib import Path

import pytest

from supervisor.domain import events as e
from tests.conftest import require
from tests.kit import axe
from tests.kit.chromium import open_chromium
from tests.kit.daemon import open_daemon
from tests.kit.gst import open_rtsp_server
from tests.kit.http import request
from tests.kit.processes import wait_until

pytestmark = pytest.mark.usefixtures("rtsp_server_here", "chromium_here")

SAID = "It sends B-frames, which browsers show jerkily: turn them off in the camera"
NOTE = "document.querySelector('.grid .tile[data-camera={}] [data-part=overlay]:not([hidden])')"
IN_VIEW = """(() => {
  const [note, picture] = [%s, document.querySelector('.tile[data-camera=jerky] [data-part=picture]')]
    .map((element) => element.getBoundingClientRect());
  return note.left >= picture.left && note.right <= picture.right && note.bottom <= picture.bottom
    && note.height < picture.height / 2 && note.right <= innerWidth;
})()""" % NOTE.format("jerky")  # noqa: UP031 (the text has braces)


TILE = "document.querySelector('.tile[data-camera=jerky]')"
WHOLE = """(() => {
  const row = TILE.querySelector('.numbers'), end = row.getBoundingClientRect();
  const parts = [...row.children].filter((part) => part.offsetWidth);
  const seen = parts.filter((part) => part.getBoundingClientRect().top < end.bottom - 1);
  const boxes = seen.map((part) => part.getBoundingClientRect());
  return seen.length >= 2 && seen.every((part, index) => part.scrollWidth <= part.offsetWidth
    && boxes[index].right <= end.right + 1 && boxes[index].left >= (boxes[index - 1]?.right ?? 0));
})()""".replace("TILE", TILE)
"""Whether the figures below a picture are complete, beside each other, and at least two."""
COUNT = "window.banken.players.get('jerky')?.statistics().framesDecoded ?? 0"


async def test_browser_decodes_the_pictures_of_a_camera_with_b_frames(tmp_path: Path) -> None:
    """All of them, transcoded. The API, the journal and the tile name the transcoder, which ends after the page."""
    async with (
        open_rtsp_server(size=(320, 180), fps=15, b_frames=2) as jerky,
        open_daemon(tmp_path, {"jerky": jerky.url}) as daemon,
        open_chromium() as browser,
    ):
        async with browser.open_page(daemon.url) as page:
            await page.wait_for(f"({COUNT}) >= 60", 60)
            await page.wait_for(
                "/CPU [0-9]+ %/.test(document.querySelector('.tile[data-camera=jerky]').textContent)", 60
            )
            for width in (260, 300, 342, 420, 500, 600):
                await page.evaluate(f"{TILE}.style.width = '{width}px'")
                assert await page.evaluate(WHOLE), width
            assert await page.evaluate(f"{NOTE.format('jerky')} === null"), "nothing covers a picture that plays well"
            known = await daemon.camera("jerky")
            assert known["b_frames"] is True
            assert known["transcoder_cpu"] is not None
            (peer,) = (await daemon.get("/api/peers"))["peers"]
            assert peer["transcoded"]["code"] == "b-frames"
            videos = [one for one in (await daemon.get("/api/processes"))["processes"] if one["purpose"] == "video"]
            assert len(videos) == 1
            assert videos[0]["cpu"] is not None
        await wait_until(lambda: daemon.children() == [], 60)
        assert await daemon.end() == 0
    changed = [row.event for row in daemon.journal() if isinstance(row.event, e.PeerStreamChanged)]
    assert [event.transcoded.code for event in changed if event.transcoded] == ["b-frames"]
    assert not [row for row in daemon.journal() if isinstance(row.event, e.AlertRaised)]


async def test_tile_names_the_b_frames_of_its_camera_in_both_themes_and_widths(tmp_path: Path) -> None:
    """With `transcode: never`, within seconds, over the picture that plays. A camera without B-frames has no note."""
    require(axe.missing_reason())
    async with (
        open_rtsp_server(size=(320, 180), fps=15, b_frames=2) as jerky,
        open_rtsp_server(size=(320, 180), fps=15) as smooth,
        open_daemon(tmp_path, {"jerky": jerky.url, "smooth": smooth.url}, "transcode: never") as daemon,
        open_chromium(size=(1280, 800)) as browser,
        browser.open_page(daemon.url) as page,
    ):
        await page.wait_for(f"{NOTE.format('jerky')}?.textContent.includes({SAID!r})", 30)
        await page.wait_for("banken.players.get('smooth')?.state().name === 'live'", 30)
        await axe.load_axe(page)
        for width in (1280, 375):
            await page.set_viewport(width, 800)
            for theme in ("light", "dark"):
                await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
                await page.wait_for(IN_VIEW)
                assert await axe.findings(page) == [], (width, theme)
                await page.screenshot(tmp_path / f"b-frames-{width}-{theme}.png")
        assert await page.evaluate(f"{NOTE.format('smooth')} === null")
        assert (await daemon.camera("jerky"))["b_frames"] is True
        assert (await daemon.camera("smooth"))["b_frames"] is False
        parts = {
            part["part"]: part["reason"] for part in (await request(daemon.port, "GET", "/api/health")).json["parts"]
        }
        assert "jerkily: turn them off in the camera" in parts["alert/b-frames/jerky"]
        assert "alert/b-frames/smooth" not in parts
        assert await daemon.end() == 0
    lives = [row.event for row in daemon.journal() if isinstance(row.event, e.CameraLive)]
    assert {event.camera for event in lives if event.picture.b_frames} == {"jerky"}
