"""`/ws/events?state=changes`: counts for all pages, lists for those that show them, and little of either."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio_websocket import WebSocketConnection

from supervisor.domain import commands as c
from supervisor.domain.ids import PeerId
from supervisor.domain.state import Camera
from supervisor.domain.values import Fault, Limits, Reason
from tests.kit.crowd import open_crowd
from tests.kit.domain import GATE, YARD, lease, settings
from tests.kit.patience import give_up_after
from tests.kit.site import Site, message, open_site
from tests.web.test_changes import apply
from web import board as boards
from web import resources
from web.render_cache import AT_ONCE
from web.sockets import Following, StateMessage

CHANGES = "?state=changes"


@attrs.define
class Follower:
    """A page that applies the messages that it gets."""

    socket: WebSocketConnection
    known: dict[str, Any] = attrs.field(factory=dict)
    types: list[str] = attrs.field(factory=list)
    sizes: list[int] = attrs.field(factory=list)

    async def hear(self) -> str:
        """Take the next message about how things stand; its type."""
        while True:
            text = str(await self.socket.get_message())
            kind = str(json.loads(text)["type"])
            if kind in ("state", "changes"):
                apply(self.known, text)
                self.types.append(kind)
                self.sizes.append(len(text))
                return kind

    async def hear_of(self, part: str, count: int) -> None:
        """Until so many are known in a part."""
        with give_up_after(10):
            while len(self.known.get(part, {"": None})) != count:
                await self.hear()

    async def show(self, *views: str) -> None:
        await self.socket.send_message(json.dumps({"type": "state.show", "id": 1, "views": views}))


@asynccontextmanager
async def follow(site: Site, query: str = CHANGES) -> AsyncIterator[Follower]:
    async with site.socket(query) as socket:
        yield Follower(socket)


async def test_state_is_sent_once_and_then_its_changes() -> None:
    """The first message is everything; then cameras say only what changed, with at most a second of silence."""
    async with open_crowd(cameras=4, viewers=8) as site, follow(site) as page:
        assert await page.hear() == "state"
        whole = page.known["cameras"]["camera-00"]
        assert (whole["state"], whole["viewers"]) == ("live", 2)
        assert page.known["summary"]["daemon"]["viewers"] == 8
        assert await page.hear() == await page.hear() == "changes"
        assert {"peers", "leases", "uses", "rooms"}.isdisjoint(page.known)


async def test_events_change_what_they_concern() -> None:
    """A viewer that leaves changes the count of its camera, soon and without a new state."""
    async with open_crowd(cameras=2, viewers=4) as site, follow(site) as page:
        await page.hear()
        gone = next(iter(site.core.kernel.state.peers))
        camera = site.core.kernel.state.peers[gone].camera
        site.core.kernel.emit(c.ReportPeerClosed(gone, Reason("left", "it left", Fault.NONE)))
        with give_up_after(5):
            while page.known["cameras"][camera]["viewers"] == 2:
                assert await page.hear() == "changes"
        assert page.known["summary"]["daemon"]["viewers"] == 3


async def test_page_knows_the_order_of_the_configuration() -> None:
    """Each camera has its place, also in a file in which only the order has changed."""
    async with open_site(YARD, GATE) as site, follow(site) as page:
        await page.hear()
        assert {name: camera["place"] for name, camera in page.known["cameras"].items()} == {"yard": 0, "gate": 1}
        site.core.kernel.emit(c.Configure("test", (settings(GATE), settings(YARD)), Limits()))
        with give_up_after(5):
            while page.known["cameras"]["gate"]["place"] != 0:
                assert await page.hear() == "changes"
        assert page.known["cameras"]["yard"]["place"] == 1


async def test_list_of_viewers_is_sent_to_pages_that_show_it_and_to_no_other() -> None:
    """It is asked for by message or by address, told at once, followed, and no longer told when the view is closed."""
    async with open_crowd(cameras=2, viewers=6) as site, follow(site) as page, follow(site) as other:
        await page.hear()
        await page.show("viewers")
        await page.hear_of("peers", 6)
        assert len(page.known["leases"]) == 6
        site.core.kernel.emit(c.OpenPeer(PeerId("more"), next(iter(site.core.kernel.state.cameras)), "192.0.2.9", "x"))
        await page.hear_of("peers", 7)
        assert page.types.count("state") == 2
        await page.show()
        site.core.kernel.emit(lease(camera=next(iter(site.core.kernel.state.cameras))))
        await page.hear_of("peers", 7)
        with give_up_after(5):
            while page.known["summary"]["daemon"]["viewers"] != 8:
                await page.hear()
                await other.hear()
        assert len(page.known["leases"]) == 7
        assert "leases" not in other.known
        async with follow(site, f"{CHANGES}&views=viewers,rooms") as late:
            await late.hear_of("leases", 8)
            await late.hear_of("rooms", 0)


async def test_viewer_of_mjpeg_counts_once_and_is_its_lease_in_the_list() -> None:
    """It has a lease without a connection, and no second entry beside that."""
    async with open_site() as site, follow(site, f"{CHANGES}&views=viewers") as page:
        await page.hear_of("leases", 0)
        site.core.kernel.emit(lease(ttl_s=0.0))
        await page.hear_of("leases", 1)
        assert len(site.core.kernel.state.rows()) == 1
        assert page.known["summary"]["daemon"]["viewers"] == 1
        assert "uses" not in page.known


async def test_view_that_is_shown_again_is_sent_in_full() -> None:
    """Also when that happens between two messages: the page may have forgotten the list by then."""
    async with open_crowd(cameras=1, viewers=2) as site:
        view = Following(boards.Board(), site.gateway, frozenset({"viewers"}))
        assert [json.loads(text)["type"] for text in await view.messages()] == ["state", "state"]
        view.show(frozenset())
        view.show(frozenset({"viewers"}))
        assert [set(json.loads(text)) for text in await view.messages()][-1] == {"type", "now", "leases", "peers"}


@pytest.mark.parametrize("query", ["?state=all", f"{CHANGES}&views=secrets", f"{CHANGES}&views=viewers,x"])
async def test_unknown_views_are_refused(query: str) -> None:
    """Before the WebSocket is accepted."""
    async with open_site() as site:
        assert (await site.handshake(query)).status == 400


@pytest.mark.parametrize(
    ("query", "views"), [("", ["viewers"]), (CHANGES, ["x"]), (CHANGES, "viewers"), (CHANGES, None)]
)
async def test_wrong_views_are_answered_with_400(query: str, views: object) -> None:
    """Also a page that gets everything may not choose."""
    async with open_site() as site, site.socket(query) as socket:
        await socket.send_message(json.dumps({"type": "state.show", "id": 7, "views": views}))
        while (reply := await message(socket))["type"] != "reply":
            pass
        assert (reply["id"], reply["status"]) == (7, 400)


async def test_pages_share_one_look_at_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten pages that ask at the same time cost one snapshot, and the text of a change is made once."""
    async with open_crowd(cameras=2, viewers=2) as site:
        board, looks = boards.Board(), [0]
        snapshot = site.gateway.snapshot

        def counted(**which: bool) -> Any:
            looks[0] += 1
            return snapshot(**which)

        monkeypatch.setattr(site.gateway, "snapshot", counted)
        positions: list[dict[str, int]] = [{} for _ in range(10)]
        for position in positions:
            await board.news(site.gateway, position, {"viewers"})
        assert looks == [1]
        monkeypatch.setattr(boards, "EVERY_S", 0.0)  # each look is a new one
        await board.news(site.gateway, {}, ())
        assert looks == [2]


