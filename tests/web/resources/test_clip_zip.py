"""Clips of several cameras as one zip file."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import av

from supervisor.domain.access import Principal
from supervisor.domain.rights import RIGHTS, Role, Scope
from tests.kit.domain import GATE

from .test_footage import BEGAN, OTHER, between, footage_site, taken, write

ZIP = "/footage/clip.zip"


def path(*cameras: str, begin: float = 0, end: float = BEGAN + 40) -> str:
    return f"{ZIP}{between(begin, end)}" + "".join(f"&camera={camera}" for camera in cameras)


async def test_zip_has_the_clips_the_events_the_gaps_and_digests(tmp_path: Path) -> None:
    """Each of them can be checked by `sha256sum -c`, and each camera is journaled."""
    write(tmp_path / "recordings", 100)
    write(tmp_path / "recordings", 50, camera=OTHER)
    async with footage_site(tmp_path / "recordings") as site:
        answer = await site.get(path(GATE, OTHER))
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
        single = await site.get(f"/footage/{GATE}/clip.mp4{between(0, BEGAN + 40)}")
        with zipfile.ZipFile(io.BytesIO(answer.body)) as found:
            assert found.testzip() is None
            names = found.namelist()
            files = {name: found.read(name) for name in names}
        first, second, *rest = names
        assert rest == ["journal.jsonl", "gaps.txt", "SHA256SUMS"]
        assert (first.partition("_")[0], second.partition("_")[0]) == (GATE, OTHER)
        assert files[first] == single.body
        with av.open(io.BytesIO(files[second]), "r") as container:
            assert len([*container.decode(video=0)]) == 50
        sums = dict(line.split("  ")[::-1] for line in files["SHA256SUMS"].decode().splitlines())
        assert sums == {name: hashlib.sha256(files[name]).hexdigest() for name in names[:-1]}
        lines = [json.loads(line) for line in files["journal.jsonl"].splitlines()]
        assert [line["seq"] for line in lines] == sorted(line["seq"] for line in lines)
        assert {"RunStarted", "CameraAdded"} <= {line["type"] for line in lines}
        assert "gate: " in files["gaps.txt"].decode()
        assert [(each.camera, each.format) for each in await taken(site)][:2] == [(GATE, "zip"), (OTHER, "zip")]


async def test_camera_whose_codec_changes_has_several_clips(tmp_path: Path) -> None:
    """Nothing of the time is left out."""
    folder = tmp_path / "recordings"
    write(folder, 50)
    write(folder, 50, BEGAN + 5, "fedcba9876543210", h265=True)
    async with footage_site(folder) as site:
        answer = await site.get(path(GATE))
        with zipfile.ZipFile(io.BytesIO(answer.body)) as found:
            videos = [found.read(name) for name in found.namelist() if name.endswith(".mp4")]
    counts = []
    for data in videos:
        with av.open(io.BytesIO(data), "r") as container:
            counts.append((container.streams.video[0].codec.name, len([*container.decode(video=0)])))
    assert counts == [("h264", 50), ("hevc", 50)]


async def test_zip_without_any_video_is_409(tmp_path: Path) -> None:
    """As a clip is; and one of no camera, or of too many, is 400."""
    async with footage_site(tmp_path) as site:
        assert (await site.get(path(GATE))).status == 409
        for cameras in ((), tuple(str(number) for number in range(17))):
            assert (await site.get(path(*cameras))).status == 400
        assert (await site.get(path("nowhere"))).status == 404
        assert await taken(site) == []


async def test_zip_has_only_events_of_the_scope(tmp_path: Path) -> None:
    """And no clip of another camera."""
    write(tmp_path / "recordings", 100)
    who = Principal("user:ann", RIGHTS[Role.ANALYST], Scope(cameras=(GATE,)))
    async with footage_site(tmp_path / "recordings", who) as site:
        assert (await site.get(path(GATE, OTHER))).status == 404
        answer = await site.get(path(GATE))
        assert answer.status == 200
        with zipfile.ZipFile(io.BytesIO(answer.body)) as found:
            journal = found.read("journal.jsonl")
        assert b"CameraAdded" in journal
        assert OTHER.encode() not in answer.body
