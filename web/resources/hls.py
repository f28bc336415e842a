"""HLS, for players without WebRTC: what a camera sends now, with parts of half a second."""

import re
from typing import Annotated

import msgspec
from quart import Response
from werkzeug.exceptions import NotFound

from supervisor.domain.ids import CameraId
from supervisor.ports.hls import HlsInitialization, HlsMedia, HlsPlaylist, HlsRequest

from ..client import client
from ..queries import MAX_SEQ, Query
from ..routes import Media, Right, Route, Web

PLAYLIST, MEDIA = "application/vnd.apple.mpegurl", "video/mp4"
_NAME = re.compile(r"(?:init-(?P<init>\d{1,9})\.mp4|(?P<number>\d{1,18})(?:-(?P<part>\d{1,4}))?\.m4s)", re.ASCII)
Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]


class HlsQuery(Query, frozen=True, forbid_unknown_fields=False):
    number: Number | None = msgspec.field(default=None, name="_HLS_msn")
    """The answer waits until the playlist has the segment with this number."""
    part: Number | None = msgspec.field(default=None, name="_HLS_part")
    """The answer waits until the playlist has this part of that segment."""


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
)
