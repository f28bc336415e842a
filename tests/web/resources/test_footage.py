"""Footage over HTTP: what there is, clips in any range, and who took them."""

import io
import logging
import os
import random
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import attrs
import av
import h11
import pytest
import trio

from actors.media.h265 import H265
from actors.media.media import CLOCK_RATE
from actors.recorder.archive_writer import ArchiveWriter, list_files
from actors.recorder.cutter import Cutter, NewFile
from supervisor.base.times import iso
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.access import Principal
from supervisor.domain.ids import CameraId, RecordingId
from supervisor.domain.rights import RIGHTS, Role, Scope
from supervisor.domain.values import Fault, Reason, RecordMode
from supervisor.runtime.kernel import Kernel
from tests.actors.recorder.test_cutter import RECORDING, through_hub, units
from tests.kit.domain import GATE, SECOND
from tests.kit.http import Answer, request
from tests.kit.media import coded
from tests.kit.patience import give_up_after
from tests.kit.site import FakeActors, Site, open_site
from web.resources.footage import MOST_OF_CLIENT

OTHER = CameraId("attic")
BEGAN = 1000
"""When the recordings of these tests begin, in seconds since 1970."""
CLIP, OTHER_CLIP = f"/footage/{GATE}/clip.mp4", f"/footage/{GATE}/clip.h265"
LOST = Reason("camera-lost", "connection reset", Fault.TEMPORARY)


