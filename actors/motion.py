"""The actor that looks for motion in one camera's key frames.

It opens nothing: only pictures that come anyway are looked at, and only while the policy wants it.
"""

import logging

import trio

from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import CameraId, DetectionId, LeaseId

from .decoder.queue import Undecodable
from .hub import Hub
from .tools import Tools

logger = logging.getLogger(__name__)

EVERY_S = 1.0
"""Key frames that come sooner after one that was looked at are let pass."""
QUIET_S = 5.0
"""After a detection: one walk through the picture is few detections."""
SHARE_OF_FULL_SCORE = 0.04
"""So much of the picture has changed for a score of 1; somebody who walks by takes about as much."""
SCENE = 0.6
"""More than this has changed at once: a light was switched, or the camera turned. No motion in the picture."""
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
            await kernel.wait_policy(kernel.state.policy)


async def _watch(camera: CameraId, hub: Hub, tools: Tools) -> None:
    """Until the policy is another one, or no more pictures will come."""
    policy = tools.kernel.state.policy
    before = b""
    while tools.kernel.state.policy == policy and await hub.wait_key(hub.keys):
        still = hub.still
        if still is None:
            continue
        try:
            seen = await tools.decoder.look(camera, still, before)
            before = seen.grey
            if score(seen.share) >= max(policy.score, LEAST):
                what = (camera, still.wall_ns, "motion", score(seen.share), "motion", seen.box)
                thumbnail = await tools.decoder.thumbnail(camera, still)
                tools.detections.report(c.ReportDetection(DetectionId(""), LeaseId(""), *what), thumbnail)
                await trio.sleep(QUIET_S)
        except Rejected as refused:
            logger.info("motion/%s: %s", camera, refused)
        except Undecodable as refused:
            logger.info("motion/%s: %s", camera, refused)
            await trio.sleep(refused.retry_s)
        await trio.sleep(EVERY_S)


def score(share: float) -> float:
    """How sure it is that something moved, from 0 to 1, where that share of the pixels is different."""
    return 0.0 if share > SCENE else round(min(1.0, share / SHARE_OF_FULL_SCORE), 3)
