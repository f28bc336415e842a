#!/usr/bin/python3
"""A player of HLS made of GStreamer: `hls_gst.py URL SECONDS` prints the access units that it got, and errors.

Run by the system's Python, which has `gi`. It imports no module of this project.
"""

from __future__ import annotations

import json
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

PIPELINE = (
    "souphttpsrc location={url} ! hlsdemux ! qtdemux ! h264parse ! fakesink name=sink signal-handoffs=true sync=false"
)


def main(url: str, seconds: float) -> None:
    Gst.init(None)
    pipeline = Gst.parse_launch(PIPELINE.format(url=url))
    units, problem, ended = 0, "", False

    def count(*_: object) -> None:
        nonlocal units
        units += 1

    pipeline.get_by_name("sink").connect("handoff", count)
    pipeline.set_state(Gst.State.PLAYING)
    until = time.monotonic() + seconds
    while time.monotonic() < until and not problem and not ended:
        kinds = Gst.MessageType.ERROR | Gst.MessageType.EOS
        message = pipeline.get_bus().timed_pop_filtered(100 * Gst.MSECOND, kinds)
        if message is not None:
            ended = message.type == Gst.MessageType.EOS
            problem = "" if ended else str(message.parse_error())
    pipeline.set_state(Gst.State.NULL)
    print(json.dumps({"units": units, "problem": problem, "ended": ended}))


main(sys.argv[1], float(sys.argv[2]))
