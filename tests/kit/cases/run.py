"""Play cases: one daemon for all, a few cases at a time, each with its own camera and viewer.

The order: the viewer joins, which wants the camera; the camera answers; what comes is looked at until it is settled.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import h11
import trio

from ..http import request
from .camera import Camera
from .daemon import Daemon, open_daemon
from .form import Case, Video
from .judge import LOST, Seen, find_difference, is_settled
from .units import Units
from .viewer import CODECS, ViewerError, open_viewer

AT_ONCE = 8
POLL_S = 0.1
NO_ANSWER = (OSError, trio.BrokenResourceError, trio.TooSlowError, h11.RemoteProtocolError, AssertionError)
"""Of a request to a daemon that is ending; `request` asserts that there is a response."""


@attrs.frozen
class Result:
    """`difference`: the first one; empty where the case passes."""

    name: str
    difference: str
    received: int
    """Access units."""
    seconds: float

    @property
    def passed(self) -> bool:
        return not self.difference


async def play(
    folder: Path, cases: Mapping[str, Case], report: Callable[[Result], None] = lambda result: None
) -> list[Result]:
    """Play these cases, and judge each; in their order.

    Args:
        folder: an empty one, for the configuration, the journal and the output of the daemon.
        report: is called with each result as soon as it is there.

    Raises `DaemonError` when the daemon does not start.
    Cancellation: ends the daemon. Cleanup: no process, no port and no connection is left.
    """
    results: dict[str, Result] = {}
    limiter = trio.CapacityLimiter(AT_ONCE)
    with ExitStack() as ports:
        cameras = {}
        for number, (name, case) in enumerate(cases.items()):
            cameras[f"case-{number}"] = name, await Camera.open(case)
            ports.callback(cameras[f"case-{number}"][1].close)

        async def play_next(daemon: Daemon, camera_id: str) -> None:
            name, camera = cameras[camera_id]
            async with limiter:
                results[name] = await _play_one(daemon, camera_id, name, camera)
            report(results[name])

        wanted = {camera_id: _configure(camera_id, camera) for camera_id, (_, camera) in cameras.items()}
        async with open_daemon(folder, wanted) as daemon, trio.open_nursery() as nursery:
            for camera_id in cameras:
                nursery.start_soon(play_next, daemon, camera_id)
    return [results[name] for name in cases]


def _configure(camera_id: str, camera: Camera) -> dict[str, str]:
    """Return the configuration of a camera. It has its own device, so that cameras do not share connection slots."""
    source = {"source": camera.url, "mode": "on_demand", "device": camera_id}
    return source | ({"transport": camera.case.transport} if camera.case.transport else {})


async def _play_one(daemon: Daemon, camera_id: str, name: str, camera: Camera) -> Result:
    began, units = trio.current_time(), Units(CODECS)
    difference = ""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)
        async with open_viewer(daemon.port, camera_id, units) as viewer:
            try:
                await viewer.join()
                camera.release()
                difference = await _watch(daemon, camera_id, camera, units)
            except ViewerError as error:
                difference = f"the viewer: {error}"
            except NO_ANSWER as error:
                difference = daemon.ending or f"the daemon does not answer: {error!r}"
        nursery.cancel_scope.cancel(reason="the case is over")
    return Result(name, difference, len(units.units), round(trio.current_time() - began, 1))


async def _watch(daemon: Daemon, camera_id: str, camera: Camera, units: Units) -> str:
    """Look until the case is settled; the first difference."""
    case, released = camera.case, trio.current_time()
    newest, count, reasons, lost_at = released, 0, dict[str, None](), set[str]()
    while True:
        known = (await request(daemon.port, "GET", f"/api/cameras/{camera_id}")).json
        now = trio.current_time()
        if len(units.units) != count:
            newest, count = now, len(units.units)
        if known["state"] in LOST:
            lost_at.add(known["since"])
            reasons[_reason(known)] = None
        seen = Seen(
            tuple(units.units),
            elapsed_s=now - released,
            quiet_s=now - newest,
            state=known["state"],
            reasons=tuple(reasons),
            losses=max(len(lost_at), known["attempts"]),
            audio=known["audio"],
            mute=known["mute"],
            video=Video(known["codec"], known["width"], known["height"]) if known["codec"] else None,
            dialogues=camera.dialogues,
            held=camera.held,
            fault=units.fault or camera.fault,
        )
        if is_settled(case, seen):
            return find_difference(case, seen)
        await trio.sleep(POLL_S)


def _reason(known: Mapping[str, Any]) -> str:
    return str(known["reason"]["text"]) if known["reason"] else "no reason is given"
