"""The messages of `/ws/events` are those of the classes that the reference is made from."""

import json

import msgspec
import pytest
from trio_websocket import WebSocketConnection

from supervisor.domain import commands as c
from tests.kit.domain import GATE, PICTURE
from tests.kit.site import message, open_site
from web.json import Answer, encode
from web.messages import MAX_MESSAGE, SENT, TAKEN, Changes, Hello, NewEvents, Reply, State, WholeState

PARTS = {"summary", "cameras", "health", "leases", "peers", "rooms"}


async def read(socket: WebSocketConnection, kind: type[Answer]) -> Answer:
    """The next message of this class. It has the fields of the class and no others."""
    wanted = kind.__struct_config__.tag or "state"
    while True:
        text = await socket.get_message()
        if json.loads(text)["type"] == wanted:
            found = msgspec.json.decode(text, type=kind)
            assert json.loads(encode(found)) == json.loads(text)
            return found


async def test_each_message_has_the_fields_of_its_class_and_no_others() -> None:
    """Of all views, with changes; and the whole state without them. Each class is sent."""
    seen: set[type[Answer]] = set()
    parts: set[str] = set()
    async with open_site() as site:
        await site.offer()
        async with site.socket("?state=changes&views=viewers,rooms") as socket:
            for kind in (Hello, NewEvents, State, State, State):
                found = await read(socket, kind)
                seen.add(type(found))
                parts |= {name for name in PARTS if getattr(found, name, msgspec.UNSET) is not msgspec.UNSET}
            site.core.kernel.emit(c.ConnectCamera(GATE))
            site.core.kernel.emit(c.ReportLive(GATE, PICTURE))
            seen.add(type(await read(socket, Changes)))
            await socket.send_message('{"type": "state.show", "id": 7, "views": []}')
            assert await read(socket, Reply) == Reply(id=7, status=204, body=None)
            seen.add(Reply)
        async with site.socket() as socket:
            seen.add(type(await read(socket, WholeState)))
    assert seen == set(SENT)
    assert parts == PARTS


async def test_each_message_of_a_client_is_answered_as_its_route_is() -> None:
    """A lease is granted, renewed and released; each has the status of the table."""
    asked: dict[str, dict[str, object]] = {
        "lease.grant": {"kind": "viewer", "camera": GATE},
        "lease.renew": {"idle_s": 1},
        "lease.release": {},
        "state.show": {"views": ["rooms"]},
    }
    assert list(asked) == list(TAKEN)
    held: dict[str, object] = {}
    async with open_site() as site, site.socket("?state=changes") as socket:
        for number, (name, fields) in enumerate(asked.items()):
            key = held if name in ("lease.renew", "lease.release") else {}
            await socket.send_message(json.dumps({"type": name, "id": number, **fields, **key}))
            reply = await read(socket, Reply)
            assert isinstance(reply, Reply)
            assert (reply.id, reply.status) == (number, TAKEN[name].status), reply
            if name == "lease.grant":
                assert isinstance(reply.body, dict)
                held = {field: reply.body[field] for field in ("lease", "secret")}


@pytest.mark.parametrize(
    ("text", "number", "detail"),
    [
        ("x" * (MAX_MESSAGE + 1), None, "at most 4096 characters"),
        ("[]", None, "must be an object"),
        ("{}", None, "needs an id"),
        ('{"id": true, "type": "lease.grant"}', None, "needs an id"),
        ('{"id": 1, "type": "lease.steal"}', 1, "lease.grant, lease.renew, lease.release or state.show"),
        ('{"id": 2, "type": ["lease.grant"]}', 2, "lease.grant, lease.renew, lease.release or state.show"),
        ('{"id": 3, "type": "lease.grant", "camera": "gate"}', 3, "`kind`"),
        ('{"id": 4, "type": "lease.release", "lease": "a", "secret": "b", "more": 1}', 4, "`more`"),
    ],
)
async def test_message_that_cannot_be_read_is_answered_with_a_problem(
    text: str, number: int | None, detail: str
) -> None:
    """400 with the words of the route, and the id where the message has one. The WebSocket stays open."""
    async with open_site() as site, site.socket() as socket:
        await socket.send_message(text)
        while (reply := await message(socket))["type"] != "reply":
            pass
        assert (reply["id"], reply["status"], reply["body"]["status"]) == (number, 400, 400)
        assert detail in reply["body"]["detail"]
