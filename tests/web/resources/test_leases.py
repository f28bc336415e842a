"""Leases over REST and over the WebSocket: the same answers, typed problems, and nothing changed by what is refused."""

import json
import sys
from functools import partial
from typing import Any

import msgspec
import pytest
import trio
from trio_websocket import WebSocketConnection

from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.domain.ids import LeaseId, PeerId
from supervisor.domain.lifecycle import PeerPhase
from supervisor.domain.values import Limits
from supervisor.ports.questions import Query
from supervisor.ports.viewing import Key, LeaseOver
from supervisor.runtime.kernel import Kernel
from supervisor.services.detections import Detections
from supervisor.services.gateway import LOOKED_BACK, Gateway
from supervisor.services.leases import Leases
from tests.kit.core import MemoryReader
from tests.kit.domain import ASKED, GATE, NODE, RUN
from tests.kit.http import Answer, request
from tests.kit.site import Site, message, open_site

BODY: dict[str, Any] = {"kind": "modal", "camera": GATE, "purpose": "look at the gate"}


async def ask(
    site: Site, method: str, path: str = "/api/leases", body: object = None, secret: str = "", kind: str = ""
) -> Answer:
    headers = {"Content-Type": kind or "application/json"} | ({"Authorization": f"Bearer {secret}"} if secret else {})
    data = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    return await request(site.port, method, path, data, headers)


async def granted(site: Site, **more: Any) -> dict[str, Any]:
    answer = await ask(site, "POST", body={**BODY, **more})
    assert answer.status == 201, answer.text
    return dict(answer.json)


def path(lease: dict[str, Any]) -> str:
    return f"/api/leases/{lease['lease']}"


async def test_a_lease_is_granted_renewed_listed_and_given_back() -> None:
    """The secret is in the first answer only; the owner is not in the API's events."""
    async with open_site() as site:
        answer = await ask(site, "POST", body=BODY)
        lease = answer.json
        assert (answer.status, answer.location) == (201, path(lease))
        assert {"kind": "modal", "camera": "gate", "purpose": "look at the gate", "client": "127.0.0.1"}.items() <= {
            **lease
        }.items()
        assert (lease["ttl_s"], lease["heartbeat_s"], lease["exclusive"], lease["peers"]) == (30, 10, False, [])
        assert lease["since"] < lease["expires"] < lease["until"]
        renewed = await ask(site, "PUT", path(lease), {}, lease["secret"])
        assert (renewed.status, renewed.json["lease"]) == (200, lease["lease"])
        assert "secret" not in renewed.json
        bare = await request(site.port, "PUT", path(lease), headers={"Authorization": f"Bearer {lease['secret']}"})
        assert bare.status == 200, "there is nothing that it would have to say"
        (listed,) = (await site.get("/api/leases")).json["leases"]
        assert listed.keys() == renewed.json.keys()
        assert (await ask(site, "DELETE", path(lease), None, lease["secret"])).status == 204
        assert (await site.get("/api/leases")).json == {"leases": []}
        events = [row for row in (await site.get("/api/events")).json["events"] if row["stream"].startswith("lease/")]
        assert [event["type"] for event in events] == ["LeaseGranted", "LeaseEnded"]
        assert "owner" not in events[0]["body"]


@pytest.mark.parametrize(
    ("body", "status", "names"),
    [
        ("{", 400, "not JSON"),
        ("[]", 400, "object"),
        ('{"kind":"viewer","camera":"gate","kind":"modal"}', 400, "'kind' is given twice"),
        ('{"kind":"viewer","camera":"gate","\\u006bind":"viewer"}', 400, "'kind' is given twice"),
        ('{"kind":"viewer","camera":"gate","purpose":"\\ud83d"}', 400, "\\ud83d is half of a surrogate pair"),
        ({"kind": "modal"}, 400, "camera"),
        ({**BODY, "colour": "red"}, 400, "colour"),
        ({**BODY, "kind": "owner"}, 400, "kind"),
        ({**BODY, "ttl_s": "30"}, 400, "ttl_s"),
        ({**BODY, "ttl_s": 9}, 400, "ttl_s"),
        ({**BODY, "ttl_s": 121}, 400, "ttl_s"),
        ({**BODY, "exclusive": 1}, 400, "exclusive"),
        ({**BODY, "purpose": "x" * 201}, 400, "purpose"),
        ({**BODY, "purpose": "\x1b[2J"}, 400, "purpose"),
        ({**BODY, "kind": "suggest"}, 403, "only banken"),
        ({**BODY, "camera": "nobody"}, 404, "nobody"),
    ],
)
async def test_lease_that_cannot_be_granted_is_refused_with_its_field_and_changes_nothing(
    body: object, status: int, names: str
) -> None:
    """The problem document names the field or the camera, and the leases are the same object."""
    async with open_site() as site:
        before = site.core.kernel.state.leases
        answer = await ask(site, "POST", body=body)
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
        assert names in answer.json["detail"]
        assert site.core.kernel.state.leases is before


