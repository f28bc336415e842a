"""A page whose media is routed through a relay: its WHEP requests are intercepted in the browser and rewritten.

Page, player and daemon are unchanged. The candidates of the offer are removed, and those of the answer are replaced by
the ports of the relay. So neither banken nor the browser knows a path around the relay.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from .chromium import DevToolsError, Page
from .devtools import Json
from .process_group import open_background
from .relay import Relay

WAITING = 16
MARK = "a=candidate:"


@asynccontextmanager
async def open_detour(page: Page, relay: Relay) -> AsyncIterator[None]:
    """From now on, and for the length of the block, each new live view of this page goes through `relay`."""
    stopped, requests = trio.open_memory_channel[Json](WAITING)
    page.listen("Fetch.requestPaused", stopped.send_nowait)
    stages = [{"urlPattern": "*/whep/*", "requestStage": stage} for stage in ("Request", "Response")]
    await page.command("Fetch.enable", {"patterns": stages})
    async with open_background() as tasks:
        tasks.start_soon(_run, page, relay, requests)
        try:
            yield
        finally:
            with trio.move_on_after(1, shield=True):
                await _stop(page)


async def _stop(page: Page) -> None:
    try:
        await page.command("Fetch.disable")
    except DevToolsError:
        pass  # it is gone


async def _run(page: Page, relay: Relay, requests: trio.MemoryReceiveChannel[Json]) -> None:
    async for request in requests:
        try:
            await _pass_on(page, relay, request)
        except DevToolsError:
            pass  # the page has given the request up, or is gone


async def _pass_on(page: Page, relay: Relay, request: Json) -> None:
    name = {"requestId": request["requestId"]}
    opens = request["request"]["method"] == "POST"
    if opens and "responseStatusCode" not in request and "responseErrorReason" not in request:
        offer = "".join(line for line in _lines(request["request"]["postData"]) if not line.startswith(MARK))
        await page.command("Fetch.continueRequest", {**name, "postData": _base64(offer)})
    elif opens and request.get("responseStatusCode") == 201:
        body = await page.command("Fetch.getResponseBody", name)
        sdp = base64.b64decode(body["body"]).decode() if body["base64Encoded"] else body["body"]
        headers = [each for each in request["responseHeaders"] if each["name"].lower() != "content-length"]
        answer = {"responseCode": 201, "responseHeaders": headers, "body": _base64(await through(relay, sdp))}
        await page.command("Fetch.fulfillRequest", {**name, **answer})
    else:
        await page.command("Fetch.continueRequest", name)


async def through(relay: Relay, sdp: str) -> str:
    """An answer in which each address of banken's own is a port of the relay's; those seen from outside are left out.

    The host stays: where the viewer reaches banken, it reaches the relay.
    """
    ports: dict[tuple[str, int], int] = {}
    kept = []
    for line in _lines(sdp):
        if line.startswith(MARK):
            fields = line.split(" ")
            host, port, kind = fields[4], int(fields[5]), fields[7].strip()
            if kind != "host" or ":" in host:
                continue
            if (host, port) not in ports:
                ports[host, port] = await relay.open(host, port)
            fields[5] = str(ports[host, port])
            line = " ".join(fields)
        kept.append(line)
    return "".join(kept)


def _lines(sdp: str) -> list[str]:
    return sdp.splitlines(keepends=True)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