async def test_list_of_viewers_is_made_again_only_for_those_that_changed() -> None:
    """Of all connections and leases, what did not change since the last look is the same object as then."""
    async with open_crowd(cameras=2, viewers=6) as site:
        board, gateway = boards.Board(), site.gateway
        before = board._viewers(gateway.snapshot(), gateway)
        gone = next(iter(site.core.kernel.state.peers))
        site.core.kernel.emit(c.ReportPeerClosed(gone, Reason("left", "it left", Fault.NONE)))
        now = board._viewers(gateway.snapshot(), gateway)
        for part in ("peers", "leases"):
            assert len(now[part]) == 5
            assert all(entity is before[part][name] for name, entity in now[part].items())


async def test_camera_is_made_again_only_when_something_of_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each second and each event costs as many cameras as have changed, however many there are."""
    async with open_crowd(cameras=60, viewers=0) as site:
        made: list[str] = []
        whole = resources.cameras.camera

        def counted(known: Camera, *rest: Any) -> Any:
            made.append(known.settings.camera)
            return whole(known, *rest)

        monkeypatch.setattr(resources.cameras, "camera", counted)
        steady = site.actors.statistics()
        monkeypatch.setattr(type(site.actors), "statistics", lambda _: steady)
        monkeypatch.setattr(boards, "EVERY_S", 0.0)
        monkeypatch.setattr(boards, "HEARD_MS", 10**9)
        board, position = boards.Board(), dict[str, int]()
        await board.news(site.gateway, position, ())
        assert len(made) == 60
        made.clear()
        for _ in range(3):
            await board.news(site.gateway, position, ())
        assert made == []
        name = next(iter(site.core.kernel.state.cameras))
        site.core.kernel.emit(c.ReportLoss(name, Reason("ended", "it ended", Fault.TEMPORARY), 0.5))
        await site.core.stored()
        (text,) = await board.news(site.gateway, position, ())
        assert (made, set(json.loads(text)["cameras"])) == ([name], {name})


async def test_cameras_are_made_a_few_in_each_turn_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a page's first state, for the whole state, and for the API: another task runs between two dozen of them."""
    async with open_crowd(cameras=100, viewers=0) as site:
        in_turn, most = [0], [0]
        whole = resources.cameras.camera

        def counted(*sources: Any) -> Any:
            in_turn[0] += 1
            most[0] = max(most[0], in_turn[0])
            return whole(*sources)

        async def watch() -> None:
            while True:
                await trio.lowlevel.checkpoint()
                in_turn[0] = 0

        monkeypatch.setattr(resources.cameras, "camera", counted)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await boards.Board().news(site.gateway, {}, ())
            await StateMessage().text(site.gateway)
            assert len(json.loads((await site.get("/api/cameras")).body)["cameras"]) == 100
            nursery.cancel_scope.cancel()
        assert 1 <= most[0] <= 2 * AT_ONCE


