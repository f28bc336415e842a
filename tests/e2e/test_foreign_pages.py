"""A page of another site in a real Chromium, on the machine of somebody who may see the cameras.

The other site is another port of this machine: `http://localhost:PORT` is cross-site to the daemon on 127.0.0.1, and
`http://127.0.0.1:PORT` is same-site.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from supervisor.domain import events as e
from tests.kit.chromium import open_chromium
from tests.kit.daemon import Daemon, open_daemon

pytestmark = [pytest.mark.usefixtures("chromium_here")]

CAMERAS = {"attic": {"source": "test:160x90@5", "mode": "on_demand"}}
PAGE = """<!doctype html><meta charset="utf-8"><title>elsewhere</title><body>
<script>
const DAEMON = "http://127.0.0.1:%d", seen = {};
const done = (name, what) => { seen[name] = what; };
for (const path of ["snapshot.jpg", "snapshot.jpg?max_age=0", "stream.mjpeg"]) {
  const image = new Image();
  image.onload = () => done(`image ${path}`, "shown");
  image.onerror = () => done(`image ${path}`, "refused");
  image.src = `${DAEMON}/cameras/attic/${path}`;
}
for (const mode of ["no-cors", "cors"]) {
  fetch(`${DAEMON}/cameras/attic/snapshot.jpg?max_age=0`, { mode })
    .then(() => done(`fetch ${mode}`, "read"), () => done(`fetch ${mode}`, "refused"));
}
fetch(`${DAEMON}/api/leases`, { method: "POST", mode: "no-cors", body: '{"kind":"viewer","camera":"attic"}' })
  .then(() => done("post", "read"), () => done("post", "refused"));
for (const path of ["/ws/events", "/ws/signaling"]) {
  const socket = new WebSocket(DAEMON.replace("http", "ws") + path);
  socket.onopen = () => done(path, "open");
  socket.onerror = () => done(path, "refused");
}
for (const [tag, name] of [["iframe", "src"], ["embed", "src"], ["object", "data"]]) {
  const frame = document.createElement(tag);
  frame[name] = `${DAEMON}/cameras/attic/stream.mjpeg`;
  document.body.append(frame);
}
const form = document.createElement("form");
Object.assign(form, { method: "post", action: `${DAEMON}/api/leases`, target: "sink" });
const sink = Object.assign(document.createElement("iframe"), { name: "sink" });
document.body.append(sink, form);
form.submit();
for (const path of ["/", "/cameras/attic/snapshot.jpg?max_age=0"]) {
  const link = Object.assign(document.createElement("link"), { rel: "prefetch", href: DAEMON + path });
  document.head.append(link);
}
const rules = Object.assign(document.createElement("script"), { type: "speculationrules" });
rules.textContent = JSON.stringify({
  prerender: [{ source: "list", urls: [`${DAEMON}/cameras/attic/snapshot.jpg`] }],
  prefetch: [{ source: "list", urls: [`${DAEMON}/cameras/attic/stream.mjpeg`] }],
});
document.head.append(rules);
for (const name of ["picture", "stream", "page"]) {
  const path = { picture: "/cameras/attic/snapshot.jpg", stream: "/cameras/attic/stream.mjpeg", page: "/" }[name];
  const link = { id: name, href: DAEMON + path, textContent: name };
  document.body.append(Object.assign(document.createElement("a"), link));
}
</script></body>
"""
REFUSED = {
    "image snapshot.jpg", "image snapshot.jpg?max_age=0", "image stream.mjpeg", "fetch no-cors", "fetch cors", "post",
    "/ws/events", "/ws/signaling",
}  # fmt: skip


@asynccontextmanager
async def open_elsewhere(daemon: int) -> AsyncIterator[int]:
    """Another site, whose only page tries all it can; yields its port."""
    body = (PAGE % daemon).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                await stream.receive_some()
                await stream.send_all(head + body)
            except trio.BrokenResourceError:
                pass

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def opened(daemon: Daemon) -> list[object]:
    """All that opens a camera, or takes a viewer's place."""
    kinds = (e.CameraConnecting, e.CameraLive, e.LeaseGranted, e.PeerOpened)
    return [row.event for row in daemon.journal() if isinstance(row.event, kinds)]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"], ids=["cross-site", "same-site"])
async def test_foreign_page_shows_no_picture_and_opens_no_camera(host: str, tmp_path: Path) -> None:
    """Images, frames, fetches, forms, prefetches, WebSockets and links; then our own page works."""
    async with (
        open_daemon(tmp_path, CAMERAS) as daemon,
        open_elsewhere(daemon.port) as port,
        open_chromium() as browser,
        browser.open_page(f"http://{host}:{port}/", until="load") as page,
    ):
        await page.wait_for(f"Object.keys(seen).length >= {len(REFUSED)}", 30)
        assert await page.evaluate("seen") == dict.fromkeys(REFUSED, "refused")
        assert opened(daemon) == []

        for name in ("picture", "stream"):
            await page.goto(f"http://{host}:{port}/", until="load")
            await page.click(f"#{name}")
            await page.wait_for(f"location.port == {daemon.port} && document.body.innerText.includes('404')", 15)
        assert opened(daemon) == []

        await page.goto(f"http://{host}:{port}/", until="load")
        await page.click("#page")
        await page.wait_for(f"location.port == {daemon.port} && document.title.includes('banken')", 15)
        await page.goto(f"{daemon.url}cameras/attic/snapshot.jpg?max_age=0", within=30)
        assert await page.evaluate("document.contentType") == "image/jpeg"
        assert opened(daemon) != []
