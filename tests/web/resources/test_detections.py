"""Detections over HTTP: token, types, times, twice, too many; each a problem document, and nothing changed or lost."""

import base64
import json
import re
from typing import Any
from urllib.parse import urljoin

import pytest
import trio

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Limits, Policy
from supervisor.ports.statistics import DetectorStatistics
from supervisor.services.detections import PER_CAMERA_BURST
from supervisor.services.thumbnails import COUNT, MAX_BYTES, Thumbnails
from tests.kit.domain import ASKED, GATE, YARD, settings
from tests.kit.http import Answer, request
from tests.kit.patience import give_up_after
from tests.kit.site import Site, message, open_site
from web.app import WebSettings
from web.json import iso

TOKEN = "a token that nobody guesses"
JPEG = b"\xff\xd8\xff\xe0 a picture \xff\xd9"


def opened() -> Any:
    return open_site(settings=WebSettings(detector_token=TOKEN))


def body(site: Site, ahead_s: float = 0.0, **more: Any) -> dict[str, Any]:
    at_ns = site.core.kernel.clock.wall_ns() + int(ahead_s * 1e9)
    return {"camera": GATE, "time": iso(at_ns), "label": "person", "score": 0.9, **more}


async def report(site: Site, what: object, token: str | None = TOKEN) -> Answer:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    return await request(
        site.port, "POST", "/api/detections", what if isinstance(what, str) else json.dumps(what), headers
    )


def made(site: Site) -> list[e.DetectionMade]:
    return [row.event for row in site.core.disk.rows if isinstance(row.event, e.DetectionMade)]


async def test_a_detection_is_suggested_at_once_and_a_page_that_loads_gets_what_remains() -> None:
    """Listed with time, box and image; the link also works below a path of a proxy."""
    async with opened() as site:
        image = base64.b64encode(JPEG).decode()
        asked = body(site, image=image, box=[0.1, 0.2, 0.3, 0.4])
        answer = await report(site, asked)
        assert (answer.status, answer.json["suggested"]) == (202, True)
        (listed,) = (await site.get("/api/detections")).json["detections"]
        assert listed["time"] == asked["time"]
        assert (listed["camera"], listed["label"], listed["box"]) == ("gate", "person", [0.1, 0.2, 0.3, 0.4])
        assert (await site.get(urljoin("/api/detections", listed["image"]))).body == JPEG
        below = urljoin("https://cams.example/wall/api/detections", listed["image"])
        assert below.startswith("https://cams.example/wall/api/detections/")
        async with site.socket() as socket:
            while (news := await message(socket))["type"] != "state":
                pass
        shown = news["suggestion"]
        assert (shown["camera"], shown["detection"]) == ("gate", answer.json["detection"])
        assert 0 < shown["remaining_s"] <= Policy().shown_s


async def test_expired_suggestion_is_not_shown() -> None:
    """Also in the moment before it is swept."""
    async with opened() as site:
        await report(site, body(site))
        with give_up_after(10):
            site.core.kernel.emit(
                c.Configure("test", (settings(GATE),), Limits(), policy=Policy(quiet_s=0.0, shown_s=0.05))
            )
            (held,) = site.core.kernel.state.leases
            site.core.kernel.emit(c.EndLease(held, ASKED))
            await report(site, body(site))
            await trio.sleep(0.1)
            async with site.socket() as socket:
                while (news := await message(socket))["type"] != "state":
                    pass
        assert site.core.kernel.state.suggestion is not None
        assert news["suggestion"] is None


@pytest.mark.parametrize(
    ("more", "status", "names"),
    [
        ({"colour": 1}, 400, "colour"),
        ({"score": "0.9"}, 400, "score"),
        ({"score": 1.1}, 400, "score"),
        ({"box": [0, 0, 1]}, 400, "box"),
        ({"box": [0, 0, 1, 2]}, 400, "box"),
        ({"box": [0.9, 0.1, 0.5, 0.2]}, 400, "beyond the picture"),
        ({"label": ""}, 400, "label"),
        ({"label": "\x1b[2J"}, 400, "label"),
        ({"time": "yesterday"}, 400, "time"),
        ({"time": "2026-01-05T06:00:00"}, 400, "time"),
        ({"camera": "nobody"}, 404, "nobody"),
        ({"image": "%%%"}, 422, "base64"),
        ({"image": base64.b64encode(b"GIF89a").decode()}, 422, "JPEG"),
        ({"image": "A" * 180_000}, 413, "131072"),
        ({"image": "A" * 300_000}, 413, ""),
    ],
)
async def test_malformed_detection_is_refused_with_its_field_and_changes_nothing(
    more: dict[str, Any], status: int, names: str
) -> None:
    """The problem document names the field, and no event is written."""
    async with opened() as site:
        answer = await report(site, body(site) | more)
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
        assert names in answer.json["detail"]
        assert site.core.kernel.state.seq == 3


async def test_the_future_is_refused() -> None:
    """A detection 60 s ahead gets 422 and is not stored."""
    async with opened() as site:
        future = await report(site, body(site, ahead_s=60))
        assert (future.status, future.json["type"]) == (422, "urn:banken:problem:invalid")
        far = await report(site, body(site, ahead_s=10**9))
        assert re.search(r"its time is 27777\d h \d+ min in the future", far.json["detail"])
        assert made(site) == []


async def test_detection_without_the_token_is_refused() -> None:
    """No token gets 401, a wrong one 403; without a configured token the answer names the setting."""
    async with opened() as site:
        assert (await report(site, body(site), None)).status == 401
        assert (await report(site, body(site), "guessed")).status == 403
        assert made(site) == []
    async with open_site() as site:
        assert (await report(site, body(site), "")).status == 401
        assert "detections.token" in (await report(site, body(site), "any")).json["detail"]