def write(
    folder: Path,
    count: int,
    began_s: float = BEGAN,
    recording: str = RECORDING,
    camera: CameraId = GATE,
    *,
    size: int = 64,
    h265: bool = False,
) -> None:
    """Ten access units a second, with a key frame every two seconds, in files of four seconds."""
    given = units(count, size=size)
    if h265:
        made = through_hub(coded("libx265", 128, 96, count, 10, 0), H265, 10)
        given = [attrs.evolve(unit, dts=unit.dts - made[0].dts, pts=unit.pts - made[0].dts) for unit in made]
    writer, cutter = ArchiveWriter(folder, "n1", lambda: "a"), Cutter(camera, recording, 4)
    writer.open()
    for unit in given:
        for out in cutter.take(unit, round(began_s * SECOND) + unit.dts * SECOND // CLOCK_RATE):
            writer.begin(camera, recording, out) if isinstance(out, NewFile) else writer.append(camera, out)
    for last in cutter.end():
        writer.append(camera, last)
    writer.seal(camera)
    writer.close()


@asynccontextmanager
async def footage_site(folder: Path, who: Principal | None = None) -> AsyncIterator[Site]:
    def make(kernel: Kernel) -> FakeActors:
        return FakeActors(kernel, archive=folder)

    async with open_site(GATE, OTHER, make_actors=make, who=who) as site:
        yield site


def between(begin: float, end: float) -> str:
    return f"?from={round(begin * SECOND):016}&to={round(end * SECOND):016}"


async def take(site: Site, begin: float = BEGAN, end: float = BEGAN + 10, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await site.get(f"{CLIP}{between(begin, end)}", **named)


async def test_clip_plays_and_any_range_of_it_is_the_same(tmp_path: Path) -> None:
    """As a player asks: the whole, parts, the end; and what is not one range is ignored."""
    write(tmp_path / "recordings", 100)
    async with footage_site(tmp_path / "recordings") as site:
        whole = await take(site)
        assert (whole.status, whole.headers["Content-Type"], whole.headers["Accept-Ranges"]) == (
            200, "video/mp4", "bytes",
        )  # fmt: skip
        assert whole.headers["Content-Disposition"] == (
            'attachment; filename="gate_19700101T001640Z_19700101T001650Z.mp4"'
        )
        with av.open(io.BytesIO(whole.body), "r") as container:
            assert len([*container.decode(video=0)]) == 100
        size, tag = len(whole.body), whole.headers["Etag"]
        for wanted, begin, end in (
            ("bytes=0-", 0, size), ("bytes=0-0", 0, 1), (f"bytes={size - 1}-", size - 1, size),
            ("bytes=-5", size - 5, size), ("bytes=100-90000", 100, min(90001, size)),
            (f"bytes=7-{10**18}", 7, size), (f"bytes=-{10**18}", 0, size),
        ):  # fmt: skip
            part = await take(site, Range=wanted, If_Range=tag)
            assert (part.status, part.headers["Content-Range"]) == (206, f"bytes {begin}-{end - 1}/{size}"), wanted
            assert part.body == whole.body[begin:end]
        for wanted in (
            "bytes=5-1",
            "bytes=0-1,5-6",
            "lines=0-5",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=1-" + "9" * 30,
        ):
            part = await take(site, Range=wanted)
            assert (part.status, part.body) == (200, whole.body), wanted
        for wanted in (f"bytes={size}-", "bytes=-0", f"bytes={10**18}-{10**18}"):
            part = await take(site, Range=wanted)
            assert (part.status, part.headers["Content-Range"]) == (416, f"bytes */{size}"), wanted
        assert (await take(site, Range="bytes=0-5", If_Range='"other"')).status == 200


async def test_hostile_ranges_never_fail(tmp_path: Path) -> None:
    """Each is answered as a range, as the whole, or with 416; none is a fault of the server."""
    write(tmp_path / "recordings", 20)
    noise = random.Random(5)
    async with footage_site(tmp_path / "recordings") as site:
        whole = (await take(site)).body
        for _ in range(60):
            text = "".join(noise.choice("bytes=-0123456789, \t;/*é") for _ in range(noise.randrange(40)))
            wanted = noise.choice((text, f"bytes={text}", f"bytes={noise.randrange(10**6)}-{noise.randrange(10**6)}"))
            answer = await take(site, Range=wanted.encode("ascii", "ignore").decode().strip())
            assert answer.status in (200, 206, 416), wanted
            assert answer.status != 206 or answer.body in whole


async def test_head_says_the_size_and_is_no_download(tmp_path: Path) -> None:
    """And it opens no file."""
    write(tmp_path / "recordings", 100)
    async with footage_site(tmp_path / "recordings") as site:
        head = await request(site.port, "HEAD", f"{CLIP}{between(BEGAN, BEGAN + 10)}")
        whole = await take(site)
        assert (head.status, head.body) == (200, b"")
        assert (head.headers["Content-Length"], head.headers["Etag"]) == (str(len(whole.body)), whole.headers["Etag"])
        assert len(await taken(site)) == 1


async def taken(site: Site) -> list[e.ClipTaken]:
    return [each.event for each in await site.core.stored() if isinstance(each.event, e.ClipTaken)]


async def test_download_is_journaled_once_before_its_first_byte(tmp_path: Path) -> None:
    """Further ranges of it are the same download; another time is another one."""
    write(tmp_path / "recordings", 100)
    async with footage_site(tmp_path / "recordings") as site:
        for wanted in ("bytes=900-", "bytes=0-99", "bytes=100-199"):
            assert (await take(site, Range=wanted)).status == 206
        assert await taken(site) == [e.ClipTaken(GATE, BEGAN * SECOND, (BEGAN + 10) * SECOND, "mp4", "127.0.0.1")]
        await take(site, BEGAN + 1)
        assert len(await taken(site)) == 2


async def test_time_without_video_is_409_with_its_gaps(tmp_path: Path) -> None:
    """Also where no archive is."""
    for folder in (tmp_path / "recordings", tmp_path / "none"):
        write(tmp_path / "recordings", 20)
        async with footage_site(folder) as site:
            answer = await take(site, BEGAN - 100, BEGAN - 50)
            assert (answer.status, answer.json["type"]) == (409, "urn:banken:problem:no-footage")
            assert await taken(site) == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "from and to"),
        ("?from=2026-01-01T00:00Z&to=2026-01-01T00:00Z", "must be before"),
        ("?from=2026-01-01T00:00Z&to=2026-01-02T00:00:01Z", "24 hours"),
        ("?from=x&to=2026-01-02T00:00:01Z", "from must be a time"),
        ("?from=2026-01-01T00:00Z&to=99999999999999999999", "to must be a time"),
        ("?from=2026-01-01T00:00Z&to=2026-01-01T01:00Z&from=1", "twice"),
    ],
)
async def test_bad_times_are_refused_by_name(query: str, names: str, tmp_path: Path) -> None:
    """With what would be right."""
    async with footage_site(tmp_path) as site:
        answer = await site.get(f"{CLIP}{query}")
        assert answer.status == 400
        assert names in answer.json["detail"]


