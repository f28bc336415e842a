"""Decoding in a real daemon: its cost, the effect of the child's end, and the resources of the child."""

import os
import signal
from pathlib import Path
from typing import Any

from actors.media.bitstream import join_annexb
from actors.process.process import INHERITED, MARK
from tests.kit.daemon import Daemon, launch_daemon, open_daemon, write_config
from tests.kit.http import Answer, request
from tests.kit.media import access_units
from tests.kit.patience import give_up_after
from tests.kit.processes import ProcessInfo, descendants, read_process, wait_until

ENCODER = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1", "-pix_fmt", "yuv420p"]


def lavfi(size: str, rate: int = 5, keys: int = 5) -> dict[str, Any]:
    picture = ["-re", "-f", "lavfi", "-i", f"testsrc=size={size}:rate={rate}"]
    return {"ffmpeg": [*picture, *ENCODER, "-g", str(keys), "-an"]}


async def snapshot(daemon: Daemon, camera: str) -> Answer:
    return await request(daemon.port, "GET", f"/cameras/{camera}/snapshot.jpg?max_age=5")


def decoder_of(daemon: Daemon) -> ProcessInfo | None:
    return next((p for p in descendants(daemon.pid) if any("decoder" in part for part in p.cmdline)), None)


async def working_decoder(daemon: Daemon) -> ProcessInfo:
    """The child starts with the first snapshot; a key frame is decoded once, for all clients."""
    with give_up_after(20):
        while (decoder := decoder_of(daemon)) is None:
            assert (await snapshot(daemon, "front")).status == 200
    return decoder


def environment_of(process: ProcessInfo) -> dict[str, str]:
    lines = Path(f"/proc/{process.pid}/environ").read_bytes().decode().split("\0")
    return dict(line.split("=", 1) for line in lines if line)


def peak_memory(pid: int) -> int:
    """Return the peak resident memory in bytes (proc(5), VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


async def test_killed_decoder_costs_no_picture_of_the_stream(tmp_path: Path) -> None:
    """Snapshots go on with the next child, the camera keeps its frame rate, no alert is left, and the end is clean."""
    async with open_daemon(tmp_path, {"front": lavfi("320x180")}) as daemon:
        await daemon.wait_camera("front", "live")
        pids = set()
        for _ in range(3):
            decoder = await working_decoder(daemon)
            pids.add(decoder.pid)
            os.kill(decoder.pid, signal.SIGKILL)
            await wait_until(lambda pid=decoder.pid: read_process(pid) is None)  # type: ignore[misc]
        assert len(pids) == 3
        assert (await snapshot(daemon, "front")).status == 200
        assert (await daemon.camera("front"))["state"] == "live"
        assert (await daemon.get("/api/health"))["verdict"] == "ok"
        assert await daemon.end() == 0
    ends = [row.event for row in daemon.journal() if row.type == "ChildEnded"]
    assert sum(getattr(end, "signal", "") == "SIGKILL" for end in ends) == 3
    assert sum(row.type == "CameraConnecting" for row in daemon.journal()) == 1


async def test_key_frame_of_8192x8192_is_refused_and_takes_no_memory_of_the_daemon(tmp_path: Path) -> None:
    """503 with the size in its reason; other cameras are served meanwhile."""
    stream = tmp_path / "huge.h264"
    stream.write_bytes(20 * join_annexb(access_units(8192, 8192, 1)[0]))  # encoded once, not while the daemon waits
    read = ["-re", "-stream_loop", "-1", "-framerate", "2", "-f", "h264", "-i", str(stream), "-c", "copy", "-an"]
    async with open_daemon(tmp_path, {"huge": {"ffmpeg": read}, "front": lavfi("320x180")}) as daemon:
        await daemon.wait_camera("front", "live")
        assert (await snapshot(daemon, "front")).status == 200
        await daemon.wait_camera("huge", "live")
        before = peak_memory(daemon.pid)
        for _ in range(3):
            refused = await snapshot(daemon, "huge")
            assert (refused.status, "coded as 8192x8192" in refused.json["detail"]) == (503, True)
        assert (await snapshot(daemon, "front")).status == 200
        assert peak_memory(daemon.pid) - before < 50e6


async def test_decoder_does_not_outlive_a_daemon_that_is_killed(tmp_path: Path) -> None:
    """The kernel ends the decoder with its parent, whatever privileges it has dropped."""
    async with open_daemon(tmp_path, {"front": lavfi("320x180")}) as daemon:
        await daemon.wait_camera("front", "live")
        decoder = await working_decoder(daemon)
        os.kill(decoder.pid, signal.SIGSTOP)  # so that the end of its input cannot be what ends it
        await daemon.end(signal.SIGKILL)
        await wait_until(lambda: read_process(decoder.pid) is None, 2)


async def test_children_of_a_daemon_have_none_of_its_passwords(tmp_path: Path) -> None:
    """Sources, the decoder and what is above them; each has what its own source lists."""
    secrets = {"FRONT_PASSWORD": "geheim-1", "OTHER_SECRET": "geheim-2", "LICENCE": "geheim-3"}
    front = {**lavfi("320x180"), "env": {"LICENCE": "${LICENCE}"}}
    write_config(tmp_path, {"front": front, "yard": lavfi("320x180"), "bars": "test:320x180@5"})
    async with launch_daemon(tmp_path, secrets) as daemon:
        await daemon.wait_ready()
        for name in ("front", "yard", "bars"):
            await daemon.wait_camera(name, "live")
            assert (await snapshot(daemon, name)).status == 200
        found = {process.pid: environment_of(process) for process in descendants(daemon.pid)}
        assert len(found) >= 3
        allowed = {*INHERITED, MARK, "LICENCE", "LC_CTYPE", "PWD", "OLDPWD", "SHLVL", "_"}
        assert {name for names in found.values() for name in names} <= allowed
        having = [values[MARK].split("/")[2] for values in found.values() if "LICENCE" in values]
        assert having == ["front"]
        for path in ("/api/cameras", "/api/processes", "/api/events?limit=1000", "/metrics"):
            answer = await request(daemon.port, "GET", path)
            assert b"geheim" not in answer.body
        assert b"geheim" not in b"".join(path.read_bytes() for path in (tmp_path / "journal").iterdir())
        assert await daemon.end() == 0


async def test_twenty_key_frames_in_turn_become_snapshots_by_one_child(tmp_path: Path) -> None:
    """Each is made, none comes from the cache, and the child that made the first makes the last."""
    async with open_daemon(tmp_path, {"front": lavfi("640x360", 10, 5)}) as daemon:
        await daemon.wait_camera("front", "live")
        seen, children = set[str](), set[int]()
        with give_up_after(120):
            while len(seen) < 20:
                answer = await request(daemon.port, "GET", "/cameras/front/snapshot.jpg")
                assert (answer.status, answer.body[:2]) == (200, b"\xff\xd8")
                seen.add(answer.headers["X-Picture-Time"])
                decoder = decoder_of(daemon)
                assert decoder is not None
                children.add(decoder.pid)
        assert len(children) == 1
        assert await daemon.end() == 0
