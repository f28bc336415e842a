"""The API: what is, as JSON; and every wrong question has a problem document for an answer."""

import re

import pytest

from supervisor.domain import commands as c
from supervisor.domain.ids import DeviceId
from supervisor.domain.monitors import Figure, Reading
from supervisor.domain.values import DeviceSettings, Limits
from tests.kit.domain import ASKED, GATE, PICTURE, YARD, child, lease, peer, settings
from tests.kit.site import open_site
from web.security_headers import HEADERS


async def test_cameras() -> None:
    async with open_site(GATE, YARD) as site:
        site.core.kernel.emit(c.ConnectCamera(GATE))
        site.core.kernel.emit(c.ReportLive(GATE, PICTURE))
        await site.offer()
        gate, yard = (await site.get("/api/cameras")).json["cameras"]
        shown = {key: gate[key] for key in ("id", "state", "codec", "width", "fps", "viewers", "reason")}
        assert shown == {"id": "gate", "state": "live", "codec": "h264", "width": 640, "fps": 25.0, "viewers": 1,
                         "reason": None}  # fmt: skip
        assert (yard["state"], yard["fps"], yard["last_frame_age_ms"]) == ("idle", 0.0, None)
        assert (await site.get("/api/cameras/yard")).json == yard
        missing = await site.get("/api/cameras/nobody")
        assert (missing.status, missing.json["type"]) == (404, "urn:banken:problem:unknown")


async def test_an_operator_ends_a_connection() -> None:
    async with open_site() as site:
        await site.offer()
        (peer,) = site.core.kernel.state.peers
        answer = await site.delete(f"/api/peers/{peer}")
        assert (answer.status, answer.body) == (204, b"")
        (listed,) = (await site.get("/api/peers")).json["peers"]
        assert (listed["id"], listed["state"]) == (peer, "closing")
        (closing,) = (await site.get("/api/events?type=PeerClosing")).json["events"]
        assert closing["body"]["reason"]["code"] == "kicked"
        missing = await site.delete("/api/peers/nobody")
        assert (missing.status, missing.json["type"]) == (404, "urn:banken:problem:unknown")


async def test_devices() -> None:
    """Those that have a budget; here none has."""
    async with open_site() as site:
        assert (await site.get("/api/devices")).json == {"devices": []}
        box = DeviceSettings(DeviceId("box"), 2)
        cameras = (settings(GATE, device="box"), settings(YARD, device="box"))
        site.core.kernel.emit(c.Configure("test", cameras, Limits(), devices=(box,)))
        (device,) = (await site.get("/api/devices")).json["devices"]
        assert device == {"id": "box", "max_connections": 2, "configured": 2, "holders": [], "waiting": []}


async def test_processes() -> None:
    async with open_site() as site:
        site.core.kernel.emit(child())
        (process,) = (await site.get("/api/processes")).json["processes"]
        assert (process["camera"], process["state"], process["pid"], process["arguments"]) == (
            "gate",
            "starting",
            None,
            ["ffmpeg"],
        )


async def test_events_page_on_from_the_last_one_seen() -> None:
    async with open_site(GATE, YARD) as site:
        newest = (await site.get("/api/events?limit=2")).json
        assert [event["seq"] for event in newest["events"]] == [3, 4]
        page = (await site.get("/api/events?after=1&limit=2")).json
        assert ([event["seq"] for event in page["events"]], page["next"], page["last"]) == ([2, 3], 3, 4)
        down = (await site.get("/api/events?limit=2&order=newest")).json
        assert ([event["seq"] for event in down["events"]], down["next"]) == ([4, 3], 4)
        beyond = (await site.get("/api/events?after=99")).json
        assert (beyond["events"], beyond["next"]) == ([], 4)
        (of_yard,) = (await site.get("/api/events?camera=yard")).json["events"]
        assert (of_yard["type"], of_yard["cause"], of_yard["text"]) == (
            "CameraAdded",
            2,
            "yard added: rtsp://192.0.2.1/main",
        )


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("after=-1", 400),
        ("after=x", 400),
        ("after=1e3", 400),
        ("after=99999999999999999999", 400),
        ("limit=0", 400),
        ("limit=1001", 400),
        ("order=upwards", 400),
        ("type=Nothing", 400),
        ("camera=nobody", 404),
    ],
)
async def test_wrong_questions(query: str, status: int) -> None:
    async with open_site() as site:
        answer = await site.get(f"/api/events?{query}")
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")