async def test_cameras_outside_the_scope_are_unknown(tmp_path: Path) -> None:
    """With the same answer as for one that does not exist, on every route; and they are in no list."""
    write(tmp_path / "recordings", 100)
    who = Principal("user:ann", RIGHTS[Role.ANALYST], Scope(cameras=(OTHER,)))
    async with footage_site(tmp_path / "recordings", who) as site:
        for path in (CLIP, f"/footage/{GATE}/clip.h264"):
            hidden = await site.get(f"{path}{between(BEGAN, BEGAN + 10)}")
            missing = await site.get(f"{path.replace(GATE, 'nowhere')}{between(BEGAN, BEGAN + 10)}")
            assert (hidden.status, missing.status) == (404, 404)
            assert hidden.body.replace(b"gate", b"nowhere") == missing.body
            assert (await request(site.port, "HEAD", f"{path}{between(BEGAN, BEGAN + 10)}")).status == 404
        assert (await site.get(f"/api/footage?camera={GATE}")).status == 404
        found = (await site.get(f"/api/footage{between(BEGAN, BEGAN + 10)}")).json
        assert [each["camera"] for each in found["cameras"]] == [OTHER]
        assert GATE not in str(found)


async def test_footage_says_what_there_is_and_why_there_are_gaps(tmp_path: Path) -> None:
    """A gap has the number of its event."""
    folder = tmp_path / "recordings"
    write(folder, 100)
    write(folder, 100, BEGAN + 20, "fedcba9876543210")
    async with footage_site(folder) as site:
        kernel = site.core.kernel
        kernel.emit(c.BeginRecording(GATE, RecordingId(RECORDING), RecordMode.ALWAYS))
        made = kernel.emit(c.InterruptRecording(GATE, LOST, (BEGAN + 10) * SECOND)).last
        assert made is not None
        await site.core.journal.wait_committed(made.seq)
        answer = await site.get(f"/api/footage{between(BEGAN, BEGAN + 40)}&camera={GATE}&camera={OTHER}&clip")
        assert answer.status == 200, answer.body
        gate, other = answer.json["cameras"]
        assert [(each["since_ns"], each["until_ns"]) for each in gate["stretches"]] == [
            (BEGAN * SECOND, (BEGAN + 10) * SECOND), ((BEGAN + 20) * SECOND, (BEGAN + 30) * SECOND),
        ]  # fmt: skip
        assert (other["stretches"], other["bytes"], other["clip_bytes"]) == ([], 0, None)
        assert gate["clip_bytes"] == len((await take(site, BEGAN, BEGAN + 40)).body)
        assert answer.json["bytes"] == gate["bytes"] > gate["clip_bytes"] / 2


