"""Decisions about a camera's source."""

import math

from msgspec.structs import replace

from .. import commands as c
from .. import events as e
from .. import lifecycle
from ..errors import Refusal, Rejected
from ..lifecycle import CameraPhase
from ..restart import CRASHES, HEALTHY_AFTER_S, PASSWORD, RECENT_S, backoff_s, probe_s, quarantine_s, recent_crashes
from ..state import Camera, State
from ..values import Fault, Reason
from .common import Events, require_camera, require_running
from .device import has_place, learn_budget


def connect_camera(state: State, command: c.ConnectCamera, now_ns: int) -> Events:
    camera = require_camera(state, command.camera)
    require_running(state)
    if not has_place(state, camera):
        raise Rejected(Refusal.CONFLICT, f"{command.camera} has no place at {camera.settings.device}")
    if not lifecycle.allows(lifecycle.CAMERA, camera.phase, e.CameraConnecting):
        raise Rejected(Refusal.CONFLICT, f"{command.camera} is {camera.phase.value} already")
    return (e.CameraConnecting(camera=command.camera, attempt=camera.attempts + 1),)


def report_live(state: State, command: c.ReportLive, now_ns: int) -> Events:
    camera = state.cameras.get(command.camera)
    if camera is None or not lifecycle.allows(lifecycle.CAMERA, camera.phase, e.CameraLive):
        return ()
    if camera.phase is CameraPhase.LIVE and camera.picture == command.picture:
        return ()
    return (e.CameraLive(camera=command.camera, picture=command.picture),)


def report_stall(state: State, command: c.ReportStall, now_ns: int) -> Events:
    camera = state.cameras.get(command.camera)
    if camera is None or not lifecycle.allows(lifecycle.CAMERA, camera.phase, e.CameraStalled):
        return ()
    return (e.CameraStalled(command.camera, Reason("silent", f"nothing has come for {command.silence_s:g} s")),)


def report_loss(state: State, command: c.ReportLoss, now_ns: int) -> Events:
    camera = state.cameras.get(command.camera)
    if camera is None or not lifecycle.allows(lifecycle.CAMERA, camera.phase, e.CameraWaiting):
        return ()
    attempts = 1 if _was_healthy(camera, now_ns) else camera.attempts + 1
    live_until_ns = now_ns if _is_live(camera) else 0
    if command.reason.fault is Fault.FATAL:
        return (_fatal_loss(camera, command.reason, now_ns, attempts, live_until_ns),)
    delay_s = round(backoff_s(attempts, command.jitter), 3)
    waiting = e.CameraWaiting(command.camera, command.reason, attempts, delay_s, live_until_ns=live_until_ns)
    return (*learn_budget(state, command, now_ns), waiting)


def _fatal_loss(
    camera: Camera, reason: Reason, now_ns: int, attempts: int, live_until_ns: int
) -> e.CameraWaiting | e.CameraFailed:
    """A camera that was live a moment ago is only waited for: it, or the relay in front of it, is restarting."""
    name, last_ns = camera.settings.camera, live_until_ns or camera.live_until_ns
    since_live_s = (now_ns - last_ns) / 1e9 if last_ns else math.inf
    again = camera.failed == reason.code and not live_until_ns
    times = camera.failures + 1 if again else 1
    delay_s = probe_s(reason.code, camera.probe_s if again else 0.0, since_live_s)
    if since_live_s <= RECENT_S and reason.code != PASSWORD:
        passing = replace(reason, fault=Fault.TEMPORARY)
        return e.CameraWaiting(name, passing, attempts, delay_s, times, live_until_ns)
    return e.CameraFailed(name, reason, delay_s, times, live_until_ns)


def report_crash(state: State, command: c.ReportCrash, now_ns: int) -> Events:
    camera = state.cameras.get(command.camera)
    if camera is None:
        return ()
    reason = Reason("crashed", command.error, Fault.CRASH)
    crashes = recent_crashes(camera.crashes_ns, now_ns)
    if len(crashes) > CRASHES:
        times = 1 if _was_healthy(camera, now_ns) else camera.quarantines + 1
        return (e.CameraQuarantined(command.camera, reason, delay_s=quarantine_s(times), times=times),)
    delay_s = round(backoff_s(1, command.jitter), 3)  # growing waits would outlast the window that counts
    return (e.CameraCrashed(command.camera, reason, delay_s=delay_s, recent_ns=crashes),)


def rest_camera(state: State, command: c.RestCamera, now_ns: int) -> Events:
    camera = state.cameras.get(command.camera)
    if camera is None or camera.phase is CameraPhase.IDLE:
        return ()
    attempts, live_until_ns = (0, now_ns) if _is_live(camera) else (camera.attempts, 0)
    return (e.CameraIdle(command.camera, command.reason, attempts, live_until_ns),)


def _was_healthy(camera: Camera, now_ns: int) -> bool:
    """Whether the camera has been live for so long that its failures count anew; short silences do not count."""
    return _is_live(camera) and now_ns - camera.live_since_ns >= HEALTHY_AFTER_S * 1e9


def _is_live(camera: Camera) -> bool:
    return camera.phase in (CameraPhase.LIVE, CameraPhase.STALLED)
