"""Players of HLS that people have: hls.js in Chromium, and GStreamer. ffmpeg is in `readers`.

Rules of this file:
- hls.js comes from npm, as the version and with the SHA-512 that are stated here. It is in no file that banken serves.
- GStreamer runs in its own program, under the system's Python.
"""

import base64
import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio

from .gst import SYSTEM_PYTHON
from .page import Page
from .patience import PATIENCE

VERSION = "1.7.4"
SHA512 = "3GlxGdPvT2YHvQYOt+yOzT/DEior/qJVNIylHA77kgeoBTdQQqi70GwefNEUmHQeNGyjC8U62+bruqW/Tpm+tg=="
SCRIPT = "package/dist/hls.min.js"
KEPT = Path(__file__).parents[2] / ".cache" / f"hls-{VERSION}.min.js"
GST = Path(__file__).with_name("hls_gst.py")
PLAY = """([url, seconds]) => new Promise((done) => {
  const video = document.createElement("video");
  const problems = [];
  video.muted = true;
  document.body.append(video);
  const hls = new Hls({lowLatencyMode: true, enableWorker: false});
  hls.on(Hls.Events.ERROR, (_, {details, fatal}) => problems.push(`${details}${fatal ? " (fatal)" : ""}`));
  hls.loadSource(url);
  hls.attachMedia(video);
  video.play().catch((error) => problems.push(String(error)));
  const end = () => {
    const {totalVideoFrames: frames} = video.getVideoPlaybackQuality();
    const found = {frames, at: video.currentTime, latency: hls.latency, ended: video.ended, problems};
    hls.destroy();
    video.remove();
    done(found);
  };
  video.addEventListener("ended", end);
  setTimeout(end, seconds * 1000);
})"""


def hls_js() -> str:
    """The script, fetched with the first call on a machine. Raises `RuntimeError` if that is not possible. Blocking."""
    if not KEPT.exists():
        with TemporaryDirectory(prefix="banken-hls-") as folder:
            command = ["npm", "pack", f"hls.js@{VERSION}", "--pack-destination", folder]
            try:
                subprocess.run(command, capture_output=True, check=True, timeout=120 * PATIENCE)
                keep(Path(folder, f"hls.js-{VERSION}.tgz").read_bytes())
            except (OSError, subprocess.SubprocessError) as error:
                raise RuntimeError(f"hls.js {VERSION} cannot be had: {error}") from None
    return KEPT.read_text()


def keep(packed: bytes) -> None:
    if base64.b64encode(hashlib.sha512(packed).digest()).decode() != SHA512:
        raise RuntimeError(f"what npm has as hls.js {VERSION} is not what it was: its SHA-512 differs")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        script = archive.extractfile(SCRIPT)
        assert script is not None
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_bytes(script.read())


async def play_by_hls_js(page: Page, url: str, seconds: float) -> Any:
    """Play `url`, an address on the page's origin: frames, place, latency in seconds, and problems."""
    await page.evaluate(await trio.to_thread.run_sync(hls_js))
    return await page.evaluate(f"({PLAY})({json.dumps([url, seconds])})", within=seconds + 30)


async def play_by_gstreamer(url: str, seconds: float) -> Any:
    """Play `url` for some seconds: access units, the problem, and whether it ended before."""
    with trio.fail_after((seconds + 30) * PATIENCE):
        done = await trio.run_process(
            [SYSTEM_PYTHON, GST, url, f"{seconds:g}"], capture_stdout=True, capture_stderr=True
        )
    return json.loads(done.stdout)