@pytest.mark.parametrize("body", ["[" + "{}," * 80_000 + "{}]", '{"kind": [' + "{}," * 80_000 + "{}]}"])
async def test_body_is_not_decoded_beyond_the_first_wrong_value(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """400, and no object is made of anything behind it."""
    before, made = None, list[int]()
    decode = msgspec.json.decode

    def count(data: bytes, **more: Any) -> Any:
        nonlocal before
        before = sys.getallocatedblocks()
        try:
            found = decode(data, **more)
        finally:
            made.append(sys.getallocatedblocks() - before)
        return found

    async with open_site() as site:
        monkeypatch.setattr(msgspec.json, "decode", count)
        assert (await ask(site, "POST", body=body)).status == 400
    assert made and max(made) < 1000


async def test_long_message_is_refused_before_it_is_decoded() -> None:
    """400 without an id, and the WebSocket goes on."""
    async with open_site() as site, site.socket() as socket:
        await socket.send_message('{"type": "state.show", "id": 1, "views": [' + "1," * 2048 + "1]}")
        while (news := await message(socket))["type"] != "reply":
            pass
        assert (news["id"], news["status"], "at most 4096" in news["body"]["detail"]) == (None, 400, True)
        assert (await say(socket, 2, "lease.renew", lease="0123456789abcdef", secret="secret"))[0] == 404


async def test_another_type_of_body_is_not_read() -> None:
    """So that a form of another site cannot ask for leases."""
    async with open_site() as site:
        assert (await ask(site, "POST", body=BODY, kind="text/plain")).status == 415


async def test_too_many_leases_are_429_with_a_time_and_the_refusal_is_in_the_journal() -> None:
    """The second lease of a client that may hold one: `Retry-After: 5`, and `LeaseRefused`."""
    async with open_site(limits=Limits(leases_per_client=1)) as site:
        await granted(site)
        refused = await ask(site, "POST", body=BODY)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
        assert (await site.core.stored())[-1].type == "LeaseRefused"


async def test_second_lease_beside_an_exclusive_one_is_409() -> None:
    """An exclusive lease refuses others of its kind, not a viewer."""
    async with open_site() as site:
        await granted(site, exclusive=True)
        assert (await ask(site, "POST", body=BODY)).status == 409
        assert (await ask(site, "POST", body={**BODY, "kind": "viewer"})).status == 201


async def test_a_lease_is_its_holders_alone() -> None:
    """No secret gets 401, a wrong one 403; the lease stays."""
    async with open_site() as site:
        lease = await granted(site)
        nothing = await ask(site, "PUT", path(lease), {})
        assert (nothing.status, nothing.headers["Www-Authenticate"]) == (401, "Bearer")
        assert "Banken-Lease: ID.SECRET" in nothing.json["detail"]
        for method in ("PUT", "DELETE"):
            assert (await ask(site, method, path(lease), {}, "another's")).status == 403
        assert lease["lease"] in site.core.kernel.state.leases
        assert (await ask(site, "PUT", path(lease), {"idle": 1}, lease["secret"])).status == 400


async def test_operator_ends_an_exclusive_lease_of_another_client() -> None:
    """DELETE without a secret ends any lease, and what watches under it; the journal says who did it."""
    async with open_site() as site:
        lease = await granted(site, exclusive=True)
        opened = await site.offer(**{"Banken-Lease": f"{lease['lease']}.{lease['secret']}"})
        assert opened.status == 201
        assert (await request(site.port, "DELETE", path(lease))).status == 204
        ended, closing = (await site.core.stored())[-2:]
        assert (ended.type, ended.principal, closing.type) == ("LeaseEnded", "client:127.0.0.1", "PeerClosing")
        assert (ended.event.reason.code, closing.event.reason.code) == ("kicked", "kicked")  # type: ignore[attr-defined]
        over = await ask(site, "PUT", path(lease), {}, lease["secret"])
        assert (over.status, over.json["reason"]["text"]) == (404, "an operator ended this lease")
        assert (await ask(site, "POST", body=BODY)).status == 201
        assert (await request(site.port, "DELETE", path(lease))).status == 404


async def test_lease_is_renewed_and_released_behind_a_proxy_that_asks_for_a_password() -> None:
    """`Banken-Lease` shows the secret, and the proxy's `Authorization` is nobody's."""
    password = {"Authorization": "Basic d2F0Y2g6c2VjcmV0"}
    async with open_site() as site:
        lease = await granted(site)
        mine = {**password, "Banken-Lease": f"{lease['lease']}.{lease['secret']}"}
        other = {**password, "Banken-Lease": f"0000000000000000.{lease['secret']}"}
        wrong = {**password, "Banken-Lease": f"{lease['lease']}.wrong"}
        found = [(await request(site.port, "PUT", path(lease), headers=each)).status for each in (mine, other, wrong)]
        assert found == [200, 400, 403]
        assert (await request(site.port, "PUT", path(lease), headers=password)).status == 401
        found = [
            (await request(site.port, "DELETE", path(lease), headers=each)).status for each in (other, wrong, mine)
        ]
        assert found == [400, 403, 204]
        assert (await site.core.stored())[-1].event.reason.code == "released"  # type: ignore[attr-defined]


async def test_client_over_its_rate_gets_429_and_may_still_renew_and_release() -> None:
    """Grants, offers and an operator's acts are refused with a time; what ends one's own is always possible."""
    async with open_site(limits=Limits(journaled_burst=3, journaled_rate=0.1, leases_per_client=9)) as site:
        first, second = await granted(site), await granted(site)
        assert (await site.offer()).status == 201
        for refused in (
            await ask(site, "POST", body=BODY),
            await site.offer(),
            await request(site.port, "DELETE", path(first)),
        ):
            assert (refused.status, refused.json["type"]) == (429, "urn:banken:problem:rate-limited")
            assert 8 <= int(refused.headers["Retry-After"]) <= 10
        assert (await ask(site, "PUT", path(first), {}, first["secret"])).status == 200
        assert (await ask(site, "DELETE", path(first), None, first["secret"])).status == 204
        assert (await ask(site, "DELETE", path(second), None, second["secret"])).status == 204
        assert not [row for row in await site.core.stored() if row.type == "LeaseRefused"], "they are counted"


async def test_a_lease_that_is_over_says_how_it_ended() -> None:
    """404 with the code of the end (`idle`, `released`), and without one for an unknown lease."""
    async with open_site() as site:
        lease = await granted(site)
        idle = await ask(site, "PUT", path(lease), {"idle_s": 300}, lease["secret"])
        assert (idle.status, idle.json["reason"]["code"]) == (404, "idle")
        other = await granted(site, kind="viewer")
        assert (await ask(site, "DELETE", path(other), None, other["secret"])).status == 204
        for method in ("PUT", "DELETE"):
            again = await ask(site, method, path(other), {}, other["secret"])
            assert (again.status, again.json["reason"]["code"]) == (404, "released")
        never = await ask(site, "PUT", "/api/leases/0123456789abcdef", {}, "secret")
        assert (never.status, never.json["reason"]) == (404, None)
        assert never.json["detail"] == "there is no such lease, or it ended too long ago to be remembered"
        assert (await ask(site, "PUT", "/api/leases/*", {}, "secret")).status == 404


async def test_leases_that_never_were_are_no_questions_to_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invented ids do not delay the pages: the end of the run before is read once, for any question."""
    asked, page = list[Query](), MemoryReader.page

    async def count(self: MemoryReader, query: Query, limit: int, *, newest: bool = False) -> list[Recorded]:
        asked.append(query)
        return await page(self, query, limit, newest=newest)

    monkeypatch.setattr(MemoryReader, "page", count)
    async with open_site() as site, trio.open_nursery() as nursery:
        for number in range(20):
            for method in ("PUT", "DELETE"):
                nursery.start_soon(ask, site, method, f"/api/leases/{number:016x}", None, "secret")
            nursery.start_soon(partial(site.offer, **{"Banken-Lease": f"{number + 100:016x}.secret"}))
    (only,) = asked
    assert only.stream is None and only.before - only.after <= LOOKED_BACK + 1


async def test_lease_that_ended_before_a_restart_says_how() -> None:
    """The run that stopped has ended it, and its last events are still read."""
    async with open_site() as site:
        lease = await granted(site)
        site.core.kernel.emit(c.StopRun(ASKED))
        site.core.kernel.emit(c.EndRun())
        await site.core.stored()
        core, reader = site.core, MemoryReader(site.core.disk)
        kernel = Kernel(core.kernel.state, core.journal, core.kernel.clock, NODE, RUN)
        gateway = Gateway(
            kernel,
            core.journal,
            core.feed,
            reader,
            site.actors,
            Leases(kernel),
            Detections(kernel),
        )
        with pytest.raises(LeaseOver, match="over: banken is stopping"):
            await gateway.renew(Key(LeaseId(lease["lease"]), lease["secret"]), 0.0, "192.0.2.9")


async def test_a_viewer_lives_under_the_lease_that_it_names() -> None:
    """The peer is listed with its lease, and closes when the lease is released."""
    async with open_site() as site:
        lease = await granted(site)
        opened = await site.offer(**{"Banken-Lease": f"{lease['lease']}.{lease['secret']}"})
        assert opened.status == 201
        (listed,) = (await site.get("/api/leases")).json["leases"]
        (peer,) = listed["peers"]
        assert (await site.get("/api/peers")).json["peers"][0]["lease"] == lease["lease"]
        assert (await ask(site, "DELETE", path(lease), None, lease["secret"])).status == 204
        known = site.core.kernel.state.peers[PeerId(peer)]
        assert (known.phase, known.reason and known.reason.code) == (PeerPhase.CLOSING, "released")


async def test_a_viewer_with_a_wrong_lease_is_refused_and_one_without_has_its_own() -> None:
    """A wrong secret gets 403, an unknown lease 404; a plain offer has a lease of 20 s."""
    async with open_site() as site:
        lease = await granted(site)
        wrong = await site.offer(**{"Banken-Lease": f"{lease['lease']}.another's"})
        over = await site.offer(**{"Banken-Lease": "0123456789abcdef.secret"})
        assert (wrong.status, over.status) == (403, 404)
        assert not site.core.kernel.state.peers
        assert (await site.offer()).status == 201
        own = [each for each in (await site.get("/api/leases")).json["leases"] if each["lease"] != lease["lease"]]
        assert [(each["kind"], len(each["peers"]), each["ttl_s"]) for each in own] == [("viewer", 1, 20)]
        assert (await ask(site, "PUT", path(own[0]), {}, "guessed")).status == 403


# ── over the WebSocket ──────────────────────────────────────────────────────────────────────────────────────────


async def say(socket: WebSocketConnection, number: int, message_type: str, **more: object) -> tuple[int, Any]:
    """Status and body of the reply."""
    await socket.send_message(json.dumps({"type": message_type, "id": number, **more}))
    while True:
        news = await message(socket)
        if news["type"] == "reply":
            assert news["id"] == number
            return news["status"], news["body"]


async def test_the_same_over_the_websocket_and_the_lease_outlives_it() -> None:
    """A lease granted on one socket is renewed and released on the next."""
    async with open_site() as site:
        async with site.socket() as socket:
            status, lease = await say(socket, 1, "lease.grant", **BODY)
            assert status == 201
            key = {"lease": lease["lease"], "secret": lease["secret"]}
            status, renewed = await say(socket, 2, "lease.renew", **key, idle_s=3)
            assert (status, renewed["lease"]) == (200, lease["lease"])
        assert lease["lease"] in site.core.kernel.state.leases
        async with site.socket() as socket:
            assert (await say(socket, 3, "lease.renew", **key))[0] == 200
            assert (await say(socket, 4, "lease.release", **key)) == (204, None)
            status, problem = await say(socket, 5, "lease.renew", **key)
            assert (status, problem["reason"]["code"], problem["status"]) == (404, "released", 404)


async def test_error_over_the_websocket_has_the_status_of_rest() -> None:
    """Each request gets the status that REST gives; a message without a valid id gets a reply with id null."""
    async with open_site() as site, site.socket() as socket:
        lease = await granted(site)
        for number, (kind, more, status) in enumerate(
            [
                ("lease.grant", {**BODY, "colour": "red"}, 400),
                ("lease.grant", {**BODY, "kind": "suggest"}, 403),
                ("lease.grant", {**BODY, "camera": "nobody"}, 404),
                ("lease.renew", {"lease": lease["lease"]}, 400),
                ("lease.renew", {"lease": lease["lease"], "secret": "another's"}, 403),
                ("lease.steal", {}, 400),
            ]
        ):
            assert (await say(socket, number, kind, **more))[0] == status
        for nonsense in ("{", "[]", '{"type": "lease.grant"}', '{"type": "lease.grant", "id": "1"}'):
            await socket.send_message(nonsense)
            while (news := await message(socket))["type"] != "reply":
                pass
            assert (news["id"], news["status"]) == (None, 400)


async def test_page_gets_the_leases_of_other_clients() -> None:
    """The first state has the lease that another client was granted, without its secret."""
    async with open_site() as site:
        await granted(site)
        async with site.socket() as socket:
            while (news := await message(socket))["type"] != "state":
                pass
            assert [lease["kind"] for lease in news["leases"]] == ["modal"]
            assert "secret" not in news["leases"][0]


async def test_stopping_daemon_grants_no_lease() -> None:
    """503 after `StopRun`."""
    async with open_site() as site:
        site.core.kernel.emit(c.StopRun(ASKED))
        assert (await ask(site, "POST", body=BODY)).status == 503
