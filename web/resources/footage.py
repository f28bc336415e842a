"""Footage: the recorded video of cameras, its gaps, and clips of it."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

import msgspec
import trio
from quart import Response, request
from werkzeug.exceptions import BadRequest

from supervisor.base.threads import run_in_thread
from supervisor.domain import commands as c
from supervisor.domain.clients import LOCAL
from supervisor.domain.errors import Rejected
from supervisor.domain.events import Recorded
from supervisor.domain.gaps import CAUSES, REMOVAL, RecordingGap, gaps
from supervisor.domain.ids import CameraId, recording_stream
from supervisor.domain.lifecycle import RecordingPhase
from supervisor.ports.asking import origin_of
from supervisor.ports.footage import (
    MOST_CLIP_S,
    ClipKind,
    ClipPort,
    ClipRefused,
    FootageStretch,
    NoFootage,
    TracksDiffer,
    clip_name,
)
from supervisor.ports.questions import Query as Search

from ..access import principal
from ..client import client
from ..concurrency import ConcurrencyLimit
from ..downloads import CutOff, Downloads
from ..json import Answer, Reason, Time, encode, iso
from ..past import instant
from ..problems import problem
from ..queries import Query
from ..ranges import Unsatisfiable, byte_range
from ..routes import OPENED, Media, Right, Route, Web

logger = logging.getLogger("banken.web")
MOST_LISTED_S = 7 * 24 * 3600
"""Longest time of which the stretches are listed."""
MOST, MOST_OF_CLIENT = 16, 6
TOO_MANY = "clips are sent already; ask again when one has ended"
MOST_PICTURES, MOST_PICTURES_OF_CLIENT = 64, 16
TOO_MANY_PICTURES = "pictures of the past are decoded already; ask again when some have come"
SETTLED_NS = 120 * 10**9
"""The video of an earlier time does not change any more, unless it is removed: a clip of it is made once."""
HOUR_NS = 3600 * 10**9
MOST_EVENTS, MOST_REMOVALS = 1000, 64
MOST_CAMERAS = 64


class RecordedStretch(Answer, frozen=True):
    """A time with video, without a gap."""

    recording: str
    since: Time
    until: Time
    since_ns: int
    until_ns: int
    bytes: int
    """Of the files that have something of it, as a whole."""


class FootageGap(Answer, frozen=True):
    """A time without recorded video."""

    since: Time
    until: Time
    since_ns: int
    until_ns: int
    reason: Reason
    seq: int | None
    """The event that made it; null if the journal does not have it. `banken why` tells its causes."""


class CameraFootage(Answer, frozen=True):
    """The recorded video of a camera."""

    camera: CameraId
    stretches: list[RecordedStretch]
    """The oldest first. The first and the last may reach beyond the time that was asked for."""
    gaps: list[FootageGap]
    bytes: int
    """Of all files that have something of this time."""
    clip_bytes: int | None
    """The size of the clip of this time. Null unless `clip` was asked for, and if it cannot be one clip."""


class RecordedFootage(Answer, frozen=True, rename={"since": "from", "until": "to"}):
    since: Time
    until: Time
    cameras: list[CameraFootage]
    """In the order of the request, or of the configuration."""
    bytes: int
    """Of all these cameras."""


class FootageQuery(Query, frozen=True, rename={"since": "from", "until": "to"}):
    since: str | None = None
    until: str | None = None
    camera: tuple[str, ...] = ()
    clip: str | None = None


class ClipQuery(Query, frozen=True, rename={"since": "from", "until": "to"}):
    since: str | None = None
    until: str | None = None


class PictureQuery(Query, frozen=True, forbid_unknown_fields=False):
    at: str | None = None


def clip_limit() -> ConcurrencyLimit:
    return ConcurrencyLimit(MOST, MOST_OF_CLIENT, TOO_MANY)


def picture_limit() -> ConcurrencyLimit:
    return ConcurrencyLimit(MOST_PICTURES, MOST_PICTURES_OF_CLIENT, TOO_MANY_PICTURES)


async def list_footage(web: Web, query: FootageQuery) -> msgspec.Raw:
    """The stretches and gaps of cameras between two times; without `from`, the hour before `to`.

    There may be thousands: they are compared and encoded in threads.
    """
    gateway = web.gateway
    from_ns, to_ns = times(web, query.since, query.until, MOST_LISTED_S)
    names = [CameraId(name) for name in dict.fromkeys(query.camera)]
    names = names or [known.settings.camera for known in gateway.state.in_order()]
    if len(names) > MOST_CAMERAS:
        raise BadRequest(f"at most {MOST_CAMERAS} cameras at a time: name them with camera=")
    found = [await _footage_of(web, name, from_ns, to_ns, query.clip is not None) for name in names]
    size = sum(each.bytes for each in found)
    answer = RecordedFootage(since=iso(from_ns), until=iso(to_ns), cameras=found, bytes=size)
    return msgspec.Raw(await run_in_thread(partial(encode, answer), limiter=web.rendering))


async def _footage_of(web: Web, camera: CameraId, from_ns: int, to_ns: int, measured: bool) -> CameraFootage:
    footage = await web.gateway.footage()
    stretches = await footage.stretches(camera, from_ns, to_ns)
    missing = await gaps_of(web, camera, stretches, from_ns, to_ns)
    size = None
    if measured and stretches and to_ns - from_ns <= MOST_CLIP_S * 10**9:
        with web.keep(clip_limit).hold(client()), suppress(ClipRefused):
            size = (await footage.clip(camera, from_ns, to_ns, "mp4", again=True)).size

    def answer() -> CameraFootage:
        return CameraFootage(
            camera=camera,
            stretches=[_stretch(each) for each in stretches],
            gaps=[gap_of(each) for each in missing],
            bytes=sum(each.size for each in stretches),
            clip_bytes=size,
        )

    return await run_in_thread(answer, limiter=web.rendering)


async def gaps_of(
    web: Web, camera: CameraId, stretches: Sequence[FootageStretch], from_ns: int, to_ns: int
) -> list[RecordingGap]:
    """The gaps of a camera, with the events that made them."""
    recording = web.gateway.state.recordings.get(camera)
    is_recorded = recording is not None and recording.phase is RecordingPhase.RECORDING
    now_ns = web.gateway.snapshot(cameras=False).now_ns
    spans = [(each.began_ns, each.ended_ns) for each in stretches]
    find = partial(gaps, spans, from_ns=from_ns, to_ns=to_ns, now_ns=now_ns, is_recorded=is_recorded)
    if not await run_in_thread(partial(find, events=()), limiter=web.rendering):
        return []
    stream, events = (recording_stream(camera),), list[Recorded]()
    async with web.searches.place(client()):
        before = Search(streams=stream, types=CAUSES, until_ns=from_ns)
        events += await web.gateway.read(before, 1, newest=True)
        within = Search(streams=stream, types=CAUSES, since_ns=from_ns + 1, until_ns=to_ns)
        events += await web.gateway.read(within, MOST_EVENTS)
        removals = Search(streams=stream, types=(REMOVAL,), since_ns=from_ns)
        events += await web.gateway.read(removals, MOST_REMOVALS, newest=True)
    return await run_in_thread(partial(find, events=events), limiter=web.rendering)


async def show_clip(web: Web, camera: str, query: ClipQuery) -> Response:
    """A clip as MP4, which is made while it is sent. Any range of its bytes can be asked for."""
    return await _send(web, CameraId(camera), query, "mp4", "mp4")


async def show_h264(web: Web, camera: str, query: ClipQuery) -> Response:
    """A clip as an Annex B stream, from the key frame before its beginning on."""
    return await _send(web, CameraId(camera), query, "annexb", "h264")


async def show_h265(web: Web, camera: str, query: ClipQuery) -> Response:
    """As `clip.h264`."""
    return await _send(web, CameraId(camera), query, "annexb", "h265")


async def show_past_picture(web: Web, camera: str, query: PictureQuery) -> Response:
    """The key frame at or before a time, of the hour before it."""
    now_ns = web.gateway.snapshot(cameras=False).now_ns
    if query.at is None:
        raise BadRequest("at is needed: a time like 2026-01-31T03:10:00Z")
    name, at_ns = CameraId(camera), instant("at", query.at, now_ns)
    with web.keep(picture_limit).hold(client()):
        try:
            jpeg = await (await web.gateway.footage()).picture(name, at_ns)
        except ClipRefused as error:
            return await _refused(web, name, max(0, at_ns - HOUR_NS), at_ns, error)
    await note_picture(web, name, jpeg.taken_ns)
    headers = {"Cache-Control": "no-store", "X-Picture-Time": iso(jpeg.taken_ns)}
    return Response(jpeg.data, content_type="image/jpeg", headers=headers)


TYPES = {"mp4": "video/mp4", "h264": "video/h264", "h265": "video/h265"}


async def _send(web: Web, camera: CameraId, query: ClipQuery, kind: ClipKind, suffix: str) -> Response:
    from_ns, to_ns = times(web, query.since, query.until, MOST_CLIP_S, required=True)
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{clip_name(camera, from_ns, to_ns)}.{suffix}"',
    }
    is_settled = to_ns < web.gateway.snapshot(cameras=False).now_ns - SETTLED_NS
    again = is_settled or request.headers.get("Range", "bytes=0-").strip() != "bytes=0-"
    request.scope[OPENED].enter_context(web.keep(clip_limit).hold(client()))  # type: ignore[literal-required]
    try:
        clip = await _clip(web, camera, from_ns, to_ns, kind, suffix, again=again)
        status, begin, end = _range(clip, kind, headers)
        if request.method == "HEAD":
            return _respond(b"", status, begin, end, suffix, headers)
        try:
            opened = await clip.open(begin, end)
        except NoFootage:  # a file was removed since the clip was made: this is another clip, with another tag
            clip = await _clip(web, camera, from_ns, to_ns, kind, suffix, again=False)
            status, begin, end = _range(clip, kind, headers)
            opened = await clip.open(begin, end)
    except ClipRefused as error:
        return await _refused(web, camera, from_ns, to_ns, error)
    except Unsatisfiable as error:
        answer = problem(416, f"the clip has {error.size} bytes")
        answer.headers["Content-Range"] = f"bytes */{error.size}"
        return answer
    request.scope[OPENED].callback(opened.close)  # type: ignore[literal-required]
    await note_clip(web, camera, from_ns, to_ns, suffix)
    return _respond(while_allowed(web, opened.chunks()), status, begin, end, suffix, headers)


async def _clip(
    web: Web, camera: CameraId, from_ns: int, to_ns: int, kind: ClipKind, suffix: str, *, again: bool
) -> ClipPort:
    """Raises `ClipRefused`, also for a stream of another codec than its name says."""
    clip = await (await web.gateway.footage()).clip(camera, from_ns, to_ns, kind, again=again)
    if kind == "annexb" and clip.codec != suffix:
        raise ClipRefused(f"the video of this time is {clip.codec}: ask for clip.{clip.codec}")
    return clip


def _range(clip: ClipPort, kind: ClipKind, headers: dict[str, str]) -> tuple[int, int, int]:
    """The status, and the bytes that are sent. Raises `Unsatisfiable`."""
    tag = f'"{clip.tag}"'
    headers.pop("Content-Range", None)
    headers |= {"ETag": tag, "Accept-Ranges": "bytes" if kind == "mp4" else "none"}
    wanted = request.headers.get("Range") if request.headers.get("If-Range", tag).strip() == tag else None
    found = byte_range(wanted, clip.size) if kind == "mp4" and request.method == "GET" else None
    if found is None:
        return 200, 0, clip.size
    headers["Content-Range"] = f"bytes {found[0]}-{found[1] - 1}/{clip.size}"
    return 206, *found


def _respond(body: Any, status: int, begin: int, end: int, suffix: str, headers: dict[str, str]) -> Response:
    response = Response(body, status=status, content_type=TYPES[suffix], headers=headers)
    response.headers["Content-Length"] = str(end - begin)
    response.timeout = None
    return response


def while_allowed(web: Web, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The bytes, while the principal keeps its rights. Raises `CutOff` when it loses one, or a file cannot be read."""
    asks, accounts = principal(), web.daemon.accounts

    async def checked() -> AsyncGenerator[bytes, None]:
        async with aclosing(chunks) as found:
            while True:
                try:
                    data = await anext(found)
                except StopAsyncIteration:
                    return
                except (OSError, Rejected) as error:
                    logger.warning("a clip is not sent to its end: %s", error)
                    raise CutOff from None
                if accounts is not None and asks.name != LOCAL and accounts.has_fewer_rights(asks):
                    raise CutOff
                yield data

    return checked()


