"""An hour of viewing through both documented proxies: viewers with leases, WebSockets and MJPEG, all checked.

Each viewer is a person with a separate loopback address. It has a lease, which it renews, a peer under the lease,
and the WebSocket of the page. A premature end or a stall is a fault.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio
from trio_websocket import wrap_client_stream

from .daemon import Daemon, open_daemon
from .http import Answer, over_tls, request
from .proxies import HOST, PROXIES, Proxy, access, free_port, password, settings
from .viewer import Viewer, open_viewer

CAMERA, FPS = "front", 10
HEARTBEAT_S = 10.0
ANSWER_S = 30.0
"""Timeout of a request in seconds; Caddy needs more than 1 s of a core to check a password for the first time."""
QUIET_S = 10.0
"""Maximum seconds between two images or WebSocket messages, also on a busy machine."""


@attrs.define
class Person:
    """One viewer, with the received data."""

    proxy: Proxy
    address: str
    frames: int = 0
    messages: int = 0
    renewals: int = 0
    faults: list[str] = attrs.field(factory=list)

    async def ask(self, method: str, path: str, body: str = "", **headers: str) -> Answer:
        fields = {"Host": f"{HOST}:{self.proxy.port}", **password(), **headers}
        return await request(
            self.proxy.port, method, path, body, fields, secure=True, source=self.address, within=ANSWER_S
        )

    async def watch(self, stop: trio.Event) -> None:
        """Watch until `stop`, then leave in good order."""
        kind, prefix = {"Content-Type": "application/json"}, f"/{self.proxy.prefix}"
        granted = await self.ask(
            "POST", f"{prefix}api/leases", json.dumps({"kind": "viewer", "camera": CAMERA}), **kind
        )
        if granted.status != 201:
            return self.faults.append(f"no lease: {granted.status} {granted.text}")
        key = {"Banken-Lease": f"{granted.json['lease']}.{granted.json['secret']}"}
        async with open_viewer() as viewer:
            sdp = {"Content-Type": "application/sdp", **key}
            opened = await self.ask("POST", f"{prefix}whep/{CAMERA}", viewer.offer, **sdp)
            if opened.status != 201:
                return self.faults.append(f"no viewer: {opened.status} {opened.text}")
            await viewer.accept(opened.text)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._renew, granted.location, key)
                nursery.start_soon(self._follow)
                nursery.start_soon(self._see, viewer)
                await stop.wait()
                nursery.cancel_scope.cancel()
            left = await self.ask("DELETE", opened.location)
            released = await self.ask("DELETE", granted.location, **key)
            if (left.status, released.status) != (200, 204):
                self.faults.append(f"it could not leave: {left.status}, {released.status}")
        return None

    async def _renew(self, lease: str, key: dict[str, str]) -> None:
        while True:
            await trio.sleep(HEARTBEAT_S)
            answer = await self.ask("PUT", lease, **key)
            self.renewals += 1
            if answer.status != 200:
                self.faults.append(f"renewal {self.renewals}: {answer.status} {answer.text}")

    async def _follow(self) -> None:
        """Read the page's WebSocket, which sends the state at least once a second."""
        fields = [(name.encode(), value.encode()) for name, value in password().items()]
        plain = await trio.open_tcp_stream("127.0.0.1", self.proxy.port, local_address=self.address)
        async with over_tls(plain) as stream, trio.open_nursery() as nursery:
            path = f"/{self.proxy.prefix}ws/events"
            socket = await wrap_client_stream(
                nursery, stream, f"{HOST}:{self.proxy.port}", path, extra_headers=fields, max_message_size=2**24
            )
            while True:
                with trio.move_on_after(QUIET_S) as waiting:
                    await socket.get_message()
                    self.messages += 1
                if waiting.cancelled_caught:
                    self.faults.append(f"its WebSocket was silent after {self.messages} messages")

    async def _see(self, viewer: Viewer) -> None:
        """Pictures come within `QUIET_S`, always."""
        while True:
            before = viewer.frames
            await trio.sleep(QUIET_S)
            self.frames = viewer.frames
            if viewer.frames == before:
                self.faults.append(f"no picture for {QUIET_S:g} s after {viewer.frames}")


async def run_proxied(
    folder: Path, seconds: float, viewers: int, report: Callable[[float, Sequence[Person]], None]
) -> list[Person]:
    """Watch with viewers distributed over both proxies, all at once, below a prefix and at the root.

    Raises AssertionError for a proxy or daemon that does not start. Cleanup: all of them have ended.
    """
    ports = {name: free_port() for name in PROXIES}
    async with open_daemon(
        folder, {CAMERA: f"test:320x180@{FPS}"}, f"limits: {{}}\n{access()}", settings(*ports.values())
    ) as daemon:
        await daemon.wait_camera(CAMERA, "live")
        persons: list[Person] = []

        async def through(names: list[str], proxies: list[Proxy]) -> None:
            if names:
                place = folder / names[0]
                place.mkdir()
                below = len(proxies) % 2 == 1
                async with PROXIES[names[0]](place, ports[names[0]], daemon.port, below=below) as proxy:
                    await through(names[1:], [*proxies, proxy])
            else:
                chosen = [proxies[number % len(proxies)] for number in range(viewers)]
                persons.extend(Person(proxy, f"127.0.7.{n + 1}") for n, proxy in enumerate(chosen))
                await _watch_all(persons, seconds, report)

        await through([*PROXIES], [])
        await _judge(daemon, persons)
    return persons


async def _watch_all(persons: list[Person], seconds: float, report: Callable[[float, Sequence[Person]], None]) -> None:
    stop, began = trio.Event(), trio.current_time()
    async with trio.open_nursery() as nursery:
        for person in persons:
            nursery.start_soon(person.watch, stop)
        while (passed := trio.current_time() - began) < seconds:
            report(passed, persons)
            await trio.sleep(min(5.0, seconds - passed))
        stop.set()


async def _judge(daemon: Daemon, persons: list[Person]) -> None:
    """Check that the journal matches the actions of the persons."""
    rows: list[Any] = daemon.journal()
    ended = {row.event.client: row.event.reason.code for row in rows if row.type == "LeaseEnded"}
    for person in persons:
        name = f"{person.address} (forwarded)"
        if ended.get(name) != "released":
            person.faults.append(f"its lease ended by {ended.get(name)}")
    refused = [row for row in rows if row.type in ("LeaseRefused", "RequestsRefused", "PeerSilent")]
    if refused:
        persons[0].faults.append(f"in the journal: {refused[:3]}")
