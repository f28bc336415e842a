"""Rooms in real browsers: they see, hear and write to each other, and nothing of it passes the daemon."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisor.domain import events as e
from tests.kit.chromium import Page, open_chromium
from tests.kit.counted import Counted, open_counted
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.http import request
from tests.kit.patience import give_up_after
from tests.kit.processes import descriptors, wait_until
from web.room_client import open_room_client

pytestmark = pytest.mark.usefixtures("chromium_here")

FAKE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""A camera that shows a clock, a microphone that beeps, and nobody who asks whether they may be used."""
CAMERAS = {"attic": {"source": "test:320x180@15", "mode": "on_demand"}}
WORDS = "meet-me-at-the-north-gate"
CONNECTED = "[...document.querySelectorAll('.room-people li:not([data-own])')].map(({dataset}) => dataset.state).join()"
RECEIVED = """Promise.all([...banken.links().values()].map((link) => link.stats())).then((all) => {
  const found = {audio: 0, video: 0, energy: 0, frames: 0, bytes: 0};
  for (const stats of all) for (const each of stats.values()) if (each.type === "inbound-rtp") {
    found[each.kind] += each.bytesReceived;
    found.bytes += each.bytesReceived;
    found.energy += each.totalAudioEnergy ?? 0;
    found.frames += each.framesDecoded ?? 0;
  }
  return found;
})"""


def text_of(selector: str) -> str:
    return f"(document.querySelector({selector!r})?.innerText ?? '')"