async def note_clip(web: Web, camera: CameraId, from_ns: int, to_ns: int, suffix: str) -> None:
    """Journal a clip before it is sent, once for each download. Raises `Rejected` if that is not possible."""
    downloads, now = web.keep(Downloads), trio.current_time()
    key = (principal().name, client(), camera, from_ns, to_ns, suffix)
    if not downloads.goes_on(key, now):
        await web.gateway.submit(c.TakeClip(camera, from_ns, to_ns, suffix, client()), origin_of(client()))
        downloads.note(key, now)


async def note_picture(web: Web, camera: CameraId, taken_ns: int) -> None:
    """Journal a picture, once for all pictures of an hour that belong together. Raises as `note_clip`."""
    downloads, now = web.keep(Downloads), trio.current_time()
    key = (principal().name, client(), camera, taken_ns // HOUR_NS, "jpg")
    if not downloads.goes_on(key, now):
        await web.gateway.submit(c.TakeClip(camera, taken_ns, taken_ns, "jpg", client()), origin_of(client()))
        downloads.note(key, now)


async def _refused(web: Web, camera: CameraId, from_ns: int, to_ns: int, error: ClipRefused) -> Response:
    """409, with what helps: the gaps, or where to split."""
    if isinstance(error, TracksDiffer):
        text = f"{error}: ask for two clips, up to {iso(error.at_ns)} and from there on"
        return problem(409, text, kind="urn:banken:problem:tracks-differ", split_at=iso(error.at_ns))
    if not isinstance(error, NoFootage):
        return problem(409, str(error), kind="urn:banken:problem:no-clip")
    missing = [gap_of(each) for each in await gaps_of(web, camera, (), from_ns, to_ns)]
    return problem(409, str(error), kind="urn:banken:problem:no-footage", gaps=missing)


def times(web: Web, since: str | None, until: str | None, most_s: int, *, required: bool = False) -> tuple[int, int]:
    """The two times of a query. Raises `BadRequest`."""
    now_ns = web.gateway.snapshot(cameras=False).now_ns
    if required and (since is None or until is None):
        raise BadRequest("from and to are needed: times like 2026-01-31T03:10:00Z")
    to_ns = now_ns if until is None else instant("to", until, now_ns)
    from_ns = max(0, to_ns - 3600 * 10**9) if since is None else instant("from", since, now_ns)
    if from_ns >= to_ns:
        raise BadRequest(f"from ({iso(from_ns)}) must be before to ({iso(to_ns)})")
    if to_ns - from_ns > most_s * 10**9:
        raise BadRequest(f"from and to may be {most_s // 3600} hours apart, not more")
    return from_ns, to_ns


def _stretch(each: FootageStretch) -> RecordedStretch:
    return RecordedStretch(
        recording=each.recording, since=iso(each.began_ns), until=iso(each.ended_ns), since_ns=each.began_ns,
        until_ns=each.ended_ns, bytes=each.size,
    )  # fmt: skip


def gap_of(each: RecordingGap) -> FootageGap:
    reason = Reason.of(each.reason)
    assert reason is not None
    return FootageGap(
        since=iso(each.began_ns), until=iso(each.ended_ns), since_ns=each.began_ns, until_ns=each.ended_ns,
        reason=reason, seq=each.seq,
    )  # fmt: skip


_CLIP = "`from`, `to`: times, or nanoseconds since 1970; at most 24 hours apart. `Range`, `If-Range`"
_ERRORS = (400, 404, 409, 429, 503)
ROUTES = (
    Route(
        method="GET",
        path="/api/footage",
        right=Right.REVIEW,
        handler=list_footage,
        answer=RecordedFootage,
        summary="Show what is recorded of cameras, and why there are gaps.",
        query=FootageQuery,
        request="`from`, `to` (times, or nanoseconds since 1970; at most 7 days apart; without `from`, the hour before "
        "`to`), `camera` (may be given several times), `clip`: also the exact size of each clip",
        response="the [footage](#recordedfootage)",
        errors=(400, 404, 503),
    ),
    Route(
        method="GET",
        path="/footage/{camera}/clip.mp4",
        right=Right.REVIEW,
        handler=show_clip,
        summary="Take a clip of recorded video as MP4.",
        query=ClipQuery,
        request=_CLIP,
        answer=Media("video/mp4"),
        response="an MP4 that plays from the picture of `from` on, with `ETag`. Media time goes on over gaps without "
        "them. 409 without any video has `gaps`; where the codec changes, `split_at`.",
        also={206: "with `Range`: this range of bytes"},
        errors=(*_ERRORS, 416),
    ),
    Route(
        method="GET",
        path="/footage/{camera}/snapshot.jpg",
        right=Right.REVIEW,
        handler=show_past_picture,
        summary="Show a picture of the past.",
        query=PictureQuery,
        request="`at`: a time, or nanoseconds since 1970",
        answer=Media("image/jpeg"),
        response="a JPEG of the key frame at or before `at`, with its time as `X-Picture-Time`",
        errors=_ERRORS,
    ),
    *(
        Route(
            method="GET",
            path=f"/footage/{{camera}}/clip.{codec}",
            right=Right.REVIEW,
            handler=handler,
            summary=f"Take a clip of recorded {name} video as it is in the stream.",
            query=ClipQuery,
            request="`from`, `to`, as for `clip.mp4`",
            answer=Media(TYPES[codec]),
            response="the NAL units in Annex B, from the key frame at or before `from` on, without times and audio",
            errors=_ERRORS,
        )
        for codec, name, handler in (("h264", "H.264", show_h264), ("h265", "H.265", show_h265))
    ),
)
