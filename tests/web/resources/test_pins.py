"""Pins and the room of archives over the API."""

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from supervisor.domain.ids import TokenId
from supervisor.domain.rights import ALL, Role, Scope
from supervisor.ports.archives import ArchiveRoom, CameraRoom
from supervisor.services.accounts import Accounts
from tests.kit.accounts import ME
from tests.kit.domain import GATE, SECOND, YARD
from tests.kit.http import Answer, request
from tests.kit.site import Site
from web.json import iso

from ..test_access import with_users

ROOM = ArchiveRoom(
    "recordings", 1000, 0, 5, 1000, 100.4, None, 10.0, SECOND, 0.0, "",
    (CameraRoom(GATE, 600, 60.0, SECOND), CameraRoom(YARD, 400, 40.4, None)),
)  # fmt: skip
PIN: dict[str, Any] = {"pin": "door", "from": "2020-01-01T00:00:00Z", "to": "2020-01-01T00:05:00Z", "note": "a parcel"}


async def token(accounts: Accounts, name: str, role: Role, scope: Scope) -> dict[str, str]:
    return {"Authorization": f"Bearer {await accounts.make_token(TokenId(name), role, scope, None, ME)}"}


def record(site: Site, gate: int = 300) -> None:
    site.actors.sizes = {GATE: gate, YARD: 100}
    site.actors.rooms = (ROOM,)


async def call(site: Site, method: str, path: str, who: dict[str, str], body: Any = None) -> Answer:
    typed = {} if body is None else {"Content-Type": "application/json"}
    return await request(site.port, method, path, "" if body is None else json.dumps(body), {**who, **typed})


async def test_pin_is_made_listed_and_released(tmp_path: Path) -> None:
    """Of all cameras if none is named; the answer has the footage that is kept."""
    async with with_users(tmp_path) as (site, accounts):
        record(site)
        who = await token(accounts, "ann", Role.ANALYST, ALL)
        made = await call(site, "POST", "/api/pins", who, PIN)
        assert (made.status, made.headers["Location"]) == (201, "pins/door")
        assert (made.json["cameras"], made.json["bytes"], made.json["by"]) == ([GATE, YARD], 400, "token:ann")
        assert (await call(site, "GET", "/api/pins", who)).json == {"pins": [made.json]}
        assert (await call(site, "POST", "/api/pins", who, PIN)).status == 409
        assert (await call(site, "DELETE", "/api/pins/door", who)).status == 204
        assert (await call(site, "DELETE", "/api/pins/door", who)).status == 404
        assert (await call(site, "GET", "/api/pins", who)).json == {"pins": []}


async def test_pin_without_an_end_ends_now(tmp_path: Path) -> None:
    """One that ends later is refused; so is one of a camera without footage, with its name."""
    async with with_users(tmp_path) as (site, accounts):
        record(site)
        who = await token(accounts, "ann", Role.OPERATOR, ALL)
        now_ns = site.core.kernel.clock.wall_ns()
        later = await call(site, "POST", "/api/pins", who, PIN | {"to": iso(now_ns + 60 * SECOND)})
        assert (later.status, "in the future" in later.json["detail"]) == (422, True)
        site.actors.sizes = {GATE: 1}
        assert (await call(site, "POST", "/api/pins", who, PIN | {"cameras": []})).status == 400, "it would pin all"
        missing = await call(site, "POST", "/api/pins", who, PIN | {"cameras": [GATE, YARD]})
        assert (missing.status, "no footage of yard" in missing.json["detail"]) == (409, True)
        body = {name: value for name, value in PIN.items() if name != "to"}
        made = await call(site, "POST", "/api/pins", who, body | {"cameras": [GATE]})
        assert (made.status, made.json["cameras"]) == (201, [GATE])
        assert made.json["to"] >= iso(now_ns)


