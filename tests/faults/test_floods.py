"""One client sends as many requests as it can, over every path that is journaled; other clients are not affected."""

import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest
import trio

from supervisor.domain.events import Recorded, RequestsRefused
from supervisor.domain.values import Limits
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.http import Answer, request
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until
from web.room_client import open_room_client

OFFER = (Path(__file__).parents[1] / "kit" / "chromium.sdp").read_text()
FLOODER, OTHER = "127.0.0.66", "127.0.0.67"
LIMITS = Limits(journaled_burst=6, journaled_rate=1.0)
SETTING = "limits: {journaled_burst: 6, journaled_rate: 1}"
ENOUGH = 25
"""Number of refusals that counts as a flood."""
FLOOD_S = 4.0
CAMERAS = {"bars": "test:64x64@5", "rest": {"source": "test:64x64@5", "mode": "on_demand"}}
KIND = {"Content-Type": "application/json"}


@attrs.frozen
class Flood:
    """One client with many connections."""

    daemon: Daemon
    seen: Counter[str]
    """Answers, by status and type of problem."""

    def note(self, answer: Answer) -> bool:
        """Count an answer; whether it is a 201."""
        kind = answer.json["type"].rpartition(":")[2] if answer.status >= 400 else ""
        self.seen[f"{answer.status} {kind}".strip()] += 1
        return answer.status == 201

    async def leases(self) -> None:
        """Acquire and release leases as fast as possible."""
        body = json.dumps({"kind": "viewer", "camera": "bars"})
        answer = await request(self.daemon.port, "POST", "/api/leases", body, KIND, source=FLOODER)
        if self.note(answer):
            key = {"Banken-Lease": f"{answer.json['lease']}.{answer.json['secret']}"}
            left = await request(self.daemon.port, "DELETE", answer.location, headers=key, source=FLOODER)
            assert left.status == 204, "a release is always possible"

    async def viewers(self) -> None:
        """Open and close WHEP sessions."""
        kind = {"Content-Type": "application/sdp"}
        answer = await request(self.daemon.port, "POST", "/whep/bars", OFFER, kind, source=FLOODER)
        if self.note(answer):
            assert (await request(self.daemon.port, "DELETE", answer.location, source=FLOODER)).status == 200

    async def pictures(self) -> None:
        """Request snapshots of a closed camera that no cached one satisfies."""
        path = "/cameras/rest/snapshot.jpg?max_age=0"
        with trio.move_on_after(0.2):
            self.note(await request(self.daemon.port, "GET", path, source=FLOODER))

    async def kicks(self) -> None:
        """An operator's act, on what it has opened itself."""
        body = json.dumps({"kind": "viewer", "camera": "bars"})
        answer = await request(self.daemon.port, "POST", "/api/leases", body, KIND, source=FLOODER)
        if self.note(answer):
            ended = await request(self.daemon.port, "DELETE", answer.location, source=FLOODER)
            assert ended.status in (204, 429)


PATHS: dict[str, Callable[[Flood], Awaitable[None]]] = {
    "leases": Flood.leases,
    "viewers": Flood.viewers,
    "pictures": Flood.pictures,
    "kicks": Flood.kicks,
}


def caused_by(rows: list[Recorded], client: str) -> list[Recorded]:
    """The events that follow from requests of a client."""
    own = {row.correlation for row in rows if row.principal == f"client:{client}"}
    return [row for row in rows if row.correlation in own]


@pytest.mark.parametrize("path", PATHS)
async def test_flood_of_one_client_is_bounded_and_others_are_served(tmp_path: Path, path: str) -> None:
    """Its requests get its burst and its rate, whatever it does; another client keeps its full share meanwhile."""
    async with open_daemon(tmp_path, CAMERAS, SETTING) as daemon:
        await daemon.wait_camera("bars", "live")
        flood, began = Flood(daemon, Counter()), time.monotonic()

        async def ask() -> None:
            while flood.seen["429 rate-limited"] < ENOUGH:
                await PATHS[path](flood)

        with give_up_after(120):
            async with trio.open_nursery() as nursery:
                for _ in range(6):
                    nursery.start_soon(ask)
                body = json.dumps({"kind": "viewer", "camera": "bars"})
                for _ in range(LIMITS.journaled_burst):
                    answer = await request(daemon.port, "POST", "/api/leases", body, KIND, source=OTHER)
                    assert answer.status == 201, answer.text
            took_s = time.monotonic() - began
            await wait_until(lambda: any(row.type == "RequestsRefused" for row in daemon.journal()), 60)
    rows = daemon.journal()
    requests = [row for row in caused_by(rows, FLOODER) if row.type in ("LeaseGranted", "UseBegan")]
    assert len(requests) <= LIMITS.journaled_burst + LIMITS.journaled_rate * took_s + 1
    refused = [row.event for row in rows if isinstance(row.event, RequestsRefused)]
    assert {each.client for event in refused for each in event.clients} == {FLOODER}
    assert len(refused) <= 1 + took_s / 60


async def test_flood_of_rooms_is_bounded(tmp_path: Path) -> None:
    """A client with many WebSockets can create as many rooms as a client with one."""
    async with open_daemon(tmp_path, {}, SETTING) as daemon:
        began = time.monotonic()

        async def ask() -> None:
            async with open_room_client(daemon.url) as rooms:
                while time.monotonic() < began + FLOOD_S:
                    await rooms.send_text('{"type": "CreateRoom"}')
                    await rooms.send_text('{"type": "LeaveRoom"}')
                    await trio.sleep(0.12)

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(ask)
        took_s = time.monotonic() - began
    opened = [row for row in daemon.journal() if row.type in ("RoomOpened", "RoomJoined")]
    assert LIMITS.journaled_burst <= len(opened) <= LIMITS.journaled_burst + LIMITS.journaled_rate * took_s + 1
