"""The actor that detects motion in one camera's key frames.

It opens no connection: it examines only key frames that arrive anyway, and only while the policy enables motion
detection.
"""

import logging

import trio

from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import CameraId, DetectionId, LeaseId

from ..media.decoder.client import Decodes
from ..media.decoder.queue import Undecodable
from ..media.hub import Hub
from ..tools import Tools

logger = logging.getLogger(__name__)

EVERY_S = 1.0
"""The shortest interval between examined key frames; those in between are skipped."""
QUIET_S = 5.0
"""Pause after a detection, so that one walk past the camera yields few detections."""
SHARE_OF_FULL_SCORE = 0.04
"""The share of changed pixels that scores 1; a passing person changes about as much."""
SCENE = 0.6
"""A larger share that changes at once is a scene change, not motion: a light was switched, or the camera turned."""
LEAST = 0.1
"""A lower score is not motion, whatever the policy accepts."""


async def run_motion(camera: CameraId, hub: Hub, decoder: Decodes, tools: Tools) -> None:
    """Report motion while `hub` is open and the policy enables it; otherwise wait for the policy to change.

    Cancellation: within the time of one decoded frame, some hundredths of a second. Cleanup: holds nothing.
    """
    kernel = tools.kernel
    while not hub.is_closed:
        if kernel.state.policy.motion:
            await _watch(camera, hub, decoder, tools)
        else:
            await kernel.wait_policy(kernel.state.policy)


async def _watch(camera: CameraId, hub: Hub, decoder: Decodes, tools: Tools) -> None:
    """Examine key frames until the policy changes or the hub is closed."""
    assert tools.detections is not None, "the configuration refuses motion without its part"
    policy = tools.kernel.state.policy
    before = b""
    while tools.kernel.state.policy == policy and await hub.wait_key(hub.keys):
        still = hub.still
        if still is None:
            continue
        try:
            seen = await decoder.look(camera, still, before)
            before = seen.grey
            if score(seen.share) >= max(policy.score, LEAST):
                what = (camera, still.wall_ns, "motion", score(seen.share), "motion", seen.box)
                thumbnail = await decoder.thumbnail(camera, still)
                tools.detections.report(c.ReportDetection(DetectionId(""), LeaseId(""), *what), thumbnail)
                await trio.sleep(QUIET_S)
        except Rejected as refused:
            logger.info("motion/%s: %s", camera, refused)
        except Undecodable as refused:
            logger.info("motion/%s: %s", camera, refused)
            await trio.sleep(refused.retry_s)
        await trio.sleep(EVERY_S)


def score(share: float) -> float:
    """Return the confidence from 0 to 1 that something moved, for a share (0 to 1) of changed pixels."""
    return 0.0 if share > SCENE else round(min(1.0, share / SHARE_OF_FULL_SCORE), 3)
