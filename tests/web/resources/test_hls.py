"""HLS over HTTP: names and numbers are read strictly, and refusals are those of the camera."""

import pytest

from supervisor.ports.hls import HlsInitialization, HlsMedia, HlsPlaylist
from tests.kit.domain import GATE
from tests.kit.site import open_site

LIVE = f"/hls/{GATE}/live.m3u8"


@pytest.mark.parametrize(
    ("path", "request_", "kind"),
    [
        (LIVE, HlsPlaylist(), "application/vnd.apple.mpegurl"),
        (f"{LIVE}?_HLS_msn=17&_HLS_part=2&_HLS_skip=YES", HlsPlaylist(17, 2), "application/vnd.apple.mpegurl"),
        (f"/hls/{GATE}/17.m4s", HlsMedia(17), "video/mp4"),
        (f"/hls/{GATE}/17-2.m4s", HlsMedia(17, 2), "video/mp4"),
        (f"/hls/{GATE}/init-3.mp4", HlsInitialization(3), "video/mp4"),
    ],
)
async def test_names_are_what_the_playlist_says(path: str, request_: object, kind: str) -> None:
    """No cache may keep the answer: it is a picture of now."""
    async with open_site() as site:
        answer = await site.get(path)
        assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, str(request_).encode(), kind)
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "17.mp4",
        "init-.mp4",
        "17-.m4s",
        "17-2-3.m4s",
        f"{'9' * 40}.m4s",
        "a.m4s",
        "%D9%A1.m4s",
        "live.mpd",
        "17-2.m4s%0A",
    ],
)
async def test_other_names_are_unknown(path: str) -> None:
    """Also digits of other scripts, and numbers that are too long."""
    async with open_site() as site:
        assert (await site.get(f"/hls/{GATE}/{path}")).status == 404


async def test_wrong_numbers_and_cameras_are_refused() -> None:
    """400 for what is not a number, 404 for a camera that does not exist, 503 for one that does not answer."""
    async with open_site() as site:
        for query in ("_HLS_msn=-1", "_HLS_part=x", f"_HLS_msn={2**70}"):
            assert (await site.get(f"{LIVE}?{query}")).status == 400
        assert (await site.get("/hls/attic/live.m3u8")).status == 404
        site.actors.answers = False
        assert (await site.get(LIVE)).status == 503
