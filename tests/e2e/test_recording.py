"""A daemon records because of a detection, and because a person wants it; the files play."""

import json
import time
from pathlib import Path
from typing import Any

import av
import trio

from actors.recorder.index import Index, IndexedFile
from actors.sources.test import KEY_EVERY_S
from supervisor.base.times import iso
from supervisor.domain import events as e
from supervisor.domain.ids import CameraId
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.http import request
from tests.kit.processes import wait_until

PATTERN, FPS = "test:320x180@15", 15
GATE = CameraId("gate")
BEFORE_S = 2
TOKEN = "the-token-of-a-detector"
MORE = f"detections: {{token: {TOKEN}}}\nrecord: {{path: footage}}"
EVENTS = {"mode": "events", "events": {"before": f"{BEFORE_S}s", "after": "2s", "labels": ["person"]}}


async def post(daemon: Daemon, path: str, **body: Any) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    answer = await request(daemon.port, "POST", path, json.dumps({"camera": GATE} | body), headers)
    assert answer.status < 300, answer.body


async def detect(daemon: Daemon, label: str) -> None:
    await post(daemon, "/api/detections", time=iso(time.time_ns()), label=label, score=0.9)


def newest(daemon: Daemon, kind: type[e.Event]) -> e.Recorded:
    return [row for row in daemon.journal() if isinstance(row.event, kind)][-1]


async def journaled(daemon: Daemon, kind: type[e.Event]) -> tuple[e.Recorded, str]:
    """Wait for an event; the newest of its type, and the type of its cause."""

    await wait_until(lambda: any(isinstance(row.event, kind) for row in daemon.journal()), 60, what=kind.__name__)
    row = newest(daemon, kind)
    return row, next((each.type for each in daemon.journal() if each.seq == row.cause), "")


async def wait_frames(daemon: Daemon, least: int) -> None:
    """Wait until the camera has sent so many."""
    with trio.fail_after(120):
        while (await daemon.camera(GATE))["frames"] < least:  # noqa: ASYNC110 - it is asked over HTTP
            await trio.sleep(0.1)


def rows(folder: Path) -> list[IndexedFile]:
    index = Index(folder / "footage")
    try:
        return index.files(GATE, 0, 2**62)
    finally:
        index.close()


def decoded_s(folder: Path, row: IndexedFile) -> float:
    """The seconds of video that a player decodes from a file."""
    with av.open(str(folder / "footage" / row.path)) as file:
        return sum(1 for _ in file.decode(video=0)) / FPS


async def test_detection_is_recorded_from_before_it(tmp_path: Path) -> None:
    """It begins at most `before` and a GOP ahead; the detection is the cause of the beginning and of the end."""
    async with open_daemon(tmp_path, {GATE: {"source": PATTERN, "record": EVENTS}}, MORE) as daemon:
        await daemon.wait_camera(GATE, "live")
        await wait_frames(daemon, FPS * (BEFORE_S + 2 * KEY_EVERY_S))
        await detect(daemon, "cat")
        await detect(daemon, "person")
        detected, _ = await journaled(daemon, e.DetectionMade)
        started, why = await journaled(daemon, e.RecordingStarted)
        assert (why, started.cause) == ("DetectionMade", detected.seq)
        stopped, why = await journaled(daemon, e.RecordingStopped)
        assert (why, stopped.cause) == ("DetectionMade", detected.seq)
        assert await daemon.end() == 0
    (row,) = rows(tmp_path)
    ahead_s = (detected.wall_ns - row.began_ns) / 1e9
    assert BEFORE_S - 0.1 <= ahead_s <= BEFORE_S + KEY_EVERY_S + 0.1
    assert row.eventful
    assert decoded_s(tmp_path, row) >= ahead_s


async def test_person_records_a_camera_at_rest(tmp_path: Path) -> None:
    """It is opened for it and closed after it; a request with an end goes on after a restart of the daemon."""
    camera = {"source": PATTERN, "mode": "on_demand", "record": "demand"}
    more = f"{MORE}\nlimits: {{linger: 0s}}"
    async with open_daemon(tmp_path, {GATE: camera}, more) as daemon:
        assert (await daemon.camera(GATE))["state"] == "idle"
        await post(daemon, "/api/recordings", **{"for": "1h"})
        started, why = await journaled(daemon, e.RecordingStarted)
        assert isinstance(started.event, e.RecordingStarted) and started.event.mode == "demand"
        assert why == "CameraLive"
        assert await daemon.end() == 0
    async with open_daemon(tmp_path, {GATE: camera}, more) as daemon:
        await wait_until(lambda: newest(daemon, e.RecordingStarted).seq > started.seq, 60, what="another recording")
        await wait_frames(daemon, FPS * 4)
        assert (await request(daemon.port, "DELETE", f"/api/recordings/{GATE}")).status == 200
        _, why = await journaled(daemon, e.RecordingStopped)
        await daemon.wait_camera(GATE, "idle")
        stops = [row for row in daemon.journal() if isinstance(row.event, e.RecordingStopped)]
        assert [row.event.reason.code for row in stops if isinstance(row.event, e.RecordingStopped)] == [
            "stopped",
            "unrequested",
        ]
        assert await daemon.end() == 0
    assert all(decoded_s(tmp_path, row) > 0 for row in rows(tmp_path))
    assert len(rows(tmp_path)) == 2
