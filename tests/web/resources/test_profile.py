"""`/api/profile`: journaled, one at a time, and over when its client or the server leaves."""

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from supervisor.domain import events as e
from tests.kit.domain import GATE
from tests.kit.http import Answer, request
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until
from tests.kit.site import Site, open_site
from tests.supervisor.base.test_profile import OFF, handler
from tests.web.test_past import open_past

HEADERS = {"Content-Type": "application/json"}
__all__ = ["handler"]


async def ask(port: int, seconds: object) -> Answer:
    return await request(port, "POST", "/api/profile", json.dumps({"seconds": seconds}), HEADERS)


def is_sampling() -> bool:
    return signal.getitimer(signal.ITIMER_REAL) != OFF


@asynccontextmanager
async def profiled(site: Site) -> AsyncIterator[trio.SocketStream]:
    """The connection of a client that waits for a profile of a minute, which has begun."""
    body = b'{"seconds": 60}'
    head = f"POST /api/profile HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
    async with await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        await stream.send_all(head.encode() + b"\r\nContent-Type: application/json\r\n\r\n" + body)
        await wait_until(is_sampling)
        yield stream


async def test_profile_is_answered_and_in_the_journal() -> None:
    """With the client. A stack refers to functions by their place."""
    async with open_site(GATE) as site:
        answer = await ask(site.port, 0.3)
        taken = site.core.kernel.latest("audit", of=e.ProfileTaken)
    assert answer.status == 200
    found = answer.json
    assert found["idle"] + found["others"] + sum(stack["samples"] for stack in found["stacks"]) == found["samples"] > 0
    used = {place for stack in found["stacks"] for place in stack["functions"]}
    assert used == set(range(len(found["functions"])))
    assert all(set(each) == {"file", "name", "line"} for each in found["functions"])
    assert taken is not None
    assert taken.event == e.ProfileTaken(0.3, "127.0.0.1")


@pytest.mark.parametrize("seconds", [0, 61, -1, "10", None])
async def test_wrong_time_is_refused_and_samples_nothing(seconds: object) -> None:
    """It names the field; nothing is journaled."""
    async with open_site(GATE) as site:
        answer = await ask(site.port, seconds)
        assert site.core.kernel.latest("audit", of=e.ProfileTaken) is None
    assert (answer.status, "seconds" in answer.json["detail"]) == (400, True)


async def test_second_profile_is_refused_and_not_journaled() -> None:
    """With the time until the first one ends."""
    async with open_site(GATE) as site, profiled(site):
        before = site.core.kernel.state.seq
        answer = await ask(site.port, 1)
        assert (answer.status, "another profile runs, for" in answer.json["detail"]) == (409, True)
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert site.core.kernel.state.seq == before


async def test_profile_ends_when_its_client_leaves() -> None:
    """Then there is room for the next one."""
    async with open_site(GATE) as site:
        async with profiled(site):
            pass
        await wait_until(lambda: not is_sampling())
        assert (await ask(site.port, 0.1)).status == 200


async def test_profile_ends_with_the_server() -> None:
    """A stop does not wait for it."""
    async with open_site(GATE) as site, profiled(site):
        site.stop.set()
        with give_up_after(30):
            await site.stopped.wait()
        assert not is_sampling()


async def test_journal_without_a_daemon_has_no_profile(tmp_path: Path) -> None:
    """The past is not sampled."""
    async with open_past(tmp_path / "journal") as port:
        assert (await ask(port, 0.1)).status == 409
        assert not is_sampling()