async def counts(daemon: Daemon, name: str) -> float:
    """The sum of a metric over its labels."""
    lines = (await request(daemon.port, "GET", "/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name) and line[len(name)] in " {")


def udp_sockets(pid: int) -> set[str]:
    """The inodes of a process's UDP sockets."""
    mine = {target[8:-1] for target in descriptors(pid).values() if target.startswith("socket:[")}
    tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("udp", "udp6")]
    every = [line.split()[9] for table in tables for line in table]
    return mine & set(every)


def left(daemon: Daemon) -> list[str]:
    """Why each left who is in a room no more."""
    return [row.event.reason.code for row in daemon.journal() if isinstance(row.event, e.RoomLeft)]


@asynccontextmanager
async def two_pages(folder: Path) -> AsyncIterator[tuple[Daemon, Counted, Page, Page]]:
    """Two browsers with the view of rooms, whose every byte to and from the daemon is counted."""
    async with AsyncExitStack() as stack:
        daemon = await stack.enter_async_context(open_daemon(folder, CAMERAS))
        counted = await stack.enter_async_context(open_counted(daemon.port))
        pages = []
        for _ in range(2):
            browser = await stack.enter_async_context(open_chromium(flags=FAKE))
            pages.append(await stack.enter_async_context(browser.open_page(counted.url + "#rooms")))
        yield daemon, counted, pages[0], pages[1]
        for page in pages:
            assert [line for line in page.console if line.kind in ("error", "uncaught")] == []


async def write(page: Page, part: str, text: str, button: str = "") -> None:
    """Into a field, and then the button that stands beside it, or Enter."""
    await page.click(f"[data-part={part}]")
    await page.command("Input.insertText", {"text": text})
    await (page.click(f"[data-part={button}]") if button else page.press("Enter"))


async def flip(page: Page, part: str, kind: str) -> None:
    """A pressed button says so and holds back one's own audio or video, until it is pressed again."""
    for pressed in ("true", "false"):
        await page.click(f"[data-part={part}]")
        await page.wait_for(f"document.querySelector('[data-part={part}]').ariaPressed === '{pressed}'")
        tracks = f"document.querySelector('[data-own] video').srcObject.get{kind}Tracks()"
        assert await page.evaluate(f"{tracks}.map(({{enabled}}) => String(!enabled)).join()") == pressed


async def received(page: Page) -> Any:
    return await page.evaluate(RECEIVED)


async def test_two_browsers_see_hear_and_write_to_each_other_and_none_of_it_passes_the_daemon(tmp_path: Path) -> None:
    """Media grow in both, while the server opens no UDP port and stores no text."""
    async with two_pages(tmp_path) as (daemon, counted, alice, bob):
        await alice.wait_for(f"{text_of('#view-rooms')}.includes('No room is open')")
        await alice.click("[data-part=room-create]")
        await bob.wait_for("!!document.querySelector('[data-part=room-rows] button:enabled')")
        await bob.click("[data-part=room-rows] button")
        for page in (alice, bob):
            await page.wait_for(f"{CONNECTED} === 'connected'", 30)

        said, passed = await counts(daemon, "banken_signaling_messages_total"), counted.bytes
        before = [await received(page) for page in (alice, bob)]
        await write(alice, "room-text", f"{WORDS} a")
        await write(bob, "room-text", f"{WORDS} b", "room-send")
        await bob.wait_for(f"{text_of('.room-words')}.includes('{WORDS} a')")
        await alice.wait_for(f"{text_of('.room-words')}.includes('{WORDS} b')")

        async def flowed() -> bool:
            now = [await received(page) for page in (alice, bob)]
            return all(
                after["bytes"] > then["bytes"] + 300_000
                and after["audio"] > then["audio"]
                and after["energy"] > then["energy"]
                and after["frames"] > then["frames"] + 10
                for then, after in zip(before, now, strict=True)
            )

        with give_up_after(60):
            while not await flowed():
                await alice.wait_for("new Promise((resolve) => setTimeout(() => resolve(true), 100))")

        assert await counts(daemon, "banken_signaling_messages_total") == said, "the server was told more"
        assert udp_sockets(daemon.pid) == set()
        assert counted.bytes - passed < 300_000, "of the page's own lists; of media there were twice as many"
        assert WORDS.encode() not in counted.sent
        journal = json.dumps([repr(row) for row in daemon.journal()])
        assert not any(word in journal + daemon.output for word in ("candidate:", "a=ice-ufrag", WORDS))

        await flip(alice, "room-mute", "Audio")
        await flip(alice, "room-hide", "Video")

        await bob.goto("about:blank")
        await alice.wait_for(f"{CONNECTED} === ''")
        await alice.click("[data-part=room-leave]")
        await alice.wait_for("document.querySelector('[data-part=room-call]').hidden")
        await wait_until(lambda: len(left(daemon)) == 2, 10, what="the server to notice both")
        assert left(daemon) == ["lost", "lost"]
        assert await alice.evaluate("banken.links().size") == 0

        await alice.click("[data-part=room-join]")  # the field still has the room that was left
        await alice.wait_for(f"{text_of('[data-part=room-title]')}.length === 36", 20)


async def test_errors_of_rooms_are_shown_and_keys_reach_every_control(tmp_path: Path) -> None:
    """Without microphone and camera, with a room that does not exist, in both themes and at every width."""
    async with open_daemon(tmp_path, CAMERAS) as daemon, open_chromium() as browser:
        async with browser.open_page(daemon.url) as page, open_room_client(daemon.url) as installer:
            await page.wait_for("document.querySelectorAll('.tile').length === 1")
            await page.press("o")
            assert await page.evaluate("location.hash") == "#rooms"
            await write(page, "room-id", "no-such-room")
            await page.wait_for(f"{text_of('.room-problem')}.includes('there is no room')", 20)
            await page.wait_for("!!document.querySelector('[data-part=room-create]:enabled')")
            room = await installer.create()
            await page.wait_for(f"{text_of('.room-rows')}.includes('1 participant')")
            await page.evaluate("document.querySelector('.room-rows button').focus()")
            await page.press("Enter")
            await page.wait_for(f"{text_of('[data-part=room-title]')} === '{room.room_id}'", 20)
            assert "You still see and hear the others" in await page.evaluate(text_of(".room-problem"))
            for scheme in ("dark", "light"):
                await page.set_color_scheme(scheme)
                for width in (375, 1440, 2560):
                    await page.set_viewport(width, 900)
                    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            await page.press("p")
            assert len(await wait_participants(daemon, 2)) == 2, "another view does not end it"
            await page.press("o")
            await page.evaluate("document.querySelector('[data-part=room-leave]').focus()")
            await page.press("Enter")
            await wait_participants(daemon, 1)
            await page.press("Tab")
            assert await page.evaluate("document.activeElement.dataset.part") == "room-id"


async def wait_participants(daemon: Daemon, count: int) -> list[Any]:
    with give_up_after(10):
        while True:
            (room,) = (await daemon.get("/api/rooms"))["rooms"]
            if len(room["participants"]) == count:
                return list(room["participants"])
            await trio.sleep(0.05)


async def test_page_shows_that_the_daemon_stops_and_closes_its_room(tmp_path: Path) -> None:
    """The journal ends with the room left and closed, and exit code 0."""
    async with open_daemon(tmp_path, CAMERAS) as daemon, open_chromium(flags=FAKE) as browser:
        async with browser.open_page(daemon.url + "#rooms") as page:
            await page.click("[data-part=room-create]")
            await page.wait_for("!document.querySelector('[data-part=room-call]').hidden")
            await page.wait_for(f"{text_of('[data-part=room-title]')}.length === 36", 20)
            assert await daemon.end() == 0
            await page.wait_for(f"{text_of('.room-problem')}.includes('banken is stopping')")
            rows = daemon.journal()
            await wait_until(lambda: rows[-1].type == "RunEnded")
            assert [row.type for row in rows if isinstance(row.event, e.RoomEvent)] == [
                "RoomOpened", "RoomLeft", "RoomClosed",
            ]  # fmt: skip
