"""Privacy over HTTP: the switch, what a camera's JSON says, and what everybody else is answered."""

import base64
import json
from typing import Any

import pytest

from supervisor.domain import events as e
from supervisor.domain.values import Limits
from tests.kit.domain import GATE
from tests.kit.http import Answer, request
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until
from tests.kit.site import Site, open_site
from tests.web.resources.test_detections import JPEG, body, opened, report
from tests.web.test_board import follow

PRIVACY = f"/api/cameras/{GATE}/privacy"
JSON = {"Content-Type": "application/json"}


async def switch(site: Site, on: Any, path: str = PRIVACY, **headers: str) -> Answer:
    return await request(site.port, "PUT", path, json.dumps({"on": on}), JSON | headers)


async def test_switch_is_journaled_with_the_client_and_shown() -> None:
    """200 with the camera; the same request again changes nothing; the end is journaled, too."""
    async with open_site() as site:
        answer = await switch(site, on=True)
        assert (answer.status, answer.json["id"]) == (200, GATE)
        shown = answer.json["privacy"]
        assert (shown["until"], shown["camera"], shown["reason"]["code"]) == (None, GATE, "privacy")
        assert shown["reason"]["text"] == "switched off by 127.0.0.1"
        assert answer.json["reason"]["code"] == "privacy"
        rows = len(site.core.disk.rows)
        assert (await switch(site, on=True)).json["privacy"] == shown
        assert len(site.core.disk.rows) == rows
        row = site.core.disk.rows[-1]
        assert (type(row.event), row.principal) == (e.PrivacyBegan, "client:127.0.0.1")
        assert (await site.get("/api/cameras")).json["cameras"][0]["privacy"] == shown
        assert (await switch(site, on=False)).json["privacy"] is None
        assert isinstance(site.core.disk.rows[-1].event, e.PrivacyEnded)


async def test_camera_is_hidden_also_while_the_journal_cannot_write() -> None:
    """200, and the journal has it when it writes again. Nobody may see the camera again before that is journaled."""
    async with open_site() as site:
        site.core.disk.broken = True
        assert (await site.offer()).status == 503
        assert (await switch(site, on=True)).json["privacy"] is not None
        assert site.core.kernel.state.private(GATE) is not None
        assert (await switch(site, on=False)).status == 503
        assert site.core.kernel.state.private(GATE) is not None
        site.core.disk.broken = False
        await wait_until(lambda: site.core.journal.fault is None, 30, what="the journal writes again")
        assert [type(row.event).__name__ for row in site.core.disk.rows].count("PrivacyBegan") == 1
        assert (await switch(site, on=False)).json["privacy"] is None


@pytest.mark.parametrize("wrong", ["yes", 1, None])
async def test_switch_needs_true_or_false(wrong: Any) -> None:
    """400, and nothing is journaled; an unknown camera is 404, a page of another site 403."""
    async with open_site() as site:
        rows = len(site.core.disk.rows)
        assert (await switch(site, on=wrong)).status == 400
        assert (await switch(site, True, "/api/cameras/nobody/privacy")).status == 404
        assert (await switch(site, True, PRIVACY, Origin="https://elsewhere.example")).status == 403
        assert len(site.core.disk.rows) == rows


async def test_private_camera_is_a_problem_of_a_separate_type() -> None:
    """A lease and a retry get 409 with the reason; a client can tell it from a conflict."""
    async with open_site() as site:
        await switch(site, on=True)
        wish = json.dumps({"kind": "viewer", "camera": GATE})
        lease = await request(site.port, "POST", "/api/leases", wish, JSON)
        retry = await request(site.port, "POST", f"/api/cameras/{GATE}/retry")
        for answer in (lease, retry):
            assert (answer.status, answer.json["type"]) == (409, "urn:banken:problem:private")
            assert answer.json["detail"] == "gate is private: switched off by 127.0.0.1"


async def test_lease_that_ended_with_privacy_says_so_to_its_holder() -> None:
    """The page asks with its next renewal, and shows the reason."""
    async with open_site() as site:
        wish = json.dumps({"kind": "viewer", "camera": GATE})
        lease = (await request(site.port, "POST", "/api/leases", wish, JSON)).json
        await switch(site, on=True)
        key = {"Banken-Lease": f"{lease['lease']}.{lease['secret']}"}
        over = await request(site.port, "PUT", f"/api/leases/{lease['lease']}", "{}", JSON | key)
        assert (over.status, over.json["reason"]["code"]) == (404, "privacy")


async def test_detection_and_its_picture_are_refused_while_the_camera_is_private() -> None:
    """The thumbnail of a detection of before is not served either; afterwards it is."""
    async with opened() as site:
        seen = await report(site, body(site, image=base64.b64encode(JPEG).decode()))
        (listed,) = (await site.get("/api/detections")).json["detections"]
        path = f"/api/{listed['image']}"
        assert (seen.status, (await site.get(path)).status) == (202, 200)
        await switch(site, on=True)
        refused = await report(site, body(site))
        assert (refused.status, refused.json["type"]) == (409, "urn:banken:problem:private")
        assert (await site.get(path)).status == 404
        assert (await site.get("/api/detections")).json["detections"][0]["image"] is None
        await switch(site, on=False)
        assert (await site.get(path)).status == 200


async def test_switches_are_limited_as_everything_that_the_journal_keeps() -> None:
    """After the burst 429."""
    async with open_site(limits=Limits(journaled_burst=2, journaled_rate=0.01)) as site:
        assert [(await switch(site, on=number % 2 == 0)).status for number in range(3)] == [200, 200, 429]


async def test_pages_hear_of_privacy_and_of_its_end() -> None:
    """As a change of the camera."""
    async with open_site() as site, follow(site) as page:
        await page.hear()
        for on in (True, False):
            await switch(site, on)
            with give_up_after(5):
                while (page.known["cameras"][GATE]["privacy"] is not None) is not on:
                    assert await page.hear() == "changes"