async def test_picture_of_the_past_is_the_key_frame_before_it(tmp_path: Path) -> None:
    """Its time is in a header. All pictures of an hour are one event."""
    write(tmp_path / "recordings", 100)
    async with footage_site(tmp_path / "recordings") as site:
        path = f"/footage/{GATE}/snapshot.jpg"
        for at_s, key_s in ((BEGAN, 0), (BEGAN + 1.99, 0), (BEGAN + 2, 2), (BEGAN + 9.5, 8), (BEGAN + 500, 8)):
            answer = await site.get(f"{path}?at={round(at_s * SECOND):016}")
            assert (answer.status, answer.headers["X-Picture-Time"]) == (200, iso((BEGAN + key_s) * SECOND)), at_s
            assert answer.body == units(100)[key_s * 10].data
        assert await taken(site) == [e.ClipTaken(GATE, BEGAN * SECOND, BEGAN * SECOND, "jpg", "127.0.0.1")]
        for at_s in (BEGAN - 1, BEGAN + 3700):
            assert (await site.get(f"{path}?at={round(at_s * SECOND):016}")).status == 409
        assert (await site.get(path)).status == 400
        assert (await site.get(f"/footage/nowhere/snapshot.jpg?at={BEGAN * SECOND:016}")).status == 404


async def test_stream_has_its_video_as_it_came(tmp_path: Path) -> None:
    """From the key frame before its beginning on. The name of another codec is refused with the right one."""
    write(tmp_path / "recordings", 100)
    async with footage_site(tmp_path / "recordings") as site:
        answer = await site.get(f"/footage/{GATE}/clip.h264{between(BEGAN + 3, BEGAN + 10)}", Range="bytes=0-5")
        assert (answer.status, answer.headers["Accept-Ranges"]) == (200, "none")
        assert answer.body == b"".join(unit.data for unit in units(100)[20:])
        wrong = await site.get(f"{OTHER_CLIP}{between(BEGAN, BEGAN + 10)}")
        assert wrong.status == 409
        assert "clip.h264" in wrong.json["detail"]


async def test_file_that_is_removed_meanwhile_is_sent_to_its_end(tmp_path: Path) -> None:
    """It is open. Before that, the next request is of what is left."""
    folder = tmp_path / "recordings"
    write(folder, 100)
    async with footage_site(folder) as site:
        footage = await site.actors.footage()
        clip = await footage.clip(GATE, BEGAN * SECOND, (BEGAN + 10) * SECOND, "mp4")
        whole = (await take(site)).body
        opened = await clip.open(0, clip.size)
        (oldest, *_) = list_files(folder)
        (folder / oldest).unlink()
        assert b"".join([data async for data in opened.chunks()]) == whole
        opened.close()
        opened.close()
        part = await take(site, Range="bytes=9-20", If_Range="old")
        assert (part.status, part.headers["Etag"] != f'"{clip.tag}"') == (200, True)


async def test_clip_ends_with_the_connection_when_a_file_became_shorter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The client sees that bytes are missing; the log has one line."""
    folder = tmp_path / "recordings"
    write(folder, 100)
    async with footage_site(folder) as site:
        await take(site, Range="bytes=9-")
        (oldest, *_) = list_files(folder)
        os.truncate(folder / oldest, 3000)
        with pytest.raises(h11.RemoteProtocolError):
            await take(site, Range="bytes=9-")
        assert (await take(site, BEGAN + 5)).status == 200
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "became shorter" in line


async def test_too_many_clips_of_a_client_are_refused(tmp_path: Path) -> None:
    """While their clients read nothing. A clip that has ended makes room."""
    write(tmp_path / "recordings", 9000, size=128)
    ask = f"GET {CLIP}{between(BEGAN, BEGAN + 1000)} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with footage_site(tmp_path / "recordings") as site:
        async with AsyncExitStack() as stack:
            for _ in range(MOST_OF_CLIENT):
                stream = await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", site.port))
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                await stream.send_all(ask.encode())
                assert b" 200 " in await stream.receive_some(64)
            refused = await take(site)
            assert (refused.status, "Retry-After" in refused.headers) == (429, True)
        with give_up_after(20):
            while (await take(site)).status == 429:
                await trio.lowlevel.checkpoint()