async def test_health_and_readiness() -> None:
    async with open_site() as site:
        assert (await site.get("/healthz")).status == 200
        assert (await site.get("/readyz")).status == 200
        health = (await site.get("/api/health")).json
        assert health["verdict"] == "ok"
        site.core.kernel.emit(c.ConnectCamera(GATE))
        site.core.kernel.emit(c.ReportLoss(GATE, ASKED, 0.5))
        health = (await site.get("/api/health")).json
        assert health["verdict"] == "degraded"
        assert health["parts"][1] == {"part": "camera/gate", "verdict": "degraded", "reason": f"waiting: {ASKED.text}"}
        site.core.kernel.emit(c.StopRun(ASKED))
        answer = await site.get("/readyz")
        assert (answer.status, answer.json["detail"], "Retry-After" in answer.headers) == (
            503,
            "banken is stopping",
            True,
        )
        assert (await site.get("/healthz")).status == 200


async def test_metrics() -> None:
    async with open_site() as site:
        site.core.kernel.emit(lease())
        site.core.kernel.emit(peer())
        await site.core.stored()
        answer = await site.get("/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert 'banken_camera_state{camera="gate",state="idle"} 1.0' in answer.text
        assert 'banken_camera_frames_total{camera="gate"} 100.0' in answer.text
        assert "banken_journal_events_total 6.0" in answer.text
        assert 'banken_camera_leases{camera="gate"} 2.0' in answer.text
        assert 'banken_camera_suggested{camera="gate"} 0.0' in answer.text
        assert 'banken_leases{kind="viewer"} 2.0' in answer.text
        for name in ("tasks", "threads", "descriptors"):
            assert re.search(rf"^banken_{name} [1-9]", answer.text, re.MULTILINE), name


async def test_what_monitors_found_is_in_health_and_metrics() -> None:
    """A verdict with its reason, and numbers; what could not be read has no number, and says why."""
    async with open_site() as site:
        room = Figure("banken_tank_free_bytes", "Room in the tank", 17)
        site.readings.update(tank=Reading(0.95, "95 % full", (room,)), well=Reading(None, "cannot be read: gone"))
        site.core.kernel.emit(c.RaiseAlert("tank-critical", "91 % full"))
        health = (await site.get("/api/health")).json
        assert health["verdict"] == "critical"
        assert {part["part"]: (part["verdict"], part["reason"]) for part in health["parts"][2:]} == {
            "monitor/tank": ("critical", "95 % full"),
            "monitor/well": ("degraded", "cannot be read: gone"),
            "alert/tank-critical": ("critical", "91 % full"),
        }
        text = (await site.get("/metrics")).text
        for line in (
            "banken_tank_free_bytes 17.0",
            'banken_monitor_level{monitor="tank"} 0.95',
            'banken_monitor_verdict{monitor="tank"} 2.0',
            'banken_monitor_verdict{monitor="well"} 1.0',
            "banken_health 2.0",
            "banken_journal_lag_seconds 0.0",
        ):
            assert f"\n{line}\n" in text, line
        assert 'level{monitor="well"}' not in text


async def test_the_dashboard_is_served_and_nothing_beside_it() -> None:
    async with open_site() as site:
        page = await site.get("/")
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        assert (await site.get("/dashboard/main.js")).headers["Content-Type"].startswith("text/javascript")
        tag = page.headers["Etag"]
        again = await site.get("/", **{"If-None-Match": tag})
        assert (again.status, again.body, again.headers["Etag"]) == (304, b"", tag)
        assert (await site.get("/", **{"If-None-Match": '"of another version"'})).body == page.body
        assert (await site.get("/favicon.ico")).headers["Content-Type"].startswith("image/svg+xml")
        for path in ("../app.py", "..%2fapp.py", "nothing.js", "x" * 3000):
            assert (await site.get(f"/dashboard/{path}")).status == 404


async def test_a_host_that_none_can_be_is_refused_like_everything_else() -> None:
    """Even before there is a request: a problem document, and the headers that every answer has."""
    async with open_site() as site:
        for answer in (await site.get("/", Host=".."), await site.knock(Host="..")):
            assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
            assert HEADERS.items() <= answer.headers.items()
