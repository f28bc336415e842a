"""The API: what is, as JSON; and every wrong question has a problem document for an answer."""

import re
import threading
import time

import attrs
import pytest
import trio

from supervisor.domain import commands as c
from supervisor.domain.availability import Availability
from supervisor.domain.ids import CameraId, DeviceId
from supervisor.domain.monitors import Figure, Reading
from supervisor.domain.values import DeviceSettings, Limits
from tests.kit.domain import ASKED, GATE, PICTURE, SECOND, TEMPORARY, YARD, child, lease, peer, settings
from tests.kit.site import FACTS, open_site
from web.resources import availability
from web.security_headers import HEADERS


async def test_cameras() -> None:
    """A live camera with one viewer and an idle one, in full; an unknown id gets 404."""
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


async def test_facts_of_a_camera() -> None:
    """As the actors know them; empty for a camera that does not run; 404 for one that is not configured."""
    async with open_site(GATE, YARD) as site:
        found = (await site.get("/api/cameras/gate/about")).json
        assert (found["server"], found["codec"], found["gop_s"]) == (FACTS.server, "h264", None)
        assert [(each["code"], each["count"]) for each in found["oddities"]] == [("cseq", 3)]
        assert (await site.get("/api/cameras/yard/about")).json["server"] == ""
        assert (await site.get("/api/cameras/attic/about")).status == 404


async def test_cameras_have_the_order_of_the_configuration() -> None:
    """In the list of the API, in the health of everything, and in the availability."""
    async with open_site(YARD, GATE) as site:
        assert [camera["id"] for camera in (await site.get("/api/cameras")).json["cameras"]] == ["yard", "gate"]
        parts = [part["part"] for part in (await site.get("/api/health")).json["parts"]]
        assert [part for part in parts if part.startswith("camera/")] == ["camera/yard", "camera/gate"]
        found = (await site.get("/api/availability")).json["cameras"]
        assert [one["camera"] for one in found] == ["yard", "gate"]


async def test_an_operator_ends_a_connection() -> None:
    """DELETE of a peer needs no secret; the event has the code `kicked`."""
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


async def test_devices_have_the_order_of_their_first_cameras() -> None:
    """As the configuration's file has them; a device without a camera follows."""
    boxes = [DeviceSettings(DeviceId(name), 2) for name in ("a-box", "b-box", "none")]
    async with open_site() as site:
        cameras = (settings(YARD, device="b-box"), settings(GATE, device="a-box"))
        site.core.kernel.emit(c.Configure("test", cameras, Limits(), devices=tuple(boxes)))
        found = (await site.get("/api/devices")).json["devices"]
        assert [device["id"] for device in found] == ["b-box", "a-box", "none"]


async def test_processes() -> None:
    """A child that has just been started has no pid yet."""
    async with open_site() as site:
        site.core.kernel.emit(child())
        (process,) = (await site.get("/api/processes")).json["processes"]
        assert (process["camera"], process["state"], process["pid"], process["arguments"]) == (
            "gate",
            "starting",
            None,
            ["ffmpeg"],
        )


@pytest.mark.parametrize("path", ["/api/events?camra=gate", "/api/events?limit=1&since=1", "/api/detections?type=cat"])
async def test_parameter_that_does_not_exist_is_refused(path: str) -> None:
    """An answer about everything would be taken for one about what was asked for."""
    async with open_site() as site:
        answer = await site.get(path)
        assert answer.status == 400
        assert "there is no parameter " in answer.json["detail"]


async def test_events_page_on_from_the_last_one_seen() -> None:
    """`next` is the value of `after` for the next page, also when a page is empty."""
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
    """Each gets 400 or 404 as a problem document."""
    async with open_site() as site:
        answer = await site.get(f"/api/events?{query}")
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")


async def test_health_and_readiness() -> None:
    """A waiting camera makes health degraded; a stopping daemon is alive but not ready."""
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
    """State, frames, leases and journal of a site with two leases, and figures of the process above 0."""
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


async def test_availability_of_this_run_is_in_the_api_and_in_metrics() -> None:
    """From the sum that the daemon keeps: the journal is not asked."""
    async with open_site() as site:
        site.core.kernel.emit(c.ConnectCamera(GATE))
        site.core.kernel.emit(c.ReportLoss(GATE, TEMPORARY, 0.5))
        (found,) = (await site.get("/api/availability")).json["cameras"]
        assert (found["camera"], found["losses"], found["failed_attempts"]) == ("gate", 1, 1)
        assert found["errors"] == {"unreachable": 1}
        assert (await site.get("/api/availability?camera=gate")).json["cameras"][0]["losses"] == 1
        missing = await site.get("/api/availability?camera=yard")
        assert (missing.status, missing.json["type"]) == (404, "urn:banken:problem:unknown")
        text = (await site.get("/metrics")).text
        assert 'banken_camera_losses_total{camera="gate"} 1.0' in text
        assert 'banken_camera_patrol_cycles_total{camera="gate"} 0.0' in text


@attrs.frozen
class SetClock:
    """The machine's, `passed_s` later, where the time of day was set by `set_s`."""

    passed_s: int
    set_s: int

    def wall_ns(self) -> int:
        return time.time_ns() + (self.passed_s + self.set_s) * SECOND

    def mono_ns(self) -> int:
        return time.monotonic_ns() + self.passed_s * SECOND


async def test_counters_of_a_daemon_go_on_where_the_clock_is_set() -> None:
    """Prometheus takes a counter that falls for a restart."""
    async with open_site(GATE) as site:
        site.core.kernel.clock = SetClock(0, 0)
        site.core.kernel.emit(c.ConnectCamera(GATE))
        wanted_s = []
        for set_s in (0, -3600, 365 * 86400):
            site.core.kernel.clock = SetClock(1000, set_s)
            wanted_s += [one.wanted_s for one in (await site.gateway.availability()).cameras]
        assert [round(each, -2) for each in wanted_s] == [1000, 1000, 1000]


async def test_figures_of_many_cameras_are_made_in_turns_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tasks run between those of `AT_ONCE` cameras and those of the next."""
    monkeypatch.setattr("supervisor.services.gateway.AT_ONCE", 1)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with (
        open_site(*(CameraId(f"camera-{number}") for number in range(10))) as site,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(count)
        found = await site.gateway.availability()
        assert (len(found.cameras), turns >= 5) == (10, True)
        nursery.cancel_scope.cancel()


async def test_figures_are_made_into_json_outside_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a thousand cameras take 26 ms."""
    threads, figures = list[threading.Thread](), availability.figures

    def record(found: Availability, camera: CameraId | None) -> availability.Figures:
        threads.append(threading.current_thread())
        return figures(found, camera)

    monkeypatch.setattr(availability, "figures", record)
    async with open_site() as site:
        assert (await site.get("/api/availability")).status == 200
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


async def test_readings_of_monitors_are_in_health_and_metrics() -> None:
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
    """With a policy for content and an ETag; a path out of the folder gets 404."""
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
        for answer in (await site.get("/", Host=".."), await site.handshake(Host="..")):
            assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
            assert HEADERS.items() <= answer.headers.items()


async def test_daemon_whose_journal_cannot_write_is_not_ready() -> None:
    """`/readyz` gets 503 with the reason, as a lease does, until the journal writes again."""
    async with open_site() as site:
        site.core.disk.broken = True
        await site.offer()
        answer = await site.get("/readyz")
        fault = site.core.journal.statistics().fault
        site.core.disk.broken = False
        assert (answer.status, answer.json["detail"]) == (503, f"the journal cannot write: {fault}")
