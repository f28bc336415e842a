"""Clips of several cameras as one zip file, with the journal of their time."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial

import attrs
import trio
from quart import Response, request
from werkzeug.exceptions import BadRequest

from supervisor.base.threads import run_in_thread
from supervisor.domain.events import Recorded
from supervisor.domain.gaps import RecordingGap
from supervisor.domain.ids import CameraId
from supervisor.ports.footage import (
    MOST_CLIP_S,
    ClipBytes,
    ClipPort,
    ClipRefused,
    NoFootage,
    TracksDiffer,
    clip_name,
    gaps_text,
)
from supervisor.ports.gateway import GatewayPort
from supervisor.ports.questions import Query as Search

from ..client import client
from ..json import encode
from ..problems import problem
from ..queries import Query
from ..routes import OPENED, Media, Right, Route, Web
from ..zip_stream import Member, zip_stream
from .events import events
from .footage import FootageGap, clip_limit, gap_of, gaps_of, note_clip, times, while_allowed

MOST_CAMERAS, MOST_CLIPS = 16, 64
WINDOW, PAGE = 10_000, 500
"""Numbers of events that are looked through at a time, and events of one page."""
JOURNAL, GAPS = "journal.jsonl", "gaps.txt"
ZIP = "application/zip"
Chunks = AsyncGenerator[bytes, None]


class ZipQuery(Query, frozen=True, rename={"since": "from", "until": "to"}):
    since: str | None = None
    until: str | None = None
    camera: tuple[str, ...] = ()


@attrs.frozen
class CameraClips:
    """The clips of one camera: several if its codec changes."""

    camera: CameraId
    clips: Sequence[tuple[int, int, ClipPort]]
    """From and to, in nanoseconds since 1970, and the clip of it."""
    gaps: Sequence[RecordingGap]


async def show_zip(web: Web, query: ZipQuery) -> Response:
    """An MP4 of each camera, the events of the time, the gaps in words, and digests of all these."""
    cameras = [CameraId(name) for name in dict.fromkeys(query.camera)]
    if not 1 <= len(cameras) <= MOST_CAMERAS:
        raise BadRequest(f"camera is needed, up to {MOST_CAMERAS} times")
    from_ns, to_ns = times(web, query.since, query.until, MOST_CLIP_S, required=True)
    stack = request.scope[OPENED]  # type: ignore[literal-required]
    stack.enter_context(web.keep(clip_limit).hold(client()))
    try:
        found = [await _clips_of(web, camera, from_ns, to_ns) for camera in cameras]
    except ClipRefused as error:
        return problem(409, str(error), kind="urn:banken:problem:no-clip")
    if not any(each.clips for each in found):
        missing: list[FootageGap] = [gap_of(each) for camera in found for each in camera.gaps]
        return problem(409, "nothing is recorded of this time", kind="urn:banken:problem:no-footage", gaps=missing)
    name = clip_name(cameras[0] if len(cameras) == 1 else "cameras", from_ns, to_ns)
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}.zip"'}
    if request.method == "HEAD":
        return Response(b"", content_type=ZIP, headers=headers)
    opened = list[tuple[str, ClipBytes]]()
    for each in found:
        for begin_ns, end_ns, clip in each.clips:
            data = await clip.open(0, clip.size)
            stack.callback(data.close)
            opened.append((f"{clip_name(each.camera, begin_ns, end_ns)}.mp4", data))
    for each in found:
        await note_clip(web, each.camera, from_ns, to_ns, "zip")
    journal = _journal(web.daemon, web.gateway, web.rendering, from_ns, to_ns)
    members = _members(opened, journal, gaps_text({each.camera: each.gaps for each in found}, from_ns, to_ns))
    chunks = zip_stream(members, web.gateway.snapshot(cameras=False).now_ns, web.rendering)
    response = Response(while_allowed(web, chunks), content_type=ZIP, headers=headers)
    response.timeout = None
    return response


async def _clips_of(web: Web, camera: CameraId, from_ns: int, to_ns: int) -> CameraClips:
    """Raises `Rejected` for an unknown camera, and `ClipRefused` for a damaged file."""
    footage = await web.gateway.footage()
    found, begin_ns, end_ns = list[tuple[int, int, ClipPort]](), from_ns, to_ns
    while begin_ns < to_ns and len(found) < MOST_CLIPS:
        try:
            found.append((begin_ns, end_ns, await footage.clip(camera, begin_ns, end_ns, "mp4")))
        except TracksDiffer as error:
            if not begin_ns < error.at_ns < end_ns:
                raise
            end_ns = error.at_ns
            continue
        except NoFootage:
            pass
        begin_ns, end_ns = end_ns, to_ns
    stretches = await footage.stretches(camera, from_ns, to_ns)
    return CameraClips(camera, found, await gaps_of(web, camera, stretches, from_ns, to_ns))


async def _members(opened: Sequence[tuple[str, ClipBytes]], journal: Chunks, gaps: str) -> AsyncGenerator[Member, None]:
    for name, data in opened:
        yield Member(name, data.chunks())
    yield Member(JOURNAL, journal)
    yield Member(GAPS, _once(gaps.encode()))


async def _journal(
    daemon: GatewayPort, gateway: GatewayPort, rendering: trio.CapacityLimiter, from_ns: int, to_ns: int
) -> Chunks:
    """The events of a time that the principal may see, as lines of JSON.

    It goes through windows of numbers: a search among many events that are hidden would end with an error.
    """
    whole = Search(since_ns=from_ns, until_ns=to_ns)
    oldest, newest = await daemon.read(whole, 1), await daemon.read(whole, 1, newest=True)
    if not oldest or not newest:
        return
    for window in range(oldest[0].seq - 1, newest[0].seq, WINDOW):
        within = attrs.evolve(whole, after=window, before=min(window + WINDOW, newest[0].seq) + 1)
        while page := await gateway.read(within, PAGE):
            within = attrs.evolve(within, after=page[-1].seq)
            yield await run_in_thread(partial(_lines, page), limiter=rendering)


def _lines(page: Sequence[Recorded]) -> bytes:
    return b"".join(encode(event) + b"\n" for event in events(page))


async def _once(data: bytes) -> Chunks:
    await trio.lowlevel.checkpoint()
    yield data


ROUTES = (
    Route(
        method="GET",
        path="/footage/clip.zip",
        right=Right.REVIEW,
        handler=show_zip,
        summary="Take clips of several cameras, with the journal of their time.",
        query=ZipQuery,
        request="`from`, `to` (times, or nanoseconds since 1970; at most 24 hours apart), `camera` (1 to 16 times)",
        answer=Media(ZIP),
        response="a zip file: an MP4 of each camera, several if its codec changes; `journal.jsonl`, the events of the "
        "time that may be seen; `gaps.txt`; `SHA256SUMS`",
        errors=(400, 404, 409, 429, 503),
    ),
)
