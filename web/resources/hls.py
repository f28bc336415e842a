"""HLS, for players without WebRTC: what a camera sends now, in parts of 0.4 s, and recorded video."""

import re
from collections.abc import Hashable
from datetime import datetime
from typing import Annotated

import msgspec
import trio
from quart import Response, request
from werkzeug.exceptions import NotFound

from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId
from supervisor.ports.footage import MOST_CLIP_S, NoFootage
from supervisor.ports.hls import HlsInitialization, HlsMedia, HlsPlaylist, HlsRequest

from ..access import principal
from ..client import client
from ..concurrency import ConcurrencyLimit
from ..downloads import Downloads
from ..queries import MAX_SEQ, Query
from ..routes import OPENED, Media, Right, Route, Web
from .footage import ClipQuery, clip_limit, note_clip, times

HOUR_NS = 3600 * 10**9
MOST, MOST_OF_CLIENT = 64, 16
"""Recorded media that are sent at a time: each is in memory as a whole."""
PLAYLIST, MEDIA = "application/vnd.apple.mpegurl", "video/mp4"
_NAME = re.compile(r"(?:init-(?P<init>\d{1,9})\.mp4|(?P<number>\d{1,18})(?:-(?P<part>\d{1,4}))?\.m4s)", re.ASCII)
_RECORDED = re.compile(
    r"(?P<file>recording_\d{8}_\d{6}(?:_\d{1,3})?)-"
    r"(?:beginning\.mp4|(?P<offset>\d{1,18})-(?P<size>\d{1,9})-(?P<shift>-?\d{1,15})\.m4s)",
    re.ASCII,
)
Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]


class HlsQuery(Query, frozen=True, forbid_unknown_fields=False):
    number: Number | None = msgspec.field(default=None, name="_HLS_msn")
    """The answer waits until the playlist has the segment with this number."""
    part: Number | None = msgspec.field(default=None, name="_HLS_part")
    """The answer waits until the playlist has this part of that segment."""


def media_limit() -> ConcurrencyLimit:
    return ConcurrencyLimit(MOST, MOST_OF_CLIENT, "recorded media are sent already; ask again when some have come")


async def show_live_playlist(web: Web, camera: str, query: HlsQuery) -> Response:
    return await _answer(web, camera, HlsPlaylist(query.number, query.part), PLAYLIST)


async def show_live_media(web: Web, camera: str, name: str) -> Response:
    found = _NAME.fullmatch(name)
    if found is None:
        raise NotFound(f"no file of a live stream is called {name!r}")
    if found["init"]:
        return await _answer(web, camera, HlsInitialization(int(found["init"])), MEDIA)
    part = None if found["part"] is None else int(found["part"])
    return await _answer(web, camera, HlsMedia(int(found["number"]), part), MEDIA)


async def show_recorded_playlist(web: Web, camera: str, query: ClipQuery) -> Response:
    """It is journaled as a clip: who has it can see all of its time."""
    from_ns, to_ns = times(web, query.since, query.until, MOST_CLIP_S, required=True)
    try:
        with web.keep(clip_limit).hold(client()):
            text = await (await web.gateway.footage()).playlist(CameraId(camera), from_ns, to_ns)
    except NoFootage as error:
        raise Rejected(Refusal.UNKNOWN, str(error)) from None
    await note_clip(web, CameraId(camera), from_ns, to_ns, "hls")
    for hour_ns in range(from_ns - from_ns % HOUR_NS, to_ns, HOUR_NS):
        web.keep(Downloads).note(_hour(camera, hour_ns), trio.current_time())
    return Response(text, content_type=PLAYLIST, headers={"Cache-Control": "no-store"})


async def show_recorded_media(web: Web, camera: str, day: str, name: str) -> Response:
    """Without a playlist of its time, the client is journaled as somebody who has that hour."""
    found = _RECORDED.fullmatch(name)
    if found is None:
        raise NotFound(f"no file of a recorded stream is called {name!r}")
    request.scope[OPENED].enter_context(web.keep(media_limit).hold(client()))  # type: ignore[literal-required]
    known, path, footage = CameraId(camera), f"{day}/{found['file']}.mp4", await web.gateway.footage()
    try:
        if found["offset"] is None:
            data = await footage.beginning(known, path)
        else:
            numbers = (int(found[each]) for each in ("offset", "size", "shift"))
            data = await footage.segment(known, path, *numbers)
            await _note_hour(web, known, name)
    except NoFootage as error:
        raise Rejected(Refusal.UNKNOWN, str(error)) from None
    return Response(data, content_type=MEDIA, headers={"Cache-Control": "no-store"})


async def _note_hour(web: Web, camera: CameraId, name: str) -> None:
    hour_ns = int(datetime.strptime(f"{name[10:21]}+0000", "%Y%m%d_%H%z").timestamp()) * 10**9
    downloads, now = web.keep(Downloads), trio.current_time()
    if not downloads.goes_on(_hour(camera, hour_ns), now):
        await note_clip(web, camera, hour_ns, hour_ns + HOUR_NS, "hls")
        downloads.note(_hour(camera, hour_ns), now)


def _hour(camera: str, hour_ns: int) -> Hashable:
    return principal().name, client(), camera, hour_ns, "hour"


async def _answer(web: Web, camera: str, request: HlsRequest, kind: str) -> Response:
    data = await web.gateway.hls(CameraId(camera), client(), request)
    return Response(data, content_type=kind, headers={"Cache-Control": "no-store"})


ROUTES = (
    Route(
        method="GET",
        path="/hls/{camera}/live.m3u8",
        right=Right.WATCH,
        handler=show_live_playlist,
        summary="Watch a camera by HLS. The playlist has parts for low latency.",
        query=HlsQuery,
        answer=Media(PLAYLIST),
        response="a playlist; the client counts as a viewer until it has asked for nothing for 20 s",
        errors=(404, 409, 422, 503),
    ),
    Route(
        method="GET",
        path="/hls/{camera}/{name}",
        right=Right.WATCH,
        handler=show_live_media,
        summary="Get media of a live stream, under the names in its playlist.",
        answer=Media(MEDIA),
        response="fragmented MP4",
        errors=(404, 409, 422, 503),
    ),
    Route(
        method="GET",
        path="/hls/{camera}/vod.m3u8",
        right=Right.REVIEW,
        handler=show_recorded_playlist,
        summary="Play recorded video of a camera by HLS.",
        query=ClipQuery,
        request="`from`, `to`: times, or nanoseconds since 1970; at most 24 hours apart",
        answer=Media(PLAYLIST),
        response="a playlist, with the time of each recording file; gaps are left out",
        errors=(400, 404, 429, 503),
    ),
    Route(
        method="GET",
        path="/hls/{camera}/{day}/{name}",
        right=Right.REVIEW,
        handler=show_recorded_media,
        summary="Get media of a recorded stream, under the names in its playlist.",
        answer=Media(MEDIA),
        response="fragmented MP4",
        errors=(404, 429, 503),
    ),
)
