"""The actor that looks for motion in one camera's key frames.

It opens nothing: only pictures that come anyway are looked at, and only while the policy wants it.
"""

import logging

import trio

from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import CameraId, DetectionId, LeaseId

from .eyes import changed, score
from .hub import Hub
from .jpeg import Undecodable
from .tools import Tools

logger = logging.getLogger(__name__)

EVERY_S = 1.0
"""Key frames that come sooner after one that was looked at are let pass."""
QUIET_S = 5.0
"""After a detection: one walk through the picture is few detections."""
LEAST = 0.1
"""A score below is no motion, whatever the policy takes."""


async def run_motion(camera: CameraId, hub: Hub, tools: Tools) -> None:
    """Report motion for as long as `hub` is open and the policy wants it looked for; wait while it does not.

    Cancellation: within the time of one picture, some hundredths of a second. Cleanup: nothing is held.
    """
    kernel = tools.kernel
    while not hub.is_closed:
        if kernel.state.policy.motion:
            await _watch(camera, hub, tools)
        else:
            await kernel.wait_change(kernel.state.seq)


async def _watch(camera: CameraId, hub: Hub, tools: Tools) -> None:
    """Until the policy is another one, or no more pictures will come."""
    policy = tools.kernel.state.policy
    before: bytes | None = None
    while tools.kernel.state.policy == policy and await hub.wait_key(hub.keys):
        still = hub.still
        if still is None:
            continue
        try:
            seen = await tools.eyes.look(still)
            share, box = changed(before or seen.grey, seen.grey)
            before = seen.grey
            if score(share) >= max(policy.score, LEAST):
                what = (camera, still.wall_ns, "motion", score(share), "motion", box)
                thumbnail = await tools.eyes.draw(seen)
                tools.detections.report(c.ReportDetection(DetectionId(""), LeaseId(""), *what), thumbnail)
                await trio.sleep(QUIET_S)
        except (Undecodable, Rejected) as refused:
            logger.info("motion/%s: %s", camera, refused)
        await trio.sleep(EVERY_S)