async def test_statistics_are_taken_only_for_answers_that_show_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are work for each camera; pages that follow changes take them once a second, whatever happens."""
    async with open_crowd(cameras=2, viewers=0) as site:
        taken = [0]
        statistics = site.actors.statistics

        def counted() -> Any:
            taken[0] += 1
            return statistics()

        monkeypatch.setattr(type(site.actors), "statistics", lambda _: counted())
        for path in (
            "/readyz",
            "/healthz",
            "/api/health",
            "/api/rooms",
            "/api/devices",
            "/api/processes",
            "/api/leases",
        ):
            assert (await site.get(path)).status == 200
        await site.offer(camera="nobody")
        assert taken == [0]
        monkeypatch.setattr(boards, "EVERY_S", 1000.0)
        board, position = boards.Board(), dict[str, int]()
        for number in range(5):
            site.core.kernel.emit(lease(f"lease-{number}", camera=next(iter(site.core.kernel.state.cameras))))
            await site.core.stored()
            await board.news(site.gateway, position, ())
        assert taken == [1]
        assert (await site.get("/api/cameras")).status == 200
        assert taken == [2]


async def test_whole_state_is_made_in_pieces_and_once_for_all() -> None:
    """Two clients without `state=changes` share one text; other tasks run while it is made."""
    async with open_crowd(cameras=2, viewers=6) as site:
        turns = [0]
        texts: list[str] = []
        message = StateMessage()

        async def count() -> None:
            while len(texts) < 2:
                turns[0] += 1
                await trio.lowlevel.checkpoint()

        async def ask() -> None:
            texts.append(await message.text(site.gateway))

        async with trio.open_nursery() as nursery:
            for task in (count, ask, ask):
                nursery.start_soon(task)
        assert texts[0] is texts[1]
        assert json.loads(texts[0])["peers"][0]["sent"]["packets"] > 0
        assert turns[0] >= len(json.loads(texts[0]))


@pytest.mark.slow
async def test_steady_site_costs_a_page_less_than_four_kilobytes_a_second() -> None:
    """With 30 cameras that send and 300 viewers, and nothing else; also a page that shows the list of viewers."""
    async with open_crowd(cameras=30, viewers=300) as site:
        async with follow(site) as page, follow(site, f"{CHANGES}&views=viewers,rooms") as curious:
            for each in (page, curious):
                await each.hear()
            await curious.hear_of("peers", 300)
            for each in (page, curious):
                each.sizes.clear()
            began = trio.current_time()
            for _ in range(5):
                await page.hear()
                await curious.hear()
            seconds = trio.current_time() - began
            assert sum(page.sizes) / seconds < 4000
            assert sum(curious.sizes) / seconds < 4000


async def test_lease_is_sent_again_only_when_it_ends_noticeably_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page renews every 10 s; each renewal must not be a change for everybody who looks."""
    async with open_site() as site:
        site.core.kernel.emit(lease())
        board, position = boards.Board(), dict[str, int]()
        monkeypatch.setattr(boards, "EVERY_S", 0.0)
        ends = dict.fromkeys(site.core.kernel.state.leases, 1000000000000)
        monkeypatch.setattr(site.gateway, "expiries", lambda: ends)
        known: dict[str, Any] = {}
        told = []
        for later_s in (0, 4, 9.9, 10, 12):
            ends = {name: int((1000 + later_s) * 1e9) for name in ends}
            for text in await board.news(site.gateway, position, {"viewers"}):
                apply(known, text)
            told.append(known["leases"]["lease-1"]["expires"])
        assert told == ["1970-01-01T00:16:40.000Z"] * 3 + ["1970-01-01T00:16:50.000Z"] * 2


async def test_time_of_the_last_picture_is_coarse_while_live_and_exact_afterwards() -> None:
    """While pictures come their time is not news; when they stop, the page counts from the last one."""
    async with open_site() as site:
        board = boards.Board()
        snapshot = site.gateway.snapshot()
        measured = snapshot.cameras[GATE]

        def heard(at_s: float, age_s: float, live: bool) -> int | None:
            then = attrs.evolve(
                snapshot, now_ns=int(at_s * 1e9), cameras={GATE: attrs.evolve(measured, last_frame_age_s=age_s)}
            )
            return board._heard_ms(GATE, then, live=live)

        assert heard(100, 0.0, True) == heard(104.9, 0.02, True) == 100_000
        assert heard(105.5, 0.0, True) == 105_500
        assert heard(108, 1.0, False) == 107_000
        assert heard(109, 2.01, False) == 107_000
