"""`/api/audit` answers with its rows; refusals and pictures are counted; an export is journaled."""

from pathlib import Path

import pytest

from supervisor.domain import events as e
from supervisor.domain.access import Principal
from supervisor.domain.rights import RIGHTS, Role, Scope
from supervisor.services.audit_traces import report_traces
from tests.kit.domain import GATE, YARD
from tests.kit.http import request
from tests.kit.site import Site, open_site
from tests.supervisor.forensics.test_audit_page import evening
from tests.web.test_past import open_past

ANNA = Principal("user:anna/0123456789abcdef", RIGHTS[Role.OPERATOR], Scope(cameras=(GATE,)))


async def test_audit_answers_with_rows_and_pages(tmp_path: Path) -> None:
    """The newest first; each page goes on before the one before."""
    async with open_past(tmp_path / "journal", evening().recorded) as port:
        whole = (await request(port, "GET", "/api/audit")).json
        assert whole["next"] is None
        found, before = [], ""
        while True:
            page = (await request(port, "GET", f"/api/audit?limit=4{before}")).json
            found += page["rows"]
            if page["next"] is None:
                break
            before = f"&before={page['next']}"
        assert found == whole["rows"]
        chosen = (await request(port, "GET", "/api/audit?user=anna&camera=gate&kind=watched,login")).json["rows"]
    assert {(row["user"], row["camera"], row["how"]) for row in chosen} == {
        ("anna", "gate", "whep"), ("anna", "gate", "snapshot"),
    }  # fmt: skip
    assert {row["device"] for row in chosen} == {"Firefox"}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("kind=watch", "kind may be watched"),
        ("limit=0", "limit must be"),
        ("limit=1001", "limit must be"),
        ("from=soon", "from must be a time"),
        (f"user={'x' * 201}", "at most 200"),
    ],
)
async def test_question_that_cannot_be_answered_is_refused_with_its_reason(
    tmp_path: Path, query: str, said: str
) -> None:
    """It names the parameter."""
    async with open_past(tmp_path / "journal", evening().recorded) as port:
        answer = await request(port, "GET", f"/api/audit?{query}")
    assert (answer.status, said in answer.json["detail"]) == (400, True)


def newest(site: Site, kind: type[e.Event]) -> e.Recorded | None:
    """The newest event of this type, once the traces are reported."""
    report_traces(site.core.kernel)
    return site.core.kernel.latest("audit", of=kind)


async def test_snapshots_are_counted_with_their_bytes() -> None:
    """One event for all of a minute."""
    async with open_site(GATE) as site:
        sizes = [len((await site.get("/cameras/gate/snapshot.jpg")).body) for _ in range(3)]
        found = newest(site, e.PicturesSent)
    assert found is not None
    assert isinstance(found.event, e.PicturesSent)
    assert (found.event.camera, found.event.pictures, found.event.bytes) == (GATE, 3, sum(sizes))
    assert found.principal == "client:127.0.0.1"


@pytest.mark.parametrize(("asked", "named"), [("yard", YARD), ("my-secret", None)])
async def test_refused_camera_is_journaled_whether_or_not_it_exists(asked: str, named: str | None) -> None:
    """With one event in both cases, so that nobody can tell by the numbers. An invented name is not kept."""
    async with open_site(GATE, YARD, who=ANNA) as site:
        before = site.core.kernel.state.seq
        answer = await site.get(f"/cameras/{asked}/snapshot.jpg")
        found = newest(site, e.AccessRefused)
        after = site.core.kernel.state.seq
    assert answer.status == 404
    assert found is not None
    assert isinstance(found.event, e.AccessRefused)
    assert (found.event.what, found.event.camera, found.principal) == ("camera", named, ANNA.name)
    assert after == before + 1


async def test_export_is_journaled_and_a_wrong_one_refused() -> None:
    """The digest is one."""
    body = '{"first": 1, "last": 9, "digest": "%s", "anonymous": true}'
    headers = {"Content-Type": "application/json"}
    async with open_site(GATE) as site:
        wrong = await request(site.port, "POST", "/api/exports", body % "no", headers)
        right = await request(site.port, "POST", "/api/exports", body % ("a" * 64), headers)
        found = newest(site, e.BundleExported)
    assert (wrong.status, right.status) == (400, 204)
    assert found is not None
    assert found.event == e.BundleExported(1, 9, "127.0.0.1", "a" * 64, anonymous=True)