async def test_the_same_key_again_has_the_same_answer() -> None:
    """A repeated request gets 200 instead of 202, and one detection is stored."""
    async with opened() as site:
        first = await report(site, body(site, key="front-17"))
        again = await report(site, body(site, key="front-17", score=0.1))
        assert (first.status, again.status) == (202, 200)
        assert first.json == again.json
        assert len(made(site)) == 1


@pytest.mark.slow
async def test_a_thousand_at_once_are_refused_with_a_time_and_none_that_was_taken_is_lost() -> None:
    """Each answer of 202 has its event in the journal, and each 429 has `Retry-After: 1`."""
    async with opened() as site:
        answers: list[Answer] = []

        async def one() -> None:
            answers.append(await report(site, body(site)))

        for _ in range(20):  # two batches are fewer than the connections of one peer: some of the last may be closing
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(one)
        taken = {answer.json["detection"] for answer in answers if answer.status == 202}
        refused = [answer for answer in answers if answer.status == 429]
        assert len(taken) + len(refused) == len(answers) == 1000
        assert len(taken) >= PER_CAMERA_BURST
        assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
        assert {event.detection for event in made(site)} == taken


async def test_detector_of_sixteen_cameras_is_bound_by_the_rates_of_detections_alone() -> None:
    """It has the token: however small the allowance of clients is, one detection of each camera a second is taken."""
    async with opened() as site:
        cameras = [CameraId(f"camera-{number}") for number in range(16)]
        limits = Limits(journaled_burst=1, journaled_rate=0.1)
        site.core.kernel.emit(c.Configure("test", tuple(settings(name) for name in cameras), limits))
        answers = [await report(site, body(site, camera=name)) for _ in range(3) for name in cameras]
        assert [answer.status for answer in answers] == [202] * 48


async def test_a_label_can_be_asked_for() -> None:
    """Newest first, with a limit; a wrong limit gets 400, an unknown image 404."""
    async with opened() as site:
        for label in ("person", "cat", "person"):
            await report(site, body(site, label=label))
        labels = [each["label"] for each in (await site.get("/api/detections?label=cat")).json["detections"]]
        assert labels == ["cat"]
        newest = (await site.get("/api/detections?limit=2")).json["detections"]
        assert [each["label"] for each in newest] == ["person", "cat"]
        assert (await site.get("/api/detections?limit=x")).status == 400
        assert (await site.get("/api/detections/0123456789abcdef/image.jpg")).status == 404


def test_pictures_are_bounded_in_number_and_in_bytes() -> None:
    """The one that nobody looked at for longest goes first."""
    kept = Thumbnails()
    for number in range(COUNT + 1):
        kept.keep(GATE, f"seen-{number}", JPEG)  # type: ignore[arg-type]
        assert kept.find("seen-0")  # type: ignore[arg-type]
    assert kept.find("seen-1") is None  # type: ignore[arg-type]
    assert kept.statistics() == (COUNT, COUNT * len(JPEG))
    for number in range(100):
        kept.keep(GATE, f"large-{number}", JPEG * 5000)  # type: ignore[arg-type]
        assert kept.statistics()[1] <= MAX_BYTES
    kept.forget(GATE)
    assert kept.statistics() == (0, 0)


async def test_detectors_are_listed_with_their_figures() -> None:
    """As `/api/detectors` and as metrics; without a detector the list is empty, and there are no metrics."""
    known = DetectorStatistics("yolo", "command", "backoff", "it exited with 1", 7, 3, {"no-json": 2}, 0.25)
    async with opened() as site:
        assert (await site.get("/api/detectors")).json == {"detectors": []}
        assert "banken_detector" not in (await site.get("/metrics")).text
        site.actors.detectors = (known,)
        (shown,) = (await site.get("/api/detectors")).json["detectors"]
        assert shown == {
            "name": "yolo", "kind": "command", "state": "backoff", "reason": "it exited with 1", "pictures": 7,
            "detections": 3, "dropped": {"no-json": 2}, "latency_s": 0.25,
        }  # fmt: skip
        text = (await site.get("/metrics")).text
        assert 'banken_detector_running{detector="yolo"} 0' in text
        assert 'banken_detector_dropped_total{detector="yolo",reason="no-json"} 2' in text


async def test_three_suggestions_reach_clients_newest_first() -> None:
    """With all that a page needs: camera, label, score, time, detector, box and image; `suggestion` is the first."""
    async with opened() as site:
        site.core.kernel.emit(
            c.Configure("test", (settings(GATE), settings(YARD)), Limits(), policy=Policy(at_once=3, shown_s=180.0))
        )
        await report(site, body(site))
        image = base64.b64encode(JPEG).decode()
        asked = body(site, camera="yard", label="car", score=0.75, image=image, box=[0.1, 0.2, 0.3, 0.4])
        answer = await report(site, asked)
        async with site.socket() as socket:
            while (news := await message(socket))["type"] != "state":
                pass
        first, second = news["suggestions"]
        assert news["suggestion"] == first
        assert (first["camera"], second["camera"]) == ("yard", "gate")
        assert (first["label"], first["score"], first["time"]) == ("car", 0.75, asked["time"])
        assert (first["by"], first["box"]) == ("127.0.0.1", [0.1, 0.2, 0.3, 0.4])
        assert first["image"] == f"detections/{answer.json['detection']}/image.jpg"
        assert (second["image"], second["box"]) == (None, None)
        assert 'banken_camera_suggested{camera="yard"} 1' in (await site.get("/metrics")).text
