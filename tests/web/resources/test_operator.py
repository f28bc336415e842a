"""An operator has a camera tried now, and the configuration read again."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import pytest

from actors.sources import KINDS
from supervisor.base.clock import Clock
from supervisor.config.config import Config
from supervisor.config.load import parse
from supervisor.config.problem_text import ConfigError
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.restart import RETRY_AFTER_S
from supervisor.domain.values import Fault, Limits, Reason
from supervisor.runtime.vault import Vault
from supervisor.services.reload import Reloads
from tests.kit.domain import FATAL, GATE, PICTURE
from tests.kit.http import Answer, request
from tests.kit.site import Site, open_site

RETRY = f"/api/cameras/{GATE}/retry"
RELOAD = "/api/config/reload"
PASSWORD = Reason("unauthorized", "the camera refuses the user or password", Fault.FATAL)


@attrs.frozen
class Later:
    """A wall clock that goes ahead of another."""

    clock: Clock
    by_ns: int

    def wall_ns(self) -> int:
        return self.clock.wall_ns() + self.by_ns

    def mono_ns(self) -> int:
        return self.clock.mono_ns()


async def post(site: Site, path: str, **headers: str) -> Answer:
    return await request(site.port, "POST", path, headers={name.replace("_", "-"): headers[name] for name in headers})


def fail(site: Site, reason: Reason = FATAL) -> None:
    """The camera fails, long enough ago to be tried."""
    kernel = site.core.kernel
    kernel.emit(c.ConnectCamera(GATE))
    kernel.emit(c.ReportLoss(GATE, reason, 0.5))
    kernel.clock = Later(kernel.clock, int(RETRY_AFTER_S * 1e9))


async def test_retry_of_a_failed_camera_is_journaled_with_the_client() -> None:
    """202 with the camera, whose next attempt is due."""
    async with open_site() as site:
        fail(site)
        answer = await post(site, RETRY)
        assert (answer.status, answer.json["id"], answer.json["state"]) == (202, GATE, "failed")
        row = site.core.disk.rows[-1]
        assert (row.event, row.principal) == (e.CameraRetried(GATE, "127.0.0.1"), "client:127.0.0.1")


async def test_retry_of_a_live_or_unknown_camera_is_a_problem_with_its_reason() -> None:
    """409 and 404; nothing is journaled."""
    async with open_site() as site:
        site.core.kernel.emit(c.ConnectCamera(GATE))
        site.core.kernel.emit(c.ReportLive(GATE, PICTURE))
        live, unknown = await post(site, RETRY), await post(site, "/api/cameras/nobody/retry")
        assert (live.status, live.json["type"]) == (409, "urn:banken:problem:conflict")
        assert "it is live" in live.json["detail"]
        assert (unknown.status, unknown.json["type"]) == (404, "urn:banken:problem:unknown")
        assert (await site.get(RETRY)).status == 405


async def test_retry_after_a_refused_password_says_how_to_confirm_it() -> None:
    """409 of a separate type; with the confirmation the camera is tried."""
    async with open_site() as site:
        fail(site, PASSWORD)
        asked = await post(site, RETRY)
        assert (asked.status, asked.json["type"], asked.json["confirm"]) == (
            409,
            "urn:banken:problem:lockout",
            "lockout",
        )
        assert (await post(site, f"{RETRY}?confirm=yes")).status == 400
        assert (await post(site, f"{RETRY}?confirm=lockout")).status == 202


async def test_client_that_asks_for_attempts_too_often_is_refused() -> None:
    """As for everything that the journal keeps: after the burst 429, until the rate allows more."""
    async with open_site(limits=Limits(journaled_burst=2, journaled_rate=0.01)) as site:
        statuses = []
        for _ in range(3):
            fail(site)
            statuses.append((await post(site, RETRY)).status)
        assert statuses == [202, 202, 429]


@pytest.mark.parametrize("path", [RETRY, RELOAD])
async def test_foreign_page_has_nothing_tried_and_nothing_read(path: str) -> None:
    """A page of another site gets 403, whatever it sends."""
    async with open_reloading(good) as site:
        fail(site)
        for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://elsewhere.example"}):
            assert (await post(site, path, **headers)).status == 403
        assert not [row for row in site.core.disk.rows if isinstance(row.event, e.CameraRetried)]


def good() -> Config:
    return parse(f"cameras: {{{GATE}: test:64x64@5}}", "banken.yaml", {}, {name: k.check for name, k in KINDS.items()})


@asynccontextmanager
async def open_reloading(load: Callable[[], Config]) -> AsyncIterator[Site]:
    async with open_site(make_reloads=lambda kernel: Reloads(kernel, Vault(), good(), load)) as site:
        yield site


async def test_reload_answers_with_what_is_in_use() -> None:
    """The event that took it names the client."""
    async with open_reloading(good) as site:
        answer = await post(site, RELOAD)
        assert (answer.status, answer.json) == (200, {"cameras": 1, "warnings": []})
        row = next(row for row in reversed(site.core.disk.rows) if isinstance(row.event, e.ConfigurationApplied))
        assert row.principal == "client:127.0.0.1"


async def test_refused_reload_answers_with_the_lines_and_is_shown_until_a_good_one() -> None:
    """422; a part of health with the lines, which `standing` hands to the page; a good reload ends it."""
    complaints = ["banken.yaml:3: unknown key 'camera'"]

    def load() -> Config:
        if complaints:
            raise ConfigError(complaints)
        return good()

    async with open_reloading(load) as site:
        answer = await post(site, RELOAD)
        assert (answer.status, answer.json["type"], answer.json["lines"], answer.json["more"]) == (
            422,
            "urn:banken:problem:configuration-refused",
            complaints,
            0,
        )
        health = (await site.get("/api/health")).json
        (part,) = [part for part in health["parts"] if part["part"] == "configuration"]
        assert (health["verdict"], complaints[0] in part["reason"]) == ("degraded", True)
        complaints.clear()
        assert (await post(site, RELOAD)).status == 200
        assert (await site.get("/api/health")).json["verdict"] == "ok"


async def test_reload_of_a_daemon_without_a_file_is_refused() -> None:
    """As that of the demo."""
    async with open_site() as site:
        answer = await post(site, RELOAD)
        assert (answer.status, "without a configuration file" in answer.json["detail"]) == (409, True)
