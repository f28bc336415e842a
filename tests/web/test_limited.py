"""The gateway of a principal with a scope: what belongs to other cameras is neither shown nor found by its name."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain.access import Principal
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, DetectionId, DeviceId, LeaseId, PeerId
from supervisor.domain.monitors import Reading
from supervisor.domain.rights import ALL, EVERYTHING, RIGHTS, Role, Scope
from supervisor.domain.values import DeviceSettings, Limits
from supervisor.ports.asking import origin_of
from supervisor.ports.questions import Query
from supervisor.ports.viewing import Jpeg, Key, LeaseOver, hash_secret
from tests.kit.domain import ASKED, GATE, YARD, child, lease, peer, settings
from tests.kit.http import request
from tests.kit.scopes import run_worlds, unasked
from tests.kit.site import OFFER, Site, message, open_site
from web import limited as module
from web.limited import LOOKED_AT, MOST_SCOPES, Limited, limited, sight_of

LAWN = CameraId("lawn")
"""No camera, and a name as long as `yard`."""
WHO = Principal("user:anna/1", EVERYTHING, Scope(cameras=(GATE,)))
WORLDS, PRINCIPALS, SHARE = range(1, 41), 5, 0.1
"""200 principals; each asks a tenth of the requests, chosen at random."""


@asynccontextmanager
async def site_of(who: Principal | None = WHO, **more: Any) -> AsyncIterator[Site]:
    """Two cameras of one device with one connection, which `yard` has, while `gate` waits."""
    async with open_site(GATE, YARD, who=who, **more) as site:
        emit = site.core.kernel.emit
        cameras = tuple(settings(name, f"rtsp://{name}.example/1", device="box") for name in (GATE, YARD))
        emit(c.Configure("/etc/banken.yaml", cameras, Limits(), devices=(DeviceSettings(DeviceId("box"), 1),)))
        for command in (
            c.TakeSlot(YARD), c.TakeSlot(GATE), child(camera=YARD), lease("lease-yard", YARD), peer("peer-yard", YARD),
            c.RaiseAlert("sound/yard", "the audio of yard fails"),
            c.ReportPatrol("others", 1, (YARD,), 1.0, 0),
            c.RefuseConfiguration("/etc/banken.yaml", ("banken.yaml:3: yard has no source",)),
        ):  # fmt: skip
            emit(command)
        await site.core.stored()
        yield site


def in_scope(site: Site, who: Principal = WHO) -> Limited:
    found = limited(site.gateway, who)
    assert isinstance(found, Limited)
    return found


async def test_whole_scope_is_the_gateway_itself() -> None:
    """Nothing costs more then."""
    async with open_site() as site:
        assert limited(site.gateway, Principal("local", EVERYTHING, ALL)) is site.gateway
        assert (sight_of(site.gateway), sight_of(in_scope(site))) == ((ALL, None), (WHO.scope, None))


@pytest.mark.parametrize(
    "path",
    ["/api/cameras", "/api/devices", "/api/peers", "/api/leases", "/api/processes", "/api/health", "/api/rooms",
     "/api/availability", "/api/events?limit=1000", "/api/detections", "/api/detectors", "/metrics"],
)  # fmt: skip
async def test_lists_hold_nothing_of_another_camera(path: str) -> None:
    """Of a camera with a connection that the other one waits for."""
    async with site_of() as site:
        answer = await site.get(path)
        assert answer.status == 200
        assert b"yard" not in answer.body
        if path in ("/api/cameras", "/api/devices", "/api/health", "/metrics"):
            assert b"gate" in answer.body


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "/api/cameras/{}", ""), ("GET", "/api/cameras/{}/about", ""), ("POST", "/api/cameras/{}/retry", ""),
     ("GET", "/cameras/{}/snapshot.jpg", ""), ("GET", "/cameras/{}/snapshot.jpg?cached", ""),
     ("GET", "/cameras/{}/stream.mjpeg", ""), ("POST", "/whep/{}", OFFER), ("OPTIONS", "/whep/{}", ""),
     ("OPTIONS", "/whep/{}/peer-yard.secret", ""), ("DELETE", "/whep/{}/peer-yard.secret", ""),
     ("GET", "/api/events?camera={}", ""), ("GET", "/api/events?stream=camera/{}", ""),
     ("GET", "/api/detections?camera={}", ""), ("GET", "/api/availability?camera={}", ""),
     ("POST", "/api/leases", '{{"kind": "viewer", "camera": "{}"}}')],
)  # fmt: skip
async def test_camera_outside_is_answered_as_an_unknown_one(method: str, path: str, body: str) -> None:
    """Byte for byte, but for the name that was asked for."""
    async with site_of() as site:
        kind = "application/json" if body.startswith("{") else "application/sdp"
        found = []
        for name in (YARD, LAWN):
            answer = await request(
                site.port, method, path.format(name), body.format(name), {"Content-Type": kind} if body else {}
            )
            del answer.headers["Date"]
            found.append((answer.status, answer.headers, answer.body.replace(name.encode(), b"NAME")))
        assert found[0] == found[1]


async def test_peers_and_leases_of_another_camera_are_unknown() -> None:
    """By their ids, whoever knows them."""
    async with site_of() as site:
        here, origin = in_scope(site), origin_of("192.0.2.1")
        for name in ("lease-yard", "nothing"):
            with pytest.raises(LeaseOver, match="there is no such lease"):
                await here.renew(Key(LeaseId(name), "wrong"), 0.0, "192.0.2.1")
            with pytest.raises(LeaseOver, match="there is no such lease"):
                await here.release(Key(LeaseId(name), "wrong"), "192.0.2.1")
            with pytest.raises(LeaseOver, match="there is no such lease"):
                await here.revoke(LeaseId(name), "192.0.2.1")
            with pytest.raises(LeaseOver, match="there is no such lease"):
                await here.negotiate(GATE, OFFER, "192.0.2.1", Key(LeaseId(name), "wrong"))
        for name in ("peer-yard", "nothing"):
            with pytest.raises(Rejected, match="there is no such viewer"):
                await here.submit(c.ClosePeer(PeerId(name), ASKED), origin)
            with pytest.raises(Rejected, match="there is no such viewer"):
                await here.add_candidates(PeerId(name), "wrong", "")
        assert "lease-yard" in site.gateway.state.leases
        assert not here.expiries()


async def test_own_camera_works_as_ever() -> None:
    """Picture, lease, peer, and their ends."""
    async with site_of() as site:
        here = in_scope(site)
        assert (await here.take_picture(GATE, "192.0.2.1", None)).data == b"a picture"
        held = await here.grant(c.GrantLease(LeaseId(""), lease().kind, GATE, "192.0.2.1"))
        key = Key(held.lease.lease, held.secret)
        opened = await here.negotiate(GATE, OFFER, "192.0.2.1", key)
        await here.add_candidates(opened.peer, hash_secret(opened.secret), "a=candidate")
        assert (await here.renew(key, 0.0, "192.0.2.1")).peers == (opened.peer,)
        assert set(here.expiries()) == {key.lease}
        await here.release(key, "192.0.2.1")
        row = here.watch_pictures(GATE, "192.0.2.1")
        assert isinstance(await anext(row), Jpeg)
        assert len(here.state.leases) == 1
        await row.aclose()
        assert not here.state.leases


async def test_error_about_an_own_camera_names_no_other_one() -> None:
    """A viewer that may not wait gets the reason, without the holder of the connection."""
    async with site_of(refuse_not_live=True) as site:
        with pytest.raises(Rejected) as refused:
            await in_scope(site).negotiate(GATE, OFFER, "192.0.2.1")
        assert refused.value.reason.endswith("taken by another camera")


async def test_reload_needs_all_cameras() -> None:
    """Its answer names lines of the configuration."""
    async with site_of() as site:
        with pytest.raises(Rejected) as refused:
            await in_scope(site).reload("192.0.2.1")
        assert refused.value.refusal is Refusal.FORBIDDEN


async def test_detections_of_another_camera() -> None:
    """Neither its picture, nor the outcome of a key that it has used."""
    async with site_of() as site:
        here, kernel = in_scope(site), site.core.kernel
        seen = c.ReportDetection(
            DetectionId(""), LeaseId(""), YARD, kernel.clock.wall_ns(), "person", 0.9, "d", key="k"
        )  # fmt: skip
        theirs = await site.gateway.detect(seen, b"\xff\xd8\xff")
        assert site.gateway.has_thumbnail(theirs.detection)
        assert not here.has_thumbnail(theirs.detection)
        assert here.thumbnail(theirs.detection) is None
        with pytest.raises(Rejected, match="there is no camera 'yard'"):
            await here.detect(replace(seen, key=""), b"")
        again = await here.detect(replace(seen, camera=GATE), b"")
        assert "yard" not in again.why
        ours = await here.detect(replace(seen, camera=GATE, key=""), b"jpeg")
        assert "yard" not in ours.why and "as important" in ours.why
        assert here.thumbnail(ours.detection) == b"jpeg"


async def test_feed_passes_over_hidden_events_once() -> None:
    """A client that asks again does not make the daemon read the same hidden events again; the next own one comes."""
    async with site_of() as site:
        here, kernel = in_scope(site), site.core.kernel
        asked: list[int] = []
        original = site.gateway.next_events

        async def count(after: int) -> Any:
            asked.append(after)
            return await original(after)

        last = here.last_seq
        for _ in range(3):
            kernel.emit(c.RaiseAlert(f"sound/yard{_}", "x"))
        await site.core.stored()
        site.gateway.next_events = count  # type: ignore[method-assign]
        for _ in range(2):
            with trio.move_on_after(0.01):
                await here.next_events(last)
        kernel.emit(c.RaiseAlert("sound/gate", "the audio of gate fails"))
        (found,) = await here.next_events(last)
        assert found.seq == kernel.state.seq
        assert asked[0] == last
        assert all(after >= last + 3 for after in asked[1:])


async def test_without_the_right_to_read_no_event_is_sent() -> None:
    """The page of a watcher follows the state only."""
    async with site_of() as site:
        here = in_scope(site, Principal("user:anna/1", RIGHTS[Role.WATCHER], WHO.scope))
        with trio.move_on_after(0.05) as waited:
            await here.next_events(0)
        assert waited.cancelled_caught


async def test_pages_of_events_are_filled() -> None:
    """Hidden events between the shown ones leave no short page, in both directions."""
    async with site_of() as site:
        for number in range(40):
            site.core.kernel.emit(c.RaiseAlert("sound/gate" if number % 10 == 9 else f"sound/yard-{number}", "x"))
            site.core.kernel.emit(c.ClearAlert("sound/gate"))
        await site.core.stored()
        here = in_scope(site)
        for newest in (False, True):
            found = await here.read(Query(types=("AlertRaised", "AlertCleared")), 3, newest=newest)
            assert [each.type for each in found].count("AlertRaised") in (1, 2)
            assert [each.seq for each in found] == sorted(each.seq for each in found)
            assert len(found) == 3


async def test_search_among_hidden_events_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused, and names the way out."""
    monkeypatch.setattr(module, "LOOKED_AT", 10)
    monkeypatch.setattr(module, "PAGE", 5)
    async with site_of() as site:
        for number in range(20):
            site.core.kernel.emit(c.RaiseAlert(f"sound/yard-{number}", "x"))
        await site.core.stored()
        with pytest.raises(Rejected, match="ask for those of one camera"):
            await in_scope(site).read(Query(types=("AlertRaised",)), 3)
    assert LOOKED_AT == 20_000


