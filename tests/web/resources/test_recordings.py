"""Recordings over HTTP: start, stop and status by a person, their refusals, and the aliases."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.values import Limits, RecordMode
from tests.kit.domain import GATE, settings
from tests.kit.http import Answer, request
from tests.kit.site import OFFER, Site, open_site

PATH, ONE = "/api/recordings", f"/api/recordings/{GATE}"
JSON = {"Content-Type": "application/json"}


def configure(site: Site, mode: RecordMode) -> None:
    site.core.kernel.emit(c.Configure("test", (replace(settings(GATE), record=mode),), Limits()))


async def start(site: Site, **body: Any) -> Answer:
    return await request(site.port, "POST", PATH, json.dumps({"camera": GATE} | body), JSON)


async def test_start_and_stop_are_journaled_with_the_client() -> None:
    """200 with the recording, which begins when the camera is live; the status shows it."""
    async with open_site() as site:
        configure(site, RecordMode.DEMAND)
        answer = await start(site, **{"for": "10m"})
        assert (answer.status, answer.json["camera"], answer.json["requested"]) == (200, GATE, True)
        assert (answer.json["mode"], answer.json["state"], answer.json["began"]) == ("demand", "stopped", None)
        assert answer.json["until"] is not None
        row = site.core.disk.rows[-1]
        assert (row.event, row.principal) == (e.RecordingRequested(GATE, "127.0.0.1", 600.0), "client:127.0.0.1")
        assert (await site.get(PATH)).json["recordings"] == [answer.json]
        assert (await start(site)).json["until"] is None
        stopped = await request(site.port, "DELETE", ONE)
        assert (stopped.status, stopped.json["requested"]) == (200, False)
        assert isinstance(site.core.disk.rows[-1].event, e.RecordingRequestEnded)


async def test_settings_refuse_with_what_to_do() -> None:
    """409; nothing is journaled."""
    async with open_site() as site:
        refused = await start(site)
        assert refused.status == 409
        assert refused.json["detail"] == "gate is never recorded; set `record: demand` for it in the configuration"
        configure(site, RecordMode.ALWAYS)
        seq = site.core.kernel.state.seq
        always = await request(site.port, "DELETE", ONE)
        assert (always.status, "always recorded" in always.json["detail"]) == (409, True)
        assert (await start(site)).status == 200
        assert site.core.kernel.state.seq == seq


@pytest.mark.parametrize("lasts", ["", "10", "0s", "31d", "10 m", "-5m", 0.5, 1e9, "1e3", [1], "9" * 17])
async def test_time_is_checked(lasts: Any) -> None:
    """400 that names it, except for plain seconds in a text."""
    async with open_site() as site:
        configure(site, RecordMode.DEMAND)
        answer = await start(site, **{"for": lasts})
        assert answer.status == (200 if lasts == "10" else 400)


async def test_unknown_camera_and_unknown_fields_are_refused() -> None:
    """404 and 400."""
    async with open_site() as site:
        assert (await start(site, camera="attic")).status == 404
        assert (await request(site.port, "DELETE", f"{PATH}/attic")).status == 404
        assert (await start(site, until="10m")).status == 400


async def test_aliases_do_the_same() -> None:
    """Without a name they mean the only camera."""
    async with open_site() as site:
        configure(site, RecordMode.DEMAND)
        started = await request(site.port, "POST", "/start?for=2h")
        assert (started.status, started.json["requested"]) == (200, True)
        assert (await site.get("/status")).json == (await site.get(PATH)).json
        assert (await request(site.port, "POST", f"/stop?camera={GATE}")).json["requested"] is False
        assert (await request(site.port, "POST", "/start?camera=attic")).status == 404
        for path in ("/start", "/stop"):
            named = await request(site.port, "POST", path, '{"camera": "attic"}', {"Content-Type": "application/json"})
            assert (named.status, "takes no body" in named.json["detail"]) == (400, True)
        assert (await site.get("/health")).json.keys() == (await site.get("/api/health")).json.keys()
        assert (
            await request(site.port, "POST", "/start", headers={"Origin": "https://elsewhere.example"})
        ).status == 403


async def test_alias_of_the_offer_answers_with_json() -> None:
    """201 with the answer, and the session that a DELETE closes; a wrong offer is refused as by WHEP."""
    async with open_site() as site:
        broken = await request(site.port, "POST", "/offer", json.dumps({"sdp": "v=0", "type": "offer"}), JSON)
        assert broken.status == 400
        opened = await request(site.port, "POST", "/offer", json.dumps({"sdp": OFFER, "type": "offer"}), JSON)
        assert (opened.status, opened.json["type"]) == (201, "answer")
        assert opened.json["sdp"] == (await site.offer()).text
        assert (await site.delete(f"/{opened.json['session']}")).status == 200
