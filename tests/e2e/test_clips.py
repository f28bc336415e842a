"""Clips of recorded video, as Chromium plays them from a running daemon."""

from pathlib import Path

import pytest

from supervisor.base.times import iso
from tests.kit.chromium import open_chromium
from tests.kit.daemon import open_daemon
from tests.kit.domain import SECOND
from tests.web.resources.test_footage import BEGAN, write

PLAY = """((url, at) => new Promise((done) => {
  const video = document.createElement("video"), shown = [];
  const end = (why) => done({why, shown, duration: video.duration, at: video.currentTime});
  video.muted = true;
  video.src = url;
  const note = (_, {mediaTime, width}) => { shown.push([mediaTime, width]); video.requestVideoFrameCallback(note); };
  video.requestVideoFrameCallback(note);
  video.addEventListener("error", () => end(video.error.message));
  video.addEventListener("ended", () => end(""));
  video.addEventListener("loadeddata", () => { video.currentTime = at; video.play(); }, {once: true});
  document.body.append(video);
}))"""


@pytest.mark.usefixtures("chromium_here")
async def test_chromium_plays_a_clip_over_a_gap_and_another_size(tmp_path: Path) -> None:
    """It knows the exact duration, seeks by ranges, and shows both sizes up to the end."""
    archive = tmp_path / "recordings"
    write(archive, 50)
    write(archive, 50, BEGAN + 60, "fedcba9876543210", size=96)
    clip = f"/footage/gate/clip.mp4?from={iso(round((BEGAN + 1.5) * SECOND))}&to={iso((BEGAN + 64) * SECOND)}"
    async with open_daemon(tmp_path, {"gate": "test:"}, f"record: {{path: {archive}}}") as daemon:
        async with open_chromium() as browser, browser.open_page(daemon.url) as page:
            whole = await page.evaluate(f"{PLAY}({clip!r}, 0)", within=30)
            late = await page.evaluate(f"{PLAY}({clip!r}, 3.0)", within=30)
    for played in (whole, late):
        assert (played["why"], round(played["duration"], 2)) == ("", 7.5)
        assert played["at"] == pytest.approx(7.5, abs=0.1)
        assert played["shown"][-1][1] == 96
    assert whole["shown"][0] == [0, 64]
    assert whole["shown"][-1][0] == pytest.approx(7.4, abs=0.15)
