"""The audit: who watched which camera, and who exported, changed, logged in or was refused."""

from typing import Annotated, get_args

import msgspec
from msgspec.structs import asdict
from quart import Response
from werkzeug.exceptions import BadRequest

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId
from supervisor.ports import audit as port
from supervisor.ports.audit import AuditFilter, By, End, How, Kind, Live, author_of, live_in

from ..access import principal
from ..bodies import Strict
from ..client import client
from ..json import Answer, Time, iso
from ..past import answer, time_of
from ..queries import MAX_SEQ, Query
from ..routes import Right, Route, Web
from .session import asking

MAX_PAGE, PAGE = 1000, 100
MAX_NAME = 200


class Row(Answer, frozen=True):
    """An act of somebody, or its refusal."""

    kind: Kind
    """`leased` is a page's right to watch; the connections under it are `watched`."""
    user: str
    """The name of the user, token or share; an address for a client without a login."""
    by: By
    """The kind of the name `user`."""
    session: str
    """The login of a user, as in `/api/sessions`; else empty."""
    client: str
    """Its address; empty where the journal has none."""
    device: str
    """The browser, as it called itself at the login; else empty."""
    camera: CameraId | None
    how: How
    """`webrtc` is a connection under a lease of a page, `whep` one without, `rtsp` a reader; `mjpeg` is a stream of
    pictures, `snapshot` single ones, `opened` a camera that was opened for one. Else the kind of the lease, or
    empty."""
    since: Time
    until: Time | None
    """Null while it is open; where the end is unknown, the last instant at which it was certainly open."""
    lasted_s: float
    end: End
    bytes: int | None
    """Null where the journal does not have them."""
    count: int
    """Pictures of a `snapshot`; else this one, and others that were not journaled apart."""
    reason: str
    """How it ended, what was changed, or why it was refused."""
    code: str
    connected: bool
    """False for a connection that never came about."""
    id: str
    lease: str
    seq: int | None
    """The event that began it; null for a row that was open before `from`."""


class Audit(Answer, frozen=True):
    rows: list[Row]
    """The newest first."""
    next: int | None
    """Where the next page goes on, as `before`; null on the last page."""


class AuditQuery(Query, frozen=True, rename={"since": "from", "until": "to"}):
    user: str | None = None
    camera: str | None = None
    kind: str | None = None
    since: str | None = None
    until: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)] = PAGE
    before: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)] | None = None


class Export(Strict, frozen=True):
    """An incident bundle that was made of the journal."""

    first: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)]
    last: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)]
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    anonymous: bool = False


async def note_export(web: Web, body: Export) -> Response:
    """Journal that an incident bundle was made. The command that makes one reads the files, and then says so."""
    report = c.ReportExport(body.first, body.last, client(), body.digest, body.anonymous)
    await web.gateway.submit(report, asking())
    return Response("", status=204)


async def show_audit(web: Web, query: AuditQuery) -> msgspec.Raw:
    """Rows of the audit, the newest first. `kind`: one of them, or several with commas between.

    Without the right `read`, one's own rows are shown. Rows of others without a camera are for admins.
    """
    wanted, since, until = wanted_of(query), time_of("from", query.since), time_of("to", query.until)
    live = _live(web)

    def page(found: port.AuditPage) -> Audit:
        return Audit(rows=[row(each) for each in found.rows], next=found.before)

    return await answer(web, lambda past: page(past.audit(since, until, wanted, query.limit, query.before, live)))


def wanted_of(query: AuditQuery) -> AuditFilter:
    """Which rows are asked for, and may be seen. Raises `BadRequest`."""
    kinds = frozenset(filter(None, (query.kind or "").split(",")))
    for kind in kinds.difference(get_args(Kind)):
        raise BadRequest(f"kind may be {', '.join(get_args(Kind))}, not {kind[:40]!r}")
    if len(query.user or "") > MAX_NAME:
        raise BadRequest(f"user: a name has at most {MAX_NAME} characters")
    asks = principal()
    return AuditFilter(
        user=query.user or "",
        camera=CameraId(query.camera) if query.camera else None,
        kinds=kinds,  # type: ignore[arg-type]  # they are compared above
        own=author_of(asks.name),
        reads=asks.may(Right.READ),
        people=asks.may(Right.ADMINISTER),
    )


def _live(web: Web) -> Live | None:
    """All that is open now; over a journal without a daemon, the journal says it."""
    return live_in(web.daemon.state) if web.daemon.replay is None else None


def row(found: port.Row) -> Row:
    values = asdict(found)
    since_ns, until_ns = values.pop("since_ns"), values.pop("until_ns")
    return Row(since=iso(since_ns), until=None if until_ns is None else iso(until_ns), **values)


ROUTES = (
    Route(
        method="POST",
        path="/api/exports",
        right=Right.ADMINISTER,
        handler=note_export,
        summary="Journal that an incident bundle was made of this journal.",
        body=Export,
        request="`first`, `last`: the events; `digest`; `anonymous`",
        status=204,
        errors=(400, 409, 415, 429, 503),
    ),
    Route(
        method="GET",
        path="/api/audit",
        right=Right.INSPECT,
        handler=show_audit,
        answer=Audit,
        summary="Show who watched, exported, changed, logged in, or was refused.",
        query=AuditQuery,
        request="`user`, `camera`, `kind` (several with commas), `from`, `to` (times), `limit` (1 to 1000, default "
        "100), `before` (a sequence number)",
        response="`rows`: a list of [rows](#row), the newest first; `next`: where to go on",
        errors=(400, 404, 422, 503),
    ),
)
