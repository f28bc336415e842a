"""The page in a frame of another site, in a real Chromium: Home Assistant shows it on a dashboard.

The other sites are ports of `localhost`, which is cross-site to the daemon on 127.0.0.1.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.kit.accounts import ANNA, PASSWORDS
from tests.kit.certificates import write_pair
from tests.kit.chromium import Page, open_chromium
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.http import request

from .test_access import ADMIN, LIVE, OUT
from .test_https import trusting
from .test_large import part

pytestmark = pytest.mark.usefixtures("chromium_here")

CAMERAS = {"cellar": "test:320x180@15"}
PAGE = """<!doctype html><meta charset="utf-8"><title>home</title><body>
<iframe src="%s" width="1200" height="700" sandbox="allow-forms allow-popups allow-same-origin allow-scripts"></iframe>
<script>
const seen = {};
fetch("%sapi/cameras", { credentials: "include" })
  .then(() => { seen.fetch = "read"; }, () => { seen.fetch = "refused"; });
const socket = new WebSocket("%sws/events".replace("http", "ws"));
socket.onopen = () => { seen.socket = "open"; };
socket.onerror = () => { seen.socket = "refused"; };
</script></body>
"""
LOG_IN = """(() => {
  document.querySelector("%s").value = %r;
  document.querySelector("%s").value = %r;
  document.querySelector("%s").click();
})()"""


class Home:
    """Another site, whose only page shows banken in a frame."""

    def __init__(self) -> None:
        self.port, self.shows = 0, ""

    async def answer(self, stream: trio.SocketStream) -> None:
        body = (PAGE % (self.shows, self.shows, self.shows)).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        async with stream:
            try:
                await stream.receive_some()
                await stream.send_all(head % len(body) + body)
            except trio.BrokenResourceError:
                pass


@asynccontextmanager
async def open_home() -> AsyncIterator[Home]:
    home = Home()
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, home.answer, 0, host="127.0.0.1"))
        home.port = listener.socket.getsockname()[1]
        yield home
        nursery.cancel_scope.cancel()


async def add_admin(daemon: Daemon) -> None:
    kind = {"Content-Type": "application/json"}
    made = await request(daemon.port, "POST", "/api/users", json.dumps(ADMIN), kind, secure=True)
    assert made.status == 201, made.text


async def is_live_after_login(page: Page) -> None:
    """Log in by the form, and see the picture. Keys and clicks of a test reach the outer page only."""
    fields = (part("login-user"), ANNA, part("login-password"), PASSWORDS[ANNA], part("login-enter"))
    await page.wait_for(f"typeof banken === 'object' && {OUT}", 30)
    await page.evaluate(LOG_IN % fields)
    await page.wait_for(f"!{OUT} && {LIVE}", 30)
    await page.wait_for("document.querySelector('.link').dataset.link === 'live'")


async def test_page_logs_in_inside_a_frame_of_a_listed_site_and_no_other(tmp_path: Path) -> None:
    """The login stays when the outer page is loaded again; its scripts read nothing. Another site shows nothing. The
    page in its own tab has another login."""
    cert, key = write_pair(tmp_path, "127.0.0.1")
    async with open_home() as home, open_home() as other:
        listed = f"http://localhost:{home.port}"
        web = f"tls: {{cert: {cert}, key: {key}}}, frame_ancestors: ['{listed}']"
        async with (
            open_daemon(tmp_path, CAMERAS, web=web) as daemon,
            open_chromium(flags=(*trusting(cert), "--site-per-process")) as browser,
        ):
            home.shows = other.shows = daemon.url
            await add_admin(daemon)
            async with browser.open_page(listed, until="load") as page:
                await is_live_after_login(await page.wait_frame())
                await page.wait_for("Object.keys(seen).length === 2", 30)
                assert await page.evaluate("seen") == {"fetch": "refused", "socket": "refused"}
                await page.reload("load")
                frame = await page.wait_frame()
                await frame.wait_for(f"!{OUT} && {LIVE}", 30)
                assert await frame.evaluate("document.cookie") == ""
                cookies = (await page.command("Network.getCookies", {"urls": [daemon.url]}))["cookies"]
                (kept,) = [each for each in cookies if each["name"] == "__Host-banken"]
                assert (kept["sameSite"], kept["secure"], kept["httpOnly"]) == ("None", True, True)
                assert kept["partitionKey"]["topLevelSite"] == "http://localhost"
            async with browser.open_page(f"http://localhost:{other.port}", until="load") as page:
                frame = await page.wait_frame()
                await frame.wait_for("document.readyState === 'complete' && location.protocol === 'chrome-error:'")
                refused = [line.text for line in page.console if "frame-ancestors" in line.text]
                assert refused, [str(line) for line in page.console]
            async with browser.open_page(daemon.url) as page:
                await is_live_after_login(page)