async def test_parts_are_shared_and_bounded() -> None:
    """Principals of one scope share one part of the state; of many scopes, the newest are kept."""
    async with site_of() as site:
        one, other = in_scope(site), in_scope(site, Principal("user:ben/2", EVERYTHING, WHO.scope))
        assert one.state is other.state
        for number in range(2 * MOST_SCOPES):
            in_scope(site, Principal("x", EVERYTHING, Scope(groups=(str(number),)))).has_camera(GATE)
        assert len(one._all.parts) == MOST_SCOPES


async def test_snapshot_holds_no_figures_of_the_daemon() -> None:
    """Monitors, detectors and daemons belong to no camera."""
    async with site_of() as site:
        site.readings["disk"] = Reading(0.95, "95 % full because of yard")
        snapshot = in_scope(site).snapshot(peers=True)
        assert (snapshot.readings, snapshot.detectors, snapshot.daemons) == ({}, (), ())
        assert set(snapshot.cameras) == {GATE}
        assert [part.part for part in snapshot.health.parts] == ["journal", "camera/gate"]


async def test_events_socket_is_limited_and_shares_one_text_for_each_scope() -> None:
    """As whole state, and as changes with both lists."""
    async with site_of() as site:
        for query in ("?after=0", "?after=0&state=changes&views=viewers,rooms"):
            async with site.socket(query) as first, site.socket(query) as second:
                texts = []
                for socket in (first, second):
                    while True:
                        found = await message(socket)
                        texts.append(found)
                        if found["type"] == "state" and ("leases" in found or "viewers" not in query):
                            break
                assert "yard" not in json.dumps(texts)
                assert {"CameraQueued"} <= {each["type"] for text in texts for each in text.get("events", ())}
                assert len(site.sockets._boards) + len(site.sockets._states) == 3


async def test_no_answer_names_a_camera_outside_the_scope() -> None:
    """In no byte, over every route and WebSocket; a camera outside is answered as an unknown one, byte for byte."""
    tally = await run_worlds(WORLDS, PRINCIPALS, SHARE)
    assert tally.leaks == []
    assert unasked(tally.asked) == set()
    assert tally.principals == len(WORLDS) * PRINCIPALS
    assert min(tally.hidden, tally.compared) > tally.principals
