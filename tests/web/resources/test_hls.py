"""HLS over HTTP: names and numbers are read strictly, and refusals are those of the camera."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import av
import pytest

from supervisor.domain import events as e
from supervisor.ports.hls import HlsInitialization, HlsMedia, HlsPlaylist
from tests.kit.domain import GATE, SECOND
from tests.kit.site import Site, open_site

from .test_footage import BEGAN, between, footage_site, write

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


def clips_of(site: Site, rows: Sequence[e.Recorded]) -> list[tuple[str, int]]:
    """The clips in the journal: format, and seconds."""
    return [
        (row.event.format, (row.event.ended_ns - row.event.began_ns) // SECOND)
        for row in rows
        if isinstance(row.event, e.ClipTaken)
    ]


async def test_recorded_playlist_and_its_files_play(tmp_path: Path) -> None:
    """All pictures; who has them is in the journal, once."""
    folder = tmp_path / "recordings"
    write(folder, 100)
    async with footage_site(folder) as site:
        answer = await site.get(f"/hls/{GATE}/vod.m3u8{between(BEGAN, BEGAN + 10)}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/vnd.apple.mpegurl")
        text, played = answer.body.decode(), 0
        beginning = b""
        for line in text.splitlines():
            if made := re.fullmatch(r'#EXT-X-MAP:URI="(.*)"', line):
                beginning = (await site.get(f"/hls/{GATE}/{made[1]}")).body
            elif not line.startswith("#"):
                found = await site.get(f"/hls/{GATE}/{line}")
                assert found.status == 200
                with av.open(io.BytesIO(beginning + found.body), "r") as container:
                    played += len([*container.decode(video=0)])
        assert played == 100
        assert clips_of(site, await site.core.stored()) == [("hls", 10)]


async def test_media_without_a_playlist_are_in_the_journal(tmp_path: Path) -> None:
    """Once for each hour."""
    write(tmp_path / "recordings", 60)
    async with footage_site(tmp_path / "recordings") as site:
        path = f"/hls/{GATE}/vod.m3u8{between(BEGAN, BEGAN + 10)}"
        async with footage_site(tmp_path / "recordings") as other:
            text = (await other.get(path)).body.decode()
        for name in [line for line in text.splitlines() if not line.startswith("#")]:
            assert (await site.get(f"/hls/{GATE}/{name}")).status == 200
        assert clips_of(site, await site.core.stored()) == [("hls", 3600)]


@pytest.mark.parametrize(
    "path",
    [
        "19700101/recording_19700101_001641-beginning.mp4",
        "19700101/recording_19700101_001640.mp4",
        "19700101/index.sqlite",
        "..%2f19700101/recording_19700101_001640-beginning.mp4",
        "19700101/..",
        "1970010/recording_19700101_001640-beginning.mp4",
        "19700101/recording_19700101_001640-0-100-0.m4s",
        "19700101/recording_19700101_001640-821-999999999-0.m4s",
        "19700101/recording_19700101_001641-821-100-0.m4s",
    ],
)
async def test_other_files_are_unknown(tmp_path: Path, path: str) -> None:
    """Of the archive, and outside of it."""
    write(tmp_path / "recordings", 20)
    async with footage_site(tmp_path / "recordings") as site:
        assert (await site.get(f"/hls/{GATE}/{path}")).status in (400, 404)
        assert clips_of(site, await site.core.stored()) == []


async def test_time_without_video_has_no_playlist(tmp_path: Path) -> None:
    """404, also for a camera without recordings; 400 without a time."""
    write(tmp_path / "recordings", 20)
    async with footage_site(tmp_path / "recordings") as site:
        assert (await site.get(f"/hls/{GATE}/vod.m3u8{between(10, 20)}")).status == 404
        assert (await site.get(f"/hls/{GATE}/vod.m3u8")).status == 400
        assert (await site.get(f"/hls/attic/vod.m3u8{between(BEGAN, BEGAN + 1)}")).status == 404
        assert (await site.get(f"/hls/{GATE}/19700101/nothing.m4s")).status == 404