async def test_pins_are_those_of_the_scope(tmp_path: Path) -> None:
    """Without a camera, all of the scope; others' cameras and notes are not shown, and their pins stay."""
    async with with_users(tmp_path) as (site, accounts):
        record(site)
        all_of_it = await token(accounts, "ann", Role.ANALYST, ALL)
        ben = await token(accounts, "ben", Role.ANALYST, Scope(cameras=(YARD,)))
        assert (await call(site, "POST", "/api/pins", all_of_it, PIN)).status == 201
        assert (await call(site, "POST", "/api/pins", all_of_it, PIN | {"pin": "g", "cameras": [GATE]})).status == 201
        made = await call(site, "POST", "/api/pins", ben, PIN | {"pin": "own"})
        assert made.json["cameras"] == [YARD]
        seen = (await call(site, "GET", "/api/pins", ben)).json["pins"]
        found = {each["pin"]: (each["cameras"], each["note"], each["bytes"]) for each in seen}
        assert found == {"own": ([YARD], "a parcel", 100), "door": ([YARD], "", 0)}
        assert (await call(site, "DELETE", "/api/pins/door", ben)).status == 403
        assert (await call(site, "DELETE", "/api/pins/g", ben)).status == 404
        for camera in (GATE, "nowhere"):
            refused = await call(site, "POST", "/api/pins", ben, PIN | {"pin": "x", "cameras": [camera]})
            assert (refused.status, refused.json["detail"]) == (404, f"there is no camera '{camera}'")
        assert (await call(site, "DELETE", "/api/pins/own", ben)).status == 204


@pytest.mark.parametrize("role", [Role.WATCHER, Role.MONITOR, Role.DETECTOR])
async def test_role_without_the_right_pins_nothing(tmp_path: Path, role: Role) -> None:
    """Nor sees or releases a pin."""
    async with with_users(tmp_path) as (site, accounts):
        record(site)
        who = await token(accounts, "cat", role, ALL)
        for method, path, body in (
            ("GET", "/api/pins", None),
            ("POST", "/api/pins", PIN),
            ("DELETE", "/api/pins/a", None),
        ):
            assert (await call(site, method, path, who, body)).status == 403


async def test_pins_hold_at_most_half_of_the_room(tmp_path: Path) -> None:
    """More is refused at once, with the numbers and the pins that hold them."""
    async with with_users(tmp_path) as (site, accounts):
        record(site, gate=500)
        who = await token(accounts, "ann", Role.ANALYST, ALL)
        assert (await call(site, "POST", "/api/pins", who, PIN | {"cameras": [GATE]})).status == 201
        refused = await call(site, "POST", "/api/pins", who, PIN | {"pin": "more", "cameras": [YARD]})
        assert refused.status == 409
        said = refused.json["detail"]
        assert "100 B more in archive recordings (100 bytes); pins may hold 500 B" in said
        assert "and hold 500 B (door 500 B)" in said
        assert set(site.core.kernel.state.pins) == {"door"}


async def test_room_of_archives_names_only_cameras_of_the_scope(tmp_path: Path) -> None:
    """The sums are those of the whole archive."""
    async with with_users(tmp_path) as (site, accounts):
        record(site)
        who = await token(accounts, "ben", Role.ANALYST, Scope(cameras=(YARD,)))
        found = (await call(site, "GET", "/api/archives", who)).json["archives"]
        assert found == [
            {
                "archive": "recordings", "bytes": 1000, "pinned_bytes": 0, "other_bytes": 5, "budget_bytes": 1000,
                "bytes_per_day": 100, "days_left": None, "turns_over_days": 10.0, "oldest": iso(SECOND), "lag_s": 0.0,
                "warning": "", "cameras": [{"camera": YARD, "bytes": 400, "bytes_per_day": 40, "oldest": None}],
            }
        ]  # fmt: skip
        site.actors.rooms = (attrs.evolve(ROOM, days_left=1.239),)
        assert (await call(site, "GET", "/api/archives", who)).json["archives"][0]["days_left"] == 1.24
